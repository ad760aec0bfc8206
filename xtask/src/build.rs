//! The module, and the command.

use crate::lua::Version;
use anyhow::{Context, Result};
use std::path::PathBuf;
use xshell::{Shell, cmd};

/// The Lua files that lie beside the module.
const LUA_FILES: &str = "coutil-lua/lua";

/// The folder of what is built for a version.
pub(crate) fn folder(sh: &Shell, version: Version) -> PathBuf {
    target(sh).join("lua").join(version.name())
}

/// The folder that cargo builds in.
fn target(sh: &Shell) -> PathBuf {
    match sh.var_os("CARGO_TARGET_DIR") {
        Some(folder) => sh.current_dir().join(folder),
        None => sh.current_dir().join("target"),
    }
}

/// Builds the loadable module. Returns its folder: `coutil.so` and the Lua files.
pub(crate) fn module(sh: &Shell, version: Version) -> Result<PathBuf> {
    let features = format!("module,{}", version.feature());
    // Its threads may outlive the Lua state that loaded it, so it stays in memory once loaded.
    let pinned: &[&str] =
        if cfg!(target_os = "macos") { &[] } else { &["--", "-C", "link-arg=-Wl,-z,nodelete"] };
    cmd!(
        sh,
        "cargo rustc --quiet --locked --package coutil-lua --lib --crate-type cdylib --release --features {features} {pinned...}"
    )
    .quiet()
    .run()?;
    let library = if cfg!(target_os = "macos") { "libcoutil_lua.dylib" } else { "libcoutil_lua.so" };
    let folder = folder(sh, version);
    sh.create_dir(folder.join("coutil"))?;
    install(sh, &target(sh).join("release").join(library), &folder.join("coutil.so"))?;
    for file in sh.read_dir(LUA_FILES)?.into_iter().chain(sh.read_dir(format!("{LUA_FILES}/coutil"))?) {
        if file.is_file() {
            let name = file.strip_prefix(sh.current_dir().join(LUA_FILES)).context("a file of the folder")?;
            sh.copy_file(&file, folder.join(name))?;
        }
    }
    Ok(folder)
}

/// Builds the command, with Lua in it. Returns its path.
pub(crate) fn command(sh: &Shell, version: Version, release: bool) -> Result<PathBuf> {
    let features = format!("vendored,prompt,{}", version.feature());
    let (profile, flag): (_, &[&str]) = if release { ("release", &["--release"]) } else { ("debug", &[]) };
    cmd!(
        sh,
        "cargo build --quiet --locked --package coutil-lua --bin coutil --features {features} {flag...}"
    )
    .quiet()
    .run()?;
    let folder = folder(sh, version).join("bin");
    sh.create_dir(&folder)?;
    let command = folder.join(if release { "coutil" } else { "coutil-debug" });
    install(sh, &target(sh).join(profile).join("coutil"), &command)?;
    Ok(command)
}

/// Copies a file that may be in use: to a new file, which then takes the place of the old one.
fn install(sh: &Shell, from: &std::path::Path, to: &std::path::Path) -> Result<()> {
    let new = to.with_extension(format!("new{}", std::process::id()));
    sh.copy_file(from, &new)?;
    std::fs::rename(&new, to).with_context(|| format!("while {} was replaced", to.display()))
}
