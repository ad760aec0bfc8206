//! The network interfaces of the machine: getifaddrs(3), if_indextoname(3).

#![allow(unsafe_code)]

use crate::error::{Error, Result};
use std::ffi::{CStr, c_int};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// An entry of the list of interfaces.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) name: Vec<u8>,
    pub(crate) loopback: bool,
    pub(crate) running: bool,
    pub(crate) address: Address,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Address {
    Ip(IpAddr, Option<IpAddr>),
    Link([u8; 6]),
    Other,
}

unsafe fn ip(address: *const libc::sockaddr) -> Option<IpAddr> {
    // SAFETY: the caller gives a valid address, whose family says what it is. It may be aligned for that only.
    unsafe {
        if address.is_null() {
            return None;
        }
        match c_int::from((*address).sa_family) {
            libc::AF_INET => {
                let v4 = address.cast::<libc::sockaddr_in>().read_unaligned();
                Some(Ipv4Addr::from(u32::from_be(v4.sin_addr.s_addr)).into())
            }
            libc::AF_INET6 => {
                let v6 = address.cast::<libc::sockaddr_in6>().read_unaligned();
                Some(Ipv6Addr::from(v6.sin6_addr.s6_addr).into())
            }
            _ => None,
        }
    }
}

/// The hardware address, as far as it has six bytes.
#[cfg(target_os = "linux")]
unsafe fn link(address: *const libc::sockaddr) -> Option<[u8; 6]> {
    // SAFETY: as `ip`.
    unsafe {
        if address.is_null() || c_int::from((*address).sa_family) != libc::AF_PACKET {
            return None;
        }
        let link = address.cast::<libc::sockaddr_ll>().read_unaligned();
        let [a, b, c, d, e, f, ..] = link.sll_addr;
        Some([a, b, c, d, e, f])
    }
}

#[cfg(not(target_os = "linux"))]
unsafe fn link(address: *const libc::sockaddr) -> Option<[u8; 6]> {
    // SAFETY: as `ip`. The address follows the name in the data.
    unsafe {
        if address.is_null() || c_int::from((*address).sa_family) != libc::AF_LINK {
            return None;
        }
        let link = address.cast::<libc::sockaddr_dl>();
        let start = usize::from((*link).sdl_nlen);
        let data = (&raw const (*link).sdl_data).cast::<u8>().add(start);
        let mut bytes = [0; 6];
        if usize::from((*link).sdl_alen) >= bytes.len() {
            std::ptr::copy_nonoverlapping(data, bytes.as_mut_ptr(), bytes.len());
        }
        Some(bytes)
    }
}

/// All entries, in the order of the system.
pub(crate) fn all() -> Result<Vec<Entry>> {
    /// Frees the list.
    struct List(*mut libc::ifaddrs);
    impl Drop for List {
        fn drop(&mut self) {
            // SAFETY: the list is that of `getifaddrs`.
            unsafe { libc::freeifaddrs(self.0) };
        }
    }
    let mut entries = Vec::new();
    // SAFETY: a list that ends with a null; its entries have a name, and valid addresses or none.
    unsafe {
        let mut first = std::ptr::null_mut();
        if libc::getifaddrs(&mut first) != 0 {
            return Err(Error::from(std::io::Error::last_os_error()));
        }
        let list = List(first);
        let mut next = list.0;
        while let Some(entry) = next.as_ref() {
            next = entry.ifa_next;
            let flags = entry.ifa_flags as c_int;
            let address = match (ip(entry.ifa_addr), link(entry.ifa_addr)) {
                (Some(address), _) => Address::Ip(address, ip(entry.ifa_netmask)),
                (None, Some(link)) => Address::Link(link),
                (None, None) => Address::Other,
            };
            entries.push(Entry {
                name: CStr::from_ptr(entry.ifa_name).to_bytes().to_vec(),
                loopback: flags & libc::IFF_LOOPBACK != 0,
                running: flags & libc::IFF_UP != 0 && flags & libc::IFF_RUNNING != 0,
                address,
            });
        }
    }
    Ok(entries)
}

/// The name of the interface with that index.
pub(crate) fn name(index: u32) -> Result<Vec<u8>> {
    let mut name = [0u8; libc::IF_NAMESIZE];
    // SAFETY: the room is as large as a name.
    let found = unsafe { libc::if_indextoname(index, name.as_mut_ptr().cast()) };
    if found.is_null() {
        return Err(Error::from(std::io::Error::last_os_error()));
    }
    Ok(name.split(|byte| *byte == 0).next().unwrap_or_default().to_vec())
}
