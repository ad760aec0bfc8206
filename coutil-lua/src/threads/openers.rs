//! The openers of the standard libraries, as independent states have them in `package.preload` (20 §1.2, 90 §4.7). None has an
//! upvalue, as they are copied from state to state.

#[cfg(any(feature = "lua51", feature = "luajit"))]
use crate::raw::c_int;
use crate::raw::{lua_CFunction, lua_State};
use mlua::ffi;
use std::ffi::CStr;

/// Name and opener of each library but `package`.
pub(crate) const OPENERS: &[(&CStr, lua_CFunction)] = &[
    #[cfg(not(any(feature = "lua51", feature = "luajit")))]
    (c"_G", ffi::luaopen_base),
    #[cfg(not(any(feature = "lua51", feature = "luajit")))]
    (c"coroutine", ffi::luaopen_coroutine),
    #[cfg(not(any(feature = "lua51", feature = "luajit")))]
    (c"table", ffi::luaopen_table),
    #[cfg(not(any(feature = "lua51", feature = "luajit")))]
    (c"io", ffi::luaopen_io),
    #[cfg(not(any(feature = "lua51", feature = "luajit")))]
    (c"os", ffi::luaopen_os),
    #[cfg(not(any(feature = "lua51", feature = "luajit")))]
    (c"string", ffi::luaopen_string),
    #[cfg(not(any(feature = "lua51", feature = "luajit")))]
    (c"math", ffi::luaopen_math),
    #[cfg(not(any(feature = "lua51", feature = "luajit")))]
    (c"debug", ffi::luaopen_debug),
    #[cfg(feature = "lua52")]
    (c"bit32", ffi::luaopen_bit32),
    #[cfg(any(feature = "lua53", feature = "lua54", feature = "lua55"))]
    (c"utf8", ffi::luaopen_utf8),
    #[cfg(any(feature = "lua51", feature = "luajit"))]
    (c"_G", old::open_base),
    #[cfg(any(feature = "lua51", feature = "luajit"))]
    (c"coroutine", old::open_coroutine),
    #[cfg(any(feature = "lua51", feature = "luajit"))]
    (c"table", old::open_table),
    #[cfg(any(feature = "lua51", feature = "luajit"))]
    (c"io", old::open_io),
    #[cfg(any(feature = "lua51", feature = "luajit"))]
    (c"os", old::open_os),
    #[cfg(any(feature = "lua51", feature = "luajit"))]
    (c"string", old::open_string),
    #[cfg(any(feature = "lua51", feature = "luajit"))]
    (c"math", old::open_math),
    #[cfg(any(feature = "lua51", feature = "luajit"))]
    (c"debug", old::open_debug),
    #[cfg(feature = "luajit")]
    (c"bit", old::open_bit),
    #[cfg(feature = "luajit")]
    (c"jit", old::open_jit),
    #[cfg(feature = "luajit")]
    (c"ffi", old::open_ffi),
];

/// Opens the library `package`: afterwards it is the only one that is loaded, and `require` the only global. [-0, +0] Raises for
/// memory.
pub(crate) unsafe fn open_package(L: *mut lua_State) {
    // SAFETY: the state is new.
    unsafe {
        ffi::lua_pushcfunction(L, ffi::luaopen_package);
        ffi::lua_pushstring(L, c"package".as_ptr());
        ffi::lua_call(L, 1, 1);
        ffi::luaL_getsubtable(L, ffi::LUA_REGISTRYINDEX, c"_LOADED".as_ptr());
        ffi::lua_insert(L, -2);
        ffi::lua_setfield(L, -2, c"package".as_ptr());
        ffi::lua_pop(L, 1);
        // Up to 5.2 it sets these too.
        #[cfg(any(feature = "lua51", feature = "lua52", feature = "luajit"))]
        for name in [c"package", c"module"] {
            ffi::lua_pushnil(L);
            ffi::lua_setglobal(L, name.as_ptr());
        }
        #[cfg(feature = "luajit")]
        old::switch_on(L);
    }
}

/// Pushes the table of the base library; one of its own if that is not loaded, so that no global is set. [-0, +1] May raise.
pub(crate) unsafe fn push_base(L: *mut lua_State) {
    // SAFETY: what is taken away for the opener is put back.
    unsafe {
        ffi::luaL_getsubtable(L, ffi::LUA_REGISTRYINDEX, c"_LOADED".as_ptr());
        ffi::lua_getfield(L, -1, c"_G".as_ptr());
        if ffi::lua_istable(L, -1) != 0 {
            ffi::lua_replace(L, -2);
            return;
        }
        ffi::lua_pop(L, 2);
        #[cfg(any(feature = "lua51", feature = "luajit"))]
        old::push_base(L);
        #[cfg(not(any(feature = "lua51", feature = "luajit")))]
        {
            let top = ffi::lua_gettop(L);
            ffi::lua_createtable(L, 0, 30);
            ffi::lua_rawgeti(L, ffi::LUA_REGISTRYINDEX, ffi::LUA_RIDX_GLOBALS);
            ffi::lua_pushcfunction(L, ffi::luaopen_base);
            ffi::lua_pushvalue(L, top + 1);
            ffi::lua_rawseti(L, ffi::LUA_REGISTRYINDEX, ffi::LUA_RIDX_GLOBALS);
            let status = ffi::lua_pcall(L, 0, 0, 0);
            ffi::lua_pushvalue(L, top + 2);
            ffi::lua_rawseti(L, ffi::LUA_REGISTRYINDEX, ffi::LUA_RIDX_GLOBALS);
            if status != ffi::LUA_OK {
                ffi::lua_error(L);
            }
            ffi::lua_settop(L, top + 1);
        }
    }
}

/// Has the function on the top, a part of the library, find the functions of the base library, loaded or not. [-0, +0] May raise.
pub(crate) unsafe fn give_base(L: *mut lua_State) {
    static KEY: u8 = 0;
    // SAFETY: the function has one upvalue, which is where globals are; on 5.1 it has an environment.
    unsafe {
        ffi::luaL_getsubtable(L, ffi::LUA_REGISTRYINDEX, c"_LOADED".as_ptr());
        ffi::lua_getfield(L, -1, c"_G".as_ptr());
        let loaded = ffi::lua_istable(L, -1) != 0;
        ffi::lua_pop(L, 2);
        if loaded {
            return;
        }
        if ffi::lua_rawgetp(L, ffi::LUA_REGISTRYINDEX, (&raw const KEY).cast()) != ffi::LUA_TTABLE {
            ffi::lua_pop(L, 1);
            push_base(L);
            ffi::lua_getglobal(L, c"require".as_ptr());
            ffi::lua_setfield(L, -2, c"require".as_ptr());
            ffi::lua_pushvalue(L, -1);
            ffi::lua_rawsetp(L, ffi::LUA_REGISTRYINDEX, (&raw const KEY).cast());
        }
        #[cfg(any(feature = "lua51", feature = "luajit"))]
        ffi::lua_setfenv(L, -2);
        #[cfg(not(any(feature = "lua51", feature = "luajit")))]
        ffi::lua_setupvalue(L, -2, 1);
    }
}

/// Pushes a library `coroutine` of its own, where it is not loaded. [-0, +1] May raise.
#[cfg(feature = "luajit")]
pub(crate) unsafe fn push_coroutine(L: *mut lua_State) {
    // SAFETY: as the callee.
    unsafe { old::push_coroutine(L) }
}

/// Of 5.1 and LuaJIT, where openers set globals.
#[cfg(any(feature = "lua51", feature = "luajit"))]
mod old {
    use super::*;

    /// Pushes a global, which is nil then. [-0, +1] Raises for memory.
    unsafe fn set_aside(L: *mut lua_State, name: &CStr) {
        // SAFETY: globals are a table; no metamethod is called.
        unsafe {
            ffi::lua_pushstring(L, name.as_ptr());
            ffi::lua_rawget(L, ffi::LUA_GLOBALSINDEX);
            ffi::lua_pushstring(L, name.as_ptr());
            ffi::lua_pushnil(L);
            ffi::lua_rawset(L, ffi::LUA_GLOBALSINDEX);
        }
    }

    /// Sets a global to the value at `index`. [-0, +0] Raises for memory.
    unsafe fn set_back(L: *mut lua_State, name: &CStr, index: c_int) {
        // SAFETY: as `set_aside`.
        unsafe {
            ffi::lua_pushstring(L, name.as_ptr());
            ffi::lua_pushvalue(L, index);
            ffi::lua_rawset(L, ffi::LUA_GLOBALSINDEX);
        }
    }

    unsafe fn push_loaded(L: *mut lua_State) {
        // SAFETY: the library `package` made it.
        unsafe {
            ffi::luaL_getsubtable(L, ffi::LUA_REGISTRYINDEX, c"_LOADED".as_ptr());
        }
    }

    /// Opens a library; the global of its name is as it was. Its table is the result.
    unsafe fn open(L: *mut lua_State, name: &CStr, opener: lua_CFunction) -> c_int {
        // SAFETY: as above.
        unsafe {
            ffi::lua_settop(L, 0);
            set_aside(L, name);
            ffi::lua_pushcfunction(L, opener);
            ffi::lua_pushstring(L, name.as_ptr());
            ffi::lua_call(L, 1, 0);
            set_back(L, name, 1);
            push_loaded(L);
            ffi::lua_getfield(L, -1, name.as_ptr());
            1
        }
    }

    macro_rules! openers {
        ($($name:ident => $library:literal, $opener:ident;)*) => { $(
            pub(super) unsafe extern "C-unwind" fn $name(L: *mut lua_State) -> c_int {
                // SAFETY: called by `require`.
                unsafe { open(L, $library, ffi::$opener) }
            }
        )* };
    }

    openers! {
        open_table => c"table", luaopen_table;
        open_io => c"io", luaopen_io;
        open_os => c"os", luaopen_os;
        open_string => c"string", luaopen_string;
        open_math => c"math", luaopen_math;
        open_debug => c"debug", luaopen_debug;
    }

    #[cfg(feature = "luajit")]
    openers! {
        open_bit => c"bit", luaopen_bit;
        open_jit => c"jit", luaopen_jit;
    }

    #[cfg(feature = "luajit")]
    pub(super) unsafe extern "C-unwind" fn open_ffi(L: *mut lua_State) -> c_int {
        // SAFETY: called by `require`. It sets no global, and returns its table.
        unsafe { ffi::luaopen_ffi(L) }
    }

    /// The compiler works only when the library `jit` was opened once. That it was is not seen.
    #[cfg(feature = "luajit")]
    pub(super) unsafe fn switch_on(L: *mut lua_State) {
        // SAFETY: the state is new.
        unsafe {
            ffi::lua_pushcfunction(L, ffi::luaopen_jit);
            ffi::lua_pushstring(L, c"jit".as_ptr());
            ffi::lua_call(L, 1, 0);
            push_loaded(L);
            for name in [c"jit", c"jit.opt"] {
                ffi::lua_pushnil(L);
                ffi::lua_setfield(L, -2, name.as_ptr());
            }
            ffi::lua_pop(L, 1);
            ffi::lua_pushnil(L);
            ffi::lua_setglobal(L, c"jit".as_ptr());
        }
    }

    /// The opener of the base library opens `coroutine` too: what there was of that is as it was.
    pub(super) unsafe extern "C-unwind" fn open_base(L: *mut lua_State) -> c_int {
        // SAFETY: called by `require`.
        unsafe {
            ffi::lua_settop(L, 0);
            set_aside(L, c"coroutine");
            push_loaded(L);
            ffi::lua_getfield(L, 2, c"coroutine".as_ptr());
            ffi::lua_pushcfunction(L, ffi::luaopen_base);
            ffi::lua_pushstring(L, c"".as_ptr());
            ffi::lua_call(L, 1, 0);
            set_back(L, c"coroutine", 1);
            ffi::lua_pushvalue(L, 3);
            ffi::lua_setfield(L, 2, c"coroutine".as_ptr());
            ffi::lua_pushvalue(L, ffi::LUA_GLOBALSINDEX);
            1
        }
    }

    /// The same the other way round.
    pub(super) unsafe extern "C-unwind" fn open_coroutine(L: *mut lua_State) -> c_int {
        // SAFETY: called by `require`.
        unsafe {
            open_apart(L);
            1
        }
    }

    /// Pushes a library `coroutine` of its own. [-0, +1]
    #[cfg(feature = "luajit")]
    pub(super) unsafe fn push_coroutine(L: *mut lua_State) {
        // SAFETY: as the callee.
        unsafe {
            open_apart(L);
            ffi::lua_replace(L, -2);
        }
    }

    /// Pushes the table of a base library of its own. [-0, +1]
    pub(super) unsafe fn push_base(L: *mut lua_State) {
        // SAFETY: as the callee.
        unsafe {
            open_apart(L);
            ffi::lua_pop(L, 1);
        }
    }

    /// Opens the base library for a thread with globals of its own, and pushes those, and the library `coroutine`. What is loaded
    /// stays as it is. [-0, +2]
    unsafe fn open_apart(L: *mut lua_State) {
        // SAFETY: as above.
        unsafe {
            let top = ffi::lua_gettop(L);
            push_loaded(L);
            ffi::lua_getfield(L, top + 1, c"_G".as_ptr());
            ffi::lua_getfield(L, top + 1, c"coroutine".as_ptr());
            let apart = ffi::lua_newthread(L);
            ffi::lua_createtable(apart, 0, 0);
            ffi::lua_replace(apart, ffi::LUA_GLOBALSINDEX);
            for name in [c"_G", c"coroutine"] {
                ffi::lua_pushnil(L);
                ffi::lua_setfield(L, top + 1, name.as_ptr());
            }
            ffi::lua_pushcfunction(apart, ffi::luaopen_base);
            ffi::lua_pushstring(apart, c"".as_ptr());
            let status = ffi::lua_pcall(apart, 1, 0, 0);
            ffi::lua_getfield(L, top + 1, c"coroutine".as_ptr());
            for (index, name) in [(top + 2, c"_G"), (top + 3, c"coroutine")] {
                ffi::lua_pushvalue(L, index);
                ffi::lua_setfield(L, top + 1, name.as_ptr());
            }
            if status == ffi::LUA_OK {
                ffi::lua_pushvalue(apart, ffi::LUA_GLOBALSINDEX);
            }
            ffi::lua_xmove(apart, L, 1);
            if status != ffi::LUA_OK {
                ffi::lua_error(L);
            }
            ffi::lua_replace(L, top + 1);
            ffi::lua_replace(L, top + 2);
            ffi::lua_settop(L, top + 2);
        }
    }
}
