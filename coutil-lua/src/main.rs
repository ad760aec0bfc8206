//! The command `coutil SCRIPT [ARGS]`: an interpreter with the library in it.
//!
//! It begins as a C program does, as `lua` is one. What Rust has done before its own `main` is not for an interpreter: SIGPIPE
//! would be ignored, standard streams that are closed opened, and a thread for which there is no memory end the process.
#![no_main]

#[cfg(any(feature = "lua54", feature = "lua55"))]
#[allow(non_snake_case)]
mod warning;

use coutil_lua::mlua::{Function, Lua, LuaOptions, Result, StdLib, Value};
use std::ffi::{CStr, OsStr, OsString, c_char, c_int};
use std::io::Write;
use std::os::unix::ffi::OsStrExt;

const USAGE: &str = "usage: coutil [--bare] SCRIPT [ARGS]    run a Lua script (- for standard input)
       coutil --version                print the version

--bare leaves the library out: an interpreter as any other, which finds modules on its paths only";

#[unsafe(no_mangle)]
extern "C" fn main(argc: c_int, argv: *const *const c_char) -> c_int {
    // SAFETY: so many texts there are.
    let text = |index| unsafe { CStr::from_ptr(*argv.add(index)) };
    command((0..argc as usize).map(|index| OsStr::from_bytes(text(index).to_bytes()).to_owned()).collect())
}

/// The exit status.
fn command(mut args: Vec<OsString>) -> c_int {
    let bare = args.get(1).is_some_and(|arg| arg == "--bare");
    if bare {
        args.remove(1);
    }
    match args.get(1).map(|arg| arg.as_bytes()) {
        None => {
            eprintln!("{USAGE}");
            return 2;
        }
        Some(b"--help" | b"-h") => {
            println!("{USAGE}");
            return 0;
        }
        Some(b"--version" | b"-v") => {
            println!("coutil {} ({})", env!("CARGO_PKG_VERSION"), coutil_lua::LUA_VERSION);
            return 0;
        }
        Some(_) => {}
    }
    match run(&args, bare) {
        Ok(true) => 0,
        Ok(false) => 1,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "coutil: {error}");
            1
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
