//! `coutil.event` (10 §1).

use super::emit::{Reach, emit};
use super::{place, wait};
use crate::raw::{Functions, c_int, lua_State};
use crate::state::StateRef;
use mlua::ffi;

pub(crate) const FUNCTIONS: Functions<'_> =
    &[(c"pending", wait::pending), (c"emitone", emit_one), (c"emitall", emit_all)];

/// The functions that await, where they need no Lua function around them.
pub(crate) const AWAITS: Functions<'_> =
    &[(c"await", wait::await_one), (c"awaitany", wait::await_any), (c"awaitall", wait::await_all)];

/// Emits the event at index 1, and returns whether anybody was waiting.
#[inline(always)]
pub(crate) unsafe fn emit_arguments(L: *mut lua_State, reach: Reach) -> bool {
    // SAFETY: the arguments, and the anchors, are all that is on the stack.
    unsafe {
        let state = StateRef::of(L);
        let values = ffi::lua_gettop(L);
        match place::find(L, state, 1) {
            Some(place) => emit(L, state, place, values, reach),
            None => false,
        }
    }
}

/// `event.emitone(e, ...)` → boolean (10 §1.3)
unsafe extern "C-unwind" fn emit_one(L: *mut lua_State) -> c_int {
    // SAFETY: any values may be given.
    unsafe {
        let emitted = emit_arguments(L, Reach::One);
        ffi::lua_pushboolean(L, emitted.into());
        1
    }
}

/// `event.emitall(e, ...)` → boolean (10 §1.2)
unsafe extern "C-unwind" fn emit_all(L: *mut lua_State) -> c_int {
    // SAFETY: any values may be given.
    unsafe {
        let emitted = emit_arguments(L, Reach::All);
        ffi::lua_pushboolean(L, emitted.into());
        1
    }
}
