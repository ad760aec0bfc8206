//! `listdir`, and the iterator that it results in (60 §3.7).

use super::as_path;
use super::call::{check_manner, operation, perform_or_raise};
use super::mode::check_text;
use crate::raw::error::{AWAIT, DIRECT};
use crate::raw::{Functions, args, c_int, compat, lua_State};
use crate::state::StateRef;
use crate::system::task::Output;
use crate::system::time::check_blocking;
use crate::system::wait::push_raised;
use crate::system::{Class, System, check_object, set_class, to_object};
use coutil_system::Result;
use coutil_system::fs::{self, Entries, FileType};
use mlua::ffi;
use std::slice;

pub(super) const METAMETHODS: Functions<'_> = &[(c"__call", next), (c"__gc", close), (c"__close", close)];

/// The contents of an iterator: this, and then each entry: its type, the length of its name in four bytes, and the name. How
/// many bytes there are its size says. Any bytes of a userdata of at least the size of this are one too.
#[repr(C)]
#[derive(Clone, Copy)]
struct Iterator {
    /// Where the next entry is, among those.
    position: usize,
    closed: u8,
}

const ENTRY: usize = 5;

/// The types of entries, by the number that they have here.
const TYPES: [FileType; 8] = [
    FileType::Unknown,
    FileType::File,
    FileType::Directory,
    FileType::Link,
    FileType::Pipe,
    FileType::Socket,
    FileType::Block,
    FileType::Character,
];

impl Output for Result<Entries> {
    unsafe fn push(&mut self, L: *mut lua_State, _: StateRef) -> c_int {
        // SAFETY: the userdata has room for all entries, and is complete before it gets its class.
        unsafe {
            let entries = match self {
                Ok(entries) => entries,
                Err(error) => return push_raised(L, *error),
            };
            let size = entries.bytes() + entries.len() * ENTRY;
            let iterator = compat::new_userdata(L, size_of::<Iterator>() + size).cast::<Iterator>();
            iterator.write(Iterator { position: 0, closed: 0 });
            let mut at = iterator.add(1).cast::<u8>();
            let mut put = |bytes: &[u8]| {
                at.copy_from_nonoverlapping(bytes.as_ptr(), bytes.len());
                at = at.add(bytes.len());
            };
            for (name, file_type) in entries.iter() {
                let number = TYPES.iter().position(|other| *other == file_type).unwrap_or(0);
                put(&[number as u8]);
                put(&(name.len() as u32).to_ne_bytes());
                put(name);
            }
            set_class(L, Class::Directory);
            ffi::lua_pushnil(L);
            ffi::lua_pushnil(L);
            ffi::lua_pushvalue(L, -3);
            4
        }
    }
}

/// `listdir(path [, mode])` → iterator, nil, nil, iterator. Raises failures.
pub(super) unsafe extern "C-unwind" fn list(L: *mut lua_State) -> c_int {
    // SAFETY: arguments are checked. The text stands on the stack until it is copied.
    unsafe {
        let state = StateRef::of(L);
        let path = check_text(L, 1);
        let blocking = check_blocking(L, AWAIT, 2);
        check_manner(L, blocking);
        perform_or_raise(L, state, blocking, operation(0, 0), move |_: &mut System| {
            let path = as_path(path).to_owned();
            move || fs::list(&path)
        })
    }
}

/// `iterator()` → name, type of the next entry; nothing at the end
unsafe extern "C-unwind" fn next(L: *mut lua_State) -> c_int {
    // SAFETY: the bytes are those of the userdata at index 1, which stays there while they are copied.
    unsafe {
        let iterator = check_object::<Iterator>(L, DIRECT, StateRef::of(L), 1, Class::Directory);
        if (*iterator).closed != 0 {
            args::bad(L, DIRECT, 1, c"closed");
        }
        let size = ffi::lua_rawlen(L, 1) as usize - size_of::<Iterator>();
        let bytes = slice::from_raw_parts(iterator.add(1).cast::<u8>(), size);
        let entry = bytes.get((*iterator).position..).and_then(|rest| {
            let (head, rest) = rest.split_first_chunk::<ENTRY>()?;
            let [number, length @ ..] = *head;
            let name = rest.get(..u32::from_ne_bytes(length) as usize)?;
            Some((name, TYPES[usize::from(number) % TYPES.len()].name()))
        });
        let Some((name, file_type)) = entry else {
            (*iterator).closed = 1;
            return 0;
        };
        (*iterator).position += ENTRY + name.len();
        ffi::lua_pushlstring(L, name.as_ptr().cast(), name.len());
        ffi::lua_pushlstring(L, file_type.as_ptr().cast(), file_type.len());
        2
    }
}

/// `__gc`, `__close`
unsafe extern "C-unwind" fn close(L: *mut lua_State) -> c_int {
    // SAFETY: any value may be given, also after the state was closed.
    unsafe {
        if let Some(state) = StateRef::of_finalizer(L)
            && let Some(iterator) = to_object::<Iterator>(L, state, 1, Class::Directory)
        {
            (*iterator).closed = 1;
        }
        0
    }
}
