//! `cargo xtask run`.

use crate::build;
use crate::lua::Version;
use anyhow::{Error, Result};
use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;
use xshell::Shell;

/// Runs a script in the command of that version, where the user is, or its prompt. It takes the place of this process, so Ctrl-C is
/// for it alone. Returns if that does not work.
pub(crate) fn run(sh: &Shell, from: &Path, version: Version, args: Vec<OsString>) -> Result<()> {
    let command = build::command(sh, version, true)?;
    let error = Command::new(command).args(args).current_dir(from).exec();
    Err(Error::new(error).context("the command did not start"))
}
