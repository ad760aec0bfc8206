//! The Lua versions.

use anyhow::{Context, Result, bail};
use std::str::FromStr;
use xshell::{Shell, cmd};

/// A Lua version that the library is built for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Version {
    Lua51,
    Lua52,
    Lua53,
    #[default]
    Lua54,
    Lua55,
    Jit,
}

impl Version {
    pub(crate) const ALL: [Version; 6] =
        [Version::Lua51, Version::Lua52, Version::Lua53, Version::Lua54, Version::Lua55, Version::Jit];

    /// As the user says it, and as its folder is called.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Version::Lua51 => "5.1",
            Version::Lua52 => "5.2",
            Version::Lua53 => "5.3",
            Version::Lua54 => "5.4",
            Version::Lua55 => "5.5",
            Version::Jit => "jit",
        }
    }

    /// The feature of `coutil-lua`.
    pub(crate) fn feature(self) -> &'static str {
        match self {
            Version::Lua51 => "lua51",
            Version::Lua52 => "lua52",
            Version::Lua53 => "lua53",
            Version::Lua54 => "lua54",
            Version::Lua55 => "lua55",
            Version::Jit => "luajit",
        }
    }

    /// The interpreter, as distributions call it.
    pub(crate) fn interpreter(self) -> &'static str {
        match self {
            Version::Lua51 => "lua5.1",
            Version::Lua52 => "lua5.2",
            Version::Lua53 => "lua5.3",
            Version::Lua54 => "lua5.4",
            Version::Lua55 => "lua5.5",
            Version::Jit => "luajit",
        }
    }

    /// As people call it.
    pub(crate) fn title(self) -> String {
        match self {
            Version::Jit => "LuaJIT".to_owned(),
            _ => format!("Lua {}", self.name()),
        }
    }

    /// The version of the language, by which folders of libraries are called.
    pub(crate) fn abi(self) -> &'static str {
        match self {
            Version::Jit => "5.1",
            _ => self.name(),
        }
    }

    /// Asks an interpreter.
    pub(crate) fn of(sh: &Shell, interpreter: &str) -> Result<Version> {
        let script = "io.write(type(jit) == 'table' and 'jit' or _VERSION:match '%d+%.%d+')";
        let name = cmd!(sh, "{interpreter} -e {script}").quiet().read();
        name.with_context(|| format!("what is {interpreter}?"))?.parse()
    }

    /// Versions with commas between them.
    pub(crate) fn list(text: &str) -> Result<Vec<Version>> {
        text.split(',').map(str::parse).collect()
    }
}

impl FromStr for Version {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self> {
        match Version::ALL.into_iter().find(|version| text == version.name() || text == version.feature()) {
            Some(version) => Ok(version),
            None => bail!("`{text}` is no Lua version: 5.1 5.2 5.3 5.4 5.5 jit"),
        }
    }
}
