//! `coutil.mutex` (10 §3).

use super::emit::{Reach, emit};
use super::{place, wait};
use crate::raw::{Functions, c_int, error, lua_State};
use crate::state::{StateRef, Thread};
use crate::suspend::{self, Await};
use coutil_mutex::core::Attempt;
use mlua::ffi;

pub(crate) const FUNCTIONS: Functions<'_> =
    &[(c"unlock", unlock), (c"islocked", is_locked), (c"ownlock", own_lock)];

/// The functions that await, where they need no Lua function around them.
pub(crate) const AWAITS: Functions<'_> = &[(c"lock", lock)];

/// `mutex.lock`.
struct Lock;

impl Await for Lock {
    unsafe fn resumed(L: *mut lua_State, token: u64, base: c_int) -> c_int {
        // SAFETY: the frame was sheltered, so the value is at index 1.
        unsafe {
            if wait::cancel(L, StateRef::of(L), token) == wait::Resumption::Astray {
                return wait::again::<Self>(L, token, base, true);
            }
            ffi::lua_settop(L, 1);
            lock_value(L)
        }
    }

    unsafe fn impossible(L: *mut lua_State, token: u64) {
        // SAFETY: as `resumed`.
        unsafe { wait::take_back(L, token) }
    }
}

/// Makes the running coroutine the owner of the mutex of the value at `index`, unless another one is. [-0, +some]
/// Raises.
unsafe fn acquire(L: *mut lua_State, index: c_int) -> bool {
    // SAFETY: the owner is anchored before it is one, so that an error for memory leaves the mutex free.
    unsafe {
        let state = StateRef::of(L);
        place::check(L, index, error::AWAIT);
        place::sweep_if_due(L, state);
        let place = place::obtain(L, state, index);
        let busy = state.with(L, |state| state.events.data(place.queue).is_none_or(|e| e.mutex.is_locked()));
        if !busy {
            ffi::lua_pushthread(L);
            place::set_value(L, place, place::owner_key(place.queue));
        }
        let attempt = state.with(L, |state| {
            state.events.data_mut(place.queue).map_or(Attempt::Busy, |event| event.mutex.acquire(Thread(L)))
        });
        match attempt {
            Attempt::Acquired => true,
            Attempt::Nested => error::raise_text(L, error::AWAIT, c"nested lock"),
            Attempt::Busy => false,
        }
    }
}

/// Waits for the event of the mutex of the value at index 1, which is the last on the stack.
unsafe fn enqueue(L: *mut lua_State) -> c_int {
    // SAFETY: as `wait::await_one`.
    unsafe {
        let state = StateRef::of(L);
        let place = place::obtain(L, state, 1);
        wait::suspend_at::<Lock>(L, state, place, true)
    }
}

/// Locks the mutex of the value at index 1, now or when it is free.
unsafe fn lock_value(L: *mut lua_State) -> c_int {
    // SAFETY: as the callees.
    unsafe {
        if acquire(L, 1) {
            return 0;
        }
        suspend::check_yieldable(L);
        ffi::lua_settop(L, 1);
        enqueue(L)
    }
}

/// `mutex.lock(e)` (10 §3.1)
pub(crate) unsafe extern "C-unwind" fn lock(L: *mut lua_State) -> c_int {
    // SAFETY: any value or none may be given.
    unsafe {
        ffi::lua_settop(L, 1);
        lock_value(L)
    }
}

/// `acquire(e)` → boolean, for the Lua function around `lock`; false where it has to wait, and can.
#[cfg(any(feature = "lua51", feature = "luajit"))]
pub(crate) unsafe extern "C-unwind" fn try_acquire(L: *mut lua_State) -> c_int {
    // SAFETY: any value or none may be given.
    unsafe {
        ffi::lua_settop(L, 1);
        let acquired = acquire(L, 1);
        if !acquired {
            suspend::check_yieldable(L);
        }
        ffi::lua_pushboolean(L, acquired.into());
        1
    }
}

/// `enqueue(e)`, for the same: waits until somebody resumes the coroutine.
#[cfg(any(feature = "lua51", feature = "luajit"))]
pub(crate) unsafe extern "C-unwind" fn wait_turn(L: *mut lua_State) -> c_int {
    // SAFETY: called after `acquire`.
    unsafe {
        ffi::lua_settop(L, 1);
        enqueue(L)
    }
}

/// `mutex.unlock(e)` → boolean (10 §3.2)
unsafe extern "C-unwind" fn unlock(L: *mut lua_State) -> c_int {
    // SAFETY: any value or none may be given.
    unsafe {
        let state = StateRef::of(L);
        ffi::lua_settop(L, 1);
        if let Some(place) = place::find(L, state, 1) {
            let released = state.with(L, |state| {
                state.events.data_mut(place.queue).is_some_and(|event| event.mutex.release(&Thread(L)))
            });
            if released {
                ffi::lua_pushnil(L);
                place::set_value(L, place, place::owner_key(place.queue));
                let woken = emit(L, state, place, 1, Reach::One);
                ffi::lua_pushboolean(L, woken.into());
                return 1;
            }
        }
        error::raise_text(L, error::DIRECT, c"lock not owned")
    }
}

/// Whether the mutex of the value at index 1 is owned, by the running coroutine or by any.
unsafe fn owned(L: *mut lua_State, by_caller: bool) -> c_int {
    // SAFETY: any value or none may be given.
    unsafe {
        let state = StateRef::of(L);
        ffi::lua_settop(L, 1);
        let owned = match place::find(L, state, 1) {
            Some(place) => state.with(L, |state| {
                state.events.data(place.queue).is_some_and(|event| match by_caller {
                    true => event.mutex.is_owned_by(&Thread(L)),
                    false => event.mutex.is_locked(),
                })
            }),
            None => false,
        };
        ffi::lua_pushboolean(L, owned.into());
        1
    }
}

/// `mutex.islocked(e)` → boolean (10 §3.3)
unsafe extern "C-unwind" fn is_locked(L: *mut lua_State) -> c_int {
    // SAFETY: as `owned`.
    unsafe { owned(L, false) }
}

/// `mutex.ownlock(e)` → boolean (10 §3.3)
unsafe extern "C-unwind" fn own_lock(L: *mut lua_State) -> c_int {
    // SAFETY: as `owned`.
    unsafe { owned(L, true) }
}
