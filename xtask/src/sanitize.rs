//! `cargo xtask sanitize`: tests under AddressSanitizer or ThreadSanitizer. Not part of `cargo xtask test`, as it needs a nightly
//! compiler.
//!
//! The standard library is built for it too, as ThreadSanitizer would not understand its locks otherwise; and so is Lua, as a state
//! goes from one thread to another, and as it is given pointers. A program in which something is reported fails.

use crate::lua::Version;
use crate::test;
use anyhow::{Context, Result, bail};
use std::str::FromStr;
use xshell::{Shell, cmd};

/// What is looked for.
#[derive(Clone, Copy)]
pub(crate) enum Sanitizer {
    /// Use of memory that is not (or no longer) what it was taken for, and what is lost.
    Address,
    /// Data races.
    Thread,
}

impl FromStr for Sanitizer {
    type Err = anyhow::Error;

    fn from_str(name: &str) -> Result<Self> {
        match name {
            "address" => Ok(Self::Address),
            "thread" => Ok(Self::Thread),
            _ => bail!("there is no sanitizer `{name}`: address, thread"),
        }
    }
}

/// How tests run under a sanitizer.
struct Setup {
    title: &'static str,
    name: &'static str,
    c_flags: &'static str,
    /// The variable with its options, and these.
    variable: &'static str,
    options: &'static str,
    /// The file of what is not to be told.
    suppressions: &'static str,
    /// The Rust tests, and one that is left out.
    crates: &'static [&'static str],
    left_out: &'static str,
    /// The Rust tests of `coutil-lua` as well.
    library: bool,
    /// The Lua tests: their file names begin so.
    scripts: &'static [&'static str],
}

const THREAD: Setup = Setup {
    title: "ThreadSanitizer",
    name: "thread",
    // Lua leaves functions by longjmp(3), so it does not tell the tool which it is in: that would never be taken back.
    c_flags: "-fsanitize=thread --param=tsan-instrument-func-entry-exit=0",
    variable: "TSAN_OPTIONS",
    options: "",
    suppressions: "etc/tsan.supp",
    // In which threads meet.
    crates: &["coutil-threads", "coutil-channel", "coutil-system"],
    // It waits until a signal has come in the middle of a system call; the tool lets it wait until that has ended.
    left_out: "calls_that_are_interrupted_are_made_again",
    library: false,
    // What is done in several threads. `file_threads` is none of them, as it counts the threads of the process, of which the tool
    // has one; nor is `threads_errors`, as it limits the memory.
    scripts: &[
        "awaitch",
        "channel",
        "coroutine_state",
        "file_random",
        "finalizers",
        "fuzz",
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
    ],
};

const ADDRESS: Setup = Setup {
    title: "AddressSanitizer",
    name: "address",
    c_flags: "-fsanitize=address -fno-omit-frame-pointer",
    variable: "ASAN_OPTIONS",
    // What was left by longjmp(3) never gives back the stacks that this keeps.
    options: "detect_stack_use_after_return=0:detect_leaks=1",
    suppressions: "etc/lsan.supp",
    crates: &[
        "coutil-event",
        "coutil-mutex",
        "coutil-promise",
        "coutil-channel",
        "coutil-threads",
        "coutil-system",
    ],
    left_out: "none of them",
    library: true,
    scripts: &[""],
};

/// Runs the Rust tests, then the Lua tests with a version.
pub(crate) fn sanitize(sh: &Shell, sanitizer: Sanitizer, version: Version) -> Result<()> {
    let setup = match sanitizer {
        Sanitizer::Address => ADDRESS,
        Sanitizer::Thread => THREAD,
    };
    let about = cmd!(sh, "rustup run nightly rustc --version --verbose").quiet().read();
    let about = about.context("`rustup toolchain install nightly --component rust-src` is needed")?;
    let host = about.lines().find_map(|line| line.strip_prefix("host: ")).context("rustc has no host")?;
    let folder = sh.current_dir().join("target/sanitize").join(setup.name);
    let suppressions = sh.current_dir().join(setup.suppressions).display().to_string();
    let _flags = sh.push_env("RUSTFLAGS", format!("-Zsanitizer={}", setup.name));
    let _c_flags = sh.push_env("CFLAGS", setup.c_flags);
    let (variable, options) = match sanitizer {
        Sanitizer::Thread => ("TSAN_OPTIONS", format!("suppressions={suppressions}")),
        Sanitizer::Address => ("LSAN_OPTIONS", format!("suppressions={suppressions}:print_suppressions=0")),
    };
    let _options = sh.push_env(setup.variable, setup.options);
    let _stack = sh.push_env("RUST_MIN_STACK", (64 << 20).to_string());
    let _suppressions = sh.push_env(variable, options);
    // To find out where a test panics that is to panic takes seconds with a standard library that is watched.
    let _backtrace = sh.push_env("RUST_BACKTRACE", "0");
    let options = ["-Zbuild-std", "--quiet", "--locked", "--target", host, "--target-dir"];
    let left_out = setup.left_out;
    {
        let packages = setup.crates.iter().flat_map(|name| ["--package", name]);
        let what = ["--features", "coutil-system/futures-io", "--lib", "--tests", "--no-fail-fast"];
        cmd!(
            sh,
            "rustup run nightly cargo test {options...} {folder} {packages...} {what...} -- --skip {left_out}"
        )
        .run()?;
    }
    let features = format!("vendored,{}", version.feature());
    if setup.library {
        let what = ["--package", "coutil-lua", "--features", &features, "--lib", "--tests", "--no-fail-fast"];
        cmd!(sh, "rustup run nightly cargo test {options...} {folder} {what...}").run()?;
    }
    let what = ["--package", "coutil-lua", "--bin", "coutil", "--features", &features];
    cmd!(sh, "rustup run nightly cargo build {options...} {folder} {what...}").run()?;
    let command = folder.join(host).join("debug/coutil");
    let title = format!("{} under {}", version.name(), setup.title);
    test::slow(sh, &title, command, setup.scripts)?.ended_well()
}
