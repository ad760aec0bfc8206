//! What a coroutine that waits is kept alive with: it, the object and the buffer that it waits for stand in a table, in four
//! places for each index of an operation, [`THREAD`] and so on. The frame of the await function is not relied upon, as a host
//! may clear it.
//!
//! Places are filled in ahead of the operation, as a table that grows may run finalizers; from then on until the coroutine
//! suspends nothing is allocated.

use super::Operation;
#[cfg(any(feature = "lua54", feature = "lua55"))]
use super::cancel;
use crate::raw::{c_int, lua_State};
use crate::state::StateRef;
#[cfg(any(feature = "lua54", feature = "lua55"))]
use crate::state::{self, field};
use crate::system::{System, upvalue};
use coutil_system::core::OpId;
use mlua::ffi;
use std::ffi::c_void;

const PLACES: usize = 4;
const THREAD: usize = 1;
const OBJECT: usize = 2;
const BUFFER: usize = 3;
#[cfg(any(feature = "lua54", feature = "lua55"))]
const GUARD: usize = 4;

/// What an operation keeps besides its coroutine.
const VALUES: [usize; 2] = [OBJECT, BUFFER];

/// Where the address of a datagram read is kept, which few operations have.
fn extra_key(index: usize) -> ffi::lua_Integer {
    -(index as ffi::lua_Integer) - 1
}

fn key(index: usize, place: usize) -> ffi::lua_Integer {
    (index * PLACES + place) as ffi::lua_Integer
}

/// What is known of the table of anchors.
#[derive(Default)]
pub(crate) struct Anchors {
    /// How many operations have their places.
    room: usize,
    /// The addresses of [`VALUES`], of each.
    values: Vec<[*const c_void; VALUES.len()]>,
    /// The guard of each, see [`push_guard`].
    #[cfg(any(feature = "lua54", feature = "lua55"))]
    guards: Vec<*mut u64>,
}

impl Anchors {
    /// Whether an operation with that index may be guarded.
    #[cfg(any(feature = "lua54", feature = "lua55"))]
    pub(super) fn has_guard(&self, index: usize) -> bool {
        self.guards.get(index).is_some_and(|guard| !guard.is_null())
    }

    /// Whether an operation with that index has what it needs to be kept.
    #[inline]
    fn has_room(&self, index: usize, _guarded: bool) -> bool {
        #[cfg(any(feature = "lua54", feature = "lua55"))]
        if _guarded && !self.has_guard(index) {
            return false;
        }
        index < self.room
    }
}

/// Pushes the buffer of an operation, called by `run`. [-0, +1]
pub(crate) unsafe fn push_buffer(L: *mut lua_State, op: OpId) {
    // SAFETY: the table is ours alone.
    unsafe {
        ffi::lua_rawgeti(L, ffi::lua_upvalueindex(upvalue::ANCHORS), key(op.index(), BUFFER));
    }
}

/// Lets go the coroutine of an operation that goes on without it. [-0, +0] Never raises.
pub(super) unsafe fn release_thread(L: *mut lua_State, index: usize) {
    // SAFETY: as `release`.
    unsafe {
        ffi::lua_pushboolean(L, 0);
        ffi::lua_rawseti(L, ffi::lua_upvalueindex(upvalue::ANCHORS), key(index, THREAD));
    }
}

impl System {
    /// Forgets the address that a datagram read has, if it has one.
    #[inline]
    pub(crate) fn takes_sender(&mut self, index: usize) -> bool {
        !self.senders.is_empty() && self.senders.remove(&index).is_some()
    }
}

/// Makes certain that the next operation can be kept without any allocation. [-0, +0] Raises for memory. May run finalizers.
#[inline]
pub(super) unsafe fn prepare(L: *mut lua_State, state: StateRef, guarded: bool, extra: c_int) {
    // SAFETY: the table is ours alone.
    unsafe {
        let ready = state.touch(|state| {
            let system = state.system();
            system.anchors.has_room(system.core.next_index(), guarded)
        });
        if !ready {
            make_room(L, state, guarded);
        }
        if extra != 0 {
            // The only one that may raise for memory.
            let index = state.touch(|state| state.system().core.next_index());
            ffi::lua_pushvalue(L, extra);
            ffi::lua_rawseti(L, ffi::lua_upvalueindex(upvalue::ANCHORS), extra_key(index));
        }
    }
}

/// Keeps the running coroutine for an operation. [-0, +0] Never raises.
#[inline]
pub(super) unsafe fn keep_thread(L: *mut lua_State, op: OpId) {
    // SAFETY: the place exists.
    unsafe {
        ffi::lua_pushthread(L);
        ffi::lua_rawseti(L, ffi::lua_upvalueindex(upvalue::ANCHORS), key(op.index(), THREAD));
    }
}

/// By what a value that is kept is known: an object or a string.
unsafe fn identity(L: *mut lua_State, index: c_int) -> *const c_void {
    // SAFETY: a string is not converted.
    unsafe {
        // The other versions have no pointer for it.
        #[cfg(not(any(feature = "lua54", feature = "lua55")))]
        if ffi::lua_type(L, index) == ffi::LUA_TSTRING {
            return ffi::lua_tostring(L, index).cast();
        }
        ffi::lua_topointer(L, index)
    }
}

/// Keeps the values of an operation, and nothing else that was kept for it before. [-0, +0] Never raises.
#[inline]
pub(super) unsafe fn keep_values(L: *mut lua_State, state: StateRef, op: OpId, operation: &Operation) {
    // SAFETY: the places exist.
    unsafe {
        let indices = [operation.object, operation.buffer];
        let values = indices.map(|index| match index {
            0 => std::ptr::null(),
            index => identity(L, index),
        });
        let old = state.touch(|state| {
            let kept = state.system().anchors.values.get_mut(op.index());
            kept.map_or(values, |kept| std::mem::replace(kept, values))
        });
        for (at, place) in VALUES.into_iter().enumerate() {
            if old[at] != values[at] {
                match indices[at] {
                    0 => ffi::lua_pushboolean(L, 0),
                    index => ffi::lua_pushvalue(L, index),
                }
                ffi::lua_rawseti(L, ffi::lua_upvalueindex(upvalue::ANCHORS), key(op.index(), place));
            }
        }
        if operation.extra != 0 {
            let address = ffi::lua_touserdata(L, operation.extra).cast();
            ffi::lua_pushvalue(L, operation.extra);
            ffi::lua_rawseti(L, ffi::lua_upvalueindex(upvalue::ANCHORS), extra_key(op.index()));
            state.with(L, |state| {
                state.system().senders.insert(op.index(), address);
            });
        } else if state.touch(|state| state.system().takes_sender(op.index())) {
            ffi::lua_pushnil(L);
            ffi::lua_rawseti(L, ffi::lua_upvalueindex(upvalue::ANCHORS), extra_key(op.index()));
        }
    }
}

/// Lets go what was kept for an operation that has ended. [-0, +0] Never raises.
#[inline]
pub(crate) unsafe fn release(L: *mut lua_State, state: StateRef, index: usize) {
    // SAFETY: the places exist, so nothing is allocated.
    unsafe {
        let anchors = ffi::lua_upvalueindex(upvalue::ANCHORS);
        if state.touch(|state| state.system().anchors.room <= index) {
            return;
        }
        let values = state.touch(|state| {
            let values = state.system().anchors.values.get_mut(index);
            values.map(|values| std::mem::replace(values, [std::ptr::null(); VALUES.len()]))
        });
        ffi::lua_pushboolean(L, 0);
        ffi::lua_rawseti(L, anchors, key(index, THREAD));
        if state.touch(|state| state.system().takes_sender(index)) {
            ffi::lua_pushnil(L);
            ffi::lua_rawseti(L, anchors, extra_key(index));
        }
        for (place, value) in VALUES.into_iter().zip(values.unwrap_or([std::ptr::null(); VALUES.len()])) {
            if !value.is_null() {
                ffi::lua_pushboolean(L, 0);
                ffi::lua_rawseti(L, anchors, key(index, place));
            }
        }
    }
}

/// Makes places for the next operation. [-0, +0] Raises for memory. May run finalizers.
#[cold]
unsafe fn make_room(L: *mut lua_State, state: StateRef, guarded: bool) {
    // SAFETY: the table is ours alone.
    unsafe {
        let anchors = ffi::lua_upvalueindex(upvalue::ANCHORS);
        loop {
            let room = state.touch(|state| {
                let system = state.system();
                (system.anchors.room <= system.core.next_index()).then_some(system.anchors.room)
            });
            if let Some(room) = room {
                let new = (room * 2).max(16);
                for key in key(room, THREAD)..=key(new - 1, PLACES) {
                    ffi::lua_pushboolean(L, 0);
                    ffi::lua_rawseti(L, anchors, key);
                }
                state.with(L, |state| {
                    let anchors = &mut state.system().anchors;
                    anchors.room = anchors.room.max(new);
                    anchors.values.resize(anchors.room, [std::ptr::null(); VALUES.len()]);
                    #[cfg(any(feature = "lua54", feature = "lua55"))]
                    anchors.guards.resize(anchors.room, std::ptr::null_mut());
                });
                continue;
            }
            if guarded && needs_guard(L, state, anchors) {
                continue;
            }
            return;
        }
    }
}

/// Whether the next operation had no guard; it has one now.
#[cfg(any(feature = "lua54", feature = "lua55"))]
unsafe fn needs_guard(L: *mut lua_State, state: StateRef, anchors: c_int) -> bool {
    // SAFETY: a guard is a userdata that lives as long as the table.
    unsafe {
        let index = state.touch(|state| state.system().core.next_index());
        if state.touch(|state| !state.system().anchors.guards[index].is_null()) {
            return false;
        }
        let guard = ffi::lua_newuserdatauv(L, size_of::<u64>(), 0).cast::<u64>();
        guard.write(OpId::NONE.to_bits());
        state::push_field(L, field::CLASSES);
        ffi::lua_rawgeti(L, -1, 0);
        ffi::lua_setmetatable(L, -3);
        ffi::lua_pop(L, 1);
        ffi::lua_rawseti(L, anchors, key(index, GUARD));
        state.touch(|state| state.system().anchors.guards[index] = guard);
        true
    }
}

#[cfg(not(any(feature = "lua54", feature = "lua55")))]
unsafe fn needs_guard(_: *mut lua_State, _: StateRef, _: c_int) -> bool {
    false
}

/// Pushes the guard of an operation, a to-be-closed value: when the coroutine is closed, its wait is cancelled at once.
/// [-0, +1]
#[cfg(any(feature = "lua54", feature = "lua55"))]
pub(super) unsafe fn push_guard(L: *mut lua_State, state: StateRef, op: OpId) {
    // SAFETY: the guard was made, and is a userdata with `__close`.
    unsafe {
        let guard = state.touch(|state| state.system().anchors.guards[op.index()]);
        guard.write(op.to_bits());
        ffi::lua_rawgeti(L, ffi::lua_upvalueindex(upvalue::ANCHORS), key(op.index(), GUARD));
        ffi::lua_toclose(L, -1);
    }
}

/// `__close` of a guard.
#[cfg(any(feature = "lua54", feature = "lua55"))]
pub(crate) unsafe extern "C-unwind" fn close_guard(L: *mut lua_State) -> c_int {
    // SAFETY: only a full userdata of its size is looked into. The operation that it names has to be one of this
    // coroutine that still waits.
    unsafe {
        if let Some(state) = StateRef::of_finalizer(L)
            && ffi::lua_type(L, 1) == ffi::LUA_TUSERDATA
            && ffi::lua_rawlen(L, 1) == size_of::<u64>()
        {
            let op = OpId::from_bits(ffi::lua_touserdata(L, 1).cast::<u64>().read());
            // One that is held, and not because it is delivered, was about to be started when an error came in between.
            let waits = state.touch(|state| {
                let system = state.system();
                system.core.waiter(op).is_some_and(|waiter| waiter.thread == L)
                    && (!system.core.is_held(op) || system.delivering.op != op)
            });
            if waits {
                cancel(L, state, op);
            }
        }
    }
    0
}
