//! Wait queues, and events and queued events identified by a key.
#![forbid(unsafe_code)]
#![deny(missing_docs)]

pub mod core;
