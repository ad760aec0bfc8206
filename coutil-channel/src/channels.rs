//! Named channels behind a lock, and the futures that wait in them.

use crate::core::{ChannelId, Endpoint, PartyId, Rendezvous};
use std::collections::HashMap;
use std::fmt;
use std::future::Future;
use std::hash::Hash;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

#[cfg(loom)]
use loom::sync::{Arc, Mutex};
#[cfg(not(loom))]
use std::sync::{Arc, Mutex};
// Keys are shared by this one, which needs no model.
use std::sync::{Arc as Key, PoisonError};

struct Party<T> {
    /// How to reach the task that polled the future last.
    waker: Option<Waker>,
    /// What it gives; once it was matched, what it gets.
    value: Option<T>,
}

struct Place<K> {
    name: Key<K>,
    /// How many [`Channel`]s of it there are.
    handles: usize,
}

struct State<K, T> {
    rendezvous: Rendezvous<Party<T>, Place<K>>,
    /// A name is here while it has handles, or somebody waits.
    names: HashMap<Key<K>, ChannelId>,
}

impl<K: Hash + Eq, T> State<K, T> {
    /// Forgets a channel that has no use any more. What that leaves is dropped without the lock.
    fn tidy(&mut self, channel: ChannelId) -> [Option<Key<K>>; 2] {
        match self.rendezvous.data(channel) {
            Some(place) if place.handles == 0 && self.rendezvous.waiting(channel) == 0 => {
                let entry = self.names.remove_entry(&*place.name);
                [entry.map(|(name, _)| name), self.rendezvous.close(channel).map(|place| place.name)]
            }
            _ => [None, None],
        }
    }

    /// Joins the queue of a channel, where nobody can be met.
    fn join(&mut self, channel: ChannelId, endpoint: Endpoint, value: T) -> Stage<T> {
        let party = Party { waker: None, value: Some(value) };
        Stage::Waiting(self.rendezvous.join(channel, endpoint, party))
    }

    /// Exchanges with the one who has waited longest. If nobody does, the value comes back.
    fn meet(&mut self, channel: ChannelId, endpoint: Endpoint, value: T) -> Result<(T, Option<Waker>), T> {
        let Some(met) = self.rendezvous.meet(channel, endpoint) else { return Err(value) };
        let party = self.rendezvous.get_mut(met).expect("it was just met");
        let got = party.value.replace(value).expect("one that waits has a value to give");
        Ok((got, party.waker.take()))
    }
}

/// Channels by name, for values of type `T`.
///
/// A clone is another handle to the same channels.
///
/// ```
/// use coutil_channel::{Channels, core::Endpoint};
///
/// let channels = Channels::<&str, u32>::new();
/// let door = channels.open("door");
/// assert_eq!(channels.names(), ["door"]);
/// assert_eq!(door.try_exchange(Endpoint::In, 1), Err(1)); // nobody waits there
/// let waiting = door.exchange(Endpoint::Out, 2);
/// assert_eq!(door.try_exchange(Endpoint::In, 1), Ok(2));
/// assert_eq!(futures_lite::future::block_on(waiting), 1);
/// drop(door);
/// assert!(!channels.exists(&"door"));
/// ```
pub struct Channels<K, T> {
    state: Arc<Mutex<State<K, T>>>,
}

impl<K, T> Channels<K, T> {
    /// Without channels.
    pub fn new() -> Self {
        let state = State { rendezvous: Rendezvous::new(), names: HashMap::new() };
        Self { state: Arc::new(Mutex::new(state)) }
    }

    fn with<R>(&self, work: impl FnOnce(&mut State<K, T>) -> R) -> R {
        // The lock is poisoned if a name panicked while it was hashed or compared, which is before anything changes.
        work(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl<K: Hash + Eq, T> Channels<K, T> {
    /// A handle to the channel of that name.
    pub fn open(&self, name: K) -> Channel<K, T> {
        let name = Key::new(name);
        let mut unused = None;
        let (channel, name) = self.with(|state| {
            if let Some(&channel) = state.names.get(&*name) {
                let place = state.rendezvous.data_mut(channel).expect("it has a name");
                place.handles += 1;
                // The one before is dropped without the lock.
                unused = Some(name);
                return (channel, Key::clone(&place.name));
            }
            let channel = state.rendezvous.open(Place { name: Key::clone(&name), handles: 1 });
            state.names.insert(Key::clone(&name), channel);
            (channel, name)
        });
        drop(unused);
        Channel { channels: self.clone(), channel, name }
    }

    /// As [`Channel::exchange`], on the channel of that name, for which this needs no handle: it exists no longer than somebody
    /// waits there.
    ///
    /// The name may be shared already, as by those who use it often.
    pub fn exchange(&self, name: impl Into<Key<K>>, endpoint: Endpoint, value: T) -> Exchange<K, T> {
        let name = name.into();
        let (stage, waker, unused) = self.with(|state| {
            if let Some(&channel) = state.names.get(&*name) {
                return match state.meet(channel, endpoint, value) {
                    Ok((got, waker)) => (Stage::Matched(got), waker, state.tidy(channel)),
                    Err(value) => (state.join(channel, endpoint, value), None, [None, None]),
                };
            }
            let channel = state.rendezvous.open(Place { name: Key::clone(&name), handles: 0 });
            state.names.insert(Key::clone(&name), channel);
            (state.join(channel, endpoint, value), None, [None, None])
        });
        if let Some(waker) = waker {
            waker.wake();
        }
        drop(unused);
        Exchange { channels: self.clone(), stage }
    }

    /// Whether anybody has a handle to the channel of that name, or waits there.
    pub fn exists(&self, name: &K) -> bool {
        self.with(|state| state.names.contains_key(name))
    }

    /// The names of all channels that exist, in no order.
    pub fn names(&self) -> Vec<K>
    where
        K: Clone,
    {
        let names: Vec<_> = self.with(|state| state.names.keys().map(Key::clone).collect());
        names.iter().map(|name| (**name).clone()).collect()
    }

    /// Forgets who waits: their futures never are ready. Their wakers and values are dropped.
    ///
    /// A task that waits may be kept alive by nothing but its waker, and may be what keeps these channels alive; this ends it.
    pub fn forget(&self) {
        loop {
            let (forgotten, names) = self.with(|state| {
                let mut forgotten = Vec::new();
                let mut names = Vec::new();
                let channels: Vec<_> = state.names.values().copied().collect();
                for channel in channels {
                    // Each endpoint is met by one of these.
                    for endpoint in [Endpoint::In, Endpoint::Out] {
                        while let Some(party) = state.rendezvous.meet(channel, endpoint) {
                            forgotten.extend(state.rendezvous.remove(party));
                        }
                    }
                    names.extend(state.tidy(channel));
                }
                (forgotten, names)
            });
            drop(names);
            // What is dropped here may make others wait.
            if forgotten.is_empty() {
                return;
            }
        }
    }
}

impl<K, T> Clone for Channels<K, T> {
    fn clone(&self) -> Self {
        Self { state: Arc::clone(&self.state) }
    }
}

impl<K, T> Default for Channels<K, T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<K, T> fmt::Debug for Channels<K, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (channels, parties) =
            self.with(|state| (state.rendezvous.channels(), state.rendezvous.parties()));
        f.debug_struct("Channels")
            .field("channels", &channels)
            .field("parties", &parties)
            .finish_non_exhaustive()
    }
}

/// A handle to a channel, which exists as long as it has one. A clone is another one.
pub struct Channel<K: Hash + Eq, T> {
    channels: Channels<K, T>,
    channel: ChannelId,
    name: Key<K>,
}

impl<K: Hash + Eq, T> Channel<K, T> {
    /// Its name.
    pub fn name(&self) -> &K {
        &self.name
    }

    /// Exchanges `value` for that of the one who has waited longest at an endpoint that [meets](Endpoint::meets) this one, or
    /// waits for somebody.
    ///
    /// That is done by this call, not by the first poll. To drop the future is to give up; if the exchange was made already,
    /// the value that came is dropped.
    pub fn exchange(&self, endpoint: Endpoint, value: T) -> Exchange<K, T> {
        let (stage, waker) = self.channels.with(|state| match state.meet(self.channel, endpoint, value) {
            Ok((got, waker)) => (Stage::Matched(got), waker),
            Err(value) => (state.join(self.channel, endpoint, value), None),
        });
        if let Some(waker) = waker {
            waker.wake();
        }
        Exchange { channels: self.channels.clone(), stage }
    }

    /// As [`exchange`](Self::exchange), but does not wait.
    ///
    /// # Errors
    ///
    /// Gives the value back if nobody waits to be met.
    pub fn try_exchange(&self, endpoint: Endpoint, value: T) -> Result<T, T> {
        let (got, waker) = self.channels.with(|state| state.meet(self.channel, endpoint, value))?;
        if let Some(waker) = waker {
            waker.wake();
        }
        Ok(got)
    }
}

impl<K: Hash + Eq, T> Clone for Channel<K, T> {
    fn clone(&self) -> Self {
        self.channels.with(|state| {
            state.rendezvous.data_mut(self.channel).expect("this handle keeps it").handles += 1;
        });
        Self { channels: self.channels.clone(), channel: self.channel, name: Key::clone(&self.name) }
    }
}

impl<K: Hash + Eq, T> Drop for Channel<K, T> {
    fn drop(&mut self) {
        let names = self.channels.with(|state| {
            state.rendezvous.data_mut(self.channel).expect("this handle keeps it").handles -= 1;
            state.tidy(self.channel)
        });
        drop(names);
    }
}

impl<K: Hash + Eq + fmt::Debug, T> fmt::Debug for Channel<K, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Channel").field("name", &self.name).finish_non_exhaustive()
    }
}

enum Stage<T> {
    Waiting(PartyId),
    /// It was matched by the call that made it.
    Matched(T),
    Over,
}

/// An exchange that was begun; see [`Channel::exchange`]. It must not be polled after it was ready.
#[must_use = "it gives up when it is dropped, which is now"]
pub struct Exchange<K: Hash + Eq, T> {
    channels: Channels<K, T>,
    stage: Stage<T>,
}

impl<K: Hash + Eq, T> Exchange<K, T> {
    /// Whether it still waits for somebody.
    pub fn is_waiting(&self) -> bool {
        match self.stage {
            Stage::Waiting(party) => self.channels.with(|state| state.rendezvous.is_waiting(party)),
            _ => false,
        }
    }

    /// The value that came, once. `None` while it waits; then `waker`, if there is one, is woken when somebody comes.
    pub fn take(&mut self, mut waker: Option<Waker>) -> Option<T> {
        match std::mem::replace(&mut self.stage, Stage::Over) {
            Stage::Waiting(party) => {
                let got = self.channels.with(|state| {
                    if !state.rendezvous.is_waiting(party) {
                        return state.rendezvous.remove(party);
                    }
                    if let Some(waiting) = state.rendezvous.get_mut(party) {
                        // The one before comes out, and is dropped without the lock.
                        std::mem::swap(&mut waiting.waker, &mut waker);
                    }
                    None
                });
                if got.is_none() {
                    self.stage = Stage::Waiting(party);
                }
                got.and_then(|party| party.value)
            }
            Stage::Matched(value) => Some(value),
            Stage::Over => None,
        }
    }
}

impl<K: Hash + Eq, T> Future for Exchange<K, T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<T> {
        assert!(!matches!(self.stage, Stage::Over), "a future must not be polled after it was ready");
        match self.take(Some(context.waker().clone())) {
            Some(value) => Poll::Ready(value),
            None => Poll::Pending,
        }
    }
}

/// Nothing in it is pinned.
impl<K: Hash + Eq, T> Unpin for Exchange<K, T> {}

impl<K: Hash + Eq, T> Drop for Exchange<K, T> {
    fn drop(&mut self) {
        if let Stage::Waiting(party) = self.stage {
            let left = self.channels.with(|state| {
                let channel = state.rendezvous.leave(party);
                let party = state.rendezvous.remove(party);
                (party, channel.map(|channel| state.tidy(channel)))
            });
            drop(left);
        }
    }
}

impl<K: Hash + Eq, T> fmt::Debug for Exchange<K, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Exchange").field("waiting", &self.is_waiting()).finish_non_exhaustive()
    }
}
