//! Where something was measured.

use anyhow::Result;
use std::fs;
use xshell::{Shell, cmd};

/// The machine, the system and the tools, a line each. Nothing that names the machine.
pub(super) fn describe(sh: &Shell) -> Result<Vec<String>> {
    let cpu = value("/proc/cpuinfo", "model name").unwrap_or_else(|| std::env::consts::ARCH.to_owned());
    let processors = std::thread::available_parallelism()?;
    let kilobytes = value("/proc/meminfo", "MemTotal").unwrap_or_default();
    let megabytes = kilobytes.strip_suffix(" kB").and_then(|number| number.parse::<u64>().ok());
    let memory =
        megabytes.map_or_else(String::new, |number| format!(", {:.1} GiB", number as f64 / 1_048_576.0));
    let system = value("/etc/os-release", "PRETTY_NAME").unwrap_or_else(|| std::env::consts::OS.to_owned());
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let mut lines = vec![
        format!("{cpu}; {processors} processors{memory}"),
        format!("{}; kernel {}", system.trim_matches('"'), kernel.trim()),
        cmd!(sh, "rustc --version").quiet().read()?,
    ];
    if let Ok(commit) = cmd!(sh, "git log -1 --format=%h").quiet().ignore_stderr().read() {
        lines.push(format!("commit {commit}"));
    }
    lines.push(cmd!(sh, "date -u +%F").quiet().read()?);
    Ok(lines)
}

/// How many want a processor, on the average of the last minute.
pub(super) fn load() -> String {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split_whitespace().next().unwrap_or("?").to_owned()
}

/// What a file says of a name: `NAME : VALUE` or `NAME=VALUE`.
fn value(file: &str, name: &str) -> Option<String> {
    let text = fs::read_to_string(file).ok()?;
    let rest = text.lines().find_map(|line| line.strip_prefix(name))?;
    Some(rest.trim_start_matches([' ', '\t', ':', '=']).trim().to_owned())
}
