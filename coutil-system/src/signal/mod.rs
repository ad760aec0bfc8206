//! Signals: caught while somebody watches them.
//!
//! A signal that is watched is caught, in the whole process: its default action does not happen. When nobody watches it any
//! more it has its *default action*, whatever was set before: sigaction(2). What is caught is counted, and told in the loop of
//! each watcher; in the handler itself nothing else happens. System calls that it interrupts are restarted.
//!
//! ```
//! use coutil_system::EventLoop;
//! use coutil_system::signal::Watch;
//!
//! let events = EventLoop::new()?;
//! let mut watch = Watch::new(&events, 10)?; // SIGUSR1
//! coutil_system::process::kill(std::process::id() as i32, 10)?;
//! events.block_on(watch.wait())??;
//! # Ok::<(), coutil_system::Error>(())
//! ```
//!
//! The system does not count signals that are pending: of several that arrive before the first is caught, only one is.

pub(crate) mod core;

use crate::error::Result;
use crate::event_loop::{Core, EventLoop, Shared};
use crate::operation::Operation;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Weak};
use std::task::{Context, Poll};

/// Watches a signal, until it is dropped.
pub struct Watch {
    shared: Weak<Shared>,
    signal: i32,
    seen: u64,
}

impl Watch {
    /// Watches a signal from now on, by its number: signal(7).
    ///
    /// # Errors
    ///
    /// `invalid argument` if it cannot be caught. For lack of descriptors. [`Error::FOREIGN_LOOP`](crate::Error::FOREIGN_LOOP) in a
    /// child of the process that made the loop.
    pub fn new(events: &EventLoop, signal: i32) -> Result<Self> {
        let seen = events.shared().lock().watch(signal)?;
        Ok(Self { shared: Arc::downgrade(events.shared()), signal, seen })
    }

    /// Waits for the next one: once for each that was caught since the watch began. Every watch is told about each. A future that is
    /// dropped has taken none.
    pub fn wait(&mut self) -> Wait<'_> {
        Wait { operation: Operation::new(self.shared.clone()), watch: self }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        if let Some(shared) = self.shared.upgrade() {
            shared.lock().unwatch(self.signal);
        }
    }
}

impl fmt::Debug for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watch").field("signal", &self.signal).finish_non_exhaustive()
    }
}

/// The future of [`Watch::wait`]. It fails with `operation canceled` if the loop is gone.
#[derive(Debug)]
#[must_use = "futures do nothing unless they are awaited"]
pub struct Wait<'a> {
    operation: Operation,
    watch: &'a mut Watch,
}

impl Future for Wait<'_> {
    type Output = Result<()>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<()>> {
        let this = &mut *self;
        let (signal, seen) = (this.watch.signal, this.watch.seen);
        let start = |core: &mut Core, op| core.await_signal_after(op, signal, seen);
        let finish = |core: &mut Core, op, _| Poll::Ready(Ok(core.signals_seen(op).unwrap_or(seen + 1)));
        this.operation.poll(context, start, finish).map_ok(|seen| this.watch.seen = seen)
    }
}
