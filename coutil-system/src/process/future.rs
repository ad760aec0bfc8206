//! Children for futures.

use super::{Command, Exit};
use crate::core::{Attempt, ChildId};
use crate::error::{Error, Result};
use crate::event_loop::{EventLoop, Shared};
use crate::operation::Operation;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Weak;
use std::task::{Context, Poll};

/// A process that was started. If it is dropped, the process goes on, and is reaped when it has ended and its loop runs.
#[must_use = "a child that is not waited for goes on by itself"]
pub struct Child {
    shared: Weak<Shared>,
    id: Option<ChildId>,
    pid: i32,
}

impl Child {
    /// Starts a process. It is the program when this returns.
    ///
    /// # Errors
    ///
    /// Those of fork(2), chdir(2) and execve(2), also in the child; no process is left then. For lack of descriptors.
    /// [`Error::FOREIGN_LOOP`] in a child of the process that made the loop.
    pub fn start(events: &EventLoop, command: Command) -> Result<Self> {
        let (id, pid) = events.shared().lock().start_child(command)?;
        Ok(Self { shared: std::sync::Arc::downgrade(events.shared()), id: Some(id), pid })
    }

    /// Its number: for [`kill`](super::kill) and the like, until its end was told.
    pub fn id(&self) -> i32 {
        self.pid
    }

    /// Waits for its end: waitpid(2). If the future is dropped before, the process goes on by itself.
    pub fn wait(mut self) -> Wait {
        let id = self.id.take();
        Wait { operation: Operation::new(self.shared.clone()), id }
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        abandon(&self.shared, self.id);
    }
}

fn abandon(shared: &Weak<Shared>, id: Option<ChildId>) {
    if let (Some(id), Some(shared)) = (id, shared.upgrade()) {
        shared.lock().abandon_child(id);
    }
}

impl fmt::Debug for Child {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Child").field("id", &self.pid).finish_non_exhaustive()
    }
}

/// The future of [`Child::wait`]. It fails with `operation canceled` if the loop is gone.
#[derive(Debug)]
#[must_use = "futures do nothing unless they are awaited"]
pub struct Wait {
    operation: Operation,
    /// Until its end was told.
    id: Option<ChildId>,
}

impl Future for Wait {
    type Output = Result<Exit>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<Exit>> {
        let Some(id) = self.id else { return Poll::Ready(Err(Error::from_code(libc::ESRCH))) };
        let start = |core: &mut crate::event_loop::Core, op| core.wait_child(op, id);
        let result = self.operation.poll(context, start, |core, op, _| match core.try_wait_child(op) {
            Attempt::Done(result) => Poll::Ready(result),
            Attempt::Wait => Poll::Pending,
        });
        if result.is_ready() {
            self.id = None;
        }
        result
    }
}

impl Drop for Wait {
    fn drop(&mut self) {
        abandon(self.operation.shared(), self.id);
    }
}
