//! `system.address`, and address objects (50 §1).

use super::{Class, check_object, set_class, to_object};
use crate::memory::object::check_array;
use crate::raw::error::{DIRECT, argument, raise_text};
use crate::raw::{Functions, args, c_int, lua_State};
use crate::state::StateRef;
use coutil_system::net::address::{literal, parse_v4, parse_v6};
use mlua::ffi;
use std::ffi::CStr;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

pub(crate) const FUNCTIONS: Functions<'_> = &[(c"address", address)];

pub(crate) const METAMETHODS: Functions<'_> =
    &[(c"__index", index), (c"__newindex", new_index), (c"__eq", equals), (c"__tostring", to_string)];

/// The contents of an address object. Any bytes of a userdata of that size that is not ours are one too.
#[repr(C)]
#[derive(Clone, Copy)]
pub(crate) struct Address {
    v6: u8,
    pub(crate) port: u16,
    bytes: [u8; 16],
}

impl Address {
    fn new(host: IpAddr, port: u16) -> Self {
        let mut bytes = [0; 16];
        match host {
            IpAddr::V4(host) => bytes[..4].copy_from_slice(&host.octets()),
            IpAddr::V6(host) => bytes = host.octets(),
        }
        Self { v6: host.is_ipv6().into(), port, bytes }
    }

    pub(crate) fn is_v6(&self) -> bool {
        self.v6 != 0
    }

    fn host_bytes(&self) -> &[u8] {
        &self.bytes[..if self.is_v6() { 16 } else { 4 }]
    }

    fn host(&self) -> IpAddr {
        let [a, b, c, d, ..] = self.bytes;
        if self.is_v6() { Ipv6Addr::from(self.bytes).into() } else { Ipv4Addr::new(a, b, c, d).into() }
    }

    /// As the loop takes it.
    pub(crate) fn socket_address(&self) -> SocketAddr {
        SocketAddr::new(self.host(), self.port)
    }

    /// Of the same address.
    pub(crate) fn of(address: SocketAddr) -> Self {
        Self::new(address.ip(), address.port())
    }
}

/// The names of the types, and of the domains of sockets.
pub(crate) const TYPES: [&CStr; 2] = [c"ipv4", c"ipv6"];

/// Pushes a new address object. [-0, +1] Raises for memory.
pub(crate) unsafe fn push(L: *mut lua_State, address: Address) {
    // SAFETY: the userdata is as large as an address.
    unsafe {
        let block = crate::raw::compat::new_userdata(L, size_of::<Address>());
        block.cast::<Address>().write_unaligned(address);
        set_class(L, Class::Address);
    }
}

/// The address object at `index`, if it is one. [-0, +0]
pub(crate) unsafe fn to_address(L: *mut lua_State, state: StateRef, index: c_int) -> Option<*mut Address> {
    // SAFETY: as the callee.
    unsafe { to_object(L, state, index, Class::Address) }
}

/// The address object at `arg`, of that domain. Raises.
pub(crate) unsafe fn check(
    L: *mut lua_State,
    frame: c_int,
    state: StateRef,
    arg: c_int,
    v6: bool,
) -> Address {
    // SAFETY: as the callees.
    unsafe {
        let address = *check_object::<Address>(L, frame, state, arg, Class::Address);
        if address.is_v6() != v6 {
            args::bad(L, frame, arg, c"wrong domain");
        }
        address
    }
}

/// Why a text is no address.
#[derive(Clone, Copy)]
enum Fault {
    Uri,
    Port,
    Literal,
}

/// Text for the system ends at its first NUL.
fn until_nul(text: &[u8]) -> &[u8] {
    text.split(|&byte| byte == 0).next().unwrap_or(text)
}

fn parse_host(text: &[u8], v6: bool) -> Result<IpAddr, Fault> {
    let text = until_nul(text);
    let host = if v6 { parse_v6(text).map(IpAddr::V6) } else { parse_v4(text).map(IpAddr::V4) };
    host.ok_or(Fault::Literal)
}

/// Reads `host:port`, or `[host]:port`.
fn parse_uri(text: &[u8], v6: bool) -> Result<Address, Fault> {
    /// The longest literal that the original takes.
    const LONGEST: usize = 47;
    let (host, port) = if v6 {
        let end = text.iter().position(|&byte| byte == b']').ok_or(Fault::Uri)?;
        let port = text[end + 1..].strip_prefix(b":").ok_or(Fault::Uri)?;
        (text[..end].get(1..).ok_or(Fault::Uri)?, port)
    } else {
        let colon = text.iter().position(|&byte| byte == b':').ok_or(Fault::Uri)?;
        (&text[..colon], &text[colon + 1..])
    };
    if port.is_empty() || host.len() > LONGEST {
        return Err(Fault::Uri);
    }
    let mut number: u32 = 0;
    for byte in port {
        if !byte.is_ascii_digit() {
            return Err(Fault::Port);
        }
        number = (number * 10 + u32::from(byte - b'0')).min(65536);
    }
    let port = u16::try_from(number).map_err(|_| Fault::Port)?;
    Ok(Address::new(parse_host(host, v6)?, port))
}

/// `address(type [, uri])`, `address(type, host, port [, mode])`
unsafe extern "C-unwind" fn address(L: *mut lua_State) -> c_int {
    // SAFETY: arguments are checked; the bytes are read before anything runs that could change them.
    unsafe {
        let count = ffi::lua_gettop(L);
        let v6 = args::check_option(L, DIRECT, 1, None, &TYPES) == 1;
        let new = match count {
            0 | 1 => {
                let host =
                    if v6 { IpAddr::V6(Ipv6Addr::UNSPECIFIED) } else { IpAddr::V4(Ipv4Addr::UNSPECIFIED) };
                Ok(Address::new(host, 0))
            }
            2 => {
                let (bytes, len) = check_array(L, DIRECT, 2);
                crate::raw::run(L, || parse_uri(std::slice::from_raw_parts(bytes, len), v6))
            }
            _ => {
                check_array(L, DIRECT, 2);
                let binary = {
                    let mut mode: &[u8] = b"t";
                    if !args::is_absent(L, 4) {
                        let (text, _) = args::check_string(L, DIRECT, 4);
                        mode = CStr::from_ptr(text.cast()).to_bytes();
                    }
                    let port = check_port(L, 3, 3);
                    if mode != b"t" && mode != b"b" {
                        args::bad(L, DIRECT, 4, c"invalid mode");
                    }
                    (mode == b"b", port)
                };
                let (binary, port) = binary;
                let (bytes, len) = check_array(L, DIRECT, 2);
                let bytes = std::slice::from_raw_parts(bytes, len);
                if binary {
                    let mut address = Address::new(Ipv4Addr::UNSPECIFIED.into(), port);
                    address.v6 = v6.into();
                    if !set_binary(&mut address, bytes) {
                        args::bad(L, DIRECT, 2, c"invalid binary address");
                    }
                    Ok(address)
                } else {
                    crate::raw::run(L, || parse_host(bytes, v6).map(|host| Address::new(host, port)))
                }
            }
        };
        match new {
            Ok(address) => {
                push(L, address);
                1
            }
            Err(Fault::Uri) => args::bad(L, DIRECT, 2, c"invalid URI format"),
            Err(Fault::Port) => args::bad(L, DIRECT, 2, c"invalid port"),
            Err(Fault::Literal) => raise_text(L, DIRECT, c"invalid argument"),
        }
    }
}

unsafe fn check_port(L: *mut lua_State, arg: c_int, blamed: c_int) -> u16 {
    // SAFETY: as the callee.
    unsafe {
        match u16::try_from(args::check_integer(L, DIRECT, arg)) {
            Ok(port) => port,
            Err(_) => args::bad(L, DIRECT, blamed, c"invalid port"),
        }
    }
}

fn set_binary(address: &mut Address, bytes: &[u8]) -> bool {
    let len = address.host_bytes().len();
    if bytes.len() != len {
        return false;
    }
    address.bytes[..len].copy_from_slice(bytes);
    true
}

unsafe fn check_self(L: *mut lua_State) -> *mut Address {
    // SAFETY: as the callee.
    unsafe { check_object(L, DIRECT, StateRef::of(L), 1, Class::Address) }
}

unsafe fn bad_field(L: *mut lua_State) -> ! {
    // SAFETY: the key is on the stack, and a string.
    unsafe {
        let detail = ffi::lua_pushfstring(L, c"invalid option '%s'".as_ptr(), ffi::lua_tostring(L, 2));
        argument(L, DIRECT, 2, detail)
    }
}

const FIELDS: [&CStr; 4] = [c"type", c"literal", c"binary", c"port"];

unsafe extern "C-unwind" fn index(L: *mut lua_State) -> c_int {
    // SAFETY: arguments are checked.
    unsafe {
        let address = *check_self(L);
        match args::check_option(L, DIRECT, 2, None, &FIELDS) {
            0 => ffi::lua_pushstring(L, TYPES[usize::from(address.is_v6())].as_ptr()),
            1 => return push_text(L, || literal(address.host())),
            2 => {
                let bytes = address.host_bytes();
                ffi::lua_pushlstring(L, bytes.as_ptr().cast(), bytes.len())
            }
            _ => {
                ffi::lua_pushinteger(L, address.port.into());
                return 1;
            }
        };
        1
    }
}

unsafe extern "C-unwind" fn new_index(L: *mut lua_State) -> c_int {
    // SAFETY: arguments are checked; the object is changed only when all is well.
    unsafe {
        let object = check_self(L);
        let mut address = *object;
        match args::check_option(L, DIRECT, 2, None, &FIELDS) {
            1 => {
                let (text, len) = args::check_string(L, DIRECT, 3);
                let text = std::slice::from_raw_parts(text, len);
                match crate::raw::run(L, || parse_host(text, address.is_v6())) {
                    Ok(host) => address = Address::new(host, address.port),
                    Err(_) => raise_text(L, DIRECT, c"invalid argument"),
                }
            }
            2 => {
                let (bytes, len) = check_array(L, DIRECT, 3);
                if !set_binary(&mut address, std::slice::from_raw_parts(bytes, len)) {
                    args::bad(L, DIRECT, 3, c"wrong byte size");
                }
            }
            3 => address.port = check_port(L, 3, 3),
            _ => bad_field(L),
        }
        *object = address;
        0
    }
}

unsafe extern "C-unwind" fn equals(L: *mut lua_State) -> c_int {
    // SAFETY: both are checked.
    unsafe {
        let state = StateRef::of(L);
        let same = match (to_address(L, state, 1), to_address(L, state, 2)) {
            (Some(one), Some(other)) => {
                let (one, other) = (*one, *other);
                one.is_v6() == other.is_v6()
                    && one.port == other.port
                    && one.host_bytes() == other.host_bytes()
            }
            _ => false,
        };
        ffi::lua_pushboolean(L, same.into());
        1
    }
}

unsafe extern "C-unwind" fn to_string(L: *mut lua_State) -> c_int {
    // SAFETY: as the callees.
    unsafe {
        let address = *check_self(L);
        push_text(L, || {
            let host = literal(address.host());
            if address.is_v6() {
                format!("[{host}]:{}", address.port)
            } else {
                format!("{host}:{}", address.port)
            }
        })
    }
}

/// Pushes a short text. [-0, +1] Raises for memory.
unsafe fn push_text(L: *mut lua_State, text: impl FnOnce() -> String) -> c_int {
    // SAFETY: nothing with a destructor is live when Lua is called.
    unsafe {
        let mut bytes = [0u8; 64];
        let len = crate::raw::run(L, || {
            let text = text();
            let len = text.len().min(bytes.len());
            bytes[..len].copy_from_slice(&text.as_bytes()[..len]);
            len
        });
        ffi::lua_pushlstring(L, bytes.as_ptr().cast(), len);
        1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uris_are_taken_apart() {
        // [50 1.2] [50 1.3] [50 1.6]
        let port = |text: &[u8], v6| parse_uri(text, v6).ok().map(|address| address.port);
        assert_eq!(port(b"1.2.3.4:80", false), Some(80));
        assert_eq!(port(b"1.2.3.4:00080", false), Some(80));
        assert_eq!(port(b"[::1]:65535", true), Some(65535));
        assert_eq!(port(b"x::1]:1", true), Some(1));
        for (text, v6) in [
            (&b""[..], false),
            (b"1.2.3.4", false),
            (b"1.2.3.4:", false),
            (b"]:1", true),
            (b"[::1]", true),
            (b"[::1]80", true),
            (b"", true),
        ] {
            assert!(matches!(parse_uri(text, v6), Err(Fault::Uri)), "{text:?}");
        }
        for text in
            [&b"1.2.3.4:65536"[..], b"1.2.3.4:-80", b"1.2.3.4:0x50", b"x:80 ", b"x:8\x000", b"x:99999999999"]
        {
            assert!(matches!(parse_uri(text, false), Err(Fault::Port)), "{text:?}");
        }
    }
}
