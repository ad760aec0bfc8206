//! Links between the pages of the repository.

use anyhow::{Context, Result};
use std::collections::HashMap;
use std::fs;
use std::path::{Component, Path, PathBuf};

/// The Markdown files below a folder, but for what is built.
pub(crate) fn pages(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut pages = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).with_context(|| folder.display().to_string())? {
            let entry = entry?;
            let (name, path) = (entry.file_name(), entry.path());
            if entry.file_type()?.is_dir() {
                if name != "target" && name != "dist" && !name.to_string_lossy().starts_with('.') {
                    folders.push(path);
                }
            } else if path.extension().is_some_and(|extension| extension == "md") {
                pages.push(path);
            }
        }
    }
    pages.sort();
    Ok(pages)
}

/// The lines of a page that are no code.
fn prose(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut code = false;
    text.lines().enumerate().filter(move |(_, line)| {
        if line.trim_start().starts_with("```") {
            code = !code;
            return false;
        }
        !code
    })
}

/// Where the links of a line lead: the ranges of the text between `](` and `)`, outside of inline code.
pub(crate) fn targets(line: &str) -> Vec<std::ops::Range<usize>> {
    let mut targets = Vec::new();
    let mut code = false;
    let mut at = 0;
    while at < line.len() {
        let rest = &line[at..];
        if rest.starts_with('`') {
            code = !code;
        } else if !code && rest.starts_with("](") {
            let start = at + 2;
            if let Some(length) = line[start..].find(')') {
                targets.push(start..start + length);
                at = start + length;
                continue;
            }
        }
        at += rest.chars().next().map_or(1, char::len_utf8);
    }
    targets
}

/// The anchors of a page: its headings, as hosts and mdBook name them.
fn anchors(text: &str) -> Vec<String> {
    let mut anchors: Vec<String> = Vec::new();
    for (_, line) in prose(text) {
        let title = line.trim_start_matches('#');
        if title.len() == line.len() || !title.starts_with(' ') {
            continue;
        }
        // Of a link in a heading only the text counts.
        let mut plain = title.trim().to_owned();
        for range in targets(title.trim()).into_iter().rev() {
            plain.replace_range(range.start - 1..range.end + 1, "");
        }
        let anchor: String = plain
            .chars()
            .filter_map(|c| match c {
                ' ' => Some('-'),
                c if c.is_alphanumeric() || c == '-' || c == '_' => Some(c.to_ascii_lowercase()),
                _ => None,
            })
            .collect();
        let same = anchors.iter().filter(|other| **other == anchor).count();
        anchors.push(if same > 0 { format!("{anchor}-{same}") } else { anchor });
    }
    anchors
}

/// Whether a link leaves the repository.
pub(crate) fn is_foreign(target: &str) -> bool {
    target.contains("://") || target.starts_with("mailto:")
}

/// A path without `..` in it.
pub(crate) fn plain(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir => {
                plain.pop();
            }
            Component::CurDir => {}
            part => plain.push(part),
        }
    }
    plain
}

/// What is wrong with the links of the pages of a folder: files and headings that are not there.
pub(crate) fn problems(root: &Path) -> Result<Vec<String>> {
    let mut problems = Vec::new();
    let mut texts = HashMap::new();
    for page in pages(root)? {
        texts.insert(page.clone(), fs::read_to_string(&page)?);
    }
    for (page, text) in &texts {
        for (number, line) in prose(text) {
            for target in targets(line).into_iter().map(|range| &line[range]) {
                if is_foreign(target) {
                    continue;
                }
                let mut tell = |what: &str| {
                    let page = page.strip_prefix(root).unwrap_or(page);
                    problems.push(format!("{}:{}: {target}: {what}", page.display(), number + 1));
                };
                let (file, anchor) =
                    target.split_once('#').map_or((target, None), |(file, anchor)| (file, Some(anchor)));
                let folder = page.parent().context("a file is in a folder")?;
                let file = if file.is_empty() { page.clone() } else { plain(&folder.join(file)) };
                if !file.exists() {
                    tell("there is no such file");
                } else if let Some(anchor) = anchor {
                    match texts.get(&file) {
                        Some(text) if anchors(text).iter().any(|other| other == anchor) => {}
                        Some(_) => tell("there is no such heading"),
                        None => tell("it is no page"),
                    }
                }
            }
        }
    }
    problems.sort();
    Ok(problems)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_are_found() {
        let found =
            |line: &str| targets(line).into_iter().map(|range| line[range].to_owned()).collect::<Vec<_>>();
        assert_eq!(found("a [b](c.md#d), `[x](y)` and [`e`](f)"), ["c.md#d", "f"]);
        assert!(found("é ](").is_empty());
    }

    #[test]
    fn anchors_are_those_of_hosts() {
        let text = "# One `two` (three)\n## system.run\n```\n# not this\n```\n## a [link](b.md) here\n## system.run\n#no\n";
        assert_eq!(anchors(text), ["one-two-three", "systemrun", "a-link-here", "systemrun-1"]);
    }

    #[test]
    fn broken_links_are_told() {
        let folder = std::env::temp_dir().join(format!("coutil-links-{}", std::process::id()));
        fs::create_dir_all(folder.join("sub")).expect("it can be made");
        fs::write(folder.join("a.md"), "# Top\n[1](sub/b.md#there) [2](sub/b.md#gone) [3](c.md) [4](#top)\n")
            .expect("written");
        fs::write(folder.join("sub/b.md"), "## There\n[up](../a.md) [out](https://example.org/x.md)\n")
            .expect("written");
        let problems = problems(&folder).expect("it can be read");
        fs::remove_dir_all(&folder).expect("it can be removed");
        assert_eq!(
            problems,
            ["a.md:2: c.md: there is no such file", "a.md:2: sub/b.md#gone: there is no such heading"]
        );
    }

    /// Every relative link in the repository leads to something.
    #[test]
    fn no_link_is_broken() {
        let problems = problems(&crate::root()).expect("the repository can be read");
        assert!(problems.is_empty(), "{}", problems.join("\n"));
    }

    /// Every page of the documentation is in its table of contents.
    #[test]
    fn no_page_is_lost() {
        let docs = crate::root().join("docs");
        let summary = fs::read_to_string(docs.join("SUMMARY.md")).expect("it is there");
        let listed: Vec<&str> =
            summary.lines().flat_map(|line| targets(line).into_iter().map(|range| &line[range])).collect();
        for page in pages(&docs).expect("it can be read") {
            let name = page.strip_prefix(&docs).expect("it is in there").to_string_lossy().into_owned();
            assert!(
                name == "SUMMARY.md" || listed.contains(&name.as_str()),
                "{name} is not in docs/SUMMARY.md"
            );
        }
    }
}
