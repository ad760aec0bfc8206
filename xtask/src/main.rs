//! The tasks of this repository: `cargo xtask help`.
#![forbid(unsafe_code)]

mod bench;
mod build;
mod ci;
mod floor;
mod lua;
mod run;
mod test;

use anyhow::{Result, bail};
use lua::Version;
use pico_args::Arguments;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use xshell::Shell;

const HELP: &str = "\
cargo xtask <command>

    run [--lua V] [SCRIPT [ARGS]] run a Lua script in an interpreter that has coutil in it, or its prompt
    build [--lua V]               build the module: target/lua/V/, for LUA_CPATH and LUA_PATH
    test [--lua V,…] [FILTER]     all tests, or those of these Lua versions, or the Lua tests whose file name has FILTER
    bench [--lua V,…] [--rounds N] [NAME]
                                  the workloads of bench/, here and on the peers that are installed; 5.4 and jit by default
    ci CRATE                      formatting, lints, documentation and tests of one crate
    help                          this text

V is one of 5.1 5.2 5.3 5.4 5.5 jit; 5.4 by default.";

fn main() -> ExitCode {
    match run_command() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run_command() -> Result<()> {
    let mut args = Arguments::from_env();
    let sh = Shell::new()?;
    let invoked_from = sh.current_dir();
    sh.change_dir(root());
    match args.subcommand()?.as_deref() {
        Some("run") => {
            let version = args.opt_value_from_str("--lua")?.unwrap_or_default();
            run::run(&sh, &invoked_from, version, args.finish())
        }
        Some("build") => {
            let version = args.opt_value_from_str("--lua")?.unwrap_or_default();
            finish(args)?;
            let folder = build::module(&sh, version)?;
            println!("{}", folder.display());
            Ok(())
        }
        Some("test") => {
            let versions = args.opt_value_from_fn("--lua", Version::list)?;
            let filter = args.opt_free_from_str()?;
            finish(args)?;
            test::test(&sh, versions, filter)
        }
        Some("bench") => {
            let versions = args.opt_value_from_fn("--lua", Version::list)?;
            let rounds = args.opt_value_from_str::<_, usize>("--rounds")?.unwrap_or(7).max(1);
            let name = args.opt_free_from_str()?;
            finish(args)?;
            let versions = versions.unwrap_or(vec![Version::Lua54, Version::Jit]);
            bench::bench(&sh, &bench::Options { versions, rounds, name })
        }
        // For `bench`, in a process of its own.
        Some("floor") => floor::floor(&args.free_from_str::<String>()?, args.free_from_str()?),
        Some("ci") => {
            let name: String = args.free_from_str()?;
            finish(args)?;
            ci::ci(&sh, &name)
        }
        Some("help") => {
            println!("{HELP}");
            Ok(())
        }
        Some(other) => bail!("there is no command `{other}`\n\n{HELP}"),
        None => bail!("which command?\n\n{HELP}"),
    }
}

/// Nothing may be left over.
fn finish(args: Arguments) -> Result<()> {
    let rest = args.finish();
    if !rest.is_empty() {
        bail!("what is {rest:?}?\n\n{HELP}");
    }
    Ok(())
}

/// The root of the repository.
fn root() -> PathBuf {
    // As cargo says when it runs this: a target folder that several checkouts share may hold a program built in another one.
    let folder = std::env::var_os("CARGO_MANIFEST_DIR").unwrap_or(env!("CARGO_MANIFEST_DIR").into());
    Path::new(&folder).parent().expect("xtask is a folder of the repository").to_owned()
}
