//! What can be sent, shared, cloned and printed.

use coutil_mutex::core::{Attempt, Ownership};
use coutil_mutex::{Guard, Lock, Mutexes};
use std::fmt::Debug;

fn shared<T: Send + Sync + Debug>() {}
fn handle<T: Send + Sync + Debug + Clone + Default>() {}
fn future<T: Future + Send + Sync + Unpin + Debug>() {}

#[test]
fn all_go_to_other_threads() {
    handle::<Mutexes<String>>();
    handle::<Ownership<u8>>();
    future::<Lock<String>>();
    shared::<Guard<String>>();
    shared::<Attempt>();
}
