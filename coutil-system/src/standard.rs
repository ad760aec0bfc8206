//! The standard streams: what descriptors 0, 1 and 2 are, and copies of them for the loop.

use crate::core::{Loop, SourceId};
use crate::error::{Error, Result};
use crate::process::above_standard;
use crate::source::Kind;
use rustix::fs::{FileType, Mode, OFlags};
use rustix::net::{AddressFamily, SocketType, sockopt};
use rustix::{fs, io, net, stdio, termios};
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};
use std::sync::OnceLock;

/// One of the standard streams of the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standard {
    /// Descriptor 0.
    Input,
    /// Descriptor 1.
    Output,
    /// Descriptor 2.
    Error,
}

/// What a standard stream is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Type {
    /// A terminal.
    Terminal,
    /// A regular file, or a device that is no terminal.
    File,
    /// A FIFO: pipe(7).
    Pipe,
    /// A Unix stream socket.
    Local,
    /// A TCP socket.
    Tcp {
        /// Whether it is of IPv6.
        v6: bool,
    },
    /// A UDP socket.
    Udp {
        /// Whether it is of IPv6.
        v6: bool,
    },
}

/// A copy of a standard stream.
#[derive(Debug)]
pub enum Copied {
    /// For the functions of files.
    File(OwnedFd),
    /// A source of the loop.
    Source(SourceId),
}

impl Standard {
    /// All three, in the order of their descriptors.
    pub const ALL: [Self; 3] = [Self::Input, Self::Output, Self::Error];

    fn fd(self) -> BorrowedFd<'static> {
        match self {
            Self::Input => stdio::stdin(),
            Self::Output => stdio::stdout(),
            Self::Error => stdio::stderr(),
        }
    }

    /// Whether it was not open when this process looked at one of the three first. Then it is none later either: its number may
    /// be that of anything that is opened, if only until that is moved above.
    fn was_closed(self) -> bool {
        static CLOSED: OnceLock<[bool; 3]> = OnceLock::new();
        let closed = |stream: Self| io::fcntl_getfd(stream.fd()) == Err(io::Errno::BADF);
        CLOSED.get_or_init(|| Self::ALL.map(closed))[self as usize]
    }

    /// What it is.
    ///
    /// # Errors
    ///
    /// `bad file descriptor` if it is not open, or was not when this process looked at one of the three first; `socket type not supported` if it is something else.
    pub fn type_of(self) -> Result<Type> {
        if self.was_closed() {
            return Err(io::Errno::BADF.into());
        }
        let fd = self.fd();
        if termios::isatty(fd) {
            return Ok(Type::Terminal);
        }
        match FileType::from_raw_mode(fs::fstat(fd)?.st_mode) {
            FileType::RegularFile | FileType::CharacterDevice => Ok(Type::File),
            FileType::Fifo => Ok(Type::Pipe),
            FileType::Socket => {
                let family = net::getsockname(fd)?.address_family();
                let v6 = family == AddressFamily::INET6;
                match (sockopt::socket_type(fd)?, family) {
                    (SocketType::STREAM, AddressFamily::UNIX) => Ok(Type::Local),
                    (SocketType::STREAM, AddressFamily::INET | AddressFamily::INET6) => Ok(Type::Tcp { v6 }),
                    (SocketType::DGRAM, AddressFamily::INET | AddressFamily::INET6) => Ok(Type::Udp { v6 }),
                    _ => Err(Error::SOCKET_TYPE),
                }
            }
            _ => Err(Error::SOCKET_TYPE),
        }
    }
}

/// How `fd` was opened, as far as a copy is concerned.
fn access_of(fd: BorrowedFd<'_>) -> Result<OFlags> {
    Ok(fs::fcntl_getfl(fd)? & OFlags::RWMODE)
}

/// A description of its own of the same terminal or pipe, which does not wait: `O_NONBLOCK` belongs to the description, which the
/// standard streams of this process share with those of others.
fn reopen(fd: BorrowedFd<'_>, access: OFlags, terminal: bool) -> io::Result<OwnedFd> {
    let flags = access | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let own = if terminal {
        fs::open(termios::ttyname(fd, Vec::new())?, flags, Mode::empty())?
    } else {
        fs::open(format!("/proc/self/fd/{}", fd.as_raw_fd()), flags, Mode::empty())?
    };
    let (old, new) = (fs::fstat(fd)?, fs::fstat(&own)?);
    // The name may be another's by now.
    let same = (old.st_dev, old.st_ino, old.st_rdev) == (new.st_dev, new.st_ino, new.st_rdev);
    if same { Ok(own) } else { Err(io::Errno::NOTTY) }
}

impl<W> Loop<W> {
    /// Makes a copy of a standard stream: whatever is done to it, the stream itself stays open, and its flags stay as they are.
    ///
    /// A terminal or a pipe is opened once more, so that it never waits. Where that is not allowed, as for the terminal of another
    /// user, it is asked before each call whether it would wait, and little is written at a time.
    ///
    /// # Errors
    ///
    /// Those of [`Standard::type_of`]; for lack of descriptors.
    pub fn standard(&mut self, stream: Standard) -> Result<Copied> {
        let fd = stream.fd();
        let copy = || Ok::<_, Error>(io::fcntl_dupfd_cloexec(fd, 3)?);
        let (kind, connected) = match stream.type_of()? {
            Type::File => return Ok(Copied::File(copy()?)),
            what @ (Type::Terminal | Type::Pipe) => {
                let terminal = what == Type::Terminal;
                let access = access_of(fd)?;
                let own = reopen(fd, access, terminal).ok().and_then(|own| above_standard(own).ok());
                let waits = own.is_none();
                let own = own.map_or_else(copy, Ok)?;
                let id = self.add(own, if terminal { Kind::Terminal } else { Kind::Pipe }, true);
                if let Some(source) = self.sources.get_mut(id) {
                    source.waits = waits;
                    source.deaf = access == OFlags::WRONLY;
                    source.shut = access == OFlags::RDONLY;
                }
                return Ok(Copied::Source(id));
            }
            Type::Local => (Kind::LocalStream, net::getpeername(fd).is_ok()),
            Type::Tcp { .. } => (Kind::TcpStream, net::getpeername(fd).is_ok_and(|peer| peer.is_some())),
            Type::Udp { .. } => (Kind::Datagram, net::getpeername(fd).is_ok_and(|peer| peer.is_some())),
        };
        Ok(Copied::Source(self.add(copy()?, kind, connected)))
    }
}
