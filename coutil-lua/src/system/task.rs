//! Awaiting a Rust future: an operation of the loop that lasts as long as a task.
//!
//! The future resolves to an [`Output`], which knows how to make Lua values of itself. It is dropped as soon as they are made; if
//! nobody waits any more it is dropped with the task, and so is all that it holds.

use super::wait::Operation;
use super::{System, What, push_failure};
use crate::raw::{c_int, guard, lua_State};
use crate::state::StateRef;
use crate::threads::awaitch;
use crate::threads::resume::{self, Run};
use crate::threads::shared::Exchange;
use crate::threads::transfer::Transfer;
use coutil_system::core::OpId;
use coutil_system::{Error, Result};
use rustc_hash::FxHashMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

/// What a future resolves to that a coroutine awaits.
pub(crate) trait Output: Send {
    /// Pushes the results of the await function. [-0, +the result] May raise. `self` stays where it is meanwhile, and is
    /// dropped afterwards, so nothing of it needs to be live in a frame that calls Lua.
    unsafe fn push(&mut self, L: *mut lua_State, state: StateRef) -> c_int;

    /// A buffer that it does not need any more, and how many bytes at its beginning are for the memory of the operation.
    fn take_buffer(&mut self) -> (Vec<u8>, usize) {
        (Vec::new(), 0)
    }
}

/// Any output.
pub(crate) type AnyOutput = Box<dyn Output>;

/// A future that the loop runs.
pub(crate) type Task = async_task::Task<AnyOutput>;

/// What an operation lasts for, or brings.
pub(crate) enum Running {
    Task(Task),
    /// Values that are to be sent, or were received.
    Values(Transfer),
    Exchange(Exchange),
    Run(Arc<Run>),
}

/// The tasks that are awaited.
#[derive(Default)]
pub(crate) struct Tasks {
    /// By the index of the operation.
    running: FxHashMap<usize, Running>,
    /// How many of them are exchanges.
    exchanges: usize,
    /// The output that is being delivered. There is never more than one, as only `system.run` delivers.
    output: Option<Delivery>,
}

/// An output that is being delivered.
struct Delivery {
    op: OpId,
    output: AnyOutput,
    /// Its results are being made: it must not be dropped.
    pushing: bool,
    count: c_int,
}

/// What is left of an operation that has ended. To drop a task is to cancel it: the loop drops the future when it runs.
pub(crate) struct Left(
    #[allow(dead_code, reason = "it is only dropped")] Option<Running>,
    #[allow(dead_code)] Option<AnyOutput>,
);

impl Left {
    pub(crate) const NOTHING: Self = Self(None, None);
}

impl Tasks {
    /// Sets what an operation lasts for. It has nothing yet.
    pub(crate) fn put(&mut self, op: OpId, running: Running) {
        self.exchanges += usize::from(matches!(running, Running::Exchange(_)));
        self.running.insert(op.index(), running);
    }

    /// Takes what an operation lasts for.
    pub(crate) fn take_running(&mut self, op: OpId) -> Option<Running> {
        let running = self.running.remove(&op.index());
        self.exchanges -= usize::from(matches!(running, Some(Running::Exchange(_))));
        running
    }

    /// What an operation lasts for.
    pub(crate) fn running(&self, op: OpId) -> Option<&Running> {
        self.running.get(&op.index())
    }

    /// In a child of a fork: exchanges are left as they are.
    pub(crate) fn leave_exchanges(&mut self) {
        let left = self.running.extract_if(|_, running| matches!(running, Running::Exchange(_)));
        left.for_each(std::mem::forget);
        self.exchanges = 0;
    }

    /// How many operations are exchanges that have not been delivered.
    pub(crate) fn exchanges(&self) -> usize {
        self.exchanges
    }

    /// Takes what there is of an operation, to be dropped.
    pub(crate) fn take(&mut self, op: OpId) -> Left {
        let output = self.output.take_if(|delivery| delivery.op == op && !delivery.pushing);
        Left(self.take_running(op), output.map(|delivery| delivery.output))
    }
}

/// How an await function waits for a future.
pub(crate) const OPERATION: Operation = Operation::new(What::Future);

impl System {
    /// Starts an operation that lasts as long as a call that blocks, made by another thread.
    pub(crate) fn unblock<T: Output + 'static>(
        &mut self,
        op: OpId,
        call: impl FnOnce() -> T + Send + 'static,
    ) -> Result<()> {
        let task = self.core.unblock(op, move || Box::new(call()) as AnyOutput)?;
        self.tasks.put(op, Running::Task(task));
        Ok(())
    }

    /// Starts an operation that lasts as long as the future.
    pub(crate) fn spawn(
        &mut self,
        op: OpId,
        future: impl Future<Output = AnyOutput> + Send + 'static,
    ) -> Result<()> {
        let task = self.core.spawn(op, future)?;
        self.tasks.put(op, Running::Task(task));
        Ok(())
    }
}

/// Pushes the results of an operation whose future has ended, and which is being delivered. They are taken note of by
/// [`results`], unless a finalizer that runs here cancels the operation. If this raises, it is called once more for the
/// operation. [-0, +some] May raise.
pub(crate) unsafe fn push_results(L: *mut lua_State, state: StateRef, op: OpId) {
    // SAFETY: what has a destructor is out of this frame while Lua is called. The output has a place of its own in memory,
    // and is not dropped while it is pushed.
    unsafe {
        let again =
            state.touch(|state| state.system().tasks.output.as_ref().is_some_and(|last| last.op == op));
        if !again {
            let (running, what) = state.touch(|state| {
                let system = state.system();
                (system.tasks.take_running(op), system.core.waiter(op).map(|waiter| waiter.what))
            });
            let output = guard(|| match (running?, what?) {
                // It is done: this does not wait.
                (Running::Task(mut task), _) => {
                    match Pin::new(&mut task).poll(&mut Context::from_waker(Waker::noop())) {
                        Poll::Ready(output) => Some(output),
                        Poll::Pending => None,
                    }
                }
                (Running::Values(values), _) => Some(Box::new(values) as AnyOutput),
                (Running::Exchange(exchange), _) => awaitch::output(exchange),
                (Running::Run(run), What::Resume { object }) => resume::output(state, object, &run),
                (Running::Run(_), _) => None,
            });
            // A panic of the future is told by its task; here there is nothing then.
            let output = output.ok().flatten().unwrap_or_else(|| Box::new(Lost));
            let delivery = Delivery { op, output, pushing: false, count: 0 };
            let last = state.touch(|state| state.system().tasks.output.replace(delivery));
            let _ = guard(|| drop(last));
        }
        let output = state.touch(|state| {
            let delivery = state.system().tasks.output.as_mut()?;
            delivery.pushing = true;
            Some(&raw mut *delivery.output)
        });
        let Some(output) = output else { return };
        let count = (*output).push(L, state);
        let left = state.touch(|state| {
            let system = state.system();
            let held = system.core.is_held(op);
            if let Some(delivery) = &mut system.tasks.output {
                delivery.pushing = false;
                delivery.count = count;
            }
            system.tasks.output.take_if(|_| !held)
        });
        let _ = guard(|| drop(left));
    }
}

/// How many results [`push_results`] left on the top. Its bytes, if it has any, are given to `place`. Allocates nothing in Lua.
pub(crate) unsafe fn results(state: StateRef, place: impl FnOnce(&[u8])) -> c_int {
    // SAFETY: the output is dropped while nothing is borrowed.
    unsafe {
        let mut delivery = state.touch(|state| state.system().tasks.output.take());
        let count = delivery.as_ref().map_or(0, |delivery| delivery.count);
        if let Some(delivery) = &mut delivery {
            let (buffer, used) = delivery.output.take_buffer();
            place(buffer.get(..used).unwrap_or_default());
            if !buffer.is_empty() {
                state.touch(|state| state.system().files.keep(buffer));
            }
        }
        let _ = guard(|| drop(delivery));
        count
    }
}

/// The output of a future that panicked.
struct Lost;

impl Output for Lost {
    unsafe fn push(&mut self, L: *mut lua_State, _: StateRef) -> c_int {
        // SAFETY: as the callee.
        unsafe { push_failure(L, Error::CANCELED) }
    }
}
