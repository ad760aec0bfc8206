//! Rocks: archives with a manifest that says what is in them.

use super::table::{Value, assignment};
use anyhow::{Context, Result};
use md5::{Digest, Md5};
use std::collections::BTreeMap;
use std::io::{Cursor, Write};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, DateTime, ZipWriter};

/// What goes into an archive: names, and contents.
pub(super) type Files = BTreeMap<String, Vec<u8>>;

/// A binary rock: the files, and their manifest. LuaRocks makes a manifest that is missing; others refuse such a rock.
pub(super) fn binary(mut files: Files) -> Result<Vec<u8>> {
    let manifest = rock_manifest(&files);
    files.insert("rock_manifest".to_owned(), manifest.into_bytes());
    zipped(&files)
}

/// Lists the files, each with its MD5 sum.
fn rock_manifest(files: &Files) -> String {
    let mut manifest = Value::empty();
    for (path, content) in files {
        let (folders, name) = path.rsplit_once('/').unwrap_or(("", path));
        let folders = folders.split('/').filter(|folder| !folder.is_empty());
        folders.fold(&mut manifest, |table, folder| table.table(folder)).set(name, Value::Text(sum(content)));
    }
    assignment("rock_manifest", &manifest)
}

fn sum(content: &[u8]) -> String {
    hex(&Md5::digest(content))
}

/// Bytes in hexadecimal.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The archive. It has the same bytes whenever the files have: all are of the first day that such an archive can name.
pub(super) fn zipped(files: &Files) -> Result<Vec<u8>> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, content) in files {
        let options = SimpleFileOptions::default()
            .compression_method(CompressionMethod::Deflated)
            .last_modified_time(DateTime::default())
            .unix_permissions(mode(name));
        zip.start_file(name, options).with_context(|| name.clone())?;
        zip.write_all(content)?;
    }
    Ok(zip.finish()?.into_inner())
}

/// The permissions of a file in an archive.
pub(super) fn mode(name: &str) -> u32 {
    if name.ends_with(".so") { 0o755 } else { 0o644 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;
    use zip::ZipArchive;

    fn files() -> Files {
        [
            ("coutil-3.0.0-1.rockspec", "a"),
            ("lib/coutil.so", "b"),
            ("lua/coutil/event.lua", "c"),
            ("lua/x.lua", ""),
        ]
        .map(|(name, content)| (name.to_owned(), content.as_bytes().to_vec()))
        .into()
    }

    #[test]
    fn a_manifest_has_the_sum_of_every_file() {
        let text = "rock_manifest = {\n   [\"coutil-3.0.0-1.rockspec\"] = \"0cc175b9c0f1b6a831c399e269772661\",\n   \
                    lib = {\n      [\"coutil.so\"] = \"92eb5ffee6ae2fec3ad71c777531578f\"\n   },\n   \
                    lua = {\n      coutil = {\n         [\"event.lua\"] = \"4a8a08f09d37b73795649038408b5f33\"\n      },\n      \
                    [\"x.lua\"] = \"d41d8cd98f00b204e9800998ecf8427e\"\n   }\n}\n";
        assert_eq!(rock_manifest(&files()), text);
    }

    #[test]
    fn a_rock_has_the_files_and_the_manifest() {
        let bytes = binary(files()).expect("it is written");
        let mut zip = ZipArchive::new(Cursor::new(bytes)).expect("it is an archive");
        let mut names: Vec<String> =
            zip.file_names().map(|name| name.expect("it is text").into_owned()).collect();
        names.sort();
        let mut expected: Vec<String> = files().into_keys().collect();
        expected.push("rock_manifest".to_owned());
        expected.sort();
        assert_eq!(names, expected);
        let mut library = zip.by_name("lib/coutil.so").expect("it is there");
        assert_eq!(library.unix_mode().map(|mode| mode & 0o777), Some(0o755));
        let mut content = String::new();
        library.read_to_string(&mut content).expect("it can be read");
        assert_eq!(content, "b");
    }

    #[test]
    fn the_same_files_make_the_same_rock() {
        assert_eq!(binary(files()).expect("it is written"), binary(files()).expect("it is written"));
    }
}
