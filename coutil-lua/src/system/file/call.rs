//! Where the work of an await function of files is done: on the calling thread, or on one that may block.
//!
//! A function checks its arguments and gives what makes the call: a closure that is `Copy`, so that nothing with a destructor
//! is in a frame that Lua may leave by an error. What owns its memory is made inside.

use crate::raw::error::{AWAIT, raise_text};
use crate::raw::{c_int, guard, lua_State};
use crate::state::StateRef;
use crate::suspend::{Await, check_yieldable};
use crate::system::task::{self, AnyOutput, Output};
use crate::system::wait::{self, OnLoop, OnLoopRaising, Operation, check_process};
use crate::system::{System, push_failure};
use coutil_system::Result;
use coutil_system::core::OpId;
use mlua::ffi;
use std::ffi::{CStr, c_void};
use std::future::Future;
use std::mem::needs_drop;

/// `unable to yield` unless the call blocks, or the coroutine can. Raises.
pub(super) unsafe fn check_manner(L: *mut lua_State, blocking: bool) {
    // SAFETY: as the callee.
    unsafe {
        if !blocking {
            check_yieldable(L);
        }
    }
}

/// `too many values` unless there is room for so many results. By `run` nothing more can be raised about them. Raises.
pub(super) unsafe fn check_results(L: *mut lua_State, count: usize) {
    // SAFETY: the text is static.
    unsafe {
        if !has_room(L, count) {
            raise_text(L, AWAIT, TOO_MANY);
        }
    }
}

pub(super) const TOO_MANY: &CStr = c"stack overflow (too many values)";

/// Whether there is room for so many results, and for some more values. [-0, +0]
pub(super) unsafe fn has_room(L: *mut lua_State, count: usize) -> bool {
    // SAFETY: it takes any size.
    unsafe { c_int::try_from(count).is_ok_and(|count| ffi::lua_checkstack(L, count.saturating_add(40)) != 0) }
}

/// How an await function of files waits, with the stack indices of what it works on.
pub(super) const fn operation(object: c_int, buffer: c_int) -> Operation {
    Operation { object, buffer, ..task::OPERATION }
}

/// Makes a call, and results in what it returns: at once if it blocks, otherwise by suspending the coroutine.
pub(super) unsafe fn perform<M, C, T>(
    L: *mut lua_State,
    state: StateRef,
    blocking: bool,
    operation: Operation,
    make: M,
) -> c_int
where
    M: FnOnce(&mut System) -> C + Copy,
    C: FnOnce() -> T + Send + 'static,
    T: Output + 'static,
{
    // SAFETY: arguments were checked.
    unsafe {
        if blocking {
            let base = ffi::lua_gettop(L);
            here(L, state, make);
            return ffi::lua_gettop(L) - base;
        }
        elsewhere::<OnLoop, _, _, _>(L, state, operation, make)
    }
}

/// As [`perform`], of a function that raises its failures: see [`push_raised`](wait::push_raised).
pub(super) unsafe fn perform_or_raise<M, C, T>(
    L: *mut lua_State,
    state: StateRef,
    blocking: bool,
    operation: Operation,
    make: M,
) -> c_int
where
    M: FnOnce(&mut System) -> C + Copy,
    C: FnOnce() -> T + Send + 'static,
    T: Output + 'static,
{
    // SAFETY: as `perform`.
    unsafe {
        if blocking {
            let base = ffi::lua_gettop(L);
            here(L, state, make);
            return wait::raise_marked(L, ffi::lua_gettop(L) - base);
        }
        elsewhere::<OnLoopRaising, _, _, _>(L, state, operation, make)
    }
}

/// As [`perform_or_raise`], of a future that makes several calls by other threads.
pub(super) unsafe fn perform_steps<M, C, T>(
    L: *mut lua_State,
    state: StateRef,
    operation: Operation,
    make: M,
) -> c_int
where
    M: FnOnce(&mut System) -> C + Copy,
    C: Future<Output = T> + Send + 'static,
    T: Output + 'static,
{
    // SAFETY: as `perform`.
    unsafe {
        check_process(L, state);
        wait::suspend_as::<OnLoopRaising>(L, state, operation, move |system, op| {
            let steps = make(system);
            system.spawn(op, async move { Box::new(steps.await) as AnyOutput })
        })
    }
}

/// Makes the call on this thread, and leaves its results on the top. [-0, +some] May raise.
unsafe fn here<M, C, T>(L: *mut lua_State, state: StateRef, make: M)
where
    M: FnOnce(&mut System) -> C + Copy,
    C: FnOnce() -> T,
    T: Output + 'static,
{
    /// `(output, state)` → its results
    unsafe extern "C-unwind" fn give<T: Output>(L: *mut lua_State) -> c_int {
        // SAFETY: called with these below; both are where they were.
        unsafe {
            let output = ffi::lua_touserdata(L, 1).cast::<T>();
            let state = *ffi::lua_touserdata(L, 2).cast::<StateRef>();
            if output.is_null() {
                return 0;
            }
            (*output).push(L, state)
        }
    }
    // SAFETY: a result that has a destructor is kept out of the frames that Lua may leave: Lua is called protected, and then
    // the result dropped. To push a function may raise, so that comes first.
    unsafe {
        let run = || state.try_with(|state| make(state.system())());
        if !needs_drop::<T>() {
            match run() {
                Ok(mut output) => output.push(L, state),
                Err(panic) => panic.raise(L),
            };
            return;
        }
        let base = ffi::lua_gettop(L);
        ffi::lua_pushcfunction(L, give::<T>);
        let output = match run().map(|output| Box::into_raw(Box::new(output))) {
            Ok(output) => output,
            Err(panic) => panic.raise(L),
        };
        let mut state = state;
        ffi::lua_pushlightuserdata(L, output.cast::<c_void>());
        ffi::lua_pushlightuserdata(L, (&raw mut state).cast());
        let status = ffi::lua_pcall(L, 2, ffi::LUA_MULTRET, 0);
        let _ = guard(|| drop(Box::from_raw(output)));
        if status != ffi::LUA_OK {
            ffi::lua_settop(L, base + 1);
            ffi::lua_error(L);
        }
    }
}

/// As [`perform`] by another thread, of what `make` makes for an operation.
pub(super) unsafe fn perform_op<M, C, T>(
    L: *mut lua_State,
    state: StateRef,
    operation: Operation,
    make: M,
    call: fn(C) -> T,
) -> c_int
where
    M: FnOnce(&mut System, OpId) -> C + Copy,
    C: Send + 'static,
    T: Output + 'static,
{
    // SAFETY: as `perform`.
    unsafe {
        check_process(L, state);
        wait::suspend(L, state, operation, move |system, op| {
            let made = make(system, op);
            system.unblock(op, move || call(made))
        })
    }
}

/// Suspends the coroutine until the call was made by another thread.
unsafe fn elsewhere<A, M, C, T>(L: *mut lua_State, state: StateRef, operation: Operation, make: M) -> c_int
where
    A: Await,
    M: FnOnce(&mut System) -> C + Copy,
    C: FnOnce() -> T + Send + 'static,
    T: Output + 'static,
{
    // SAFETY: arguments were checked. What is made owns what it needs.
    unsafe {
        check_process(L, state);
        wait::suspend_as::<A>(L, state, operation, move |system, op| {
            let call = make(system);
            system.unblock(op, call)
        })
    }
}

/// Nothing to tell but success.
impl Output for Result<()> {
    unsafe fn push(&mut self, L: *mut lua_State, _: StateRef) -> c_int {
        // SAFETY: as the callee.
        unsafe {
            match self {
                Ok(()) => {
                    ffi::lua_pushboolean(L, 1);
                    1
                }
                Err(error) => push_failure(L, *error),
            }
        }
    }
}

/// A count of bytes.
impl Output for Result<u64> {
    unsafe fn push(&mut self, L: *mut lua_State, _: StateRef) -> c_int {
        // SAFETY: as the callee.
        unsafe {
            match self {
                Ok(count) => {
                    ffi::lua_pushinteger(L, *count as ffi::lua_Integer);
                    1
                }
                Err(error) => push_failure(L, *error),
            }
        }
    }
}
