//! `coutil.promise` (10 §4).
//!
//! A promise is a function, and the event that its fulfilment emits is that function. Its state is a
//! [`Home`], shared with the function that fulfils it.

use super::emit::{Reach, emit};
use super::place::{self, Home, RESULTS};
use super::wait;
use crate::raw::{Functions, c_int, lua_State};
use crate::state::StateRef;
use crate::suspend::{self, Await};
use mlua::ffi;

pub(crate) const FUNCTIONS: Functions<'_> = &[(c"onlypending", only_pending), (c"pickready", pick_ready)];

/// The functions that await, where they need no Lua function around them.
pub(crate) const AWAITS: Functions<'_> = &[(c"awaitall", await_all), (c"awaitany", await_any)];

/// The upvalue of a promise, where it is a C function, and of the function that fulfils it, that is its [`Home`].
const HOME: c_int = 2;
/// The upvalue of the function that fulfils, that is the promise.
const PROMISE: c_int = 3;

/// Pushes the home of the promise at `index`; nothing if it is not a promise. [-0, +0 or 1]
#[cfg(not(any(feature = "lua51", feature = "luajit")))]
#[inline]
pub(crate) unsafe fn push_home(L: *mut lua_State, index: c_int) -> bool {
    // SAFETY: only promises are made of `call`, with these upvalues.
    unsafe {
        if crate::raw::compat::to_cfunction(L, index) != call as *const () {
            return false;
        }
        ffi::lua_getupvalue(L, index, HOME);
        true
    }
}

/// As above, where a promise is a Lua function: one whose first upvalue has this name, and is a home.
#[cfg(any(feature = "lua51", feature = "luajit"))]
pub(crate) unsafe fn push_home(L: *mut lua_State, index: c_int) -> bool {
    // SAFETY: the name is a C string; the metatable tells a home from any other userdata.
    unsafe {
        if ffi::lua_iscfunction(L, index) != 0 {
            return false;
        }
        let name = ffi::lua_getupvalue(L, index, 1);
        if name.is_null() {
            return false;
        }
        if std::ffi::CStr::from_ptr(name) == c"promise_home" && ffi::lua_getmetatable(L, -1) != 0 {
            crate::state::push_field(L, crate::state::field::HOME_META);
            let is_home = ffi::lua_rawequal(L, -1, -2) != 0;
            ffi::lua_pop(L, 2);
            if is_home {
                return true;
            }
        }
        ffi::lua_pop(L, 1);
        false
    }
}

/// `promise.create()` → promise, fulfill (10 §4.1)
pub(crate) unsafe extern "C-unwind" fn create(L: *mut lua_State) -> c_int {
    // SAFETY: the upvalues are pushed in the order of the constants above.
    unsafe {
        let state = ffi::lua_upvalueindex(1);
        ffi::lua_settop(L, 0);
        place::push_new_home(L);
        #[cfg(not(any(feature = "lua51", feature = "luajit")))]
        {
            ffi::lua_pushvalue(L, state);
            ffi::lua_pushvalue(L, 1);
            ffi::lua_pushcclosure(L, call, 2);
        }
        #[cfg(any(feature = "lua51", feature = "luajit"))]
        {
            // The Lua function that makes promises.
            ffi::lua_pushvalue(L, ffi::lua_upvalueindex(2));
            ffi::lua_pushvalue(L, 1);
            ffi::lua_call(L, 1, 1);
        }
        ffi::lua_pushvalue(L, state);
        ffi::lua_pushvalue(L, 1);
        ffi::lua_pushvalue(L, 2);
        ffi::lua_pushcclosure(L, fulfill, 3);
        2
    }
}

/// Pushes the results of a promise, and returns their number; its home is at `index`. Raises if they are too many.
unsafe fn push_results(L: *mut lua_State, index: c_int) -> c_int {
    // SAFETY: a home is at `index`.
    unsafe {
        let home = ffi::lua_touserdata(L, index).cast::<Home>();
        let count = (*home).outcome.get().copied().unwrap_or(0);
        if count > 0 {
            ffi::luaL_checkstack(L, count + 2, c"too many values".as_ptr());
            ffi::lua_getuservalue(L, index);
            ffi::lua_rawgeti(L, -1, RESULTS);
            ffi::lua_replace(L, -2);
            let results = ffi::lua_gettop(L);
            for index in 1..=count {
                ffi::lua_rawgeti(L, results, index.into());
            }
        }
        count
    }
}

/// What a promise returns without waiting: the state if it is probed, the results if it has them.
unsafe fn without_waiting(L: *mut lua_State, home: c_int, probe: c_int) -> Option<c_int> {
    // SAFETY: a home is at `home`.
    unsafe {
        let fulfilled = (*ffi::lua_touserdata(L, home).cast::<Home>()).outcome.is_fulfilled();
        if ffi::lua_toboolean(L, probe) != 0 {
            ffi::lua_pushboolean(L, fulfilled.into());
            return Some(1);
        }
        fulfilled.then(|| push_results(L, home))
    }
}

/// Waits for the event of the promise whose home is at `home`.
unsafe fn wait_for(L: *mut lua_State, home: c_int) -> c_int {
    // SAFETY: the function that runs, or the Lua function around it, keeps the promise alive.
    unsafe {
        let state = StateRef::of(L);
        ffi::lua_pushvalue(L, home);
        let place = match place::of_home(L) {
            Some(place) => place,
            None => {
                ffi::lua_pushvalue(L, home);
                place::settle(L, state)
            }
        };
        wait::suspend_at::<Call>(L, state, place, false)
    }
}

/// A promise, called.
struct Call;

impl Await for Call {
    unsafe fn resumed(L: *mut lua_State, token: u64, base: c_int) -> c_int {
        // SAFETY: the home is an upvalue.
        unsafe {
            if wait::cancel(L, StateRef::of(L), token) == wait::Resumption::Astray {
                return wait::again::<Self>(L, token, base, false);
            }
            results_of_resume(L, base, ffi::lua_upvalueindex(HOME))
        }
    }

    unsafe fn impossible(L: *mut lua_State, token: u64) {
        // SAFETY: as `resumed`.
        unsafe { wait::take_back(L, token) }
    }
}

/// What a promise returns after it waited: the values above `base`, but for the promise as the first; at least one if
/// there were none.
unsafe fn results_of_resume(L: *mut lua_State, base: c_int, home: c_int) -> c_int {
    // SAFETY: a home is at `home`.
    unsafe {
        let count = ffi::lua_gettop(L) - base;
        ffi::luaL_checkstack(L, 4, std::ptr::null());
        if count == 0 {
            ffi::lua_pushnil(L);
            return 1;
        }
        let own = ffi::lua_touserdata(L, home);
        if ffi::lua_isfunction(L, base + 1) != 0 && push_home(L, base + 1) {
            let first = ffi::lua_touserdata(L, -1);
            ffi::lua_pop(L, 1);
            if first == own {
                return count - 1;
            }
        }
        count
    }
}

/// `promise([probe])` (10 §4.2)
#[cfg(not(any(feature = "lua51", feature = "luajit")))]
pub(crate) unsafe extern "C-unwind" fn call(L: *mut lua_State) -> c_int {
    // SAFETY: the upvalues are those that `create` set.
    unsafe {
        let home = ffi::lua_upvalueindex(HOME);
        if let Some(results) = without_waiting(L, home, 1) {
            return results;
        }
        suspend::check_yieldable(L);
        ffi::lua_settop(L, 0);
        wait_for(L, home)
    }
}

/// `fulfill(...)` → boolean (10 §4.3)
unsafe extern "C-unwind" fn fulfill(L: *mut lua_State) -> c_int {
    // SAFETY: the upvalues are those that `create` set. The results are stored before the promise has them.
    unsafe {
        let state = StateRef::of(L);
        let count = ffi::lua_gettop(L);
        // Room for the emission as well: nothing may fail once the promise is fulfilled.
        ffi::luaL_checkstack(L, 2 * count + 40, c"too many values".as_ptr());
        ffi::lua_getuservalue(L, ffi::lua_upvalueindex(HOME));
        if count > 0 {
            ffi::lua_createtable(L, count, 0);
            for index in 1..=count {
                ffi::lua_pushvalue(L, index);
                ffi::lua_rawseti(L, -2, index.into());
            }
        } else {
            ffi::lua_pushnil(L);
        }
        ffi::lua_rawseti(L, -2, RESULTS);
        ffi::lua_settop(L, count);
        let home = ffi::lua_touserdata(L, ffi::lua_upvalueindex(HOME)).cast::<Home>();
        let first = (*home).outcome.fulfill(count);
        if first {
            ffi::lua_pushvalue(L, ffi::lua_upvalueindex(PROMISE));
            ffi::lua_insert(L, 1);
            ffi::lua_pushvalue(L, ffi::lua_upvalueindex(HOME));
            if let Some(place) = place::of_home(L) {
                emit(L, state, place, count + 1, Reach::All);
            }
        }
        ffi::lua_pushboolean(L, first.into());
        1
    }
}

/// Whether the promise at `index` is fulfilled. Anything that can be called is asked. May raise.
unsafe fn is_ready(L: *mut lua_State, index: c_int) -> bool {
    // SAFETY: any value may stand there.
    unsafe {
        if ffi::lua_isfunction(L, index) != 0 && push_home(L, index) {
            let home = ffi::lua_touserdata(L, -1).cast::<Home>();
            let ready = (*home).outcome.is_fulfilled();
            ffi::lua_pop(L, 1);
            return ready;
        }
        ffi::lua_pushvalue(L, index);
        ffi::lua_pushliteral(L, c"probe");
        ffi::lua_call(L, 1, 1);
        let ready = ffi::lua_toboolean(L, -1) != 0;
        ffi::lua_pop(L, 1);
        ready
    }
}

/// Keeps, of the arguments, those before the first nil that are not fulfilled.
unsafe fn keep_pending(L: *mut lua_State) {
    // SAFETY: values only move down.
    unsafe {
        ffi::luaL_checkstack(L, 8, std::ptr::null());
        let mut kept = 1;
        for index in 1..=ffi::lua_gettop(L) {
            if ffi::lua_isnil(L, index) != 0 {
                break;
            }
            if !is_ready(L, index) {
                ffi::lua_pushvalue(L, index);
                ffi::lua_replace(L, kept);
                kept += 1;
            }
        }
        ffi::lua_settop(L, kept - 1);
    }
}

/// Pushes the first of the arguments, before the first nil, that is fulfilled.
unsafe fn push_ready(L: *mut lua_State) -> bool {
    // SAFETY: as `is_ready`.
    unsafe {
        ffi::luaL_checkstack(L, 8, std::ptr::null());
        for index in 1..=ffi::lua_gettop(L) {
            if ffi::lua_isnil(L, index) != 0 {
                break;
            }
            if is_ready(L, index) {
                ffi::lua_pushvalue(L, index);
                return true;
            }
        }
        false
    }
}

/// `promise.onlypending(...)` → promises (10 §4.4)
unsafe extern "C-unwind" fn only_pending(L: *mut lua_State) -> c_int {
    // SAFETY: any values may be given.
    unsafe {
        keep_pending(L);
        ffi::lua_gettop(L)
    }
}

/// `promise.pickready(...)` → promise or nothing (10 §4.5)
unsafe extern "C-unwind" fn pick_ready(L: *mut lua_State) -> c_int {
    // SAFETY: any values may be given.
    unsafe { push_ready(L).into() }
}

/// `promise.awaitall(...)` → true (10 §4.6)
pub(crate) unsafe extern "C-unwind" fn await_all(L: *mut lua_State) -> c_int {
    // SAFETY: any values may be given.
    unsafe {
        keep_pending(L);
        wait::await_all(L)
    }
}

/// `promise.awaitany(...)` → promise, … (10 §4.7)
pub(crate) unsafe extern "C-unwind" fn await_any(L: *mut lua_State) -> c_int {
    // SAFETY: any values may be given.
    unsafe { if push_ready(L) { 1 } else { wait::await_any(L) } }
}

/// The parts of a promise that is a Lua function; see `await.lua`.
#[cfg(any(feature = "lua51", feature = "luajit"))]
pub(crate) mod parts {
    use super::*;

    /// `ready(home, probe)` → whether there is nothing to wait for. Raises if there is, and the caller cannot.
    pub(crate) unsafe extern "C-unwind" fn ready(L: *mut lua_State) -> c_int {
        // SAFETY: called with a home.
        unsafe {
            let home = ffi::lua_touserdata(L, 1).cast::<Home>();
            let ready = ffi::lua_toboolean(L, 2) != 0 || (*home).outcome.is_fulfilled();
            if !ready {
                suspend::check_yieldable(L);
            }
            ffi::lua_pushboolean(L, ready.into());
            1
        }
    }

    /// `results(home, probe)` → what is returned without waiting.
    pub(crate) unsafe extern "C-unwind" fn results(L: *mut lua_State) -> c_int {
        // SAFETY: called with a home.
        unsafe { without_waiting(L, 1, 2).unwrap_or(0) }
    }

    /// `start(home)`: suspends.
    pub(crate) unsafe extern "C-unwind" fn start(L: *mut lua_State) -> c_int {
        // SAFETY: called with a home.
        unsafe { wait_for(L, 1) }
    }

    /// `settle(home, ...)` → what is returned after waiting.
    pub(crate) unsafe extern "C-unwind" fn finish(L: *mut lua_State) -> c_int {
        // SAFETY: called with a home, and what the coroutine was resumed with.
        unsafe {
            wait::cancel(L, StateRef::of(L), 0);
            results_of_resume(L, 1, 1)
        }
    }
}
