//! R18: whoever gives up leaves nothing behind, and takes nothing away. copas 185, 201, 203, 208; lua-nginx-module 1439.

use crate::util::{Tracked, poll, poll_counted};
use coutil_event::{Events, QueuedEvents};
use futures_lite::future::block_on;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::task::Poll;

#[test]
fn a_dropped_wait_is_out_of_the_queue() {
    let events = Events::new();
    let waits: Vec<_> = (0..5).map(|_| events.wait("e")).collect();
    let mut waits: Vec<_> = waits.into_iter().map(Some).collect();
    // The first, one in the middle, the last.
    for gone in [0, 2, 4] {
        waits[gone] = None;
    }
    assert!(events.emit_one(&"e", 1));
    assert!(events.emit_one(&"e", 3));
    assert!(!events.emit_one(&"e", 9));
    assert_eq!(waits.into_iter().flatten().map(block_on).collect::<Vec<_>>(), [1, 3]);
}

#[test]
fn a_dropped_wait_is_not_woken() {
    let events = Events::<_, ()>::new();
    let mut wait = events.wait("e");
    let (_, wakes) = poll_counted(&mut wait);
    drop(wait);
    assert_eq!(Arc::strong_count(&wakes), 1, "nor is its waker kept");
    assert!(!events.emit_all(&"e", ()));
    assert_eq!(wakes.get(), 0);
}

#[test]
fn what_it_did_not_return_goes_to_the_next() {
    let events = Events::new();
    let first = events.wait("e");
    let mut second = events.wait_any(["d", "e"]);
    let third = events.wait("e");
    let (_, wakes) = poll_counted(&mut second);
    assert!(events.emit_one(&"e", 1));
    assert_eq!(wakes.get(), 0);
    drop(first);
    assert_eq!(wakes.get(), 1);
    assert!(!events.is_awaited(&"d"), "the second has what it wants");
    drop(second);
    assert_eq!(block_on(third), 1);
}

#[test]
fn what_was_returned_is_not_handed_on() {
    let events = Events::new();
    let mut first = events.wait("e");
    let second = events.wait("e");
    events.emit_one(&"e", 1);
    assert_eq!(poll(&mut first), Poll::Ready(1));
    drop(first);
    assert!(!second.is_done());
}

/// Everybody who waited had it already.
#[test]
fn what_went_to_all_is_not_handed_on() {
    let events = Events::new();
    let first = events.wait("e");
    events.emit_all(&"e", 1);
    let mut late = events.wait("e");
    drop(first);
    assert_eq!(poll(&mut late), Poll::Pending);
}

#[test]
fn wait_all_hands_on_each() {
    let events = Events::new();
    let mut all = events.wait_all(["a", "b", "c", "d"]);
    assert_eq!(poll(&mut all), Poll::Pending);
    events.emit_one(&"a", 1);
    events.emit_one(&"b", 2);
    events.emit_all(&"c", 3);
    let (a, b, mut c, mut d) = (events.wait("a"), events.wait("b"), events.wait("c"), events.wait("d"));
    drop(all);
    assert_eq!((block_on(a), block_on(b)), (1, 2));
    assert_eq!(poll(&mut c), Poll::Pending, "that went to all");
    assert_eq!(poll(&mut d), Poll::Pending);
}

/// The difference from [10 2.6.4]: here, records are restored.
#[test]
fn records_go_back_to_where_they_were() {
    let events = QueuedEvents::new();
    for i in 0..4 {
        events.emit_one(&"e", i);
    }
    let first = events.wait("e");
    let second = events.wait_any(["e"]);
    let third = events.wait_all(["e"]);
    // In an order that would reverse them, were they just put in front.
    drop(first);
    drop(third);
    drop(second);
    let taken: Vec<_> = (0..4).map(|_| block_on(events.wait("e"))).collect();
    assert_eq!(taken, [0, 1, 2, 3]);
    assert!(!events.is_queued(&"e"));
}

#[test]
fn a_record_handed_on_is_not_stored_again() {
    let events = QueuedEvents::new();
    events.emit_all(&"e", 1);
    let first = events.wait("e");
    let second = events.wait("e");
    assert!(events.is_awaited(&"e"));
    drop(first);
    assert!(!events.is_queued(&"e"));
    assert_eq!(block_on(second), 1);
}

#[test]
fn values_are_dropped_once() {
    let live = Arc::new(AtomicUsize::new(0));
    let events = Events::new();
    let queued = QueuedEvents::new();
    for round in 0..4 {
        let waits: Vec<_> = (0..3).map(|_| events.wait("e")).collect();
        let all = events.wait_all(["e", "f"]);
        match round {
            0 => assert!(events.emit_all(&"e", Tracked::new(1, &live))),
            1 => (0..5).for_each(|i| _ = events.emit_one(&"e", Tracked::new(i, &live))),
            2 => assert!(!events.emit_all(&"nobody", Tracked::new(1, &live))),
            _ => assert!(!events.emit_one(&"nobody", Tracked::new(1, &live))),
        }
        for mut wait in waits {
            if let Poll::Ready(value) = poll(&mut wait) {
                assert!(value.value <= 5);
            }
        }
        drop(all);
        assert_eq!(live.load(SeqCst), 0);
    }
    queued.emit_all(&"e", Tracked::new(1, &live));
    queued.emit_one(&"e", Tracked::new(2, &live));
    queued.emit_one(&"f", Tracked::new(3, &live));
    assert_eq!(live.load(SeqCst), 3);
    block_on(queued.wait_all(["e", "f"]));
    assert_eq!(live.load(SeqCst), 1);
    let wait = queued.wait("e");
    drop(queued);
    assert_eq!(live.load(SeqCst), 1, "the future holds it");
    drop(wait);
    assert_eq!(live.load(SeqCst), 0);
}
