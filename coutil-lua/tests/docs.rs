//! The examples of the documentation are programs that run, and print what their comments say.
//!
//! Every block of Lua in the README, the manual, the guide and the READMEs of the crates is run in a process of its own, in a
//! folder that is empty. What it prints must be what its comments `--> text` say, in this order (spaces and tabs count as one
//! space); it must end without error, and write nothing to standard error. Words behind `lua` in the first line of a block:
//!
//! - `5.4`: for Lua 5.4 and later;
//! - `not-5.1`: waits where 5.1 cannot;
//! - `echo PORT`: serves for ever; there, it echoes what it is sent;
//! - `fragment`: no program, it is only compiled;
//! - `luv`: for the library luv, run where a `lua5.4` that has it is installed.
#![cfg(feature = "vendored")]

use std::fs;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

/// An example that takes longer hangs.
const LIMIT: Duration = Duration::from_secs(60);

/// A block of Lua, and where it is.
struct Block {
    file: PathBuf,
    line: usize,
    words: Vec<String>,
    code: String,
}

impl Block {
    fn place(&self) -> String {
        format!("{}:{}", self.file.display(), self.line)
    }

    /// What its comments say that it prints.
    fn expected(&self) -> String {
        let lines =
            self.code.lines().filter_map(|line| line.split_once("-->")).map(|(_, text)| squeeze(text));
        lines.collect::<Vec<_>>().join("\n")
    }
}

/// With single spaces, and none around.
fn squeeze(line: &str) -> String {
    line.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("it is in the workspace").to_owned()
}

/// The pages that have examples.
fn pages() -> Vec<PathBuf> {
    let root = root();
    let mut pages = vec![root.join("README.md"), root.join("docs/README.md"), root.join("types/README.md")];
    for folder in ["docs/manual", "docs/guide"] {
        for entry in fs::read_dir(root.join(folder)).expect("the folder is there") {
            pages.push(entry.expect("it can be listed").path());
        }
    }
    for entry in fs::read_dir(&root).expect("the root can be listed") {
        pages.push(entry.expect("it can be listed").path().join("README.md"));
    }
    pages.retain(|page| page.extension().is_some_and(|extension| extension == "md") && page.exists());
    pages.sort();
    pages.dedup();
    pages
}

/// The blocks of Lua of a page.
fn blocks(file: &Path) -> Vec<Block> {
    let text = fs::read_to_string(file).expect("the page is text");
    let mut blocks = Vec::new();
    let mut current: Option<Block> = None;
    let mut foreign = false;
    for (number, line) in text.lines().enumerate() {
        let fence = line.trim_start().strip_prefix("```");
        match (fence, &mut current) {
            (Some(_), Some(_)) => blocks.extend(current.take()),
            (Some(_), None) if foreign => foreign = false,
            (Some(info), None) => {
                let mut words = info.split_whitespace().map(str::to_owned);
                if words.next().as_deref() == Some("lua") {
                    let file = file.strip_prefix(root()).expect("it is in the workspace").to_owned();
                    current =
                        Some(Block { file, line: number + 1, words: words.collect(), code: String::new() });
                } else {
                    foreign = true;
                }
            }
            (None, Some(block)) => {
                block.code += line;
                block.code += "\n";
            }
            (None, None) => {}
        }
    }
    assert!(current.is_none() && !foreign, "{}: a block has no end", file.display());
    blocks
}

/// Ends a process that takes too long.
fn within(limit: Duration, mut child: Child) -> Output {
    let (done, is_done) = mpsc::channel::<()>();
    let (mut stdout, mut stderr) = (child.stdout.take(), child.stderr.take());
    let child = Mutex::new(child);
    thread::scope(|scope| {
        let watched = &child;
        scope.spawn(move || {
            if is_done.recv_timeout(limit) == Err(RecvTimeoutError::Timeout) {
                watched.lock().expect("nobody panics").kill().expect("it can be killed");
            }
        });
        let errors = scope.spawn(move || read(&mut stderr));
        let stdout = read(&mut stdout);
        let stderr = errors.join().expect("it does not panic");
        drop(done);
        let status = child.lock().expect("nobody panics").wait().expect("it can be waited for");
        Output { status, stdout, stderr }
    })
}

fn read(stream: &mut Option<impl Read>) -> Vec<u8> {
    let mut bytes = Vec::new();
    stream.as_mut().expect("it is piped").read_to_end(&mut bytes).expect("it can be read");
    bytes
}

/// A folder of its own for each block.
fn scratch() -> PathBuf {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let folder = std::env::temp_dir().join(format!("coutil-docs-{}-{number}", std::process::id()));
    fs::create_dir(&folder).expect("it can be made");
    folder
}

fn start(mut command: Command, folder: &Path, code: &str) -> Child {
    let script = folder.join("example.lua");
    fs::write(&script, code).expect("it can be written");
    command.arg(&script).current_dir(folder).env_remove("LUA_INIT");
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.spawn().expect("the interpreter starts")
}

/// Runs a block; tells what is wrong with it.
fn run(block: &Block, command: Command) -> Result<(), String> {
    let folder = scratch();
    let output = within(LIMIT, start(command, &folder, &block.code));
    fs::remove_dir_all(&folder).expect("it can be removed");
    let errors = String::from_utf8_lossy(&output.stderr);
    let printed = String::from_utf8_lossy(&output.stdout).lines().map(squeeze).collect::<Vec<_>>().join("\n");
    if !output.status.success() || !errors.is_empty() {
        return Err(format!("{}: {}\n{printed}\n{errors}", block.place(), output.status));
    }
    if printed != block.expected() {
        return Err(format!("{}: it printed\n{printed}\nand not\n{}", block.place(), block.expected()));
    }
    Ok(())
}

/// What stands before a server: it tells its port when it begins to run.
const TELL: &str = r#"
local system = require "coutil.system"
local socket, run, passive = system.socket, system.run, nil
system.socket = function (kind, domain)
  local made, message, code = socket(kind, domain)
  if kind == "passive" then passive = made end
  return made, message, code
end
system.run = function (...)
  io.stdout:write(passive:getaddress().port, "\n")
  io.stdout:flush()
  return run(...)
end
"#;

/// Starts a server that echoes, on any port, talks to it, and ends it.
fn echo(block: &Block, port: &str, command: Command) -> Result<(), String> {
    assert!(block.code.contains(port), "{}: where is port {port}?", block.place());
    let folder = scratch();
    let mut child = start(command, &folder, &format!("{TELL}{}", block.code.replace(port, "0")));
    let mut lines = BufReader::new(child.stdout.take().expect("it is piped"));
    let mut told = String::new();
    let answer = lines.read_line(&mut told).and_then(|_| {
        let port: u16 = told.trim().parse().map_err(io::Error::other)?;
        let mut stream = TcpStream::connect(("127.0.0.1", port))?;
        stream.set_read_timeout(Some(LIMIT))?;
        stream.write_all(b"hello\n")?;
        let mut answer = [0; 6];
        stream.read_exact(&mut answer)?;
        Ok(answer)
    });
    child.kill().expect("it can be killed");
    let output = child.wait_with_output().expect("it can be waited for");
    let mut printed = String::new();
    lines.read_to_string(&mut printed).expect("it is text");
    fs::remove_dir_all(&folder).expect("it can be removed");
    let errors = String::from_utf8_lossy(&output.stderr);
    match answer {
        Ok(answer) if &answer == b"hello\n" && errors.is_empty() => Ok(()),
        answer => Err(format!("{}: {answer:?}, {}\n{told}{printed}\n{errors}", block.place(), output.status)),
    }
}

/// An interpreter with luv, where there is one.
fn with_luv() -> bool {
    let mut command = Command::new("lua5.4");
    command.args(["-e", "require 'luv'"]).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

#[test]
fn the_examples_of_the_documentation_run() {
    let blocks: Vec<Block> = pages().iter().flat_map(|page| blocks(page)).collect();
    let from_54 = cfg!(any(feature = "lua54", feature = "lua55"));
    let luv = cfg!(feature = "lua54") && with_luv();
    let coutil = || Command::new(env!("CARGO_BIN_EXE_coutil"));
    let next = AtomicUsize::new(0);
    let ran = AtomicUsize::new(0);
    let failures = Mutex::new(Vec::new());
    let work = || {
        while let Some(block) = blocks.get(next.fetch_add(1, Ordering::Relaxed)) {
            let result = match block.words.iter().map(String::as_str).collect::<Vec<_>>()[..] {
                ["5.4"] if !from_54 => continue,
                ["not-5.1"] if cfg!(feature = "lua51") => continue,
                [] | ["5.4" | "not-5.1"] => run(block, coutil()),
                ["echo", port] => echo(block, port, coutil()),
                ["fragment"] => {
                    let code = format!("assert((loadstring or load)([==[\n{}]==]))", block.code);
                    let (file, code) = (block.file.clone(), code.replace("-->", "--"));
                    run(&Block { file, code, words: Vec::new(), line: block.line }, coutil())
                }
                ["luv"] if luv => run(block, Command::new("lua5.4")),
                ["luv"] => continue,
                _ => Err(format!("{}: what is `{}`?", block.place(), block.words.join(" "))),
            };
            ran.fetch_add(1, Ordering::Relaxed);
            if let Err(failure) = result {
                failures.lock().expect("nobody panics").push(failure);
            }
        }
    };
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(work);
        }
    });
    let failures = failures.into_inner().expect("nobody panics");
    assert!(failures.is_empty(), "{} of {ran:?} examples:\n\n{}", failures.len(), failures.join("\n\n"));
    assert!(ran.into_inner() >= blocks.len() / 2, "most examples are for every version");
}

/// The page of messages has all of them, and no others.
#[test]
#[cfg(target_os = "linux")]
fn the_messages_of_the_manual_are_those_of_the_library() {
    let page = fs::read_to_string(root().join("docs/manual/errors.md")).expect("the page is there");
    let mut listed = Vec::new();
    for line in page.lines() {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        if let ["", number, _, message, ""] = cells[..]
            && let Ok(number) = number.parse::<i32>()
        {
            assert_eq!(format!("`{}`", coutil_system::Error::from_code(number)), message, "{number}");
            listed.push(number);
        }
    }
    let known = (1..=4095).filter(|number| coutil_system::Error::from_code(*number).message().is_some());
    assert_eq!(listed, known.collect::<Vec<_>>());
}
