//! `cargo xtask fuzz`: what parses, with inputs that a fuzzer finds. `cargo xtask test` has a short form of it with inputs at random,
//! `coutil-lua/tests/lua/fuzz.lua`.
//!
//! The fuzzer is libFuzzer, with AddressSanitizer. It sees which code of the library an input reaches, and looks for others. What it
//! found is in `fuzz/corpus`, where it goes on the next time; what failed is in `fuzz/artifacts`.

use anyhow::{Context, Result};
use xshell::{Shell, cmd};

/// Looks for so many minutes, with as many processes as there are processors.
pub(crate) fn fuzz(sh: &Shell, minutes: f64) -> Result<()> {
    let version = cmd!(sh, "rustup run nightly cargo fuzz --version").quiet().ignore_stderr().read();
    version.context("`rustup toolchain install nightly` and `cargo install cargo-fuzz` are needed")?;
    // The versions of this workspace.
    sh.copy_file("Cargo.lock", "fuzz")?;
    let seconds = format!("-max_total_time={}", (minutes * 60.0).ceil());
    let processes = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let processes = format!("-fork={processes}");
    let folder = sh.create_temp_dir()?;
    let _folder = sh.push_env("COUTIL_TEST_FOLDER", folder.path());
    let _options = sh.push_env("ASAN_OPTIONS", "detect_stack_use_after_return=0");
    cmd!(sh, "rustup run nightly cargo fuzz run --fuzz-dir fuzz parsers -- {seconds} {processes} -max_len=1000 -timeout=60 -print_funcs=0")
        .run()?;
    Ok(())
}
