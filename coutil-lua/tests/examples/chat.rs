//! Clients of the chat server, and one in a terminal.

use super::*;
use std::io::{Read, Write};

/// What the chat server says that it listens on.
fn chat() -> Server {
    Server::start_with("chat.lua", &["serve", "0"])
}

fn lines(stream: &TcpStream) -> impl FnMut() -> String + use<> {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    move || {
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        line
    }
}

#[test]
fn the_chat_tells_everybody() {
    let server = chat();
    let mut anna = server.connect();
    let mut heard = lines(&anna);
    anna.write_all(b"anna\nfirst").unwrap();
    assert_eq!(heard(), "* anna has come\n");
    // Somebody with redirected input.
    let port = server.address.rsplit(':').next().unwrap();
    let mut ben = command("chat.lua")
        .args(["join", "localhost", port, "ben"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    assert_eq!(heard(), "* ben has come\n");
    anna.write_all(b" line\nclear \x1b[2J\r\n").unwrap();
    assert_eq!(heard(), "anna: first line\n");
    assert_eq!(heard(), "anna: clear [2J\n");
    let mut output = BufReader::new(ben.stdout.take().unwrap()).lines().map(Result::unwrap);
    for said in ["* ben has come", "anna: first line", "anna: clear [2J"] {
        assert_eq!(output.next().unwrap(), said);
    }
    let mut input = ben.stdin.take().unwrap();
    input.write_all(b"one\ntwo").unwrap();
    assert_eq!(heard(), "ben: one\n");
    drop(input);
    assert_eq!(heard(), "ben: two\n");
    assert_eq!(heard(), "* ben has left\n");
    assert!(ben.wait().unwrap().success());
    assert_eq!(output.collect::<Vec<_>>(), ["ben: one", "ben: two"]);
    // Too long a line is the end of whoever sends it, and of nobody else.
    let mut rude = server.connect();
    rude.write_all(&[b'x'; 1 << 20]).ok();
    anna.write_all(b"still here\n").unwrap();
    assert_eq!(heard(), "anna: still here\n");
}

/// The program `script` gives it a terminal.
#[test]
fn the_chat_edits_lines_in_a_terminal_and_restores_it() {
    let script = Command::new("script").args(["-qec", "true", "/dev/null"]).output();
    if !script.is_ok_and(|output| output.status.success()) {
        println!("skipped: script(1) is not installed");
        return;
    }
    for leaves in ["by itself", "as the server goes"] {
        let mut server = chat();
        let anna = server.connect();
        let mut heard = lines(&anna);
        (&anna).write_all(b"anna\n").unwrap();
        assert_eq!(heard(), "* anna has come\n");
        let port = server.address.rsplit(':').next().unwrap();
        let program = format!(
            "stty -g; '{}' '{}/../examples/chat.lua' join 127.0.0.1 {port} ben; echo status $?; stty -g",
            env!("CARGO_BIN_EXE_coutil"),
            env!("CARGO_MANIFEST_DIR"),
        );
        let mut terminal = Command::new("script")
            .args(["-qec", &program, "/dev/null"])
            .env("SHELL", "/bin/sh")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut keys = terminal.stdin.take().unwrap();
        assert_eq!(heard(), "* ben has come\n");
        keys.write_all("wrong\x15hellx\x7fo w\x1b[A\x1b[1;5Aörldéè\x7f\r".as_bytes()).unwrap();
        assert_eq!(heard(), "ben: hello wörldé\n");
        let mut output = terminal.stdout.take().unwrap();
        let (mut screen, mut byte) = (Vec::new(), [0]);
        while !screen.ends_with("\x1b[Kben: hello wörldé".as_bytes()) {
            assert_eq!(output.read(&mut byte).unwrap(), 1, "{}", String::from_utf8_lossy(&screen));
            screen.push(byte[0]);
        }
        if leaves == "by itself" {
            keys.write_all(b"half a line\x03").unwrap();
            assert_eq!(heard(), "* ben has left\n");
        } else {
            server.child.kill().unwrap();
        }
        output.read_to_end(&mut screen).unwrap();
        terminal.wait().unwrap();
        let screen = String::from_utf8(screen).unwrap();
        let screen: Vec<&str> = screen.lines().map(str::trim_end).collect();
        assert_eq!(screen.first(), screen.last(), "the settings, {leaves}: {screen:?}");
        let status = if leaves == "by itself" { "status 0" } else { "status 1" };
        assert_eq!(screen[screen.len() - 2], status, "{screen:?}");
    }
}
