//! The examples, with real clients, commands, terminals and trees.
#![cfg(feature = "vendored")]

mod chat;
mod dns;
mod echo;
mod handover;
mod http;
mod runner;
mod tree;
mod words;
mod workers;

use std::io::{BufRead, BufReader};
use std::net::TcpStream;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;

pub(crate) fn command(example: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_coutil"));
    command.arg(format!("{}/../examples/{example}", env!("CARGO_MANIFEST_DIR")));
    command
}

/// An example that runs. It ends with the test.
pub(crate) struct Server {
    child: Child,
    output: BufReader<ChildStdout>,
    address: String,
}

impl Server {
    pub(crate) fn start(example: &str, args: &[&str]) -> Self {
        Self::start_with(example, &[&["--port", "0"], args].concat())
    }

    pub(crate) fn start_with(example: &str, args: &[&str]) -> Self {
        let mut child =
            command(example).args(args).stdout(Stdio::piped()).spawn().expect("the example starts");
        let mut output = BufReader::new(child.stdout.take().expect("it is piped"));
        let mut line = String::new();
        output.read_line(&mut line).expect("it tells where it listens");
        let address = line.trim_end().rsplit([' ', '/']).find(|part| part.contains(':'));
        let address = address.unwrap_or_else(|| panic!("no address in {line:?}")).to_owned();
        Self { child, output, address }
    }

    pub(crate) fn connect(&self) -> TcpStream {
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

/// A directory of the test alone, which is removed with this.
pub(crate) struct Directory(pub(crate) std::path::PathBuf);

impl Directory {
    pub(crate) fn new(name: &str) -> Self {
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
