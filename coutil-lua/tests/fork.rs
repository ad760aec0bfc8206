//! `life_fork.lua` in a program that embeds Lua, which gives it fork(2): for the versions for which nobody else does.
//!
//! In a program of its own, as what forks is to have few threads.
#![cfg(all(feature = "vendored", target_os = "linux"))]

use coutil_lua::mlua::{Lua, Result, Table};
use coutil_lua::preload;
use std::path::Path;

/// `fork()`, `wait(pid)`, `alarm(seconds)`, `exit(status)`
fn host(lua: &Lua) -> Result<Table> {
    let host = lua.create_table()?;
    // SAFETY: the child runs on in its one thread, and leaves by `_exit`.
    host.set("fork", lua.create_function(|_, ()| Ok(unsafe { libc::fork() }))?)?;
    host.set(
        "wait",
        lua.create_function(|_, pid: i32| {
            let mut status = 0;
            // SAFETY: plain system calls.
            while unsafe { libc::waitpid(pid, &mut status, 0) } != pid {}
            Ok(status == 0)
        })?,
    )?;
    host.set(
        "alarm",
        lua.create_function(|_, seconds: u32| {
            // SAFETY: a plain system call.
            unsafe { libc::alarm(seconds) };
            Ok(())
        })?,
    )?;
    host.set(
        "exit",
        lua.create_function(|_, status: i32| -> Result<()> {
            // SAFETY: nothing of the parent's is run on the way out.
            unsafe { libc::_exit(status) }
        })?,
    )?;
    Ok(host)
}

#[test]
fn children_of_a_program_that_embeds_lua() -> Result<()> {
    // SAFETY: it loads libraries that are in it: the tests use `debug`.
    let lua = unsafe { Lua::unsafe_new() };
    preload(&lua)?;
    let loaded: Table = lua.globals().get::<Table>("package")?.get("loaded")?;
    loaded.set("fork_of_host", host(&lua)?)?;
    let suite = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/lua");
    lua.globals().get::<Table>("package")?.set("path", suite.join("support/?.lua").display().to_string())?;
    lua.load(suite.join("life_fork.lua")).exec()
}
