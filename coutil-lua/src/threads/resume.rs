//! `system.resume` (20 §4): runs of state coroutines, on threads of their own.

use super::STACK;
use super::coroutine::{Object, Owned};
use super::independent::{Independent, Stop};
use super::transfer::{Refused, Role, Transfer, Value};
use crate::raw::error::AWAIT;
use crate::raw::{c_int, guard, lua_State};
use crate::state::StateRef;
use crate::suspend::check_yieldable;
use crate::system::task::{AnyOutput, Output, Running};
use crate::system::wait::{self, OnLoop, Operation};
use crate::system::{Class, System, What, check_object};
use coutil_system::core::{Ender, OpId};
use coutil_system::{Error, Result};
use coutil_threads::{Builder, Pool};
use mlua::ffi;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};

/// How a run ended.
#[derive(Clone, Debug)]
pub(crate) enum Outcome {
    Values(Transfer, Stop),
    Refused(Refused, Stop),
    Failed(Value),
    FailedRefused(Refused),
    /// It had not begun when it was withdrawn.
    Withdrawn,
}

enum Stage {
    Queued(Independent, Transfer),
    Running,
    /// The outcome is taken once.
    Ended(Independent, Outcome),
    Taken,
}

/// One run of a state coroutine.
pub(crate) struct Run {
    stage: Mutex<Stage>,
    ended: Condvar,
    ender: Ender,
    /// The process whose thread runs it.
    process: u32,
}

impl Run {
    fn stage(&self) -> MutexGuard<'_, Stage> {
        self.stage.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs it, unless it was withdrawn.
    fn execute(&self) {
        let (mut state, values) = {
            let mut stage = self.stage();
            match std::mem::replace(&mut *stage, Stage::Running) {
                Stage::Queued(state, values) => (state, values),
                other => {
                    *stage = other;
                    return;
                }
            }
        };
        let outcome = guard(|| resume_state(&mut state, &values));
        let outcome = outcome.unwrap_or_else(|panic| {
            Outcome::Failed(Value::String(format!("internal error: {}", panic.message()).into_bytes().into()))
        });
        *self.stage() = Stage::Ended(state, outcome);
        self.ended.notify_all();
        self.ender.end();
    }

    /// Withdraws it if it has not begun: it ends then.
    pub(crate) fn withdraw(&self) {
        if self.process != std::process::id() {
            return;
        }
        let mut stage = self.stage();
        match std::mem::replace(&mut *stage, Stage::Taken) {
            Stage::Queued(state, values) => {
                *stage = Stage::Ended(state, Outcome::Withdrawn);
                drop(stage);
                drop(values);
                self.ender.end();
            }
            other => *stage = other,
        }
    }

    /// What came of it, once it has ended.
    fn take(&self) -> Option<(Independent, Outcome)> {
        let mut stage = self.stage();
        match std::mem::replace(&mut *stage, Stage::Taken) {
            Stage::Ended(state, outcome) => Some((state, outcome)),
            other => {
                *stage = other;
                None
            }
        }
    }

    /// Waits until it has ended, or withdraws it; the state ends then. In a child of a fork nobody runs it, and the state stays as
    /// it was left.
    pub(crate) fn wait(self: &Arc<Self>) {
        if self.process != std::process::id() {
            std::mem::forget(Arc::clone(self));
            return;
        }
        self.withdraw();
        let mut stage = self.stage();
        while matches!(*stage, Stage::Running) {
            stage = self.ended.wait(stage).unwrap_or_else(PoisonError::into_inner);
        }
        let left = std::mem::replace(&mut *stage, Stage::Taken);
        drop(stage);
        drop(left);
    }
}

fn resume_state(state: &mut Independent, values: &Transfer) -> Outcome {
    let (stop, count) = state.resume(values, None);
    match (state.take(count, 1), stop) {
        (Ok(values), Stop::Failed) => Outcome::Failed(values.into_first()),
        (Err(refused), Stop::Failed) => Outcome::FailedRefused(refused),
        (Ok(values), stop) => Outcome::Values(values, stop),
        (Err(refused), stop) => Outcome::Refused(refused, stop),
    }
}

/// The threads that run them: started when they are needed, as many as for calls that block, but others (90 §1.7).
fn runners() -> &'static Pool {
    static RUNNERS: OnceLock<Pool> = OnceLock::new();
    RUNNERS.get_or_init(|| {
        let pool = Builder::new().name("coutil-state").stack_size(STACK).build(0);
        let pool = pool.expect("without a thread nothing can fail");
        let _ = pool.resize(coutil_system::thread_limit(), false);
        pool
    })
}

/// `resume(co, ...)` → true, ...; or false, error
pub(super) unsafe extern "C-unwind" fn resume(L: *mut lua_State) -> c_int {
    // SAFETY: arguments are checked.
    unsafe {
        let state = StateRef::of(L);
        let object = check_object::<Object>(L, AWAIT, state, 1, Class::Coroutine) as usize;
        if let Some(failure) = failure(state, object) {
            return push_failure(L, failure);
        }
        check_yieldable(L);
        wait::check_process(L, state);
        let operation = Operation::on(1, What::Resume { object });
        let op = wait::prepare(L, state, &operation);
        if let Some(failure) = failure(state, object) {
            // By a finalizer.
            wait::give_up(L, state, op);
            return push_failure(L, failure);
        }
        let refused = guard(|| match Transfer::take(L, 2) {
            Ok(values) => {
                state.touch(|state| state.system().tasks.put(op, Running::Values(values)));
                None
            }
            Err(refused) => Some(refused),
        });
        if !matches!(refused, Ok(None)) {
            wait::give_up(L, state, op);
        }
        match refused {
            Ok(None) => wait::suspend_prepared::<OnLoop>(L, state, op, true, move |system, op| {
                start(system, op, object)
            }),
            Ok(Some(refused)) => {
                ffi::lua_pushboolean(L, 0);
                refused.push(L, Role::Arguments(2));
                2
            }
            Err(panic) => panic.raise(L),
        }
    }
}

/// Why it cannot be resumed.
unsafe fn failure(state: StateRef, object: usize) -> Option<&'static std::ffi::CStr> {
    // SAFETY: no Lua is called.
    unsafe {
        state.touch(|state| match state.system().related.coroutines.get(&object) {
            Some(Owned { run: Some(_), .. }) => Some(c"cannot resume running coroutine"),
            Some(Owned { dead: false, state: Some(_), .. }) => None,
            _ => Some(c"cannot resume dead coroutine"),
        })
    }
}

unsafe fn push_failure(L: *mut lua_State, failure: &std::ffi::CStr) -> c_int {
    // SAFETY: two slots are free.
    unsafe {
        ffi::lua_pushboolean(L, 0);
        ffi::lua_pushstring(L, failure.as_ptr());
        2
    }
}

/// Schedules a run.
fn start(system: &mut System, op: OpId, object: usize) -> Result<()> {
    let ender = system.core.park(op);
    let Some(Running::Values(values)) = system.tasks.take_running(op) else { return Ok(()) };
    let Some(owned) = system.related.coroutines.get_mut(&object) else { return Ok(()) };
    let Some(state) = owned.state.take() else { return Ok(()) };
    let run = Arc::new(Run {
        stage: Mutex::new(Stage::Queued(state, values)),
        ended: Condvar::new(),
        ender,
        process: std::process::id(),
    });
    owned.run = Some(Arc::clone(&run));
    let scheduled = Arc::clone(&run);
    let spawned = runners().spawn(async move { scheduled.execute() });
    if let Err(error) = spawned
        && runners().count().threads == 0
    {
        // Nobody takes it.
        owned.run = None;
        run.withdraw();
        owned.state = run.take().map(|(state, _)| state);
        return Err(Error::from_code(error.raw_os_error().unwrap_or(libc::EAGAIN)));
    }
    system.tasks.put(op, Running::Run(run));
    Ok(())
}

/// The run of a state coroutine has ended, and its owner learns of it (20 §3 status).
///
/// What is left to be dropped without a borrow comes back too.
pub(crate) fn process(system: &mut System, object: usize, run: &Run) -> (Option<Outcome>, Option<Owned>) {
    let Some((state, outcome)) = run.take() else { return (None, None) };
    let Some(owned) = system.related.coroutines.get_mut(&object) else { return (Some(outcome), None) };
    owned.run = None;
    owned.state = Some(state);
    match &outcome {
        Outcome::Values(_, stop) | Outcome::Refused(_, stop) => owned.dead = *stop == Stop::Returned,
        Outcome::Failed(_) | Outcome::FailedRefused(_) => {
            owned.dead = true;
            owned.error = Some(outcome.clone());
        }
        Outcome::Withdrawn => {}
    }
    let closed = if owned.closing { system.related.coroutines.remove(&object) } else { None };
    (Some(outcome), closed)
}

/// The output of a run that has ended.
pub(crate) unsafe fn output(state: StateRef, object: usize, run: &Run) -> Option<AnyOutput> {
    // SAFETY: no Lua of this state is called; what is dropped is another state.
    unsafe {
        let (outcome, closed) = state.touch(|state| process(state.system(), object, run));
        drop(closed);
        outcome.map(|outcome| Box::new(outcome) as AnyOutput)
    }
}

/// A run has ended whose coroutine does not wait for it any more.
pub(crate) unsafe fn end_abandoned(state: StateRef, op: OpId) {
    // SAFETY: no Lua of this state is called; what is dropped is another state.
    unsafe {
        let left = state.touch(|state| {
            let system = state.system();
            let what = system.core.waiter(op).map(|waiter| waiter.what);
            let running = system.tasks.take_running(op);
            let processed = match (&running, what) {
                (Some(Running::Run(run)), Some(What::Resume { object })) => process(system, object, run),
                _ => (None, None),
            };
            system.core.settle(op);
            (processed, running)
        });
        let _ = guard(|| drop(left));
    }
}

impl Output for Outcome {
    unsafe fn push(&mut self, L: *mut lua_State, _: StateRef) -> c_int {
        // SAFETY: as the callees.
        unsafe {
            match self {
                Self::Values(values, _) => values.push_results(L, true),
                Self::Failed(error) => {
                    ffi::lua_pushboolean(L, 0);
                    error.push(L);
                    2
                }
                Self::Refused(refused, _) => {
                    ffi::lua_pushboolean(L, 0);
                    refused.push(L, Role::Results);
                    2
                }
                Self::FailedRefused(refused) => {
                    #[cfg(any(feature = "lua54", feature = "lua55"))]
                    {
                        ffi::lua_pushnil(L);
                        crate::report::warn(L, c"system.resume");
                        ffi::lua_pop(L, 1);
                    }
                    ffi::lua_pushboolean(L, 0);
                    refused.push(L, Role::Error);
                    2
                }
                Self::Withdrawn => crate::system::push_failure(L, Error::CANCELED),
            }
        }
    }
}
