//! A descriptor that the loop watches, with its readiness and its queue of output.

use crate::error::{Error, Result};
use crate::schedule::OpId;
use rustix::io::Errno;
use rustix::net::{SendFlags, Shutdown};
use std::collections::VecDeque;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// What is known of one direction. Only a failure with `EAGAIN` proves that it is not ready, or a short transfer on a
/// stream of which nothing unusual was ever told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Readiness {
    Ready,
    NotReady,
    /// A poll may tell, or a try.
    Unknown,
}

/// What a source is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A TCP connection, or a socket to become one.
    TcpStream,
    /// A TCP socket that listens, or is going to.
    TcpListener,
}

/// How far a connection is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Connection {
    None,
    /// There is a [`Output::Connect`] at the front of the queue.
    Connecting,
    Connected,
}

/// Output that waits for its turn, or for room.
#[derive(Debug)]
pub(crate) enum Output {
    /// A connection attempt is going on. `former` is who abandoned it.
    Connect {
        former: Option<usize>,
    },
    /// The bytes of a write from `sent` on are still to be sent.
    Write {
        data: Box<[u8]>,
        sent: usize,
    },
    Shutdown,
}

#[derive(Debug)]
pub(crate) struct Item {
    /// Whoever is told about its end; `NONE` if nobody is any more.
    pub(crate) op: OpId,
    pub(crate) output: Output,
}

impl Item {
    /// Whether the loop goes on for its sake although nobody waits for it (50 §0.2.2).
    pub(crate) fn is_abandoned(&self) -> bool {
        self.op == OpId::NONE && !matches!(self.output, Output::Shutdown)
    }
}

pub(crate) struct Source {
    pub(crate) fd: OwnedFd,
    pub(crate) kind: Kind,
    pub(crate) registered: bool,
    /// Whether something unusual was told: data may come without being told about again, so that a short transfer proves
    /// nothing.
    pub(crate) sticky: bool,
    pub(crate) read: Readiness,
    pub(crate) write: Readiness,
    pub(crate) reader: Option<OpId>,
    pub(crate) queue: VecDeque<Item>,
    pub(crate) connection: Connection,
    /// Whether the sending side was ended, or is about to be.
    pub(crate) shut: bool,
    pub(crate) listening: bool,
    pub(crate) bound: bool,
    /// An error of `bind` that is told by what follows it.
    pub(crate) delayed: Option<Error>,
}

impl Source {
    pub(crate) fn new(fd: OwnedFd, kind: Kind, connection: Connection) -> Self {
        Self {
            fd,
            kind,
            registered: false,
            sticky: false,
            read: Readiness::Unknown,
            write: Readiness::Unknown,
            reader: None,
            queue: VecDeque::new(),
            connection,
            shut: false,
            listening: false,
            bound: false,
            delayed: None,
        }
    }

    pub(crate) fn fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }

    /// Sends what the system takes at once, and returns how much that was: all of it, unless there is no room.
    pub(crate) fn send(&mut self, data: &[u8]) -> Result<usize> {
        let mut sent = 0;
        while sent < data.len() && self.write != Readiness::NotReady {
            match rustix::net::send(&self.fd, &data[sent..], SendFlags::DONTWAIT | SendFlags::NOSIGNAL) {
                Ok(count) => {
                    sent += count;
                    if sent < data.len() && !self.sticky {
                        self.write = Readiness::NotReady;
                    }
                }
                Err(Errno::AGAIN) => self.write = Readiness::NotReady,
                Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(sent)
    }

    /// Goes on with the item at the front of the queue. `None`: it has to wait.
    pub(crate) fn advance(&mut self) -> Option<(Item, Result<()>)> {
        let mut item = self.queue.pop_front()?;
        let result = match &mut item.output {
            Output::Connect { .. } => match self.write {
                // The descriptor has told that the attempt is over.
                Readiness::Ready => Some(match rustix::net::sockopt::socket_error(&self.fd) {
                    Ok(Ok(())) => Ok(()),
                    Ok(Err(error)) | Err(error) => Err(error.into()),
                }),
                _ => None,
            },
            Output::Write { data, sent } => {
                let rest = std::mem::take(data);
                let result = self.send(&rest[*sent..]);
                let all = rest.len();
                *data = rest;
                match result {
                    Ok(count) => {
                        *sent += count;
                        (*sent == all).then_some(Ok(()))
                    }
                    Err(error) => Some(Err(error)),
                }
            }
            Output::Shutdown => Some(rustix::net::shutdown(&self.fd, Shutdown::Write).map_err(Error::from)),
        };
        match result {
            Some(result) => Some((item, result)),
            None => {
                self.queue.push_front(item);
                None
            }
        }
    }
}
