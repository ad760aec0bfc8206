//! An event loop that delivers operations one at a time, in order: timers, sockets, futures.
#![deny(unsafe_code)]
#![deny(missing_docs)]

#[cfg(windows)]
compile_error!("coutil-system does not support Windows yet: nobody could test it");

pub mod core;
mod error;
pub mod net;
mod remote;
mod schedule;
mod source;
mod stream;
mod sys;
mod table;
pub mod time;

pub use error::{Error, Result};
pub use source::Kind;
