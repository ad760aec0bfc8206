//! Who gets a mutex, and when.

use crate::util::{Count, poll, poll_with};
use coutil_mutex::{Guard, Lock, Mutexes};
use futures_lite::future::block_on;
use std::fmt::Debug;
use std::sync::Arc;
use std::task::Waker;

#[test]
fn a_free_mutex_is_taken_at_once() {
    let mutexes = Mutexes::new();
    assert!(!mutexes.is_locked(&"m")); // [10 3.3.1]
    let lock = mutexes.lock("m");
    assert!(mutexes.is_locked(&"m"), "it is asked for by the call");
    let guard = block_on(lock); // [10 3.1.1]
    assert_eq!(*guard.key(), "m");
    assert!(!mutexes.is_locked(&"n"));
    drop(guard);
    assert!(!mutexes.is_locked(&"m"));
}

/// [10 3.1.5] [10 3.2.2]
#[test]
fn handed_over_in_the_order_of_the_requests() {
    let mutexes = Mutexes::new();
    let mut guard = Some(block_on(mutexes.lock(0)));
    let mut locks: Vec<_> = (0..5).map(|_| mutexes.lock(0)).collect();
    // They are polled in another order.
    for lock in locks.iter_mut().rev() {
        assert!(poll(lock).is_pending());
    }
    for i in 0..locks.len() {
        drop(guard.take());
        assert!(mutexes.is_locked(&0), "it is never free in between");
        assert!(mutexes.try_lock(0).is_none());
        for later in &mut locks[i + 1..] {
            assert!(poll(later).is_pending());
        }
        guard = Some(block_on(&mut locks[i]));
    }
    drop(guard);
    assert!(!mutexes.is_locked(&0));
}

/// Nobody is woken but the one who gets it, and that one once.
#[test]
fn one_wake_for_each_release() {
    let mutexes = Mutexes::new();
    let guard = mutexes.try_lock(0);
    let counts = [0; 3].map(|_| Arc::new(Count::default()));
    let mut locks = [0; 3].map(|_| mutexes.lock(0));
    for (lock, count) in locks.iter_mut().zip(&counts) {
        for _ in 0..2 {
            assert!(poll_with(lock, &Waker::from(Arc::clone(count))).is_pending());
        }
    }
    let woken = || counts.each_ref().map(|count| count.get());
    drop(guard);
    assert_eq!(woken(), [1, 0, 0]);
    let [first, second, third] = locks;
    drop(block_on(first));
    assert_eq!(woken(), [1, 1, 0]);
    drop(block_on(second));
    drop(block_on(third));
    assert_eq!(woken(), [1, 1, 1]);
}

/// R18: copas 201. A try never enqueues.
#[test]
fn a_try_that_fails_leaves_nothing() {
    let mutexes = Mutexes::new();
    let guard = mutexes.try_lock(0).expect("it is free");
    assert!(mutexes.try_lock(0).is_none());
    assert_eq!(format!("{mutexes:?}"), "Mutexes { locked: 1, waiting: 0, .. }");
    drop(guard);
    assert!(!mutexes.is_locked(&0), "the one who tried is not the owner now");
    assert!(mutexes.try_lock(0).is_some());
}

#[test]
fn the_keys_are_independent() {
    let mutexes = Mutexes::new();
    let guards: Vec<_> = (0..100).map(|key| mutexes.try_lock(key).expect("it is free")).collect();
    let mut lock = mutexes.lock(50);
    assert_eq!(format!("{mutexes:?}"), "Mutexes { locked: 100, waiting: 1, .. }");
    assert!(poll(&mut lock).is_pending());
    drop(guards);
    assert_eq!(format!("{mutexes:?}"), "Mutexes { locked: 1, waiting: 0, .. }");
    drop(block_on(lock));
    assert_eq!(format!("{mutexes:?}"), "Mutexes { locked: 0, waiting: 0, .. }");
}

#[test]
fn clones_are_the_same_mutexes() {
    let mutexes = Mutexes::new();
    let guard = mutexes.clone().try_lock(());
    assert!(mutexes.is_locked(&()));
    drop(mutexes);
    drop(guard);
}

/// R12: whatever way the owner ends.
#[test]
fn a_panic_releases() {
    let mutexes = Mutexes::new();
    let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        let _guard = mutexes.try_lock(0);
        panic!("while it owns the mutex");
    }));
    assert!(outcome.is_err());
    assert!(mutexes.try_lock(0).is_some());
}

#[test]
#[should_panic(expected = "must not be polled after it was ready")]
fn polling_again_is_refused() {
    let mutexes = Mutexes::new();
    let mut lock = mutexes.lock(0);
    assert!(poll(&mut lock).is_ready());
    let _again = poll(&mut lock);
}

#[test]
fn bounds() {
    fn check<X: Send + Sync + Unpin + Debug>() {}
    // Not `Clone`.
    #[derive(PartialEq, Eq, Hash)]
    struct Key;
    check::<Mutexes<Key>>();
    check::<Lock<Key>>();
    check::<Guard<Key>>();
    assert!(Mutexes::new().try_lock(Key).is_some());
}
