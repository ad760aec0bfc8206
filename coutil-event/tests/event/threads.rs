//! Several system threads at once. What is checked does not depend on who is faster.

use crate::util::poll;
use coutil_event::{Events, QueuedEvents};
use futures_lite::future::block_on;
use std::sync::Barrier;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::task::Poll;
use std::thread;

const THREADS: usize = 4;

/// Counts down when it is dropped, also by a panic: so that others do not wait in vain.
struct Running<'a>(&'a AtomicUsize);

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, SeqCst);
    }
}

#[test]
fn emit_all_reaches_every_thread() {
    const ROUNDS: usize = 500;
    let events = Events::<&str, usize>::new();
    let registered = Barrier::new(THREADS + 1);
    thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                for round in 0..ROUNDS {
                    let wait = events.wait("go");
                    registered.wait();
                    assert_eq!(block_on(wait), round);
                }
            });
        }
        for round in 0..ROUNDS {
            registered.wait();
            assert!(events.emit_all(&"go", round));
        }
    });
}

/// Two threads that wait for each other all the time: a wake that gets lost would be a hang.
#[test]
fn ping_pong() {
    const ROUNDS: usize = 5000;
    let events = QueuedEvents::<&str, usize>::new();
    thread::scope(|scope| {
        scope.spawn(|| {
            for round in 0..ROUNDS {
                assert_eq!(block_on(events.wait("ping")), round);
                events.emit_one(&"pong", round);
            }
        });
        for round in 0..ROUNDS {
            events.emit_one(&"ping", round);
            assert_eq!(block_on(events.wait("pong")), round);
        }
    });
    assert!(!events.is_queued(&"ping") && !events.is_queued(&"pong"));
}

/// Some take, some give up at any moment: each record is taken exactly once.
#[test]
fn nothing_is_lost_by_those_who_give_up() {
    const EACH: usize = 2000;
    let events = QueuedEvents::<usize, usize>::new();
    let taken: Vec<_> = (0..THREADS * EACH).map(|_| AtomicUsize::new(0)).collect();
    let emitting = AtomicUsize::new(THREADS);
    thread::scope(|scope| {
        for thread in 0..THREADS {
            let (events, taken, emitting) = (&events, &taken, &emitting);
            scope.spawn(move || {
                let _running = Running(emitting);
                for i in 0..EACH {
                    events.emit_one(&(i % 3), thread * EACH + i);
                }
            });
            // Gives up without a poll, after one, or after it was emitted, as it happens.
            scope.spawn(move || {
                let mut turn = thread;
                while emitting.load(SeqCst) > 0 {
                    turn += 1;
                    let mut any = events.wait_any([turn % 3, (turn + 1) % 3]);
                    let all = events.wait_all([0, 1, 2]);
                    if turn % 4 == 0
                        && let Poll::Ready((_, value)) = poll(&mut any)
                    {
                        taken[value].fetch_add(1, SeqCst);
                    }
                    drop(all);
                }
            });
            scope.spawn(move || {
                while emitting.load(SeqCst) > 0 {
                    match poll(&mut events.wait(thread % 3)) {
                        Poll::Ready(value) => _ = taken[value].fetch_add(1, SeqCst),
                        Poll::Pending => thread::yield_now(),
                    }
                }
            });
        }
    });
    for key in 0..3 {
        while let Poll::Ready(value) = poll(&mut events.wait(key)) {
            taken[value].fetch_add(1, SeqCst);
        }
    }
    assert!(taken.iter().all(|count| count.load(SeqCst) == 1));
    assert_eq!(format!("{events:?}"), "QueuedEvents { keys: 0, waiters: 0, .. }");
}

/// `emit_all` against those who come and go.
#[test]
fn emit_all_against_waits_that_are_dropped() {
    const ROUNDS: usize = 3000;
    let events = Events::<u8, usize>::new();
    let running = AtomicUsize::new(THREADS);
    thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                let _running = Running(&running);
                let mut last = 0;
                for round in 0..ROUNDS {
                    let wait = events.wait(0);
                    if round % 2 == 0 {
                        let value = block_on(wait);
                        assert!(value >= last, "the emissions of a thread arrive in order");
                        last = value;
                    }
                }
            });
        }
        let mut count = 0;
        while running.load(SeqCst) > 0 {
            count += 1;
            events.emit_all(&0, count);
        }
    });
    assert_eq!(format!("{events:?}"), "Events { keys: 0, waiters: 0, .. }");
}
