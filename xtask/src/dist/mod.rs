//! `cargo xtask dist`: what a release consists of.
//!
//! ```text
//! dist/coutil-3.0.0.tar.gz                            the sources
//! dist/coutil-3.0.0-lua5.4-TRIPLE.tar.gz              the module for a Lua version
//! dist/coutil-3.0.0-1.src.rock, .rockspec             the rock that cargo builds
//! dist/coutil-memory-3.0.0-1.all.rock, .rockspec      the rock with `memory.lua`
//! dist/5.4/coutil-3.0.0-1.linux-x86_64.rock           the rock for a Lua version, which is not in its name
//! dist/5.4/manifest, dist/manifest, …                 by which LuaRocks can use these folders as servers
//! dist/SHA256SUMS
//! ```

mod archive;
mod library;
mod licences;
mod luarocks;
mod manifest;
mod platform;
mod rock;
mod rockspec;
mod table;
mod verify;

use crate::build;
use crate::lua::Version;
use anyhow::{Context, Result, bail};
use library::Library;
use platform::Platform;
use rock::Files;
use rockspec::{COUTIL, MEMORY};
use std::path::{Path, PathBuf};
use std::{env, fs};
use xshell::{PushEnv, Shell, cmd};

/// The folder of all this.
const DIST: &str = "dist";

/// The file that has the version of the Lua side, once.
const VERSION: &str = "coutil-lua/src/coutil.lua";

/// What to do.
#[derive(Debug)]
pub(crate) struct Options {
    /// All, if none is named.
    pub(crate) versions: Option<Vec<Version>>,
    /// A target of rustc; this machine, if none is named.
    pub(crate) target: Option<String>,
    /// Whether the suite runs.
    pub(crate) tests: bool,
}

/// What was made for one Lua version.
struct Artefacts<'a> {
    lua: Version,
    version: &'a str,
    /// The folder that the module was built into.
    built: PathBuf,
    rock: PathBuf,
    memory: PathBuf,
    archive: PathBuf,
}

impl Artefacts<'_> {
    /// The folder in the archive.
    fn archive_folder(&self) -> String {
        let name = self.archive.file_name().unwrap_or_default().to_string_lossy();
        name.trim_end_matches(".tar.gz").to_owned()
    }
}

/// Makes all of it, and tries it.
pub(crate) fn dist(sh: &Shell, options: &Options) -> Result<()> {
    let host = Platform::host(sh)?;
    let platform = match &options.target {
        Some(triple) => triple.parse()?,
        None => host.clone(),
    };
    let versions = options.versions.clone().unwrap_or(Version::ALL.to_vec());
    let version = version(sh)?;
    let folder = sh.current_dir().join(DIST);
    if options.versions.is_none() && options.target.is_none() && folder.exists() {
        // A release has nothing of an earlier one.
        fs::remove_dir_all(&folder)?;
    }
    fs::create_dir_all(&folder)?;
    println!("== Coutil {version} for {}", platform.triple);
    let source = sources(sh, &folder, &version)?;
    let third_party = licences::third_party(sh, &platform)?;
    let mut made = Vec::new();
    for &lua in &versions {
        let artefacts =
            module(sh, &folder, lua, &version, &platform, options.target.as_deref(), &third_party)?;
        manifest::server(
            &folder.join(lua.name()),
            &["manifest".to_owned(), format!("manifest-{}", lua.abi())],
        )?;
        made.push(artefacts);
    }
    let names = ["5.1", "5.2", "5.3", "5.4", "5.5"].map(|abi| format!("manifest-{abi}"));
    manifest::server(&folder, &[&["manifest".to_owned()], &names[..]].concat())?;
    manifest::checksums(&folder, "SHA256SUMS")?;
    if platform != host {
        println!("not tried: {} is not this machine", platform.triple);
        return Ok(());
    }
    for artefacts in &made {
        println!("== {}", artefacts.lua.title());
        verify::all(sh, artefacts, options.tests)
            .with_context(|| format!("what was made for {} does not work", artefacts.lua.title()))?;
    }
    verify::misfits(sh, &made)?;
    let lua = if versions.contains(&Version::default()) { Version::default() } else { versions[0] };
    let _places = places(sh)?;
    verify::source(sh, lua, &source, &version)
}

/// `luarocks make`, for every Lua version that LuaRocks knows here.
pub(crate) fn check_make(sh: &Shell, versions: Option<Vec<Version>>) -> Result<()> {
    verify::make(sh, &versions.unwrap_or(Version::ALL.to_vec()))
}

/// The version of the rock: what the module says.
fn version(sh: &Shell) -> Result<String> {
    let text = sh.read_file(VERSION)?;
    let version = text.split_once("_VERSION = \"Coutil ").and_then(|(_, rest)| rest.split_once('"'));
    Ok(version.with_context(|| format!("{VERSION} has no version"))?.0.to_owned())
}

/// The archive of the sources, and the rocks that are the same everywhere. Returns the source rock.
fn sources(sh: &Shell, folder: &Path, version: &str) -> Result<PathBuf> {
    if !cmd!(sh, "git status --porcelain").quiet().read()?.is_empty() {
        println!("   the sources have changes that are not committed, or files that git does not know");
    }
    let name = archive::source_name(version);
    let (files, executable) = archive::sources(sh)?;
    let sources = archive::tar_gz(&name, &files, |file| executable.contains(file))?;
    let number = rockspec::number(version);
    let (coutil, memory) = rockspec::of_checkout(sh)?;
    let (coutil, memory) = (rockspec::release(&coutil, version)?, rockspec::release(&memory, version)?);
    let (coutil_name, memory_name) = (format!("{COUTIL}-{number}"), format!("{MEMORY}-{number}"));
    // No more than the rockspec, and the archive that it names.
    let rock = rock::zipped(&Files::from([
        (format!("{coutil_name}.rockspec"), coutil.clone().into_bytes()),
        (format!("{name}.tar.gz"), sources.clone()),
    ]))?;
    let memory_rock = rock::binary(Files::from([
        (format!("{memory_name}.rockspec"), memory.clone().into_bytes()),
        ("lua/memory.lua".to_owned(), sh.read_binary_file(rockspec::MEMORY_LUA)?),
        ("doc/LICENSE".to_owned(), sh.read_binary_file("LICENSE")?),
    ]))?;
    let rock_file = folder.join(format!("{coutil_name}.src.rock"));
    fs::write(folder.join(format!("{name}.tar.gz")), sources)?;
    fs::write(folder.join(format!("{coutil_name}.rockspec")), coutil)?;
    fs::write(folder.join(format!("{memory_name}.rockspec")), memory)?;
    fs::write(folder.join(format!("{memory_name}.all.rock")), memory_rock)?;
    fs::write(&rock_file, rock)?;
    Ok(rock_file)
}

/// As long as this lives, cargo builds in a folder of its own, and what it builds tells nobody where that was. So it is the same on
/// every machine with this compiler, and panics name the files of crates only.
fn places(sh: &Shell) -> Result<[PushEnv<'_>; 2]> {
    let root = sh.current_dir();
    let given = sh.var("RUSTFLAGS").unwrap_or_default();
    let mut flags: Vec<String> = given.split_whitespace().map(str::to_owned).collect();
    for (folder, name) in
        [(cargo_home()? + "/registry/src", "crates"), (root.display().to_string(), "coutil")]
    {
        flags.push(format!("--remap-path-prefix={folder}={name}"));
    }
    // In this variable, what is between two flags is no space, which may be in the name of a folder.
    let flags = flags.join("\u{1f}");
    Ok([
        sh.push_env("CARGO_ENCODED_RUSTFLAGS", flags),
        sh.push_env("CARGO_TARGET_DIR", root.join("target/dist")),
    ])
}

/// Where cargo keeps the crates.
fn cargo_home() -> Result<String> {
    let folder = env::var_os("CARGO_HOME").map(PathBuf::from);
    let folder =
        folder.or_else(|| Some(env::home_dir()?.join(".cargo"))).context("where is the home of cargo?")?;
    Ok(folder.display().to_string())
}

/// Whether the bytes have these ones in them.
fn memmem(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}

/// Builds the module for a Lua version, looks at it, and packs it.
fn module<'a>(
    sh: &Shell,
    folder: &Path,
    lua: Version,
    version: &'a str,
    platform: &Platform,
    target: Option<&str>,
    third_party: &str,
) -> Result<Artefacts<'a>> {
    let built = {
        let _places = places(sh)?;
        match target {
            Some(target) => build::module_for(sh, lua, target)?,
            None => build::module(sh, lua)?,
        }
    };
    let library = fs::read(built.join("coutil.so"))?;
    let root = sh.current_dir().display().to_string();
    if [root, cargo_home()?].iter().any(|folder| memmem(&library, folder.as_bytes())) {
        bail!("the module for {} has folders of this machine in it", lua.title());
    }
    let floor = Library::read(&library)?
        .check(lua, platform)
        .with_context(|| format!("the module for {} cannot be used everywhere", lua.title()))?;
    let floor_text = floor.as_ref().map(|floor| format!(", glibc {floor}")).unwrap_or_default();
    println!("   {}: {} KB{floor_text}", lua.title(), library.len() / 1024);

    let number = rockspec::number(version);
    let rustc = cmd!(sh, "rustc --version").quiet().read()?;
    let text = rockspec::release(&rockspec::of_checkout(sh)?.0, version)?;
    let text = rockspec::binary(&text, lua, platform, floor.as_deref(), &rustc)?;
    let documents = documents(sh, third_party)?;
    let mut files = Files::from([
        (format!("{COUTIL}-{number}.rockspec"), text.into_bytes()),
        ("lib/coutil.so".to_owned(), library.clone()),
    ]);
    let mut plain = Files::from([
        ("coutil.so".to_owned(), library),
        ("memory.lua".to_owned(), sh.read_binary_file(rockspec::MEMORY_LUA)?),
    ]);
    for file in rockspec::lua_modules(sh)? {
        let content = rockspec::lua_module(sh, &file)?;
        files.insert(format!("lua/coutil/{file}"), content.clone());
        plain.insert(format!("coutil/{file}"), content);
    }
    for (name, content) in documents {
        // The types are where `luarocks make` puts them.
        let place = if name.starts_with("types/") { name.clone() } else { format!("doc/{name}") };
        files.insert(place, content.clone());
        plain.insert(name, content);
    }

    let server = folder.join(lua.name());
    fs::create_dir_all(&server)?;
    let rock = server.join(format!("{COUTIL}-{number}.{}.rock", platform.tag));
    fs::write(&rock, rock::binary(files)?)?;
    let memory_name = format!("{MEMORY}-{number}.all.rock");
    let memory = server.join(&memory_name);
    fs::copy(folder.join(memory_name), &memory)?;
    let name = archive::module_name(version, lua, platform);
    let archive = folder.join(format!("{name}.tar.gz"));
    fs::write(&archive, archive::tar_gz(&name, &plain, |_| false)?)?;
    Ok(Artefacts { lua, version, built, rock, memory, archive })
}

/// What is there to read: in the places where it refers to itself.
fn documents(sh: &Shell, third_party: &str) -> Result<Files> {
    let mut files = Files::from([("THIRD-PARTY.md".to_owned(), third_party.as_bytes().to_vec())]);
    for name in ["README.md", "CHANGELOG.md", "LICENSE"] {
        files.insert(name.to_owned(), sh.read_binary_file(name)?);
    }
    // With their folders, and without what was built in them.
    let (sources, _) = archive::sources(sh)?;
    let folders = ["docs/", "examples/", "types/"];
    files.extend(
        sources.into_iter().filter(|(name, _)| folders.iter().any(|folder| name.starts_with(folder))),
    );
    Ok(files)
}
