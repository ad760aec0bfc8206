//! A pool of system threads that runs futures, resizable while it works.
//!
//! - [`Pool`] owns threads, and closes them. [`Handle`] is another way to it, for whoever uses it, its own tasks included.
//! - [`Count`] says how many tasks run, wait for a thread, or are suspended, at one moment.
//! - [`patience`] is how its threads look for work a little longer before they sleep, for other loops.
//!
//! Tasks run in the order in which they came, or were woken. A thread stays with its task until that is pending, ready, or has
//! panicked, which harms neither the thread nor the pool.
//!
//! # How it works
//!
//! The queue and all counters are behind one mutex, so that what is counted is never in between: a thread goes from one task to
//! the next in one step. A task is an `Arc` that is its own waker; a wake while it runs is remembered, and has it queued again
//! behind the others. No foreign code runs under the lock.
//!
//! # Example
//!
//! ```
//! use coutil_threads::Pool;
//! use std::sync::mpsc;
//!
//! let pool = Pool::new(2)?;
//! let (sender, receiver) = mpsc::channel();
//! for number in 1..=3 {
//!     let sender = sender.clone();
//!     pool.spawn(async move { sender.send(number * number).unwrap() })?;
//! }
//! pool.resize(1, false)?;
//! pool.close(); // waits for the tasks
//! assert_eq!(pool.count().tasks, 0);
//! assert_eq!(receiver.try_iter().sum::<i32>(), 14);
//! # Ok::<(), std::io::Error>(())
//! ```
//!
//! # Limitations
//!
//! - One queue for all threads: made for tasks that take longer than the few hundred nanoseconds that its lock takes.
//! - Tasks have no results; they send them, by a channel say.
#![forbid(unsafe_code)]
#![deny(missing_docs)]

pub mod patience;
mod pool;
mod sync;
mod task;
mod worker;

pub use pool::{Builder, Count, Handle, Pool};
pub use task::Suspended;

/// Runs the example of the README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
