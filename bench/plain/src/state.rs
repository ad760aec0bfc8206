//! A Lua state as Coutil's independent ones are: the library `package`, the openers of the others, and a chunk on a thread of Lua.

use mlua::ffi::{self, lua_State};
use std::ffi::CStr;

#[rustfmt::skip]
const OPENERS: &[(&CStr, unsafe extern "C-unwind" fn(*mut lua_State) -> std::ffi::c_int)] = &[
    (c"_G", ffi::luaopen_base),
    #[cfg(not(any(feature = "lua51", feature = "luajit")))]
    (c"coroutine", ffi::luaopen_coroutine),
    #[cfg(any(feature = "lua51", feature = "luajit"))]
    (c"coroutine", open_coroutine),
    (c"table", ffi::luaopen_table),
    (c"io", ffi::luaopen_io),
    (c"os", ffi::luaopen_os),
    (c"string", ffi::luaopen_string),
    (c"math", ffi::luaopen_math),
    (c"debug", ffi::luaopen_debug),
    #[cfg(any(feature = "lua53", feature = "lua54", feature = "lua55"))]
    (c"utf8", ffi::luaopen_utf8),
];

/// In these versions it comes with the base library, behind that.
#[cfg(any(feature = "lua51", feature = "luajit"))]
unsafe extern "C-unwind" fn open_coroutine(L: *mut lua_State) -> std::ffi::c_int {
    unsafe { ffi::luaopen_base(L) };
    1
}

/// How a resumption ended.
pub(crate) enum Stop {
    Yielded,
    Returned,
}

pub(crate) struct State {
    main: *mut lua_State,
    chunk: *mut lua_State,
    /// The numbers that were pushed since, or that it left.
    values: i32,
}

// Nothing in a state is bound to a thread.
unsafe impl Send for State {}

impl State {
    pub(crate) fn new(chunk: &[u8]) -> Self {
        unsafe {
            let main = ffi::luaL_newstate();
            assert!(!main.is_null(), "no memory");
            ffi::lua_pushcfunction(main, ffi::luaopen_package);
            ffi::lua_pushstring(main, c"package".as_ptr());
            ffi::lua_call(main, 1, 1);
            ffi::lua_getfield(main, -1, c"preload".as_ptr());
            for (name, opener) in OPENERS {
                ffi::lua_pushcfunction(main, *opener);
                ffi::lua_setfield(main, -2, name.as_ptr());
            }
            // Else nothing is compiled.
            #[cfg(feature = "luajit")]
            {
                ffi::lua_pushcfunction(main, ffi::luaopen_jit);
                ffi::lua_pushstring(main, c"jit".as_ptr());
                ffi::lua_call(main, 1, 0);
            }
            ffi::lua_settop(main, 0);
            let thread = ffi::lua_newthread(main);
            let status = ffi::luaL_loadbufferx(
                thread,
                chunk.as_ptr().cast(),
                chunk.len(),
                c"=chunk".as_ptr(),
                c"t".as_ptr(),
            );
            assert_eq!(status, ffi::LUA_OK, "it does not compile");
            Self { main, chunk: thread, values: 0 }
        }
    }

    pub(crate) fn push(&mut self, value: f64) {
        unsafe { ffi::lua_pushnumber(self.chunk, value) };
        self.values += 1;
    }

    /// Takes the last value, and drops the others.
    pub(crate) fn pop(&mut self) -> Option<f64> {
        unsafe {
            let value = (self.values > 0).then(|| ffi::lua_tonumber(self.chunk, -1));
            ffi::lua_pop(self.chunk, self.values);
            self.values = 0;
            value
        }
    }

    pub(crate) fn resume(&mut self) -> Stop {
        let mut results = 0;
        let status = unsafe { ffi::lua_resume(self.chunk, self.main, self.values, &mut results) };
        self.values = results;
        match status {
            ffi::LUA_OK => Stop::Returned,
            ffi::LUA_YIELD => Stop::Yielded,
            _ => {
                // Others wait for this thread.
                eprintln!("the chunk failed");
                std::process::abort();
            }
        }
    }
}

impl Drop for State {
    fn drop(&mut self) {
        unsafe { ffi::lua_close(self.main) };
    }
}
