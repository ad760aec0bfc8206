//! Tasks: futures that are their own wakers.

use crate::pool::Inner;
use crate::sync::{AtomicU8, Mutex, MutexGuard, Ordering, catch_unwind};
use std::fmt;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::{Arc, PoisonError};
use std::task::{Context, Poll, Wake, Waker};

pub(crate) type AnyFuture = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Where a task is: in the queue, with a thread, or where it waits for its waker. [`WOKEN`](stage::WOKEN) is with a thread, and to be
/// queued again.
///
/// All of it is changed under the lock of the pool, but for one thing: [`RUNNING`](stage::RUNNING) becomes [`WOKEN`](stage::WOKEN)
/// without.
pub(crate) mod stage {
    pub(crate) const PENDING: u8 = 0;
    pub(crate) const RUNNING: u8 = 1;
    pub(crate) const WOKEN: u8 = 2;
    pub(crate) const SUSPENDED: u8 = 3;
    /// It is not in the table any more.
    pub(crate) const ENDED: u8 = 4;
}

/// A future, and the waker that it is polled with, which is made once.
struct Body {
    future: AnyFuture,
    waker: Waker,
}

/// One task of a pool. It is in the table of the pool until it ends.
pub(crate) struct Task {
    pub(crate) pool: Arc<Inner>,
    pub(crate) key: usize,
    stage: AtomicU8,
    /// `None` when it has ended. Only the thread that runs the task, or the one that took it out of the table, locks it.
    body: Mutex<Option<Body>>,
}

impl Task {
    pub(crate) fn new(pool: Arc<Inner>, key: usize, future: AnyFuture) -> Arc<Self> {
        let this = Arc::new(Self { pool, key, stage: AtomicU8::new(stage::PENDING), body: Mutex::new(None) });
        let waker = Waker::from(Arc::clone(&this));
        *this.body() = Some(Body { future, waker });
        this
    }

    /// Locks the body, for which nobody has to wait.
    fn body(&self) -> MutexGuard<'_, Option<Body>> {
        #[cfg(loom)]
        assert!(self.body.try_lock().is_ok(), "two threads have the same task");
        self.body.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Polls the future. True if the task has ended; its future is dropped then. A panic is told by the panic hook.
    pub(crate) fn run(&self) -> bool {
        let mut body = self.body();
        let Some(Body { future, waker }) = body.as_mut() else { return true };
        let ended = catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(&mut Context::from_waker(waker))));
        if !matches!(ended, Ok(Poll::Pending)) {
            let ended = body.take();
            drop(body);
            let _ = catch_unwind(AssertUnwindSafe(|| drop(ended)));
            return true;
        }
        false
    }

    /// Drops the future of a task that was taken out of the table.
    pub(crate) fn destroy(&self) {
        let body = self.body().take();
        let _ = catch_unwind(AssertUnwindSafe(|| drop(body)));
    }

    /// Its stage: it may become [`WOKEN`](stage::WOKEN) at any time.
    pub(crate) fn stage(&self) -> u8 {
        self.stage.load(Ordering::Acquire)
    }

    /// Under the lock.
    pub(crate) fn set_stage(&self, stage: u8) {
        // What was done before a wake is seen by the poll that follows.
        self.stage.swap(stage, Ordering::AcqRel);
    }

    /// Under the lock: a thread runs it no more. True if it was woken meanwhile.
    pub(crate) fn suspend(&self) -> bool {
        let (running, suspended) = (stage::RUNNING, stage::SUSPENDED);
        self.stage.compare_exchange(running, suspended, Ordering::AcqRel, Ordering::Acquire).is_err()
    }

    /// Has the thread that runs it queue it again. False if no thread does.
    fn tell(&self) -> bool {
        // It is written also if that is known already: so the poll sees what was done before.
        let woken = |stage| matches!(stage, stage::RUNNING | stage::WOKEN).then_some(stage::WOKEN);
        self.stage.fetch_update(Ordering::AcqRel, Ordering::Acquire, woken).is_ok()
    }
}

impl Wake for Task {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if self.tell() {
            return;
        }
        let mut state = self.pool.lock();
        match self.stage() {
            stage::SUSPENDED if state.closed => {
                state.forget(self);
                drop(state);
                self.destroy();
            }
            stage::SUSPENDED => {
                self.set_stage(stage::PENDING);
                self.pool.push(&mut state, Arc::clone(self));
                // If no thread can be started there will be another occasion.
                let _ = self.pool.provide(state);
            }
            // A thread has it by now, and may not let it go before the lock is free.
            stage::RUNNING | stage::WOKEN => {
                self.tell();
            }
            // Whoever takes it out of the queue does that under the lock, and so sees what was done before.
            _ => {}
        }
    }
}

/// The tasks that were suspended when their pool was closed. One that is woken later is dropped without running; those that are
/// left are dropped with this.
pub struct Suspended {
    pub(crate) tasks: Vec<Arc<Task>>,
}

impl Suspended {
    /// Whether none is left: all were woken, or there was none.
    pub fn is_empty(&self) -> bool {
        self.tasks.iter().all(|task| task.stage() == stage::ENDED)
    }
}

impl Drop for Suspended {
    fn drop(&mut self) {
        for task in self.tasks.drain(..) {
            let mut state = task.pool.lock();
            if task.stage() != stage::ENDED {
                state.forget(&task);
                drop(state);
                task.destroy();
            }
        }
    }
}

impl fmt::Debug for Suspended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Suspended").field("tasks", &self.tasks.len()).finish_non_exhaustive()
    }
}
