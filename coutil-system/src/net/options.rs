//! Options of UDP sockets.

use crate::core::{Loop, SourceId};
use crate::error::{Error, Result};
use crate::sys::multicast;
use rustix::net::sockopt;
use std::net::{IpAddr, Ipv4Addr};
use std::os::fd::BorrowedFd;

/// An interface of this machine, as the multicast options take it: by one of its addresses in IPv4, by its index in IPv6 (0
/// for the system's choice).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Interface {
    /// The interface with that address.
    V4(Ipv4Addr),
    /// The interface with that index.
    V6(u32),
}

/// The index of an interface by its name, or by its index in digits. 0 if there is none.
pub fn interface_index(name: &[u8]) -> u32 {
    match std::str::from_utf8(name).ok().and_then(|name| name.parse().ok()) {
        Some(index) => index,
        None => multicast::interface_index(name),
    }
}

impl<W> Loop<W> {
    fn option_fd(&self, id: SourceId) -> Result<BorrowedFd<'_>> {
        self.fd(id).ok_or(Error::BAD_DESCRIPTOR)
    }

    /// Allows to send to broadcast addresses (`SO_BROADCAST`).
    ///
    /// # Errors
    ///
    /// Those of setsockopt(2).
    pub fn set_broadcast(&self, id: SourceId, on: bool) -> Result<()> {
        Ok(sockopt::set_socket_broadcast(self.option_fd(id)?, on)?)
    }

    /// Whether multicast datagrams come back to this machine (`IP_MULTICAST_LOOP`, `IPV6_MULTICAST_LOOP`).
    ///
    /// # Errors
    ///
    /// Those of setsockopt(2).
    pub fn set_multicast_loop(&self, id: SourceId, v6: bool, on: bool) -> Result<()> {
        let fd = self.option_fd(id)?;
        let result = if v6 {
            sockopt::set_ipv6_multicast_loop(fd, on)
        } else {
            sockopt::set_ip_multicast_loop(fd, on)
        };
        Ok(result?)
    }

    /// How many routers a multicast datagram passes, plus one (`IP_MULTICAST_TTL`, `IPV6_MULTICAST_HOPS`).
    ///
    /// # Errors
    ///
    /// Those of setsockopt(2).
    pub fn set_multicast_ttl(&self, id: SourceId, v6: bool, ttl: u8) -> Result<()> {
        let fd = self.option_fd(id)?;
        let ttl = ttl.into();
        let result = if v6 {
            sockopt::set_ipv6_multicast_hops(fd, ttl)
        } else {
            sockopt::set_ip_multicast_ttl(fd, ttl)
        };
        Ok(result?)
    }

    /// The interface that multicast datagrams leave by (`IP_MULTICAST_IF`, `IPV6_MULTICAST_IF`).
    ///
    /// # Errors
    ///
    /// Those of setsockopt(2).
    pub fn set_multicast_interface(&self, id: SourceId, interface: Interface) -> Result<()> {
        let fd = self.option_fd(id)?;
        let result = match interface {
            Interface::V4(address) => sockopt::set_ip_multicast_if(fd, &address),
            Interface::V6(index) => sockopt::set_ipv6_multicast_if(fd, index),
        };
        Ok(result?)
    }

    /// Joins a multicast group on an interface, or leaves it; with `source`, only for what that one sends.
    ///
    /// # Errors
    ///
    /// `invalid argument` if the families of the addresses differ; those of setsockopt(2): `address already in use` for a group
    /// that was joined, `address not available` for one that was not.
    pub fn set_membership(
        &self,
        id: SourceId,
        group: IpAddr,
        interface: Interface,
        source: Option<IpAddr>,
        join: bool,
    ) -> Result<()> {
        let fd = self.option_fd(id)?;
        let result = match (group, interface, source) {
            (IpAddr::V4(group), Interface::V4(interface), None) if join => {
                sockopt::set_ip_add_membership(fd, &group, &interface)
            }
            (IpAddr::V4(group), Interface::V4(interface), None) => {
                sockopt::set_ip_drop_membership(fd, &group, &interface)
            }
            (IpAddr::V4(group), Interface::V4(interface), Some(IpAddr::V4(source))) if join => {
                sockopt::set_ip_add_source_membership(fd, &group, &interface, &source)
            }
            (IpAddr::V4(group), Interface::V4(interface), Some(IpAddr::V4(source))) => {
                sockopt::set_ip_drop_source_membership(fd, &group, &interface, &source)
            }
            (IpAddr::V6(group), Interface::V6(index), None) if join => {
                sockopt::set_ipv6_add_membership(fd, &group, index)
            }
            (IpAddr::V6(group), Interface::V6(index), None) => {
                sockopt::set_ipv6_drop_membership(fd, &group, index)
            }
            (IpAddr::V6(group), Interface::V6(index), Some(IpAddr::V6(source))) => {
                return multicast::set_source_membership(fd, group, index, source, join);
            }
            _ => return Err(Error::INVALID),
        };
        Ok(result?)
    }
}
