//! The tests of coutil-mutex, a module for each property.
//!
//! `[10 x.y]` names a rule of the Lua library that the crate was modelled on, `R18` and the like a lesson from the bugs of
//! other systems.

mod cancel;
mod lock;
mod model;
mod reentrancy;
mod threads;
mod traits;
mod util;
