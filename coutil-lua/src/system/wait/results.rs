//! Results that mean something to the library: failures that the await function raises, and no results.

use crate::raw::{c_int, error, lua_State};
use crate::system::push_message;
use coutil_system::Error;
use mlua::ffi;
use std::ffi::CStr;

/// By the addresses of these results are known that mean something to the library.
static RAISED: u8 = 0;
#[cfg(any(feature = "lua51", feature = "luajit"))]
static NOTHING: u8 = 0;

/// Pushes the results of a failure that the await function raises. [-0, +2] Raises for memory.
pub(crate) unsafe fn push_raised(L: *mut lua_State, error: Error) -> c_int {
    // SAFETY: as the callee.
    unsafe {
        ffi::lua_pushlightuserdata(L, (&raw const RAISED).cast_mut().cast());
        push_message(L, error);
        2
    }
}

/// As [`push_raised`], of a text. [-0, +2] Raises for memory.
pub(crate) unsafe fn push_raised_text(L: *mut lua_State, text: &CStr) -> c_int {
    // SAFETY: two slots are free.
    unsafe {
        ffi::lua_pushlightuserdata(L, (&raw const RAISED).cast_mut().cast());
        ffi::lua_pushstring(L, text.as_ptr());
        2
    }
}

/// The number of the results on the top; raises if they are those of [`push_raised`].
pub(crate) unsafe fn raise_marked(L: *mut lua_State, count: c_int) -> c_int {
    // SAFETY: so many values are there.
    unsafe {
        if count == 2 && ffi::lua_touserdata(L, -2).cast_const() == (&raw const RAISED).cast() {
            error::raise(L, error::AWAIT);
        }
        count
    }
}

/// No results, at once: where a Lua function is around the await function it takes nothing for a suspension, so there it is
/// told by a mark. [-0, +some]
pub(crate) unsafe fn push_nothing(_L: *mut lua_State) -> c_int {
    #[cfg(any(feature = "lua51", feature = "luajit"))]
    // SAFETY: as the callee.
    unsafe {
        push_nothing_mark(_L);
        1
    }
    #[cfg(not(any(feature = "lua51", feature = "luajit")))]
    0
}

/// Pushes that mark. [-0, +1]
#[cfg(any(feature = "lua51", feature = "luajit"))]
pub(crate) unsafe fn push_nothing_mark(L: *mut lua_State) {
    // SAFETY: pushes a pointer.
    unsafe { ffi::lua_pushlightuserdata(L, (&raw const NOTHING).cast_mut().cast()) }
}
