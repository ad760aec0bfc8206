//! The state of a promise: not fulfilled, or fulfilled with a value. Without waiting.
//!
//! ```
//! use coutil_promise::core::Outcome;
//!
//! let mut outcome = Outcome::new();
//! assert_eq!(outcome.get(), None);
//! assert!(outcome.fulfill(1)); // the first time: whoever waits is to be told
//! assert!(!outcome.fulfill(2)); // later: the value changes, nobody is told
//! assert_eq!(outcome.get(), Some(&2));
//! ```

/// What a promise has come to so far.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome<T> {
    value: Option<T>,
}

impl<T> Default for Outcome<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> Outcome<T> {
    /// Not fulfilled.
    pub const fn new() -> Self {
        Self { value: None }
    }

    /// Sets the value, in place of an earlier one if there is one. Returns whether this fulfilled the promise.
    pub fn fulfill(&mut self, value: T) -> bool {
        self.value.replace(value).is_none()
    }

    /// Whether it has a value.
    pub fn is_fulfilled(&self) -> bool {
        self.value.is_some()
    }

    /// The value, if it has one.
    pub fn get(&self) -> Option<&T> {
        self.value.as_ref()
    }
}
