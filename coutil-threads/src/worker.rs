//! What a thread of a pool does.

use crate::patience;
use crate::pool::{Inner, State};
use crate::sync::{MutexGuard, thread};
use crate::task::{Task, stage};
use std::sync::{Arc, PoisonError};

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
        let mut builder = thread::Builder::new().name(self.name.clone());
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
        let mut has_looked = false;
        while state.threads <= state.size {
            if let Some(task) = self.pop(&mut state) {
                state = self.run(state, task);
                has_looked = false;
            } else if state.detached && state.tasks.is_empty() {
                break;
            } else if !has_looked && !state.looks && state.patience.should_look() {
                state.looks = true;
                drop(state);
                let came = patience::look(|| self.has_news());
                state = self.lock();
                state.looks = false;
                state.patience.learn(came);
                has_looked = true;
            } else {
                has_looked = false;
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
        self.change(&state);
        if state.is_over() {
            self.end(state);
        }
        // A task for which this one was woken is not forgotten: all the others were woken when their number changed.
    }

    /// Runs a task once. What becomes of it, and that this thread runs it no more, is seen at the same time.
    fn run<'a>(
        self: &'a Arc<Self>,
        mut state: MutexGuard<'a, State>,
        task: Arc<Task>,
    ) -> MutexGuard<'a, State> {
        task.set_stage(stage::RUNNING);
        state.running += 1;
        drop(state);
        let ended = task.run();
        let mut state = self.lock();
        state.running -= 1;
        if ended {
            state.forget(&task);
            if state.tasks.is_empty() {
                self.change(&state);
                if state.detached {
                    self.work.notify_all();
                }
            }
        } else if task.suspend() {
            task.set_stage(stage::PENDING);
            self.push(&mut state, task);
        }
        state
    }
}
