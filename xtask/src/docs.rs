//! `cargo xtask docs`: the documentation as a site.

use crate::links;
use anyhow::{Context, Result, bail};
use std::fs;
use std::path::{Path, PathBuf};
use xshell::{Shell, cmd};

/// Builds the site in `target/book`, and checks the links, in the pages and in what they became.
pub(crate) fn docs(sh: &Shell) -> Result<()> {
    let root = sh.current_dir();
    let problems = links::problems(&root)?;
    if !problems.is_empty() {
        bail!("broken links:\n{}", problems.join("\n"));
    }
    if cmd!(sh, "mdbook --version").quiet().ignore_stdout().ignore_stderr().run().is_err() {
        bail!("mdbook is not installed: `cargo install mdbook --locked`");
    }
    let (source, book) = (root.join("target/book-source"), root.join("target/book"));
    stage(sh, &root, &source)?;
    cmd!(sh, "mdbook build {source} --dest-dir {book}").quiet().run()?;
    let problems = broken(&book)?;
    if !problems.is_empty() {
        bail!("broken links in the site:\n{}", problems.join("\n"));
    }
    println!("{}", book.join("index.html").display());
    Ok(())
}

/// Copies what the site is made of. Links to files that are not part of it lead to the repository.
fn stage(sh: &Shell, root: &Path, source: &Path) -> Result<()> {
    sh.remove_path(source)?;
    sh.create_dir(source)?;
    sh.copy_file(root.join("book.toml"), source)?;
    let book = fs::read_to_string(root.join("book.toml"))?;
    let repository = book
        .lines()
        .find_map(|line| line.strip_prefix("git-repository-url = \"")?.strip_suffix('"'))
        .context("book.toml says where the repository is")?;
    let docs = root.join("docs");
    let mut folders = vec![docs.clone()];
    while let Some(folder) = folders.pop() {
        for path in sh.read_dir(&folder)? {
            let copy = source.join("docs").join(path.strip_prefix(&docs)?);
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            sh.create_dir(copy.parent().context("it is in a folder")?)?;
            let name = path.file_name().unwrap_or_default();
            if name != "SUMMARY.md" && path.extension().is_some_and(|extension| extension == "md") {
                let text = fs::read_to_string(&path)?;
                fs::write(&copy, outward(&text, &folder, root, &docs, repository))?;
            } else {
                sh.copy_file(&path, &copy)?;
            }
        }
    }
    Ok(())
}

/// The text of a page of `folder`, in which links that leave the documentation lead to the repository.
fn outward(text: &str, folder: &Path, root: &Path, docs: &Path, repository: &str) -> String {
    let mut out = String::new();
    let mut code = false;
    for line in text.lines() {
        code ^= line.trim_start().starts_with("```");
        let mut line = line.to_owned();
        if !code {
            for range in links::targets(&line).into_iter().rev() {
                let target = &line[range.clone()];
                let path = links::plain(&folder.join(target));
                if links::is_foreign(target) || target.starts_with('#') {
                    continue;
                }
                let target = if path.starts_with(docs) {
                    // What it makes of these pages is the index of the folder.
                    target.replace("README.md", "index.md")
                } else {
                    let path = path.strip_prefix(root).unwrap_or(&path).display();
                    format!("{repository}/blob/main/{path}")
                };
                line.replace_range(range, &target);
            }
        }
        out += &line;
        out.push('\n');
    }
    out
}

/// What is wrong with the links in the pages of the site.
fn broken(book: &Path) -> Result<Vec<String>> {
    let mut problems = Vec::new();
    let mut folders = vec![book.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder)? {
            let path = entry?.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "html") {
                page(book, &path, &mut problems)?;
            }
        }
    }
    problems.sort();
    Ok(problems)
}

/// Looks at the links of one page.
fn page(book: &Path, page: &Path, problems: &mut Vec<String>) -> Result<()> {
    // What `print.html` has is elsewhere, too; the page of errors counts from the root of a server.
    if page.file_name().is_some_and(|name| name == "print.html" || name == "404.html" || name == "toc.html") {
        return Ok(());
    }
    let text = fs::read_to_string(page)?;
    for attribute in ["href=\"", "src=\""] {
        for rest in text.split(attribute).skip(1) {
            let target = rest.split('"').next().unwrap_or_default();
            if links::is_foreign(target) || target.starts_with("data:") || target.is_empty() {
                continue;
            }
            let (file, anchor) = target.split_once('#').unwrap_or((target, ""));
            let folder = page.parent().context("a file is in a folder")?;
            let file: PathBuf =
                if file.is_empty() { page.to_owned() } else { links::plain(&folder.join(file)) };
            let found = match fs::read(&file) {
                Ok(_) if anchor.is_empty() => true,
                Ok(bytes) => String::from_utf8_lossy(&bytes).contains(&format!("id=\"{anchor}\"")),
                Err(_) => false,
            };
            if !found {
                problems.push(format!("{}: {target}", page.strip_prefix(book).unwrap_or(page).display()));
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What leaves the documentation leads to the repository, and nothing else is changed.
    #[test]
    fn pages_are_staged() {
        let sh = Shell::new().expect("a shell is made");
        let root = crate::root();
        let folder = sh.create_temp_dir().expect("it is made");
        stage(&sh, &root, folder.path()).expect("the pages are there");
        let read = |folder: &Path, name: &str| fs::read_to_string(folder.join(name)).expect("it can be read");
        for name in ["book.toml", "docs/SUMMARY.md", "docs/benchmarks/ratios-5.4.svg"] {
            assert_eq!(read(folder.path(), name), read(&root, name), "{name}");
        }
        let page = "docs/install.md";
        assert_eq!(read(folder.path(), page).lines().count(), read(&root, page).lines().count());
    }

    #[test]
    fn links_that_leave_lead_to_the_repository() {
        let text =
            "[a](manual/README.md#x) [b](../examples/echo.lua) [c](#d) [e](http://f)\n```\n[g](../h)\n```\n";
        let out = outward(text, Path::new("/r/docs"), Path::new("/r"), Path::new("/r/docs"), "http://o");
        let expected = "[a](manual/index.md#x) [b](http://o/blob/main/examples/echo.lua) [c](#d) [e](http://f)\n```\n[g](../h)\n```\n";
        assert_eq!(out, expected);
    }
}
