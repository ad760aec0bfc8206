//! Permissions as arguments, and `system.filebits` (60 §1.3, §2).

use super::mode::unknown_char;
use crate::raw::error::AWAIT;
use crate::raw::{args, c_int, lua_State};
use coutil_system::fs::FileType;
use mlua::ffi;
use std::ffi::CStr;

/// The permission bits: letter, bit, name.
pub(super) const BITS: [(u8, u32, &CStr); 12] = [
    (b'U', 0o4000, c"setuid"),
    (b'G', 0o2000, c"setgid"),
    (b'S', 0o1000, c"sticky"),
    (b'r', 0o400, c"ruser"),
    (b'w', 0o200, c"wuser"),
    (b'x', 0o100, c"xuser"),
    (b'R', 0o40, c"rgroup"),
    (b'W', 0o20, c"wgroup"),
    (b'X', 0o10, c"xgroup"),
    (b'4', 0o4, c"rother"),
    (b'2', 0o2, c"wother"),
    (b'1', 0o1, c"xother"),
];

/// The bit of a letter.
pub(super) fn bit(letter: u8) -> Option<u32> {
    BITS.iter().find(|(other, ..)| *other == letter).map(|(_, bit, _)| *bit)
}

/// The permissions at `arg`: a string of letters, or a number. Raises.
pub(super) unsafe fn check_permissions(L: *mut lua_State, arg: c_int) -> u32 {
    // SAFETY: as the callees.
    unsafe {
        if ffi::lua_type(L, arg) != ffi::LUA_TSTRING {
            return (args::check_integer(L, AWAIT, arg) & 0o7777) as u32;
        }
        let mut bits = 0;
        for letter in super::mode::check_text(L, arg) {
            match bit(*letter) {
                Some(bit) => bits |= bit,
                None => unknown_char(L, arg as usize, c"perm", *letter),
            }
        }
        bits
    }
}

/// Sets the field `filebits` of the table on the top. [-0, +0] Raises for memory.
pub(crate) unsafe fn set_filebits(L: *mut lua_State) {
    // SAFETY: tables and numbers.
    unsafe {
        ffi::lua_createtable(L, 0, 24);
        for (_, bit, name) in BITS {
            ffi::lua_pushinteger(L, bit as ffi::lua_Integer);
            ffi::lua_setfield(L, -2, name.as_ptr());
        }
        ffi::lua_pushinteger(L, FileType::MASK as ffi::lua_Integer);
        ffi::lua_setfield(L, -2, c"type".as_ptr());
        for (file_type, bits) in FileType::ALL {
            let name = file_type.name();
            ffi::lua_pushlstring(L, name.as_ptr().cast(), name.len());
            ffi::lua_pushinteger(L, bits as ffi::lua_Integer);
            ffi::lua_rawset(L, -3);
        }
        ffi::lua_setfield(L, -2, c"filebits".as_ptr());
    }
}
