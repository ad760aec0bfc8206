//! The rockspecs in `dist/`: those of the repository, with what a release changes.

use super::archive;
use super::platform::Platform;
use super::table::quoted;
use crate::lua::Version;
use anyhow::{Context, Result};
use xshell::Shell;

/// The rock of the module.
pub(super) const COUTIL: &str = "coutil";

/// The rock of `memory.lua`.
pub(super) const MEMORY: &str = "coutil-memory";

/// The file of the rock `coutil-memory`.
pub(super) const MEMORY_LUA: &str = "coutil-lua/lua/memory.lua";

/// The Lua files of the rock `coutil`.
const LUA_FILES: &str = "coutil-lua/lua/coutil";

/// The version of the rocks of a release.
pub(super) fn number(version: &str) -> String {
    format!("{version}-1")
}

/// The modules that are Lua files: the names of these files in that folder.
pub(super) fn lua_modules(sh: &Shell) -> Result<Vec<String>> {
    let name = |file: std::path::PathBuf| file.file_name().unwrap_or_default().to_string_lossy().into_owned();
    Ok(sh.read_dir(LUA_FILES)?.into_iter().map(name).collect())
}

/// Such a file.
pub(super) fn lua_module(sh: &Shell, file: &str) -> Result<Vec<u8>> {
    Ok(sh.read_binary_file(format!("{LUA_FILES}/{file}"))?)
}

/// The two rockspecs of the repository.
pub(super) fn of_checkout(sh: &Shell) -> Result<(String, String)> {
    Ok((sh.read_file("coutil-scm-1.rockspec")?, sh.read_file("etc/coutil-memory-scm-1.rockspec")?))
}

/// That of a release: it has a version, and its sources are in an archive.
pub(super) fn release(checkout: &str, version: &str) -> Result<String> {
    let (before, source) =
        checkout.split_once("source = {\n   url = \"git+").context("there is no source")?;
    let (repository, after) = source.split_once("\",\n").context("the source has no end")?;
    let name = archive::source_name(version);
    let url = quoted(&format!("{repository}/releases/download/v{version}/{name}.tar.gz"));
    let before = replaced(before, "version = \"scm-1\"", &format!("version = {}", quoted(&number(version))))?;
    // What is about checkouts only is at the head.
    let before = &before[before.find("rockspec_format").context("there is no format")?..];
    Ok(format!("{before}source = {{\n   url = {url},\n   dir = {},\n{after}", quoted(&name)))
}

/// That in a binary rock of a release. LuaRocks does not look for which Lua a library was built: only this says so.
pub(super) fn binary(
    release: &str,
    lua: Version,
    platform: &Platform,
    floor: Option<&str>,
    rustc: &str,
) -> Result<String> {
    let (head, _) = release.split_once("dependencies = {").context("there are no dependencies")?;
    let floor = floor.map(|floor| format!("\nIt needs glibc {floor} or newer.")).unwrap_or_default();
    let built = format!("\nBuilt for {} on {} by {rustc}.{floor}\n]],\n", lua.title(), platform.triple);
    let head = replaced(head, "]],\n", &built)?;
    let dependencies = match lua {
        Version::Jit => "   \"lua ~> 5.1\",\n   \"luajit ~> 2.1\",\n".to_owned(),
        _ => format!("   \"lua ~> {}\",\n", lua.abi()),
    };
    Ok(format!("{head}dependencies = {{\n{dependencies}}}\nbuild = {{\n   type = \"none\",\n}}\n"))
}

/// The text with one thing in it replaced, which is there once.
fn replaced(text: &str, from: &str, to: &str) -> Result<String> {
    let (before, after) = text.split_once(from).with_context(|| format!("there is no `{from}`"))?;
    Ok(format!("{before}{to}{after}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    fn shell() -> Shell {
        let sh = Shell::new().expect("it knows where it is");
        sh.change_dir(
            Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask is a folder of the repository"),
        );
        sh
    }

    #[test]
    fn there_is_one_rockspec_at_the_root() {
        // Of several, `luarocks make` takes the one that is called like the folder, or none.
        let files = shell().read_dir(".").expect("it can be read");
        let names = files.iter().filter_map(|file| file.file_name()).map(|name| name.to_string_lossy());
        assert_eq!(
            names.filter(|name| name.ends_with("rockspec")).collect::<Vec<_>>(),
            ["coutil-scm-1.rockspec"]
        );
    }

    #[test]
    fn every_lua_file_is_in_a_rock() {
        let sh = shell();
        let (coutil, memory) = of_checkout(&sh).expect("they can be read");
        for file in lua_modules(&sh).expect("they are there") {
            let name = file.trim_end_matches(".lua");
            assert!(
                coutil.contains(&format!("\n         [\"coutil.{name}\"] = \"{LUA_FILES}/{file}\",\n")),
                "{name}"
            );
        }
        assert!(memory.contains(&format!("\n      memory = \"{MEMORY_LUA}\",\n")));
        assert!(!coutil.contains(MEMORY_LUA));
    }

    #[test]
    fn a_release_has_a_version_and_an_archive() {
        let (coutil, memory) = of_checkout(&shell()).expect("they can be read");
        for text in [coutil, memory] {
            let text = release(&text, "3.1.4").expect("it has what is replaced");
            assert!(text.starts_with("rockspec_format = \"3.0\"\n"));
            assert!(text.contains("version = \"3.1.4-1\"\n"));
            assert!(text.contains(
                "/releases/download/v3.1.4/coutil-3.1.4.tar.gz\",\n   dir = \"coutil-3.1.4\",\n}\n"
            ));
            assert!(!text.contains("scm") && !text.contains("git+"));
        }
    }

    #[test]
    fn a_binary_rock_is_for_one_lua_version() {
        let sh = shell();
        let text = release(&of_checkout(&sh).expect("they can be read").0, "3.0.0")
            .expect("it has what is replaced");
        let platform: Platform = "x86_64-unknown-linux-gnu".parse().expect("it is known");
        let text = |lua| {
            binary(&text, lua, &platform, Some("2.34"), "rustc 1.88.0").expect("it has what is replaced")
        };
        let end = "dependencies = {\n   \"lua ~> 5.3\",\n}\nbuild = {\n   type = \"none\",\n}\n";
        assert!(text(Version::Lua53).ends_with(end));
        assert!(
            text(Version::Jit).contains("dependencies = {\n   \"lua ~> 5.1\",\n   \"luajit ~> 2.1\",\n}\n")
        );
        assert!(text(Version::Lua53).contains(
            "threads.\n\nBuilt for Lua 5.3 on x86_64-unknown-linux-gnu by rustc 1.88.0.\nIt needs glibc 2.34 or newer.\n]],\n"
        ));
    }
}
