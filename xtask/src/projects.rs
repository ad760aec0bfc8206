//! The examples that are projects of their own, as those of a user are: outside of the workspace.

use crate::build;
use crate::lua::Version;
use crate::test::Count;
use anyhow::Result;
use xshell::{PushDir, Shell, cmd};

const RUST: [&str; 2] = ["rust-primitives", "rust-embed"];

/// Builds and runs them: the Rust ones, and the module in the interpreters that are installed of these versions.
pub(crate) fn run(sh: &Shell, versions: &[Version]) -> Result<Count> {
    let mut count = Count::default();
    for name in RUST {
        let ran = project(sh, name);
        note(&mut count, name, ran);
    }
    for version in versions {
        let (name, interpreter) = (version.name(), version.interpreter());
        if cmd!(sh, "{interpreter} -v").ignore_status().quiet().ignore_stdout().ignore_stderr().run().is_err()
        {
            println!("skipped: {interpreter} is not installed");
            continue;
        }
        let ran = cmd!(sh, "examples/stock-lua/run.sh {name}").quiet().run();
        note(&mut count, interpreter, ran.map_err(Into::into));
    }
    Ok(count)
}

fn note(count: &mut Count, name: &str, ran: Result<()>) {
    match ran {
        Ok(()) => count.passed += 1,
        Err(error) => {
            count.failed += 1;
            println!("   {name}: {error:#}");
        }
    }
}

/// Formatting and lints of the Rust ones.
pub(crate) fn lint(sh: &Shell) -> Result<()> {
    for name in RUST {
        let target = build::target(sh);
        let _folder = enter(sh, name)?;
        cmd!(sh, "cargo fmt --check").run()?;
        cmd!(sh, "cargo clippy --all-targets --target-dir {target} -- --deny warnings").run()?;
    }
    Ok(())
}

fn project(sh: &Shell, name: &str) -> Result<()> {
    let target = build::target(sh);
    let _folder = enter(sh, name)?;
    cmd!(sh, "cargo run --quiet --target-dir {target}").quiet().run()?;
    Ok(())
}

/// Goes to the folder of a Rust project, with the versions of this workspace: so in its target folder only our own crates are built again.
fn enter<'a>(sh: &'a Shell, name: &str) -> Result<PushDir<'a>> {
    let folder = sh.current_dir().join("examples").join(name);
    sh.copy_file("Cargo.lock", &folder)?;
    Ok(sh.push_dir(folder))
}
