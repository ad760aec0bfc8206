//! What the Lua versions do differently, and `mlua::ffi` does not even out.

use super::{c_int, lua_State};
use mlua::ffi;

/// Whether this version has no continuations: functions that await are then Lua functions around `lua_yield`, and the
/// checks made inside blame the caller of the Lua function (see [`AWAIT`](super::error::AWAIT)).
pub(crate) const WRAPPED: bool = cfg!(any(feature = "lua51", feature = "luajit"));

/// The feature string of the version, as the module folder is named.
pub(crate) const VERSION: &str = if cfg!(feature = "luajit") {
    "LuaJIT"
} else if cfg!(feature = "lua51") {
    "Lua 5.1"
} else if cfg!(feature = "lua52") {
    "Lua 5.2"
} else if cfg!(feature = "lua53") {
    "Lua 5.3"
} else if cfg!(feature = "lua54") {
    "Lua 5.4"
} else {
    "Lua 5.5"
};

#[cfg(feature = "luajit")]
unsafe extern "C-unwind" {
    // Not in the headers of 5.1, but exported by every 2.1.
    fn lua_isyieldable(L: *mut lua_State) -> c_int;
}

#[cfg(feature = "lua51")]
unsafe extern "C-unwind" {
    fn lua_setlevel(from: *mut lua_State, to: *mut lua_State);
}

/// Whether the running coroutine can yield, as far as the version can tell.
#[cfg(not(any(feature = "lua51", feature = "lua52")))]
#[inline]
pub(crate) unsafe fn is_yieldable(L: *mut lua_State) -> bool {
    #[cfg(not(feature = "luajit"))]
    use ffi::lua_isyieldable;
    // SAFETY: changes nothing.
    unsafe { lua_isyieldable(L) != 0 }
}

/// Whether the running coroutine can yield, as far as the version can tell: 5.1 and 5.2 have no function for it. False
/// for the main thread, and below a C function that is known or likely to be in the way. What this misses is found when
/// the coroutine yields (see `suspend`), before anything was started.
#[cfg(any(feature = "lua51", feature = "lua52"))]
pub(crate) unsafe fn is_yieldable(L: *mut lua_State) -> bool {
    /// Deeper frames are not looked at: the walk takes quadratic time.
    const LEVELS: c_int = 60;
    // SAFETY: `ar` is filled in by `lua_getstack` before it is used; `lua_getinfo` pushes the function for "f".
    unsafe {
        let top = ffi::lua_gettop(L);
        let mut yieldable = ffi::lua_pushthread(L) == 0;
        let mut ar = std::mem::MaybeUninit::<ffi::lua_Debug>::uninit();
        let own = 1 + super::error::AWAIT;
        let mut level = own;
        while yieldable && level < own + LEVELS && ffi::lua_getstack(L, level, ar.as_mut_ptr()) != 0 {
            ffi::lua_getinfo(L, c"f".as_ptr(), ar.as_mut_ptr());
            if ffi::lua_iscfunction(L, -1) != 0 {
                yieldable = passes_yields(L);
            }
            ffi::lua_settop(L, top);
            level += 1;
        }
        ffi::lua_settop(L, top);
        yieldable
    }
}

/// Of 5.1's C functions none can be yielded across.
#[cfg(feature = "lua51")]
unsafe fn passes_yields(_: *mut lua_State) -> bool {
    false
}

/// Of the C functions of 5.2's libraries only `pcall`, `xpcall` and `dofile` can be yielded across. Other C functions may
/// be; the yield itself tells. The function is on the top.
#[cfg(feature = "lua52")]
unsafe fn passes_yields(L: *mut lua_State) -> bool {
    // SAFETY: as the caller says.
    unsafe { !barriers().contains(&(to_cfunction(L, -1) as usize)) }
}

/// The C functions of the standard libraries that cannot be yielded across, by their addresses. Read once for the
/// process, off a Lua state made for it.
#[cfg(feature = "lua52")]
fn barriers() -> &'static std::collections::HashSet<usize> {
    static BARRIERS: std::sync::OnceLock<std::collections::HashSet<usize>> = std::sync::OnceLock::new();
    BARRIERS.get_or_init(|| {
        let mut barriers = std::collections::HashSet::new();
        // SAFETY: the state is ours alone. Opening its libraries raises only for memory, without a handler, and then the
        // process has come to its end anyway.
        unsafe {
            let L = ffi::luaL_newstate();
            if L.is_null() {
                return barriers;
            }
            ffi::luaL_openlibs(L);
            ffi::lua_getfield(L, ffi::LUA_REGISTRYINDEX, c"_LOADED".as_ptr());
            ffi::lua_pushnil(L);
            while ffi::lua_next(L, -2) != 0 {
                ffi::lua_pushnil(L);
                while ffi::lua_next(L, -2) != 0 {
                    let name = std::ffi::CStr::from_ptr(ffi::lua_tostring(L, -2)).to_bytes();
                    if !matches!(name, b"pcall" | b"xpcall" | b"dofile") {
                        barriers.insert(to_cfunction(L, -1) as usize);
                    }
                    ffi::lua_pop(L, 1);
                }
                ffi::lua_pop(L, 1);
            }
            ffi::lua_close(L);
        }
        barriers.remove(&0);
        barriers
    })
}

/// Makes `co` as deep in C calls as `L` is.
#[cfg(feature = "lua51")]
pub(crate) unsafe fn set_level(L: *mut lua_State, co: *mut lua_State) {
    // SAFETY: copies a counter.
    unsafe { lua_setlevel(L, co) }
}

/// Resumes `co` with the `nargs` values on its top; the results are on its top, and their number in `nres`.
#[inline(always)]
pub(crate) unsafe fn resume(L: *mut lua_State, co: *mut lua_State, nargs: c_int, nres: &mut c_int) -> c_int {
    // SAFETY: `co` is a coroutine of the same state, as the caller says.
    unsafe {
        // `lua_resume` of 5.1 does not know who resumes, so the depth of C calls would start at nothing again.
        #[cfg(feature = "lua51")]
        set_level(L, co);
        ffi::lua_resume(co, L, nargs, nres)
    }
}

/// The C function at `index`; null if there is none.
#[cfg(not(any(feature = "lua51", feature = "luajit")))]
#[inline]
pub(crate) unsafe fn to_cfunction(L: *mut lua_State, index: c_int) -> *const () {
    // SAFETY: any value may stand there.
    unsafe { ffi::lua_tocfunction(L, index) }.map_or(std::ptr::null(), |function| function as *const ())
}

/// Pushes an id: any version can hold one exactly. [-0, +1]
#[inline]
pub(crate) unsafe fn push_id(L: *mut lua_State, bits: u64) {
    // SAFETY: pushes a number.
    unsafe {
        #[cfg(any(feature = "lua53", feature = "lua54", feature = "lua55"))]
        ffi::lua_pushinteger(L, bits as ffi::lua_Integer);
        #[cfg(not(any(feature = "lua53", feature = "lua54", feature = "lua55")))]
        ffi::lua_pushnumber(L, bits as ffi::lua_Number);
    }
}

/// The id at `index`; 0, which finds nothing, if there is none.
#[inline]
pub(crate) unsafe fn to_id(L: *mut lua_State, index: c_int) -> u64 {
    // SAFETY: any value may stand there.
    unsafe {
        #[cfg(any(feature = "lua53", feature = "lua54", feature = "lua55"))]
        return ffi::lua_tointegerx(L, index, std::ptr::null_mut()) as u64;
        #[cfg(not(any(feature = "lua53", feature = "lua54", feature = "lua55")))]
        return ffi::lua_tonumber(L, index) as u64;
    }
}

/// Pushes a userdata without user values. [-0, +1] Raises for memory.
pub(crate) unsafe fn new_userdata(L: *mut lua_State, len: usize) -> *mut std::ffi::c_void {
    // SAFETY: any length may be asked for.
    unsafe {
        #[cfg(any(feature = "lua54", feature = "lua55"))]
        return ffi::lua_newuserdatauv(L, len, 0);
        #[cfg(not(any(feature = "lua54", feature = "lua55")))]
        ffi::lua_newuserdata(L, len)
    }
}
