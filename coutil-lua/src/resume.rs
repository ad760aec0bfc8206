//! The one function that resumes coroutines.
//!
//! Its callers are whoever ends a wait: an emitter, the loop, a close. They end the operation first, so that the
//! coroutine finds it gone (see [`suspend`](crate::suspend)); they hold no borrow; and they anchor the coroutine on the
//! stack that they run on.

use crate::raw::{c_int, compat, lua_State};
use crate::report;
use crate::state::{Delivery, StateRef};
use crate::system::Delivering;
use mlua::ffi;
use std::ffi::CStr;

/// LuaJIT does not bound the nesting of resumptions, and dies of it; the other versions stop at about this depth.
#[cfg(feature = "luajit")]
const DEPTH: u32 = 190;

/// As [`resume_for`], for an emitter.
#[inline(always)]
pub(crate) unsafe fn resume(L: *mut lua_State, state: StateRef, co: *mut lua_State, nargs: c_int) {
    // SAFETY: as the callee.
    unsafe { resume_for(L, state, co, nargs, None) }
}

/// Resumes `co` with the `nargs` values on its top. What it yields or returns is dropped; its error is reported, with a
/// warning that begins with `warning` where the contract has one. Never raises.
#[inline(always)]
pub(crate) unsafe fn resume_for(
    L: *mut lua_State,
    state: StateRef,
    co: *mut lua_State,
    nargs: c_int,
    warning: Option<&'static CStr>,
) {
    // SAFETY: `co` is a suspended coroutine of the same state, anchored by the caller.
    unsafe {
        #[cfg(feature = "luajit")]
        let too_deep = state.touch(|state| {
            state.depth += 1;
            state.depth > DEPTH
        });
        #[cfg(feature = "luajit")]
        if too_deep {
            state.touch(|state| state.depth -= 1);
            ffi::lua_pop(co, nargs);
            aside(state, || report::report_text(L, co, c"C stack overflow"));
            return;
        }
        let mut nres = 0;
        let status = compat::resume(L, co, nargs, &mut nres);
        #[cfg(feature = "luajit")]
        state.touch(|state| state.depth -= 1);
        match status {
            ffi::LUA_OK | ffi::LUA_YIELD => {
                if nres > 0 {
                    ffi::lua_pop(co, nres);
                }
            }
            _ => failed(L, state, co, warning),
        }
    }
}

/// The error is on the top of `co`, which is dead; or it was not resumed at all, for the depth of C calls, and is still
/// suspended.
#[cold]
unsafe fn failed(L: *mut lua_State, state: StateRef, co: *mut lua_State, _warning: Option<&'static CStr>) {
    // SAFETY: as `resume`.
    unsafe {
        state.touch(|state| state.failed = true);
        #[cfg(feature = "lua51")]
        if ffi::lua_status(co) == ffi::LUA_YIELD {
            // The message was put where the frame of the suspended function has its values.
            ffi::lua_settop(co, 0);
            aside(state, || report::report_text(L, co, c"C stack overflow"));
            return;
        }
        #[cfg(feature = "lua51")]
        if crate::spawn::handle(L, co) {
            return;
        }
        ffi::lua_xmove(co, L, 1);
        #[cfg(any(feature = "lua54", feature = "lua55"))]
        if let Some(warning) = _warning {
            report::warn(L, warning);
        }
        aside(state, || report::report(L, co));
    }
}

/// Reports. The coroutine is not being resumed any more: what the handler does with it counts as anybody's.
unsafe fn aside(state: StateRef, report: impl FnOnce()) {
    // SAFETY: writes a field.
    unsafe {
        let (delivery, delivering) = state.touch(|state| {
            let delivery = std::mem::replace(&mut state.delivery, Delivery::NONE);
            (delivery, std::mem::replace(&mut state.system().delivering, Delivering::NONE))
        });
        report();
        state.touch(|state| {
            state.delivery = delivery;
            state.system().delivering = delivering;
        });
    }
}
