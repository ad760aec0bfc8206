//! What is done to a path.

use crate::error::{Error, Result};
use rustix::fs::{AtFlags, CWD, Gid, Mode, Uid};
use rustix::io::retry_on_intr;
use std::path::Path;

/// The bits of a mode that are permissions.
pub(super) fn mode_bits(mode: u32) -> rustix::fs::RawMode {
    (mode & 0o7777) as rustix::fs::RawMode
}

/// Makes another name of a file: a hard link. A symbolic link is not followed. See link(2).
///
/// # Errors
///
/// `file already exists`; `operation not permitted` for a directory; `cross-device link not permitted`.
pub fn link(path: impl AsRef<Path>, name: impl AsRef<Path>) -> Result<()> {
    let (path, name) = (path.as_ref(), name.as_ref());
    Ok(retry_on_intr(|| rustix::fs::linkat(CWD, path, CWD, name, AtFlags::empty()))?)
}

/// Makes a symbolic link with that content, which need not exist. See symlink(2).
///
/// # Errors
///
/// `file already exists`; and others of symlink(2).
pub fn symlink(content: impl AsRef<Path>, name: impl AsRef<Path>) -> Result<()> {
    let (content, name) = (content.as_ref(), name.as_ref());
    Ok(retry_on_intr(|| rustix::fs::symlink(content, name))?)
}

/// Renames a file or a directory. A file or an empty directory of the new name is replaced. See rename(2).
///
/// # Errors
///
/// `not a directory`, `illegal operation on a directory` if one is a directory and the other is not; `directory not empty`;
/// `invalid argument` into itself; `cross-device link not permitted` on another file system.
pub fn rename(path: impl AsRef<Path>, name: impl AsRef<Path>) -> Result<()> {
    let (path, name) = (path.as_ref(), name.as_ref());
    Ok(retry_on_intr(|| rustix::fs::rename(path, name))?)
}

/// Removes a file, or a symbolic link itself. See unlink(2).
///
/// # Errors
///
/// `illegal operation on a directory`, and others of unlink(2).
pub fn remove_file(path: impl AsRef<Path>) -> Result<()> {
    let path = path.as_ref();
    Ok(retry_on_intr(|| rustix::fs::unlink(path))?)
}

/// Removes an empty directory. See rmdir(2).
///
/// # Errors
///
/// `not a directory`, also for a link to one; `directory not empty`.
pub fn remove_directory(path: impl AsRef<Path>) -> Result<()> {
    let path = path.as_ref();
    Ok(retry_on_intr(|| rustix::fs::rmdir(path))?)
}

/// Makes a directory with these permission bits, to which the mask of the process is applied. See mkdir(2).
///
/// # Errors
///
/// `file already exists`, whatever it is.
pub fn make_directory(path: impl AsRef<Path>, mode: u32) -> Result<()> {
    let path = path.as_ref();
    let mode = Mode::from_bits_truncate(mode_bits(mode));
    Ok(retry_on_intr(|| rustix::fs::mkdir(path, mode))?)
}

/// Sets the permission bits, all twelve. Links are followed. See chmod(2).
///
/// # Errors
///
/// `operation not permitted`, and others of chmod(2).
pub fn change_mode(path: impl AsRef<Path>, mode: u32) -> Result<()> {
    let path = path.as_ref();
    let mode = Mode::from_bits_truncate(mode_bits(mode));
    Ok(retry_on_intr(|| rustix::fs::chmod(path, mode))?)
}

/// Changes the owners; -1 leaves that one. With `follow` a symbolic link is followed. See chown(2).
///
/// # Errors
///
/// `operation not permitted`; `invalid argument` for a number that is none of a user or group.
pub fn change_owner(path: impl AsRef<Path>, user: i64, group: i64, follow: bool) -> Result<()> {
    let path = path.as_ref();
    let (user, group) = check_owner(user, group)?;
    let flags = if follow { AtFlags::empty() } else { AtFlags::SYMLINK_NOFOLLOW };
    Ok(retry_on_intr(|| rustix::fs::chownat(CWD, path, user, group, flags))?)
}

/// The numbers of owners as the system takes them.
pub(super) fn check_owner(user: i64, group: i64) -> Result<(Option<Uid>, Option<Gid>)> {
    fn check(id: i64) -> Result<Option<u32>> {
        match u32::try_from(id) {
            Ok(u32::MAX) => Err(Error::INVALID),
            Ok(id) => Ok(Some(id)),
            Err(_) if id == -1 => Ok(None),
            Err(_) => Err(Error::INVALID),
        }
    }
    let (user, group) = (check(user)?, check(group)?);
    Ok((user.map(Uid::from_raw), group.map(Gid::from_raw)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn owners() {
        // [60 3.9.2]
        for bad in [-2, i64::MIN, 0xffff_ffff, 1 << 32, i64::MAX] {
            assert_eq!(check_owner(bad, -1).err(), Some(Error::INVALID), "{bad}");
            assert_eq!(check_owner(-1, bad).err(), Some(Error::INVALID), "{bad}");
        }
        assert_eq!(check_owner(-1, -1), Ok((None, None)));
        assert_eq!(check_owner(0, 0xffff_fffe), Ok((Some(Uid::ROOT), Some(Gid::from_raw(0xffff_fffe)))));
    }
}
