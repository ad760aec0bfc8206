//! The module, and the command.

use crate::lua::Version;
use anyhow::{Context, Result};
use std::path::{Path, PathBuf};
use xshell::{Shell, cmd};

/// The Lua files that lie beside the module.
const LUA_FILES: &str = "coutil-lua/lua";

/// The folder of what is built for a version.
pub(crate) fn folder(sh: &Shell, version: Version) -> PathBuf {
    target(sh).join("lua").join(version.name())
}

/// The folder that cargo builds in.
pub(crate) fn target(sh: &Shell) -> PathBuf {
    match sh.var_os("CARGO_TARGET_DIR") {
        Some(folder) => sh.current_dir().join(folder),
        None => sh.current_dir().join("target"),
    }
}

/// Builds the loadable module. Returns its folder: `coutil.so` and the Lua files.
pub(crate) fn module(sh: &Shell, version: Version) -> Result<PathBuf> {
    let folder = folder(sh, version);
    let quiet = quiet(&folder.join("coutil.so"));
    assemble(sh, &library(sh, version, None, quiet)?, &folder)?;
    Ok(folder)
}

/// The same for a target of rustc, in a folder of its own.
pub(crate) fn module_for(sh: &Shell, version: Version, target: &str) -> Result<PathBuf> {
    let folder = folder(sh, version).join(target);
    assemble(sh, &library(sh, version, Some(target), true)?, &folder)?;
    Ok(folder)
}

/// The same into any folder, and somebody waits for it.
pub(crate) fn module_into(sh: &Shell, version: Version, folder: &Path) -> Result<()> {
    assemble(sh, &library(sh, version, None, false)?, folder)
}

/// Whether cargo is not to tell what it does. The first time it takes minutes, and somebody waits.
fn quiet(product: &Path) -> bool {
    product.exists()
}

/// Builds the library. Returns where cargo has put it.
fn library(sh: &Shell, version: Version, triple: Option<&str>, quiet: bool) -> Result<PathBuf> {
    let features = format!("module,{}", version.feature());
    let apple = triple.map_or(cfg!(target_vendor = "apple"), |triple| triple.contains("-apple-"));
    // Its threads may outlive the Lua state that loaded it, so it stays in memory once loaded.
    let pinned: &[&str] = if apple { &[] } else { &["--", "-C", "link-arg=-Wl,-z,nodelete"] };
    let quiet: &[&str] = if quiet { &["--quiet"] } else { &[] };
    // Said rather than found out: it may be in cargo's own configuration too.
    let target_dir = target(sh);
    let target_option = triple.map(|triple| ["--target", triple]);
    let target_option = target_option.as_ref().map_or(&[][..], |option| &option[..]);
    cmd!(
        sh,
        "cargo rustc {quiet...} --locked --package coutil-lua --lib --crate-type cdylib --release --features {features}
         --target-dir {target_dir} {target_option...} {pinned...}"
    )
    .quiet()
    .run()?;
    let folder = triple.map_or(target_dir.clone(), |triple| target_dir.join(triple));
    Ok(folder.join("release").join(if apple { "libcoutil_lua.dylib" } else { "libcoutil_lua.so" }))
}

/// Puts the library and the Lua files into a folder.
fn assemble(sh: &Shell, library: &Path, folder: &Path) -> Result<()> {
    sh.create_dir(folder.join("coutil"))?;
    install(sh, library, &folder.join("coutil.so"))?;
    for file in sh.read_dir(LUA_FILES)?.into_iter().chain(sh.read_dir(format!("{LUA_FILES}/coutil"))?) {
        if file.is_file() {
            let name = file.strip_prefix(sh.current_dir().join(LUA_FILES)).context("a file of the folder")?;
            sh.copy_file(&file, folder.join(name))?;
        }
    }
    Ok(())
}

/// Builds the module `plain`, which the benchmarks compare with, and puts it beside the other one.
pub(crate) fn plain(sh: &Shell, version: Version) -> Result<()> {
    let features = version.feature();
    cmd!(sh, "cargo build --quiet --locked --package coutil-bench-plain --release --features {features}")
        .quiet()
        .run()?;
    let library = if cfg!(target_os = "macos") { "libplain.dylib" } else { "libplain.so" };
    let folder = folder(sh, version);
    sh.create_dir(&folder)?;
    install(sh, &target(sh).join("release").join(library), &folder.join("plain.so"))
}

/// Builds the command, with Lua in it. Returns its path.
pub(crate) fn command(sh: &Shell, version: Version, release: bool) -> Result<PathBuf> {
    let features = format!("vendored,prompt,{}", version.feature());
    let (profile, flag): (_, &[&str]) = if release { ("release", &["--release"]) } else { ("debug", &[]) };
    let target_dir = target(sh);
    let folder = folder(sh, version).join("bin");
    let command = folder.join(if release { "coutil" } else { "coutil-debug" });
    let quiet: &[&str] = if quiet(&command) { &["--quiet"] } else { &[] };
    cmd!(
        sh,
        "cargo build {quiet...} --locked --package coutil-lua --bin coutil --features {features} --target-dir {target_dir} {flag...}"
    )
    .quiet()
    .run()?;
    sh.create_dir(&folder)?;
    install(sh, &target(sh).join(profile).join("coutil"), &command)?;
    Ok(command)
}

/// Copies a file that may be in use: to a new file, which then takes the place of the old one.
fn install(sh: &Shell, from: &Path, to: &Path) -> Result<()> {
    let new = to.with_extension(format!("new{}", std::process::id()));
    sh.copy_file(from, &new)?;
    std::fs::rename(&new, to).with_context(|| format!("while {} was replaced", to.display()))
}
