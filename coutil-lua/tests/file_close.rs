//! A file whose descriptor cannot be closed. It has a process of its own, as it closes a descriptor behind the back of its owner.
#![cfg(feature = "vendored")]

use coutil_lua::mlua::{Function, Lua};
use std::os::fd::RawFd;

/// The descriptor that this process has of a file.
fn descriptor(path: &str) -> RawFd {
    let entries = std::fs::read_dir("/proc/self/fd").unwrap();
    let found = entries
        .flatten()
        .find(|entry| std::fs::read_link(entry.path()).is_ok_and(|to| to.as_os_str() == path));
    found.expect("it is open").file_name().to_str().unwrap().parse().unwrap()
}

#[test]
#[cfg(target_os = "linux")]
fn a_file_that_cannot_be_closed_is_told_of() {
    // [60 4.2] [00 6.4.3] [00 8] [90 2.2]
    let lua = Lua::new();
    coutil_lua::preload(&lua).unwrap();
    let open: Function = lua
        .load(
            r#"
            local system = require "coutil.system"
            told = {}
            system.onerror(function (message, co, traceback)
                told[#told + 1] = message .. " " .. type(co) .. " " .. type(traceback)
            end)
            return function () return system.maketemp((os.getenv("TMPDIR") or "/tmp") .. "/coutil-close-", "~fo") end
            "#,
        )
        .eval()
        .unwrap();
    for how in [
        "collectgarbage() collectgarbage()",
        "getmetatable(file).__close(file)",
        "getmetatable(file).__gc(file)",
    ] {
        let (path, file): (String, coutil_lua::mlua::AnyUserData) = open.call(()).unwrap();
        // SAFETY: the descriptor is not used any more, but to be closed once more.
        assert_eq!(unsafe { libc::close(descriptor(&path)) }, 0);
        std::fs::remove_file(&path).unwrap();
        if !how.starts_with("collect") {
            lua.globals().set("file", &file).unwrap();
        }
        drop(file);
        lua.load(how).exec().unwrap();
        lua.load("assert(table.remove(told) == 'bad file descriptor thread string' and #told == 0)")
            .exec()
            .unwrap();
        // It counts as closed.
        lua.load("collectgarbage() assert(#told == 0)").exec().unwrap();
    }
    // By `close` it is a failure.
    let (path, file): (String, coutil_lua::mlua::AnyUserData) = open.call(()).unwrap();
    // SAFETY: as above.
    assert_eq!(unsafe { libc::close(descriptor(&path)) }, 0);
    std::fs::remove_file(&path).unwrap();
    lua.globals().set("file", file).unwrap();
    lua.load("local ok, message, code = file:close '~' assert(ok == false and message == 'bad file descriptor' and code == 9)")
        .exec()
        .unwrap();
    lua.load("assert(not pcall(file.close, file, '~') and #told == 0)").exec().unwrap();
}
