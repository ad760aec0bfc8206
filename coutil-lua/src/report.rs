//! Errors that nobody else would see: those of coroutines that the library resumed (90 §2).

use crate::raw::{self, c_int, lua_State};
use crate::state::{self, field};
use mlua::ffi;
use std::ffi::CStr;
use std::io::Write;

/// Reports the error on the top of `L`, of which `co` died. [-1, +0] Never raises.
pub(crate) unsafe fn report(L: *mut lua_State, co: *mut lua_State) {
    // SAFETY: `co` is anchored by the caller, and another thread than `L`.
    unsafe {
        if ffi::lua_checkstack(L, 8) == 0 || ffi::lua_checkstack(co, 1) == 0 {
            ffi::lua_pop(L, 1);
            write(b"coutil: stack overflow while an error was reported\n");
            return;
        }
        ffi::lua_pushcfunction(L, handle);
        ffi::lua_insert(L, -2);
        ffi::lua_pushthread(co);
        ffi::lua_xmove(co, L, 1);
        call(L, 2);
    }
}

/// Generates the warning about the error on the top, which stays there (00 §8). [-0, +0] Never raises.
#[cfg(any(feature = "lua54", feature = "lua55"))]
pub(crate) unsafe fn warn(L: *mut lua_State, prefix: &'static CStr) {
    /// `(error, prefix)`
    unsafe extern "C-unwind" fn generate(L: *mut lua_State) -> c_int {
        // SAFETY: called with these arguments; the text lives on the stack.
        unsafe {
            let prefix = CStr::from_ptr(ffi::lua_touserdata(L, 2).cast());
            let message = match ffi::lua_type(L, 1) {
                ffi::LUA_TSTRING | ffi::LUA_TNUMBER => ffi::lua_tostring(L, 1),
                _ if prefix == c"object:close" => c"(null)".as_ptr(),
                _ => c"(error object is not a string)".as_ptr(),
            };
            for text in [c"[coutil] ".as_ptr(), prefix.as_ptr(), c": ".as_ptr()] {
                ffi::lua_warning(L, text, 1);
            }
            ffi::lua_warning(L, message, 0);
        }
        0
    }
    // SAFETY: a C function without upvalues takes no memory here.
    unsafe {
        if ffi::lua_checkstack(L, 4) != 0 {
            ffi::lua_pushcfunction(L, generate);
            ffi::lua_pushvalue(L, -2);
            ffi::lua_pushlightuserdata(L, prefix.as_ptr().cast_mut().cast());
            if ffi::lua_pcall(L, 2, 0, 0) != ffi::LUA_OK {
                ffi::lua_pop(L, 1);
            }
        }
    }
}

/// Calls the function with its `nargs` arguments on the top. Its error is written. [-(1+nargs), +0] Never raises.
unsafe fn call(L: *mut lua_State, nargs: c_int) {
    // SAFETY: the values are on the stack. Writing a message may raise for memory, so that is protected as well.
    unsafe {
        if ffi::lua_pcall(L, nargs, 0, 0) != ffi::LUA_OK {
            ffi::lua_pushcfunction(L, write_failure);
            ffi::lua_insert(L, -2);
            if ffi::lua_pcall(L, 1, 0, 0) != ffi::LUA_OK {
                ffi::lua_pop(L, 1);
                write(b"coutil: error in error handler\n");
            }
        }
    }
}

/// `(error, coroutine [, traceback])`: gives them to the handler.
unsafe extern "C-unwind" fn handle(L: *mut lua_State) -> c_int {
    // SAFETY: called by `report` and `spawn` with these arguments.
    unsafe {
        ffi::lua_settop(L, 3);
        if ffi::lua_isnil(L, 3) != 0 {
            let co = ffi::lua_tothread(L, 2);
            // From inside the coroutine: this function and `report` come first.
            let level = if co == L { 2 } else { 0 };
            ffi::luaL_traceback(L, if co.is_null() { L } else { co }, std::ptr::null(), level);
            ffi::lua_replace(L, 3);
        }
        state::push_field(L, field::HANDLER);
        match ffi::lua_type(L, -1) {
            ffi::LUA_TNIL => write_report(L, c"coutil: ", 1, 3),
            ffi::LUA_TSTRING => {
                // "raise": a later `system.run` raises them, oldest first. Boxed, as an error may be nil.
                state::push_field(L, field::ERRORS);
                ffi::lua_createtable(L, 1, 0);
                ffi::lua_pushvalue(L, 1);
                ffi::lua_rawseti(L, -2, 1);
                ffi::lua_rawseti(L, -2, ffi::lua_rawlen(L, -2) as ffi::lua_Integer + 1);
            }
            _ => {
                ffi::lua_insert(L, 1);
                ffi::lua_settop(L, 4);
                ffi::lua_call(L, 3, 0);
            }
        }
    }
    0
}

/// `(error)`: the handler itself failed.
unsafe extern "C-unwind" fn write_failure(L: *mut lua_State) -> c_int {
    // SAFETY: called by `call` with one value.
    unsafe {
        ffi::lua_pushliteral(L, c"");
        write_report(L, c"coutil: error in error handler: ", 1, 2);
    }
    0
}

/// Writes a message and a traceback, the values at these indices, to standard error, all at once. May raise.
unsafe fn write_report(L: *mut lua_State, prefix: &CStr, message: c_int, traceback: c_int) {
    // SAFETY: `text` converts any value; the bytes of the result live on the stack while they are written.
    unsafe {
        ffi::lua_pushstring(L, prefix.as_ptr());
        text(L, message);
        ffi::lua_pushliteral(L, c"\n");
        ffi::lua_concat(L, 3);
        if ffi::lua_rawlen(L, traceback) > 0 {
            ffi::lua_pushvalue(L, traceback);
            ffi::lua_pushliteral(L, c"\n");
            ffi::lua_concat(L, 3);
        }
        let mut len = 0;
        let bytes = ffi::lua_tolstring(L, -1, &mut len);
        write(std::slice::from_raw_parts(bytes.cast(), len));
    }
}

/// Pushes the value at `index` as text, by its `__tostring` if it has one. [-0, +1] May raise.
unsafe fn text(L: *mut lua_State, index: c_int) {
    // SAFETY: any value may stand there.
    unsafe {
        ffi::luaL_tolstring(L, index, std::ptr::null_mut());
    }
}

fn write(bytes: &[u8]) {
    // Where there is no standard error there is nobody to tell.
    let _ = raw::guard(|| std::io::stderr().write_all(bytes));
}

/// `onerror([handler])` → the previous handler (90 §2.2).
pub(crate) unsafe extern "C-unwind" fn onerror(L: *mut lua_State) -> c_int {
    // SAFETY: arguments are checked.
    unsafe {
        let given = ffi::lua_gettop(L) > 0;
        let valid = match ffi::lua_type(L, 1) {
            ffi::LUA_TNONE | ffi::LUA_TNIL | ffi::LUA_TFUNCTION => true,
            ffi::LUA_TSTRING => CStr::from_ptr(ffi::lua_tostring(L, 1)) == c"raise",
            _ => false,
        };
        if !valid {
            raw::error::type_error(L, raw::error::DIRECT, 1, c"function or \"raise\"");
        }
        state::push_field(L, field::HANDLER);
        if given {
            ffi::lua_pushvalue(L, 1);
            state::set_field(L, field::HANDLER);
        }
    }
    1
}

/// `report(error, coroutine, traceback)`, for the Lua parts of the library.
pub(crate) unsafe extern "C-unwind" fn report_value(L: *mut lua_State) -> c_int {
    // SAFETY: three values are pushed for `handle`.
    unsafe {
        ffi::lua_settop(L, 3);
        ffi::lua_pushcfunction(L, handle);
        ffi::lua_insert(L, 1);
        call(L, 3);
    }
    0
}
