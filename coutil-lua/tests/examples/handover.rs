//! Connections that are passed to other processes.

use super::*;
use std::collections::HashSet;
use std::io::{Read, Write};

#[test]
fn connections_are_answered_by_other_processes() {
    let server = Server::start("handover.lua", &["--workers", "3"]);
    let ask = |stream: &mut TcpStream, text: &str| {
        stream.write_all(text.as_bytes()).unwrap();
        let mut answer = String::new();
        BufReader::new(stream).read_line(&mut answer).unwrap();
        let (pid, said) = answer.split_once(": ").unwrap_or_else(|| panic!("{answer:?}"));
        assert_eq!(said, text);
        pid.to_owned()
    };
    let mut streams: Vec<TcpStream> = (0..30).map(|_| server.connect()).collect();
    let pids: Vec<String> = streams.iter_mut().map(|stream| ask(stream, "hello\n")).collect();
    let workers: HashSet<&String> = pids.iter().collect();
    assert_eq!(workers.len(), 3, "{pids:?}");
    assert!(!workers.contains(&server.child.id().to_string()));
    assert_eq!(pids, streams.iter_mut().map(|stream| ask(stream, "again\n")).collect::<Vec<_>>());
    // One dies: its connections end, the others go on, and new ones are answered.
    assert!(Command::new("kill").args(["-9", &pids[0]]).status().unwrap().success());
    for (stream, pid) in streams.iter_mut().zip(&pids) {
        if *pid == pids[0] {
            assert_eq!(stream.read(&mut [0]).unwrap_or(0), 0);
        } else {
            assert_eq!(ask(stream, "still\n"), *pid);
        }
    }
    for _ in 0..10 {
        assert_ne!(ask(&mut server.connect(), "new\n"), pids[0]);
    }
}
