//! Ctrl-C while a line runs (while one is typed it is a key, and no signal).
//!
//! The handler tells the editor, which tells Lua. If the line waits, the loop runs, and `prompt.lua` gets to know. If not, Lua
//! code is running, of the line or of another coroutine: after a moment the editor asks for an error in whatever runs.
//!
//! On the PUC versions a hook belongs to a coroutine, and those it creates inherit it. So each line has a hook that looks
//! now and then whether that was asked for, and reaches coroutines inside of coroutines. It costs up to 0.8 of the time of what
//! the line does. LuaJIT has one hook for all, which is set only then; compiled code does not look at it, so the chunk of a
//! line is not compiled (the functions that it calls are).

use super::link::{Link, Wake};
use crate::interrupt;
use coutil_lua::mlua::{Lua, Result, Table, ffi};
use ffi::{lua_Debug, lua_State};
use std::ffi::c_int;
use std::ptr::null_mut;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicPtr, AtomicUsize, Ordering};

/// An error is wanted in what runs.
static WANTED: AtomicBool = AtomicBool::new(false);
/// The editor has sent the signal itself, to the thread of Lua.
static SENT: AtomicBool = AtomicBool::new(false);
/// The coroutine of the line. On LuaJIT the main one if there is none.
static LINE: AtomicPtr<lua_State> = AtomicPtr::new(null_mut());
/// The coroutine that answers the editor. It is never interrupted.
static SERVER: AtomicPtr<lua_State> = AtomicPtr::new(null_mut());
/// The main coroutine.
static MAIN: AtomicPtr<lua_State> = AtomicPtr::new(null_mut());
/// The thread of Lua.
static THREAD: AtomicUsize = AtomicUsize::new(0);
/// Where the editor is told.
static DESCRIPTOR: AtomicI32 = AtomicI32::new(-1);

/// How many instructions a hook leaves out.
const INTERVAL: c_int = 10_000;

unsafe extern "C" fn caught(_: c_int) {
    // SAFETY: what is called is allowed in a signal handler; so is `lua_sethook`, in the thread that runs Lua. Only that sets and
    // forgets the line, which is alive until then.
    unsafe {
        let here = libc::pthread_self() as usize == THREAD.load(Ordering::Relaxed);
        if here && SENT.swap(false, Ordering::SeqCst) {
            if WANTED.load(Ordering::SeqCst) {
                stop_at_once(LINE.load(Ordering::Relaxed));
            }
        } else {
            let wake = [Wake::Interrupt as u8];
            let errno = *errno();
            libc::write(DESCRIPTOR.load(Ordering::Relaxed), wake.as_ptr().cast(), 1);
            *self::errno() = errno;
        }
    }
}

/// Where the C library keeps the error of the last call.
unsafe fn errno() -> *mut c_int {
    #[cfg(target_os = "linux")]
    // SAFETY: it always succeeds.
    unsafe {
        libc::__errno_location()
    }
    #[cfg(not(target_os = "linux"))]
    // SAFETY: it always succeeds.
    unsafe {
        libc::__error()
    }
}

unsafe fn stop_at_once(L: *mut lua_State) {
    let when = ffi::LUA_MASKCALL | ffi::LUA_MASKRET | ffi::LUA_MASKLINE | ffi::LUA_MASKCOUNT;
    if !L.is_null() {
        // SAFETY: as Lua says, this may be called at any time in the thread of the state.
        unsafe { ffi::lua_sethook(L, Some(look), when, 1) };
    }
}

unsafe fn set_usual_hook(L: *mut lua_State) {
    // SAFETY: as above.
    unsafe {
        if cfg!(feature = "luajit") {
            ffi::lua_sethook(L, None, 0, 0);
        } else {
            ffi::lua_sethook(L, Some(look), ffi::LUA_MASKCOUNT, INTERVAL);
        }
    }
}

/// The hook: raises the error, if it is wanted.
unsafe extern "C-unwind" fn look(L: *mut lua_State, ar: *mut lua_Debug) {
    // SAFETY: a hook may raise.
    unsafe {
        if L == SERVER.load(Ordering::Relaxed) {
            return;
        }
        if (*ar).event != ffi::LUA_HOOKCOUNT || WANTED.load(Ordering::SeqCst) {
            set_usual_hook(L);
        }
        if WANTED.swap(false, Ordering::SeqCst) {
            // Without a position: that of `luaL_error` would be the one of the caller.
            ffi::lua_pushstring(L, c"interrupted!".as_ptr());
            ffi::lua_error(L);
        }
    }
}

/// `begin()`: the running coroutine is that of the line.
unsafe extern "C-unwind" fn begin(L: *mut lua_State) -> c_int {
    // SAFETY: as the callee.
    unsafe { set_usual_hook(L) };
    LINE.store(L, Ordering::Relaxed);
    watch();
    0
}

/// `serve()`: the running coroutine is the one that answers.
unsafe extern "C-unwind" fn serve(L: *mut lua_State) -> c_int {
    SERVER.store(L, Ordering::Relaxed);
    0
}

/// `break(coroutine)`: the error is raised in it as soon as it is resumed.
unsafe extern "C-unwind" fn break_line(L: *mut lua_State) -> c_int {
    // SAFETY: a coroutine is the argument.
    unsafe {
        let co = ffi::lua_tothread(L, 1);
        WANTED.store(true, Ordering::SeqCst);
        stop_at_once(co);
    }
    0
}

/// Adds the functions of this to those of `prompt.lua`.
pub(crate) fn set_functions(lua: &Lua, host: &Table) -> Result<()> {
    // SAFETY: they are functions for Lua, called by `prompt.lua` as they say.
    unsafe {
        host.set("begin", lua.create_c_function(begin)?)?;
        host.set("serve", lua.create_c_function(serve)?)?;
        host.set("break_line", lua.create_c_function(break_line)?)
    }
}

/// From now on Ctrl-C is told to the editor.
pub(crate) fn install(lua: &Lua, link: &Link) -> Result<()> {
    // SAFETY: nothing is done but to keep the pointer, which is that of the state that ends after the prompt.
    unsafe { lua.exec_raw::<()>((), |L| MAIN.store(L, Ordering::Relaxed))? };
    // SAFETY: it always succeeds.
    THREAD.store(unsafe { libc::pthread_self() } as usize, Ordering::Relaxed);
    DESCRIPTOR.store(link.descriptor(), Ordering::Relaxed);
    forget_line();
    watch();
    Ok(())
}

/// Takes the signal again, if a coroutine that awaited it has left it to the default action.
fn watch() {
    // Without SA_RESTART, as in `lua`: a read of the line fails.
    interrupt::install(caught, 0);
}

/// The line has ended.
pub(crate) fn forget_line() {
    let none = if cfg!(feature = "luajit") { MAIN.load(Ordering::Relaxed) } else { null_mut() };
    LINE.store(none, Ordering::Relaxed);
}

/// No error is wanted any more.
pub(crate) fn calm() {
    WANTED.store(false, Ordering::SeqCst);
}

/// An error is wanted in whatever Lua runs. Called by the editor.
pub(crate) fn insist() {
    WANTED.store(true, Ordering::SeqCst);
    SENT.store(true, Ordering::SeqCst);
    // SAFETY: that thread runs as long as the process.
    unsafe { libc::pthread_kill(THREAD.load(Ordering::Relaxed) as libc::pthread_t, libc::SIGINT) };
}
