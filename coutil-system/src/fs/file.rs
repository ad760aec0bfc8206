//! Open files.

use super::info::{Info, info_of};
use super::path::{check_owner, mode_bits};
use super::times::{Times, touch_file};
use crate::error::{Error, Result};
use crate::process::above_standard;
use crate::sys::descriptor;
use rustix::fs::{Mode, OFlags};
use rustix::io::retry_on_intr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::sync::atomic::{AtomicU8, Ordering};

/// Whether a file is made that is not there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Create {
    /// It has to be there.
    #[default]
    Never,
    /// It is made if it is not there.
    IfMissing,
    /// It must not be there.
    New,
}

/// How a file is opened. One that is opened neither for reading nor for writing is for reading.
///
/// By [default](Self::new) nothing is set; what is wanted is set in the fields.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct OpenOptions {
    /// For reading.
    pub read: bool,
    /// For writing.
    pub write: bool,
    /// For writing, always at the end.
    pub append: bool,
    /// For writing, after what was in it is removed.
    pub truncate: bool,
    /// For writing, and each write reaches the device before it completes.
    pub sync: bool,
    /// Whether it is made.
    pub create: Create,
    /// The permission bits of a file that is made, as chmod(2) has them; the mask of the process is applied.
    pub mode: u32,
}

impl OpenOptions {
    /// For reading a file that is there.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            read: false,
            write: false,
            append: false,
            truncate: false,
            sync: false,
            create: Create::Never,
            mode: 0,
        }
    }

    fn flags(&self) -> OFlags {
        let writes = self.write || self.append || self.truncate || self.sync;
        let mut flags = OFlags::CLOEXEC;
        flags |= match (writes, self.read) {
            (false, _) => OFlags::RDONLY,
            (true, false) => OFlags::WRONLY,
            (true, true) => OFlags::RDWR,
        };
        flags.set(OFlags::APPEND, self.append);
        flags.set(OFlags::TRUNC, self.truncate);
        flags.set(OFlags::SYNC, self.sync);
        flags.set(OFlags::CREATE, self.create != Create::Never);
        flags.set(OFlags::EXCL, self.create == Create::New);
        flags
    }
}

/// What a descriptor is for: whether writing to it may raise SIGPIPE, and may last for ever.
const UNKNOWN: u8 = 0;
const REGULAR: u8 = 1;
const OTHER: u8 = 2;

/// An open file. It is closed when it is dropped.
///
/// Its methods block, and can be called by several threads at a time. The position of the file is one for all.
#[derive(Debug)]
pub struct File {
    fd: OwnedFd,
    kind: AtomicU8,
}

impl From<OwnedFd> for File {
    fn from(fd: OwnedFd) -> Self {
        Self { fd, kind: AtomicU8::new(UNKNOWN) }
    }
}

impl From<File> for OwnedFd {
    fn from(file: File) -> Self {
        file.fd
    }
}

impl AsFd for File {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl File {
    /// Opens a file. It is not inherited by processes that are started, and never becomes a standard stream that is not open. See
    /// open(2).
    ///
    /// # Errors
    ///
    /// As open(2) has them: among others there is no such file, or there is one and it must not be.
    pub fn open(path: impl AsRef<Path>, options: &OpenOptions) -> Result<Self> {
        let path = path.as_ref();
        let mode = Mode::from_bits_truncate(mode_bits(options.mode));
        Ok(above_standard(retry_on_intr(|| rustix::fs::open(path, options.flags(), mode))?)?.into())
    }

    /// Closes it, and tells what the system has to say about that. See close(2); it is closed in any case.
    ///
    /// # Errors
    ///
    /// As close(2) has them.
    pub fn close(self) -> Result<()> {
        descriptor::close(self.fd)
    }

    /// Whether it is a regular file or a device with blocks: reads and writes of those always come to an end.
    pub fn is_storage(&self) -> bool {
        match self.kind.load(Ordering::Relaxed) {
            UNKNOWN => {
                let storage = rustix::fs::fstat(&self.fd).is_ok_and(|stat| {
                    use rustix::fs::FileType;
                    matches!(
                        FileType::from_raw_mode(stat.st_mode),
                        FileType::RegularFile | FileType::BlockDevice
                    )
                });
                self.kind.store(if storage { REGULAR } else { OTHER }, Ordering::Relaxed);
                storage
            }
            kind => kind == REGULAR,
        }
    }

    /// Reads bytes, and returns how many: fewer than there is room for perhaps, 0 at the end of the file. With an offset from the
    /// beginning the position of the file is neither used nor changed. See read(2), pread(2).
    ///
    /// # Errors
    ///
    /// `bad file descriptor` if it is not open for reading; `illegal operation on a directory`; `invalid seek` for an offset in
    /// a pipe.
    pub fn read(&self, buffer: &mut [u8], offset: Option<u64>) -> Result<usize> {
        Ok(retry_on_intr(|| match offset {
            None => rustix::io::read(&self.fd, &mut *buffer),
            Some(offset) => rustix::io::pread(&self.fd, &mut *buffer, offset),
        })?)
    }

    /// Writes bytes, and returns how many: fewer than given only if there is an error after some, as on a full disk. With an offset
    /// from the beginning the position is neither used nor changed; if the file is open for appending the offset
    /// counts for nothing. See write(2), pwrite(2).
    ///
    /// # Errors
    ///
    /// `bad file descriptor` if it is not open for writing; `no space left on device`; `file too large`, beyond the limit of the
    /// process too, and `broken pipe` (neither has a signal, unless that of the limit is handled).
    pub fn write(&self, bytes: &[u8], offset: Option<u64>) -> Result<usize> {
        self.quietly(|| self.write_on(bytes, offset))
    }

    fn write_on(&self, bytes: &[u8], offset: Option<u64>) -> Result<usize> {
        let mut written = 0;
        loop {
            let rest = &bytes[written..];
            let result = retry_on_intr(|| match offset {
                None => rustix::io::write(&self.fd, rest),
                Some(offset) => rustix::io::pwrite(&self.fd, rest, offset.saturating_add(written as u64)),
            });
            match result {
                Ok(count) => {
                    written += count;
                    if written == bytes.len() || count == 0 {
                        return Ok(written);
                    }
                }
                Err(_) if written > 0 => return Ok(written),
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Calls what writes, so that no signal tells of a pipe that nobody reads, or of a file that must not be so large.
    pub(super) fn quietly<T>(&self, write: impl FnOnce() -> Result<T>) -> Result<T> {
        if self.is_storage() {
            descriptor::without_sigxfsz(write)
        } else {
            descriptor::without_sigpipe(write)
        }
    }

    /// Cuts the file, or extends it by zeros. The position stays. See ftruncate(2).
    ///
    /// # Errors
    ///
    /// `invalid argument` if it is not open for writing, or the size is beyond what an `i64` holds; `file too large` as for
    /// [`write`](Self::write).
    pub fn resize(&self, size: u64) -> Result<()> {
        if i64::try_from(size).is_err() {
            return Err(Error::INVALID);
        }
        self.quietly(|| Ok(retry_on_intr(|| rustix::fs::ftruncate(&self.fd, size))?))
    }

    /// Waits until what was written is on the device, with what is known of the file, or with only so much of that as is needed to
    /// read it. See fsync(2).
    ///
    /// # Errors
    ///
    /// `invalid argument` if that cannot be for a file of its kind.
    pub fn flush(&self, data_only: bool) -> Result<()> {
        Ok(retry_on_intr(|| match data_only {
            false => rustix::fs::fsync(&self.fd),
            #[cfg(not(target_os = "macos"))]
            true => rustix::fs::fdatasync(&self.fd),
            #[cfg(target_os = "macos")]
            true => rustix::fs::fsync(&self.fd),
        })?)
    }

    /// Sets its times; see [`touch`](super::touch).
    ///
    /// # Errors
    ///
    /// As [`touch`](super::touch).
    pub fn touch(&self, times: &Times) -> Result<()> {
        touch_file(self.as_fd(), times)
    }

    /// Changes its owners; see [`change_owner`](super::change_owner).
    ///
    /// # Errors
    ///
    /// As [`change_owner`](super::change_owner).
    pub fn change_owner(&self, user: i64, group: i64) -> Result<()> {
        let (user, group) = check_owner(user, group)?;
        Ok(retry_on_intr(|| rustix::fs::fchown(&self.fd, user, group))?)
    }

    /// Sets its permission bits; see [`change_mode`](super::change_mode).
    ///
    /// # Errors
    ///
    /// As [`change_mode`](super::change_mode).
    pub fn change_mode(&self, mode: u32) -> Result<()> {
        let mode = Mode::from_bits_truncate(mode_bits(mode));
        Ok(retry_on_intr(|| rustix::fs::fchmod(&self.fd, mode))?)
    }

    /// What is known of it. See statx(2).
    ///
    /// # Errors
    ///
    /// As statx(2) has them.
    pub fn info(&self) -> Result<Info> {
        info_of(self.as_fd())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_opened_for_what() {
        // [60 3.12.3]
        let access = |options: OpenOptions| options.flags() & OFlags::RWMODE;
        let default = OpenOptions::default();
        assert_eq!(access(default), OFlags::RDONLY);
        assert_eq!(access(OpenOptions { create: Create::New, ..default }), OFlags::RDONLY);
        for writing in [
            OpenOptions { write: true, ..default },
            OpenOptions { append: true, ..default },
            OpenOptions { truncate: true, ..default },
            OpenOptions { sync: true, ..default },
        ] {
            assert_eq!(access(writing), OFlags::WRONLY);
            assert_eq!(access(OpenOptions { read: true, ..writing }), OFlags::RDWR);
            assert!(writing.flags().contains(OFlags::CLOEXEC));
        }
        // [60 3.12.2] `w` neither makes a file nor erases one.
        let write = OpenOptions { write: true, ..default };
        assert!(!write.flags().intersects(OFlags::CREATE | OFlags::TRUNC | OFlags::EXCL));
    }
}
