//! Closing with an answer, and writing without a signal.

#![allow(unsafe_code)]

use crate::error::{Error, Result};
use crate::time;
use libc::c_int;
use std::mem::MaybeUninit;
use std::os::fd::{IntoRawFd, OwnedFd};
use std::ptr;
use std::sync::atomic::{AtomicU64, Ordering};

/// Closes a descriptor; what `OwnedFd` does when it is dropped tells nothing. See close(2): it is closed in any case, and EINTR is
/// no failure.
pub(crate) fn close(fd: OwnedFd) -> Result<()> {
    // SAFETY: the descriptor is ours, and given up here.
    match unsafe { libc::close(fd.into_raw_fd()) } {
        0 => Ok(()),
        _ => match std::io::Error::last_os_error() {
            error if error.raw_os_error() == Some(libc::EINTR) => Ok(()),
            error => Err(error.into()),
        },
    }
}

/// Calls `write`, which may write to a pipe that nobody reads, with SIGPIPE blocked in this thread. The signal of that write is
/// taken back; one that was pending before stays.
pub(crate) fn without_sigpipe<T>(write: impl FnOnce() -> Result<T>) -> Result<T> {
    without(libc::SIGPIPE, |_| true, write)
}

/// Calls `write`, which may make a file larger than this process may, with SIGXFSZ blocked in this thread. The signal of that
/// is taken back, unless somebody handles it.
pub(crate) fn without_sigxfsz<T>(write: impl FnOnce() -> Result<T>) -> Result<T> {
    if !has_size_limit() {
        return write();
    }
    let is_default = |signal| {
        let mut action = MaybeUninit::<libc::sigaction>::uninit();
        // SAFETY: the action is filled in, unless the call fails.
        unsafe {
            libc::sigaction(signal, ptr::null(), action.as_mut_ptr()) == 0
                && action.assume_init().sa_sigaction == libc::SIG_DFL
        }
    };
    without(libc::SIGXFSZ, is_default, write)
}

/// Whether files of this process have a largest size. To ask takes half as long as a write, so it is asked once for each tick of the
/// coarse clock; a limit that is new is known a few milliseconds later.
fn has_size_limit() -> bool {
    /// When it was asked, and in the lowest bit the answer.
    static ASKED: AtomicU64 = AtomicU64::new(0);
    let now = time::coarse() | 1;
    let asked = ASKED.load(Ordering::Relaxed);
    if asked | 1 == now {
        return asked & 1 == 1;
    }
    let limited = rustix::process::getrlimit(rustix::process::Resource::Fsize).current.is_some();
    ASKED.store(if limited { now } else { now - 1 }, Ordering::Relaxed);
    limited
}

/// Calls `write` with a signal blocked in this thread. One that was pending before stays, and so does one that is not to be taken.
fn without<T>(
    signal: c_int,
    takes: impl FnOnce(c_int) -> bool,
    write: impl FnOnce() -> Result<T>,
) -> Result<T> {
    // SAFETY: the sets are initialized by the functions that are called first with them, which do not fail for a valid
    // signal number. The mask is that of this thread, and restored.
    unsafe {
        let mut set = MaybeUninit::uninit();
        libc::sigemptyset(set.as_mut_ptr());
        libc::sigaddset(set.as_mut_ptr(), signal);
        let set = set.assume_init();
        let was_pending = is_pending(signal);
        let mut former = MaybeUninit::uninit();
        if libc::pthread_sigmask(libc::SIG_BLOCK, &set, former.as_mut_ptr()) != 0 {
            return Err(Error::INVALID);
        }
        let result = write();
        // Whatever it returned: some bytes may have been written before.
        if !was_pending && takes(signal) {
            take(&set, signal);
        }
        libc::pthread_sigmask(libc::SIG_SETMASK, former.as_ptr(), ptr::null_mut());
        result
    }
}

fn is_pending(signal: c_int) -> bool {
    let mut pending = MaybeUninit::uninit();
    // SAFETY: the set is initialized by the first call; the second fills it in.
    unsafe {
        libc::sigemptyset(pending.as_mut_ptr());
        libc::sigpending(pending.as_mut_ptr());
        libc::sigismember(pending.as_ptr(), signal) == 1
    }
}

/// Takes the pending signal, which is all that is in the set, if there is one.
unsafe fn take(set: &libc::sigset_t, signal: c_int) {
    // SAFETY: the set is valid; nobody wants to know more about the signal.
    unsafe {
        #[cfg(not(target_os = "macos"))]
        {
            let _ = signal;
            let now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
            libc::sigtimedwait(set, ptr::null_mut(), &now);
        }
        #[cfg(target_os = "macos")]
        if is_pending(signal) {
            let mut taken = 0;
            libc::sigwait(set, &mut taken);
        }
    }
}
