//! Awaiting signals on a loop.

use crate::core::{Loop, OpId, Outcome};
use crate::error::Result;
use crate::sys::signal::{self, Node};
use std::collections::{BTreeMap, VecDeque};

/// So many operations that were cancelled are left in a list, besides twice those there are.
const STALE: usize = 64;

/// What an operation has that awaits a signal, or was delivered with one.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Awaited {
    signal: i32,
    /// So many were caught before those that it is told about.
    seen: u64,
}

impl Awaited {
    pub(crate) fn signal(self) -> i32 {
        self.signal
    }
}

/// A signal that somebody on the loop watches.
#[derive(Default)]
struct Watched {
    watchers: usize,
    /// How many were caught when the loop looked last: those are delivered, one by one.
    limit: u64,
    waiting: Vec<OpId>,
}

impl Watched {
    /// Has those delivered that wait, if the signal was caught since the last time.
    fn catch(&mut self, signal: i32, ready: &mut VecDeque<OpId>) {
        let caught = signal::caught(signal);
        if caught != self.limit {
            self.limit = caught;
            ready.extend(self.waiting.drain(..));
        }
    }
}

#[derive(Default)]
pub(crate) struct Signals {
    node: Option<Node>,
    watched: BTreeMap<i32, Watched>,
    /// How many signals of any kind were caught when the loop looked last.
    seen: u64,
    /// Operations to be delivered in this pass, as far as they still wait.
    ready: VecDeque<OpId>,
}

impl Signals {
    /// Whether any is watched.
    #[inline]
    pub(crate) fn in_use(&self) -> bool {
        !self.watched.is_empty()
    }

    /// Whether the loop has something to deliver.
    #[inline]
    pub(crate) fn has_ready(&self) -> bool {
        !self.ready.is_empty()
    }

    /// Whether the loop has something to deliver, or to look at.
    pub(crate) fn has_caught(&self) -> bool {
        !self.ready.is_empty()
            || self.watched.iter().any(|(signal, watched)| signal::caught(*signal) != watched.limit)
    }
}

impl<W> Loop<W> {
    /// Catches a signal from now on, until [`unwatch`](Self::unwatch) was called as often: its default action does not
    /// happen. Returns how many were caught before, for [`await_signal_after`](Self::await_signal_after).
    ///
    /// # Errors
    ///
    /// `invalid argument` for a signal that there is not, or that cannot be caught: sigaction(2). For lack of descriptors.
    pub fn watch(&mut self, signal: i32) -> Result<u64> {
        let poller = self.poller()?;
        let fd = poller.signal_fd()?;
        signal::watch(signal)?;
        let caught = signal::caught(signal);
        let signals = &mut self.signals;
        signals.node.get_or_insert_with(|| Node::new(fd)).set(signal, true);
        let watched = signals.watched.entry(signal).or_default();
        if watched.watchers == 0 {
            watched.limit = caught;
        }
        watched.watchers += 1;
        // Others may have watched it before: nothing is lost between the two.
        Ok(caught)
    }

    /// Undoes a [`watch`](Self::watch). If nobody else in the process watches the signal, it has its default action from now on.
    pub fn unwatch(&mut self, signal: i32) {
        let foreign = self.is_foreign();
        let signals = &mut self.signals;
        let Some(watched) = signals.watched.get_mut(&signal) else { return };
        watched.watchers -= 1;
        if watched.watchers == 0 {
            signals.watched.remove(&signal);
            if let Some(node) = &signals.node {
                node.set(signal, false);
            }
        }
        if !foreign {
            signal::unwatch(signal);
        }
    }

    /// Starts to wait for a signal, which is caught from now on. It is delivered once for each one that is caught after
    /// this call, if the operation is started again for the same signal while it is delivered; otherwise for the next one. It
    /// counts as [watching](Self::watch) until it ends, or is started for something else.
    ///
    /// # Errors
    ///
    /// Those of [`watch`](Self::watch). Nothing was started then.
    pub fn await_signal(&mut self, op: OpId, signal: i32) -> Result<()> {
        let seen = match self.schedule.waiter(op).and_then(|entry| entry.signal) {
            Some(awaited) if awaited.signal == signal => {
                self.check_process()?;
                awaited.seen
            }
            _ => {
                let caught = self.watch(signal)?;
                self.forget_signal(op);
                caught
            }
        };
        self.start_signal(op, Awaited { signal, seen });
        Ok(())
    }

    /// As [`await_signal`](Self::await_signal), for those caught after so many.
    ///
    /// # Errors
    ///
    /// Those of [`watch`](Self::watch).
    pub fn await_signal_after(&mut self, op: OpId, signal: i32, seen: u64) -> Result<()> {
        self.watch(signal)?;
        self.forget_signal(op);
        self.start_signal(op, Awaited { signal, seen });
        Ok(())
    }

    fn start_signal(&mut self, op: OpId, awaited: Awaited) {
        self.set_outcome(op, Outcome::Elapsed);
        if let Some(entry) = self.schedule.waiter_mut(op) {
            entry.signal = Some(awaited);
        }
        self.schedule.park(op);
        let Some(watched) = self.signals.watched.get_mut(&awaited.signal) else { return };
        if awaited.seen < watched.limit {
            self.signals.ready.push_back(op);
            return;
        }
        if watched.waiting.len() > 2 * watched.watchers + STALE {
            let schedule = &self.schedule;
            let waits = |op: &OpId| {
                let entry = schedule.waiter(*op).and_then(|entry| entry.signal);
                schedule.is_parked(*op) && entry.is_some_and(|entry| entry.signal == awaited.signal)
            };
            watched.waiting.retain(waits);
            // An operation that was started more than once stands here as often.
            watched.waiting.sort_unstable();
            watched.waiting.dedup();
        }
        watched.waiting.push(op);
    }

    /// An operation does not wait for a signal any more, nor is it delivered with one.
    #[inline]
    pub(crate) fn forget_signal(&mut self, op: OpId) {
        if self.signals.in_use() {
            self.forget_awaited(op);
        }
    }

    #[cold]
    fn forget_awaited(&mut self, op: OpId) {
        if let Some(entry) = self.schedule.waiter_mut(op)
            && let Some(awaited) = entry.signal.take()
        {
            self.unwatch(awaited.signal);
        }
    }

    /// Looks what was caught since the last time, in the order in which it was. What is caught from now on is for a later pass.
    pub(crate) fn catch_signals(&mut self) {
        let Signals { watched, seen, ready, .. } = &mut self.signals;
        if watched.is_empty() {
            return;
        }
        for signal in signal::latest(seen) {
            if let Some(watched) = watched.get_mut(&signal) {
                watched.catch(signal, ready);
            }
        }
        // Of many the first are not listed there.
        for (signal, watched) in watched {
            watched.catch(*signal, ready);
        }
    }

    /// The next operation whose signal was caught. It is held.
    pub(crate) fn next_signal(&mut self) -> Option<OpId> {
        while let Some(op) = self.signals.ready.pop_front() {
            if !self.schedule.is_parked(op) {
                continue;
            }
            let Some(entry) = self.schedule.waiter_mut(op) else { continue };
            let Some(awaited) = &mut entry.signal else { continue };
            let Some(watched) = self.signals.watched.get_mut(&awaited.signal) else { continue };
            if awaited.seen < watched.limit {
                awaited.seen += 1;
                self.schedule.take(op);
                return Some(op);
            }
            // Caught before it began to wait.
            watched.waiting.push(op);
        }
        None
    }

    /// How many signals were caught that the operation was told about, and before it began to wait.
    pub(crate) fn signals_seen(&self, op: OpId) -> Option<u64> {
        Some(self.schedule.waiter(op)?.signal?.seen)
    }

    /// The loop is gone: it watches nothing any more.
    pub(crate) fn drop_signals(&mut self) {
        let foreign = self.is_foreign();
        // Before what handlers write to is closed.
        self.signals.node = None;
        for (signal, watched) in std::mem::take(&mut self.signals.watched) {
            if !foreign {
                (0..watched.watchers).for_each(|_| signal::unwatch(signal));
            }
        }
    }
}
