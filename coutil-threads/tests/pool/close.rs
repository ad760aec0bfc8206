//! Closing, and not closing.

use crate::util::{Flag, Gate, numbers, reaches};
use coutil_threads::Pool;
use futures_lite::future::yield_now;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};

/// [20 7.8.2] [20 10.7]
#[test]
fn closing_waits_for_tasks() {
    let pool = Pool::new(1).unwrap();
    let done = Arc::new(AtomicBool::new(false));
    let (flag, seen) = (Flag::default(), Arc::clone(&done));
    let waiting = flag.clone();
    pool.spawn(async move {
        waiting.await;
        for _ in 0..100 {
            yield_now().await;
        }
        seen.store(true, Ordering::SeqCst);
    })
    .unwrap();
    reaches(&pool, [1, 0, 0, 1, 1, 1]);
    let waker = std::thread::spawn(move || flag.set());
    assert!(pool.close().is_empty());
    assert!(done.load(Ordering::SeqCst));
    assert_eq!(numbers(pool.count()), [0; 6]);
    waker.join().unwrap();
}

/// [20 7.8.4]
#[test]
fn without_threads_pending_tasks_are_dropped_unrun() {
    let pool = Pool::new(0).unwrap();
    let (sender, receiver) = mpsc::channel::<()>();
    pool.spawn(async move {
        sender.send(()).unwrap();
        loop {
            yield_now().await;
        }
    })
    .unwrap();
    assert!(pool.close().is_empty());
    assert_eq!(receiver.try_recv(), Err(mpsc::TryRecvError::Disconnected));
    // Nothing can be added any more.
    pool.spawn(async {}).unwrap();
    pool.resize(2, true).unwrap();
    assert_eq!(numbers(pool.count()), [0; 6]);
}

/// [20 7.7.7]
#[test]
fn suspended_tasks_are_dropped_when_woken_or_at_last() {
    let pool = Pool::new(1).unwrap();
    let flags = [Flag::default(), Flag::default()];
    let (sender, receiver) = mpsc::channel::<()>();
    for flag in &flags {
        let (flag, sender) = (flag.clone(), sender.clone());
        pool.spawn(async move {
            flag.await;
            sender.send(()).unwrap();
        })
        .unwrap();
    }
    drop(sender);
    reaches(&pool, [2, 0, 0, 2, 1, 1]);
    pool.resize(0, false).unwrap();
    let suspended = pool.close();
    assert!(!suspended.is_empty());
    assert_eq!(pool.count().tasks, 2);
    flags[0].set();
    assert_eq!(pool.count().tasks, 1);
    assert!(!suspended.is_empty());
    drop(suspended);
    assert_eq!(pool.count().tasks, 0);
    assert_eq!(receiver.recv(), Err(mpsc::RecvError), "neither ran");
    flags[1].set();
}

/// [20 7.8.5]
#[test]
fn size_zero_and_close_waits_for_what_runs() {
    let pool = Pool::new(1).unwrap();
    let (begun, begin) = (Gate::default(), Gate::default());
    let (tell, go) = (begun.clone(), begin.clone());
    pool.spawn(async move {
        tell.open(1);
        go.pass();
        yield_now().await;
        unreachable!("there is no thread for it any more");
    })
    .unwrap();
    begun.pass();
    pool.resize(0, false).unwrap();
    let opener = std::thread::spawn(move || begin.open(1));
    assert!(pool.close().is_empty());
    opener.join().unwrap();
}

#[test]
fn a_pool_that_is_dropped_goes_on_until_there_are_no_tasks() {
    let pool = Pool::new(2).unwrap();
    let (flag, handle) = (Flag::default(), pool.handle());
    let (sender, receiver) = mpsc::channel();
    let waiting = flag.clone();
    pool.spawn(async move {
        waiting.await;
        sender.send(()).unwrap();
    })
    .unwrap();
    drop(pool);
    reaches(&handle, [1, 0, 0, 1, 2, 2]);
    flag.set();
    receiver.recv().unwrap();
    reaches(&handle, [0, 0, 0, 0, 2, 0]);
}

/// They and the pool kept each other.
#[test]
fn tasks_for_which_there_is_no_thread_any_more_go_with_the_last_handle() {
    let task = Arc::new(());
    let (begun, begin, flag) = (Gate::default(), Gate::default(), Flag::default());
    let pool = Pool::new(1).unwrap();
    let (held, waiting) = (Arc::clone(&task), flag.clone());
    pool.spawn(async move {
        waiting.await;
        drop(held);
    })
    .unwrap();
    reaches(&pool, [1, 0, 0, 1, 1, 1]);
    let (tell, go) = (begun.clone(), begin.clone());
    pool.spawn(async move {
        tell.open(1);
        go.pass();
    })
    .unwrap();
    begun.pass();
    pool.resize(0, false).unwrap();
    let held = Arc::clone(&task);
    pool.spawn(async move { drop(held) }).unwrap();
    let handle = pool.handle();
    drop(pool);
    assert_eq!(Arc::strong_count(&task), 3, "the size may change");
    drop(handle);
    // The thread that runs the other one drops them.
    begin.open(1);
    for _ in 0..1_000_000 {
        if Arc::strong_count(&task) == 1 {
            break;
        }
        std::thread::yield_now();
    }
    assert_eq!(Arc::strong_count(&task), 1);
    flag.set();

    let pool = Pool::new(0).unwrap();
    let held = Arc::clone(&task);
    pool.spawn(async move { drop(held) }).unwrap();
    drop(pool);
    assert_eq!(Arc::strong_count(&task), 1);
}
