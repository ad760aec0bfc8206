//! UDP sockets.

use crate::core::{Attempt, Loop, OpId, Outcome, SourceId};
use crate::error::{Error, Result};
use crate::source::{Connection, Item, Kind, Output, Readiness};
use rustix::io::Errno;
use rustix::net::{self, AddressFamily, RecvFlags, SocketFlags, SocketType, sockopt};
use std::net::SocketAddr;

/// A datagram that was received.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Datagram {
    /// How many bytes of it are in the buffer.
    pub len: usize,
    /// Whether it was larger than the buffer: the rest is lost.
    pub truncated: bool,
    /// Who sent it.
    pub from: Option<SocketAddr>,
}

impl<W> Loop<W> {
    /// Makes a UDP socket. An IPv6 one also receives from IPv4, as from mapped addresses.
    ///
    /// # Errors
    ///
    /// Those of socket(2), as for lack of descriptors.
    pub fn udp(&mut self, v6: bool) -> Result<SourceId> {
        self.check_process()?;
        let family = if v6 { AddressFamily::INET6 } else { AddressFamily::INET };
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let fd = net::socket_with(family, SocketType::DGRAM, flags, None)?;
        if v6 {
            sockopt::set_ipv6_v6only(&fd, false)?;
        }
        Ok(self.add(fd, Kind::Datagram, false))
    }

    /// Binds a UDP socket: it receives what is sent to that address.
    ///
    /// # Errors
    ///
    /// Those of bind(2): `address already in use`, and `invalid argument` if it is bound already.
    pub fn bind_udp(&mut self, id: SourceId, address: SocketAddr) -> Result<()> {
        let source = self.source(id)?;
        Ok(net::bind(&source.fd, &address)?)
    }

    /// Sets the peer, or removes it: then only its datagrams are received, and datagrams go to it.
    ///
    /// # Errors
    ///
    /// `socket is already connected` if there is one, `socket is not connected` if there is none; those of connect(2).
    pub fn set_peer(&mut self, id: SourceId, peer: Option<SocketAddr>) -> Result<()> {
        let source = self.source(id)?;
        match (peer, source.connection) {
            (Some(_), Connection::Connected) => return Err(Error::ALREADY_CONNECTED),
            (None, Connection::None) => return Err(Error::NOT_CONNECTED),
            (Some(peer), _) => {
                net::connect(&source.fd, &peer)?;
                source.connection = Connection::Connected;
            }
            (None, _) => {
                let bound = net::getsockname(&source.fd).and_then(SocketAddr::try_from);
                net::connect_unspec(&source.fd)?;
                source.connection = Connection::None;
                // Linux takes away a port that it has chosen itself: it is asked for again.
                let left = net::getsockname(&source.fd).and_then(SocketAddr::try_from);
                if let (Ok(bound), Ok(left)) = (bound, left)
                    && left.port() == 0
                    && bound.port() != 0
                {
                    let _ = net::bind(&source.fd, &SocketAddr::new(left.ip(), bound.port()));
                }
            }
        }
        Ok(())
    }

    /// Whether a UDP socket has a peer.
    pub fn has_peer(&self, id: SourceId) -> bool {
        self.sources.get(id).is_some_and(|source| source.connection == Connection::Connected)
    }

    /// Starts to send a datagram: to `address`, or to the peer. If the system takes it at once it is sent before this returns;
    /// otherwise a copy follows, also when the operation is cancelled.
    ///
    /// # Errors
    ///
    /// If the socket is closed. Failures of the system are told by the operation.
    pub fn send(&mut self, op: OpId, id: SourceId, data: &[u8], address: Option<SocketAddr>) -> Result<()> {
        let source = self.source(id)?;
        let sent = match source.queue.is_empty() {
            true => source.send_datagram(data, address),
            false => None,
        };
        if sent.is_none() {
            source.queue.push_back(Item { op, output: Output::Datagram { data: data.into(), address } });
        }
        self.start(op, id, Outcome::Elapsed);
        match sent {
            Some(result) => self.finish(op, result),
            None => {
                if let Err(error) = self.register(id) {
                    self.fail_queue(id, error);
                }
            }
        }
        Ok(())
    }

    /// Receives a datagram for an operation of [`read`](Self::read) that is to be delivered. With an empty buffer it fails with
    /// `no buffer space available` when there is one, and leaves it.
    pub fn try_receive(&mut self, op: OpId, buffer: &mut [u8]) -> Attempt<Datagram> {
        let id = self.source_of(op).unwrap_or(SourceId::NONE);
        let Some(source) = self.sources.get_mut(id) else { return Attempt::Done(Err(Error::BAD_DESCRIPTOR)) };
        let empty = buffer.is_empty();
        let peek = &mut [0u8; 1];
        let target = if empty { &mut peek[..] } else { &mut *buffer };
        // With TRUNC the length is that of the datagram.
        let mut flags = RecvFlags::DONTWAIT | RecvFlags::TRUNC;
        if empty {
            flags |= RecvFlags::PEEK;
        }
        let result = loop {
            match net::recvfrom(&source.fd, &mut *target, flags) {
                Err(Errno::INTR) => {}
                result => break result.map(|(_, len, from)| (len, from)).map_err(Error::from),
            }
        };
        if result.is_ok() {
            source.read = Readiness::Unknown;
        }
        let len = target.len();
        let result = match result {
            Ok(_) if empty => Err(Error::NO_BUFFER_SPACE),
            Ok((all, from)) => Ok(Datagram {
                len: all.min(len),
                truncated: all > len,
                from: from.and_then(|from| SocketAddr::try_from(from).ok()),
            }),
            Err(error) => Err(error),
        };
        self.tried(op, id, result)
    }
}
