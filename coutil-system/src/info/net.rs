//! The network interfaces of the machine.

use crate::error::Result;
use crate::sys::ifaddrs::{self, Address, Entry};
use std::net::IpAddr;

/// An address of an interface.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Interface {
    /// The name of the interface.
    pub name: Vec<u8>,
    /// Whether it leads back to this machine.
    pub loopback: bool,
    /// One of its addresses.
    pub address: IpAddr,
    /// The mask of the network, of the same family.
    pub mask: IpAddr,
    /// The hardware address, zeros if it has none.
    pub hardware: [u8; 6],
}

impl Interface {
    /// The length of the prefix: the bits that are set at the beginning of the mask.
    pub fn prefix(&self) -> u32 {
        match self.mask {
            IpAddr::V4(mask) => u32::from(mask).leading_ones(),
            IpAddr::V6(mask) => u128::from(mask).leading_ones(),
        }
    }
}

fn without_alias(name: &[u8]) -> &[u8] {
    name.split(|byte| *byte == b':').next().unwrap_or(name)
}

fn addresses(entries: &[Entry]) -> Vec<Interface> {
    let hardware = |name: &[u8]| {
        entries.iter().find_map(|entry| match entry.address {
            Address::Link(bytes) if entry.name == without_alias(name) => Some(bytes),
            _ => None,
        })
    };
    let running = entries.iter().filter(|entry| entry.running);
    running
        .filter_map(|entry| {
            let Address::Ip(address, mask) = entry.address else { return None };
            let none: IpAddr = if address.is_ipv4() { [0; 4].into() } else { [0; 16].into() };
            Some(Interface {
                name: entry.name.clone(),
                loopback: entry.loopback,
                address,
                mask: mask.filter(|mask| mask.is_ipv4() == address.is_ipv4()).unwrap_or(none),
                hardware: hardware(&entry.name).unwrap_or_default(),
            })
        })
        .collect()
}

/// The addresses of all interfaces that are up and running, in the order of the system: getifaddrs(3).
///
/// # Errors
///
/// Those of getifaddrs(3).
pub fn interfaces() -> Result<Vec<Interface>> {
    Ok(addresses(&ifaddrs::all()?))
}

/// The name of the interface with that index: if_indextoname(3).
///
/// # Errors
///
/// `no such device or address`.
pub fn interface_name(index: u32) -> Result<Vec<u8>> {
    ifaddrs::name(index)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn aliases_share_the_hardware_address() {
        // [30 N4] [30 N6]
        let entry = |name: &str, running, address| Entry {
            name: name.into(),
            loopback: name == "lo",
            running,
            address,
        };
        let ip = |host: [u8; 4], mask: [u8; 4]| Address::Ip(host.into(), Some(mask.into()));
        let found = addresses(&[
            entry("lo", true, Address::Link([0; 6])),
            entry("eth0", true, Address::Link([1, 2, 3, 4, 5, 6])),
            entry("tun0", true, Address::Other),
            entry("lo", true, ip([127, 0, 0, 1], [255, 0, 0, 0])),
            entry("eth0", true, ip([10, 0, 0, 1], [255, 255, 240, 0])),
            entry("eth0:1", true, ip([10, 0, 0, 2], [255, 255, 255, 255])),
            entry("eth1", false, ip([10, 1, 0, 1], [255, 0, 0, 0])),
            entry("tun0", true, Address::Ip([0; 16].into(), None)),
        ]);
        let names: Vec<_> = found.iter().map(|entry| entry.name.as_slice()).collect();
        assert_eq!(names, [&b"lo"[..], b"eth0", b"eth0:1", b"tun0"]);
        let prefixes: Vec<_> = found.iter().map(Interface::prefix).collect();
        assert_eq!(prefixes, [8, 20, 32, 0]);
        assert_eq!(found[1].hardware, [1, 2, 3, 4, 5, 6]);
        assert_eq!(found[2].hardware, found[1].hardware);
        assert!(found[0].loopback && !found[1].loopback);
        assert!(found[3].mask.is_ipv6() && found[3].hardware == [0; 6]);
    }
}
