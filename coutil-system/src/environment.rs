//! The environment of this process, which other threads may read while it changes.
//!
//! It is that of the C library: getenv(3) finds what is set here, and children inherit it. What is replaced or removed is
//! kept in memory, as somebody may be reading it: so this is for variables that change now and then.
//!
//! ```
//! use coutil_system::environment;
//!
//! environment::set(c"COUTIL_EXAMPLE", Some(c"yes"))?;
//! assert_eq!(environment::get(c"COUTIL_EXAMPLE").as_deref(), Some(&b"yes"[..]));
//! assert_eq!(std::env::var("COUTIL_EXAMPLE").as_deref(), Ok("yes"));
//! environment::set(c"COUTIL_EXAMPLE", None)?;
//! assert_eq!(environment::get(c"COUTIL_EXAMPLE"), None);
//! # Ok::<(), coutil_system::Error>(())
//! ```

use crate::error::Result;
use crate::sys::environ;
use std::ffi::CStr;

/// The value of a variable, by getenv(3); `None` if there is no such variable, or the name is empty.
pub fn get(name: &CStr) -> Option<Vec<u8>> {
    environ::get(name).map(<[u8]>::to_vec)
}

/// Sets a variable; `None` removes it.
///
/// # Errors
///
/// `invalid argument` if the name is empty or has a `=` in it.
pub fn set(name: &CStr, value: Option<&CStr>) -> Result<()> {
    environ::set(name.to_bytes(), value.map(CStr::to_bytes))
}

/// All variables with their values: the entries of environ(7), each split at its first `=`. Those without one are left out; of
/// several of a name all are there, in their order.
pub fn all() -> Vec<(Vec<u8>, Vec<u8>)> {
    let copy = |(name, value): (&[u8], &[u8])| (name.to_vec(), value.to_vec());
    environ::all().into_iter().map(copy).collect()
}
