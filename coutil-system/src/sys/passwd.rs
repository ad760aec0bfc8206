//! The user of this process: getpwuid_r(3).

#![allow(unsafe_code)]

use crate::error::{Error, Result};
use std::ffi::{CStr, c_char};
use std::mem::MaybeUninit;

/// An entry of passwd(5).
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) name: Vec<u8>,
    pub(crate) home: Vec<u8>,
    pub(crate) shell: Vec<u8>,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
}

/// The entry of the effective user.
pub(crate) fn entry() -> Result<Entry> {
    // SAFETY: it cannot fail.
    let uid = unsafe { libc::geteuid() };
    let mut room = vec![0u8; 1024];
    loop {
        let mut entry = MaybeUninit::<libc::passwd>::uninit();
        let mut found = std::ptr::null_mut();
        // SAFETY: the room is as large as it says.
        let result = unsafe {
            libc::getpwuid_r(uid, entry.as_mut_ptr(), room.as_mut_ptr().cast(), room.len(), &mut found)
        };
        match result {
            libc::ERANGE if room.len() < 1 << 24 => room.resize(room.len() * 2, 0),
            libc::EINTR => {}
            0 if found.is_null() => return Err(Error::from_code(libc::ENOENT)),
            0 => {
                let text = |text: *const c_char| match text.is_null() {
                    true => Vec::new(),
                    // SAFETY: the strings are in the room.
                    false => unsafe { CStr::from_ptr(text) }.to_bytes().to_vec(),
                };
                // SAFETY: it was found, so it is filled in.
                let entry = unsafe { entry.assume_init() };
                return Ok(Entry {
                    name: text(entry.pw_name),
                    home: text(entry.pw_dir),
                    shell: text(entry.pw_shell),
                    uid: entry.pw_uid,
                    gid: entry.pw_gid,
                });
            }
            code => return Err(Error::from_code(code)),
        }
    }
}
