//! Ctrl-C while a script runs, as `lua` has it: the error `interrupted!`.
//!
//! A hook raises it, so it takes that the main chunk runs Lua code. A script that waits in the event loop, or runs another
//! coroutine, would go on, and a second Ctrl-C would end it. So the default action follows by itself, a moment after.

use coutil_lua::mlua::ffi;
use ffi::{lua_Debug, lua_State};
use std::ffi::c_int;
use std::ptr::null_mut;
use std::sync::atomic::{AtomicPtr, AtomicUsize, Ordering};

/// The main coroutine, while it runs a chunk.
static STATE: AtomicPtr<lua_State> = AtomicPtr::new(null_mut());
/// The thread that does.
static THREAD: AtomicUsize = AtomicUsize::new(0);

unsafe extern "C" fn caught(signal: c_int) {
    // SAFETY: what is called is allowed in a signal handler; so is `lua_sethook`, in the thread that runs Lua.
    unsafe {
        if libc::pthread_self() as usize != THREAD.load(Ordering::Relaxed) {
            libc::pthread_kill(THREAD.load(Ordering::Relaxed) as libc::pthread_t, signal);
            return;
        }
        libc::signal(signal, libc::SIG_DFL);
        timer::arm(200);
        let L = STATE.load(Ordering::Relaxed);
        if !L.is_null() {
            let when = ffi::LUA_MASKCALL | ffi::LUA_MASKRET | ffi::LUA_MASKLINE | ffi::LUA_MASKCOUNT;
            ffi::lua_sethook(L, Some(stop), when, 1);
        }
    }
}

unsafe extern "C-unwind" fn stop(L: *mut lua_State, _: *mut lua_Debug) {
    // SAFETY: a hook may raise.
    unsafe {
        ffi::lua_sethook(L, None, 0, 0);
        timer::arm(0);
        ffi::luaL_error(L, c"interrupted!".as_ptr());
    }
}

/// What the process does at a signal.
pub(crate) fn action(signal: c_int) -> libc::sighandler_t {
    // SAFETY: all zeros are a valid action, and it is filled in.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        libc::sigaction(signal, std::ptr::null(), &mut action);
        action.sa_sigaction
    }
}

/// Has the process call `handler` at SIGINT, if nobody else does anything about it: neither the one who started this, nor a
/// coroutine that awaits the signal.
pub(crate) fn install(handler: unsafe extern "C" fn(c_int), flags: c_int) {
    if action(libc::SIGINT) == libc::SIG_DFL {
        // SAFETY: all zeros are a valid action; the handlers given do what a handler may.
        unsafe {
            let mut action: libc::sigaction = std::mem::zeroed();
            action.sa_sigaction = handler as libc::sighandler_t;
            action.sa_flags = flags;
            libc::sigaction(libc::SIGINT, &action, null_mut());
        }
    }
}

/// The default action is that of SIGINT again, if `handler` was.
fn uninstall(handler: unsafe extern "C" fn(c_int)) {
    if action(libc::SIGINT) == handler as libc::sighandler_t {
        // SAFETY: the default action is a valid one.
        unsafe { libc::signal(libc::SIGINT, libc::SIG_DFL) };
    }
}

/// From now on Ctrl-C interrupts what `L` runs.
pub(crate) fn watch(L: *mut lua_State) {
    timer::create();
    // SAFETY: it always succeeds.
    THREAD.store(unsafe { libc::pthread_self() } as usize, Ordering::Relaxed);
    STATE.store(L, Ordering::Relaxed);
    install(caught, 0);
}

/// That is over.
pub(crate) fn unwatch() {
    uninstall(caught);
    STATE.store(null_mut(), Ordering::Relaxed);
}

/// A timer that sends SIGINT.
#[cfg(target_os = "linux")]
mod timer {
    use std::ptr::null_mut;
    use std::sync::atomic::{AtomicPtr, Ordering};

    static TIMER: AtomicPtr<libc::c_void> = AtomicPtr::new(null_mut());
    static MADE: std::sync::Once = std::sync::Once::new();

    pub(super) fn create() {
        // SAFETY: all zeros are a valid event, and the fields that matter are set; the timer is written.
        MADE.call_once(|| unsafe {
            let mut event: libc::sigevent = std::mem::zeroed();
            event.sigev_notify = libc::SIGEV_SIGNAL;
            event.sigev_signo = libc::SIGINT;
            let mut timer = null_mut();
            if libc::timer_create(libc::CLOCK_MONOTONIC, &mut event, &mut timer) == 0 {
                // The first timer may have number 0: so what is kept is one more.
                TIMER.store(timer.wrapping_byte_add(1), Ordering::Relaxed);
            }
        });
    }

    /// In so many milliseconds, or not at all (0). Allowed in a signal handler.
    pub(super) fn arm(milliseconds: i64) {
        let timer = TIMER.load(Ordering::Relaxed);
        if !timer.is_null() {
            // SAFETY: the timer exists as long as the process; all zeros are a valid time.
            unsafe {
                let mut time: libc::itimerspec = std::mem::zeroed();
                time.it_value.tv_nsec = (milliseconds * 1_000_000) as _;
                libc::timer_settime(timer.wrapping_byte_sub(1), 0, &time, null_mut());
            }
        }
    }
}

/// Where there are no such timers a second Ctrl-C ends the script.
#[cfg(not(target_os = "linux"))]
mod timer {
    pub(super) fn create() {}
    pub(super) fn arm(_milliseconds: i64) {}
}
