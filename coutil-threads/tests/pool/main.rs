//! Pools, from outside.
#![cfg(not(loom))]

mod close;
mod count;
mod random;
mod run;
mod traits;
mod util;
