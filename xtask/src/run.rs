//! `cargo xtask run`.

use crate::build;
use crate::lua::Version;
use anyhow::{Context, Result, bail};
use std::ffi::OsString;
use std::path::Path;
use std::process::{Command, exit};
use xshell::Shell;

/// Runs a script in the command of that version, where the user is. Ends with its exit code.
pub(crate) fn run(sh: &Shell, from: &Path, version: Version, args: Vec<OsString>) -> Result<()> {
    if args.is_empty() {
        bail!("which script?  cargo xtask run SCRIPT [ARGS]");
    }
    let command = build::command(sh, version, true)?;
    let status =
        Command::new(command).args(args).current_dir(from).status().context("the command did not start")?;
    match status.code() {
        Some(0) => Ok(()),
        code => exit(code.unwrap_or(1)),
    }
}
