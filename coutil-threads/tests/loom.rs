//! A pool and those who use it, in all orders with few preemptions:
//! `RUSTFLAGS="--cfg loom" cargo test --package coutil-threads --test loom --release`.
//!
//! A model fails also when a thread is left that waits for ever: so a wake that is lost is found, and a thread that does not end.
#![cfg(loom)]

use coutil_threads::{Handle, Pool};
use loom::sync::atomic::{AtomicUsize, Ordering};
use loom::sync::{Condvar, Mutex};
use loom::thread;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

/// Runs a model, and says how many orders there were. `LOOM_MAX_PREEMPTIONS` overrides the bound.
fn model(name: &str, preemptions: usize, function: impl Fn() + Send + Sync + 'static) {
    let orders = Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound.get_or_insert(preemptions);
    let count = Arc::clone(&orders);
    builder.check(move || {
        count.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        function();
    });
    let orders = orders.load(Ordering::Relaxed);
    println!("{name}: {orders} orders, with at most {} preemptions", builder.preemption_bound.unwrap());
}

/// What happened to futures, and a number that others set. All of it is relaxed: that it is seen is up to the pool.
#[derive(Default)]
struct Seen {
    number: AtomicUsize,
    polls: AtomicUsize,
    ended: AtomicUsize,
    dropped: AtomicUsize,
}

impl Seen {
    fn add(&self) {
        self.number.fetch_add(1, Ordering::Relaxed);
    }

    /// How often a future was polled, was ready, and was dropped.
    fn counts(&self) -> (usize, usize, usize) {
        let get = |count: &AtomicUsize| count.load(Ordering::Relaxed);
        (get(&self.polls), get(&self.ended), get(&self.dropped))
    }
}

/// Is ready when the number is `until`; calls `first` at the first poll.
struct Until<F> {
    until: usize,
    seen: Arc<Seen>,
    first: Option<F>,
}

impl<F: FnOnce(&Waker) + Unpin> Future for Until<F> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        self.seen.polls.fetch_add(1, Ordering::Relaxed);
        if let Some(first) = self.first.take() {
            first(context.waker());
        }
        if self.seen.number.load(Ordering::Relaxed) < self.until {
            return Poll::Pending;
        }
        self.seen.ended.fetch_add(1, Ordering::Relaxed);
        Poll::Ready(())
    }
}

impl<F> Drop for Until<F> {
    fn drop(&mut self) {
        self.seen.dropped.fetch_add(1, Ordering::Relaxed);
    }
}

/// Adds a task that is ready at once.
fn spawn_ready(pool: &Handle, seen: &Arc<Seen>) {
    pool.spawn(Until { until: 0, seen: Arc::clone(seen), first: None::<fn(&Waker)> }).unwrap();
}

/// Waits until it was woken by `wakers` threads, which it starts itself when it is polled first.
fn woken(seen: &Arc<Seen>, wakers: usize) -> impl Future<Output = ()> + Send + 'static {
    let shared = Arc::clone(seen);
    let first = move |waker: &Waker| {
        for _ in 0..wakers {
            let (waker, seen) = (waker.clone(), Arc::clone(&shared));
            thread::spawn(move || {
                seen.add();
                waker.wake();
            });
        }
    };
    Until { until: wakers, seen: Arc::clone(seen), first: Some(first) }
}

/// Opens once; whoever waits for it blocks its thread.
#[derive(Default)]
struct Gate {
    open: Mutex<bool>,
    changed: Condvar,
}

impl Gate {
    fn open(&self) {
        *self.open.lock().unwrap() = true;
        self.changed.notify_all();
    }

    fn pass(&self) {
        let mut open = self.open.lock().unwrap();
        while !*open {
            open = self.changed.wait(open).unwrap();
        }
    }
}

#[test]
fn a_task_is_woken_while_it_runs_or_as_it_suspends() {
    model("woken while it runs", 4, || {
        let (pool, seen) = (Pool::new(1).unwrap(), Arc::new(Seen::default()));
        pool.spawn(woken(&seen, 1)).unwrap();
        assert!(pool.close().is_empty());
        let (polls, ended, dropped) = seen.counts();
        assert!(polls <= 2 && ended == 1 && dropped == 1);
    });
}

#[test]
fn a_task_is_woken_twice() {
    model("woken twice", 2, || {
        let (pool, seen) = (Pool::new(1).unwrap(), Arc::new(Seen::default()));
        pool.spawn(woken(&seen, 2)).unwrap();
        assert!(pool.close().is_empty());
        let (polls, ended, dropped) = seen.counts();
        assert!(polls <= 3 && ended == 1 && dropped == 1);
    });
}

#[test]
fn two_threads_do_not_have_the_same_task() {
    model("two threads, one task", 2, || {
        let (pool, seen) = (Pool::new(2).unwrap(), Arc::new(Seen::default()));
        pool.spawn(woken(&seen, 1)).unwrap();
        assert!(pool.close().is_empty());
        let (polls, ended, dropped) = seen.counts();
        assert!(polls <= 2 && ended == 1 && dropped == 1);
    });
}

#[test]
fn a_task_that_wakes_itself_goes_on() {
    model("wakes itself", 2, || {
        let (pool, seen) = (Pool::new(2).unwrap(), Arc::new(Seen::default()));
        let shared = Arc::clone(&seen);
        pool.spawn(poll_fn(move |context| {
            if shared.polls.fetch_add(1, Ordering::Relaxed) == 2 {
                return Poll::Ready(());
            }
            context.waker().wake_by_ref();
            Poll::Pending
        }))
        .unwrap();
        assert!(pool.close().is_empty());
        assert_eq!(seen.counts().0, 3);
    });
}

#[test]
fn an_idle_thread_takes_what_comes_as_it_goes_to_sleep() {
    model("about to sleep", 5, || {
        let (pool, seen) = (Pool::new(1).unwrap(), Arc::new(Seen::default()));
        spawn_ready(&pool, &seen);
        spawn_ready(&pool, &seen);
        assert!(pool.close().is_empty());
        assert_eq!(seen.counts(), (2, 2, 2));
    });
}

#[test]
fn a_thread_sleeps_only_if_nothing_is_pending() {
    model("two threads, two tasks", 2, || {
        let (pool, gate) = (Pool::new(2).unwrap(), Arc::new(Gate::default()));
        // The first one blocks its thread until the second one runs.
        let shared = Arc::clone(&gate);
        pool.spawn(async move { shared.pass() }).unwrap();
        pool.spawn(async move { gate.open() }).unwrap();
        assert!(pool.close().is_empty());
    });
}

#[test]
fn a_pool_goes_to_zero_threads_and_back() {
    model("to zero and back", 4, || {
        let (pool, seen) = (Pool::new(1).unwrap(), Arc::new(Seen::default()));
        let other = {
            let pool = pool.handle();
            thread::spawn(move || {
                pool.resize(0, false).unwrap();
                pool.resize(1, false).unwrap();
            })
        };
        spawn_ready(&pool, &seen);
        other.join().unwrap();
        // There is a thread for it, or it has run.
        assert!(pool.close().is_empty());
        assert_eq!(seen.counts(), (1, 1, 1));
    });
}

#[test]
fn a_thread_that_ends_leaves_what_is_pending_to_another() {
    model("one of two ends", 2, || {
        let (pool, seen) = (Pool::new(2).unwrap(), Arc::new(Seen::default()));
        let other = {
            let pool = pool.handle();
            thread::spawn(move || pool.resize(1, false).unwrap())
        };
        spawn_ready(&pool, &seen);
        other.join().unwrap();
        assert!(pool.close().is_empty());
        assert_eq!(seen.counts(), (1, 1, 1));
    });
}

/// A pool without threads, a task of which is suspended, and the waker of that.
fn suspended(seen: &Arc<Seen>) -> (Pool, Waker) {
    let pool = Pool::new(1).unwrap();
    let waker = Arc::new((Gate::default(), Mutex::new(None)));
    let shared = Arc::clone(&waker);
    let first = move |waker: &Waker| {
        *shared.1.lock().unwrap() = Some(waker.clone());
        shared.0.open();
    };
    pool.spawn(Until { until: 1, seen: Arc::clone(seen), first: Some(first) }).unwrap();
    waker.0.pass();
    let waker = waker.1.lock().unwrap().take().unwrap();
    (pool, waker)
}

#[test]
fn a_pool_is_closed_while_a_task_is_woken() {
    model("closed while woken", 3, || {
        let seen = Arc::new(Seen::default());
        let (pool, waker) = suspended(&seen);
        pool.resize(0, false).unwrap();
        let other = {
            let seen = Arc::clone(&seen);
            thread::spawn(move || {
                seen.add();
                waker.wake();
            })
        };
        let suspended = pool.close();
        other.join().unwrap();
        // It has ended, or was dropped when it was pending, or when it was woken.
        assert!(suspended.is_empty());
        let (polls, ended, dropped) = seen.counts();
        assert!(polls <= 2 && ended <= 1 && ended >= polls - 1 && dropped == 1);
    });
}

#[test]
fn the_suspended_are_dropped_while_one_is_woken() {
    model("suspended dropped", 5, || {
        let seen = Arc::new(Seen::default());
        let (pool, waker) = suspended(&seen);
        pool.resize(0, false).unwrap();
        let suspended = pool.close();
        let other = thread::spawn(move || waker.wake());
        drop(suspended);
        other.join().unwrap();
        assert_eq!(seen.counts(), (1, 0, 1));
    });
}

#[test]
fn a_pool_that_is_dropped_ends_its_tasks_and_threads() {
    model("dropped with a pending task", 3, || {
        let (pool, gate) = (Pool::new(2).unwrap(), Arc::new(Gate::default()));
        let shared = Arc::clone(&gate);
        pool.spawn(async move { shared.open() }).unwrap();
        drop(pool);
        gate.pass();
    });
}

#[test]
fn a_task_of_a_pool_that_was_dropped_is_woken() {
    model("dropped with a task that is woken", 2, || {
        let (pool, seen, gate) =
            (Pool::new(2).unwrap(), Arc::new(Seen::default()), Arc::new(Gate::default()));
        let (future, shared) = (woken(&seen, 1), Arc::clone(&gate));
        pool.spawn(async move {
            future.await;
            shared.open();
        })
        .unwrap();
        drop(pool);
        gate.pass();
    });
}
