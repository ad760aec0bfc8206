//! `system.run`, `isrunning`, `halt`, `printall` (20 §8, 30 §0.3).

use super::wait::{self, is_suspended, release};
use super::{Delivering, Reading, Waiter, What, push_failure};
use crate::memory::range::span;
use crate::raw::error::DIRECT;
use crate::raw::{Functions, args, c_int, error, lua_State};
use crate::resume::resume_for;
use crate::state::{self, StateRef, field};
use coutil_system::Result;
use coutil_system::core::{Attempt, Mode, Next, OpId, Outcome, SourceId};
use mlua::ffi;
use std::ffi::CStr;

pub(crate) const FUNCTIONS: Functions<'_> =
    &[(c"isrunning", is_running), (c"halt", halt), (c"printall", print_all)];

/// How a warning about an error in a coroutine that the loop resumed begins (00 §8).
const WARNING: &CStr = c"system.run";
/// The same, about one that was resumed as its object was closed.
const CLOSE_WARNING: &CStr = c"object:close";

/// `run([mode])` → boolean. Its upvalue 3 is [`passes`].
pub(crate) unsafe extern "C-unwind" fn run(L: *mut lua_State) -> c_int {
    // SAFETY: the state stays valid while `passes` runs, whatever it runs.
    unsafe {
        let modes = [Mode::Loop, Mode::Step, Mode::Ready];
        let mode = args::check_option(L, DIRECT, 1, Some(0), &[c"loop", c"step", c"ready"]);
        let state = StateRef::of(L);
        if state.touch(|state| state.system().running) {
            error::raise_text(L, DIRECT, c"already running");
        }
        raise_queued(L);
        let begun = state.with(L, |state| {
            let system = state.system();
            let begun = system.core.begin(modes[mode]);
            system.running = begun.is_ok();
            begun
        });
        if begun.is_err() {
            super::raise_foreign(L);
        }
        ffi::lua_settop(L, 0);
        ffi::lua_pushvalue(L, ffi::lua_upvalueindex(3));
        let status = ffi::lua_pcall(L, 0, 1, 0);
        state.touch(|state| {
            let system = state.system();
            system.running = false;
            system.delivering = Delivering::NONE;
        });
        if status != ffi::LUA_OK {
            ffi::lua_error(L);
        }
        raise_queued(L);
        1
    }
}

/// Raises the oldest of the errors that `onerror("raise")` had queued, if there is one (90 §2.5).
unsafe fn raise_queued(L: *mut lua_State) {
    // SAFETY: the table is a list of boxed values.
    unsafe {
        state::push_field(L, field::ERRORS);
        let errors = ffi::lua_gettop(L);
        let count = ffi::lua_rawlen(L, errors) as ffi::lua_Integer;
        if count > 0 {
            ffi::lua_rawgeti(L, errors, 1);
            for index in 1..=count {
                if index < count {
                    ffi::lua_rawgeti(L, errors, index + 1);
                } else {
                    ffi::lua_pushnil(L);
                }
                ffi::lua_rawseti(L, errors, index);
            }
            ffi::lua_rawgeti(L, -1, 1);
            ffi::lua_error(L);
        }
        ffi::lua_settop(L, errors - 1);
    }
}

/// What the loop has to do, with what is needed for it.
#[derive(Clone, Copy)]
enum Step {
    /// Resume a coroutine with `true`.
    Resume(*mut lua_State),
    /// Try, or give the result.
    Deliver,
    RunTasks,
    /// The error of a coroutine was reported.
    CheckErrors,
    /// Closed objects were kept long enough.
    ForgetClosed,
    Finished(bool),
    Foreign,
}

/// Runs passes until the loop says that it is enough. Called protected, by `run`.
pub(crate) unsafe extern "C-unwind" fn passes(L: *mut lua_State) -> c_int {
    // SAFETY: an operation that the loop delivers has its coroutine anchored, until it is released below.
    unsafe {
        let state = StateRef::of(L);
        let mut last = OpId::NONE;
        loop {
            let mut ended = false;
            let step = state.with(L, |state| {
                let failed = std::mem::take(&mut state.failed);
                let system = state.system();
                let last = std::mem::replace(&mut system.delivering, Delivering::NONE);
                ended = system.settle(last.op);
                if failed { Step::CheckErrors } else { next(system) }
            });
            if ended {
                release(L, state, last.index());
            }
            last = state.touch(|state| state.system().delivering.op);
            match step {
                Step::Resume(co) => {
                    if is_suspended(co) {
                        ffi::lua_pushboolean(co, 1);
                        resume_for(L, state, co, 1, Some(WARNING));
                    } else {
                        wait::cancel(L, state, last);
                    }
                }
                Step::Deliver => deliver(L, state, last),
                Step::CheckErrors => halt_for_error(L, state),
                Step::ForgetClosed => forget_closed(L, state, false),
                Step::RunTasks => {
                    let tasks = state.try_with(|state| state.system().core.take_tasks());
                    if let Ok(tasks) = tasks {
                        for task in tasks {
                            // A panic of the future is the task's, and told by it.
                            let _ = crate::raw::guard(|| task.run());
                        }
                    }
                    state.with(L, |state| state.system().core.tasks_done());
                }
                Step::Finished(pending) => {
                    forget_closed(L, state, true);
                    ffi::lua_pushboolean(L, pending.into());
                    return 1;
                }
                Step::Foreign => super::raise_foreign(L),
            }
        }
    }
}

#[inline]
fn next(system: &mut super::System) -> Step {
    if system.closed > 0 && system.closed_in != system.core.passes() {
        return Step::ForgetClosed;
    }
    match system.core.next() {
        Ok(Next::Deliver(op)) => {
            let elapsed = system.core.outcome(op) == Some(Outcome::Elapsed);
            let Some(waiter) = system.core.waiter(op) else { return Step::CheckErrors };
            system.delivering = Delivering { thread: waiter.thread, op };
            match waiter.what {
                What::Suspend if elapsed => Step::Resume(waiter.thread),
                _ => Step::Deliver,
            }
        }
        Ok(Next::RunTasks) => Step::RunTasks,
        Ok(Next::Finished(pending)) => Step::Finished(pending),
        Err(_) => Step::Foreign,
    }
}

/// An error was reported. If it was queued, `run` ends with this pass.
#[cold]
unsafe fn halt_for_error(L: *mut lua_State, state: StateRef) {
    // SAFETY: as `raise_queued`.
    unsafe {
        state::push_field(L, field::ERRORS);
        let queued = ffi::lua_rawlen(L, -1) > 0;
        ffi::lua_pop(L, 1);
        if queued {
            state.touch(|state| state.system().core.halt());
        }
    }
}

/// Delivers an operation, which is held: tries it, or takes its result.
unsafe fn deliver(L: *mut lua_State, state: StateRef, op: OpId) {
    // SAFETY: the coroutine is anchored.
    unsafe {
        let found = state.touch(|state| {
            let core = &state.system().core;
            Some((*core.waiter(op)?, core.outcome(op)?))
        });
        let Some((waiter, outcome)) = found else { return };
        if !is_suspended(waiter.thread) {
            wait::cancel(L, state, op);
        } else if let Some(count) = results(L, state, op, waiter, outcome) {
            pass_on(L, state, waiter.thread, count, WARNING);
        }
    }
}

/// Resumes a coroutine with the `count` values on the top.
unsafe fn pass_on(
    L: *mut lua_State,
    state: StateRef,
    co: *mut lua_State,
    count: c_int,
    warning: &'static CStr,
) {
    // SAFETY: both are of the same state.
    unsafe {
        if ffi::lua_checkstack(co, count + 1) == 0 {
            ffi::lua_pop(L, count);
            ffi::lua_pushliteral(L, c"stack overflow (too many values)");
            crate::report::report(L, co);
            return;
        }
        ffi::lua_xmove(L, co, count);
        resume_for(L, state, co, count, Some(warning));
    }
}

/// Pushes the results of an operation. `None`: there are none yet, it waits again. [-0, +count]
unsafe fn results(
    L: *mut lua_State,
    state: StateRef,
    op: OpId,
    waiter: Waiter,
    outcome: Outcome,
) -> Option<c_int> {
    // SAFETY: the memory is anchored as long as the operation.
    unsafe {
        match (outcome, waiter.what) {
            (Outcome::Done(result), _) => Some(match result {
                Ok(()) => {
                    ffi::lua_pushboolean(L, 1);
                    1
                }
                Err(error) => push_failure(L, error),
            }),
            (Outcome::Try, What::Read { memory, i, j, kind }) => {
                let (bytes, len) = memory.bytes();
                let span = span(i, j, len);
                let buffer = std::slice::from_raw_parts_mut(bytes.add(span.start), span.len);
                let attempt = match kind {
                    Reading::Datagram { address } => {
                        return super::datagram::receive(L, state, op, buffer, address);
                    }
                    Reading::Sockets => {
                        state.with(L, |state| attempted(state.system().core.try_read_with(op, buffer)))
                    }
                    Reading::Bytes => {
                        state.with(L, |state| attempted(state.system().core.try_read(op, buffer)))
                    }
                };
                match attempt? {
                    Ok(count) => {
                        ffi::lua_pushinteger(L, count as ffi::lua_Integer);
                        if kind == Reading::Sockets {
                            let source = state.touch(|state| state.system().core.source_of(op));
                            return Some(super::local::received(L, state, source.unwrap_or(SourceId::NONE)));
                        }
                        Some(1)
                    }
                    Err(error) => Some(push_failure(L, error)),
                }
            }
            (Outcome::Try, What::Accept { domain }) => super::socket::accept(L, state, op, domain),
            (Outcome::Elapsed, What::Future) => Some(super::future::results(L, state, op)),
            _ => {
                ffi::lua_pushboolean(L, 1);
                Some(1)
            }
        }
    }
}

/// As an option, which can be copied.
pub(crate) fn attempted<T: Copy>(attempt: Attempt<T>) -> Option<Result<T>> {
    match attempt {
        Attempt::Done(result) => Some(result),
        Attempt::Wait => None,
    }
}

/// Lets go the closed objects that were kept until the loop runs (50 §5.1.4): those of an earlier pass, or all.
unsafe fn forget_closed(L: *mut lua_State, state: StateRef, all: bool) {
    // SAFETY: what is in the table is ours alone.
    unsafe {
        let over = state.touch(|state| {
            let system = state.system();
            let over = all || system.closed_in != system.core.passes();
            if over { std::mem::take(&mut system.closed) } else { 0 }
        });
        if over > 0 {
            state::push_field(L, field::CLOSED);
            for index in 1..=over {
                ffi::lua_pushnil(L);
                ffi::lua_rawseti(L, -2, index.into());
            }
            ffi::lua_pop(L, 1);
        }
    }
}

/// Resumes the coroutine that reads from an object that was closed, with `false, "closed"` (50 §5.1.2). Its operation is
/// held.
pub(crate) unsafe fn tell_closed(L: *mut lua_State, state: StateRef, op: OpId) {
    // SAFETY: the coroutine is anchored by its operation until that is released.
    unsafe {
        let found = state.touch(|state| {
            let system = state.system();
            let waiter = *system.core.waiter(op)?;
            let delivering = Delivering { thread: waiter.thread, op };
            Some((waiter, std::mem::replace(&mut system.delivering, delivering)))
        });
        let Some((waiter, outer)) = found else { return };
        let co = waiter.thread;
        if is_suspended(waiter.thread) {
            ffi::lua_pushboolean(L, 0);
            ffi::lua_pushliteral(L, c"closed");
            pass_on(L, state, co, 2, CLOSE_WARNING);
        }
        let ended = state.with(L, |state| {
            let system = state.system();
            system.delivering = outer;
            system.settle(op)
        });
        if ended {
            release(L, state, op.index());
        }
    }
}

/// `isrunning()` → boolean
unsafe extern "C-unwind" fn is_running(L: *mut lua_State) -> c_int {
    // SAFETY: as the callees.
    unsafe {
        let running = StateRef::of(L).touch(|state| state.system().running);
        ffi::lua_pushboolean(L, running.into());
        1
    }
}

/// `halt()`
unsafe extern "C-unwind" fn halt(L: *mut lua_State) -> c_int {
    // SAFETY: as the callees.
    unsafe {
        let state = StateRef::of(L);
        if !state.touch(|state| state.system().running) {
            error::raise_text(L, DIRECT, c"not running");
        }
        state.touch(|state| state.system().core.halt());
        0
    }
}

/// `printall()`: writes what the loop has to standard error.
unsafe extern "C-unwind" fn print_all(L: *mut lua_State) -> c_int {
    // SAFETY: as the callees.
    unsafe {
        let state = StateRef::of(L);
        state.with(L, |state| {
            let mut text = String::from("coutil: operations of the event loop\n");
            let _ = state.system().core.describe(&mut text, |waiter| {
                let what = match waiter.what {
                    What::Suspend => "suspend",
                    What::Read { .. } => "read",
                    What::Accept { .. } => "accept",
                    What::Connect => "connect",
                    What::Write => "write",
                    What::Shutdown => "shutdown",
                    What::Future => "future",
                };
                format!("{what} of thread {:p}", waiter.thread)
            });
            let _ = std::io::Write::write_all(&mut std::io::stderr(), text.as_bytes());
        });
        0
    }
}
