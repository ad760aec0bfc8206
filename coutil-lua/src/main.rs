//! The command `coutil SCRIPT [ARGS]`: an interpreter with the library in it.

#[cfg(any(feature = "lua54", feature = "lua55"))]
#[allow(non_snake_case)]
mod warning;

use coutil_lua::mlua::{Function, Lua, LuaOptions, Result, StdLib, Value};
use std::ffi::OsString;
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::process::ExitCode;

const USAGE: &str = "usage: coutil [--bare] SCRIPT [ARGS]    run a Lua script (- for standard input)
       coutil --version                print the version

--bare leaves the library out: an interpreter as any other, which finds modules on its paths only";

fn main() -> ExitCode {
    // As `lua` has it: a script whose output nobody reads ends quietly. Rust ignores the signal at start-up.
    // SAFETY: no other thread runs yet, and no handler is installed.
    unsafe { libc::signal(libc::SIGPIPE, libc::SIG_DFL) };

    let mut args: Vec<OsString> = std::env::args_os().collect();
    let bare = args.get(1).is_some_and(|arg| arg == "--bare");
    if bare {
        args.remove(1);
    }
    match args.get(1).map(|arg| arg.as_bytes()) {
        None => {
            eprintln!("{USAGE}");
            return ExitCode::from(2);
        }
        Some(b"--help" | b"-h") => {
            println!("{USAGE}");
            return ExitCode::SUCCESS;
        }
        Some(b"--version" | b"-v") => {
            println!("coutil {} ({})", env!("CARGO_PKG_VERSION"), coutil_lua::LUA_VERSION);
            return ExitCode::SUCCESS;
        }
        Some(_) => {}
    }
    match run(&args, bare) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "coutil: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Runs the script `args[1]`, and says whether it succeeded. Its errors were written.
fn run(args: &[OsString], bare: bool) -> Result<bool> {
    // SAFETY: an interpreter runs whatever its user gives it: C modules and the debug library included.
    let lua = unsafe { Lua::unsafe_new_with(StdLib::ALL, LuaOptions::new()) };
    #[cfg(any(feature = "lua54", feature = "lua55"))]
    warning::set(&lua)?;
    if !bare {
        coutil_lua::preload(&lua)?;
    }

    // As for `lua`: the script is `arg[0]`, what stands before it has negative numbers.
    let table = lua.create_table()?;
    for (index, arg) in args.iter().enumerate() {
        table.raw_set(index as i64, lua.create_string(arg.as_bytes())?)?;
    }
    lua.globals().raw_set("arg", table)?;
    let driver: Function = lua.load(include_str!("driver.lua")).set_name("=coutil").into_function()?;
    driver.call::<Value>(()).map(|ended| ended == Value::Boolean(true))
}
