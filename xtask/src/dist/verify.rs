//! Rocks and archives, installed as a new user does, and run from there.

use super::luarocks::{self, LuaRocks};
use super::rock::{self, Files};
use super::rockspec::{COUTIL, MEMORY, lua_modules};
use super::{Artefacts, library};
use crate::lua::Version;
use crate::test::{self, Installed};
use anyhow::{Context, Result, bail};
use flate2::read::GzDecoder;
use std::fs;
use std::io::{Cursor, Read};
use std::path::{Path, PathBuf};
use std::process::Command;
use xshell::Shell;
use zip::ZipArchive;

/// Installs what was made for a Lua version, in every way; loads every module in the interpreter; and runs the suite if
/// that is asked for.
pub(super) fn all(sh: &Shell, made: &Artefacts<'_>, tests: bool) -> Result<()> {
    let lua = made.lua;
    if test::interpreter(sh, lua)?.is_none() {
        println!("   not tried: {} is not installed", lua.interpreter());
        return Ok(());
    }
    let folder = sh.create_temp_dir()?;
    let home = folder.path().join("home");
    fs::create_dir(&home)?;

    let unpacked = folder.path().join("archive");
    tar::Archive::new(GzDecoder::new(fs::File::open(&made.archive)?)).unpack(&unpacked)?;
    let unpacked = unpacked.join(made.archive_folder());
    load(
        sh,
        lua,
        &Installed { lua: unpacked.clone(), library: unpacked.clone() },
        &home,
        Some(made.version),
    )?;
    println!("   the archive works");

    let tree = Tree::new(folder.path().join("tree"), lua)?;
    let luarocks = LuaRocks::find(lua, &home);
    match &luarocks {
        Some(luarocks) => by_luarocks(luarocks, &tree, made)?,
        None => {
            println!("   no LuaRocks here knows {}: its rocks are unpacked", lua.title());
            tree.unpack(&[&made.rock, &made.memory])?;
        }
    }
    load(sh, lua, &tree.installed(), &home, Some(made.version))?;
    println!("   the rocks work");
    if tests {
        test::installed(sh, lua, tree.installed())?;
    }
    if let Some(luarocks) = luarocks {
        for name in [MEMORY, COUTIL] {
            luarocks.run(&tree.folder, &["--tree", &tree.name(), "remove", name])?;
        }
        tree.lacks(&["coutil.so"], &["coutil/event.lua", "memory.lua"])?;
        println!("   what was removed is gone");
    }
    Ok(())
}

/// Each interpreter has to refuse the modules for the others. LuaRocks does not see where somebody else puts them.
pub(super) fn misfits(sh: &Shell, made: &[Artefacts<'_>]) -> Result<()> {
    if made.len() < 2 {
        return Ok(());
    }
    println!("== modules for another Lua");
    let folder = sh.create_temp_dir()?;
    let script = folder.path().join("misfit.lua");
    fs::write(&script, "print(pcall(require, \"coutil\"))")?;
    let mut refused = 0;
    for lua in made.iter().map(|made| made.lua) {
        let Some((interpreter, args)) = test::interpreter(sh, lua)? else { continue };
        for other in made.iter().filter(|made| made.lua != lua) {
            let mut command = Command::new(&interpreter);
            command.args(&args).arg(&script);
            luarocks::clean(&mut command, folder.path());
            command.env("LUA_CPATH", other.built.join("?.so"));
            let output = command.output().context("the interpreter did not start")?;
            let text = String::from_utf8_lossy(&output.stdout);
            let reasons = ["undefined symbol", "version mismatch"];
            if !output.status.success() || !reasons.iter().any(|reason| text.contains(reason)) {
                bail!("{} and the module for {}: {}, {text}", lua.title(), other.lua.title(), output.status);
            }
            refused += 1;
        }
    }
    println!("   {refused} are refused");
    Ok(())
}

/// Installs the source rock, which builds it.
pub(super) fn source(sh: &Shell, lua: Version, rock: &Path, version: &str) -> Result<()> {
    println!("== source rock");
    let folder = sh.create_temp_dir()?;
    let home = folder.path().join("home");
    fs::create_dir(&home)?;
    let Some(luarocks) = LuaRocks::find(lua, &home) else {
        println!("   not tried: no LuaRocks here knows {}", lua.title());
        return Ok(());
    };
    let tree = Tree::new(folder.path().join("tree"), lua)?;
    luarocks.build(&tree.folder, &["--tree", &tree.name(), "install", &rock.display().to_string()])?;
    // The file for `require "memory"` is of another rock.
    tree.lacks(&[], &["memory.lua"])?;
    load(sh, lua, &tree.installed(), &home, Some(version))?;
    println!("   it builds, and works with {}", lua.title());
    Ok(())
}

/// `luarocks make` in the repository, into empty trees.
pub(super) fn make(sh: &Shell, versions: &[Version]) -> Result<()> {
    for &lua in versions {
        println!("== luarocks make, {}", lua.title());
        let folder = sh.create_temp_dir()?;
        let home = folder.path().join("home");
        fs::create_dir(&home)?;
        let Some(luarocks) = LuaRocks::find(lua, &home) else {
            println!("   not tried: no LuaRocks here knows {}", lua.title());
            continue;
        };
        let tree = Tree::new(folder.path().join("tree"), lua)?;
        let root = sh.current_dir();
        luarocks.build(&root, &["--tree", &tree.name(), "make"])?;
        tree.lacks(&[], &["memory.lua"])?;
        luarocks.build(&root, &["--tree", &tree.name(), "make", "etc/coutil-memory-scm-1.rockspec"])?;
        load(sh, lua, &tree.installed(), &home, None)?;
        println!("   it works");
    }
    Ok(())
}

/// A tree of installed rocks.
struct Tree {
    folder: PathBuf,
    lua: Version,
}

impl Tree {
    /// An empty one.
    fn new(folder: PathBuf, lua: Version) -> Result<Tree> {
        fs::create_dir_all(&folder)?;
        Ok(Tree { folder, lua })
    }

    fn name(&self) -> String {
        self.folder.display().to_string()
    }

    fn installed(&self) -> Installed {
        Installed {
            lua: self.folder.join("share/lua").join(self.lua.abi()),
            library: self.folder.join("lib/lua").join(self.lua.abi()),
        }
    }

    /// Installs binary rocks without LuaRocks.
    fn unpack(&self, rocks: &[&Path]) -> Result<()> {
        for rock in rocks {
            for (name, content) in files(rock)? {
                let place = match name.split_once('/') {
                    Some(("lib", rest)) => self.installed().library.join(rest),
                    Some(("lua", rest)) => self.installed().lua.join(rest),
                    _ => continue,
                };
                fs::create_dir_all(place.parent().context("a place has a folder")?)?;
                fs::write(place, content)?;
            }
        }
        Ok(())
    }

    /// None of these files is in it.
    fn lacks(&self, libraries: &[&str], lua_files: &[&str]) -> Result<()> {
        let Installed { lua, library } = self.installed();
        let files = libraries
            .iter()
            .map(|name| library.join(name))
            .chain(lua_files.iter().map(|name| lua.join(name)));
        match files.into_iter().find(|file| file.exists()) {
            Some(file) => bail!("{} should not be there", file.display()),
            None => Ok(()),
        }
    }
}

/// The files of a rock.
fn files(rock: &Path) -> Result<Files> {
    let mut zip = ZipArchive::new(Cursor::new(fs::read(rock)?))?;
    let mut files = Files::new();
    for index in 0..zip.len() {
        let mut file = zip.by_index(index)?;
        let name = file.name()?.into_owned();
        let mut content = Vec::new();
        file.read_to_end(&mut content)?;
        files.insert(name, content);
    }
    Ok(files)
}

/// Installs from the folder as a server, over an older rock. Other Lua versions refuse.
fn by_luarocks(luarocks: &LuaRocks, tree: &Tree, made: &Artefacts<'_>) -> Result<()> {
    let server = made.rock.parent().context("a rock is in a folder")?;
    let server = format!("--only-server={}", server.display());
    let tree_option = ["--tree", &tree.name()];

    let older = older(&tree.folder, made)?;
    luarocks.run(&tree.folder, &[&tree_option[..], &["install", &older]].concat())?;
    luarocks.run(&tree.folder, &[&tree_option[..], &["install", &server, COUTIL]].concat())?;
    tree.lacks(&[], &["coutil/older.lua", "memory.lua"])?;
    luarocks.run(&tree.folder, &[&tree_option[..], &["remove", COUTIL]].concat())?;
    tree.lacks(&["coutil.so"], &["coutil/event.lua"])?;
    // Into the empty tree, with what it depends on.
    luarocks.run(&tree.folder, &[&tree_option[..], &["install", &server, MEMORY]].concat())?;
    println!("   LuaRocks installs, replaces and removes the rocks");

    let rock = made.rock.display().to_string();
    let other = if made.lua == Version::Lua53 { Version::Lua54 } else { Version::Lua53 };
    // LuaJIT is a Lua 5.1 for LuaRocks; this is what makes a difference.
    for other in [other].into_iter().chain((made.lua == Version::Jit).then_some(Version::Lua51)) {
        let home = tree.folder.with_file_name("home");
        let Some(luarocks) = LuaRocks::find(other, &home) else { continue };
        let refused = Tree::new(tree.folder.with_file_name(format!("tree{}", other.name())), other)?;
        let text = luarocks.refusal(&refused.folder, &["--tree", &refused.name(), "install", &rock])?;
        let reason = if other == Version::Lua51 {
            "luajit ~> 2.1".to_owned()
        } else {
            format!("lua ~> {}", made.lua.abi())
        };
        if !text.contains(&reason) {
            bail!("it was refused for another reason than {reason}:\n{text}");
        }
        refused.lacks(&["coutil.so"], &["coutil/event.lua"])?;
        println!("   {} refuses it", other.title());
    }
    Ok(())
}

/// A rock of an older version, with a module that there is no more.
fn older(folder: &Path, made: &Artefacts<'_>) -> Result<String> {
    let newer = format!("{}-1", made.version);
    let mut older = Files::new();
    for (name, content) in files(&made.rock)? {
        if name.ends_with(".rockspec") {
            let text = String::from_utf8(content)?.replace(&newer, "2.1.0-1");
            older.insert("coutil-2.1.0-1.rockspec".to_owned(), text.into_bytes());
        } else if name == "lua/coutil/event.lua" {
            older.insert(name, b"error \"this is the older one\"".to_vec());
        }
    }
    older.insert("lua/coutil/older.lua".to_owned(), Vec::new());
    older.insert("lib/coutil.so".to_owned(), Vec::new());
    let name =
        made.rock.file_name().context("a rock has a name")?.to_string_lossy().replace(&newer, "2.1.0-1");
    fs::write(folder.join(&name), rock::binary(older)?)?;
    Ok(folder.join(name).display().to_string())
}

/// Loads every module in the interpreter, and runs an example.
fn load(sh: &Shell, lua: Version, installed: &Installed, home: &Path, version: Option<&str>) -> Result<()> {
    let (interpreter, args) = test::interpreter(sh, lua)?.context("there is no interpreter")?;
    let script = home.join("require.lua");
    fs::write(&script, require(sh, version)?)?;
    for script in [&script, &sh.current_dir().join("examples/pipeline.lua")] {
        let mut command = Command::new(&interpreter);
        command.args(&args).arg(script).current_dir(home);
        luarocks::clean(&mut command, home);
        command.env("LUA_PATH", installed.lua.join("?.lua"));
        command.env("LUA_CPATH", installed.library.join("?.so"));
        let output = command.output().context("the interpreter did not start")?;
        if !output.status.success() {
            bail!("{} failed: {}", script.display(), String::from_utf8_lossy(&output.stderr));
        }
    }
    Ok(())
}

/// A script that loads all modules: those with an entry point, those that are files, and `memory` if it is installed.
fn require(sh: &Shell, version: Option<&str>) -> Result<String> {
    let entries = library::entries();
    let entries = entries.iter().map(|entry| entry["luaopen_".len()..].replace('_', "."));
    let files = lua_modules(sh)?.into_iter().map(|file| format!("coutil.{}", file.trim_end_matches(".lua")));
    let mut script = String::new();
    for name in entries.chain(files) {
        script += &format!("assert(type(require \"{name}\") == \"table\")\n");
    }
    script += "local coutil = require \"coutil\"\n\
               local installed, memory = pcall(require, \"memory\")\n\
               assert(not installed or memory == coutil.memory)\n";
    if let Some(version) = version {
        script += &format!("assert(coutil._VERSION == \"Coutil {version}\", coutil._VERSION)\n");
    }
    Ok(script)
}
