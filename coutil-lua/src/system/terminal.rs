//! Terminals: the objects of standard streams that are some (30 §5.1).

use super::socket::{TERMINAL, check_open, close};
use super::{Class, fail, push_result, stream};
use crate::raw::error::DIRECT;
use crate::raw::{Functions, args, c_int, lua_State};
use crate::state::StateRef;
use coutil_system::terminal::Mode;
use mlua::ffi;

pub(crate) const METHODS: Functions<'_> =
    &[(c"close", close::<TERMINAL>), (c"setmode", set_mode), (c"winsize", window_size)];

pub(crate) const AWAITS: Functions<'_> = &[
    (c"read", stream::read::<TERMINAL>),
    (c"write", stream::write::<TERMINAL>),
    (c"shutdown", stream::shutdown::<TERMINAL>),
];

/// `setmode(mode)` → true
unsafe extern "C-unwind" fn set_mode(L: *mut lua_State) -> c_int {
    // SAFETY: arguments are checked.
    unsafe {
        let state = StateRef::of(L);
        let terminal = *check_open(L, DIRECT, state, Class::Terminal);
        let mode = args::check_option(L, DIRECT, 2, None, &[c"normal", c"raw", c"binary"]);
        let mode = [Mode::Normal, Mode::Raw, Mode::Binary][mode];
        let result = state.with(L, |state| state.system().core.set_terminal_mode(terminal.source(), mode));
        push_result(L, result)
    }
}

/// `winsize()` → columns, rows
unsafe extern "C-unwind" fn window_size(L: *mut lua_State) -> c_int {
    // SAFETY: arguments are checked.
    unsafe {
        let state = StateRef::of(L);
        let terminal = *check_open(L, DIRECT, state, Class::Terminal);
        match state.with(L, |state| state.system().core.window_size(terminal.source())) {
            Ok((columns, rows)) => {
                ffi::lua_pushinteger(L, columns.into());
                ffi::lua_pushinteger(L, rows.into());
                2
            }
            Err(error) => fail(L, error),
        }
    }
}
