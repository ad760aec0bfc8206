//! The channels, from outside.
#![cfg(not(loom))]

#[cfg(feature = "buffered")]
mod buffered;
mod exchange;
mod model;
mod threads;
mod traits;
