//! `system.socket`, and the methods that sockets have in common and that do not await (50 §4, §5).

use super::address::{self, Address, to_address};
use super::run::{Attempted, attempted};
use super::{Class, check_object, fail, push_failure, push_result, run, set_class};
use crate::raw::error::DIRECT;
use crate::raw::{Functions, args, c_int, compat, lua_CFunction, lua_State};
use crate::state::{self, StateRef, field};
use coutil_system::core::{OpId, SourceId};
use coutil_system::net::Side;
use coutil_system::{Error, Kind};
use mlua::ffi;
use std::ffi::CStr;

pub(crate) const FUNCTIONS: Functions<'_> = &[(c"socket", socket)];

/// What a method is compiled for: a class, as a constant.
pub(crate) const TCP: usize = Class::TcpStream as usize;
pub(crate) const TCP_LISTENER: usize = Class::TcpListener as usize;
pub(crate) const UDP: usize = Class::Udp as usize;
pub(crate) const LOCAL: usize = Class::LocalStream as usize;
pub(crate) const SHARE: usize = Class::ShareStream as usize;
pub(crate) const LOCAL_LISTENER: usize = Class::LocalListener as usize;
pub(crate) const TERMINAL: usize = Class::Terminal as usize;

const CLASSES: [Class; 7] = [
    Class::TcpStream,
    Class::TcpListener,
    Class::Udp,
    Class::LocalStream,
    Class::ShareStream,
    Class::LocalListener,
    Class::Terminal,
];

/// The class of such a constant.
pub(crate) const fn class(class: usize) -> Class {
    let mut index = 0;
    while CLASSES[index] as usize != class {
        index += 1;
    }
    CLASSES[index]
}

/// The methods of TCP streams that do not await.
pub(crate) const TCP_METHODS: Functions<'_> = &[
    (c"close", close::<TCP>),
    (c"getdomain", get_domain::<TCP>),
    (c"getaddress", get_address::<TCP>),
    (c"bind", bind::<TCP>),
    (c"setoption", set_option),
];

/// The methods of passive TCP sockets that do not await.
pub(crate) const TCP_LISTENER_METHODS: Functions<'_> = &[
    (c"close", close::<TCP_LISTENER>),
    (c"getdomain", get_domain::<TCP_LISTENER>),
    (c"getaddress", get_address::<TCP_LISTENER>),
    (c"bind", bind::<TCP_LISTENER>),
    (c"listen", listen::<TCP_LISTENER>),
];

/// The metamethods of a class.
pub(crate) const fn metamethods<const C: usize>() -> [(&'static CStr, lua_CFunction); 2] {
    [(c"__gc", collect::<C, true>), (c"__close", collect::<C, false>)]
}

/// The contents of a socket object. Any bytes of a userdata of that size that is not ours are one too: an id that names
/// nothing, or another socket.
#[repr(C)]
#[derive(Clone, Copy)]
pub(crate) struct Socket {
    source: u64,
    domain: u8,
    closed: u8,
}

/// The domain of a socket.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Domain {
    V4,
    V6,
    Local,
    Share,
}

const DOMAINS: [(Domain, &CStr); 4] =
    [(Domain::V4, c"ipv4"), (Domain::V6, c"ipv6"), (Domain::Local, c"local"), (Domain::Share, c"share")];

impl Socket {
    /// Its source; none if it has no socket of the system yet, or no more.
    pub(crate) fn source(&self) -> SourceId {
        SourceId::from_bits(self.source)
    }

    pub(crate) fn set_source(&mut self, source: SourceId) {
        self.source = source.to_bits();
    }

    /// It gets a socket of the system.
    pub(crate) fn open(&mut self, source: SourceId) {
        self.set_source(source);
        self.closed = 0;
    }

    /// Until then nobody can do anything with it.
    pub(crate) fn set_closed(&mut self) {
        self.closed = 1;
    }

    pub(crate) fn has_source(&self) -> bool {
        self.source() != SourceId::NONE
    }

    pub(crate) fn domain(&self) -> Domain {
        DOMAINS[usize::from(self.domain) % DOMAINS.len()].0
    }

    pub(crate) fn is_v6(&self) -> bool {
        self.domain() == Domain::V6
    }
}

/// The socket at index 1, of that class. Raises.
pub(crate) unsafe fn check_socket(
    L: *mut lua_State,
    frame: c_int,
    state: StateRef,
    class: Class,
) -> *mut Socket {
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
pub(crate) unsafe fn push_empty(L: *mut lua_State, class: Class, domain: Domain) -> *mut Socket {
    // SAFETY: the userdata is as large as a socket, and complete before it gets its class.
    unsafe {
        let socket = compat::new_userdata(L, size_of::<Socket>()).cast::<Socket>();
        socket.write(Socket { source: SourceId::NONE.to_bits(), domain: domain as u8, closed: 0 });
        set_class(L, class);
        socket
    }
}

/// `socket(type, domain)` → a socket
unsafe extern "C-unwind" fn socket(L: *mut lua_State) -> c_int {
    // SAFETY: arguments are checked. The object is there before the socket, so that nothing is lost.
    unsafe {
        let kind = args::check_option(L, DIRECT, 1, None, &[c"stream", c"passive", c"datagram"]);
        let (domain, _) = DOMAINS[args::check_option(L, DIRECT, 2, None, &DOMAINS.map(|(_, name)| name))];
        let state = StateRef::of(L);
        let class = match (kind, domain) {
            (0, Domain::V4 | Domain::V6) => Class::TcpStream,
            (0, Domain::Local) => Class::LocalStream,
            (0, Domain::Share) => Class::ShareStream,
            (1, Domain::V4 | Domain::V6) => Class::TcpListener,
            (1, Domain::Local | Domain::Share) => Class::LocalListener,
            (_, Domain::V4 | Domain::V6) => Class::Udp,
            (_, Domain::Local | Domain::Share) => return push_failure(L, Error::SOCKET_TYPE),
        };
        let socket = push_empty(L, class, domain);
        let v6 = domain == Domain::V6;
        let source = state.with(L, |state| {
            let core = &mut state.system().core;
            Some(match class {
                Class::TcpStream => core.tcp(Kind::TcpStream, v6),
                Class::TcpListener => core.tcp(Kind::TcpListener, v6),
                Class::Udp => core.udp(v6),
                // Opened when it gets a path.
                _ if core.is_foreign() => Err(Error::FOREIGN_LOOP),
                _ => return None,
            })
        });
        match source {
            Some(Ok(source)) => (*socket).set_source(source),
            Some(Err(error)) => return fail(L, error),
            None => {}
        }
        1
    }
}

/// Pushes the object for a connection that is to be accepted on a listener of that domain. [-0, +1] Raises for memory.
pub(crate) unsafe fn push_accepted(L: *mut lua_State, domain: Domain) {
    // SAFETY: as the callee.
    unsafe {
        let class = match domain {
            Domain::V4 | Domain::V6 => Class::TcpStream,
            Domain::Local => Class::LocalStream,
            Domain::Share => Class::ShareStream,
        };
        (*push_empty(L, class, domain)).set_closed();
    }
}

/// Delivers an accept; the object for it is on the top. [-0, +0]
pub(crate) unsafe fn accept(L: *mut lua_State, state: StateRef, op: OpId) -> Attempted {
    // SAFETY: as the callees.
    unsafe {
        let socket = ffi::lua_touserdata(L, -1).cast::<Socket>();
        match state.with(L, |state| attempted(state.system().core.try_accept(op))) {
            Some(Ok(source)) => {
                (*socket).open(source);
                Attempted::Results(1)
            }
            Some(Err(error)) => Attempted::Failed(error),
            None => Attempted::Waits,
        }
    }
}

/// `close()` → true
pub(crate) unsafe extern "C-unwind" fn close<const C: usize>(L: *mut lua_State) -> c_int {
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
/// then nobody is resumed. Raises for memory, and then nothing is closed.
unsafe fn release(L: *mut lua_State, state: StateRef, socket: *mut Socket, collected: bool) {
    // SAFETY: the object is on the stack. What the reader gets is made before anything is closed.
    unsafe {
        let source = (*socket).source();
        if !collected {
            ffi::lua_pushboolean(L, 0);
            ffi::lua_pushliteral(L, c"closed");
            if (*socket).closed != 0 {
                // By a finalizer, just now.
                return;
            }
        }
        (*socket).closed = 1;
        (*socket).set_source(SourceId::NONE);
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

/// `getdomain()` → the domain, of a socket with addresses also when it is closed (50 §5)
pub(crate) unsafe extern "C-unwind" fn get_domain<const C: usize>(L: *mut lua_State) -> c_int {
    // SAFETY: as the callees.
    unsafe {
        let state = StateRef::of(L);
        let socket = match class(C) {
            Class::LocalStream | Class::ShareStream | Class::LocalListener => {
                check_open(L, DIRECT, state, class(C))
            }
            class => check_socket(L, DIRECT, state, class),
        };
        let domain = (*socket).domain();
        let (_, name) = DOMAINS[domain as usize];
        ffi::lua_pushstring(L, name.as_ptr());
        1
    }
}

/// `bind(address)` → true
pub(crate) unsafe extern "C-unwind" fn bind<const C: usize>(L: *mut lua_State) -> c_int {
    // SAFETY: arguments are checked.
    unsafe {
        let state = StateRef::of(L);
        let socket = *check_open(L, DIRECT, state, class(C));
        let address = address::check(L, DIRECT, state, 2, socket.is_v6());
        let address = address.socket_address();
        let result = state.with(L, |state| {
            let core = &mut state.system().core;
            match class(C) {
                Class::Udp => core.bind_udp(socket.source(), address),
                _ => core.bind(socket.source(), address),
            }
        });
        push_result(L, result)
    }
}

/// `getaddress([site [, address]])` → address
pub(crate) unsafe extern "C-unwind" fn get_address<const C: usize>(L: *mut lua_State) -> c_int {
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
pub(crate) unsafe extern "C-unwind" fn listen<const C: usize>(L: *mut lua_State) -> c_int {
    // SAFETY: arguments are checked.
    unsafe {
        let state = StateRef::of(L);
        let socket = *check_open(L, DIRECT, state, class(C));
        let backlog = args::check_integer(L, DIRECT, 2);
        if state.touch(|state| state.system().core.is_listening(socket.source())) {
            args::bad(L, DIRECT, 1, c"already listening");
        }
        let Ok(backlog @ 0..) = i32::try_from(backlog) else { args::bad(L, DIRECT, 2, c"out of range") };
        if !socket.has_source() {
            // A local one without a path.
            return push_failure(L, Error::from_code(libc::EINVAL));
        }
        let result = state.with(L, |state| state.system().core.listen(socket.source(), backlog));
        push_result(L, result)
    }
}
