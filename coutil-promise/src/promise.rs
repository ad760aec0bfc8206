//! Promises, and those who fulfil them.

use crate::core::Outcome;
use coutil_event::core::{QueueId, Registry, Wait, WaiterId};
use coutil_event::wake::WakeList;
use std::error::Error;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

/// Nobody is left who could fulfil the promise: its [`Fulfiller`] was dropped, and never gave a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Abandoned;

impl fmt::Display for Abandoned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("promise abandoned without a value")
    }
}

impl Error for Abandoned {}

struct State<T> {
    /// The value is shared, so that it is cloned and dropped without the lock.
    outcome: Outcome<Arc<T>>,
    /// Whether the fulfiller was dropped.
    abandoned: bool,
    /// Those who wait stand in the one queue, each with its waker.
    registry: Registry<Option<Waker>>,
    queue: QueueId,
}

impl<T> State<T> {
    /// What awaiting gives now, if it does not wait.
    fn settled(&self) -> Option<Result<Arc<T>, Abandoned>> {
        match self.outcome.get() {
            Some(value) => Some(Ok(Arc::clone(value))),
            None => self.abandoned.then_some(Err(Abandoned)),
        }
    }

    /// Takes out all who wait.
    fn drain(&mut self, wakers: &mut WakeList) {
        while let Some(popped) = self.registry.pop(self.queue) {
            wakers.extend(self.registry.remove(popped.waiter).flatten());
        }
    }
}

struct Shared<T> {
    state: Mutex<State<T>>,
}

impl<T> Shared<T> {
    /// Nothing panics under this lock, but for want of memory.
    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Makes a promise, and the one thing that can fulfil it.
///
/// ```
/// use coutil_promise::promise;
/// use futures_lite::future::block_on;
///
/// let (fulfiller, promise) = promise();
/// assert!(fulfiller.fulfill(42));
/// assert_eq!(block_on(promise.clone()), Ok(42));
/// assert_eq!(block_on(promise), Ok(42));
/// ```
pub fn promise<T>() -> (Fulfiller<T>, Promise<T>) {
    let mut registry = Registry::new();
    let queue = registry.open(());
    let state = State { outcome: Outcome::new(), abandoned: false, registry, queue };
    let shared = Arc::new(Shared { state: Mutex::new(state) });
    (Fulfiller { shared: Arc::clone(&shared) }, Promise { shared, waiter: None })
}

/// Gives a [`Promise`] its value.
///
/// If it is dropped before that, those who await the promise get [`Abandoned`].
#[must_use = "the promise is abandoned when this is dropped, which is now"]
pub struct Fulfiller<T> {
    shared: Arc<Shared<T>>,
}

impl<T> Fulfiller<T> {
    /// Gives the promise a value, and wakes all who await it. Returns true.
    ///
    /// If it has a value already, returns false, and wakes nobody; but from now on this is the value.
    pub fn fulfill(&self, value: T) -> bool {
        let value = Arc::new(value);
        let mut wakers = WakeList::new();
        let earlier = {
            let mut state = self.shared.lock();
            state.drain(&mut wakers);
            state.outcome.replace(value)
        };
        wakers.wake();
        earlier.is_none()
    }

    /// Whether the promise has a value.
    pub fn is_fulfilled(&self) -> bool {
        self.shared.lock().outcome.is_fulfilled()
    }

    /// Whether anybody awaits the promise now.
    pub fn is_awaited(&self) -> bool {
        let state = self.shared.lock();
        !state.registry.is_empty(state.queue)
    }
}

impl<T> Drop for Fulfiller<T> {
    fn drop(&mut self) {
        let mut wakers = WakeList::new();
        let mut state = self.shared.lock();
        state.abandoned = true;
        state.drain(&mut wakers);
        drop(state);
        wakers.wake();
    }
}

impl<T> fmt::Debug for Fulfiller<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fulfiller").field("fulfilled", &self.is_fulfilled()).finish()
    }
}

/// A value that arrives once. It is a future of that value, and may be awaited at any time and any number of times:
/// clones are promises of the same value, and one that was ready can be polled again.
///
/// What it gives is a clone of the value that was set last, or [`Abandoned`] if the [`Fulfiller`] was dropped without
/// giving one.
#[must_use = "a promise does nothing unless it is awaited or looked at"]
pub struct Promise<T> {
    shared: Arc<Shared<T>>,
    /// Who this is in the queue, if it was polled while there was no value. Out of date once there is one.
    waiter: Option<WaiterId>,
}

impl<T> Promise<T> {
    /// The value, if there is one by now.
    pub fn try_get(&self) -> Option<T>
    where
        T: Clone,
    {
        let value = self.shared.lock().outcome.get().map(Arc::clone);
        value.map(Arc::unwrap_or_clone)
    }

    /// Whether there is a value.
    pub fn is_fulfilled(&self) -> bool {
        self.shared.lock().outcome.is_fulfilled()
    }

    /// Whether there is no value, and will never be.
    pub fn is_abandoned(&self) -> bool {
        matches!(self.shared.lock().settled(), Some(Err(Abandoned)))
    }
}

impl<T: Clone> Future for Promise<T> {
    type Output = Result<T, Abandoned>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        let mut waker = Some(context.waker().clone());
        let settled = {
            let mut state = this.shared.lock();
            let settled = state.settled();
            if settled.is_some() {
                this.waiter = None;
            } else if let Some(held) = this.waiter.and_then(|id| state.registry.get_mut(id)) {
                // The one before comes out, and is dropped without the lock.
                std::mem::swap(held, &mut waker);
            } else {
                let id = state.registry.enroll(waker.take(), Wait::Any);
                let queue = state.queue;
                state.registry.join(id, queue);
                this.waiter = Some(id);
            }
            settled
        };
        match settled {
            Some(outcome) => Poll::Ready(outcome.map(Arc::unwrap_or_clone)),
            None => Poll::Pending,
        }
    }
}

/// Another promise of the same value. It waits for itself.
impl<T> Clone for Promise<T> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared), waiter: None }
    }
}

impl<T> Drop for Promise<T> {
    fn drop(&mut self) {
        if let Some(waiter) = self.waiter {
            let waker = self.shared.lock().registry.remove(waiter);
            drop(waker);
        }
    }
}

impl<T> fmt::Debug for Promise<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Promise")
            .field("fulfilled", &self.is_fulfilled())
            .field("abandoned", &self.is_abandoned())
            .finish()
    }
}
