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

/// The runner, with these arguments.
fn runner(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_coutil"));
    command.arg(format!("{}/../examples/runner.lua", env!("CARGO_MANIFEST_DIR"))).args(args);
    command
}

/// What it printed, and its status.
fn ran(command: &mut Command, input: &str) -> (String, String, Option<i32>) {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the example starts");
    // It may not read it.
    let _ = child.stdin.take().expect("it is piped").write_all(input.as_bytes());
    let output = child.wait_with_output().expect("it ends");
    let text = |bytes| String::from_utf8(bytes).expect("it is text");
    (text(output.stdout), text(output.stderr), output.status.code())
}

/// A directory of the test alone, which is removed with this.
struct Directory(std::path::PathBuf);

impl Directory {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("coutil-{name}-{}", std::process::id()));
        std::fs::create_dir(&path).expect("it is new");
        Self(path)
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[test]
fn the_runner_keeps_the_output_of_each_command_together() {
    let commands: Vec<_> =
        (0..12).map(|n| format!("for i in 1 2 3 4; do echo {n}.$i; echo {n}.$i >&2; done")).collect();
    let input = format!("# a comment\n\n{}\n", commands.join("\n"));
    let (output, errors, status) = ran(&mut runner(&["-j", "4"]), &input);
    assert_eq!((errors.as_str(), status), ("", Some(0)));
    for (n, command) in commands.iter().enumerate() {
        let lines: String = (1..=4).map(|i| format!("{n}.{i}\n{n}.{i}\n")).collect();
        assert!(output.contains(&format!("$ {command}\n{lines}")), "{output}");
    }
}

#[test]
fn the_runner_starts_no_more_at_a_time_than_it_is_told() {
    let directory = Directory::new("runner-jobs");
    let path = directory.0.display();
    let command = format!("mkdir {path}/$$; ls {path} | wc -l; rmdir {path}/$$");
    let mut args = vec!["-j", "3"];
    args.extend([command.as_str(); 20]);
    let (output, _, status) = ran(&mut runner(&args), "");
    assert_eq!(status, Some(0));
    let counts: Vec<u32> = output.lines().filter_map(|line| line.trim().parse().ok()).collect();
    assert_eq!(counts.len(), 20);
    assert!(counts.iter().all(|count| (1..=3).contains(count)), "{counts:?}");
}

#[test]
fn the_runner_tells_what_failed() {
    let (output, errors, status) = ran(&mut runner(&["-j", "1", "true", "exit 3", "echo never"]), "");
    assert_eq!(output, "$ true\n$ exit 3\n* status 3\n");
    assert_eq!((errors.as_str(), status), ("1 of 3 commands were not started\n", Some(1)));
    let args = ["-j", "1", "-k", "-q", "echo good", "printf bad; kill -9 $$", "echo good"];
    let (output, errors, status) = ran(&mut runner(&args), "");
    assert_eq!(output, "$ printf bad; kill -9 $$\nbad\n* TERMINATE, signal 9\n");
    assert_eq!((errors.as_str(), status), ("", Some(1)));
    assert_eq!(ran(&mut runner(&["-x"]), "").2, Some(2));
    assert_eq!(ran(&mut runner(&["-f", "/no/such/file"]), "").2, Some(2));
}

#[test]
fn an_interrupt_stops_the_runner_and_its_commands() {
    let directory = Directory::new("runner-interrupt");
    let path = directory.0.display();
    let lasting = format!("echo $$ >{path}/$$.new; mv {path}/$$.new {path}/$$; exec sleep 1000");
    let child = runner(&["-j", "2", &lasting, &lasting, "echo never"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the example starts");
    let started = || {
        let files = std::fs::read_dir(&directory.0).expect("it is there");
        let pids = files.filter_map(|file| file.ok()?.file_name().into_string().ok()?.parse::<i32>().ok());
        pids.collect::<Vec<_>>()
    };
    while started().len() < 2 {
        thread::sleep(Duration::from_millis(5));
    }
    // SAFETY: the process is ours.
    assert_eq!(unsafe { libc::kill(child.id() as i32, libc::SIGINT) }, 0);
    let output = child.wait_with_output().expect("it ends");
    assert_eq!(output.status.code(), Some(130));
    let text = String::from_utf8_lossy(&output.stdout);
    assert_eq!(text.matches("* interrupt, signal 2\n").count(), 2, "{text}");
    assert!(!text.contains("never"), "{text}");
    for pid in started() {
        // SAFETY: nothing is sent.
        assert_eq!(unsafe { libc::kill(pid, 0) }, -1, "it is gone");
    }
}

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
