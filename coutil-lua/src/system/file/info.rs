//! `fileinfo` and `file:info` (60 §3.13, §4.9).

use super::as_path;
use super::bits::bit;
use super::call::{
    TOO_MANY, check_manner, check_results, has_room, operation, perform_or_raise, perform_steps,
};
use super::mode::{Blame, check_text, misplaced, prefix};
use super::object::check_open;
use crate::raw::{c_int, lua_State};
use crate::state::StateRef;
use crate::system::System;
use crate::system::task::Output;
use crate::system::wait::{push_nothing, push_raised, push_raised_text};
use coutil_system::fs::{self, FileSystem, Info};
use coutil_system::{Error, Result, try_unblock};
use mlua::ffi;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

/// What one call of the system tells. They are made in this order.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Group {
    File,
    System,
    RealPath,
    Link,
}

const GROUPS: [Group; 4] = [Group::File, Group::System, Group::RealPath, Group::Link];

impl Group {
    fn of(letter: u8) -> Option<Self> {
        match letter {
            b'?' | b'M' | b'_' | b'u' | b'g' | b'#' | b'D' | b'd' | b'*' | b'B' | b'b' | b'i' | b'v'
            | b'a' | b'm' | b's' | b'c' => Some(Self::File),
            b'@' | b'N' | b'I' | b'T' | b'F' | b'A' | b't' | b'f' => Some(Self::System),
            b'p' => Some(Self::RealPath),
            b'=' => Some(Self::Link),
            letter => bit(letter).map(|_| Self::File),
        }
    }
}

/// What was found out.
#[derive(Default)]
struct Found {
    letters: Vec<u8>,
    file: Option<Info>,
    system: Option<FileSystem>,
    real_path: PathBuf,
    link: Option<Vec<u8>>,
    failed: Option<Error>,
}

impl Found {
    fn needs(&self, group: Group) -> bool {
        self.failed.is_none() && self.letters.iter().any(|letter| Group::of(*letter) == Some(group))
    }

    fn find(&mut self, group: Group, path: &std::path::Path, link: bool) {
        let found = match group {
            Group::File => fs::info(path, !link).map(|info| self.file = Some(info)),
            Group::System => fs::file_system(path).map(|system| self.system = Some(system)),
            Group::RealPath => fs::real_path(path).map(|path| self.real_path = path),
            Group::Link => fs::read_link(path).map(|link| self.link = link),
        };
        self.failed = found.err();
    }

    /// Pushes what a letter asks for. [-0, +1] Raises for memory.
    unsafe fn push_letter(&self, L: *mut lua_State, letter: u8) {
        // SAFETY: `self` stays where it is.
        unsafe {
            let text = |text: &[u8]| {
                ffi::lua_pushlstring(L, text.as_ptr().cast(), text.len());
            };
            let integer = |number: u64| ffi::lua_pushinteger(L, number as ffi::lua_Integer);
            let time = |time: fs::Time| ffi::lua_pushnumber(L, time.as_seconds());
            match (Group::of(letter), self.file, self.system) {
                (Some(Group::File), Some(file), _) => match letter {
                    b'?' => text(file.file_type().name().as_bytes()),
                    b'M' => integer(file.mode.into()),
                    b'u' => integer(file.user.into()),
                    b'g' => integer(file.group.into()),
                    b'#' => integer(file.inode),
                    b'D' => integer(file.device),
                    b'd' => integer(file.represents),
                    b'*' => integer(file.links),
                    b'B' => integer(file.size),
                    b'b' => integer(file.blocks),
                    b'i' => integer(file.block_size),
                    // What Linux does not have.
                    b'_' | b'v' => integer(0),
                    b'a' => time(file.accessed),
                    b'm' => time(file.modified),
                    b's' => time(file.changed),
                    b'c' => time(file.created),
                    letter => {
                        let set = bit(letter).is_some_and(|bit| file.mode & bit != 0);
                        ffi::lua_pushboolean(L, set.into());
                    }
                },
                (Some(Group::System), _, Some(system)) => match letter {
                    b'@' => text(system.name().as_bytes()),
                    b'N' => integer(system.type_number),
                    b'I' => integer(system.block_size),
                    b'T' => integer(system.blocks),
                    b'F' => integer(system.free),
                    b'A' => integer(system.available),
                    b't' => integer(system.files),
                    _ => integer(system.free_files),
                },
                (Some(Group::RealPath), ..) => text(self.real_path.as_os_str().as_bytes()),
                (Some(Group::Link), ..) => match &self.link {
                    Some(content) => text(content),
                    None => ffi::lua_pushnil(L),
                },
                _ => ffi::lua_pushnil(L),
            }
        }
    }
}

impl Output for Found {
    unsafe fn push(&mut self, L: *mut lua_State, _: StateRef) -> c_int {
        // SAFETY: there is room for all results.
        unsafe {
            if let Some(error) = self.failed {
                return push_raised(L, error);
            }
            if !has_room(L, self.letters.len()) {
                return push_raised_text(L, TOO_MANY);
            }
            for letter in &self.letters {
                self.push_letter(L, *letter);
            }
            self.letters.len() as c_int
        }
    }
}

/// `fileinfo(path, mode)` → one result for each letter. Raises failures.
pub(super) unsafe extern "C-unwind" fn info(L: *mut lua_State) -> c_int {
    // SAFETY: arguments are checked. The texts stand on the stack until they are copied.
    unsafe {
        let state = StateRef::of(L);
        let mode = prefix(check_text(L, 2), true);
        for letter in mode.rest {
            if Group::of(*letter).is_none() {
                misplaced(L, Blame::Plain, *letter, true);
            }
        }
        if mode.rest.is_empty() {
            if mode.blocking {
                check_text(L, 1);
            }
            return push_nothing(L);
        }
        check_manner(L, mode.blocking);
        let path = check_text(L, 1);
        check_results(L, mode.rest.len());
        let begin =
            move || (Found { letters: mode.rest.to_vec(), ..Found::default() }, as_path(path).to_owned());
        if mode.blocking {
            return perform_or_raise(L, state, true, operation(0, 0), move |_: &mut System| {
                let (mut found, path) = begin();
                move || {
                    for group in GROUPS {
                        if found.needs(group) {
                            found.find(group, &path, mode.link);
                        }
                    }
                    found
                }
            });
        }
        // A step for each group: others take their turn in between, and who has given up does not go on.
        perform_steps(L, state, operation(0, 0), move |_: &mut System| {
            let (mut found, mut path) = begin();
            async move {
                for group in GROUPS {
                    if found.needs(group) {
                        let step = try_unblock(move || {
                            found.find(group, &path, mode.link);
                            (found, path)
                        });
                        (found, path) = match step.await {
                            Ok(done) => done,
                            Err(error) => return Found { failed: Some(error), ..Found::default() },
                        };
                    }
                }
                found
            }
        })
    }
}

/// `info(mode)` → one result for each letter. Raises failures.
pub(super) unsafe extern "C-unwind" fn file_info(L: *mut lua_State) -> c_int {
    // SAFETY: arguments are checked. The text stands on the stack until it is copied.
    unsafe {
        let state = StateRef::of(L);
        let mode = prefix(check_text(L, 2), false);
        for letter in mode.rest {
            if Group::of(*letter) != Some(Group::File) {
                misplaced(L, Blame::Plain, *letter, false);
            }
        }
        check_manner(L, mode.blocking);
        let id = check_open(L, state);
        if mode.rest.is_empty() {
            return push_nothing(L);
        }
        check_results(L, mode.rest.len());
        perform_or_raise(L, state, mode.blocking, operation(1, 0), move |system: &mut System| {
            let file = system.files.share(id);
            let letters = mode.rest.to_vec();
            move || {
                let info: Result<Info> = file.and_then(|file| file.info());
                Found { letters, file: info.ok(), failed: info.err(), ..Found::default() }
            }
        })
    }
}
