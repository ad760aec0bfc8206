//! A descriptor that the loop watches, with its readiness and its queue of output.

use crate::error::{Error, Result};
use crate::schedule::OpId;
use crate::terminal::Owner;
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendAncillaryBuffer, SendAncillaryMessage, SendFlags, Shutdown};
use std::collections::VecDeque;
use std::ffi::CString;
use std::fmt;
use std::io::IoSlice;
use std::mem::MaybeUninit;
use std::net::SocketAddr;
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
#[non_exhaustive]
pub enum Kind {
    /// A TCP connection, or a socket to become one.
    TcpStream,
    /// A TCP socket that listens, or is going to.
    TcpListener,
    /// A UDP socket.
    Datagram,
    /// A Unix stream socket.
    LocalStream,
    /// A Unix stream socket that listens, or is going to.
    LocalListener,
    /// A terminal.
    Terminal,
    /// One end of a pipe, or a FIFO.
    Pipe,
}

impl Kind {
    /// Whether connections are accepted from it.
    pub(crate) fn is_listener(self) -> bool {
        matches!(self, Self::TcpListener | Self::LocalListener)
    }

    /// Whether it is no socket.
    pub(crate) fn is_plain(self) -> bool {
        matches!(self, Self::Terminal | Self::Pipe)
    }

    /// Whether a short transfer can prove that there is no more.
    pub(crate) fn tells_by_length(self) -> bool {
        self == Self::TcpStream
    }
}

/// How far a connection is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Connection {
    None,
    /// There is a [`Output::Connect`] at the front of the queue.
    Connecting,
    Connected,
}

/// The bytes of a write.
pub(crate) enum Data {
    Own(Box<[u8]>),
    /// Where they are for as long as somebody waits for the write.
    Lent(Box<dyn AsRef<[u8]> + Send>),
}

impl Data {
    fn bytes(&self) -> &[u8] {
        match self {
            Self::Own(bytes) => bytes,
            Self::Lent(owner) => (**owner).as_ref(),
        }
    }

    /// Nobody waits any more: what is left of them is needed nevertheless.
    pub(crate) fn keep(&mut self, sent: &mut usize) {
        if let Self::Lent(owner) = self {
            let rest = (**owner).as_ref()[*sent..].into();
            (*self, *sent) = (Self::Own(rest), 0);
        }
    }
}

impl fmt::Debug for Data {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes", self.bytes().len())
    }
}

/// Output that waits for its turn, or for room.
#[derive(Debug)]
pub(crate) enum Output {
    /// A connection attempt is going on, or was refused at once. `former` is who abandoned it.
    Connect {
        former: Option<usize>,
        refused: Option<Error>,
    },
    /// The bytes of a write from `sent` on are still to be sent, and before the first of them a descriptor.
    Write {
        data: Data,
        sent: usize,
        passed: Option<OwnedFd>,
    },
    /// A datagram is still to be sent.
    Datagram {
        data: Box<[u8]>,
        address: Option<SocketAddr>,
    },
    /// Somebody waits until there is room.
    #[cfg(feature = "futures-io")]
    Room,
    Shutdown,
}

impl Output {
    /// Whether there is something in it that is to reach the other side.
    fn is_sent(&self) -> bool {
        match self {
            Self::Connect { .. } | Self::Write { .. } | Self::Datagram { .. } => true,
            #[cfg(feature = "futures-io")]
            Self::Room => false,
            Self::Shutdown => false,
        }
    }
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
        self.op == OpId::NONE && self.output.is_sent()
    }
}

/// The file of a local socket: its path, and by what it is told from others.
#[derive(Debug)]
pub(crate) struct BoundFile {
    pub(crate) path: CString,
    pub(crate) identity: (u64, u64),
    /// In which process it was made.
    pub(crate) forks: u32,
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
    /// Whether it stands in the loop's list of those that are to be tried.
    pub(crate) listed: bool,
    pub(crate) queue: VecDeque<Item>,
    pub(crate) connection: Connection,
    /// Whether the sending side was ended, or is about to be.
    pub(crate) shut: bool,
    /// Whether it is only written to.
    pub(crate) deaf: bool,
    /// Whether calls for what is no socket may wait, as its description is also somebody else's.
    pub(crate) waits: bool,
    /// Of a terminal whose settings were changed through it.
    pub(crate) owner: Option<Owner>,
    pub(crate) listening: bool,
    pub(crate) bound: bool,
    /// An error of `bind` that is told by what follows it.
    pub(crate) delayed: Option<Error>,
    /// Descriptors that came with bytes that were read, and were not asked for yet.
    pub(crate) received: VecDeque<OwnedFd>,
    /// The file of a local socket that was bound, which goes with it.
    pub(crate) file: Option<Box<BoundFile>>,
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
            listed: false,
            queue: VecDeque::new(),
            connection,
            shut: false,
            deaf: false,
            waits: false,
            owner: None,
            listening: false,
            bound: false,
            delayed: None,
            received: VecDeque::new(),
            file: None,
        }
    }

    pub(crate) fn fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }

    /// Takes what there is, without waiting: 0 at the end. With an empty buffer nothing is taken; it returns 1 if there is
    /// something.
    pub(crate) fn receive(&self, buffer: &mut [u8]) -> rustix::io::Result<usize> {
        if self.kind.is_plain() {
            return self.read_plain(buffer);
        }
        let received = if buffer.is_empty() {
            rustix::net::recv(&self.fd, &mut [0u8; 1], RecvFlags::DONTWAIT | RecvFlags::PEEK)
        } else {
            rustix::net::recv(&self.fd, buffer, RecvFlags::DONTWAIT)
        };
        received.map(|(_, count)| count)
    }

    /// Sends what the system takes at once, and returns how much that was: all of it, unless there is no room. With the first
    /// byte goes `passed`.
    pub(crate) fn send(&mut self, data: &[u8], passed: Option<BorrowedFd<'_>>) -> Result<usize> {
        let mut sent = 0;
        while sent < data.len() && self.write != Readiness::NotReady {
            match self.send_once(&data[sent..], passed.filter(|_| sent == 0)) {
                Ok(count) => {
                    sent += count;
                    if sent < data.len() && !self.sticky && self.kind.tells_by_length() {
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

    fn send_once(&self, data: &[u8], passed: Option<BorrowedFd<'_>>) -> rustix::io::Result<usize> {
        let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
        if self.kind.is_plain() {
            // Whoever receives it has no way to get a descriptor from it: that is lost.
            return self.write_plain(data);
        }
        let Some(passed) = passed else { return rustix::net::send(&self.fd, data, flags) };
        let rights = [passed];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        control.push(SendAncillaryMessage::ScmRights(&rights));
        rustix::net::sendmsg(&self.fd, &[IoSlice::new(data)], &mut control, flags)
    }

    /// Sends a datagram, if the system takes it at once.
    pub(crate) fn send_datagram(&mut self, data: &[u8], address: Option<SocketAddr>) -> Option<Result<()>> {
        let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
        while self.write != Readiness::NotReady {
            let result = match address {
                Some(address) => rustix::net::sendto(&self.fd, data, flags, &address),
                None => rustix::net::send(&self.fd, data, flags),
            };
            match result {
                Ok(_) => return Some(Ok(())),
                Err(Errno::AGAIN) => self.write = Readiness::NotReady,
                Err(Errno::INTR) => {}
                Err(error) => return Some(Err(error.into())),
            }
        }
        None
    }

    /// Goes on with the item at the front of the queue. `None`: it has to wait.
    pub(crate) fn advance(&mut self) -> Option<(Item, Result<()>)> {
        let mut item = self.queue.pop_front()?;
        let result = match &mut item.output {
            Output::Connect { refused: Some(error), .. } => Some(Err(*error)),
            Output::Connect { .. } => match self.write {
                // The descriptor has told that the attempt is over, and how: a failure is unusual.
                Readiness::Ready if !self.sticky => Some(Ok(())),
                Readiness::Ready => Some(match rustix::net::sockopt::socket_error(&self.fd) {
                    Ok(Ok(())) => Ok(()),
                    Ok(Err(error)) | Err(error) => Err(error.into()),
                }),
                _ => None,
            },
            Output::Write { data, sent, passed } => {
                let bytes = data.bytes();
                match self.send(&bytes[*sent..], passed.as_ref().map(AsFd::as_fd)) {
                    Ok(count) => {
                        *sent += count;
                        if count > 0 {
                            *passed = None;
                        }
                        (*sent == bytes.len()).then_some(Ok(()))
                    }
                    Err(error) => Some(Err(error)),
                }
            }
            Output::Datagram { data, address } => self.send_datagram(data, *address),
            #[cfg(feature = "futures-io")]
            Output::Room => (self.write != Readiness::NotReady).then_some(Ok(())),
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
