//! The command `coutil`: an interpreter as `lua`, with the library in it.
//!
//! It has the options of the `lua` of its version, and differs in two things. After the main chunk the event loop runs as
//! long as coroutines wait; and its prompt lets the loop run while a line is typed.
//!
//! It begins as a C program does, as `lua` is one. What Rust has done before its own `main` is not for an interpreter: SIGPIPE
//! would be ignored, standard streams that are closed opened, and a thread for which there is no memory end the process.
#![no_main]
#![allow(non_snake_case, reason = "as in Lua's own sources, a `lua_State` is called `L`")]

mod interrupt;
mod options;
#[cfg(feature = "prompt")]
mod prompt;
mod script;
#[cfg(any(feature = "lua54", feature = "lua55"))]
mod warning;

use coutil_lua::mlua::{Lua, LuaOptions, Result, StdLib};
use options::Options;
use std::ffi::{CStr, CString, c_char, c_int};
use std::io::{IsTerminal, Write};

#[unsafe(no_mangle)]
extern "C" fn main(argc: c_int, argv: *const *const c_char) -> c_int {
    // SAFETY: so many texts there are.
    let text = |index| unsafe { CStr::from_ptr(*argv.add(index)) };
    command((0..argc as usize).map(|index| text(index).to_owned()).collect())
}

/// The exit status.
fn command(mut args: Vec<CString>) -> c_int {
    // As if it were another command: it is not in `arg`.
    let bare = args.get(1).is_some_and(|arg| arg.as_bytes() == b"--bare");
    if bare {
        args.remove(1);
    }
    let mut options = match options::parse(&args) {
        Ok(options) => options,
        Err(message) => {
            tell(format!("coutil: {message}\n{}", options::usage()).as_bytes());
            return 1;
        }
    };
    options.bare |= bare;
    if options.help {
        say(options::usage().as_bytes());
        return 0;
    }
    if options.version {
        say(format!("{}\n", version(options.bare)).as_bytes());
    }
    match run(&args, &options) {
        Ok(true) => 0,
        Ok(false) => 1,
        Err(error) => {
            tell(format!("coutil: {error}\n").as_bytes());
            1
        }
    }
}

/// Does what the options say. Whether it succeeded; its errors were written.
fn run(args: &[CString], options: &Options) -> Result<bool> {
    // SAFETY: an interpreter runs whatever its user gives it: C modules and the debug library included.
    let lua = unsafe { Lua::unsafe_new_with(StdLib::NONE, LuaOptions::new()) };
    if options.no_environment {
        // The library `package` looks for it.
        lua.set_named_registry_value("LUA_NOENV", true)?;
    }
    lua.load_std_libs(StdLib::ALL)?;
    script::collect_as_lua(&lua)?;
    #[cfg(any(feature = "lua54", feature = "lua55"))]
    warning::set(&lua)?;
    if !options.bare {
        coutil_lua::preload(&lua)?;
    }
    script::set_arg(&lua, args, options.script)?;

    if !options.no_environment && !script::init(&lua)? {
        return Ok(false);
    }
    for action in &options.actions {
        if !script::act(&lua, action)? {
            return Ok(false);
        }
    }
    if let Some(index) = options.script {
        let file = (!options.standard_input).then(|| args[index].as_c_str());
        if !script::run_file(&lua, file)? {
            return Ok(false);
        }
    }
    let executes = options.actions.iter().any(|action| matches!(action, options::Action::Execute(_)));
    if options.interactive {
        return start_prompt(&lua, options.bare);
    }
    if options.script.is_none() && !executes && !options.version {
        if std::io::stdin().is_terminal() {
            say(format!("{}\n", version(options.bare)).as_bytes());
            return start_prompt(&lua, options.bare);
        }
        if !script::run_file(&lua, None)? {
            return Ok(false);
        }
    }
    if options.bare
        || !options.no_environment && std::env::var_os("COUTIL_LOOP").is_some_and(|value| value == "no")
    {
        return Ok(true);
    }
    script::finish(&lua)
}

#[cfg(feature = "prompt")]
fn start_prompt(lua: &Lua, bare: bool) -> Result<bool> {
    prompt::run(lua, bare)
}

#[cfg(not(feature = "prompt"))]
fn start_prompt(_: &Lua, _: bool) -> Result<bool> {
    tell(b"coutil: this build has no prompt (feature `prompt`)\n");
    Ok(false)
}

/// What this is, and which Lua is in it.
fn version(bare: bool) -> String {
    let lua = script::lua_version();
    if bare { lua } else { format!("{} with {lua}", library_version()) }
}

/// `_VERSION` of the module `coutil`: scripts ask for that one, and not for the version of the crate.
fn library_version() -> &'static str {
    include_str!("../../coutil.lua").split('"').find(|text| text.starts_with("Coutil ")).unwrap_or("Coutil")
}

/// Writes to standard output, where there is one.
fn say(text: &[u8]) {
    let mut output = std::io::stdout();
    let _ = output.write_all(text).and_then(|()| output.flush());
}

/// Writes to standard error, in one write. Where there is none there is nobody to tell.
fn tell(text: &[u8]) {
    let _ = std::io::stderr().write_all(text);
}
