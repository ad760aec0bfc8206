//! What the sockets for futures have in common.

use crate::core::{Attempt, OpId, Outcome, SourceId};
use crate::error::{Error, Result};
use crate::event_loop::{Core, Shared};
use crate::net::Side;
use crate::operation::Operation;
use std::fmt;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Weak;
use std::task::{Context, Poll};

/// So many connections wait to be accepted, unless the system has a lower limit.
pub(crate) const BACKLOG: i32 = 1024;

/// A source of a loop, which is closed when this is dropped.
pub(crate) struct Socket {
    pub(crate) shared: Weak<Shared>,
    pub(crate) id: SourceId,
}

impl Socket {
    /// Calls `f` with the loop and the source, if both are there still.
    pub(crate) fn with<T>(&self, f: impl FnOnce(&mut Core, SourceId) -> Result<T>) -> Result<T> {
        let shared = self.shared.upgrade().ok_or(Error::CANCELED)?;
        f(&mut shared.lock(), self.id)
    }

    pub(crate) fn operation(&self) -> Operation {
        Operation::new(self.shared.clone())
    }

    pub(crate) fn address(&self, side: Side) -> Result<SocketAddr> {
        self.with(|core, id| core.address(id, side))
    }

    pub(crate) fn close(&self) {
        let Some(shared) = self.shared.upgrade() else { return };
        let mut core = shared.lock();
        if let Some(reader) = core.close(self.id) {
            // It is delivered in its turn, as those are that write.
            core.schedule.park(reader);
            core.finish(reader, Err(Error::CANCELED));
        }
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        self.close();
    }
}

impl fmt::Debug for Socket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Socket").field("local_addr", &self.address(Side::Local).ok()).finish_non_exhaustive()
    }
}

/// One operation at a time reads.
pub(crate) fn start_reading(core: &mut Core, op: OpId, id: SourceId) -> Result<()> {
    match core.reader(id) {
        Some(_) => Err(Error::BUSY),
        None => core.read(op, id),
    }
}

/// How an operation ended that is done when it is delivered.
pub(crate) fn done(outcome: Outcome) -> Poll<Result<()>> {
    Poll::Ready(match outcome {
        Outcome::Done(result) => result,
        Outcome::Elapsed | Outcome::Try => Ok(()),
    })
}

/// Polls an accept, whose outcome is the source of the connection.
pub(crate) fn poll_accept(
    operation: &mut Operation,
    id: SourceId,
    context: &mut Context<'_>,
) -> Poll<Result<SourceId>> {
    operation.poll(
        context,
        |core, op| start_reading(core, op, id),
        |core, op, outcome| match outcome {
            Outcome::Done(result) => Poll::Ready(result.map(|()| SourceId::NONE)),
            _ => match core.try_accept(op) {
                Attempt::Done(result) => Poll::Ready(result),
                Attempt::Wait => Poll::Pending,
            },
        },
    )
}

/// The future of [`TcpStream::read`](crate::TcpStream::read) and [`LocalStream::read`](crate::LocalStream::read).
#[derive(Debug)]
#[must_use = "futures do nothing unless they are awaited"]
pub struct Read<'a> {
    pub(crate) socket: &'a Socket,
    pub(crate) buffer: &'a mut [u8],
    pub(crate) operation: Operation,
}

impl Future for Read<'_> {
    type Output = Result<usize>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let Self { socket, buffer, operation } = &mut *self;
        poll_read(operation, socket.id, buffer, context)
    }
}

pub(crate) fn poll_read(
    operation: &mut Operation,
    id: SourceId,
    buffer: &mut [u8],
    context: &mut Context<'_>,
) -> Poll<Result<usize>> {
    if buffer.is_empty() {
        return Poll::Ready(Ok(0));
    }
    operation.poll(
        context,
        |core, op| start_reading(core, op, id),
        |core, op, outcome| match outcome {
            Outcome::Done(result) => Poll::Ready(result.map(|()| 0)),
            _ => match core.try_read(op, buffer) {
                Attempt::Done(Err(Error::END_OF_FILE)) => Poll::Ready(Ok(0)),
                Attempt::Done(result) => Poll::Ready(result),
                Attempt::Wait => Poll::Pending,
            },
        },
    )
}

/// The future of [`TcpStream::write_all`](crate::TcpStream::write_all) and [`LocalStream::write_all`](crate::LocalStream::write_all).
#[derive(Debug)]
#[must_use = "futures do nothing unless they are awaited"]
pub struct WriteAll<'a> {
    pub(crate) socket: &'a Socket,
    pub(crate) data: &'a [u8],
    pub(crate) operation: Operation,
}

impl Future for WriteAll<'_> {
    type Output = Result<()>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let (id, data) = (self.socket.id, self.data);
        let start = |core: &mut Core, op| core.write(op, id, data);
        self.operation.poll(context, start, |_, _, outcome| done(outcome))
    }
}

/// The future of [`TcpStream::shutdown`](crate::TcpStream::shutdown) and [`LocalStream::shutdown`](crate::LocalStream::shutdown).
#[derive(Debug)]
#[must_use = "futures do nothing unless they are awaited"]
pub struct Shutdown<'a> {
    pub(crate) socket: &'a Socket,
    pub(crate) operation: Operation,
}

impl Future for Shutdown<'_> {
    type Output = Result<()>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let id = self.socket.id;
        let start = |core: &mut Core, op| core.shutdown(op, id);
        self.operation.poll(context, start, |_, _, outcome| done(outcome))
    }
}
