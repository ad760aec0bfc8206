//! Runs the programs of a workload, and keeps what they gave.

use super::program::{Interpreter, PROCESSES, Program};
use super::rows::{Kind, Workload};
use super::statistics::{median, range};
use anyhow::Result;

/// What was measured for a workload, on one interpreter.
pub(super) enum Measured {
    /// The lines that the script printed, or why it failed.
    Pair(Result<Vec<Line>, String>),
    /// Seconds, processor seconds.
    Race(Vec<Runs>),
    /// Kilobytes.
    Memory(Vec<Runs>),
    /// Seconds by one thread, seconds by two, their ratio.
    Split(Vec<Runs>),
    /// Instructions, of each primitive.
    Instructions(Result<Vec<Count>, String>),
    Growth(Result<Vec<Curve>, String>),
    /// Milliseconds.
    Startup(Vec<Runs>),
}

/// The instructions of a primitive.
pub(super) struct Count {
    pub(super) title: String,
    pub(super) instructions: f64,
}

/// What an operation takes, by how many others there are.
pub(super) struct Curve {
    pub(super) title: String,
    /// The number, and nanoseconds.
    pub(super) points: Vec<(f64, f64)>,
}

impl Curve {
    /// By how much it grows, from the first point to the last.
    pub(super) fn growth(&self) -> Option<f64> {
        Some(self.points.last()?.1 / self.points.first()?.1)
    }
}

/// Something that a script has compared with a bare pair by itself.
pub(super) struct Line {
    pub(super) title: String,
    pub(super) times: Vec<f64>,
    pub(super) ratios: Vec<f64>,
}

/// What the runs of a program gave.
pub(super) struct Runs {
    pub(super) who: &'static str,
    /// The numbers of each run, but for the last one.
    runs: Vec<Vec<f64>>,
    /// The last number: messages, coroutines.
    pub(super) objects: f64,
    /// System calls for each of those.
    pub(super) calls: Option<f64>,
    /// The most memory of each run, in kilobytes.
    peaks: Vec<f64>,
    pub(super) failure: Option<String>,
}

impl Runs {
    fn new(program: &Program<'_>) -> Self {
        Self {
            who: program.who,
            runs: Vec::new(),
            objects: 0.0,
            calls: None,
            peaks: Vec::new(),
            failure: None,
        }
    }

    /// The number in that column of each run.
    fn column(&self, column: usize) -> Vec<f64> {
        self.runs.iter().filter_map(|run| run.get(column).copied()).collect()
    }

    /// The median of the numbers in that column. `None` if the program failed.
    pub(super) fn median(&self, column: usize) -> Option<f64> {
        median(&self.column(column)).filter(|_| self.failure.is_none())
    }

    /// The median of the most memory of the runs, in kilobytes.
    pub(super) fn peak(&self) -> Option<f64> {
        median(&self.peaks).filter(|_| self.failure.is_none())
    }

    /// The ratio of the medians in that column, to those of a peer, and the range of the ratios of each round.
    pub(super) fn ratio(&self, theirs: &Self, at: usize) -> (Option<f64>, Option<(f64, f64)>) {
        let ratio = self.median(at).zip(theirs.median(at)).map(|(ours, theirs)| ours / theirs);
        let rounds = self.column(at).into_iter().zip(theirs.column(at));
        let each: Vec<f64> = rounds.map(|(ours, theirs)| ours / theirs).collect();
        (ratio, range(&each).filter(|_| ratio.is_some()))
    }

    /// Keeps what a run gave, or why it failed.
    fn keep(&mut self, numbers: Result<(Vec<f64>, Option<f64>)>) {
        match numbers {
            Ok((mut numbers, peak)) => {
                self.peaks.extend(peak);
                self.objects = numbers.pop().unwrap_or_default();
                self.runs.push(numbers);
            }
            Err(error) => self.failure = Some(format!("{error:#}")),
        }
    }
}

/// What can be counted here.
pub(super) struct Tools {
    pub(super) strace: bool,
    pub(super) callgrind: bool,
}

/// Runs the programs of a workload.
pub(super) fn measure(
    workload: &Workload,
    lua: &Interpreter,
    rounds: usize,
    tools: &Tools,
) -> Result<Measured> {
    let programs = lua.programs(workload)?;
    Ok(match workload.kind {
        Kind::Pair => Measured::Pair(pair(&programs[0]).map_err(|error| format!("{error:#}"))),
        Kind::Race { counts, calls } => {
            let mut runs = alternate(&programs, rounds, |program| program.run(counts));
            let calls = calls.filter(|_| tools.strace);
            for (program, runs) in programs.iter().zip(&mut runs) {
                if let (Some(counts), None) = (calls, &runs.failure) {
                    match program.calls(counts) {
                        Ok(calls) => runs.calls = Some(calls),
                        Err(error) => runs.failure = Some(format!("{error:#}")),
                    }
                }
            }
            Measured::Race(runs)
        }
        // Memory varies little.
        Kind::Memory { counts } => {
            Measured::Memory(alternate(&programs, rounds.min(3), |program| program.run(counts)))
        }
        Kind::Split { work } => Measured::Split(alternate(&programs, rounds, |program| split(program, work))),
        Kind::Twice { work, job } => {
            Measured::Split(alternate(&programs, rounds, |program| twice(program, work, job)))
        }
        Kind::Instructions { .. } if !tools.callgrind => Measured::Instructions(Ok(Vec::new())),
        Kind::Instructions { counts } => {
            Measured::Instructions(instructions(&programs[0], counts).map_err(|error| format!("{error:#}")))
        }
        Kind::Growth { sizes } => {
            Measured::Growth(growth(&programs[0], sizes).map_err(|error| format!("{error:#}")))
        }
        Kind::Startup { times } => Measured::Startup(alternate(&programs, rounds, |program| {
            Ok((vec![program.median(times)?, 1.0], None))
        })),
    })
}

/// Runs the programs in turn, several times. One that fails is not run again.
fn alternate(
    programs: &[Program<'_>],
    rounds: usize,
    run: impl Fn(&Program<'_>) -> Result<(Vec<f64>, Option<f64>)>,
) -> Vec<Runs> {
    let mut all: Vec<Runs> = programs.iter().map(Runs::new).collect();
    for _ in 0..rounds {
        for (program, runs) in programs.iter().zip(&mut all) {
            if runs.failure.is_none() {
                runs.keep(run(program));
            }
        }
    }
    all
}

/// The script compares; three times, as one run may have an unlucky layout in memory.
fn pair(program: &Program<'_>) -> Result<Vec<Line>> {
    let mut lines: Vec<Line> = Vec::new();
    for _ in 0..3 {
        for (title, time, ratio) in program.text(&[])?.lines().filter_map(pair_line) {
            match lines.iter_mut().find(|line| line.title == title) {
                Some(line) => {
                    line.times.push(time);
                    line.ratios.push(ratio);
                }
                None => lines.push(Line { title: title.to_owned(), times: vec![time], ratios: vec![ratio] }),
            }
        }
    }
    Ok(lines)
}

/// The same work by one thread, and by two: or by one process, and by two.
fn split(program: &Program<'_>, work: u32) -> Result<(Vec<f64>, Option<f64>)> {
    let (one, two) = if program.who == PROCESSES {
        (program.time(1, &[work])?, program.time(2, &[work / 2])?)
    } else {
        (program.time(1, &[work, 1])?, program.time(1, &[work, 2])?)
    };
    Ok((vec![one, two, two / one, 1.0], None))
}

/// Some work by one thread, and twice as much by two: or by one process, and by two.
fn twice(program: &Program<'_>, work: u32, job: u32) -> Result<(Vec<f64>, Option<f64>)> {
    let (one, two) = if program.who == PROCESSES {
        (program.time(1, &[job])?, program.time(2, &[job])?)
    } else {
        (program.time(1, &[work, 1])?, program.time(1, &[work, 2])?)
    };
    Ok((vec![one, two, two / one, 1.0], None))
}

/// Counts twice: what a program does once cancels out.
fn instructions(program: &Program<'_>, counts: (u32, u32)) -> Result<Vec<Count>> {
    let names = program.text(&[])?;
    let count = |name: &str| {
        let more = program.instructions(name, counts.1)? - program.instructions(name, counts.0)?;
        Ok(Count { title: name.to_owned(), instructions: more / f64::from(counts.1 - counts.0) })
    };
    names.lines().map(count).collect()
}

/// One program for each size.
fn growth(program: &Program<'_>, sizes: &[u32]) -> Result<Vec<Curve>> {
    let mut curves: Vec<Curve> = Vec::new();
    for &size in sizes {
        for (title, size, time) in program.text(&[size])?.lines().filter_map(growth_line) {
            match curves.iter_mut().find(|curve| curve.title == title) {
                Some(curve) => curve.points.push((size, time)),
                None => curves.push(Curve { title: title.to_owned(), points: vec![(size, time)] }),
            }
        }
    }
    Ok(curves)
}

/// `TITLE  SIZE  N ns`
fn growth_line(line: &str) -> Option<(&str, f64, f64)> {
    let mut parts = line.trim_end().rsplitn(3, "  ");
    let time = parts.next()?.strip_suffix(" ns")?.parse().ok()?;
    let size = parts.next()?.parse().ok()?;
    Some((parts.next()?, size, time))
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
    fn lines_of_pairs() {
        assert_eq!(
            pair_line("event, 2 values            138.9 ns   1.81"),
            Some(("event, 2 values", 138.9, 1.81))
        );
        assert_eq!(pair_line("Lua 5.4"), None);
        assert_eq!(pair_line(""), None);
    }

    #[test]
    fn lines_of_growth() {
        assert_eq!(
            growth_line("event, cancelled, any  1000  244.4 ns"),
            Some(("event, cancelled, any", 1000.0, 244.4))
        );
        assert_eq!(growth_line("nothing"), None);
    }

    #[test]
    fn what_grows() {
        let curve = Curve { title: String::new(), points: vec![(10.0, 2.0), (1000.0, 9.0), (1e5, 3.0)] };
        assert_eq!(curve.growth(), Some(1.5));
    }

    fn runs(runs: &[[f64; 2]]) -> Runs {
        let runs = runs.iter().map(|run| run.to_vec()).collect();
        Runs { who: "", runs, objects: 1.0, calls: None, peaks: Vec::new(), failure: None }
    }

    #[test]
    fn ratios_of_programs() {
        let ours = runs(&[[9.0, 1.0], [9.0, 2.0], [9.0, 6.0]]);
        let mut theirs = runs(&[[9.0, 4.0], [9.0, 4.0], [9.0, 3.0]]);
        assert_eq!(ours.ratio(&theirs, 1), (Some(0.5), Some((0.25, 2.0))));
        theirs.failure = Some(String::new());
        assert_eq!(ours.ratio(&theirs, 1), (None, None));
    }
}
