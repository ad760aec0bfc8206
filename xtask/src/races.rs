//! `cargo xtask races`: tests under ThreadSanitizer. Not part of `cargo xtask test`, as it needs a nightly compiler.
//!
//! The standard library is built for it too, as the tool would not understand its locks otherwise; and so is Lua, as a state goes
//! from one thread to another. Lua leaves functions by longjmp(3), so it does not tell the tool which it is in: that would never
//! be taken back. A program in which something is reported fails.

use crate::lua::Version;
use crate::test;
use anyhow::{Context, Result};
use xshell::{Shell, cmd};

/// The libraries in which threads meet.
const CRATES: [&str; 3] = ["coutil-threads", "coutil-channel", "coutil-system"];

/// It waits until a signal has come in the middle of a system call; the tool lets it wait until that has ended.
const LEFT_OUT: &str = "calls_that_are_interrupted_are_made_again";

/// The Lua tests of what is done in several threads: their file names begin so. `file_threads` is none of them, as it counts the
/// threads of the process, of which the tool has one; nor is `threads_errors`, as it limits the memory.
const SCRIPTS: [&str; 16] = [
    "awaitch",
    "channel",
    "coroutine_state",
    "file_random",
    "finalizers",
    "matrix",
    "names",
    "resume",
    "run_in_tasks",
    "states",
    "threads.",
    "threads_channel",
    "threads_many",
    "threads_random",
    "threads_yield",
    "transfer",
];

/// Runs the Rust tests of the libraries, then the Lua tests with a version.
pub(crate) fn races(sh: &Shell, version: Version) -> Result<()> {
    let about = cmd!(sh, "rustup run nightly rustc --version --verbose").quiet().read();
    let about = about.context("`rustup toolchain install nightly --component rust-src` is needed")?;
    let host = about.lines().find_map(|line| line.strip_prefix("host: ")).context("rustc has no host")?;
    let folder = sh.current_dir().join("target/tsan");
    let suppressions = sh.current_dir().join("etc/tsan.supp").display().to_string();
    let _flags = sh.push_env("RUSTFLAGS", "-Zsanitizer=thread");
    let _c_flags = sh.push_env("CFLAGS", "-fsanitize=thread --param=tsan-instrument-func-entry-exit=0");
    let options = ["-Zbuild-std", "--quiet", "--locked", "--target", host, "--target-dir"];
    {
        let _options = sh.push_env("TSAN_OPTIONS", format!("suppressions={suppressions}"));
        let packages = CRATES.iter().flat_map(|name| ["--package", name]);
        let what = ["--features", "coutil-system/futures-io", "--lib", "--tests", "--no-fail-fast"];
        cmd!(
            sh,
            "rustup run nightly cargo test {options...} {folder} {packages...} {what...} -- --skip {LEFT_OUT}"
        )
        .run()?;
    }
    let features = format!("vendored,{}", version.feature());
    let what = ["--package", "coutil-lua", "--bin", "coutil", "--features", &features];
    cmd!(sh, "rustup run nightly cargo build {options...} {folder} {what...}").run()?;
    let _options = sh.push_env("TSAN_OPTIONS", format!("suppressions={suppressions}"));
    let command = folder.join(host).join("debug/coutil");
    let title = format!("{} under ThreadSanitizer", version.name());
    test::slow(sh, &title, command, &SCRIPTS)?.ended_well()
}
