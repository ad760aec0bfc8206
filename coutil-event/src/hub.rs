//! Events behind a lock: what [`Events`](crate::Events) and [`QueuedEvents`](crate::QueuedEvents) have in common.
//!
//! A *place* is what exists of a key: a queue of the registry, and the emissions stored for it. It exists while somebody
//! waits there or something is stored there; never both.
//!
//! Under the lock runs no code of the user but `Hash` and `Eq` of the keys. Values are cloned before it is taken; wakers
//! and destructors run after it was released ([`Deferred`]). Keys are shared, so they are not cloned here at all.

use crate::core::{Popped, QueueId, Registry, Wait, WaiterId};
use crate::wake::WakeList;
use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};

/// A value on its way to one wait.
pub(crate) struct Emission<K, T> {
    pub(crate) key: Arc<K>,
    pub(crate) value: T,
    /// When it was emitted, if one wait only is meant to have it: when that is given up, another gets it. `None` for
    /// what went to everybody who waited.
    order: Option<u64>,
}

struct Waiter<K, T> {
    /// How to reach the task that polled the future last.
    waker: Option<Waker>,
    /// Whether it has all that it waits for. It stands in no queue then.
    done: bool,
    /// What reached it last.
    last: Option<Emission<K, T>>,
    /// What reached it before that, if it waits for several.
    earlier: Vec<Emission<K, T>>,
}

impl<K, T> Waiter<K, T> {
    fn take(&mut self, emission: Emission<K, T>) {
        self.earlier.extend(self.last.replace(emission));
    }
}

struct Place<K, T> {
    key: Arc<K>,
    /// The stored emissions and when they were made, the oldest first.
    records: VecDeque<(u64, T)>,
}

/// What has to wait until the lock is released: waking, and dropping what belongs to the user.
struct Deferred<K, T> {
    wakers: WakeList,
    emissions: Vec<Emission<K, T>>,
    keys: Vec<Arc<K>>,
}

struct State<K, T> {
    registry: Registry<Waiter<K, T>, Place<K, T>>,
    places: HashMap<Arc<K>, QueueId>,
    /// How many emissions for one wait were made so far.
    clock: u64,
    /// Whether emissions that nobody waits for are stored.
    stores: bool,
}

pub(crate) struct Hub<K, T> {
    state: Mutex<State<K, T>>,
}

impl<K, T> Hub<K, T> {
    pub(crate) fn new(stores: bool) -> Arc<Self> {
        let state = State { registry: Registry::new(), places: HashMap::new(), clock: 0, stores };
        Arc::new(Self { state: Mutex::new(state) })
    }

    /// Does `work` under the lock, and then what it deferred.
    fn with<R>(&self, work: impl FnOnce(&mut State<K, T>, &mut Deferred<K, T>) -> R) -> R {
        let mut deferred = Deferred { wakers: WakeList::new(), emissions: Vec::new(), keys: Vec::new() };
        // The lock is poisoned if a key panicked while it was hashed or compared, which is before anything changes.
        let result = work(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner), &mut deferred);
        deferred.wakers.wake();
        result
    }

    pub(crate) fn fmt(&self, name: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (keys, waiters) = self.with(|state, _| (state.registry.queues(), state.registry.waiters()));
        f.debug_struct(name).field("keys", &keys).field("waiters", &waiters).finish_non_exhaustive()
    }
}

impl<K: Hash + Eq, T> Hub<K, T> {
    /// Starts to wait. What is stored counts, one emission for each of `keys`: they must be distinct then.
    pub(crate) fn register(self: &Arc<Self>, keys: &[Arc<K>], wait: Wait) -> Ticket<K, T> {
        // Out here, so that it is dropped without the lock if a key panics.
        let mut ticket = None;
        self.with(|state, deferred| {
            let waiter = Waiter { waker: None, done: false, last: None, earlier: Vec::new() };
            let waiter = state.registry.enroll(waiter, wait);
            ticket = Some(Ticket { hub: Arc::clone(self), waiter: Some(waiter) });
            state.register(waiter, keys, wait, deferred);
        });
        ticket.expect("just made")
    }

    /// Emits a value for one wait. Returns whether somebody waits; if not, the value is stored or dropped. But if nothing
    /// exists of the key the value comes back, since storing it takes a key of our own: see [`offer`](Self::offer).
    pub(crate) fn emit_one(&self, key: &K, value: T) -> Result<bool, T> {
        self.with(|state, deferred| match state.places.get(key) {
            Some(&queue) => {
                let key = Arc::clone(&state.place(queue).key);
                Ok(state.emit(key, value, deferred))
            }
            None => Err(value),
        })
    }

    /// As [`emit_one`](Self::emit_one), whatever exists of the key.
    pub(crate) fn offer(&self, key: Arc<K>, value: T) -> bool {
        self.with(|state, deferred| state.emit(key, value, deferred))
    }

    /// Emits clones of a value for everybody who waits. Gives it back if nobody does.
    pub(crate) fn emit_all(&self, key: &K, value: T) -> Result<(), T>
    where
        T: Clone,
    {
        let count = self.with(|state, _| state.awaited(key).map_or(0, |queue| state.registry.len(queue)));
        if count == 0 {
            return Err(value);
        }
        let mut values = vec![value; count];
        let reached = self.with(|state, deferred| {
            let Some(queue) = state.awaited(key) else { return false };
            // Whoever began to wait meanwhile is not among the first `count`.
            for _ in 0..count {
                let Some(popped) = state.registry.pop(queue) else { break };
                let key = Arc::clone(&state.place(queue).key);
                let value = values.pop().expect("one for each");
                state.hand(popped, Emission { key, value, order: None }, deferred);
            }
            state.tidy(queue, deferred);
            true
        });
        match values.pop() {
            Some(value) if !reached => Err(value),
            _ => Ok(()),
        }
    }

    pub(crate) fn is_awaited(&self, key: &K) -> bool {
        self.with(|state, _| state.awaited(key).is_some())
    }

    pub(crate) fn is_queued(&self, key: &K) -> bool {
        self.with(|state, _| {
            state.places.get(key).is_some_and(|&queue| !state.place(queue).records.is_empty())
        })
    }
}

impl<K: Hash + Eq, T> State<K, T> {
    // Places

    fn place(&self, queue: QueueId) -> &Place<K, T> {
        self.registry.data(queue).expect("every place is a queue")
    }

    /// The queue of a key, if somebody waits in it.
    fn awaited(&self, key: &K) -> Option<QueueId> {
        self.places.get(key).copied().filter(|&queue| !self.registry.is_empty(queue))
    }

    /// The queue of a key, made if there is none.
    fn open(&mut self, key: &Arc<K>) -> QueueId {
        if let Some(&queue) = self.places.get(&**key) {
            return queue;
        }
        let queue = self.registry.open(Place { key: Arc::clone(key), records: VecDeque::new() });
        self.places.insert(Arc::clone(key), queue);
        queue
    }

    /// Ends a place that has no use any more.
    fn tidy(&mut self, queue: QueueId, deferred: &mut Deferred<K, T>) {
        let Some(place) = self.registry.data(queue) else { return };
        if place.records.is_empty() && self.registry.is_empty(queue) {
            let entry = self.places.remove_entry(&*place.key);
            deferred.keys.extend(entry.map(|(key, _)| key));
            deferred.keys.extend(self.registry.close(queue).map(|place| place.key));
        }
    }

    /// Takes the oldest stored emission.
    fn take_record(&mut self, key: &K, deferred: &mut Deferred<K, T>) -> Option<Emission<K, T>> {
        if !self.stores {
            return None;
        }
        let queue = *self.places.get(key)?;
        let place = self.registry.data_mut(queue)?;
        let (order, value) = place.records.pop_front()?;
        let emission = Emission { key: Arc::clone(&place.key), value, order: Some(order) };
        self.tidy(queue, deferred);
        Some(emission)
    }

    // Waiters

    fn waiter(&mut self, waiter: WaiterId) -> &mut Waiter<K, T> {
        self.registry.get_mut(waiter).expect("a waiter exists as long as its ticket")
    }

    /// Gives a new waiter what is stored for it, and a place in the queues of the rest.
    fn register(&mut self, waiter: WaiterId, keys: &[Arc<K>], wait: Wait, deferred: &mut Deferred<K, T>) {
        if wait == Wait::Any
            && let Some(emission) = keys.iter().find_map(|key| self.take_record(key, deferred))
        {
            self.waiter(waiter).take(emission);
            self.waiter(waiter).done = true;
            return;
        }
        let mut done = true;
        for key in keys {
            match self.take_record(key, deferred) {
                Some(emission) => self.waiter(waiter).take(emission),
                None => {
                    let queue = self.open(key);
                    self.registry.join(waiter, queue);
                    done = false;
                }
            }
        }
        self.waiter(waiter).done = done;
    }

    /// Takes a waiter out of all queues.
    fn leave(&mut self, waiter: WaiterId, deferred: &mut Deferred<K, T>) {
        while let Some(queue) = self.registry.leave(waiter) {
            self.tidy(queue, deferred);
        }
    }

    /// Ends a waiter that has not returned what it has: others get that. The waker is to be dropped without the lock.
    fn retract(&mut self, waiter: WaiterId, deferred: &mut Deferred<K, T>) -> Option<Waker> {
        self.leave(waiter, deferred);
        let Waiter { waker, last, earlier, .. } = self.registry.remove(waiter)?;
        for emission in earlier.into_iter().chain(last) {
            match emission.order {
                Some(order) => {
                    self.deliver(emission.key, emission.value, order, deferred);
                }
                None => deferred.emissions.push(emission),
            }
        }
        waker
    }

    // Emissions

    fn emit(&mut self, key: Arc<K>, value: T, deferred: &mut Deferred<K, T>) -> bool {
        self.clock += 1;
        self.deliver(key, value, self.clock, deferred)
    }

    /// Hands an emission to the one who waits longest, and returns whether anybody waits. If not, it is stored in its
    /// place among those stored already, or dropped.
    fn deliver(&mut self, key: Arc<K>, value: T, order: u64, deferred: &mut Deferred<K, T>) -> bool {
        if let Some(queue) = self.awaited(&key)
            && let Some(popped) = self.registry.pop(queue)
        {
            self.hand(popped, Emission { key, value, order: Some(order) }, deferred);
            self.tidy(queue, deferred);
            return true;
        }
        if !self.stores {
            deferred.emissions.push(Emission { key, value, order: None });
            return false;
        }
        let queue = self.open(&key);
        if let Some(place) = self.registry.data_mut(queue) {
            let position = place.records.partition_point(|record| record.0 < order);
            place.records.insert(position, (order, value));
        }
        deferred.keys.push(key);
        false
    }

    /// Gives an emission to a waiter that was popped for it.
    fn hand(&mut self, popped: Popped, emission: Emission<K, T>, deferred: &mut Deferred<K, T>) {
        let waiter = self.waiter(popped.waiter);
        waiter.take(emission);
        if popped.done {
            waiter.done = true;
            deferred.wakers.extend(waiter.waker.take());
            self.leave(popped.waiter, deferred);
        }
    }
}

/// A waiter, from outside: it is ended when this is dropped.
pub(crate) struct Ticket<K: Hash + Eq, T> {
    hub: Arc<Hub<K, T>>,
    /// `None` after it has returned what it waited for.
    waiter: Option<WaiterId>,
}

impl<K: Hash + Eq, T> Ticket<K, T> {
    /// What reached it last, once it has all that it waits for. `None` inside means that it waited for nothing.
    pub(crate) fn poll(&mut self, context: &mut Context<'_>) -> Poll<Option<Emission<K, T>>> {
        let id = self.waiter.expect("a future must not be polled after it was ready");
        let mut waker = Some(context.waker().clone());
        let done = self.hub.with(|state, _| {
            let waiter = state.waiter(id);
            if waiter.done {
                return state.registry.remove(id);
            }
            // The one before comes out, and is dropped without the lock.
            std::mem::swap(&mut waiter.waker, &mut waker);
            None
        });
        match done {
            Some(waiter) => {
                self.waiter = None;
                Poll::Ready(waiter.last)
            }
            None => Poll::Pending,
        }
    }

    /// Whether the next poll is going to be the last.
    pub(crate) fn is_done(&self) -> bool {
        self.waiter.is_none_or(|id| self.hub.with(|state, _| state.waiter(id).done))
    }
}

impl<K: Hash + Eq, T> Drop for Ticket<K, T> {
    fn drop(&mut self) {
        if let Some(waiter) = self.waiter {
            drop(self.hub.with(|state, deferred| state.retract(waiter, deferred)));
        }
    }
}
