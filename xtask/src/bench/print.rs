//! Writes tables and verdicts.

use super::judge::Verdict;
use super::measure::{Curve, Line, Measured, Runs};
use super::program::Interpreter;
use super::rows::Workload;
use super::statistics::median;

/// How many targets were met, and how many programs did not work.
#[derive(Default)]
pub(super) struct Score {
    pub(super) met: u32,
    pub(super) missed: u32,
    pub(super) unknown: u32,
    pub(super) failed: u32,
}

impl Score {
    pub(super) fn print(&self) {
        println!("targets: {} met, {} missed, {} not measured", self.met, self.missed, self.unknown);
    }

    /// Says that a program failed.
    fn failure(&mut self, who: &str, failure: &str) {
        self.failed += 1;
        println!("    {who:<10} failed: {}", failure.replace('\n', "\n        "));
    }
}

pub(super) fn interpreter(lua: &Interpreter) {
    println!("== Lua {} ({})", lua.version.name(), lua.command.display());
    println!("    peers: {}", list(&lua.peers));
    let missing = lua.missing();
    if !missing.is_empty() {
        println!("    not installed for it, skipped: {}", list(&missing));
    }
    println!();
}

fn list(names: &[&str]) -> String {
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}

pub(super) fn title(workload: &Workload) {
    println!("{}: {}", workload.name, workload.title);
}

/// The table of a workload; and which programs failed.
pub(super) fn table(measured: &Measured, score: &mut Score) {
    match measured {
        Measured::Pair(Ok(lines)) => lines.iter().for_each(pair),
        Measured::Pair(Err(failure)) => score.failure("", failure),
        Measured::Race(runs) => {
            heading(&["seconds", "processor", "us each", "calls each"]);
            rows(runs, score, |runs| {
                let each = runs.median(1).map(|seconds| seconds / runs.objects * 1e6);
                vec![
                    number(runs.median(0), 3),
                    number(runs.median(1), 3),
                    number(each, 3),
                    number(runs.calls, 2),
                ]
            });
        }
        Measured::Memory(runs) => {
            heading(&["KB", "KB each"]);
            rows(runs, score, |runs| {
                let each = runs.median(0).map(|kilobytes| kilobytes / runs.objects);
                vec![number(runs.median(0), 0), number(each, 2)]
            });
        }
        Measured::Split(runs) => {
            heading(&["by one", "by two", "ratio"]);
            rows(runs, score, |runs| (0..3).map(|column| number(runs.median(column), 3)).collect());
        }
        Measured::Startup(runs) => {
            heading(&["ms"]);
            rows(runs, score, |runs| vec![number(runs.median(0), 2)]);
        }
        Measured::Instructions(Ok(counts)) => {
            for count in counts {
                println!("    {:<28} {:>8.0}", count.title, count.instructions);
            }
        }
        Measured::Growth(Ok(curves)) => curves.iter().for_each(curve),
        Measured::Instructions(Err(failure)) | Measured::Growth(Err(failure)) => score.failure("", failure),
    }
}

fn pair(line: &Line) {
    let time = median(&line.times).unwrap_or_default();
    let ratio = median(&line.ratios).unwrap_or_default();
    println!("    {:<28} {time:>8.1} ns  {ratio:>6.2}", line.title);
}

fn curve(curve: &Curve) {
    let points: String =
        curve.points.iter().map(|(size, time)| format!(" {time:>8.0} ns ({size})")).collect();
    println!("    {:<40}{points}", curve.title);
}

fn heading(columns: &[&str]) {
    cells("", columns.iter().copied());
}

fn rows(runs: &[Runs], score: &mut Score, columns: impl Fn(&Runs) -> Vec<String>) {
    for runs in runs {
        match &runs.failure {
            Some(failure) => score.failure(runs.who, failure),
            None => cells(runs.who, columns(runs).iter().map(String::as_str)),
        }
    }
}

fn cells<'a>(who: &str, columns: impl Iterator<Item = &'a str>) {
    let columns: String = columns.map(|column| format!(" {column:>11}")).collect();
    println!("    {who:<10}{columns}");
}

fn number(value: Option<f64>, digits: usize) -> String {
    value.map_or("-".to_owned(), |value| format!("{value:.digits$}"))
}

/// A target with what was measured, and counts it.
pub(super) fn verdict(verdict: &Verdict, score: &mut Score) {
    let target = format!("{}, at most {:.2}", verdict.target, verdict.limit);
    let range = verdict.range.map_or(String::new(), |(least, most)| format!("  ({least:.2} to {most:.2})"));
    match verdict.value {
        None => {
            score.unknown += 1;
            println!("    {target:<50}      -  not measured");
        }
        Some(value) if value <= verdict.limit => {
            score.met += 1;
            println!("    {target:<50} {value:>6.2}  met{range}");
        }
        Some(value) => {
            score.missed += 1;
            println!("    {target:<50} {value:>6.2}  MISSED{range}");
        }
    }
    if let Some(floor) = verdict.floor {
        println!("    {:<50} {floor:>6.2}", "  where the system calls alone take");
    }
}
