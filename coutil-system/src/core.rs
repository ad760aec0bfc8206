//! The event loop without futures: generic over who waits, and driven from outside.
//!
//! A [`Loop`] tells its *host* which operation to deliver next, and the host does what that means: wakes a future, or
//! resumes a coroutine. In between, whatever runs there may start and cancel operations. A host
//!
//! 1. makes an operation with [`hold`](Loop::hold) and starts it: [`suspend`](Loop::suspend), [`set_timer`](Loop::set_timer),
//!    [`read`](Loop::read), …;
//! 2. calls [`begin`](Loop::begin), and then [`next`](Loop::next) until it returns [`Next::Finished`];
//! 3. for each [`Next::Deliver`] takes the outcome, tells who waits, and calls [`settle`](Loop::settle), which ends the
//!    operation unless it was started again meanwhile.
//!
//! A read or an accept is never done ahead: when its turn comes, the host tries it ([`try_read`](Loop::try_read),
//! [`try_accept`](Loop::try_accept)), right before it tells who waits. So one that is cancelled has consumed nothing.
//!
//! ```
//! use coutil_system::core::{Loop, Mode, Next};
//!
//! let mut events = Loop::new();
//! let (late, soon) = (events.hold("late"), events.hold("soon"));
//! events.set_timer(late, 2_000_000);
//! events.set_timer(soon, 1_000_000);
//! let mut order = Vec::new();
//! events.begin(Mode::Loop)?;
//! while let Next::Deliver(op) = events.next()? {
//!     order.push(*events.waiter(op).unwrap());
//!     events.settle(op);
//! }
//! assert_eq!(order, ["soon", "late"]);
//! # Ok::<(), coutil_system::Error>(())
//! ```

use crate::error::{Error, Result};
pub use crate::process::children::ChildId;
use crate::process::children::{self, Children};
pub use crate::remote::Ender;
use crate::remote::Remote;
use crate::schedule::Schedule;
pub use crate::schedule::{Class, OpId};
use crate::signal::core::{Awaited, Signals};
use crate::source::{Connection, Readiness, Source};
use crate::sys::poller::{Poller, Ready};
use crate::sys::process;
pub use crate::table::Id;
use crate::table::Table;
use crate::time;
use async_task::{Runnable, Task};
use coutil_threads::patience::{self, Patience};
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Context;
use std::time::Duration;

/// Names a source.
pub type SourceId = Id;

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

/// How an operation ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Its time has come; or its task has ended.
    Elapsed,
    /// It is worth a try: a read or an accept.
    Try,
    /// It is done.
    Done(Result<()>),
}

/// A try of a read or an accept.
#[derive(Debug)]
#[must_use]
pub enum Attempt<T> {
    /// It is done.
    Done(Result<T>),
    /// There was nothing: the operation waits again.
    Wait,
}

/// An operation: who waits, and the result if there is one.
pub(crate) struct Entry<W> {
    pub(crate) waiter: W,
    pub(crate) outcome: Outcome,
    /// The source that it is about, if any.
    pub(crate) source: SourceId,
    /// The child that it waits for, if any.
    pub(crate) child: ChildId,
    /// The signal that it awaits, or was delivered with.
    pub(crate) signal: Option<Awaited>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Begin,
    Timers,
    Zero,
    Poll,
    Due,
    LateTimers,
    End,
}

/// See the [module](self).
pub struct Loop<W> {
    pub(crate) schedule: Schedule<Entry<W>>,
    pub(crate) sources: Table<Source>,
    pub(crate) poller: Option<Poller>,
    pub(crate) remote: Arc<Remote>,
    /// Whether to look for what other threads do before it sleeps.
    patience: Patience,
    /// Sources with a reader of which it is not known whether they are ready.
    pub(crate) unknown: Vec<SourceId>,
    /// Sources whose connection was refused at once, which is told after the next poll.
    pub(crate) refused: Vec<SourceId>,
    pub(crate) children: Children,
    pub(crate) signals: Signals,
    /// How much output is abandoned, and keeps the loop going.
    pub(crate) abandoned: usize,
    ready: Vec<Ready>,
    mode: Mode,
    phase: Phase,
    halted: bool,
    /// Whether the pass polls although something can be delivered; and whether it waited.
    polls: bool,
    waited: bool,
    /// How many operations were delivered in this pass, and since the last poll.
    delivered: u32,
    since_poll: u32,
    /// The tick of the coarse clock at the last poll.
    tick: u64,
    passes: u64,
    /// With so many operations [`next`](Loop::next) does not wait.
    idle_at: Option<usize>,
    /// Whether an operation was parked: then something can come while it sleeps.
    parked: bool,
    /// By this a child of a fork is known.
    forks: u32,
}

impl<W> Default for Loop<W> {
    fn default() -> Self {
        Self::new()
    }
}

impl<W> Drop for Loop<W> {
    fn drop(&mut self) {
        self.drop_signals();
        self.remote.close();
    }
}

impl<W> fmt::Debug for Loop<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Loop")
            .field("operations", &self.schedule.len())
            .field("sources", &self.sources.len())
            .finish_non_exhaustive()
    }
}

impl<W> Loop<W> {
    /// Without operations. Opens no descriptor, starts no thread: that is left to the first operation that needs it.
    pub fn new() -> Self {
        let mut schedule = Schedule::new();
        schedule.set_now(time::monotonic());
        Self {
            schedule,
            sources: Table::new(),
            poller: None,
            remote: Arc::default(),
            patience: Patience::default(),
            unknown: Vec::new(),
            refused: Vec::new(),
            children: Children::default(),
            signals: Signals::default(),
            abandoned: 0,
            ready: Vec::new(),
            mode: Mode::Loop,
            phase: Phase::End,
            halted: false,
            polls: false,
            waited: false,
            delivered: 0,
            since_poll: 0,
            tick: 0,
            passes: 0,
            idle_at: None,
            parked: false,
            forks: process::forks(),
        }
    }

    // Operations

    /// Makes an operation, which is held: it is to be started or removed, and does not count as pending before.
    #[inline]
    #[must_use = "nothing else names the operation"]
    pub fn hold(&mut self, waiter: W) -> OpId {
        self.schedule.hold(Entry {
            waiter,
            outcome: Outcome::Elapsed,
            source: SourceId::NONE,
            child: ChildId::NONE,
            signal: None,
        })
    }

    /// The index of the next operation that is made.
    pub fn next_index(&self) -> usize {
        self.schedule.next_index()
    }

    /// Who waits; `None` if the operation has ended.
    #[inline]
    pub fn waiter(&self, op: OpId) -> Option<&W> {
        self.schedule.waiter(op).map(|entry| &entry.waiter)
    }

    /// As [`waiter`](Self::waiter), to change it.
    #[inline]
    pub fn waiter_mut(&mut self, op: OpId) -> Option<&mut W> {
        self.schedule.waiter_mut(op).map(|entry| &mut entry.waiter)
    }

    /// How an operation ended that is to be delivered.
    #[inline]
    pub fn outcome(&self, op: OpId) -> Option<Outcome> {
        self.schedule.waiter(op).map(|entry| entry.outcome)
    }

    /// The source that an operation is about.
    pub fn source_of(&self, op: OpId) -> Option<SourceId> {
        self.schedule.waiter(op).map(|entry| entry.source)
    }

    /// Whether it is held: being started, or delivered.
    #[inline]
    pub fn is_held(&self, op: OpId) -> bool {
        self.schedule.is_held(op)
    }

    /// Starts a suspension without delay: it is delivered in the next pass, newest first. One that is delivered and
    /// started again keeps its place.
    #[inline]
    pub fn suspend(&mut self, op: OpId) {
        self.forget_signal(op);
        self.set_outcome(op, Outcome::Elapsed);
        self.schedule.suspend(op);
    }

    /// A suspension that was started again while it was delivered turned out to be impossible: it is being delivered, as before.
    pub fn unsuspend(&mut self, op: OpId) {
        self.schedule.unsuspend(op);
    }

    /// Whether it is a suspension without delay that is being delivered.
    #[inline]
    pub fn is_suspension(&self, op: OpId) -> bool {
        self.schedule.is_held_in_zero(op)
    }

    /// As [`suspend`](Self::suspend), but it starts when the pass ends.
    pub fn suspend_later(&mut self, op: OpId) {
        self.forget_signal(op);
        self.set_outcome(op, Outcome::Elapsed);
        self.schedule.defer(op);
    }

    /// Starts a timer: it is delivered in the first pass whose [time](Self::now) is so many nanoseconds later.
    pub fn set_timer(&mut self, op: OpId, nanoseconds: u64) {
        self.forget_signal(op);
        self.set_outcome(op, Outcome::Elapsed);
        self.schedule.set_timer(op, self.schedule.now().saturating_add(nanoseconds));
    }

    /// Starts an operation that lasts as long as `future`, whose output is in the task. The future runs only while the
    /// loop does, on its thread; it may be woken from any thread. Dropping the task cancels the future.
    ///
    /// # Errors
    ///
    /// When the loop cannot be woken, for lack of descriptors. Nothing was started then.
    pub fn spawn<F>(&mut self, op: OpId, future: F) -> Result<Task<F::Output>>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        self.poller()?;
        self.forget_signal(op);
        self.set_outcome(op, Outcome::Elapsed);
        self.schedule.park(op);
        Ok(self.remote.spawn(Some(op), future))
    }

    /// Starts an operation that lasts as long as a call that blocks, made by another thread: see [`unblock`](crate::unblock). What it
    /// returns is in the task when the operation is delivered. Dropping the task cancels a call that has not begun.
    ///
    /// # Errors
    ///
    /// As [`spawn`](Self::spawn); `resource temporarily unavailable` if there is no thread for the call, and none can be started.
    pub fn unblock<T, F>(&mut self, op: OpId, call: F) -> Result<Task<T>>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        self.poller()?;
        let turn = crate::pool::turn()?;
        self.forget_signal(op);
        self.set_outcome(op, Outcome::Elapsed);
        self.schedule.park(op);
        let (runnable, mut task) = crate::pool::prepare(call);
        // Whoever is to be told is there before the call begins.
        let waker = Arc::new(self.remote.ender(op)).into();
        let _ = Pin::new(&mut task).poll(&mut Context::from_waker(&waker));
        turn.put(runnable);
        Ok(task)
    }

    /// Starts an operation that lasts until it is [ended](Ender::end), by any thread. Needs no descriptor.
    pub fn park(&mut self, op: OpId) -> Ender {
        self.set_outcome(op, Outcome::Elapsed);
        self.schedule.park(op);
        self.parked = true;
        self.remote.ender(op)
    }

    /// Starts an operation that has failed already, and is delivered with that in its turn.
    pub fn fail(&mut self, op: OpId, error: Error) {
        self.forget_signal(op);
        self.schedule.park(op);
        self.finish(op, Err(error));
    }

    /// Ends an operation, and returns who waited. A read or an accept has consumed nothing; output that was started goes on
    /// (see [`write`](Self::write)).
    pub fn cancel(&mut self, op: OpId) -> Option<W> {
        self.cancel_as(op, None)
    }

    /// As [`cancel`](Self::cancel); `former` tells who gave up a connection attempt, see [`connect`](Self::connect).
    pub fn cancel_as(&mut self, op: OpId, former: Option<usize>) -> Option<W> {
        let entry = self.schedule.remove(op)?;
        if let Some(source) = self.sources.get_mut(entry.source) {
            self.abandoned += source.abandon(op, former);
        }
        if entry.child != ChildId::NONE {
            self.abandon_by(op, entry.child);
        }
        if let Some(awaited) = entry.signal {
            self.unwatch(awaited.signal());
        }
        Some(entry.waiter)
    }

    /// Ends an operation that was delivered. False if it was started again meanwhile, or had ended before.
    #[inline]
    pub fn settle(&mut self, op: OpId) -> bool {
        if self.signals.in_use() && self.schedule.is_held(op) {
            self.forget_signal(op);
        }
        self.schedule.release(op)
    }

    /// The result of an operation that is being delivered: it is `Outcome::Done` from now on.
    pub fn set_result(&mut self, op: OpId, result: Result<()>) {
        self.set_outcome(op, Outcome::Done(result));
    }

    /// An operation that is held could not be delivered after all: it is once more, in its turn.
    pub fn put_back(&mut self, op: OpId) {
        if !self.schedule.is_held(op) {
            return;
        }
        let source = self.source_of(op).and_then(|source| self.sources.get(source));
        let class = match source {
            Some(source) if source.kind.is_listener() => Class::Accept,
            _ => Class::Other,
        };
        self.schedule.park_again(op);
        self.schedule.make_due(op, class);
    }

    #[inline]
    pub(crate) fn set_outcome(&mut self, op: OpId, outcome: Outcome) {
        if let Some(entry) = self.schedule.waiter_mut(op) {
            entry.outcome = outcome;
        }
    }

    /// An operation has its result, and is delivered in its turn.
    pub(crate) fn finish(&mut self, op: OpId, result: Result<()>) {
        self.set_outcome(op, Outcome::Done(result));
        self.schedule.make_due(op, Class::Other);
    }

    // Passes

    /// The cached time, in nanoseconds of [`time::monotonic`]. It moves only when it is [refreshed](Self::refresh), as in
    /// each pass that polls.
    #[inline]
    pub fn now(&self) -> u64 {
        self.schedule.now()
    }

    /// Reads the clock.
    #[inline(never)]
    pub fn refresh(&mut self) {
        self.schedule.set_now(time::monotonic());
    }

    /// How many operations wait, and how many outputs were abandoned. [`Mode::Loop`] lasts until there is none.
    pub fn pending(&self) -> usize {
        self.schedule.waiting() + self.abandoned
    }

    /// How many passes have begun.
    pub fn passes(&self) -> u64 {
        self.passes
    }

    /// Whether this is a child of the process that made the loop. It must not touch what it inherited: nothing can be
    /// started, closing only closes.
    #[inline]
    pub fn is_foreign(&self) -> bool {
        self.forks != process::forks()
    }

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

    pub(crate) fn check_process(&self) -> Result<()> {
        if self.is_foreign() { Err(Error::FOREIGN_LOOP) } else { Ok(()) }
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

    /// The poller, made at the first call.
    pub(crate) fn poller(&mut self) -> Result<&mut Poller> {
        self.check_process()?;
        if self.poller.is_none() {
            // Its descriptors are not to be taken for a standard stream that is not open.
            let _filled = crate::process::fill_standard()?;
            let poller = Poller::new()?;
            self.remote.set_waker(poller.waker());
            self.poller = Some(poller);
        }
        self.poller.as_mut().ok_or(Error::BAD_DESCRIPTOR)
    }

    /// Writes what there is to `f`, one line each.
    ///
    /// # Errors
    ///
    /// Those of `f`.
    pub fn describe(&self, f: &mut impl fmt::Write, mut name: impl FnMut(&W) -> String) -> fmt::Result {
        let mut result = Ok(());
        let mut line = |text: String| {
            if result.is_ok() {
                result = f.write_str(&text);
            }
        };
        for (id, source) in self.sources.iter() {
            line(format!("source {} {}\n", id.index(), source.describe()));
        }
        self.children.describe(&mut line);
        self.schedule.for_each(|id, entry, place| {
            let source = match self.sources.get(entry.source) {
                Some(_) => format!(" on source {}", entry.source.index()),
                None => String::new(),
            };
            line(format!("operation {} {} {place}{source}\n", id.index(), name(&entry.waiter)));
        });
        if self.abandoned > 0 {
            line(format!("abandoned outputs {}\n", self.abandoned));
        }
        result
    }
}
