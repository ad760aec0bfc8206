//! `AsyncRead` and `AsyncWrite` of TCP streams.
//!
//! What a poll has begun belongs to the handle, not to a future: it goes on until it is polled to its end, or the handle is
//! dropped. Nothing is read or sent but by a poll: so no byte is lost with a future or a handle.

use super::{TcpStream, done, poll_read};
use crate::operation::Operation;
use futures_io::{AsyncRead, AsyncWrite};
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

/// The operations of a handle that were begun by polls.
#[derive(Debug, Default)]
pub(super) struct State {
    reading: Option<Operation>,
    /// It waits for room.
    writing: Option<Operation>,
    closing: Option<Operation>,
    /// Whether this handle has ended the sending side.
    closed: bool,
}

/// Each handle polls for itself.
impl Clone for State {
    fn clone(&self) -> Self {
        Self::default()
    }
}

/// One handle at a time reads; others fail with `resource busy or locked`. A read that was given up, as by dropping the future of
/// `AsyncReadExt::read`, has taken nothing; but that cannot be told from one that is going to be polled again, so it waits on,
/// and nobody else can read before this handle has, or is dropped. (The futures of [`TcpStream::read`] do not have that.)
impl AsyncRead for TcpStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        let Self { io, socket } = &mut *self;
        let reading = io.reading.get_or_insert_with(|| socket.operation());
        poll_read(reading, socket.id, buffer, context).map_err(io::Error::from)
    }
}

/// A write returns how much the system has taken: that is sent even if the connection is closed then. Nothing is copied, and there
/// is nothing to flush. To close is to tell the peer that this was all: [`TcpStream::shutdown`]. (The methods of a stream itself come
/// before those of `AsyncReadExt` and `AsyncWriteExt` with the same names.)
///
/// Several handles can write. What each poll writes arrives whole, but others may come between two polls: so for messages,
/// [`TcpStream::write_all`] is better.
impl AsyncWrite for TcpStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<io::Result<usize>> {
        if data.is_empty() {
            return Poll::Ready(Ok(0));
        }
        let Self { io, socket } = &mut *self;
        let id = socket.id;
        let waiting = io.writing.get_or_insert_with(|| socket.operation());
        loop {
            if !waiting.is_started() {
                let count = socket.with(|core, id| core.try_write(id, data))?;
                if count > 0 {
                    return Poll::Ready(Ok(count));
                }
            }
            // There may be none when its turn has come: others write too.
            ready!(waiting.poll(context, |core, op| core.await_room(op, id), |_, _, outcome| done(outcome)))?;
        }
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_close(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Self { io, socket } = &mut *self;
        if !io.closed {
            let id = socket.id;
            let closing = io.closing.get_or_insert_with(|| socket.operation());
            ready!(closing.poll(context, |core, op| core.shutdown(op, id), |_, _, outcome| done(outcome)))?;
            io.closed = true;
        }
        Poll::Ready(Ok(()))
    }
}
