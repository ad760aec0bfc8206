//! `cargo xtask bench`: the workloads of `bench/`, here and on the peers that are installed.
//!
//! The programs of a workload run in turn, several times, so that whatever else the machine does touches all of them.
//! What is compared are medians of processor time: most of these programs never sleep, so on a machine that does nothing
//! else it is the time, and on a busy one it is what they cost. System calls are counted in runs of their own, as counting
//! them takes time; no noise touches their number.
//!
//! `rows` has the workloads, `program` what is run for them, `measure` runs it and gives numbers, `judge` compares these
//! with the targets, `print` writes both, `report` writes them into a page with plots.

mod judge;
mod machine;
mod measure;
mod plot;
mod print;
mod program;
mod report;
mod rows;
mod statistics;

use crate::lua::Version;
use anyhow::{Result, bail};
use measure::Tools;
use program::Interpreter;
use rows::{WORKLOADS, Workload};
use std::path::PathBuf;
use std::time::Instant;
use xshell::{Shell, cmd};

/// How often each program runs, and which ones.
pub(crate) struct Options {
    /// 5.4 and LuaJIT, if there is none; and for a page the primitives on the others.
    pub(crate) versions: Option<Vec<Version>>,
    pub(crate) rounds: usize,
    /// All, if there is none.
    pub(crate) names: Vec<String>,
    /// Where to write a page.
    pub(crate) folder: Option<PathBuf>,
}

impl Options {
    fn workloads(&self) -> Result<Vec<&'static Workload>> {
        if let Some(name) =
            self.names.iter().find(|name| WORKLOADS.iter().all(|workload| workload.name != *name))
        {
            let names: Vec<_> = WORKLOADS.iter().map(|workload| workload.name).collect();
            bail!("there is no workload `{name}`; there are {}", names.join(" "));
        }
        let named = |workload: &&Workload| self.names.iter().any(|name| workload.name == name);
        Ok(WORKLOADS.iter().filter(|workload| self.names.is_empty() || named(workload)).collect())
    }
}

/// The versions that run everything by default.
const VERSIONS: [Version; 2] = [Version::Lua54, Version::Jit];

/// Runs the workloads; prints a table for each, and how many targets were met; writes a page, if that is wanted.
pub(crate) fn bench(sh: &Shell, options: &Options) -> Result<()> {
    let all = options.workloads()?;
    let primitives: Vec<_> = all.iter().copied().filter(|workload| workload.kind.is_primitive()).collect();
    let tools = Tools {
        strace: cmd!(sh, "strace -c -o /dev/null true").quiet().ignore_stdout().ignore_stderr().run().is_ok(),
        callgrind: cmd!(sh, "valgrind --version").quiet().ignore_stdout().ignore_stderr().run().is_ok(),
    };
    if !tools.strace {
        println!("strace is missing or may not trace: system calls are not counted\n");
    }
    if !tools.callgrind {
        println!("valgrind is missing: instructions are not counted\n");
    }
    let mut runs: Vec<_> =
        options.versions.as_deref().unwrap_or(&VERSIONS).iter().map(|version| (*version, &all)).collect();
    if options.versions.is_none() && options.folder.is_some() {
        let others = Version::ALL.into_iter().filter(|version| !VERSIONS.contains(version));
        runs.extend(others.map(|version| (version, &primitives)));
    }
    let mut score = print::Score::default();
    let mut sections = Vec::new();
    // First of all, so that what this builds counts neither as time nor as load.
    let mut interpreters = Vec::new();
    for (version, workloads) in runs {
        if workloads.is_empty() {
            continue;
        }
        match Interpreter::find(sh, version, workloads)? {
            Some(lua) => interpreters.push((lua, workloads)),
            None => println!("{} is not installed: skipped\n", version.interpreter()),
        }
    }
    let (begun, load_before) = (Instant::now(), machine::load());
    for (lua, workloads) in interpreters {
        print::interpreter(&lua);
        let mut entries = Vec::new();
        for &workload in workloads {
            print::title(workload);
            let measured = measure::measure(workload, &lua, options.rounds, &tools)?;
            print::table(&measured, &mut score);
            let verdicts = judge::judge(workload, lua.version, &measured);
            for verdict in &verdicts {
                print::verdict(verdict, &mut score);
            }
            println!();
            entries.push(report::Entry { workload, measured, verdicts });
        }
        sections.push(report::Section { version: lua.version, versions: lua.versions, entries });
        // After each of them, as somebody may lose patience.
        if let Some(folder) = &options.folder {
            let minutes = begun.elapsed().as_secs_f64() / 60.0;
            let how = report::Circumstances { rounds: options.rounds, load_before: &load_before, minutes };
            report::write(sh, folder, &sections, &how)?;
            println!("{}\n", folder.join("results.md").display());
        }
    }
    score.print();
    if score.failed > 0 {
        bail!("{} programs failed", score.failed);
    }
    Ok(())
}
