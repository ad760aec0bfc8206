//! The entries of directories.

use super::info::FileType;
use crate::error::Result;
use crate::process::above_standard;
use rustix::fs::{Mode, OFlags};
use rustix::io::retry_on_intr;
use std::ops::Range;
use std::path::Path;

/// The entries of a directory, in the order of the bytes of their names, without `.` and `..`.
#[derive(Clone, Debug, Default)]
pub struct Entries {
    /// All names, one after the other.
    names: Vec<u8>,
    index: Vec<(Range<usize>, FileType)>,
}

impl Entries {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.index.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.index.is_empty()
    }

    /// How many bytes all names have.
    pub fn bytes(&self) -> usize {
        self.names.len()
    }

    /// The names, which may be any bytes, and the types of what has them. A link is a link. Where the file system does not tell, it is
    /// `Unknown`.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], FileType)> {
        self.index.iter().map(|(range, file_type)| (&self.names[range.clone()], *file_type))
    }

    fn add(&mut self, name: &[u8], file_type: FileType) {
        if name != b"." && name != b".." {
            let start = self.names.len();
            self.names.extend_from_slice(name);
            self.index.push((start..self.names.len(), file_type));
        }
    }
}

/// Reads a directory, all of it. See readdir(3).
///
/// # Errors
///
/// `not a directory`, and others of open(2).
pub fn list(path: impl AsRef<Path>) -> Result<Entries> {
    let path = path.as_ref();
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let directory = above_standard(retry_on_intr(|| rustix::fs::open(path, flags, Mode::empty()))?)?;
    let mut entries = Entries::default();
    #[cfg(target_os = "linux")]
    {
        // Larger than what the C library has: fewer calls, and no name is too long for it.
        let mut buffer = Vec::with_capacity(64 * 1024);
        let mut directory = rustix::fs::RawDir::new(directory, buffer.spare_capacity_mut());
        while let Some(entry) = directory.next() {
            let entry = match entry {
                Err(rustix::io::Errno::INTR) => continue,
                // It was removed while it was read: there is nothing more in it.
                Err(rustix::io::Errno::NOENT) => break,
                entry => entry?,
            };
            entries.add(entry.file_name().to_bytes(), entry.file_type().into());
        }
    }
    #[cfg(not(target_os = "linux"))]
    for entry in rustix::fs::Dir::new(directory)? {
        let entry = entry?;
        entries.add(entry.file_name().to_bytes(), entry.file_type().into());
    }
    let Entries { names, index } = &mut entries;
    index.sort_unstable_by(|(a, _), (b, _)| names[a.clone()].cmp(&names[b.clone()]));
    Ok(entries)
}
