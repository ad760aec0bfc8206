//! Looking for work a little longer before sleeping: adaptive spinning. The pool does it, and so can a loop that other threads wake.
//!
//! To put a thread to sleep and to wake it takes several microseconds of two processors. Where tasks wait for each other across
//! threads the answer often takes less: then it is cheaper to look for it. Where it is not, this soon gives up.
//!
//! ```
//! use coutil_threads::patience::{self, Patience};
//! use std::sync::mpsc;
//!
//! let (sender, receiver) = mpsc::sync_channel(1);
//! std::thread::spawn(move || sender.send("news"));
//! let mut patience = Patience::default(); // kept from one occasion to the next
//! let mut news = None;
//! if patience.should_look() {
//!     patience.learn(patience::look(|| {
//!         news = receiver.try_recv().ok();
//!         news.is_some()
//!     }));
//! }
//! let news = news.or_else(|| receiver.recv().ok()); // sleeps
//! assert_eq!(news, Some("news"));
//! ```

use crate::sync::thread;
use std::hint;
use std::time::{Duration, Instant};

/// How long it is looked: about what it costs to sleep and to be woken.
const LIMIT: Duration = Duration::from_micros(10);

/// So long a processor that was offered stays away if it is given to a program that has nothing to do with this.
const FOREIGN: Duration = Duration::from_micros(500);

/// After so many vain attempts in a row, one in 2⁷ occasions is used.
const MOST_MISSES: u32 = 7;

/// Whether it has paid lately to look before sleeping.
#[derive(Debug, Default)]
pub struct Patience {
    misses: u32,
    /// So many occasions are to be let go.
    skip: u32,
}

impl Patience {
    /// Whether to [`look`] at this occasion; [`learn`](Self::learn) is to be told what came of it.
    pub fn should_look(&mut self) -> bool {
        let looks = self.skip == 0;
        self.skip = self.skip.saturating_sub(1);
        looks
    }

    /// Takes into account whether something came while it was looked. After each vain attempt more occasions are let go, up to 127 in
    /// a row; one success and every occasion is used again.
    pub fn learn(&mut self, came: bool) {
        self.misses = if came { 0 } else { (self.misses + 1).min(MOST_MISSES) };
        self.skip = (1 << self.misses) - 1;
    }
}

/// Calls `came` until it is true, or for about 10 µs, which is what it costs to sleep and to be woken. Gives whether it came. Those who are
/// waited for may need this processor for it, so it is offered to them now and then.
pub fn look(mut came: impl FnMut() -> bool) -> bool {
    if cfg!(loom) {
        // A model has no time: another thread goes first.
        return came() || {
            thread::yield_now();
            came()
        };
    }
    let start = Instant::now();
    loop {
        for _ in 0..16 {
            if came() {
                return true;
            }
            hint::spin_loop();
        }
        thread::yield_now();
        let elapsed = start.elapsed();
        if elapsed >= LIMIT {
            // The processor may have gone to others than those who are waited for: that was in vain.
            return elapsed < FOREIGN && came();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_gives_up_where_it_does_not_pay() {
        let mut patience = Patience::default();
        let mut tries = 0;
        for _ in 0..10_000 {
            if patience.should_look() {
                tries += 1;
                patience.learn(false);
            }
        }
        assert!(tries < 100, "{tries}");
        patience.learn(true);
        assert_eq!(patience.skip, 0);
    }

    #[test]
    fn it_looks_at_least_once() {
        assert!(look(|| true));
        assert!(!look(|| false));
    }
}
