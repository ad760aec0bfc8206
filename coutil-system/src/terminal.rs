//! Terminals: their modes, and their size.
//!
//! Modes are those of the device, which several sources may be of, also in other processes. The first one that leaves the normal
//! mode has the settings kept; they are set again with [`Mode::Normal`], when the last source that changed them is closed, and
//! when the process exits.

use crate::core::{Loop, SourceId};
use crate::error::{Error, Result};
use crate::sys::process;
use rustix::fs::fstat;
use rustix::termios::{
    self, ControlModes, InputModes, LocalModes, OptionalActions, OutputModes, SpecialCodeIndex, Termios,
};
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, Once, PoisonError};

/// How a terminal treats what is typed, and what is written: termios(3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Mode {
    /// As it was: usually by lines, which can be edited, with signals for some keys.
    Normal,
    /// Each key at once, without echo or signals; what is written is still translated, as line feeds.
    Raw,
    /// All bytes as they are: cfmakeraw(3).
    Binary,
}

/// A device whose settings were changed.
struct Changed {
    /// `st_rdev`.
    device: u64,
    fd: OwnedFd,
    settings: Termios,
    mode: Mode,
    /// The sources that did.
    by: Vec<u64>,
    /// In which process: a child of a fork leaves it alone.
    forks: u32,
}

static CHANGED: Mutex<Vec<Changed>> = Mutex::new(Vec::new());

extern "C" fn restore_all() {
    // Somebody may be in the middle of it; then that is left alone.
    if let Ok(mut changed) = CHANGED.try_lock() {
        for changed in changed.drain(..).filter(|changed| changed.forks == process::forks()) {
            let _ = termios::tcsetattr(&changed.fd, OptionalActions::Now, &changed.settings);
        }
    }
}

fn settings(original: &Termios, mode: Mode) -> Termios {
    let mut settings = original.clone();
    match mode {
        Mode::Normal => {}
        Mode::Raw => {
            settings.input_modes -= InputModes::BRKINT
                | InputModes::ICRNL
                | InputModes::INPCK
                | InputModes::ISTRIP
                | InputModes::IXON;
            settings.output_modes |= OutputModes::ONLCR;
            settings.control_modes |= ControlModes::CS8;
            settings.local_modes -=
                LocalModes::ECHO | LocalModes::ICANON | LocalModes::IEXTEN | LocalModes::ISIG;
            settings.special_codes[SpecialCodeIndex::VMIN] = 1;
            settings.special_codes[SpecialCodeIndex::VTIME] = 0;
        }
        Mode::Binary => settings.make_raw(),
    }
    settings
}

/// Stands for a source that changed settings. Dropped with it.
#[derive(Debug)]
pub(crate) struct Owner(u64);

impl Owner {
    fn new() -> Self {
        static LAST: AtomicU64 = AtomicU64::new(0);
        Self(LAST.fetch_add(1, Ordering::Relaxed))
    }
}

impl Drop for Owner {
    fn drop(&mut self) {
        restore(self.0);
    }
}

impl<W> Loop<W> {
    /// Sets how a terminal treats what is typed and written, at once (`TCSANOW`). The mode of the device is meant, whichever source
    /// set it. It becomes normal again when the sources that changed it are closed, and when the process exits.
    ///
    /// # Errors
    ///
    /// Those of tcsetattr(3): `inappropriate ioctl for device` if it is no terminal; `bad file descriptor` if it is closed.
    pub fn set_terminal_mode(&mut self, id: SourceId, mode: Mode) -> Result<()> {
        let source = self.sources.get_mut(id).ok_or(Error::BAD_DESCRIPTOR)?;
        let owner = source.owner.get_or_insert_with(Owner::new);
        set(&source.fd, owner.0, mode)
    }

    /// Columns and rows of the window of a terminal.
    ///
    /// # Errors
    ///
    /// Those of tcgetwinsize(3), as above.
    pub fn window_size(&self, id: SourceId) -> Result<(u16, u16)> {
        let size = termios::tcgetwinsize(self.fd(id).ok_or(Error::BAD_DESCRIPTOR)?)?;
        Ok((size.ws_col, size.ws_row))
    }
}

fn set(fd: &OwnedFd, owner: u64, mode: Mode) -> Result<()> {
    static AT_EXIT: Once = Once::new();
    let device = fstat(fd)?.st_rdev;
    let forks = process::forks();
    let mut changed = CHANGED.lock().unwrap_or_else(PoisonError::into_inner);
    changed.retain(|changed| changed.forks == forks);
    let at = changed.iter().position(|changed| changed.device == device);
    match (at, mode) {
        (None, Mode::Normal) => {}
        (None, mode) => {
            let original = termios::tcgetattr(fd)?;
            let kept = rustix::io::fcntl_dupfd_cloexec(fd, 3)?;
            termios::tcsetattr(fd, OptionalActions::Now, &settings(&original, mode))?;
            changed.push(Changed { device, fd: kept, settings: original, mode, by: vec![owner], forks });
            AT_EXIT.call_once(|| process::at_exit(restore_all));
        }
        (Some(at), Mode::Normal) => {
            termios::tcsetattr(fd, OptionalActions::Now, &changed[at].settings)?;
            changed.swap_remove(at);
        }
        (Some(at), mode) => {
            let changed = &mut changed[at];
            if changed.mode != mode {
                termios::tcsetattr(fd, OptionalActions::Now, &settings(&changed.settings, mode))?;
                changed.mode = mode;
            }
            if !changed.by.contains(&owner) {
                changed.by.push(owner);
            }
        }
    }
    Ok(())
}

/// A source is closed: what was changed only through it is undone.
fn restore(owner: u64) {
    let forks = process::forks();
    let mut changed = CHANGED.lock().unwrap_or_else(PoisonError::into_inner);
    changed.retain_mut(|changed| {
        let count = changed.by.len();
        changed.by.retain(|by| *by != owner);
        let over = changed.by.len() < count && changed.by.is_empty();
        if over && changed.forks == forks {
            let _ = termios::tcsetattr(&changed.fd, OptionalActions::Now, &changed.settings);
        }
        !over
    });
}
