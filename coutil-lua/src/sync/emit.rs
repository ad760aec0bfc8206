//! Emissions: resuming those who wait for an event.

use super::place::{self, Place};
use crate::raw::{c_int, lua_State};
use crate::resume::resume;
use crate::state::{StateRef, Waiter};
use coutil_event::core::{Batch, WaiterId};
use mlua::ffi;

/// How many of those who wait an emission resumes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reach {
    One,
    All,
}

/// Emits the event at index 1, with the values above it, to those who wait at `place`. All these values stay. Returns
/// whether anybody was waiting. The stack must have no other values but those, and the anchors of `place`.
pub(crate) unsafe fn emit(L: *mut lua_State, state: StateRef, place: Place, values: c_int, reach: Reach) -> bool {
    // SAFETY: what is popped from the registry is pushed on this stack before anything runs that could collect it.
    unsafe {
        ffi::luaL_checkstack(L, values + 8, c"too many values".as_ptr());
        if reach == Reach::One {
            return match next(L, state, place, None) {
                Some(taken) => {
                    deliver(L, state, taken, values);
                    true
                }
                None => false,
            };
        }
        // A queue of one needs no batch: whoever joins from now on is not concerned either way.
        match next(L, state, place, None) {
            None => return false,
            Some(first) => {
                let Ok(batch) = state.try_with(|state| state.events.detach(place.queue)) else { return true };
                deliver(L, state, first, values);
                let Some(batch) = batch else { return true };
                while let Some(taken) = next(L, state, place, Some(&batch)) {
                    deliver(L, state, taken, values);
                }
                let _ = state.try_with(|state| state.events.discard(batch));
            }
        }
        true
    }
}

/// A waiter that was taken out of a queue.
#[derive(Clone, Copy)]
enum Taken {
    /// It still waits for other events.
    Advanced,
    /// It is to be resumed; its coroutine is on the top of the stack.
    Ready(Waiter),
}

/// Takes out the next one who waits at `place`, or in the batch; those who do not wait any more, as their coroutine is
/// dead, are dropped on the way. [-0, +1 if `Ready`]
#[inline]
unsafe fn next(L: *mut lua_State, state: StateRef, place: Place, batch: Option<&Batch>) -> Option<Taken> {
    #[derive(Clone, Copy)]
    struct Step {
        id: WaiterId,
        waiter: Waiter,
        /// All that it waits for has come.
        done: bool,
        /// It is in no queue any more, and was removed.
        gone: bool,
        /// Its anchor in the table of this place is not needed any more.
        unanchor: bool,
    }
    // SAFETY: a waiter in the registry has its coroutine anchored by the place that it stands in.
    unsafe {
        loop {
            let step = state.with(L, |state| {
                let popped = match batch {
                    Some(batch) => state.events.pop_from(batch),
                    None => state.events.pop(place.queue),
                }?;
                let id = popped.waiter;
                let strong = place.anchors <= ffi::LUA_REGISTRYINDEX;
                let entry = state.events.get_mut(id)?;
                if strong {
                    entry.strong -= 1;
                }
                let waiter = *entry;
                let unanchor = !strong || waiter.strong == 0;
                let gone = popped.done && !state.events.is_waiting(id);
                if gone {
                    state.events.remove(id);
                }
                Some(Step { id, waiter, done: popped.done, gone, unanchor })
            })?;
            let co = step.waiter.thread.0;
            // Pushed before its anchor goes.
            ffi::lua_checkstack(co, 1);
            ffi::lua_pushthread(co);
            ffi::lua_xmove(co, L, 1);
            if step.unanchor {
                place::unanchor(L, place.anchors, step.id);
            }
            let alive = is_suspended(co, step.id);
            if !step.gone && (step.done || !alive) {
                place::withdraw(L, state, step.id);
            }
            if alive && step.done {
                return Some(Taken::Ready(step.waiter));
            }
            ffi::lua_pop(L, 1);
            if alive {
                return Some(Taken::Advanced);
            }
        }
    }
}

/// Whether a coroutine is still suspended where it began to wait as that waiter. It may have been closed, on versions
/// where that is possible, and then even be used for something else by the host.
#[inline]
unsafe fn is_suspended(co: *mut lua_State, _waiter: WaiterId) -> bool {
    // SAFETY: the coroutine is anchored.
    unsafe {
        if ffi::lua_status(co) != ffi::LUA_YIELD {
            return false;
        }
        // Here the frame of a suspended C function is visible from outside, and the token is on its top.
        #[cfg(any(feature = "lua54", feature = "lua55"))]
        return place::to_id(co, -1) == _waiter.to_bits();
        #[cfg(not(any(feature = "lua54", feature = "lua55")))]
        true
    }
}

/// Resumes a waiter, whose coroutine is on the top, with what was emitted, or with `true` if it waited for all its
/// events. [-1 if `Ready`, +0]
#[inline]
unsafe fn deliver(L: *mut lua_State, state: StateRef, taken: Taken, values: c_int) {
    // SAFETY: the stacks have room, or nothing is pushed.
    unsafe {
        let Taken::Ready(waiter) = taken else { return };
        let co = waiter.thread.0;
        if waiter.all {
            ffi::lua_pushboolean(co, 1);
            resume(L, state, co, 1);
        } else if ffi::lua_checkstack(co, values + 1) != 0 {
            for index in 1..=values {
                ffi::lua_pushvalue(L, index);
            }
            ffi::lua_xmove(L, co, values);
            resume(L, state, co, values);
        } else {
            ffi::lua_pushliteral(co, c"stack overflow (too many values)");
            crate::report::report(L, co);
        }
        ffi::lua_pop(L, 1);
    }
}

/// Whether somebody waits at `place`. Those at the front whose coroutine is dead are dropped.
pub(crate) unsafe fn is_pending(L: *mut lua_State, state: StateRef, place: Place) -> bool {
    // SAFETY: as `next`.
    unsafe {
        loop {
            let front = state
                .with(L, |state| state.events.front(place.queue).map(|(id, waiter)| (id, waiter.thread.0)));
            let Some((id, co)) = front else { return false };
            if is_suspended(co, id) {
                return true;
            }
            place::withdraw(L, state, id);
        }
    }
}

