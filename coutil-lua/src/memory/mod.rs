//! The module `coutil.memory`: writable byte arrays, which the other modules use as buffers.
//!
//! Two representations are shared with C code that knows nothing of this library ([`object`]): a *fixed* memory is a
//! userdata that holds the bytes, a *resizable* one points to them. C code may make memories of the second kind with
//! storage of its own, and is given ours.
//!
//! Any call of Lua that allocates may run finalizers, and they may resize or close a memory. So a pointer into one is
//! fetched after the last such call, and never kept across one.

mod bytes;
mod format;
mod functions;
mod number;
pub(crate) mod object;
mod pack;
pub(crate) mod range;

use crate::raw::{Functions, c_int, lua_State, set_functions};
use mlua::ffi;
use object::Class;

const FUNCTIONS: Functions<'_> = &[
    (c"create", functions::create),
    (c"type", functions::kind),
    (c"len", functions::len),
    (c"resize", functions::resize),
    (c"diff", functions::diff),
    (c"find", functions::find),
    (c"fill", functions::fill),
    (c"get", functions::get),
    (c"set", functions::set),
    (c"tostring", functions::tostring),
    (c"pack", pack::pack),
    (c"unpack", pack::unpack),
];

/// Pushes a new module table. [-0, +1] Raises for memory.
pub(crate) unsafe fn push_module(L: *mut lua_State) {
    // SAFETY: a table is on the top.
    unsafe {
        ffi::lua_createtable(L, 0, FUNCTIONS.len() as c_int);
        set_functions(L, FUNCTIONS, 0);
    }
}

/// Makes the module table on the top the methods of all memories, whoever made them. [-0, +0] Raises for memory.
pub(crate) unsafe fn adopt(L: *mut lua_State) {
    // SAFETY: a table is on the top whenever a field of it is set; at most four slots are used.
    unsafe {
        let module = ffi::lua_gettop(L);
        for class in [Class::Fixed, Class::Ref] {
            object::push_metatable(L, class);
            // The very functions of the module: on 5.1 an error in `__len` finds its name by them.
            for (event, name) in [(c"__len", c"len"), (c"__tostring", c"tostring")] {
                ffi::lua_getfield(L, module, name.as_ptr());
                ffi::lua_setfield(L, -2, event.as_ptr());
            }
            ffi::lua_pushcfunction(L, functions::concat);
            ffi::lua_setfield(L, -2, c"__concat".as_ptr());
            ffi::lua_pushvalue(L, module);
            ffi::lua_setfield(L, -2, c"__index".as_ptr());
            ffi::lua_pop(L, 1);
        }
    }
}

#[cfg(all(test, feature = "vendored"))]
mod tests {
    use super::*;
    use crate::raw::error::DIRECT;
    use mlua::{Lua, Result};

    /// `input(buffer [, i [, j]])` → start, length, text: as a function of another module takes what it reads from.
    unsafe extern "C-unwind" fn input(L: *mut lua_State) -> c_int {
        // SAFETY: the bytes are copied before anything else can run.
        unsafe {
            object::check_array(L, DIRECT, 1);
            let i = crate::raw::args::opt_integer(L, crate::raw::error::DIRECT, 2, 1);
            let j = crate::raw::args::opt_integer(L, crate::raw::error::DIRECT, 3, -1);
            let (bytes, len) = object::as_array(L, 1).expect("it was checked");
            let span = range::span(i, j, len);
            let text = std::slice::from_raw_parts(bytes, len)[span.start..span.start + span.len].as_ptr();
            ffi::lua_pushlstring(L, text.cast(), span.len);
            ffi::lua_pushinteger(L, span.start as ffi::lua_Integer + 1);
            ffi::lua_pushinteger(L, span.len as ffi::lua_Integer);
            3
        }
    }

    /// `output(memory)` → length: as a function of another module takes what it writes to.
    unsafe extern "C-unwind" fn output(L: *mut lua_State) -> c_int {
        // SAFETY: only the length is used.
        unsafe {
            let (_, len) = object::check_memory(L, DIRECT, 1);
            ffi::lua_pushinteger(L, len as ffi::lua_Integer);
            1
        }
    }

    fn lua() -> Result<Lua> {
        let lua = Lua::new();
        crate::preload(&lua)?;
        // SAFETY: both check their arguments.
        unsafe {
            lua.globals().set("input", lua.create_c_function(input)?)?;
            lua.globals().set("output", lua.create_c_function(output)?)?;
        }
        lua.load("memory = require 'memory'; raised = function (...) return select(2, pcall(...)) end")
            .exec()?;
        Ok(lua)
    }

    /// [70 6.4.1] [70 6.4.2] [70 6.4.3]
    #[test]
    fn buffers_of_other_modules() -> Result<()> {
        lua()?
            .load(
                r##"
                assert(input "abc" == "abc" and input(memory.create "abc") == "abc" and input(12) == "12")
                assert(raised(input, {}):find("string or memory expected, got table", 1, true))
                assert(raised(input, nil):find("string or memory expected, got nil", 1, true))
                assert(output(memory.create(7)) == 7 and output(memory.create()) == 0)
                assert(raised(output, "abc"):find("memory expected, got string", 1, true))
                assert(raised(output):find("memory expected, got no value", 1, true))
                -- the positions come after the buffer
                assert(raised(input, {}, {}):find("#1", 1, true))
                assert(raised(input, "abc", {}, {}):find("#2", 1, true))
                assert(raised(input, "abc", 1, {}):find("#3", 1, true))
                assert(input("abc", 2) == "bc" and input("abc", -2, -2) == "b")
                local text, start, length = input("abc", 3, 2)
                assert(text == "" and length == 0)
                assert(input("abc", 5) == "")
                "##,
            )
            .exec()
    }

    /// [70 6.4.4] What was resized or closed meanwhile is found where it is now.
    #[test]
    fn storage_is_looked_up_again() -> Result<()> {
        let lua = lua()?;
        lua.load(
            r#"
            local m = memory.create()
            for _, size in ipairs { 1, 100000, 3, 0, 50 } do
                m:resize(size, "x")
                assert(output(m) == size and input(m) == ("x"):rep(size))
            end
            m = memory.create()
            m:resize(10)
            getmetatable(m).__gc(m)
            assert(output(m) == 0 and input(m) == "")
            "#,
        )
        .exec()
    }

    /// [70 6.4.5]
    #[test]
    fn bytes_end_at_their_length() -> Result<()> {
        lua()?.load(r#"assert(input(memory.create "a\0b") == "a\0b" and input "a\0b" == "a\0b")"#).exec()
    }
}
