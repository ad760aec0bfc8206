//! Text and bytes of internet addresses.
//!
//! Literals are read and written as everywhere else, by RFC 4291 and RFC 5952, but that an IPv4 address in the last 32 bits
//! of an IPv6 one is dotted also where it is not mapped but compatible: `::1.2.3.4`.

use std::fmt::Write;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Reads an IPv4 literal: four decimal octets without leading zeros.
pub fn parse_v4(text: &[u8]) -> Option<Ipv4Addr> {
    std::str::from_utf8(text).ok()?.parse().ok()
}

/// Reads an IPv6 literal. What follows a `%`, a zone, is dropped.
///
/// ```
/// use coutil_system::net::address::{literal, parse_v6};
///
/// let address = parse_v6(b"::FFFF:c000:280%eth0").unwrap();
/// assert_eq!(literal(address.into()), "::ffff:192.0.2.128");
/// ```
pub fn parse_v6(text: &[u8]) -> Option<Ipv6Addr> {
    let text = text.split(|&byte| byte == b'%').next()?;
    std::str::from_utf8(text).ok()?.parse().ok()
}

/// The canonical literal of an address.
pub fn literal(address: IpAddr) -> String {
    let IpAddr::V6(address) = address else { return address.to_string() };
    let groups = address.segments();
    // The standard library writes only mapped addresses with dots.
    if groups[..6] == [0; 6] && groups[6] != 0 {
        let [.., a, b, c, d] = address.octets();
        return format!("::{}", Ipv4Addr::new(a, b, c, d));
    }
    let mut text = String::new();
    let _ = write!(text, "{address}");
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn literals_are_canonical() {
        // [50 1.13]
        for (text, canonical) in [
            ("::", "::"),
            ("::1", "::1"),
            ("0:0:0:0:0:0:0304:0", "::3.4.0.0"),
            ("::304", "::304"),
            ("::102:304", "::1.2.3.4"),
            ("::FFFF:192.168.0.1", "::ffff:192.168.0.1"),
            ("::fffe:102:304", "::fffe:102:304"),
            ("1:0:0:2:0:0:0:3", "1:0:0:2::3"),
            ("1:0:0:2:3:0:0:4", "1::2:3:0:0:4"),
            ("1:0:2:3:4:5:6:7", "1:0:2:3:4:5:6:7"),
            ("fe80::1%eth0", "fe80::1"),
        ] {
            let address = parse_v6(text.as_bytes()).expect(text);
            assert_eq!(literal(address.into()), canonical, "{text}");
        }
    }

    #[test]
    fn what_is_no_literal_is_refused() {
        // [50 1.9]
        for text in ["localhost", "291.168.0.1", "1.2.3", "01.2.3.4", "1.2.3.4 ", "", "::1", "\u{e9}"] {
            assert_eq!(parse_v4(text.as_bytes()), None, "{text}");
        }
        for text in ["[::1]", "1.2.3.4", ":::", "1::2::3", "12345::", "", "%lo", "g::"] {
            assert_eq!(parse_v6(text.as_bytes()), None, "{text}");
        }
        assert_eq!(parse_v6(b"\xff\xfe"), None);
    }
}
