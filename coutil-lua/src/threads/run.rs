//! `system.run` in a task: it gives the thread up while nothing but other parties of channels can end its waits (20 §8.9).
//!
//! The chunk is yielded by `run` itself, and the [task](super::task) knows by a flag that it was not the chunk that yielded. It
//! resumes the chunk when something has come for the loop, and `run` goes on.

use super::shared::Context;
use crate::raw::{compat, lua_State};
use crate::state::StateRef;
use coutil_system::core::Mode;

/// Whether a `run` may give the thread up: in a task.
#[cfg(any(feature = "lua51", feature = "luajit"))]
pub(crate) unsafe fn may_yield(L: *mut lua_State) -> bool {
    // SAFETY: as the callee.
    unsafe { Context::of(L).is_some_and(|context| context.pool.is_some()) }
}

/// A run begins: whether it may yield this thread, which is the chunk's then.
pub(crate) unsafe fn begin(L: *mut lua_State, state: StateRef, mode: Mode) {
    // SAFETY: as the callees.
    unsafe {
        let yields = mode == Mode::Loop
            && Context::of(L).is_some_and(|context| context.pool.is_some() && context.chunk == L)
            && compat::is_yieldable(L);
        state.touch(|state| state.system().related.yields = yields);
    }
}

/// A run has ended.
pub(crate) fn end(system: &mut crate::system::System) {
    system.related.yields = false;
    system.core.idle_at(None);
}

/// `run` yields the chunk now.
pub(crate) unsafe fn leave(L: *mut lua_State) {
    // SAFETY: only the task reads it, when the chunk has yielded.
    unsafe {
        if let Some(context) = Context::of(L) {
            context.idle.set(true);
        }
    }
}

/// It turned out that it cannot yield: the thread is blocked from now on.
#[cfg(feature = "lua52")]
pub(crate) unsafe fn stay(L: *mut lua_State, state: StateRef) {
    // SAFETY: as `leave`.
    unsafe {
        if let Some(context) = Context::of(L) {
            context.idle.set(false);
        }
        state.touch(|state| end(state.system()));
    }
}

/// `()`: yields the chunk.
#[cfg(any(feature = "lua51", feature = "lua52", feature = "luajit"))]
pub(crate) unsafe extern "C-unwind" fn park(L: *mut lua_State) -> std::ffi::c_int {
    use mlua::ffi;
    // SAFETY: what it is resumed with is dropped by whoever called it.
    unsafe {
        ffi::lua_settop(L, 0);
        leave(L);
        ffi::lua_yield(L, 0)
    }
}
