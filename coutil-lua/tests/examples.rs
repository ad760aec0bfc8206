//! The examples that serve, with real clients; and the one that walks a tree, a real one.
#![cfg(feature = "vendored")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::thread;
use std::time::Duration;

/// An example that runs. It ends with the test.
struct Server {
    child: Child,
    output: BufReader<ChildStdout>,
    address: String,
}

impl Server {
    fn start(example: &str, args: &[&str]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_coutil"))
            .arg(format!("{}/../examples/{example}", env!("CARGO_MANIFEST_DIR")))
            .args(["--port", "0"])
            .args(args)
            .stdout(Stdio::piped())
            .spawn()
            .expect("the example starts");
        let mut output = BufReader::new(child.stdout.take().expect("it is piped"));
        let mut line = String::new();
        output.read_line(&mut line).expect("it tells where it listens");
        let address = line.trim_end().rsplit([' ', '/']).find(|part| part.contains(':'));
        let address = address.unwrap_or_else(|| panic!("no address in {line:?}")).to_owned();
        Self { child, output, address }
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(&self.address).expect("it accepts");
        // So that a server that hangs fails the test.
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        stream
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

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

/// Reads one answer: its status line, its fields in lower case, and as many bytes as it says.
fn answer(reader: &mut impl BufRead, bare: bool) -> (String, Vec<String>, String) {
    let mut line = String::new();
    reader.read_line(&mut line).unwrap();
    let status = line.trim_end().to_owned();
    let (mut fields, mut length) = (Vec::new(), 0);
    loop {
        let mut line = String::new();
        assert!(reader.read_line(&mut line).unwrap() > 0, "the answer ends early");
        let line = line.trim_end().to_lowercase();
        if line.is_empty() {
            break;
        }
        if let Some(value) = line.strip_prefix("content-length: ") {
            length = value.parse().unwrap();
        }
        fields.push(line);
    }
    let mut body = vec![0; if bare { 0 } else { length }];
    reader.read_exact(&mut body).unwrap();
    (status, fields, String::from_utf8(body).unwrap())
}

#[test]
fn the_web_server_keeps_connections_and_answers_in_order() {
    let server = Server::start("http.lua", &[]);
    let mut stream = server.connect();
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    // Four requests at once, in two pieces that cut one of them.
    let requests = "GET / HTTP/1.1\r\nHost: x\r\n\r\n\
                    POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 11\r\n\r\nhello there\
                    HEAD /time HTTP/1.1\r\nHost: x\r\n\r\n\
                    GET /nowhere HTTP/1.1\r\nHost: x\r\n\r\n";
    stream.write_all(&requests.as_bytes()[..70]).unwrap();
    let (status, _, body) = answer(&mut reader, false);
    assert_eq!(status, "HTTP/1.1 200 OK");
    assert!(body.contains("Coutil"), "{body}");
    stream.write_all(&requests.as_bytes()[70..]).unwrap();
    let (status, _, body) = answer(&mut reader, false);
    assert_eq!((status.as_str(), body.as_str()), ("HTTP/1.1 200 OK", "hello there"));
    assert_eq!(answer(&mut reader, true).0, "HTTP/1.1 200 OK");
    assert_eq!(answer(&mut reader, false).0, "HTTP/1.1 404 Not Found");
    // It can be ended from here.
    stream.write_all(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
    let (_, fields, _) = answer(&mut reader, false);
    assert!(fields.iter().any(|field| field == "connection: close"), "{fields:?}");
    assert_eq!(reader.read(&mut [0; 1]).unwrap(), 0);
}

#[test]
fn the_web_server_survives_bad_requests() {
    let server = Server::start("http.lua", &[]);
    for request in [
        "nonsense\r\n\r\n".to_owned(),
        "GET / HTTP/1.1\r\n\r\n".to_owned(),
        "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n".to_owned(),
        format!("GET /{} HTTP/1.1\r\nHost: x\r\n\r\n", "x".repeat(1 << 20)),
    ] {
        let mut stream = server.connect();
        // It may have answered, and gone, before it has read all of it.
        let _ = stream.write_all(request.as_bytes());
        let mut line = String::new();
        if BufReader::new(stream).read_line(&mut line).is_ok() && !line.is_empty() {
            assert!(line.starts_with("HTTP/1.1 4"), "{line}");
        }
    }
    // A client that goes in the middle of its request harms nobody.
    server.connect().write_all(b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nhalf").unwrap();
    let mut stream = server.connect();
    stream.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    assert_eq!(answer(&mut BufReader::new(stream), false).0, "HTTP/1.1 200 OK");
}

/// A directory that is removed with all that is in it.
struct Folder(std::path::PathBuf);

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[test]
fn a_tree_is_summed_up() {
    use std::os::unix::fs::{MetadataExt, symlink};

    let folder = Folder(std::env::temp_dir().join(format!("coutil-tree-{}", std::process::id())));
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
        let output = Command::new(env!("CARGO_BIN_EXE_coutil"))
            .arg(format!("{}/../examples/tree.lua", env!("CARGO_MANIFEST_DIR")))
            .args(["--walkers", walkers])
            .arg(&root)
            .output()
            .expect("the example runs");
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
