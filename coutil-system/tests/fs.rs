//! Files: what `coutil_system::fs` does to a real file system.

use coutil_system::fs::{self, CopyOnWrite, CopyOptions, Create, File, FileType, OpenOptions, Stamp, Times};
use coutil_system::{Error, random};
use proptest::prelude::*;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// A directory that is removed with all that is in it.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        Self::under(&std::env::temp_dir())
    }

    fn under(path: &Path) -> Self {
        Self(fs::temporary_directory(path.join("coutil-fs-")).unwrap())
    }

    fn path(&self, name: impl AsRef<OsStr>) -> PathBuf {
        self.0.join(name.as_ref())
    }

    fn file(&self, name: &str, contents: &[u8]) -> PathBuf {
        let path = self.path(name);
        std::fs::write(&path, contents).unwrap();
        path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

const READ: OpenOptions = {
    let mut options = OpenOptions::new();
    options.read = true;
    options
};
const WRITE: OpenOptions = {
    let mut options = OpenOptions::new();
    options.write = true;
    options
};
const BOTH: OpenOptions = {
    let mut options = READ;
    options.write = true;
    options
};
const MAKE: OpenOptions = {
    let mut options = BOTH;
    options.create = Create::New;
    options.mode = 0o600;
    options
};
const APPEND: OpenOptions = {
    let mut options = OpenOptions::new();
    options.append = true;
    options
};

fn open(path: impl AsRef<Path>, options: OpenOptions) -> File {
    File::open(path, &options).unwrap()
}

fn code<T>(result: coutil_system::Result<T>) -> i32 {
    result.err().map_or(0, Error::code)
}

fn copy(from: impl AsRef<Path>, to: impl AsRef<Path>) -> coutil_system::Result<()> {
    fs::copy(from, to, CopyOptions::default())
}

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap().mode() & 0o7777
}

#[test]
fn reads_and_writes_at_the_position_and_at_offsets() {
    let folder = Folder::new();
    let file = open(folder.path("new"), MAKE);
    assert_eq!(file.write(b"hello world", None), Ok(11));
    assert_eq!(file.write(b"W", Some(6)), Ok(1));
    assert_eq!(file.write(b"!", None), Ok(1));
    let mut buffer = [0; 20];
    assert_eq!(file.read(&mut buffer, Some(0)), Ok(12));
    assert_eq!(&buffer[..12], b"hello World!");
    assert_eq!(file.read(&mut buffer, None), Ok(0));
    // Beyond the end there are zeros then.
    assert_eq!(file.write(b"x", Some(20)), Ok(1));
    assert_eq!(file.read(&mut buffer[..5], None), Ok(5));
    assert_eq!(&buffer[..5], [0; 5]);
    assert_eq!(code(File::open(folder.path("new"), &MAKE)), libc::EEXIST);
    assert_eq!(code(open(folder.path("new"), READ).write(b"", None)), libc::EBADF);
    assert_eq!(code(open(folder.path("new"), WRITE).read(&mut [], None)), libc::EBADF);
}

#[test]
fn offsets_beyond_4_gib() {
    const FAR: u64 = (1 << 33) + 5;
    let folder = Folder::new();
    let (path, other) = (folder.path("sparse"), folder.path("other"));
    let file = open(&path, MAKE);
    file.resize(FAR + 100).unwrap();
    assert_eq!(file.write(b"far away", Some(FAR)), Ok(8));
    assert_eq!(file.info().unwrap().size, FAR + 100);
    let to = open(&other, MAKE);
    assert_eq!(to.copy_from(&file, Some(FAR - 2), 10), Ok(10));
    assert_eq!(std::fs::read(&other).unwrap(), b"\0\0far away");
    assert_eq!(code(file.resize(u64::MAX)), libc::EINVAL);
}

#[test]
fn names_are_any_bytes() {
    let folder = Folder::new();
    let names: [&[u8]; 5] = [b"\xff\xfe", b" ", b"new\nline", "\u{fc}".as_bytes(), b"\x01"];
    for name in names {
        open(folder.path(OsStr::from_bytes(name)), MAKE);
    }
    let entries = fs::list(&folder.0).unwrap();
    let mut sorted = names;
    sorted.sort_unstable();
    assert_eq!(entries.iter().map(|(name, _)| name).collect::<Vec<_>>(), sorted);
    assert!(entries.iter().all(|(_, file_type)| file_type == FileType::File));
}

#[test]
fn entries_of_all_types_in_order() {
    let folder = Folder::new();
    folder.file("b", b"");
    fs::make_directory(folder.path("a"), 0o700).unwrap();
    fs::symlink("nowhere", folder.path(".c")).unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(folder.path("d")).unwrap();
    let entries = fs::list(&folder.0).unwrap();
    let found: Vec<_> = entries.iter().collect();
    let expected: [(&[u8], _); 4] = [
        (b".c", FileType::Link),
        (b"a", FileType::Directory),
        (b"b", FileType::File),
        (b"d", FileType::Socket),
    ];
    assert_eq!(found, expected);
    assert_eq!((entries.len(), entries.bytes(), entries.is_empty()), (4, 5, false));
    assert_eq!(code(fs::list(folder.path("b"))), libc::ENOTDIR);
    assert!(fs::list(folder.path("a")).unwrap().is_empty());
}

#[test]
fn copies_have_contents_and_bits() {
    let folder = Folder::new();
    let from = folder.file("from", &b"0123456789".repeat(100_000));
    std::fs::set_permissions(&from, std::fs::Permissions::from_mode(0o751)).unwrap();
    let to = folder.path("to");
    copy(&from, &to).unwrap();
    assert_eq!(std::fs::read(&to).unwrap(), std::fs::read(&from).unwrap());
    assert_eq!(mode(&to), 0o751);
    // A longer one is cut.
    let short = folder.file("short", b"short");
    std::fs::set_permissions(&short, std::fs::Permissions::from_mode(0o640)).unwrap();
    copy(&short, &to).unwrap();
    assert_eq!((std::fs::read(&to).unwrap(), mode(&to)), (b"short".to_vec(), 0o640));
    // The links lead to the same file.
    fs::symlink(&to, folder.path("link")).unwrap();
    fs::link(&to, folder.path("hard")).unwrap();
    for same in ["to", "link", "hard"] {
        copy(&to, folder.path(same)).unwrap();
        assert_eq!(std::fs::read(&to).unwrap(), b"short");
    }
    let mut new = CopyOptions::default();
    new.new = true;
    assert_eq!(code(fs::copy(&to, &to, new)), libc::EEXIST);
    // What has no size has contents all the same.
    copy("/proc/version", &to).unwrap();
    assert_eq!(std::fs::read(&to).unwrap(), std::fs::read("/proc/version").unwrap());
}

#[test]
fn a_copy_that_fails_leaves_nothing_new_and_nothing_changed() {
    let folder = Folder::new();
    let from = folder.file("from", b"from");
    let to = folder.file("to", b"to");
    fs::change_mode(&to, 0o600).unwrap();
    let mut always = CopyOptions::default();
    always.copy_on_write = CopyOnWrite::Always;
    if let Err(error) = fs::copy(&from, &to, always) {
        assert_eq!(error.code(), libc::EOPNOTSUPP);
        assert_eq!((std::fs::read(&to).unwrap(), mode(&to)), (b"to".to_vec(), 0o600));
        assert!(fs::copy(&from, folder.path("new"), always).is_err());
        assert!(!folder.path("new").exists());
        fs::symlink(folder.path("target"), folder.path("dangling")).unwrap();
        assert!(fs::copy(&from, folder.path("dangling"), always).is_err());
        assert!(!folder.path("target").exists());
        assert!(folder.path("dangling").is_symlink());
    }
    let mut if_possible = CopyOptions::default();
    if_possible.copy_on_write = CopyOnWrite::IfPossible;
    fs::copy(&from, &to, if_possible).unwrap();
    assert_eq!(std::fs::read(&to).unwrap(), b"from");
    // Directories.
    assert_eq!(code(copy(&folder.0, &to)), libc::EISDIR);
    assert_eq!(code(copy(&from, &folder.0)), libc::EISDIR);
    assert_eq!(code(copy(&folder.0, folder.path("new"))), libc::EISDIR);
    assert!(!folder.path("new").exists());
    assert_eq!(std::fs::read(&to).unwrap(), b"from");
    assert_eq!(code(copy(folder.path("nothing"), folder.path("new"))), libc::ENOENT);
    // The first byte cannot be read.
    #[cfg(target_os = "linux")]
    {
        fs::change_mode(&to, 0o604).unwrap();
        assert_eq!(code(copy("/proc/self/mem", &to)), libc::EIO);
        assert_eq!((std::fs::read(&to).unwrap(), mode(&to)), (b"from".to_vec(), 0o604));
        assert_eq!(code(copy("/proc/self/mem", folder.path("new"))), libc::EIO);
        assert!(!folder.path("new").exists());
    }
    // A link that leads nowhere is written through.
    fs::symlink(folder.path("target"), folder.path("through")).unwrap();
    copy(&from, folder.path("through")).unwrap();
    assert_eq!(std::fs::read(folder.path("target")).unwrap(), b"from");
    assert!(folder.path("through").is_symlink());
}

#[test]
#[cfg(target_os = "linux")]
fn what_is_full() {
    let full = open("/dev/full", WRITE);
    assert_eq!(code(full.write(b"x", None)), libc::ENOSPC);
    let folder = Folder::new();
    let from = folder.file("from", b"contents");
    assert_eq!(code(full.copy_from(&open(&from, READ), Some(0), 8)), libc::ENOSPC);
    assert_eq!(code(copy(&from, "/dev/full")), libc::ENOSPC);
}

#[test]
fn copies_between_files() {
    let folder = Folder::new();
    let from = open(folder.file("from", b"0123456789"), BOTH);
    let path = folder.file("to", b"");
    let to = open(&path, WRITE);
    assert_eq!(to.copy_from(&from, Some(2), 3), Ok(3));
    assert_eq!(to.copy_from(&from, Some(8), 100), Ok(2));
    assert_eq!(to.copy_from(&from, Some(10), 1), Ok(0));
    assert_eq!(to.copy_from(&from, Some(1 << 40), 1), Ok(0));
    assert_eq!(std::fs::read(&path).unwrap(), b"23489");
    // To the end.
    let append = open(&path, APPEND);
    assert_eq!(append.copy_from(&from, Some(0), 2), Ok(2));
    assert_eq!(std::fs::read(&path).unwrap(), b"2348901");
    // What is not open for it.
    assert_eq!(code(to.copy_from(&to, Some(0), 1)), libc::EBADF);
    assert_eq!(code(open(&path, READ).copy_from(&from, Some(0), 1)), libc::EBADF);
    assert_eq!(code(open(&path, READ).copy_from(&from, Some(100), 1)), libc::EBADF);
    // Onto itself it does not grow for ever.
    let mut buffer = [0; 10];
    assert_eq!(from.read(&mut buffer, None), Ok(10));
    assert_eq!(from.copy_from(&from, Some(0), u64::MAX), Ok(10));
    assert_eq!(std::fs::read(folder.path("from")).unwrap(), b"01234567890123456789");
    // From what only looks empty, and into a pipe.
    let version = std::fs::read("/proc/version").unwrap();
    let (mut out, into) = std::io::pipe().unwrap();
    let into = File::from(std::os::fd::OwnedFd::from(into));
    let source = open("/proc/version", READ);
    assert_eq!(into.copy_from(&source, Some(0), u64::MAX), Ok(version.len() as u64));
    drop(into);
    let mut text = Vec::new();
    std::io::Read::read_to_end(&mut out, &mut text).unwrap();
    assert_eq!(text, version);
}

#[test]
fn a_pipe_that_nobody_reads_sends_no_signal() {
    let (out, into) = std::io::pipe().unwrap();
    let into = File::from(std::os::fd::OwnedFd::from(into));
    drop(out);
    // Rust programs ignore the signal; what is at stake here is what is pending.
    assert_eq!(code(into.write(b"x", None)), libc::EPIPE);
    assert_eq!(code(into.write(b"x", None)), libc::EPIPE);
    assert_eq!(code(into.write(b"x", Some(1))), libc::ESPIPE);
}

#[test]
fn calls_that_are_interrupted_are_made_again() {
    use std::os::unix::thread::JoinHandleExt;
    use std::sync::atomic::{AtomicU32, Ordering};

    static SIGNALS: AtomicU32 = AtomicU32::new(0);
    extern "C" fn count(_: libc::c_int) {
        SIGNALS.fetch_add(1, Ordering::SeqCst);
    }
    // SAFETY: the handler only counts. Without SA_RESTART it is told to whoever waits in the system.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = count as extern "C" fn(libc::c_int) as usize;
        assert_eq!(libc::sigaction(libc::SIGUSR2, &action, std::ptr::null_mut()), 0);
    }
    let (out, mut into) = std::io::pipe().unwrap();
    let out = File::from(std::os::fd::OwnedFd::from(out));
    let reader = std::thread::spawn(move || {
        let mut buffer = [0; 10];
        out.read(&mut buffer, None)
    });
    for sent in 1..=50 {
        // SAFETY: the thread is not joined yet, and waits for the pipe.
        unsafe { libc::pthread_kill(reader.as_pthread_t(), libc::SIGUSR2) };
        while SIGNALS.load(Ordering::SeqCst) < sent {
            std::thread::yield_now();
        }
    }
    std::io::Write::write_all(&mut into, b"done").unwrap();
    assert_eq!(reader.join().unwrap(), Ok(4));
}

#[test]
fn times_are_set() {
    let folder = Folder::new();
    let path = folder.file("file", b"");
    let link = folder.path("link");
    fs::symlink(&path, &link).unwrap();
    let times = Times { accessed: Stamp::At(11.0), modified: Stamp::At(22.25) };
    fs::touch(&link, &times, true).unwrap();
    let info = fs::info(&path, true).unwrap();
    assert_eq!((info.accessed.as_seconds(), info.modified.as_seconds()), (11.0, 22.25));
    fs::touch(&link, &times, false).unwrap();
    assert_eq!(fs::info(&link, false).unwrap().modified.as_seconds(), 22.25);
    // [60 5.8] Later than anything that the file has.
    for _ in 0..100 {
        std::fs::write(&path, b"x").unwrap();
        let before = fs::info(&path, true).unwrap();
        open(&path, READ).touch(&Times::default()).unwrap();
        let after = fs::info(&path, true).unwrap();
        assert!(after.modified > before.modified && after.accessed > before.accessed);
    }
    let far = Times { accessed: Stamp::At(1e300), modified: Stamp::At(1e15) };
    fs::touch(&path, &far, true).unwrap();
    assert!(fs::info(&path, true).unwrap().accessed.seconds > 4_000_000_000);
    assert_eq!(
        code(fs::touch(&path, &Times { accessed: Stamp::At(f64::INFINITY), ..times }, true)),
        libc::EINVAL
    );
}

#[test]
fn what_is_known_of_files() {
    let folder = Folder::new();
    let path = folder.file("file", &[1; 5000]);
    let link = folder.path("link");
    fs::symlink("file", &link).unwrap();
    let (info, meta) = (fs::info(&link, true).unwrap(), std::fs::metadata(&path).unwrap());
    assert_eq!(
        (
            info.mode,
            info.user,
            info.group,
            info.inode,
            info.device,
            info.links,
            info.size,
            info.blocks,
            info.block_size
        ),
        (
            meta.mode(),
            meta.uid(),
            meta.gid(),
            meta.ino(),
            meta.dev(),
            meta.nlink(),
            meta.size(),
            meta.blocks(),
            meta.blksize()
        )
    );
    assert_eq!(
        (info.modified.seconds, i64::from(info.modified.nanoseconds)),
        (meta.mtime(), meta.mtime_nsec())
    );
    assert_eq!(open(&path, READ).info(), Ok(info));
    assert_eq!(fs::info(&link, false).unwrap().file_type(), FileType::Link);
    assert_eq!(fs::read_link(&link), Ok(Some(b"file".to_vec())));
    assert_eq!(fs::read_link(&path), Ok(None));
    assert_eq!(fs::real_path(&link), Ok(fs::real_path(&folder.0).unwrap().join("file")));
    assert_eq!(fs::file_system("/proc").unwrap().name(), "proc");
    for missing in ["", "nothing"] {
        let missing = if missing.is_empty() { PathBuf::new() } else { folder.path(missing) };
        assert_eq!(code(fs::info(&missing, true)), libc::ENOENT);
        assert_eq!(code(fs::file_system(&missing)), libc::ENOENT);
        assert_eq!(code(fs::real_path(&missing)), libc::ENOENT);
        assert_eq!(code(fs::read_link(&missing)), libc::ENOENT);
    }
    assert_ne!(fs::info("/dev/null", true).unwrap().represents, 0);
}

#[test]
fn temporary_names_are_new() {
    let folder = Folder::new();
    let mut seen = std::collections::HashSet::new();
    for _ in 0..200 {
        let (path, file) = fs::temporary_file(folder.path("t")).unwrap();
        assert_eq!(file.info().unwrap().mode, 0o100_600);
        assert_eq!(path.as_os_str().len(), folder.path("t").as_os_str().len() + 6);
        assert!(seen.insert(path));
    }
    let directory = fs::temporary_directory(folder.path("d")).unwrap();
    assert_eq!(mode(&directory), 0o700);
    assert_eq!(code(fs::temporary_file(folder.path("no/such"))), libc::ENOENT);
}

#[test]
fn random_bytes() {
    // More than the system gives at a time.
    let mut bytes = vec![0; 40 << 20];
    random(&mut bytes).unwrap();
    let zeros = bytes.iter().filter(|byte| **byte == 0).count();
    assert!((100_000..250_000).contains(&zeros), "{zeros}");
    random(&mut []).unwrap();
}

#[test]
fn the_position_is_one_for_all_threads() {
    let folder = Folder::new();
    let file = open(folder.path("file"), MAKE);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| (0..100).for_each(|_| assert_eq!(file.write(b"0123456789", None), Ok(10))));
        }
    });
    assert_eq!(file.info().unwrap().size, 4000);
}

#[derive(Debug, Clone)]
enum Step {
    Write(Vec<u8>, Option<u16>),
    Read(usize, Option<u16>),
    Resize(u16),
    Copy(u16, u16),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let offset = || proptest::option::of(0..300u16);
    let step = prop_oneof![
        (proptest::collection::vec(any::<u8>(), 0..50), offset())
            .prop_map(|(bytes, at)| Step::Write(bytes, at)),
        (0..100usize, offset()).prop_map(|(count, at)| Step::Read(count, at)),
        (0..300u16).prop_map(Step::Resize),
        (0..300u16, 1..100u16).prop_map(|(at, count)| Step::Copy(at, count)),
    ];
    proptest::collection::vec(step, 1..30)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    /// A file is a list of bytes and a position.
    #[test]
    fn a_file_is_as_its_model(steps in steps()) {
        let folder = Folder::new();
        let path = folder.path("file");
        let file = open(&path, MAKE);
        let other = open(folder.file("other", &(0..=255).collect::<Vec<u8>>()), READ);
        let (mut bytes, mut position) = (Vec::<u8>::new(), 0usize);
        let put = |bytes: &mut Vec<u8>, at: usize, new: &[u8]| {
            if !new.is_empty() {
                bytes.resize(bytes.len().max(at + new.len()), 0);
                bytes[at..at + new.len()].copy_from_slice(new);
            }
        };
        for step in steps {
            match step {
                Step::Write(new, at) => {
                    prop_assert_eq!(file.write(&new, at.map(u64::from)), Ok(new.len()));
                    put(&mut bytes, at.map_or(position, usize::from), &new);
                    if at.is_none() { position += new.len() }
                }
                Step::Read(count, at) => {
                    let start = at.map_or(position, usize::from).min(bytes.len());
                    let expected = &bytes[start..bytes.len().min(start + count)];
                    let mut buffer = vec![7; count];
                    prop_assert_eq!(file.read(&mut buffer, at.map(u64::from)), Ok(expected.len()));
                    prop_assert_eq!(&buffer[..expected.len()], expected);
                    if at.is_none() { position += expected.len() }
                }
                Step::Resize(size) => {
                    file.resize(size.into()).unwrap();
                    bytes.resize(size.into(), 0);
                }
                Step::Copy(at, count) => {
                    let start = usize::from(at).min(256);
                    let new: Vec<u8> = (start..256.min(start + usize::from(count))).map(|byte| byte as u8).collect();
                    prop_assert_eq!(file.copy_from(&other, Some(at.into()), count.into()), Ok(new.len() as u64));
                    put(&mut bytes, position, &new);
                    position += new.len();
                }
            }
            prop_assert_eq!(&std::fs::read(&path).unwrap(), &bytes);
        }
    }
}
