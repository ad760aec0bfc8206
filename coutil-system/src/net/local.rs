//! Local (Unix) stream sockets, and descriptors that are passed through them.

use crate::core::{Attempt, Loop, OpId, SourceId};
use crate::error::{Error, Result};
use crate::process::above_standard;
use crate::source::{BoundFile, Connection, Kind, Readiness, Source};
use crate::sys::process;
use rustix::io::Errno;
use rustix::net::{
    self, AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SocketAddrAny,
    SocketAddrUnix, SocketFlags, SocketType, sockopt,
};
use std::ffi::{CString, OsStr};
use std::fs;
use std::io::IoSliceMut;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt};

/// So many descriptors are taken from one read. The sender of this crate sends one with a write, and the system never puts two
/// writes with descriptors together.
const DESCRIPTORS: usize = 64;

/// The longest path, in bytes.
const LONGEST: usize = 107;

/// A socket that was received from another process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Received {
    /// A TCP stream, of IPv6 or not.
    Tcp {
        /// Its source.
        source: SourceId,
        /// Whether it is of IPv6.
        v6: bool,
    },
    /// A local stream.
    Local {
        /// Its source.
        source: SourceId,
    },
}

/// The address of a path; the empty path is an unnamed address of the system's choice.
fn address(path: &[u8]) -> Result<SocketAddrUnix> {
    // The last byte is for a NUL: not every system, nor every program, can do without.
    if path.len() > LONGEST {
        return Err(Error::from(Errno::NAMETOOLONG));
    }
    let path = CString::new(path).map_err(|_| Error::INVALID)?;
    SocketAddrUnix::new(&*path).map_err(Error::from)
}

fn path_of(address: Option<SocketAddrAny>) -> Vec<u8> {
    let address = address.and_then(|address| SocketAddrUnix::try_from(address).ok());
    let Some(path) = address.as_ref().and_then(SocketAddrUnix::path_bytes) else { return Vec::new() };
    // One that fills the address may have its NUL in it.
    path.split(|byte| *byte == 0).next().unwrap_or_default().to_vec()
}

fn identity(path: &OsStr) -> Option<(u64, u64)> {
    fs::symlink_metadata(path).ok().map(|file| (file.dev(), file.ino()))
}

impl Drop for BoundFile {
    fn drop(&mut self) {
        // Only if it is still the file that was bound; a child of a fork leaves it to its parent.
        let path = OsStr::from_bytes(self.path.to_bytes());
        if self.forks == process::forks() && identity(path) == Some(self.identity) {
            let _ = fs::remove_file(path);
        }
    }
}

impl<W> Loop<W> {
    /// Makes a local stream socket, or one to listen.
    ///
    /// # Errors
    ///
    /// Those of socket(2), as for lack of descriptors.
    pub fn local(&mut self, kind: Kind) -> Result<SourceId> {
        self.check_process()?;
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let fd = net::socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
        Ok(self.add(fd, kind, false))
    }

    /// Makes a pair of local streams that are connected: a source, from which can be read and to which can be written as it is
    /// said here, and a descriptor to be given to somebody else, as a child. To use the source otherwise fails as if it was not
    /// connected.
    ///
    /// # Errors
    ///
    /// Those of socketpair(2), as for lack of descriptors.
    pub fn local_pair(&mut self, read: bool, write: bool) -> Result<(SourceId, OwnedFd)> {
        self.check_process()?;
        let flags = SocketFlags::CLOEXEC;
        let (ours, theirs) = net::socketpair(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
        let (ours, theirs) = (above_standard(ours)?, above_standard(theirs)?);
        // Only this end: the other has a flag of its own.
        rustix::io::ioctl_fionbio(&ours, true)?;
        let id = self.add(ours, Kind::LocalStream, true);
        if let Some(source) = self.sources.get_mut(id) {
            (source.deaf, source.shut) = (!read, !write);
        }
        Ok((id, theirs))
    }

    /// Binds a local socket to a path. The file that this makes is removed when the socket is closed, unless another has taken its
    /// place.
    ///
    /// # Errors
    ///
    /// Those of bind(2): `address already in use` if there is such a file; `permission denied` also if the directory does
    /// not exist; `name too long`; `invalid argument` if it is bound already.
    pub fn bind_local(&mut self, id: SourceId, path: &[u8]) -> Result<()> {
        let address = address(path)?;
        let source = self.source(id)?;
        if source.bound {
            return Err(Error::INVALID);
        }
        net::bind(&source.fd, &address).map_err(|error| match error {
            Errno::NOENT => Error::from(Errno::ACCESS),
            error => error.into(),
        })?;
        source.bound = true;
        if let (Ok(path), Some(identity)) = (CString::new(path), identity(OsStr::from_bytes(path))) {
            source.file = Some(Box::new(BoundFile { path, identity, forks: process::forks() }));
        }
        Ok(())
    }

    /// Starts to connect to a path: see [`connect`](Self::connect).
    ///
    /// # Errors
    ///
    /// As [`connect`](Self::connect); `name too long`; `resource temporarily unavailable` if the queue of the listener is full.
    pub fn connect_local(&mut self, op: OpId, id: SourceId, path: &[u8], by: usize) -> Result<()> {
        let address = address(path)?;
        self.connect_by(op, id, by, |fd| net::connect(fd, &address))
    }

    /// The path that one end of a local socket is bound to; empty if it is to none.
    ///
    /// # Errors
    ///
    /// `socket is not connected` for the peer of one that is not; `bad file descriptor` if it is closed.
    pub fn path(&self, id: SourceId, side: super::Side) -> Result<Vec<u8>> {
        let source = self.sources.get(id).ok_or(Error::BAD_DESCRIPTOR)?;
        match side {
            super::Side::Local => Ok(path_of(Some(net::getsockname(&source.fd)?))),
            super::Side::Peer if source.connection == Connection::None => Err(Error::NOT_CONNECTED),
            super::Side::Peer => Ok(path_of(net::getpeername(&source.fd)?)),
        }
    }

    /// Allows everybody to read from, or write to, the path that a local socket is bound to: that is, to connect.
    ///
    /// # Errors
    ///
    /// `invalid argument` for neither; `no such file or directory` if it is bound to no path; those of chmod(2).
    pub fn add_permission(&self, id: SourceId, read: bool, write: bool) -> Result<()> {
        let path = self.path(id, super::Side::Local)?;
        if !read && !write {
            return Err(Error::INVALID);
        }
        if path.is_empty() {
            return Err(Error::from(Errno::NOENT));
        }
        let path = OsStr::from_bytes(&path);
        let mut permissions = fs::metadata(path)?.permissions();
        let added = if read { 0o444 } else { 0 } | if write { 0o222 } else { 0 };
        permissions.set_mode(permissions.mode() | added);
        Ok(fs::set_permissions(path, permissions)?)
    }

    /// As [`try_read`](Self::try_read), and takes the descriptors that came with the bytes: [`received`](Self::received) gives
    /// them out.
    pub fn try_read_with(&mut self, op: OpId, buffer: &mut [u8]) -> Attempt<usize> {
        let id = self.source_of(op).unwrap_or(SourceId::NONE);
        let Some(source) = self.sources.get_mut(id) else { return Attempt::Done(Err(Error::BAD_DESCRIPTOR)) };
        if buffer.is_empty() || source.kind.is_plain() {
            return self.try_read(op, buffer);
        }
        let result = receive(source, buffer);
        if result.as_ref().is_ok_and(|count| *count > 0) {
            source.read = Readiness::Unknown;
        }
        let result = match result {
            Ok(0) => Err(Error::END_OF_FILE),
            result => result,
        };
        self.tried(op, id, result)
    }

    /// Whether a socket was received that was not asked for yet.
    pub fn has_received(&self, id: SourceId) -> bool {
        self.sources.get(id).is_some_and(|source| !source.received.is_empty())
    }

    /// The next socket that was received.
    ///
    /// # Errors
    ///
    /// `socket type not supported` if it is none that this crate knows; it is closed.
    pub fn received(&mut self, id: SourceId) -> Option<Result<Received>> {
        let fd = self.sources.get_mut(id)?.received.pop_front()?;
        Some(self.adopt(fd))
    }

    fn adopt(&mut self, fd: OwnedFd) -> Result<Received> {
        let stream = sockopt::socket_type(&fd) == Ok(SocketType::STREAM);
        let address = net::getsockname(&fd).map_err(|_| Error::SOCKET_TYPE)?;
        let v6 = match address.address_family() {
            _ if !stream => return Err(Error::SOCKET_TYPE),
            AddressFamily::INET => false,
            AddressFamily::INET6 => true,
            AddressFamily::UNIX => {
                let connected = net::getpeername(&fd).is_ok();
                return Ok(Received::Local { source: self.add(fd, Kind::LocalStream, connected) });
            }
            _ => return Err(Error::SOCKET_TYPE),
        };
        let connected = net::getpeername(&fd).is_ok_and(|peer| peer.is_some());
        Ok(Received::Tcp { source: self.add(fd, Kind::TcpStream, connected), v6 })
    }
}

fn receive(source: &mut Source, buffer: &mut [u8]) -> Result<usize> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(DESCRIPTORS))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let flags = RecvFlags::DONTWAIT | RecvFlags::CMSG_CLOEXEC;
    let message = loop {
        match net::recvmsg(&source.fd, &mut [IoSliceMut::new(buffer)], &mut control, flags) {
            Err(Errno::INTR) => {}
            result => break result?,
        }
    };
    for message in control.drain() {
        if let RecvAncillaryMessage::ScmRights(descriptors) = message {
            source.received.extend(descriptors);
        }
    }
    // Those that did not fit, or for which there was no descriptor left, were closed by the system.
    let _ = message.flags.contains(ReturnFlags::CTRUNC);
    Ok(message.bytes)
}
