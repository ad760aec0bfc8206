//! Pools, from outside.

mod close;
mod count;
mod random;
mod run;
mod traits;
mod util;
