//! Polling by hand, and counting.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::task::{Context, Poll, Wake, Waker};

/// A waker that counts how often it was called.
#[derive(Default)]
pub(crate) struct Count(AtomicUsize);

impl Count {
    pub(crate) fn get(&self) -> usize {
        self.0.load(SeqCst)
    }
}

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, SeqCst);
    }
}

pub(crate) fn poll_with<F: Future + Unpin>(future: &mut F, waker: &Waker) -> Poll<F::Output> {
    Pin::new(future).poll(&mut Context::from_waker(waker))
}

/// Polls once, for nobody.
pub(crate) fn poll<F: Future + Unpin>(future: &mut F) -> Poll<F::Output> {
    poll_with(future, Waker::noop())
}

/// Polls once; the count is that of the wakes from then on.
pub(crate) fn poll_counted<F: Future + Unpin>(future: &mut F) -> (Poll<F::Output>, Arc<Count>) {
    let count = Arc::new(Count::default());
    (poll_with(future, &Waker::from(Arc::clone(&count))), count)
}

/// A waker that calls a function.
pub(crate) struct Call<F>(pub(crate) F);

impl<F: Fn() + Send + Sync + 'static> Wake for Call<F> {
    fn wake(self: Arc<Self>) {
        (self.0)();
    }
}

/// A value of which every instance, clones included, has to be dropped exactly once.
#[derive(Debug)]
pub(crate) struct Tracked {
    pub(crate) value: u32,
    live: Arc<AtomicUsize>,
}

impl Tracked {
    pub(crate) fn new(value: u32, live: &Arc<AtomicUsize>) -> Self {
        live.fetch_add(1, SeqCst);
        Self { value, live: Arc::clone(live) }
    }
}

impl Clone for Tracked {
    fn clone(&self) -> Self {
        Self::new(self.value, &self.live)
    }
}

impl Drop for Tracked {
    fn drop(&mut self) {
        assert!(self.live.fetch_sub(1, SeqCst) > 0, "dropped more often than made");
    }
}
