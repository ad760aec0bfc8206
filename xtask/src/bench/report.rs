//! Writes what was measured into a page, and plots beside it.

use super::judge::Verdict;
use super::machine;
use super::measure::{Count, Curve, Line, Measured, Runs};
use super::plot::{self, Against, Bar};
use super::program::{BARE, FLOOR, PLAIN, PROCESSES};
use super::rows::{Kind, Workload};
use super::statistics::{median, range};
use crate::lua::Version;
use anyhow::Result;
use std::fmt::Write;
use std::path::Path;
use xshell::Shell;

/// A workload, and what came out.
pub(super) struct Entry {
    pub(super) workload: &'static Workload,
    pub(super) measured: Measured,
    pub(super) verdicts: Vec<Verdict>,
}

/// What was measured on an interpreter.
pub(super) struct Section {
    pub(super) version: Version,
    /// Of the interpreter, and of the peers.
    pub(super) versions: Vec<String>,
    pub(super) entries: Vec<Entry>,
}

/// How it was measured.
pub(super) struct Circumstances<'a> {
    pub(super) rounds: usize,
    pub(super) load_before: &'a str,
    pub(super) minutes: f64,
}

/// Writes `results.md`, and for each section its plots.
pub(super) fn write(sh: &Shell, folder: &Path, sections: &[Section], how: &Circumstances<'_>) -> Result<()> {
    sh.create_dir(folder)?;
    let mut page = String::from("# Results of the benchmarks\n\n");
    page += "`cargo xtask bench --write` has written this page. [Benchmarks](../benchmarks.md) says what the workloads are and how to read it.\n\n";
    for line in machine::describe(sh)? {
        page += &format!("- {line}\n");
    }
    page += &format!(
        "- {} rounds, in {:.0} minutes; load {} at the start, {} at the end: what is above the number of processors had to wait\n",
        how.rounds,
        how.minutes,
        how.load_before,
        machine::load()
    );
    for section in sections {
        let name = section.version.name();
        page += &format!("\n## {}\n\n{}.\n", section.version.title(), section.versions.join(", "));
        let bars: Vec<Bar> = section.entries.iter().flat_map(bars).collect();
        // Those of the primitives alone would say little.
        if section.entries.iter().any(|entry| !entry.workload.kind.is_primitive()) && !bars.is_empty() {
            let title = format!("{}: ours to theirs, less is better", section.version.title());
            sh.write_file(folder.join(format!("ratios-{name}.svg")), plot::bars(&title, &bars))?;
            page += &format!("\n![Ratios of all workloads, as in the table below.](ratios-{name}.svg)\n");
        }
        page += &tables(section);
        for entry in &section.entries {
            let Measured::Growth(Ok(curves)) = &entry.measured else { continue };
            let lines: Vec<plot::Curve> = curves
                .iter()
                .map(|curve| plot::Curve { label: curve.title.clone(), points: curve.points.clone() })
                .collect();
            let title = format!("{}: an operation, by how many others wait", section.version.title());
            sh.write_file(folder.join(format!("growth-{name}.svg")), plot::curves(&title, &lines))?;
            page += &format!("\n### How cost grows on {}\n\n", section.version.title());
            page +=
                &format!("![Nanoseconds of each operation, as in the table below.](growth-{name}.svg)\n\n");
            page += &growth(curves, &entry.verdicts);
        }
    }
    sh.write_file(folder.join("results.md"), page)?;
    Ok(())
}

/// The tables of an interpreter, but for how cost grows.
fn tables(section: &Section) -> String {
    let mut primitives = String::new();
    let mut workloads = String::new();
    for entry in &section.entries {
        match &entry.measured {
            Measured::Pair(Ok(lines)) => {
                for line in lines {
                    primitives += &pair(line, &entry.verdicts);
                }
            }
            Measured::Instructions(Ok(counts)) => {
                for count in counts {
                    primitives += &instructions(count, counts);
                }
            }
            Measured::Growth(Ok(_)) => {}
            Measured::Pair(Err(failure))
            | Measured::Instructions(Err(failure))
            | Measured::Growth(Err(failure)) => {
                workloads += &format!(
                    "| `{}` | failed: {} | | | | | | |\n",
                    entry.workload.name,
                    failure.replace('\n', " ")
                );
            }
            measured => workloads += &rows(entry, measured.runs()),
        }
    }
    let mut text = String::new();
    if !primitives.is_empty() {
        text += "\n| primitive | each | to the bare pair | at most | |\n| --- | ---: | ---: | ---: | --- |\n";
        text += &primitives;
    }
    if !workloads.is_empty() {
        text += "\n| workload | ours | against | theirs | ratio (rounds) | at most | | calls each | peak MB |\n\
                 | --- | ---: | --- | ---: | ---: | ---: | --- | ---: | ---: |\n";
        text += &workloads;
    }
    text
}

fn pair(line: &Line, verdicts: &[Verdict]) -> String {
    let verdict =
        verdicts.iter().find(|verdict| verdict.target.strip_suffix(" to the bare pair") == Some(&line.title));
    format!(
        "| {} | {} ns | {} | {} |\n",
        line.title,
        number(median(&line.times), 0),
        ratio(median(&line.ratios), range(&line.ratios)),
        judged(verdict),
    )
}

/// The first one is the bare pair.
fn instructions(count: &Count, all: &[Count]) -> String {
    let bare = all.first().map_or(1.0, |bare| bare.instructions);
    format!(
        "| {} | {:.0} instructions | {:.2} | | |\n",
        count.title,
        count.instructions,
        count.instructions / bare
    )
}

/// One row for each program that ours is compared with, and for each target that has none.
fn rows(entry: &Entry, runs: &[Runs]) -> String {
    let Some((ours, theirs)) = runs.split_first() else { return String::new() };
    let mut first = true;
    let mut head =
        || if std::mem::take(&mut first) { format!("`{}`", entry.workload.name) } else { String::new() };
    let mut text = String::new();
    for their in theirs {
        let (value, range) = compared(entry, ours, their);
        let verdict = entry.verdicts.iter().find(|verdict| {
            verdict.target.ends_with(&format!(" to {}", their.who))
                || their.who == PROCESSES && verdict.target.ends_with("that of processes")
        });
        writeln!(
            text,
            "| {} | {} | {} | {} | {} | {} | {} | {} |",
            head(),
            each(entry, ours),
            their.who,
            their.failure.as_ref().map_or_else(|| each(entry, their), |_| "failed".to_owned()),
            ratio(value, range),
            judged(verdict),
            both(number(ours.calls, 2), number(their.calls, 2)),
            both(megabytes(ours), megabytes(their)),
        )
        .expect("a string takes everything");
    }
    let alone = entry.verdicts.iter().filter(|verdict| !verdict.target.contains(" to "));
    for verdict in alone.chain(entry.verdicts.iter().filter(|verdict| verdict.target == "two to one")) {
        let value = number(verdict.value, 2);
        writeln!(
            text,
            "| {} | {} | {} | | {value} | {} | | |",
            head(),
            each(entry, ours),
            verdict.target,
            judged(Some(verdict))
        )
        .expect("a string takes everything");
    }
    if let Some(failure) = &ours.failure {
        writeln!(text, "| {} | failed: {} | | | | | | | |", head(), failure.replace('\n', " "))
            .expect("a string takes everything");
    }
    text
}

/// In which column of a run that is which is compared.
fn column(kind: &Kind) -> usize {
    match kind {
        Kind::Race { .. } => 1,
        Kind::Split { .. } | Kind::Twice { .. } => 2,
        _ => 0,
    }
}

fn compared(entry: &Entry, ours: &Runs, theirs: &Runs) -> (Option<f64>, Option<(f64, f64)>) {
    let (value, range) = ours.ratio(theirs, column(&entry.workload.kind));
    if !matches!(entry.workload.kind, Kind::Memory { .. }) {
        return (value, range);
    }
    // Of each object: a peer may have had fewer of them.
    let scale = theirs.objects / ours.objects;
    (value.map(|value| value * scale), range.map(|(least, most)| (least * scale, most * scale)))
}

/// What one of it takes.
fn each(entry: &Entry, runs: &Runs) -> String {
    let value = runs.median(column(&entry.workload.kind));
    match entry.workload.kind {
        Kind::Race { .. } => format!("{} µs", number(value.map(|seconds| seconds / runs.objects * 1e6), 3)),
        Kind::Memory { .. } => format!("{} KB", number(value.map(|kilobytes| kilobytes / runs.objects), 2)),
        Kind::Startup { .. } => format!("{} ms", number(value, 2)),
        _ => number(value, 2),
    }
}

fn megabytes(runs: &Runs) -> String {
    number(runs.peak().map(|kilobytes| kilobytes / 1024.0), 1)
}

fn both(ours: String, theirs: String) -> String {
    if ours == "-" && theirs == "-" { String::new() } else { format!("{ours} / {theirs}") }
}

fn number(value: Option<f64>, digits: usize) -> String {
    value.map_or_else(|| "-".to_owned(), |value| format!("{value:.digits$}"))
}

/// `RATIO (LEAST to MOST)`
fn ratio(value: Option<f64>, range: Option<(f64, f64)>) -> String {
    let range = range.map_or_else(String::new, |(least, most)| format!(" ({least:.2} to {most:.2})"));
    number(value, 2) + &range
}

/// Two cells.
fn judged(verdict: Option<&Verdict>) -> String {
    let Some(verdict) = verdict else { return " | ".to_owned() };
    let word = match verdict.value {
        None => "not measured",
        Some(value) if value <= verdict.limit => "met",
        Some(_) => "**missed**",
    };
    let floor = verdict.floor.map_or_else(String::new, |floor| format!("; the calls alone {floor:.2}"));
    format!("{:.2} | {word}{floor}", verdict.limit)
}

/// The ratios of an entry.
fn bars(entry: &Entry) -> Vec<Bar> {
    let name = entry.workload.name;
    if let Measured::Pair(Ok(lines)) = &entry.measured {
        // The first is the bare pair itself.
        return lines
            .iter()
            .skip(1)
            .map(|line| Bar {
                label: format!("{}, bare pair", line.title),
                value: median(&line.ratios).unwrap_or_default(),
                range: range(&line.ratios),
                against: Against::Floor,
            })
            .collect();
    }
    let Some((ours, theirs)) = entry.measured.runs().split_first() else { return Vec::new() };
    let bar = |their: &Runs| {
        let (value, range) = compared(entry, ours, their);
        let floor = [FLOOR, PLAIN, PROCESSES, BARE].contains(&their.who);
        let against = if floor { Against::Floor } else { Against::Peer };
        Some(Bar { label: format!("{name}, {}", their.who), value: value?, range, against })
    };
    theirs.iter().filter_map(bar).collect()
}

fn growth(curves: &[Curve], verdicts: &[Verdict]) -> String {
    let mut text = String::from(
        "| operation | others: ns each | | | grows by | at most | |\n| --- | ---: | ---: | ---: | ---: | ---: | --- |\n",
    );
    for curve in curves {
        let cells: Vec<String> =
            curve.points.iter().map(|(size, time)| format!("{size}: {time:.0}")).collect();
        let verdict = verdicts.iter().find(|verdict| verdict.target == curve.title);
        writeln!(
            text,
            "| {} | {} | {} | {} |",
            curve.title,
            cells.join(" | "),
            number(curve.growth(), 2),
            judged(verdict)
        )
        .expect("a string takes everything");
    }
    text
}
