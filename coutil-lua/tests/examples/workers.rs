//! `workers.lua`: what it finds, on one thread and on several.

use crate::command;

/// [20 7.7.1] [20 7.7.6]
#[test]
fn workers_find_all_primes() {
    for threads in ["1", "3"] {
        let output = command("workers.lua").args(["10000", threads]).output().expect("the example starts");
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        assert_eq!(text.lines().last(), Some("1229 primes up to 10000"));
        assert_eq!(text.matches("worker ").count().to_string(), threads);
    }
}
