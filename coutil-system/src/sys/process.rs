//! Which process this is.

#![allow(unsafe_code)]

use std::sync::Once;
use std::sync::atomic::{AtomicU32, Ordering};

static FORKS: AtomicU32 = AtomicU32::new(0);

/// How many forks there are between this process and the one that called this first: what is kept from before a fork is
/// known by it. Unlike `getpid`, which makes a system call, it costs a load.
pub(crate) fn forks() -> u32 {
    static WATCH: Once = Once::new();
    unsafe extern "C" fn forked() {
        FORKS.fetch_add(1, Ordering::Relaxed);
    }
    // SAFETY: the function does nothing that is not allowed in a child of a process with threads. It stays where it is:
    // code with handlers of this kind is unregistered by libc when it is unloaded.
    WATCH.call_once(|| unsafe {
        libc::pthread_atfork(None, None, Some(forked));
    });
    FORKS.load(Ordering::Relaxed)
}
