//! `cargo xtask soak`: the test that lasts as long as one likes.

use crate::build;
use crate::lua::Version;
use anyhow::Result;
use xshell::{Shell, cmd};

/// Runs it in the interpreter that has coutil in it.
pub(crate) fn soak(sh: &Shell, version: Version, minutes: f64) -> Result<()> {
    let command = build::command(sh, version, true)?;
    let seconds = (minutes * 60.0).ceil().to_string();
    let _path = sh.push_env("LUA_PATH", "coutil-lua/tests/lua/support/?.lua;;");
    let _loop = sh.push_env("COUTIL_LOOP", "no");
    cmd!(sh, "{command} coutil-lua/tests/soak/soak.lua {seconds}").run()?;
    Ok(())
}
