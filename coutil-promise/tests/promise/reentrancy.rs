//! Wakers, clones and destructors may use the promise themselves, and may panic: none of them runs under the lock.

use crate::util::{Call, Count, poll, poll_with};
use coutil_promise::{Fulfiller, Promise, promise};
use futures_lite::future::block_on;
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, OnceLock};
use std::task::{Poll, Wake, Waker};

/// [10 4.3.2] [10 4.3.3]: those who are woken find it fulfilled, and a nested value counts for those who look later.
#[test]
fn a_waker_fulfils_again() {
    let (fulfiller, promise) = promise();
    let fulfiller = Arc::new(fulfiller);
    let (mut first, mut second) = (promise.clone(), promise.clone());
    let nested = {
        let (fulfiller, promise) = (Arc::clone(&fulfiller), promise.clone());
        Waker::from(Arc::new(Call(move || {
            assert!(promise.is_fulfilled());
            assert!(!fulfiller.fulfill(2));
        })))
    };
    let count = Arc::new(Count::default());
    assert!(poll_with(&mut first, &nested).is_pending());
    assert!(poll_with(&mut second, &Waker::from(Arc::clone(&count))).is_pending());
    assert!(fulfiller.fulfill(1));
    assert_eq!(count.get(), 1);
    assert_eq!((block_on(first), block_on(second)), (Ok(2), Ok(2)));
}

/// Design 9: a thousand nested fulfilments.
#[test]
fn wakers_nest() {
    const DEPTH: usize = 1000;
    let (fulfillers, mut promises): (Vec<_>, Vec<_>) = (0..DEPTH).map(|_| promise::<usize>()).unzip();
    let fulfillers = Arc::new(fulfillers);
    for (i, promise) in promises.iter_mut().enumerate() {
        let fulfillers = Arc::clone(&fulfillers);
        let waker = Waker::from(Arc::new(Call(move || {
            if let Some(next) = fulfillers.get(i + 1) {
                assert!(next.fulfill(i));
            }
        })));
        assert!(poll_with(promise, &waker).is_pending());
    }
    assert!(fulfillers[0].fulfill(0));
    assert!(promises.iter().all(|promise| promise.is_fulfilled()));
}

#[test]
fn a_waker_finds_it_abandoned() {
    let (fulfiller, promise) = promise::<u32>();
    let mut waiting = promise.clone();
    let count = Arc::new(Count::default());
    let looks = {
        let count = Arc::clone(&count);
        Waker::from(Arc::new(Call(move || {
            assert!(promise.is_abandoned());
            Arc::clone(&count).wake();
        })))
    };
    assert!(poll_with(&mut waiting, &looks).is_pending());
    drop(fulfiller);
    assert_eq!(count.get(), 1);
}

#[test]
fn a_waker_panics() {
    for abandon in [false, true] {
        let (fulfiller, promise) = promise();
        let (mut first, mut second) = (promise.clone(), promise);
        let panics = Waker::from(Arc::new(Call(|| panic!("do not wake me"))));
        let count = Arc::new(Count::default());
        assert!(poll_with(&mut first, &panics).is_pending());
        assert!(poll_with(&mut second, &Waker::from(Arc::clone(&count))).is_pending());
        let settle = || if abandon { drop(fulfiller) } else { _ = fulfiller.fulfill(1) };
        assert!(catch_unwind(AssertUnwindSafe(settle)).is_err());
        assert_eq!(count.get(), 1);
        assert!(poll(&mut first).is_ready() && poll(&mut second).is_ready());
    }
}

/// A value that looks at its own promise when it is cloned and when it is dropped.
struct Looks(Arc<OnceLock<Promise<Looks>>>);

impl Looks {
    fn look(&self) {
        LOOKS.set(LOOKS.get() + usize::from(self.0.get().is_some_and(|promise| promise.is_fulfilled())));
    }
}

impl Clone for Looks {
    fn clone(&self) -> Self {
        self.look();
        Self(Arc::clone(&self.0))
    }
}

impl Drop for Looks {
    fn drop(&mut self) {
        self.look();
    }
}

thread_local! {
    /// How often a value found its promise fulfilled.
    static LOOKS: Cell<usize> = const { Cell::new(0) };
}

#[test]
fn a_value_looks() {
    let (fulfiller, promise) = promise();
    let looks = Looks(Arc::default());
    assert!(looks.0.set(promise.clone()).is_ok());
    fulfiller.fulfill(looks.clone());
    assert_eq!(LOOKS.get(), 0);
    fulfiller.fulfill(looks.clone());
    assert_eq!(LOOKS.get(), 2, "one was cloned, the other dropped");
    drop(promise.try_get());
    drop(block_on(promise));
    assert_eq!(LOOKS.get(), 6);
    // Ends the cycle that was made above.
    fulfiller.fulfill(Looks(Arc::default()));
    assert_eq!(LOOKS.get(), 7);
}

#[test]
fn a_clone_panics() {
    struct Picky;
    impl Clone for Picky {
        fn clone(&self) -> Self {
            panic!("there is but one")
        }
    }
    let (fulfiller, mut promise) = promise();
    fulfiller.fulfill(Picky);
    let other = promise.clone();
    assert!(catch_unwind(AssertUnwindSafe(|| other.try_get().is_some())).is_err());
    assert!(catch_unwind(AssertUnwindSafe(|| poll(&mut promise).is_ready())).is_err());
    assert!(promise.is_fulfilled() && !fulfiller.fulfill(Picky));
}

#[test]
fn a_waker_looks_when_it_is_dropped() {
    struct OnDrop(Arc<Fulfiller<u32>>);
    impl Wake for OnDrop {
        fn wake(self: Arc<Self>) {}
    }
    impl Drop for OnDrop {
        fn drop(&mut self) {
            self.0.is_fulfilled();
        }
    }
    let (fulfiller, mut promise) = promise();
    let fulfiller = Arc::new(fulfiller);
    let mut clone = promise.clone();
    for _ in 0..2 {
        let waker = Waker::from(Arc::new(OnDrop(Arc::clone(&fulfiller))));
        assert!(poll_with(&mut promise, &waker).is_pending());
        assert!(poll_with(&mut clone, &waker).is_pending());
    }
    drop(clone);
    fulfiller.fulfill(1);
    let waker = Waker::from(Arc::new(OnDrop(fulfiller)));
    assert_eq!(poll_with(&mut promise, &waker), Poll::Ready(Ok(1)));
}
