//! The environment of this process, so that other threads may read it while it changes.
//!
//! setenv(3) may move the array and free the old one under a thread that reads it. Here each change makes a new array, and a
//! new string, and nothing is ever freed: whoever reads, by getenv(3) or in any other way, sees the old one or the new one.

#![allow(unsafe_code)]

use crate::error::{Error, Result};
use libc::c_char;
use std::ffi::{CStr, CString};
use std::sync::atomic::{AtomicPtr, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

unsafe extern "C" {
    static mut environ: *const *const c_char;
}

/// What was made here, which lives as long as the process.
struct Kept {
    arrays: Vec<Box<[Address]>>,
    strings: Vec<CString>,
}

#[derive(Clone, Copy)]
struct Address(*const c_char);

// SAFETY: what it points to is never changed by this file, nor freed.
unsafe impl Send for Address {}

fn kept() -> MutexGuard<'static, Kept> {
    static KEPT: Mutex<Kept> = Mutex::new(Kept { arrays: Vec::new(), strings: Vec::new() });
    KEPT.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The variable `environ`, as one that is read and written at once.
fn variable() -> &'static AtomicPtr<*const c_char> {
    // SAFETY: it has the layout of a pointer, and lives as long as the process. The C library reads it as such.
    unsafe { AtomicPtr::from_ptr((&raw mut environ).cast()) }
}

/// The entries that there are now.
fn entries() -> Vec<Address> {
    let array = variable().load(Ordering::Acquire);
    let mut entries = Vec::new();
    if !array.is_null() {
        // SAFETY: the array ends with a null.
        unsafe {
            while !(*array.add(entries.len())).is_null() {
                entries.push(Address(*array.add(entries.len())));
            }
        }
    }
    entries
}

fn bytes(entry: Address) -> &'static [u8] {
    // SAFETY: entries are strings, which are not freed.
    unsafe { CStr::from_ptr(entry.0) }.to_bytes()
}

/// All variables with their values, as they stand there: those without `=` are left out, and of several of a name all are
/// there.
pub(crate) fn all() -> Vec<(&'static [u8], &'static [u8])> {
    let _kept = kept();
    let split = |entry| {
        let text = bytes(entry);
        let at = text.iter().position(|byte| *byte == b'=')?;
        Some((&text[..at], &text[at + 1..]))
    };
    entries().into_iter().filter_map(split).collect()
}

/// The value of a variable, by getenv(3).
pub(crate) fn get(name: &CStr) -> Option<&'static [u8]> {
    // SAFETY: the name is a string; so is the value, which is not freed.
    unsafe {
        let value = libc::getenv(name.as_ptr());
        (!value.is_null()).then(|| CStr::from_ptr(value).to_bytes())
    }
}

/// Sets a variable, or removes it.
pub(crate) fn set(name: &[u8], value: Option<&[u8]>) -> Result<()> {
    if name.is_empty() || name.contains(&b'=') {
        return Err(Error::INVALID);
    }
    let entry = match value {
        Some(value) => Some(CString::new([name, b"=", value].concat()).map_err(|_| Error::INVALID)?),
        None => None,
    };
    let mut kept = kept();
    let old = entries();
    let names = |entry: &Address| {
        let text = bytes(*entry);
        text.starts_with(name) && text.get(name.len()) == Some(&b'=')
    };
    let found = old.iter().position(names);
    let unchanged = match (&entry, found) {
        (None, found) => found.is_none(),
        (Some(entry), Some(found)) => {
            bytes(old[found]) == entry.as_bytes() && !old[found + 1..].iter().any(names)
        }
        (Some(_), None) => false,
    };
    if unchanged {
        return Ok(());
    }
    let mut new = Vec::with_capacity(old.len() + 2);
    for (index, other) in old.iter().enumerate() {
        match &entry {
            Some(entry) if Some(index) == found => new.push(Address(entry.as_ptr())),
            _ if names(other) => {}
            _ => new.push(*other),
        }
    }
    if let (Some(entry), None) = (&entry, found) {
        new.push(Address(entry.as_ptr()));
    }
    new.push(Address(std::ptr::null()));
    let new = new.into_boxed_slice();
    let array = new.as_ptr().cast::<*const c_char>();
    kept.strings.extend(entry);
    kept.arrays.push(new);
    variable().store(array.cast_mut(), Ordering::Release);
    Ok(())
}
