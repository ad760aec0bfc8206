//! The calls for the terminal and the standard streams that the editor does not make itself.

use super::link::lock;
use std::mem::zeroed;
use std::sync::Mutex;

/// The modes of the terminal as they were at the start.
static MODES: Mutex<Option<libc::termios>> = Mutex::new(None);

/// A program that ends while a line is being typed, as by `os.exit` in another coroutine, leaves the terminal as it was.
pub(crate) fn restore_at_exit() {
    extern "C" fn restore() {
        if let Some(modes) = *lock(&MODES) {
            // SAFETY: these are modes that it had.
            unsafe { libc::tcsetattr(libc::STDIN_FILENO, libc::TCSADRAIN, &modes) };
        }
    }
    // SAFETY: all zeros are valid modes, and they are filled in; the handler needs nothing that ends before it.
    unsafe {
        let mut modes: libc::termios = zeroed();
        if libc::tcgetattr(libc::STDIN_FILENO, &mut modes) == 0 {
            *lock(&MODES) = Some(modes);
            libc::atexit(restore);
        }
    }
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
