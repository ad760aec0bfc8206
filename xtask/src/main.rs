//! The tasks of this repository: `cargo xtask help`.
#![forbid(unsafe_code)]

mod bench;
mod build;
mod ci;
mod dist;
mod docs;
mod floor;
mod fuzz;
mod links;
mod lua;
mod projects;
mod run;
mod sanitize;
mod soak;
mod test;
mod tidy;

use anyhow::{Result, bail};
use lua::Version;
use pico_args::Arguments;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use xshell::Shell;

const HELP: &str = "\
cargo xtask <command>

    run [--lua V] [SCRIPT [ARGS]] run a Lua script in an interpreter that has coutil in it, or its prompt
    build [--lua V]               build the module: target/lua/V/, for LUA_CPATH and LUA_PATH
    build --for LUA --into FOLDER the same, for that interpreter, and into that folder: what `luarocks make` does
    test [--lua V,…] [FILTER]     all tests, or those of these Lua versions, or the Lua tests whose file name has FILTER
    sanitize address | thread [--lua V]
                                  the tests under AddressSanitizer; those in which threads meet under ThreadSanitizer: needs
                                  a nightly compiler with rust-src
    bench [--lua V,…] [--rounds N] [--write | --into FOLDER] [NAME…]
                                  the workloads of bench/, here and on the peers that are installed; 5.4 and jit by default;
                                  writes a page with plots: into docs/benchmarks, or that folder
    soak [--lua V] [--minutes N]  everything at a time, ended in any way, for so long: 2 minutes by default
    fuzz [--minutes N]            inputs for what parses, found by a fuzzer: needs a nightly compiler and cargo-fuzz; 2 minutes by default
    tidy                          where unsafe code is, and the licences of what is linked; fails if it must not be
    docs                          the documentation as a site: target/book/ (with mdbook); checks its links
    dist [--lua V,…] [--target TRIPLE] [--no-tests]
                                  rocks, archives and checksums of a release, in dist/, of all versions by default; installs and tests them
    dist --check-make [--lua V,…] `luarocks make`, into empty trees
    ci CRATE [--lua V,…]          formatting, lints, documentation and tests of one crate
    ci packages | examples | msrv the packages of all crates; the examples that are projects; the oldest compiler
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
            let interpreter: Option<String> = args.opt_value_from_str("--for")?;
            if let Some(interpreter) = interpreter {
                let folder = invoked_from.join(args.value_from_str::<_, String>("--into")?);
                finish(args)?;
                return build::module_into(&sh, Version::of(&sh, &interpreter)?, &folder);
            }
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
        Some("sanitize") => {
            let version = args.opt_value_from_str("--lua")?.unwrap_or_default();
            let sanitizer = args.free_from_str()?;
            finish(args)?;
            sanitize::sanitize(&sh, sanitizer, version)
        }
        Some("bench") => {
            let versions = args.opt_value_from_fn("--lua", Version::list)?;
            let rounds = args.opt_value_from_str::<_, usize>("--rounds")?.unwrap_or(7).max(1);
            let write = args.contains("--write");
            let into = args.opt_value_from_str::<_, String>("--into")?;
            let folder = match into {
                Some(folder) => Some(invoked_from.join(folder)),
                None => write.then(|| sh.current_dir().join("docs/benchmarks")),
            };
            let mut names = Vec::new();
            while let Some(name) = args.opt_free_from_str()? {
                names.push(name);
            }
            finish(args)?;
            if write && !names.is_empty() {
                bail!("the page has all workloads: `--into FOLDER` writes one with some of them");
            }
            bench::bench(&sh, &bench::Options { versions, rounds, names, folder })
        }
        // For `bench`, in a process of its own.
        Some("floor") => floor::floor(&args.free_from_str::<String>()?, args.free_from_str()?),
        Some("dist") => {
            let check_make = args.contains("--check-make");
            let tests = !args.contains("--no-tests");
            let target = args.opt_value_from_str("--target")?;
            let versions = args.opt_value_from_fn("--lua", Version::list)?;
            finish(args)?;
            if check_make {
                return dist::check_make(&sh, versions);
            }
            dist::dist(&sh, &dist::Options { versions, target, tests })
        }
        Some("ci") => {
            let versions = args.opt_value_from_fn("--lua", Version::list)?;
            let job: String = args.free_from_str()?;
            finish(args)?;
            ci::ci(&sh, &job, versions)
        }
        Some("soak") => {
            let version = args.opt_value_from_str("--lua")?.unwrap_or_default();
            let minutes = args.opt_value_from_str("--minutes")?.unwrap_or(2.0);
            finish(args)?;
            soak::soak(&sh, version, minutes)
        }
        Some("fuzz") => {
            let minutes = args.opt_value_from_str("--minutes")?.unwrap_or(2.0);
            finish(args)?;
            fuzz::fuzz(&sh, minutes)
        }
        Some("tidy") => {
            finish(args)?;
            tidy::tidy(&sh)
        }
        Some("docs") => {
            finish(args)?;
            docs::docs(&sh)
        }
        Some("help") => Ok(writeln!(io::stdout(), "{HELP}")?),
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
