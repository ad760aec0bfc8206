//! `cargo xtask test`: everything.
//!
//! The Rust tests; then the Lua tests, which are plain scripts, run by the command of each version (debug build, so with
//! its checks), and by each interpreter that is installed, with the module (release build). Lua 5.5 is in no
//! distribution yet: there the command, without what is built in, is the interpreter.

use crate::build;
use crate::lua::Version;
use crate::projects;
use crate::soak;
use anyhow::{Context, Result, bail};
use std::io::Read;
use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};
use xshell::{Shell, cmd};

const SUITE: &str = "coutil-lua/tests/lua";

/// A script that takes longer hangs.
const LIMIT: Duration = Duration::from_secs(600);

/// Passed, failed and skipped tests.
#[derive(Default)]
pub(crate) struct Count {
    pub(crate) passed: u64,
    pub(crate) failed: u64,
    pub(crate) skipped: u64,
}

impl Count {
    fn add(&mut self, other: &Count) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.skipped += other.skipped;
    }

    /// Ends a job that has nothing else to tell.
    pub(crate) fn ended_well(&self) -> Result<()> {
        println!("{} passed, {} failed", self.passed, self.failed);
        if self.failed > 0 {
            bail!("{} failed", self.failed);
        }
        Ok(())
    }

    /// The numbers in a line like `3 passed, 0 failed, 1 skipped`, or `3 passed; 0 failed; 1 ignored`.
    fn parse(line: &str) -> Option<Count> {
        let number = |word: &str| {
            let words: Vec<&str> = line.split([' ', ',', ';', '.']).filter(|part| !part.is_empty()).collect();
            let at = words.iter().position(|part| *part == word)?;
            words.get(at.checked_sub(1)?)?.parse::<u64>().ok()
        };
        Some(Count {
            passed: number("passed")?,
            failed: number("failed")?,
            skipped: number("skipped").or_else(|| number("ignored")).unwrap_or(0),
        })
    }
}

/// Runs the tests; says what ran, and what was skipped; ends with one line that counts all of them.
pub(crate) fn test(sh: &Shell, versions: Option<Vec<Version>>, filter: Option<String>) -> Result<()> {
    let mut total = Count::default();
    let everything = versions.is_none() && filter.is_none();
    let versions = versions.unwrap_or(Version::ALL.to_vec());
    if everything {
        total.add(&rust(
            sh,
            &[
                "--workspace",
                "--exclude",
                "coutil-lua",
                "--exclude",
                "coutil-bench-plain",
                "--features",
                "coutil-system/futures-io",
            ],
        )?);
        {
            // The poller of systems other than Linux; in a folder of its own, as the flag changes every crate.
            let _flags = sh.push_env("RUSTFLAGS", "--cfg coutil_portable_poller");
            total.add(&rust(
                sh,
                &["--package", "coutil-system", "--all-features", "--target-dir", "target/portable"],
            )?);
        }
        {
            // Where threads meet, in all orders; likewise.
            let _flags = sh.push_env("RUSTFLAGS", "--cfg loom");
            let packages = ["--package", "coutil-channel", "--package", "coutil-threads"];
            let args = ["--test", "loom", "--release", "--target-dir", "target/loom"];
            total.add(&rust(sh, &[&packages[..], &args].concat())?);
        }
        total.add(&rust(sh, &["--package", "coutil-lua", "--features", "vendored,prompt,lua54"])?);
    }
    for &version in &versions {
        if filter.is_none() && !(everything && version == Version::Lua54) {
            let features = format!("vendored,prompt,{}", version.feature());
            total.add(&rust(sh, &["--package", "coutil-lua", "--lib", "--tests", "--features", &features])?);
        }
        let command = build::command(sh, version, false)?;
        let embedded =
            Interpreter { title: format!("{} embedded", version.name()), command, ..Default::default() };
        let folder = build::module(sh, version)?;
        let with_module = with_module(sh, version, folder)?;
        suite(sh, &embedded, &filter, &mut total)?;
        let Some(with_module) = with_module else {
            println!("skipped: {} is not installed", version.interpreter());
            continue;
        };
        suite(sh, &with_module, &filter, &mut total)?;
        for mode in modes(version) {
            let title = format!("{}, {mode} collections", with_module.title);
            let interpreter = Interpreter { title, collector: Some(mode), ..with_module.clone() };
            suite(sh, &interpreter, &filter, &mut total)?;
        }
        if version == Version::Lua54 {
            valgrind(sh, &with_module, &filter, &mut total)?;
        }
    }
    if everything {
        total.add(&soak::short(sh)?);
        examples(sh, &mut total)?;
    }
    println!("{} passed, {} failed", total.passed, total.failed);
    if total.failed > 0 {
        bail!("{} tests failed", total.failed);
    }
    Ok(())
}

/// Runs `cargo test` with these arguments, and counts.
fn rust(sh: &Shell, args: &[&str]) -> Result<Count> {
    println!("== cargo test {}", args.join(" "));
    let output = cmd!(sh, "cargo test --quiet --locked {args...}").ignore_status().quiet().output()?;
    let text = String::from_utf8_lossy(&output.stdout);
    let mut count = Count::default();
    for line in text.lines().filter_map(|line| line.strip_prefix("test result: ")) {
        count.add(&Count::parse(line).with_context(|| format!("what does this mean: {line}"))?);
    }
    if !output.status.success() {
        print!("{text}");
        eprint!("{}", String::from_utf8_lossy(&output.stderr));
        // What did not compile is a failure too.
        count.failed = count.failed.max(1);
    }
    println!("   {} passed, {} failed", count.passed, count.failed);
    Ok(count)
}

/// Where a module is.
#[derive(Clone)]
pub(crate) struct Installed {
    /// The folder with its Lua files.
    pub(crate) lua: PathBuf,
    /// The folder with the library.
    pub(crate) library: PathBuf,
}

/// Runs the suite with a module that is installed somewhere.
pub(crate) fn installed(sh: &Shell, version: Version, module: Installed) -> Result<()> {
    let (command, args) = interpreter(sh, version)?.context("there is no interpreter")?;
    let title = format!("{} installed", version.name());
    let interpreter = Interpreter { title, command, args, module: Some(module), ..Default::default() };
    let mut total = Count::default();
    suite(sh, &interpreter, &None, &mut total)?;
    if total.failed > 0 {
        bail!("{} tests failed", total.failed);
    }
    Ok(())
}

/// Runs the tests whose file names are `chosen`, with a command in which the library is built in, and which is slow.
pub(crate) fn slow(
    sh: &Shell,
    title: &str,
    command: PathBuf,
    variables: Vec<(&'static str, String)>,
    chosen: fn(&str) -> bool,
) -> Result<Count> {
    let (title, scale, chosen) = (title.to_owned(), Some(20), Some(chosen));
    let interpreter = Interpreter { title, command, scale, variables, chosen, ..Default::default() };
    let mut total = Count::default();
    suite(sh, &interpreter, &None, &mut total)?;
    Ok(total)
}

/// What runs the Lua tests.
#[derive(Clone, Default)]
pub(crate) struct Interpreter {
    title: String,
    command: PathBuf,
    args: Vec<String>,
    /// Where the module is; none if the library is built in.
    module: Option<Installed>,
    /// What the tests are to do with the collector.
    collector: Option<&'static str>,
    /// By how much the large tests are to be smaller.
    scale: Option<u32>,
    /// Variables that it is to have besides.
    variables: Vec<(&'static str, String)>,
    /// Which files it is to run, by their names, if not all.
    chosen: Option<fn(&str) -> bool>,
}

impl Interpreter {
    /// What runs a script, in that directory.
    pub(crate) fn command(&self, directory: &Path, script: &Path) -> Command {
        let mut command = Command::new(&self.command);
        command.args(&self.args).arg(script).current_dir(directory).stdin(Stdio::null());
        let support = directory.join(SUITE).join("support/?.lua");
        let (mut path, mut cpath) = (support.display().to_string(), String::new());
        if let Some(module) = &self.module {
            path += &format!(";{}", module.lua.join("?.lua").display());
            cpath = module.library.join("?.so").display().to_string();
        }
        // The variables with a version would come first.
        for version in ["5_2", "5_3", "5_4", "5_5"] {
            command.env_remove(format!("LUA_PATH_{version}")).env_remove(format!("LUA_CPATH_{version}"));
        }
        command.env("LUA_PATH", path).env("LUA_CPATH", cpath).env_remove("LUA_INIT");
        match self.collector {
            Some(mode) => command.env("COUTIL_TEST_GC", mode),
            None => command.env_remove("COUTIL_TEST_GC"),
        };
        match self.scale {
            Some(scale) => command.env("COUTIL_TEST_SCALE", scale.to_string()),
            None => command.env_remove("COUTIL_TEST_SCALE"),
        };
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        // Scripts that tests start, and which end with something pending, are to end as in any interpreter.
        command.env("COUTIL_LOOP", "no");
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    fn run(&self, directory: &Path, script: &Path) -> Result<Output> {
        let child = self.command(directory, script).spawn();
        let child = child.with_context(|| format!("{} did not start", self.command.display()))?;
        within(LIMIT, child).with_context(|| script.display().to_string())
    }
}

/// The interpreter of a version, with the module in that folder; none if it is not installed.
pub(crate) fn with_module(sh: &Shell, version: Version, folder: PathBuf) -> Result<Option<Interpreter>> {
    Ok(interpreter(sh, version)?.map(|(command, args)| Interpreter {
        title: format!("{} module", version.name()),
        command,
        args,
        module: Some(Installed { lua: folder.clone(), library: folder }),
        ..Default::default()
    }))
}

/// The output of a process, which is ended if it takes longer than that.
pub(crate) fn within(limit: Duration, mut child: Child) -> Result<Output> {
    let (done, is_done) = mpsc::channel::<()>();
    let id = i32::try_from(child.id())?;
    let (mut stdout, mut stderr) = (child.stdout.take(), child.stderr.take());
    thread::scope(|scope| {
        scope.spawn(move || {
            if is_done.recv_timeout(limit) == Err(RecvTimeoutError::Timeout) {
                eprintln!("   it takes more than {} s", limit.as_secs());
                let _ = Command::new("kill").args(["-KILL", &id.to_string()]).status();
            }
        });
        let errors = scope.spawn(move || read(&mut stderr));
        let stdout = read(&mut stdout);
        let stderr = errors.join().unwrap_or_default();
        let status = child.wait()?;
        drop(done);
        Ok(Output { status, stdout, stderr })
    })
}

fn read(stream: &mut Option<impl Read>) -> Vec<u8> {
    let mut bytes = Vec::new();
    if let Some(stream) = stream {
        // What can be read of it is shown.
        let _ = stream.read_to_end(&mut bytes);
    }
    bytes
}

/// What the tests are run with besides the default of the version.
fn modes(version: Version) -> &'static [&'static str] {
    match version {
        Version::Lua54 => &["full", "generational"],
        // Its default is the generational mode.
        Version::Lua55 => &["incremental"],
        Version::Lua51 | Version::Jit => &["full"],
        _ => &[],
    }
}

/// The interpreter of a version, with what makes it leave the built-in library alone.
pub(crate) fn interpreter(sh: &Shell, version: Version) -> Result<Option<(PathBuf, Vec<String>)>> {
    let name = version.interpreter();
    if cmd!(sh, "{name} -v").ignore_status().quiet().ignore_stdout().ignore_stderr().run().is_ok() {
        return Ok(Some((name.into(), Vec::new())));
    }
    if version == Version::Lua55 {
        return Ok(Some((build::command(sh, version, true)?, vec!["--bare".to_owned()])));
    }
    Ok(None)
}

/// The files of the suite that a filter leaves.
fn scripts(sh: &Shell, filter: &Option<String>) -> Result<Vec<PathBuf>> {
    let mut scripts = sh.read_dir(SUITE)?;
    scripts.retain(|path| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        name.ends_with(".lua") && filter.as_ref().is_none_or(|filter| name.contains(filter.as_str()))
    });
    scripts.sort();
    Ok(scripts)
}

/// Runs the suite, as many scripts at a time as there are processors.
fn suite(sh: &Shell, interpreter: &Interpreter, filter: &Option<String>, total: &mut Count) -> Result<()> {
    println!("== Lua {}", interpreter.title);
    let begun = Instant::now();
    let mut scripts = scripts(sh, filter)?;
    if let Some(chosen) = interpreter.chosen {
        scripts.retain(|path| chosen(&path.file_name().unwrap_or_default().to_string_lossy()));
    }
    let next = AtomicUsize::new(0);
    let directory = sh.current_dir();
    let work = || {
        let mut sum = Count::default();
        while let Some(script) = scripts.get(next.fetch_add(1, Ordering::Relaxed)) {
            sum.add(&count(script, &interpreter.run(&directory, script)?));
        }
        Ok::<_, anyhow::Error>(sum)
    };
    let mut sum = Count::default();
    thread::scope(|scope| {
        let workers = thread::available_parallelism().map_or(1, NonZero::get);
        let workers: Vec<_> = (0..workers).map(|_| scope.spawn(work)).collect();
        for worker in workers {
            sum.add(&worker.join().expect("it does not panic")?);
        }
        Ok::<_, anyhow::Error>(())
    })?;
    let seconds = begun.elapsed().as_secs();
    println!("   {} passed, {} failed, {} skipped, in {seconds} s", sum.passed, sum.failed, sum.skipped);
    total.add(&sum);
    Ok(())
}

/// The count that a script printed last. One that printed none, or ended badly, failed.
fn count(script: &Path, output: &Output) -> Count {
    let stdout = String::from_utf8_lossy(&output.stdout);
    let found = stdout.lines().rev().find_map(Count::parse);
    let mut count = found.unwrap_or(Count { failed: 1, ..Count::default() });
    if !output.status.success() || count.failed > 0 {
        count.failed = count.failed.max(1);
        // At once: others may have something to tell too.
        let errors = String::from_utf8_lossy(&output.stderr);
        print!("   {}: {}\n{stdout}{errors}", script.display(), output.status);
    }
    count
}

/// Runs the suite under valgrind: any error, and anything that is definitely lost, fails the script.
fn valgrind(sh: &Shell, interpreter: &Interpreter, filter: &Option<String>, total: &mut Count) -> Result<()> {
    if cmd!(sh, "valgrind --version").quiet().ignore_stdout().ignore_stderr().run().is_err() {
        println!("skipped: valgrind is not installed");
        return Ok(());
    }
    // Threads that look up names still run at the end: what the C library keeps for them is not to be freed under them, as
    // then it counts as lost.
    let freeres = "--run-libc-freeres=no";
    // A child that does not become another program ends with what it has of this one.
    let children = "--child-silent-after-fork=yes";
    let mut args: Vec<String> = [
        "--quiet",
        "--error-exitcode=99",
        "--leak-check=full",
        "--errors-for-leak-kinds=definite",
        freeres,
        children,
    ]
    .map(str::to_owned)
    .into();
    args.push(interpreter.command.display().to_string());
    args.extend(interpreter.args.iter().cloned());
    let interpreter = Interpreter {
        title: format!("{} under valgrind", interpreter.title),
        command: "valgrind".into(),
        args,
        scale: Some(50),
        ..interpreter.clone()
    };
    suite(sh, &interpreter, filter, total)
}

/// Runs the examples that end by themselves, with every version; and those that are projects of their own.
fn examples(sh: &Shell, total: &mut Count) -> Result<()> {
    println!("== examples");
    let mut sum = Count::default();
    for version in Version::ALL {
        let command = build::folder(sh, version).join("bin/coutil-debug");
        for example in ["examples/pipeline.lua", "examples/workers.lua"] {
            let output = Command::new(&command).arg(example).current_dir(sh.current_dir()).output()?;
            if output.status.success() {
                sum.passed += 1;
            } else {
                sum.failed += 1;
                eprint!("{}", String::from_utf8_lossy(&output.stderr));
            }
        }
    }
    sum.add(&projects::run(sh, &Version::ALL)?);
    println!("   {} passed, {} failed", sum.passed, sum.failed);
    total.add(&sum);
    Ok(())
}
