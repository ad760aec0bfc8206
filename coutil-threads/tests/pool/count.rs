//! Counts, and sizes.

use crate::util::{Flag, Gate, numbers, reaches};
use coutil_threads::Pool;
use futures_lite::future::yield_now;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// [20 7.1.2] [20 10.1]
#[test]
fn threads_exist_at_once() {
    let pool = Pool::new(3).unwrap();
    assert_eq!(numbers(pool.count()), [0, 0, 0, 0, 3, 3]);
    let pool = Pool::new(0).unwrap();
    for _ in 0..3 {
        pool.spawn(async {}).unwrap();
    }
    assert_eq!(numbers(pool.count()), [3, 0, 3, 0, 0, 0]);
}

/// [20 10.3]
#[test]
fn one_runs_and_one_waits() {
    let pool = Pool::new(1).unwrap();
    let gate = Gate::default();
    for _ in 0..2 {
        let gate = gate.clone();
        pool.spawn(async move { gate.pass() }).unwrap();
    }
    reaches(&pool, [2, 1, 1, 0, 1, 1]);
    gate.open(1);
    reaches(&pool, [1, 1, 0, 0, 1, 1]);
    gate.open(1);
    reaches(&pool, [0, 0, 0, 0, 1, 1]);
}

/// [20 7.3.5]
#[test]
fn shrinking_waits_for_nobody_and_takes_nothing_more() {
    let pool = Pool::new(5).unwrap();
    pool.resize(4, false).unwrap();
    reaches(&pool, [0, 0, 0, 0, 4, 4]);
    let gate = Gate::default();
    for _ in 0..2 {
        let gate = gate.clone();
        pool.spawn(async move { gate.pass() }).unwrap();
    }
    reaches(&pool, [2, 2, 0, 0, 4, 4]);
    pool.resize(1, false).unwrap();
    reaches(&pool, [2, 2, 0, 0, 1, 2]);
    let last = gate.clone();
    pool.spawn(async move { last.pass() }).unwrap();
    assert_eq!(numbers(pool.count()), [3, 2, 1, 0, 1, 2]);
    gate.open(1);
    reaches(&pool, [2, 1, 1, 0, 1, 1]);
    pool.resize(0, false).unwrap();
    assert_eq!(numbers(pool.count()), [2, 1, 1, 0, 0, 1]);
    gate.open(1);
    reaches(&pool, [1, 0, 1, 0, 0, 0]);
    // [20 7.3.6]
    pool.resize(1, false).unwrap();
    gate.open(1);
    reaches(&pool, [0, 0, 0, 0, 1, 1]);
}

/// [20 7.3.3] [20 7.3.4]
#[test]
fn growing_starts_threads_for_what_is_pending_or_all() {
    let pool = Pool::new(2).unwrap();
    pool.resize(4, false).unwrap();
    assert_eq!(numbers(pool.count()), [0, 0, 0, 0, 4, 2]);
    pool.resize(5, true).unwrap();
    assert_eq!(numbers(pool.count()), [0, 0, 0, 0, 5, 5]);
    let pool = Pool::new(1).unwrap();
    let gate = Gate::default();
    for _ in 0..2 {
        let gate = gate.clone();
        pool.spawn(async move { gate.pass() }).unwrap();
    }
    reaches(&pool, [2, 1, 1, 0, 1, 1]);
    pool.resize(4, false).unwrap();
    reaches(&pool, [2, 2, 0, 0, 4, 2]);
    // [20 7.5.3]
    let third = gate.clone();
    pool.spawn(async move { third.pass() }).unwrap();
    reaches(&pool, [3, 3, 0, 0, 4, 3]);
    gate.open(3);
    reaches(&pool, [0, 0, 0, 0, 4, 3]);
    pool.spawn(async {}).unwrap();
    reaches(&pool, [0, 0, 0, 0, 4, 3]);
}

/// [20 7.4.4] While tasks yield all the time, their thread is never seen without one.
#[test]
fn transitions_are_atomic() {
    let pool = Pool::new(1).unwrap();
    let stop = Arc::new(AtomicBool::new(false));
    for _ in 0..5 {
        let stop = Arc::clone(&stop);
        pool.spawn(async move {
            while !stop.load(Ordering::SeqCst) {
                yield_now().await;
            }
        })
        .unwrap();
    }
    reaches(&pool, [5, 1, 4, 0, 1, 1]);
    for _ in 0..10_000 {
        assert_eq!(numbers(pool.count()), [5, 1, 4, 0, 1, 1]);
    }
    stop.store(true, Ordering::SeqCst);
    reaches(&pool, [0, 0, 0, 0, 1, 1]);
}

#[test]
fn suspended_tasks_have_no_thread() {
    let pool = Pool::new(1).unwrap();
    let flags: Vec<Flag> = (0..3).map(|_| Flag::default()).collect();
    for flag in &flags {
        pool.spawn(flag.clone()).unwrap();
    }
    reaches(&pool, [3, 0, 0, 3, 1, 1]);
    pool.resize(0, false).unwrap();
    reaches(&pool, [3, 0, 0, 3, 0, 0]);
    flags[1].set();
    assert_eq!(numbers(pool.count()), [3, 0, 1, 2, 0, 0]);
    pool.resize(2, false).unwrap();
    reaches(&pool, [2, 0, 0, 2, 2, 1]);
    flags[0].set();
    flags[2].set();
    reaches(&pool, [0, 0, 0, 0, 2, pool.count().threads]);
}

/// What a future drops when it ends counts as running.
#[test]
fn a_task_runs_until_it_is_dropped() {
    struct Slow(Gate);
    impl Drop for Slow {
        fn drop(&mut self) {
            self.0.pass();
        }
    }
    let pool = Pool::new(1).unwrap();
    let gate = Gate::default();
    let slow = Slow(gate.clone());
    pool.spawn(async move { drop(slow) }).unwrap();
    reaches(&pool, [1, 1, 0, 0, 1, 1]);
    gate.open(1);
    reaches(&pool, [0, 0, 0, 0, 1, 1]);
}
