//! Both kinds of events against a model that searches through vectors.

use crate::util::{Count, poll_with};
use coutil_event::futures::{Wait, WaitAll, WaitAny};
use coutil_event::{Events, QueuedEvents};
use proptest::prelude::*;
use std::sync::Arc;
use std::task::{Poll, Waker};

const KEYS: u8 = 4;

#[derive(Clone, Debug)]
enum Op {
    Wait(u8),
    WaitAny(Vec<u8>),
    WaitAll(Vec<u8>),
    EmitOne(u8),
    EmitAll(u8),
    Poll(usize),
    Drop(usize),
}

fn op() -> impl Strategy<Value = Op> {
    let keys = |least| prop::collection::vec(0..KEYS, least..5);
    prop_oneof![
        3 => (0..KEYS).prop_map(Op::Wait),
        2 => keys(1).prop_map(Op::WaitAny),
        2 => keys(0).prop_map(Op::WaitAll),
        5 => (0..KEYS).prop_map(Op::EmitOne),
        2 => (0..KEYS).prop_map(Op::EmitAll),
        5 => (0..1000usize).prop_map(Op::Poll),
        3 => (0..1000usize).prop_map(Op::Drop),
    ]
}

/// What reached a wait: key, value, and when it was emitted if it was for one wait only.
type Emission = (u8, u32, Option<u32>);

#[derive(Debug)]
struct Waiter {
    all: bool,
    /// What it waits for still.
    missing: Vec<u8>,
    got: Vec<Emission>,
    done: bool,
    /// Returned or dropped.
    gone: bool,
}

#[derive(Default)]
struct Model {
    stores: bool,
    clock: u32,
    /// In the order in which they began to wait.
    waiters: Vec<Waiter>,
    /// In the order in which they were emitted.
    records: Vec<Emission>,
}

impl Model {
    fn wait(&mut self, keys: &[u8], all: bool) {
        let mut missing = Vec::new();
        for &key in keys {
            if !missing.contains(&key) {
                missing.push(key);
            }
        }
        let mut got = Vec::new();
        for key in missing.clone() {
            if let Some(at) = self.records.iter().position(|record| record.0 == key)
                && (all || got.is_empty())
            {
                got.push(self.records.remove(at));
                missing.retain(|&other| other != key);
            }
        }
        let done = if all { missing.is_empty() } else { !got.is_empty() };
        if done {
            missing.clear();
        }
        self.waiters.push(Waiter { all, missing, got, done, gone: false });
    }

    /// Gives an emission to a wait.
    fn hand(waiter: &mut Waiter, emission: Emission) {
        waiter.got.push(emission);
        waiter.missing.retain(|&key| waiter.all && key != emission.0);
        waiter.done = waiter.missing.is_empty();
    }

    fn deliver(&mut self, key: u8, value: u32, order: u32) -> bool {
        if let Some(waiter) = self.waiters.iter_mut().find(|waiter| waiter.missing.contains(&key)) {
            Self::hand(waiter, (key, value, Some(order)));
            return true;
        }
        if self.stores {
            self.records.push((key, value, Some(order)));
            self.records.sort_by_key(|record| record.2);
        }
        false
    }

    fn emit_one(&mut self, key: u8, value: u32) -> bool {
        self.clock += 1;
        self.deliver(key, value, self.clock)
    }

    fn emit_all(&mut self, key: u8, value: u32) -> bool {
        let mut any = false;
        for waiter in self.waiters.iter_mut().filter(|waiter| waiter.missing.contains(&key)) {
            Self::hand(waiter, (key, value, None));
            any = true;
        }
        any || self.emit_one(key, value) // which stores it, if that is done at all
    }

    fn drop(&mut self, waiter: usize) {
        let waiter = &mut self.waiters[waiter];
        waiter.gone = true;
        waiter.missing.clear();
        for (key, value, order) in std::mem::take(&mut waiter.got) {
            if let Some(order) = order {
                self.deliver(key, value, order);
            }
        }
    }
}

/// The two kinds of events have the same methods.
trait Face {
    const STORES: bool;
    fn wait(&self, key: u8) -> Wait<u8, u32>;
    fn wait_any(&self, keys: Vec<u8>) -> WaitAny<u8, u32>;
    fn wait_all(&self, keys: Vec<u8>) -> WaitAll<u8, u32>;
    fn emit_one(&self, key: u8, value: u32) -> bool;
    fn emit_all(&self, key: u8, value: u32) -> bool;
    fn is_awaited(&self, key: u8) -> bool;
    fn is_queued(&self, key: u8) -> bool;
}

macro_rules! face {
    ($type:ident, $stores:expr, $is_queued:expr) => {
        impl Face for $type<u8, u32> {
            const STORES: bool = $stores;
            fn wait(&self, key: u8) -> Wait<u8, u32> {
                $type::wait(self, key)
            }
            fn wait_any(&self, keys: Vec<u8>) -> WaitAny<u8, u32> {
                $type::wait_any(self, keys)
            }
            fn wait_all(&self, keys: Vec<u8>) -> WaitAll<u8, u32> {
                $type::wait_all(self, keys)
            }
            fn emit_one(&self, key: u8, value: u32) -> bool {
                $type::emit_one(self, &key, value)
            }
            fn emit_all(&self, key: u8, value: u32) -> bool {
                $type::emit_all(self, &key, value)
            }
            fn is_awaited(&self, key: u8) -> bool {
                $type::is_awaited(self, &key)
            }
            fn is_queued(&self, key: u8) -> bool {
                let is_queued: fn(&Self, &u8) -> bool = $is_queued;
                is_queued(self, &key)
            }
        }
    };
}

face!(Events, false, |_, _| false);
face!(QueuedEvents, true, QueuedEvents::is_queued);

enum Future {
    One(Wait<u8, u32>),
    Any(WaitAny<u8, u32>),
    All(WaitAll<u8, u32>),
}

impl Future {
    /// Polls; what it returns is the emission, without the key if it does not tell.
    fn poll(&mut self, waker: &Waker) -> Poll<(Option<u8>, Option<u32>)> {
        match self {
            Future::One(wait) => poll_with(wait, waker).map(|value| (None, Some(value))),
            Future::Any(wait) => poll_with(wait, waker).map(|(key, value)| (Some(key), Some(value))),
            Future::All(wait) => poll_with(wait, waker).map(|()| (None, None)),
        }
    }
}

fn check<F: Face>(face: &F, ops: Vec<Op>) {
    let mut model = Model { stores: F::STORES, ..Model::default() };
    let mut futures: Vec<Option<Future>> = Vec::new();
    // How often each was woken, and whether it is to be: it was polled, and was not done then.
    let mut wakes: Vec<(Arc<Count>, bool)> = Vec::new();
    for (value, op) in (0..).zip(ops) {
        match op {
            Op::Wait(key) => {
                model.wait(&[key], false);
                futures.push(Some(Future::One(face.wait(key))));
            }
            Op::WaitAny(keys) => {
                model.wait(&keys, false);
                futures.push(Some(Future::Any(face.wait_any(keys))));
            }
            Op::WaitAll(keys) => {
                model.wait(&keys, true);
                futures.push(Some(Future::All(face.wait_all(keys))));
            }
            Op::EmitOne(key) => assert_eq!(face.emit_one(key, value), model.emit_one(key, value)),
            Op::EmitAll(key) => assert_eq!(face.emit_all(key, value), model.emit_all(key, value)),
            Op::Poll(at) if !futures.is_empty() => {
                let at = at % futures.len();
                if let Some(future) = &mut futures[at] {
                    let waiter = &mut model.waiters[at];
                    let polled = future.poll(&Waker::from(Arc::clone(&wakes[at].0)));
                    assert_eq!(polled.is_ready(), waiter.done);
                    wakes[at].1 |= polled.is_pending();
                    if let Poll::Ready((key, value)) = polled {
                        if let Some(value) = value {
                            let last = waiter.got.last().expect("it is done");
                            assert_eq!((key.unwrap_or(last.0), value), (last.0, last.1));
                        }
                        waiter.gone = true;
                        futures[at] = None;
                    }
                }
            }
            Op::Drop(at) if !futures.is_empty() => {
                let at = at % futures.len();
                if futures[at].take().is_some() {
                    model.drop(at);
                }
            }
            Op::Poll(_) | Op::Drop(_) => {}
        }
        wakes.resize_with(futures.len(), Default::default);
        for (waiter, (count, polled)) in model.waiters.iter().zip(&wakes) {
            assert_eq!(count.get(), usize::from(waiter.done && *polled), "woken once, when it is done");
        }
        for key in 0..KEYS {
            let awaited = model.waiters.iter().any(|waiter| waiter.missing.contains(&key));
            assert_eq!(face.is_awaited(key), awaited);
            assert_eq!(face.is_queued(key), model.records.iter().any(|record| record.0 == key));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn events_behave_as_the_model(ops in prop::collection::vec(op(), 0..80)) {
        check(&Events::new(), ops);
    }

    #[test]
    fn queued_events_behave_as_the_model(ops in prop::collection::vec(op(), 0..80)) {
        check(&QueuedEvents::new(), ops);
    }
}
