//! Errors that nobody else would see: those of coroutines that the library resumed (90 §2).

use crate::raw::{self, c_int, lua_State};
use crate::state::{self, field};
use crate::threads::shared::Context;
use mlua::ffi;
use std::ffi::{CStr, c_char};
use std::io::Write;

/// Reports the error on the top of `L`, of which `co` died. [-1, +0] Never raises.
pub(crate) unsafe fn report(L: *mut lua_State, co: *mut lua_State) {
    // SAFETY: `co` is anchored by the caller, and another thread than `L`.
    unsafe { give(L, co, std::ptr::null()) }
}

/// As [`report`], of an error in a finalizer, of which nothing died: the running coroutine is told. [-1, +0] Never raises.
pub(crate) unsafe fn report_own(L: *mut lua_State) {
    // SAFETY: a finalizer has room for what is pushed.
    unsafe {
        state::push_field(L, field::HANDLE);
        ffi::lua_pushvalue(L, -2);
        ffi::lua_pushthread(L);
        ffi::lua_pushnil(L);
        ffi::lua_pushlightuserdata(L, std::ptr::null_mut());
        call(L, 4, -6, std::ptr::null());
        ffi::lua_pop(L, 1);
    }
}

/// As [`report`], of an error that has no value yet. [-0, +0] Never raises.
pub(crate) unsafe fn report_text(L: *mut lua_State, co: *mut lua_State, text: &'static CStr) {
    // SAFETY: as `report`.
    unsafe {
        ffi::lua_pushnil(L);
        give(L, co, text.as_ptr());
    }
}

/// Tells of a failure that ends nothing: the message on the top. [-1, +0] Never raises.
pub(crate) unsafe fn tell(L: *mut lua_State, _prefix: &'static CStr) {
    // SAFETY: as the callees.
    unsafe {
        #[cfg(any(feature = "lua54", feature = "lua55"))]
        warn(L, _prefix);
        report(L, L);
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
                _ if prefix == c"system.run" => c"(error object is not a string)".as_ptr(),
                _ => c"(null)".as_ptr(),
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

/// Calls [`handle`] with the error on the top, or with this text. [-1, +0] Never raises.
unsafe fn give(L: *mut lua_State, co: *mut lua_State, text: *const c_char) {
    // SAFETY: as `report`. On 5.1 and LuaJIT to ask for room may raise, and what is pushed here has room: a C function
    // runs on `L`, and the error came off `co`, or a C function is suspended there.
    unsafe {
        let room = cfg!(any(feature = "lua51", feature = "luajit"))
            || ffi::lua_checkstack(L, 8) != 0 && ffi::lua_checkstack(co, 1) != 0;
        if room {
            state::push_field(L, field::HANDLE);
            ffi::lua_pushvalue(L, -2);
            ffi::lua_pushthread(co);
            ffi::lua_xmove(co, L, 1);
            ffi::lua_pushnil(L);
            ffi::lua_pushlightuserdata(L, text.cast_mut().cast());
            call(L, 4, -6, text);
        } else {
            write_plain(L, -1, text, b"stack overflow");
        }
        ffi::lua_pop(L, 1);
    }
}

/// Calls the function with its `nargs` arguments on the top. If it fails that is written, and what it was to report: the
/// value at `error`, counted from the top, or the text. [-(1+nargs), +0] Never raises.
unsafe fn call(L: *mut lua_State, nargs: c_int, error: c_int, text: *const c_char) {
    // SAFETY: the values are on the stack. To write a message may raise for memory, so that is protected as well.
    unsafe {
        let error = ffi::lua_gettop(L) + 1 + error;
        if ffi::lua_pcall(L, nargs, 0, 0) != ffi::LUA_OK {
            state::push_field(L, field::WRITE_FAILURE);
            ffi::lua_insert(L, -2);
            ffi::lua_pushvalue(L, error);
            ffi::lua_pushlightuserdata(L, text.cast_mut().cast());
            if ffi::lua_pcall(L, 3, 0, 0) != ffi::LUA_OK {
                // Without a call, as there may be none left.
                write_plain(L, error, text, plain(L, -1));
                ffi::lua_pop(L, 1);
            }
        }
    }
}

/// Writes an error without calling Lua, and why it could not be reported as it should. Never raises.
#[cold]
unsafe fn write_plain(L: *mut lua_State, error: c_int, text: *const c_char, why: &[u8]) {
    // SAFETY: the value stands at that index.
    unsafe {
        let error = if text.is_null() { plain(L, error) } else { CStr::from_ptr(text).to_bytes() };
        let _ = raw::guard(|| {
            let report =
                [b"coutil: error in error handler: ", why, b"\nwhile this was reported: ", error, b"\n"]
                    .concat();
            std::io::stderr().write_all(&report)
        });
    }
}

/// The bytes of the string at `index`, or what it is instead. They live as long as the value. Never raises.
unsafe fn plain<'a>(L: *mut lua_State, index: c_int) -> &'a [u8] {
    // SAFETY: a string is not converted.
    unsafe {
        if ffi::lua_type(L, index) != ffi::LUA_TSTRING {
            let name = ffi::lua_typename(L, ffi::lua_type(L, index));
            return CStr::from_ptr(name).to_bytes();
        }
        let mut len = 0;
        let bytes = ffi::lua_tolstring(L, index, &mut len);
        std::slice::from_raw_parts(bytes.cast(), len)
    }
}

/// Puts the text, if the light userdata at `index` is one, in place of the error at index 1. May raise.
unsafe fn take_text(L: *mut lua_State, index: c_int, error: c_int) {
    // SAFETY: only this module calls with a text.
    unsafe {
        let text = ffi::lua_touserdata(L, index).cast::<c_char>();
        if !text.is_null() {
            ffi::lua_pushstring(L, text);
            ffi::lua_replace(L, error);
        }
    }
}

/// `(error, coroutine, traceback or nil, text)`: gives them to the handler.
pub(crate) unsafe extern "C-unwind" fn handle(L: *mut lua_State) -> c_int {
    // SAFETY: called by this module with these arguments.
    unsafe {
        take_text(L, 4, 1);
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
            // In an independent state the warning says it, while warnings are on (90 §2.4).
            ffi::LUA_TNIL if Context::of(L).is_some_and(|context| context.warnings.is_on()) => {}
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
                #[cfg(not(feature = "lua55"))]
                ffi::lua_call(L, 3, 0);
                #[cfg(feature = "lua55")]
                call_apart(L);
            }
        }
    }
    0
}

/// Calls the handler with its three arguments in a coroutine of its own: here a coroutine can close itself, and would take all
/// with it that runs on it. [-4, +0] Raises the error of the handler.
#[cfg(feature = "lua55")]
unsafe fn call_apart(L: *mut lua_State) {
    // SAFETY: the new coroutine is anchored at index 1.
    unsafe {
        let apart = ffi::lua_newthread(L);
        ffi::lua_insert(L, 1);
        ffi::lua_xmove(L, apart, 4);
        let mut results = 0;
        match ffi::lua_resume(apart, L, 3, &mut results) {
            ffi::LUA_OK => {}
            ffi::LUA_YIELD => {
                ffi::lua_pushliteral(L, c"attempt to yield in an error handler");
                ffi::lua_error(L);
            }
            _ => {
                ffi::lua_xmove(apart, L, 1);
                ffi::lua_error(L);
            }
        }
    }
}

/// `(failure, error, text)`: the handler itself failed, or did not come to handle the error.
pub(crate) unsafe extern "C-unwind" fn write_failure(L: *mut lua_State) -> c_int {
    // SAFETY: called by `call` with these arguments.
    unsafe {
        take_text(L, 3, 2);
        ffi::lua_pushliteral(L, c"while this was reported: ");
        text(L, 2);
        ffi::lua_concat(L, 2);
        write_report(L, c"coutil: error in error handler: ", 1, ffi::lua_gettop(L));
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
            ffi::LUA_TSTRING => plain(L, 1) == b"raise",
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
        state::push_field(L, field::HANDLE);
        for index in 1..=3 {
            ffi::lua_pushvalue(L, index);
        }
        ffi::lua_pushlightuserdata(L, std::ptr::null_mut());
        call(L, 4, -8, std::ptr::null());
    }
    0
}
