//! Connections that are passed to other processes.

use super::*;
use std::collections::HashSet;
use std::io::{Read, Write};

#[test]
fn connections_are_answered_by_other_processes() {
    let server = Server::start("handover.lua", &["--workers", "3"]);
    // `None` if the connection has ended.
    let try_to_ask = |stream: &mut TcpStream, text: &str| {
        stream.write_all(text.as_bytes()).ok()?;
        let mut answer = String::new();
        BufReader::new(stream).read_line(&mut answer).ok()?;
        let (pid, said) = answer.split_once(": ")?;
        assert_eq!(said, text);
        Some(pid.to_owned())
    };
    let ask = |stream: &mut TcpStream, text: &str| try_to_ask(stream, text).expect("an answer");
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
    // One may still be handed to the one that is about to be gone, and ends with it.
    let mut answered = 0;
    for _ in 0..100 {
        if let Some(pid) = try_to_ask(&mut server.connect(), "new\n") {
            assert_ne!(pid, pids[0]);
            answered += 1;
        }
    }
    assert!(answered > 50, "{answered}");
}
