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
        self.replace(value).is_none()
    }

    /// As [`fulfill`](Self::fulfill), but returns the earlier value, so that it can be dropped elsewhere. `None` if this
    /// fulfilled the promise.
    pub fn replace(&mut self, value: T) -> Option<T> {
        self.value.replace(value)
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

#[cfg(test)]
mod tests {
    use super::*;

    /// [10 4.3.1] [10 4.3.2] [10 4.3.3]
    #[test]
    fn the_first_fulfils_and_the_last_counts() {
        let mut outcome = Outcome::default();
        assert!(!outcome.is_fulfilled());
        assert!(outcome.fulfill("a") && outcome.is_fulfilled());
        assert!(!outcome.fulfill("b") && outcome.is_fulfilled());
        assert_eq!(outcome.replace("c"), Some("b"));
        assert_eq!(outcome.get(), Some(&"c"));
        assert_eq!(Outcome::new().replace("a"), None);
    }
}
