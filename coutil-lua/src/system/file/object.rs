//! File objects (60 §4), and their methods but for `read` and `write`.

use super::bits::check_permissions;
use super::call::{check_manner, operation, perform};
use super::mode::{Blame, letters, opt_text};
use super::{Shared, transfer};
use crate::raw::error::AWAIT;
use crate::raw::{Functions, args, c_int, compat, lua_State};
use crate::state::StateRef;
use crate::system::time::check_blocking;
use crate::system::{Class, System, check_object, set_class, to_object};
use coutil_system::fs::File;
use coutil_system::{Error, Result};
use mlua::ffi;
use rustc_hash::FxHashMap;
use std::os::fd::OwnedFd;
use std::sync::Arc;

/// The methods of files.
pub(crate) const METHODS: Functions<'_> = &[
    (c"close", close),
    (c"read", transfer::read),
    (c"write", transfer::write),
    (c"resize", resize),
    (c"flush", flush),
    (c"touch", super::times::touch_file),
    (c"own", own),
    (c"grant", grant),
    (c"info", super::info::file_info),
];

pub(crate) const METAMETHODS: Functions<'_> = &[(c"__gc", collect), (c"__close", collect)];

/// The contents of a file object. Any bytes of a userdata of that size are one too: an id that names nothing, or another file.
#[repr(C)]
#[derive(Clone, Copy)]
pub(super) struct Object {
    id: u64,
}

/// The open files of a Lua state.
#[derive(Default)]
pub(crate) struct Files {
    open: FxHashMap<u64, Shared>,
    last: u64,
    /// A buffer that is used again and again.
    pub(super) spare: Vec<u8>,
    pub(crate) loans: super::loan::Loans,
}

impl Files {
    pub(super) fn add(&mut self, file: File) -> u64 {
        self.last += 1;
        self.open.insert(self.last, Arc::new(file));
        self.last
    }

    pub(super) fn get(&self, id: u64) -> Option<&Shared> {
        self.open.get(&id)
    }

    /// The file, to be used by a call.
    pub(super) fn share(&self, id: u64) -> Result<Shared> {
        self.open.get(&id).cloned().ok_or(Error::from_code(libc::EBADF))
    }
}

/// Pushes a file object for the descriptor that `open` results in. [-0, +1, or nothing if there is an error] Raises for memory,
/// before anything is opened.
pub(crate) unsafe fn push(
    L: *mut lua_State,
    state: StateRef,
    open: impl FnOnce(&mut System) -> Result<OwnedFd>,
) -> Result<()> {
    // SAFETY: the object is there before the file.
    unsafe {
        let object = push_closed(L);
        let opened = state.with(L, |state| {
            let system = state.system();
            open(system).map(|fd| system.files.add(fd.into()))
        });
        match opened {
            Ok(id) => (*object).id = id,
            Err(_) => ffi::lua_pop(L, 1),
        }
        opened.map(drop)
    }
}

/// Pushes an object without a file. [-0, +1] Raises for memory.
pub(super) unsafe fn push_closed(L: *mut lua_State) -> *mut Object {
    // SAFETY: it is complete before it gets its class.
    unsafe {
        let object = compat::new_userdata(L, size_of::<Object>()).cast::<Object>();
        object.write(Object { id: 0 });
        set_class(L, Class::File);
        object
    }
}

/// Gives an object of [`push_closed`] its file. Calls no Lua.
pub(super) unsafe fn open(state: StateRef, object: *mut Object, file: File) {
    // SAFETY: the object is anchored by the caller.
    unsafe { (*object).id = state.touch(|state| state.system().files.add(file)) }
}

/// The file at index 1, which is open. Raises.
pub(super) unsafe fn check_open(L: *mut lua_State, state: StateRef) -> u64 {
    // SAFETY: as the callee.
    unsafe {
        let object = check_object::<Object>(L, AWAIT, state, 1, Class::File);
        let id = (*object).id;
        if state.touch(|state| state.system().files.get(id).is_none()) {
            args::bad(L, AWAIT, 1, c"closed file");
        }
        id
    }
}

/// The file at `arg`, open or not; `None` if it is none.
pub(super) unsafe fn to_file(L: *mut lua_State, state: StateRef, arg: c_int) -> Option<u64> {
    // SAFETY: as the callee.
    unsafe { to_object::<Object>(L, state, arg, Class::File).map(|object| (*object).id) }
}

/// Calls `call` with the file at index 1, and results in `true` or a failure.
unsafe fn with_file<F>(L: *mut lua_State, state: StateRef, blocking: bool, id: u64, call: F) -> c_int
where
    F: FnOnce(&File) -> Result<()> + Copy + Send + 'static,
{
    // SAFETY: as the callee.
    unsafe {
        perform(L, state, blocking, operation(1, 0), move |system: &mut System| {
            let file = system.files.share(id);
            move || call(&*file?)
        })
    }
}

/// `close([mode])` → true
unsafe extern "C-unwind" fn close(L: *mut lua_State) -> c_int {
    // SAFETY: arguments are checked. The object counts as closed from here on.
    unsafe {
        let state = StateRef::of(L);
        let blocking = check_blocking(L, AWAIT, 2);
        check_manner(L, blocking);
        let id = check_open(L, state);
        if !blocking {
            crate::system::wait::check_process(L, state);
        }
        perform(L, state, blocking, operation(1, 0), move |system: &mut System| {
            let file = system.files.open.remove(&id);
            // Who else uses it closes it.
            move || file.and_then(Arc::into_inner).map_or(Ok(()), File::close)
        })
    }
}

/// `__gc`, `__close`
unsafe extern "C-unwind" fn collect(L: *mut lua_State) -> c_int {
    // SAFETY: any value may be given, also after the state was closed, which closes the files.
    unsafe {
        let Some(state) = StateRef::of_finalizer(L) else { return 0 };
        let Some(object) = to_object::<Object>(L, state, 1, Class::File) else { return 0 };
        let id = (*object).id;
        let result = state.with(L, |state| {
            let file = state.system().files.open.remove(&id);
            file.and_then(Arc::into_inner).map_or(Ok(()), File::close)
        });
        if let Err(error) = result {
            crate::system::push_message(L, error);
            #[cfg(any(feature = "lua54", feature = "lua55"))]
            crate::report::warn(L, c"__gc(file)");
            crate::report::report_own(L);
        }
        0
    }
}

/// `resize(size [, mode])` → true
unsafe extern "C-unwind" fn resize(L: *mut lua_State) -> c_int {
    // SAFETY: arguments are checked.
    unsafe {
        let state = StateRef::of(L);
        let blocking = check_blocking(L, AWAIT, 3);
        check_manner(L, blocking);
        let id = check_open(L, state);
        let size = args::check_integer(L, AWAIT, 2);
        // Those below 0 are beyond what there is, too.
        with_file(L, state, blocking, id, move |file| file.resize(size as u64))
    }
}

/// `flush([mode])` → true
unsafe extern "C-unwind" fn flush(L: *mut lua_State) -> c_int {
    // SAFETY: arguments are checked.
    unsafe {
        let state = StateRef::of(L);
        let mode = opt_text(L, 2, b"");
        let mut data_only = false;
        let blocking = letters(L, mode, Blame::Argument(3), |letter| {
            data_only |= letter == b'd';
            letter == b'd'
        });
        check_manner(L, blocking);
        let id = check_open(L, state);
        with_file(L, state, blocking, id, move |file| file.flush(data_only))
    }
}

/// `own(uid, gid [, mode])` → true
unsafe extern "C-unwind" fn own(L: *mut lua_State) -> c_int {
    // SAFETY: arguments are checked.
    unsafe {
        let state = StateRef::of(L);
        let blocking = check_blocking(L, AWAIT, 4);
        check_manner(L, blocking);
        let id = check_open(L, state);
        let user = args::check_integer(L, AWAIT, 2);
        let group = args::check_integer(L, AWAIT, 3);
        with_file(L, state, blocking, id, move |file| file.change_owner(user, group))
    }
}

/// `grant(perm [, mode])` → true
unsafe extern "C-unwind" fn grant(L: *mut lua_State) -> c_int {
    // SAFETY: arguments are checked.
    unsafe {
        let state = StateRef::of(L);
        let bits = check_permissions(L, 2);
        let blocking = check_blocking(L, AWAIT, 3);
        check_manner(L, blocking);
        let id = check_open(L, state);
        with_file(L, state, blocking, id, move |file| file.change_mode(bits))
    }
}
