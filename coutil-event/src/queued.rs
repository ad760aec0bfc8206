//! Events that are kept until somebody waits for them.

use crate::core;
use crate::futures::{Wait, WaitAll, WaitAny};
use crate::hub::Hub;
use std::collections::HashSet;
use std::fmt;
use std::hash::Hash;
use std::sync::Arc;

/// [`Events`](crate::Events) whose emissions are stored when nobody waits for them.
///
/// The stored emissions of a key are taken in the order in which they were made, and each serves one wait, no matter
/// which function emitted it. A wait that is given up puts back what it took, to where it was in that order.
///
/// A clone is another handle to the same events.
///
/// ```
/// use coutil_event::QueuedEvents;
/// use futures_lite::future::block_on;
///
/// let events = QueuedEvents::new();
/// assert!(!events.emit_all(&"mail", 1)); // nobody waits, so these two are stored
/// assert!(!events.emit_one(&"mail", 2));
///
/// assert_eq!(block_on(events.wait("mail")), 1);
/// assert_eq!(block_on(events.wait_any(["call", "mail"])), ("mail", 2));
/// assert!(!events.is_queued(&"mail"));
/// ```
pub struct QueuedEvents<K, T = ()> {
    hub: Arc<Hub<K, T>>,
}

impl<K, T> QueuedEvents<K, T> {
    /// A new set of events: nothing is stored, nobody waits.
    pub fn new() -> Self {
        Self { hub: Hub::new(true) }
    }
}

impl<K: Hash + Eq, T> QueuedEvents<K, T> {
    /// Takes the oldest stored emission of an event, or waits for one from now on.
    pub fn wait(&self, key: K) -> Wait<K, T> {
        Wait::new(self.hub.register(&[Arc::new(key)], core::Wait::Any))
    }

    /// Takes the oldest stored emission of the first of these events that has one. If none has, waits for the first
    /// emission of any, from now on. A key that is repeated counts once.
    ///
    /// # Panics
    ///
    /// If there are no keys: such a wait would never end.
    pub fn wait_any(&self, keys: impl IntoIterator<Item = K>) -> WaitAny<K, T> {
        let keys: Vec<_> = keys.into_iter().map(Arc::new).collect();
        assert!(!keys.is_empty(), "`wait_any` needs a key");
        WaitAny::new(self.hub.register(&keys, core::Wait::Any))
    }

    /// Takes the oldest stored emission of each of these events that has one, and waits until each of the others was
    /// emitted, from now on. A key that is repeated counts once. With no keys there is nothing to wait for.
    pub fn wait_all(&self, keys: impl IntoIterator<Item = K>) -> WaitAll<K, T> {
        let mut seen = HashSet::new();
        let mut keys: Vec<_> = keys.into_iter().map(Arc::new).collect();
        keys.retain(|key| seen.insert(Arc::clone(key)));
        WaitAll::new(self.hub.register(&keys, core::Wait::All))
    }

    /// Emits an event for the one who waits longest for it. Returns whether anybody did; if not, it is stored.
    pub fn emit_one(&self, key: &K, value: T) -> bool
    where
        K: Clone,
    {
        match self.hub.emit_one(key, value) {
            Ok(awaited) => awaited,
            Err(value) => self.hub.offer(Arc::new(key.clone()), value),
        }
    }

    /// Emits an event for all who wait for it, however many. Returns whether anybody did; if not, it is stored, and
    /// then serves one wait.
    ///
    /// The clones are made here, before anybody gets one.
    pub fn emit_all(&self, key: &K, value: T) -> bool
    where
        K: Clone,
        T: Clone,
    {
        match self.hub.emit_all(key, value) {
            Ok(()) => true,
            // Whoever has begun to wait since then takes it as if it had been stored first.
            Err(value) => self.hub.offer(Arc::new(key.clone()), value),
        }
    }

    /// Whether anybody waits for an event. Stored emissions do not count.
    pub fn is_awaited(&self, key: &K) -> bool {
        self.hub.is_awaited(key)
    }

    /// Whether emissions of an event are stored.
    pub fn is_queued(&self, key: &K) -> bool {
        self.hub.is_queued(key)
    }
}

impl<K, T> Clone for QueuedEvents<K, T> {
    fn clone(&self) -> Self {
        Self { hub: Arc::clone(&self.hub) }
    }
}

impl<K, T> Default for QueuedEvents<K, T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<K, T> fmt::Debug for QueuedEvents<K, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.hub.fmt("QueuedEvents", f)
    }
}
