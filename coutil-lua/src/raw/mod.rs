//! The thin layer between Lua's C interface and the rest: the only way in which a function of ours is called by Lua.
//!
//! # Safety
//!
//! Lua raises errors by `longjmp` (PUC) or by a foreign unwinding (LuaJIT), through our frames. So a function that Lua
//! calls has three phases, and keeps them apart:
//!
//! 1. *take*: arguments are checked, values are looked up. Anything may raise here, so no value with a destructor, no
//!    lock and no borrow is live.
//! 2. *do*: pure Rust, inside [`guard`], with **no Lua call**: a Lua error that reaches `catch_unwind` ends the process
//!    on LuaJIT. A panic becomes an error value, which has no destructor.
//! 3. *give*: results are pushed, an error is raised, or the coroutine yields; outside [`guard`].
//!
//! Every `unsafe fn` of this crate takes a valid `lua_State` that is running on this thread, and at least
//! `LUA_MINSTACK` (20) free stack slots unless it says otherwise. "Raises" in a comment means that it may leave by a Lua
//! error. Stack effects are written `[-popped, +pushed]`.

pub(crate) mod args;
pub(crate) mod compat;
pub(crate) mod error;

use mlua::ffi;
use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

pub(crate) use ffi::{lua_CFunction, lua_State};
pub(crate) use std::ffi::c_int;

/// A panic that was caught: its message, cut to fit. `Copy`, so that it can be raised as a Lua error.
#[derive(Clone, Copy)]
pub(crate) struct Panic {
    text: [u8; 100],
    len: usize,
}

impl Panic {
    #[cold]
    fn new(payload: Box<dyn Any + Send>) -> Self {
        let message = match (payload.downcast_ref::<&str>(), payload.downcast_ref::<String>()) {
            (Some(message), _) => message,
            (_, Some(message)) => message.as_str(),
            _ => "unknown panic",
        };
        let mut panic = Self { text: [0; 100], len: message.len().min(100) };
        panic.text[..panic.len].copy_from_slice(&message.as_bytes()[..panic.len]);
        panic
    }

    /// What it said.
    pub(crate) fn message(&self) -> String {
        String::from_utf8_lossy(&self.text[..self.len]).into_owned()
    }

    /// Raises it: `internal error: MESSAGE`.
    #[cold]
    pub(crate) unsafe fn raise(self, L: *mut lua_State) -> ! {
        // SAFETY: `text` lives in this frame, which Lua leaves only after it copied the text.
        unsafe {
            ffi::lua_pushstring(L, c"internal error: ".as_ptr());
            ffi::lua_pushlstring(L, self.text.as_ptr().cast(), self.len);
            ffi::lua_concat(L, 2);
            error::raise(L, error::DIRECT)
        }
    }
}

/// Runs the *do* phase: no Lua call in it.
#[inline]
pub(crate) fn guard<R>(f: impl FnOnce() -> R) -> Result<R, Panic> {
    catch_unwind(AssertUnwindSafe(f)).map_err(Panic::new)
}

/// As [`guard`], and raises what it caught. `R` has no destructor, as it is live while Lua is called.
#[inline]
pub(crate) unsafe fn run<R: Copy>(L: *mut lua_State, f: impl FnOnce() -> R) -> R {
    match guard(f) {
        Ok(result) => result,
        // SAFETY: nothing else is live in this frame.
        Err(panic) => unsafe { panic.raise(L) },
    }
}

/// A table of functions: the name and the function of each.
pub(crate) type Functions<'a> = &'a [(&'a std::ffi::CStr, lua_CFunction)];

/// Sets functions as fields of the table under `upvalues` values on the top, which all of them get as upvalues, and
/// which are popped. [-upvalues, +0] Raises for memory.
pub(crate) unsafe fn set_functions(L: *mut lua_State, functions: Functions<'_>, upvalues: c_int) {
    // SAFETY: as the module says; the caller left the table below the upvalues.
    unsafe {
        for (name, function) in functions {
            for _ in 0..upvalues {
                ffi::lua_pushvalue(L, -upvalues);
            }
            ffi::lua_pushcclosure(L, *function, upvalues);
            ffi::lua_setfield(L, -(upvalues + 2), name.as_ptr());
        }
        ffi::lua_pop(L, upvalues);
    }
}
