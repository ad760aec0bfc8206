//! Processes: started and waited for on a loop, and what can be done to any.
//!
//! ```
//! use coutil_system::EventLoop;
//! use coutil_system::process::{Child, Command, Exit};
//!
//! let events = EventLoop::new()?;
//! let mut command = Command::new("sh");
//! command.arg("-c").arg("exit 3");
//! let child = Child::start(&events, command)?;
//! assert_eq!(events.block_on(child.wait())??, Exit::Status(3));
//! # Ok::<(), coutil_system::Error>(())
//! ```
//!
//! A child is reaped by its number, right before whoever waits is told, and only while its loop runs: until then its number
//! stays its own. One that nobody waits for any more is reaped in a later run. Other children of the program are never touched:
//! there is no waitpid(2) for any child, and a handler of `SIGCHLD` only where a child has no descriptor of its own
//! (pidfd_open(2)), or where the signal is ignored, which would leave nothing to wait for.

pub(crate) mod children;
mod future;

pub use future::{Child, Wait};

use crate::error::{Error, Result};
use crate::sys::{process, signal};
use rustix::process::WaitStatus;
use std::ffi::OsStr;
use std::fmt;
use std::fs::OpenOptions;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// By itself, with a status from 0 to 255.
    Status(i32),
    /// By a signal of that number.
    Signal(i32),
}

impl Exit {
    fn of(status: WaitStatus) -> Self {
        match status.terminating_signal() {
            Some(signal) => Self::Signal(signal),
            None => Self::Status(status.exit_status().unwrap_or_default()),
        }
    }
}

/// A program to start: a [`std::process::Command`] with the rules of this crate.
///
/// The child has the session, the process group, the limits and the user of its parent. It has its standard streams, which are
/// set to block, whatever descriptors of the program are not close-on-exec, and nothing else; all signals have their default
/// action, and none is blocked. A program without `/` is searched for in the `PATH` that the child is going to have, or
/// in `/bin:/usr/bin` if it has none: execvp(3).
#[derive(Debug)]
pub struct Command {
    inner: std::process::Command,
    environment: Option<Vec<Vec<u8>>>,
}

impl Command {
    /// That program, without arguments; its name is the argument 0. The rest is inherited.
    pub fn new(program: impl AsRef<OsStr>) -> Self {
        Self { inner: std::process::Command::new(program), environment: None }
    }

    /// Adds an argument.
    pub fn arg(&mut self, argument: impl AsRef<OsStr>) -> &mut Self {
        self.inner.arg(argument);
        self
    }

    /// The directory of the child. It changes there before the program is searched for, so that a program with a relative path is
    /// relative to it.
    pub fn directory(&mut self, path: impl AsRef<Path>) -> &mut Self {
        self.inner.current_dir(path.as_ref());
        self
    }

    /// The environment of the child: entries as environ(7) has them, `NAME=VALUE`, each as it is, whatever others of that name
    /// there are. Without it the child has the environment of this process as it is then.
    pub fn environment<I: AsRef<[u8]>>(&mut self, entries: impl IntoIterator<Item = I>) -> &mut Self {
        self.environment = Some(entries.into_iter().map(|entry| entry.as_ref().to_vec()).collect());
        self
    }

    /// The standard input of the child.
    pub fn stdin(&mut self, stream: impl Into<Stdio>) -> &mut Self {
        self.inner.stdin(stream);
        self
    }

    /// The standard output of the child.
    pub fn stdout(&mut self, stream: impl Into<Stdio>) -> &mut Self {
        self.inner.stdout(stream);
        self
    }

    /// The standard error of the child.
    pub fn stderr(&mut self, stream: impl Into<Stdio>) -> &mut Self {
        self.inner.stderr(stream);
        self
    }

    /// Starts it, and returns its number. When this returns the child is the program already.
    pub(crate) fn spawn(mut self) -> Result<i32> {
        let environment =
            self.environment.map(|entries| process::Strings::new(entries.iter().map(Vec::as_slice)));
        process::prepare(&mut self.inner, environment);
        let _filled = fill_standard()?;
        // Until the child has set its actions, none of the handlers of this process is to run in it: the signal would be lost.
        let _blocked = signal::Blocked::new();
        let child = self.inner.spawn().map_err(|error| match error.kind() {
            // A zero byte in a text.
            std::io::ErrorKind::InvalidInput if error.raw_os_error().is_none() => Error::INVALID,
            _ => error.into(),
        })?;
        i32::try_from(child.id()).map_err(|_| Error::INVALID)
    }
}

/// Has the descriptors 0 to 2 taken as long as the result lives: what is opened meanwhile is not taken for a standard stream, as
/// that of a child. The child does not get these.
pub(crate) fn fill_standard() -> Result<Vec<OwnedFd>> {
    let mut filled = Vec::new();
    while let Some(fd) = process::first_closed() {
        let file = OpenOptions::new().read(true).custom_flags(libc::O_CLOEXEC).open("/dev/null")?;
        if file.as_raw_fd() != fd {
            // Another thread was faster.
            break;
        }
        filled.push(file.into());
    }
    Ok(filled)
}

/// The same descriptor with a number above those of the standard streams, which are not to be taken by anything else.
///
/// # Errors
///
/// For lack of descriptors. It is closed then.
pub fn above_standard(fd: OwnedFd) -> Result<OwnedFd> {
    // A copy never has one of those.
    if fd.as_raw_fd() < 3 { Ok(fd.try_clone()?) } else { Ok(fd) }
}

/// A stream for a child: a copy of a descriptor.
///
/// # Errors
///
/// For lack of descriptors.
pub fn stream(fd: BorrowedFd<'_>) -> Result<Stdio> {
    Ok(Stdio::from(fd.try_clone_to_owned()?))
}

/// Sends a signal: kill(2). Signal 0 only asks whether the process exists.
///
/// # Errors
///
/// `no such process`, `operation not permitted`, `invalid argument`.
pub fn kill(pid: i32, signal: i32) -> Result<()> {
    process::kill(pid, signal)
}

/// The nice value of a process, from -20 to 19; 0 is this process: getpriority(2).
///
/// # Errors
///
/// `no such process`.
pub fn priority(pid: i32) -> Result<i32> {
    process::priority(pid)
}

/// Sets the nice value of a process; 0 is this process: setpriority(2).
///
/// # Errors
///
/// `no such process`; `permission denied` or `operation not permitted` if this process may not.
pub fn set_priority(pid: i32, priority: i32) -> Result<()> {
    process::set_priority(pid, priority)
}

/// The working directory: getcwd(3).
///
/// # Errors
///
/// `no such file or directory` if it was removed; those of getcwd(3).
pub fn directory() -> Result<PathBuf> {
    Ok(std::env::current_dir()?)
}

/// Changes the working directory of the process: chdir(2).
///
/// # Errors
///
/// Those of chdir(2); `invalid argument` for a path with a zero byte.
pub fn set_directory(path: impl AsRef<Path>) -> Result<()> {
    std::env::set_current_dir(path.as_ref()).map_err(|error| match error.raw_os_error() {
        None => Error::INVALID,
        Some(_) => error.into(),
    })
}

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Status(status) => write!(f, "status {status}"),
            Self::Signal(signal) => write!(f, "signal {signal}"),
        }
    }
}
