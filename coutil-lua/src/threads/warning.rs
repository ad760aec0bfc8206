//! Warnings of independent states: as `lua` writes them, off at first, each state with its own switch (20 §1.8).

use std::cell::Cell;
#[cfg(any(feature = "lua54", feature = "lua55"))]
use std::ffi::{CStr, c_char, c_int, c_void};

/// The switch.
#[derive(Default)]
pub(crate) struct Warnings {
    on: Cell<bool>,
    /// Whether the message goes on with the next piece.
    #[cfg_attr(not(any(feature = "lua54", feature = "lua55")), allow(dead_code))]
    continued: Cell<bool>,
}

impl Warnings {
    pub(crate) fn is_on(&self) -> bool {
        self.on.get()
    }
}

/// The warn function. See §6.1, `warn`, of the manual of Lua 5.4.
#[cfg(any(feature = "lua54", feature = "lua55"))]
pub(crate) unsafe extern "C-unwind" fn warn(
    warnings: *mut c_void,
    message: *const c_char,
    to_continue: c_int,
) {
    // SAFETY: set with the switch of the state, which lives as long; Lua passes a string that ends with a NUL.
    let (warnings, message) = unsafe { (&*warnings.cast::<Warnings>(), CStr::from_ptr(message).to_bytes()) };
    let continued = warnings.continued.replace(to_continue != 0);
    if !continued && to_continue == 0 && message.starts_with(b"@") {
        match message {
            b"@on" => warnings.on.set(true),
            b"@off" => warnings.on.set(false),
            _ => {}
        }
    } else if warnings.on.get() {
        let start: &[u8] = if continued { b"" } else { b"Lua warning: " };
        let end: &[u8] = if to_continue != 0 { b"" } else { b"\n" };
        // Where there is no standard error there is nobody to warn.
        let _ = crate::raw::guard(|| {
            std::io::Write::write_all(&mut std::io::stderr(), &[start, message, end].concat())
        });
    }
}
