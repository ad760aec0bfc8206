//! Argument checks, with the texts of Lua 5.4's auxiliary library on every version (00 §5.2). `frame` is the level of the
//! function that is to blame: see [`DIRECT`](super::error::DIRECT) and [`AWAIT`](super::error::AWAIT).

use super::error::{argument, type_error};
use super::{c_int, lua_State};
use mlua::ffi;
use std::ffi::CStr;

/// Whether the argument is absent or nil.
pub(crate) unsafe fn is_absent(L: *mut lua_State, arg: c_int) -> bool {
    // SAFETY: any index may be asked for.
    unsafe { ffi::lua_type(L, arg) <= ffi::LUA_TNIL }
}

/// An integer: a number with an integral value, or a string that converts to one. Raises.
pub(crate) unsafe fn check_integer(L: *mut lua_State, frame: c_int, arg: c_int) -> i64 {
    // SAFETY: any value may stand there.
    unsafe {
        let mut is_integer = 0;
        let value = ffi::lua_tointegerx(L, arg, &mut is_integer);
        if is_integer != 0 {
            return value as i64;
        }
        if ffi::lua_isnumber(L, arg) != 0 {
            bad(L, frame, arg, c"number has no integer representation");
        }
        type_error(L, frame, arg, c"number")
    }
}

/// As [`check_integer`], or `default` for nil or no argument. Raises.
pub(crate) unsafe fn opt_integer(L: *mut lua_State, frame: c_int, arg: c_int, default: i64) -> i64 {
    // SAFETY: as `check_integer`.
    unsafe { if is_absent(L, arg) { default } else { check_integer(L, frame, arg) } }
}

/// A number, or a string that converts to one. Raises.
pub(crate) unsafe fn check_number(L: *mut lua_State, frame: c_int, arg: c_int) -> f64 {
    // SAFETY: any value may stand there.
    unsafe {
        let mut is_number = 0;
        let value = ffi::lua_tonumberx(L, arg, &mut is_number);
        if is_number == 0 {
            type_error(L, frame, arg, c"number");
        }
        value
    }
}

/// A string, or a number, which is converted in place. The pointer is valid as long as the argument stands on the
/// stack. Raises.
pub(crate) unsafe fn check_string(L: *mut lua_State, frame: c_int, arg: c_int) -> (*const u8, usize) {
    // SAFETY: `len` is written before it is read when the pointer is not null.
    unsafe {
        let mut len = 0;
        let text = ffi::lua_tolstring(L, arg, &mut len);
        if text.is_null() {
            type_error(L, frame, arg, c"string");
        }
        (text.cast(), len)
    }
}

/// Raises an argument error with a fixed text.
#[cold]
pub(crate) unsafe fn bad(L: *mut lua_State, frame: c_int, arg: c_int, detail: &CStr) -> ! {
    // SAFETY: as `argument`.
    unsafe { argument(L, frame, arg, detail.as_ptr()) }
}

/// One of the options, by its index in `names`: a string, which ends at its first NUL; `default` for nil or no argument.
/// Raises `invalid option 'X'`.
pub(crate) unsafe fn check_option(
    L: *mut lua_State,
    frame: c_int,
    arg: c_int,
    default: Option<usize>,
    names: &[&CStr],
) -> usize {
    // SAFETY: the string stays on the stack; Lua's strings end with a NUL.
    unsafe {
        if let Some(default) = default
            && is_absent(L, arg)
        {
            return default;
        }
        let (text, _) = check_string(L, frame, arg);
        let text = CStr::from_ptr(text.cast());
        match names.iter().position(|name| *name == text) {
            Some(index) => index,
            None => {
                let detail = ffi::lua_pushfstring(L, c"invalid option '%s'".as_ptr(), text.as_ptr());
                argument(L, frame, arg, detail)
            }
        }
    }
}
