//! Waiting for several promises at once.
//!
//! Each promise of a group is polled with a waker of its own that notes which one it was, so that a wake costs a look at
//! those that settled, and not at all of them.

use crate::{Abandoned, Promise};
use std::collections::VecDeque;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker, ready};

/// Gives the values of all these promises, in their order, once all have one; or [`Abandoned`] as soon as one of them is.
///
/// ```
/// use coutil_promise::{all, promise};
/// use futures_lite::future::block_on;
///
/// let (first, a) = promise();
/// let (second, b) = promise();
/// let both = all([a, b]);
/// second.fulfill("b");
/// first.fulfill("a");
/// assert_eq!(block_on(both), Ok(vec!["a", "b"]));
/// ```
pub fn all<T: Clone>(promises: impl IntoIterator<Item = Promise<T>>) -> All<T> {
    let group = Group::new(promises);
    All { values: group.promises.iter().map(|_| None).collect(), group: Some(group) }
}

/// Gives the value of the first of these promises that has one, and its position; or [`Abandoned`] once all of them are,
/// which is at once if there are none.
///
/// Of several that have a value at the first poll it is the leftmost.
///
/// ```
/// use coutil_promise::{any, promise};
/// use futures_lite::future::block_on;
///
/// let (_slow, a) = promise();
/// let (quick, b) = promise();
/// let first = any([a, b]);
/// quick.fulfill("b");
/// assert_eq!(block_on(first), Ok((1, "b")));
/// ```
pub fn any<T: Clone>(promises: impl IntoIterator<Item = Promise<T>>) -> Any<T> {
    Any { group: Some(Group::new(promises)) }
}

/// What the wakers of a group tell it.
#[derive(Default)]
struct Signals {
    /// The positions of those to be polled: at first all of them, then those that were woken.
    due: VecDeque<usize>,
    /// The task that polled the group last.
    task: Option<Waker>,
}

/// The waker of one promise of a group.
struct Signal {
    position: usize,
    signals: Arc<Mutex<Signals>>,
}

impl Wake for Signal {
    fn wake(self: Arc<Self>) {
        let task = {
            let mut signals = lock(&self.signals);
            signals.due.push_back(self.position);
            signals.task.take()
        };
        if let Some(task) = task {
            task.wake();
        }
    }
}

fn lock(signals: &Mutex<Signals>) -> MutexGuard<'_, Signals> {
    signals.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Promises, each of which is taken once it has settled.
struct Group<T> {
    promises: Vec<Option<Promise<T>>>,
    /// How many of them are left.
    pending: usize,
    signals: Arc<Mutex<Signals>>,
}

impl<T: Clone> Group<T> {
    fn new(promises: impl IntoIterator<Item = Promise<T>>) -> Self {
        let promises: Vec<_> = promises.into_iter().map(Some).collect();
        let signals = Signals { due: (0..promises.len()).collect(), task: None };
        Self { pending: promises.len(), promises, signals: Arc::new(Mutex::new(signals)) }
    }

    /// The next one that has settled, and what it came to. `None` if all have.
    fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Option<(usize, Result<T, Abandoned>)>> {
        if self.pending == 0 {
            return Poll::Ready(None);
        }
        // Before the look at what is due, so that nothing that comes later goes unnoticed. The one before is dropped
        // without the lock.
        let task = context.waker().clone();
        let _before = lock(&self.signals).task.replace(task);
        while let Some(position) = { lock(&self.signals).due.pop_front() } {
            let Some(promise) = &mut self.promises[position] else { continue };
            let waker = Waker::from(Arc::new(Signal { position, signals: Arc::clone(&self.signals) }));
            if let Poll::Ready(outcome) = Pin::new(promise).poll(&mut Context::from_waker(&waker)) {
                self.promises[position] = None;
                self.pending -= 1;
                return Poll::Ready(Some((position, outcome)));
            }
        }
        Poll::Pending
    }
}

const POLLED_AGAIN: &str = "a future must not be polled after it was ready";

/// Waits for the values of all; see [`all`]. It must not be polled after it was ready.
#[must_use = "it waits for nothing unless it is polled"]
pub struct All<T> {
    /// `None` after it was ready.
    group: Option<Group<T>>,
    /// Those that have arrived, each at its position.
    values: Vec<Option<T>>,
}

// Nothing in it is pinned, whatever the values are.
impl<T> Unpin for All<T> {}

impl<T: Clone> Future for All<T> {
    type Output = Result<Vec<T>, Abandoned>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        let group = this.group.as_mut().expect(POLLED_AGAIN);
        let outcome = loop {
            match ready!(group.poll_next(context)) {
                Some((position, Ok(value))) => this.values[position] = Some(value),
                Some((_, Err(abandoned))) => break Err(abandoned),
                None => break Ok(this.values.drain(..).flatten().collect()),
            }
        };
        this.group = None;
        Poll::Ready(outcome)
    }
}

impl<T> fmt::Debug for All<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let pending = self.group.as_ref().map_or(0, |group| group.pending);
        f.debug_struct("All").field("pending", &pending).finish()
    }
}

/// Waits for the first value; see [`any`]. It must not be polled after it was ready.
#[must_use = "it waits for nothing unless it is polled"]
pub struct Any<T> {
    /// `None` after it was ready.
    group: Option<Group<T>>,
}

impl<T: Clone> Future for Any<T> {
    type Output = Result<(usize, T), Abandoned>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let group = self.group.as_mut().expect(POLLED_AGAIN);
        let outcome = loop {
            match ready!(group.poll_next(context)) {
                Some((position, Ok(value))) => break Ok((position, value)),
                Some((_, Err(Abandoned))) => {}
                None => break Err(Abandoned),
            }
        };
        self.group = None;
        Poll::Ready(outcome)
    }
}

impl<T> fmt::Debug for Any<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let pending = self.group.as_ref().map_or(0, |group| group.pending);
        f.debug_struct("Any").field("pending", &pending).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::promise;

    /// A wake leads to a look at the promise that woke, not at all of them.
    #[test]
    fn due_is_only_what_was_woken() {
        let (fulfillers, promises): (Vec<_>, Vec<_>) = (0..5).map(|_| promise()).unzip();
        let mut group = Group::new(promises);
        let mut context = Context::from_waker(Waker::noop());
        let due = |group: &Group<_>| lock(&group.signals).due.clone();
        assert_eq!(due(&group), [0, 1, 2, 3, 4]);
        for position in [3, 1, 4, 0, 2] {
            assert!(group.poll_next(&mut context).is_pending());
            assert_eq!(due(&group), []);
            fulfillers[position].fulfill(position);
            assert_eq!(due(&group), [position]);
            assert_eq!(group.poll_next(&mut context), Poll::Ready(Some((position, Ok(position)))));
        }
        assert_eq!(group.poll_next(&mut context), Poll::Ready(None));
    }
}
