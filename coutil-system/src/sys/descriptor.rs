//! Closing with an answer, and writing to pipes without a signal.

#![allow(unsafe_code)]

use crate::error::{Error, Result};
use std::mem::MaybeUninit;
use std::os::fd::{IntoRawFd, OwnedFd};
use std::ptr;

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
    // SAFETY: the sets are initialized by the functions that are called first with them, which do not fail for a valid
    // signal number. The mask is that of this thread, and restored.
    unsafe {
        let mut pipe = MaybeUninit::uninit();
        libc::sigemptyset(pipe.as_mut_ptr());
        libc::sigaddset(pipe.as_mut_ptr(), libc::SIGPIPE);
        let pipe = pipe.assume_init();
        let mut pending = MaybeUninit::uninit();
        libc::sigemptyset(pending.as_mut_ptr());
        libc::sigpending(pending.as_mut_ptr());
        let was_pending = libc::sigismember(pending.as_ptr(), libc::SIGPIPE) == 1;
        let mut former = MaybeUninit::uninit();
        if libc::pthread_sigmask(libc::SIG_BLOCK, &pipe, former.as_mut_ptr()) != 0 {
            return Err(Error::INVALID);
        }
        let result = write();
        // Whatever it returned: some bytes may have been written before.
        if !was_pending {
            take(&pipe);
        }
        libc::pthread_sigmask(libc::SIG_SETMASK, former.as_ptr(), ptr::null_mut());
        result
    }
}

/// Takes a pending signal of the set, if there is one.
unsafe fn take(set: &libc::sigset_t) {
    // SAFETY: the set is valid; nobody wants to know more about the signal.
    unsafe {
        #[cfg(not(target_os = "macos"))]
        {
            let now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
            libc::sigtimedwait(set, ptr::null_mut(), &now);
        }
        #[cfg(target_os = "macos")]
        {
            let mut pending = std::mem::zeroed();
            libc::sigpending(&mut pending);
            if libc::sigismember(&pending, libc::SIGPIPE) == 1 {
                let mut signal = 0;
                libc::sigwait(set, &mut signal);
            }
        }
    }
}
