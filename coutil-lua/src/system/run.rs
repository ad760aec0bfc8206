//! `system.run`, `isrunning`, `halt`, `printall` (20 §8, 30 §0.3).

use super::file::Filled;
use super::process::signal::name_of;
use super::wait::{self, is_suspended, is_waiting, release};
use super::{Delivering, Reading, Waiter, What, push_failure};
use crate::memory::range::span;
use crate::raw::error::DIRECT;
use crate::raw::{Functions, args, c_int, error, lua_State};
use crate::resume::resume_for;
use crate::state::{self, StateRef, field};
use crate::threads::{resume, run as in_task};
use coutil_system::Result;
use coutil_system::core::{Attempt, Mode, Next, OpId, Outcome};
use coutil_system::process::Exit;
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
    // SAFETY: as the callees.
    unsafe {
        start(L, DIRECT);
        go_on(L)
    }
}

/// As [`run`], with a Lua function around it: `nil` if that is to yield the chunk, and call [`run_on`].
#[cfg(any(feature = "lua51", feature = "luajit"))]
pub(crate) unsafe extern "C-unwind" fn run_in_task(L: *mut lua_State) -> c_int {
    // SAFETY: as the callees.
    unsafe {
        start(L, error::AWAIT);
        go_on(L)
    }
}

/// What follows when the chunk is resumed.
#[cfg(any(feature = "lua51", feature = "luajit"))]
pub(crate) unsafe extern "C-unwind" fn run_on(L: *mut lua_State) -> c_int {
    // SAFETY: a debugger may have got hold of this function.
    unsafe {
        if !StateRef::of(L).touch(|state| state.system().running) {
            error::raise_text(L, DIRECT, c"not running");
        }
        ffi::lua_settop(L, 0);
        go_on(L)
    }
}

/// The run begins. The stack is empty afterwards, but for what ends it on 5.5.
unsafe fn start(L: *mut lua_State, frame: c_int) {
    // SAFETY: arguments are checked.
    unsafe {
        let modes = [Mode::Loop, Mode::Step, Mode::Ready];
        let mode = modes[args::check_option(L, frame, 1, Some(0), &[c"loop", c"step", c"ready"])];
        let state = StateRef::of(L);
        if state.touch(|state| state.system().running) {
            error::raise_text(L, frame, c"already running");
        }
        raise_queued(L);
        ffi::lua_settop(L, 0);
        // From here on nothing may raise: it would be running for ever.
        #[cfg(feature = "lua55")]
        push_reset(L);
        let begun = state.with(L, |state| {
            let system = state.system();
            let begun = system.core.begin(mode);
            system.running = begun.is_ok();
            begun
        });
        if begun.is_err() {
            super::raise_foreign(L);
        }
        in_task::begin(L, state, mode);
        #[cfg(feature = "lua51")]
        wait::drop_orphan(L, state);
        #[cfg(any(feature = "lua54", feature = "lua55"))]
        wait::drop_orphans(L, state);
    }
}

/// Runs passes, and yields the chunk of the task where there is nothing to do; the rest is [`continued`] then.
#[cfg_attr(
    not(feature = "lua52"),
    allow(clippy::never_loop, reason = "5.2 learns late that it cannot yield")
)]
unsafe fn go_on(L: *mut lua_State) -> c_int {
    // SAFETY: the state stays valid while `passes` runs, whatever it runs.
    unsafe {
        loop {
            let state = StateRef::of(L);
            let outer =
                state.touch(|state| std::mem::replace(&mut state.system().delivering, Delivering::NONE));
            ffi::lua_pushvalue(L, ffi::lua_upvalueindex(3));
            let status = ffi::lua_pcall(L, 0, 1, 0);
            let idle = status == ffi::LUA_OK && ffi::lua_type(L, -1) == ffi::LUA_TNIL;
            let pending = status == ffi::LUA_OK && ffi::lua_toboolean(L, -1) != 0;
            state.touch(|state| {
                let system = state.system();
                if !idle {
                    system.running = false;
                    system.left = pending;
                    in_task::end(system);
                }
                system.delivering = outer;
                // What an error, as for lack of memory, kept from being delivered is delivered later.
                let current = std::mem::replace(&mut system.current, OpId::NONE);
                system.core.put_back(current);
            });
            if status != ffi::LUA_OK {
                ffi::lua_error(L);
            }
            if !idle {
                raise_queued(L);
                return 1;
            }
            #[cfg(any(feature = "lua51", feature = "luajit"))]
            return 1;
            #[cfg(any(feature = "lua53", feature = "lua54", feature = "lua55"))]
            {
                ffi::lua_pop(L, 1);
                in_task::leave(L);
                return ffi::lua_yieldk(L, 0, 0, Some(continued));
            }
            #[cfg(feature = "lua52")]
            {
                ffi::lua_settop(L, 0);
                ffi::lua_pushcfunction(L, in_task::park);
                // If it yields it does not return.
                ffi::lua_pcallk(L, 0, 0, 0, 0, Some(continued));
                ffi::lua_settop(L, 0);
                in_task::stay(L, state);
            }
        }
    }
}

/// The chunk was resumed by its task.
#[cfg(any(feature = "lua53", feature = "lua54", feature = "lua55"))]
unsafe extern "C-unwind" fn continued(L: *mut lua_State, _: c_int, _: ffi::lua_KContext) -> c_int {
    // SAFETY: the frame is that of `run`.
    unsafe {
        ffi::lua_settop(L, if cfg!(feature = "lua55") { 1 } else { 0 });
        go_on(L)
    }
}

/// The chunk was resumed by its task; or it could not yield, as a C function is in the way that can be yielded across only by
/// itself.
#[cfg(feature = "lua52")]
unsafe extern "C-unwind" fn continued(L: *mut lua_State) -> c_int {
    // SAFETY: as above.
    unsafe {
        if ffi::lua_getctx(L, std::ptr::null_mut()) != ffi::LUA_YIELD {
            in_task::stay(L, StateRef::of(L));
        }
        ffi::lua_settop(L, 0);
        go_on(L)
    }
}

/// Pushes a to-be-closed value that ends the run: on 5.5 a coroutine can close itself, past every `pcall`. [-0, +1] Raises for
/// memory.
#[cfg(feature = "lua55")]
unsafe fn push_reset(L: *mut lua_State) {
    unsafe extern "C-unwind" fn reset(L: *mut lua_State) -> c_int {
        // SAFETY: the closure has the state.
        unsafe {
            if let Some(state) = StateRef::of_finalizer(L) {
                state.touch(|state| state.system().running = false);
            }
        }
        0
    }
    // SAFETY: a userdata with `__close`.
    unsafe {
        ffi::lua_newuserdatauv(L, 0, 0);
        ffi::lua_createtable(L, 0, 1);
        ffi::lua_pushvalue(L, ffi::lua_upvalueindex(1));
        ffi::lua_pushcclosure(L, reset, 1);
        ffi::lua_setfield(L, -2, c"__close".as_ptr());
        ffi::lua_setmetatable(L, -2);
        ffi::lua_toclose(L, -1);
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
    /// Resume a coroutine with `true`. The operation counts as being delivered.
    Resume(*mut lua_State, OpId),
    /// Try, or give the result.
    Deliver(OpId),
    RunTasks,
    /// The error of a coroutine was reported.
    CheckErrors,
    /// Closed objects were kept long enough.
    ForgetClosed,
    /// Other threads are done with strings.
    SweepLoans,
    Finished(bool),
    /// The chunk of the task is to be yielded.
    Leave,
    Foreign,
}

/// Runs passes until the loop says that it is enough. Called protected, by `run`.
pub(crate) unsafe extern "C-unwind" fn passes(L: *mut lua_State) -> c_int {
    // SAFETY: an operation that the loop delivers has its coroutine anchored, until it is released.
    unsafe {
        let state = StateRef::of(L);
        if !state.touch(|state| state.system().running) {
            // A debugger got hold of this function.
            error::raise_text(L, DIRECT, c"not running");
        }
        // What was resumed by `Step::Resume`.
        let mut last = OpId::NONE;
        loop {
            let mut ended = false;
            let step = state.with(L, |state| {
                let failed = std::mem::take(&mut state.failed);
                let system = state.system();
                system.delivering = Delivering::NONE;
                ended = system.settle(last);
                if failed { Step::CheckErrors } else { next(system) }
            });
            if ended {
                release(L, state, last.index());
            }
            last = OpId::NONE;
            match step {
                // Nothing is allocated from the moment that the operation counts as being delivered.
                Step::Resume(co, op) => {
                    last = op;
                    if is_suspended(co) {
                        ffi::lua_pushboolean(co, 1);
                        resume_for(L, state, co, 1, Some(WARNING));
                    }
                }
                Step::Deliver(op) => deliver(L, state, op),
                Step::CheckErrors => halt_for_error(L, state),
                Step::ForgetClosed => forget_closed(L, state, false),
                Step::SweepLoans => super::file::sweep_loans(L, state),
                Step::RunTasks => {
                    let tasks = state.try_with(|state| state.system().core.take_tasks());
                    if let Ok(tasks) = tasks {
                        for task in tasks {
                            // A panic of the future is the task's, and told by it.
                            let _ = crate::raw::guard(|| task.run());
                        }
                    }
                    state.with(L, |state| {
                        let system = state.system();
                        system.related.round += 1;
                        system.core.tasks_done();
                    });
                }
                Step::Finished(pending) => {
                    forget_closed(L, state, true);
                    ffi::lua_pushboolean(L, pending.into());
                    return 1;
                }
                Step::Leave => {
                    ffi::lua_pushnil(L);
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
    if system.files.loans.has_ended() {
        return Step::SweepLoans;
    }
    if system.related.yields {
        let exchanges = system.tasks.exchanges();
        system.core.idle_at((exchanges > 0).then_some(exchanges));
    }
    match system.core.next() {
        Ok(Next::Deliver(op)) => {
            let elapsed = system.core.outcome(op) == Some(Outcome::Elapsed);
            let Some(waiter) = system.core.waiter(op) else { return Step::CheckErrors };
            match waiter.what {
                What::Suspend | What::Sleep if elapsed => {
                    system.delivering = Delivering { thread: waiter.thread, op };
                    Step::Resume(waiter.thread, op)
                }
                _ => Step::Deliver(op),
            }
        }
        Ok(Next::RunTasks) => Step::RunTasks,
        Ok(Next::Finished(pending)) => Step::Finished(pending),
        Ok(Next::Idle) => Step::Leave,
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

/// Delivers an operation, which is held: makes what it needs, tries it, and resumes its coroutine.
///
/// What allocates may run finalizers, which may resume or close that coroutine; so all that comes first, and then it is looked
/// whether the operation is still there. If something raises, `run` puts the operation back.
unsafe fn deliver(L: *mut lua_State, state: StateRef, op: OpId) {
    // SAFETY: the coroutine is anchored as long as the operation is there.
    unsafe {
        state.touch(|state| state.system().current = op);
        let bottom = ffi::lua_gettop(L);
        loop {
            let found = state.touch(|state| {
                let core = &state.system().core;
                Some((*core.waiter(op)?, core.outcome(op)?))
            });
            let Some((waiter, outcome)) = found else { break };
            if waiter.thread.is_null() {
                resume::end_abandoned(state, op);
                release(L, state, op.index());
                break;
            }
            make(L, state, op, waiter.what, outcome);
            let held = state.touch(|state| state.system().core.is_held(op));
            if !held {
                break;
            }
            if !is_waiting(waiter.thread, op, waiter.what, state) {
                wait::cancel(L, state, op);
                break;
            }
            match attempt(L, state, op, waiter, outcome) {
                Attempted::Results(count) => {
                    hand_over(L, state, op, waiter.thread, count, WARNING);
                    break;
                }
                Attempted::Failed(error) => {
                    // Once more, with its text.
                    state.touch(|state| state.system().core.set_result(op, Err(error)));
                }
                Attempted::Again => {}
                Attempted::Waits => break,
            }
            ffi::lua_settop(L, bottom);
        }
        // What was made for a try that came to something else.
        if ffi::lua_gettop(L) != bottom {
            ffi::lua_settop(L, bottom);
        }
        state.touch(|state| state.system().current = OpId::NONE);
    }
}

/// Makes what the results of an operation need. [-0, +some] May raise, and run finalizers.
unsafe fn make(L: *mut lua_State, state: StateRef, op: OpId, what: What, outcome: Outcome) {
    // SAFETY: as the callees.
    unsafe {
        match (outcome, what) {
            (Outcome::Done(Err(error)), What::Raised) => {
                wait::push_raised(L, error);
            }
            (Outcome::Done(Err(error)), _) => {
                push_failure(L, error);
            }
            (Outcome::Try, What::Accept { domain }) => super::socket::push_accepted(L, domain),
            (Outcome::Try, What::Read { kind: Reading::Sockets, .. }) => super::local::push_received(L),
            (Outcome::Elapsed, What::Signal(name)) => {
                ffi::lua_pushstring(L, name.as_ptr());
            }
            (Outcome::Done(Ok(())), What::Ended(exit)) => {
                let (how, number) = match exit {
                    Exit::Status(status) => (c"exit", status),
                    Exit::Signal(signal) => (name_of(signal), signal),
                };
                ffi::lua_pushstring(L, how.as_ptr());
                ffi::lua_pushinteger(L, number.into());
            }
            (
                Outcome::Elapsed,
                What::Future | What::Fill { .. } | What::Channel { .. } | What::Resume { .. },
            ) => {
                super::task::push_results(L, state, op);
            }
            _ => {}
        }
    }
}

/// What became of an operation that was tried.
pub(crate) enum Attempted {
    /// So many results are on the top.
    Results(c_int),
    Failed(coutil_system::Error),
    /// It has a result now, to be delivered.
    Again,
    /// There was nothing: it waits again.
    Waits,
}

/// Tries an operation, or takes its result. What it needs is on the top. [-0, +results] Allocates nothing.
unsafe fn attempt(
    L: *mut lua_State,
    state: StateRef,
    op: OpId,
    waiter: Waiter,
    outcome: Outcome,
) -> Attempted {
    // SAFETY: the memory is anchored as long as the operation.
    unsafe {
        match (outcome, waiter.what) {
            (Outcome::Done(Err(_)), What::Raised) => Attempted::Results(2),
            (Outcome::Done(Err(_)), _) => Attempted::Results(3),
            (Outcome::Try, What::Read { memory, i, j, kind }) => {
                let (bytes, len) = memory.bytes();
                let span = span(i, j, len);
                let buffer = std::slice::from_raw_parts_mut(bytes.add(span.start), span.len);
                match kind {
                    Reading::Datagram => super::datagram::receive(L, state, op, buffer),
                    Reading::Sockets => super::local::receive(L, state, op, buffer),
                    Reading::Bytes => {
                        match state.with(L, |state| attempted(state.system().core.try_read(op, buffer))) {
                            Some(Ok(count)) => {
                                ffi::lua_pushinteger(L, count as ffi::lua_Integer);
                                Attempted::Results(1)
                            }
                            Some(Err(error)) => Attempted::Failed(error),
                            None => Attempted::Waits,
                        }
                    }
                }
            }
            (Outcome::Try, What::Accept { .. }) => super::socket::accept(L, state, op),
            (Outcome::Elapsed, What::Signal(_)) => Attempted::Results(1),
            (Outcome::Try, What::Child(_)) => {
                let tried = state.with(L, |state| {
                    let core = &mut state.system().core;
                    let tried = attempted(core.try_wait_child(op));
                    if let (Some(Ok(exit)), Some(waiter)) = (tried, core.waiter_mut(op)) {
                        // Only now it is known which texts are needed.
                        waiter.what = What::Ended(exit);
                        core.set_result(op, Ok(()));
                    }
                    tried
                });
                match tried {
                    Some(Ok(_)) => Attempted::Again,
                    Some(Err(error)) => Attempted::Failed(error),
                    None => Attempted::Waits,
                }
            }
            (Outcome::Done(Ok(())), What::Ended(_)) => Attempted::Results(2),
            (Outcome::Elapsed, What::Future | What::Channel { .. } | What::Resume { .. }) => {
                Attempted::Results(super::task::results(state, |_| {}))
            }
            (Outcome::Elapsed, What::Fill { memory, span, filled }) => {
                let mut placed = 0;
                let count =
                    super::task::results(state, |bytes| placed = super::file::place(memory, span, bytes));
                if count > 0 {
                    return Attempted::Results(count);
                }
                match filled {
                    Filled::Count => ffi::lua_pushinteger(L, placed as ffi::lua_Integer),
                    Filled::Memory => wait::push_buffer(L, op),
                }
                Attempted::Results(1)
            }
            _ => {
                ffi::lua_pushboolean(L, 1);
                Attempted::Results(1)
            }
        }
    }
}

/// Resumes the coroutine of an operation, which is held, with the `count` values on the top, and ends the operation unless the
/// coroutine started it again. [-count, +0] Never raises, and allocates nothing before the coroutine runs.
unsafe fn hand_over(
    L: *mut lua_State,
    state: StateRef,
    op: OpId,
    co: *mut lua_State,
    count: c_int,
    warning: &'static CStr,
) {
    // SAFETY: both are of the same state.
    unsafe {
        let outer = state.touch(|state| {
            let system = state.system();
            system.current = OpId::NONE;
            std::mem::replace(&mut system.delivering, Delivering { thread: co, op })
        });
        if ffi::lua_checkstack(co, count + 1) == 0 {
            ffi::lua_pop(L, count);
            crate::report::report_text(L, co, c"stack overflow (too many values)");
        } else {
            ffi::lua_xmove(L, co, count);
            resume_for(L, state, co, count, Some(warning));
        }
        let ended = state.touch(|state| {
            let system = state.system();
            system.delivering = outer;
            system.settle(op)
        });
        if ended {
            release(L, state, op.index());
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

/// Resumes the coroutine that reads from an object that was closed, with the two values on the top: `false, "closed"` (50 §5.1.2).
/// Its operation is held. [-2, +0] Never raises.
pub(crate) unsafe fn tell_closed(L: *mut lua_State, state: StateRef, op: OpId) {
    // SAFETY: the coroutine is anchored by its operation.
    unsafe {
        match state.touch(|state| state.system().core.waiter(op).copied()) {
            Some(Waiter { thread, what }) if is_waiting(thread, op, what, state) => {
                hand_over(L, state, op, thread, 2, CLOSE_WARNING);
            }
            waiting => {
                ffi::lua_pop(L, 2);
                if waiting.is_some() {
                    wait::cancel(L, state, op);
                }
            }
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
                    What::Suspend | What::Sleep => "suspend",
                    What::Read { .. } => "read",
                    What::Accept { .. } => "accept",
                    What::Connect => "connect",
                    What::Write => "write",
                    What::Shutdown => "shutdown",
                    What::Signal(_) => "signal",
                    What::Child(_) | What::Ended(_) => "process",
                    What::Future | What::Fill { .. } | What::Raised => "future",
                    What::Channel { .. } => "channel",
                    What::Resume { .. } => "resume",
                };
                format!("{what} of thread {:p}", waiter.thread)
            });
            let _ = std::io::Write::write_all(&mut std::io::stderr(), text.as_bytes());
        });
        0
    }
}
