//! Mutexes behind a lock, and the futures that wait for them.
//!
//! Everybody who owns a mutex or waits for one is a waiter of the registry, from the request to the release: its id is
//! what [`Ownership`] knows the owner by. A mutex that nobody owns does not exist.

use crate::core::{Attempt, Ownership};
use coutil_event::core::{QueueId, Registry, Wait, WaiterId};
use std::collections::HashMap;
use std::fmt;
use std::future::Future;
use std::hash::Hash;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};

struct Entry<K> {
    key: Arc<K>,
    owner: Ownership<WaiterId>,
}

struct State<K> {
    /// A queue for each mutex that is owned, and the wakers of those who wait.
    registry: Registry<Option<Waker>, Entry<K>>,
    mutexes: HashMap<Arc<K>, QueueId>,
}

/// What is left of a claim that ended, to be done without the lock.
struct Ended<K> {
    /// To be woken: it owns the mutex now.
    next: Option<Waker>,
    /// Only to be dropped.
    rest: (Option<Waker>, [Option<Arc<K>>; 2]),
}

impl<K: Hash + Eq> State<K> {
    /// The queue of a mutex, made if there is none.
    fn open(&mut self, key: &Arc<K>) -> QueueId {
        if let Some(&queue) = self.mutexes.get(&**key) {
            return queue;
        }
        let queue = self.registry.open(Entry { key: Arc::clone(key), owner: Ownership::new() });
        self.mutexes.insert(Arc::clone(key), queue);
        queue
    }

    fn owner(&mut self, queue: QueueId) -> &mut Ownership<WaiterId> {
        &mut self.registry.data_mut(queue).expect("a mutex exists as long as somebody claims it").owner
    }

    /// Ends a claim. If it was the owner's, the one who waits longest owns the mutex now, or nobody does.
    fn end(&mut self, queue: QueueId, waiter: WaiterId) -> Ended<K> {
        let waker = self.registry.remove(waiter).flatten();
        if !self.owner(queue).release(&waiter) {
            return Ended { next: None, rest: (waker, [None, None]) };
        }
        let Some(popped) = self.registry.pop(queue) else {
            let key = &self.registry.data(queue).expect("just seen").key;
            let entry = self.mutexes.remove_entry(&**key);
            let keys = [entry.map(|entry| entry.0), self.registry.close(queue).map(|entry| entry.key)];
            return Ended { next: None, rest: (waker, keys) };
        };
        self.owner(queue).acquire(popped.waiter);
        let next = self.registry.get_mut(popped.waiter).and_then(Option::take);
        Ended { next, rest: (waker, [None, None]) }
    }
}

/// Mutexes identified by a key of type `K`.
///
/// A mutex needs no making: it exists while somebody owns it. Whoever asked first owns it next; it is handed over, so
/// nobody can get in between.
///
/// A clone is another handle to the same mutexes. For a single mutex the key is `()`.
///
/// ```
/// use coutil_mutex::Mutexes;
/// use futures_lite::future::block_on;
///
/// let files = Mutexes::new();
/// let first = block_on(files.lock("a.txt"));
/// assert!(files.try_lock("a.txt").is_none());
/// let second = files.lock("a.txt"); // waits from here on
/// drop(first); // hands it over
/// assert!(files.is_locked(&"a.txt"));
/// let second = block_on(second);
/// assert_eq!(second.key(), &"a.txt");
/// drop(second);
/// assert!(!files.is_locked(&"a.txt"));
/// ```
pub struct Mutexes<K> {
    state: Arc<Mutex<State<K>>>,
}

impl<K> Mutexes<K> {
    /// A new set of mutexes, all of them free.
    pub fn new() -> Self {
        let state = State { registry: Registry::new(), mutexes: HashMap::new() };
        Self { state: Arc::new(Mutex::new(state)) }
    }

    fn with<R>(&self, work: impl FnOnce(&mut State<K>) -> R) -> R {
        // The lock is poisoned if a key panicked while it was hashed or compared, which is before anything changes.
        work(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl<K: Hash + Eq> Mutexes<K> {
    /// Asks for a mutex, from now on. The future gives the guard once the mutex was handed over.
    ///
    /// It is asked for by this call, not by the first poll: a future that is kept without polling it may already own the
    /// mutex. To drop it is to give up, and to hand the mutex on if it was handed over already.
    pub fn lock(&self, key: K) -> Lock<K> {
        let key = Arc::new(key);
        let (queue, waiter) = self.with(|state| {
            let queue = state.open(&key);
            let waiter = state.registry.enroll(None, Wait::Any);
            if state.owner(queue).acquire(waiter) != Attempt::Acquired {
                state.registry.join(waiter, queue);
            }
            (queue, waiter)
        });
        Lock { claim: Some(Claim { mutexes: self.clone(), key, queue, waiter }) }
    }

    /// Takes a mutex if it is free now. If it is not, nothing happens.
    #[must_use = "the mutex is released when the guard is dropped"]
    pub fn try_lock(&self, key: K) -> Option<Guard<K>> {
        let key = Arc::new(key);
        let (queue, waiter) = self.with(|state| {
            if state.mutexes.contains_key(&*key) {
                return None;
            }
            let queue = state.open(&key);
            let waiter = state.registry.enroll(None, Wait::Any);
            state.owner(queue).acquire(waiter);
            Some((queue, waiter))
        })?;
        Some(Guard { claim: Claim { mutexes: self.clone(), key, queue, waiter } })
    }

    /// Whether anybody owns a mutex.
    pub fn is_locked(&self, key: &K) -> bool {
        self.with(|state| state.mutexes.contains_key(key))
    }
}

impl<K> Clone for Mutexes<K> {
    fn clone(&self) -> Self {
        Self { state: Arc::clone(&self.state) }
    }
}

impl<K> Default for Mutexes<K> {
    fn default() -> Self {
        Self::new()
    }
}

impl<K> fmt::Debug for Mutexes<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (locked, claims) = self.with(|state| (state.registry.queues(), state.registry.waiters()));
        f.debug_struct("Mutexes")
            .field("locked", &locked)
            .field("waiting", &(claims - locked))
            .finish_non_exhaustive()
    }
}

/// That somebody owns a mutex, or waits for it: until this is dropped.
struct Claim<K: Hash + Eq> {
    mutexes: Mutexes<K>,
    key: Arc<K>,
    queue: QueueId,
    waiter: WaiterId,
}

impl<K: Hash + Eq> Drop for Claim<K> {
    fn drop(&mut self) {
        let Ended { next, rest } = self.mutexes.with(|state| state.end(self.queue, self.waiter));
        if let Some(next) = next {
            next.wake();
        }
        drop(rest);
    }
}

/// Waits for a mutex; see [`Mutexes::lock`]. It must not be polled after it was ready.
#[must_use = "it gives up when it is dropped, which is now"]
pub struct Lock<K: Hash + Eq> {
    /// `None` after it was ready: the guard has it.
    claim: Option<Claim<K>>,
}

impl<K: Hash + Eq> Future for Lock<K> {
    type Output = Guard<K>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Guard<K>> {
        let claim = self.claim.take().expect("a future must not be polled after it was ready");
        let mut waker = Some(context.waker().clone());
        let owned = claim.mutexes.with(|state| {
            let owned = state.owner(claim.queue).is_owned_by(&claim.waiter);
            if !owned && let Some(held) = state.registry.get_mut(claim.waiter) {
                // The one before comes out, and is dropped without the lock.
                std::mem::swap(held, &mut waker);
            }
            owned
        });
        if owned {
            return Poll::Ready(Guard { claim });
        }
        self.claim = Some(claim);
        Poll::Pending
    }
}

impl<K: Hash + Eq> fmt::Debug for Lock<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lock").finish_non_exhaustive()
    }
}

/// Owns a mutex. It is released, or handed over to the one who waits longest, when this is dropped.
#[must_use = "the mutex is released when this is dropped, which is now"]
pub struct Guard<K: Hash + Eq> {
    claim: Claim<K>,
}

impl<K: Hash + Eq> Guard<K> {
    /// Which mutex this owns.
    pub fn key(&self) -> &K {
        &self.claim.key
    }
}

impl<K: Hash + Eq> fmt::Debug for Guard<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Guard").finish_non_exhaustive()
    }
}
