//! How a wait ends without its coroutine being resumed by the loop.

use super::anchors::{release, release_thread};
use crate::raw::{guard, lua_State};
use crate::state::{self, StateRef, field};
#[cfg(any(feature = "lua51", feature = "lua52"))]
use crate::system::Waiter;
use crate::system::task::{Left, Running};
use crate::system::{System, What};
use coutil_system::core::OpId;
use mlua::ffi;

/// Ends a wait of the running coroutine, if the loop has not done so: somebody else resumed it.
#[inline]
pub(super) unsafe fn withdraw(L: *mut lua_State, state: StateRef, token: u64) {
    // SAFETY: any number is fine as a token: what it finds has to be an operation of this very coroutine.
    unsafe {
        let found = state.touch(|state| {
            let system = state.system();
            #[cfg(any(feature = "lua51", feature = "luajit"))]
            let op = system.threads.get(&L).copied();
            #[cfg(not(any(feature = "lua51", feature = "luajit")))]
            let op = Some(OpId::from_bits(token));
            op.filter(|op| system.core.waiter(*op).is_some_and(|waiter| waiter.thread == L))
        });
        let _ = token;
        if let Some(op) = found {
            // First, whatever raises after it: then the anchors go with the next operation that has its places.
            let goes_on = forget(L, state, op);
            ffi::luaL_checkstack(L, 8, std::ptr::null());
            if goes_on {
                release_thread(L, op.index());
            } else {
                release(L, state, op.index());
            }
            mark_cancelled(L, state);
        }
    }
}

/// Remembers that the wait of the running coroutine was ended by somebody else, until the pass ends: its next suspension
/// without delay starts then (30 A6). [-0, +0] Raises for memory.
unsafe fn mark_cancelled(L: *mut lua_State, state: StateRef) {
    // SAFETY: a table with weak keys, so that no other coroutine is taken for this one.
    unsafe {
        let pass = state.touch(|state| {
            let system = state.system();
            system.cancelled = system.pass();
            system.cancelled
        });
        state::push_field(L, field::CANCELLED);
        ffi::lua_pushthread(L);
        ffi::lua_pushnumber(L, pass as ffi::lua_Number);
        ffi::lua_rawset(L, -3);
        ffi::lua_pop(L, 1);
    }
}

/// Whether that happened to the running coroutine in this pass, or before the first one. [-0, +0]
#[inline]
pub(crate) unsafe fn is_cancelled(L: *mut lua_State, state: StateRef) -> bool {
    // SAFETY: as `mark_cancelled`.
    unsafe {
        let pass = state.touch(|state| {
            let system = state.system();
            (system.cancelled == system.pass()).then_some(system.cancelled)
        });
        let Some(pass) = pass else { return false };
        state::push_field(L, field::CANCELLED);
        ffi::lua_pushthread(L);
        ffi::lua_rawget(L, -2);
        let cancelled = ffi::lua_tonumber(L, -1) == pass as ffi::lua_Number;
        ffi::lua_pop(L, 2);
        cancelled
    }
}

/// Ends an operation, and lets its anchors go. [-0, +0] Needs a slot.
pub(crate) unsafe fn cancel(L: *mut lua_State, state: StateRef, op: OpId) {
    // SAFETY: the coroutine runs, is closed or is anchored by the caller.
    unsafe {
        if forget(L, state, op) {
            release_thread(L, op.index());
        } else {
            release(L, state, op.index());
        }
    }
}

/// Ends an operation. True if it goes on without its coroutine. [-0, +0]
unsafe fn forget(L: *mut lua_State, state: StateRef, op: OpId) -> bool {
    // SAFETY: nothing is live.
    unsafe {
        let forgotten = state.try_with(|state| {
            let system = state.system();
            let left = system.forget(op);
            (left, system.core.waiter(op).is_some())
        });
        let (left, goes_on) = match forgotten {
            Ok(forgotten) => forgotten,
            Err(panic) => panic.raise(L),
        };
        // Not under the borrow: it may hold anything.
        let _ = guard(|| drop(left));
        goes_on
    }
}

impl System {
    /// Ends an operation. What is left of its task is to be dropped.
    pub(crate) fn forget(&mut self, op: OpId) -> Option<Left> {
        let waiter = self.core.waiter(op).copied()?;
        self.leave_relatives();
        match (waiter.what, self.tasks.running(op)) {
            // A run that has begun cannot be stopped, and its owner waits for its end (20 §4.10).
            (What::Resume { .. }, Some(Running::Run(run))) => {
                run.withdraw();
                #[cfg(any(feature = "lua51", feature = "luajit"))]
                self.ended(waiter.thread, op);
                if let Some(waiter) = self.core.waiter_mut(op) {
                    waiter.thread = std::ptr::null_mut();
                }
                return Some(Left::NOTHING);
            }
            (What::Channel { object }, Some(Running::Exchange(exchange))) if !exchange.is_waiting() => {
                crate::threads::channel::linger(self, object, waiter.thread);
            }
            (What::Channel { object }, None | Some(Running::Values(_)))
                if !self.core.is_held(op) && !self.core.is_foreign() =>
            {
                crate::threads::channel::linger(self, object, waiter.thread);
            }
            _ => {}
        }
        let left = self.tasks.take(op);
        if let What::Child(child) = waiter.what {
            // Also one that it did not begin to wait for.
            self.core.abandon_child(child);
        }
        if !self.core.is_foreign() {
            self.files.loans.give_up(op);
        }
        self.core.cancel_as(op, Some(waiter.thread as usize));
        #[cfg(any(feature = "lua51", feature = "luajit"))]
        self.ended(waiter.thread, op);
        Some(left)
    }

    /// Whoever was about to wait for a process cannot: it ends at once, as there is no way to have it not started (90 §4.12).
    #[cfg(any(feature = "lua51", feature = "lua52"))]
    pub(super) fn kill(&mut self, op: OpId) {
        if let Some(Waiter { what: What::Child(child), .. }) = self.core.waiter(op) {
            let child = *child;
            if let Some(pid) = self.core.child_pid(child) {
                let _ = coutil_system::process::kill(pid, libc::SIGKILL);
            }
            self.core.abandon_child(child);
        }
    }

    /// Ends an operation that was delivered, unless it was started again.
    #[inline]
    pub(crate) fn settle(&mut self, op: OpId) -> bool {
        if !self.core.is_held(op) {
            return false;
        }
        #[cfg(any(feature = "lua51", feature = "luajit"))]
        let thread = self.core.waiter(op).map(|waiter| waiter.thread);
        let ended = self.core.settle(op);
        #[cfg(any(feature = "lua51", feature = "luajit"))]
        if ended && let Some(thread) = thread {
            self.ended(thread, op);
        }
        ended
    }

    #[cfg(any(feature = "lua51", feature = "luajit"))]
    fn ended(&mut self, thread: *mut lua_State, op: OpId) {
        if self.threads.get(&thread) == Some(&op) {
            self.threads.remove(&thread);
        }
    }
}

/// Ends an operation that was about to be started when it turned out that its coroutine cannot yield: nobody waits for it. On
/// the other versions nothing comes in between, or [`close_guard`] or [`Await::impossible`] end it. [-0, +0] Never raises.
#[cfg(feature = "lua51")]
pub(crate) unsafe fn drop_orphan(L: *mut lua_State, state: StateRef) {
    // SAFETY: as the callees.
    unsafe {
        let orphan = state.touch(|state| std::mem::replace(&mut state.system().preparing, OpId::NONE));
        state.touch(|state| state.system().kill(orphan));
        if orphan != OpId::NONE && state.touch(|state| state.system().settle(orphan)) {
            let left = state.touch(|state| state.system().tasks.take(orphan));
            let _ = guard(|| drop(left));
            release(L, state, orphan.index());
        }
    }
}

/// As [`drop_orphan`] of 5.1: a coroutine that dies in between, as by the error of a hook, has its guard closed only when somebody
/// closes it. Those that are about to start are told from it by their status. [-0, +0] Never raises.
#[cfg(any(feature = "lua54", feature = "lua55"))]
#[inline]
pub(crate) unsafe fn drop_orphans(L: *mut lua_State, state: StateRef) {
    // SAFETY: the coroutine of an operation is anchored.
    unsafe {
        while let Some(op) = state.touch(|state| {
            let system = state.system();
            let op = *system.prepared.last()?;
            // One that is closed has ended its operation.
            let dead = system
                .core
                .waiter(op)
                .is_none_or(|waiter| !matches!(ffi::lua_status(waiter.thread), ffi::LUA_OK | ffi::LUA_YIELD));
            if dead { system.prepared.pop() } else { None }
        }) {
            if state.touch(|state| state.system().core.waiter(op).is_some()) {
                cancel(L, state, op);
            }
        }
    }
}

/// Ends an operation that was prepared, and is not needed. [-0, +0] Never raises.
pub(crate) unsafe fn give_up(L: *mut lua_State, state: StateRef, op: OpId) {
    // SAFETY: as the callees. One that is delivered to this coroutine stays, as it was.
    unsafe {
        #[cfg(feature = "lua51")]
        state.touch(|state| state.system().preparing = OpId::NONE);
        if state.touch(|state| state.system().delivering.op != op && state.system().settle(op)) {
            release(L, state, op.index());
        }
    }
}
