//! Tasks: futures that are their own wakers.

use crate::pool::{Inner, State};
use std::fmt;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Wake, Waker};

pub(crate) type AnyFuture = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Where a task is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// In the queue.
    Pending,
    /// A thread has it. Whether it was woken since.
    Running { woken: bool },
    /// It waits for its waker.
    Suspended,
}

/// One task of a pool. It is in the table of the pool until it ends.
pub(crate) struct Task {
    pub(crate) pool: Arc<Inner>,
    pub(crate) key: usize,
    /// `None` when it has ended. Only the thread that runs the task, or the one that took it out of the table, locks it.
    future: Mutex<Option<AnyFuture>>,
}

impl Task {
    pub(crate) fn new(pool: Arc<Inner>, key: usize, future: AnyFuture) -> Arc<Self> {
        Arc::new(Self { pool, key, future: Mutex::new(Some(future)) })
    }

    /// Polls the future. True if the task has ended; its future is dropped then. A panic is told by the panic hook.
    pub(crate) fn run(self: &Arc<Self>) -> bool {
        let mut future = self.future.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(running) = future.as_mut() else { return true };
        let waker = Waker::from(Arc::clone(self));
        let ended =
            catch_unwind(AssertUnwindSafe(|| running.as_mut().poll(&mut Context::from_waker(&waker))));
        if !matches!(ended, Ok(Poll::Pending)) {
            let ended = future.take();
            drop(future);
            let _ = catch_unwind(AssertUnwindSafe(|| drop(ended)));
            return true;
        }
        false
    }

    /// Drops the future of a task that was taken out of the table.
    pub(crate) fn destroy(&self) {
        let future = self.future.lock().unwrap_or_else(PoisonError::into_inner).take();
        let _ = catch_unwind(AssertUnwindSafe(|| drop(future)));
    }

    /// Its stage. `None` if it has ended.
    pub(crate) fn stage<'a>(self: &Arc<Self>, state: &'a mut State) -> Option<&'a mut Stage> {
        let entry = state.tasks.get_mut(self.key)?;
        Arc::ptr_eq(&entry.task, self).then_some(&mut entry.stage)
    }
}

impl Wake for Task {
    fn wake(self: Arc<Self>) {
        let mut state = self.pool.lock();
        let closed = state.closed;
        match self.stage(&mut state) {
            Some(stage @ Stage::Suspended) if !closed => {
                *stage = Stage::Pending;
                state.pending.push_back(Arc::clone(&self));
                // If no thread can be started there will be another occasion.
                let _ = self.pool.provide(state);
            }
            Some(Stage::Suspended) => {
                state.tasks.remove(self.key);
                drop(state);
                self.destroy();
            }
            Some(Stage::Running { woken }) => *woken = true,
            Some(Stage::Pending) | None => {}
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
        self.tasks.iter().all(|task| task.stage(&mut task.pool.lock()).is_none())
    }
}

impl Drop for Suspended {
    fn drop(&mut self) {
        for task in self.tasks.drain(..) {
            let mut state = task.pool.lock();
            if task.stage(&mut state).is_some() {
                state.tasks.remove(task.key);
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
