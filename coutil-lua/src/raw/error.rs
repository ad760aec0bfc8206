//! Errors, with the texts of Lua 5.4's auxiliary library on every version.

use super::{c_int, lua_State};
use mlua::ffi;
use std::ffi::{CStr, c_char};

/// The error is that of the C function that runs.
pub(crate) const DIRECT: c_int = 0;

/// The error is that of an await function: on versions without continuations the Lua function around the C function
/// that runs takes the blame.
pub(crate) const AWAIT: c_int = if super::compat::WRAPPED { 1 } else { 0 };

/// Raises the message on the top, with the position of whoever called the function at level `frame`. [-1, +0]
#[cold]
pub(crate) unsafe fn raise(L: *mut lua_State, frame: c_int) -> ! {
    // SAFETY: the message is on the top.
    unsafe {
        ffi::luaL_where(L, 1 + frame);
        ffi::lua_insert(L, -2);
        ffi::lua_concat(L, 2);
        ffi::lua_error(L)
    }
}

/// Raises `message`, with the position of the caller.
#[cold]
pub(crate) unsafe fn raise_text(L: *mut lua_State, frame: c_int, message: &CStr) -> ! {
    // SAFETY: Lua copies the text.
    unsafe {
        ffi::lua_pushstring(L, message.as_ptr());
        raise(L, frame)
    }
}

/// Raises `TEXT (got 'C')`, with that very byte, whatever it is.
#[cold]
pub(crate) unsafe fn raise_byte(L: *mut lua_State, frame: c_int, text: &CStr, byte: u8) -> ! {
    // SAFETY: the byte is copied.
    unsafe {
        ffi::lua_pushstring(L, text.as_ptr());
        ffi::lua_pushstring(L, c" (got '".as_ptr());
        ffi::lua_pushlstring(L, (&raw const byte).cast(), 1);
        ffi::lua_pushstring(L, c"')".as_ptr());
        ffi::lua_concat(L, 4);
        raise(L, frame)
    }
}

/// Raises the error of a coroutine that cannot yield (00 §1.4).
#[cold]
pub(crate) unsafe fn unable_to_yield(L: *mut lua_State) -> ! {
    // SAFETY: as `raise_text`.
    unsafe { raise_text(L, AWAIT, c"unable to yield") }
}

/// `bad argument #N to 'NAME' (DETAIL)`, or `calling 'NAME' on bad self (DETAIL)`.
#[cold]
pub(crate) unsafe fn argument(L: *mut lua_State, frame: c_int, arg: c_int, detail: *const c_char) -> ! {
    // SAFETY: `ar` is filled in before it is read; its strings live as long as its function is on the stack.
    unsafe {
        let mut ar: ffi::lua_Debug = std::mem::zeroed();
        let mut arg = arg;
        if ffi::lua_getstack(L, frame, &mut ar) == 0 {
            ffi::lua_pushfstring(L, c"bad argument #%d (%s)".as_ptr(), arg, detail);
            raise(L, frame);
        }
        ffi::lua_getinfo(L, c"n".as_ptr(), &mut ar);
        let what = CStr::from_ptr(ar.namewhat).to_bytes();
        // 5.5 counts the arguments that `__call` put in front apart.
        #[cfg(feature = "lua55")]
        {
            ffi::lua_getinfo(L, c"t".as_ptr(), &mut ar);
            let extra = c_int::from(ar.extraargs);
            if arg <= extra {
                let name = function_name(L, frame, &ar);
                ffi::lua_pushfstring(L, c"bad extra argument #%d to '%s' (%s)".as_ptr(), arg, name, detail);
                raise(L, frame);
            }
            arg -= extra;
        }
        if what == b"method" {
            arg -= 1;
            if arg == 0 {
                ffi::lua_pushfstring(L, c"calling '%s' on bad self (%s)".as_ptr(), ar.name, detail);
                raise(L, frame);
            }
        }
        let name = function_name(L, frame, &ar);
        ffi::lua_pushfstring(L, c"bad argument #%d to '%s' (%s)".as_ptr(), arg, name, detail);
        raise(L, frame)
    }
}

/// `EXPECTED expected, got TYPE` as an argument error.
#[cold]
pub(crate) unsafe fn type_error(L: *mut lua_State, frame: c_int, arg: c_int, expected: &CStr) -> ! {
    // SAFETY: as the callee.
    unsafe { type_error_of(L, frame, arg, arg, expected) }
}

/// As [`type_error`], about the value at `index`.
#[cold]
pub(crate) unsafe fn type_error_of(
    L: *mut lua_State,
    frame: c_int,
    arg: c_int,
    index: c_int,
    expected: &CStr,
) -> ! {
    // SAFETY: `type_name` leaves its string on the stack.
    unsafe {
        let got = type_name(L, index);
        let detail = ffi::lua_pushfstring(L, c"%s expected, got %s".as_ptr(), expected.as_ptr(), got);
        argument(L, frame, arg, detail)
    }
}

/// What a type error calls the value at `arg`. [-0, +0 or +1], the string lives on the stack.
unsafe fn type_name(L: *mut lua_State, arg: c_int) -> *const c_char {
    // SAFETY: any value or none may stand there.
    unsafe {
        if ffi::luaL_getmetafield(L, arg, c"__name".as_ptr()) == ffi::LUA_TSTRING {
            return ffi::lua_tostring(L, -1);
        }
        match ffi::lua_type(L, arg) {
            ffi::LUA_TLIGHTUSERDATA => c"light userdata".as_ptr(),
            other => ffi::lua_typename(L, other),
        }
    }
}

/// The name of the function at level `frame`: what the caller calls it, or else its dotted name among the loaded
/// modules, or else `?`. [-0, +some], the string lives on the stack.
unsafe fn function_name(L: *mut lua_State, frame: c_int, ar: &ffi::lua_Debug) -> *const c_char {
    // SAFETY: as above.
    unsafe {
        if !ar.name.is_null() {
            let name = CStr::from_ptr(ar.name).to_bytes();
            // Before 5.4 a metamethod is called by its field; later such a name is that of a call of the field.
            let is_field = cfg!(any(feature = "lua54", feature = "lua55"));
            let prefix = if name.starts_with(b"__") && !is_field { 2 } else { 0 };
            return ar.name.add(prefix);
        }
        let mut ar: ffi::lua_Debug = std::mem::zeroed();
        ffi::lua_getstack(L, frame, &mut ar);
        ffi::lua_getinfo(L, c"f".as_ptr(), &mut ar);
        ffi::luaL_checkstack(L, 10, std::ptr::null());
        let function = ffi::lua_gettop(L);
        #[cfg(feature = "lua51")]
        if let Some(name) = event_name(L, frame, function) {
            return name;
        }
        loaded_name(L, function)
    }
}

/// The event that the function at index `function` handles, if it was called for that: 5.1 has no name for such a call. A Lua
/// function calls it, and the metatable of its first operand has it. [-0, +some]
#[cfg(feature = "lua51")]
unsafe fn event_name(L: *mut lua_State, frame: c_int, function: c_int) -> Option<*const c_char> {
    // SAFETY: as above; the table is not changed while it is traversed.
    unsafe {
        let mut ar: ffi::lua_Debug = std::mem::zeroed();
        if ffi::lua_getstack(L, frame + 1, &mut ar) == 0
            || ffi::lua_getinfo(L, c"S".as_ptr(), &mut ar) == 0
            || CStr::from_ptr(ar.what).to_bytes() == b"C"
            || ffi::lua_getmetatable(L, 1) == 0
        {
            return None;
        }
        ffi::lua_pushnil(L);
        while ffi::lua_next(L, -2) != 0 {
            if ffi::lua_type(L, -2) == ffi::LUA_TSTRING && ffi::lua_rawequal(L, -1, function) != 0 {
                let name = ffi::lua_tostring(L, -2);
                return CStr::from_ptr(name).to_bytes().starts_with(b"__").then(|| name.add(2));
            }
            ffi::lua_pop(L, 1);
        }
        None
    }
}

/// The name of the function at index `function` among the loaded modules, or `?`. The shortest name counts, so that a
/// module that is loaded under two names gives the same texts each time. [-0, +some]
unsafe fn loaded_name(L: *mut lua_State, function: c_int) -> *const c_char {
    // SAFETY: `lua_next` gets the key that it gave; strings are not converted, as only keys of type string are read.
    unsafe {
        ffi::lua_pushnil(L); // the best name so far
        let best = ffi::lua_gettop(L);
        ffi::lua_getfield(L, ffi::LUA_REGISTRYINDEX, c"_LOADED".as_ptr());
        if ffi::lua_istable(L, -1) == 0 {
            return c"?".as_ptr();
        }
        ffi::lua_pushnil(L);
        while ffi::lua_next(L, -2) != 0 {
            // stack: best, loaded, module name, module
            if ffi::lua_type(L, -2) == ffi::LUA_TSTRING && ffi::lua_istable(L, -1) != 0 {
                ffi::lua_pushnil(L);
                while ffi::lua_next(L, -2) != 0 {
                    // stack: best, loaded, module name, module, field name, field
                    if ffi::lua_type(L, -2) == ffi::LUA_TSTRING && ffi::lua_rawequal(L, -1, function) != 0 {
                        let module = ffi::lua_tostring(L, -4);
                        let field = ffi::lua_tostring(L, -2);
                        if CStr::from_ptr(module).to_bytes() == b"_G" {
                            ffi::lua_pushstring(L, field);
                        } else {
                            ffi::lua_pushfstring(L, c"%s.%s".as_ptr(), module, field);
                        }
                        if ffi::lua_isnil(L, best) != 0 || ffi::lua_rawlen(L, -1) < ffi::lua_rawlen(L, best) {
                            ffi::lua_copy(L, -1, best);
                        }
                        ffi::lua_pop(L, 1);
                    }
                    ffi::lua_pop(L, 1);
                }
            }
            ffi::lua_pop(L, 1);
        }
        ffi::lua_pop(L, 1);
        if ffi::lua_isnil(L, best) != 0 { c"?".as_ptr() } else { ffi::lua_tostring(L, best) }
    }
}
