//! `pack` and `unpack`. Both ask the memory for its bytes again for each item: converting a number to a string, or making
//! one, may run a finalizer that resizes it.

use super::bytes::{push_bytes, push_integer, slice};
use super::format::{FormatError, Item, Kind, Reader};
use super::number::{self, Overflow};
use super::object::{Memory, check_array};
use super::range::{self, Span};
use crate::raw::args::{bad, check_integer, check_number, check_string, opt_integer};
use crate::raw::error::{DIRECT, raise, type_error};
use crate::raw::{c_int, lua_State};
use memchr::memchr;
use mlua::ffi;
use std::ptr;

/// `pack(m, fmt, i, ...)`
pub(super) unsafe extern "C-unwind" fn pack(L: *mut lua_State) -> c_int {
    // SAFETY: the format is a string that stays in its place on the stack while it is read.
    unsafe {
        let memory = check_memory(L);
        let format = slice(check_string(L, DIRECT, 2));
        let mut offset = start(L, memory, check_integer(L, DIRECT, 3));
        let mut reader = Reader::new(format);
        let mut arg = 4;
        while let Some(item) = next(L, &mut reader, offset) {
            let fits = room(memory, offset, item.padding).is_some() && {
                offset += item.padding;
                match item.kind {
                    Kind::Align => true,
                    Kind::Skip => skip(memory, &mut offset, item.size),
                    Kind::Integer { signed } => pack_integer(L, memory, arg, item, signed, &mut offset),
                    Kind::Float | Kind::Double => pack_float(L, memory, arg, item, &mut offset),
                    Kind::Chars | Kind::Counted | Kind::Terminated => {
                        pack_text(L, memory, arg, item, &mut offset)
                    }
                }
            };
            if !fits {
                return rest(L, arg, offset);
            }
            if !matches!(item.kind, Kind::Align | Kind::Skip) {
                arg += 1;
            }
        }
        ffi::lua_pushboolean(L, 1);
        push_integer(L, offset as i64 + 1);
        2
    }
}

/// The results when something does not fit: `false`, the position, and the arguments from `arg` on.
unsafe fn rest(L: *mut lua_State, arg: c_int, offset: usize) -> c_int {
    // SAFETY: `arg` is at most one beyond the top, as all before it were values.
    unsafe {
        let count = (ffi::lua_gettop(L) - arg + 1).max(0);
        ffi::lua_pushboolean(L, 0);
        push_integer(L, offset as i64 + 1);
        if count > 0 {
            ffi::lua_insert(L, arg);
            ffi::lua_insert(L, arg);
        }
        count + 2
    }
}

/// The memory that is argument 1. Raises.
unsafe fn check_memory(L: *mut lua_State) -> Memory {
    // SAFETY: any value may stand there.
    unsafe {
        match Memory::find(L, 1) {
            Some(memory) => memory,
            None => type_error(L, DIRECT, 1, c"memory"),
        }
    }
}

/// The offset of a position in the memory. Raises.
unsafe fn start(L: *mut lua_State, memory: Memory, i: i64) -> usize {
    // SAFETY: the memory stays on the stack.
    unsafe {
        let (_, len) = memory.bytes();
        let first = range::first(i, len) - 1;
        if first > len as i64 {
            bad(L, DIRECT, 3, c"index out of bounds");
        }
        first as usize
    }
}

/// The next item of the format. Raises what is wrong with it.
unsafe fn next(L: *mut lua_State, reader: &mut Reader<'_>, offset: usize) -> Option<Item> {
    // SAFETY: each text has the placeholders of its values.
    unsafe {
        match reader.next(offset) {
            Ok(item) => return item,
            Err(FormatError::Option(option)) => {
                // Not by `%c`, which 5.3 writes as a number unless it is a letter.
                ffi::lua_pushstring(L, c"invalid format option '".as_ptr());
                ffi::lua_pushlstring(L, [option].as_ptr().cast(), 1);
                ffi::lua_pushstring(L, c"'".as_ptr());
                ffi::lua_concat(L, 3);
            }
            Err(FormatError::Size(size)) => {
                let limit = number::MAX_SIZE as c_int;
                ffi::lua_pushfstring(L, c"integral size (%d) out of limits [1,%d]".as_ptr(), size, limit);
            }
            Err(FormatError::NoSize) => {
                ffi::lua_pushstring(L, c"missing size for format option 'c'".as_ptr());
            }
            Err(FormatError::NextOption) => bad(L, DIRECT, 1, c"invalid next option for option 'X'"),
            Err(FormatError::Alignment) => bad(L, DIRECT, 1, c"format asks for alignment not power of 2"),
        }
        raise(L, DIRECT)
    }
}

/// Where the next `size` bytes of the memory are, if it has them.
unsafe fn room(memory: Memory, offset: usize, size: usize) -> Option<*mut u8> {
    // SAFETY: the memory stays on the stack; the offset lies within it.
    unsafe {
        let (bytes, len) = memory.bytes();
        (size <= len.checked_sub(offset)?).then(|| bytes.add(offset))
    }
}

/// Skips bytes, which keep their contents.
unsafe fn skip(memory: Memory, offset: &mut usize, size: usize) -> bool {
    // SAFETY: as everywhere.
    let fits = unsafe { room(memory, *offset, size) }.is_some();
    if fits {
        *offset += size;
    }
    fits
}

/// Writes bytes, which may lie in the memory itself.
unsafe fn write(memory: Memory, offset: &mut usize, bytes: *const u8, size: usize) -> bool {
    // SAFETY: there is room, and the caller vouches for the source.
    unsafe {
        let Some(to) = room(memory, *offset, size) else { return false };
        ptr::copy(bytes, to, size);
        *offset += size;
        true
    }
}

unsafe fn pack_integer(
    L: *mut lua_State,
    memory: Memory,
    arg: c_int,
    item: Item,
    signed: bool,
    offset: &mut usize,
) -> bool {
    // SAFETY: an encoded integer has at least `size` bytes.
    unsafe {
        let value = check_integer(L, DIRECT, arg);
        match number::check(value, item.size, signed) {
            Ok(()) => {}
            Err(Overflow::Signed) => bad(L, DIRECT, arg, c"integer overflow"),
            Err(Overflow::Unsigned) => bad(L, DIRECT, arg, c"unsigned overflow"),
        }
        let bytes = number::encode(value, item.size, signed, item.little);
        write(memory, offset, bytes.as_ptr(), item.size)
    }
}

unsafe fn pack_float(L: *mut lua_State, memory: Memory, arg: c_int, item: Item, offset: &mut usize) -> bool {
    // SAFETY: the arrays have as many bytes as their type.
    unsafe {
        if room(memory, *offset, item.size).is_none() {
            return false;
        }
        let value = check_number(L, DIRECT, arg);
        if item.kind == Kind::Float {
            let value = value as f32;
            let bytes = if item.little { value.to_le_bytes() } else { value.to_be_bytes() };
            write(memory, offset, bytes.as_ptr(), bytes.len())
        } else {
            let bytes = if item.little { value.to_le_bytes() } else { value.to_be_bytes() };
            write(memory, offset, bytes.as_ptr(), bytes.len())
        }
    }
}

unsafe fn pack_text(L: *mut lua_State, memory: Memory, arg: c_int, item: Item, offset: &mut usize) -> bool {
    // SAFETY: after the conversion in `check_array` nothing runs code, so the text stays where it is; its bytes may
    // change when they are those of the memory itself, which `write` can bear.
    unsafe {
        let (text, len) = check_array(L, DIRECT, arg);
        match item.kind {
            Kind::Chars => {
                if len != item.size {
                    bad(L, DIRECT, arg, c"wrong length");
                }
                write(memory, offset, text, len)
            }
            Kind::Counted => {
                if number::check(len as i64, item.size, false).is_err() {
                    bad(L, DIRECT, arg, c"string length does not fit in given size");
                }
                let prefix = number::encode(len as i64, item.size, false, item.little);
                write(memory, offset, prefix.as_ptr(), item.size) && write(memory, offset, text, len)
            }
            _ => {
                if memchr(0, slice((text, len))).is_some() {
                    bad(L, DIRECT, arg, c"string contains zeros");
                }
                write(memory, offset, text, len) && write(memory, offset, [0].as_ptr(), 1)
            }
        }
    }
}

/// `unpack(m, fmt [, i])`
pub(super) unsafe extern "C-unwind" fn unpack(L: *mut lua_State) -> c_int {
    // SAFETY: the format stays on the stack; each item finds the room for its result and its work.
    unsafe {
        let memory = check_memory(L);
        let format = slice(check_string(L, DIRECT, 2));
        let mut offset = start(L, memory, opt_integer(L, DIRECT, 3, 1));
        let mut reader = Reader::new(format);
        // Results stand above the arguments.
        let base = ffi::lua_gettop(L);
        while let Some(item) = next(L, &mut reader, offset) {
            offset += item.padding;
            need(L, memory, offset, item.size);
            ffi::luaL_checkstack(L, 8, c"too many results".as_ptr());
            match item.kind {
                Kind::Align | Kind::Skip => {}
                Kind::Integer { signed } => {
                    let value = read_integer(L, memory, item, signed, offset);
                    push_integer(L, value);
                }
                Kind::Float | Kind::Double => {
                    let value = read_float(L, memory, item, offset);
                    ffi::lua_pushnumber(L, value);
                }
                Kind::Chars => push_bytes(L, 1, Span { start: offset, len: item.size }),
                Kind::Counted => {
                    let len = read_integer(L, memory, item, false, offset) as u64;
                    // The memory is not longer than that, so the length is cut only when it is too large anyway.
                    let len = usize::try_from(len).unwrap_or(usize::MAX);
                    offset += item.size;
                    need(L, memory, offset, len);
                    push_bytes(L, 1, Span { start: offset, len });
                    offset += len;
                    continue;
                }
                Kind::Terminated => {
                    let (bytes, len) = memory.bytes();
                    let bytes = slice((bytes, len)).get(offset..).unwrap_or_default();
                    let Some(len) = memchr(0, bytes) else {
                        bad(L, DIRECT, 2, c"unfinished string for format 'z'");
                    };
                    push_bytes(L, 1, Span { start: offset, len });
                    offset += len + 1;
                    continue;
                }
            }
            offset += item.size;
        }
        push_integer(L, offset as i64 + 1);
        ffi::lua_gettop(L) - base
    }
}

/// Where the next `size` bytes of the memory are. Raises if it does not have them.
unsafe fn need(L: *mut lua_State, memory: Memory, offset: usize, size: usize) -> *mut u8 {
    // SAFETY: as `room`.
    unsafe {
        match room(memory, offset, size) {
            Some(bytes) => bytes,
            None => bad(L, DIRECT, 2, c"data string too short"),
        }
    }
}

unsafe fn read_integer(L: *mut lua_State, memory: Memory, item: Item, signed: bool, offset: usize) -> i64 {
    // SAFETY: `need` finds as many bytes as the slice gets.
    unsafe {
        let bytes = slice((need(L, memory, offset, item.size), item.size));
        match number::decode(bytes, signed, item.little) {
            Some(value) => value,
            None => {
                let text = c"%d-byte integer does not fit into Lua Integer".as_ptr();
                ffi::lua_pushfstring(L, text, item.size as c_int);
                raise(L, DIRECT)
            }
        }
    }
}

unsafe fn read_float(L: *mut lua_State, memory: Memory, item: Item, offset: usize) -> f64 {
    // SAFETY: `need` finds as many bytes as are read; they need not be aligned.
    unsafe {
        let bytes = need(L, memory, offset, item.size);
        if item.kind == Kind::Float {
            let bytes = bytes.cast::<[u8; 4]>().read_unaligned();
            f64::from(if item.little { f32::from_le_bytes(bytes) } else { f32::from_be_bytes(bytes) })
        } else {
            let bytes = bytes.cast::<[u8; 8]>().read_unaligned();
            if item.little { f64::from_le_bytes(bytes) } else { f64::from_be_bytes(bytes) }
        }
    }
}
