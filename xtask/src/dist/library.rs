//! What a built module needs and gives, without loading it.
//!
//! A module is linked to no Lua library: what it uses of Lua is in the interpreter that loads it, all of it, or it cannot be
//! loaded. `api/` has the functions that each version had from its first release on: those that the headers of 5.1.5,
//! 5.2.4, 5.3.5 (both with no function more than 5.2.0 and 5.3.0), 5.4.0, 5.5.0 and of LuaJIT 2.1.0-beta3 declare.

use super::platform::Platform;
use crate::lua::Version;
use anyhow::{Context, Result, bail};
use object::elf::{self, FileHeader32, FileHeader64};
use object::read::elf::{Dyn, FileHeader, Sym};
use object::{Endianness, FileKind, Object, ObjectSymbol};
use std::collections::BTreeSet;
use std::str::from_utf8;

/// The newest version of glibc that a module may need. It has the functions of threads in `libc.so`, where older ones have not; so
/// whatever is built with this or a newer one needs this.
const FLOOR: (u32, u32) = (2, 34);

/// The libraries of glibc and of the compiler; every system has them.
const LIBRARIES: &[&str] = &["libc.so.6", "libgcc_s.so.1", "libm.so.6", "ld-linux-*"];

/// Where the entry points of the module are listed.
const ENTRIES: &str = include_str!("../../../coutil-lua/src/entry.rs");

/// The names of the entry points, `luaopen_*`.
pub(super) fn entries() -> BTreeSet<String> {
    let names = ENTRIES.lines().filter_map(|line| line.trim().split_once(" => "));
    names.map(|(name, _)| name).filter(|name| name.starts_with("luaopen_")).map(str::to_owned).collect()
}

/// The functions that every release of a Lua version has.
fn api(lua: Version) -> BTreeSet<&'static str> {
    let text = match lua {
        Version::Lua51 => include_str!("api/5.1.txt"),
        Version::Lua52 => include_str!("api/5.2.txt"),
        Version::Lua53 => include_str!("api/5.3.txt"),
        Version::Lua54 => include_str!("api/5.4.txt"),
        Version::Lua55 => include_str!("api/5.5.txt"),
        Version::Jit => include_str!("api/jit.txt"),
    };
    text.lines().collect()
}

/// A library, as far as it is looked at.
#[derive(Clone, Debug, Default)]
pub(super) struct Library {
    exported: BTreeSet<String>,
    needed: Vec<Symbol>,
    libraries: Vec<String>,
    /// Whether it stays in memory once it is loaded.
    pinned: bool,
}

/// What a library takes from elsewhere.
#[derive(Clone, Debug)]
struct Symbol {
    name: String,
    /// Of the library that it is in.
    version: Option<String>,
    /// It may be missing.
    weak: bool,
}

impl Library {
    pub(super) fn read(bytes: &[u8]) -> Result<Library> {
        match FileKind::parse(bytes)? {
            FileKind::Elf32 => Library::elf::<FileHeader32<Endianness>>(bytes),
            FileKind::Elf64 => Library::elf::<FileHeader64<Endianness>>(bytes),
            FileKind::MachO32 | FileKind::MachO64 => Library::mach_o(bytes),
            other => bail!("what kind of library is {other:?}?"),
        }
    }

    fn elf<Elf: FileHeader<Endian = Endianness>>(bytes: &[u8]) -> Result<Library> {
        let header = Elf::parse(bytes)?;
        let endian = header.endian()?;
        let sections = header.sections(endian, bytes)?;
        let symbols = sections.symbols(endian, bytes, elf::SHT_DYNSYM)?;
        let versions = sections.versions(endian, bytes)?;
        let mut library = Library::default();
        // The first one is none.
        for (index, symbol) in symbols.enumerate().skip(1) {
            let name = from_utf8(symbols.symbol_name(endian, symbol)?)?.to_owned();
            if !symbol.is_undefined(endian) {
                library.exported.insert(name);
                continue;
            }
            let version = match &versions {
                Some(versions) => versions.version(versions.version_index(endian, index).index())?,
                None => None,
            };
            let version = version.map(|version| from_utf8(version.name()).map(str::to_owned)).transpose()?;
            library.needed.push(Symbol { name, version, weak: symbol.st_bind() == elf::STB_WEAK });
        }
        let (entries, link) = sections.dynamic(endian, bytes)?.context("it is not a dynamic library")?;
        let strings = sections.strings(endian, bytes, link)?;
        for entry in entries {
            match entry.tag(endian) {
                elf::DT_NEEDED => {
                    library.libraries.push(from_utf8(entry.string(endian, strings)?)?.to_owned())
                }
                elf::DT_FLAGS_1 => library.pinned = entry.val(endian) & elf::DF_1_NODELETE.0 != 0,
                elf::DT_RPATH | elf::DT_RUNPATH => bail!("it looks for libraries in folders of its own"),
                _ => {}
            }
        }
        Ok(library)
    }

    /// A library of macOS. Nothing there has versions; one with variables of threads is not unloaded.
    fn mach_o(bytes: &[u8]) -> Result<Library> {
        let file = object::File::parse(bytes)?;
        let mut library = Library { pinned: true, ..Library::default() };
        for symbol in file.symbols() {
            // C names have one more character there.
            let name = symbol.name()?;
            let name = name.strip_prefix('_').unwrap_or(name).to_owned();
            if symbol.is_undefined() && name.starts_with("lua") {
                library.needed.push(Symbol { name, version: None, weak: false });
            } else if symbol.is_global() && symbol.is_definition() {
                library.exported.insert(name);
            }
        }
        Ok(library)
    }

    /// Whether any system with such a Lua can load it. Returns the version of glibc that it needs.
    pub(super) fn check(&self, lua: Version, platform: &Platform) -> Result<Option<String>> {
        let entries = entries();
        if self.exported != entries {
            bail!("it exports {:?}, rather than {entries:?}", self.exported);
        }
        let api = api(lua);
        let unknown = |symbol: &&Symbol| match &symbol.version {
            // What is missing would be called, as nothing of ours asks.
            None if symbol.name.starts_with("lua") => !api.contains(symbol.name.as_str()),
            None => !symbol.weak,
            Some(_) => false,
        };
        let unknown: Vec<&str> =
            self.needed.iter().filter(unknown).map(|symbol| symbol.name.as_str()).collect();
        if !unknown.is_empty() {
            bail!("not every {} has {}", lua.title(), unknown.join(", "));
        }
        if !self.pinned {
            bail!(
                "it would not stay in memory, and its threads may outlive the state that loaded it (-z nodelete)"
            );
        }
        if !platform.is_linux() {
            return Ok(None);
        }
        let allowed = |name: &str| {
            LIBRARIES.iter().any(|pattern| match pattern.strip_suffix('*') {
                Some(start) => name.starts_with(start),
                None => name == *pattern,
            })
        };
        if let Some(other) = self.libraries.iter().find(|name| !allowed(name)) {
            bail!("it needs the library {other}");
        }
        let floor = self.glibc()?;
        if floor > FLOOR {
            bail!("it needs glibc {}.{}, and not {}.{} only", floor.0, floor.1, FLOOR.0, FLOOR.1);
        }
        Ok(Some(format!("{}.{}", floor.0, floor.1)))
    }

    /// The oldest glibc that has all that is needed. What may be missing counts: its version may not be.
    fn glibc(&self) -> Result<(u32, u32)> {
        let mut floor = (0, 0);
        for symbol in &self.needed {
            let Some(version) = symbol.version.as_ref().and_then(|version| version.strip_prefix("GLIBC_"))
            else {
                continue;
            };
            let mut numbers = version.split('.').map(str::parse::<u32>);
            let (Some(Ok(major)), Some(Ok(minor))) = (numbers.next(), numbers.next()) else {
                bail!("it needs {} of GLIBC_{version}", symbol.name);
            };
            floor = floor.max((major, minor));
        }
        Ok(floor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One that is right.
    fn library() -> Library {
        let symbol = |name: &str, version: Option<&str>, weak| Symbol {
            name: name.to_owned(),
            version: version.map(str::to_owned),
            weak,
        };
        Library {
            exported: entries(),
            needed: vec![
                symbol("lua_yieldk", None, false),
                symbol("pidfd_getpid", None, true),
                symbol("pthread_create", Some("GLIBC_2.34"), false),
                symbol("read", Some("GLIBC_2.2.5"), false),
                symbol("_Unwind_Resume", Some("GCC_3.0"), false),
            ],
            libraries: vec!["libc.so.6".to_owned(), "ld-linux-x86-64.so.2".to_owned()],
            pinned: true,
        }
    }

    /// What is said about the library that this makes of the right one.
    fn change(change: impl FnOnce(&mut Library)) -> String {
        let mut library = library();
        change(&mut library);
        let platform = "x86_64-unknown-linux-gnu".parse().expect("it is known");
        match library.check(Version::Lua54, &platform) {
            Ok(floor) => floor.expect("there is one on Linux"),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    fn a_file_is_read() {
        // This program.
        let bytes = std::env::current_exe().and_then(std::fs::read).expect("it can be read");
        let library = Library::read(&bytes).expect("it is understood");
        assert!(library.libraries.iter().any(|name| name == "libc.so.6"), "{:?}", library.libraries);
        let version = |name: &str| {
            let symbol = library.needed.iter().find(|symbol| symbol.name == name).expect("it is used");
            symbol.version.clone().expect("it has one")
        };
        assert!(version("read").starts_with("GLIBC_2."));
        assert!(version("_Unwind_Resume").starts_with("GCC_"));
        let weak = library.needed.iter().find(|symbol| symbol.name == "__gmon_start__").expect("it is used");
        assert!(weak.weak && weak.version.is_none());
        assert!(!library.pinned);
        assert!(library.glibc().expect("there is one") >= (2, 17));
        assert!(Library::read(b"#!/bin/sh").is_err());
    }

    #[test]
    fn the_entry_points_are_known() {
        assert!(entries().contains("luaopen_coutil"));
        assert!(entries().contains("luaopen_coutil_native_event"));
    }

    #[test]
    fn a_good_library_tells_its_floor() {
        assert_eq!(change(|_| ()), "2.34");
        assert_eq!(change(|library| library.needed.truncate(2)), "0.0");
    }

    #[test]
    fn every_defect_is_found() {
        let starts = |text: String, start: &str| assert!(text.starts_with(start), "{text}");
        starts(change(|library| drop(library.exported.pop_last())), "it exports");
        starts(change(|library| library.exported.extend(["rust_begin_unwind".to_owned()])), "it exports");
        let with = |name: &str, weak| {
            let symbol = Symbol { name: name.to_owned(), version: None, weak };
            change(|library| library.needed.push(symbol))
        };
        // That is of 5.4.6, this of no Lua at all, and that is for the 5.1 only.
        assert_eq!(with("lua_closethread", false), "not every Lua 5.4 has lua_closethread");
        assert_eq!(with("lua_setlevel", true), "not every Lua 5.4 has lua_setlevel");
        assert_eq!(with("SSL_new", false), "not every Lua 5.4 has SSL_new");
        starts(change(|library| library.pinned = false), "it would not stay in memory");
        assert_eq!(
            change(|library| library.libraries.push("libssl.so.3".to_owned())),
            "it needs the library libssl.so.3"
        );
        let newer = |version: &str| change(|library| library.needed[3].version = Some(version.to_owned()));
        assert_eq!(newer("GLIBC_2.38"), "it needs glibc 2.38, and not 2.34 only");
        assert_eq!(newer("GLIBC_PRIVATE"), "it needs read of GLIBC_PRIVATE");
    }
}
