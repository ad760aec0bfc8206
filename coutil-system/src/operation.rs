//! An operation of a future.

use crate::core::{OpId, Outcome};
use crate::error::{Error, Result};
use crate::event_loop::{Core, Shared, Waiter};
use std::fmt;
use std::sync::Weak;
use std::task::{Context, Poll, ready};

/// What a future waits for: started when it is polled first, and cancelled when it is dropped.
pub(crate) struct Operation {
    shared: Weak<Shared>,
    /// Until it has ended. The id does not go out of date before.
    op: Option<OpId>,
}

impl Operation {
    pub(crate) fn new(shared: Weak<Shared>) -> Self {
        Self { shared, op: None }
    }

    /// Whether it was started, and has not ended.
    #[cfg(feature = "futures-io")]
    pub(crate) fn is_started(&self) -> bool {
        self.op.is_some()
    }

    pub(crate) fn shared(&self) -> &Weak<Shared> {
        &self.shared
    }

    /// `start` starts the operation; `finish` makes a result of how it ended, or has it wait again. Both under the lock.
    pub(crate) fn poll<T>(
        &mut self,
        context: &mut Context<'_>,
        start: impl FnOnce(&mut Core, OpId) -> Result<()>,
        finish: impl FnOnce(&mut Core, OpId, Outcome) -> Poll<Result<T>>,
    ) -> Poll<Result<T>> {
        let Some(shared) = self.shared.upgrade() else { return Poll::Ready(Err(Error::CANCELED)) };
        // Foreign code runs without the lock: the waker is cloned before, and what is replaced is dropped after it.
        let waiter = Waiter::Future(Some(context.waker().clone()));
        let mut unused = None;
        let mut core = shared.lock();
        let (result, dropped) = match self.op {
            None => {
                let op = core.hold(waiter);
                match core.check_process().and_then(|()| start(&mut core, op)) {
                    Ok(()) => {
                        self.op = Some(op);
                        (Poll::Pending, None)
                    }
                    Err(error) => (Poll::Ready(Err(error)), core.cancel(op)),
                }
            }
            Some(op) => {
                let outcome = if core.is_held(op) { core.outcome(op) } else { None };
                let result = outcome.map_or(Poll::Pending, |outcome| finish(&mut core, op, outcome));
                if result.is_ready() {
                    self.op = None;
                    unused = Some(waiter);
                    (result, core.cancel(op))
                } else {
                    (result, core.waiter_mut(op).map(|former| std::mem::replace(former, waiter)))
                }
            }
        };
        drop(core);
        drop((dropped, unused));
        result
    }

    /// As [`poll`](Self::poll), for what only takes time.
    pub(crate) fn poll_elapsed(
        &mut self,
        context: &mut Context<'_>,
        start: impl FnOnce(&mut Core, OpId),
    ) -> Poll<()> {
        let start = |core: &mut Core, op| {
            start(core, op);
            Ok(())
        };
        match ready!(self.poll(context, start, |_, _, _| Poll::Ready(Ok(())))) {
            Ok(()) => Poll::Ready(()),
            // Where the loop is gone, or is not to be run, there is no time.
            Err(_) => Poll::Pending,
        }
    }
}

impl Drop for Operation {
    fn drop(&mut self) {
        let Some(op) = self.op.take() else { return };
        if let Some(shared) = self.shared.upgrade() {
            let waiter = shared.lock().cancel(op);
            drop(waiter);
        }
    }
}

impl fmt::Debug for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Operation").field("started", &self.op.is_some()).finish()
    }
}
