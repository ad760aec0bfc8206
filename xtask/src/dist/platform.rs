//! What a module is built for.

use anyhow::{Context, Result, bail};
use std::str::FromStr;
use xshell::{Shell, cmd};

/// A target of rustc, and how LuaRocks calls it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Platform {
    pub(crate) triple: String,
    /// In the names of binary rocks.
    pub(super) tag: String,
}

impl Platform {
    /// What this machine is.
    pub(crate) fn host(sh: &Shell) -> Result<Platform> {
        let text = cmd!(sh, "rustc -vV").quiet().read()?;
        let triple = text.lines().find_map(|line| line.strip_prefix("host: "));
        triple.context("rustc does not say which its host is")?.parse()
    }

    pub(super) fn is_linux(&self) -> bool {
        self.triple.contains("-linux-")
    }
}

impl FromStr for Platform {
    type Err = anyhow::Error;

    /// LuaRocks finds its tag by the headers of its interpreter; these are the tags that it has for them.
    fn from_str(triple: &str) -> Result<Self> {
        let parts: Vec<&str> = triple.split('-').collect();
        let processor = match parts[0] {
            "i586" | "i686" => "x86",
            other => other,
        };
        let system = match parts[1..] {
            ["unknown", "linux", "gnu"] => "linux",
            ["unknown", "linux", "musl"] => bail!(
                "LuaRocks gives rocks for musl and for glibc the same name, so there are none for {triple}: \
                 use `luarocks make` there"
            ),
            ["apple", "darwin"] => "macosx",
            ["unknown", "freebsd"] => "freebsd",
            ["unknown", "netbsd"] => "netbsd",
            ["unknown", "openbsd"] => "openbsd",
            _ => bail!("it is not known how LuaRocks calls {triple}"),
        };
        Ok(Platform { triple: triple.to_owned(), tag: format!("{system}-{processor}") })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_those_of_luarocks() {
        let tag = |triple: &str| triple.parse::<Platform>().map(|platform| platform.tag).ok();
        assert_eq!(tag("x86_64-unknown-linux-gnu").as_deref(), Some("linux-x86_64"));
        assert_eq!(tag("aarch64-unknown-linux-gnu").as_deref(), Some("linux-aarch64"));
        assert_eq!(tag("i686-unknown-linux-gnu").as_deref(), Some("linux-x86"));
        assert_eq!(tag("aarch64-apple-darwin").as_deref(), Some("macosx-aarch64"));
        assert_eq!(tag("x86_64-unknown-linux-musl"), None);
        assert_eq!(tag("x86_64-pc-windows-msvc"), None);
    }
}
