//! The entry points of the loadable module, `luaopen_*`. Lua's all-in-one loader finds those of the submodules.

#![allow(unreachable_pub)] // Lua reaches them.

use crate::modules;
use crate::raw::{c_int, lua_State};

/// The number of the Lua version that this is built for.
#[cfg(not(any(feature = "lua51", feature = "luajit")))]
const VERSION: mlua::ffi::lua_Number = if cfg!(feature = "lua55") {
    505.0
} else if cfg!(feature = "lua54") {
    504.0
} else if cfg!(feature = "lua53") {
    503.0
} else {
    502.0
};

/// Raises an error in an interpreter of another version, or one that is in the process twice. [-0, +0]
///
/// Most others lack a function that this module uses, so that it cannot be loaded at all. But one for 5.4 can be loaded by
/// 5.5, and the other way round.
unsafe fn check_version(_L: *mut lua_State) {
    // SAFETY: nothing with a destructor is live.
    #[cfg(feature = "lua52")]
    unsafe {
        mlua::ffi::luaL_checkversion_(_L, VERSION);
    }
    // SAFETY: as above.
    #[cfg(any(feature = "lua53", feature = "lua54", feature = "lua55"))]
    unsafe {
        // As `LUAL_NUMSIZES` has it.
        let sizes = size_of::<mlua::ffi::lua_Integer>() * 16 + size_of::<mlua::ffi::lua_Number>();
        mlua::ffi::luaL_checkversion_(_L, VERSION, sizes);
    }
}

macro_rules! entry {
    ($($name:ident => $open:ident),* $(,)?) => { $(
        /// Called by `require`.
        ///
        /// # Safety
        ///
        /// `L` is a valid Lua state, running on this thread.
        // SAFETY: the name is that of one module only, in this library only.
        #[unsafe(no_mangle)]
        pub unsafe extern "C-unwind" fn $name(L: *mut lua_State) -> c_int {
            // SAFETY: as the caller says.
            unsafe {
                check_version(L);
                modules::$open(L)
            }
        }
    )* };
}

entry! {
    luaopen_coutil => open_coutil,
    luaopen_coutil_channel => open_channel,
    luaopen_coutil_coroutine => open_coroutine,
    luaopen_coutil_memory => open_memory,
    luaopen_coutil_native_event => open_event,
    luaopen_coutil_native_mutex => open_mutex,
    luaopen_coutil_native_promise => open_promise,
    luaopen_coutil_native_queued => open_queued,
    luaopen_coutil_native_spawn => open_native_spawn,
    luaopen_coutil_system => open_system,
    luaopen_coutil_threads => open_threads,
}
