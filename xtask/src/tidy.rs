//! What has to be true of the sources: where unsafe code is, and the licences of what is linked.

use anyhow::{Context, Result, ensure};
use std::path::{Path, PathBuf};
use xshell::{Shell, cmd};

/// Unsafe code is in these folders, and nowhere else.
const UNSAFE: &[(&str, &str)] = &[
    ("coutil-lua/src", "Lua's C API"),
    ("coutil-lua/tests", "the same; an allocator that counts; fork"),
    ("coutil-system/src/sys", "calls of the system that no crate has in a safe form"),
    ("coutil-system/tests", "fork"),
    ("bench/plain/src", "Lua's C API, as plainly as a benchmark has it"),
];

/// These libraries forbid it.
const SAFE: &[&str] = &["coutil-channel", "coutil-event", "coutil-mutex", "coutil-promise", "coutil-threads"];

/// One of these has to be offered for everything that is linked.
const LICENCES: &[&str] =
    &["MIT", "Apache-2.0", "0BSD", "BSD-2-Clause", "BSD-3-Clause", "ISC", "Zlib", "Unlicense"];

/// Says how much unsafe code there is, and which licences; fails if one is where it must not be.
pub(crate) fn tidy(sh: &Shell) -> Result<()> {
    for (folder, count, reason) in unsafe_code(&sh.current_dir())? {
        println!("{count:5} unsafe blocks, functions and implementations in {folder}: {reason}");
    }
    for (licence, count) in licences(sh)? {
        println!("{count:5} packages: {licence}");
    }
    Ok(())
}

/// How often each of the folders has unsafe code.
fn unsafe_code(root: &Path) -> Result<Vec<(&'static str, usize, &'static str)>> {
    for name in SAFE {
        let library = root.join(name).join("src/lib.rs");
        let text = std::fs::read_to_string(&library).with_context(|| library.display().to_string())?;
        ensure!(text.contains("#![forbid(unsafe_code)]"), "{name} does not forbid unsafe code");
    }
    let mut counts: Vec<_> = UNSAFE.iter().map(|(folder, reason)| (*folder, 0, *reason)).collect();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).with_context(|| folder.display().to_string())? {
            let path = entry?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if path.is_dir() {
                if name != "target" && name != "dist" && !name.starts_with('.') {
                    folders.push(path);
                }
            } else if name.ends_with(".rs") {
                let count = unsafe_in(&std::fs::read_to_string(&path)?);
                if count > 0 {
                    let inside: PathBuf = path.strip_prefix(root)?.to_owned();
                    let place = counts.iter_mut().find(|(folder, ..)| inside.starts_with(folder));
                    place.with_context(|| format!("unsafe code in {}", inside.display()))?.1 += count;
                }
            }
        }
    }
    Ok(counts)
}

/// Counts the lines with unsafe code of a Rust file, comments and texts in one line left out.
fn unsafe_in(text: &str) -> usize {
    let forms = [" {", " fn", " impl", " extern"].map(|end| format!("{}{end}", concat!("un", "safe")));
    text.lines()
        .map(|line| line.split("//").next().unwrap_or_default())
        .filter(|line| !line.contains('"') || line.contains("extern"))
        .filter(|line| forms.iter().any(|form| line.contains(form)))
        .count()
}

/// The licences of all that is linked, and how many packages have each.
fn licences(sh: &Shell) -> Result<Vec<(String, usize)>> {
    let format = "{p}\t{l}";
    let tree = cmd!(
        sh,
        "cargo tree --quiet --locked --workspace --edges normal --prefix none --no-dedupe --format {format}"
    )
    .quiet()
    .read()?;
    let mut packages: Vec<&str> = tree.lines().filter(|line| !line.is_empty()).collect();
    packages.sort_unstable();
    packages.dedup();
    let mut counts: Vec<(String, usize)> = Vec::new();
    for line in packages {
        let (package, licence) = line.split_once('\t').unwrap_or((line, ""));
        ensure!(
            LICENCES.iter().any(|known| licence.contains(known)),
            "{package} has the licence `{licence}`"
        );
        match counts.iter_mut().find(|(known, _)| known == licence) {
            Some((_, count)) => *count += 1,
            None => counts.push((licence.to_owned(), 1)),
        }
    }
    counts.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    Ok(counts)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn root() -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR"))
            .parent()
            .expect("xtask is a folder of the repository")
            .to_owned()
    }

    #[test]
    fn unsafe_code_is_where_it_may_be() -> Result<()> {
        let counts = unsafe_code(&root())?;
        assert!(counts.iter().all(|(_, count, _)| *count > 0), "a folder needs none any more: {counts:?}");
        Ok(())
    }

    #[test]
    fn licences_are_known() -> Result<()> {
        let sh = Shell::new()?;
        sh.change_dir(root());
        assert!(licences(&sh)?.len() > 1);
        Ok(())
    }

    #[test]
    fn it_is_counted() {
        let word = concat!("un", "safe");
        assert_eq!(
            unsafe_in(&format!(
                "{word} {{ x }}\n// {word} {{\n{word} fn f() {{}}\npub {word} extern \"C\" fn g()\n"
            )),
            3
        );
        assert_eq!(unsafe_in(&format!("let x = \"{word} {{\";\n")), 0);
    }
}
