//! The suspension protocol: how a function of ours suspends the coroutine that called it, on every version.
//!
//! An await function prepares its operation, then suspends with a *token*, which names it. The coroutine yields no value.
//! Whoever resumes it, [`Await::resumed`] is called in it with the token, and with the values that it was resumed with.
//! The token tells who did: the library ends an operation *before* it resumes the coroutine, or has it marked as being
//! delivered, so an operation that still waits was resumed by somebody else, and is cancelled.
//!
//! - 5.3 on: `lua_yieldk`. The token is on the top of the frame, where [`emit`](crate::sync::emit) can see it, and in the
//!   context. A host may have cleared the frame meanwhile (`mlua` sets the top of a thread that yielded to 0, and on 5.4
//!   on that is the frame of the function that yielded): then only the context is left. What cannot do without its frame
//!   suspends [`sheltered`], in a function of its own.
//! - 5.2: nothing tells whether a coroutine can yield. A function that yields is called by `lua_pcallk`: if the yield
//!   fails, that comes back as an error at once, and the operation, which nobody can have seen, is withdrawn.
//! - 5.1 and LuaJIT: no continuations. The await function is a Lua function (`await.lua`) that calls two C functions.
//!   On 5.1 the first prepares, and ends with `lua_yield`, which there *returns* once it is certain that the coroutine
//!   will suspend, so the operation starts after it, and needs no withdrawal; the second does the rest. On LuaJIT the Lua
//!   function itself yields in between. There is no token: a coroutine has at most one operation.

use crate::raw::{c_int, error, lua_State};
#[cfg(not(feature = "luajit"))]
use mlua::ffi;

/// An await function, seen from its end.
pub(crate) trait Await {
    /// Whether it raises failures.
    const RAISES: bool = false;

    /// Called in the coroutine when it continues, whoever resumed it. The values that it was resumed with are above
    /// `base`; below are those of the frame, none if `base` is 0. Returns the number of results on the top, or suspends
    /// again.
    unsafe fn resumed(L: *mut lua_State, token: u64, base: c_int) -> c_int;

    /// The number of results, as above, if the library ended the operation: on 5.2 to read the token takes time.
    #[cfg(feature = "lua52")]
    unsafe fn ended(_: *mut lua_State, _base: c_int) -> Option<c_int> {
        None
    }

    /// Withdraws the operation; its coroutine turned out to be unable to yield.
    #[cfg_attr(not(feature = "lua52"), allow(dead_code))]
    unsafe fn impossible(L: *mut lua_State, token: u64);
}

#[cfg(any(feature = "lua53", feature = "lua54", feature = "lua55"))]
mod version {
    use super::*;
    use crate::raw::compat::{push_id, to_id};

    /// The context is the token, of at most 52 bits, and the index at which it stands in the frame.
    const INDEX_BITS: u32 = 12;
    const INDEX_MAX: c_int = (1 << INDEX_BITS) - 1;
    const _: () = assert!(size_of::<ffi::lua_KContext>() == 8, "a 64-bit platform is needed");

    unsafe extern "C-unwind" fn resumed<A: Await>(
        L: *mut lua_State,
        _: c_int,
        ctx: ffi::lua_KContext,
    ) -> c_int {
        // SAFETY: Lua gives the context back.
        unsafe {
            let token = ctx as u64 >> INDEX_BITS;
            let top = ffi::lua_gettop(L);
            let mut base = ctx as c_int & INDEX_MAX;
            if base == INDEX_MAX {
                // A large frame.
                while base < top && to_id(L, base) != token {
                    base += 1;
                }
            }
            let intact = base <= top && to_id(L, base) == token;
            A::resumed(L, token, if intact { base } else { 0 })
        }
    }

    fn context(token: u64, base: c_int) -> ffi::lua_KContext {
        (token << INDEX_BITS) as ffi::lua_KContext | base.min(INDEX_MAX) as ffi::lua_KContext
    }

    /// Suspends the calling coroutine. `start` begins the operation; it calls no Lua and does not panic. The frame may
    /// be gone when it continues. The result is what the C function has to return. [-0, +1]
    #[inline]
    pub(crate) unsafe fn suspend<A: Await>(L: *mut lua_State, token: u64, start: impl FnOnce()) -> c_int {
        // SAFETY: the caller found the coroutine yieldable.
        unsafe {
            push_id(L, token);
            let base = ffi::lua_gettop(L);
            start();
            ffi::lua_yieldk(L, 0, context(token, base), Some(resumed::<A>))
        }
    }

    /// As [`suspend`], and keeps the frame whatever the host does.
    #[inline(always)]
    pub(crate) unsafe fn sheltered<A: Await>(L: *mut lua_State, token: u64, start: impl FnOnce()) -> c_int {
        // SAFETY: as `suspend`. `lua_callk` does not return, as `park` yields.
        unsafe {
            push_id(L, token);
            let base = ffi::lua_gettop(L);
            with_park(L, start, || {
                ffi::lua_callk(L, 1, ffi::LUA_MULTRET, context(token, base), Some(resumed::<A>));
            });
            resumed::<A>(L, ffi::LUA_YIELD, context(token, base))
        }
    }
}

#[cfg(feature = "lua52")]
mod version {
    use super::*;
    use crate::raw::compat::{push_id, to_id};

    unsafe extern "C-unwind" fn resumed<A: Await>(L: *mut lua_State) -> c_int {
        // SAFETY: the context is the index of the token.
        unsafe {
            let mut base = 0;
            let status = ffi::lua_getctx(L, &mut base);
            if status != ffi::LUA_YIELD {
                // The call failed, and where the coroutine can yield Lua says so here.
                return impossible::<A>(L, to_id(L, base), status);
            }
            match A::ended(L, base) {
                Some(results) => results,
                None => A::resumed(L, to_id(L, base), base),
            }
        }
    }

    /// Suspends the calling coroutine. `start` begins the operation; it calls no Lua and does not panic. The result is
    /// what the C function has to return. [-0, +1]
    #[inline(always)]
    pub(crate) unsafe fn suspend<A: Await>(L: *mut lua_State, token: u64, start: impl FnOnce()) -> c_int {
        // SAFETY: `lua_pcallk` returns only if `park` raised: otherwise Lua goes on in `resumed`.
        unsafe {
            push_id(L, token);
            let base = ffi::lua_gettop(L);
            let status =
                with_park(L, start, || ffi::lua_pcallk(L, 1, ffi::LUA_MULTRET, 0, base, Some(resumed::<A>)));
            impossible::<A>(L, token, status)
        }
    }

    /// The error of `park` is on the top.
    #[cold]
    unsafe fn impossible<A: Await>(L: *mut lua_State, token: u64, status: c_int) -> c_int {
        // SAFETY: the operation is that of the token.
        unsafe {
            A::impossible(L, token);
            // A lack of memory, or of stack; the error of a hook.
            if status == ffi::LUA_ERRMEM
                || ffi::lua_type(L, -1) != ffi::LUA_TSTRING
                || !std::ffi::CStr::from_ptr(ffi::lua_tostring(L, -1))
                    .to_bytes()
                    .starts_with(b"attempt to yield")
            {
                ffi::lua_error(L);
            }
            error::unable_to_yield(L)
        }
    }

    pub(crate) use suspend as sheltered;
}

#[cfg(any(feature = "lua51", feature = "luajit"))]
mod version {
    use super::*;

    /// Suspends the calling coroutine. `start` begins the operation; it calls no Lua and does not panic. The result is
    /// what the C function has to return.
    #[inline]
    pub(crate) unsafe fn suspend<A: Await>(L: *mut lua_State, _: u64, start: impl FnOnce()) -> c_int {
        // SAFETY: `lua_yield` of 5.1 raises or returns; after it Lua is not called before the function returned.
        #[cfg(feature = "lua51")]
        unsafe {
            let results = ffi::lua_yield(L, 0);
            start();
            results
        }
        // LuaJIT's would not return in a hook, and finalizers count as such. There the Lua function yields, when this one
        // returns nothing; that it can is certain.
        #[cfg(feature = "luajit")]
        {
            let _ = L;
            start();
            0
        }
    }

    pub(crate) use suspend as sheltered;
}

pub(crate) use version::{sheltered, suspend};

/// What [`park`] is to do first.
#[cfg(not(any(feature = "lua51", feature = "luajit")))]
struct Start {
    run: unsafe fn(*mut std::ffi::c_void),
    data: *mut std::ffi::c_void,
}

/// Pushes [`park`] and its argument, and calls both by `call`. [-0, +whatever `call` leaves]
#[cfg(not(any(feature = "lua51", feature = "luajit")))]
#[inline(always)]
unsafe fn with_park<F: FnOnce(), R>(L: *mut lua_State, start: F, call: impl FnOnce() -> R) -> R {
    unsafe fn run<F: FnOnce()>(data: *mut std::ffi::c_void) {
        // SAFETY: `data` is the option below, which lasts as long as the frame that has it.
        if let Some(start) = unsafe { (*data.cast::<Option<F>>()).take() } {
            start();
        }
    }
    let mut start = Some(start);
    let mut first = Start { run: run::<F>, data: (&raw mut start).cast() };
    // SAFETY: pushes a C function and a pointer.
    unsafe {
        ffi::lua_pushcfunction(L, park);
        ffi::lua_pushlightuserdata(L, (&raw mut first).cast());
    }
    call()
}

/// `(start)`: begins the operation and yields; what it is resumed with are its results. The call itself may be a step of
/// the collector, or run a hook, so the operation begins inside it.
#[cfg(not(any(feature = "lua51", feature = "luajit")))]
pub(crate) unsafe extern "C-unwind" fn park(L: *mut lua_State) -> c_int {
    // SAFETY: what it points to is in the frame of the caller, which lasts until the yield. `lua_yield` raises where it
    // cannot yield.
    unsafe {
        // A debugger may have got hold of this function.
        let start = ffi::lua_touserdata(L, 1).cast::<Start>();
        if ffi::lua_type(L, 1) != ffi::LUA_TLIGHTUSERDATA || start.is_null() {
            error::unable_to_yield(L);
        }
        // Where the frame can be seen from outside it has no values; on 5.2 the yield hides them.
        #[cfg(not(feature = "lua52"))]
        ffi::lua_settop(L, 0);
        ((*start).run)((*start).data);
        ffi::lua_yield(L, 0)
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
