//! Multithreading for Lua without callbacks: the Lua module, and the library for programs that embed Lua.
//!
//! Lua coroutines wait for events, promises and mutexes, and continue when these come, with no callback and no event
//! loop in sight. This crate is the Lua side; the primitives are crates of their own (`coutil-event`, `coutil-mutex`,
//! `coutil-promise`), which know no Lua.
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
//! builds Lua from source; `module` makes the crate a module to be loaded by an interpreter, and exports `luaopen_*`.
//!
//! # How a Lua state is used
//!
//! What the library keeps for a Lua state lives in that state, and ends with it. No thread is started, no descriptor
//! opened. Closing a state with coroutines that wait resumes none of them.

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
