//! Modes: texts of letters, whose conventions differ from function to function (60 §1.1.3).

use crate::raw::error::{AWAIT, raise, raise_byte};
use crate::raw::{args, c_int, lua_State};
use mlua::ffi;
use std::ffi::CStr;

/// How a letter that there is not is told.
#[derive(Clone, Copy)]
pub(super) enum Blame {
    /// `unknown mode char (got 'X')`
    Plain,
    /// `bad argument #n, unknown mode char (got 'X')`, with that very number also in methods.
    Argument(usize),
}

/// The text at `arg` up to its first NUL, as long as it stands there. Raises.
pub(super) unsafe fn check_text(L: *mut lua_State, arg: c_int) -> &'static [u8] {
    // SAFETY: strings of Lua end with a NUL. Those who keep it keep it no longer than the argument stands on the stack.
    unsafe {
        let (text, _) = args::check_string(L, AWAIT, arg);
        CStr::from_ptr(text.cast()).to_bytes()
    }
}

/// As [`check_text`]; `default` for nil or no argument. Raises.
pub(super) unsafe fn opt_text(L: *mut lua_State, arg: c_int, default: &'static [u8]) -> &'static [u8] {
    // SAFETY: as `check_text`.
    unsafe { if args::is_absent(L, arg) { default } else { check_text(L, arg) } }
}

/// Raises that there is no such letter.
#[cold]
pub(super) unsafe fn unknown(L: *mut lua_State, blame: Blame, letter: u8) -> ! {
    // SAFETY: the texts are copied.
    unsafe {
        match blame {
            Blame::Plain => raise_byte(L, AWAIT, c"unknown mode char", letter),
            Blame::Argument(number) => unknown_char(L, number, c"mode", letter),
        }
    }
}

/// Raises `bad argument #n, unknown KIND char (got 'X')`.
#[cold]
pub(super) unsafe fn unknown_char(L: *mut lua_State, number: usize, kind: &CStr, letter: u8) -> ! {
    // SAFETY: the texts are copied.
    unsafe {
        let number = c_int::try_from(number).unwrap_or(c_int::MAX);
        let text =
            ffi::lua_pushfstring(L, c"bad argument #%d, unknown %s char".as_ptr(), number, kind.as_ptr());
        raise_byte(L, AWAIT, CStr::from_ptr(text), letter)
    }
}

/// Raises that a letter has to come first, if it is one of those that have; otherwise that there is none.
#[cold]
pub(super) unsafe fn misplaced(L: *mut lua_State, blame: Blame, letter: u8, link: bool) -> ! {
    // SAFETY: the texts are copied.
    unsafe {
        if letter == b'~' || (link && letter == b'l') {
            ffi::lua_pushfstring(L, c"'%c' must be in the begin of 'mode'".as_ptr(), c_int::from(letter));
            raise(L, AWAIT);
        }
        unknown(L, blame, letter)
    }
}

/// What letters come first in a mode.
#[derive(Clone, Copy)]
pub(super) struct Prefix {
    /// `~`: on the calling thread.
    pub(super) blocking: bool,
    /// `l`: the link itself.
    pub(super) link: bool,
    pub(super) rest: &'static [u8],
}

/// Reads the prefix of a mode: `~`, and `l` where that is one.
pub(super) fn prefix(mode: &'static [u8], link: bool) -> Prefix {
    let end = mode.iter().position(|letter| !(*letter == b'~' || (link && *letter == b'l')));
    let (first, rest) = mode.split_at(end.unwrap_or(mode.len()));
    Prefix { blocking: first.contains(&b'~'), link: first.contains(&b'l'), rest }
}

/// Reads a mode of letters in any order, `~` among them, which `take` knows or not. Returns whether there is a `~`. Raises.
pub(super) unsafe fn letters(
    L: *mut lua_State,
    mode: &'static [u8],
    blame: Blame,
    mut take: impl FnMut(u8) -> bool,
) -> bool {
    // SAFETY: `take` has no destructor that matters.
    unsafe {
        let mut blocking = false;
        for letter in mode {
            if *letter == b'~' {
                blocking = true;
            } else if !take(*letter) {
                unknown(L, blame, *letter);
            }
        }
        blocking
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefixes() {
        // [60 1.1.3]
        for (mode, link, expected) in [
            ("", true, (false, false, "")),
            ("~", false, (true, false, "")),
            ("~~l~", true, (true, true, "")),
            ("l~ab", true, (true, true, "ab")),
            ("l~ab", false, (false, false, "l~ab")),
            ("~lab", false, (true, false, "lab")),
            ("a~", true, (false, false, "a~")),
            ("ll?l", true, (false, true, "?l")),
        ] {
            let Prefix { blocking, link, rest } = prefix(mode.as_bytes(), link);
            assert_eq!((blocking, link, std::str::from_utf8(rest).unwrap()), expected, "{mode}");
        }
    }
}
