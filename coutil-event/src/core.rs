//! The data structure under every primitive: who waits, in which order, and who is next.
//!
//! A [`Registry`] holds *queues* and *waiters*. A waiter stands in any number of queues, at most once in each, and
//! waits either for the first of them ([`Wait::Any`]) or for all of them ([`Wait::All`]). It is generic over what a
//! waiter is (a waker, a suspended coroutine, a thread) and over what else belongs to a queue.
//!
//! There is no I/O here, no lock, no future, and no map from keys to queues: finding the queue of a key is up to the
//! caller. Ids carry a generation, so an id that is out of date finds nothing. Every operation takes constant time, but
//! for those that say otherwise. [`join`](Registry::join), [`pop`](Registry::pop) and the functions that read do not
//! panic (but for a lack of memory, or of more than four thousand million waiters).
//!
//! ```
//! use coutil_event::core::{Registry, Wait};
//!
//! let mut registry = Registry::<&str>::new();
//! let door = registry.open(());
//! let phone = registry.open(());
//!
//! let ann = registry.enroll("ann", Wait::Any);
//! registry.join(ann, door);
//! registry.join(ann, phone);
//! let bob = registry.enroll("bob", Wait::Any);
//! registry.join(bob, door);
//!
//! let first = registry.pop(door).unwrap();
//! assert!(first.done);
//! assert_eq!(registry.remove(first.waiter), Some("ann")); // she does not wait for the phone any more
//! assert!(registry.is_empty(phone));
//! assert_eq!(registry.front(door), Some((bob, &"bob")));
//! ```

use slab::Slab;
use std::fmt;

/// No node, in the links below.
const NIL: u32 = u32::MAX;

/// Generations wrap at this many bits, so that an id fits in 52 bits: it survives a trip through an `f64`.
const GENERATION_BITS: u32 = 20;
const GENERATION_MASK: u32 = (1 << GENERATION_BITS) - 1;

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash)]
        pub struct $name {
            index: u32,
            generation: u32,
        }

        impl $name {
            /// An id that finds nothing.
            pub const NONE: Self = Self { index: NIL, generation: 0 };

            /// The position in the registry's table: small numbers, used again after the id went out of date.
            pub fn index(self) -> u32 {
                self.index
            }

            /// The id as a number of at most 52 bits.
            pub fn to_bits(self) -> u64 {
                u64::from(self.generation) << 32 | u64::from(self.index)
            }

            /// The id of that number. A number that never was an id gives one that finds nothing, or a stranger's.
            pub fn from_bits(bits: u64) -> Self {
                Self { index: bits as u32, generation: (bits >> 32) as u32 & GENERATION_MASK }
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({}#{})", stringify!($name), self.index, self.generation)
            }
        }
    };
}

id! {
    /// Names a queue of a [`Registry`].
    QueueId
}

id! {
    /// Names a waiter of a [`Registry`].
    WaiterId
}

/// What a waiter waits for, of the queues that it stands in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wait {
    /// The first of them.
    Any,
    /// Every one of them, in any order.
    All,
}

/// A waiter that was taken out of a queue by [`Registry::pop`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "a waiter that is done stays in the registry until it is removed"]
pub struct Popped {
    /// Who it is.
    pub waiter: WaiterId,
    /// Whether it has all that it waits for. It may then still stand in other queues, until it is
    /// [removed](Registry::remove).
    pub done: bool,
    /// Whether it stands in other queues or batches.
    pub elsewhere: bool,
}

/// The waiters that one emission took out of a queue at once; see [`Registry::detach`]. It is of use to its own registry
/// only.
#[derive(Debug)]
#[must_use = "a batch has to be emptied with `pop_from`, or discarded"]
pub struct Batch {
    list: u32,
}

struct Queue<D> {
    generation: u32,
    list: u32,
    data: D,
}

/// A doubly linked list of nodes: a queue's, or a batch's.
struct List {
    head: u32,
    tail: u32,
    len: u32,
    /// The queue that its members joined. It may be closed already if this is a batch.
    queue: QueueId,
}

impl List {
    const fn new(queue: QueueId) -> Self {
        Self { head: NIL, tail: NIL, len: 0, queue }
    }
}

struct Waiter<W> {
    generation: u32,
    /// The node that it joined last, if it stands anywhere.
    node: u32,
    wait: Wait,
    payload: W,
}

/// The place of one waiter in one list.
struct Node {
    waiter: u32,
    list: u32,
    /// The neighbours in the list.
    prev: u32,
    next: u32,
    /// The neighbours among the nodes of the same waiter.
    older: u32,
    newer: u32,
}

/// Queues and those who wait in them; see the [module](self).
pub struct Registry<W, D = ()> {
    queues: Slab<Queue<D>>,
    waiters: Slab<Waiter<W>>,
    nodes: Slab<Node>,
    lists: Slab<List>,
    generation: u32,
}

impl<W, D> Default for Registry<W, D> {
    fn default() -> Self {
        Self::new()
    }
}

impl<W, D> fmt::Debug for Registry<W, D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Registry")
            .field("queues", &self.queues.len())
            .field("waiters", &self.waiters.len())
            .finish_non_exhaustive()
    }
}

impl<W, D> Registry<W, D> {
    /// A registry without queues.
    pub const fn new() -> Self {
        Self {
            queues: Slab::new(),
            waiters: Slab::new(),
            nodes: Slab::new(),
            lists: Slab::new(),
            generation: 0,
        }
    }

    /// How many queues are open.
    pub fn queues(&self) -> usize {
        self.queues.len()
    }

    /// How many waiters there are, those that stand nowhere included.
    pub fn waiters(&self) -> usize {
        self.waiters.len()
    }

    // Queues

    /// Makes an empty queue.
    #[must_use = "nothing else names the queue"]
    pub fn open(&mut self, data: D) -> QueueId {
        let generation = self.next_generation();
        let index = position(self.queues.vacant_key());
        let queue = QueueId { index, generation };
        let list = position(self.lists.insert(List::new(queue)));
        self.queues.insert(Queue { generation, list, data });
        queue
    }

    /// Ends a queue. Whoever waits in it is removed from the registry, as by [`remove`](Self::remove). Members of its
    /// batches are not concerned.
    ///
    /// Takes time for every waiter in it.
    pub fn close(&mut self, queue: QueueId) -> Option<D> {
        while let Some((waiter, _)) = self.front(queue) {
            self.remove(waiter);
        }
        self.queue(queue)?;
        let queue = self.queues.remove(queue.index as usize);
        self.lists.remove(queue.list as usize);
        Some(queue.data)
    }

    /// What belongs to a queue besides its waiters. `None` if the queue is closed.
    #[inline]
    pub fn data(&self, queue: QueueId) -> Option<&D> {
        self.queue(queue).map(|queue| &queue.data)
    }

    /// As [`data`](Self::data), to change it.
    #[inline]
    pub fn data_mut(&mut self, queue: QueueId) -> Option<&mut D> {
        match self.queues.get_mut(queue.index as usize) {
            Some(found) if found.generation == queue.generation => Some(&mut found.data),
            _ => None,
        }
    }

    /// Whether nobody waits there; true of a closed queue. Members of a batch do not count.
    pub fn is_empty(&self, queue: QueueId) -> bool {
        self.front(queue).is_none()
    }

    /// How many wait there; 0 for a closed queue. Members of a batch do not count.
    pub fn len(&self, queue: QueueId) -> usize {
        self.queue(queue).map_or(0, |queue| self.lists[queue.list as usize].len as usize)
    }

    /// Who has waited longest in a queue.
    pub fn front(&self, queue: QueueId) -> Option<(WaiterId, &W)> {
        let node = self.node(self.lists[self.queue(queue)?.list as usize].head)?;
        let waiter = &self.waiters[node.waiter as usize];
        Some((WaiterId { index: node.waiter, generation: waiter.generation }, &waiter.payload))
    }

    // Waiters

    /// Makes a waiter that waits for nothing yet.
    #[must_use = "nothing else names the waiter"]
    pub fn enroll(&mut self, payload: W, wait: Wait) -> WaiterId {
        let generation = self.next_generation();
        let index = position(self.waiters.insert(Waiter { generation, node: NIL, wait, payload }));
        WaiterId { index, generation }
    }

    /// Appends a waiter to a queue. Does nothing, and returns false, if it was the last to join it, or if one of them
    /// is out of date.
    ///
    /// A waiter must have joined all its queues before another joins any: so it stands at most once in each, whatever
    /// list of queues it was given.
    #[inline]
    pub fn join(&mut self, waiter: WaiterId, queue: QueueId) -> bool {
        let (Some(entry), Some(found)) = (self.waiter(waiter), self.queue(queue)) else { return false };
        let (older, list) = (entry.node, found.list);
        let Some(tail) = self.lists.get(list as usize).map(|list| list.tail) else { return false };
        if let Some(last) = self.node(tail)
            && last.waiter == waiter.index
        {
            return false;
        }
        let node = Node { waiter: waiter.index, list, prev: tail, next: NIL, older, newer: NIL };
        let node = position(self.nodes.insert(node));
        if let Some(last) = self.node_mut(tail) {
            last.next = node;
        }
        if let Some(list) = self.lists.get_mut(list as usize) {
            if tail == NIL {
                list.head = node;
            }
            list.tail = node;
            list.len += 1;
        }
        if let Some(older) = self.node_mut(older) {
            older.newer = node;
        }
        if let Some(waiter) = self.waiters.get_mut(waiter.index as usize) {
            waiter.node = node;
        }
        true
    }

    /// The payload of a waiter. `None` if it was removed.
    #[inline]
    pub fn get(&self, waiter: WaiterId) -> Option<&W> {
        self.waiter(waiter).map(|waiter| &waiter.payload)
    }

    /// As [`get`](Self::get), to change it.
    #[inline]
    pub fn get_mut(&mut self, waiter: WaiterId) -> Option<&mut W> {
        match self.waiters.get_mut(waiter.index as usize) {
            Some(found) if found.generation == waiter.generation => Some(&mut found.payload),
            _ => None,
        }
    }

    /// Whether a waiter stands in any queue or batch.
    #[inline]
    pub fn is_waiting(&self, waiter: WaiterId) -> bool {
        self.waiter(waiter).is_some_and(|waiter| waiter.node != NIL)
    }

    /// Takes a waiter out of one of the queues or batches that it stands in, the last that it joined, and says which
    /// queue that was. `None` if it stands nowhere. The queue of a batch may have been closed since: its id is out of
    /// date then.
    ///
    /// [`remove`](Self::remove) does it for all at once; this is for those who keep books for each queue.
    pub fn leave(&mut self, waiter: WaiterId) -> Option<QueueId> {
        let node = self.waiter(waiter)?.node;
        let list = self.node(node)?.list;
        self.unlink(node);
        Some(self.lists[list as usize].queue)
    }

    /// Ends a waiter, wherever it stands. `None` if that was done already.
    ///
    /// Takes time for every queue that it stands in.
    pub fn remove(&mut self, waiter: WaiterId) -> Option<W> {
        while self.waiter(waiter)?.node != NIL {
            let node = self.waiters[waiter.index as usize].node;
            self.unlink(node);
        }
        Some(self.waiters.remove(waiter.index as usize).payload)
    }

    // Emissions

    /// Takes out the one who has waited longest in a queue.
    #[inline]
    #[must_use = "a waiter that is done stays in the registry until it is removed"]
    pub fn pop(&mut self, queue: QueueId) -> Option<Popped> {
        let list = self.queue(queue)?.list;
        self.pop_list(list)
    }

    /// Takes out all who wait in a queue, as a batch: those who join the queue from now on are not in it. A member
    /// that is removed leaves the batch. `None` if nobody waits.
    #[must_use = "a batch has to be emptied with `pop_from`, or discarded"]
    pub fn detach(&mut self, queue: QueueId) -> Option<Batch> {
        let list = self.queue(queue)?.list;
        if self.lists[list as usize].head == NIL {
            return None;
        }
        self.queues[queue.index as usize].list = position(self.lists.insert(List::new(queue)));
        Some(Batch { list })
    }

    /// Takes out the next one of a batch. After `None` the batch is empty for good; it still has to be
    /// [discarded](Self::discard).
    #[must_use = "a waiter that is done stays in the registry until it is removed"]
    pub fn pop_from(&mut self, batch: &Batch) -> Option<Popped> {
        self.pop_list(batch.list)
    }

    /// Ends a batch. Members that were not taken out are removed from the registry.
    ///
    /// Takes time for every member that is left.
    pub fn discard(&mut self, batch: Batch) {
        while let Some(node) = self.node(self.lists[batch.list as usize].head) {
            let index = node.waiter;
            let generation = self.waiters[index as usize].generation;
            self.remove(WaiterId { index, generation });
        }
        self.lists.remove(batch.list as usize);
    }

    // Inside

    fn next_generation(&mut self) -> u32 {
        // Zero is nobody's, so that `from_bits` of a small number finds nothing.
        self.generation = (self.generation % GENERATION_MASK) + 1;
        self.generation
    }

    #[inline]
    fn queue(&self, id: QueueId) -> Option<&Queue<D>> {
        self.queues.get(id.index as usize).filter(|queue| queue.generation == id.generation)
    }

    #[inline]
    fn waiter(&self, id: WaiterId) -> Option<&Waiter<W>> {
        self.waiters.get(id.index as usize).filter(|waiter| waiter.generation == id.generation)
    }

    #[inline]
    fn node(&self, node: u32) -> Option<&Node> {
        if node == NIL {
            return None;
        }
        visit();
        self.nodes.get(node as usize)
    }

    #[inline]
    fn node_mut(&mut self, node: u32) -> Option<&mut Node> {
        if node == NIL {
            return None;
        }
        visit();
        self.nodes.get_mut(node as usize)
    }

    #[inline]
    fn pop_list(&mut self, list: u32) -> Option<Popped> {
        let node = self.lists.get(list as usize)?.head;
        let index = self.unlink(node)?;
        let waiter = self.waiters.get(index as usize)?;
        let elsewhere = waiter.node != NIL;
        let done = waiter.wait == Wait::Any || !elsewhere;
        Some(Popped { waiter: WaiterId { index, generation: waiter.generation }, done, elsewhere })
    }

    /// Takes a node out of its list and away from its waiter, whose index is returned. `None` if there is no such node.
    #[inline]
    fn unlink(&mut self, node: u32) -> Option<u32> {
        visit();
        let Node { waiter, list, prev, next, older, newer } = self.nodes.try_remove(node as usize)?;
        if let Some(prev) = self.node_mut(prev) {
            prev.next = next;
        }
        if let Some(next) = self.node_mut(next) {
            next.prev = prev;
        }
        if let Some(list) = self.lists.get_mut(list as usize) {
            if prev == NIL {
                list.head = next;
            }
            if next == NIL {
                list.tail = prev;
            }
            list.len -= 1;
        }
        if let Some(older) = self.node_mut(older) {
            older.newer = newer;
        }
        if let Some(newer) = self.node_mut(newer) {
            newer.older = older;
        } else if let Some(waiter) = self.waiters.get_mut(waiter as usize) {
            waiter.node = older;
        }
        Some(waiter)
    }
}

/// A position in one of the tables, as the links have it.
fn position(key: usize) -> u32 {
    match u32::try_from(key) {
        Ok(key) if key != NIL => key,
        _ => panic!("too many waiters"),
    }
}

/// Called once for each node that is looked at: the tests count them.
#[inline(always)]
fn visit() {
    #[cfg(test)]
    tests::VISITS.set(tests::VISITS.get() + 1);
}

#[cfg(test)]
mod tests;
