//! What is run for a workload: an interpreter with a script, mostly.

use super::rows::{Kind, Workload};
use super::statistics::median;
use crate::build;
use crate::floor;
use crate::lua::Version;
use crate::test;
use anyhow::{Context, Result, bail};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use xshell::Shell;

/// What runs on this library.
pub(super) const OURS: &str = "coutil";

/// What has no library at all.
pub(super) const FLOOR: &str = "bare calls";

/// The same job in Rust with nothing but threads, locks and Lua's own interface: the module in `bench/plain`.
pub(super) const PLAIN: &str = "plain Rust";

/// Interpreters that have nothing to do with each other, one for each part of a job.
pub(super) const PROCESSES: &str = "processes";

/// The interpreter with nothing loaded.
pub(super) const BARE: &str = "bare Lua";

/// Whose programs lie in `bench/peers/`, by the names of their modules.
const PEERS: &[&str] = &["luv", "cqueues", "copas"];

/// How long a program may take.
const PATIENCE: Duration = Duration::from_secs(120);

/// An interpreter, where its modules are, and which peers it has.
pub(super) struct Interpreter {
    pub(super) version: Version,
    pub(super) command: PathBuf,
    args: Vec<String>,
    folder: PathBuf,
    pub(super) peers: Vec<&'static str>,
    /// What it says of its version, and the peers of theirs.
    pub(super) versions: Vec<String>,
}

impl Interpreter {
    /// The one for a version, with what those workloads need. `None` if it is not installed.
    pub(super) fn find(sh: &Shell, version: Version, workloads: &[&Workload]) -> Result<Option<Self>> {
        let Some((command, args)) = test::interpreter(sh, version)? else { return Ok(None) };
        let folder = build::module(sh, version)?;
        if workloads.iter().any(|workload| Path::new(&peer_script("plain", workload.name)).exists()) {
            build::plain(sh, version)?;
        }
        let mut this = Self { version, command, args, folder, peers: Vec::new(), versions: Vec::new() };
        // Lua 5.1 writes it to its standard error.
        let said = Command::new(&this.command).args(&this.args).arg("-v").output()?;
        let said = [said.stdout, said.stderr].concat();
        let said = String::from_utf8_lossy(&said);
        this.versions
            .push(said.split("Copyright").next().unwrap_or_default().trim_end_matches([' ', '-']).to_owned());
        for peer in PEERS {
            if let Ok(version) = this.ask(&["bench/peers/load.lua", peer]) {
                this.peers.push(peer);
                let number = version.trim_start_matches(|c: char| !c.is_ascii_digit());
                this.versions.push(format!("{peer} {number}"));
            }
        }
        Ok(Some(this))
    }

    /// The peers that it has not.
    pub(super) fn missing(&self) -> Vec<&'static str> {
        PEERS.iter().copied().filter(|peer| !self.peers.contains(peer)).collect()
    }

    /// What it writes.
    fn ask(&self, args: &[&str]) -> Result<String> {
        let mut command = Command::new(&self.command);
        command.args(&self.args).args(args);
        Ok(output(clean(&mut command))?.text.trim().to_owned())
    }

    /// The programs for a workload: ours, then those of the peers, then what has no library.
    pub(super) fn programs(&self, workload: &Workload) -> Result<Vec<Program<'_>>> {
        let name = workload.name;
        let mut programs = vec![self.script(OURS, format!("bench/{name}.lua"))];
        match workload.kind {
            Kind::Pair => return Ok(programs),
            Kind::Instructions { .. } | Kind::Growth { .. } => return Ok(programs),
            Kind::Split { .. } | Kind::Twice { .. } => {
                programs.push(self.script(PROCESSES, "bench/job.lua".to_owned()));
            }
            Kind::Startup { .. } => programs.push(self.script(BARE, "bench/bare.lua".to_owned())),
            Kind::Race { .. } | Kind::Memory { .. } => {}
        }
        let peers = self.peers.iter().map(|peer| (*peer, *peer)).chain([("plain", PLAIN)]);
        for (folder, who) in peers {
            let script = peer_script(folder, name);
            if Path::new(&script).exists() {
                programs.push(self.script(who, script));
            }
        }
        if floor::NAMES.contains(&name) {
            let words = vec![std::env::current_exe()?, "floor".into(), name.into()];
            programs.push(Program { lua: self, who: FLOOR, words });
        }
        Ok(programs)
    }

    /// A script as a program.
    fn script(&self, who: &'static str, script: String) -> Program<'_> {
        let mut words = vec![self.command.clone()];
        words.extend(self.args.iter().map(PathBuf::from));
        words.push(script.into());
        Program { lua: self, who, words }
    }
}

fn peer_script(folder: &str, workload: &str) -> String {
    format!("bench/peers/{folder}/{workload}.lua")
}

/// A command, and whose it is.
pub(super) struct Program<'a> {
    lua: &'a Interpreter,
    pub(super) who: &'static str,
    words: Vec<PathBuf>,
}

impl Program<'_> {
    /// The command that runs it, behind a `prefix`.
    fn command(&self, prefix: &[&str], args: &[u32]) -> Command {
        let mut words: Vec<PathBuf> = prefix.iter().map(PathBuf::from).collect();
        words.extend(self.words.iter().cloned());
        words.extend(args.iter().map(|number| PathBuf::from(number.to_string())));
        let mut command = Command::new(&words[0]);
        command.args(&words[1..]);
        clean(&mut command);
        // The peers are where the distribution put them, so their paths are the default ones.
        if self.who == OURS {
            command.env("LUA_PATH", self.lua.folder.join("?.lua"));
        }
        if self.who == OURS || self.who == PLAIN {
            command.env("LUA_CPATH", self.lua.folder.join("?.so"));
        }
        command
    }

    /// Runs it; what it writes.
    pub(super) fn text(&self, args: &[u32]) -> Result<String> {
        Ok(output(&mut self.command(&[], args))?.text)
    }

    /// Runs it; the numbers that it prints, and the most memory that it had.
    pub(super) fn run(&self, counts: u32) -> Result<(Vec<f64>, Option<f64>)> {
        let output = output(&mut self.command(&[], &[counts]))?;
        Ok((numbers(&output.text)?, output.peak))
    }

    /// Runs it so many times, one after the other. The median of the first number that it prints.
    pub(super) fn median(&self, times: u32) -> Result<f64> {
        let mut firsts = Vec::new();
        for _ in 0..times {
            let numbers = numbers(&self.text(&[])?)?;
            firsts.push(*numbers.first().context("it printed nothing")?);
        }
        median(&firsts).context("it ran")
    }

    /// The instructions of a run with a name and a number, in the process; not those of the kernel.
    pub(super) fn instructions(&self, name: &str, count: u32) -> Result<f64> {
        let file = self.lua.folder.join("callgrind.txt");
        let mut log = std::ffi::OsString::from("--log-file=");
        log.push(&file);
        let mut command = Command::new("valgrind");
        command.args(["--tool=callgrind", "--callgrind-out-file=/dev/null"]).arg(log);
        let script = self.command(&[], &[]);
        command.arg(script.get_program()).args(script.get_args()).arg(name).arg(count.to_string());
        clean(&mut command);
        for (name, value) in script.get_envs() {
            if let Some(value) = value {
                command.env(name, value);
            }
        }
        output(&mut command)?;
        let text = std::fs::read_to_string(&file)?;
        std::fs::remove_file(&file)?;
        let line = text.lines().find_map(|line| line.split_once("Collected : "));
        Ok(line.context("callgrind gave no total")?.1.trim().parse()?)
    }

    /// Runs it so many times at once. The seconds until all have ended.
    pub(super) fn time(&self, times: usize, args: &[u32]) -> Result<f64> {
        let start = Instant::now();
        let children: Vec<_> = (0..times).map(|_| spawn(&mut self.command(&[], args))).collect();
        let mut failure = None;
        for child in children {
            failure = child.and_then(finish).err().or(failure);
        }
        let seconds = start.elapsed().as_secs_f64();
        failure.map_or(Ok(seconds), Err)
    }

    /// System calls a message, from two runs that differ in their number of messages.
    pub(super) fn calls(&self, counts: (u32, u32)) -> Result<f64> {
        let few = self.traced(counts.0)?;
        let many = self.traced(counts.1)?;
        Ok((many.0 - few.0) / (many.1 - few.1))
    }

    /// The system calls and the messages of a run.
    fn traced(&self, counts: u32) -> Result<(f64, f64)> {
        let file = self.lua.folder.join("strace.txt");
        let file = file.to_str().context("the target folder has a name that is no text")?;
        let prefix = ["strace", "-f", "-c", "-o", file];
        let numbers = numbers(&output(&mut self.command(&prefix, &[counts]))?.text)?;
        let summary = std::fs::read_to_string(file)?;
        std::fs::remove_file(file)?;
        // The last line: per cent, seconds, microseconds a call, calls, errors if any, "total".
        let total =
            summary.lines().rev().find(|line| line.ends_with("total")).context("strace gave no total")?;
        let calls = total.split_whitespace().nth(3).and_then(|word| word.parse().ok());
        let calls = calls.with_context(|| format!("what does strace mean: {total}"))?;
        Ok((calls, *numbers.last().context("no number of messages")?))
    }
}

/// Nothing of the user's settings: the variables with a version would come first.
fn clean(command: &mut Command) -> &mut Command {
    for name in ["LUA_PATH", "LUA_CPATH", "LUA_INIT"] {
        command.env_remove(name);
        for version in ["5_2", "5_3", "5_4", "5_5"] {
            command.env_remove(format!("{name}_{version}"));
        }
    }
    command
}

/// What a command wrote.
struct Output {
    text: String,
    /// The most resident memory that it had, in kilobytes; up to some milliseconds before its end.
    peak: Option<f64>,
}

/// What a command writes. A failure has its errors; so has one that takes too long.
fn output(command: &mut Command) -> Result<Output> {
    finish(spawn(command)?)
}

fn spawn(command: &mut Command) -> Result<Child> {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("{} did not start", command.get_program().display()))
}

/// Waits for a child; what it has written.
fn finish(mut child: Child) -> Result<Output> {
    let start = Instant::now();
    let status = format!("/proc/{}/status", child.id());
    let (mut peak, mut looks) = (None, 0_u32);
    // These programs write a few lines, which fit into the pipes.
    while child.try_wait()?.is_none() {
        if start.elapsed() > PATIENCE {
            child.kill()?;
            child.wait()?;
            bail!("stopped after {} seconds", PATIENCE.as_secs());
        }
        if looks % 4 == 0 {
            // What has ended says nothing any more.
            peak = peak_of(&status).or(peak);
        }
        looks += 1;
        std::thread::sleep(Duration::from_millis(1));
    }
    let output = child.wait_with_output()?;
    let errors = String::from_utf8_lossy(&output.stderr);
    // An error in a coroutine is written, and stops nothing else.
    if !output.status.success() || !errors.trim().is_empty() {
        bail!("{}\n{}", output.status, errors.trim());
    }
    Ok(Output { text: String::from_utf8_lossy(&output.stdout).into_owned(), peak })
}

/// The most resident memory of a process so far, in kilobytes. Only Linux tells.
fn peak_of(status: &str) -> Option<f64> {
    let text = std::fs::read_to_string(status).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix(" kB")?.trim().parse().ok()
}

/// The numbers of a line.
fn numbers(text: &str) -> Result<Vec<f64>> {
    let numbers = text.split_whitespace().map(str::parse).collect::<Result<Vec<f64>, _>>();
    numbers.with_context(|| format!("what does it mean: {text}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_scripts_print() {
        assert_eq!(numbers("0.250000 0.125 1000\n").unwrap(), [0.25, 0.125, 1000.0]);
        assert!(numbers("nothing here").is_err());
    }
}
