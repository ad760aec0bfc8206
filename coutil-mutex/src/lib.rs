//! Mutexes identified by a key, handed over in the order of the requests.
//!
//! [`Mutexes`] locks whatever has a name: a file by its path, a row by its number. There is nothing to set up: a key
//! costs memory only while its mutex is owned. [`core`] has the rules of ownership alone, for other ways to wait.
//!
//! A mutex is handed over: when its [`Guard`] is dropped, the one who asked first owns it, even before it runs. A future
//! that is dropped gives up its request at once, and hands on what it was handed already.
//!
//! # How it works
//!
//! A map leads from a key to a queue of [`coutil_event::core`], where those who wait stand, and to the owner. All is
//! behind one mutex of the standard library that is held for a few steps; no foreign code runs under it but `Hash` and
//! `Eq` of the keys. There is no thread and no executor: the futures run on any, and guards may be sent between threads.
//!
//! # Example
//!
//! ```
//! use coutil_mutex::Mutexes;
//! use futures_lite::future::{block_on, yield_now, zip};
//! use std::cell::RefCell;
//!
//! let accounts = Mutexes::new();
//! let log = RefCell::new(Vec::new());
//! let transfer = async |name| {
//!     let _guard = accounts.lock("savings").await;
//!     log.borrow_mut().push(format!("{name} starts"));
//!     yield_now().await;
//!     log.borrow_mut().push(format!("{name} ends"));
//! };
//! block_on(zip(transfer("ann"), transfer("bob")));
//! assert_eq!(*log.borrow(), ["ann starts", "ann ends", "bob starts", "bob ends"]);
//! ```
//!
//! # Limitations
//!
//! - The mutexes protect no data of their own; `async-lock` has a mutex around a value.
//! - Whoever asks again for a mutex that it owns waits for itself. The owner is a guard, not a task, so that is not found
//!   out.
//! - A guard that is dropped by a panic releases the mutex as any other: there is no poisoning.
//! - Strict order has its price: a mutex that is handed over to a task that is slow to run is idle until then.
#![forbid(unsafe_code)]
#![deny(missing_docs)]

pub mod core;
mod mutexes;

pub use mutexes::{Guard, Lock, Mutexes};

/// Runs the example of the README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
