//! How tasks run.

use crate::util::{Flag, Gate, reaches};
use coutil_threads::{Builder, Pool};
use futures_lite::future::yield_now;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::task::Poll;

/// [20 7.6.1] [20 7.6.5]
#[test]
fn first_come_first_served_and_who_yields_goes_behind() {
    let pool = Pool::new(0).unwrap();
    let log = Arc::new(Mutex::new(Vec::new()));
    for number in 0..3 {
        let log = Arc::clone(&log);
        pool.spawn(async move {
            for round in 0..3 {
                log.lock().unwrap().push((round, number));
                yield_now().await;
            }
        })
        .unwrap();
    }
    pool.resize(1, false).unwrap();
    pool.close();
    let expected: Vec<_> = (0..3).flat_map(|round| (0..3).map(move |number| (round, number))).collect();
    assert_eq!(*log.lock().unwrap(), expected);
}

#[test]
fn a_panic_harms_nothing_else() {
    let pool = Pool::new(1).unwrap();
    let ran = Arc::new(AtomicUsize::new(0));
    struct Bad;
    impl Drop for Bad {
        fn drop(&mut self) {
            panic!("of the test, when dropped");
        }
    }
    for kind in 0..4 {
        let ran = Arc::clone(&ran);
        pool.spawn(async move {
            match kind {
                0 => panic!("of the test"),
                1 => {
                    yield_now().await;
                    panic!("of the test, later");
                }
                2 => drop(Bad),
                _ => drop(ran.fetch_add(1, Ordering::SeqCst)),
            }
        })
        .unwrap();
    }
    pool.close();
    assert_eq!(ran.load(Ordering::SeqCst), 1);
    assert_eq!(pool.count().tasks, 0);
}

/// Whoever wakes a task does not take the lock while it runs. The last wake is the one that must not be lost; and only the wake
/// orders what is counted.
#[test]
fn no_wake_of_many_is_lost() {
    const WAKERS: usize = 3;
    const EACH: usize = 20;
    let pool = Pool::new(2).unwrap();
    for _ in 0..500 {
        let counted = Arc::new(AtomicUsize::new(0));
        let (sender, receiver) = mpsc::channel();
        let (ended, end) = mpsc::channel();
        let of_task = Arc::clone(&counted);
        let mut sender = Some(sender);
        pool.spawn(async move {
            std::future::poll_fn(|context| {
                if let Some(sender) = sender.take() {
                    sender.send(context.waker().clone()).unwrap();
                }
                match of_task.load(Ordering::Relaxed) {
                    count if count == WAKERS * EACH => Poll::Ready(()),
                    _ => Poll::Pending,
                }
            })
            .await;
            ended.send(()).unwrap();
        })
        .unwrap();
        let waker = receiver.recv().unwrap();
        let threads: Vec<_> = (0..WAKERS)
            .map(|_| {
                let (waker, counted) = (waker.clone(), Arc::clone(&counted));
                std::thread::spawn(move || {
                    for _ in 0..EACH {
                        counted.fetch_add(1, Ordering::Relaxed);
                        waker.wake_by_ref();
                    }
                })
            })
            .collect();
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        end.recv().unwrap();
    }
    pool.close();
}

/// A wake while the task runs is not lost, and is one.
#[test]
fn woken_while_it_runs() {
    let pool = Pool::new(2).unwrap();
    let polls = Arc::new(AtomicUsize::new(0));
    let (seen, done) = (Arc::clone(&polls), Flag::default());
    let last = done.clone();
    pool.spawn(async move {
        std::future::poll_fn(|context| {
            if seen.fetch_add(1, Ordering::SeqCst) > 0 {
                return std::task::Poll::Ready(());
            }
            let waker = context.waker().clone();
            std::thread::spawn(move || {
                waker.wake_by_ref();
                waker.wake();
            })
            .join()
            .unwrap();
            std::task::Poll::Pending
        })
        .await;
        last.await;
    })
    .unwrap();
    reaches(&pool, [1, 0, 0, 1, 2, 2]);
    assert_eq!(polls.load(Ordering::SeqCst), 2);
    done.set();
    pool.close();
}

#[test]
fn tasks_add_tasks_to_their_own_pool() {
    let pool = Pool::new(1).unwrap();
    let (sender, receiver) = mpsc::channel();
    let handle = pool.handle();
    pool.spawn(async move {
        for number in 0..10 {
            let sender = sender.clone();
            handle.spawn(async move { sender.send(number).unwrap() }).unwrap();
        }
    })
    .unwrap();
    pool.close();
    assert_eq!(receiver.iter().collect::<Vec<_>>(), Vec::from_iter(0..10));
}

#[test]
fn tasks_resize_their_own_pool() {
    let pool = Pool::new(1).unwrap();
    let (handle, gate) = (pool.handle(), Gate::default());
    let inner = gate.clone();
    pool.spawn(async move {
        handle.resize(2, false).unwrap();
        // On the other thread.
        handle.spawn(async move { inner.open(1) }).unwrap();
        gate.pass();
        handle.resize(0, false).unwrap();
    })
    .unwrap();
    reaches(&pool, [0, 0, 0, 0, 0, 0]);
}

#[test]
fn threads_are_named() {
    let pool = Builder::new().name("test-pool").stack_size(1 << 20).build(1).unwrap();
    let (sender, receiver) = mpsc::channel();
    pool.spawn(async move { sender.send(std::thread::current().name().map(str::to_owned)).unwrap() })
        .unwrap();
    assert_eq!(receiver.recv().unwrap().as_deref(), Some("test-pool"));
}

/// More tasks than threads, all of which wait for each other in a ring.
#[test]
fn a_ring_of_tasks_on_two_threads() {
    const N: usize = 100;
    let pool = Pool::new(2).unwrap();
    let flags: Vec<Flag> = (0..=N).map(|_| Flag::default()).collect();
    for number in (0..N).rev() {
        let (mine, next) = (flags[number].clone(), flags[number + 1].clone());
        pool.spawn(async move {
            mine.await;
            next.set();
        })
        .unwrap();
    }
    flags[0].set();
    pool.close();
    assert_eq!(pool.count().tasks, 0);
}
