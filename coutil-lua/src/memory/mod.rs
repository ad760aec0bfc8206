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

/// Opens the module: pushes a new module table, and makes it the methods of all memories. [-0, +1] Raises for memory.
pub(crate) unsafe extern "C-unwind" fn open(L: *mut lua_State) -> c_int {
    // SAFETY: a table is on the top whenever a field of it is set; at most four slots are used.
    unsafe {
        ffi::lua_createtable(L, 0, FUNCTIONS.len() as c_int);
        set_functions(L, FUNCTIONS, 0);
        let module = ffi::lua_gettop(L);
        for class in [Class::Fixed, Class::Ref] {
            object::push_metatable(L, class);
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
        1
    }
}
