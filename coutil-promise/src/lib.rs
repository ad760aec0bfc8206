//! A value that arrives once, awaited by any number of futures.
#![forbid(unsafe_code)]
#![deny(missing_docs)]

pub mod core;
