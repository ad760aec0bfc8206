//! A real directory tree.

use super::*;

#[test]
fn a_tree_is_summed_up() {
    use std::os::unix::fs::{MetadataExt, symlink};

    let folder = Directory::new("tree");
    let root = folder.0.join("the tree");
    let mut expected = [("file", 0), ("directory", 1), ("link", 0), ("other", 0), ("bytes", 0), ("lines", 0)];
    let mut add = |name: &str, count: usize| {
        expected.iter_mut().find(|(other, _)| *other == name).unwrap().1 += count;
    };
    std::fs::create_dir_all(&root).unwrap();
    for number in 0..60usize {
        // Deep, with names of all kinds.
        let directory = root.join(format!("{number} \n\u{fc}")).join("a/b");
        std::fs::create_dir_all(&directory).unwrap();
        add("directory", 3);
        for file in 0..number % 7 {
            let text = "a line\n".repeat(number * file * 100);
            std::fs::write(directory.join(format!(".{file}")), &text).unwrap();
            add("file", 1);
            add("bytes", text.len());
            add("lines", number * file * 100);
        }
        symlink(if number % 2 == 0 { ".." } else { "nowhere" }, directory.join("link")).unwrap();
        add("link", 1);
    }
    let _socket = std::os::unix::net::UnixListener::bind(root.join("socket")).unwrap();
    add("other", 1);

    fn blocks(path: &std::path::Path) -> usize {
        let meta = std::fs::symlink_metadata(path).unwrap();
        let inside = match meta.is_dir() {
            true => std::fs::read_dir(path).unwrap().map(|entry| blocks(&entry.unwrap().path())).sum(),
            false => 0,
        };
        meta.blocks() as usize + inside
    }
    let blocks = blocks(&root);
    for walkers in ["1", "5", "40"] {
        let output =
            command("tree.lua").args(["--walkers", walkers]).arg(&root).output().expect("the example runs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let text = String::from_utf8(output.stdout).unwrap();
        let number = |name: &str| {
            let line = text.lines().find(|line| line.starts_with(name)).expect("it is told");
            line.rsplit(' ').next().unwrap().parse::<usize>().unwrap()
        };
        for (name, count) in expected {
            assert_eq!(number(name), count, "{name} with {walkers} walkers");
        }
        assert_eq!((number("blocks"), number("unreadable")), (blocks, 0));
    }
}
