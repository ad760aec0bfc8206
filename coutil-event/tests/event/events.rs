//! What an emission does, and to whom.

use crate::util::{poll, poll_counted};
use coutil_event::Events;
use coutil_event::futures::{Wait, WaitAll, WaitAny};
use futures_lite::future::block_on;
use std::cell::Cell;
use std::fmt::Debug;
use std::task::Poll;

#[test]
fn nobody_waits() {
    let events = Events::<&str, u32>::new();
    assert!(!events.emit_one(&"e", 1)); // [10 1.3.3]
    assert!(!events.emit_all(&"e", 2)); // [10 1.2.1]
    assert!(!events.is_awaited(&"e"));
    // Nothing of that is remembered.
    let mut wait = events.wait("e");
    assert_eq!(poll(&mut wait), Poll::Pending);
}

#[test]
fn a_wait_begins_with_the_call() {
    let events = Events::new();
    let wait = events.wait("e");
    assert!(events.is_awaited(&"e")); // [10 1.1.1]
    assert!(!wait.is_done());
    assert!(events.emit_one(&"e", 1));
    assert!(wait.is_done());
    assert!(!events.is_awaited(&"e")); // [10 1.1.3]
    assert_eq!(block_on(wait), 1);
}

/// [10 1.3.1] [10 1.3.3]
#[test]
fn emit_one_takes_the_one_who_waits_longest() {
    let events = Events::new();
    let mut waits: Vec<_> = (0..5).map(|_| events.wait("e")).collect();
    for (i, wait) in waits.iter_mut().enumerate() {
        assert_eq!(poll(wait), Poll::Pending);
        assert!(events.emit_one(&"e", i));
    }
    assert!(!events.emit_one(&"e", 99));
    for (i, wait) in waits.into_iter().enumerate() {
        assert_eq!(block_on(wait), i);
    }
}

/// [10 1.2.2] [10 1.2.4]
#[test]
fn emit_all_takes_everybody() {
    let events = Events::new();
    let waits: Vec<_> = (0..5).map(|_| events.wait("e")).collect();
    let other = events.wait("other");
    assert!(events.emit_all(&"e", "value".to_string()));
    assert!(!events.is_awaited(&"e"));
    let mut late = events.wait("e");
    for wait in waits {
        assert_eq!(block_on(wait), "value");
    }
    assert_eq!(poll(&mut late), Poll::Pending);
    assert!(!other.is_done());
}

/// Everybody has the value before anybody is woken, and all are woken in the order of the waits. [10 1.2.3]
#[test]
fn emit_all_wakes_in_order() {
    use crate::util::{Call, poll_with};
    use std::sync::{Arc, Mutex};
    use std::task::Waker;

    let events = Events::new();
    let log = Arc::new(Mutex::new(Vec::new()));
    let mut waits: Vec<_> = (0..4).map(|_| events.wait("e")).collect();
    for (i, wait) in waits.iter_mut().enumerate() {
        let log = Arc::clone(&log);
        let waker = Waker::from(Arc::new(Call(move || log.lock().expect("no panic under it").push(i))));
        assert!(poll_with(wait, &waker).is_pending());
    }
    assert!(events.emit_all(&"e", ()));
    assert_eq!(*log.lock().expect("no panic under it"), [0, 1, 2, 3]);
}

/// [10 1.5.4] [10 1.5.5]
#[test]
fn wait_any_takes_the_first_and_leaves_the_rest() {
    let events = Events::new();
    let any = events.wait_any(["a", "b", "c"]);
    for key in ["a", "b", "c"] {
        assert!(events.is_awaited(&key)); // [10 1.5.3]
    }
    assert!(events.emit_one(&"b", 1));
    for key in ["a", "b", "c"] {
        assert!(!events.is_awaited(&key));
        assert!(!events.emit_one(&key, 2));
        assert!(!events.emit_all(&key, 2));
    }
    assert_eq!(block_on(any), ("b", 1));
}

/// [10 1.5.2] [10 1.6.2]
#[test]
fn a_repeated_key_counts_once() {
    let events = Events::new();
    let any = events.wait_any(["a", "b", "a", "a"]);
    assert!(events.emit_one(&"a", 1));
    assert!(!events.emit_one(&"a", 2));
    assert_eq!(block_on(any), ("a", 1));

    let all = events.wait_all(["a", "b", "a"]);
    assert!(events.emit_one(&"a", 1));
    assert!(!events.emit_one(&"a", 2));
    assert!(events.emit_one(&"b", 3));
    block_on(all);
}

/// [10 1.6.3] [10 1.6.4] [10 1.2.8]
#[test]
fn wait_all_needs_each_once() {
    let events = Events::new();
    let mut all = events.wait_all(["a", "b", "c"]);
    let (first, wakes) = poll_counted(&mut all);
    assert_eq!(first, Poll::Pending);
    assert!(events.emit_one(&"b", 1));
    assert!(!events.is_awaited(&"b"));
    assert!(!events.emit_all(&"b", 1));
    assert!(events.emit_all(&"a", 2));
    assert!(!all.is_done());
    assert_eq!(wakes.get(), 0, "it is not woken in vain");
    assert!(events.emit_one(&"c", 3));
    assert_eq!(wakes.get(), 1);
    assert_eq!(poll(&mut all), Poll::Ready(()));
}

/// [10 1.6.5]: in the queue of its last event, a `wait_all` stands where it was registered.
#[test]
fn wait_all_keeps_its_place() {
    let events = Events::new();
    let first = events.wait_all(["a", "b"]);
    let second = events.wait("a");
    let third = events.wait_all(["a", "c"]);
    events.emit_one(&"b", 0);
    events.emit_one(&"c", 0);
    for done in [[true, false, false], [true, true, false], [true, true, true]] {
        assert!(events.emit_one(&"a", 1));
        assert_eq!([first.is_done(), second.is_done(), third.is_done()], done);
    }
}

/// [10 1.5.6]
#[test]
fn waiting_again_is_waiting_behind_the_others() {
    let events = Events::new();
    let first = events.wait("e");
    let second = events.wait("e");
    events.emit_one(&"e", 1);
    assert_eq!(block_on(first), 1);
    let mut again = events.wait("e");
    events.emit_one(&"e", 2);
    assert_eq!(poll(&mut again), Poll::Pending);
    assert_eq!(block_on(second), 2);
}

/// R20: [10 1.6.1]
#[test]
fn waiting_for_nothing_is_over_at_once() {
    let events = Events::<u32, u32>::new();
    let all = events.wait_all([]);
    assert!(all.is_done());
    block_on(all);
}

/// R20: it does not hang. [10 1.5.1]
#[test]
#[should_panic(expected = "`wait_any` needs a key")]
fn waiting_for_any_of_nothing_is_refused() {
    let _never = Events::<u32, u32>::new().wait_any([]);
}

#[test]
#[should_panic(expected = "must not be polled after it was ready")]
fn polling_again_is_refused() {
    let events = Events::new();
    let mut wait = events.wait("e");
    events.emit_one(&"e", ());
    assert_eq!(poll(&mut wait), Poll::Ready(()));
    let _again = poll(&mut wait);
}

/// R18: copas stopped at 9 999. Here it is more than 2^16.
#[test]
fn emit_all_is_unbounded() {
    const N: usize = (1 << 16) + 1000;
    let events = Events::<u32, u32>::new();
    let mut waits: Vec<_> = (0..N).map(|_| events.wait(7)).collect();
    let mut wakes = 0;
    let counts: Vec<_> = waits.iter_mut().map(|wait| poll_counted(wait).1).collect();
    assert!(events.emit_all(&7, 1));
    for (wait, count) in waits.iter_mut().zip(counts) {
        assert_eq!(poll(wait), Poll::Ready(1));
        wakes += count.get();
    }
    assert_eq!(wakes, N, "each once");
    assert_eq!(format!("{events:?}"), "Events { keys: 0, waiters: 0, .. }");
}

/// The last waker is the one that counts.
#[test]
fn a_future_may_move_between_tasks() {
    let events = Events::new();
    let mut wait = events.wait("e");
    let (_, old) = poll_counted(&mut wait);
    let (_, new) = poll_counted(&mut wait);
    events.emit_one(&"e", ());
    assert_eq!((old.get(), new.get()), (0, 1));
    // And it is not held any longer than it takes.
    assert_eq!((std::sync::Arc::strong_count(&old), std::sync::Arc::strong_count(&new)), (1, 1));
}

#[test]
fn clones_are_the_same_events() {
    let events = Events::new();
    let clone = events.clone();
    let wait = events.wait(1);
    drop(events);
    assert!(clone.emit_one(&1, "x"));
    assert_eq!(block_on(wait), "x");
}

/// [10 1.1.5]: a key that nobody waits for leaves nothing behind.
#[test]
fn no_trace_of_keys() {
    let events = Events::<u32, u32>::new();
    let empty = "Events { keys: 0, waiters: 0, .. }";
    events.emit_one(&1, 1);
    events.emit_all(&1, 1);
    events.is_awaited(&1);
    assert_eq!(format!("{events:?}"), empty);
    let any = events.wait_any([1, 2, 3]);
    let all = events.wait_all([2, 3]);
    assert_eq!(format!("{events:?}"), "Events { keys: 3, waiters: 2, .. }");
    drop(any);
    assert_eq!(format!("{events:?}"), "Events { keys: 2, waiters: 1, .. }");
    events.emit_one(&2, 0);
    assert_eq!(format!("{events:?}"), "Events { keys: 1, waiters: 1, .. }");
    events.emit_one(&3, 0);
    block_on(all);
    assert_eq!(format!("{events:?}"), empty);
}

/// Values need neither `Sync` nor `Clone`, keys need no `Clone` for most of it, and the futures are `Unpin`.
#[test]
fn bounds() {
    fn send_and_sync<X: Send + Sync>() {}
    fn future<X: Unpin + Send + Debug>() {}
    #[derive(PartialEq, Eq, Hash)]
    struct Key;
    struct Pinned(std::marker::PhantomPinned);
    send_and_sync::<Events<Key, Cell<u32>>>();
    future::<Wait<Key, Cell<u32>>>();
    future::<WaitAny<Key, Pinned>>();
    future::<WaitAll<Key, Pinned>>();

    let events = Events::new();
    let wait = events.wait(Key);
    events.emit_one(&Key, Cell::new(3));
    assert_eq!(block_on(wait).get(), 3);
    assert_eq!(format!("{:?}", events.wait(Key)), "Wait { done: false }");
}
