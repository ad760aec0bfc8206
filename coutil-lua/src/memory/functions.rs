//! The functions of the module, but for `pack` and `unpack`.

use super::bytes::{common_prefix, push_bytes, push_integer, repeat, slice};
use super::object::{self, Kind, Resized, check_array, check_memory};
use super::range::{self, Span};
use crate::raw::args::{bad, check_integer, is_absent, opt_integer};
use crate::raw::error::{DIRECT, raise, raise_text};
use crate::raw::{c_int, lua_State, run};
use memchr::memmem;
use mlua::ffi;
use std::ptr;

/// Sizes lie below this.
const MAX_LEN: i64 = i32::MAX as i64;

/// `create([m [, i [, j]]])`
pub(super) unsafe extern "C-unwind" fn create(L: *mut lua_State) -> c_int {
    // SAFETY: a new block has as many bytes as were asked for.
    unsafe {
        if ffi::lua_gettop(L) == 0 {
            object::push_resizable(L);
            return 1;
        }
        if ffi::lua_type(L, 1) == ffi::LUA_TNUMBER {
            let len = check_size(L, 1);
            let block = object::push_fixed(L, len);
            ptr::write_bytes(block, 0, len);
            return 1;
        }
        let (_, len) = check_array(L, DIRECT, 1);
        let span = range::span(opt_integer(L, DIRECT, 2, 1), opt_integer(L, DIRECT, 3, -1), len);
        let block = object::push_fixed(L, span.len);
        // A finalizer may have taken some of it.
        let (bytes, len) = object::array(L, 1);
        let left = span.within(len);
        ptr::copy_nonoverlapping(bytes.add(left.start), block, left.len);
        ptr::write_bytes(block.add(left.len), 0, span.len - left.len);
        1
    }
}

/// The argument as a size. Raises.
unsafe fn check_size(L: *mut lua_State, arg: c_int) -> usize {
    // SAFETY: any value may stand there.
    unsafe {
        let len = check_integer(L, DIRECT, arg);
        if !(0..MAX_LEN).contains(&len) {
            bad(L, DIRECT, arg, c"invalid size");
        }
        len as usize
    }
}

/// `type(m)`
pub(super) unsafe extern "C-unwind" fn kind(L: *mut lua_State) -> c_int {
    // SAFETY: no argument is no memory.
    unsafe {
        let name = match object::kind(L, 1) {
            Some(Kind::Fixed) => c"fixed",
            Some(Kind::Resizable) => c"resizable",
            Some(Kind::Other) => c"other",
            None => {
                ffi::lua_pushnil(L);
                return 1;
            }
        };
        ffi::lua_pushstring(L, name.as_ptr());
        1
    }
}

/// `len(m)`, and `__len`
pub(super) unsafe extern "C-unwind" fn len(L: *mut lua_State) -> c_int {
    // SAFETY: as everywhere.
    unsafe {
        let (_, len) = check_memory(L, DIRECT, 1);
        push_integer(L, len as i64);
        1
    }
}

/// `resize(m, l [, s])`
pub(super) unsafe extern "C-unwind" fn resize(L: *mut lua_State) -> c_int {
    // SAFETY: the source and the new bytes are fetched after everything that can run code.
    unsafe {
        let len = check_size(L, 2);
        check_resizable(L);
        if object::memory(L, 1).1 == len {
            return 0;
        }
        let has_source = !is_absent(L, 3);
        if has_source {
            check_array(L, DIRECT, 3);
            check_resizable(L);
        }
        let mut resized = object::resize(L, 1, len);
        if resized == Resized::NoMemory {
            // Collecting garbage, as Lua itself does then, may give back storage of memories.
            ffi::lua_gc(L, ffi::LUA_GCCOLLECT, 0);
            resized = object::resize(L, 1, len);
        }
        match resized {
            Resized::New(span) => {
                if span.len > 0 {
                    fill_new(L, span, has_source);
                }
                0
            }
            Resized::NotResizable => not_resizable(L),
            Resized::NoMemory => raise_text(L, DIRECT, c"out of memory"),
        }
    }
}

/// Fills the new bytes of a memory with those of argument 3. A memory that is its own source has kept its old bytes
/// before the new ones.
unsafe fn fill_new(L: *mut lua_State, new: Span, has_source: bool) {
    // SAFETY: `new` lies within the memory, which did not change since.
    unsafe {
        let (bytes, _) = object::memory(L, 1);
        let to = bytes.add(new.start);
        let (source, len) = match has_source {
            true if ffi::lua_rawequal(L, 1, 3) != 0 => (bytes.cast_const(), new.start),
            true => object::array(L, 3),
            false => (ptr::dangling(), 0),
        };
        if len == 0 {
            ptr::write_bytes(to, 0, new.len);
        } else {
            repeat(to, new.len, source, len);
        }
    }
}

unsafe fn check_resizable(L: *mut lua_State) {
    // SAFETY: as everywhere.
    unsafe {
        if object::kind(L, 1) != Some(Kind::Resizable) {
            not_resizable(L);
        }
    }
}

#[cold]
unsafe fn not_resizable(L: *mut lua_State) -> ! {
    // SAFETY: as everywhere.
    unsafe { bad(L, DIRECT, 1, c"resizable memory expected") }
}

/// `diff(m1, m2)`
pub(super) unsafe extern "C-unwind" fn diff(L: *mut lua_State) -> c_int {
    // SAFETY: nothing runs code between the slices and their last use.
    unsafe {
        check_array(L, DIRECT, 1);
        check_array(L, DIRECT, 2);
        let (a, b) = (slice(object::array(L, 1)), slice(object::array(L, 2)));
        let same = run(L, || common_prefix(a, b));
        let less = a.get(same) < b.get(same);
        if same == a.len() && same == b.len() {
            ffi::lua_pushnil(L);
        } else {
            push_integer(L, same as i64 + 1);
        }
        ffi::lua_pushboolean(L, c_int::from(less));
        2
    }
}

/// `find(m, s [, i [, j [, o]]])`
pub(super) unsafe extern "C-unwind" fn find(L: *mut lua_State) -> c_int {
    // SAFETY: as `diff`.
    unsafe {
        check_array(L, DIRECT, 1);
        check_array(L, DIRECT, 2);
        let (i, j) = (opt_integer(L, DIRECT, 3, 1), opt_integer(L, DIRECT, 4, -1));
        let o = opt_integer(L, DIRECT, 5, 1);
        let (m, s) = (slice(object::array(L, 1)), slice(object::array(L, 2)));
        match run(L, || search(m, s, range::span(i, j, m.len()), range::tail(o, s.len()))) {
            None => 0,
            Some((first, last)) => {
                push_integer(L, first);
                push_integer(L, last);
                2
            }
        }
    }
}

/// The first position in the range of `m` at which the content of `s`, cut to the length of the range, stands; and where
/// the uncut content would end.
fn search(m: &[u8], s: &[u8], range: Span, content: Span) -> Option<(i64, i64)> {
    if range.len == 0 || content.len == 0 {
        return None;
    }
    let hay = &m[range.start..range.start + range.len];
    let needle = &s[content.start..content.start + content.len.min(range.len)];
    let first = range.start + memmem::find(hay, needle)? + 1;
    Some((first as i64, (first + content.len - 1) as i64))
}

/// `fill(m, s [, i [, j [, o]]])`
pub(super) unsafe extern "C-unwind" fn fill(L: *mut lua_State) -> c_int {
    // SAFETY: both arrays are fetched after everything that can run code; the span lies within the memory.
    unsafe {
        check_memory(L, DIRECT, 1);
        let (i, j) = (opt_integer(L, DIRECT, 3, 1), opt_integer(L, DIRECT, 4, -1));
        if ffi::lua_type(L, 2) == ffi::LUA_TNUMBER {
            let byte = check_byte(L, 2);
            let (bytes, len) = object::memory(L, 1);
            let span = range::span(i, j, len);
            ptr::write_bytes(bytes.add(span.start), byte, span.len);
            return 0;
        }
        check_array(L, DIRECT, 2);
        let o = opt_integer(L, DIRECT, 5, 1);
        let (bytes, len) = object::memory(L, 1);
        let (source, source_len) = object::array(L, 2);
        let (span, content) = (range::span(i, j, len), range::tail(o, source_len));
        repeat(bytes.add(span.start), span.len, source.add(content.start), content.len);
        0
    }
}

/// The argument as a byte. Raises; does not run code otherwise.
unsafe fn check_byte(L: *mut lua_State, arg: c_int) -> u8 {
    // SAFETY: any value may stand there.
    unsafe {
        match u8::try_from(check_integer(L, DIRECT, arg)) {
            Ok(byte) => byte,
            Err(_) => bad(L, DIRECT, arg, c"value out of range"),
        }
    }
}

/// `get(m, i [, j])`
pub(super) unsafe extern "C-unwind" fn get(L: *mut lua_State) -> c_int {
    // SAFETY: pushing an integer runs no code, and there is room for all.
    unsafe {
        let (bytes, len) = check_memory(L, DIRECT, 1);
        let i = check_integer(L, DIRECT, 2);
        let span = range::span(i, opt_integer(L, DIRECT, 3, i), len);
        // The usual case has room, and did nothing that could have moved the bytes.
        if span.len == 1 {
            push_integer(L, i64::from(*bytes.add(span.start)));
            return 1;
        }
        let Ok(count) = c_int::try_from(span.len) else {
            raise_text(L, DIRECT, c"string slice too long");
        };
        if count >= c_int::MAX - ffi::LUA_MINSTACK {
            raise_text(L, DIRECT, c"string slice too long");
        }
        ffi::luaL_checkstack(L, count, c"string slice too long".as_ptr());
        let (bytes, len) = object::memory(L, 1);
        let span = span.within(len);
        for index in span.start..span.start + span.len {
            push_integer(L, i64::from(*bytes.add(index)));
        }
        span.len as c_int
    }
}

/// `set(m, i, ...)`
pub(super) unsafe extern "C-unwind" fn set(L: *mut lua_State) -> c_int {
    // SAFETY: `check_byte` leaves the memory alone, and the index stays below its length.
    unsafe {
        let (bytes, len) = check_memory(L, DIRECT, 1);
        let first = range::first(check_integer(L, DIRECT, 2), len);
        if first > len as i64 {
            bad(L, DIRECT, 2, c"index out of bounds");
        }
        let places = (first - 1) as usize..len;
        for (index, arg) in places.zip(3..=ffi::lua_gettop(L)) {
            *bytes.add(index) = check_byte(L, arg);
        }
        0
    }
}

/// `tostring(m [, i [, j]])`, and `__tostring`
pub(super) unsafe extern "C-unwind" fn tostring(L: *mut lua_State) -> c_int {
    // SAFETY: as everywhere.
    unsafe {
        let (_, len) = check_array(L, DIRECT, 1);
        let span = range::span(opt_integer(L, DIRECT, 2, 1), opt_integer(L, DIRECT, 3, -1), len);
        push_bytes(L, 1, span);
        1
    }
}

/// `__concat`
pub(super) unsafe extern "C-unwind" fn concat(L: *mut lua_State) -> c_int {
    // SAFETY: three values are on the stack at most.
    unsafe {
        ffi::lua_settop(L, 2);
        if is_array(L, 1) && is_array(L, 2) {
            for arg in [1, 2] {
                if object::kind(L, arg).is_some() {
                    let (_, len) = object::memory(L, arg);
                    push_bytes(L, arg, Span { start: 0, len });
                } else {
                    ffi::lua_pushvalue(L, arg);
                }
            }
            ffi::lua_concat(L, 2);
            return 1;
        }
        if object::kind(L, 2).is_none() && ffi::luaL_getmetafield(L, 2, c"__concat".as_ptr()) != ffi::LUA_TNIL
        {
            ffi::lua_insert(L, 1);
            ffi::lua_call(L, 2, 1);
            return 1;
        }
        let names = [1, 2].map(|arg| ffi::lua_typename(L, ffi::lua_type(L, arg)));
        ffi::lua_pushfstring(L, c"attempt to concat a '%s' with a '%s'".as_ptr(), names[0], names[1]);
        raise(L, DIRECT)
    }
}

unsafe fn is_array(L: *mut lua_State, idx: c_int) -> bool {
    // SAFETY: as everywhere.
    unsafe { ffi::lua_isstring(L, idx) != 0 || object::kind(L, idx).is_some() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(m: &str, s: &str, i: i64, j: i64, o: i64) -> Option<(i64, i64)> {
        search(m.as_bytes(), s.as_bytes(), range::span(i, j, m.len()), range::tail(o, s.len()))
    }

    #[test]
    fn search_cuts_what_it_looks_for() {
        assert_eq!(found("abcabc", "bc", 1, -1, 1), Some((2, 3)));
        assert_eq!(found("abcabc", "bc", 3, -1, 1), Some((5, 6)));
        assert_eq!(found("abcabc", "xbc", 1, -1, 2), Some((2, 3)));
        assert_eq!(found("12345", "123456", 1, -1, 1), Some((1, 6)));
        assert_eq!(found("12345", "34zz", 3, 4, 1), Some((3, 6)));
        assert_eq!(found("abc", "d", 1, -1, 1), None);
    }

    #[test]
    fn search_of_nothing_and_in_nothing() {
        assert_eq!(found("abc", "", 1, -1, 1), None);
        assert_eq!(found("", "a", 1, -1, 1), None);
        assert_eq!(found("abc", "a", 4, -1, 1), None);
        assert_eq!(found("abc", "a", 1, -1, 2), None);
    }
}
