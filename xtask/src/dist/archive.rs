//! Plain archives: of the sources, and of modules.

use super::platform::Platform;
use super::rock::{Files, mode};
use crate::lua::Version;
use anyhow::{Context, Result, bail};
use flate2::{Compression, GzBuilder};
use std::collections::BTreeSet;
use std::fs;
use tar::{Builder, EntryType, Header};
use xshell::{Shell, cmd};

/// The archive of the sources, and the folder in it.
pub(super) fn source_name(version: &str) -> String {
    format!("coutil-{version}")
}

/// The archive of a module, and the folder in it.
pub(super) fn module_name(version: &str, lua: Version, platform: &Platform) -> String {
    let lua = if lua == Version::Jit { "luajit".to_owned() } else { format!("lua{}", lua.name()) };
    format!("coutil-{version}-{lua}-{}", platform.triple)
}

/// The files of the repository that git knows, as they are now; and which of them can be run.
pub(super) fn sources(sh: &Shell) -> Result<(Files, BTreeSet<String>)> {
    let list = cmd!(sh, "git ls-files --stage -z").quiet().read();
    let list = list.context("the sources are what git lists: use a checkout")?;
    let (mut files, mut executable) = (Files::new(), BTreeSet::new());
    for line in list.split('\0').filter(|line| !line.is_empty()) {
        let (mode, name) = line.split_once('\t').with_context(|| format!("what does this mean: {line}"))?;
        let content =
            fs::read(sh.current_dir().join(name)).with_context(|| format!("while {name} was read"))?;
        files.insert(name.to_owned(), content);
        if mode.starts_with("100755") {
            executable.insert(name.to_owned());
        }
    }
    if files.is_empty() {
        bail!("git lists no sources: use a checkout");
    }
    Ok((files, executable))
}

/// An archive of those files in one folder. `executable` says which of them can be run.
pub(super) fn tar_gz(folder: &str, files: &Files, executable: impl Fn(&str) -> bool) -> Result<Vec<u8>> {
    // No name and no time: the same files make the same bytes.
    let mut tar = Builder::new(GzBuilder::new().write(Vec::new(), Compression::best()));
    for (name, content) in files {
        let mut header = Header::new_ustar();
        header.set_entry_type(EntryType::Regular);
        header.set_size(content.len() as u64);
        header.set_mode(if executable(name) { 0o755 } else { mode(name) });
        // Of 1980 rather than of 1970: some programs take 0 for no time.
        header.set_mtime(315_532_800);
        tar.append_data(&mut header, format!("{folder}/{name}"), content.as_slice())?;
    }
    Ok(tar.into_inner()?.finish()?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::read::GzDecoder;
    use tar::Archive;

    #[test]
    fn an_archive_has_one_folder() {
        let files: Files =
            [("coutil.so".to_owned(), vec![1]), ("coutil/event.lua".to_owned(), vec![2])].into();
        let bytes = tar_gz("coutil-3.0.0", &files, |_| false).expect("it is written");
        let mut archive = Archive::new(GzDecoder::new(bytes.as_slice()));
        let entries = archive.entries().expect("it is an archive").map(|entry| {
            let entry = entry.expect("it can be read");
            let path = entry.path().expect("it has a name").display().to_string();
            (path, entry.header().mode().expect("it has one"))
        });
        let expected = [("coutil-3.0.0/coutil.so", 0o755), ("coutil-3.0.0/coutil/event.lua", 0o644)];
        assert_eq!(entries.collect::<Vec<_>>(), expected.map(|(name, mode)| (name.to_owned(), mode)));
    }
}
