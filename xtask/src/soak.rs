//! `cargo xtask soak`: the test that lasts as long as one likes; and its short form, for `cargo xtask test`.

use crate::build;
use crate::lua::Version;
use crate::test::{self, Count};
use anyhow::{Context, Result, ensure};
use std::path::Path;
use std::process::{Child, Output};
use std::time::Duration;
use xshell::Shell;

const SCRIPT: &str = "coutil-lua/tests/soak/soak.lua";

/// How long the short form lasts.
const SHORT: u64 = 60;

/// Runs it in the interpreter of a version, with the module.
pub(crate) fn soak(sh: &Shell, version: Version, minutes: f64) -> Result<()> {
    let seconds = (minutes * 60.0).ceil() as u64;
    let child = start(sh, version, seconds)?
        .with_context(|| format!("{} is not installed", version.interpreter()))?;
    ensure!(told(&end(child, seconds)?), "it failed");
    Ok(())
}

/// Runs it for a minute, with two versions at the same time.
pub(crate) fn short(sh: &Shell) -> Result<Count> {
    println!("== soak");
    let mut count = Count::default();
    let mut children = Vec::new();
    for version in [Version::Lua54, Version::Jit] {
        match start(sh, version, SHORT)? {
            Some(child) => children.push(child),
            None => {
                println!("skipped: {} is not installed", version.interpreter());
                count.skipped += 1;
            }
        }
    }
    // While one is waited for, the other goes on.
    for child in children {
        if told(&end(child, SHORT)?) {
            count.passed += 1;
        } else {
            count.failed += 1;
        }
    }
    println!("   {} passed, {} failed", count.passed, count.failed);
    Ok(count)
}

fn start(sh: &Shell, version: Version, seconds: u64) -> Result<Option<Child>> {
    let folder = build::module(sh, version)?;
    let Some(interpreter) = test::with_module(sh, version, folder)? else { return Ok(None) };
    let child = interpreter.command(&sh.current_dir(), Path::new(SCRIPT)).arg(seconds.to_string()).spawn();
    Ok(Some(child.context("the interpreter did not start")?))
}

/// One that does not end at all is ended: the script itself notices if nothing happens for a minute.
fn end(child: Child, seconds: u64) -> Result<Output> {
    test::within(Duration::from_secs(seconds + 180), child)
}

/// Prints what it has to tell; returns whether it succeeded.
fn told(output: &Output) -> bool {
    print!("{}", String::from_utf8_lossy(&output.stdout));
    eprint!("{}", String::from_utf8_lossy(&output.stderr));
    output.status.success()
}
