//! `system.findaddr`, `system.nameaddr`, and lists of addresses (50 §2, §3).

use super::address::{self, Address, TYPES, to_address};
use super::task::{self, Output};
use super::wait::{check_process, suspend};
use super::{Class, check_object, push_failure, set_class, to_object};
use crate::raw::error::{AWAIT, DIRECT, raise_byte, type_error};
use crate::raw::{Functions, args, c_int, compat, lua_State};
use crate::state::StateRef;
use crate::suspend::check_yieldable;
use coutil_system::net::names::{self, Family, Hints, Host, NameFlags, Service, SocketType};
use coutil_system::{Error, Result};
use mlua::ffi;
use std::ffi::CStr;
use std::mem::offset_of;

pub(crate) const AWAITS: Functions<'_> = &[(c"findaddr", find_address), (c"nameaddr", name_address)];

pub(crate) const METHODS: Functions<'_> = &[
    (c"close", close),
    (c"next", next),
    (c"reset", reset),
    (c"getaddress", get_address),
    (c"getdomain", get_domain),
    (c"getsocktype", get_socket_type),
];

pub(crate) const METAMETHODS: Functions<'_> = &[(c"__gc", release), (c"__close", release)];

/// An entry of a list. Any bytes are one.
#[repr(C)]
#[derive(Clone, Copy)]
struct Entry {
    address: Address,
    kind: u8,
}

/// The names of [`Entry::kind`].
const KINDS: [&CStr; 3] = [c"datagram", c"stream", c"passive"];
const DATAGRAM: u8 = 0;
const STREAM: u8 = 1;
const PASSIVE: u8 = 2;

/// The contents of a list object. How many entries there are its size says, so any bytes of a userdata of at least that size
/// are a list too.
#[repr(C)]
#[derive(Clone, Copy)]
struct List {
    position: u32,
    closed: u8,
    /// The first one; the others follow.
    entries: [Entry; 1],
}

impl List {
    const HEAD: usize = offset_of!(List, entries);

    const fn size(count: usize) -> usize {
        let size = Self::HEAD + count * size_of::<Entry>();
        if size < size_of::<Self>() { size_of::<Self>() } else { size }
    }

    /// Where an entry is in a userdata of that contents.
    unsafe fn entry(list: *mut Self, index: usize) -> *mut Entry {
        // SAFETY: the caller says that it is inside.
        unsafe { list.cast::<u8>().add(Self::HEAD).cast::<Entry>().add(index) }
    }
}

/// The text at `arg` up to its first NUL, as long as it stands there; `None` for nil or no argument. Raises.
unsafe fn opt_text(L: *mut lua_State, arg: c_int) -> Option<&'static [u8]> {
    // SAFETY: strings of Lua end with a NUL. Those who keep it keep it no longer than the argument stands on the stack.
    unsafe {
        if args::is_absent(L, arg) {
            return None;
        }
        let (text, _) = args::check_string(L, AWAIT, arg);
        Some(CStr::from_ptr(text.cast()).to_bytes())
    }
}

/// A name for the system. One that is not UTF-8 the original refuses in the same way.
fn name(text: &[u8]) -> Result<String> {
    match std::str::from_utf8(text) {
        Ok(text) => Ok(text.to_owned()),
        Err(_) => Err(Error::from_code(libc::EINVAL)),
    }
}

// Looking for addresses

/// How often each letter of the mode of `findaddr` stands there.
#[derive(Default)]
struct Letters {
    v4: u32,
    v6: u32,
    datagram: u32,
    stream: u32,
    mapped: bool,
    literal: bool,
}

impl Letters {
    /// Reads a mode, up to a letter that there is not.
    fn read(mode: &[u8]) -> std::result::Result<Self, u8> {
        let mut letters = Self::default();
        for letter in mode {
            match letter {
                b'4' => letters.v4 += 1,
                b'6' => letters.v6 += 1,
                b'd' => letters.datagram += 1,
                b's' => letters.stream += 1,
                b'm' => letters.mapped = true,
                b'n' => letters.literal = true,
                other => return Err(*other),
            }
        }
        Ok(letters)
    }

    /// `None`: mapped ones were asked for of IPv4.
    fn hints(&self) -> Option<Hints> {
        // A letter that is repeated counts as both of its group.
        let family = match (self.v4, self.v6, self.mapped) {
            (0, 0, false) => Family::Configured,
            (1, 0, false) => Family::V4,
            (1, 0, true) => return None,
            (0, 1, false) => Family::V6,
            (0, 1, true) => Family::V6OrMapped,
            (_, _, false) => Family::Any,
            (_, _, true) => Family::V6AndMapped,
        };
        let socket_type = match (self.datagram, self.stream) {
            (1, 0) => Some(SocketType::Datagram),
            (0, 1) => Some(SocketType::Stream),
            _ => None,
        };
        let mut hints = Hints::default();
        (hints.family, hints.socket_type, hints.literal) = (family, socket_type, self.literal);
        Some(hints)
    }
}

/// The service that is looked for.
#[derive(Clone, Copy)]
enum Port<'a> {
    Number(u16),
    Name(&'a [u8]),
    /// The number of the error that it is.
    Unknown(i32),
}

impl<'a> Port<'a> {
    /// `integral`: Lua takes the text for an integer.
    fn read(text: Option<&'a [u8]>, integral: bool) -> Self {
        match text {
            None | Some(b"") => Self::Number(0),
            Some(text) if text.iter().all(u8::is_ascii_digit) => {
                let number = std::str::from_utf8(text).ok().and_then(|text| text.parse().ok());
                number.map_or(Self::Unknown(3010), Self::Number)
            }
            Some(_) if integral => Self::Unknown(3008),
            Some(text) => Self::Name(text),
        }
    }
}

/// What `findaddr` results in.
struct Found {
    result: Result<Vec<names::Entry>>,
    /// Whether what is found for streams is to listen at.
    passive: bool,
}

impl Output for Found {
    unsafe fn push(&mut self, L: *mut lua_State, _: StateRef) -> c_int {
        // SAFETY: the userdata has room for all entries, and is complete before it gets its class.
        unsafe {
            let entries = match &self.result {
                Ok(entries) => entries,
                Err(error) => return push_failure(L, *error),
            };
            let count = entries.len();
            let list = compat::new_userdata(L, List::size(count)).cast::<List>();
            let stream = if self.passive { PASSIVE } else { STREAM };
            for (index, entry) in entries.iter().enumerate() {
                let kind = match entry.socket_type {
                    SocketType::Stream => stream,
                    SocketType::Datagram => DATAGRAM,
                };
                let entry = Entry { address: Address::of(entry.address), kind };
                List::entry(list, index).write(entry);
            }
            (&raw mut (*list).position).write(0);
            (&raw mut (*list).closed).write(0);
            set_class(L, Class::AddressList);
            1
        }
    }
}

/// `findaddr(name [, service [, mode]])` → addresses
unsafe extern "C-unwind" fn find_address(L: *mut lua_State) -> c_int {
    // SAFETY: arguments are checked before anything is started. The texts stand on the stack until it is.
    unsafe {
        let state = StateRef::of(L);
        check_yieldable(L);
        let host = opt_text(L, 1);
        let service = opt_text(L, 2);
        let mode = opt_text(L, 3).unwrap_or_default();
        let wildcard = host == Some(b"*");
        if service.is_none() {
            match host {
                None => args::bad(L, AWAIT, 1, c"name or service must be provided"),
                Some(_) if wildcard => args::bad(L, AWAIT, 2, c"service must be provided for '*'"),
                Some(_) => {}
            }
        }
        let letters = match Letters::read(mode) {
            Ok(letters) => letters,
            Err(byte) => raise_byte(L, AWAIT, c"unknown mode char", byte),
        };
        let Some(hints) = letters.hints() else { args::bad(L, AWAIT, 3, c"'m' is invalid for IPv4") };
        let mut integral = 0;
        ffi::lua_tointegerx(L, 2, &mut integral);
        let port = Port::read(service, integral != 0);
        check_process(L, state);
        suspend(L, state, task::OPERATION, move |system, op| {
            let host = host.map(name).transpose()?;
            let (number, service) = match port {
                Port::Number(number) => (number, None),
                Port::Name(text) => (0, Some(name(text).map_err(|_| Error::from_code(3010))?)),
                Port::Unknown(code) => return Err(Error::from_code(code)),
            };
            system.unblock(op, move || {
                let host = match &host {
                    None => Host::Loopback,
                    Some(_) if wildcard => Host::Wildcard,
                    Some(name) => Host::Name(name),
                };
                let service = service.as_deref().map_or(Service::Port(number), Service::Name);
                Found { result: names::find(host, service, hints), passive: wildcard }
            })
        })
    }
}

// Looking for names

/// What `nameaddr` results in.
enum Named {
    One(Result<String>),
    Two(Result<(String, String)>),
}

impl Output for Named {
    unsafe fn push(&mut self, L: *mut lua_State, _: StateRef) -> c_int {
        unsafe fn push(L: *mut lua_State, text: &str) {
            // SAFETY: the text stays where it is, as the output does.
            unsafe { ffi::lua_pushlstring(L, text.as_ptr().cast(), text.len()) };
        }
        // SAFETY: as the callees.
        unsafe {
            match self {
                Self::One(Ok(name)) => {
                    push(L, name);
                    1
                }
                Self::Two(Ok((host, service))) => {
                    push(L, host);
                    push(L, service);
                    2
                }
                Self::One(Err(error)) | Self::Two(Err(error)) => push_failure(L, *error),
            }
        }
    }
}

/// What is to be named.
#[derive(Clone, Copy)]
enum Subject {
    Host(&'static [u8]),
    Port(u16),
    Address(Address),
}

/// The mode of `nameaddr`. Raises.
unsafe fn check_name_flags(L: *mut lua_State, arg: c_int) -> NameFlags {
    // SAFETY: as the callees.
    unsafe {
        let mut flags = NameFlags::default();
        for letter in opt_text(L, arg).unwrap_or_default() {
            match letter {
                b'l' => flags.local = true,
                b'd' => flags.datagram = true,
                other => raise_byte(L, AWAIT, c"unknown mode char", *other),
            }
        }
        flags
    }
}

/// `nameaddr(name)` → canonical name; `nameaddr(port [, mode])` → service; `nameaddr(address [, mode])` → name, service
unsafe extern "C-unwind" fn name_address(L: *mut lua_State) -> c_int {
    // SAFETY: arguments are checked before anything is started. The name stands on the stack until it is.
    unsafe {
        let state = StateRef::of(L);
        check_yieldable(L);
        let mut flags = NameFlags::default();
        let subject = if ffi::lua_type(L, 1) == ffi::LUA_TSTRING {
            Subject::Host(opt_text(L, 1).unwrap_or_default())
        } else {
            flags = check_name_flags(L, 2);
            if ffi::lua_type(L, 1) == ffi::LUA_TNUMBER {
                let mut integral = 0;
                let port = ffi::lua_tointegerx(L, 1, &mut integral);
                // A number without an integer value counts as 0.
                let port = if integral != 0 { port as i64 } else { 0 };
                match u16::try_from(port) {
                    Ok(port) => Subject::Port(port),
                    Err(_) => args::bad(L, AWAIT, 1, c"invalid port"),
                }
            } else if let Some(address) = to_address(L, state, 1) {
                Subject::Address(*address)
            } else {
                type_error(L, AWAIT, 1, Class::Address.name())
            }
        };
        check_process(L, state);
        suspend(L, state, task::OPERATION, move |system, op| {
            let host = match subject {
                Subject::Host(text) => name(text)?,
                _ => String::new(),
            };
            system.unblock(op, move || match subject {
                Subject::Host(_) => Named::One(names::canonical_name(&host)),
                Subject::Port(port) => Named::One(names::service_name(port, flags.datagram)),
                Subject::Address(address) => Named::Two(names::name_of(address.socket_address(), flags)),
            })
        })
    }
}

// Lists of addresses

/// The list at index 1, which is open, and how many entries it has: at least one. Raises.
unsafe fn check_list(L: *mut lua_State) -> (*mut List, usize) {
    // SAFETY: as the callee.
    unsafe {
        let list = check_object::<List>(L, DIRECT, StateRef::of(L), 1, Class::AddressList);
        if (*list).closed != 0 {
            args::bad(L, DIRECT, 1, c"closed coutil:netaddrlist");
        }
        let bytes = ffi::lua_rawlen(L, 1) as usize;
        (list, ((bytes - List::HEAD) / size_of::<Entry>()).max(1))
    }
}

/// The entry at which the list at index 1 stands. Raises.
unsafe fn check_entry(L: *mut lua_State) -> Entry {
    // SAFETY: a stranger's list may stand anywhere.
    unsafe {
        let (list, count) = check_list(L);
        *List::entry(list, ((*list).position as usize).min(count - 1))
    }
}

/// `close()` → true
unsafe extern "C-unwind" fn close(L: *mut lua_State) -> c_int {
    // SAFETY: as the callee.
    unsafe {
        let (list, _) = check_list(L);
        (*list).closed = 1;
        ffi::lua_pushboolean(L, 1);
        1
    }
}

/// `__gc`, `__close`
unsafe extern "C-unwind" fn release(L: *mut lua_State) -> c_int {
    // SAFETY: any value may be given, also after the state was closed.
    unsafe {
        if let Some(state) = StateRef::of_finalizer(L)
            && let Some(list) = to_object::<List>(L, state, 1, Class::AddressList)
        {
            (*list).closed = 1;
        }
        0
    }
}

/// `next()` → whether there was another entry
unsafe extern "C-unwind" fn next(L: *mut lua_State) -> c_int {
    // SAFETY: as the callee.
    unsafe {
        let (list, count) = check_list(L);
        let next = ((*list).position as usize).saturating_add(1);
        let more = next < count;
        if more {
            (*list).position = next as u32;
        }
        ffi::lua_pushboolean(L, more.into());
        1
    }
}

/// `reset()`
unsafe extern "C-unwind" fn reset(L: *mut lua_State) -> c_int {
    // SAFETY: as the callee.
    unsafe {
        let (list, _) = check_list(L);
        (*list).position = 0;
        0
    }
}

/// `getaddress([address])` → address
unsafe extern "C-unwind" fn get_address(L: *mut lua_State) -> c_int {
    // SAFETY: as the callees.
    unsafe {
        let found = check_entry(L).address;
        match to_address(L, StateRef::of(L), 2) {
            Some(address) => {
                if (*address).is_v6() != found.is_v6() {
                    args::bad(L, DIRECT, 2, c"wrong domain");
                }
                *address = found;
                ffi::lua_pushvalue(L, 2);
            }
            None => address::push(L, found),
        }
        1
    }
}

/// `getdomain()` → `"ipv4"` or `"ipv6"`
unsafe extern "C-unwind" fn get_domain(L: *mut lua_State) -> c_int {
    // SAFETY: as the callee.
    unsafe {
        let v6 = check_entry(L).address.is_v6();
        ffi::lua_pushstring(L, TYPES[usize::from(v6)].as_ptr());
        1
    }
}

/// `getsocktype()` → `"datagram"`, `"stream"` or `"passive"`
unsafe extern "C-unwind" fn get_socket_type(L: *mut lua_State) -> c_int {
    // SAFETY: as the callee.
    unsafe {
        let kind = usize::from(check_entry(L).kind).min(KINDS.len() - 1);
        ffi::lua_pushstring(L, KINDS[kind].as_ptr());
        1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hints(mode: &str) -> Option<Hints> {
        Letters::read(mode.as_bytes()).ok().and_then(|letters| letters.hints())
    }

    #[test]
    fn letters_of_a_mode() {
        // [50 3.4]
        for (mode, family) in [
            ("", Family::Configured),
            ("4", Family::V4),
            ("6", Family::V6),
            ("46", Family::Any),
            ("44", Family::Any),
            ("66", Family::Any),
            ("m", Family::V6AndMapped),
            ("m46", Family::V6AndMapped),
            ("44m", Family::V6AndMapped),
            ("m6", Family::V6OrMapped),
            ("dns", Family::Configured),
        ] {
            assert_eq!(hints(mode).map(|hints| hints.family), Some(family), "{mode}");
        }
        for mode in ["m4", "4m", "sm4"] {
            assert_eq!(hints(mode), None);
        }
        for (mode, socket_type) in [
            ("", None),
            ("ds", None),
            ("dd", None),
            ("ss", None),
            ("d", Some(SocketType::Datagram)),
            ("n4s", Some(SocketType::Stream)),
        ] {
            assert_eq!(hints(mode).map(|hints| hints.socket_type), Some(socket_type), "{mode}");
        }
        assert!(hints("4n").is_some_and(|hints| hints.literal));
        assert_eq!(Letters::read(b"4\xff?").err(), Some(0xff));
    }

    #[test]
    fn services() {
        // [50 3.3]
        let number = |text: &str, integral| match Port::read(Some(text.as_bytes()), integral) {
            Port::Number(port) => i64::from(port),
            Port::Unknown(code) => -i64::from(code),
            Port::Name(_) => -1,
        };
        assert!(matches!(Port::read(None, false), Port::Number(0)));
        for (text, integral, expected) in [
            ("", false, 0),
            ("80", true, 80),
            ("00080", true, 80),
            ("65535", true, 65535),
            ("65536", true, -3010),
            ("99999999999999999999999", false, -3010),
            ("80.0", true, -3008),
            ("0x50", true, -3008),
            ("-1", true, -3008),
            ("ssh", false, -1),
        ] {
            assert_eq!(number(text, integral), expected, "{text}");
        }
    }
}
