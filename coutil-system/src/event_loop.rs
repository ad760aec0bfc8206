//! The loop for futures: who runs it, and who waits in it.

use crate::core::{Loop, Mode, Next, OpId};
use crate::error::Result;
use crate::futures::{Sleep, YieldNow};
use crate::remote::Remote;
use async_task::{Runnable, Task};
use std::fmt;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError, Weak};
use std::task::{Context, Poll, Wake, Waker};
use std::time::{Duration, Instant};

/// Who waits for an operation.
pub(crate) enum Waiter {
    /// A future. Its operation stays held from when it was delivered until the future takes note; the waker was taken then.
    Future(Option<Waker>),
    /// Nobody: a task was spawned, and its operation only counts it.
    Task,
    /// The future of [`EventLoop::block_on`].
    Main,
}

pub(crate) type Core = Loop<Waiter>;

/// What all handles of a loop share.
pub(crate) struct Shared {
    /// Under this lock runs no foreign code: no waker is called, cloned or dropped. But the loop waits under it.
    core: Mutex<Core>,
    /// Held by whoever needs the core while the loop has it: the loop does not take it again before.
    turn: Mutex<()>,
    remote: Arc<Remote>,
    running: AtomicBool,
}

/// What the thread that runs the loop does next, without the lock.
enum Step {
    Wake(Option<Waker>),
    RunTasks(Vec<Runnable>),
    Main,
    Finished,
}

impl Shared {
    /// Takes the core, from the loop if that waits.
    pub(crate) fn lock(&self) -> MutexGuard<'_, Core> {
        match self.core.try_lock() {
            Ok(core) => return core,
            Err(TryLockError::Poisoned(core)) => return core.into_inner(),
            Err(TryLockError::WouldBlock) => {}
        }
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        self.remote.interrupt();
        self.core.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes the core for the loop, after those who want it.
    fn lock_to_run(&self) -> MutexGuard<'_, Core> {
        drop(self.turn.lock().unwrap_or_else(PoisonError::into_inner));
        self.core.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn next(&self) -> Result<Step> {
        let mut core = self.lock_to_run();
        loop {
            let op = match core.next()? {
                Next::Deliver(op) => op,
                Next::RunTasks => return Ok(Step::RunTasks(core.take_tasks())),
                Next::Finished(_) | Next::Idle => return Ok(Step::Finished),
            };
            match core.waiter_mut(op) {
                Some(Waiter::Future(waker)) => {
                    let waker = waker.take();
                    // It keeps no place among the suspensions.
                    core.schedule.take(op);
                    return Ok(Step::Wake(waker));
                }
                Some(Waiter::Main) => return Ok(Step::Main),
                Some(Waiter::Task) | None => core.settle(op),
            };
        }
    }

    /// Runs the loop until nothing is pending, or `main` says so.
    fn run(&self, mut main: impl FnMut() -> bool) -> Result<()> {
        loop {
            match self.next()? {
                Step::Wake(Some(waker)) => waker.wake(),
                Step::Wake(None) => {}
                Step::RunTasks(tasks) => self.run_tasks(tasks),
                Step::Main if main() => return Ok(()),
                Step::Main => {}
                Step::Finished => return Ok(()),
            }
        }
    }

    fn run_tasks(&self, tasks: Vec<Runnable>) {
        let mut panicked = None;
        for task in tasks {
            // One that panics does not take the others with it.
            if let Err(payload) = catch_unwind(AssertUnwindSafe(|| task.run())) {
                panicked.get_or_insert(payload);
            }
        }
        self.lock_to_run().tasks_done();
        if let Some(payload) = panicked {
            resume_unwind(payload);
        }
    }
}

/// The loop is run: by one thread at a time.
struct Running<'a>(&'a AtomicBool);

impl<'a> Running<'a> {
    fn new(running: &'a AtomicBool) -> Self {
        assert!(!running.swap(true, Ordering::Acquire), "the event loop is running already");
        Self(running)
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Release);
    }
}

/// The operation of a future that is blocked on.
struct MainOperation<'a> {
    shared: &'a Shared,
    op: OpId,
}

impl Drop for MainOperation<'_> {
    fn drop(&mut self) {
        let _ = self.shared.lock().cancel(self.op);
    }
}

struct MainWaker {
    remote: Weak<Remote>,
    op: OpId,
    /// Whether the loop was told already.
    woken: AtomicBool,
}

impl Wake for MainWaker {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if !self.woken.swap(true, Ordering::AcqRel)
            && let Some(remote) = self.remote.upgrade()
        {
            remote.end(self.op);
        }
    }
}

/// An event loop: timers, sockets and tasks. This is a handle to it, which is cheap to clone.
///
/// Whoever calls [`block_on`](Self::block_on) or [`run`](Self::run) lends it its thread; there is no other. In it run the
/// tasks that were [spawned](Self::spawn). All other futures of the loop run wherever they are polled, on any executor; they
/// make progress while the loop runs.
///
/// A future starts its operation when it is polled first, but for [`sleep`](Self::sleep) that counts from the call. To drop
/// a future is to cancel its operation.
///
/// Sockets and futures do not keep the loop alive, handles do: with the last one, everything that is left in it is dropped
/// and closed. A task that has a handle is kept by the loop and keeps it, until it ends or is cancelled.
///
/// ```
/// use coutil_system::EventLoop;
/// use std::time::Duration;
///
/// let events = EventLoop::new()?;
/// let answer = events.block_on(async {
///     let task = events.spawn(async { 42 });
///     events.sleep(Duration::from_millis(1)).await;
///     task.await
/// })?;
/// assert_eq!(answer, 42);
/// # Ok::<(), coutil_system::Error>(())
/// ```
#[derive(Clone)]
pub struct EventLoop {
    shared: Arc<Shared>,
}

impl EventLoop {
    /// Makes a loop. It has descriptors of its own, four on Linux.
    ///
    /// # Errors
    ///
    /// Those of epoll_create1(2), eventfd(2) and timerfd_create(2): for lack of descriptors or memory.
    pub fn new() -> Result<Self> {
        let mut core = Core::new();
        // It has to be there before the first wait: what happens meanwhile in other threads would not end it.
        core.poller()?;
        let remote = core.remote.clone();
        let shared =
            Shared { core: Mutex::new(core), turn: Mutex::new(()), remote, running: AtomicBool::new(false) };
        Ok(Self { shared: Arc::new(shared) })
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    /// Runs the loop until `future` is ready, and returns its output. What else is pending stays so: the loop can be run
    /// again. The future may be woken from any thread, and need not be of this loop.
    ///
    /// # Errors
    ///
    /// [`Error::FOREIGN_LOOP`](crate::Error::FOREIGN_LOOP) in a child of the process that made the loop: the future was not
    /// polled, or is dropped. Those of epoll_wait(2), which are not to be expected.
    ///
    /// # Panics
    ///
    /// If the loop is running already. If the future panics, or a task does meanwhile: the loop can be run again then.
    pub fn block_on<F: Future>(&self, future: F) -> Result<F::Output> {
        let mut future = pin!(future);
        let shared = &*self.shared;
        let _running = Running::new(&shared.running);
        let op = {
            let mut core = shared.lock_to_run();
            core.begin(Mode::Loop)?;
            core.hold(Waiter::Main)
        };
        let _main = MainOperation { shared, op };
        let state =
            Arc::new(MainWaker { remote: Arc::downgrade(&shared.remote), op, woken: AtomicBool::new(false) });
        let waker = Waker::from(Arc::clone(&state));
        let mut output = None;
        let mut poll = || {
            // Before it is polled: when it is woken from now on, it is polled again.
            state.woken.store(false, Ordering::Release);
            match future.as_mut().poll(&mut Context::from_waker(&waker)) {
                Poll::Ready(ready) => output = Some(ready),
                Poll::Pending => shared.lock().schedule.park(op),
            }
            output.is_some()
        };
        if !poll() {
            shared.run(poll)?;
        }
        Ok(output.expect("the loop runs as long as the future is pending"))
    }

    /// Runs the loop until nothing is pending: no task that was spawned, no operation of a future, no output that was
    /// abandoned. Sockets that nobody uses at the time do not count.
    ///
    /// # Errors
    ///
    /// As for [`block_on`](Self::block_on).
    ///
    /// # Panics
    ///
    /// As for [`block_on`](Self::block_on).
    pub fn run(&self) -> Result<()> {
        let _running = Running::new(&self.shared.running);
        self.shared.lock_to_run().begin(Mode::Loop)?;
        self.shared.run(|| false)
    }

    /// Makes a task of a future: the loop polls it, on the thread that runs it. It can be called from any thread, and the
    /// future be woken from any.
    ///
    /// To drop the [`Task`] is to cancel the future, which is dropped when the loop runs; [`detach`](Task::detach) lets it
    /// go on. If the future panics, the panic comes out of [`run`](Self::run) or [`block_on`](Self::block_on), and of the
    /// task if that is awaited.
    pub fn spawn<F>(&self, future: F) -> Task<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        let op = {
            let mut core = self.shared.lock();
            let op = core.hold(Waiter::Task);
            core.schedule.park(op);
            op
        };
        self.shared.remote.spawn(Some(op), future)
    }

    /// Waits for at least that long, counted from this call, by the monotonic clock: clock_gettime(2). Expect up to
    /// about a millisecond more. Equal deadlines come in the order in which the futures were polled first. A duration of zero
    /// waits for a later pass, too.
    pub fn sleep(&self, duration: Duration) -> Sleep {
        Sleep::new(&self.shared, duration)
    }

    /// Waits at least until then.
    pub fn sleep_until(&self, deadline: Instant) -> Sleep {
        self.sleep(deadline.saturating_duration_since(Instant::now()))
    }

    /// Lets others go first: waits until the loop begins its next pass, and never for the clock. Of several that wait, the
    /// one that began last goes on first.
    pub fn yield_now(&self) -> YieldNow {
        YieldNow::new(&self.shared)
    }

    /// How much [`run`](Self::run) waits for: tasks, operations, and abandoned outputs.
    pub fn pending(&self) -> usize {
        self.shared.lock().pending()
    }
}

impl fmt::Debug for EventLoop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let running = self.shared.running.load(Ordering::Relaxed);
        f.debug_struct("EventLoop").field("running", &running).finish_non_exhaustive()
    }
}
