//! Processes: which one this is, how one is started, and what `rustix` has no function for.

#![allow(unsafe_code)]

use crate::error::{Error, Result};
use crate::sys::signal;
use libc::{c_char, c_int};
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::sync::Once;
use std::sync::atomic::{AtomicU32, Ordering};

static FORKS: AtomicU32 = AtomicU32::new(0);

/// How many forks there are between this process and the one that called this first: what is kept from before a fork is
/// known by it. Unlike `getpid`, which makes a system call, it costs a load.
pub(crate) fn forks() -> u32 {
    static WATCH: Once = Once::new();
    unsafe extern "C" fn forked() {
        FORKS.fetch_add(1, Ordering::Relaxed);
        signal::forked();
    }
    // SAFETY: the function does nothing that is not allowed in a child of a process with threads. It stays where it is:
    // code with handlers of this kind is unregistered by libc when it is unloaded.
    WATCH.call_once(|| unsafe {
        libc::pthread_atfork(None, None, Some(forked));
    });
    FORKS.load(Ordering::Relaxed)
}

/// Calls `f` when the process exits in the ordinary way: atexit(3).
pub(crate) fn at_exit(f: extern "C" fn()) {
    // SAFETY: the function stays where it is: the module is never unloaded. If it cannot be registered, it is not called.
    unsafe {
        libc::atexit(f);
    }
}

#[cfg(target_os = "linux")]
fn errno_location() -> *mut c_int {
    // SAFETY: it is the address of the thread's own variable.
    unsafe { libc::__errno_location() }
}

#[cfg(any(target_os = "macos", target_os = "freebsd"))]
fn errno_location() -> *mut c_int {
    // SAFETY: as above.
    unsafe { libc::__error() }
}

#[cfg(any(target_os = "netbsd", target_os = "openbsd"))]
fn errno_location() -> *mut c_int {
    // SAFETY: as above.
    unsafe { libc::__errno() }
}

/// `errno` of this thread, which a signal handler is to leave as it was.
pub(crate) fn errno() -> c_int {
    // SAFETY: the variable is there as long as the thread.
    unsafe { *errno_location() }
}

pub(crate) fn set_errno(errno: c_int) {
    // SAFETY: as above.
    unsafe { *errno_location() = errno };
}

fn last_error() -> Error {
    std::io::Error::last_os_error().into()
}

/// Strings for `execve`: as many, each with a NUL, one after the other; and their addresses.
pub(crate) struct Strings {
    _bytes: Vec<u8>,
    /// With a null at the end.
    addresses: Vec<*const c_char>,
}

// SAFETY: the addresses are of bytes that the value owns and nobody changes.
unsafe impl Send for Strings {}
// SAFETY: as above.
unsafe impl Sync for Strings {}

impl Strings {
    pub(crate) fn new<'a>(strings: impl Iterator<Item = &'a [u8]>) -> Self {
        let (mut bytes, mut starts) = (Vec::new(), Vec::new());
        for string in strings {
            starts.push(bytes.len());
            bytes.extend_from_slice(string);
            bytes.push(0);
        }
        let mut addresses: Vec<_> = starts.into_iter().map(|start| bytes[start..].as_ptr().cast()).collect();
        addresses.push(std::ptr::null());
        Self { _bytes: bytes, addresses }
    }
}

unsafe extern "C" {
    static mut environ: *const *const c_char;
}

/// Has `command` reset the signals of its process, make its standard streams block, and give it `environment` if there is
/// one, whatever [`Command`] would do: that keeps of several variables of a name only one. The path of the program is searched
/// for in that environment.
pub(crate) fn prepare(command: &mut Command, environment: Option<Strings>) {
    let prepare = move || {
        signal::reset();
        for fd in 0..3 {
            // SAFETY: fcntl(2) may be called in a child, with any descriptor. What the descriptor is shared with gets the
            // same flag.
            unsafe {
                let flags = libc::fcntl(fd, libc::F_GETFL);
                if flags >= 0 && flags & libc::O_NONBLOCK != 0 {
                    libc::fcntl(fd, libc::F_SETFL, flags & !libc::O_NONBLOCK);
                }
            }
        }
        if let Some(environment) = &environment {
            // SAFETY: the array lives in the memory of the child until it has become another program.
            unsafe { environ = environment.addresses.as_ptr() };
        }
        Ok(())
    };
    // SAFETY: in the child, which is a copy of a process with threads, this makes system calls and writes a variable; it
    // allocates nothing, and takes no lock.
    unsafe { command.pre_exec(prepare) };
}

/// The first of the descriptors of the standard streams that is not open.
pub(crate) fn first_closed() -> Option<c_int> {
    // SAFETY: any number may be asked about.
    (0..3).find(|fd| unsafe { libc::fcntl(*fd, libc::F_GETFD) } < 0)
}

/// kill(2), with any number as the signal.
pub(crate) fn kill(pid: i32, signal: c_int) -> Result<()> {
    // SAFETY: it takes any numbers.
    if unsafe { libc::kill(pid, signal) } == 0 { Ok(()) } else { Err(last_error()) }
}

/// getpriority(2) of a process.
pub(crate) fn priority(pid: i32) -> Result<i32> {
    set_errno(0);
    // SAFETY: it takes any numbers.
    let priority = unsafe { libc::getpriority(libc::PRIO_PROCESS, pid as libc::id_t) };
    // Any result may be a priority.
    if priority == -1 && errno() != 0 { Err(last_error()) } else { Ok(priority) }
}

/// setpriority(2) of a process.
pub(crate) fn set_priority(pid: i32, priority: i32) -> Result<()> {
    // SAFETY: it takes any numbers.
    match unsafe { libc::setpriority(libc::PRIO_PROCESS, pid as libc::id_t, priority) } {
        0 => Ok(()),
        _ => Err(last_error()),
    }
}

/// What this process has used: getrusage(2).
pub(crate) fn usage() -> Result<libc::rusage> {
    // SAFETY: all zeros are valid, and the structure is filled in.
    unsafe {
        let mut usage = std::mem::zeroed();
        if libc::getrusage(libc::RUSAGE_SELF, &mut usage) == 0 { Ok(usage) } else { Err(last_error()) }
    }
}
