//! Local and share sockets: what differs from TCP (50 §5, §6).

use super::run::{Attempted, attempted};
use super::socket::{
    self, Domain, LOCAL, LOCAL_LISTENER, SHARE, Socket, check_open, class, close, get_domain, listen,
};
use super::wait::{Operation, check_process, fail as fail_at_once, suspend};
use super::{Class, What, fail, push_failure, push_result, stream, to_object};
use crate::raw::error::{AWAIT, DIRECT};
use crate::raw::{Functions, args, c_int, error, lua_State};
use crate::state::StateRef;
use crate::suspend::check_yieldable;
use coutil_system::core::{OpId, SourceId};
use coutil_system::net::{Received, Side};
use coutil_system::{Error, Kind};
use mlua::ffi;
use std::ffi::CStr;

pub(crate) const LOCAL_METHODS: Functions<'_> = methods::<LOCAL>();
pub(crate) const SHARE_METHODS: Functions<'_> = methods::<SHARE>();

pub(crate) const LISTENER_METHODS: Functions<'_> = &[
    (c"close", close::<LOCAL_LISTENER>),
    (c"getdomain", get_domain::<LOCAL_LISTENER>),
    (c"getaddress", get_path::<LOCAL_LISTENER>),
    (c"bind", bind::<LOCAL_LISTENER>),
    (c"setoption", set_option::<LOCAL_LISTENER>),
    (c"listen", listen::<LOCAL_LISTENER>),
];

pub(crate) const LOCAL_AWAITS: Functions<'_> = awaits::<LOCAL>();
pub(crate) const SHARE_AWAITS: Functions<'_> = awaits::<SHARE>();
pub(crate) const LISTENER_AWAITS: Functions<'_> = &[(c"accept", stream::accept::<LOCAL_LISTENER>)];

const fn methods<const C: usize>() -> Functions<'static> {
    &[
        (c"close", close::<C>),
        (c"getdomain", get_domain::<C>),
        (c"getaddress", get_path::<C>),
        (c"bind", bind::<C>),
        (c"setoption", set_option::<C>),
    ]
}

const fn awaits<const C: usize>() -> Functions<'static> {
    &[
        (c"connect", connect::<C>),
        (c"write", stream::write::<C>),
        (c"read", stream::read::<C>),
        (c"shutdown", stream::shutdown::<C>),
    ]
}

/// Opens a socket that has none of the system yet, as it gets a path now.
unsafe fn open(
    L: *mut lua_State,
    state: StateRef,
    socket: *mut Socket,
    class: Class,
) -> coutil_system::Result<SourceId> {
    // SAFETY: the object is on the stack.
    unsafe {
        if !(*socket).has_source() {
            let kind = if class == Class::LocalListener { Kind::LocalListener } else { Kind::LocalStream };
            let source = state.with(L, |state| state.system().core.local(kind))?;
            (*socket).set_source(source);
        }
        Ok((*socket).source())
    }
}

/// A path: a string, up to its first NUL. It lives on the stack. Raises.
unsafe fn check_path<'a>(L: *mut lua_State, frame: c_int, arg: c_int) -> &'a [u8] {
    // SAFETY: Lua's strings end with a NUL.
    unsafe {
        let (text, _) = args::check_string(L, frame, arg);
        CStr::from_ptr(text.cast()).to_bytes()
    }
}

/// `bind(path)` → true
unsafe extern "C-unwind" fn bind<const C: usize>(L: *mut lua_State) -> c_int {
    // SAFETY: arguments are checked.
    unsafe {
        let state = StateRef::of(L);
        let socket = check_open(L, DIRECT, state, class(C));
        let path = check_path(L, DIRECT, 2);
        let result = open(L, state, socket, class(C))
            .and_then(|source| state.with(L, |state| state.system().core.bind_local(source, path)));
        match result {
            Err(error) => fail(L, error),
            result => push_result(L, result),
        }
    }
}

/// `getaddress([site])` → path
unsafe extern "C-unwind" fn get_path<const C: usize>(L: *mut lua_State) -> c_int {
    /// The longest path of an address, and more.
    const LONGEST: usize = 128;
    // SAFETY: arguments are checked; nothing with a destructor is live when Lua is called.
    unsafe {
        let state = StateRef::of(L);
        let socket = *check_open(L, DIRECT, state, class(C));
        let side = args::check_option(L, DIRECT, 2, Some(0), &[c"self", c"peer"]);
        let side = [Side::Local, Side::Peer][side];
        let mut path = [0u8; LONGEST];
        let len = state.with(L, |state| {
            let found = state.system().core.path(socket.source(), side)?;
            let len = found.len().min(LONGEST);
            path[..len].copy_from_slice(&found[..len]);
            Ok(len)
        });
        match len {
            Ok(len) => {
                ffi::lua_pushlstring(L, path.as_ptr().cast(), len);
                1
            }
            Err(error) => fail(L, error),
        }
    }
}

/// `setoption("permission", letters)` → true
unsafe extern "C-unwind" fn set_option<const C: usize>(L: *mut lua_State) -> c_int {
    // SAFETY: arguments are checked.
    unsafe {
        let state = StateRef::of(L);
        let socket = *check_open(L, DIRECT, state, class(C));
        args::check_option(L, DIRECT, 2, None, &[c"permission"]);
        let (mut read, mut write) = (false, false);
        if !args::is_absent(L, 3) {
            for byte in check_path(L, DIRECT, 3) {
                match byte {
                    b'r' => read = true,
                    b'w' => write = true,
                    other => error::raise_byte(L, DIRECT, c"unknown option", *other),
                }
            }
        }
        let result = state.with(L, |state| state.system().core.add_permission(socket.source(), read, write));
        push_result(L, result)
    }
}

/// `connect(path)` → true
unsafe extern "C-unwind" fn connect<const C: usize>(L: *mut lua_State) -> c_int {
    // SAFETY: arguments are checked before anything is started; the path lives on the stack until the connection is started.
    unsafe {
        let state = StateRef::of(L);
        let socket = check_open(L, AWAIT, state, class(C));
        check_yieldable(L);
        let path = check_path(L, AWAIT, 2);
        check_process(L, state);
        let by = L as usize;
        let source = match open(L, state, socket, class(C)) {
            Ok(source) => source,
            Err(error) => return fail_at_once(L, error),
        };
        if let Err(error) = state.touch(|state| state.system().core.check_connect(source, by)) {
            return fail_at_once(L, error);
        }
        let operation = Operation::on(1, What::Connect);
        suspend(L, state, operation, move |system, op| system.core.connect_local(op, source, path, by))
    }
}

/// The socket that is to be passed, at `arg`; none if that is no userdata. Raises `writable object expected`.
pub(crate) unsafe fn check_passed(L: *mut lua_State, state: StateRef, arg: c_int) -> Option<SourceId> {
    // SAFETY: any value may be given.
    unsafe {
        if ffi::lua_type(L, arg) != ffi::LUA_TUSERDATA {
            return None;
        }
        for class in [
            Class::TcpStream,
            Class::TcpListener,
            Class::LocalStream,
            Class::ShareStream,
            Class::LocalListener,
        ] {
            if let Some(socket) = to_object::<Socket>(L, state, arg, class) {
                return Some((*socket).source());
            }
        }
        args::bad(L, AWAIT, arg, c"writable object expected")
    }
}

/// Pushes objects for a socket that may be received: which class it gets is known only when it is there. [-0, +3] Raises for memory.
pub(crate) unsafe fn push_received(L: *mut lua_State) {
    // SAFETY: as the callee.
    unsafe {
        for (class, domain) in [
            (Class::TcpStream, Domain::V4),
            (Class::TcpStream, Domain::V6),
            (Class::LocalStream, Domain::Local),
        ] {
            (*socket::push_empty(L, class, domain)).set_closed();
        }
    }
}

/// Delivers a read; the objects of [`push_received`] are on the top. [-0, +1 or 2]
pub(crate) unsafe fn receive(L: *mut lua_State, state: StateRef, op: OpId, buffer: &mut [u8]) -> Attempted {
    // SAFETY: as the callee.
    unsafe {
        let source = state.touch(|state| state.system().core.source_of(op)).unwrap_or(SourceId::NONE);
        match state.with(L, |state| attempted(state.system().core.try_read_with(op, buffer))) {
            Some(Ok(count)) => {
                let objects = ffi::lua_gettop(L) - 2;
                ffi::lua_pushinteger(L, count as ffi::lua_Integer);
                match take_received(L, state, source, objects) {
                    Ok(index) => {
                        if index != 0 {
                            ffi::lua_pushvalue(L, index);
                        }
                        Attempted::Results(if index == 0 { 1 } else { 2 })
                    }
                    Err(error) => Attempted::Failed(error),
                }
            }
            Some(Err(error)) => Attempted::Failed(error),
            None => Attempted::Waits,
        }
    }
}

/// Gives the next socket that was received to the object of its class; the three stand from `objects` on. Returns its index; 0 if
/// there is no socket.
unsafe fn take_received(
    L: *mut lua_State,
    state: StateRef,
    source: SourceId,
    objects: c_int,
) -> coutil_system::Result<c_int> {
    // SAFETY: sockets stand there.
    unsafe {
        let (index, source) = match state.with(L, |state| state.system().core.received(source)) {
            None => return Ok(0),
            Some(Ok(Received::Tcp { source, v6 })) => (objects + c_int::from(v6), source),
            Some(Ok(Received::Local { source })) => (objects + 2, source),
            Some(Err(error)) => return Err(error),
        };
        (*ffi::lua_touserdata(L, index).cast::<Socket>()).open(source);
        Ok(index)
    }
}

/// The results of a read on a source that has received a socket already: 0 and the socket, or a failure. [-0, +2 or 3] Raises for
/// memory.
pub(crate) unsafe fn received(L: *mut lua_State, state: StateRef, source: SourceId) -> c_int {
    // SAFETY: the objects are there before the socket is taken, so that nothing is lost.
    unsafe {
        push_received(L);
        let objects = ffi::lua_gettop(L) - 2;
        match take_received(L, state, source, objects) {
            Ok(0) => push_failure(L, Error::SOCKET_TYPE),
            Ok(index) => {
                ffi::lua_pushinteger(L, 0);
                ffi::lua_pushvalue(L, index);
                2
            }
            Err(error) => push_failure(L, error),
        }
    }
}
