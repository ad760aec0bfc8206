//! `system.getpriority`, `setpriority`, `getdir`, `setdir` (40 §2, §3).

use super::{integer, text};
use crate::raw::error::{DIRECT, argument, raise};
use crate::raw::{Functions, args, c_int, lua_State};
use crate::state::StateRef;
use crate::system::held::push_bytes;
use crate::system::{push_failure, push_message, push_result};
use coutil_system::{Error, process};
use mlua::ffi;
use std::ffi::{CStr, OsStr};
use std::os::unix::ffi::{OsStrExt, OsStringExt};

pub(crate) const FUNCTIONS: Functions<'_> = &[
    (c"getpriority", get_priority),
    (c"setpriority", set_priority),
    (c"getdir", get_directory),
    (c"setdir", set_directory),
];

const PRIORITIES: [(&CStr, i32); 6] =
    [(c"highest", -20), (c"high", -14), (c"above", -7), (c"normal", 0), (c"below", 10), (c"low", 19)];

/// `getpriority(pid)` → name, value
unsafe extern "C-unwind" fn get_priority(L: *mut lua_State) -> c_int {
    // SAFETY: arguments are checked.
    unsafe {
        let pid = i32::try_from(args::check_integer(L, DIRECT, 1));
        let value = pid.map_err(|_| Error::from_code(libc::ESRCH)).and_then(process::priority);
        match value {
            Ok(value) => {
                let name = PRIORITIES.iter().find(|(_, number)| *number == value);
                ffi::lua_pushstring(L, name.map_or(c"other", |(name, _)| name).as_ptr());
                ffi::lua_pushinteger(L, value.into());
                2
            }
            Err(error) => push_failure(L, error),
        }
    }
}

/// `setpriority(pid, value)` → true
unsafe extern "C-unwind" fn set_priority(L: *mut lua_State) -> c_int {
    // SAFETY: arguments are checked.
    unsafe {
        let pid = args::check_integer(L, DIRECT, 1);
        let value = match integer(L, 2) {
            Some(value @ -20..=19) => value as i32,
            Some(_) => args::bad(L, DIRECT, 2, c"out of range"),
            None => {
                args::check_string(L, DIRECT, 2);
                let name = text(L, 2);
                match PRIORITIES.iter().find(|(known, _)| *known == name) {
                    Some((_, value)) => *value,
                    None => {
                        let detail = ffi::lua_pushfstring(L, c"invalid option '%s'".as_ptr(), name.as_ptr());
                        argument(L, DIRECT, 2, detail)
                    }
                }
            }
        };
        let pid = i32::try_from(pid).map_err(|_| Error::from_code(libc::ESRCH));
        push_result(L, pid.and_then(|pid| process::set_priority(pid, value)))
    }
}

/// `getdir()` → path
unsafe extern "C-unwind" fn get_directory(L: *mut lua_State) -> c_int {
    // SAFETY: as the callees.
    unsafe {
        match push_bytes(L, StateRef::of(L), || Ok(process::directory()?.into_os_string().into_vec())) {
            Ok(()) => 1,
            Err(error) => {
                push_message(L, error);
                raise(L, DIRECT)
            }
        }
    }
}

/// `setdir(path)` → true
unsafe extern "C-unwind" fn set_directory(L: *mut lua_State) -> c_int {
    // SAFETY: the path stays on the stack.
    unsafe {
        args::check_string(L, DIRECT, 1);
        let path = OsStr::from_bytes(text(L, 1).to_bytes());
        let result = crate::raw::run(L, || process::set_directory(path));
        push_result(L, result)
    }
}
