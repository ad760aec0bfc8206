//! What is known of files and file systems.

use crate::error::{Error, Result};
use rustix::fs::CWD;
use rustix::io::retry_on_intr;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

/// What a file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileType {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A symbolic link.
    Link,
    /// A pipe with a name.
    Pipe,
    /// A local socket.
    Socket,
    /// A device with blocks.
    Block,
    /// A device with characters.
    Character,
    /// Something else, or the system does not tell.
    Unknown,
}

impl FileType {
    /// All but `Unknown`, with the bits of a mode that say so; see inode(7).
    pub const ALL: [(Self, u32); 7] = [
        (Self::Socket, 0o140000),
        (Self::Link, 0o120000),
        (Self::File, 0o100000),
        (Self::Block, 0o060000),
        (Self::Directory, 0o040000),
        (Self::Character, 0o020000),
        (Self::Pipe, 0o010000),
    ];

    /// The bits of a mode that are its type.
    pub const MASK: u32 = 0o170000;

    /// The one that a mode says.
    pub fn of_mode(mode: u32) -> Self {
        let found = Self::ALL.into_iter().find(|(_, bits)| *bits == mode & Self::MASK);
        found.map_or(Self::Unknown, |(file_type, _)| file_type)
    }

    /// Its name, in lower case.
    pub const fn name(self) -> &'static str {
        match self {
            Self::File => "file",
            Self::Directory => "directory",
            Self::Link => "link",
            Self::Pipe => "pipe",
            Self::Socket => "socket",
            Self::Block => "block",
            Self::Character => "character",
            Self::Unknown => "unknown",
        }
    }
}

impl From<rustix::fs::FileType> for FileType {
    fn from(file_type: rustix::fs::FileType) -> Self {
        use rustix::fs::FileType as Type;
        match file_type {
            Type::RegularFile => Self::File,
            Type::Directory => Self::Directory,
            Type::Symlink => Self::Link,
            Type::Fifo => Self::Pipe,
            Type::Socket => Self::Socket,
            Type::BlockDevice => Self::Block,
            Type::CharacterDevice => Self::Character,
            _ => Self::Unknown,
        }
    }
}

/// A time, since 1970 began, UTC.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Time {
    /// Whole seconds.
    pub seconds: i64,
    /// The rest.
    pub nanoseconds: u32,
}

impl Time {
    /// In seconds, as exactly as a float can be.
    pub fn as_seconds(self) -> f64 {
        self.seconds as f64 + f64::from(self.nanoseconds) * 1e-9
    }
}

/// What is known of a file: see inode(7).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Info {
    /// Its type and its permission bits.
    pub mode: u32,
    /// Its owner.
    pub user: u32,
    /// The group that owns it.
    pub group: u32,
    /// Its number in its file system.
    pub inode: u64,
    /// The device that it is on.
    pub device: u64,
    /// The device that it is, 0 if none.
    pub represents: u64,
    /// How many names it has.
    pub links: u64,
    /// Its size in bytes.
    pub size: u64,
    /// How many blocks of 512 bytes it takes.
    pub blocks: u64,
    /// How many bytes to transfer at a time.
    pub block_size: u64,
    /// When it was read last, as far as that is kept.
    pub accessed: Time,
    /// When its contents were changed last.
    pub modified: Time,
    /// When anything of it was changed last.
    pub changed: Time,
    /// When it was made; 0 where the file system does not know.
    pub created: Time,
}

impl Info {
    /// What it is.
    pub fn file_type(&self) -> FileType {
        FileType::of_mode(self.mode)
    }
}

#[cfg(target_os = "linux")]
fn read(dir: BorrowedFd<'_>, path: &Path, flags: rustix::fs::AtFlags) -> Result<Info> {
    use rustix::fs::{StatxFlags, StatxTimestamp, makedev, statx};
    let stat = retry_on_intr(|| statx(dir, path, flags, StatxFlags::BASIC_STATS | StatxFlags::BTIME))?;
    let time = |time: StatxTimestamp| Time { seconds: time.tv_sec, nanoseconds: time.tv_nsec };
    let has_birth = StatxFlags::from_bits_retain(stat.stx_mask).contains(StatxFlags::BTIME);
    Ok(Info {
        mode: stat.stx_mode.into(),
        user: stat.stx_uid,
        group: stat.stx_gid,
        inode: stat.stx_ino,
        device: makedev(stat.stx_dev_major, stat.stx_dev_minor),
        represents: makedev(stat.stx_rdev_major, stat.stx_rdev_minor),
        links: stat.stx_nlink.into(),
        size: stat.stx_size,
        blocks: stat.stx_blocks,
        block_size: stat.stx_blksize.into(),
        accessed: time(stat.stx_atime),
        modified: time(stat.stx_mtime),
        changed: time(stat.stx_ctime),
        created: if has_birth { time(stat.stx_btime) } else { Time::default() },
    })
}

#[cfg(not(target_os = "linux"))]
#[allow(clippy::unnecessary_cast, reason = "the types differ between systems")]
fn read(dir: BorrowedFd<'_>, path: &Path, flags: rustix::fs::AtFlags) -> Result<Info> {
    let stat = if path.as_os_str().is_empty() {
        retry_on_intr(|| rustix::fs::fstat(dir))?
    } else {
        retry_on_intr(|| rustix::fs::statat(dir, path, flags))?
    };
    let time = |seconds, nanoseconds| Time { seconds: seconds as i64, nanoseconds: nanoseconds as u32 };
    Ok(Info {
        mode: stat.st_mode as u32,
        user: stat.st_uid,
        group: stat.st_gid,
        inode: stat.st_ino as u64,
        device: stat.st_dev as u64,
        represents: stat.st_rdev as u64,
        links: stat.st_nlink as u64,
        size: stat.st_size as u64,
        blocks: stat.st_blocks as u64,
        block_size: stat.st_blksize as u64,
        accessed: time(stat.st_atime, stat.st_atime_nsec),
        modified: time(stat.st_mtime, stat.st_mtime_nsec),
        changed: time(stat.st_ctime, stat.st_ctime_nsec),
        created: Time::default(),
    })
}

/// What is known of the file at a path; with `follow`, of the one that a symbolic link there leads to. See statx(2).
///
/// # Errors
///
/// As statx(2) has them.
pub fn info(path: impl AsRef<Path>, follow: bool) -> Result<Info> {
    let path = path.as_ref();
    use rustix::fs::AtFlags;
    // An empty path is that of no file.
    if path.as_os_str().is_empty() {
        return Err(Error::from_code(libc::ENOENT));
    }
    read(CWD, path, if follow { AtFlags::empty() } else { AtFlags::SYMLINK_NOFOLLOW })
}

pub(super) fn info_of(fd: BorrowedFd<'_>) -> Result<Info> {
    #[cfg(target_os = "linux")]
    let flags = rustix::fs::AtFlags::EMPTY_PATH;
    #[cfg(not(target_os = "linux"))]
    let flags = rustix::fs::AtFlags::empty();
    read(fd.as_fd(), Path::new(""), flags)
}

/// What is known of a file system: see statfs(2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct FileSystem {
    /// The number of its type.
    pub type_number: u64,
    /// How many bytes to transfer at a time.
    pub block_size: u64,
    /// How many blocks it has.
    pub blocks: u64,
    /// How many of them are free.
    pub free: u64,
    /// How many of those anybody may take.
    pub available: u64,
    /// How many files it can have.
    pub files: u64,
    /// How many more files it can have.
    pub free_files: u64,
}

impl FileSystem {
    /// The name of its type, `unknown` if it has none here.
    pub fn name(&self) -> &'static str {
        let found = NAMES.binary_search_by_key(&self.type_number, |(number, _)| *number);
        found.map_or("unknown", |index| NAMES[index].1)
    }
}

/// What is known of the file system that a file is on. Links are followed. See statfs(2).
///
/// # Errors
///
/// As statfs(2) has them.
#[allow(clippy::unnecessary_cast, reason = "the types differ between systems")]
pub fn file_system(path: impl AsRef<Path>) -> Result<FileSystem> {
    let path = path.as_ref();
    let found = retry_on_intr(|| rustix::fs::statfs(path))?;
    Ok(FileSystem {
        // Some kernels have a signed word for it, of which 32 bits count.
        type_number: found.f_type as u32 as u64,
        block_size: found.f_bsize as u64,
        blocks: found.f_blocks as u64,
        free: found.f_bfree as u64,
        available: found.f_bavail as u64,
        files: found.f_files as u64,
        free_files: found.f_ffree as u64,
    })
}

/// The absolute path of a file, without links. See realpath(3).
///
/// # Errors
///
/// As realpath(3) has them.
pub fn real_path(path: impl AsRef<Path>) -> Result<PathBuf> {
    let path = path.as_ref();
    Ok(std::fs::canonicalize(path)?)
}

/// What a symbolic link contains; `None` if the file is none. See readlink(2).
///
/// # Errors
///
/// As readlink(2) has them.
pub fn read_link(path: impl AsRef<Path>) -> Result<Option<Vec<u8>>> {
    let path = path.as_ref();
    match std::fs::read_link(path) {
        Ok(content) => Ok(Some(content.into_os_string().into_vec())),
        Err(error) if error.raw_os_error() == Some(libc::EINVAL) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// The names of file systems by the numbers of their types, in order.
const NAMES: &[(u64, &str)] = &[
    (0x2f, "qnx4"),
    (0x187, "autofs"),
    (0x137f, "minix"),
    (0x138f, "minix+"),
    (0x1cd1, "devpts"),
    (0x2468, "minix2"),
    (0x2478, "minix2+"),
    (0x3434, "nilfs"),
    (0x4d44, "msdos"),
    (0x4d5a, "minix3"),
    (0x517b, "smb"),
    (0x564c, "ncp"),
    (0x6969, "nfs"),
    (0x72b6, "jffs2"),
    (0x9660, "isofs"),
    (0x9fa0, "proc"),
    (0x9fa1, "openprom"),
    (0x9fa2, "usbdevice"),
    (0xadf5, "adfs"),
    (0xadff, "affs"),
    (0xef53, "ext4"),
    (0xf15f, "ecryptfs"),
    (0x27e0eb, "cgroup"),
    (0x414a53, "efs"),
    (0xc0ffee, "hostfs"),
    (0x1021994, "tmpfs"),
    (0x1021997, "v9fs"),
    (0x9041934, "anonymous"),
    (0x11307854, "mtd"),
    (0x15013346, "udf"),
    (0x28cd3d45, "cramfs"),
    (0x42494e4d, "binfmtfs"),
    (0x43415d53, "smack"),
    (0x50495045, "pipefs"),
    (0x52654973, "reiserfs"),
    (0x5346414f, "afs"),
    (0x534f434b, "sockfs"),
    (0x58465342, "xfs"),
    (0x6165676c, "pstorefs"),
    (0x62646576, "bdevfs"),
    (0x62656572, "sysfs"),
    (0x63677270, "cgroup2"),
    (0x64626720, "debugfs"),
    (0x65735546, "fuse"),
    (0x68191122, "qnx6"),
    (0x6e736673, "nsfs"),
    (0x73636673, "securityfs"),
    (0x73717368, "squashfs"),
    (0x73727279, "btrfs"),
    (0x73757245, "coda"),
    (0x7461636f, "ocfs2"),
    (0x74726163, "tracefs"),
    (0x794c7630, "overlayfs"),
    (0x858458f6, "ramfs"),
    (0x9123683e, "btrfs"),
    (0x958458f6, "hugetlbfs"),
    (0xabba1974, "xenfs"),
    (0xcafe4a11, "bpf"),
    (0xde5e81e4, "efivarfs"),
    (0xf2f52010, "f2fs"),
    (0xf97cff8c, "selinux"),
    (0xf995e849, "hpfs"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_in_order() {
        assert!(NAMES.is_sorted_by(|a, b| a.0 < b.0));
        let named = |type_number| {
            let nothing = FileSystem {
                type_number,
                block_size: 0,
                blocks: 0,
                free: 0,
                available: 0,
                files: 0,
                free_files: 0,
            };
            nothing.name()
        };
        // [60 A]
        for (number, name) in [
            (0xEF53, "ext4"),
            (0x9123_683E, "btrfs"),
            (0x7372_7279, "btrfs"),
            (0x2f, "qnx4"),
            (0x0102_1994, "tmpfs"),
            (0xF97C_FF8C, "selinux"),
            (0x137F, "minix"),
            (0x138F, "minix+"),
            (0x5846_5342, "xfs"),
            (0, "unknown"),
            (0xEF54, "unknown"),
        ] {
            assert_eq!(named(number), name, "{number:x}");
        }
    }

    #[test]
    fn types_of_modes() {
        // [60 2.2]
        assert_eq!(FileType::of_mode(0o100_644), FileType::File);
        assert_eq!(FileType::of_mode(0o041_777), FileType::Directory);
        assert_eq!(FileType::of_mode(0o000_644).name(), "unknown");
        for (file_type, bits) in FileType::ALL {
            assert_eq!(FileType::of_mode(bits | 0o7777), file_type);
        }
    }
}
