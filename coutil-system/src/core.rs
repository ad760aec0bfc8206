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

mod pass;

use crate::error::{Error, Result};
pub use crate::process::children::ChildId;
use crate::process::children::Children;
pub use crate::remote::Ender;
use crate::remote::Remote;
use crate::schedule::Schedule;
pub use crate::schedule::{Class, OpId};
use crate::signal::core::{Awaited, Signals};
use crate::source::Source;
use crate::sys::poller::{Poller, Ready};
use crate::sys::process;
pub use crate::table::Id;
use crate::table::Table;
use crate::time;
use async_task::Task;
use coutil_threads::patience::Patience;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Context;

use pass::Phase;
pub use pass::{Mode, Next};

/// Names a source.
pub type SourceId = Id;

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

    pub(crate) fn check_process(&self) -> Result<()> {
        if self.is_foreign() { Err(Error::FOREIGN_LOOP) } else { Ok(()) }
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
