//! What is stored, and who takes it.

use crate::util::poll;
use coutil_event::QueuedEvents;
use futures_lite::future::block_on;
use std::task::Poll;

/// [10 2.1.1] [10 2.1.2] [10 2.4.1]
#[test]
fn stored_in_order_and_taken_once() {
    let events = QueuedEvents::new();
    assert!(!events.emit_all(&"e", 1));
    assert!(!events.emit_one(&"e", 2));
    assert!(!events.emit_all(&"e", 3));
    assert!(events.is_queued(&"e")); // [10 2.2]
    assert!(!events.is_awaited(&"e")); // [10 2.3]
    assert_eq!([(); 3].map(|()| block_on(events.wait("e"))), [1, 2, 3]);
    assert!(!events.is_queued(&"e"));
    let mut late = events.wait("e");
    assert_eq!(poll(&mut late), Poll::Pending);
}

/// [10 2.1.1] [10 2.4.2]
#[test]
fn not_stored_if_somebody_waits() {
    let events = QueuedEvents::new();
    let (one, two, three) = (events.wait("e"), events.wait("e"), events.wait("e"));
    assert!(events.emit_one(&"e", 1));
    assert!(events.emit_all(&"e", 2));
    assert!(!events.is_queued(&"e"));
    assert_eq!((block_on(one), block_on(two), block_on(three)), (1, 2, 2));
}

/// [10 2.5.1]
#[test]
fn wait_any_looks_from_left_to_right() {
    let events = QueuedEvents::new();
    events.emit_one(&"c", 1);
    events.emit_one(&"b", 2);
    assert_eq!(block_on(events.wait_any(["a", "b", "c"])), ("b", 2));
    assert!(!events.is_awaited(&"a"));
    assert!(events.is_queued(&"c"), "it takes one only");
    assert_eq!(block_on(events.wait_any(["a", "b", "c"])), ("c", 1));
    // [10 2.5.2]
    let any = events.wait_any(["a", "b"]);
    assert!(events.emit_one(&"b", 3));
    assert_eq!(block_on(any), ("b", 3));
}

/// [10 2.6.2] [10 2.6.3]
#[test]
fn wait_all_takes_what_there_is_and_waits_for_the_rest() {
    let events = QueuedEvents::new();
    events.emit_one(&"a", 1);
    events.emit_one(&"a", 2);
    let all = events.wait_all(["a", "b", "a"]);
    assert!(events.is_queued(&"a"), "a repeated key takes one");
    assert!(!events.is_awaited(&"a"), "and then waits no more");
    assert!(events.is_awaited(&"b"));
    assert!(!all.is_done());
    assert!(events.emit_one(&"b", 3));
    assert!(all.is_done());
    block_on(all);
    assert_eq!(block_on(events.wait("a")), 2);

    events.emit_one(&"a", 4);
    let all = events.wait_all(["a", "a"]);
    assert!(all.is_done());
    block_on(all);
    assert!(events.wait_all([]).is_done());
}

/// R20
#[test]
#[should_panic(expected = "`wait_any` needs a key")]
fn waiting_for_any_of_nothing_is_refused() {
    let _never = QueuedEvents::<u32, u32>::new().wait_any([]);
}

/// [10 2.7]
#[test]
fn no_trace_of_keys() {
    let events = QueuedEvents::<u32, u32>::new();
    events.emit_one(&1, 1);
    events.emit_all(&2, 2);
    assert_eq!(format!("{events:?}"), "QueuedEvents { keys: 2, waiters: 0, .. }");
    block_on(events.wait(1));
    block_on(events.wait_any([1, 2]));
    drop(events.wait_all([1, 2, 3]));
    assert_eq!(format!("{events:?}"), "QueuedEvents { keys: 0, waiters: 0, .. }");
}
