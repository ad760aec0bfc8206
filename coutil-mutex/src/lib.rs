//! Mutexes identified by a key, handed over in the order of the requests.
#![forbid(unsafe_code)]
#![deny(missing_docs)]

pub mod core;
