//! `system.emitsig`, `awaitsig` (40 §1).

use super::{integer, text};
use crate::raw::error::{AWAIT, DIRECT, argument};
use crate::raw::{Functions, args, c_int, lua_State};
use crate::state::StateRef;
use crate::suspend::check_yieldable;
use crate::system::wait::{Operation, check_process, suspend};
use crate::system::{What, push_failure, push_result};
use coutil_system::{Error, process};
use mlua::ffi;
use std::ffi::CStr;

pub(crate) const FUNCTIONS: Functions<'_> = &[(c"emitsig", emit)];

pub(crate) const AWAITS: Functions<'_> = &[(c"awaitsig", await_signal)];

/// The signals that have names. From [`UNCATCHABLE`] on they cannot be awaited.
const SIGNALS: &[(&CStr, c_int)] = &[
    (c"abort", libc::SIGABRT),
    (c"brokenpipe", libc::SIGPIPE),
    (c"child", libc::SIGCHLD),
    (c"clocktime", libc::SIGALRM),
    (c"continue", libc::SIGCONT),
    (c"cpulimit", libc::SIGXCPU),
    (c"cputime", libc::SIGVTALRM),
    (c"cputotal", libc::SIGPROF),
    (c"filelimit", libc::SIGXFSZ),
    (c"hangup", libc::SIGHUP),
    (c"interrupt", libc::SIGINT),
    // SIGPOLL, which not every system calls so.
    (c"polling", libc::SIGIO),
    (c"quit", libc::SIGQUIT),
    (c"stdinoff", libc::SIGTTIN),
    (c"stdoutoff", libc::SIGTTOU),
    (c"stop", libc::SIGTSTP),
    (c"sysargerr", libc::SIGSYS),
    (c"terminate", libc::SIGTERM),
    (c"trap", libc::SIGTRAP),
    (c"urgentsock", libc::SIGURG),
    (c"userdef1", libc::SIGUSR1),
    (c"userdef2", libc::SIGUSR2),
    (c"winresize", libc::SIGWINCH),
    (c"STOP", libc::SIGSTOP),
    (c"TERMINATE", libc::SIGKILL),
];

const UNCATCHABLE: usize = SIGNALS.len() - 2;

/// The name of a signal; `signal` if it has none.
pub(crate) fn name_of(number: c_int) -> &'static CStr {
    SIGNALS.iter().find(|(_, signal)| *signal == number).map_or(c"signal", |(name, _)| name)
}

/// One of these names, by its index. Raises.
unsafe fn check_name(L: *mut lua_State, frame: c_int, arg: c_int, names: &[(&CStr, c_int)]) -> usize {
    // SAFETY: the string stays on the stack.
    unsafe {
        args::check_string(L, frame, arg);
        let name = text(L, arg);
        match names.iter().position(|(known, _)| *known == name) {
            Some(index) => index,
            None => {
                let detail = ffi::lua_pushfstring(L, c"invalid signal '%s'".as_ptr(), name.as_ptr());
                argument(L, frame, arg, detail)
            }
        }
    }
}

/// `emitsig(pid, signal)` → true
unsafe extern "C-unwind" fn emit(L: *mut lua_State) -> c_int {
    // SAFETY: arguments are checked.
    unsafe {
        let pid = args::check_integer(L, DIRECT, 1);
        let signal = match integer(L, 2) {
            Some(number) => number,
            None => SIGNALS[check_name(L, DIRECT, 2, SIGNALS)].1.into(),
        };
        let Ok(pid) = i32::try_from(pid) else { return push_failure(L, Error::from_code(libc::ESRCH)) };
        let Ok(signal) = i32::try_from(signal) else {
            return push_failure(L, Error::from_code(libc::EINVAL));
        };
        push_result(L, process::kill(pid, signal))
    }
}

/// `awaitsig(signal)` → signal
unsafe extern "C-unwind" fn await_signal(L: *mut lua_State) -> c_int {
    // SAFETY: arguments are checked before anything is started.
    unsafe {
        let state = StateRef::of(L);
        check_yieldable(L);
        let (name, signal) = SIGNALS[check_name(L, AWAIT, 1, &SIGNALS[..UNCATCHABLE])];
        check_process(L, state);
        let operation = Operation::new(What::Signal(name));
        suspend(L, state, operation, move |system, op| system.core.await_signal(op, signal))
    }
}
