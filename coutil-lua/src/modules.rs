//! The modules, as `require` gets them.
//!
//! Each is made once for a Lua state, whatever name it is required by, so that there is one registry of waiters, and one
//! value of each function.

use crate::raw::{self, c_int, lua_CFunction, lua_State};
use crate::state::{self, field};
use crate::{memory, report, spawn, sync, system, threads};
use mlua::ffi;
use std::ffi::CStr;

/// A module: its name for `require`, and the function that returns it.
pub(crate) struct Module {
    pub(crate) name: &'static CStr,
    pub(crate) open: lua_CFunction,
}

/// Every module of the library, as a host preloads them; and the part of `coutil.spawn` that its Lua file, which is built in, requires.
pub(crate) const ALL: &[Module] = &[
    Module { name: c"coutil", open: open_coutil },
    Module { name: c"coutil.event", open: open_event },
    Module { name: c"coutil.queued", open: open_queued },
    Module { name: c"coutil.mutex", open: open_mutex },
    Module { name: c"coutil.promise", open: open_promise },
    Module { name: c"coutil.spawn", open: open_spawn },
    Module { name: c"coutil.native.spawn", open: open_native_spawn },
    Module { name: c"coutil.system", open: open_system },
    Module { name: c"coutil.channel", open: open_channel },
    Module { name: c"coutil.coroutine", open: open_coroutine },
    Module { name: c"coutil.threads", open: open_threads },
    Module { name: c"coutil.memory", open: open_memory },
];

/// What the Lua files of the modules have in front of them (`lua/coutil/`). Independent states find these wherever the library is.
pub(crate) const NATIVE: &[Module] = &[
    Module { name: c"coutil.native.event", open: open_event },
    Module { name: c"coutil.native.mutex", open: open_mutex },
    Module { name: c"coutil.native.promise", open: open_promise },
    Module { name: c"coutil.native.queued", open: open_queued },
    Module { name: c"coutil.native.spawn", open: open_native_spawn },
];

/// Pushes the module of that name, made by `make` at the first time. [-0, +1] May raise.
unsafe fn once(L: *mut lua_State, name: &CStr, make: unsafe fn(*mut lua_State)) -> c_int {
    // SAFETY: `make` pushes one value.
    unsafe {
        ffi::luaL_checkstack(L, 20, std::ptr::null());
        state::push_field(L, field::MODULES);
        if ffi::lua_getfield(L, -1, name.as_ptr()) == ffi::LUA_TNIL {
            ffi::lua_pop(L, 1);
            make(L);
            ffi::lua_pushvalue(L, -1);
            ffi::lua_setfield(L, -3, name.as_ptr());
        }
        1
    }
}

/// Runs a part of the library that is written in Lua, with the `nargs` values on the top, and leaves its result.
/// [-nargs, +1] May raise.
pub(crate) unsafe fn run(L: *mut lua_State, source: &str, name: &CStr, nargs: c_int) {
    // SAFETY: the source is not touched while Lua reads it.
    unsafe {
        let status =
            ffi::luaL_loadbufferx(L, source.as_ptr().cast(), source.len(), name.as_ptr(), c"t".as_ptr());
        if status != ffi::LUA_OK {
            ffi::lua_error(L);
        }
        threads::openers::give_base(L);
        ffi::lua_insert(L, -(nargs + 1));
        ffi::lua_call(L, nargs, 1);
    }
}

/// Adds the await functions of a module to its table on the top: C functions, where there are continuations.
#[cfg(not(any(feature = "lua51", feature = "luajit")))]
unsafe fn set_awaits(L: *mut lua_State, _: &CStr, functions: raw::Functions<'_>) {
    // SAFETY: a table is on the top.
    unsafe { sync::set_functions(L, functions) }
}

/// Adds the await functions of a module to its table on the top: Lua functions, where there are no continuations.
#[cfg(any(feature = "lua51", feature = "luajit"))]
unsafe fn set_awaits(L: *mut lua_State, module: &CStr, functions: raw::Functions<'_>) {
    // SAFETY: a table is on the top; `push_awaits` pushes a table of tables.
    unsafe {
        push_awaits(L);
        ffi::lua_getfield(L, -1, module.as_ptr());
        for (name, _) in functions {
            ffi::lua_getfield(L, -1, name.as_ptr());
            ffi::lua_setfield(L, -4, name.as_ptr());
        }
        ffi::lua_pop(L, 2);
    }
}

/// Pushes what `await.lua` returns. [-0, +1] May raise.
#[cfg(any(feature = "lua51", feature = "luajit"))]
unsafe fn push_awaits(L: *mut lua_State) {
    use sync::{event, mutex, promise, queued, wait};
    // SAFETY: as the callees.
    unsafe {
        state::push_field(L, field::AWAITS);
        if ffi::lua_isnil(L, -1) == 0 {
            return;
        }
        ffi::lua_pop(L, 1);
        ffi::lua_createtable(L, 0, 20);
        sync::set_functions(
            L,
            &[
                (c"finish", wait::finish),
                (c"event_await", event::AWAITS[0].1),
                (c"event_awaitany", event::AWAITS[1].1),
                (c"event_awaitall", event::AWAITS[2].1),
                (c"queued_await", queued::AWAITS[0].1),
                (c"queued_awaitany", queued::AWAITS[1].1),
                (c"queued_awaitall", queued::AWAITS[2].1),
                (c"acquire", mutex::try_acquire),
                (c"enqueue", mutex::wait_turn),
                (c"promise_awaitall", promise::AWAITS[0].1),
                (c"promise_awaitany", promise::AWAITS[1].1),
                (c"ready", promise::parts::ready),
                (c"results", promise::parts::results),
                (c"start", promise::parts::start),
                (c"settle", promise::parts::finish),
            ],
        );
        push_yield(L);
        ffi::lua_setfield(L, -2, c"yield".as_ptr());
        run(L, include_str!("sync/await.lua"), c"=coutil", 1);
        ffi::lua_pushvalue(L, -1);
        state::set_field(L, field::AWAITS);
    }
}

/// Pushes the function by which Lua functions of ours yield, on LuaJIT; nil on 5.1, where C functions do. [-0, +1]
#[cfg(any(feature = "lua51", feature = "luajit"))]
pub(crate) unsafe fn push_yield(L: *mut lua_State) {
    // SAFETY: what is pushed is popped.
    unsafe {
        #[cfg(feature = "lua51")]
        ffi::lua_pushnil(L);
        #[cfg(feature = "luajit")]
        {
            // LuaJIT's function for it is a fast one, so it is taken from the library.
            ffi::lua_getfield(L, ffi::LUA_REGISTRYINDEX, c"_LOADED".as_ptr());
            ffi::lua_getfield(L, -1, c"coroutine".as_ptr());
            if ffi::lua_istable(L, -1) == 0 {
                // As in an independent state.
                ffi::lua_pop(L, 1);
                threads::openers::push_coroutine(L);
            }
            ffi::lua_getfield(L, -1, c"yield".as_ptr());
            ffi::lua_replace(L, -3);
            ffi::lua_pop(L, 1);
        }
    }
}

pub(crate) unsafe extern "C-unwind" fn open_event(L: *mut lua_State) -> c_int {
    unsafe fn make(L: *mut lua_State) {
        // SAFETY: as `once` says.
        unsafe {
            ffi::lua_createtable(L, 0, 8);
            sync::set_functions(L, sync::event::FUNCTIONS);
            set_awaits(L, c"event", sync::event::AWAITS);
            sync::set_version(L);
        }
    }
    // SAFETY: called by Lua.
    unsafe { once(L, c"event", make) }
}

pub(crate) unsafe extern "C-unwind" fn open_queued(L: *mut lua_State) -> c_int {
    unsafe fn make(L: *mut lua_State) {
        // SAFETY: as `once` says.
        unsafe {
            ffi::lua_createtable(L, 0, 12);
            sync::set_functions(L, sync::queued::FUNCTIONS);
            set_awaits(L, c"queued", sync::queued::AWAITS);
            sync::set_version(L);
            // Two names of one function, and one function of two modules (00 §11, 10 §2.3).
            ffi::lua_getfield(L, -1, c"queued".as_ptr());
            ffi::lua_setfield(L, -2, c"isqueued".as_ptr());
            open_event(L);
            ffi::lua_getfield(L, -1, c"pending".as_ptr());
            ffi::lua_setfield(L, -4, c"pending".as_ptr());
            ffi::lua_pop(L, 2);
        }
    }
    // SAFETY: called by Lua.
    unsafe { once(L, c"queued", make) }
}

pub(crate) unsafe extern "C-unwind" fn open_mutex(L: *mut lua_State) -> c_int {
    unsafe fn make(L: *mut lua_State) {
        // SAFETY: as `once` says.
        unsafe {
            ffi::lua_createtable(L, 0, 8);
            sync::set_functions(L, sync::mutex::FUNCTIONS);
            set_awaits(L, c"mutex", sync::mutex::AWAITS);
            sync::set_version(L);
        }
    }
    // SAFETY: called by Lua.
    unsafe { once(L, c"mutex", make) }
}

pub(crate) unsafe extern "C-unwind" fn open_promise(L: *mut lua_State) -> c_int {
    unsafe fn make(L: *mut lua_State) {
        // SAFETY: as `once` says; `create` gets the upvalues that it expects.
        unsafe {
            ffi::lua_createtable(L, 0, 8);
            sync::set_functions(L, sync::promise::FUNCTIONS);
            set_awaits(L, c"promise", sync::promise::AWAITS);
            sync::set_version(L);
            state::push(L);
            #[cfg(not(any(feature = "lua51", feature = "luajit")))]
            let upvalues = 1;
            #[cfg(any(feature = "lua51", feature = "luajit"))]
            let upvalues = {
                push_awaits(L);
                ffi::lua_getfield(L, -1, c"newpromise".as_ptr());
                ffi::lua_replace(L, -2);
                2
            };
            ffi::lua_pushcclosure(L, sync::promise::create, upvalues);
            ffi::lua_setfield(L, -2, c"create".as_ptr());
        }
    }
    // SAFETY: called by Lua.
    unsafe { once(L, c"promise", make) }
}

/// What `coutil/spawn.lua` needs that is not Lua.
pub(crate) unsafe extern "C-unwind" fn open_native_spawn(L: *mut lua_State) -> c_int {
    unsafe fn make(L: *mut lua_State) {
        // SAFETY: as `once` says.
        unsafe {
            ffi::lua_createtable(L, 0, 4);
            state::push(L);
            raw::set_functions(L, spawn::FUNCTIONS, 1);
            threads::openers::push_base(L);
            ffi::lua_setfield(L, -2, c"base".as_ptr());
            ffi::lua_pushboolean(L, cfg!(feature = "luajit").into());
            ffi::lua_setfield(L, -2, c"jit".as_ptr());
        }
    }
    // SAFETY: called by Lua.
    unsafe { once(L, c"native.spawn", make) }
}

/// `coutil.spawn` for programs that embed the library; the module for `require` is that file itself.
pub(crate) unsafe extern "C-unwind" fn open_spawn(L: *mut lua_State) -> c_int {
    unsafe fn make(L: *mut lua_State) {
        // SAFETY: as `once` says.
        unsafe { run(L, include_str!("../lua/coutil/spawn.lua"), c"=coutil.spawn", 0) }
    }
    // SAFETY: called by Lua.
    unsafe { once(L, c"spawn", make) }
}

pub(crate) unsafe extern "C-unwind" fn open_system(L: *mut lua_State) -> c_int {
    unsafe fn make(L: *mut lua_State) {
        // SAFETY: as `once` says.
        unsafe {
            open_memory(L);
            ffi::lua_pop(L, 1);
            system::make_classes(L);
            ffi::lua_createtable(L, 0, 16);
            for functions in system::FUNCTIONS {
                system::set_functions(L, functions);
            }
            for functions in system::AWAITS {
                system::set_awaits(L, functions);
            }
            system::set_run(L);
            system::standard::set_streams(L);
            system::file::set_filebits(L);
            state::push(L);
            raw::set_functions(L, &[(c"onerror", report::onerror)], 1);
        }
    }
    // SAFETY: called by Lua.
    unsafe { once(L, c"system", make) }
}

/// A module that is the class of its objects as well (00 §6.2).
macro_rules! module_class {
    ($($open:ident => $name:literal, $module:ident, $class:ident;)*) => { $(
        pub(crate) unsafe extern "C-unwind" fn $open(L: *mut lua_State) -> c_int {
            unsafe fn make(L: *mut lua_State) {
                // SAFETY: as `once` says.
                unsafe {
                    ffi::lua_createtable(L, 0, 6);
                    system::set_functions(L, threads::$module::FUNCTIONS);
                    system::new_module_class(L, system::Class::$class, threads::$module::METAMETHODS);
                }
            }
            // SAFETY: called by Lua.
            unsafe { once(L, $name, make) }
        }
    )* };
}

module_class! {
    open_channel => c"channel", channel, Channel;
    open_coroutine => c"coroutine", coroutine, Coroutine;
}

pub(crate) unsafe extern "C-unwind" fn open_threads(L: *mut lua_State) -> c_int {
    unsafe fn make(L: *mut lua_State) {
        // SAFETY: as `once` says. `__close` is the function `close` (00 §6.4.2).
        unsafe {
            ffi::lua_createtable(L, 0, 6);
            system::set_functions(L, threads::pool::FUNCTIONS);
            system::new_module_class(L, system::Class::Threads, &[]);
            system::push_class(L, system::Class::Threads);
            ffi::lua_getfield(L, -2, c"close".as_ptr());
            ffi::lua_setfield(L, -2, c"__close".as_ptr());
            ffi::lua_pop(L, 1);
        }
    }
    // SAFETY: called by Lua.
    unsafe { once(L, c"threads", make) }
}

/// What `async_function` needs.
pub(crate) unsafe extern "C-unwind" fn open_native_future(L: *mut lua_State) -> c_int {
    unsafe fn make(L: *mut lua_State) {
        // SAFETY: as `once` says.
        unsafe {
            open_system(L);
            ffi::lua_pop(L, 1);
            ffi::lua_createtable(L, 0, 2);
            system::set_functions(L, system::future::FUNCTIONS);
            system::set_awaits(L, system::future::AWAITS);
        }
    }
    // SAFETY: called by Lua.
    unsafe { once(L, c"native.future", make) }
}

pub(crate) unsafe extern "C-unwind" fn open_memory(L: *mut lua_State) -> c_int {
    // SAFETY: called by Lua. Each time the metatables are set again: C code may have made them meanwhile (70 §6.2).
    unsafe {
        once(L, c"memory", memory::push_module);
        memory::adopt(L);
        1
    }
}

/// `coutil`: a table whose fields load the modules at first use (90 §3.1).
pub(crate) unsafe extern "C-unwind" fn open_coutil(L: *mut lua_State) -> c_int {
    unsafe fn make(L: *mut lua_State) {
        // SAFETY: as `once` says.
        unsafe { run(L, include_str!("coutil.lua"), c"=coutil", 0) }
    }
    // SAFETY: called by Lua.
    unsafe { once(L, c"coutil", make) }
}
