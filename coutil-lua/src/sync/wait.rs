//! Waiting for events.

use super::place::{self, Place};
use super::{FIRST, emit};
use crate::raw::{c_int, compat, error, lua_State};
use crate::state::StateRef;
use crate::suspend::{self, Await};
use coutil_event::core::WaiterId;
use mlua::ffi;

/// `event.await`, `awaitany`, `awaitall`.
struct Events;

impl Await for Events {
    #[inline]
    unsafe fn resumed(L: *mut lua_State, base: c_int) -> c_int {
        // SAFETY: the token is at `base`.
        unsafe {
            let state = StateRef::of(L);
            cancel(L, state, base);
            ffi::lua_gettop(L) - base
        }
    }

    unsafe fn impossible(L: *mut lua_State, base: c_int) {
        // SAFETY: as `resumed`.
        unsafe { cancel(L, StateRef::of(L), base) }
    }
}

/// Ends the wait whose token is at `base`, if the library has not done so: somebody else resumed the coroutine.
#[inline]
pub(crate) unsafe fn cancel(L: *mut lua_State, state: StateRef, base: c_int) {
    // SAFETY: any number is fine as a token: what it finds has to be a wait of this very coroutine.
    unsafe {
        let waiter = WaiterId::from_bits(place::to_id(L, base));
        if state.with(L, |state| state.is_waiting(waiter, L)) {
            place::withdraw(L, state, waiter);
        }
    }
}

/// Makes the running coroutine a waiter, of one event or of several. On versions without continuations the Lua function
/// has done so before (see [`reserve`]), and given its token as the first argument.
#[inline]
pub(crate) unsafe fn prepare(L: *mut lua_State, state: StateRef, all: bool) -> WaiterId {
    // SAFETY: the token is the one of `reserve`.
    unsafe {
        if compat::WRAPPED {
            WaiterId::from_bits(place::to_id(L, 1))
        } else {
            state.with(L, |state| state.prepare(L, all))
        }
    }
}

/// Anchors the running coroutine at `place`, as a waiter that is about to join it. [-0, +0] Raises for memory.
#[inline]
pub(crate) unsafe fn add(L: *mut lua_State, state: StateRef, waiter: WaiterId, place: Place) {
    // SAFETY: as the callees.
    unsafe {
        place::anchor(L, place, waiter);
        state.with(L, |state| state.joining.push(place.queue));
    }
}

/// Suspends the running coroutine, which waits from now on. The values on the stack stay there meanwhile: they hold the
/// events. [see `suspend`]
#[inline]
pub(crate) unsafe fn suspend<A: Await>(L: *mut lua_State, state: StateRef, waiter: WaiterId) -> c_int {
    // SAFETY: joining calls no Lua.
    unsafe {
        let base = if compat::WRAPPED {
            1
        } else {
            place::push_id(L, waiter.to_bits());
            ffi::lua_gettop(L)
        };
        suspend::suspend::<A>(L, base, || {
            // A panic in it leaves a waiter that nobody resumes but explicitly.
            let _ = state.try_with(|state| state.join(waiter));
        })
    }
}

/// `event.await(e)` → e, … (10 §1.4)
pub(crate) unsafe extern "C-unwind" fn await_one(L: *mut lua_State) -> c_int {
    // SAFETY: arguments are checked before anything is prepared.
    unsafe {
        let state = StateRef::of(L);
        suspend::check_yieldable(L);
        ffi::lua_settop(L, FIRST);
        place::check(L, FIRST, error::AWAIT);
        place::sweep_if_due(L, state);
        let waiter = prepare(L, state, false);
        let place = place::obtain(L, state, FIRST);
        add(L, state, waiter, place);
        suspend::<Events>(L, state, waiter)
    }
}

/// `event.awaitany(...)` → e, … (10 §1.5)
pub(crate) unsafe extern "C-unwind" fn await_any(L: *mut lua_State) -> c_int {
    // SAFETY: as `await_one`.
    unsafe {
        suspend::check_yieldable(L);
        if !check_all(L, FIRST) {
            error::raise_text(L, error::AWAIT, c"non-nil value expected");
        }
        await_several(L, false)
    }
}

/// `event.awaitall(...)` → true (10 §1.6)
pub(crate) unsafe extern "C-unwind" fn await_all(L: *mut lua_State) -> c_int {
    // SAFETY: as `await_one`.
    unsafe {
        suspend::check_yieldable(L);
        if !check_all(L, FIRST) {
            ffi::lua_pushboolean(L, 1);
            return 1;
        }
        await_several(L, true)
    }
}

/// Whether any of the values from index `first` on can be waited for. Raises for NaN.
pub(crate) unsafe fn check_all(L: *mut lua_State, first: c_int) -> bool {
    // SAFETY: any values may stand there.
    unsafe {
        let mut any = false;
        for index in first..=ffi::lua_gettop(L) {
            if ffi::lua_isnil(L, index) == 0 {
                place::check(L, index, error::AWAIT);
                any = true;
            }
        }
        any
    }
}

/// Waits for the events from index [`FIRST`] on, which were checked.
unsafe fn await_several(L: *mut lua_State, all: bool) -> c_int {
    // SAFETY: as `await_one`.
    unsafe {
        let state = StateRef::of(L);
        place::sweep_if_due(L, state);
        let waiter = prepare(L, state, all);
        let top = ffi::lua_gettop(L);
        for index in FIRST..=top {
            if ffi::lua_isnil(L, index) == 0 {
                let place = place::obtain(L, state, index);
                add(L, state, waiter, place);
                ffi::lua_settop(L, top);
            }
        }
        suspend::<Events>(L, state, waiter)
    }
}

/// `event.pending(e)` → boolean (10 §1.1)
pub(crate) unsafe extern "C-unwind" fn pending(L: *mut lua_State) -> c_int {
    // SAFETY: any value or none may be given.
    unsafe {
        let state = StateRef::of(L);
        ffi::lua_settop(L, 1);
        let pending = match place::find(L, state, 1) {
            Some(place) => emit::is_pending(L, state, place),
            None => false,
        };
        ffi::lua_pushboolean(L, pending.into());
        1
    }
}

/// `reserve([all])` → token, for the Lua functions around await functions: makes the running coroutine a waiter that
/// does not wait yet.
#[cfg(any(feature = "lua51", feature = "luajit"))]
pub(crate) unsafe extern "C-unwind" fn reserve(L: *mut lua_State) -> c_int {
    // SAFETY: pushes a number.
    unsafe {
        let state = StateRef::of(L);
        let all = ffi::lua_toboolean(L, 1) != 0;
        let waiter = state.with(L, |state| state.prepare(L, all));
        place::push_id(L, waiter.to_bits());
        1
    }
}

/// `finish(token, ...)` → ..., for the same: what follows the suspension.
#[cfg(any(feature = "lua51", feature = "luajit"))]
pub(crate) unsafe extern "C-unwind" fn finish(L: *mut lua_State) -> c_int {
    // SAFETY: the token is the first argument.
    unsafe { Events::resumed(L, 1) }
}
