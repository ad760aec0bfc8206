//! The tests of coutil-event, a module for each property.
//!
//! `[10 x.y]` names a rule of the Lua library that the crate was modelled on, `R18` and the like a lesson from the bugs of
//! other systems.

mod cancel;
mod events;
mod model;
mod queued;
mod reentrancy;
mod registry;
mod threads;
mod traits;
mod util;
