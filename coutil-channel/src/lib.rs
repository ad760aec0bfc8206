//! Rendezvous between threads and tasks, by name; and buffered channels.
//!
//! - [`Channels`]: two that come to a channel of the same name, to opposite [endpoints](core::Endpoint), exchange a value
//!   each. Whoever comes first waits.
//! - `buffered`: channels with a buffer, many to many.
//! - [`core`]: the rules of the rendezvous alone, without futures or locks.
//!
//! There is nothing to set up: a channel exists while somebody has a [`Channel`] of its name, or waits there. It begins to wait
//! with the call that makes the future, and gives up when that is dropped, in constant time.
//!
//! # How it works
//!
//! A map leads from a name to a queue of [`coutil_event::core`]. The whole is behind one mutex that is held for a few steps; no
//! foreign code runs under it but `Hash` and `Eq` of the names. There is no thread and no executor: the futures run on any.
//!
//! # Example
//!
//! ```
//! use coutil_channel::{Channels, core::Endpoint};
//! use futures_lite::future::block_on;
//! use std::thread;
//!
//! let channels = Channels::<&str, u32>::new();
//! let worker = {
//!     let jobs = channels.open("jobs");
//!     thread::spawn(move || {
//!         let job = block_on(jobs.exchange(Endpoint::In, 0));
//!         block_on(jobs.exchange(Endpoint::In, job * 2));
//!     })
//! };
//! let jobs = channels.open("jobs");
//! assert_eq!(block_on(jobs.exchange(Endpoint::Out, 21)), 0);
//! assert_eq!(block_on(jobs.exchange(Endpoint::Out, 0)), 42);
//! worker.join().unwrap();
//! ```
//!
//! # Limitations
//!
//! - All channels of one [`Channels`] share a lock.
//! - A value that was exchanged and never taken, as its future was dropped before it was polled again, is dropped; the other
//!   side does not learn of it.
//!
//! # Features
//!
//! `buffered`, which is on by default: the module of that name. It is all that needs the crate `flume`.
#![forbid(unsafe_code)]
#![deny(missing_docs)]

#[cfg(feature = "buffered")]
pub mod buffered;
mod channels;
pub mod core;

pub use channels::{Channel, Channels, Exchange};

/// Runs the example of the README.
#[cfg(all(doctest, feature = "buffered"))]
#[doc = include_str!("../README.md")]
struct Readme;
