//! The synchronization of coroutines in one state: `coutil.event`, `queued`, `mutex`, `promise` (spec: 10).
//!
//! All of them share one registry of waiters, `coutil_event::core::Registry`, with a suspended coroutine as the waiter.

pub(crate) mod emit;
pub(crate) mod event;
pub(crate) mod mutex;
pub(crate) mod place;
pub(crate) mod promise;
pub(crate) mod queued;
pub(crate) mod queues;
pub(crate) mod wait;

use crate::raw::{Functions, lua_State};
use crate::state::{self, field};
use mlua::ffi;

/// The upvalues of the functions of these modules, but for promises and the functions that fulfil them.
pub(crate) mod upvalue {
    use crate::raw::c_int;

    pub(crate) const STRONG: c_int = 2;
    pub(crate) const WEAK: c_int = 3;
    pub(crate) const ANCHORS: c_int = 4;
    pub(crate) const COUNT: c_int = 4;
}

/// Sets functions as fields of the table on the top, with the upvalues of these modules. [-0, +0] Raises for memory.
pub(crate) unsafe fn set_functions(L: *mut lua_State, functions: Functions<'_>) {
    // SAFETY: the upvalues are pushed in the order of `upvalue`.
    unsafe {
        push_upvalues(L);
        crate::raw::set_functions(L, functions, upvalue::COUNT);
    }
}

/// Pushes the upvalues of these modules. [-0, +4] Raises for memory.
pub(crate) unsafe fn push_upvalues(L: *mut lua_State) {
    // SAFETY: as above.
    unsafe {
        state::push(L);
        state::push_field(L, field::STRONG);
        state::push_field(L, field::WEAK);
        state::push_field(L, field::ANCHORS);
    }
}

/// Sets `version` in the table on the top. [-0, +0] Raises for memory.
pub(crate) unsafe fn set_version(L: *mut lua_State) {
    // SAFETY: a table is on the top.
    unsafe {
        ffi::lua_pushliteral(L, c"1.0 alpha");
        ffi::lua_setfield(L, -2, c"version".as_ptr());
    }
}
