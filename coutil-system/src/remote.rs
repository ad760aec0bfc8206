//! What reaches a loop from elsewhere: tasks to run, and operations that tasks ended.

use crate::schedule::OpId;
use crate::sys::poller::Waker;
use crate::sys::process;
use async_task::{Runnable, Task};
use std::future::Future;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

#[derive(Default)]
struct Inbox {
    tasks: Vec<Runnable>,
    ended: Vec<OpId>,
    /// It is for the process that made it: a child of a fork would wake its parent.
    waker: Option<(Waker, u32)>,
    /// The loop is gone: nothing is taken any more.
    closed: bool,
}

/// One for each loop, shared with its tasks.
#[derive(Default)]
pub(crate) struct Remote {
    inbox: Mutex<Inbox>,
    /// Whether the inbox has something in it.
    full: AtomicBool,
    /// Whether the loop waits, and has to be woken.
    asleep: AtomicBool,
}

impl Remote {
    fn inbox(&self) -> MutexGuard<'_, Inbox> {
        self.inbox.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn set_waker(&self, waker: Waker) {
        self.inbox().waker = Some((waker, process::forks()));
    }

    fn put(&self, put: impl FnOnce(&mut Inbox)) {
        let mut inbox = self.inbox();
        put(&mut inbox);
        self.full.store(true, Ordering::SeqCst);
        let waker = match &inbox.waker {
            Some((waker, forks))
                if self.asleep.swap(false, Ordering::SeqCst) && *forks == process::forks() =>
            {
                Some(waker.clone())
            }
            _ => None,
        };
        // Without the lock, which is what the loop asks for first when it is awake.
        drop(inbox);
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Whether there is nothing to be done; then whoever puts something there wakes the loop, until it is awake.
    pub(crate) fn may_sleep(&self) -> bool {
        self.asleep.store(true, Ordering::SeqCst);
        !self.is_full()
    }

    pub(crate) fn awake(&self) {
        self.asleep.store(false, Ordering::SeqCst);
    }

    #[inline]
    pub(crate) fn is_full(&self) -> bool {
        self.full.load(Ordering::SeqCst)
    }

    /// Takes the tasks that are to be run, and tells of the operations that were ended.
    pub(crate) fn empty(&self, mut ended: impl FnMut(OpId)) -> Vec<Runnable> {
        let mut inbox = self.inbox();
        self.full.store(false, Ordering::SeqCst);
        inbox.ended.drain(..).for_each(&mut ended);
        std::mem::take(&mut inbox.tasks)
    }

    /// Tells of the operations that were ended since.
    pub(crate) fn ended(&self, mut ended: impl FnMut(OpId)) {
        let mut inbox = self.inbox();
        inbox.ended.drain(..).for_each(&mut ended);
        self.full.store(!inbox.tasks.is_empty(), Ordering::SeqCst);
    }

    /// An operation is ended.
    pub(crate) fn end(&self, op: OpId) {
        self.put(|inbox| inbox.ended.push(op));
    }

    /// A waker that ends an operation.
    pub(crate) fn end_waker(self: &Arc<Self>, op: OpId) -> std::task::Waker {
        struct End(Weak<Remote>, OpId);
        impl std::task::Wake for End {
            fn wake(self: Arc<Self>) {
                if let Some(remote) = self.0.upgrade() {
                    remote.end(self.1);
                }
            }
        }
        Arc::new(End(Arc::downgrade(self), op)).into()
    }

    /// The loop is gone. Tasks that were to be run are dropped, with their futures; others are when they are woken.
    pub(crate) fn close(&self) {
        let tasks = {
            let mut inbox = self.inbox();
            inbox.closed = true;
            std::mem::take(&mut inbox.tasks)
        };
        drop(tasks);
    }

    /// Has the host come out of [`next`](crate::core::Loop::next), with nothing to run perhaps.
    pub(crate) fn interrupt(&self) {
        self.put(|_| {});
    }

    /// Makes a task that the loop runs; `op` is ended with it, whatever becomes of it.
    pub(crate) fn spawn<F>(self: &Arc<Self>, op: Option<OpId>, future: F) -> Task<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        /// Ends the operation also when the future panics.
        struct End(Weak<Remote>, OpId);
        impl Drop for End {
            fn drop(&mut self) {
                if let Some(remote) = self.0.upgrade() {
                    remote.end(self.1);
                }
            }
        }
        let remote = Arc::downgrade(self);
        let end = op.map(|op| End(remote.clone(), op));
        let schedule = move |runnable| {
            if let Some(remote) = remote.upgrade() {
                let mut runnable = Some(runnable);
                remote.put(|inbox| {
                    if !inbox.closed {
                        inbox.tasks.extend(runnable.take());
                    }
                });
                // What is left of it is dropped without the lock: that drops the future.
            }
        };
        let future = async move {
            let _end = end;
            future.await
        };
        let (runnable, task) = async_task::spawn(future, schedule);
        runnable.schedule();
        task
    }
}
