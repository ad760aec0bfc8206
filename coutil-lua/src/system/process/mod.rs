//! Processes, signals, priorities, the working directory and the environment (40).

pub(crate) mod environment;
pub(crate) mod execute;
pub(crate) mod priority;
pub(crate) mod signal;

use crate::raw::{c_int, lua_State};
use mlua::ffi;
use std::ffi::CStr;

/// The value at `arg` if it is of the subtype of integers; where there is none, if it is an integral number.
unsafe fn integer(L: *mut lua_State, arg: c_int) -> Option<i64> {
    // SAFETY: any value may stand there.
    unsafe {
        (ffi::lua_isinteger(L, arg) != 0).then(|| ffi::lua_tointegerx(L, arg, std::ptr::null_mut()) as i64)
    }
}

/// A string at `index`, up to its first NUL. It is valid as long as it stands there.
unsafe fn text<'a>(L: *mut lua_State, index: c_int) -> &'a CStr {
    // SAFETY: the caller checked that it is a string or a number; Lua's strings end with a NUL.
    unsafe { CStr::from_ptr(ffi::lua_tolstring(L, index, std::ptr::null_mut())) }
}
