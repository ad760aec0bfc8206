//! Copies, which the kernel makes where it can.

use super::file::{Create, File, OpenOptions};
use super::info::{FileType, Info, real_path};
use super::path::remove_file;
use crate::error::{Error, Result};
use rustix::io::{Errno, retry_on_intr};
use std::path::{Path, PathBuf};

/// Whether a copy shares the blocks of its source until one of them is written to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum CopyOnWrite {
    /// It does not need to.
    #[default]
    No,
    /// If the file system can do that.
    IfPossible,
    /// It has to.
    Always,
}

/// How a file is copied. What is wanted is set in the fields of the default.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct CopyOptions {
    /// The copy must not be there yet.
    pub new: bool,
    /// Whether blocks are shared.
    pub copy_on_write: CopyOnWrite,
}

/// Copies the contents and the permission bits of a file. One that is there is overwritten; links are followed. To copy a file onto
/// itself does nothing.
///
/// If it fails a file that was not there before is removed, and one that was there is as before if nothing was copied yet.
///
/// # Errors
///
/// `illegal operation on a directory`; `file already exists`; that a clone cannot be made, as ioctl_ficlone(2) has it; and others of
/// open(2), read(2) and write(2).
pub fn copy(path: impl AsRef<Path>, destination: impl AsRef<Path>, options: CopyOptions) -> Result<()> {
    let (path, destination) = (path.as_ref(), destination.as_ref());
    let read = OpenOptions { read: true, ..OpenOptions::default() };
    let source = File::open(path, &read)?;
    let from = source.info()?;
    if from.file_type() == FileType::Directory {
        let exists = options.new && super::info(destination, false).is_ok();
        return Err(Error::from_code(if exists { libc::EEXIST } else { libc::EISDIR }));
    }
    let (file, made) = open_destination(destination, from.mode, options.new)?;
    let copied = fill(&source, &from, &file, made.is_some(), options.copy_on_write);
    if let (Err(_), Some(made)) = (copied, made) {
        let _ = remove_file(&made);
    }
    copied
}

/// Opens what is copied to; with the path to remove it by, if it was not there.
fn open_destination(path: &Path, mode: u32, new: bool) -> Result<(File, Option<PathBuf>)> {
    let write = OpenOptions { write: true, mode, ..OpenOptions::default() };
    let create = OpenOptions { create: Create::New, ..write };
    if !new {
        match File::open(path, &write) {
            Err(error) if error.code() == libc::ENOENT => {}
            opened => return Ok((opened?, None)),
        }
    }
    match File::open(path, &create) {
        Ok(file) => Ok((file, Some(path.to_owned()))),
        // A link that leads nowhere, or somebody else made it just now.
        Err(error) if error.code() == libc::EEXIST && !new => {
            let file = File::open(path, &OpenOptions { create: Create::IfMissing, ..write })?;
            let empty = file.info()?.size == 0 && super::info(path, false)?.file_type() == FileType::Link;
            let made = if empty { real_path(path).ok() } else { None };
            Ok((file, made))
        }
        Err(error) => Err(error),
    }
}

fn fill(source: &File, from: &Info, file: &File, made: bool, copy_on_write: CopyOnWrite) -> Result<()> {
    let to = file.info()?;
    if (to.device, to.inode) == (from.device, from.inode) {
        return Ok(());
    }
    if copy_on_write != CopyOnWrite::No {
        match clone_file(source, file) {
            Ok(()) => {
                if to.size > from.size {
                    file.resize(from.size)?;
                }
                return set_mode(file, from, &to);
            }
            Err(error) if copy_on_write == CopyOnWrite::Always => return Err(error),
            Err(_) => {}
        }
    }
    set_mode(file, from, &to)?;
    // What was there before is cut in the end: if nothing can be read it stays as it was.
    match file.copy_until(source, None, u64::MAX) {
        (copied, Ok(())) if !made && to.file_type() == FileType::File => file.resize(copied),
        (0, Err(error)) if !made => {
            let _ = set_mode(file, &to, from);
            Err(error)
        }
        // Also one that ends in the middle has failed.
        (_, result) => result,
    }
}

fn set_mode(file: &File, from: &Info, to: &Info) -> Result<()> {
    // Who may write to a file, but does not own it, can still copy to it if there is nothing to change.
    if (from.mode ^ to.mode) & 0o7777 == 0 { Ok(()) } else { file.change_mode(from.mode) }
}

#[cfg(target_os = "linux")]
fn clone_file(source: &File, file: &File) -> Result<()> {
    Ok(retry_on_intr(|| rustix::fs::ioctl_ficlone(file, source))?)
}

#[cfg(not(target_os = "linux"))]
fn clone_file(_: &File, _: &File) -> Result<()> {
    Err(Error::from_code(libc::EOPNOTSUPP))
}

/// What became of a part of a copy.
enum Part {
    Copied(usize),
    /// It cannot be done in this way.
    Unsuitable,
}

/// The ways to copy, best first.
#[derive(Clone, Copy)]
enum Way {
    #[cfg(target_os = "linux")]
    CopyFileRange,
    #[cfg(target_os = "linux")]
    SendFile,
    ReadWrite,
}

impl Way {
    #[cfg(target_os = "linux")]
    const ALL: &[Self] = &[Self::CopyFileRange, Self::SendFile, Self::ReadWrite];
    #[cfg(not(target_os = "linux"))]
    const ALL: &[Self] = &[Self::ReadWrite];
}

/// So many bytes the kernel is told to copy at a time.
#[cfg(target_os = "linux")]
const CHUNK: u64 = 1 << 30;
/// So many bytes are copied by way of this program.
const BUFFER: u64 = 256 * 1024;

impl File {
    /// Copies up to `length` bytes of another file to the position of this one, which advances, and returns how many. They are taken
    /// from `offset`, without regard to the position of the source, or from that if there is no offset.
    ///
    /// The kernel copies, where it can: copy_file_range(2), sendfile(2). If both are the same file, it is copied up to the end that it
    /// has at the beginning.
    ///
    /// # Errors
    ///
    /// `bad file descriptor` if the source is not open for reading, or this one not for writing; others as [`File::read`] and
    /// [`File::write`] have them. If some bytes were copied before that is what is returned.
    pub fn copy_from(&self, source: &File, offset: Option<u64>, length: u64) -> Result<u64> {
        match self.copy_until(source, offset, length) {
            (0, Err(error)) => Err(error),
            (copied, _) => Ok(copied),
        }
    }

    /// As [`copy_from`](Self::copy_from), with what it ended with.
    fn copy_until(&self, source: &File, offset: Option<u64>, length: u64) -> (u64, Result<()>) {
        let mut copied = 0;
        let result = self.quietly(|| {
            let mut length = length;
            if let (Ok(from), Ok(to)) = (source.info(), self.info())
                && (from.device, from.inode) == (to.device, to.inode)
            {
                length = length.min(from.size.saturating_sub(offset.unwrap_or(0)));
            }
            let mut copy = Copy { source, file: self, offset, buffer: Vec::new() };
            let mut ways = Way::ALL.iter();
            let mut way = *ways.next().unwrap_or(&Way::ReadWrite);
            while copied < length {
                match copy.part(way, length - copied)? {
                    // What is not on a disk may be empty to the kernel, and have contents all the same: procfs(5).
                    Part::Copied(0) if copied == 0 && !matches!(way, Way::ReadWrite) => way = Way::ReadWrite,
                    Part::Copied(0) => break,
                    Part::Copied(count) => copied += count as u64,
                    Part::Unsuitable => way = *ways.next().unwrap_or(&Way::ReadWrite),
                }
            }
            Ok(())
        });
        (copied, result)
    }
}

struct Copy<'a> {
    source: &'a File,
    file: &'a File,
    offset: Option<u64>,
    /// For what the kernel does not copy.
    buffer: Vec<u8>,
}

impl Copy<'_> {
    fn part(&mut self, way: Way, length: u64) -> Result<Part> {
        let (source, file, offset) = (self.source, self.file, &mut self.offset);
        #[cfg(target_os = "linux")]
        let length_of_chunk = length.min(CHUNK) as usize;
        let result = match way {
            #[cfg(target_os = "linux")]
            Way::CopyFileRange => retry_on_intr(|| {
                rustix::fs::copy_file_range(source, offset.as_mut(), file, None, length_of_chunk)
            }),
            #[cfg(target_os = "linux")]
            Way::SendFile => {
                retry_on_intr(|| rustix::fs::sendfile(file, source, offset.as_mut(), length_of_chunk))
            }
            Way::ReadWrite => return self.by_hand(length).map(Part::Copied),
        };
        match result {
            Ok(count) => Ok(Part::Copied(count)),
            // Other file systems, kernels and kinds of files; EBADF is also what is said of files that are appended to.
            Err(
                Errno::NOSYS
                | Errno::XDEV
                | Errno::INVAL
                | Errno::PERM
                | Errno::OPNOTSUPP
                | Errno::BADF
                | Errno::OVERFLOW
                | Errno::SPIPE,
            ) => Ok(Part::Unsuitable),
            Err(error) => Err(error.into()),
        }
    }

    /// Copies by way of this program.
    fn by_hand(&mut self, length: u64) -> Result<usize> {
        if self.buffer.is_empty() {
            self.buffer.resize(length.min(BUFFER) as usize, 0);
            // Nothing may be read that cannot be written.
            self.file.write(&[], None)?;
        }
        let room = (self.buffer.len() as u64).min(length) as usize;
        let buffer = &mut self.buffer[..room];
        let count = self.source.read(buffer, self.offset)?;
        let written = self.file.write(&buffer[..count], None)?;
        if let Some(offset) = &mut self.offset {
            *offset += written as u64;
        }
        Ok(written)
    }
}
