//! What `coutil.spawn` needs that is not Lua (10 §5).

use crate::raw::{Functions, c_int, lua_State};
use crate::resume::resume;
use crate::state::StateRef;
use mlua::ffi;

pub(crate) const FUNCTIONS: Functions<'_> = &[
    (c"start", start),
    (c"report", crate::report::report_value),
    (c"running", running),
    #[cfg(feature = "lua51")]
    (c"handled", handled),
];

/// `start(f, ...)` → thread: calls `f(...)` in a new coroutine. Its error is reported.
unsafe extern "C-unwind" fn start(L: *mut lua_State) -> c_int {
    // SAFETY: the new coroutine is anchored at index 1 while it runs.
    unsafe {
        let state = StateRef::of(L);
        let count = ffi::lua_gettop(L);
        let co = ffi::lua_newthread(L);
        ffi::lua_insert(L, 1);
        if ffi::lua_checkstack(co, count) == 0 {
            crate::raw::error::raise_text(L, crate::raw::error::DIRECT, c"stack overflow (too many values)");
        }
        ffi::lua_xmove(L, co, count);
        resume(L, state, co, count - 1);
        ffi::lua_settop(L, 1);
        1
    }
}

/// As `coroutine.running`, which need not be loaded.
unsafe extern "C-unwind" fn running(L: *mut lua_State) -> c_int {
    // SAFETY: pushes two values.
    unsafe {
        let main = ffi::lua_pushthread(L) != 0;
        #[cfg(any(feature = "lua51", feature = "luajit"))]
        {
            if main {
                ffi::lua_pushnil(L);
            }
            1
        }
        #[cfg(not(any(feature = "lua51", feature = "luajit")))]
        {
            ffi::lua_pushboolean(L, main.into());
            2
        }
    }
}

/// `handled([handler])`: the handler for the running coroutine, which is called when it dies of an error in the hands
/// of the library. Without one: it is not called any more.
///
/// 5.1 cannot yield across its `xpcall`, so there the bodies of `spawn` run without it (90 §4.1).
#[cfg(feature = "lua51")]
unsafe extern "C-unwind" fn handled(L: *mut lua_State) -> c_int {
    use crate::state::{self, field};
    // SAFETY: any value or none may be given.
    unsafe {
        ffi::lua_settop(L, 1);
        state::push_field(L, field::SPAWNED);
        ffi::lua_pushthread(L);
        ffi::lua_pushvalue(L, 1);
        ffi::lua_rawset(L, -3);
        0
    }
}

/// `(handler, error)`: a C function between the coroutine and the handler keeps the handler from yielding.
#[cfg(feature = "lua51")]
pub(crate) unsafe extern "C-unwind" fn call_handler(L: *mut lua_State) -> c_int {
    // SAFETY: called with two values.
    unsafe { ffi::lua_call(L, 1, 0) };
    0
}

/// Calls the handler of `co`, which died of the error on its top, if it has one. [`co`: -1, +0 if it had]
///
/// The handler is called on the stack of the dead coroutine, above the frames that failed: as a message handler of
/// `xpcall` would be, so it sees the same traceback and the same running coroutine. 5.1 leaves the stack of a dead
/// coroutine as it was, and `lua_pcall` does not look at its status.
#[cfg(feature = "lua51")]
pub(crate) unsafe fn handle(L: *mut lua_State, co: *mut lua_State) -> bool {
    use crate::state::{self, field};

    // SAFETY: `co` is anchored by the caller, and dead.
    unsafe {
        if ffi::lua_checkstack(co, 4) == 0 {
            return false;
        }
        state::push_field(L, field::SPAWNED);
        ffi::lua_pushthread(co);
        ffi::lua_xmove(co, L, 1);
        ffi::lua_pushvalue(L, -1);
        if ffi::lua_rawget(L, -3) == ffi::LUA_TNIL {
            ffi::lua_pop(L, 3);
            return false;
        }
        // stack: handlers, coroutine, handler
        // Nothing is made here: an error for memory would leave the emission, and on the dead coroutine end the process.
        state::push_field(L, field::CALL_HANDLER);
        ffi::lua_insert(L, -2);
        ffi::lua_xmove(L, co, 2);
        ffi::lua_pushvalue(co, -3);
        ffi::lua_remove(co, -4);
        ffi::lua_pushnil(L);
        ffi::lua_rawset(L, -3);
        ffi::lua_pop(L, 1);
        crate::raw::compat::set_level(L, co);
        if ffi::lua_pcall(co, 2, 0, 0) != ffi::LUA_OK {
            ffi::lua_xmove(co, L, 1);
            crate::report::report(L, co);
        }
        true
    }
}
