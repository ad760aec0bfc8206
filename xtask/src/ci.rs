//! `cargo xtask ci`: what the jobs of a hosted CI run, one for each crate and a few for all.

use crate::lua::Version;
use crate::projects;
use anyhow::{Context, Result, bail, ensure};
use xshell::{Shell, cmd};

/// The libraries that know no Lua, in the order in which they are to be published.
pub(crate) const LIBRARIES: [&str; 6] =
    ["coutil-event", "coutil-mutex", "coutil-promise", "coutil-channel", "coutil-threads", "coutil-system"];

/// The last of those that are published.
const LUA: &str = "coutil-lua";

/// Runs a job. `versions` are those of coutil-lua, if not all.
pub(crate) fn ci(sh: &Shell, job: &str, versions: Option<Vec<Version>>) -> Result<()> {
    let versions = versions.unwrap_or(Version::ALL.to_vec());
    match job {
        "examples" => {
            projects::lint(sh)?;
            projects::run(sh, &versions)?.ended_well()
        }
        "packages" => packages(sh),
        "msrv" => msrv(sh),
        LUA => coutil_lua(sh, &versions),
        name if sh.path_exists(format!("{name}/Cargo.toml")) => library(sh, name),
        other => bail!("there is no crate or job `{other}`"),
    }
}

/// Formatting, lints, documentation and tests of a crate; warnings are errors.
fn library(sh: &Shell, name: &str) -> Result<()> {
    cmd!(sh, "cargo fmt --package {name} --check").run()?;
    check(sh, name, &["--all-features"])?;
    cmd!(sh, "cargo clippy --locked --package {name} --all-targets --no-default-features -- --deny warnings")
        .run()?;
    special(sh, name)
}

/// The tests with a `cfg` of their own; in a folder of their own, as the flag changes every crate.
fn special(sh: &Shell, name: &str) -> Result<()> {
    match name {
        "coutil-system" => {
            let _flags = sh.push_env("RUSTFLAGS", "--cfg coutil_portable_poller");
            cmd!(sh, "cargo test --locked --package {name} --all-features --target-dir target/portable")
                .run()?;
        }
        "coutil-channel" | "coutil-threads" => {
            let _flags = sh.push_env("RUSTFLAGS", "--cfg loom");
            cmd!(sh, "cargo test --locked --package {name} --test loom --release --target-dir target/loom")
                .run()?;
        }
        _ => {}
    }
    Ok(())
}

/// One Lua version at a time, never all features.
fn coutil_lua(sh: &Shell, versions: &[Version]) -> Result<()> {
    let name = LUA;
    cmd!(sh, "cargo fmt --package {name} --check").run()?;
    for version in versions {
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

/// Makes the packages, as they would be published, and builds each from what is in it.
fn packages(sh: &Shell) -> Result<()> {
    let license = sh.read_file("LICENSE")?;
    for name in LIBRARIES.into_iter().chain([LUA]) {
        let copy = sh.read_file(format!("{name}/LICENSE"))?;
        ensure!(copy == license, "{name}/LICENSE is not the licence of the repository");
    }
    let packages = LIBRARIES.into_iter().chain([LUA]).flat_map(|name| ["--package", name]);
    let features = ["--features", "coutil-lua/lua54,coutil-lua/vendored"];
    cmd!(sh, "cargo package --locked --allow-dirty {packages...} {features...}").run()?;
    Ok(())
}

/// Builds the libraries with the oldest compiler that they say they need.
fn msrv(sh: &Shell) -> Result<()> {
    let manifest = sh.read_file("Cargo.toml")?;
    let line = manifest.lines().find_map(|line| line.strip_prefix("rust-version = "));
    let oldest = line.context("Cargo.toml has no rust-version")?.trim_matches('"');
    let folder = "target/msrv";
    let others = LIBRARIES.into_iter().flat_map(|name| ["--package", name]);
    cmd!(sh, "rustup run {oldest} cargo check --locked {others...} --all-features --target-dir {folder}")
        .run()
        .with_context(|| {
            format!("perhaps `rustup toolchain install {oldest} --profile minimal` is needed")
        })?;
    cmd!(
        sh,
        "rustup run {oldest} cargo check --locked --package coutil-lua --features module,lua54 --target-dir {folder}"
    )
    .run()?;
    Ok(())
}
