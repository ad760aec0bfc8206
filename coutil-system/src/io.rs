//! `AsyncRead` and `AsyncWrite` of streams.
//!
//! What a poll has begun belongs to the handle, not to a future: it goes on until it is polled to its end, or the handle is
//! dropped. Nothing is read or sent but by a poll: so no byte is lost with a future or a handle.

use crate::operation::Operation;
use crate::socket::{Socket, done, poll_read};
use crate::{LocalStream, TcpStream};
use futures_io::{AsyncRead, AsyncWrite};
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

/// The operations of a handle that were begun by polls.
#[derive(Debug, Default)]
pub(crate) struct State {
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

impl State {
    fn poll_read(
        &mut self,
        socket: &Socket,
        context: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        let reading = self.reading.get_or_insert_with(|| socket.operation());
        poll_read(reading, socket.id, buffer, context).map_err(io::Error::from)
    }

    fn poll_write(
        &mut self,
        socket: &Socket,
        context: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<io::Result<usize>> {
        if data.is_empty() {
            return Poll::Ready(Ok(0));
        }
        let id = socket.id;
        let waiting = self.writing.get_or_insert_with(|| socket.operation());
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

    fn poll_close(&mut self, socket: &Socket, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.closed {
            let id = socket.id;
            let closing = self.closing.get_or_insert_with(|| socket.operation());
            ready!(closing.poll(context, |core, op| core.shutdown(op, id), |_, _, outcome| done(outcome)))?;
            self.closed = true;
        }
        Poll::Ready(Ok(()))
    }
}

macro_rules! stream {
    ($stream:ident) => {
        /// One handle at a time reads; others fail with `resource busy or locked`. A read that was given up, as by dropping the
        /// future of `AsyncReadExt::read`, has taken nothing; but that cannot be told from one that is going to be polled
        /// again. So it waits on, the loop counts it as pending, and nobody else can read, until this handle has, or is dropped.
        /// (The futures of the stream's own `read` do not have that.)
        impl AsyncRead for $stream {
            fn poll_read(
                mut self: Pin<&mut Self>,
                context: &mut Context<'_>,
                buffer: &mut [u8],
            ) -> Poll<io::Result<usize>> {
                let Self { io, socket } = &mut *self;
                io.poll_read(socket, context, buffer)
            }
        }

        /// A write returns how much the system has taken: that is sent even if the connection is closed then. Nothing is
        /// copied, and there is nothing to flush. To close is to tell the peer that this was all, as the stream's own
        /// `shutdown` does. (The methods of a stream itself come before those of `AsyncReadExt` and `AsyncWriteExt` with the
        /// same names.)
        ///
        /// Several handles can write. What each poll writes arrives whole, but others may come between two polls: so for
        /// messages, the stream's own `write_all` is better.
        impl AsyncWrite for $stream {
            fn poll_write(
                mut self: Pin<&mut Self>,
                context: &mut Context<'_>,
                data: &[u8],
            ) -> Poll<io::Result<usize>> {
                let Self { io, socket } = &mut *self;
                io.poll_write(socket, context, data)
            }

            fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
                Poll::Ready(Ok(()))
            }

            fn poll_close(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
                let Self { io, socket } = &mut *self;
                io.poll_close(socket, context)
            }
        }
    };
}

stream!(TcpStream);
stream!(LocalStream);
