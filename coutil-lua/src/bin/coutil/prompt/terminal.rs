//! The calls for the terminal and the standard streams that the editor does not make itself.

use super::link::lock;
use std::mem::zeroed;
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

struct Modes {
    /// The modes of the terminal as they were at the start.
    original: Option<libc::termios>,
    /// The editor is about to change them.
    changing: bool,
    /// It may not any more.
    ending: bool,
}

static MODES: Mutex<Modes> = Mutex::new(Modes { original: None, changing: false, ending: false });
static CHANGED: Condvar = Condvar::new();

/// A program that ends while a line is being typed, as by `os.exit` in another coroutine, leaves the terminal as it was.
pub(crate) fn restore_at_exit() {
    extern "C" fn restore() {
        let mut modes = lock(&MODES);
        modes.ending = true;
        // Whatever the editor does is not waited for any longer than that.
        let patience = Duration::from_secs(1);
        let changed = CHANGED.wait_timeout_while(modes, patience, |modes| modes.changing);
        let (modes, _) = changed.unwrap_or_else(PoisonError::into_inner);
        if let Some(original) = &modes.original {
            // SAFETY: these are modes that it had.
            unsafe { libc::tcsetattr(libc::STDIN_FILENO, libc::TCSADRAIN, original) };
        }
    }
    // SAFETY: all zeros are valid modes, and they are filled in; the handler needs nothing that ends before it.
    unsafe {
        let mut modes: libc::termios = zeroed();
        if libc::tcgetattr(libc::STDIN_FILENO, &mut modes) == 0 {
            lock(&MODES).original = Some(modes);
            libc::atexit(restore);
        }
    }
}

/// The editor is about to change the modes. False: it must not, as the program ends.
pub(crate) fn begin_change() -> bool {
    let mut modes = lock(&MODES);
    modes.changing = !modes.ending;
    modes.changing
}

/// They are changed, or as they were.
pub(crate) fn end_change() {
    lock(&MODES).changing = false;
    CHANGED.notify_all();
}

/// How wide the terminal is.
pub(crate) fn columns() -> usize {
    // SAFETY: all zeros are a valid size, and it is filled in.
    let size = unsafe {
        let mut size: libc::winsize = zeroed();
        libc::ioctl(libc::STDOUT_FILENO, libc::TIOCGWINSZ, &mut size);
        size
    };
    size.ws_col.into()
}

/// Writes what the streams of C still have.
pub(crate) fn flush() {
    // SAFETY: null stands for all of them.
    unsafe { libc::fflush(std::ptr::null_mut()) };
}

/// Waits until there is something to be read, for so many milliseconds at most (-1: without end).
pub(crate) fn is_readable(descriptor: i32, milliseconds: i32) -> bool {
    loop {
        let mut poll = libc::pollfd { fd: descriptor, events: libc::POLLIN, revents: 0 };
        // SAFETY: one descriptor is given.
        let count = unsafe { libc::poll(&mut poll, 1, milliseconds) };
        if count >= 0 || std::io::Error::last_os_error().kind() != std::io::ErrorKind::Interrupted {
            return count > 0;
        }
    }
}
