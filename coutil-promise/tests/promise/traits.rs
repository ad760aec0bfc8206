//! What can be sent, shared, cloned and printed, of values that can be sent and shared.

use coutil_promise::core::Outcome;
use coutil_promise::{Abandoned, All, Any, Fulfiller, Promise};
use std::error::Error;
use std::fmt::Debug;
use std::marker::PhantomPinned;

fn shared<T: Send + Sync + Debug>() {}
fn error<T: Error + Send + Sync + Clone + 'static>() {}
fn future<T: Future + Send + Sync + Unpin + Debug>() {}

/// A value that is neither printed nor moved.
#[derive(Clone)]
struct Value(PhantomPinned);

#[test]
fn all_go_to_other_threads() {
    future::<Promise<Value>>();
    future::<All<Value>>();
    future::<Any<Value>>();
    shared::<Fulfiller<Value>>();
    shared::<Outcome<u8>>();
    error::<Abandoned>();
}
