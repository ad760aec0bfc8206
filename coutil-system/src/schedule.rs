//! Which operation is next: the order of the event loop, without any I/O.
//!
//! An *operation* is something that somebody, the *waiter*, is told about once. It stands in one of these places:
//!
//! - the *zero* list: zero-delay suspensions, newest first. A pass takes the list as it is, and visits each from front to
//!   back; one that is suspended again while it is being delivered keeps its place, new ones go to the front;
//! - the *timers*: earliest deadline first, then in the order in which they were started;
//! - *due*: operations that can be delivered; accepts first, then in the order in which they were started;
//! - *parked*: whatever it waits for knows it;
//! - *deferred*: to be moved to the zero list when the pass ends;
//! - *held*: by the host, which is starting it, or delivering it.
//!
//! The time is that of the last [`set_now`](Schedule::set_now): it does not move by itself.

use crate::table::{Id, Table};
use std::collections::BTreeMap;

const NIL: u32 = u32::MAX;

/// So many entries for operations that were cancelled are left in a list, besides twice those there are.
const STALE: usize = 64;

/// So many of what a list of due operations has are sorted without memory of its own: a page of them.
const SORTED_IN_PLACE: usize = 4096 / size_of::<(u64, OpId)>();

/// Names an operation.
pub type OpId = Id;

/// Of operations that are due at the same time, which goes first. Within a class the one that was started first does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// The acceptance of a connection: before the end of the `connect` that made it.
    Accept,
    /// Anything else.
    Other,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Held,
    /// Held, and in a zero list, at the place that it keeps if it is suspended again.
    HeldInZero(Side),
    Zero(Side),
    Timer {
        deadline: u64,
    },
    Due,
    Parked,
    Deferred,
}

impl Place {
    const fn is_held(self) -> bool {
        matches!(self, Self::Held | Self::HeldInZero(_))
    }
}

/// Which of the two zero lists.
type Side = bool;

struct Op<W> {
    place: Place,
    /// Neighbours in the list that it stands in.
    prev: u32,
    next: u32,
    /// The order in which operations were started.
    start: u64,
    id: OpId,
    waiter: W,
}

/// Front and back of a doubly linked list of operations.
#[derive(Clone, Copy)]
struct List {
    front: u32,
    back: u32,
}

const EMPTY: List = List { front: NIL, back: NIL };

/// See the [module](self).
pub(crate) struct Schedule<W> {
    ops: Table<Op<W>>,
    /// How many of them are held.
    held: usize,
    now: u64,
    start: u64,
    /// A pass visits the one list, and fills the other.
    zero: [List; 2],
    filled: Side,
    timers: BTreeMap<(u64, u64), OpId>,
    due: Vec<(u64, OpId)>,
    /// What the pass delivers of `due`, last one first.
    delivered: Vec<(u64, OpId)>,
    deferred: Vec<(u64, OpId)>,
}

impl<W> Default for Schedule<W> {
    fn default() -> Self {
        Self::new()
    }
}

impl<W> std::fmt::Debug for Schedule<W> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Schedule").field("operations", &self.ops.len()).finish_non_exhaustive()
    }
}

impl<W> Schedule<W> {
    /// Without operations, at time 0.
    pub(crate) const fn new() -> Self {
        Self {
            ops: Table::new(),
            held: 0,
            now: 0,
            start: 0,
            zero: [EMPTY; 2],
            filled: false,
            timers: BTreeMap::new(),
            due: Vec::new(),
            delivered: Vec::new(),
            deferred: Vec::new(),
        }
    }

    /// The time that timers are compared with, in nanoseconds.
    pub(crate) fn now(&self) -> u64 {
        self.now
    }

    /// Lets the time be `now`.
    pub(crate) fn set_now(&mut self, now: u64) {
        self.now = now;
    }

    /// How many operations there are, those that are held included.
    pub(crate) fn len(&self) -> usize {
        self.ops.len()
    }

    /// How many operations wait: those that are not held.
    pub(crate) fn waiting(&self) -> usize {
        self.ops.len() - self.held
    }

    /// The index of the next operation that is made.
    pub(crate) fn next_index(&self) -> usize {
        self.ops.next_index()
    }

    /// Makes an operation, which is held.
    pub(crate) fn hold(&mut self, waiter: W) -> OpId {
        self.start += 1;
        self.held += 1;
        let op = Op { place: Place::Held, prev: NIL, next: NIL, start: self.start, id: Id::NONE, waiter };
        let id = self.ops.insert(op);
        if let Some(op) = self.ops.get_mut(id) {
            op.id = id;
        }
        id
    }

    /// Who waits.
    #[inline]
    pub(crate) fn waiter(&self, id: OpId) -> Option<&W> {
        self.ops.get(id).map(|op| &op.waiter)
    }

    /// As [`waiter`](Self::waiter), to change it.
    #[inline]
    pub(crate) fn waiter_mut(&mut self, id: OpId) -> Option<&mut W> {
        self.ops.get_mut(id).map(|op| &mut op.waiter)
    }

    /// Whether it is held.
    #[inline]
    pub(crate) fn is_held(&self, id: OpId) -> bool {
        self.ops.get(id).is_some_and(|op| op.place.is_held())
    }

    /// Whether it is parked.
    pub(crate) fn is_parked(&self, id: OpId) -> bool {
        self.place(id) == Some(Place::Parked)
    }

    /// Starts a zero-delay suspension.
    #[inline]
    pub(crate) fn suspend(&mut self, id: OpId) {
        if self.suspend_again(id) {
            return;
        }
        if let Some(Place::Held | Place::Deferred) = self.place(id) {
            self.set_place(id, Place::Zero(self.filled));
            self.push_front(id);
        }
    }

    /// Whether it is a zero-delay suspension that is being delivered.
    #[inline]
    pub(crate) fn is_held_in_zero(&self, id: OpId) -> bool {
        self.ops.get(id).is_some_and(|op| matches!(op.place, Place::HeldInZero(_)))
    }

    /// Starts one again that is being delivered; it keeps its place. False, and nothing happens, if it is not.
    #[inline]
    fn suspend_again(&mut self, id: OpId) -> bool {
        match self.ops.get_mut(id) {
            Some(Op { place: place @ Place::HeldInZero(_), .. }) => {
                if let Place::HeldInZero(side) = *place {
                    *place = Place::Zero(side);
                    self.held -= 1;
                }
                true
            }
            _ => false,
        }
    }

    /// One that was started again, and kept its place, is being delivered as before.
    pub(crate) fn unsuspend(&mut self, id: OpId) {
        if let Some(Op { place, .. }) = self.ops.get_mut(id)
            && let Place::Zero(side) = *place
        {
            *place = Place::HeldInZero(side);
            self.held += 1;
        }
    }

    /// Starts a zero-delay suspension at the end of the pass.
    pub(crate) fn defer(&mut self, id: OpId) {
        if self.restart(id, Place::Deferred) {
            if self.deferred.len() > 2 * self.ops.len() + STALE {
                let ops = &self.ops;
                self.deferred.retain(|(start, id)| {
                    ops.get(*id).is_some_and(|op| op.place == Place::Deferred && op.start == *start)
                });
            }
            self.deferred.push((self.start, id));
        }
    }

    /// Starts a timer. A deadline that is not later than the time is taken for the next nanosecond: it comes in the next
    /// pass.
    pub(crate) fn set_timer(&mut self, id: OpId, deadline: u64) {
        let deadline = deadline.max(self.now.saturating_add(1));
        if self.restart(id, Place::Timer { deadline })
            && let Some(op) = self.ops.get(id)
        {
            self.timers.insert((deadline, op.start), id);
        }
    }

    /// Starts an operation that [`make_due`](Self::make_due) ends.
    #[inline]
    pub(crate) fn park(&mut self, id: OpId) {
        match self.ops.get_mut(id) {
            // As below, but it stands in no list.
            Some(op) if op.place == Place::Held => {
                self.start += 1;
                self.held -= 1;
                (op.place, op.start) = (Place::Parked, self.start);
            }
            _ => {
                self.restart(id, Place::Parked);
            }
        }
    }

    /// An operation that was tried, without success, waits again. It keeps its order.
    pub(crate) fn park_again(&mut self, id: OpId) {
        if self.is_held(id) {
            self.leave(id);
            self.set_place(id, Place::Parked);
        }
    }

    /// A parked operation can be delivered.
    #[inline]
    pub(crate) fn make_due(&mut self, id: OpId, class: Class) {
        if let Some(op) = self.ops.get_mut(id)
            && op.place == Place::Parked
        {
            op.place = Place::Due;
            let class = if class == Class::Accept { 0 } else { 1 << 63 };
            self.due.push((class | op.start, id));
            if self.due.len() > 2 * self.ops.len() + STALE {
                self.sweep_due();
            }
        }
    }

    #[cold]
    fn sweep_due(&mut self) {
        let ops = &self.ops;
        self.due.retain(|(key, id)| {
            ops.get(*id).is_some_and(|op| op.place == Place::Due && op.start == key & !(1 << 63))
        });
    }

    /// Holds an operation, wherever it stands.
    pub(crate) fn take(&mut self, id: OpId) {
        self.leave(id);
        self.set_place(id, Place::Held);
    }

    /// Ends an operation, wherever it stands.
    pub(crate) fn remove(&mut self, id: OpId) -> Option<W> {
        self.leave(id);
        let op = self.ops.remove(id)?;
        self.held -= usize::from(op.place.is_held());
        Some(op.waiter)
    }

    /// Ends an operation if it is held, as after its delivery. False if it was started again.
    #[inline]
    pub(crate) fn release(&mut self, id: OpId) -> bool {
        let held = self.is_held(id);
        if held {
            self.remove(id);
        }
        held
    }

    /// The earliest deadline.
    #[inline]
    pub(crate) fn deadline(&self) -> Option<u64> {
        self.timers.first_key_value().map(|((deadline, _), _)| *deadline)
    }

    /// The next timer that has expired. It is held.
    #[inline]
    pub(crate) fn next_timer(&mut self) -> Option<OpId> {
        let entry = self.timers.first_entry()?;
        if entry.key().0 > self.now {
            return None;
        }
        let id = entry.remove();
        self.set_place(id, Place::Held);
        Some(id)
    }

    /// A pass visits the zero-delay suspensions that there are now; or what is left, if the last one was given up.
    pub(crate) fn begin_zero(&mut self) {
        if self.zero[usize::from(!self.filled)].front == NIL {
            self.filled = !self.filled;
        }
    }

    /// The next one of the pass. It is held, and its place is kept.
    #[inline]
    pub(crate) fn next_zero(&mut self) -> Option<OpId> {
        let (filled, visited) = (self.filled, usize::from(!self.filled));
        let index = self.zero[visited].front;
        let op = self.at(index)?;
        let (id, next) = (op.id, op.next);
        op.place = Place::HeldInZero(filled);
        op.next = NIL;
        self.held += 1;
        self.zero[visited].front = next;
        match self.at(next) {
            Some(op) => op.prev = NIL,
            None => self.zero[visited].back = NIL,
        }
        let back = std::mem::replace(&mut self.zero[usize::from(filled)].back, index);
        match self.at(back) {
            Some(op) => op.next = index,
            None => self.zero[usize::from(filled)].front = index,
        }
        if let Some(op) = self.at(index) {
            op.prev = back;
        }
        Some(id)
    }

    /// Whether there are zero-delay suspensions.
    #[inline]
    pub(crate) fn has_zero(&self) -> bool {
        self.zero.iter().any(|list| list.front != NIL)
    }

    /// Whether there are such suspensions, and nothing else that a pass would deliver or move.
    #[inline]
    pub(crate) fn has_only_zero(&self) -> bool {
        self.has_zero()
            && !self.has_due()
            && !self.has_deferred()
            && self.deadline().is_none_or(|deadline| deadline > self.now)
    }

    /// Whether there are operations that can be delivered, or that were cancelled since.
    #[inline]
    pub(crate) fn has_due(&self) -> bool {
        !self.due.is_empty() || !self.delivered.is_empty()
    }

    /// Whether there are deferred operations, or that were cancelled since.
    pub(crate) fn has_deferred(&self) -> bool {
        !self.deferred.is_empty()
    }

    /// A pass delivers the operations that are due now.
    pub(crate) fn begin_due(&mut self) {
        if !self.due.is_empty() {
            self.delivered.append(&mut self.due);
            let later = |a: &(u64, OpId), b: &(u64, OpId)| b.0.cmp(&a.0);
            // They come in few runs that are in order: those that were done when they were started, and those that a poll told
            // about. The stable sort merges runs; for more than these it would allocate.
            if self.delivered.len() <= SORTED_IN_PLACE {
                self.delivered.sort_by(later);
            } else {
                self.delivered.sort_unstable_by(later);
            }
        }
    }

    /// The next one of the pass. It is held.
    #[inline]
    pub(crate) fn next_due(&mut self) -> Option<OpId> {
        while let Some((key, id)) = self.delivered.pop() {
            if let Some(op) = self.ops.get_mut(id)
                && op.place == Place::Due
                && op.start == key & !(1 << 63)
            {
                op.place = Place::Held;
                self.held += 1;
                return Some(id);
            }
        }
        None
    }

    /// The pass ends: deferred suspensions start.
    #[inline]
    pub(crate) fn end(&mut self) {
        if self.has_deferred() {
            self.start_deferred();
        }
    }

    #[cold]
    fn start_deferred(&mut self) {
        for (start, id) in std::mem::take(&mut self.deferred) {
            // It may stand here more than once, if it was taken and deferred again.
            if self.ops.get(id).is_some_and(|op| op.place == Place::Deferred && op.start == start) {
                self.suspend(id);
            }
        }
    }

    /// Calls `f` with every waiter, and with what it waits for, in words.
    pub(crate) fn for_each(&self, mut f: impl FnMut(OpId, &W, &str)) {
        for (id, op) in self.ops.iter() {
            let place = match op.place {
                Place::Held | Place::HeldInZero(_) => "running".to_owned(),
                Place::Zero(_) => "ready".to_owned(),
                Place::Timer { deadline } => {
                    format!("timer in {:.3} s", (deadline.saturating_sub(self.now)) as f64 / 1e9)
                }
                Place::Due => "due".to_owned(),
                Place::Parked => "waiting".to_owned(),
                Place::Deferred => "deferred".to_owned(),
            };
            f(id, &op.waiter, &place);
        }
    }

    fn at(&mut self, index: u32) -> Option<&mut Op<W>> {
        self.ops.at_mut(index as usize)
    }

    fn place(&self, id: OpId) -> Option<Place> {
        self.ops.get(id).map(|op| op.place)
    }

    fn set_place(&mut self, id: OpId, place: Place) {
        if let Some(op) = self.ops.get_mut(id) {
            self.held += usize::from(place.is_held());
            self.held -= usize::from(op.place.is_held());
            op.place = place;
        }
    }

    /// Moves an operation that is held to another place, as if it had just been made.
    fn restart(&mut self, id: OpId, place: Place) -> bool {
        if !self.is_held(id) {
            return false;
        }
        self.leave(id);
        self.start += 1;
        let start = self.start;
        self.set_place(id, place);
        if let Some(op) = self.ops.get_mut(id) {
            op.start = start;
        }
        true
    }

    fn push_front(&mut self, id: OpId) {
        let (index, side) = (id.index() as u32, usize::from(self.filled));
        let front = std::mem::replace(&mut self.zero[side].front, index);
        match self.at(front) {
            Some(op) => op.prev = index,
            None => self.zero[side].back = index,
        }
        if let Some(op) = self.at(index) {
            (op.prev, op.next) = (NIL, front);
        }
    }

    /// Takes an operation out of the list or the timers that it stands in. It may still be named in `due` and `deferred`.
    fn leave(&mut self, id: OpId) {
        let Some(op) = self.ops.get(id) else { return };
        let (prev, next) = (op.prev, op.next);
        let side = match op.place {
            Place::Timer { deadline } => {
                let start = op.start;
                self.timers.remove(&(deadline, start));
                return;
            }
            Place::Zero(side) | Place::HeldInZero(side) => usize::from(side),
            _ => return,
        };
        match self.at(prev) {
            Some(op) => op.next = next,
            None => self.zero[side].front = next,
        }
        match self.at(next) {
            Some(op) => op.prev = prev,
            None => self.zero[side].back = prev,
        }
    }
}

#[cfg(test)]
mod tests;
