//! `cargo xtask bench`: the workloads of `bench/`, here and on the peers that are installed.
//!
//! The programs of a workload run in turn, several times, so that whatever else the machine does touches all of them.
//! What is compared are medians of processor time: most of these programs never sleep, so on a machine that does nothing
//! else it is the time, and on a busy one it is what they cost. System calls are counted in runs of their own, as counting
//! them takes time; no noise touches their number.
//!
//! `rows` has the workloads, `program` what is run for them, `measure` runs it and gives numbers, `judge` compares these
//! with the targets, `print` writes both.

mod judge;
mod measure;
mod print;
mod program;
mod rows;
mod statistics;

use crate::lua::Version;
use anyhow::{Result, bail};
use program::Interpreter;
use rows::{WORKLOADS, Workload};
use xshell::{Shell, cmd};

/// How often each program runs, and which ones.
pub(crate) struct Options {
    pub(crate) versions: Vec<Version>,
    pub(crate) rounds: usize,
    /// All, if there is none.
    pub(crate) names: Vec<String>,
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

/// Runs the workloads; prints a table for each, and how many targets were met.
pub(crate) fn bench(sh: &Shell, options: &Options) -> Result<()> {
    let workloads = options.workloads()?;
    let strace =
        cmd!(sh, "strace -c -o /dev/null true").quiet().ignore_stdout().ignore_stderr().run().is_ok();
    if !strace {
        println!("strace is missing or may not trace: system calls are not counted\n");
    }
    let mut score = print::Score::default();
    for &version in &options.versions {
        let Some(lua) = Interpreter::find(sh, version, &workloads)? else {
            println!("{} is not installed: skipped\n", version.interpreter());
            continue;
        };
        print::interpreter(&lua);
        for workload in &workloads {
            print::title(workload);
            let measured = measure::measure(workload, &lua, options.rounds, strace)?;
            print::table(&measured, &mut score);
            for verdict in judge::judge(workload, version, &measured) {
                print::verdict(&verdict, &mut score);
            }
            println!();
        }
    }
    score.print();
    if score.failed > 0 {
        bail!("{} programs failed", score.failed);
    }
    Ok(())
}
