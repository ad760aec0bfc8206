//! What reaches a loop from elsewhere: tasks to run, and operations that tasks ended.

use crate::schedule::OpId;
use crate::sys::poller::Waker;
use crate::sys::process;
use async_task::{Runnable, Task};
use std::fmt;
use std::future::Future;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::task::Wake;
use std::time::Duration;

#[derive(Default)]
struct Inbox {
    tasks: Vec<Runnable>,
    ended: Vec<OpId>,
    /// It is for the process that made it: a child of a fork would wake its parent.
    waker: Option<(Waker, u32)>,
    /// Whoever runs the loop gave its thread up meanwhile, and is woken by this.
    host: Option<std::task::Waker>,
    /// The loop is gone: nothing is taken any more.
    closed: bool,
}

/// One for each loop, shared with its tasks.
pub(crate) struct Remote {
    /// In a child of a fork it is left alone: its lock may be held by a thread that is not there.
    forks: u32,
    inbox: Mutex<Inbox>,
    /// Whether the inbox has something in it.
    full: AtomicBool,
    /// Whether the loop waits, and has to be woken.
    asleep: AtomicBool,
    /// By this it is woken, if it has no poller.
    woken: Condvar,
}

impl Default for Remote {
    fn default() -> Self {
        Self {
            forks: process::forks(),
            inbox: Mutex::default(),
            full: AtomicBool::default(),
            asleep: AtomicBool::default(),
            woken: Condvar::default(),
        }
    }
}

impl Remote {
    fn is_foreign(&self) -> bool {
        self.forks != process::forks()
    }

    fn inbox(&self) -> MutexGuard<'_, Inbox> {
        self.inbox.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn set_waker(&self, waker: Waker) {
        self.inbox().waker = Some((waker, process::forks()));
    }

    fn put(&self, put: impl FnOnce(&mut Inbox)) {
        if self.is_foreign() {
            return;
        }
        let mut inbox = self.inbox();
        put(&mut inbox);
        self.full.store(true, Ordering::SeqCst);
        if !self.asleep.swap(false, Ordering::SeqCst) {
            return;
        }
        // All this without the lock: it is what the loop asks for first when it is awake, and a host may drop the loop.
        if let Some(host) = inbox.host.take() {
            drop(inbox);
            host.wake();
            return;
        }
        let waker =
            inbox.waker.as_ref().map(|(waker, forks)| (*forks == process::forks()).then(|| waker.clone()));
        drop(inbox);
        match waker {
            Some(Some(waker)) => waker.wake(),
            Some(None) => {}
            None => self.woken.notify_one(),
        }
    }

    /// Waits until something is put there, at most so long. To be called when it [may](Self::may_sleep), and without a poller.
    pub(crate) fn sleep(&self, timeout: Option<Duration>) {
        let inbox = self.inbox();
        if self.is_full() || !self.asleep.load(Ordering::SeqCst) {
            return;
        }
        // It is looked again at everything afterwards, so to wake without a reason does no harm.
        match timeout {
            Some(timeout) => drop(self.woken.wait_timeout(inbox, timeout)),
            None => drop(self.woken.wait(inbox)),
        }
    }

    /// Whoever runs the loop gives its thread up until something is put there: then `host` is woken, once. False, and nothing
    /// happens, if something is there.
    pub(crate) fn leave(&self, host: std::task::Waker) -> bool {
        let mut inbox = self.inbox();
        if self.is_full() {
            return false;
        }
        let former = inbox.host.replace(host);
        self.asleep.store(true, Ordering::SeqCst);
        drop(inbox);
        drop(former);
        true
    }

    /// Whether there is nothing to be done; then whoever puts something there wakes the loop, until it is awake.
    pub(crate) fn may_sleep(&self) -> bool {
        self.asleep.store(true, Ordering::SeqCst);
        !self.is_full()
    }

    pub(crate) fn awake(&self) {
        self.asleep.store(false, Ordering::SeqCst);
    }

    #[inline]
    pub(crate) fn is_full(&self) -> bool {
        self.full.load(Ordering::SeqCst)
    }

    /// Takes the tasks that are to be run, and tells of the operations that were ended.
    pub(crate) fn empty(&self, mut ended: impl FnMut(OpId)) -> Vec<Runnable> {
        let mut inbox = self.inbox();
        self.full.store(false, Ordering::SeqCst);
        inbox.ended.drain(..).for_each(&mut ended);
        std::mem::take(&mut inbox.tasks)
    }

    /// Tells of the operations that were ended since.
    pub(crate) fn ended(&self, mut ended: impl FnMut(OpId)) {
        let mut inbox = self.inbox();
        inbox.ended.drain(..).for_each(&mut ended);
        self.full.store(!inbox.tasks.is_empty(), Ordering::SeqCst);
    }

    /// An operation is ended.
    pub(crate) fn end(&self, op: OpId) {
        self.put(|inbox| inbox.ended.push(op));
    }

    /// What ends an operation.
    pub(crate) fn ender(self: &Arc<Self>, op: OpId) -> Ender {
        Ender { remote: Arc::downgrade(self), op }
    }

    /// The loop is gone. Tasks that were to be run are dropped, with their futures; others are when they are woken.
    pub(crate) fn close(&self) {
        if self.is_foreign() {
            return;
        }
        let left = {
            let mut inbox = self.inbox();
            inbox.closed = true;
            (std::mem::take(&mut inbox.tasks), inbox.host.take())
        };
        drop(left);
    }

    /// Has the host come out of [`next`](crate::core::Loop::next), with nothing to run perhaps.
    pub(crate) fn interrupt(&self) {
        self.put(|_| {});
    }

    /// Makes a task that the loop runs; `op` is ended with it, whatever becomes of it.
    pub(crate) fn spawn<F>(self: &Arc<Self>, op: Option<OpId>, future: F) -> Task<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        /// Ends the operation also when the future panics.
        struct End(Weak<Remote>, OpId);
        impl Drop for End {
            fn drop(&mut self) {
                if let Some(remote) = self.0.upgrade() {
                    remote.end(self.1);
                }
            }
        }
        let remote = Arc::downgrade(self);
        let end = op.map(|op| End(remote.clone(), op));
        let schedule = move |runnable| {
            if let Some(remote) = remote.upgrade() {
                let mut runnable = Some(runnable);
                remote.put(|inbox| {
                    if !inbox.closed {
                        inbox.tasks.extend(runnable.take());
                    }
                });
                // What is left of it is dropped without the lock: that drops the future.
            }
        };
        let future = async move {
            let _end = end;
            future.await
        };
        let (runnable, task) = async_task::spawn(future, schedule);
        runnable.schedule();
        task
    }
}

/// Ends an operation of a loop, from any thread: see [`Loop::park`](crate::core::Loop::park).
///
/// As a waker it does the same.
#[must_use = "the operation lasts until it is ended"]
pub struct Ender {
    pub(crate) remote: Weak<Remote>,
    pub(crate) op: OpId,
}

impl Ender {
    /// Ends the operation: the loop delivers it in its turn. Nothing happens if it has ended, or the loop is gone.
    pub fn end(&self) {
        if let Some(remote) = self.remote.upgrade() {
            remote.end(self.op);
        }
    }
}

impl Wake for Ender {
    fn wake(self: Arc<Self>) {
        self.end();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.end();
    }
}

impl fmt::Debug for Ender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ender").field("op", &self.op).finish_non_exhaustive()
    }
}
