//! Who is matched with whom: the rules, without waiting.
//!
//! A [`Rendezvous`] holds *channels* and the *parties* that wait in them. Whoever comes to a channel names the [`Endpoint`] that
//! it takes, and is [matched](Rendezvous::meet) with the one who has waited longest there, or else [joins](Rendezvous::join) the
//! queue. It is generic over what a party is, and over what else belongs to a channel.
//!
//! **Invariant.** All who wait in a channel take the same endpoint: two that could be matched never wait both. Who takes
//! [`Endpoint::Any`] waits alone.
//!
//! There is no I/O here, no lock, no future, and no map from names to channels. The queues are those of
//! [`coutil_event::core`]: ids that are out of date find nothing, and every operation takes constant time.
//!
//! ```
//! use coutil_channel::core::{Endpoint, Rendezvous};
//!
//! let mut rendezvous = Rendezvous::<&str>::new();
//! let door = rendezvous.open(());
//! assert_eq!(rendezvous.meet(door, Endpoint::In), None);
//! let ann = rendezvous.join(door, Endpoint::In, "ann");
//! assert_eq!(rendezvous.meet(door, Endpoint::In), None); // the same side
//! let met = rendezvous.meet(door, Endpoint::Out).unwrap();
//! assert_eq!(met, ann);
//! assert_eq!(rendezvous.remove(met), Some("ann"));
//! ```

use coutil_event::core::{Registry, Wait};
use std::fmt;

/// Names a channel of a [`Rendezvous`].
pub use coutil_event::core::QueueId as ChannelId;
/// Names a party of a [`Rendezvous`].
pub use coutil_event::core::WaiterId as PartyId;

/// The side of a channel that a party takes.
///
/// The two sides are equal: both give something, and get something. The names only tell them apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Endpoint {
    /// Meets those who take `Out`, and `Any`.
    In,
    /// Meets those who take `In`, and `Any`.
    Out,
    /// Meets everybody.
    Any,
}

impl Endpoint {
    /// Whether the two can be matched.
    ///
    /// ```
    /// # use coutil_channel::core::Endpoint::{Any, In, Out};
    /// assert!(In.meets(Out) && Out.meets(In) && Any.meets(Any) && Any.meets(In) && Out.meets(Any));
    /// assert!(!In.meets(In) && !Out.meets(Out));
    /// ```
    #[must_use]
    pub fn meets(self, other: Self) -> bool {
        self != other || self == Self::Any
    }
}

struct Place<D> {
    /// What those take who wait here, if anybody does.
    endpoint: Endpoint,
    data: D,
}

/// Channels, and who waits in them; see the [module](self).
pub struct Rendezvous<W, D = ()> {
    registry: Registry<W, Place<D>>,
}

impl<W, D> Default for Rendezvous<W, D> {
    fn default() -> Self {
        Self::new()
    }
}

impl<W, D> fmt::Debug for Rendezvous<W, D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rendezvous")
            .field("channels", &self.channels())
            .field("parties", &self.parties())
            .finish_non_exhaustive()
    }
}

impl<W, D> Rendezvous<W, D> {
    /// Without channels.
    pub const fn new() -> Self {
        Self { registry: Registry::new() }
    }

    /// How many channels are open.
    pub fn channels(&self) -> usize {
        self.registry.queues()
    }

    /// How many parties there are, those that were matched and not removed included.
    pub fn parties(&self) -> usize {
        self.registry.waiters()
    }

    /// Makes a channel where nobody waits.
    #[must_use = "nothing else names the channel"]
    pub fn open(&mut self, data: D) -> ChannelId {
        self.registry.open(Place { endpoint: Endpoint::Any, data })
    }

    /// Ends a channel. Whoever waits there is removed.
    pub fn close(&mut self, channel: ChannelId) -> Option<D> {
        self.registry.close(channel).map(|place| place.data)
    }

    /// What belongs to a channel. `None` if it is closed.
    pub fn data(&self, channel: ChannelId) -> Option<&D> {
        self.registry.data(channel).map(|place| &place.data)
    }

    /// As [`data`](Self::data), to change it.
    pub fn data_mut(&mut self, channel: ChannelId) -> Option<&mut D> {
        self.registry.data_mut(channel).map(|place| &mut place.data)
    }

    /// How many wait in a channel.
    pub fn waiting(&self, channel: ChannelId) -> usize {
        self.registry.len(channel)
    }

    /// Takes the party out of the queue that has waited longest, if it can be matched with one that takes this endpoint. It is
    /// to be [removed](Self::remove) when both know of it.
    #[must_use = "a party that was met stays until it is removed"]
    pub fn meet(&mut self, channel: ChannelId, endpoint: Endpoint) -> Option<PartyId> {
        let place = self.registry.data(channel)?;
        if self.registry.is_empty(channel) || !place.endpoint.meets(endpoint) {
            return None;
        }
        self.registry.pop(channel).map(|popped| popped.waiter)
    }

    /// Joins the end of the queue: right after [`meet`](Self::meet) for the same endpoint found nobody.
    ///
    /// # Panics
    ///
    /// If somebody waits there whom it could be matched with, or the channel is closed.
    pub fn join(&mut self, channel: ChannelId, endpoint: Endpoint, party: W) -> PartyId {
        let empty = self.registry.is_empty(channel);
        let place = self.registry.data_mut(channel).expect("the channel is open");
        if empty {
            place.endpoint = endpoint;
        } else {
            assert!(!place.endpoint.meets(endpoint), "somebody waits there to be met");
        }
        let party = self.registry.enroll(party, Wait::Any);
        self.registry.join(party, channel);
        party
    }

    /// Whether a party waits: it is in a queue.
    pub fn is_waiting(&self, party: PartyId) -> bool {
        self.registry.is_waiting(party)
    }

    /// A party. `None` if it was removed.
    pub fn get(&self, party: PartyId) -> Option<&W> {
        self.registry.get(party)
    }

    /// As [`get`](Self::get), to change it.
    pub fn get_mut(&mut self, party: PartyId) -> Option<&mut W> {
        self.registry.get_mut(party)
    }

    /// Takes a party out of the queue that it waits in, and says which channel that is. `None` if it does not wait.
    pub fn leave(&mut self, party: PartyId) -> Option<ChannelId> {
        self.registry.leave(party)
    }

    /// Ends a party, whether it waits or was matched. `None` if that was done already.
    pub fn remove(&mut self, party: PartyId) -> Option<W> {
        self.registry.remove(party)
    }
}
