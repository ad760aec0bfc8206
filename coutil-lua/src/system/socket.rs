//! `system.socket`, and what of TCP sockets does not await (50 §4, §5).

use super::address::{self, Address, TYPES, to_address};
use super::run::attempted;
use super::{Class, check_object, fail, push_failure, push_result, run, set_class};
use crate::raw::error::DIRECT;
use crate::raw::{Functions, args, c_int, compat, lua_State};
use crate::state::{self, StateRef, field};
use coutil_system::core::{OpId, SourceId};
use coutil_system::net::Side;
use coutil_system::{Error, Kind};
use mlua::ffi;

pub(crate) const FUNCTIONS: Functions<'_> = &[(c"socket", socket)];

const STREAM: usize = Class::TcpStream as usize;
const LISTENER: usize = Class::TcpListener as usize;

/// The methods of streams that do not await.
pub(crate) const STREAM_METHODS: Functions<'_> = &[
    (c"close", close::<STREAM>),
    (c"getdomain", get_domain::<STREAM>),
    (c"getaddress", get_address::<STREAM>),
    (c"bind", bind::<STREAM>),
    (c"setoption", set_option),
];

/// The methods of passive sockets that do not await.
pub(crate) const LISTENER_METHODS: Functions<'_> = &[
    (c"close", close::<LISTENER>),
    (c"getdomain", get_domain::<LISTENER>),
    (c"getaddress", get_address::<LISTENER>),
    (c"bind", bind::<LISTENER>),
    (c"listen", listen),
];

pub(crate) const STREAM_METAMETHODS: Functions<'_> =
    &[(c"__gc", collect::<STREAM, true>), (c"__close", collect::<STREAM, false>)];

pub(crate) const LISTENER_METAMETHODS: Functions<'_> =
    &[(c"__gc", collect::<LISTENER, true>), (c"__close", collect::<LISTENER, false>)];

/// The contents of a socket object. Any bytes of a userdata of that size that is not ours are one too: an id that names
/// nothing, or another socket.
#[repr(C)]
#[derive(Clone, Copy)]
pub(crate) struct Socket {
    source: u64,
    v6: u8,
    closed: u8,
}

impl Socket {
    pub(crate) fn source(&self) -> SourceId {
        SourceId::from_bits(self.source)
    }

    pub(crate) fn is_v6(&self) -> bool {
        self.v6 != 0
    }
}

const fn class(class: usize) -> Class {
    if class == STREAM { Class::TcpStream } else { Class::TcpListener }
}

/// The socket at index 1, of that class. Raises.
unsafe fn check_socket(L: *mut lua_State, frame: c_int, state: StateRef, class: Class) -> *mut Socket {
    // SAFETY: as the callee.
    unsafe { check_object(L, frame, state, 1, class) }
}

/// As [`check_socket`], and it is open. Raises.
pub(crate) unsafe fn check_open(
    L: *mut lua_State,
    frame: c_int,
    state: StateRef,
    class: Class,
) -> *mut Socket {
    // SAFETY: as the callee.
    unsafe {
        let socket = check_socket(L, frame, state, class);
        if (*socket).closed != 0 {
            args::bad(L, frame, 1, c"closed object");
        }
        socket
    }
}

/// Pushes a new object, without a socket yet. [-0, +1] Raises for memory.
unsafe fn push_empty(L: *mut lua_State, class: Class, v6: bool) -> *mut Socket {
    // SAFETY: the userdata is as large as a socket, and complete before it gets its class.
    unsafe {
        let socket = compat::new_userdata(L, size_of::<Socket>()).cast::<Socket>();
        socket.write(Socket { source: SourceId::NONE.to_bits(), v6: v6.into(), closed: 0 });
        set_class(L, class);
        socket
    }
}

/// `socket(type, domain)` → a socket
unsafe extern "C-unwind" fn socket(L: *mut lua_State) -> c_int {
    // SAFETY: arguments are checked. The object is there before the socket, so that nothing is lost.
    unsafe {
        let kind = args::check_option(L, DIRECT, 1, None, &[c"stream", c"passive", c"datagram"]);
        let domain = args::check_option(L, DIRECT, 2, None, &[c"ipv4", c"ipv6", c"local", c"share"]);
        let state = StateRef::of(L);
        if kind == 2 || domain > 1 {
            return push_failure(L, Error::SOCKET_TYPE);
        }
        let v6 = domain == 1;
        let (class, kind) = match kind {
            0 => (Class::TcpStream, Kind::TcpStream),
            _ => (Class::TcpListener, Kind::TcpListener),
        };
        let socket = push_empty(L, class, v6);
        match state.with(L, |state| state.system().core.tcp(kind, v6)) {
            Ok(source) => {
                (*socket).source = source.to_bits();
                1
            }
            Err(error) => fail(L, error),
        }
    }
}

/// Delivers an accept: pushes the new socket, or a failure. `None`: it waits again. [-0, +1 or 3] Raises for memory: then
/// nothing was accepted.
pub(crate) unsafe fn accept(L: *mut lua_State, state: StateRef, op: OpId) -> Option<c_int> {
    // SAFETY: the passive socket is open: closing it ends the operation.
    unsafe {
        let v6 = state.touch(|state| {
            let core = &state.system().core;
            let source = core.source_of(op).unwrap_or(SourceId::NONE);
            core.address(source, Side::Local).is_ok_and(|address| address.is_ipv6())
        });
        let socket = push_empty(L, Class::TcpStream, v6);
        match state.with(L, |state| attempted(state.system().core.try_accept(op))) {
            Some(Ok(source)) => {
                (*socket).source = source.to_bits();
                Some(1)
            }
            Some(Err(error)) => {
                (*socket).closed = 1;
                Some(push_failure(L, error))
            }
            None => {
                (*socket).closed = 1;
                ffi::lua_pop(L, 1);
                None
            }
        }
    }
}

/// `close()` → true
unsafe extern "C-unwind" fn close<const C: usize>(L: *mut lua_State) -> c_int {
    // SAFETY: what allocates comes first. The object counts as closed before anybody is told.
    unsafe {
        let state = StateRef::of(L);
        let socket = check_open(L, DIRECT, state, class(C));
        keep_closed(L, state);
        release(L, state, socket, false);
        ffi::lua_pushboolean(L, 1);
        1
    }
}

/// Keeps the object at index 1 until the loop runs (50 §5.1.4). [-0, +0] Raises for memory.
unsafe fn keep_closed(L: *mut lua_State, state: StateRef) {
    // SAFETY: the table is ours alone.
    unsafe {
        state::push_field(L, field::CLOSED);
        let count = state.touch(|state| {
            let system = state.system();
            system.closed_in = if system.running { system.core.passes() } else { u64::MAX };
            system.closed + 1
        });
        ffi::lua_pushvalue(L, 1);
        ffi::lua_rawseti(L, -2, count.into());
        ffi::lua_pop(L, 1);
        state.touch(|state| state.system().closed = count);
    }
}

/// Closes a socket, and tells whoever reads from it. One that is collected has nobody, unless the state is being closed:
/// then nobody is resumed.
unsafe fn release(L: *mut lua_State, state: StateRef, socket: *mut Socket, collected: bool) {
    // SAFETY: the object is on the stack.
    unsafe {
        let source = (*socket).source();
        (*socket).closed = 1;
        (*socket).source = SourceId::NONE.to_bits();
        match state.with(L, |state| state.system().core.close(source)) {
            Some(reader) if collected => {
                state.touch(|state| state.system().core.fail(reader, Error::CANCELED));
            }
            Some(reader) => run::tell_closed(L, state, reader),
            None => {}
        }
    }
}

/// `__gc`, `__close`
unsafe extern "C-unwind" fn collect<const C: usize, const COLLECTED: bool>(L: *mut lua_State) -> c_int {
    // SAFETY: any value may be given, also after the state was closed.
    unsafe {
        if let Some(state) = StateRef::of_finalizer(L)
            && let Some(socket) = super::to_object::<Socket>(L, state, 1, class(C))
            && (*socket).closed == 0
        {
            release(L, state, socket, COLLECTED);
        }
        0
    }
}

/// `getdomain()` → `"ipv4"` or `"ipv6"`, also of a closed socket (50 §5)
unsafe extern "C-unwind" fn get_domain<const C: usize>(L: *mut lua_State) -> c_int {
    // SAFETY: as the callees.
    unsafe {
        let socket = check_socket(L, DIRECT, StateRef::of(L), class(C));
        ffi::lua_pushstring(L, TYPES[usize::from((*socket).is_v6())].as_ptr());
        1
    }
}

/// `bind(address)` → true
unsafe extern "C-unwind" fn bind<const C: usize>(L: *mut lua_State) -> c_int {
    // SAFETY: arguments are checked.
    unsafe {
        let state = StateRef::of(L);
        let socket = *check_open(L, DIRECT, state, class(C));
        let address = address::check(L, DIRECT, state, 2, socket.is_v6());
        let result =
            state.with(L, |state| state.system().core.bind(socket.source(), address.socket_address()));
        push_result(L, result)
    }
}

/// `getaddress([site [, address]])` → address
unsafe extern "C-unwind" fn get_address<const C: usize>(L: *mut lua_State) -> c_int {
    // SAFETY: arguments are checked.
    unsafe {
        let state = StateRef::of(L);
        let socket = *check_open(L, DIRECT, state, class(C));
        let side = args::check_option(L, DIRECT, 2, Some(0), &[c"self", c"peer"]);
        let side = [Side::Local, Side::Peer][side];
        let given = to_address(L, state, 3);
        if let Some(address) = given
            && (*address).is_v6() != socket.is_v6()
        {
            args::bad(L, DIRECT, 3, c"wrong domain");
        }
        match state.with(L, |state| state.system().core.address(socket.source(), side)) {
            Ok(found) => {
                let found = Address::of(found);
                match given {
                    Some(address) => {
                        *address = found;
                        ffi::lua_pushvalue(L, 3);
                    }
                    None => address::push(L, found),
                }
                1
            }
            Err(error) => fail(L, error),
        }
    }
}

/// `setoption(name, value)` → true
unsafe extern "C-unwind" fn set_option(L: *mut lua_State) -> c_int {
    // SAFETY: arguments are checked.
    unsafe {
        let state = StateRef::of(L);
        let socket = *check_open(L, DIRECT, state, Class::TcpStream);
        let source = socket.source();
        let option = args::check_option(L, DIRECT, 2, None, &[c"keepalive", c"nodelay"]);
        if ffi::lua_type(L, 3) == ffi::LUA_TNONE {
            args::bad(L, DIRECT, 3, c"value expected");
        }
        let on = ffi::lua_toboolean(L, 3) != 0;
        let result = if option == 0 {
            let after = match on {
                false => None,
                true => match args::check_integer(L, DIRECT, 3) {
                    seconds @ 1..=0x7fff_ffff => Some(seconds as u32),
                    _ => args::bad(L, DIRECT, 3, c"invalid argument"),
                },
            };
            state.with(L, |state| state.system().core.set_keepalive(source, after))
        } else {
            state.with(L, |state| state.system().core.set_nodelay(source, on))
        };
        push_result(L, result)
    }
}

/// `listen(backlog)` → true
unsafe extern "C-unwind" fn listen(L: *mut lua_State) -> c_int {
    // SAFETY: arguments are checked.
    unsafe {
        let state = StateRef::of(L);
        let socket = *check_open(L, DIRECT, state, Class::TcpListener);
        let backlog = args::check_integer(L, DIRECT, 2);
        if state.touch(|state| state.system().core.is_listening(socket.source())) {
            args::bad(L, DIRECT, 1, c"already listening");
        }
        let Ok(backlog @ 0..) = i32::try_from(backlog) else { args::bad(L, DIRECT, 2, c"out of range") };
        let result = state.with(L, |state| state.system().core.listen(socket.source(), backlog));
        push_result(L, result)
    }
}
