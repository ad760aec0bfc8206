//! What a thread of a pool does.

use crate::pool::{Inner, State};
use crate::task::{Stage, Task};
use std::sync::{Arc, MutexGuard, PoisonError};

impl Inner {
    /// Has a thread for what is pending: an idle one, or a new one if there may be one more.
    pub(crate) fn provide(self: &Arc<Self>, mut state: MutexGuard<'_, State>) -> std::io::Result<()> {
        if state.pending.len() <= state.idle() {
            self.call(state);
        } else if state.threads < state.size {
            return self.start(&mut state);
        }
        Ok(())
    }

    /// Starts a thread. It counts from now on.
    pub(crate) fn start(self: &Arc<Self>, state: &mut State) -> std::io::Result<()> {
        let mut builder = std::thread::Builder::new().name(self.name.clone());
        if let Some(size) = self.stack_size {
            builder = builder.stack_size(size);
        }
        let pool = Arc::clone(self);
        // The lock is held, so the thread begins when its handle is in the table.
        let key = state.handles.vacant_key();
        let handle = builder.spawn(move || pool.serve(key))?;
        state.handles.insert(handle);
        state.threads += 1;
        Ok(())
    }

    /// The life of a thread. It ends when there are too many, or nothing is to be done any more.
    fn serve(self: Arc<Self>, key: usize) {
        let mut state = self.lock();
        while state.threads <= state.size {
            if let Some(task) = state.pending.pop_front() {
                state = self.run(state, task);
            } else if state.detached && state.tasks.is_empty() {
                break;
            } else {
                state.asleep += 1;
                state = self.work.wait(state).unwrap_or_else(PoisonError::into_inner);
                state.asleep -= 1;
            }
        }
        state.threads -= 1;
        let handle = state.handles.remove(key);
        if state.closed {
            // Whoever closes the pool joins it.
            state.ended.push(handle);
        }
        if !state.pending.is_empty() {
            // It may have been the one that was woken for it.
            self.call(state);
        }
        self.changed.notify_all();
    }

    /// Runs a task once. What becomes of it, and that this thread runs it no more, is seen at the same time.
    fn run<'a>(
        self: &'a Arc<Self>,
        mut state: MutexGuard<'a, State>,
        task: Arc<Task>,
    ) -> MutexGuard<'a, State> {
        if let Some(stage) = task.stage(&mut state) {
            *stage = Stage::Running { woken: false };
        }
        state.running += 1;
        drop(state);
        let ended = task.run();
        let mut state = self.lock();
        state.running -= 1;
        if ended {
            state.tasks.remove(task.key);
            if state.tasks.is_empty() {
                self.changed.notify_all();
                if state.detached {
                    self.work.notify_all();
                }
            }
        } else if let Some(stage) = task.stage(&mut state) {
            if *stage == (Stage::Running { woken: true }) {
                *stage = Stage::Pending;
                state.pending.push_back(task);
            } else {
                *stage = Stage::Suspended;
            }
        }
        state
    }
}
