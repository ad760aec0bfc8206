//! Running chunks as `lua` does: protected, with a traceback, and messages that begin with the name of the command.
//!
//! It uses Lua's C interface, as `lua` does, so that errors reach the handler as they were raised, and tracebacks show the
//! script and nothing of this.

use crate::interrupt;
use crate::options::Action;
use coutil_lua::mlua::{Lua, Result, ffi};
use ffi::lua_State;
use std::ffi::{CStr, CString, c_int};

/// The release of the Lua in it, and whose it is.
#[cfg(not(feature = "luajit"))]
pub(crate) fn lua_version() -> String {
    unsafe extern "C" {
        /// `$LuaVersion: Lua 5.4.8  Copyright … $$LuaAuthors: … $`
        #[link_name = "lua_ident"]
        static IDENT: [std::ffi::c_char; 1];
    }
    // SAFETY: Lua has this constant, which ends with a NUL.
    let ident = unsafe { CStr::from_ptr((&raw const IDENT).cast()) }.to_string_lossy();
    let version = ident.split('$').nth(1).and_then(|part| part.split_once(": "));
    version.map_or(coutil_lua::LUA_VERSION, |(_, version)| version).trim().to_owned()
}

/// The release of the LuaJIT in it, and whose it is.
#[cfg(feature = "luajit")]
pub(crate) fn lua_version() -> String {
    let version = Lua::new().load("return jit.version").eval::<String>();
    let version = version.unwrap_or_else(|_| coutil_lua::LUA_VERSION.to_owned());
    format!("{version} -- Copyright (C) 2005-2026 Mike Pall. https://luajit.org/")
}

/// Switches the collector to the mode that `lua` uses.
pub(crate) fn collect_as_lua(_lua: &Lua) -> Result<()> {
    // SAFETY: the function takes no more.
    #[cfg(any(feature = "lua54", feature = "lua55"))]
    unsafe {
        _lua.exec_raw::<()>((), |L| {
            ffi::lua_gc(L, ffi::LUA_GCGEN, 0, 0);
        })?;
    }
    Ok(())
}

/// Sets the global `arg`: the script is `arg[0]`, what stands before it has negative numbers. Without a script the command is
/// `arg[0]`.
pub(crate) fn set_arg(lua: &Lua, args: &[CString], script: Option<usize>) -> Result<()> {
    let table = lua.create_table()?;
    for (index, arg) in args.iter().enumerate() {
        let index = index as i64 - script.unwrap_or(0) as i64;
        table.raw_set(index, lua.create_string(arg.as_bytes())?)?;
    }
    lua.globals().raw_set("arg", table)
}

/// Runs what the variable `LUA_INIT` says, or the one of this version.
pub(crate) fn init(lua: &Lua) -> Result<bool> {
    let names: &[&CStr] = if cfg!(feature = "lua52") {
        &[c"LUA_INIT_5_2", c"LUA_INIT"]
    } else if cfg!(feature = "lua53") {
        &[c"LUA_INIT_5_3", c"LUA_INIT"]
    } else if cfg!(feature = "lua54") {
        &[c"LUA_INIT_5_4", c"LUA_INIT"]
    } else if cfg!(feature = "lua55") {
        &[c"LUA_INIT_5_5", c"LUA_INIT"]
    } else {
        &[c"LUA_INIT"]
    };
    for name in names {
        // SAFETY: nothing changes the environment meanwhile.
        let value = unsafe { libc::getenv(name.as_ptr()) };
        if value.is_null() {
            continue;
        }
        // SAFETY: as above; the value is copied, as the chunk may change the environment.
        let value = unsafe { CStr::from_ptr(value) }.to_owned();
        if let [b'@', file @ ..] = value.as_bytes() {
            let file = CString::new(file).expect("it is part of one");
            return protected(lua, |L| Load::file(L, Some(&file)));
        }
        let chunk = CString::new([b"=", name.to_bytes()].concat()).expect("it has no NUL");
        return protected(lua, |L| Load::text(L, &value, &chunk));
    }
    Ok(true)
}

/// Does what an option says.
pub(crate) fn act(lua: &Lua, action: &Action) -> Result<bool> {
    match action {
        Action::Execute(code) => protected(lua, |L| Load::text(L, code, c"=(command line)")),
        Action::Require(name) => require(lua, name),
        Action::WarningsOn => {
            #[cfg(any(feature = "lua54", feature = "lua55"))]
            // SAFETY: the text ends with a NUL.
            unsafe {
                lua.exec_raw::<()>((), |L| ffi::lua_warning(L, c"@on".as_ptr(), 0))?;
            }
            Ok(true)
        }
        #[cfg(feature = "luajit")]
        Action::Compiler(command) => {
            let source = CString::new(
                "local command, rest = (...):match '^([^=]*)=?(.*)$'
                local run = jit[command]
                if type(run) ~= 'function' then run = require('jit.' .. command).start end
                local values = {}
                for value in rest:gmatch '[^,]+' do values[#values + 1] = value end
                run(unpack(values))",
            )
            .expect("it has no NUL");
            protected(lua, |L| {
                let load = Load::text(L, &source, c"=jit");
                // SAFETY: there is room; the text ends with a NUL.
                unsafe { ffi::lua_pushstring(L, command.as_ptr()) };
                Load { count: 1, ..load }
            })
        }
    }
}

/// `-l NAME`: requires a module, and sets the global of its name (from 5.2 on).
fn require(lua: &Lua, name: &CStr) -> Result<bool> {
    // `-l global=name`, and what follows a `-` in the name is not in that of the global, from 5.4 on.
    let (mut global, mut module) = (name.to_bytes(), name.to_bytes());
    if cfg!(any(feature = "lua54", feature = "lua55")) {
        if let Some(at) = global.iter().position(|&byte| byte == b'=') {
            (global, module) = (&global[..at], &module[at + 1..]);
        } else if let Some(at) = global.iter().position(|&byte| byte == b'-') {
            global = &global[..at];
        }
    }
    let sets = cfg!(not(any(feature = "lua51", feature = "luajit")));
    let mut success = false;
    // SAFETY: as `protected`; the texts are copied by Lua.
    unsafe {
        lua.exec_raw::<()>((), |L| {
            ffi::lua_getglobal(L, c"require".as_ptr());
            ffi::lua_pushlstring(L, module.as_ptr().cast(), module.len());
            success = call(L, 1, 1);
            if success && sets {
                ffi::lua_pushlstring(L, global.as_ptr().cast(), global.len());
                ffi::lua_insert(L, -2);
                // By its name, as the text has no NUL at its end.
                #[cfg(not(any(feature = "lua51", feature = "luajit")))]
                {
                    ffi::lua_rawgeti(L, ffi::LUA_REGISTRYINDEX, ffi::LUA_RIDX_GLOBALS as _);
                    ffi::lua_insert(L, -3);
                    ffi::lua_settable(L, -3);
                }
            }
            ffi::lua_settop(L, 0);
        })?;
    }
    Ok(success)
}

/// Runs a file with the arguments of the script, or standard input.
pub(crate) fn run_file(lua: &Lua, file: Option<&CStr>) -> Result<bool> {
    protected(lua, |L| {
        let load = Load::file(L, file);
        if load.status != ffi::LUA_OK { load } else { Load { count: push_arguments(L), ..load } }
    })
}

/// After the script: lets the coroutines that wait go on.
pub(crate) fn finish(lua: &Lua) -> Result<bool> {
    let Some(run) = coutil_lua::unfinished(lua)? else { return Ok(true) };
    let mut success = false;
    // SAFETY: as `protected`; the function is the argument.
    unsafe { lua.exec_raw::<()>(run, |L| success = call(L, 0, 0))? };
    Ok(success)
}

/// What was loaded: how that went, and with how many arguments it is to be called.
struct Load {
    status: c_int,
    count: c_int,
}

impl Load {
    /// Pushes the function of a file, or of standard input; or why there is none.
    fn file(L: *mut lua_State, file: Option<&CStr>) -> Self {
        // SAFETY: a name, or none.
        let status = unsafe { ffi::luaL_loadfile(L, file.map_or(std::ptr::null(), CStr::as_ptr)) };
        Self { status, count: 0 }
    }

    fn text(L: *mut lua_State, text: &CStr, name: &CStr) -> Self {
        // SAFETY: both texts live until it is loaded.
        let status = unsafe { ffi::luaL_loadbuffer(L, text.as_ptr(), text.to_bytes().len(), name.as_ptr()) };
        Self { status, count: 0 }
    }
}

/// Pushes what `arg` has from 1 on. [-0, +n] Raises for what is no table, or too much.
fn push_arguments(L: *mut lua_State) -> c_int {
    // SAFETY: room is made for what is pushed.
    unsafe {
        ffi::lua_getglobal(L, c"arg".as_ptr());
        if ffi::lua_istable(L, -1) == 0 {
            ffi::luaL_error(L, c"'arg' is not a table".as_ptr());
        }
        let count = ffi::luaL_len(L, -1) as c_int;
        ffi::luaL_checkstack(L, count + 3, c"too many arguments to script".as_ptr());
        for index in 1..=count {
            ffi::lua_rawgeti(L, -index, index.into());
        }
        ffi::lua_remove(L, -(count + 1));
        count
    }
}

/// Calls what `load` pushes. Whether it succeeded; its error was written.
fn protected(lua: &Lua, load: impl FnOnce(*mut lua_State) -> Load) -> Result<bool> {
    let mut success = false;
    // SAFETY: an error that `load` raises passes no value with a destructor: they are outside of the function that runs
    // protected, or borrowed.
    unsafe {
        lua.exec_raw::<()>((), |L| {
            let Load { status, count } = load(L);
            if status == ffi::LUA_OK {
                success = call(L, count, 0);
            } else {
                report(L);
            }
            ffi::lua_settop(L, 0);
        })?;
    }
    Ok(success)
}

/// Calls a function with `count` arguments. If it fails, says why. [-(count+1), +results, or nothing] Raises for memory.
unsafe fn call(L: *mut lua_State, count: c_int, results: c_int) -> bool {
    // SAFETY: the function stands below its arguments.
    unsafe {
        let base = ffi::lua_gettop(L) - count;
        ffi::lua_pushcfunction(L, describe);
        ffi::lua_insert(L, base);
        interrupt::watch(L);
        let status = ffi::lua_pcall(L, count, results, base);
        interrupt::unwatch();
        ffi::lua_remove(L, base);
        if status != ffi::LUA_OK {
            report(L);
        }
        status == ffi::LUA_OK
    }
}

/// Writes the message on the top. [-1, +0]
unsafe fn report(L: *mut lua_State) {
    // SAFETY: the bytes live as long as the value is on the stack.
    unsafe {
        let mut len = 0;
        let text = ffi::lua_tolstring(L, -1, &mut len);
        let message: &[u8] = if text.is_null() {
            b"(error message not a string)"
        } else {
            std::slice::from_raw_parts(text.cast(), len)
        };
        crate::tell(&[b"coutil: ", message, b"\n"].concat());
        ffi::lua_pop(L, 1);
    }
}

/// The message handler of `lua`: adds a traceback to what is a text, and makes one of what is not.
pub(crate) unsafe extern "C-unwind" fn describe(L: *mut lua_State) -> c_int {
    // SAFETY: the error is the argument; a handler has room for what is pushed.
    unsafe {
        let mut message = ffi::lua_tostring(L, 1);
        if message.is_null() {
            if ffi::luaL_callmeta(L, 1, c"__tostring".as_ptr()) != 0
                && ffi::lua_type(L, -1) == ffi::LUA_TSTRING
            {
                return 1;
            }
            ffi::lua_pushstring(L, c"(error object is a ".as_ptr());
            ffi::lua_pushstring(L, ffi::luaL_typename(L, 1));
            ffi::lua_pushstring(L, c" value)".as_ptr());
            ffi::lua_concat(L, 3);
            message = ffi::lua_tostring(L, -1);
        }
        ffi::luaL_traceback(L, L, message, 1);
        1
    }
}
