//! TCP sockets: what never waits.

use crate::core::{Loop, SourceId};
use crate::error::{Error, Result};
use crate::source::{Connection, Kind};
use rustix::net::{self, AddressFamily, SocketFlags, SocketType, sockopt};
use std::net::SocketAddr;
use std::time::Duration;

/// The end of a connection whose address is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// This one.
    Local,
    /// The other one.
    Peer,
}

impl<W> Loop<W> {
    /// Makes a TCP socket. An IPv6 one accepts IPv4 connections too, as from mapped addresses.
    ///
    /// # Errors
    ///
    /// Those of socket(2), as for lack of descriptors.
    pub fn tcp(&mut self, kind: Kind, v6: bool) -> Result<SourceId> {
        self.check_process()?;
        let family = if v6 { AddressFamily::INET6 } else { AddressFamily::INET };
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let fd = net::socket_with(family, SocketType::STREAM, flags, None)?;
        if v6 {
            sockopt::set_ipv6_v6only(&fd, false)?;
        }
        Ok(self.add(fd, kind, false))
    }

    /// Binds a TCP socket. That the address is in use is told by what follows: [`listen`](Self::listen),
    /// [`connect`](Self::connect) or [`address`](Self::address); until the socket is bound again.
    ///
    /// # Errors
    ///
    /// Those of bind(2); `invalid argument` if it is bound already.
    pub fn bind(&mut self, id: SourceId, address: SocketAddr) -> Result<()> {
        let source = self.source(id)?;
        if source.bound {
            return Err(Error::INVALID);
        }
        sockopt::set_socket_reuseaddr(&source.fd, true)?;
        source.delayed = None;
        match net::bind(&source.fd, &address).map_err(Error::from) {
            Err(error) if error == Error::ADDRESS_IN_USE => source.delayed = Some(error),
            result => {
                result?;
                source.bound = true;
            }
        }
        Ok(())
    }

    /// Starts to listen, with room for `backlog` connections that nobody has accepted yet. A socket that is not bound gets
    /// a port of the system's choice.
    ///
    /// # Errors
    ///
    /// Those of listen(2); `address already in use` if that is why it could not be bound, or because another listens.
    pub fn listen(&mut self, id: SourceId, backlog: i32) -> Result<()> {
        let source = self.source(id)?;
        if let Some(error) = source.delayed {
            return Err(error);
        }
        net::listen(&source.fd, backlog)?;
        source.listening = true;
        source.bound = true;
        Ok(())
    }

    /// Whether it listens.
    pub fn is_listening(&self, id: SourceId) -> bool {
        self.sources.get(id).is_some_and(|source| source.listening)
    }

    /// The address of one end of a socket.
    ///
    /// # Errors
    ///
    /// `socket is not connected` for the peer of one that is not.
    pub fn address(&self, id: SourceId, side: Side) -> Result<SocketAddr> {
        let source = self.sources.get(id).ok_or(Error::BAD_DESCRIPTOR)?;
        if let Some(error) = source.delayed {
            return Err(error);
        }
        let address = match side {
            Side::Local => net::getsockname(&source.fd)?,
            Side::Peer if source.connection == Connection::None => return Err(Error::NOT_CONNECTED),
            Side::Peer => net::getpeername(&source.fd)?.ok_or(Error::NOT_CONNECTED)?,
        };
        SocketAddr::try_from(address).map_err(Error::from)
    }

    /// Sends small writes at once (`TCP_NODELAY`), or collects them.
    ///
    /// # Errors
    ///
    /// Those of setsockopt(2).
    pub fn set_nodelay(&self, id: SourceId, on: bool) -> Result<()> {
        let source = self.sources.get(id).ok_or(Error::BAD_DESCRIPTOR)?;
        Ok(sockopt::set_tcp_nodelay(&source.fd, on)?)
    }

    /// Finds out about a peer that is gone: after so many seconds of silence it is asked each second, and after ten questions
    /// without an answer the connection fails with `connection timed out`. `None` switches that off.
    ///
    /// # Errors
    ///
    /// `invalid argument` if it is too long for the system: nothing was changed then.
    pub fn set_keepalive(&self, id: SourceId, after: Option<u32>) -> Result<()> {
        let source = self.sources.get(id).ok_or(Error::BAD_DESCRIPTOR)?;
        if let Some(seconds) = after {
            sockopt::set_tcp_keepidle(&source.fd, Duration::from_secs(seconds.into()))?;
            sockopt::set_tcp_keepintvl(&source.fd, Duration::from_secs(1))?;
            sockopt::set_tcp_keepcnt(&source.fd, 10)?;
        }
        Ok(sockopt::set_socket_keepalive(&source.fd, after.is_some())?)
    }
}
