//! The tests of coutil-promise, a module for each property.
//!
//! `[10 x.y]` names a rule of the Lua library that the crate was modelled on, `R18` and the like a lesson from the bugs of
//! other systems.

mod group;
mod model;
mod promise;
mod reentrancy;
mod threads;
mod traits;
mod util;
