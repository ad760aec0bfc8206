//! The module `coutil.threads` (20 §7).

use super::STACK;
use super::chunk::{Source, check_file, check_text};
use super::independent::Independent;
use super::shared::{Context, shared};
use super::task::Task;
use super::transfer::{Refused, Role, Transfer};
use crate::raw::error::{DIRECT, raise_byte};
use crate::raw::{Functions, args, c_int, compat, guard, lua_State};
use crate::state::StateRef;
use crate::system::{Class, check_object, push_failure, push_result, set_class};
use coutil_system::Error;
use coutil_threads::{Builder, Handle};
use mlua::ffi;

pub(crate) const FUNCTIONS: Functions<'_> = &[
    (c"create", create),
    (c"resize", resize),
    (c"count", count),
    (c"dostring", do_string),
    (c"dofile", do_file),
    (c"close", close),
];

/// The contents of the userdata: which pool it refers to. Any contents are valid.
#[repr(C)]
#[derive(Clone, Copy)]
pub(crate) struct Object {
    kind: u32,
    /// Of the pools of the state, if it owns it.
    index: u32,
}

const CLOSED: u32 = 0;
const OWNER: u32 = 1;
/// The pool of the task.
const OWN: u32 = 2;

/// A size for a pool of the crate.
fn size(size: i64) -> usize {
    usize::try_from(size).unwrap_or(0)
}

fn system_error(error: &std::io::Error) -> Error {
    Error::from_code(error.raw_os_error().unwrap_or(libc::EAGAIN))
}

/// `create([size])` → pool; or false, message, errno; or nil
unsafe extern "C-unwind" fn create(L: *mut lua_State) -> c_int {
    // SAFETY: arguments are checked. The object is closed until the pool exists.
    unsafe {
        let state = StateRef::of(L);
        let given = ffi::lua_gettop(L) > 0;
        let threads = if given { args::check_integer(L, DIRECT, 1) } else { 0 };
        if !given && Context::of(L).is_none_or(|context| context.pool.is_none()) {
            ffi::lua_pushnil(L);
            return 1;
        }
        let object = compat::new_userdata(L, size_of::<Object>()).cast::<Object>();
        object.write(Object { kind: CLOSED, index: 0 });
        set_class(L, Class::Threads);
        if !given {
            object.write(Object { kind: OWN, index: 0 });
            return 1;
        }
        Context::owns(L);
        let made = guard(|| {
            // What a closed pool leaves is kept for relatives.
            shared(L, state);
            let pool = Builder::new().name("coutil-pool").stack_size(STACK).build(size(threads));
            let pool = pool.map_err(|error| system_error(&error))?;
            Ok(state.touch(|state| {
                let pools = &mut state.system().related.pools;
                let index = pools.iter().position(Option::is_none).unwrap_or(pools.len());
                if index == pools.len() {
                    pools.push(None);
                }
                pools[index] = Some(pool);
                index as u32
            }))
        });
        match made {
            Ok(Ok(index)) => {
                object.write(Object { kind: OWNER, index });
                1
            }
            Ok(Err(error)) => push_failure(L, error),
            Err(panic) => panic.raise(L),
        }
    }
}

/// The object at argument 1, whose pool is open. Raises.
unsafe fn check(L: *mut lua_State, state: StateRef) -> *mut Object {
    // SAFETY: arguments are checked.
    unsafe {
        let object = check_object::<Object>(L, DIRECT, state, 1, Class::Threads);
        let open = match (*object).kind {
            OWNER => state.touch(|state| {
                let pools = &state.system().related.pools;
                pools.get((*object).index as usize).is_some_and(Option::is_some)
            }),
            OWN => Context::of(L).is_some_and(|context| context.pool.is_some()),
            _ => false,
        };
        if !open {
            args::bad(L, DIRECT, 1, c"closed threads");
        }
        object
    }
}

/// The pool of an object that was checked. `None` if it was closed since.
unsafe fn handle(L: *mut lua_State, state: StateRef, object: *mut Object) -> Option<Handle> {
    // SAFETY: as `check`.
    unsafe {
        match *object {
            Object { kind: OWNER, index } => state.touch(|state| {
                let pools = &state.system().related.pools;
                pools.get(index as usize)?.as_ref().map(|pool| pool.handle())
            }),
            Object { kind: OWN, .. } => Context::of(L)?.pool.clone(),
            _ => None,
        }
    }
}

/// `resize(pool, size [, create])` → true; or false, message, errno
unsafe extern "C-unwind" fn resize(L: *mut lua_State) -> c_int {
    // SAFETY: arguments are checked.
    unsafe {
        let state = StateRef::of(L);
        let object = check(L, state);
        let threads = args::check_integer(L, DIRECT, 2);
        if threads < 0 {
            args::bad(L, DIRECT, 2, c"size cannot be negative");
        }
        let create = ffi::lua_toboolean(L, 3) != 0;
        let resized = guard(|| match handle(L, state, object) {
            Some(pool) => pool.resize(size(threads), create).map_err(|error| system_error(&error)),
            None => Ok(()),
        });
        match resized {
            Ok(result) => push_result(L, result),
            Err(panic) => panic.raise(L),
        }
    }
}

/// `count(pool, options)` → integers
unsafe extern "C-unwind" fn count(L: *mut lua_State) -> c_int {
    // SAFETY: arguments are checked; the text stands on the stack.
    unsafe {
        let state = StateRef::of(L);
        let object = check(L, state);
        let (options, len) = args::check_string(L, DIRECT, 2);
        ffi::luaL_checkstack(L, c_int::try_from(len).unwrap_or(c_int::MAX), c"too many options".as_ptr());
        let count = crate::raw::run(L, || handle(L, state, object).map(|pool| pool.count()));
        let count = count.unwrap_or_default();
        for position in 0..len {
            let number = match *options.add(position) {
                b'n' => count.tasks,
                b'r' => count.running,
                b'p' => count.pending,
                b's' => count.suspended,
                b'e' => count.size,
                b'a' => count.threads,
                other => raise_byte(L, DIRECT, c"bad option", other),
            };
            ffi::lua_pushinteger(L, number as ffi::lua_Integer);
        }
        len as c_int
    }
}

/// `dostring(pool, chunk [, chunkname [, mode, ...]])` → true; or false, message
unsafe extern "C-unwind" fn do_string(L: *mut lua_State) -> c_int {
    // SAFETY: arguments are checked.
    unsafe {
        let state = StateRef::of(L);
        let object = check(L, state);
        check_text(L, 2);
        add(L, state, object, Source::from_text, 5)
    }
}

/// `dofile(pool, filepath [, mode, ...])` → true; or false, message
unsafe extern "C-unwind" fn do_file(L: *mut lua_State) -> c_int {
    // SAFETY: arguments are checked.
    unsafe {
        let state = StateRef::of(L);
        let object = check(L, state);
        check_file(L, 2);
        add(L, state, object, Source::from_file, 4)
    }
}

/// Adds a task. Its chunk is at argument 2, its own arguments begin at `first`.
unsafe fn add(
    L: *mut lua_State,
    state: StateRef,
    object: *mut Object,
    source: unsafe fn(*mut lua_State, c_int) -> Source,
    first: c_int,
) -> c_int {
    enum Added {
        Yes,
        /// No thread could be started for it.
        Stuck(Error),
        Refused(Refused),
        Failed(Transfer),
    }
    // SAFETY: what has a destructor is not live when something is pushed.
    unsafe {
        ffi::luaL_checkstack(L, 10, std::ptr::null());
        let added = guard(|| {
            let Some(pool) = handle(L, state, object) else { return Added::Failed("closed threads".into()) };
            let new = Independent::create(L, shared(L, state), &source(L, 2), Some(pool.clone()));
            let new = match new {
                Ok(new) => new,
                Err(message) => return Added::Failed(message),
            };
            let values = match Transfer::take(L, first) {
                Ok(values) => values,
                Err(refused) => return Added::Refused(refused),
            };
            match pool.spawn(Task::new(new, values)) {
                Ok(()) => Added::Yes,
                Err(error) => Added::Stuck(system_error(&error)),
            }
        });
        match added {
            Ok(Added::Yes) => {}
            Ok(Added::Stuck(error)) => {
                crate::system::push_message(L, error);
                crate::report::tell(L, c"system.threads");
            }
            Ok(Added::Refused(refused)) => {
                ffi::lua_pushboolean(L, 0);
                refused.push(L, Role::Arguments(first as usize));
                return 2;
            }
            Ok(Added::Failed(message)) => return message.give(L, false),
            Err(panic) => panic.raise(L),
        }
        ffi::lua_pushboolean(L, 1);
        1
    }
}

/// `close(pool)` → true
unsafe extern "C-unwind" fn close(L: *mut lua_State) -> c_int {
    // SAFETY: arguments are checked. Nothing of this state runs while it waits.
    unsafe {
        let state = StateRef::of(L);
        let object = check(L, state);
        let Object { kind, index } = *object;
        object.write(Object { kind: CLOSED, index: 0 });
        if kind == OWNER {
            let closed = guard(|| {
                let pool = state.touch(|state| state.system().related.pools[index as usize].take());
                if let Some(pool) = pool {
                    shared(L, state).keep(pool.close());
                }
            });
            if let Err(panic) = closed {
                panic.raise(L);
            }
        }
        ffi::lua_pushboolean(L, 1);
        1
    }
}
