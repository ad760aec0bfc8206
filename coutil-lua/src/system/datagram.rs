//! UDP sockets (50 §5, §6.5, §6.6).

use super::address::{self, Address, to_address};
use super::run::{Attempted, attempted};
use super::socket::{UDP, bind, check_open, close, get_address, get_domain};
use super::stream::{Data, check_unused};
use super::wait::{Operation, check_process, suspend};
use super::{Class, Reading, What, push_result};
use crate::memory::object::{Memory, check_array};
use crate::raw::error::{AWAIT, DIRECT, type_error};
use crate::raw::{Functions, args, c_int, lua_State};
use crate::state::StateRef;
use crate::suspend::check_yieldable;
use coutil_system::Error;
use coutil_system::core::OpId;
use coutil_system::net::address::{parse_v4, parse_v6};
use coutil_system::net::{Interface, interface_index};
use mlua::ffi;
use std::ffi::CStr;
use std::net::{IpAddr, Ipv4Addr};

pub(crate) const METHODS: Functions<'_> = &[
    (c"close", close::<UDP>),
    (c"getdomain", get_domain::<UDP>),
    (c"getaddress", get_address::<UDP>),
    (c"bind", bind::<UDP>),
    (c"setoption", set_option),
    (c"connect", connect),
];

pub(crate) const AWAITS: Functions<'_> = &[(c"write", write), (c"read", read)];

/// `connect(address)`, `connect(nil)` → true
unsafe extern "C-unwind" fn connect(L: *mut lua_State) -> c_int {
    // SAFETY: arguments are checked.
    unsafe {
        let state = StateRef::of(L);
        let socket = *check_open(L, DIRECT, state, Class::Udp);
        let peer = match ffi::lua_type(L, 2) {
            ffi::LUA_TNIL => None,
            _ => Some(address::check(L, DIRECT, state, 2, socket.is_v6()).socket_address()),
        };
        let result = state.with(L, |state| state.system().core.set_peer(socket.source(), peer));
        push_result(L, result)
    }
}

/// `write(data [, i [, j [, address]]])` → true
unsafe extern "C-unwind" fn write(L: *mut lua_State) -> c_int {
    // SAFETY: arguments are checked before anything is started.
    unsafe {
        let state = StateRef::of(L);
        let socket = *check_open(L, AWAIT, state, Class::Udp);
        check_yieldable(L);
        let to = match state.touch(|state| state.system().core.has_peer(socket.source())) {
            true => None,
            false => Some(address::check(L, AWAIT, state, 5, socket.is_v6()).socket_address()),
        };
        check_array(L, AWAIT, 2);
        let i = args::opt_integer(L, AWAIT, 3, 1);
        let j = args::opt_integer(L, AWAIT, 4, -1);
        check_process(L, state);
        let data = Data::of(L, 2);
        let operation = Operation::on(1, What::Write);
        suspend(L, state, operation, move |system, op| {
            let bytes = data.region(i, j);
            system.core.send(op, socket.source(), bytes, to)
        })
    }
}

/// `read(buffer [, i [, j [, address]]])` → count, truncated
unsafe extern "C-unwind" fn read(L: *mut lua_State) -> c_int {
    // SAFETY: arguments are checked before anything is started. Memory and address are anchored while the coroutine waits.
    unsafe {
        let state = StateRef::of(L);
        let socket = *check_open(L, AWAIT, state, Class::Udp);
        let Some(memory) = Memory::find(L, 2) else { type_error(L, AWAIT, 2, c"memory") };
        let i = args::opt_integer(L, AWAIT, 3, 1);
        let j = args::opt_integer(L, AWAIT, 4, -1);
        let address = to_address(L, state, 5);
        if let Some(address) = address
            && (*address).is_v6() != socket.is_v6()
        {
            args::bad(L, AWAIT, 5, c"wrong domain");
        }
        check_unused(L, state, socket.source());
        check_yieldable(L);
        check_process(L, state);
        let extra = if address.is_some() { 5 } else { 0 };
        let what = What::Read { memory, i, j, kind: Reading::Datagram };
        let operation = Operation { what, object: 1, buffer: 2, extra };
        suspend(L, state, operation, move |system, op| system.core.read(op, socket.source()))
    }
}

/// Delivers a read. [-0, +2]
pub(crate) unsafe fn receive(L: *mut lua_State, state: StateRef, op: OpId, buffer: &mut [u8]) -> Attempted {
    // SAFETY: the address is anchored as long as the operation.
    unsafe {
        match state.with(L, |state| attempted(state.system().core.try_receive(op, buffer))) {
            Some(Ok(datagram)) => {
                let sender = state.touch(|state| state.system().senders.get(&op.index()).copied());
                if let (Some(address), Some(from)) = (sender, datagram.from) {
                    *address = Address::of(from);
                }
                ffi::lua_pushinteger(L, datagram.len as ffi::lua_Integer);
                ffi::lua_pushboolean(L, datagram.truncated.into());
                Attempted::Results(2)
            }
            Some(Err(error)) => Attempted::Failed(error),
            None => Attempted::Waits,
        }
    }
}

/// A literal at `arg`, with its zone: `None` for nil or no argument. Raises.
unsafe fn opt_literal<'a>(L: *mut lua_State, arg: c_int) -> Option<&'a [u8]> {
    // SAFETY: the string lives on the stack.
    unsafe {
        if args::is_absent(L, arg) {
            return None;
        }
        let (text, _) = args::check_string(L, DIRECT, arg);
        Some(CStr::from_ptr(text.cast()).to_bytes())
    }
}

/// Reads a literal of either family.
fn parse(literal: &[u8]) -> Result<IpAddr, Error> {
    let v4 = parse_v4(literal).map(IpAddr::V4);
    v4.or_else(|| parse_v6(literal).map(IpAddr::V6)).ok_or(Error::from_code(libc::EINVAL))
}

/// The interface that a literal stands for.
fn interface(literal: &[u8]) -> Result<Interface, Error> {
    Ok(match parse(literal)? {
        IpAddr::V4(address) => Interface::V4(address),
        IpAddr::V6(_) => {
            let zone = literal.iter().position(|byte| *byte == b'%');
            Interface::V6(zone.map_or(0, |at| interface_index(&literal[at + 1..])))
        }
    })
}

const OPTIONS: [&CStr; 6] =
    [c"broadcast", c"mcastloop", c"mcastttl", c"mcastiface", c"mcastjoin", c"mcastleave"];

/// `setoption(name, ...)` → true
unsafe extern "C-unwind" fn set_option(L: *mut lua_State) -> c_int {
    // SAFETY: arguments are checked; strings live on the stack.
    unsafe {
        let state = StateRef::of(L);
        let socket = *check_open(L, DIRECT, state, Class::Udp);
        let (source, v6) = (socket.source(), socket.is_v6());
        let option = args::check_option(L, DIRECT, 2, None, &OPTIONS);
        let on = ffi::lua_toboolean(L, 3) != 0;
        let result = match option {
            0 => state.with(L, |state| state.system().core.set_broadcast(source, on)),
            1 => state.with(L, |state| state.system().core.set_multicast_loop(source, v6, on)),
            2 => match u8::try_from(args::check_integer(L, DIRECT, 3)) {
                Ok(ttl @ 1..) => {
                    state.with(L, |state| state.system().core.set_multicast_ttl(source, v6, ttl))
                }
                _ => args::bad(L, DIRECT, 3, c"must be from 1 upto 255"),
            },
            3 => {
                let literal = opt_literal(L, 3);
                state.with(L, |state| {
                    let interface = match literal {
                        Some(literal) => interface(literal)?,
                        None if v6 => Interface::V6(0),
                        None => Interface::V4(Ipv4Addr::UNSPECIFIED),
                    };
                    state.system().core.set_multicast_interface(source, interface)
                })
            }
            _ => {
                let (group, _) = args::check_string(L, DIRECT, 3);
                let group = CStr::from_ptr(group.cast()).to_bytes();
                let (local, sender) = (opt_literal(L, 4), opt_literal(L, 5));
                state.with(L, |state| {
                    let group = parse(group)?;
                    let interface = match (local, group) {
                        (Some(literal), _) => interface(literal)?,
                        (None, IpAddr::V4(_)) => Interface::V4(Ipv4Addr::UNSPECIFIED),
                        (None, IpAddr::V6(_)) => Interface::V6(0),
                    };
                    let sender = sender.map(parse).transpose()?;
                    state.system().core.set_membership(source, group, interface, sender, option == 4)
                })
            }
        };
        push_result(L, result)
    }
}
