//! The suspension protocol: how a function of ours suspends the coroutine that called it, on every version.
//!
//! An await function prepares its operation, then calls [`suspend`] with its *token* in a stack slot. The coroutine
//! yields no value. Whoever resumes it, [`Await::resumed`] is called in it with the token and with the values that it
//! was resumed with. The token tells who did: the library ends an operation *before* it resumes the coroutine, so an
//! operation that is still there was resumed by somebody else, and is cancelled.
//!
//! - 5.3 on: `lua_yieldk`.
//! - 5.2: nothing tells whether a coroutine can yield. A function that yields is called by `lua_pcallk`: if the yield
//!   fails, that comes back as an error at once, and the operation, which nobody can have seen, is withdrawn.
//! - 5.1 and LuaJIT: no continuations. The await function is a Lua function (`lua/await.lua`) that calls two C functions:
//!   the first prepares, and ends with `lua_yield`, which here *returns* once it is certain that the coroutine will
//!   suspend, so the operation starts after it, and needs no withdrawal; the second does the rest.

use crate::raw::{c_int, error, lua_State};
use mlua::ffi;

/// An await function, seen from its end.
pub(crate) trait Await {
    /// Called in the coroutine when it continues, whoever resumed it. The token is at `base`, what it was resumed with
    /// above. Returns the number of results on the top, or suspends again.
    unsafe fn resumed(L: *mut lua_State, base: c_int) -> c_int;

    /// Withdraws the operation whose token is at `base`; its coroutine turned out to be unable to yield.
    #[cfg_attr(not(feature = "lua52"), allow(dead_code))]
    unsafe fn impossible(L: *mut lua_State, base: c_int);
}

/// Suspends the calling coroutine. `start` begins the operation; it calls no Lua and does not panic. The token is at
/// `base`, on the top. The result is what the C function has to return.
#[cfg(not(any(feature = "lua51", feature = "lua52", feature = "luajit")))]
#[inline]
pub(crate) unsafe fn suspend<A: Await>(L: *mut lua_State, base: c_int, start: impl FnOnce()) -> c_int {
    unsafe extern "C-unwind" fn resumed<A: Await>(
        L: *mut lua_State,
        _: c_int,
        base: ffi::lua_KContext,
    ) -> c_int {
        // SAFETY: Lua gives the context back.
        unsafe { A::resumed(L, base as c_int) }
    }
    // SAFETY: the caller found the coroutine yieldable.
    unsafe {
        start();
        ffi::lua_yieldk(L, 0, base as ffi::lua_KContext, Some(resumed::<A>))
    }
}

/// As above, for 5.2.
#[cfg(feature = "lua52")]
pub(crate) unsafe fn suspend<A: Await>(L: *mut lua_State, base: c_int, start: impl FnOnce()) -> c_int {
    unsafe extern "C-unwind" fn park(L: *mut lua_State) -> c_int {
        // SAFETY: raises where it cannot yield; what it is resumed with are the results of the `lua_pcallk`.
        unsafe { ffi::lua_yield(L, 0) }
    }
    unsafe extern "C-unwind" fn resumed<A: Await>(L: *mut lua_State) -> c_int {
        // SAFETY: the context is the one given below.
        unsafe {
            let mut base = 0;
            ffi::lua_getctx(L, &mut base);
            A::resumed(L, base)
        }
    }
    // SAFETY: `lua_pcallk` returns only if `park` raised: otherwise Lua goes on in `resumed`.
    unsafe {
        start();
        ffi::lua_pushcfunction(L, park);
        let status = ffi::lua_pcallk(L, 0, ffi::LUA_MULTRET, 0, base, Some(resumed::<A>));
        A::impossible(L, base);
        if status == ffi::LUA_ERRMEM {
            ffi::lua_error(L);
        }
        error::unable_to_yield(L)
    }
}

/// As above, for versions without continuations. `base` is where the token was given by the Lua function.
#[cfg(any(feature = "lua51", feature = "luajit"))]
#[inline]
pub(crate) unsafe fn suspend<A: Await>(L: *mut lua_State, _base: c_int, start: impl FnOnce()) -> c_int {
    // SAFETY: `lua_yield` of these versions raises or returns; after it Lua is not called before the function returned.
    unsafe {
        let results = ffi::lua_yield(L, 0);
        start();
        results
    }
}

/// Raises `unable to yield` unless the coroutine can, as far as the version can tell.
#[inline]
pub(crate) unsafe fn check_yieldable(L: *mut lua_State) {
    // SAFETY: as the callees.
    unsafe {
        if !crate::raw::compat::is_yieldable(L) {
            error::unable_to_yield(L);
        }
    }
}
