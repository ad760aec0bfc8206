//! LuaRocks, as a new user runs it: with an empty home, and none of our variables.

use crate::lua::Version;
use anyhow::{Context, Result, bail};
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::{env, fs};

/// The LuaRocks that is installed, run by the interpreter of one version.
pub(super) struct LuaRocks {
    interpreter: PathBuf,
    script: PathBuf,
    lua: Version,
    home: PathBuf,
}

impl LuaRocks {
    /// Nothing if it is not installed, or does not know this version.
    pub(super) fn find(lua: Version, home: &Path) -> Option<LuaRocks> {
        // By its path: LuaRocks looks for the other programs of an interpreter beside it.
        let luarocks = LuaRocks {
            interpreter: which(lua.interpreter())?,
            script: which("luarocks")?,
            lua,
            home: home.to_owned(),
        };
        let output = luarocks.command(&["--version"]).output().ok()?;
        output.status.success().then_some(luarocks)
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(&self.interpreter);
        command.arg(&self.script);
        // Of the interpreters of 5.1, LuaRocks would take another one than that which runs it.
        if self.lua != Version::Jit {
            command.arg(format!("--lua-version={}", self.lua.abi()));
        }
        command.args(args);
        clean(&mut command, &self.home);
        command
    }

    /// Runs it. What it writes is shown if it fails.
    pub(super) fn run(&self, folder: &Path, args: &[&str]) -> Result<()> {
        let output = self.output(folder, args)?;
        if !output.status.success() {
            bail!("luarocks {} failed:\n{}", args.join(" "), text(&output));
        }
        Ok(())
    }

    /// Runs what builds something. LuaRocks wants to see the header of Lua then, which nothing of ours needs.
    pub(super) fn build(&self, folder: &Path, args: &[&str]) -> Result<()> {
        let number = self.lua.abi().replace('.', "0");
        fs::write(self.home.join("lua.h"), format!("#define LUA_VERSION_NUM {number}\n"))?;
        self.run(folder, &[&[format!("LUA_INCDIR={}", self.home.display()).as_str()], args].concat())
    }

    /// Runs what it has to refuse. Returns what it says.
    pub(super) fn refusal(&self, folder: &Path, args: &[&str]) -> Result<String> {
        let output = self.output(folder, args)?;
        if output.status.success() {
            bail!("luarocks {} should have failed:\n{}", args.join(" "), text(&output));
        }
        Ok(text(&output))
    }

    fn output(&self, folder: &Path, args: &[&str]) -> Result<Output> {
        self.command(args).current_dir(folder).output().context("luarocks did not start")
    }
}

fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// Gives a process a home, and takes away what tells LuaRocks or Lua where things are. Cargo keeps its own folders.
pub(super) fn clean(command: &mut Command, home: &Path) {
    for (name, _) in env::vars_os() {
        let text = name.to_string_lossy();
        if ["LUA_", "LUAROCKS_", "XDG_"].iter().any(|start| text.starts_with(start)) {
            command.env_remove(&name);
        }
    }
    for (name, folder) in [("CARGO_HOME", ".cargo"), ("RUSTUP_HOME", ".rustup")] {
        if env::var_os(name).is_none()
            && let Some(home) = env::home_dir()
        {
            command.env(name, home.join(folder));
        }
    }
    // What cargo tells the programs that it runs is about xtask.
    command.env_remove("CARGO_MANIFEST_DIR").env("HOME", home);
}

/// The program of that name.
pub(super) fn which(name: impl AsRef<OsStr>) -> Option<PathBuf> {
    let path = env::var_os("PATH")?;
    env::split_paths(&path).map(|folder| folder.join(name.as_ref())).find(|file| file.is_file())
}
