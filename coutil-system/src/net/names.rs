//! Names of hosts and services: getaddrinfo(3) and getnameinfo(3), as the system is set up for them.
//!
//! These functions block, for seconds if the network does not answer. Where that is not wanted they are called by
//! [`unblock`](crate::unblock), on another thread:
//!
//! ```
//! use coutil_system::net::names::{self, Hints, Host, Service};
//! use coutil_system::{EventLoop, unblock};
//!
//! let events = EventLoop::new()?;
//! let host = String::from("127.0.0.1");
//! let found = events.block_on(unblock(move || {
//!     names::find(Host::Name(&host), Service::Port(80), Hints::default())
//! }))??;
//! assert_eq!(found[0].address, "127.0.0.1:80".parse().unwrap());
//! # Ok::<(), coutil_system::Error>(())
//! ```
//!
//! The errors are those of the system, or of the resolver: 3000 to 3014. Names are UTF-8; they are given to the resolver as they
//! are, so those of the DNS are to be in ASCII.

use crate::error::{Error, Result};
use dns_lookup::{AddrInfoHints, LookupError, getaddrinfo, getnameinfo};
use std::net::{Ipv4Addr, SocketAddr};
use std::panic::catch_unwind;

/// A host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Host<'a> {
    /// A name, or the literal of an address.
    Name(&'a str),
    /// This one, as it sees itself: the loopback addresses.
    Loopback,
    /// All addresses of this one: the wildcards, to listen at.
    Wildcard,
}

/// A service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Service<'a> {
    /// A name, as in services(5). It exists for some types of sockets, and only those are found.
    Name(&'a str),
    /// A number.
    Port(u16),
}

/// Which addresses are asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Family {
    /// Those of a kind that this machine has itself, besides the loopback ones.
    #[default]
    Configured,
    /// All.
    Any,
    /// Those of IPv4.
    V4,
    /// Those of IPv6.
    V6,
    /// Those of IPv6; if there are none, those of IPv4 mapped into IPv6.
    V6OrMapped,
    /// Those of IPv6, and those of IPv4 mapped into IPv6.
    V6AndMapped,
}

/// A type of socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SocketType {
    /// TCP.
    Stream,
    /// UDP.
    Datagram,
}

/// What is asked for besides names. What is wanted is set in the fields of the default.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Hints {
    /// Which addresses.
    pub family: Family,
    /// For which type of socket; both if there is none.
    pub socket_type: Option<SocketType>,
    /// The host has to be a literal: nothing is looked up.
    pub literal: bool,
}

/// What was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Entry {
    /// The address, with the port of the service.
    pub address: SocketAddr,
    /// What it is for.
    pub socket_type: SocketType,
}

#[cfg(not(any(target_os = "netbsd", target_os = "openbsd")))]
const MAPPED: i32 = libc::AI_V4MAPPED;
#[cfg(not(any(target_os = "netbsd", target_os = "openbsd")))]
const ALL: i32 = libc::AI_ALL;
// These two map nothing.
#[cfg(any(target_os = "netbsd", target_os = "openbsd"))]
const MAPPED: i32 = 0;
#[cfg(any(target_os = "netbsd", target_os = "openbsd"))]
const ALL: i32 = 0;

const UNKNOWN: Error = Error::from_code(3008);
const BAD_CHARACTER: Error = Error::from_code(4080);

/// The numbers that libuv has for the errors of the resolver, by theirs.
#[cfg(any(target_os = "linux", target_os = "android"))]
const FAILURES: &[(i32, i32)] = &[
    (-9, 3000),
    (-3, 3001),
    (-1, 3002),
    (-101, 3003),
    (-4, 3004),
    (-6, 3005),
    (-10, 3006),
    (-5, 3007),
    (-2, 3008),
    (-12, 3009),
    (-8, 3010),
    (-7, 3011),
];
#[cfg(not(any(target_os = "linux", target_os = "android")))]
const FAILURES: &[(i32, i32)] = &[
    (1, 3000),
    (2, 3001),
    (3, 3002),
    (4, 3004),
    (5, 3005),
    (6, 3006),
    (7, 3007),
    (8, 3008),
    (14, 3009),
    (9, 3010),
    (10, 3011),
    (12, 3013),
    (13, 3014),
];

fn failure(error: LookupError) -> Error {
    let number = error.error_num();
    match FAILURES.iter().find(|(theirs, _)| *theirs == number) {
        Some((_, code)) => Error::from_code(*code),
        // Of the system; or of the wrapper, which has no number for a name that it cannot convert.
        None => match std::io::Error::from(error).raw_os_error() {
            Some(code) => Error::from_code(code),
            None if number == 0 => BAD_CHARACTER,
            None => Error::from_code(4094),
        },
    }
}

/// A name that can be given to the resolver: an empty one stands for something else there.
fn check(name: &str) -> Result<&str> {
    if name.is_empty() || name.contains('\0') { Err(Error::INVALID) } else { Ok(name) }
}

/// What getaddrinfo(3) gives, in its order.
fn look_up(
    host: Option<&str>,
    service: Option<&str>,
    hints: AddrInfoHints,
) -> Result<Vec<dns_lookup::AddrInfo>> {
    // The wrapper panics at a canonical name that is not UTF-8.
    let found = catch_unwind(|| {
        let found = getaddrinfo(host, service, Some(hints))?;
        // Those of an unknown family are errors to it.
        Ok(found.filter_map(std::result::Result::ok).collect())
    });
    found.unwrap_or(Ok(Vec::new())).map_err(failure)
}

/// Finds the addresses of a host, and the port of a service, in the order of the resolver: getaddrinfo(3). It blocks.
///
/// ```
/// use coutil_system::net::names::{self, Family, Hints, Host, Service, SocketType};
///
/// let mut hints = Hints::default();
/// hints.family = Family::V4;
/// hints.socket_type = Some(SocketType::Stream);
/// let found = names::find(Host::Wildcard, Service::Port(8080), hints)?;
/// assert_eq!(found.len(), 1);
/// assert_eq!(found[0].address, "0.0.0.0:8080".parse().unwrap());
/// # Ok::<(), coutil_system::Error>(())
/// ```
///
/// # Errors
///
/// Those of the resolver: 3008 if there is no such host, 3010 if there is no such service, and others. EINVAL for a name that is
/// empty. EAFNOSUPPORT if there was nothing for a socket of the two types.
pub fn find(host: Host<'_>, service: Service<'_>, hints: Hints) -> Result<Vec<Entry>> {
    let mut flags = 0;
    let host = match host {
        Host::Name(name) => Some(check(name)?),
        Host::Loopback => None,
        Host::Wildcard => {
            flags |= libc::AI_PASSIVE;
            None
        }
    };
    let port;
    let service = match service {
        Service::Name(name) => check(name)?,
        Service::Port(number) => {
            flags |= libc::AI_NUMERICSERV;
            port = number.to_string();
            &port
        }
    };
    let address = match hints.family {
        Family::Configured => {
            flags |= libc::AI_ADDRCONFIG;
            libc::AF_UNSPEC
        }
        Family::Any => libc::AF_UNSPEC,
        Family::V4 => libc::AF_INET,
        Family::V6 => libc::AF_INET6,
        Family::V6OrMapped => {
            flags |= MAPPED;
            libc::AF_INET6
        }
        Family::V6AndMapped => {
            flags |= MAPPED | ALL;
            libc::AF_INET6
        }
    };
    if hints.literal {
        flags |= libc::AI_NUMERICHOST;
    }
    let socktype = match hints.socket_type {
        None => 0,
        Some(SocketType::Stream) => libc::SOCK_STREAM,
        Some(SocketType::Datagram) => libc::SOCK_DGRAM,
    };
    let found = look_up(host, Some(service), AddrInfoHints { flags, address, socktype, protocol: 0 })?;
    let entries: Vec<_> = found
        .into_iter()
        .filter_map(|entry| {
            let socket_type = match entry.socktype {
                libc::SOCK_STREAM => SocketType::Stream,
                libc::SOCK_DGRAM => SocketType::Datagram,
                _ => return None,
            };
            Some(Entry { address: entry.sockaddr, socket_type })
        })
        .collect();
    if entries.is_empty() { Err(Error::from_code(libc::EAFNOSUPPORT)) } else { Ok(entries) }
}

/// How an address is named. What is wanted is set in the fields of the default.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct NameFlags {
    /// Without the domain, if that is the one of this machine.
    pub local: bool,
    /// The service is that of datagram sockets.
    pub datagram: bool,
}

/// The names of the host and of the service of an address: getnameinfo(3). A service without a name is the number of its port.
/// It blocks.
///
/// ```
/// use coutil_system::net::names::{self, NameFlags};
///
/// let unknown = names::name_of("192.0.2.1:80".parse().unwrap(), NameFlags::default());
/// # let _ = unknown;
/// ```
///
/// # Errors
///
/// Those of the resolver: 3008 if the host has no name, and others.
pub fn name_of(address: SocketAddr, flags: NameFlags) -> Result<(String, String)> {
    let local = if flags.local { libc::NI_NOFQDN } else { 0 };
    getnameinfo(&address, libc::NI_NAMEREQD | local | datagram(flags.datagram)).map_err(failure)
}

fn datagram(datagram: bool) -> i32 {
    if datagram { libc::NI_DGRAM } else { 0 }
}

/// The canonical name of a host: getaddrinfo(3). It blocks.
///
/// ```
/// use coutil_system::net::names::canonical_name;
///
/// assert_eq!(canonical_name("127.0.0.1")?, "127.0.0.1");
/// # Ok::<(), coutil_system::Error>(())
/// ```
///
/// # Errors
///
/// Those of the resolver: 3008 if there is no such host, and others. EINVAL for a name that is empty.
pub fn canonical_name(host: &str) -> Result<String> {
    let hints = AddrInfoHints {
        flags: libc::AI_CANONNAME,
        address: libc::AF_UNSPEC,
        socktype: libc::SOCK_STREAM,
        protocol: 0,
    };
    let mut found = look_up(Some(check(host)?), None, hints)?;
    if found.is_empty() {
        return Err(BAD_CHARACTER);
    }
    found.iter_mut().find_map(|entry| entry.canonname.take()).ok_or(UNKNOWN)
}

/// The name of the service at a port, or the number of the port if it has none: getnameinfo(3). It blocks, but for little.
///
/// ```
/// use coutil_system::net::names::service_name;
///
/// assert_eq!(service_name(0, false)?, "0");
/// # Ok::<(), coutil_system::Error>(())
/// ```
///
/// # Errors
///
/// Those of the resolver, which are not to be expected.
pub fn service_name(port: u16, of_datagrams: bool) -> Result<String> {
    // The host is not looked at.
    let address = SocketAddr::from((Ipv4Addr::UNSPECIFIED, port));
    let names = getnameinfo(&address, libc::NI_NUMERICHOST | datagram(of_datagrams));
    names.map(|(_, service)| service).map_err(failure)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code<T: std::fmt::Debug>(result: Result<T>) -> i32 {
        result.unwrap_err().code()
    }

    fn text(entries: &[Entry]) -> Vec<(String, SocketType)> {
        entries.iter().map(|entry| (entry.address.to_string(), entry.socket_type)).collect()
    }

    const BOTH: Hints = Hints { family: Family::Any, socket_type: None, literal: false };

    #[test]
    fn literals_are_found_for_both_types() {
        // [50 3.5]
        let found = find(Host::Name("127.0.0.1"), Service::Port(80), BOTH).unwrap();
        let expected =
            [("127.0.0.1:80".into(), SocketType::Stream), ("127.0.0.1:80".into(), SocketType::Datagram)];
        assert_eq!(text(&found), expected);
        for socket_type in [SocketType::Stream, SocketType::Datagram] {
            let hints = Hints { socket_type: Some(socket_type), ..BOTH };
            let found = find(Host::Name("::1"), Service::Port(65535), hints).unwrap();
            assert_eq!(text(&found), [("[::1]:65535".into(), socket_type)]);
        }
    }

    #[test]
    fn families_are_kept_apart() {
        // [50 3.4] [50 3.6]
        let stream = |family| Hints { family, socket_type: Some(SocketType::Stream), literal: true };
        let find = |host, family| find(Host::Name(host), Service::Port(1), stream(family));
        let one = |host, family| text(&find(host, family).unwrap())[0].0.clone();
        assert_eq!(one("127.0.0.1", Family::V4), "127.0.0.1:1");
        assert_eq!(one("::1", Family::V6), "[::1]:1");
        #[cfg(target_os = "linux")]
        {
            assert_eq!(code(find("127.0.0.1", Family::V6)), 3000);
            assert_eq!(code(find("::1", Family::V4)), 3000);
            for family in [Family::V6OrMapped, Family::V6AndMapped] {
                assert_eq!(one("127.0.0.1", family), "[::ffff:127.0.0.1]:1");
                assert_eq!(one("::1", family), "[::1]:1");
            }
        }
    }

    #[test]
    fn wildcards_and_loopback_need_no_name() {
        // [50 3.1] [50 3.2]
        let stream = |family| Hints { family, socket_type: Some(SocketType::Stream), literal: false };
        let find = |host, family| text(&find(host, Service::Port(7), stream(family)).unwrap());
        assert_eq!(find(Host::Wildcard, Family::V4), [("0.0.0.0:7".into(), SocketType::Stream)]);
        assert_eq!(find(Host::Loopback, Family::V4), [("127.0.0.1:7".into(), SocketType::Stream)]);
        assert_eq!(find(Host::Wildcard, Family::V6), [("[::]:7".into(), SocketType::Stream)]);
        assert_eq!(find(Host::Loopback, Family::V6), [("[::1]:7".into(), SocketType::Stream)]);
        assert_eq!(find(Host::Wildcard, Family::V6AndMapped)[0].0, "[::]:7");
    }

    #[test]
    fn unknown_names_have_their_errors() {
        // [50 3.3] [50 3.6] [00 10.1]
        let literal = Hints { literal: true, ..BOTH };
        assert_eq!(code(find(Host::Name("localhost"), Service::Port(1), literal)), 3008);
        assert_eq!(code(find(Host::Name("127.0.0.1"), Service::Name("no such service"), BOTH)), 3010);
        for name in ["", "a\0b"] {
            assert_eq!(code(find(Host::Name(name), Service::Port(1), BOTH)), libc::EINVAL);
            assert_eq!(code(find(Host::Loopback, Service::Name(name), BOTH)), libc::EINVAL);
            assert_eq!(code(canonical_name(name)), libc::EINVAL);
        }
    }

    #[test]
    fn errors_of_the_resolver_get_their_numbers() {
        // [00 10.1]
        for (theirs, code) in FAILURES {
            assert_eq!(failure(LookupError::new(*theirs)).code(), *code);
        }
        assert_eq!(failure(LookupError::new(-4711)).code(), 4094);
        assert_eq!(failure(std::io::Error::other("x").into()).code(), 4080);
        let denied = std::io::Error::from_raw_os_error(libc::EACCES);
        assert_eq!(failure(denied.into()).code(), libc::EACCES);
    }

    #[test]
    fn ports_without_a_name_are_numbers() {
        // [50 2.3]
        assert_eq!(service_name(0, false).as_deref(), Ok("0"));
        assert_eq!(service_name(65534, true).as_deref(), Ok("65534"));
    }
}
