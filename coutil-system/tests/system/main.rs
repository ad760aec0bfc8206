//! The tests of coutil-system, a module for each property.
//!
//! `[30 S6]` names a rule of the Lua library that the crate was modelled on, `R16` and the like a lesson from the bugs of
//! other systems.

mod connect;
mod face;
mod input;
#[cfg(feature = "futures-io")]
mod io;
mod local;
mod output;
mod parked;
mod pass;
mod process;
mod tasks;
mod udp;
mod util;
