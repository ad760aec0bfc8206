//! R18: whoever gives up leaves nothing behind, and takes nothing away. copas 201, 203, 208; nvim-nio 27, 28.

use crate::util::{Count, poll, poll_with};
use coutil_mutex::Mutexes;
use futures_lite::future::block_on;
use std::sync::Arc;
use std::task::Waker;

#[test]
fn those_who_give_up_are_skipped() {
    let mutexes = Mutexes::new();
    let guard = mutexes.try_lock(0);
    let mut locks: Vec<_> = (0..5).map(|_| Some(mutexes.lock(0))).collect();
    let counts: Vec<_> = (0..5).map(|_| Arc::new(Count::default())).collect();
    for (lock, count) in locks.iter_mut().flatten().zip(&counts) {
        assert!(poll_with(lock, &Waker::from(Arc::clone(count))).is_pending());
    }
    // The first, one in the middle, the last.
    for gone in [0, 2, 4] {
        locks[gone] = None;
        assert_eq!(Arc::strong_count(&counts[gone]), 1, "its waker is not kept");
    }
    assert_eq!(format!("{mutexes:?}"), "Mutexes { locked: 1, waiting: 2, .. }");
    drop(guard);
    for next in [1, 3] {
        drop(block_on(locks[next].take().expect("it waits")));
    }
    assert!(!mutexes.is_locked(&0));
    assert_eq!(counts.iter().map(|count| count.get()).collect::<Vec<_>>(), [0, 1, 0, 1, 0]);
}

#[test]
fn the_owner_gives_up_before_it_learns_of_it() {
    let mutexes = Mutexes::new();
    let guard = mutexes.try_lock(0);
    let first = mutexes.lock(0);
    let second = mutexes.lock(0);
    let mut third = mutexes.lock(0);
    let count = Arc::new(Count::default());
    assert!(poll_with(&mut third, &Waker::from(Arc::clone(&count))).is_pending());
    drop(guard);
    drop(second);
    assert_eq!(count.get(), 0);
    drop(first);
    assert_eq!(count.get(), 1);
    assert!(mutexes.try_lock(0).is_none());
    drop(third);
    assert!(!mutexes.is_locked(&0));
    assert_eq!(format!("{mutexes:?}"), "Mutexes { locked: 0, waiting: 0, .. }");
}

#[test]
fn a_free_mutex_that_was_asked_for_and_not_taken() {
    let mutexes = Mutexes::new();
    drop(mutexes.lock(0));
    assert!(!mutexes.is_locked(&0));
}

/// What is left of an earlier time of the same key has no effect on a later one.
#[test]
fn the_next_time_of_a_key() {
    let mutexes = Mutexes::new();
    drop(mutexes.try_lock(0));
    let guard = mutexes.try_lock(0);
    let mut waiting = mutexes.lock(0);
    drop(mutexes.lock(1));
    drop(mutexes.lock(0));
    assert!(poll(&mut waiting).is_pending());
    drop(guard);
    assert!(poll(&mut waiting).is_ready());
}

/// More than 2^16 wait; most of them give up.
#[test]
fn many() {
    const N: usize = (1 << 16) + 1000;
    let mutexes = Mutexes::new();
    let guard = mutexes.try_lock(0);
    let mut locks: Vec<_> = (0..N).map(|_| Some(mutexes.lock(0))).collect();
    for lock in locks.iter_mut().enumerate().filter(|(i, _)| i % 3 != 0) {
        *lock.1 = None;
    }
    drop(guard);
    let mut owned = 0;
    for lock in locks.into_iter().flatten() {
        drop(block_on(lock));
        owned += 1;
    }
    assert_eq!(owned, N.div_ceil(3));
    assert!(!mutexes.is_locked(&0));
}
