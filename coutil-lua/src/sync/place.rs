//! From a Lua value to its queue.
//!
//! Neither the value nor the coroutines are kept alive by waiting: a coroutine is anchored by the value that it waits
//! for, and by nothing else (10 §1.7). There are three kinds of values:
//!
//! - *strong*: never collected (strings, numbers, booleans, light userdata). A table has the ids of their queues; they
//!   share one table of anchors.
//! - *weak*: a table with weak keys (an ephemeron table from 5.2 on) has a [`Home`] for each. Its user value is the
//!   table of anchors. When the value is collected, so is its home, which then frees the queue.
//! - *promises*: as weak ones, but the home is an upvalue of the promise. Chains of waiters in an ephemeron table
//!   cost quadratic time to collect.
//!
//! A table of anchors has, as positive integers, the index of a waiter + 1 → its coroutine; and negative ones for what
//! else belongs to a queue, see [`owner_key`], [`records_key`], [`RESULTS`].

use super::upvalue;
use crate::raw::compat::{push_id, to_id};
use crate::raw::{c_int, error, lua_State};
use crate::state::{self, Event, State, StateRef, field};
use coutil_event::core::{QueueId, WaiterId};
use coutil_promise::core::Outcome;
use mlua::ffi;

/// The queue of a value, and where its anchors are.
#[derive(Clone, Copy)]
pub(crate) struct Place {
    pub(crate) queue: QueueId,
    /// The stack index of the [`Home`] whose user value is the table of anchors; 0 for the shared table.
    home: c_int,
}

impl Place {
    /// Whether the value is never collected.
    #[inline]
    pub(crate) fn is_strong(self) -> bool {
        self.home == 0
    }
}

/// The way from a collectable value to its queue; a full userdata.
pub(crate) struct Home {
    /// A promise has none before somebody waits for it.
    pub(crate) queue: Option<QueueId>,
    /// Of a promise: how many results it was fulfilled with.
    pub(crate) outcome: Outcome<c_int>,
}

/// Of a promise: the key of the table of its results.
pub(crate) const RESULTS: ffi::lua_Integer = 0;

/// The key of the coroutine that owns the mutex of a queue.
pub(crate) fn owner_key(queue: QueueId) -> ffi::lua_Integer {
    -2 * queue.index() as ffi::lua_Integer - 1
}

/// The key of the stored emissions of a queue.
pub(crate) fn records_key(queue: QueueId) -> ffi::lua_Integer {
    owner_key(queue) - 1
}

/// The key that anchors a waiter.
pub(crate) fn waiter_key(waiter: WaiterId) -> ffi::lua_Integer {
    waiter.index() as ffi::lua_Integer + 1
}

/// Of strings of at most so many bytes Lua has only one with the same contents, so its address stands for it. A longer one
/// may be equal to the key of a queue, and be another one all the same, which is collected while the key lives.
const INTERNED: usize = 40;

/// The place of the value at `index`, if it has one: nobody can wait for a value that has none. [-0, +0 or 1: the
/// home] Never raises.
#[inline(always)]
pub(crate) unsafe fn find(L: *mut lua_State, state: StateRef, index: c_int) -> Option<Place> {
    // SAFETY: as the callees.
    unsafe {
        let kind;
        #[cfg(any(feature = "lua54", feature = "lua55", feature = "luajit"))]
        {
            let address = ffi::lua_topointer(L, index) as usize;
            let at_hand = state.touch(|state| state.cached(address));
            kind = ffi::lua_type(L, index);
            // A light userdata has whatever address it likes.
            if let (Some(queue), ffi::LUA_TSTRING) = (at_hand, kind) {
                return Some(Place { queue, home: 0 });
            }
        }
        // Here a string has no address but that of its bytes.
        #[cfg(any(feature = "lua51", feature = "lua52", feature = "lua53"))]
        {
            kind = ffi::lua_type(L, index);
            if kind == ffi::LUA_TSTRING
                && let Some(queue) = state.touch(|state| state.cached(string(L, index).0))
            {
                return Some(Place { queue, home: 0 });
            }
        }
        find_by_table(L, state, index, kind)
    }
}

/// As [`find`], for what is not at hand.
unsafe fn find_by_table(L: *mut lua_State, state: StateRef, index: c_int, kind: c_int) -> Option<Place> {
    // SAFETY: the upvalues are those of `super::upvalue`; raw accesses run no Lua code.
    unsafe {
        match kind {
            ffi::LUA_TSTRING => {
                let place = find_strong(L, index)?;
                let (address, len) = string(L, index);
                if len <= INTERNED {
                    state.touch(|state| state.cache(address, place.queue));
                }
                Some(place)
            }
            ffi::LUA_TNUMBER | ffi::LUA_TBOOLEAN | ffi::LUA_TLIGHTUSERDATA => find_strong(L, index),
            ffi::LUA_TNONE | ffi::LUA_TNIL => None,
            ffi::LUA_TFUNCTION if super::promise::push_home(L, index) => of_home(L),
            _ => {
                ffi::lua_pushvalue(L, index);
                ffi::lua_rawget(L, ffi::lua_upvalueindex(upvalue::WEAK));
                of_home(L)
            }
        }
    }
}

/// What stands for the string at `index`, if it is interned, and its length.
#[inline]
unsafe fn string(L: *mut lua_State, index: c_int) -> (usize, usize) {
    // SAFETY: a string is there, so nothing is converted.
    unsafe {
        let mut len = 0;
        let _bytes = ffi::lua_tolstring(L, index, &mut len) as usize;
        #[cfg(any(feature = "lua54", feature = "lua55", feature = "luajit"))]
        return (ffi::lua_topointer(L, index) as usize, len);
        #[cfg(any(feature = "lua51", feature = "lua52", feature = "lua53"))]
        return (_bytes, len);
    }
}

#[inline]
unsafe fn find_strong(L: *mut lua_State, index: c_int) -> Option<Place> {
    // SAFETY: as `find`.
    unsafe {
        ffi::lua_pushvalue(L, index);
        ffi::lua_rawget(L, ffi::lua_upvalueindex(upvalue::STRONG));
        let id = to_id(L, -1);
        ffi::lua_pop(L, 1);
        (id != 0).then(|| Place { queue: QueueId::from_bits(id), home: 0 })
    }
}

/// The place of the home on the top, which is popped if it has no queue, or is none. [-1, +0 or 1]
#[inline]
pub(crate) unsafe fn of_home(L: *mut lua_State) -> Option<Place> {
    // SAFETY: only homes stand in the tables, and as that upvalue of promises.
    unsafe {
        let home = ffi::lua_touserdata(L, -1).cast::<Home>();
        match if home.is_null() { None } else { (*home).queue } {
            Some(queue) => Some(Place { queue, home: ffi::lua_gettop(L) }),
            None => {
                ffi::lua_pop(L, 1);
                None
            }
        }
    }
}

/// The place of the value at `index`, made if it has none. [-0, +0 or 1: the home] Raises for memory, and for a value
/// that cannot be an event.
#[inline(always)]
pub(crate) unsafe fn obtain(L: *mut lua_State, state: StateRef, index: c_int) -> Place {
    // SAFETY: as `find`.
    unsafe {
        match find(L, state, index) {
            // A home lets go of its queue before that is closed.
            Some(place) => place,
            None => create(L, state, index),
        }
    }
}

#[cold]
unsafe fn create(L: *mut lua_State, state: StateRef, index: c_int) -> Place {
    // SAFETY: as `find`. A queue is opened last, or where it is stored at once, so that an error loses none.
    unsafe {
        check(L, index, error::AWAIT);
        match ffi::lua_type(L, index) {
            ffi::LUA_TSTRING | ffi::LUA_TNUMBER | ffi::LUA_TBOOLEAN | ffi::LUA_TLIGHTUSERDATA => {
                // The entry is made first, so that setting the id cannot fail.
                ffi::lua_pushvalue(L, index);
                push_id(L, 0);
                ffi::lua_rawset(L, ffi::lua_upvalueindex(upvalue::STRONG));
                let queue = state.with(L, |state| {
                    state.strong += 1;
                    state.events.open(Event { strong: true, ..Event::default() })
                });
                ffi::lua_pushvalue(L, index);
                push_id(L, queue.to_bits());
                ffi::lua_rawset(L, ffi::lua_upvalueindex(upvalue::STRONG));
                Place { queue, home: 0 }
            }
            ffi::LUA_TFUNCTION if super::promise::push_home(L, index) => settle(L, state),
            _ => {
                push_new_home(L);
                // A finalizer that ran meanwhile may have waited for the same value.
                if let Some(place) = find(L, state, index) {
                    return place;
                }
                ffi::lua_pushvalue(L, index);
                ffi::lua_pushvalue(L, -2);
                ffi::lua_rawset(L, ffi::lua_upvalueindex(upvalue::WEAK));
                settle(L, state)
            }
        }
    }
}

/// Opens a queue for the home on the top. [-0, +0] Raises for memory.
pub(crate) unsafe fn settle(L: *mut lua_State, state: StateRef) -> Place {
    // SAFETY: a home is on the top.
    unsafe {
        let home = ffi::lua_touserdata(L, -1).cast::<Home>();
        state::push_field(L, field::HOMES);
        // Kept by the state meanwhile: if to store it fails, the next home gets the queue.
        let queue = state.with(L, |state| match state.opened {
            Some(queue) => queue,
            None => *state.opened.insert(state.events.open(Event::default())),
        });
        ffi::lua_pushvalue(L, -2);
        ffi::lua_rawseti(L, -2, queue.index() as ffi::lua_Integer + 1);
        ffi::lua_pop(L, 1);
        (*home).queue = Some(queue);
        state.touch(|state| state.opened = None);
        Place { queue, home: ffi::lua_gettop(L) }
    }
}

/// Pushes what stands under a key among the anchors of a place. [-0, +1] Never raises.
pub(crate) unsafe fn push_value(L: *mut lua_State, place: Place, key: ffi::lua_Integer) {
    // SAFETY: a home has a table as its user value.
    unsafe {
        if place.is_strong() {
            ffi::lua_rawgeti(L, ffi::lua_upvalueindex(upvalue::ANCHORS), key);
        } else {
            ffi::lua_getuservalue(L, place.home);
            ffi::lua_rawgeti(L, -1, key);
            ffi::lua_replace(L, -2);
        }
    }
}

/// Sets a key among the anchors of a place to the value on the top. [-1, +0] Raises for memory, where the key is new.
pub(crate) unsafe fn set_value(L: *mut lua_State, place: Place, key: ffi::lua_Integer) {
    // SAFETY: as `push_value`.
    unsafe {
        if place.is_strong() {
            ffi::lua_rawseti(L, ffi::lua_upvalueindex(upvalue::ANCHORS), key);
        } else {
            ffi::lua_getuservalue(L, place.home);
            ffi::lua_insert(L, -2);
            ffi::lua_rawseti(L, -2, key);
            ffi::lua_pop(L, 1);
        }
    }
}

/// Pushes a new home, without a queue. [-0, +1] Raises for memory.
pub(crate) unsafe fn push_new_home(L: *mut lua_State) {
    // SAFETY: the userdata is written before it gets its metatable, so its finalizer finds it valid.
    unsafe {
        let home = ffi::lua_newuserdata(L, size_of::<Home>()).cast::<Home>();
        home.write(Home { queue: None, outcome: Outcome::new() });
        ffi::lua_createtable(L, 0, 0);
        ffi::lua_setuservalue(L, -2);
        state::push_field(L, field::HOME_META);
        ffi::lua_setmetatable(L, -2);
    }
}

/// `__gc` of a home: nobody who still runs can wait for its value.
pub(crate) unsafe extern "C-unwind" fn collect(L: *mut lua_State) -> c_int {
    // SAFETY: called by the collector with a home; only the debug library could give it anything else.
    unsafe {
        let home = ffi::lua_touserdata(L, 1).cast::<Home>();
        if let (Some(state), Some(queue)) = (StateRef::of_finalizer(L), (*home).queue.take()) {
            let _ = state.try_with(|state| {
                state.close_queue(queue);
            });
        }
    }
    0
}

/// Forgets the strong values that nobody waits for, when there are more of them than others: their number is bounded by
/// twice that of the others, at constant cost for each that is added. To be called before [`obtain`], as a place does
/// not survive it unless somebody waits there.
#[inline]
pub(crate) unsafe fn sweep_if_due(L: *mut lua_State, state: StateRef) {
    // SAFETY: as `sweep`.
    unsafe {
        if state.touch(|state| state.strong >= state.strong_limit && !state.is_preparing()) {
            sweep(L, state);
        }
    }
}

#[cold]
unsafe fn sweep(L: *mut lua_State, state: StateRef) {
    // SAFETY: assigning nil to the key that is visited is allowed in a traversal.
    unsafe {
        let strong = ffi::lua_upvalueindex(upvalue::STRONG);
        state.touch(State::clear_cache);
        ffi::lua_pushnil(L);
        while ffi::lua_next(L, strong) != 0 {
            let queue = QueueId::from_bits(to_id(L, -1));
            let (idle, leftovers) = state.with(L, |state| match state.events.data(queue) {
                Some(event) => (event.is_idle() && state.events.is_empty(queue), event.kept != event.oldest),
                None => (true, false),
            });
            ffi::lua_pop(L, 1);
            if idle && leftovers {
                ffi::lua_pushnil(L);
                ffi::lua_rawseti(L, ffi::lua_upvalueindex(upvalue::ANCHORS), records_key(queue));
            }
            if idle {
                ffi::lua_pushvalue(L, -1);
                ffi::lua_pushnil(L);
                ffi::lua_rawset(L, strong);
                state.with(L, |state| {
                    state.strong -= usize::from(state.close_queue(queue));
                });
            }
        }
        state.with(L, |state| state.strong_limit = (2 * state.strong).max(State::STRONG_LIMIT));
    }
}

/// Raises the error of a value that cannot be an event, if the one at `index` is.
#[inline]
pub(crate) unsafe fn check(L: *mut lua_State, index: c_int, frame: c_int) {
    // SAFETY: any value may stand there.
    unsafe {
        match ffi::lua_type(L, index) {
            ffi::LUA_TNONE | ffi::LUA_TNIL => error::raise_text(L, frame, c"table index is nil"),
            ffi::LUA_TNUMBER if is_nan(L, index) => error::raise_text(L, frame, c"table index is NaN"),
            _ => {}
        }
    }
}

/// Whether the value at `index` is the number that equals nothing.
pub(crate) unsafe fn is_nan(L: *mut lua_State, index: c_int) -> bool {
    // SAFETY: any value may stand there.
    unsafe { ffi::lua_type(L, index) == ffi::LUA_TNUMBER && ffi::lua_tonumber(L, index).is_nan() }
}

/// Anchors the running coroutine as that waiter. [-0, +0] Raises for memory.
#[inline]
pub(crate) unsafe fn anchor(L: *mut lua_State, place: Place, waiter: WaiterId) {
    // SAFETY: as `set_value`.
    unsafe {
        ffi::lua_pushthread(L);
        set_value(L, place, waiter_key(waiter));
    }
}

/// Takes the anchor of a waiter away. [-0, +0] Never raises, as that key exists: a key that does not would take memory
/// on some versions, even for nil.
#[inline]
pub(crate) unsafe fn unanchor(L: *mut lua_State, place: Place, waiter: WaiterId) {
    // SAFETY: as `set_value`.
    unsafe {
        ffi::lua_pushnil(L);
        set_value(L, place, waiter_key(waiter));
    }
}

/// Ends a waiter, with its anchors, wherever it stands. [-0, +0] Raises nothing (but an internal error).
pub(crate) unsafe fn withdraw(L: *mut lua_State, state: StateRef, waiter: WaiterId) {
    #[derive(Clone, Copy)]
    enum Left {
        Nothing,
        Strong { last: bool },
        Weak(QueueId),
    }
    // SAFETY: the fields are the tables that `state` made.
    unsafe {
        loop {
            let left = state.with(L, |state| {
                let Some(queue) = state.events.leave(waiter) else {
                    state.forget(waiter);
                    return Left::Nothing;
                };
                if !state.events.data(queue).is_some_and(|event| event.strong) {
                    return Left::Weak(queue);
                }
                let Some(waiter) = state.events.get_mut(waiter) else { return Left::Nothing };
                waiter.strong -= 1;
                Left::Strong { last: waiter.strong == 0 }
            });
            match left {
                Left::Nothing => return,
                Left::Strong { last: false } => {}
                Left::Strong { last: true } => {
                    state::push_field(L, field::ANCHORS);
                    ffi::lua_pushnil(L);
                    ffi::lua_rawseti(L, -2, waiter_key(waiter));
                    ffi::lua_pop(L, 1);
                }
                Left::Weak(queue) => {
                    state::push_field(L, field::HOMES);
                    ffi::lua_rawgeti(L, -1, queue.index() as ffi::lua_Integer + 1);
                    if !ffi::lua_touserdata(L, -1).is_null() {
                        let home = ffi::lua_gettop(L);
                        unanchor(L, Place { queue, home }, waiter);
                    }
                    ffi::lua_pop(L, 2);
                }
            }
        }
    }
}
