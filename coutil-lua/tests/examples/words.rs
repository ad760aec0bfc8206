//! `words.lua`: what it counts, on one thread and on several.

use crate::command;
use std::fs;

/// [20 7.7.1] [20 7.7.6]
#[test]
fn words_of_all_files_are_counted() {
    let folder = std::env::temp_dir().join(format!("coutil-words-{}", std::process::id()));
    fs::create_dir_all(folder.join("more")).expect("a folder");
    for i in 0..20 {
        let place = if i % 2 == 0 { folder.clone() } else { folder.join("more") };
        fs::write(place.join(format!("{i}.txt")), "One two, two: three three three.\n4 ".repeat(100 + i))
            .expect("a file");
    }
    for threads in ["1", "3"] {
        let output = command("words.lua").arg(threads).arg(&folder).output().expect("the example starts");
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        // 20 * 100 and 0 + 1 + … + 19 repetitions.
        let lines: Vec<&str> = text.lines().map(str::trim).collect();
        assert_eq!(
            lines,
            ["6570 three", "4380 two", "2190 one", "13140 words, 3 different ones, in 20 files"]
        );
    }
    fs::remove_dir_all(folder).expect("it is there");
}
