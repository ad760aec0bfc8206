//! Passes: what is delivered next, when descriptors are looked at, and when the loop waits.

use super::{Loop, OpId, SourceId};
use crate::error::{Error, Result};
use crate::process::children;
use crate::schedule::Class;
use crate::source::{Connection, Readiness};
use crate::time;
use async_task::Runnable;
use coutil_threads::patience;
use std::time::Duration;

/// So many operations are delivered before descriptors are looked at again.
const BATCH: u32 = 64;

/// How long [`Loop::next`] goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Passes, until nothing is pending.
    Loop,
    /// One pass. It waits if nothing can be delivered, until something is.
    Step,
    /// One pass, which does not wait.
    Ready,
}

/// What the host has to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Deliver this operation, which is held, and [`settle`](Loop::settle) it.
    Deliver(OpId),
    /// Run the [tasks](Loop::take_tasks).
    RunTasks,
    /// Nothing. Whether something is still pending.
    Finished(bool),
    /// Something else than wait, see [`Loop::idle_at`].
    Idle,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    Begin,
    Timers,
    Zero,
    Poll,
    Due,
    LateTimers,
    End,
}

impl<W> Loop<W> {
    /// Begins: [`next`](Self::next) follows.
    ///
    /// # Errors
    ///
    /// [`Error::FOREIGN_LOOP`] in a child of the process that made the loop.
    pub fn begin(&mut self, mode: Mode) -> Result<()> {
        self.check_process()?;
        self.mode = mode;
        self.phase = Phase::Begin;
        self.halted = false;
        self.polls = true;
        self.refresh();
        self.begin_children();
        Ok(())
    }

    /// The pass is completed without waiting, and is the last one.
    pub fn halt(&mut self) {
        self.halted = true;
    }

    /// When it would wait with exactly so many operations pending, and without a timer, [`next`](Self::next) returns
    /// [`Next::Idle`] instead. The host can then [leave](Self::leave) the loop.
    pub fn idle_at(&mut self, pending: Option<usize>) {
        self.idle_at = pending;
    }

    /// The host gives its thread up, after [`Next::Idle`]: `host` is woken when something was done from elsewhere, and then
    /// [`next`](Self::next) is to be called again. False if that has happened already.
    pub fn leave(&self, host: std::task::Waker) -> bool {
        self.remote.leave(host)
    }

    /// Has the loop look what was done from elsewhere in its next pass, and have one for that.
    pub fn interrupt(&self) {
        self.remote.interrupt();
    }

    /// What to do next. Waits for it, where the [`Mode`] says so.
    ///
    /// # Errors
    ///
    /// [`Error::FOREIGN_LOOP`] in a child of the process that made the loop; or of the poller itself, which is not to be
    /// expected. The loop stays as it was.
    #[allow(
        clippy::should_implement_trait,
        reason = "it is no iterator: there is more between two calls than a `for` has"
    )]
    #[inline]
    pub fn next(&mut self) -> Result<Next> {
        // What most calls come to; the rest of it is in `advance`.
        match self.phase {
            Phase::Zero => loop {
                if let Some(op) = self.schedule.next_zero() {
                    return self.deliver(op);
                }
                if !self.has_only_suspensions() {
                    break;
                }
                self.begin_pass();
                if self.polls {
                    self.phase = Phase::Timers;
                    break;
                }
                self.schedule.begin_zero();
            },
            Phase::Due => {
                if let Some(op) = self.schedule.next_due() {
                    return self.deliver(op);
                }
            }
            _ => {}
        }
        self.advance()
    }

    /// Whether a pass has nothing but suspensions without delay, nor the next one anything else.
    #[inline]
    fn has_only_suspensions(&self) -> bool {
        !self.polls
            && self.mode == Mode::Loop
            && !self.halted
            && self.schedule.has_only_zero()
            && !self.remote.is_full()
            && !self.signals.has_ready()
    }

    /// A pass begins. It polls if it is time to.
    #[inline]
    fn begin_pass(&mut self) {
        self.passes += 1;
        self.delivered = 0;
        self.waited = false;
        if !self.polls {
            self.polls = self.since_poll >= BATCH || self.mode != Mode::Loop || {
                let tick = time::coarse();
                tick != std::mem::replace(&mut self.tick, tick)
            };
            if self.polls {
                self.refresh();
            }
        }
    }

    #[inline]
    fn deliver(&mut self, op: OpId) -> Result<Next> {
        if self.is_foreign() {
            return Err(Error::FOREIGN_LOOP);
        }
        self.delivered += 1;
        self.since_poll += 1;
        Ok(Next::Deliver(op))
    }

    fn advance(&mut self) -> Result<Next> {
        self.check_process()?;
        loop {
            match self.phase {
                Phase::Begin => {
                    if self.pending() == 0 && !self.remote.is_full() {
                        if self.children.has_abandoned() {
                            self.look(Some(Duration::ZERO))?;
                            self.take_ready();
                        }
                        return Ok(Next::Finished(false));
                    }
                    self.begin_pass();
                    self.phase = Phase::Timers;
                }
                Phase::Timers => {
                    if let Some(op) = self.schedule.next_timer() {
                        return self.deliver(op);
                    }
                    self.schedule.begin_zero();
                    self.phase = Phase::Zero;
                }
                Phase::Zero => {
                    if let Some(op) = self.schedule.next_zero() {
                        return self.deliver(op);
                    }
                    self.phase = Phase::Poll;
                }
                Phase::Poll => {
                    if self.poll()? {
                        return Ok(Next::Idle);
                    }
                    self.phase = Phase::Due;
                    if self.remote.is_full() {
                        return Ok(Next::RunTasks);
                    }
                    self.schedule.begin_due();
                }
                Phase::Due => {
                    if let Some(op) = self.schedule.next_due() {
                        return self.deliver(op);
                    }
                    if self.signals.has_ready()
                        && let Some(op) = self.next_signal()
                    {
                        return self.deliver(op);
                    }
                    self.phase =
                        if self.waited && self.mode == Mode::Step { Phase::LateTimers } else { Phase::End };
                }
                Phase::LateTimers => {
                    if let Some(op) = self.schedule.next_timer() {
                        return self.deliver(op);
                    }
                    self.phase = Phase::End;
                }
                Phase::End => {
                    let again = self.mode == Mode::Step
                        && self.delivered == 0
                        && !self.halted
                        && !self.schedule.has_deferred()
                        && !self.schedule.has_zero();
                    self.schedule.end();
                    let pending = self.pending() > 0;
                    if pending && again {
                        self.phase = Phase::Poll;
                    } else if pending && self.mode == Mode::Loop && !self.halted {
                        self.polls = false;
                        self.phase = Phase::Begin;
                    } else {
                        return Ok(Next::Finished(pending));
                    }
                }
            }
        }
    }

    /// Takes the tasks that are to be run. The host runs them while it does not hold the loop, as they may use it.
    pub fn take_tasks(&mut self) -> Vec<Runnable> {
        let schedule = &mut self.schedule;
        self.remote.empty(|op| schedule.make_due(op, Class::Other))
    }

    /// The tasks were run: what they ended is delivered in this pass.
    pub fn tasks_done(&mut self) {
        let schedule = &mut self.schedule;
        self.remote.ended(|op| schedule.make_due(op, Class::Other));
        schedule.begin_due();
    }

    /// Looks at the descriptors, if it is time to; waits, if there is nothing else to do. True if it did not wait, as the host
    /// has something else to do.
    fn poll(&mut self) -> Result<bool> {
        let idle = !self.schedule.has_zero()
            && !self.schedule.has_due()
            && !self.schedule.has_deferred()
            && !self.remote.is_full()
            && !self.signals.has_caught()
            && !self.halted;
        if !self.polls {
            if !idle {
                return Ok(false);
            }
            if !self.unknown.is_empty() && self.refused.is_empty() && !self.children.has_unknown() {
                // A try of them costs no more than a poll, and may make that needless.
                self.wake_unknown();
                return Ok(false);
            }
        }
        let mut wait = idle
            && self.unknown.is_empty()
            && self.refused.is_empty()
            && !self.children.has_unknown()
            && self.pending() > 0
            && match self.mode {
                Mode::Loop => true,
                Mode::Step => self.delivered == 0,
                Mode::Ready => false,
            };
        if wait && self.idle_at == Some(self.pending()) && self.schedule.deadline().is_none() {
            return Ok(true);
        }
        let timeout = match (wait, self.schedule.deadline()) {
            (false, _) => Some(Duration::ZERO),
            (true, None) => None,
            (true, Some(deadline)) => Some(Duration::from_nanos(deadline.saturating_sub(time::monotonic()))),
        };
        let came = wait && self.poller.is_none() && self.parked && self.look_for_others();
        if wait && !came {
            wait = self.remote.may_sleep();
        }
        let timeout = if wait && !came { timeout } else { Some(Duration::ZERO) };
        let result = self.look(timeout);
        self.remote.awake();
        result?;
        if wait {
            self.waited = true;
            self.refresh();
        }
        self.since_poll = 0;
        self.tick = time::coarse();
        self.take_ready();
        self.catch_signals();
        Ok(false)
    }

    /// Looks for what other threads end, for a moment. True if something came.
    fn look_for_others(&mut self) -> bool {
        if !self.patience.should_look() {
            return false;
        }
        let came = patience::look(|| self.remote.is_full());
        self.patience.learn(came);
        came
    }

    /// Looks at the descriptors, for that long, or until one is ready.
    fn look(&mut self, timeout: Option<Duration>) -> Result<()> {
        match (&mut self.poller, timeout) {
            (Some(poller), timeout) => poller.wait(timeout, &mut self.ready),
            (None, Some(Duration::ZERO)) => Ok(()),
            (None, timeout) if self.parked => {
                self.remote.sleep(timeout);
                Ok(())
            }
            // Nothing but timers can end the wait: no descriptor is opened for them.
            (None, Some(timeout)) => {
                time::sleep(timeout);
                Ok(())
            }
            (None, None) => Ok(()),
        }
    }

    /// An operation was not delivered after all: for a step that does not count.
    pub(crate) fn not_delivered(&mut self, op: OpId) {
        self.schedule.park_again(op);
        self.delivered = self.delivered.saturating_sub(1);
    }

    fn take_ready(&mut self) {
        let mut ready = std::mem::take(&mut self.ready);
        for event in ready.drain(..) {
            if event.key & children::KEY != 0 {
                self.child_told(event.key);
                continue;
            }
            let id = SourceId::from_bits(event.key);
            let Some(source) = self.sources.get_mut(id) else { continue };
            source.sticky |= event.sticky;
            if let Some(poller) = &self.poller {
                poller.rearm(source.fd(), event.key);
            }
            if event.write {
                source.write = Readiness::Ready;
                self.flush(id);
            }
            if event.read
                && let Some(source) = self.sources.get_mut(id)
            {
                if source.connection == Connection::Connecting {
                    source.read = Readiness::Unknown;
                } else {
                    source.read = Readiness::Ready;
                    self.wake_reader(id);
                }
            }
        }
        self.ready = ready;
        for id in std::mem::take(&mut self.refused) {
            self.flush(id);
        }
        self.wake_unknown();
        self.look_at_children();
    }

    /// Has those tried of which it is not known whether they are ready.
    fn wake_unknown(&mut self) {
        // None of them is listed again meanwhile; the list keeps its room.
        for at in 0..self.unknown.len() {
            let id = self.unknown[at];
            let Some(source) = self.sources.get_mut(id) else { continue };
            source.listed = false;
            if source.read == Readiness::Unknown {
                self.wake_reader(id);
            }
        }
        self.unknown.clear();
    }
}
