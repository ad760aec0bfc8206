//! Emissions: resuming those who wait for an event.

use super::place::{self, Place};
#[cfg(any(feature = "lua54", feature = "lua55"))]
use crate::raw::compat;
use crate::raw::{c_int, lua_State};
use crate::resume::resume;
use crate::state::{Delivery, StateRef};
use coutil_event::core::{Batch, WaiterId};
use mlua::ffi;

/// How many of those who wait an emission resumes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reach {
    One,
    All,
}

/// A C function, running or suspended, has room for at least so many values, and for some more that we push.
const ROOM: c_int = 10;

/// Emits the event at index 1, with the values above it, to those who wait at `place`. All these values stay. Returns
/// whether anybody was waiting.
///
/// The way from here to `lua_resume` is inlined: a yield leaves by `longjmp`, after which each return is mispredicted.
#[inline(always)]
pub(crate) unsafe fn emit(
    L: *mut lua_State,
    state: StateRef,
    place: Place,
    values: c_int,
    reach: Reach,
) -> bool {
    // SAFETY: as the callees.
    unsafe {
        if values > ROOM {
            ffi::luaL_checkstack(L, values + ROOM, c"too many values".as_ptr());
        }
        let Some((first, how)) = next(L, state, place, None) else { return false };
        if reach == Reach::One {
            deliver(L, state, place, first, how, values);
        } else {
            emit_batch(L, state, place, first, how, values);
        }
        true
    }
}

/// Resumes the first of a queue, which was taken out, and then all who waited behind it.
unsafe fn emit_batch(
    L: *mut lua_State,
    state: StateRef,
    place: Place,
    first: Recipient,
    how: Taken,
    values: c_int,
) {
    // SAFETY: as `emit`.
    unsafe {
        let batch = state.try_with(|state| {
            let batch = state.events.detach(place.queue)?;
            if let Some(event) = state.events.data_mut(place.queue) {
                event.batches += 1;
            }
            Some(batch)
        });
        deliver(L, state, place, first, how, values);
        if let Ok(Some(batch)) = batch {
            while let Some((next, how)) = next(L, state, place, Some(&batch)) {
                deliver(L, state, place, next, how, values);
            }
            let _ = state.try_with(|state| {
                state.events.discard(batch);
                if let Some(event) = state.events.data_mut(place.queue) {
                    event.batches -= 1;
                }
            });
        }
    }
}

/// Who was taken out of a queue.
#[derive(Clone, Copy)]
struct Recipient {
    id: WaiterId,
    co: *mut lua_State,
    /// Whether it waited for all its events.
    all: bool,
}

/// What becomes of one who was taken out of a queue. It is apart from the [`Recipient`], and both stay in registers:
/// written to memory in pieces and read at once they would be waited for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Taken {
    /// It does not wait any more, as its coroutine is dead, and does not count.
    Gone,
    /// It still waits for other events.
    Advanced,
    /// It is to be resumed. It is still in the registry, and its anchor at the place where it was.
    Kept,
    /// It is to be resumed; it was removed, and its coroutine is on the top of the stack.
    Removed,
}

/// Takes out the next one who waits at `place`, or in the batch; those who are gone are dropped on the way. [-0, +1 if
/// `Removed`]
#[inline(always)]
unsafe fn next(
    L: *mut lua_State,
    state: StateRef,
    place: Place,
    batch: Option<&Batch>,
) -> Option<(Recipient, Taken)> {
    // SAFETY: a waiter in the registry has its coroutine anchored by the place that it stands in.
    unsafe {
        loop {
            let popped = state.touch(|state| match batch {
                Some(batch) => state.events.pop_from(batch),
                None => state.events.pop(place.queue),
            })?;
            let (recipient, strong) = state.touch(|state| {
                let waiter = state.events.get_mut(popped.waiter)?;
                if place.is_strong() {
                    waiter.strong -= 1;
                }
                let recipient = Recipient { id: popped.waiter, co: waiter.thread.0, all: waiter.all };
                Some((recipient, waiter.strong))
            })?;
            let alive = is_suspended(recipient.co, recipient.id);
            if alive && popped.done && !popped.elsewhere {
                return Some((recipient, Taken::Kept));
            }
            let unanchor = !place.is_strong() || strong == 0;
            let taken = settle(L, state, place, recipient.id, recipient.co, unanchor, popped.done, alive);
            if taken != Taken::Gone {
                return Some((recipient, taken));
            }
        }
    }
}

/// What becomes of a waiter that stands elsewhere too, or is dead. [-0, +1 if `Removed`]
#[cold]
#[allow(clippy::too_many_arguments)]
unsafe fn settle(
    L: *mut lua_State,
    state: StateRef,
    place: Place,
    waiter: WaiterId,
    co: *mut lua_State,
    unanchor: bool,
    done: bool,
    alive: bool,
) -> Taken {
    // SAFETY: as `next`.
    unsafe {
        // Pushed before its anchor goes.
        ffi::lua_checkstack(co, 1);
        ffi::lua_pushthread(co);
        ffi::lua_xmove(co, L, 1);
        if unanchor {
            place::unanchor(L, place, waiter);
        }
        if done || !alive {
            place::withdraw(L, state, waiter);
        }
        if alive && done {
            return Taken::Removed;
        }
        ffi::lua_pop(L, 1);
        if alive { Taken::Advanced } else { Taken::Gone }
    }
}

/// Whether a coroutine is still suspended where it began to wait as that waiter. It may have been closed, on versions
/// where that is possible, and then even be used for something else by the host.
#[inline]
unsafe fn is_suspended(_co: *mut lua_State, _waiter: WaiterId) -> bool {
    // Here the frame of a suspended C function is visible from outside, and the token is on its top; or it has no values.
    #[cfg(any(feature = "lua54", feature = "lua55"))]
    // SAFETY: the coroutine is anchored.
    unsafe {
        if ffi::lua_gettop(_co) > 0 {
            compat::to_id(_co, -1) == _waiter.to_bits()
        } else {
            is_suspended_in_await(_co)
        }
    }
    // Elsewhere a coroutine that waits can only be resumed, and then cancels its wait; but a hook may come in between.
    #[cfg(not(any(feature = "lua54", feature = "lua55")))]
    // SAFETY: the coroutine is anchored.
    unsafe {
        ffi::lua_status(_co) == ffi::LUA_YIELD
    }
}

/// Whether a coroutine is suspended in a function of ours, of those that wait for events.
#[cfg(any(feature = "lua54", feature = "lua55"))]
#[cold]
unsafe fn is_suspended_in_await(co: *mut lua_State) -> bool {
    use super::{event, promise, queued};
    // SAFETY: the coroutine is anchored; what is pushed is popped.
    unsafe {
        let mut ar: ffi::lua_Debug = std::mem::zeroed();
        if ffi::lua_status(co) != ffi::LUA_YIELD
            || ffi::lua_checkstack(co, 1) == 0
            || ffi::lua_getstack(co, 0, &mut ar) == 0
        {
            return false;
        }
        ffi::lua_getinfo(co, c"f".as_ptr(), &mut ar);
        let function = compat::to_cfunction(co, -1);
        ffi::lua_pop(co, 1);
        let modules = [event::AWAITS, queued::AWAITS, promise::AWAITS];
        modules.into_iter().flatten().any(|(_, await_function)| *await_function as *const () == function)
            || function == promise::call as *const ()
            || function == crate::suspend::park as *const ()
    }
}

/// Resumes a waiter with what was emitted, or with `true` if it waited for all its events. [-1 if `Removed`, +0]
#[inline(always)]
unsafe fn deliver(
    L: *mut lua_State,
    state: StateRef,
    place: Place,
    recipient: Recipient,
    how: Taken,
    values: c_int,
) {
    // SAFETY: while the coroutine runs, it is anchored: by the waiter that is kept, whose anchor nobody else takes away
    // (it stands in no queue, and its index is not given to another), or by the stack.
    unsafe {
        if how == Taken::Advanced {
            return;
        }
        // Field by field: as a whole it would be read before the writes of its parts are through.
        let (thread, waiter) = state.touch(|state| {
            let outer = (state.delivery.thread, state.delivery.waiter);
            state.delivery = Delivery { thread: recipient.co, waiter: recipient.id.to_bits() };
            outer
        });
        resume_with(L, state, recipient, values);
        let waits_again = state.touch(|state| {
            let ended = state.delivery.thread;
            state.delivery = Delivery { thread, waiter };
            ended.is_null()
        });
        if how == Taken::Removed {
            ffi::lua_pop(L, 1);
        } else if !waits_again {
            forget(L, state, place, recipient.id);
        }
    }
}

/// A waiter that was kept did not wait again.
unsafe fn forget(L: *mut lua_State, state: StateRef, place: Place, waiter: WaiterId) {
    // SAFETY: the coroutine is suspended elsewhere or dead, and nothing of ours refers to it any more.
    unsafe {
        let _ = state.try_with(|state| state.forget(waiter));
        place::unanchor(L, place, waiter);
    }
}

/// Resumes the coroutine of a waiter that has come to its end. [-0, +0]
#[inline(always)]
unsafe fn resume_with(L: *mut lua_State, state: StateRef, recipient: Recipient, values: c_int) {
    // SAFETY: the stacks have room, or nothing is pushed.
    unsafe {
        let co = recipient.co;
        if recipient.all {
            ffi::lua_pushboolean(co, 1);
            resume(L, state, co, 1);
        } else if values <= ROOM || ffi::lua_checkstack(co, values + 1) != 0 {
            for index in 1..=values {
                ffi::lua_pushvalue(L, index);
            }
            ffi::lua_xmove(L, co, values);
            resume(L, state, co, values);
        } else {
            crate::report::report_text(L, co, c"stack overflow (too many values)");
        }
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
