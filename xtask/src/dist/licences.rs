//! What the licences of other people's code in the module want: that they are with it.

use super::cargo_home;
use super::platform::Platform;
use anyhow::{Result, bail};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use xshell::{Shell, cmd};

const HEAD: &str = "\
# What else is in the module

These crates, and the standard library of Rust (MIT OR Apache-2.0). Of those with several licences, this is the text of MIT.
";

/// A text with the crates in the module, and their licences.
pub(super) fn third_party(sh: &Shell, platform: &Platform) -> Result<String> {
    let triple = &platform.triple;
    let format = "{p}|{l}|{r}";
    let crates = cmd!(
        sh,
        "cargo tree --locked --package coutil-lua --features module,lua54 --edges normal,no-proc-macro --target {triple}
         --prefix none --format {format}"
    );
    let crates = crates.quiet().read()?;
    let mut lines: Vec<&str> = crates.lines().map(|line| line.trim_end_matches(" (*)")).collect();
    lines.sort_unstable();
    lines.dedup();
    let mut list = String::new();
    let mut texts: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for line in lines {
        let parts: Vec<&str> = line.split('|').collect();
        let [name, licence, place] = parts[..] else { bail!("what does this mean: {line}") };
        // Ours have a path behind the version.
        let Some((name, version)) = name.split_once(" v").filter(|(_, version)| !version.contains(' '))
        else {
            continue;
        };
        list += &format!("- {name} {version}: {licence}, {place}\n");
        for text in texts_of(name, version)? {
            texts.entry(text).or_default().push(name.to_owned());
        }
    }
    let mut out = format!("{HEAD}\n{list}");
    for (text, names) in texts {
        out += &format!("\n## {}\n\n```\n{}\n```\n", names.join(", "), text.trim());
    }
    Ok(out)
}

/// The texts that a crate has: if it has a file for each licence, MIT's; and what it says about code of others in it.
fn texts_of(name: &str, version: &str) -> Result<Vec<String>> {
    let folder = format!("{name}-{version}");
    let registries = Path::new(&cargo_home()?).join("registry/src");
    for registry in fs::read_dir(registries)? {
        let folder = registry?.path().join(&folder);
        if !folder.is_dir() {
            continue;
        }
        let mut files = BTreeMap::new();
        for entry in fs::read_dir(folder)? {
            let path = entry?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy().to_uppercase();
            if path.is_file() && ["LICENSE", "LICENCE"].iter().any(|start| name.starts_with(start)) {
                files.insert(name, path);
            }
        }
        if files.keys().any(|name| name.contains("MIT")) {
            files.retain(|name, _| name.contains("MIT") || name.contains("THIRD-PARTY"));
        }
        return files.values().map(|file| Ok(fs::read_to_string(file)?)).collect();
    }
    bail!("the sources of {folder} are not there")
}
