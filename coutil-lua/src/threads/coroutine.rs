//! The module `coutil.coroutine`: state coroutines (20 §3).

use super::chunk::{Source, check_file, check_text};
use super::independent::Independent;
use super::resume::{Outcome, Run};
use super::shared::{Context, shared};
use super::transfer::{Role, Transfer};
use crate::raw::error::DIRECT;
use crate::raw::{Functions, args, c_int, compat, guard, lua_State};
use crate::state::StateRef;
use crate::system::{Class, check_object, set_class, to_object};
use mlua::ffi;
use std::sync::Arc;

pub(crate) const FUNCTIONS: Functions<'_> =
    &[(c"load", load), (c"loadfile", load_file), (c"status", status), (c"close", close)];

pub(crate) const METAMETHODS: Functions<'_> = &[(c"__gc", release), (c"__close", release)];

/// The contents of the userdata: nothing. It names an [`Owned`] by its address. One that is not in the table is dead.
pub(crate) type Object = u64;

/// A state coroutine, seen by the state that owns it.
#[derive(Default)]
pub(crate) struct Owned {
    /// `None` while a run has it, and when it was closed.
    pub(crate) state: Option<Independent>,
    /// The run that was scheduled, until the loop has processed its end.
    pub(crate) run: Option<Arc<Run>>,
    pub(crate) dead: bool,
    /// The error that it died of, for the first `close`.
    pub(crate) error: Option<Outcome>,
    /// `__close` was called while it ran.
    pub(crate) closing: bool,
}

impl Drop for Owned {
    fn drop(&mut self) {
        if let Some(run) = self.run.take() {
            run.wait();
        }
    }
}

/// `load(chunk [, chunkname [, mode]])` → co; or false, message
unsafe extern "C-unwind" fn load(L: *mut lua_State) -> c_int {
    // SAFETY: arguments are checked.
    unsafe {
        check_text(L, 1);
        make(L, Source::from_text)
    }
}

/// `loadfile([filepath [, mode]])` → co; or false, message
unsafe extern "C-unwind" fn load_file(L: *mut lua_State) -> c_int {
    // SAFETY: arguments are checked.
    unsafe {
        check_file(L, 1);
        make(L, Source::from_file)
    }
}

unsafe fn make(L: *mut lua_State, source: unsafe fn(*mut lua_State, c_int) -> Source) -> c_int {
    // SAFETY: the object is dead until it is in the table.
    unsafe {
        let state = StateRef::of(L);
        ffi::luaL_checkstack(L, 10, std::ptr::null());
        let object = compat::new_userdata(L, size_of::<Object>()) as usize;
        set_class(L, Class::Coroutine);
        Context::owns(L);
        let made = guard(|| {
            let new = Independent::create(L, shared(L, state), &source(L, 1), None)?;
            let mut owned = Owned::default();
            owned.state = Some(new);
            state.touch(|state| state.system().related.coroutines.insert(object, owned));
            Ok::<_, Transfer>(())
        });
        match made {
            Ok(Ok(())) => 1,
            Ok(Err(message)) => message.give(L, false),
            Err(panic) => panic.raise(L),
        }
    }
}

/// `status(co)` → `running`, `suspended` or `dead`
unsafe extern "C-unwind" fn status(L: *mut lua_State) -> c_int {
    // SAFETY: arguments are checked.
    unsafe {
        let state = StateRef::of(L);
        let object = check_object::<Object>(L, DIRECT, state, 1, Class::Coroutine) as usize;
        let text = state.touch(|state| match state.system().related.coroutines.get(&object) {
            Some(Owned { run: Some(_), .. }) => c"running",
            Some(Owned { dead: false, .. }) => c"suspended",
            _ => c"dead",
        });
        ffi::lua_pushstring(L, text.as_ptr());
        1
    }
}

/// `close(co)` → true; or false, error
unsafe extern "C-unwind" fn close(L: *mut lua_State) -> c_int {
    // SAFETY: arguments are checked.
    unsafe {
        let state = StateRef::of(L);
        let object = check_object::<Object>(L, DIRECT, state, 1, Class::Coroutine) as usize;
        let running = state.touch(|state| {
            state.system().related.coroutines.get(&object).is_some_and(|owned| owned.run.is_some())
        });
        if running {
            args::bad(L, DIRECT, 1, c"cannot close a running coroutine");
        }
        let owned = state.touch(|state| state.system().related.coroutines.remove(&object));
        let error = guard(|| owned.and_then(|mut owned| owned.error.take()));
        match error {
            Ok(Some(Outcome::Failed(error))) => Transfer::from(error).give(L, false),
            Ok(Some(Outcome::FailedRefused(refused))) => {
                ffi::lua_pushboolean(L, 0);
                refused.push(L, Role::Error);
                2
            }
            Ok(_) => {
                ffi::lua_pushboolean(L, 1);
                1
            }
            Err(panic) => panic.raise(L),
        }
    }
}

/// `__gc` and `__close`
unsafe extern "C-unwind" fn release(L: *mut lua_State) -> c_int {
    // SAFETY: only an object of the class is looked for.
    unsafe {
        let Some(state) = StateRef::of_finalizer(L) else { return 0 };
        let Some(object) = to_object::<Object>(L, state, 1, Class::Coroutine) else { return 0 };
        let object = object as usize;
        let owned = state.touch(|state| {
            let coroutines = &mut state.system().related.coroutines;
            match coroutines.get_mut(&object) {
                Some(owned) if owned.run.is_some() => {
                    owned.closing = true;
                    None
                }
                _ => coroutines.remove(&object),
            }
        });
        let _ = guard(|| drop(owned));
        0
    }
}
