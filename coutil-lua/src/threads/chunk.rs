//! Chunks of independent states: where they come from.

use crate::memory::object::{as_memory, check_array};
use crate::raw::error::DIRECT;
use crate::raw::{args, c_int, lua_State};
use mlua::ffi;
use std::ffi::c_char;
use std::ptr;

/// A chunk that is to be loaded. The pointers are to arguments of the running function.
pub(crate) struct Source {
    from: From,
    /// Null for any.
    mode: *const c_char,
}

enum From {
    Text {
        bytes: *const u8,
        len: usize,
        name: *const c_char,
    },
    /// Bytes and name, with a NUL behind it.
    Copy {
        bytes: Vec<u8>,
        name: Vec<u8>,
    },
    /// Null for standard input.
    File(*const c_char),
}

/// The string at `arg`; null for nil or no argument. Raises.
unsafe fn opt_text(L: *mut lua_State, arg: c_int) -> *const c_char {
    // SAFETY: strings of Lua end with a NUL.
    unsafe { if args::is_absent(L, arg) { ptr::null() } else { args::check_string(L, DIRECT, arg).0.cast() } }
}

/// Checks the arguments `chunk`, `chunkname` and `mode`, the first of which is `arg`. Raises.
pub(crate) unsafe fn check_text(L: *mut lua_State, arg: c_int) {
    // SAFETY: arguments are checked; numbers become strings.
    unsafe {
        check_array(L, DIRECT, arg);
        opt_text(L, arg + 1);
        opt_text(L, arg + 2);
    }
}

/// Checks the arguments `filepath` and `mode`, the first of which is `arg`. Raises.
pub(crate) unsafe fn check_file(L: *mut lua_State, arg: c_int) {
    // SAFETY: as `check_text`.
    unsafe {
        opt_text(L, arg);
        opt_text(L, arg + 1);
    }
}

/// The string at `arg`, which was checked; null for nil or no argument. Never raises.
unsafe fn text(L: *mut lua_State, arg: c_int) -> *const c_char {
    // SAFETY: it is a string by now.
    unsafe { if args::is_absent(L, arg) { ptr::null() } else { ffi::lua_tostring(L, arg) } }
}

impl Source {
    /// From arguments that [`check_text`] has checked. Never raises.
    pub(crate) unsafe fn from_text(L: *mut lua_State, arg: c_int) -> Self {
        // SAFETY: as `text`. A memory has no NUL at its end, and may be changed by whoever runs while it is loaded.
        unsafe {
            let mode = text(L, arg + 2);
            let name = text(L, arg + 1);
            if ffi::lua_type(L, arg) == ffi::LUA_TSTRING {
                let mut len = 0;
                let bytes = ffi::lua_tolstring(L, arg, &mut len);
                let name = if name.is_null() { bytes } else { name };
                return Self { from: From::Text { bytes: bytes.cast(), len, name }, mode };
            }
            let bytes = match as_memory(L, arg) {
                Some((bytes, len)) => std::slice::from_raw_parts(bytes, len).to_vec(),
                None => Vec::new(),
            };
            let mut title = match name.is_null() {
                true => bytes.split(|byte| *byte == 0).next().unwrap_or_default().to_vec(),
                false => std::ffi::CStr::from_ptr(name).to_bytes().to_vec(),
            };
            title.push(0);
            Self { from: From::Copy { bytes, name: title }, mode }
        }
    }

    /// From arguments that [`check_file`] has checked. Never raises.
    pub(crate) unsafe fn from_file(L: *mut lua_State, arg: c_int) -> Self {
        // SAFETY: as `text`.
        unsafe { Self { from: From::File(text(L, arg)), mode: text(L, arg + 1) } }
    }

    /// Loads it in `L`, another state: pushes the function, or the message. [-0, +1] May raise for memory.
    pub(super) unsafe fn load(&self, L: *mut lua_State) -> c_int {
        // SAFETY: the pointers are to arguments of the creator, which stand on its stack.
        unsafe {
            let (bytes, len, name) = match self.from {
                From::Text { bytes, len, name } => (bytes, len, name),
                From::Copy { ref bytes, ref name } => (bytes.as_ptr(), bytes.len(), name.as_ptr().cast()),
                From::File(path) => return self.load_file(L, path),
            };
            #[cfg(any(feature = "lua51", feature = "luajit"))]
            if !self.allows(L, len > 0 && *bytes == BINARY) {
                return ffi::LUA_ERRSYNTAX;
            }
            #[cfg(any(feature = "lua51", feature = "luajit"))]
            let mode = ptr::null();
            #[cfg(not(any(feature = "lua51", feature = "luajit")))]
            let mode = self.mode;
            ffi::luaL_loadbufferx(L, bytes.cast(), len, name, mode)
        }
    }

    #[cfg(not(any(feature = "lua51", feature = "luajit")))]
    unsafe fn load_file(&self, L: *mut lua_State, path: *const c_char) -> c_int {
        // SAFETY: as `load`.
        unsafe { ffi::luaL_loadfilex(L, path, self.mode) }
    }

    /// There is no mode there, so it is looked what is in the file.
    #[cfg(any(feature = "lua51", feature = "luajit"))]
    unsafe fn load_file(&self, L: *mut lua_State, path: *const c_char) -> c_int {
        // SAFETY: as `load`.
        unsafe {
            if !self.mode.is_null()
                && !path.is_null()
                && let Some(is_binary) = is_binary(std::ffi::CStr::from_ptr(path))
                && !self.allows(L, is_binary)
            {
                return ffi::LUA_ERRSYNTAX;
            }
            ffi::luaL_loadfile(L, path)
        }
    }

    /// Whether the mode allows such a chunk. If not, 5.4's message is pushed. [-0, +0 or +1]
    #[cfg(any(feature = "lua51", feature = "luajit"))]
    unsafe fn allows(&self, L: *mut lua_State, is_binary: bool) -> bool {
        // SAFETY: as `load`.
        unsafe {
            let kind = if is_binary { c"binary" } else { c"text" };
            if self.mode.is_null()
                || std::ffi::CStr::from_ptr(self.mode).to_bytes().contains(&kind.to_bytes()[0])
            {
                return true;
            }
            let text = c"attempt to load a %s chunk (mode is '%s')".as_ptr();
            ffi::lua_pushfstring(L, text, kind.as_ptr(), self.mode);
            false
        }
    }
}

/// How a binary chunk begins.
#[cfg(any(feature = "lua51", feature = "luajit"))]
const BINARY: u8 = 0x1b;

/// Whether the chunk in a file is binary; `None` if it cannot be read, which the loader will say.
#[cfg(any(feature = "lua51", feature = "luajit"))]
fn is_binary(path: &std::ffi::CStr) -> Option<bool> {
    use std::io::{BufRead, BufReader, Read};
    use std::os::unix::ffi::OsStrExt;
    let file = std::fs::File::open(std::ffi::OsStr::from_bytes(path.to_bytes())).ok()?;
    let mut reader = BufReader::new(file);
    let mut line = Vec::new();
    if reader.fill_buf().ok()?.first() == Some(&b'#') {
        reader.read_until(b'\n', &mut line).ok()?;
    }
    let mut byte = [0];
    Some(reader.read(&mut byte).ok()? == 1 && byte[0] == BINARY)
}
