//! `coutil.queued`: events whose emissions are stored while nobody waits (10 §2).
//!
//! The stored emissions of an event are a table, at [`records_key`](place::records_key) among its anchors: the number of
//! an emission → its values, as a table `{ count, value… }`, or `false` for none.

use super::emit::Reach;
use super::event::emit_arguments;
use super::place::{self, Place};
use super::wait;
use crate::raw::{Functions, c_int, compat, error, lua_State};
use crate::state::{State, StateRef};
use crate::suspend::{self, Await};
use mlua::ffi;

pub(crate) const FUNCTIONS: Functions<'_> =
    &[(c"queued", is_queued), (c"emitone", emit_one), (c"emitall", emit_all)];

/// The functions that await, where they need no Lua function around them.
pub(crate) const AWAITS: Functions<'_> =
    &[(c"await", await_one), (c"awaitany", await_any), (c"awaitall", await_all)];

/// The numbers of the stored emissions of a place: the oldest, and the one after the last.
unsafe fn stored(L: *mut lua_State, state: StateRef, place: Place) -> Option<(u32, u32)> {
    // SAFETY: as `with`.
    unsafe {
        state.with(L, |state| {
            let event = state.events.data(place.queue)?;
            (event.oldest != event.next).then_some((event.oldest, event.next))
        })
    }
}

/// Stores the values above index 1 as an emission of the event at index 1. [-all, +0] Raises for memory, and for NaN.
unsafe fn store(L: *mut lua_State, state: StateRef) {
    // SAFETY: the number of the next emission is raised last, so that an error stores nothing.
    unsafe {
        let count = ffi::lua_gettop(L) - 1;
        if ffi::lua_isnil(L, 1) != 0 {
            return;
        }
        place::check(L, 1, error::DIRECT);
        if count == 0 {
            ffi::lua_pushboolean(L, 0);
        } else {
            ffi::lua_createtable(L, count + 1, 0);
            ffi::lua_insert(L, 2);
            for index in (1..=count).rev() {
                ffi::lua_rawseti(L, 2, (index + 1).into());
            }
            ffi::lua_pushinteger(L, count.into());
            ffi::lua_rawseti(L, 2, 1);
        }
        // What runs finalizers comes before the place: one of them could sweep it out.
        ffi::lua_createtable(L, 1, 0);
        // stack: event, record, table
        place::sweep_if_due(L, state);
        let place = place::obtain(L, state, 1);
        place::push_value(L, place, place::records_key(place.queue));
        if ffi::lua_isnil(L, -1) != 0 {
            ffi::lua_pop(L, 1);
            ffi::lua_pushvalue(L, 3);
            ffi::lua_pushvalue(L, -1);
            place::set_value(L, place, place::records_key(place.queue));
        }
        let (oldest, next) = state.with(L, |state| {
            state.events.data(place.queue).map_or((0, 0), |event| (event.oldest, event.next))
        });
        let records = ffi::lua_gettop(L);
        release(L, state, place, records, oldest);
        compat::push_id(L, u64::from(next) + 1);
        ffi::lua_pushvalue(L, 2);
        ffi::lua_rawset(L, -3);
        state.with(L, |state| {
            if let Some(event) = state.events.data_mut(place.queue) {
                event.next = event.next.wrapping_add(1);
            }
        });
    }
}

/// Takes the oldest stored emission of the event at `index`, if there is one. Returns the number of its values. [-0,
/// +that number, under which other values may stand] Raises if there are too many, and then takes none.
unsafe fn take(L: *mut lua_State, state: StateRef, index: c_int) -> Option<c_int> {
    // SAFETY: the records are those that `store` made.
    unsafe {
        let place = place::find(L, state, index)?;
        let (oldest, next) = stored(L, state, place)?;
        place::push_value(L, place, place::records_key(place.queue));
        let records = ffi::lua_gettop(L);
        compat::push_id(L, u64::from(oldest) + 1);
        ffi::lua_rawget(L, records);
        let record = records + 1;
        let mut count = 0;
        if ffi::lua_istable(L, record) != 0 {
            ffi::lua_rawgeti(L, record, 1);
            count = ffi::lua_tointeger(L, -1) as c_int;
            ffi::lua_pop(L, 1);
            ffi::luaL_checkstack(L, count + 4, c"too many values".as_ptr());
        }
        release(L, state, place, records, oldest.wrapping_add(1));
        if oldest.wrapping_add(1) == next {
            // The table goes with the last one, so that it does not keep the size of a long queue.
            ffi::lua_pushnil(L);
            place::set_value(L, place, place::records_key(place.queue));
        }
        state.with(L, |state| {
            if let Some(event) = state.events.data_mut(place.queue) {
                event.oldest = event.oldest.wrapping_add(1);
            }
        });
        for index in 1..=count {
            ffi::lua_rawgeti(L, record, (index + 1).into());
        }
        Some(count)
    }
}

/// Lets go of the values of the emissions before number `until`; their table is at `records`. [-0, +0] Never raises.
unsafe fn release(L: *mut lua_State, state: StateRef, place: Place, records: c_int, until: u32) {
    // SAFETY: the keys exist, or nothing is done.
    unsafe {
        let mut number =
            state.touch(|state| state.events.data(place.queue).map_or(until, |event| event.kept));
        while number != until {
            compat::push_id(L, u64::from(number) + 1);
            ffi::lua_pushnil(L);
            ffi::lua_rawset(L, records);
            number = number.wrapping_add(1);
        }
        state.touch(|state| {
            if let Some(event) = state.events.data_mut(place.queue) {
                event.kept = until;
            }
        });
    }
}

/// `queued.queued(e)` → boolean (10 §2.2)
unsafe extern "C-unwind" fn is_queued(L: *mut lua_State) -> c_int {
    // SAFETY: any value or none may be given.
    unsafe {
        let state = StateRef::of(L);
        ffi::lua_settop(L, 1);
        let queued = match place::find(L, state, 1) {
            Some(place) => stored(L, state, place).is_some(),
            None => false,
        };
        ffi::lua_pushboolean(L, queued.into());
        1
    }
}

unsafe fn emit(L: *mut lua_State, reach: Reach) -> c_int {
    // SAFETY: `emit_arguments` leaves the arguments where they are.
    unsafe {
        let values = ffi::lua_gettop(L);
        let emitted = emit_arguments(L, reach);
        if !emitted && values > 0 {
            ffi::lua_settop(L, values);
            store(L, StateRef::of(L));
        }
        ffi::lua_pushboolean(L, emitted.into());
        1
    }
}

/// `queued.emitone(e, ...)` → boolean (10 §2.1)
unsafe extern "C-unwind" fn emit_one(L: *mut lua_State) -> c_int {
    // SAFETY: any values may be given.
    unsafe { emit(L, Reach::One) }
}

/// `queued.emitall(e, ...)` → boolean (10 §2.1)
unsafe extern "C-unwind" fn emit_all(L: *mut lua_State) -> c_int {
    // SAFETY: any values may be given.
    unsafe { emit(L, Reach::All) }
}

/// Returns the event at `index` and the values of its oldest stored emission, if there is one, as results on the top.
unsafe fn take_results(L: *mut lua_State, state: StateRef, index: c_int) -> Option<c_int> {
    // SAFETY: as `take`.
    unsafe {
        let count = take(L, state, index)?;
        ffi::lua_pushvalue(L, index);
        ffi::lua_insert(L, -(count + 1));
        Some(count + 1)
    }
}

/// `queued.await(e)` → e, … (10 §2.4)
pub(crate) unsafe extern "C-unwind" fn await_one(L: *mut lua_State) -> c_int {
    // SAFETY: any value or none may be given.
    unsafe {
        let state = StateRef::of(L);
        ffi::lua_settop(L, 1);
        match take_results(L, state, 1) {
            Some(results) => results,
            None => wait::await_one(L),
        }
    }
}

/// `queued.awaitany(...)` → e, … (10 §2.5)
pub(crate) unsafe extern "C-unwind" fn await_any(L: *mut lua_State) -> c_int {
    // SAFETY: any values may be given.
    unsafe {
        let state = StateRef::of(L);
        let top = ffi::lua_gettop(L);
        for index in 1..=top {
            if let Some(results) = take_results(L, state, index) {
                return results;
            }
            ffi::lua_settop(L, top);
        }
        wait::await_any(L)
    }
}

/// `queued.awaitall`, where some of the events are waited for.
struct Others;

impl Await for Others {
    unsafe fn resumed(L: *mut lua_State, token: u64, base: c_int) -> c_int {
        // SAFETY: as the callee.
        unsafe { wait::Events::resumed(L, token, base) }
    }

    unsafe fn impossible(L: *mut lua_State, token: u64) {
        // SAFETY: nothing ran since the emissions were taken.
        unsafe {
            wait::Events::impossible(L, token);
            StateRef::of(L).with(L, |state| state.serve(false));
        }
    }
}

/// `queued.awaitall(...)` → true (10 §2.6)
///
/// The stored emissions are taken at once if they serve all events. Otherwise when the wait for the others begins: until
/// then it may turn out that the coroutine cannot yield.
pub(crate) unsafe extern "C-unwind" fn await_all(L: *mut lua_State) -> c_int {
    // SAFETY: any values may be given.
    unsafe {
        let state = StateRef::of(L);
        suspend::check_yieldable(L);
        wait::check_all(L);
        wait::obtain_all(L);
        let top = ffi::lua_gettop(L);
        let call = state.with(L, State::begin_serving);
        let mut others = false;
        for index in 1..=top {
            others |= ffi::lua_isnil(L, index) == 0 && !is_served(L, state, index, call);
            ffi::lua_settop(L, top);
        }
        for index in 1..=top {
            let served = is_served(L, state, index, call);
            ffi::lua_settop(L, top);
            if !served {
                continue;
            }
            let again = !serve_once(L, state, index);
            ffi::lua_settop(L, top);
            if others {
                ffi::lua_pushnil(L);
                ffi::lua_replace(L, index);
            } else if !again {
                take(L, state, index);
                ffi::lua_settop(L, top);
            }
        }
        if !others {
            ffi::lua_pushboolean(L, 1);
            return 1;
        }
        wait::await_several::<Others>(L, true, |state| state.serve(true))
    }
}

/// Whether a stored emission serves the event at `index` in this call. [-0, +0 or 1]
unsafe fn is_served(L: *mut lua_State, state: StateRef, index: c_int, call: u32) -> bool {
    // SAFETY: as `find`.
    unsafe {
        let Some(place) = place::find(L, state, index) else { return false };
        state.with(L, |state| {
            let Some(event) = state.events.data_mut(place.queue) else { return false };
            if event.oldest != event.next {
                event.served = call;
            }
            event.served == call
        })
    }
}

/// Puts the event at `index` among those that are served by a stored emission; false if it is there already, by an equal
/// value. [-0, +0 or 1]
unsafe fn serve_once(L: *mut lua_State, state: StateRef, index: c_int) -> bool {
    // SAFETY: as `find`.
    unsafe {
        let Some(place) = place::find(L, state, index) else { return false };
        state.with(L, |state| {
            let Some(event) = state.events.data_mut(place.queue) else { return false };
            let first = !std::mem::replace(&mut event.serving, true);
            if first {
                state.serving.push(place.queue);
            }
            first
        })
    }
}
