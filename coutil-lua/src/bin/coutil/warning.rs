//! Warnings of the command, as `lua` has them: off at first, switched by `warn "@on"` and `"@off"`, written to standard error
//! after `Lua warning: `. See §6.1, `warn`, of the manual of Lua 5.4.

use coutil_lua::mlua::{Lua, Result, ffi};
use std::ffi::{CStr, c_char, c_int, c_void};
use std::io::Write;
use std::sync::atomic::{AtomicBool, Ordering};

/// The command has one Lua state.
static ON: AtomicBool = AtomicBool::new(false);
/// Whether the message goes on with the next piece.
static CONTINUED: AtomicBool = AtomicBool::new(false);

unsafe extern "C-unwind" fn warn(_: *mut c_void, message: *const c_char, to_continue: c_int) {
    // SAFETY: Lua passes a string that ends with a NUL.
    let message = unsafe { CStr::from_ptr(message) }.to_bytes();
    let continued = CONTINUED.swap(to_continue != 0, Ordering::Relaxed);
    if !continued && to_continue == 0 && message.starts_with(b"@") {
        match message {
            b"@on" => ON.store(true, Ordering::Relaxed),
            b"@off" => ON.store(false, Ordering::Relaxed),
            _ => {}
        }
    } else if ON.load(Ordering::Relaxed) {
        let start: &[u8] = if continued { b"" } else { b"Lua warning: " };
        let end: &[u8] = if to_continue != 0 { b"" } else { b"\n" };
        // Where there is no standard error there is nobody to warn.
        let _ = std::io::stderr().write_all(&[start, message, end].concat());
    }
}

/// Has the state write its warnings.
pub(crate) fn set(lua: &Lua) -> Result<()> {
    // SAFETY: the function is valid for the life of the process, and does not call Lua.
    unsafe { lua.exec_raw((), |L| ffi::lua_setwarnf(L, Some(warn), std::ptr::null_mut())) }
}
