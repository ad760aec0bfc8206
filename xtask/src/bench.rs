//! `cargo xtask bench`: the workloads of `bench/`, here and on the peers that are installed.
//!
//! The programs of a workload run in turn, several times, so that whatever else the machine does touches all of them.
//! What is compared are medians of processor time: these programs never sleep, but for `exchange`, so on a machine that does
//! nothing else it is the time, and on a busy one it is what they cost. System calls are counted in runs of their own, as counting them takes time; no noise
//! touches their number. docs/benchmarks.md says what each workload is.

use crate::build;
use crate::floor;
use crate::lua::Version;
use crate::test;
use anyhow::{Context, Result, bail};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use xshell::{Shell, cmd};

/// What is measured, and what it should come to. This table has all targets.
const WORKLOADS: &[Workload] = &[
    Workload {
        name: "event",
        title: "an event awaited and emitted, against a bare resume/yield pair",
        kind: Kind::Pair,
        targets: &[Target::Pair { line: "event (string)", limit: 1.7, old: 2.5 }],
    },
    Workload {
        name: "suspend",
        title: "system.suspend() in a loop, against a bare resume/yield pair",
        kind: Kind::Pair,
        targets: &[Target::Pair { line: "suspend()", limit: 1.2, old: 2.0 }],
    },
    Workload {
        name: "echo",
        title: "64 connections, 512-byte requests, 5-byte replies",
        kind: Kind::Race { counts: 1000, calls: Some((50, 250)) },
        targets: &[
            Target::Time { peer: "luv", limit: 0.75 },
            Target::Time { peer: "cqueues", limit: 0.5 },
            Target::Calls { limit: 2.15 },
        ],
    },
    Workload {
        name: "pingpong",
        title: "one connection, 64 bytes to and fro",
        kind: Kind::Race { counts: 50_000, calls: Some((2_000, 10_000)) },
        targets: &[Target::Time { peer: "luv", limit: 0.8 }],
    },
    Workload {
        name: "upload",
        title: "one connection, writes of 512 bytes",
        kind: Kind::Race { counts: 200_000, calls: Some((5_000, 25_000)) },
        targets: &[Target::Time { peer: "luv", limit: 0.5 }],
    },
    Workload {
        name: "udp",
        title: "two UDP sockets, 64 bytes to and fro",
        kind: Kind::Race { counts: 50_000, calls: Some((2_000, 10_000)) },
        targets: &[Target::Time { peer: "luv", limit: 0.8 }],
    },
    Workload {
        name: "local",
        title: "64 local connections, 512-byte requests, 5-byte replies",
        kind: Kind::Race { counts: 1000, calls: Some((50, 250)) },
        targets: &[Target::Time { peer: "luv", limit: 0.8 }],
    },
    Workload {
        name: "bulk",
        title: "one connection, writes of a mebibyte",
        kind: Kind::Race { counts: 2000, calls: Some((50, 250)) },
        targets: &[Target::Time { peer: "luv", limit: 0.8 }, Target::Time { peer: FLOOR, limit: 1.05 }],
    },
    Workload {
        name: "connect",
        title: "connections made, accepted and closed",
        kind: Kind::Race { counts: 5000, calls: Some((200, 1000)) },
        targets: &[Target::Time { peer: "luv", limit: 0.8 }],
    },
    Workload {
        name: "active",
        title: "10 000 connections, of which 1 % is used",
        kind: Kind::Race { counts: 500, calls: None },
        targets: &[Target::Time { peer: "luv", limit: 0.8 }],
    },
    Workload {
        name: "timers",
        title: "20 000 live timers",
        kind: Kind::Race { counts: 30, calls: None },
        targets: &[Target::Time { peer: "luv", limit: 0.8 }],
    },
    Workload {
        name: "start",
        title: "processes, one after the other",
        kind: Kind::Race { counts: 300, calls: None },
        targets: &[Target::Time { peer: "luv", limit: 1.0 }],
    },
    Workload {
        name: "children",
        title: "processes, 64 at once",
        kind: Kind::Race { counts: 10, calls: None },
        targets: &[Target::Time { peer: "luv", limit: 1.0 }],
    },
    Workload {
        name: "pipe",
        title: "100 megabytes through a child",
        kind: Kind::Race { counts: 100, calls: None },
        targets: &[Target::Time { peer: "luv", limit: 1.0 }],
    },
    Workload {
        name: "exchange",
        title: "numbers to another thread and back",
        kind: Kind::Race { counts: 50_000, calls: None },
        targets: &[Target::Time { peer: "cqueues", limit: 0.5 }],
    },
    Workload {
        name: "idle",
        title: "100 000 coroutines that wait for timers",
        kind: Kind::Memory { counts: 100_000 },
        targets: &[Target::Each { limit: 1.6 }],
    },
    Workload {
        name: "files",
        title: "small files made, written, read, closed and removed",
        kind: Kind::Race { counts: 1000, calls: Some((100, 500)) },
        targets: &[Target::Time { peer: "luv", limit: 1.0 }],
    },
    Workload {
        name: "fileread",
        title: "reads of 512 bytes by another thread",
        kind: Kind::Race { counts: 50_000, calls: Some((2_000, 10_000)) },
        targets: &[Target::Time { peer: "luv", limit: 1.0 }],
    },
    Workload {
        name: "fileblock",
        title: "reads and writes of 512 bytes in blocking mode",
        kind: Kind::Race { counts: 500_000, calls: None },
        targets: &[Target::Time { peer: FLOOR, limit: 1.5 }],
    },
    Workload {
        name: "filecopy",
        title: "copies of a file of 32 MiB",
        kind: Kind::Race { counts: 30, calls: None },
        targets: &[Target::Time { peer: "luv", limit: 1.0 }],
    },
    Workload {
        name: "filelist",
        title: "a directory of 20 000 entries",
        kind: Kind::Race { counts: 50, calls: None },
        targets: &[Target::Time { peer: "luv", limit: 1.0 }],
    },
    Workload {
        name: "open",
        title: "both ends of 10 000 connections that wait to read",
        kind: Kind::Memory { counts: 10_000 },
        targets: &[Target::Each { limit: 2.0 }],
    },
];

/// What runs on this library.
const OURS: &str = "coutil";

/// What has no library at all.
const FLOOR: &str = "bare calls";

/// Whose programs lie in `bench/peers/`, by the names of their modules.
const PEERS: &[&str] = &["luv", "cqueues", "copas"];

/// How long a program may take.
const PATIENCE: Duration = Duration::from_secs(120);

/// A workload is a script `bench/NAME.lua`, and `bench/peers/PEER/NAME.lua` for those that have one.
struct Workload {
    name: &'static str,
    title: &'static str,
    kind: Kind,
    targets: &'static [Target],
}

enum Kind {
    /// The script compares by itself: it prints lines `TITLE N ns RATIO`.
    Pair,
    /// Each script prints `SECONDS PROCESSOR-SECONDS MESSAGES`. `counts` is its argument, `calls` are two smaller ones for counting system
    /// calls: what the program does once cancels out.
    Race { counts: u32, calls: Option<(u32, u32)> },
    /// Each script prints `KILOBYTES OBJECTS`.
    Memory { counts: u32 },
}

/// What should be at most `limit`.
enum Target {
    /// The ratio to a bare pair in that line; `old` where Lua has no continuations (5.1 and LuaJIT).
    Pair { line: &'static str, limit: f64, old: f64 },
    /// The ratio of our processor time to that of a peer.
    Time { peer: &'static str, limit: f64 },
    /// System calls a message.
    Calls { limit: f64 },
    /// Kilobytes an object.
    Each { limit: f64 },
}

/// How often each program runs, and which ones.
pub(crate) struct Options {
    pub(crate) versions: Vec<Version>,
    pub(crate) rounds: usize,
    pub(crate) name: Option<String>,
}

/// Runs the workloads; prints a table for each, and how many targets were met.
pub(crate) fn bench(sh: &Shell, options: &Options) -> Result<()> {
    let workloads: Vec<&Workload> = WORKLOADS
        .iter()
        .filter(|workload| options.name.as_ref().is_none_or(|name| workload.name == name))
        .collect();
    if workloads.is_empty() {
        let names: Vec<_> = WORKLOADS.iter().map(|workload| workload.name).collect();
        bail!("there is no such workload; there are {}", names.join(" "));
    }
    let strace =
        cmd!(sh, "strace -c -o /dev/null true").quiet().ignore_stdout().ignore_stderr().run().is_ok();
    if !strace {
        println!("strace is missing or may not trace: system calls are not counted\n");
    }
    let mut score = Score::default();
    for &version in &options.versions {
        let Some((command, args)) = test::interpreter(sh, version)? else {
            println!("{} is not installed: skipped\n", version.interpreter());
            continue;
        };
        let lua = Interpreter { version, command, args, folder: build::module(sh, version)? };
        let peers: Vec<_> = PEERS.iter().copied().filter(|peer| lua.loads(peer)).collect();
        let missing: Vec<_> = PEERS.iter().copied().filter(|peer| !peers.contains(peer)).collect();
        println!("{}", lua.title());
        println!("    peers: {}", list(&peers));
        if !missing.is_empty() {
            println!("    not installed for it, skipped: {}", list(&missing));
        }
        println!();
        for workload in &workloads {
            workload.run(&lua, &peers, options.rounds, strace, &mut score)?;
        }
    }
    println!("targets: {} met, {} missed, {} not measured", score.met, score.missed, score.unknown);
    if score.failed > 0 {
        bail!("{} programs failed", score.failed);
    }
    Ok(())
}

fn list(names: &[&str]) -> String {
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}

/// How many targets were met, and how many programs did not work.
#[derive(Default)]
struct Score {
    met: u32,
    missed: u32,
    unknown: u32,
    failed: u32,
}

impl Score {
    /// Prints a target with what was measured, and counts it.
    fn judge(&mut self, target: &str, limit: f64, measured: Option<f64>, range: &str) {
        let target = format!("{target}, at most {limit:.2}");
        match measured {
            None => {
                self.unknown += 1;
                println!("    {target:<50}      -  not measured");
            }
            Some(value) if value <= limit => {
                self.met += 1;
                println!("    {target:<50} {value:>6.2}  met{range}");
            }
            Some(value) => {
                self.missed += 1;
                println!("    {target:<50} {value:>6.2}  MISSED{range}");
            }
        }
    }
}

/// An interpreter, and where its module is.
struct Interpreter {
    version: Version,
    command: PathBuf,
    args: Vec<String>,
    folder: PathBuf,
}

impl Interpreter {
    fn title(&self) -> String {
        format!("== Lua {} ({})", self.version.name(), self.command.display())
    }

    /// Whether a module of this name is installed for it.
    fn loads(&self, module: &str) -> bool {
        let mut command = Command::new(&self.command);
        command.args(&self.args).arg("bench/peers/load.lua").arg(module);
        output(clean(&mut command)).is_ok()
    }

    /// The programs for a workload: ours, then those of the peers, then the bare system calls.
    fn programs(&self, workload: &str, peers: &[&'static str]) -> Result<Vec<Program<'_>>> {
        let mut programs = vec![self.script(OURS, format!("bench/{workload}.lua"))];
        for peer in peers {
            let script = format!("bench/peers/{peer}/{workload}.lua");
            if Path::new(&script).exists() {
                programs.push(self.script(peer, script));
            }
        }
        if floor::NAMES.contains(&workload) {
            let words = vec![std::env::current_exe()?, "floor".into(), workload.into()];
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

/// A command, and whose it is.
struct Program<'a> {
    lua: &'a Interpreter,
    who: &'static str,
    words: Vec<PathBuf>,
}

impl Program<'_> {
    /// The command that runs it, behind a `prefix`.
    fn command(&self, prefix: &[&str], counts: Option<u32>) -> Command {
        let mut words: Vec<PathBuf> = prefix.iter().map(PathBuf::from).collect();
        words.extend(self.words.iter().cloned());
        words.extend(counts.map(|counts| PathBuf::from(counts.to_string())));
        let mut command = Command::new(&words[0]);
        command.args(&words[1..]);
        clean(&mut command);
        // The peers are where the distribution put them, so their paths are the default ones.
        if self.who == OURS {
            command.env("LUA_PATH", self.lua.folder.join("?.lua"));
            command.env("LUA_CPATH", self.lua.folder.join("?.so"));
        }
        command
    }

    /// Runs it; the numbers that it prints.
    fn run(&self, counts: u32) -> Result<Vec<f64>> {
        numbers(&output(&mut self.command(&[], Some(counts)))?)
    }

    /// System calls a message, from two runs that differ in their number of messages.
    fn calls(&self, counts: (u32, u32)) -> Result<f64> {
        let few = self.traced(counts.0)?;
        let many = self.traced(counts.1)?;
        Ok((many.0 - few.0) / (many.1 - few.1))
    }

    /// The system calls and the messages of a run.
    fn traced(&self, counts: u32) -> Result<(f64, f64)> {
        let file = self.lua.folder.join("strace.txt");
        let file = file.to_str().context("the target folder has a name that is no text")?;
        let prefix = ["strace", "-f", "-c", "-o", file];
        let numbers = numbers(&output(&mut self.command(&prefix, Some(counts)))?)?;
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

/// What a command writes. A failure has its errors; so has one that takes too long.
fn output(command: &mut Command) -> Result<String> {
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("{} did not start", command.get_program().display()))?;
    let start = Instant::now();
    // These programs write a few lines, which fit into the pipes.
    while child.try_wait()?.is_none() {
        if start.elapsed() > PATIENCE {
            child.kill()?;
            child.wait()?;
            bail!("stopped after {} seconds", PATIENCE.as_secs());
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    let output = child.wait_with_output()?;
    let errors = String::from_utf8_lossy(&output.stderr);
    // An error in a coroutine is written, and stops nothing else.
    if !output.status.success() || !errors.trim().is_empty() {
        bail!("{}\n{}", output.status, errors.trim());
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// The numbers of a line.
fn numbers(text: &str) -> Result<Vec<f64>> {
    let numbers = text.split_whitespace().map(str::parse).collect::<Result<Vec<f64>, _>>();
    numbers.with_context(|| format!("what does it mean: {text}"))
}

fn median(values: &[f64]) -> Option<f64> {
    let mut values = values.to_vec();
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() {
        0 => None,
        len if len % 2 == 1 => Some(values[middle]),
        _ => Some(f64::midpoint(values[middle - 1], values[middle])),
    }
}

impl Workload {
    fn run(
        &self,
        lua: &Interpreter,
        peers: &[&'static str],
        rounds: usize,
        strace: bool,
        score: &mut Score,
    ) -> Result<()> {
        println!("{}: {}", self.name, self.title);
        match self.kind {
            Kind::Pair => self.pair(lua, score)?,
            Kind::Race { counts, calls } => {
                let runners = Runner::start(lua.programs(self.name, peers)?);
                self.race(runners, rounds, counts, calls.filter(|_| strace), score);
            }
            Kind::Memory { counts } => {
                // Memory varies little.
                let runners = Runner::start(lua.programs(self.name, peers)?);
                self.memory(runners, rounds.min(3), counts, score);
            }
        }
        println!();
        Ok(())
    }

    /// The script compares; three times, as one run may have an unlucky layout in memory.
    fn pair(&self, lua: &Interpreter, score: &mut Score) -> Result<()> {
        let program = &lua.programs(self.name, &[])?[0];
        let mut lines: Vec<(String, Vec<f64>, Vec<f64>)> = Vec::new();
        for _ in 0..3 {
            let text = match output(&mut program.command(&[], None)) {
                Ok(text) => text,
                Err(error) => {
                    score.failed += 1;
                    println!("    failed: {}", indented(&format!("{error:#}")));
                    return Ok(());
                }
            };
            for (title, time, ratio) in text.lines().filter_map(pair_line) {
                match lines.iter_mut().find(|line| line.0 == title) {
                    Some(line) => {
                        line.1.push(time);
                        line.2.push(ratio);
                    }
                    None => lines.push((title.to_owned(), vec![time], vec![ratio])),
                }
            }
        }
        for (title, times, ratios) in &lines {
            let (time, ratio) = (median(times).unwrap_or_default(), median(ratios).unwrap_or_default());
            println!("    {title:<28} {time:>8.1} ns  {ratio:>6.2}");
        }
        for target in self.targets {
            if let Target::Pair { line, limit, old } = *target {
                let limit = if matches!(lua.version, Version::Lua51 | Version::Jit) { old } else { limit };
                let found = lines.iter().find(|(title, _, _)| title == line);
                let ratio = found.and_then(|(_, _, ratios)| median(ratios));
                let range = found.map(|(_, _, ratios)| range(ratios)).unwrap_or_default();
                score.judge(&format!("{line} to the bare pair"), limit, ratio, &range);
            }
        }
        Ok(())
    }

    fn race(
        &self,
        mut runners: Vec<Runner<'_>>,
        rounds: usize,
        counts: u32,
        traced: Option<(u32, u32)>,
        score: &mut Score,
    ) {
        alternate(&mut runners, rounds, counts);
        for runner in &mut runners {
            if let (Some(counts), None) = (traced, &runner.failure) {
                match runner.program.calls(counts) {
                    Ok(calls) => runner.calls = Some(calls),
                    Err(error) => runner.failure = Some(format!("{error:#}")),
                }
            }
        }
        println!(
            "    {:<10} {:>11} {:>11} {:>11} {:>11}",
            "", "seconds", "processor", "us each", "calls each"
        );
        for runner in &runners {
            if runner.failed(score) {
                continue;
            }
            let (seconds, cpu) = (runner.median(0).unwrap_or_default(), runner.median(1).unwrap_or_default());
            let each = cpu / runner.objects * 1e6;
            let calls = runner.calls.map_or("-".to_owned(), |calls| format!("{calls:.2}"));
            let who = runner.program.who;
            println!("    {who:<10} {seconds:>11.3} {cpu:>11.3} {each:>11.3} {calls:>11}");
        }
        let ours = &runners[0];
        let find = |who| runners.iter().find(|runner| runner.program.who == who);
        for target in self.targets {
            match *target {
                Target::Time { peer, limit } => {
                    let theirs = find(peer);
                    let (ratio, range) = theirs.map_or((None, String::new()), |theirs| ours.ratio(theirs));
                    score.judge(&format!("processor time, to {peer}"), limit, ratio, &range);
                    if let (Some(theirs), Some(floor)) = (theirs, find(FLOOR))
                        && let (Some(ratio), _) = floor.ratio(theirs)
                    {
                        println!("    {:<50} {ratio:>6.2}", "  where the system calls alone take");
                    }
                }
                Target::Calls { limit } => score.judge("system calls each", limit, ours.calls, ""),
                Target::Pair { .. } | Target::Each { .. } => {}
            }
        }
    }

    fn memory(&self, mut runners: Vec<Runner<'_>>, rounds: usize, counts: u32, score: &mut Score) {
        alternate(&mut runners, rounds, counts);
        println!("    {:<10} {:>11} {:>11}", "", "KB", "KB each");
        for runner in &runners {
            if runner.failed(score) {
                continue;
            }
            let kilobytes = runner.median(0).unwrap_or_default();
            let each = kilobytes / runner.objects;
            println!("    {:<10} {kilobytes:>11.0} {each:>11.2}", runner.program.who);
        }
        let ours = &runners[0];
        for target in self.targets {
            if let Target::Each { limit } = *target {
                let each = ours.median(0).map(|kilobytes| kilobytes / ours.objects);
                score.judge("KB each", limit, each.filter(|_| ours.failure.is_none()), "");
            }
        }
    }
}

/// A program, and what its runs gave.
struct Runner<'a> {
    program: Program<'a>,
    /// What each run printed, but for the last number.
    runs: Vec<Vec<f64>>,
    /// The last number: messages, coroutines.
    objects: f64,
    calls: Option<f64>,
    failure: Option<String>,
}

impl<'a> Runner<'a> {
    fn start(programs: Vec<Program<'a>>) -> Vec<Runner<'a>> {
        let start = |program| Runner { program, runs: Vec::new(), objects: 0.0, calls: None, failure: None };
        programs.into_iter().map(start).collect()
    }

    /// Whether it failed; then says so.
    fn failed(&self, score: &mut Score) -> bool {
        if let Some(failure) = &self.failure {
            score.failed += 1;
            println!("    {:<10} failed: {}", self.program.who, indented(failure));
        }
        self.failure.is_some()
    }

    /// The median of the number in that column.
    fn median(&self, column: usize) -> Option<f64> {
        median(&self.runs.iter().filter_map(|run| run.get(column).copied()).collect::<Vec<_>>())
    }

    /// The ratio of our median processor time to that of a peer, and the range of the ratios of each round.
    fn ratio(&self, theirs: &Runner<'_>) -> (Option<f64>, String) {
        if self.failure.is_some() || theirs.failure.is_some() {
            return (None, String::new());
        }
        let ratio = self.median(1).zip(theirs.median(1)).map(|(ours, theirs)| ours / theirs);
        let rounds = self.runs.iter().zip(&theirs.runs);
        let each: Vec<f64> =
            rounds.filter_map(|(ours, theirs)| Some(ours.get(1)? / theirs.get(1)?)).collect();
        (ratio, range(&each))
    }
}

/// Runs the programs in turn, several times. One that fails is not run again.
fn alternate(runners: &mut [Runner<'_>], rounds: usize, counts: u32) {
    for _ in 0..rounds {
        for runner in runners.iter_mut().filter(|runner| runner.failure.is_none()) {
            match runner.program.run(counts) {
                Ok(mut numbers) => {
                    runner.objects = numbers.pop().unwrap_or_default();
                    runner.runs.push(numbers);
                }
                Err(error) => runner.failure = Some(format!("{error:#}")),
            }
        }
    }
}

/// The smallest and the largest of several values.
fn range(values: &[f64]) -> String {
    let smallest = values.iter().copied().fold(f64::INFINITY, f64::min);
    let largest = values.iter().copied().fold(0.0, f64::max);
    if values.len() < 2 { String::new() } else { format!("  ({smallest:.2} to {largest:.2})") }
}

/// A text of several lines, all but the first one indented.
fn indented(text: &str) -> String {
    text.replace('\n', "\n        ")
}

/// `TITLE N ns RATIO`
fn pair_line(line: &str) -> Option<(&str, f64, f64)> {
    let (rest, ratio) = line.trim_end().rsplit_once(' ')?;
    let (title, time) = rest.trim_end().strip_suffix(" ns")?.rsplit_once(' ')?;
    Some((title.trim_end(), time.parse().ok()?, ratio.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_scripts_print() {
        assert_eq!(numbers("0.250000 0.125 1000\n").unwrap(), [0.25, 0.125, 1000.0]);
        assert!(numbers("nothing here").is_err());
        assert_eq!(
            pair_line("event, 2 values            138.9 ns   1.81"),
            Some(("event, 2 values", 138.9, 1.81))
        );
        assert_eq!(pair_line("Lua 5.4"), None);
        assert_eq!(pair_line(""), None);
    }

    #[test]
    fn medians() {
        assert_eq!(median(&[]), None);
        assert_eq!(median(&[3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(&[4.0, 1.0, 3.0, 2.0]), Some(2.5));
    }
}
