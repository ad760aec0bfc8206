//! What is done to paths: `linkfile`, `copyfile`, `movefile`, `removefile`, `makedir`, `ownfile`, `grantfile` (60 §3).

use super::as_path;
use super::bits::check_permissions;
use super::call::{check_manner, operation, perform};
use super::mode::{Blame, check_text, letters, opt_text, prefix, unknown};
use crate::raw::error::AWAIT;
use crate::raw::{args, c_int, lua_State};
use crate::state::StateRef;
use crate::system::System;
use crate::system::time::check_blocking;
use coutil_system::{Result, fs};
use std::path::Path;

/// Calls `call` with the path at index 1, and results in `true` or a failure. What else is checked comes before.
unsafe fn with_path<F>(
    L: *mut lua_State,
    state: StateRef,
    blocking: bool,
    path: &'static [u8],
    call: F,
) -> c_int
where
    F: FnOnce(&Path) -> Result<()> + Copy + Send + 'static,
{
    // SAFETY: the text stands on the stack until it is copied.
    unsafe {
        perform(L, state, blocking, operation(0, 0), move |_: &mut System| {
            let path = as_path(path).to_owned();
            move || call(&path)
        })
    }
}

/// As [`with_path`], with the paths at indices 1 and 2. Raises.
unsafe fn with_paths<F>(L: *mut lua_State, state: StateRef, blocking: bool, call: F) -> c_int
where
    F: FnOnce(&Path, &Path) -> Result<()> + Copy + Send + 'static,
{
    // SAFETY: as `with_path`.
    unsafe {
        check_manner(L, blocking);
        let path = check_text(L, 1);
        let destiny = check_text(L, 2);
        perform(L, state, blocking, operation(0, 0), move |_: &mut System| {
            let (path, destiny) = (as_path(path).to_owned(), as_path(destiny).to_owned());
            move || call(&path, &destiny)
        })
    }
}

/// `linkfile(path, destiny [, mode])` → true
pub(super) unsafe extern "C-unwind" fn link(L: *mut lua_State) -> c_int {
    // SAFETY: arguments are checked.
    unsafe {
        let state = StateRef::of(L);
        let mode = opt_text(L, 3, b"");
        let mut symbolic = false;
        let blocking = letters(L, mode, Blame::Argument(3), |letter| {
            let known = matches!(letter, b's' | b'd' | b'j');
            symbolic |= known;
            known
        });
        with_paths(L, state, blocking, move |path, destiny| match symbolic {
            true => fs::symlink(path, destiny),
            false => fs::link(path, destiny),
        })
    }
}

/// `copyfile(path, destiny [, mode])` → true
pub(super) unsafe extern "C-unwind" fn copy(L: *mut lua_State) -> c_int {
    // SAFETY: arguments are checked.
    unsafe {
        let state = StateRef::of(L);
        let mode = opt_text(L, 3, b"");
        let mut options = fs::CopyOptions::default();
        let blocking = letters(L, mode, Blame::Argument(3), |letter| {
            match letter {
                b'n' => options.new = true,
                b'c' if options.copy_on_write == fs::CopyOnWrite::No => {
                    options.copy_on_write = fs::CopyOnWrite::IfPossible
                }
                b'c' => {}
                b'C' => options.copy_on_write = fs::CopyOnWrite::Always,
                _ => return false,
            }
            true
        });
        with_paths(L, state, blocking, move |path, destiny| fs::copy(path, destiny, options))
    }
}

/// `movefile(path, destiny [, mode])` → true
pub(super) unsafe extern "C-unwind" fn rename(L: *mut lua_State) -> c_int {
    // SAFETY: arguments are checked.
    unsafe {
        let state = StateRef::of(L);
        let blocking = check_blocking(L, AWAIT, 3);
        with_paths(L, state, blocking, |path, destiny| fs::rename(path, destiny))
    }
}

/// `removefile(path [, mode])` → true
pub(super) unsafe extern "C-unwind" fn remove(L: *mut lua_State) -> c_int {
    // SAFETY: arguments are checked.
    unsafe {
        let state = StateRef::of(L);
        let mode = opt_text(L, 2, b"");
        let mut directory = false;
        let blocking = letters(L, mode, Blame::Argument(2), |letter| {
            directory |= letter == b'd';
            letter == b'd'
        });
        check_manner(L, blocking);
        let path = check_text(L, 1);
        with_path(L, state, blocking, path, move |path| match directory {
            true => fs::remove_directory(path),
            false => fs::remove_file(path),
        })
    }
}

/// `makedir(path, perm [, mode])` → true
pub(super) unsafe extern "C-unwind" fn make_directory(L: *mut lua_State) -> c_int {
    // SAFETY: arguments are checked.
    unsafe {
        let state = StateRef::of(L);
        let blocking = check_blocking(L, AWAIT, 3);
        check_manner(L, blocking);
        let path = check_text(L, 1);
        let bits = check_permissions(L, 2);
        with_path(L, state, blocking, path, move |path| fs::make_directory(path, bits))
    }
}

/// `ownfile(path, uid, gid [, mode])` → true
pub(super) unsafe extern "C-unwind" fn own(L: *mut lua_State) -> c_int {
    // SAFETY: arguments are checked.
    unsafe {
        let state = StateRef::of(L);
        let mode = prefix(opt_text(L, 4, b""), true);
        if let Some(letter) = mode.rest.first() {
            unknown(L, Blame::Argument(4), *letter);
        }
        check_manner(L, mode.blocking);
        let path = check_text(L, 1);
        let user = args::check_integer(L, AWAIT, 2);
        let group = args::check_integer(L, AWAIT, 3);
        with_path(L, state, mode.blocking, path, move |path| fs::change_owner(path, user, group, !mode.link))
    }
}

/// `grantfile(path, perm [, mode])` → true
pub(super) unsafe extern "C-unwind" fn grant(L: *mut lua_State) -> c_int {
    // SAFETY: arguments are checked.
    unsafe {
        let state = StateRef::of(L);
        let bits = check_permissions(L, 2);
        let blocking = check_blocking(L, AWAIT, 3);
        check_manner(L, blocking);
        let path = check_text(L, 1);
        with_path(L, state, blocking, path, move |path| fs::change_mode(path, bits))
    }
}
