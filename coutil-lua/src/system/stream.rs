//! What of streams and their listeners awaits: `connect` of TCP ones, `read`, `write`, `shutdown`, `accept` (50 §6).

use super::socket::{SHARE, TCP, TCP_LISTENER, class};
use super::wait::{Operation, check_process, fail, is_suspended, suspend};
use super::{Class, Reading, What, address, socket};
use crate::memory::object::{Memory, check_array};
use crate::memory::range::span;
use crate::raw::error::{AWAIT, type_error};
use crate::raw::{Functions, args, c_int, lua_State};
use crate::state::StateRef;
use crate::suspend::check_yieldable;
use coutil_system::Error;
use coutil_system::core::SourceId;
use mlua::ffi;

pub(crate) const TCP_AWAITS: Functions<'_> = &[
    (c"connect", connect),
    (c"write", write::<TCP>),
    (c"read", read::<TCP>),
    (c"shutdown", shutdown::<TCP>),
];

pub(crate) const TCP_LISTENER_AWAITS: Functions<'_> = &[(c"accept", accept::<TCP_LISTENER>)];

/// `connect(address)` → true
unsafe extern "C-unwind" fn connect(L: *mut lua_State) -> c_int {
    // SAFETY: arguments are checked before anything is started.
    unsafe {
        let state = StateRef::of(L);
        let socket = *socket::check_open(L, AWAIT, state, Class::TcpStream);
        check_yieldable(L);
        let address = address::check(L, AWAIT, state, 2, socket.is_v6()).socket_address();
        check_process(L, state);
        let by = L as usize;
        if let Err(error) = state.touch(|state| state.system().core.check_connect(socket.source(), by)) {
            return fail(L, error);
        }
        let operation = Operation::on(1, What::Connect);
        suspend(L, state, operation, move |system, op| system.core.connect(op, socket.source(), address, by))
    }
}

/// `write(data [, i [, j [, object]]])` → true
pub(crate) unsafe extern "C-unwind" fn write<const C: usize>(L: *mut lua_State) -> c_int {
    // SAFETY: arguments are checked before anything is started.
    unsafe {
        let state = StateRef::of(L);
        let socket = *socket::check_open(L, AWAIT, state, class(C));
        check_yieldable(L);
        let passed = if C == SHARE { super::local::check_passed(L, state, 5) } else { None };
        check_array(L, AWAIT, 2);
        let i = args::opt_integer(L, AWAIT, 3, 1);
        let j = args::opt_integer(L, AWAIT, 4, -1);
        check_process(L, state);
        let checked = state.touch(|state| {
            let core = &state.system().core;
            core.check_write(socket.source())?;
            match passed {
                Some(passed) if core.fd(passed).is_none() => Err(Error::from_code(libc::EBADF)),
                _ => Ok(()),
            }
        });
        if let Err(error) = checked {
            return fail(L, error);
        }
        let data = Data::of(L, 2);
        if passed.is_none() && data.is_long() {
            // It is anchored as long as the operation: as long as the loop may read it.
            let operation = Operation { what: What::Write, object: 1, buffer: 2, extra: 0 };
            return suspend(L, state, operation, move |system, op| {
                let text = Lent(data.region(i, j));
                system.core.write_from(op, socket.source(), text)
            });
        }
        let operation = Operation::on(1, What::Write);
        suspend(L, state, operation, move |system, op| {
            let bytes = data.region(i, j);
            system.core.write_with(op, socket.source(), bytes, passed)
        })
    }
}

/// Strings of so many bytes are not copied when they have to wait: less is copied faster than anchored.
const LONG: usize = 16384;

/// Part of a string that is anchored.
struct Lent(*const [u8]);

// SAFETY: a loop moves between threads only together with its Lua state, so nobody else uses that meanwhile.
unsafe impl Send for Lent {}

impl AsRef<[u8]> for Lent {
    fn as_ref(&self) -> &[u8] {
        // SAFETY: a string neither moves nor changes. It is anchored until its operation ends or is cancelled; the loop keeps
        // this no longer.
        unsafe { &*self.0 }
    }
}

/// What is written: a string, or a memory as it is when the writing starts. It stands on the stack meanwhile.
#[derive(Clone, Copy)]
pub(crate) enum Data {
    String(*const u8, usize),
    Memory(Memory),
}

impl Data {
    fn is_long(self) -> bool {
        matches!(self, Self::String(_, len) if len >= LONG)
    }

    /// The value at `index`, which was checked.
    pub(crate) unsafe fn of(L: *mut lua_State, index: c_int) -> Self {
        // SAFETY: a string does not move as long as it stands on the stack.
        unsafe {
            if let Some(memory) = Memory::find(L, index) {
                return Self::Memory(memory);
            }
            let mut len = 0;
            let text = ffi::lua_tolstring(L, index, &mut len);
            Self::String(text.cast(), len)
        }
    }

    /// Its bytes from `i` to `j`, as they are now. They are valid until Lua runs.
    pub(crate) unsafe fn region<'a>(self, i: i64, j: i64) -> &'a [u8] {
        // SAFETY: as above.
        unsafe {
            let (bytes, len) = self.bytes();
            let span = span(i, j, len);
            std::slice::from_raw_parts(bytes.add(span.start), span.len)
        }
    }

    unsafe fn bytes(self) -> (*const u8, usize) {
        match self {
            Self::String(bytes, len) => (bytes, len),
            Self::Memory(memory) => {
                // SAFETY: as above.
                let (bytes, len) = unsafe { memory.bytes() };
                (bytes.cast_const(), len)
            }
        }
    }
}

/// `shutdown()` → true
pub(crate) unsafe extern "C-unwind" fn shutdown<const C: usize>(L: *mut lua_State) -> c_int {
    // SAFETY: arguments are checked before anything is started.
    unsafe {
        let state = StateRef::of(L);
        let socket = *socket::check_open(L, AWAIT, state, class(C));
        check_yieldable(L);
        check_process(L, state);
        if let Err(error) = state.touch(|state| state.system().core.check_shutdown(socket.source())) {
            return fail(L, error);
        }
        let operation = Operation::on(1, What::Shutdown);
        suspend(L, state, operation, move |system, op| system.core.shutdown(op, socket.source()))
    }
}

/// Raises `already in use` if somebody reads from a source. One whose coroutine is dead does not count any more.
pub(crate) unsafe fn check_unused(L: *mut lua_State, state: StateRef, source: SourceId) {
    // SAFETY: a coroutine that waits is anchored.
    unsafe {
        let reader = state.touch(|state| {
            let core = &state.system().core;
            let op = core.reader(source)?;
            Some((op, core.waiter(op)?.thread))
        });
        if let Some((op, thread)) = reader {
            if is_suspended(thread) {
                args::bad(L, AWAIT, 1, c"already in use");
            }
            super::wait::cancel(L, state, op);
        }
    }
}

/// `read(buffer [, i [, j]])` → count, or on a share stream count, socket
pub(crate) unsafe extern "C-unwind" fn read<const C: usize>(L: *mut lua_State) -> c_int {
    // SAFETY: arguments are checked before anything is started. The memory is anchored while the coroutine waits.
    unsafe {
        let state = StateRef::of(L);
        let socket = *socket::check_open(L, AWAIT, state, class(C));
        if C == SHARE && state.touch(|state| state.system().core.has_received(socket.source())) {
            return super::local::received(L, state, socket.source());
        }
        let Some(memory) = Memory::find(L, 2) else { type_error(L, AWAIT, 2, c"memory") };
        let i = args::opt_integer(L, AWAIT, 3, 1);
        let j = args::opt_integer(L, AWAIT, 4, -1);
        check_unused(L, state, socket.source());
        check_yieldable(L);
        check_process(L, state);
        if C != TCP && !socket.has_source() {
            return fail(L, Error::from_code(libc::ENOTCONN));
        }
        if let Err(error) = state.touch(|state| state.system().core.check_read(socket.source())) {
            return fail(L, error);
        }
        let kind = if C == SHARE { Reading::Sockets } else { Reading::Bytes };
        let what = What::Read { memory, i, j, kind };
        let operation = Operation { what, object: 1, buffer: 2, extra: 0 };
        suspend(L, state, operation, move |system, op| system.core.read(op, socket.source()))
    }
}

/// `accept()` → stream
pub(crate) unsafe extern "C-unwind" fn accept<const C: usize>(L: *mut lua_State) -> c_int {
    // SAFETY: arguments are checked before anything is started.
    unsafe {
        let state = StateRef::of(L);
        let socket = *socket::check_open(L, AWAIT, state, class(C));
        if !state.touch(|state| state.system().core.is_listening(socket.source())) {
            args::bad(L, AWAIT, 1, c"not listening");
        }
        check_unused(L, state, socket.source());
        check_yieldable(L);
        check_process(L, state);
        let operation = Operation::on(1, What::Accept { domain: socket.domain() });
        suspend(L, state, operation, move |system, op| system.core.read(op, socket.source()))
    }
}
