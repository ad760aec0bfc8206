//! Wait queues, and events and queued events identified by a key.
//!
//! A task waits for a key of its choice (a name, a number, a pair of them), and another emits that key, with a value.
//! There is nothing to set up: a key costs memory only while somebody waits for it.
//!
//! - [`Events`]: an emission reaches those who wait at the time, the first of them or all.
//! - [`QueuedEvents`]: an emission that nobody waits for is stored until somebody does.
//! - [`core`]: the wait queues alone, without futures or locks, to build such things with any kind of waiter.
//!
//! A wait can be for one key, for any of several, or for all of several. It begins with the call that makes the future,
//! not with the first poll, so nothing emitted in between is missed. It ends when the future is dropped, at a cost that
//! does not depend on how many others wait; and what [`emit_one`](Events::emit_one) had given it goes to another.
//!
//! # How it works
//!
//! A map leads from a key to its queue, and the queues are linked lists through slabs: `core` has the details. The whole
//! is behind one mutex that is held for a few steps. Under it runs no foreign code but `Hash` and `Eq` of the keys, so
//! wakers, clones and destructors may wait and emit themselves. There is no thread, no timer and no executor: the
//! futures run on any.
//!
//! # Example
//!
//! ```
//! use coutil_event::Events;
//! use futures_lite::future::{block_on, zip};
//!
//! let events = Events::<&str, u32>::new();
//! let server = async {
//!     let port = events.wait("configured").await;
//!     assert!(events.emit_all(&"listening", port));
//! };
//! let client = async {
//!     let listening = events.wait("listening"); // waits from here on
//!     assert!(events.emit_one(&"configured", 80));
//!     listening.await
//! };
//! assert_eq!(block_on(zip(server, client)).1, 80);
//! ```
//!
//! # Limitations
//!
//! - All keys of one `Events` share a lock. Threads that emit unrelated keys all the time want several `Events`.
//! - The tables keep the capacity that they once needed.
//! - For one thing to wait for, without keys, `event-listener` is made.
#![forbid(unsafe_code)]
#![deny(missing_docs)]

pub mod core;
mod events;
pub mod futures;
mod hub;
mod queued;
pub mod wake;

pub use events::Events;
pub use queued::QueuedEvents;

/// Runs the example of the README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
