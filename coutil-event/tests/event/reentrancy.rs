//! Wakers, clones and destructors may use the events themselves, and may panic: none of them runs under the lock.
//!
//! If one did, these tests would hang, or find the events unusable.

use crate::util::{Call, poll, poll_with};
use coutil_event::{Events, QueuedEvents};
use futures_lite::future::block_on;
use std::hash::{Hash, Hasher};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::task::{Poll, Waker};

/// A value that emits when it is dropped, and when it is cloned.
struct Loud {
    events: Events<&'static str, Option<Loud>>,
    says: &'static str,
}

impl Clone for Loud {
    fn clone(&self) -> Self {
        self.events.emit_one(&"cloned", None);
        Self { events: self.events.clone(), says: self.says }
    }
}

impl Drop for Loud {
    fn drop(&mut self) {
        self.events.emit_one(&self.says, None);
    }
}

#[test]
fn a_waker_emits() {
    let events = Events::new();
    let mut first = events.wait(0);
    let mut second = events.wait(0);
    let third = events.wait(1);
    let nested = {
        let events = events.clone();
        // The rest of the batch has got its value already, as [10 1.2.6] has it: nobody waits for 0.
        Waker::from(Arc::new(Call(move || {
            assert!(!events.emit_all(&0, "nested"));
            events.emit_one(&1, "nested");
        })))
    };
    assert!(poll_with(&mut first, &nested).is_pending());
    assert!(poll_with(&mut second, &nested).is_pending());
    assert!(events.emit_all(&0, "outer"));
    assert_eq!((block_on(first), block_on(second), block_on(third)), ("outer", "outer", "nested"));
}

/// Design 9: a thousand nested emissions.
#[test]
fn wakers_nest() {
    const DEPTH: usize = 1000;
    let events = Events::new();
    let mut waits: Vec<_> = (0..=DEPTH).map(|i| events.wait(i)).collect();
    for (i, wait) in waits.iter_mut().enumerate() {
        let events = events.clone();
        let waker = Waker::from(Arc::new(Call(move || _ = events.emit_one(&(i + 1), i))));
        assert!(poll_with(wait, &waker).is_pending());
    }
    events.emit_one(&0, 0);
    assert!(waits.iter().all(|wait| wait.is_done()));
}

#[test]
fn a_value_emits_when_it_is_dropped() {
    let events = Events::new();
    let loud = |says| Some(Loud { events: events.clone(), says });
    // Nobody waits for it.
    let heard = events.wait("a");
    events.emit_one(&"nobody", loud("a"));
    assert!(heard.is_done());
    // The one who waits gives up, and there is no other.
    let (heard, given_up) = (events.wait("b"), events.wait("e"));
    events.emit_one(&"e", loud("b"));
    assert!(!heard.is_done());
    drop(given_up);
    assert!(heard.is_done());
    // It went to all, and one of them gives up.
    let (heard, given_up) = (events.wait("c"), events.wait("e"));
    events.emit_all(&"e", loud("c"));
    drop(given_up);
    assert!(heard.is_done());
    // It was an earlier one for a `wait_all`.
    let (heard, mut all) = (events.wait("d"), events.wait_all(["e", "f"]));
    events.emit_one(&"e", loud("d"));
    events.emit_one(&"f", None);
    assert!(!heard.is_done());
    assert_eq!(poll(&mut all), Poll::Ready(()));
    assert!(heard.is_done());
}

#[test]
fn a_value_emits_when_it_is_cloned() {
    let events = Events::new();
    let waits = [events.wait("e"), events.wait("e")];
    let heard = events.wait("cloned");
    events.emit_all(&"e", Some(Loud { events: events.clone(), says: "dropped" }));
    assert!(heard.is_done());
    assert!(waits.iter().all(|wait| wait.is_done()));
}

/// A clone that panics comes before anything else: nobody is left half served.
#[test]
fn a_clone_panics() {
    struct Picky;
    impl Clone for Picky {
        fn clone(&self) -> Self {
            panic!("there is but one")
        }
    }
    let events = Events::new();
    let (first, second) = (events.wait("e"), events.wait("e"));
    assert!(catch_unwind(AssertUnwindSafe(|| events.emit_all(&"e", Picky))).is_err());
    assert!(!first.is_done() && !second.is_done());
    assert!(events.emit_one(&"e", Picky));
    assert!(first.is_done());
    drop(second);
}

/// All get the value even if the first one's waker panics, and all are woken.
#[test]
fn a_waker_panics() {
    let events = Events::new();
    let (mut first, mut second) = (events.wait("e"), events.wait("e"));
    let woken = Arc::new(AtomicBool::new(false));
    let panics = Waker::from(Arc::new(Call(|| panic!("do not wake me"))));
    let notes = {
        let woken = Arc::clone(&woken);
        Waker::from(Arc::new(Call(move || woken.store(true, SeqCst))))
    };
    assert!(poll_with(&mut first, &panics).is_pending());
    assert!(poll_with(&mut second, &notes).is_pending());
    assert!(catch_unwind(AssertUnwindSafe(|| events.emit_all(&"e", 1))).is_err());
    assert!(woken.load(SeqCst));
    assert_eq!((block_on(first), block_on(second)), (1, 1));
}

/// A waker is dropped without the lock: when it is replaced, when the future is dropped, when it was called.
#[test]
fn a_waker_emits_when_it_is_dropped() {
    struct OnDrop(Events<u32, u32>, u32);
    impl std::task::Wake for OnDrop {
        fn wake(self: Arc<Self>) {}
    }
    impl Drop for OnDrop {
        fn drop(&mut self) {
            self.0.emit_one(&self.1, 0);
        }
    }
    let events = Events::new();
    let heard: Vec<_> = (0..4).map(|key| events.wait(key)).collect();
    let mut wait = events.wait(9);
    for key in 0..3 {
        let waker = Waker::from(Arc::new(OnDrop(events.clone(), key)));
        assert!(poll_with(&mut wait, &waker).is_pending());
    }
    assert_eq!([0, 1, 2].map(|key| heard[key].is_done()), [true, true, false]);
    events.emit_one(&9, 0);
    assert!(heard[2].is_done());
    let mut wait = events.wait(9);
    assert!(poll_with(&mut wait, &Waker::from(Arc::new(OnDrop(events.clone(), 3)))).is_pending());
    drop(wait);
    assert!(heard[3].is_done());
}

/// A key that uses its own events and others when it is dropped, and panics when it is hashed if it is told to.
struct Key {
    name: u32,
    on_drop: Option<(QueuedEvents<Key, ()>, QueuedEvents<u32, u32>)>,
    panics: bool,
}

impl Key {
    fn new(name: u32) -> Self {
        Self { name, on_drop: None, panics: false }
    }
}

impl Clone for Key {
    fn clone(&self) -> Self {
        Self { name: self.name, on_drop: self.on_drop.clone(), panics: self.panics }
    }
}

impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for Key {}

impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        assert!(!self.panics, "this key cannot be hashed");
        self.name.hash(state);
    }
}

impl Drop for Key {
    fn drop(&mut self) {
        if let Some((events, heard)) = &self.on_drop {
            assert!(!events.is_awaited(&Key::new(100)));
            heard.emit_one(&self.name, 0);
        }
    }
}

#[test]
fn keys_are_dropped() {
    let heard = QueuedEvents::new();
    let events = QueuedEvents::new();
    let key = |name| Key { name, on_drop: Some((events.clone(), heard.clone())), panics: false };
    let wait = events.wait(key(1));
    assert!(!heard.is_queued(&1));
    drop(events.wait(key(1))); // the key that was there first stays
    assert!(heard.is_queued(&1));
    block_on(heard.wait(1));
    events.emit_one(&Key::new(1), ());
    assert!(!heard.is_queued(&1), "the emission has it still");
    block_on(wait);
    assert!(heard.is_queued(&1));
    events.emit_one(&key(2), ());
    block_on(heard.wait(2)); // the one passed by reference
    assert!(!heard.is_queued(&2), "the one that is stored");
    block_on(events.wait(Key::new(2)));
    assert!(heard.is_queued(&2));
    drop(events.wait(key(3)));
    assert!(heard.is_queued(&3));
    drop(events.wait_any([key(4), key(4)]));
    drop(events.wait_all([key(5), key(5), key(6)]));
    assert!([4, 5, 6].iter().all(|name| heard.is_queued(name)));
}

/// A key that panics under the lock takes nothing down.
#[test]
fn a_key_panics() {
    let events = Events::new();
    let bad = || Key { name: 1, on_drop: None, panics: true };
    let good = events.wait(Key::new(1));
    // Only the first of these can be registered.
    let two = || events.wait_any([Key::new(2), bad(), Key::new(3)]);
    assert!(catch_unwind(AssertUnwindSafe(|| drop(two()))).is_err());
    assert!(catch_unwind(AssertUnwindSafe(|| events.emit_one(&bad(), 1))).is_err());
    assert!(catch_unwind(AssertUnwindSafe(|| events.is_awaited(&bad()))).is_err());
    assert!(!events.is_awaited(&Key::new(2)));
    assert!(!events.is_awaited(&Key::new(3)));
    assert_eq!(format!("{events:?}"), "Events { keys: 1, waiters: 1, .. }");
    assert!(events.emit_one(&Key::new(1), 2));
    assert_eq!(block_on(good), 2);
}
