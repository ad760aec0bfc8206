//! Waiting for events.

use super::emit;
use super::place::{self, Place};
use crate::raw::{c_int, error, lua_State};
use crate::state::{State, StateRef};
use crate::suspend::{self, Await};
use coutil_event::core::{QueueId, WaiterId};
use mlua::ffi;

/// `event.await`, `awaitany`, `awaitall`.
pub(crate) struct Events;

impl Await for Events {
    #[inline]
    unsafe fn resumed(L: *mut lua_State, token: u64, base: c_int) -> c_int {
        // SAFETY: as the callees.
        unsafe {
            let state = StateRef::of(L);
            if cancel(L, state, token) == Resumption::Astray {
                return again::<Self>(L, token, base, false);
            }
            ffi::lua_gettop(L) - base
        }
    }

    #[cfg(feature = "lua52")]
    #[inline(always)]
    unsafe fn ended(L: *mut lua_State, base: c_int) -> Option<c_int> {
        // SAFETY: as `resumed`.
        unsafe {
            let thread = StateRef::of(L).touch(|state| state.delivery.thread);
            (thread == L).then(|| ffi::lua_gettop(L) - base)
        }
    }

    unsafe fn impossible(L: *mut lua_State, token: u64) {
        // SAFETY: as `resumed`.
        unsafe { take_back(L, token) }
    }
}

/// How a coroutine came to continue.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Resumption {
    /// Its wait has ended, or was cancelled.
    Over,
    /// An emission meant for what it was before its host reset it.
    #[cfg_attr(not(any(feature = "lua54", feature = "lua55")), allow(dead_code))]
    Astray,
}

/// Ends a wait, if the library has not done so: somebody else resumed the coroutine.
#[inline(always)]
pub(crate) unsafe fn cancel(L: *mut lua_State, state: StateRef, token: u64) -> Resumption {
    // SAFETY: any number is fine as a token: what it finds has to be a wait of this very coroutine.
    unsafe {
        let delivery = state.touch(|state| state.delivery);
        if delivery.thread == L {
            #[cfg(any(feature = "lua54", feature = "lua55"))]
            if delivery.waiter != token {
                return Resumption::Astray;
            }
            return Resumption::Over;
        }
        // There is no token: a coroutine has at most one wait.
        #[cfg(any(feature = "lua51", feature = "luajit"))]
        let (waiter, _) = (state.touch(|state| state.waiter_of(L)), token);
        #[cfg(not(any(feature = "lua51", feature = "luajit")))]
        let waiter = {
            let waiter = WaiterId::from_bits(token);
            state.touch(|state| state.is_waiter(waiter, L)).then_some(waiter)
        };
        if let Some(waiter) = waiter {
            // The values that it was resumed with may have taken all the room.
            ffi::luaL_checkstack(L, 8, std::ptr::null());
            place::withdraw(L, state, waiter);
        }
        Resumption::Over
    }
}

/// Ends a wait that turned out to be impossible.
#[cfg_attr(not(feature = "lua52"), allow(dead_code))]
#[cold]
pub(crate) unsafe fn take_back(L: *mut lua_State, token: u64) {
    // SAFETY: nothing but its begin has happened.
    unsafe {
        let state = StateRef::of(L);
        let waiter = WaiterId::from_bits(token);
        let used_again = state.with(L, |state| {
            state.started(waiter);
            state.delivered_again(L, waiter)
        });
        if !used_again {
            place::withdraw(L, state, waiter);
        }
    }
}

/// Suspends again, as if nothing had happened.
#[cold]
pub(crate) unsafe fn again<A: Await>(L: *mut lua_State, token: u64, base: c_int, sheltered: bool) -> c_int {
    // SAFETY: the wait still stands where it stood.
    unsafe {
        ffi::lua_settop(L, (base - 1).max(0));
        if sheltered {
            suspend::sheltered::<A>(L, token, || {})
        } else {
            suspend::suspend::<A>(L, token, || {})
        }
    }
}

/// Suspends the running coroutine, which waits for the event at `place` from now on. The values on the stack stay there
/// meanwhile, and hold the event. [see `suspend`] Raises for memory.
#[inline(always)]
pub(crate) unsafe fn suspend_at<A: Await>(
    L: *mut lua_State,
    state: StateRef,
    place: Place,
    sheltered: bool,
) -> c_int {
    // SAFETY: `start` calls no Lua.
    unsafe {
        let again = state.touch(|state| state.delivered(L, place.queue, place.is_strong()));
        // What comes in between may run finalizers, as `suspend` says.
        let interruptible = cfg!(feature = "lua52") || sheltered;
        let waiter = match again {
            Some(waiter) => {
                if interruptible {
                    state.with(L, |state| state.begin(waiter));
                }
                waiter
            }
            None => {
                let waiter = state.with(L, |state| state.prepare(L, false));
                place::anchor(L, place, waiter);
                waiter
            }
        };
        // Numbers, as `Delivery` says.
        let (token, queue, strong) = (waiter.to_bits(), place.queue.to_bits(), place.is_strong());
        let again = again.is_some();
        let join = move |state: &mut State| {
            let waiter = WaiterId::from_bits(token);
            if interruptible || !again {
                state.started(waiter);
            }
            if again {
                state.delivery.thread = std::ptr::null_mut();
            }
            state.events.join_one(waiter, QueueId::from_bits(queue), strong);
        };
        if sheltered {
            suspend::sheltered::<A>(L, token, move || state.touch(join))
        } else {
            suspend::suspend::<A>(L, token, move || state.touch(join))
        }
    }
}

/// `event.await(e)` → e, … (10 §1.4)
pub(crate) unsafe extern "C-unwind" fn await_one(L: *mut lua_State) -> c_int {
    // SAFETY: what can fail comes before anything is prepared.
    unsafe {
        let state = StateRef::of(L);
        // On 5.2 to look costs as much as to wait. The yield itself tells, where nothing is to be made before.
        if cfg!(feature = "lua52")
            && let Some(place) = place::find(L, state, 1)
        {
            return suspend_at::<Events>(L, state, place, false);
        }
        suspend::check_yieldable(L);
        place::sweep_if_due(L, state);
        let place = place::obtain(L, state, 1);
        suspend_at::<Events>(L, state, place, false)
    }
}

/// `event.awaitany(...)` → e, … (10 §1.5)
pub(crate) unsafe extern "C-unwind" fn await_any(L: *mut lua_State) -> c_int {
    // SAFETY: as `await_one`.
    unsafe {
        suspend::check_yieldable(L);
        if !check_all(L) {
            error::raise_text(L, error::AWAIT, c"non-nil value expected");
        }
        obtain_all(L);
        await_several::<Events>(L, false, |_| {})
    }
}

/// `event.awaitall(...)` → true (10 §1.6)
pub(crate) unsafe extern "C-unwind" fn await_all(L: *mut lua_State) -> c_int {
    // SAFETY: as `await_one`.
    unsafe {
        suspend::check_yieldable(L);
        if !check_all(L) {
            ffi::lua_pushboolean(L, 1);
            return 1;
        }
        obtain_all(L);
        await_several::<Events>(L, true, |_| {})
    }
}

/// Whether any of the values on the stack can be waited for. Raises for NaN.
pub(crate) unsafe fn check_all(L: *mut lua_State) -> bool {
    // SAFETY: any values may stand there.
    unsafe {
        let mut any = false;
        for index in 1..=ffi::lua_gettop(L) {
            if ffi::lua_isnil(L, index) == 0 {
                place::check(L, index, error::AWAIT);
                any = true;
            }
        }
        any
    }
}

/// Makes places for the events on the stack, which were checked. Finalizers may run meanwhile, and may wait or emit; so
/// this comes before anything is prepared. [-0, +0] Raises for memory.
pub(crate) unsafe fn obtain_all(L: *mut lua_State) {
    // SAFETY: as `obtain`.
    unsafe {
        let state = StateRef::of(L);
        place::sweep_if_due(L, state);
        let top = ffi::lua_gettop(L);
        for index in 1..=top {
            if ffi::lua_isnil(L, index) == 0 {
                place::obtain(L, state, index);
                ffi::lua_settop(L, top);
            }
        }
    }
}

/// Waits for the events on the stack, which have their places; `also` is done when the wait begins. From here to the
/// suspension there is no step of the collector, so no finalizer comes in between. (A string whose queue a finalizer swept
/// out gets another one without one.)
pub(crate) unsafe fn await_several<A: Await>(L: *mut lua_State, all: bool, also: fn(&mut State)) -> c_int {
    // SAFETY: as `await_one`.
    unsafe {
        let state = StateRef::of(L);
        let waiter = state.with(L, |state| state.prepare(L, all));
        let top = ffi::lua_gettop(L);
        for index in 1..=top {
            if ffi::lua_isnil(L, index) == 0 {
                let place = place::obtain(L, state, index);
                place::anchor(L, place, waiter);
                state.with(L, |state| state.joining.push(place.queue));
                ffi::lua_settop(L, top);
            }
        }
        suspend::suspend::<A>(L, waiter.to_bits(), || {
            state.touch(|state| {
                state.join(waiter);
                also(state);
            });
        })
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

/// `finish(...)` → ..., for the Lua functions around await functions: what follows the suspension.
#[cfg(any(feature = "lua51", feature = "luajit"))]
pub(crate) unsafe extern "C-unwind" fn finish(L: *mut lua_State) -> c_int {
    // SAFETY: called with what the coroutine was resumed with.
    unsafe { Events::resumed(L, 0, 0) }
}
