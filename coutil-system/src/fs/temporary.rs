//! Files and directories with names that nobody has.

use super::file::{Create, File, OpenOptions};
use super::path::make_directory;
use crate::error::{Error, Result};
use crate::random;
use std::path::{Path, PathBuf};

/// So many names are tried.
const TRIES: u32 = 1000;

/// The prefix with six random letters or digits.
fn name(prefix: &Path) -> Result<PathBuf> {
    const LETTERS: &[u8; 62] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    let mut bytes = [0; 8];
    random(&mut bytes)?;
    let mut number = u64::from_ne_bytes(bytes);
    let mut name = prefix.as_os_str().to_owned();
    for _ in 0..6 {
        let letter = LETTERS[(number % 62) as usize];
        name.push((letter as char).encode_utf8(&mut [0; 4]));
        number /= 62;
    }
    Ok(name.into())
}

fn first_free<T>(prefix: &Path, make: impl Fn(&Path) -> Result<T>) -> Result<(PathBuf, T)> {
    for _ in 0..TRIES {
        let path = name(prefix)?;
        match make(&path) {
            Ok(made) => return Ok((path, made)),
            Err(error) if error.code() == libc::EEXIST => {}
            Err(error) => return Err(error),
        }
    }
    Err(Error::from_code(libc::EEXIST))
}

/// Makes a file whose name is the prefix and six random characters, and opens it for reading and writing. Only its owner has
/// permissions. As mkstemp(3).
///
/// # Errors
///
/// As [`File::open`].
pub fn temporary_file(prefix: impl AsRef<Path>) -> Result<(PathBuf, File)> {
    let prefix = prefix.as_ref();
    let options =
        OpenOptions { read: true, write: true, create: Create::New, mode: 0o600, ..OpenOptions::default() };
    first_free(prefix, |path| File::open(path, &options))
}

/// Makes a directory whose name is the prefix and six random characters. Only its owner has permissions. As mkdtemp(3).
///
/// # Errors
///
/// As [`make_directory`].
pub fn temporary_directory(prefix: impl AsRef<Path>) -> Result<PathBuf> {
    let prefix = prefix.as_ref();
    Ok(first_free(prefix, |path| make_directory(path, 0o700))?.0)
}
