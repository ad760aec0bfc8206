//! `touchfile` and `file:touch` (60 §3.8).

use super::as_path;
use super::call::{check_manner, operation, perform};
use super::mode::{Blame, Prefix, check_text, misplaced, prefix};
use super::object::check_open;
use crate::raw::error::AWAIT;
use crate::raw::{args, c_int, lua_State};
use crate::state::StateRef;
use crate::system::System;
use coutil_system::fs::{self, Stamp, Times};

/// The mode at index 2, and the times that follow it. Raises.
unsafe fn check_times(L: *mut lua_State, link: bool) -> (Prefix, Times) {
    // SAFETY: as the callees.
    unsafe {
        let mode = prefix(check_text(L, 2), link);
        let mut times = Times::default();
        for (index, letter) in mode.rest.iter().enumerate() {
            let arg = index + 3;
            // A text is short enough to have an argument for each letter.
            let seconds = args::check_number(L, AWAIT, c_int::try_from(arg).unwrap_or(c_int::MAX));
            if seconds.is_nan() || seconds < 0.0 {
                args::bad(L, AWAIT, arg as c_int, c"invalid time");
            }
            let stamp = Stamp::At(seconds);
            match letter {
                b'a' => times.accessed = stamp,
                b'm' => times.modified = stamp,
                b'b' => times = Times { accessed: stamp, modified: stamp },
                other => misplaced(L, Blame::Argument(arg), *other, link),
            }
        }
        (mode, times)
    }
}

/// `touchfile(path, mode, times...)` → true
pub(super) unsafe extern "C-unwind" fn touch(L: *mut lua_State) -> c_int {
    // SAFETY: arguments are checked. The text stands on the stack until it is copied.
    unsafe {
        let state = StateRef::of(L);
        let (mode, times) = check_times(L, true);
        check_manner(L, mode.blocking);
        let path = check_text(L, 1);
        perform(L, state, mode.blocking, operation(0, 0), move |_: &mut System| {
            let path = as_path(path).to_owned();
            move || fs::touch(&path, &times, !mode.link)
        })
    }
}

/// `touch(mode, times...)` → true
pub(super) unsafe extern "C-unwind" fn touch_file(L: *mut lua_State) -> c_int {
    // SAFETY: arguments are checked.
    unsafe {
        let state = StateRef::of(L);
        let (mode, times) = check_times(L, false);
        check_manner(L, mode.blocking);
        let id = check_open(L, state);
        perform(L, state, mode.blocking, operation(1, 0), move |system: &mut System| {
            let file = system.files.share(id);
            move || file?.touch(&times)
        })
    }
}
