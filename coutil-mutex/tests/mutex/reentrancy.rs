//! Wakers and destructors may use the mutexes themselves, and may panic: none of them runs under the lock.

use crate::util::{Call, poll, poll_with};
use coutil_mutex::Mutexes;
use std::hash::{Hash, Hasher};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex};
use std::task::{Wake, Waker};

/// [10 3.2.2]: the next one may be through with it before the release returns.
#[test]
fn a_waker_takes_and_releases() {
    const DEPTH: usize = 300;
    let mutexes = Mutexes::new();
    let guard = mutexes.try_lock(0);
    let locks: Vec<_> = (0..DEPTH).map(|_| Arc::new(Mutex::new(Some(mutexes.lock(0))))).collect();
    for lock in &locks {
        let shared = Arc::clone(lock);
        let mutexes = mutexes.clone();
        let waker = Waker::from(Arc::new(Call(move || {
            assert!(mutexes.try_lock(0).is_none());
            let mut lock = shared.lock().expect("no panic under it").take().expect("woken once");
            assert!(poll(&mut lock).is_ready());
        })));
        assert!(
            poll_with(lock.lock().expect("no panic under it").as_mut().expect("it is there"), &waker)
                .is_pending()
        );
    }
    drop(guard);
    assert!(!mutexes.is_locked(&0));
    assert!(locks.iter().all(|lock| lock.lock().expect("no panic under it").is_none()));
}

#[test]
fn a_waker_panics() {
    let mutexes = Mutexes::new();
    let guard = mutexes.try_lock(0);
    let mut lock = mutexes.lock(0);
    let panics = Waker::from(Arc::new(Call(|| panic!("do not wake me"))));
    assert!(poll_with(&mut lock, &panics).is_pending());
    assert!(catch_unwind(AssertUnwindSafe(|| drop(guard))).is_err());
    assert!(poll(&mut lock).is_ready());
}

#[test]
fn a_waker_locks_when_it_is_dropped() {
    struct OnDrop(Mutexes<u32>);
    impl Wake for OnDrop {
        fn wake(self: Arc<Self>) {}
    }
    impl Drop for OnDrop {
        fn drop(&mut self) {
            assert!(self.0.try_lock(1).is_some());
        }
    }
    let mutexes = Mutexes::new();
    let waker = || Waker::from(Arc::new(OnDrop(mutexes.clone())));
    let guard = mutexes.try_lock(0);
    let (mut first, mut second) = (mutexes.lock(0), mutexes.lock(0));
    for _ in 0..2 {
        assert!(poll_with(&mut first, &waker()).is_pending());
        assert!(poll_with(&mut second, &waker()).is_pending());
    }
    drop(second);
    drop(guard);
    assert!(poll_with(&mut first, &waker()).is_ready());
}

/// A key that locks when it is dropped, and panics when it is hashed if it is told to.
struct Key {
    name: u32,
    on_drop: Option<Mutexes<Key>>,
    panics: bool,
}

impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for Key {}

impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        assert!(!self.panics, "this key cannot be hashed");
        self.name.hash(state);
    }
}

impl Drop for Key {
    fn drop(&mut self) {
        if let Some(mutexes) = &self.on_drop {
            let other = Key { name: 9, on_drop: None, panics: false };
            assert!(!mutexes.is_locked(&other));
        }
    }
}

#[test]
fn a_key_is_dropped() {
    let mutexes = Mutexes::new();
    let key = || Key { name: 1, on_drop: Some(mutexes.clone()), panics: false };
    let guard = mutexes.try_lock(key()).expect("it is free");
    assert!(mutexes.try_lock(key()).is_none());
    let mut lock = mutexes.lock(key());
    drop(mutexes.lock(key()));
    assert_eq!(guard.key().name, 1);
    drop(guard);
    assert!(poll(&mut lock).is_ready());
    assert!(!mutexes.is_locked(&key()));
}

#[test]
fn a_key_panics() {
    let mutexes = Mutexes::new();
    let key = |panics| Key { name: 1, on_drop: None, panics };
    let guard = mutexes.try_lock(key(false)).expect("it is free");
    assert!(catch_unwind(AssertUnwindSafe(|| drop(mutexes.lock(key(true))))).is_err());
    assert!(catch_unwind(AssertUnwindSafe(|| drop(mutexes.try_lock(key(true))))).is_err());
    assert!(catch_unwind(AssertUnwindSafe(|| mutexes.is_locked(&key(true)))).is_err());
    assert!(mutexes.is_locked(&key(false)));
    drop(guard);
    assert_eq!(format!("{mutexes:?}"), "Mutexes { locked: 0, waiting: 0, .. }");
}
