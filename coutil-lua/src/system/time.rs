//! `system.nanosecs`, `time`, `suspend` (30 §1).

use super::What;
use super::wait::{Operation, suspend as wait};
use crate::raw::error::{AWAIT, DIRECT};
use crate::raw::{Functions, args, c_int, error, lua_State};
use crate::state::StateRef;
use crate::suspend::check_yieldable;
use coutil_system::time;
use mlua::ffi;
use std::time::Duration;

pub(crate) const FUNCTIONS: Functions<'_> = &[(c"nanosecs", nanosecs), (c"time", time_)];

pub(crate) const AWAITS: Functions<'_> = &[(c"suspend", suspend)];

/// `nanosecs()` → integer
unsafe extern "C-unwind" fn nanosecs(L: *mut lua_State) -> c_int {
    // SAFETY: pushes a number.
    unsafe {
        ffi::lua_pushinteger(L, time::monotonic() as ffi::lua_Integer);
        1
    }
}

/// `time([mode])` → seconds
unsafe extern "C-unwind" fn time_(L: *mut lua_State) -> c_int {
    // SAFETY: arguments are checked.
    unsafe {
        let mode = args::check_option(L, DIRECT, 1, Some(0), &[c"cached", c"updated", c"epoch"]);
        let state = StateRef::of(L);
        if mode == 2 {
            ffi::lua_pushnumber(L, time::epoch());
            return 1;
        }
        let now = state.touch(|state| {
            let core = &mut state.system().core;
            if mode == 1 {
                core.refresh();
            }
            core.now()
        });
        // In whole milliseconds, as programs may expect; the loop itself is exact.
        ffi::lua_pushnumber(L, (now / 1_000_000) as f64 / 1000.0);
        1
    }
}

/// A mode that has nothing but `~`: whether it has any.
pub(crate) unsafe fn check_blocking(L: *mut lua_State, frame: c_int, arg: c_int) -> bool {
    // SAFETY: the text is read before anything else is called.
    unsafe {
        if args::is_absent(L, arg) {
            return false;
        }
        let (text, _) = args::check_string(L, frame, arg);
        let text = std::ffi::CStr::from_ptr(text.cast()).to_bytes();
        if let Some(other) = text.iter().find(|byte| **byte != b'~') {
            error::raise_byte(L, frame, c"unknown mode char", *other);
        }
        !text.is_empty()
    }
}

/// `suspend([seconds [, mode]])` → true
unsafe extern "C-unwind" fn suspend(L: *mut lua_State) -> c_int {
    // SAFETY: arguments are checked before anything is started.
    unsafe {
        let state = StateRef::of(L);
        let mut seconds = 0.0;
        if ffi::lua_gettop(L) > 0 {
            if !args::is_absent(L, 1) {
                seconds = args::check_number(L, AWAIT, 1);
            }
            if check_blocking(L, AWAIT, 2) {
                if seconds * 1000.0 > f64::from(u32::MAX) {
                    args::bad(L, AWAIT, 1, c"out of range");
                }
                if seconds > 0.0 {
                    crate::raw::run(L, || time::sleep(Duration::from_secs_f64(seconds)));
                }
                ffi::lua_pushboolean(L, 1);
                return 1;
            }
            if seconds * 1000.0 > 2f64.powi(64) {
                args::bad(L, AWAIT, 1, c"out of range");
            }
        }
        // NaN is no delay either.
        let timed = seconds > 0.0;
        let again = if timed { None } else { super::wait::suspended_before(L, state) };
        // On 5.2 to look costs much. The yield itself tells, where nothing is to be made before.
        if !cfg!(feature = "lua52") || again.is_none() {
            check_yieldable(L);
        }
        if let Some(op) = again {
            return crate::suspend::suspend::<super::wait::OnLoopAgain>(L, op.to_bits(), || {
                state.touch(|state| state.system().core.suspend(op));
            });
        }
        super::wait::check_process(L, state);
        let later = !timed && super::wait::is_cancelled(L, state);
        let operation = Operation::new(if timed { What::Sleep } else { What::Suspend });
        wait(L, state, operation, move |system, op| {
            if timed {
                // Rounded up, so as not to be early.
                system.core.set_timer(op, (seconds * 1e9).ceil() as u64);
            } else if later {
                system.core.suspend_later(op);
            } else {
                system.core.suspend(op);
            }
            Ok(())
        })
    }
}
