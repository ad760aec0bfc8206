//! Several system threads at once. What is checked does not depend on who is faster.

use crate::util::poll;
use coutil_mutex::Mutexes;
use futures_lite::future::block_on;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::thread;

const THREADS: usize = 4;
const ROUNDS: usize = 2000;

#[test]
fn one_owner_at_a_time() {
    let mutexes = Mutexes::new();
    let owned = [const { AtomicBool::new(false) }; 2];
    let total = AtomicUsize::new(0);
    thread::scope(|scope| {
        for thread in 0..THREADS {
            let (mutexes, owned, total) = (&mutexes, &owned, &total);
            scope.spawn(move || {
                for round in 0..ROUNDS {
                    let key = (thread + round) % 2;
                    let mut lock = mutexes.lock(key);
                    if round % 5 == 0 {
                        drop(poll(&mut lock)); // gives up, waiting or owning
                        continue;
                    }
                    let guard = block_on(lock);
                    assert!(!owned[key].swap(true, SeqCst), "somebody else owns it");
                    if round % 7 == 0 {
                        thread::yield_now();
                    }
                    assert!(mutexes.try_lock(key).is_none());
                    owned[key].store(false, SeqCst);
                    total.fetch_add(1, SeqCst);
                    drop(guard);
                }
            });
        }
    });
    assert_eq!(total.load(SeqCst), THREADS * ROUNDS * 4 / 5);
    assert_eq!(format!("{mutexes:?}"), "Mutexes { locked: 0, waiting: 0, .. }");
}

/// A guard is released on another thread than it was taken on, and that wakes the first.
#[test]
fn guards_are_sent() {
    let mutexes = Mutexes::new();
    let (sender, receiver) = std::sync::mpsc::channel();
    thread::scope(|scope| {
        scope.spawn(move || receiver.into_iter().for_each(drop));
        for _ in 0..ROUNDS {
            sender.send(block_on(mutexes.lock("m"))).expect("the other thread runs");
        }
        drop(sender);
    });
    assert!(!mutexes.is_locked(&"m"));
}
