//! Source-specific membership of IPv6 groups, and indices of interfaces: what `rustix` has no functions for.

#![allow(unsafe_code)]

use crate::error::{Error, Result};
use std::ffi::CString;
use std::net::Ipv6Addr;
use std::os::fd::BorrowedFd;

/// The index of an interface; 0 if there is none of that name. See if_nametoindex(3).
pub(crate) fn interface_index(name: &[u8]) -> u32 {
    let Ok(name) = CString::new(name) else { return 0 };
    // SAFETY: the name ends with a NUL.
    unsafe { libc::if_nametoindex(name.as_ptr()) }
}

/// Joins or leaves a group for one source: `MCAST_JOIN_SOURCE_GROUP` and `MCAST_LEAVE_SOURCE_GROUP` of ipv6(7), RFC 3678.
#[cfg(target_os = "linux")]
pub(crate) fn set_source_membership(
    fd: BorrowedFd<'_>,
    group: Ipv6Addr,
    interface: u32,
    source: Ipv6Addr,
    join: bool,
) -> Result<()> {
    use std::os::fd::AsRawFd;

    /// `struct group_source_req` of <netinet/in.h>, which `libc` does not have.
    #[repr(C)]
    struct GroupSource {
        interface: u32,
        group: libc::sockaddr_storage,
        source: libc::sockaddr_storage,
    }

    fn storage(address: Ipv6Addr) -> libc::sockaddr_storage {
        // SAFETY: all zeros are a valid address of no family; a `sockaddr_in6` fits, and is aligned.
        unsafe {
            let mut storage: libc::sockaddr_storage = std::mem::zeroed();
            let v6 = (&raw mut storage).cast::<libc::sockaddr_in6>();
            (*v6).sin6_family = libc::AF_INET6 as libc::sa_family_t;
            (*v6).sin6_addr.s6_addr = address.octets();
            storage
        }
    }

    // SAFETY: all zeros are valid; and so is what lies between the fields, which the system reads.
    let mut request: GroupSource = unsafe { std::mem::zeroed() };
    request.interface = interface;
    request.group = storage(group);
    request.source = storage(source);
    // <linux/in.h>
    let option = if join { 46 } else { 47 };
    // SAFETY: the structure has the layout and the size that the option takes.
    let result = unsafe {
        libc::setsockopt(
            fd.as_raw_fd(),
            libc::IPPROTO_IPV6,
            option,
            (&raw const request).cast(),
            size_of::<GroupSource>() as libc::socklen_t,
        )
    };
    if result == 0 { Ok(()) } else { Err(Error::from(std::io::Error::last_os_error())) }
}

#[cfg(not(target_os = "linux"))]
pub(crate) fn set_source_membership(
    _: BorrowedFd<'_>,
    _: Ipv6Addr,
    _: u32,
    _: Ipv6Addr,
    _: bool,
) -> Result<()> {
    Err(Error::from_code(libc::ENOPROTOOPT))
}
