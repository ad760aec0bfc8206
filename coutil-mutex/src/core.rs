//! Who owns a mutex: the rules, without waiting.
//!
//! ```
//! use coutil_mutex::core::{Attempt, Ownership};
//!
//! let mut mutex = Ownership::new();
//! assert_eq!(mutex.acquire(1), Attempt::Acquired);
//! assert_eq!(mutex.acquire(1), Attempt::Nested);
//! assert_eq!(mutex.acquire(2), Attempt::Busy);
//! assert!(!mutex.release(&2));
//! assert!(mutex.release(&1));
//! assert!(!mutex.is_locked());
//! ```

/// What came of an attempt to acquire a mutex.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Attempt {
    /// It was free, and is owned by the one who asked now.
    Acquired,
    /// The one who asked owns it already.
    Nested,
    /// Somebody else owns it.
    Busy,
}

/// The owner of a mutex, if it has one, identified by a value of type `O`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ownership<O> {
    owner: Option<O>,
}

impl<O> Default for Ownership<O> {
    fn default() -> Self {
        Self { owner: None }
    }
}

impl<O: PartialEq> Ownership<O> {
    /// A free mutex.
    pub const fn new() -> Self {
        Self { owner: None }
    }

    /// Makes `who` the owner if there is none.
    pub fn acquire(&mut self, who: O) -> Attempt {
        match &self.owner {
            None => {
                self.owner = Some(who);
                Attempt::Acquired
            }
            Some(owner) if *owner == who => Attempt::Nested,
            Some(_) => Attempt::Busy,
        }
    }

    /// Frees the mutex if `who` owns it, and says whether it did.
    pub fn release(&mut self, who: &O) -> bool {
        let owned = self.is_owned_by(who);
        if owned {
            self.owner = None;
        }
        owned
    }

    /// Whether anybody owns it.
    pub fn is_locked(&self) -> bool {
        self.owner.is_some()
    }

    /// Whether `who` owns it.
    pub fn is_owned_by(&self, who: &O) -> bool {
        self.owner.as_ref() == Some(who)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// [10 3.1] [10 3.2] [10 3.3]
    #[test]
    fn one_owner_at_a_time() {
        let mut mutex = Ownership::default();
        assert!(!mutex.release(&1) && !mutex.is_locked());
        assert_eq!(mutex.acquire(1), Attempt::Acquired);
        assert_eq!((mutex.acquire(1), mutex.acquire(2)), (Attempt::Nested, Attempt::Busy));
        assert!(mutex.is_owned_by(&1) && !mutex.is_owned_by(&2));
        // One who does not own it changes nothing.
        assert!(!mutex.release(&2) && mutex.is_locked());
        // However often the owner asked, one release is enough.
        assert!(mutex.release(&1) && !mutex.is_locked());
        assert_eq!(mutex.acquire(2), Attempt::Acquired);
        assert!(!mutex.is_owned_by(&1) && !mutex.release(&1));
    }
}
