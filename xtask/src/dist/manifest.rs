//! What makes folders of rocks servers, and the checksums.

use super::rock::{self, Files, hex};
use super::table::{Value, assignment};
use anyhow::Result;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// Writes the manifest of the rocks in a folder, under each of these names. Those of a Lua version are in archives too: that is what
/// LuaRocks asks a server for first, and lux asks for nothing else.
pub(super) fn server(folder: &Path, names: &[String]) -> Result<()> {
    let mut rocks = Vec::new();
    for entry in fs::read_dir(folder)? {
        rocks.extend(parts(&entry?.file_name().to_string_lossy()));
    }
    let text = repository(rocks);
    for name in names {
        fs::write(folder.join(name), &text)?;
        if name.contains('-') {
            let archive = rock::zipped(&Files::from([(name.clone(), text.clone().into_bytes())]))?;
            fs::write(folder.join(format!("{name}.zip")), archive)?;
        }
    }
    Ok(())
}

/// Name, version and tag of the rock in a file.
fn parts(file: &str) -> Option<(String, String, String)> {
    let (rock, tag) = file.strip_suffix(".rock")?.rsplit_once('.')?;
    // The version and the revision of the rock; the name may have hyphens too.
    let (rest, revision) = rock.rsplit_once('-')?;
    let (name, version) = rest.rsplit_once('-')?;
    Some((name.to_owned(), format!("{version}-{revision}"), tag.to_owned()))
}

fn repository(mut rocks: Vec<(String, String, String)>) -> String {
    rocks.sort();
    let mut versions: BTreeMap<(String, String), Vec<Value>> = BTreeMap::new();
    for (name, version, tag) in rocks {
        let entry = Value::Table([("arch".to_owned(), Value::Text(tag))].into());
        versions.entry((name, version)).or_default().push(entry);
    }
    let mut repository = Value::empty();
    for ((name, version), entries) in versions {
        repository.table(&name).set(&version, Value::List(entries));
    }
    let empty = Value::empty();
    assignment("commands", &empty) + &assignment("modules", &empty) + &assignment("repository", &repository)
}

/// Writes the file with the SHA-256 sums of all others in a folder and those below it.
pub(super) fn checksums(folder: &Path, name: &str) -> Result<()> {
    let mut files = Vec::new();
    collect(folder, &mut files)?;
    let mut lines: Vec<String> = Vec::new();
    for file in files {
        let path = file.strip_prefix(folder)?.display().to_string();
        if path != name {
            lines.push(format!("{}  {path}\n", hex(&Sha256::digest(fs::read(&file)?))));
        }
    }
    lines.sort_by(|one, other| one[64..].cmp(&other[64..]));
    fs::write(folder.join(name), lines.concat())?;
    Ok(())
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            collect(&path, files)?;
        } else {
            files.push(path);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_rocks_have_three_parts() {
        let is = |file: &str, name: &str, version: &str, tag: &str| {
            assert_eq!(parts(file), Some((name.to_owned(), version.to_owned(), tag.to_owned())));
        };
        is("coutil-3.0.0-1.linux-x86_64.rock", "coutil", "3.0.0-1", "linux-x86_64");
        is("coutil-memory-3.0.0-1.all.rock", "coutil-memory", "3.0.0-1", "all");
        is("coutil-3.0.0-1.src.rock", "coutil", "3.0.0-1", "src");
        assert_eq!(parts("manifest-5.4"), None);
        assert_eq!(parts("coutil-3.0.0-1.rockspec"), None);
    }

    #[test]
    fn rocks_of_several_platforms_are_one_entry() {
        let rocks =
            ["linux-x86_64", "linux-aarch64"].map(|tag| ("coutil".into(), "3.0.0-1".into(), tag.into()));
        let text = "commands = {}\nmodules = {}\nrepository = {\n   coutil = {\n      [\"3.0.0-1\"] = {\n         \
                    {\n            arch = \"linux-aarch64\"\n         },\n         \
                    {\n            arch = \"linux-x86_64\"\n         }\n      }\n   }\n}\n";
        assert_eq!(repository(rocks.into()), text);
    }
}
