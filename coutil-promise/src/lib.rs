//! A value that arrives once, awaited by any number of futures.
//!
//! [`promise()`] makes a [`Promise`] and its [`Fulfiller`]. The promise can be cloned, sent to other threads, and awaited
//! before or after the value is there; everybody gets a clone of it. [`all`] and [`any`] wait for several. [`core`] has
//! the state alone, for other ways to wait.
//!
//! # How it works
//!
//! The two share a value and a queue of [`coutil_event::core`], behind one mutex that is held for a few steps. No foreign
//! code runs under it: values are cloned and dropped, and wakers called, when it was released. A promise enters the queue
//! when it is polled, and leaves it when it is dropped, in constant time. There is no thread and no executor.
//!
//! If the fulfiller is dropped without a value, awaiting gives [`Abandoned`]. If it gives a second value, that is what is
//! found from then on; those who were woken by the first and have not looked yet find it too.
//!
//! # Example
//!
//! ```
//! use coutil_promise::{Abandoned, promise};
//! use futures_lite::future::block_on;
//! use std::thread;
//!
//! let (fulfiller, answer) = promise();
//! let others: Vec<_> = (0..3).map(|_| answer.clone()).map(|p| thread::spawn(|| block_on(p))).collect();
//!
//! assert_eq!(answer.try_get(), None);
//! assert!(fulfiller.fulfill(42));
//! assert!(!fulfiller.fulfill(42)); // it was fulfilled already
//! for thread in others {
//!     assert_eq!(thread.join().unwrap(), Ok(42));
//! }
//! assert_eq!(block_on(answer), Ok(42));
//!
//! let (fulfiller, never) = promise::<u32>();
//! drop(fulfiller);
//! assert_eq!(block_on(never), Err(Abandoned));
//! ```
//!
//! # Limitations
//!
//! - To be sent between threads a promise needs a value that is `Send` and `Sync`, since all clones share it.
//! - For a single receiver, a one-shot channel does without `Clone`.
#![forbid(unsafe_code)]
#![deny(missing_docs)]

pub mod core;
mod group;
mod promise;

pub use group::{All, Any, all, any};
pub use promise::{Abandoned, Fulfiller, Promise, promise};

/// Runs the example of the README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
