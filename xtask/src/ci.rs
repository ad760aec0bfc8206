//! `cargo xtask ci CRATE`: what one job per crate runs.

use crate::lua::Version;
use anyhow::{Result, bail};
use xshell::{Shell, cmd};

/// Formatting, lints, documentation and tests of a crate; warnings are errors.
pub(crate) fn ci(sh: &Shell, name: &str) -> Result<()> {
    if !sh.path_exists(format!("{name}/Cargo.toml")) {
        bail!("there is no crate `{name}`");
    }
    cmd!(sh, "cargo fmt --package {name} --check").run()?;
    if name != "coutil-lua" {
        return check(sh, name, &[]);
    }
    for version in Version::ALL {
        let features = format!("--features=vendored,prompt,{}", version.feature());
        check(sh, name, &[&features])?;
        let features = format!("--features=module,{}", version.feature());
        cmd!(sh, "cargo clippy --locked --package {name} --lib {features} -- --deny warnings").run()?;
    }
    Ok(())
}

fn check(sh: &Shell, name: &str, features: &[&str]) -> Result<()> {
    cmd!(sh, "cargo clippy --locked --package {name} --all-targets {features...} -- --deny warnings")
        .run()?;
    cmd!(sh, "cargo test --locked --package {name} {features...}").run()?;
    let _env = sh.push_env("RUSTDOCFLAGS", "--deny warnings");
    cmd!(sh, "cargo doc --locked --package {name} --no-deps {features...}").run()?;
    Ok(())
}
