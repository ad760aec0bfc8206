//! Who waits in which queue: the registry of `coutil_event::core`, with a short way for a queue in which one coroutine
//! waits for that event alone. Most are like that, and then neither a node nor a list is touched.
//!
//! **Invariant.** Where an event has somebody `alone`, nobody stands in its queue in the registry; and that waiter says so
//! too, stands nowhere else, and waits for any of its events.

use crate::state::{Event, Thread};
use coutil_event::core::{Batch, Popped, QueueId, Registry, Wait, WaiterId};

/// An [`Event::alone`] that is none: no waiter has generation 0.
pub(crate) const NOBODY: u64 = 0;

/// A coroutine that waits for events.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Waiter {
    pub(crate) thread: Thread,
    /// The queue that it joined last by [`Queues::join_one`].
    pub(crate) queue: QueueId,
    /// In how many queues of values that are never collected it stands: they share one anchor.
    pub(crate) strong: u32,
    /// Whether it waits for all its events, so that it is resumed with `true` and not with what was emitted.
    pub(crate) all: bool,
    /// Whether it waits in `queue`, but is not in the registry's.
    alone: bool,
}

/// See the [module](self). The functions are those of the registry, unless they say otherwise.
#[derive(Debug, Default)]
pub(crate) struct Queues {
    registry: Registry<Waiter, Event>,
}

impl Queues {
    pub(crate) fn open(&mut self, event: Event) -> QueueId {
        self.registry.open(event)
    }

    pub(crate) fn close(&mut self, queue: QueueId) -> Option<Event> {
        self.settle(queue);
        self.registry.close(queue)
    }

    #[inline]
    pub(crate) fn data(&self, queue: QueueId) -> Option<&Event> {
        self.registry.data(queue)
    }

    #[inline]
    pub(crate) fn data_mut(&mut self, queue: QueueId) -> Option<&mut Event> {
        self.registry.data_mut(queue)
    }

    pub(crate) fn enroll(&mut self, thread: Thread, all: bool) -> WaiterId {
        let wait = if all { Wait::All } else { Wait::Any };
        self.registry.enroll(Waiter { thread, queue: QueueId::NONE, strong: 0, all, alone: false }, wait)
    }

    #[inline]
    pub(crate) fn get(&self, waiter: WaiterId) -> Option<&Waiter> {
        self.registry.get(waiter)
    }

    #[inline]
    pub(crate) fn get_mut(&mut self, waiter: WaiterId) -> Option<&mut Waiter> {
        self.registry.get_mut(waiter)
    }

    pub(crate) fn is_empty(&self, queue: QueueId) -> bool {
        self.front(queue).is_none()
    }

    pub(crate) fn front(&self, queue: QueueId) -> Option<(WaiterId, &Waiter)> {
        match self.data(queue)?.alone {
            NOBODY => self.registry.front(queue),
            waiter => {
                let waiter = WaiterId::from_bits(waiter);
                self.get(waiter).map(|found| (waiter, found))
            }
        }
    }

    pub(crate) fn is_waiting(&self, waiter: WaiterId) -> bool {
        self.get(waiter).is_some_and(|waiter| waiter.alone) || self.registry.is_waiting(waiter)
    }

    pub(crate) fn join(&mut self, waiter: WaiterId, queue: QueueId) -> bool {
        self.settle(queue);
        self.registry.join(waiter, queue)
    }

    /// The only queue that a waiter joins, which waits for any and stands nowhere.
    #[inline]
    pub(crate) fn join_one(&mut self, waiter: WaiterId, queue: QueueId, strong: bool) {
        let alone = self.registry.is_empty(queue);
        let Some(event) = self.registry.data_mut(queue) else { return };
        let alone = alone && event.alone == NOBODY;
        if alone {
            event.alone = waiter.to_bits();
        }
        if let Some(found) = self.registry.get_mut(waiter) {
            found.queue = queue;
            found.strong = strong.into();
            found.alone = alone;
        }
        if !alone {
            self.join(waiter, queue);
        }
    }

    pub(crate) fn leave(&mut self, waiter: WaiterId) -> Option<QueueId> {
        let found = self.registry.get_mut(waiter)?;
        if !std::mem::take(&mut found.alone) {
            return self.registry.leave(waiter);
        }
        let queue = found.queue;
        if let Some(event) = self.registry.data_mut(queue) {
            event.alone = NOBODY;
        }
        Some(queue)
    }

    pub(crate) fn remove(&mut self, waiter: WaiterId) -> Option<Waiter> {
        if self.get(waiter)?.alone {
            self.leave(waiter);
        }
        self.registry.remove(waiter)
    }

    #[inline(always)]
    pub(crate) fn pop(&mut self, queue: QueueId) -> Option<Popped> {
        let waiter = std::mem::replace(&mut self.registry.data_mut(queue)?.alone, NOBODY);
        if waiter == NOBODY {
            return self.registry.pop(queue);
        }
        let waiter = WaiterId::from_bits(waiter);
        self.registry.get_mut(waiter)?.alone = false;
        Some(Popped { waiter, done: true, elsewhere: false })
    }

    pub(crate) fn detach(&mut self, queue: QueueId) -> Option<Batch> {
        self.settle(queue);
        self.registry.detach(queue)
    }

    pub(crate) fn pop_from(&mut self, batch: &Batch) -> Option<Popped> {
        self.registry.pop_from(batch)
    }

    pub(crate) fn discard(&mut self, batch: Batch) {
        self.registry.discard(batch);
    }

    /// Puts who waits there alone into the registry's queue.
    fn settle(&mut self, queue: QueueId) {
        let Some(event) = self.registry.data_mut(queue) else { return };
        let waiter = std::mem::replace(&mut event.alone, NOBODY);
        if waiter == NOBODY {
            return;
        }
        let waiter = WaiterId::from_bits(waiter);
        if let Some(found) = self.registry.get_mut(waiter) {
            found.alone = false;
        }
        self.registry.join(waiter, queue);
    }
}
