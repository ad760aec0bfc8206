//! The channels, from outside.
#![cfg(not(loom))]

mod buffered;
mod exchange;
mod model;
mod threads;
