//! Several system threads at once. What is checked does not depend on who is faster.

use coutil_promise::{Abandoned, all, any, promise};
use futures_lite::future::block_on;
use std::sync::Barrier;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::thread;

const THREADS: usize = 4;
const ROUNDS: usize = 300;

#[test]
fn every_thread_gets_it() {
    for round in 0..ROUNDS {
        let (fulfiller, promise) = promise();
        thread::scope(|scope| {
            for _ in 0..THREADS {
                let promise = promise.clone();
                let expected = if round % 3 == 0 { Err(Abandoned) } else { Ok(round) };
                scope.spawn(move || assert_eq!(block_on(promise), expected));
            }
            if round % 3 != 0 {
                assert!(fulfiller.fulfill(round));
            }
            drop(fulfiller);
        });
    }
}

/// R11: one of those who race is the first.
#[test]
fn racing_to_fulfil() {
    for _ in 0..ROUNDS {
        let (fulfiller, promise) = promise();
        let start = Barrier::new(THREADS);
        let firsts = AtomicUsize::new(0);
        thread::scope(|scope| {
            for thread in 0..THREADS {
                let (fulfiller, start, firsts) = (&fulfiller, &start, &firsts);
                scope.spawn(move || {
                    start.wait();
                    firsts.fetch_add(usize::from(fulfiller.fulfill(thread)), SeqCst);
                });
            }
            assert!(block_on(promise).is_ok_and(|value| value < THREADS));
        });
        assert_eq!(firsts.load(SeqCst), 1);
    }
}

/// The signals of a group come from all threads while it is polled: one that gets lost would be a hang.
#[test]
fn groups() {
    for round in 0..ROUNDS {
        let (fulfillers, promises): (Vec<_>, Vec<_>) = (0..THREADS * 10).map(|_| promise::<usize>()).unzip();
        let mut parts: Vec<Vec<_>> = (0..THREADS).map(|_| Vec::new()).collect();
        for (position, fulfiller) in fulfillers.into_iter().enumerate() {
            parts[(position + round) % THREADS].push((position, fulfiller));
        }
        let start = Barrier::new(THREADS + 1);
        thread::scope(|scope| {
            for part in parts {
                let start = &start;
                scope.spawn(move || {
                    start.wait();
                    for (position, fulfiller) in part {
                        fulfiller.fulfill(position);
                    }
                });
            }
            start.wait();
            let first = block_on(any(promises.clone())).expect("none is abandoned");
            assert_eq!(first.0, first.1);
            assert_eq!(block_on(all(promises)), Ok((0..THREADS * 10).collect()));
        });
    }
}
