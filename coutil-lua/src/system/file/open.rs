//! `openfile` and `maketemp` (60 §3.12, §3.6).

use super::as_path;
use super::bits::check_permissions;
use super::call::{check_manner, check_results, has_room, operation, perform};
use super::mode::{Blame, check_text, letters, misplaced, opt_text, prefix};
use super::object::{open as give, push_closed};
use crate::raw::error::AWAIT;
use crate::raw::{args, c_int, lua_State};
use crate::state::StateRef;
use crate::system::task::Output;
use crate::system::{System, push_failure};
use coutil_system::fs::{self, Create, File, OpenOptions};
use coutil_system::{Error, Result};
use mlua::ffi;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

/// What `openfile` results in. The file is closed with it, if nobody takes it.
struct Opened(Result<Option<File>>);

impl Output for Opened {
    unsafe fn push(&mut self, L: *mut lua_State, state: StateRef) -> c_int {
        // SAFETY: the object is there before it gets the file.
        unsafe {
            match &mut self.0 {
                Ok(file) => {
                    let object = push_closed(L);
                    if let Some(file) = file.take() {
                        give(state, object, file);
                    }
                    1
                }
                Err(error) => push_failure(L, *error),
            }
        }
    }
}

/// `openfile(path [, mode [, perm]])` → file
pub(super) unsafe extern "C-unwind" fn open(L: *mut lua_State) -> c_int {
    // SAFETY: arguments are checked. The text stands on the stack until it is copied.
    unsafe {
        let state = StateRef::of(L);
        let mode = opt_text(L, 2, b"r");
        let mut options = OpenOptions::default();
        let blocking = letters(L, mode, Blame::Plain, |letter| {
            match letter {
                b'r' => options.read = true,
                b'w' => options.write = true,
                b'a' => options.append = true,
                b't' => options.truncate = true,
                b'f' => options.sync = true,
                b'n' if options.create == Create::Never => options.create = Create::IfMissing,
                b'n' => {}
                b'N' => options.create = Create::New,
                b'x' => {}
                _ => return false,
            }
            true
        });
        if options.create != Create::Never {
            options.mode = check_permissions(L, 3);
        }
        check_manner(L, blocking);
        let path = check_text(L, 1);
        perform(L, state, blocking, operation(0, 0), move |_: &mut System| {
            let path = as_path(path).to_owned();
            move || Opened(File::open(&path, &options).map(Some))
        })
    }
}

/// What `maketemp` results in.
struct Made {
    result: Result<(PathBuf, Option<File>)>,
    /// What is asked for: `f` and `o`, as text that owns itself.
    letters: Vec<u8>,
}

impl Output for Made {
    unsafe fn push(&mut self, L: *mut lua_State, state: StateRef) -> c_int {
        // SAFETY: there is room for all results. Values that are asked for more than once are the same.
        unsafe {
            let (path, file) = match &mut self.result {
                Ok(made) => made,
                Err(error) => return push_failure(L, *error),
            };
            let path = path.as_os_str().as_bytes();
            let count = self.letters.len();
            if !has_room(L, count) {
                return push_failure(L, Error::from_code(libc::ENOMEM));
            }
            let base = ffi::lua_gettop(L);
            let (mut path_at, mut file_at, mut opened) = (0, 0, std::ptr::null_mut());
            for letter in &self.letters {
                match letter {
                    b'f' if path_at > 0 => ffi::lua_pushvalue(L, path_at),
                    b'f' => {
                        ffi::lua_pushlstring(L, path.as_ptr().cast(), path.len());
                        path_at = ffi::lua_gettop(L);
                    }
                    _ if file_at > 0 => ffi::lua_pushvalue(L, file_at),
                    _ => {
                        opened = push_closed(L);
                        file_at = ffi::lua_gettop(L);
                    }
                }
            }
            if count == 0 {
                ffi::lua_pushlstring(L, path.as_ptr().cast(), path.len());
            }
            // Last, as what comes before may raise for memory.
            if !opened.is_null()
                && let Some(file) = file.take()
            {
                give(state, opened, file);
            }
            ffi::lua_gettop(L) - base
        }
    }
}

/// `maketemp(prefix [, mode])` → path, or one result for each letter
pub(super) unsafe extern "C-unwind" fn make_temporary(L: *mut lua_State) -> c_int {
    // SAFETY: arguments are checked. The texts stand on the stack until they are copied.
    unsafe {
        let state = StateRef::of(L);
        let name = check_text(L, 1);
        let (_, len) = args::check_string(L, AWAIT, 1);
        let mode = prefix(opt_text(L, 2, b""), false);
        if len >= 250 {
            args::bad(L, AWAIT, 1, c"too long");
        }
        for letter in mode.rest {
            if !matches!(letter, b'f' | b'o') {
                misplaced(L, Blame::Argument(2), *letter, false);
            }
        }
        check_manner(L, mode.blocking);
        check_results(L, mode.rest.len());
        perform(L, state, mode.blocking, operation(0, 0), move |_: &mut System| {
            let (name, letters) = (as_path(name).to_owned(), mode.rest.to_vec());
            move || {
                let result = match letters.is_empty() {
                    true => fs::temporary_directory(&name).map(|path| (path, None)),
                    false => fs::temporary_file(&name).map(|(path, file)| (path, Some(file))),
                };
                Made { result, letters }
            }
        })
    }
}
