//! Multithreading for Lua without callbacks: the Lua module, and the library for programs that embed Lua.
//!
//! Lua coroutines wait for events, sockets, timers, files, processes, other threads, and continue when these come, with no
//! callback in sight. This crate is the Lua side; the primitives are crates of their own (`coutil-event`, `coutil-mutex`,
//! `coutil-promise`, `coutil-channel`, `coutil-threads`, `coutil-system`), which know no Lua.
//!
//! - [`preload`]: all modules, for `require` in a state that the program made with [`mlua`]; [`Builder`]: some of them, for a
//!   sandbox.
//! - [`async_function`]: a Rust future as a function that Lua coroutines await.
//!
//! ```
//! # #[cfg(feature = "vendored")]
//! # fn main() -> mlua::Result<()> {
//! # use coutil_lua::mlua;
//! let lua = mlua::Lua::new();
//! coutil_lua::preload(&lua)?;
//! let greeting: String = lua
//!     .load(
//!         r#"
//!         local event = require "coutil.event"
//!         local greeting
//!         coroutine.wrap(function ()
//!             local _, name = event.await "visitor"
//!             greeting = "hello, " .. name
//!         end)()
//!         event.emitall("visitor", "Lua")
//!         return greeting
//!         "#,
//!     )
//!     .eval()?;
//! assert_eq!(greeting, "hello, Lua");
//! # Ok(())
//! # }
//! # #[cfg(not(feature = "vendored"))]
//! # fn main() {}
//! ```
//!
//! # Features
//!
//! Exactly one of `lua51`, `lua52`, `lua53`, `lua54`, `lua55`, `luajit`, as of `mlua`; there is no default. `vendored`
//! builds Lua from source, and the command `coutil`. `module` makes the crate a module to be loaded by an interpreter: it
//! links no Lua and exports `luaopen_*`; it excludes `vendored`. With neither, the Lua that `mlua` finds is linked.
//!
//! # How a Lua state is used
//!
//! What the library keeps for a Lua state lives in that state, and ends with it. Threads are started, and descriptors
//! opened, when Lua code does what needs them; but `coutil.system` makes copies of the standard streams when it is loaded.
//! Closing a state with coroutines that wait resumes none of them.

// As in Lua's own sources, a `lua_State` is called `L`.
#![allow(non_snake_case)]
#![deny(missing_docs)]

#[cfg(not(any(
    feature = "lua51",
    feature = "lua52",
    feature = "lua53",
    feature = "lua54",
    feature = "lua55",
    feature = "luajit"
)))]
compile_error!("choose the Lua version: one of the features lua51, lua52, lua53, lua54, lua55, luajit");

#[cfg(windows)]
compile_error!("coutil does not support Windows yet: nobody could test it");

mod embed;
mod memory;
mod modules;
mod raw;
mod report;
mod resume;
mod spawn;
mod state;
mod suspend;
mod sync;
mod system;
mod threads;

#[cfg(feature = "module")]
mod entry;

pub use embed::{Builder, preload, unfinished};
pub use mlua;
pub use system::future::async_function;

/// The Lua version that this build is for, as `Lua 5.4`.
pub const LUA_VERSION: &str = raw::compat::VERSION;

/// Runs the example of the README.
#[cfg(all(doctest, feature = "vendored"))]
#[doc = include_str!("../README.md")]
struct Readme;
