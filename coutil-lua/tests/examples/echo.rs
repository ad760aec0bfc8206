//! Lines come back, those of each client to it.

use super::*;
use std::io::{Read, Write};
use std::net::Shutdown;
use std::thread;

#[test]
fn a_hundred_clients_at_once_get_their_lines_back() {
    let mut server = Server::start("echo.lua", &["--clients", "100"]);
    thread::scope(|scope| {
        for client in 0..100 {
            let mut stream = server.connect();
            scope.spawn(move || {
                let mut reader = BufReader::new(stream.try_clone().unwrap());
                for round in 0..20 {
                    let line = format!("client {client}, line {round}: {}\n", "x".repeat(client * round));
                    // In pieces that have nothing to do with lines.
                    for piece in line.as_bytes().chunks(1 + client) {
                        stream.write_all(piece).unwrap();
                    }
                    let mut answer = String::new();
                    reader.read_line(&mut answer).unwrap();
                    assert_eq!(answer, line);
                }
                stream.write_all(b"no end").unwrap();
                stream.shutdown(Shutdown::Write).unwrap();
                let mut rest = String::new();
                reader.read_to_string(&mut rest).unwrap();
                assert_eq!(rest, "no end");
            });
        }
    });
    let mut report = String::new();
    server.output.read_to_string(&mut report).unwrap();
    assert!(server.child.wait().unwrap().success());
    assert_eq!(report.matches("\n+ ").count() + usize::from(report.starts_with("+ ")), 100, "{report}");
    assert!(report.lines().last().unwrap().contains("100 clients"), "{report}");
    assert!(report.lines().last().unwrap().contains("2000 lines"), "{report}");
}
