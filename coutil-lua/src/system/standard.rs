//! `system.stdin`, `stdout` and `stderr`: objects for the standard streams, of the class of what those are (30 §5).

use super::socket::{self, Domain};
use super::{Class, file};
use crate::raw::lua_State;
use crate::state::StateRef;
use coutil_system::Error;
use coutil_system::standard::{Copied, Standard, Type};
use mlua::ffi;
use std::ffi::CStr;

const NAMES: [&CStr; 3] = [c"stdin", c"stdout", c"stderr"];

/// Sets the fields of the module, which is on the top. One that has no object stays nil, with a warning (30 D4). [-0, +0]
/// Raises for memory.
pub(crate) unsafe fn set_streams(L: *mut lua_State) {
    // SAFETY: the object of a source is there before that is.
    unsafe {
        let Some(state) = StateRef::find(L) else { return };
        // All three before anything is opened, which might get their numbers.
        let types = Standard::ALL.map(Standard::type_of);
        for ((stream, what), name) in Standard::ALL.into_iter().zip(types).zip(NAMES) {
            match what.and_then(|what| push_stream(L, state, stream, what)) {
                Ok(()) => ffi::lua_setfield(L, -2, name.as_ptr()),
                Err(error) => warn(L, name, error),
            }
        }
    }
}

/// Pushes the object of a stream. [-0, +1, or nothing if there is an error] Raises for memory.
unsafe fn push_stream(
    L: *mut lua_State,
    state: StateRef,
    stream: Standard,
    what: Type,
) -> coutil_system::Result<()> {
    // SAFETY: as the callees; a file is pushed by a function that loses nothing.
    unsafe {
        let ip = |v6| if v6 { Domain::V6 } else { Domain::V4 };
        let (class, domain) = match what {
            Type::File => {
                return file::push(L, state, |system| match system.core.standard(stream)? {
                    Copied::File(fd) => Ok(fd),
                    // Somebody has replaced it just now.
                    Copied::Source(source) => {
                        system.core.close(source);
                        Err(Error::SOCKET_TYPE)
                    }
                });
            }
            Type::Terminal => (Class::Terminal, Domain::Local),
            Type::Pipe | Type::Local => (Class::ShareStream, Domain::Share),
            Type::Tcp { v6 } => (Class::TcpStream, ip(v6)),
            Type::Udp { v6 } => (Class::Udp, ip(v6)),
            _ => return Err(Error::SOCKET_TYPE),
        };
        let object = socket::push_empty(L, class, domain);
        let source = state.with(L, |state| match state.system().core.standard(stream)? {
            Copied::Source(source) => Ok(source),
            Copied::File(_) => Err(Error::SOCKET_TYPE),
        });
        match source {
            Ok(source) => (*object).open(source),
            Err(_) => ffi::lua_pop(L, 1),
        }
        source.map(drop)
    }
}

#[cfg(any(feature = "lua54", feature = "lua55"))]
unsafe fn warn(L: *mut lua_State, name: &'static CStr, error: Error) {
    // SAFETY: the text is popped.
    unsafe {
        super::push_message(L, error);
        crate::report::warn(L, name);
        ffi::lua_pop(L, 1);
    }
}

/// There are no warnings.
#[cfg(not(any(feature = "lua54", feature = "lua55")))]
unsafe fn warn(_: *mut lua_State, _: &'static CStr, _: Error) {}
