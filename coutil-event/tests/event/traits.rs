//! What can be sent, shared, cloned and printed, of values that can be sent; and what cannot.

use coutil_event::core::{Batch, Popped, QueueId, Registry, WaiterId};
use coutil_event::futures::{Wait, WaitAll, WaitAny};
use coutil_event::wake::WakeList;
use coutil_event::{Events, QueuedEvents};
use std::cell::Cell;
use std::fmt::Debug;

fn send<T: Send + Debug>() {}
fn shared<T: Send + Sync + Debug>() {}
fn handle<T: Send + Sync + Debug + Clone + Default>() {}
fn future<T: Future + Send + Sync + Unpin + Debug>() {}

/// Values are handed over, not shared: they need not be `Sync`.
type Value = Cell<u8>;

#[test]
fn handles_and_futures_go_to_other_threads() {
    handle::<Events<String, Value>>();
    handle::<QueuedEvents<String, Value>>();
    future::<Wait<String, Value>>();
    future::<WaitAny<String, Value>>();
    future::<WaitAll<String, Value>>();
}

#[test]
fn the_core_is_plain_data() {
    shared::<Registry<u8, u8>>();
    send::<Registry<Value, Value>>();
    shared::<(QueueId, WaiterId)>();
    shared::<Popped>();
    shared::<Batch>();
    send::<WakeList>();
}
