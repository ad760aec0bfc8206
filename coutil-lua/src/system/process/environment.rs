//! `system.getenv`, `setenv`, `packenv`, `unpackenv` (40 §4).

use super::text;
use crate::raw::error::{DIRECT, raise, raise_text, type_error};
use crate::raw::{Functions, args, c_int, compat, lua_State, run};
use crate::state::StateRef;
use crate::system::held::{self, push_bytes};
use crate::system::{Class, check_object, push_failure, push_result, set_class, to_object};
use coutil_system::{Error, environment};
use mlua::ffi;
use std::collections::HashSet;
use std::ffi::CStr;

pub(crate) const FUNCTIONS: Functions<'_> =
    &[(c"getenv", get), (c"setenv", set), (c"packenv", pack), (c"unpackenv", unpack)];

pub(crate) const METAMETHODS: Functions<'_> = &[(c"__index", index)];

/// `getenv([name])` → value; `getenv()`, `getenv(table)` → all of them in a table
unsafe extern "C-unwind" fn get(L: *mut lua_State) -> c_int {
    // SAFETY: arguments are checked. What Lua copies is held meanwhile.
    unsafe {
        let state = StateRef::of(L);
        match ffi::lua_type(L, 1) {
            ffi::LUA_TNONE => ffi::lua_createtable(L, 0, 0),
            ffi::LUA_TTABLE => ffi::lua_settop(L, 1),
            _ => {
                args::check_string(L, DIRECT, 1);
                let name = text(L, 1);
                let value = || environment::get(name).ok_or(Error::from_code(libc::ENOENT));
                return match push_bytes(L, state, value) {
                    Ok(()) => 1,
                    Err(error) => push_failure(L, error),
                };
            }
        }
        let key = held::push(L);
        state.with(L, |state| {
            let mut all = environment::all();
            // Of several of a name getenv finds the first.
            let mut seen = HashSet::new();
            all.retain(|(name, _)| seen.insert(name.clone()));
            state.system().hold(key, all);
        });
        let mut next = 0;
        loop {
            let found = state.touch(|state| {
                let all = state.system().held::<Vec<(Vec<u8>, Vec<u8>)>>(key)?;
                let (name, value) = all.get(next)?;
                Some(((name.as_ptr(), name.len()), (value.as_ptr(), value.len())))
            });
            let Some((name, value)) = found else { break };
            ffi::lua_pushlstring(L, name.0.cast(), name.1);
            ffi::lua_pushlstring(L, value.0.cast(), value.1);
            ffi::lua_settable(L, 1);
            next += 1;
        }
        held::drop_held(state, key);
        ffi::lua_settop(L, 1);
        1
    }
}

/// `setenv(name, value)` → true
unsafe extern "C-unwind" fn set(L: *mut lua_State) -> c_int {
    // SAFETY: the strings stay on the stack.
    unsafe {
        args::check_string(L, DIRECT, 1);
        let value = if ffi::lua_type(L, 2) == ffi::LUA_TNIL {
            None
        } else {
            args::check_string(L, DIRECT, 2);
            Some(text(L, 2))
        };
        let name = text(L, 1);
        let result = run(L, || environment::set(name, value));
        push_result(L, result)
    }
}

/// Pushes a block of all the strings of the list at `list`, each up to its first NUL, and with that. [-0, +1] Raises for
/// memory.
pub(super) unsafe fn push_block(L: *mut lua_State, list: c_int, count: ffi::lua_Integer) -> *mut u8 {
    // SAFETY: the list is ours, and has strings only: neither conversion nor collection comes between the two loops.
    unsafe {
        let mut size = 0;
        for index in 1..=count {
            ffi::lua_rawgeti(L, list, index);
            size += text(L, -1).count_bytes() + 1;
            ffi::lua_pop(L, 1);
        }
        let block = compat::new_userdata(L, size).cast::<u8>();
        let mut end = block;
        for index in 1..=count {
            ffi::lua_rawgeti(L, list, index);
            let bytes = text(L, -1).to_bytes_with_nul();
            end.copy_from_nonoverlapping(bytes.as_ptr(), bytes.len());
            end = end.add(bytes.len());
            ffi::lua_pop(L, 1);
        }
        block
    }
}

/// The strings of a block. The last one ends with it, if not before.
pub(super) fn strings(block: &[u8]) -> impl Iterator<Item = &[u8]> {
    block.split_inclusive(|byte| *byte == 0).map(|text| text.strip_suffix(&[0]).unwrap_or(text))
}

/// The contents of the userdata at `index`. They are valid as long as it stands there.
pub(super) unsafe fn contents<'a>(L: *mut lua_State, index: c_int) -> &'a [u8] {
    // SAFETY: the caller knows that it is one.
    unsafe {
        let bytes = ffi::lua_touserdata(L, index).cast::<u8>();
        std::slice::from_raw_parts(bytes, ffi::lua_rawlen(L, index) as usize)
    }
}

/// Raises that a variable cannot be.
unsafe fn bad_name(L: *mut lua_State, frame: c_int, name: &CStr) -> ! {
    // SAFETY: the name stays on the stack.
    unsafe {
        let format = c"bad name '%s' in environment (cannot contain '=')";
        ffi::lua_pushfstring(L, format.as_ptr(), name.as_ptr());
        raise(L, frame)
    }
}

/// Pushes a packed environment of the variables in the table at `vars`. [-0, +1] Raises.
pub(super) unsafe fn push_packed(L: *mut lua_State, frame: c_int, vars: c_int) {
    // SAFETY: keys are strings already, so to read them converts nothing.
    unsafe {
        ffi::luaL_checkstack(L, 10, std::ptr::null());
        ffi::lua_createtable(L, 0, 0);
        let list = ffi::lua_gettop(L);
        let mut count = 0;
        ffi::lua_pushnil(L);
        while ffi::lua_next(L, vars) != 0 {
            if ffi::lua_type(L, -2) != ffi::LUA_TSTRING {
                raise_text(L, frame, c"invalid key to 'next'");
            }
            let name = text(L, -2);
            let value = ffi::lua_tolstring(L, -1, std::ptr::null_mut());
            if value.is_null() || name.to_bytes().contains(&b'=') {
                bad_name(L, frame, name);
            }
            ffi::lua_pushfstring(L, c"%s=%s".as_ptr(), name.as_ptr(), value);
            count += 1;
            ffi::lua_rawseti(L, list, count);
            ffi::lua_pop(L, 1);
        }
        push_block(L, list, count);
        set_class(L, Class::Environment);
        ffi::lua_remove(L, list);
    }
}

/// Whether the value at `index` is a packed environment.
pub(super) unsafe fn is_packed(L: *mut lua_State, state: StateRef, index: c_int) -> bool {
    // SAFETY: any contents are one.
    unsafe { to_object::<()>(L, state, index, Class::Environment).is_some() }
}

/// `packenv(vars)` → packed environment
unsafe extern "C-unwind" fn pack(L: *mut lua_State) -> c_int {
    // SAFETY: arguments are checked.
    unsafe {
        check_table(L, 1);
        ffi::lua_settop(L, 1);
        push_packed(L, DIRECT, 1);
        1
    }
}

unsafe fn check_table(L: *mut lua_State, arg: c_int) {
    // SAFETY: any value may stand there.
    unsafe {
        if ffi::lua_type(L, arg) != ffi::LUA_TTABLE {
            type_error(L, DIRECT, arg, c"table");
        }
    }
}

/// The variables of a packed environment.
fn variables(block: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    strings(block).filter_map(|entry| {
        let at = entry.iter().position(|byte| *byte == b'=')?;
        Some((&entry[..at], &entry[at + 1..]))
    })
}

/// `env[name]` → value
unsafe extern "C-unwind" fn index(L: *mut lua_State) -> c_int {
    // SAFETY: arguments are checked; both stay on the stack.
    unsafe {
        check_object::<()>(L, DIRECT, StateRef::of(L), 1, Class::Environment);
        let (name, len) = args::check_string(L, DIRECT, 2);
        if text(L, 2).to_bytes().contains(&b'=') {
            args::bad(L, DIRECT, 2, c"cannot contain '='");
        }
        let name = std::slice::from_raw_parts(name, len);
        match variables(contents(L, 1)).find(|(known, _)| *known == name) {
            Some((_, value)) => {
                ffi::lua_pushlstring(L, value.as_ptr().cast(), value.len());
            }
            None => ffi::lua_pushnil(L),
        }
        1
    }
}

/// `unpackenv(env [, tab])` → table
unsafe extern "C-unwind" fn unpack(L: *mut lua_State) -> c_int {
    // SAFETY: the environment stays on the stack, and never changes.
    unsafe {
        check_object::<()>(L, DIRECT, StateRef::of(L), 1, Class::Environment);
        if ffi::lua_type(L, 2) == ffi::LUA_TNONE {
            ffi::lua_createtable(L, 0, 0);
        } else {
            check_table(L, 2);
            ffi::lua_settop(L, 2);
        }
        for (name, value) in variables(contents(L, 1)) {
            ffi::lua_pushlstring(L, name.as_ptr().cast(), name.len());
            ffi::lua_pushlstring(L, value.as_ptr().cast(), value.len());
            ffi::lua_settable(L, 2);
        }
        1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks() {
        let all = |block| variables(block).collect::<Vec<_>>();
        assert_eq!(all(b""), []);
        assert_eq!(all(b"A=1\0B=\0=x=y\0"), [(&b"A"[..], &b"1"[..]), (b"B", b""), (b"", b"x=y")]);
        // Not ours.
        assert_eq!(all(b"\0\0A=1"), [(&b"A"[..], &b"1"[..])]);
    }
}
