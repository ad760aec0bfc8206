//! Tasks that stop where the test wants them.

use coutil_threads::{Count, Handle};
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Condvar, Mutex};
use std::task::{Context, Poll, Waker};

/// Blocks threads until it is opened, so many times.
#[derive(Clone, Default)]
pub(crate) struct Gate(Arc<(Mutex<usize>, Condvar)>);

impl Gate {
    pub(crate) fn open(&self, times: usize) {
        *self.0.0.lock().unwrap() += times;
        self.0.1.notify_all();
    }

    pub(crate) fn pass(&self) {
        let mut times = self.0.1.wait_while(self.0.0.lock().unwrap(), |times| *times == 0).unwrap();
        *times -= 1;
    }
}

/// A future that is ready when it was woken by hand.
#[derive(Clone, Default)]
pub(crate) struct Flag(Arc<Mutex<(bool, Option<Waker>)>>);

impl Flag {
    pub(crate) fn set(&self) {
        let waker = {
            let mut flag = self.0.lock().unwrap();
            flag.0 = true;
            flag.1.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

impl Future for Flag {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let mut flag = self.0.lock().unwrap();
        if flag.0 {
            return Poll::Ready(());
        }
        flag.1 = Some(context.waker().clone());
        Poll::Pending
    }
}

/// Waits until the count is this; `nrpsea` as in the contract.
#[track_caller]
pub(crate) fn reaches(pool: &Handle, expected: [usize; 6]) {
    let mut last = [usize::MAX; 6];
    for _ in 0..10_000_000 {
        last = numbers(pool.count());
        if last == expected {
            return;
        }
        std::thread::yield_now();
    }
    panic!("{last:?} does not become {expected:?}");
}

pub(crate) fn numbers(count: Count) -> [usize; 6] {
    [count.tasks, count.running, count.pending, count.suspended, count.size, count.threads]
}
