//! What a promise gives, and when.

use crate::util::{Count, poll, poll_with};
use coutil_promise::{Abandoned, All, Any, Fulfiller, Promise, promise};
use futures_lite::future::block_on;
use std::cell::Cell;
use std::fmt::Debug;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::task::{Poll, Waker};

/// [10 4.2.1] [10 4.2.2] [10 4.3.1]
#[test]
fn awaited_after_it_was_fulfilled() {
    let (fulfiller, promise) = promise();
    assert!(!promise.is_fulfilled() && !fulfiller.is_fulfilled());
    assert_eq!(promise.try_get(), None);
    assert!(fulfiller.fulfill("x"));
    assert!(promise.is_fulfilled() && fulfiller.is_fulfilled());
    assert_eq!(promise.try_get(), Some("x"));
    drop(fulfiller);
    let clone = promise.clone();
    assert_eq!(block_on(promise), Ok("x"));
    assert_eq!(block_on(clone), Ok("x"));
}

/// [10 4.2.3] [10 4.3.2]
#[test]
fn awaited_before_it_is_fulfilled() {
    let (fulfiller, promise) = promise();
    let mut clones = [0; 3].map(|_| promise.clone());
    let counts = [0; 3].map(|_| Arc::new(Count::default()));
    for (clone, count) in clones.iter_mut().zip(&counts) {
        assert_eq!(poll_with(clone, &Waker::from(Arc::clone(count))), Poll::Pending);
    }
    assert!(fulfiller.fulfill(1));
    assert_eq!(counts.each_ref().map(|count| count.get()), [1; 3]);
    for clone in clones {
        assert_eq!(block_on(clone), Ok(1));
    }
}

/// R11, [10 4.3.3]: nobody is woken by a second value, but it is the value.
#[test]
fn fulfilled_twice() {
    let (fulfiller, mut promise) = promise();
    let count = Arc::new(Count::default());
    assert!(poll_with(&mut promise, &Waker::from(Arc::clone(&count))).is_pending());
    assert!(fulfiller.fulfill(1));
    assert!(!fulfiller.fulfill(2));
    drop(fulfiller);
    assert_eq!(count.get(), 1);
    assert_eq!(block_on(&mut promise), Ok(2));
    assert_eq!(promise.try_get(), Some(2));
}

/// A promise is a future that does not end.
#[test]
fn polled_again() {
    let (fulfiller, mut promise) = promise();
    assert_eq!(poll(&mut promise), Poll::Pending);
    fulfiller.fulfill(1);
    assert_eq!(poll(&mut promise), Poll::Ready(Ok(1)));
    assert_eq!(poll(&mut promise), Poll::Ready(Ok(1)));
    fulfiller.fulfill(2);
    assert_eq!(poll(&mut promise), Poll::Ready(Ok(2)));
}

#[test]
fn abandoned() {
    let (fulfiller, promise) = promise::<u32>();
    let mut waiting = promise.clone();
    let count = Arc::new(Count::default());
    assert!(poll_with(&mut waiting, &Waker::from(Arc::clone(&count))).is_pending());
    assert!(!promise.is_abandoned());
    drop(fulfiller);
    assert_eq!(count.get(), 1);
    assert!(promise.is_abandoned() && !promise.is_fulfilled());
    assert_eq!(promise.try_get(), None);
    assert_eq!(poll(&mut waiting), Poll::Ready(Err(Abandoned)));
    assert_eq!(poll(&mut waiting), Poll::Ready(Err(Abandoned)));
    assert_eq!(block_on(promise), Err(Abandoned));
    assert_eq!(Abandoned.to_string(), "promise abandoned without a value");
    let _: &dyn std::error::Error = &Abandoned;
}

#[test]
fn not_abandoned_once_it_has_a_value() {
    let (fulfiller, promise) = promise();
    fulfiller.fulfill(1);
    drop(fulfiller);
    assert!(!promise.is_abandoned());
}

/// R18
#[test]
fn a_dropped_promise_is_not_woken() {
    let (fulfiller, promise) = promise();
    let mut clones: Vec<_> = (0..5).map(|_| Some(promise.clone())).collect();
    let counts: Vec<_> = (0..5).map(|_| Arc::new(Count::default())).collect();
    for (clone, count) in clones.iter_mut().flatten().zip(&counts) {
        assert!(poll_with(clone, &Waker::from(Arc::clone(count))).is_pending());
    }
    assert!(fulfiller.is_awaited());
    for gone in [0, 2, 4] {
        clones[gone] = None;
        assert_eq!(Arc::strong_count(&counts[gone]), 1, "its waker is not kept");
    }
    assert!(fulfiller.fulfill(1));
    assert!(!fulfiller.is_awaited());
    assert_eq!(counts.iter().map(|count| count.get()).collect::<Vec<_>>(), [0, 1, 0, 1, 0]);
}

/// The last waker is the one that counts, and a clone has none.
#[test]
fn a_promise_may_move_between_tasks() {
    let (fulfiller, mut promise) = promise();
    let (old, new) = (Arc::new(Count::default()), Arc::new(Count::default()));
    assert!(poll_with(&mut promise, &Waker::from(Arc::clone(&old))).is_pending());
    let clone = promise.clone();
    assert!(poll_with(&mut promise, &Waker::from(Arc::clone(&new))).is_pending());
    drop(clone);
    fulfiller.fulfill(());
    assert_eq!((old.get(), new.get()), (0, 1));
    assert_eq!((Arc::strong_count(&old), Arc::strong_count(&new)), (1, 1));
}

/// R18: more than 2^16 wait.
#[test]
fn many() {
    const N: usize = (1 << 16) + 1000;
    let (fulfiller, promise) = promise();
    let count = Arc::new(Count::default());
    let waker = Waker::from(Arc::clone(&count));
    let mut clones: Vec<_> = (0..N).map(|_| promise.clone()).collect();
    for clone in &mut clones {
        assert!(poll_with(clone, &waker).is_pending());
    }
    assert!(fulfiller.fulfill(1));
    assert_eq!(count.get(), N);
    assert!(clones.iter_mut().all(|clone| poll(clone) == Poll::Ready(Ok(1))));
}

/// Each value and each clone is dropped exactly once, and the last one to ask gets the value itself.
#[test]
fn values_are_dropped_once() {
    struct Tracked(Arc<[AtomicUsize; 2]>);
    impl Tracked {
        fn new(counts: &Arc<[AtomicUsize; 2]>) -> Self {
            counts[0].fetch_add(1, SeqCst);
            Self(Arc::clone(counts))
        }
    }
    impl Clone for Tracked {
        fn clone(&self) -> Self {
            Self::new(&self.0)
        }
    }
    impl Drop for Tracked {
        fn drop(&mut self) {
            self.0[1].fetch_add(1, SeqCst);
        }
    }
    let counts = Arc::new([const { AtomicUsize::new(0) }; 2]);
    let read = || [counts[0].load(SeqCst), counts[1].load(SeqCst)];

    let (fulfiller, promise) = promise();
    fulfiller.fulfill(Tracked::new(&counts));
    assert_eq!(read(), [1, 0]);
    fulfiller.fulfill(Tracked::new(&counts));
    assert_eq!(read(), [2, 1], "the first one is of no use any more");
    drop(block_on(promise.clone()));
    drop(promise.try_get());
    assert_eq!(read(), [4, 3]);
    drop(fulfiller);
    drop(promise);
    assert_eq!(read(), [4, 4]);
}

#[test]
fn bounds() {
    fn check<X: Send + Sync + Unpin + Debug>() {}
    check::<Promise<u32>>();
    check::<Fulfiller<u32>>();
    check::<All<u32>>();
    check::<Any<u32>>();
    fn unpin<X: Unpin>() {}
    unpin::<All<std::marker::PhantomPinned>>();

    // A value that is neither is fine on one thread.
    let (fulfiller, promise) = promise();
    fulfiller.fulfill(std::rc::Rc::new(Cell::new(1)));
    assert_eq!(
        format!("{fulfiller:?} {promise:?}"),
        "Fulfiller { fulfilled: true } Promise { fulfilled: true, abandoned: false }"
    );
}
