//! The entry points of the loadable module, `luaopen_*`. Lua's all-in-one loader finds those of the submodules.

#![allow(unreachable_pub)] // Lua reaches them.

use crate::modules;
use crate::raw::{c_int, lua_State};

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
            unsafe { modules::$open(L) }
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
