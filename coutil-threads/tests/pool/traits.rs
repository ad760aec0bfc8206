//! What can be sent, shared, cloned and printed.

use coutil_threads::{Builder, Count, Handle, Pool, Suspended};
use std::fmt::Debug;

fn shared<T: Send + Sync + Debug>() {}
fn clone<T: Send + Sync + Debug + Clone>() {}

#[test]
fn all_go_to_other_threads() {
    shared::<Pool>();
    shared::<Suspended>();
    clone::<Handle>();
    clone::<Builder>();
    clone::<Count>();
}
