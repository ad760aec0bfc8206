//! What a coroutine is doing.

use crate::raw::lua_State;
use crate::state::StateRef;
use crate::system::{Delivering, What};
use coutil_system::core::OpId;
use mlua::ffi;

/// Whether a coroutine is still suspended: it may have been closed meanwhile.
#[inline]
pub(crate) unsafe fn is_suspended(thread: *mut lua_State) -> bool {
    // SAFETY: the coroutine is anchored.
    unsafe { ffi::lua_status(thread) == ffi::LUA_YIELD }
}

/// Whether a coroutine still waits for this operation of its: it may have been closed, or a host may have reset it, and used
/// it for something else.
#[inline]
pub(crate) unsafe fn is_waiting(thread: *mut lua_State, op: OpId, what: What, state: StateRef) -> bool {
    // SAFETY: the coroutine is anchored.
    unsafe {
        // Where there are guards, both would have ended a guarded one.
        #[cfg(any(feature = "lua54", feature = "lua55"))]
        return is_suspended(thread) && (what.is_guarded() || is_at(thread, op, state));
        #[cfg(not(any(feature = "lua54", feature = "lua55")))]
        {
            let _ = (op, what, state);
            is_suspended(thread)
        }
    }
}

/// Whether a suspended coroutine is in a function of ours: its frame has the token, unless the host cleared it.
#[cfg(any(feature = "lua54", feature = "lua55"))]
#[inline]
unsafe fn is_at(thread: *mut lua_State, op: OpId, state: StateRef) -> bool {
    // SAFETY: the coroutine is anchored; what is pushed is popped.
    unsafe {
        if ffi::lua_gettop(thread) > 0 && crate::raw::compat::to_id(thread, -1) == op.to_bits() {
            return true;
        }
        let mut ar: ffi::lua_Debug = std::mem::zeroed();
        if ffi::lua_checkstack(thread, 2) == 0 || ffi::lua_getstack(thread, 0, &mut ar) == 0 {
            return false;
        }
        ffi::lua_getinfo(thread, c"f".as_ptr(), &mut ar);
        let ours = !ffi::lua_getupvalue(thread, -1, 1).is_null() && {
            let owner = ffi::lua_touserdata(thread, -1);
            ffi::lua_pop(thread, 1);
            state.is_at(owner)
        };
        ffi::lua_pop(thread, 1);
        ours
    }
}

/// The operation of the running coroutine, if the loop resumed it from a suspension without delay: to suspend again in the
/// same way needs nothing new.
#[inline]
pub(crate) unsafe fn suspended_before(L: *mut lua_State, state: StateRef) -> Option<OpId> {
    // SAFETY: no Lua is called.
    unsafe {
        state.touch(|state| {
            let system = state.system();
            let Delivering { thread, op } = system.delivering;
            (thread == L && system.core.is_suspension(op) && !system.core.is_foreign()).then_some(op)
        })
    }
}
