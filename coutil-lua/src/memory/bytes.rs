//! Bytes of arrays: as slices, as Lua strings, and copied.

use super::object;
use super::range::Span;
use crate::raw::{c_int, lua_State};
use mlua::ffi;
use std::ptr;

/// The bytes as a slice, for a while in which nothing writes to them.
pub(super) unsafe fn slice<'a>((bytes, len): (*const u8, usize)) -> &'a [u8] {
    // SAFETY: the functions of `object` give no null pointer, and as many bytes as they say.
    unsafe { std::slice::from_raw_parts(bytes, len) }
}

/// Pushes a 64-bit integer; one beyond 2^53 loses digits where Lua has no integers. [-0, +1]
pub(super) unsafe fn push_integer(L: *mut lua_State, value: i64) {
    // SAFETY: any number may be pushed.
    unsafe {
        #[cfg(any(feature = "lua53", feature = "lua54", feature = "lua55"))]
        ffi::lua_pushinteger(L, value);
        #[cfg(not(any(feature = "lua53", feature = "lua54", feature = "lua55")))]
        ffi::lua_pushnumber(L, value as f64);
    }
}

/// Pushes bytes of the array at `idx` as a string: of those that were asked for, what exists by then. [-0, +1], four
/// slots. Raises for memory. May run finalizers.
pub(super) unsafe fn push_bytes(L: *mut lua_State, idx: c_int, span: Span) {
    /// What is copied by way of the C stack.
    const SMALL: usize = 512;
    // SAFETY: the array is fetched after the last call that can run code before the bytes are copied.
    unsafe {
        // Before 5.4 `lua_pushlstring` may collect garbage before it copies. Finalizers can move the bytes then, so
        // those that can move are put aside.
        if cfg!(not(any(feature = "lua54", feature = "lua55"))) && object::as_ref(L, idx).is_some() {
            if span.len <= SMALL {
                let mut copy = [0u8; SMALL];
                let (bytes, len) = object::array(L, idx);
                let span = span.within(len);
                ptr::copy_nonoverlapping(bytes.add(span.start), copy.as_mut_ptr(), span.len);
                ffi::lua_pushlstring(L, copy.as_ptr().cast(), span.len);
            } else {
                let copy: *mut u8 = ffi::lua_newuserdata(L, span.len).cast();
                let (bytes, len) = object::array(L, idx);
                let span = span.within(len);
                ptr::copy_nonoverlapping(bytes.add(span.start), copy, span.len);
                ffi::lua_pushlstring(L, copy.cast(), span.len);
                ffi::lua_remove(L, -2);
            }
            return;
        }
        let (bytes, len) = object::array(L, idx);
        let span = span.within(len);
        ffi::lua_pushlstring(L, bytes.add(span.start).cast(), span.len);
    }
}

/// Fills `len` bytes at `to` with those of the source, repeated and cut. If they overlap, it copies piece by piece, each
/// from the source as it is at that moment.
pub(super) unsafe fn repeat(to: *mut u8, len: usize, source: *const u8, source_len: usize) {
    if len == 0 || source_len == 0 {
        return;
    }
    let (a, b) = (to as usize, source as usize);
    let overlap = a < b + source_len && b < a + len;
    // SAFETY: the caller vouches for both blocks; `done` and what is added to it stay within `len`.
    unsafe {
        if source_len == 1 {
            ptr::write_bytes(to, *source, len);
        } else if overlap {
            let mut done = 0;
            while done < len {
                let piece = source_len.min(len - done);
                ptr::copy(source, to.add(done), piece);
                done += piece;
            }
        } else {
            let mut done = source_len.min(len);
            ptr::copy_nonoverlapping(source, to, done);
            // What is done is a multiple of the source until the last piece, so it can be copied on, ever longer.
            while done < len {
                let piece = done.min(len - done);
                ptr::copy_nonoverlapping(to, to.add(done), piece);
                done += piece;
            }
        }
    }
}

/// The index of the first byte that differs, or where the shorter one ends.
pub(super) fn common_prefix(a: &[u8], b: &[u8]) -> usize {
    /// Blocks are compared as a whole, which is much faster.
    const BLOCK: usize = 64;
    let mut done = 0;
    for (x, y) in a.chunks_exact(BLOCK).zip(b.chunks_exact(BLOCK)) {
        if x != y {
            break;
        }
        done += BLOCK;
    }
    let rest = a.iter().zip(b).skip(done);
    done + rest.take_while(|(x, y)| x == y).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repeat_fills_from_elsewhere() {
        for source_len in 1..6 {
            let source = &b"abcdef"[..source_len];
            for len in 0..20 {
                let mut to = vec![b'-'; len + 1];
                // SAFETY: both blocks are as long as said.
                unsafe { repeat(to.as_mut_ptr(), len, source.as_ptr(), source_len) };
                let expected: Vec<u8> = source.iter().copied().cycle().take(len).chain([b'-']).collect();
                assert_eq!(to, expected, "{source_len} {len}");
            }
        }
    }

    #[test]
    fn repeat_copies_pieces_from_itself() {
        for len in 1..8 {
            for (from, from_len, at, fill) in [(3, 3, 1, 5), (0, 2, 1, 5), (0, 1, 0, 3), (2, 4, 0, 6)] {
                if from + from_len > len || at + fill > len {
                    continue;
                }
                let original = &b"abcdefgh"[..len];
                let mut expected = original.to_vec();
                let mut done = 0;
                while done < fill {
                    let piece = from_len.min(fill - done);
                    expected.copy_within(from..from + piece, at + done);
                    done += piece;
                }
                let mut bytes = original.to_vec();
                let start = bytes.as_mut_ptr();
                // SAFETY: both ranges lie within `bytes`, as tested above.
                unsafe { repeat(start.add(at), fill, start.add(from), from_len) };
                assert_eq!(bytes, expected, "{len} {from} {from_len} {at} {fill}");
            }
        }
    }

    #[test]
    fn common_prefix_across_blocks() {
        for len in [0, 1, 63, 64, 65, 127, 128, 200] {
            let a = vec![7u8; len];
            assert_eq!(common_prefix(&a, &a), len);
            for at in [0, 1, 62, 63, 64, 65, 126, 127, 128, 199] {
                assert_eq!(common_prefix(&a, &a[..at.min(len)]), at.min(len));
                if at < len {
                    let mut b = a.clone();
                    b[at] = 200;
                    assert_eq!(common_prefix(&a, &b), at);
                }
            }
        }
    }
}
