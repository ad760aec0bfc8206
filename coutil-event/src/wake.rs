//! Wakers that wait for a lock to be released.

use std::collections::VecDeque;
use std::fmt;
use std::task::Waker;

/// The wakers to call once the lock that protects their waiters was released.
///
/// A waker is somebody else's code: it may run the task at once, which may take the same lock. So whoever holds the lock
/// collects wakers here, and calls them later. All of them are called, the first first, even if one of them panics, and
/// also if the list is dropped.
///
/// ```
/// use coutil_event::wake::WakeList;
/// use std::sync::Mutex;
/// use std::task::Waker;
///
/// let waiting = Mutex::new(vec![Waker::noop().clone()]);
/// let mut list = WakeList::new();
/// list.extend(waiting.lock().unwrap().drain(..));
/// list.wake(); // the lock is free here
/// ```
#[derive(Default)]
#[must_use = "those in the list are woken when it is dropped, perhaps earlier than intended"]
pub struct WakeList {
    wakers: VecDeque<Waker>,
}

impl WakeList {
    /// A list without wakers.
    pub const fn new() -> Self {
        Self { wakers: VecDeque::new() }
    }

    /// Appends a waker.
    pub fn push(&mut self, waker: Waker) {
        self.wakers.push_back(waker);
    }

    /// Calls them all.
    pub fn wake(mut self) {
        // If one panics, those behind it are called by the destructor.
        self.call();
    }

    fn call(&mut self) {
        while let Some(waker) = self.wakers.pop_front() {
            waker.wake();
        }
    }
}

impl Drop for WakeList {
    fn drop(&mut self) {
        self.call();
    }
}

impl Extend<Waker> for WakeList {
    fn extend<I: IntoIterator<Item = Waker>>(&mut self, wakers: I) {
        self.wakers.extend(wakers);
    }
}

impl fmt::Debug for WakeList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WakeList").field("wakers", &self.wakers.len()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::sync::{Arc, Mutex};
    use std::task::Wake;

    struct Logging {
        name: u32,
        log: Arc<Mutex<Vec<u32>>>,
    }

    impl Wake for Logging {
        fn wake(self: Arc<Self>) {
            self.log.lock().expect("no panic under it").push(self.name);
            assert_ne!(self.name, 2, "the second one panics");
        }
    }

    fn list(log: &Arc<Mutex<Vec<u32>>>) -> WakeList {
        let mut list = WakeList::new();
        list.extend((1..=4).map(|name| Waker::from(Arc::new(Logging { name, log: log.clone() }))));
        list
    }

    #[test]
    fn a_panic_keeps_nobody_from_being_woken() {
        let log = Arc::default();
        let outcome = catch_unwind(AssertUnwindSafe(|| list(&log).wake()));
        assert!(outcome.is_err());
        assert_eq!(*log.lock().expect("no panic under it"), [1, 2, 3, 4]);
    }

    #[test]
    fn dropping_the_list_wakes() {
        let log: Arc<Mutex<Vec<u32>>> = Arc::default();
        let waker = Waker::from(Arc::new(Logging { name: 7, log: log.clone() }));
        let mut list = WakeList::new();
        list.push(waker);
        drop(list);
        assert_eq!(*log.lock().expect("no panic under it"), [7]);
    }
}
