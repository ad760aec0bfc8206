//! `cargo xtask sanitize`: tests under AddressSanitizer or ThreadSanitizer. Not part of `cargo xtask test`, as it needs a nightly
//! compiler.
//!
//! The standard library is built for it too, as ThreadSanitizer would not understand its locks otherwise; and so is Lua, as a state
//! goes from one thread to another, and as it is given pointers. A program in which something is reported fails.

use crate::ci;
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
    /// Variables with its options. `ETC` is the folder of what is not to be told.
    variables: &'static [(&'static str, &'static str)],
    /// The libraries whose Rust tests run, and the tests among all of them that do not.
    crates: &'static [&'static str],
    left_out: &'static [&'static str],
    /// The Rust tests of `coutil-lua` as well.
    with_lua: bool,
    /// Which Lua tests run, by the names of their files.
    scripts: fn(&str) -> bool,
}

const THREAD: Setup = Setup {
    title: "ThreadSanitizer",
    name: "thread",
    // Lua leaves functions by longjmp(3), so it does not tell the tool which it is in: that would never be taken back.
    c_flags: "-fsanitize=thread --param=tsan-instrument-func-entry-exit=0",
    variables: &[("TSAN_OPTIONS", "suppressions=ETC/tsan.supp")],
    // In which threads meet.
    crates: &["coutil-threads", "coutil-channel", "coutil-system"],
    // The first waits until a signal has come in the middle of a system call; the tool lets it wait until that has ended. The other starts
    // threads in a child of fork(2), where the tool has none.
    left_out: &["calls_that_are_interrupted_are_made_again", "for_lack_of_threads"],
    with_lua: false,
    scripts: is_threaded,
};

/// The Lua tests of what is done in several threads: their file names begin so. `file_threads` is none of them, as it counts the
/// threads of the process, of which the tool has one; nor is `threads_errors`, as it limits the memory.
fn is_threaded(script: &str) -> bool {
    const BEGINS: [&str; 16] = [
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
    BEGINS.iter().any(|begin| script.starts_with(begin))
}

const ADDRESS: Setup = Setup {
    title: "AddressSanitizer",
    name: "address",
    c_flags: "-fsanitize=address -fno-omit-frame-pointer",
    variables: &[
        // What was left by longjmp(3) never gives back the stacks that this keeps.
        ("ASAN_OPTIONS", "detect_stack_use_after_return=0:detect_leaks=1"),
        ("LSAN_OPTIONS", "suppressions=ETC/lsan.supp:print_suppressions=0"),
        // Frames are several times as large.
        ("RUST_MIN_STACK", "67108864"),
    ],
    crates: &ci::LIBRARIES,
    // The search for leaks does not work where strace(1) is used.
    left_out: &["a_report_is_written_at_once"],
    with_lua: true,
    scripts: has_its_memory,
};

/// `limits` measures memory, of which the tool keeps what was freed; `procinfo` and `threads_errors` limit it, and the tool needs
/// terabytes of addresses; `scarcity_processes` lets nobody fork(2), as the tool does in the end.
fn has_its_memory(script: &str) -> bool {
    !matches!(script, "limits.lua" | "procinfo.lua" | "scarcity_processes.lua" | "threads_errors.lua")
}

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
    let etc = sh.current_dir().join("etc").display().to_string();
    let _flags = sh.push_env("RUSTFLAGS", format!("-Zsanitizer={}", setup.name));
    let _c_flags = sh.push_env("CFLAGS", setup.c_flags);
    // To find out where a test panics that is to panic takes seconds, or a minute, with a standard library that is watched.
    let _backtrace = sh.push_env("RUST_BACKTRACE", "0");
    let variables: Vec<(&str, String)> =
        setup.variables.iter().map(|(name, value)| (*name, value.replace("ETC", &etc))).collect();
    let _variables: Vec<_> = variables.iter().map(|(name, value)| sh.push_env(name, value)).collect();
    let options = ["-Zbuild-std", "--quiet", "--locked", "--target", host, "--target-dir"];
    let left_out = &setup.left_out.iter().flat_map(|name| ["--skip", name]).collect::<Vec<_>>();
    let features = format!("vendored,{}", version.feature());
    {
        let packages = setup.crates.iter().flat_map(|name| ["--package", name]);
        let what = ["--features", "coutil-system/futures-io", "--lib", "--tests", "--no-fail-fast"];
        cmd!(
            sh,
            "rustup run nightly cargo test {options...} {folder} {packages...} {what...} -- {left_out...}"
        )
        .run()?;
    }
    if setup.with_lua {
        let what = ["--package", "coutil-lua", "--features", &features, "--lib", "--tests", "--no-fail-fast"];
        cmd!(sh, "rustup run nightly cargo test {options...} {folder} {what...} -- {left_out...}").run()?;
    }
    let what = ["--package", "coutil-lua", "--bin", "coutil", "--features", &features];
    cmd!(sh, "rustup run nightly cargo build {options...} {folder} {what...}").run()?;
    let command = folder.join(host).join("debug/coutil");
    let title = format!("{} under {}", version.name(), setup.title);
    test::slow(sh, &title, command, variables, setup.scripts)?.ended_well()
}
