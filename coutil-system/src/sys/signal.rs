//! Which signals are caught, how often each was, and which loops are to be woken by them.
//!
//! A signal has the handler of this file while somebody watches it, and the default action from then on (sigaction(2)): what
//! it had before is not restored. The handler only counts, and wakes the loops that watch the signal.

#![allow(unsafe_code)]

use crate::error::{Error, Result};
use crate::sys::process;
use libc::c_int;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicPtr, AtomicU8, AtomicU32, AtomicU64, Ordering::SeqCst};

/// Signals have numbers below this.
pub(crate) const SIGNALS: usize = 65;

/// How often each signal was caught.
static CAUGHT: [AtomicU64; SIGNALS] = [const { AtomicU64::new(0) }; SIGNALS];

/// So many of those that were caught last are in [`LATEST`].
const LOG: usize = 64;

/// The signals that were caught last, and how many were in all: the order in which they came.
static LATEST: [AtomicU8; LOG] = [const { AtomicU8::new(0) }; LOG];
static TOTAL: AtomicU64 = AtomicU64::new(0);

/// How many watch each signal. Changed under [`LOCK`].
static WATCHED: [AtomicU32; SIGNALS] = [const { AtomicU32::new(0) }; SIGNALS];

/// A lock that can be reset in a child of a fork, where whoever had it may not exist.
static LOCK: AtomicBool = AtomicBool::new(false);

/// The first of a list of nodes, which are never freed: a handler may be looking at them at any time.
static NODES: AtomicPtr<Entry> = AtomicPtr::new(std::ptr::null_mut());

/// What the handler knows of a loop.
struct Entry {
    /// Written to, to wake the loop; -1 if it has none.
    fd: AtomicI32,
    /// The signals that it watches, a bit each.
    mask: AtomicU64,
    /// How many handlers use `fd` at the moment.
    busy: AtomicU32,
    used: AtomicBool,
    /// Set before the node is in the list.
    next: AtomicPtr<Entry>,
}

/// Under the lock, for the length of a system call.
fn locked<T>(f: impl FnOnce() -> T) -> T {
    struct Unlock;
    impl Drop for Unlock {
        fn drop(&mut self) {
            LOCK.store(false, SeqCst);
        }
    }
    while LOCK.swap(true, SeqCst) {
        std::thread::yield_now();
    }
    let _unlock = Unlock;
    f()
}

fn index(signal: c_int) -> Result<usize> {
    usize::try_from(signal).ok().filter(|index| (1..SIGNALS).contains(index)).ok_or(Error::INVALID)
}

/// Only what is allowed in a signal handler: atomic operations, and write(2). `errno` is left as it was.
extern "C" fn handle(signal: c_int) {
    let Ok(index) = index(signal) else { return };
    let errno = process::errno();
    let number = TOTAL.fetch_add(1, SeqCst);
    LATEST[number as usize % LOG].store(index as u8, SeqCst);
    CAUGHT[index].fetch_add(1, SeqCst);
    let mut node = NODES.load(SeqCst);
    // SAFETY: nodes are never freed.
    while let Some(entry) = unsafe { node.as_ref() } {
        if entry.mask.load(SeqCst) & 1 << (index - 1) != 0 {
            entry.busy.fetch_add(1, SeqCst);
            let fd = entry.fd.load(SeqCst);
            if fd >= 0 {
                let one = 1u64.to_ne_bytes();
                // SAFETY: whoever owns the descriptor does not close it while `busy` says that it is used. It does not block.
                unsafe { libc::write(fd, one.as_ptr().cast(), one.len()) };
            }
            entry.busy.fetch_sub(1, SeqCst);
        }
        node = entry.next.load(SeqCst);
    }
    process::set_errno(errno);
}

fn set_action(signal: c_int, handler: libc::sighandler_t, flags: c_int) -> Result<()> {
    // SAFETY: all zeros are a valid action; the handler is one, or `SIG_DFL`.
    let result = unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = handler;
        action.sa_flags = flags;
        libc::sigfillset(&mut action.sa_mask);
        libc::sigaction(signal, &action, std::ptr::null_mut())
    };
    if result == 0 { Ok(()) } else { Err(std::io::Error::last_os_error().into()) }
}

/// From now on the signal is caught, until [`unwatch`] was called as often.
pub(crate) fn watch(signal: c_int) -> Result<()> {
    // Has what is kept here reset in children.
    process::forks();
    let index = index(signal)?;
    locked(|| {
        if WATCHED[index].load(SeqCst) == 0 {
            set_action(signal, handle as extern "C" fn(c_int) as libc::sighandler_t, libc::SA_RESTART)?;
        }
        WATCHED[index].fetch_add(1, SeqCst);
        Ok(())
    })
}

/// Undoes a [`watch`]. Without the last one the signal has its default action.
pub(crate) fn unwatch(signal: c_int) {
    let Ok(index) = index(signal) else { return };
    locked(|| {
        // In a child of a fork nobody watches any more.
        let watched = WATCHED[index].load(SeqCst);
        if watched > 0 {
            WATCHED[index].store(watched - 1, SeqCst);
        }
        if watched == 1 {
            let _ = set_action(signal, libc::SIG_DFL, 0);
        }
    });
}

/// How often a signal was caught since the program began.
pub(crate) fn caught(signal: c_int) -> u64 {
    index(signal).map_or(0, |index| CAUGHT[index].load(SeqCst))
}

/// The signals that were caught after so many in all, which is set to how many there are now. They are in the order in which they
/// came; the first ones are missing if there were many, and one that is caught at this moment may be.
pub(crate) fn latest(seen: &mut u64) -> impl Iterator<Item = c_int> + use<> {
    let total = TOTAL.load(SeqCst);
    let first = (*seen).max(total.saturating_sub(LOG as u64));
    *seen = total;
    (first..total).map(|number| LATEST[number as usize % LOG].load(SeqCst).into())
}

/// Whether children leave no status when they end, as `SIGCHLD` is ignored.
pub(crate) fn ignores_children() -> bool {
    let mut action = MaybeUninit::<libc::sigaction>::uninit();
    // SAFETY: the structure is filled in if the call succeeds.
    unsafe {
        if libc::sigaction(libc::SIGCHLD, std::ptr::null(), action.as_mut_ptr()) != 0 {
            return false;
        }
        let action = action.assume_init();
        action.sa_sigaction == libc::SIG_IGN || action.sa_flags & libc::SA_NOCLDWAIT != 0
    }
}

/// What a child of a fork does first: nobody watches there, and nothing wakes the loops of its parent. Only what is allowed in
/// a child of a process with threads.
pub(crate) fn forked() {
    LOCK.store(false, SeqCst);
    let mut node = NODES.load(SeqCst);
    // SAFETY: nodes are never freed.
    while let Some(entry) = unsafe { node.as_ref() } {
        entry.fd.store(-1, SeqCst);
        entry.mask.store(0, SeqCst);
        entry.busy.store(0, SeqCst);
        node = entry.next.load(SeqCst);
    }
    for (signal, watched) in WATCHED.iter().enumerate() {
        if watched.swap(0, SeqCst) > 0 {
            let _ = set_action(signal as c_int, libc::SIG_DFL, 0);
        }
    }
}

/// A loop that signals wake.
pub(crate) struct Node {
    entry: &'static Entry,
    /// In a child the entry is left alone.
    forks: u32,
    /// Open as long as handlers may write to it.
    _fd: Arc<OwnedFd>,
}

impl Node {
    /// From now on signals of its mask write eight bytes to `fd`, which does not block.
    pub(crate) fn new(fd: Arc<OwnedFd>) -> Self {
        let forks = process::forks();
        let entry = Self::claim();
        entry.mask.store(0, SeqCst);
        entry.fd.store(fd.as_raw_fd(), SeqCst);
        Self { entry, forks, _fd: fd }
    }

    fn claim() -> &'static Entry {
        let mut node = NODES.load(SeqCst);
        // SAFETY: nodes are never freed.
        while let Some(entry) = unsafe { node.as_ref() } {
            if !entry.used.swap(true, SeqCst) {
                return entry;
            }
            node = entry.next.load(SeqCst);
        }
        let entry: &'static Entry = Box::leak(Box::new(Entry {
            fd: AtomicI32::new(-1),
            mask: AtomicU64::new(0),
            busy: AtomicU32::new(0),
            used: AtomicBool::new(true),
            next: AtomicPtr::new(std::ptr::null_mut()),
        }));
        let address = std::ptr::from_ref(entry).cast_mut();
        let mut first = NODES.load(SeqCst);
        loop {
            entry.next.store(first, SeqCst);
            match NODES.compare_exchange(first, address, SeqCst, SeqCst) {
                Ok(_) => return entry,
                Err(other) => first = other,
            }
        }
    }

    /// Whether a signal wakes the loop.
    pub(crate) fn set(&self, signal: c_int, wakes: bool) {
        let Ok(index) = index(signal) else { return };
        if self.forks != process::forks() {
            return;
        }
        let bit = 1 << (index - 1);
        if wakes {
            self.entry.mask.fetch_or(bit, SeqCst);
        } else {
            self.entry.mask.fetch_and(!bit, SeqCst);
        }
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        if self.forks != process::forks() {
            return;
        }
        self.entry.mask.store(0, SeqCst);
        self.entry.fd.store(-1, SeqCst);
        // Whoever saw the descriptor is done with it soon: a handler does not wait.
        while self.entry.busy.load(SeqCst) > 0 {
            std::thread::yield_now();
        }
        self.entry.used.store(false, SeqCst);
    }
}

/// Signals of this thread are blocked until this is dropped.
pub(crate) struct Blocked {
    former: libc::sigset_t,
}

impl Blocked {
    /// All of them: a child that is made meanwhile can set its actions first.
    pub(crate) fn new() -> Self {
        let mut all = MaybeUninit::<libc::sigset_t>::uninit();
        // SAFETY: the set is filled in.
        unsafe {
            libc::sigfillset(all.as_mut_ptr());
            Self::block(&all.assume_init())
        }
    }

    fn block(signals: &libc::sigset_t) -> Self {
        let mut former = MaybeUninit::<libc::sigset_t>::uninit();
        // SAFETY: both sets are valid, and the former one is filled in: the call cannot fail with these arguments.
        unsafe {
            libc::sigemptyset(former.as_mut_ptr());
            libc::pthread_sigmask(libc::SIG_BLOCK, signals, former.as_mut_ptr());
            Self { former: former.assume_init() }
        }
    }
}

/// Calls `f`, which may write to a pipe that nobody reads from: that sends `SIGPIPE` to this thread, which is taken back. For what
/// is no socket, there is no flag for that.
pub(crate) fn without_sigpipe<T>(f: impl FnOnce() -> rustix::io::Result<T>) -> rustix::io::Result<T> {
    let mut pipe = MaybeUninit::<libc::sigset_t>::uninit();
    // SAFETY: the set is filled in.
    let pipe = unsafe {
        libc::sigemptyset(pipe.as_mut_ptr());
        libc::sigaddset(pipe.as_mut_ptr(), libc::SIGPIPE);
        pipe.assume_init()
    };
    let is_pending = || {
        let mut pending = MaybeUninit::<libc::sigset_t>::uninit();
        // SAFETY: the set is filled in, unless the call fails.
        unsafe {
            libc::sigpending(pending.as_mut_ptr()) == 0
                && libc::sigismember(pending.as_ptr(), libc::SIGPIPE) == 1
        }
    };
    let blocked = Blocked::block(&pipe);
    // SAFETY: the set is valid. One that the thread had blocked, and that was there before, stays.
    let kept = unsafe { libc::sigismember(&blocked.former, libc::SIGPIPE) == 1 } && is_pending();
    let result = f();
    if matches!(result, Err(rustix::io::Errno::PIPE)) && !kept && is_pending() {
        let mut signal = 0;
        // SAFETY: both are valid; it does not wait, as the signal is there.
        unsafe { libc::sigwait(&pipe, &mut signal) };
    }
    drop(blocked);
    result
}

impl Drop for Blocked {
    fn drop(&mut self) {
        // SAFETY: the set is the one that the thread had.
        unsafe {
            libc::pthread_sigmask(libc::SIG_SETMASK, &self.former, std::ptr::null_mut());
        }
    }
}

/// Gives all signals their default action, and blocks none. Only what is allowed in a child of a process with threads.
pub(crate) fn reset() {
    for signal in 1..SIGNALS as c_int {
        set_default(signal);
    }
    // SAFETY: the set is valid.
    unsafe {
        let mut none = MaybeUninit::<libc::sigset_t>::uninit();
        libc::sigemptyset(none.as_mut_ptr());
        libc::pthread_sigmask(libc::SIG_SETMASK, none.as_ptr(), std::ptr::null_mut());
    }
}

/// By the system call itself: the C library refuses the signals that it uses, which may be ignored all the same.
#[cfg(target_os = "linux")]
fn set_default(signal: c_int) {
    // The structure of the kernel differs between machines; all zeros are `SIG_DFL` and no flags on each.
    let action = [0u64; 16];
    // As the kernel has it: 128 signals on MIPS, 64 elsewhere.
    let size = if cfg!(any(target_arch = "mips", target_arch = "mips64")) { 16usize } else { 8 };
    // SAFETY: the structure is larger than the kernel's. It fails for `SIGKILL` and `SIGSTOP`, which have no other action.
    unsafe {
        libc::syscall(libc::SYS_rt_sigaction, signal, action.as_ptr(), std::ptr::null_mut::<u64>(), size)
    };
}

#[cfg(not(target_os = "linux"))]
fn set_default(signal: c_int) {
    let _ = set_action(signal, libc::SIG_DFL, 0);
}
