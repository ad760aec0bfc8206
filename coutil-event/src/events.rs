//! Events that reach those who wait at the time.

use crate::core;
use crate::futures::{Wait, WaitAll, WaitAny};
use crate::hub::Hub;
use std::fmt;
use std::hash::Hash;
use std::sync::Arc;

/// Events identified by a key of type `K`, each emission with a value of type `T`.
///
/// An event needs no making: it exists while somebody waits for it. An emission reaches those who wait at the time, in
/// the order in which they began; nobody learns of it later (but see [`QueuedEvents`](crate::QueuedEvents)).
///
/// A clone is another handle to the same events.
///
/// ```
/// use coutil_event::Events;
/// use futures_lite::future::block_on;
///
/// let events = Events::new();
/// let first = events.wait("door");
/// let second = events.wait_any(["window", "door"]);
///
/// assert!(events.emit_one(&"door", 1)); // for the one who waits longest
/// assert!(events.emit_one(&"door", 2));
/// assert!(!events.emit_one(&"door", 3)); // nobody waits
///
/// assert_eq!(block_on(first), 1);
/// assert_eq!(block_on(second), ("door", 2));
/// ```
pub struct Events<K, T = ()> {
    hub: Arc<Hub<K, T>>,
}

impl<K, T> Events<K, T> {
    /// A new set of events, of which nobody waits for any.
    pub fn new() -> Self {
        Self { hub: Hub::new(false) }
    }
}

impl<K: Hash + Eq, T> Events<K, T> {
    /// Waits for an event, from now on.
    pub fn wait(&self, key: K) -> Wait<K, T> {
        Wait::new(self.hub.register(&[Arc::new(key)], core::Wait::Any))
    }

    /// Waits for the first of several events, from now on. A key that is repeated counts once.
    ///
    /// # Panics
    ///
    /// If there are no keys: such a wait would never end.
    pub fn wait_any(&self, keys: impl IntoIterator<Item = K>) -> WaitAny<K, T> {
        let keys: Vec<_> = keys.into_iter().map(Arc::new).collect();
        assert!(!keys.is_empty(), "`wait_any` needs a key");
        WaitAny::new(self.hub.register(&keys, core::Wait::Any))
    }

    /// Waits until each of several events was emitted, in any order, from now on. A key that is repeated counts once.
    /// With no keys there is nothing to wait for.
    pub fn wait_all(&self, keys: impl IntoIterator<Item = K>) -> WaitAll<K, T> {
        let keys: Vec<_> = keys.into_iter().map(Arc::new).collect();
        WaitAll::new(self.hub.register(&keys, core::Wait::All))
    }

    /// Emits an event for the one who waits longest for it. Returns whether anybody did.
    pub fn emit_one(&self, key: &K, value: T) -> bool {
        self.hub.emit_one(key, value).unwrap_or(false)
    }

    /// Emits an event for all who wait for it, however many. Returns whether anybody did.
    ///
    /// The clones are made here, before anybody gets one.
    pub fn emit_all(&self, key: &K, value: T) -> bool
    where
        T: Clone,
    {
        self.hub.emit_all(key, value).is_ok()
    }

    /// Whether anybody waits for an event.
    pub fn is_awaited(&self, key: &K) -> bool {
        self.hub.is_awaited(key)
    }
}

impl<K, T> Clone for Events<K, T> {
    fn clone(&self) -> Self {
        Self { hub: Arc::clone(&self.hub) }
    }
}

impl<K, T> Default for Events<K, T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<K, T> fmt::Debug for Events<K, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.hub.fmt("Events", f)
    }
}
