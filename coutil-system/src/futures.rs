//! The futures of an [`EventLoop`](crate::EventLoop) and of its sockets.
//!
//! Those that wait for time start to count when they are made, the others when they are polled first. To drop one before
//! it was ready is to cancel its operation, at once and in constant time. All are `Send`, and run on any executor, while
//! the loop runs.

use crate::event_loop::Shared;
pub use crate::local::{AcceptLocal, ConnectLocal};
use crate::operation::Operation;
pub use crate::socket::{Read, Shutdown, WriteAll};
pub use crate::tcp::{Accept, Connect};
use crate::time;
pub use crate::udp::{Receive, Send};
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

/// The future of [`EventLoop::sleep`](crate::EventLoop::sleep). It never is ready once the loop is gone.
#[derive(Debug)]
#[must_use = "futures do nothing unless they are awaited"]
pub struct Sleep {
    operation: Operation,
    /// By the monotonic clock, in nanoseconds.
    deadline: u64,
}

impl Sleep {
    pub(crate) fn new(shared: &Arc<Shared>, duration: Duration) -> Self {
        let nanoseconds = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        let deadline = time::monotonic().saturating_add(nanoseconds);
        Self { operation: Operation::new(Arc::downgrade(shared)), deadline }
    }
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let deadline = self.deadline;
        self.operation.poll_elapsed(context, |core, op| {
            core.set_timer(op, deadline.saturating_sub(core.now()));
        })
    }
}

/// The future of [`EventLoop::yield_now`](crate::EventLoop::yield_now). It never is ready once the loop is gone.
#[derive(Debug)]
#[must_use = "futures do nothing unless they are awaited"]
pub struct YieldNow {
    operation: Operation,
}

impl YieldNow {
    pub(crate) fn new(shared: &Arc<Shared>) -> Self {
        Self { operation: Operation::new(Arc::downgrade(shared)) }
    }
}

impl Future for YieldNow {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        self.operation.poll_elapsed(context, |core, op| core.suspend(op))
    }
}
