//! Awaiting an operation of the loop: how a coroutine begins to wait for one, and what happens when it is resumed.
//!
//! [`anchors`] says what is kept alive meanwhile, [`end`] how a wait ends that the loop does not end.

mod anchors;
mod end;
mod results;
mod thread;

#[cfg(any(feature = "lua54", feature = "lua55"))]
use self::anchors::push_guard;
use self::anchors::{keep_thread, keep_values};
use self::end::withdraw;
use super::{Delivering, System, Waiter, What};
use crate::raw::{c_int, error, lua_State};
use crate::state::StateRef;
use crate::suspend::{self, Await};
use coutil_system::core::OpId;
use coutil_system::{Error, Result};
use mlua::ffi;

#[cfg(any(feature = "lua54", feature = "lua55"))]
pub(crate) use self::anchors::close_guard;
pub(crate) use self::anchors::{Anchors, push_buffer, release};
#[cfg(feature = "lua51")]
pub(crate) use self::end::drop_orphan;
#[cfg(any(feature = "lua54", feature = "lua55"))]
pub(crate) use self::end::drop_orphans;
pub(crate) use self::end::{cancel, give_up, is_cancelled};
#[cfg(any(feature = "lua51", feature = "luajit"))]
pub(crate) use self::results::push_nothing_mark;
pub(crate) use self::results::{push_nothing, push_raised, push_raised_text, raise_marked};
pub(crate) use self::thread::{is_suspended, is_waiting, suspended_before};

/// How an await function suspends.
pub(crate) struct Operation {
    pub(crate) what: What,
    /// Stack indices of the object, the buffer and an address that are kept while it waits; 0 for none.
    pub(crate) object: c_int,
    pub(crate) buffer: c_int,
    pub(crate) extra: c_int,
}

impl Operation {
    /// One that keeps nothing.
    pub(crate) const fn new(what: What) -> Self {
        Self { what, object: 0, buffer: 0, extra: 0 }
    }

    /// One on the object at that index.
    pub(crate) const fn on(object: c_int, what: What) -> Self {
        Self { what, object, buffer: 0, extra: 0 }
    }
}

impl What {
    /// Whether it ends when the coroutine is closed, by a to-be-closed value: what may last. The rest is visited soon, and then
    /// it is looked whether its coroutine still waits.
    const fn is_guarded(self) -> bool {
        matches!(
            self,
            Self::Sleep
                | Self::Read { .. }
                | Self::Accept { .. }
                | Self::Future
                | Self::Raised
                | Self::Fill { .. }
                | Self::Signal(_)
                | Self::Child(_)
                | Self::Ended(_)
                | Self::Channel { .. }
                | Self::Resume { .. }
        )
    }
}

/// Awaits of the loop.
pub(crate) struct OnLoop;

impl Await for OnLoop {
    #[inline]
    unsafe fn resumed(L: *mut lua_State, token: u64, base: c_int) -> c_int {
        // SAFETY: as the callee.
        unsafe { resumed::<Self>(L, token, base) }
    }

    unsafe fn impossible(L: *mut lua_State, token: u64) {
        // SAFETY: as the callee.
        unsafe {
            let (state, op) = (StateRef::of(L), OpId::from_bits(token));
            #[cfg(feature = "lua52")]
            state.touch(|state| state.system().kill(op));
            cancel(L, state, op);
        }
    }
}

#[inline]
unsafe fn resumed<A: Await>(L: *mut lua_State, token: u64, base: c_int) -> c_int {
    // SAFETY: as the callee.
    unsafe {
        let state = StateRef::of(L);
        let Delivering { thread, op } = state.touch(|state| state.system().delivering);
        if thread != L {
            withdraw(L, state, token);
        }
        // Meant for what the coroutine was before its host reset it.
        #[cfg(any(feature = "lua54", feature = "lua55"))]
        if thread == L && op.to_bits() != token {
            ffi::lua_settop(L, (base - 1).max(0));
            return suspend::suspend::<A>(L, token, || {});
        }
        let _ = op;
        ffi::lua_gettop(L) - base
    }
}

/// As [`OnLoop`], of a suspension that was delivered and is started again.
pub(crate) struct OnLoopAgain;

impl Await for OnLoopAgain {
    #[inline]
    unsafe fn resumed(L: *mut lua_State, token: u64, base: c_int) -> c_int {
        // SAFETY: as the callee.
        unsafe { resumed::<Self>(L, token, base) }
    }

    unsafe fn impossible(L: *mut lua_State, token: u64) {
        // SAFETY: nothing but its begin has happened.
        unsafe { StateRef::of(L).touch(|state| state.system().core.unsuspend(OpId::from_bits(token))) }
    }
}

/// As [`OnLoop`], of functions that raise their failures; see [`push_raised`].
pub(crate) struct OnLoopRaising;

impl Await for OnLoopRaising {
    const RAISES: bool = true;

    unsafe fn resumed(L: *mut lua_State, token: u64, base: c_int) -> c_int {
        // SAFETY: as the callees.
        unsafe {
            let count = resumed::<Self>(L, token, base);
            raise_marked(L, count)
        }
    }

    unsafe fn impossible(L: *mut lua_State, token: u64) {
        // SAFETY: as the callee.
        unsafe { OnLoop::impossible(L, token) }
    }
}

/// Takes an operation for the running coroutine: the one that is being delivered to it, or a new one. It is held. Raises for
/// memory.
#[inline]
unsafe fn take(L: *mut lua_State, state: StateRef, operation: &Operation) -> OpId {
    // SAFETY: from `hold` on nothing is allocated.
    unsafe {
        let waiter = Waiter { thread: L, what: operation.what };
        let again = state.touch(|state| {
            let system = state.system();
            let Delivering { thread, op } = system.delivering;
            #[cfg(any(feature = "lua54", feature = "lua55"))]
            if operation.what.is_guarded() && thread == L && !system.anchors.has_guard(op.index()) {
                // It began without one.
                return None;
            }
            if thread != L || !system.core.is_held(op) {
                return None;
            }
            if let Some(old) = system.core.waiter_mut(op) {
                *old = waiter;
            }
            Some(op)
        });
        let op = match again {
            Some(op) => op,
            None => {
                #[cfg(feature = "lua51")]
                drop_orphan(L, state);
                #[cfg(any(feature = "lua54", feature = "lua55"))]
                drop_orphans(L, state);
                anchors::prepare(L, state, operation.what.is_guarded(), operation.extra);
                let op = state.with(L, |state| {
                    let system = state.system();
                    let op = system.core.hold(waiter);
                    #[cfg(feature = "lua51")]
                    {
                        system.preparing = op;
                    }
                    #[cfg(any(feature = "lua54", feature = "lua55"))]
                    if operation.what.is_guarded() {
                        system.prepared.push(op);
                    }
                    op
                });
                keep_thread(L, op);
                op
            }
        };
        keep_values(L, state, op, operation);
        op
    }
}

/// Suspends the running coroutine, which can yield, until the operation ends that `start` starts. `start` calls no Lua, and
/// does not panic; what it fails with the coroutine gets from the loop.
#[inline]
pub(crate) unsafe fn suspend(
    L: *mut lua_State,
    state: StateRef,
    operation: Operation,
    start: impl FnOnce(&mut System, OpId) -> Result<()>,
) -> c_int {
    // SAFETY: as the callee.
    unsafe { suspend_as::<OnLoop>(L, state, operation, start) }
}

/// As [`suspend`], with another end.
#[inline]
pub(crate) unsafe fn suspend_as<A: Await>(
    L: *mut lua_State,
    state: StateRef,
    operation: Operation,
    start: impl FnOnce(&mut System, OpId) -> Result<()>,
) -> c_int {
    // SAFETY: as the callees.
    unsafe {
        let op = take(L, state, &operation);
        suspend_prepared::<A>(L, state, op, operation.what.is_guarded(), start)
    }
}

/// The first half of [`suspend`]: an operation that is held. What follows calls no Lua, and ends with
/// [`suspend_prepared`] or [`give_up`]. Raises for memory.
pub(crate) unsafe fn prepare(L: *mut lua_State, state: StateRef, operation: &Operation) -> OpId {
    // SAFETY: as the callee.
    unsafe { take(L, state, operation) }
}

#[inline]
pub(crate) unsafe fn suspend_prepared<A: Await>(
    L: *mut lua_State,
    state: StateRef,
    op: OpId,
    _guarded: bool,
    start: impl FnOnce(&mut System, OpId) -> Result<()>,
) -> c_int {
    // SAFETY: as the callees.
    unsafe {
        let begin = || {
            state.touch(|state| {
                let system = state.system();
                #[cfg(feature = "lua51")]
                {
                    system.preparing = OpId::NONE;
                }
                #[cfg(any(feature = "lua54", feature = "lua55"))]
                system.prepared.pop_if(|prepared| *prepared == op);
                #[cfg(any(feature = "lua51", feature = "luajit"))]
                if let Some(former) = system.threads.insert(L, op)
                    && former != op
                {
                    // An error ended that wait where nothing told us.
                    system.forget(former);
                }
                if let Err(error) = start(system, op) {
                    if A::RAISES
                        && let Some(waiter) = system.core.waiter_mut(op)
                    {
                        waiter.what = What::Raised;
                    }
                    system.core.fail(op, error);
                }
            });
        };
        #[cfg(any(feature = "lua54", feature = "lua55"))]
        if _guarded {
            push_guard(L, state, op);
            return suspend::sheltered::<A>(L, op.to_bits(), begin);
        }
        suspend::suspend::<A>(L, op.to_bits(), begin)
    }
}

/// Raises `loop of another process` in a child of the process that made the loop.
#[inline]
pub(crate) unsafe fn check_process(L: *mut lua_State, state: StateRef) {
    // SAFETY: nothing is live.
    unsafe {
        if state.touch(|state| state.system().core.is_foreign()) {
            error::raise_text(L, error::AWAIT, c"loop of another process");
        }
    }
}

/// The failure that a call returns at once, on the same terms as [`check_process`]. [-0, +3]
pub(crate) unsafe fn fail(L: *mut lua_State, failure: Error) -> c_int {
    // SAFETY: as `push_failure`.
    unsafe { super::push_failure(L, failure) }
}

/// `finish(...)` → ..., for the Lua functions around await functions: what follows the suspension.
#[cfg(any(feature = "lua51", feature = "luajit"))]
pub(crate) unsafe extern "C-unwind" fn finish(L: *mut lua_State) -> c_int {
    // SAFETY: called with what the coroutine was resumed with.
    unsafe { OnLoop::resumed(L, 0, 0) }
}

/// As [`finish`], for those that raise their failures.
#[cfg(any(feature = "lua51", feature = "luajit"))]
pub(crate) unsafe extern "C-unwind" fn finish_raising(L: *mut lua_State) -> c_int {
    // SAFETY: as `finish`.
    unsafe { OnLoopRaising::resumed(L, 0, 0) }
}
