//! The module `coutil.channel`, and its objects (20 §5).

use super::shared::{Channel, Name, shared};
use super::transfer::{Refused, Role, Transfer, Value, copy, with_owned};
use crate::raw::error::DIRECT;
use crate::raw::{Functions, args, c_int, compat, error, guard, lua_State};
use crate::state::StateRef;
use crate::system::{Class, System, What, check_object, set_class, wait};
use coutil_channel::core::Endpoint;
use coutil_system::core::OpId;
use mlua::ffi;
use std::collections::HashSet;
use std::ffi::CStr;

pub(crate) const FUNCTIONS: Functions<'_> = &[
    (c"create", create),
    (c"close", close),
    (c"getname", get_name),
    (c"getnames", get_names),
    (c"sync", sync),
];

pub(crate) const METAMETHODS: Functions<'_> = &[(c"__gc", release), (c"__close", release)];

/// The contents of the userdata: nothing. It names an [`Open`] by its address.
pub(crate) type Object = u64;

/// A channel object that is open.
pub(crate) struct Open {
    pub(crate) channel: Channel,
    /// The wait on it, if there is one; see [`is_in_use`].
    pub(crate) op: OpId,
    pub(crate) lingers: Option<Lingers>,
}

/// A wait that was matched, and then ended by somebody else: the object is in use until the loop comes to it (20 §5.14).
#[derive(Clone, Copy)]
pub(crate) struct Lingers {
    thread: *mut lua_State,
    pass: u64,
    round: u64,
}

/// Whether a wait on an object is pending. The coroutine `thread` may wait again although its former wait lingers.
pub(crate) fn is_in_use(system: &System, object: usize, thread: *mut lua_State) -> bool {
    let Some(open) = system.related.channels.get(&object) else { return false };
    let waits = system
        .core
        .waiter(open.op)
        .is_some_and(|waiter| matches!(waiter.what, What::Channel { object: other } if other == object));
    let lingers = open.lingers.is_some_and(|lingers| {
        lingers.thread != thread && lingers.pass == system.pass() && lingers.round == system.related.round
    });
    waits && !system.core.is_held(open.op) || lingers
}

/// A wait that was matched is ended by somebody else.
pub(crate) fn linger(system: &mut System, object: usize, thread: *mut lua_State) {
    let (pass, round) = (system.pass(), system.related.round);
    if let Some(open) = system.related.channels.get_mut(&object) {
        open.lingers = Some(Lingers { thread, pass, round });
        // There is a pass that ends it.
        system.core.interrupt();
    }
}

/// The open channel object at `arg`. Raises.
pub(crate) unsafe fn check(L: *mut lua_State, frame: c_int, state: StateRef, arg: c_int) -> usize {
    // SAFETY: arguments are checked.
    unsafe {
        let object = check_object::<Object>(L, frame, state, arg, Class::Channel) as usize;
        let is_open = state.touch(|state| {
            let system = state.system();
            system.leave_relatives();
            system.related.channels.contains_key(&object)
        });
        if !is_open {
            args::bad(L, frame, arg, c"closed channel");
        }
        object
    }
}

/// An endpoint by its name.
pub(crate) fn endpoint(name: &CStr) -> Option<Endpoint> {
    match name.to_bytes() {
        b"in" => Some(Endpoint::In),
        b"out" => Some(Endpoint::Out),
        b"any" => Some(Endpoint::Any),
        _ => None,
    }
}

/// The endpoint at argument 2. Raises.
pub(crate) unsafe fn check_endpoint(L: *mut lua_State, frame: c_int) -> Endpoint {
    // SAFETY: strings of Lua end with a NUL. The message has no position (20 §2.8).
    unsafe {
        if args::is_absent(L, 2) {
            return Endpoint::Any;
        }
        let text = CStr::from_ptr(args::check_string(L, frame, 2).0.cast());
        match endpoint(text) {
            Some(endpoint) => endpoint,
            None => {
                ffi::lua_pushfstring(L, c"bad argument #2 (invalid option '%s')".as_ptr(), text.as_ptr());
                ffi::lua_error(L)
            }
        }
    }
}

/// Raises that an argument cannot cross, without a position (20 §2.8).
pub(crate) unsafe fn raise_refused(L: *mut lua_State, refused: Refused) -> ! {
    // SAFETY: as the callees.
    unsafe {
        refused.push(L, Role::Arguments(3));
        ffi::lua_error(L)
    }
}

/// `create(name)` → channel
unsafe extern "C-unwind" fn create(L: *mut lua_State) -> c_int {
    // SAFETY: arguments are checked. The object is closed until it is in the table.
    unsafe {
        let state = StateRef::of(L);
        let (name, len) = args::check_string(L, DIRECT, 1);
        let object = compat::new_userdata(L, size_of::<Object>()) as usize;
        set_class(L, Class::Channel);
        let made = guard(|| {
            let Some(name) = copy(std::slice::from_raw_parts(name, len)) else { return false };
            let channel = shared(L, state).channels.open(name);
            let open = Open { channel, op: OpId::NONE, lingers: None };
            state.touch(|state| state.system().related.channels.insert(object, open));
            true
        });
        match made {
            Ok(true) => 1,
            Ok(false) => error::raise_text(L, DIRECT, c"not enough memory"),
            Err(panic) => panic.raise(L),
        }
    }
}

/// `close(ch)` → boolean
unsafe extern "C-unwind" fn close(L: *mut lua_State) -> c_int {
    // SAFETY: arguments are checked.
    unsafe {
        let state = StateRef::of(L);
        let object = check_object::<Object>(L, DIRECT, state, 1, Class::Channel) as usize;
        state.touch(|state| state.system().leave_relatives());
        if state.touch(|state| is_in_use(state.system(), object, std::ptr::null_mut())) {
            args::bad(L, DIRECT, 1, c"in use");
        }
        let open = state.touch(|state| state.system().related.channels.remove(&object));
        let was_open = open.is_some();
        let _ = guard(|| drop(open));
        ffi::lua_pushboolean(L, was_open.into());
        1
    }
}

/// `__gc` and `__close`: a wait on it is cancelled (20 §5.4.5).
unsafe extern "C-unwind" fn release(L: *mut lua_State) -> c_int {
    // SAFETY: only an object of the class is looked for.
    unsafe {
        let Some(state) = StateRef::of_finalizer(L) else { return 0 };
        let Some(object) = crate::system::to_object::<Object>(L, state, 1, Class::Channel) else { return 0 };
        let object = object as usize;
        let waits = state.touch(|state| {
            let system = state.system();
            system.leave_relatives();
            system.related.channels.get_mut(&object)?.lingers = None;
            let op = system.related.channels.get(&object)?.op;
            is_in_use(system, object, std::ptr::null_mut()).then_some(op)
        });
        if let Some(op) = waits {
            wait::cancel(L, state, op);
        }
        let open = state.touch(|state| state.system().related.channels.remove(&object));
        let _ = guard(|| drop(open));
        0
    }
}

/// `getname(ch)` → name
unsafe extern "C-unwind" fn get_name(L: *mut lua_State) -> c_int {
    unsafe extern "C-unwind" fn push(L: *mut lua_State) -> c_int {
        // SAFETY: called below.
        unsafe {
            (*ffi::lua_touserdata(L, 1).cast::<Value>()).push(L);
            1
        }
    }
    // SAFETY: arguments are checked. The name is copied, as a finalizer may close the channel.
    unsafe {
        let state = StateRef::of(L);
        let object = check(L, DIRECT, state, 1);
        let name = state.touch(|state| {
            state.system().related.channels.get(&object).map(|open| open.channel.name().clone())
        });
        with_owned(L, Value::String(name.unwrap_or_default()), push)
    }
}

/// `getnames([names])` → names
unsafe extern "C-unwind" fn get_names(L: *mut lua_State) -> c_int {
    unsafe extern "C-unwind" fn push(L: *mut lua_State) -> c_int {
        // SAFETY: called below.
        unsafe {
            let names = ffi::lua_touserdata(L, 1).cast::<HashSet<Name>>();
            ffi::lua_createtable(L, 0, (*names).len() as c_int);
            let names: *const HashSet<Name> = names;
            for name in &*names {
                ffi::lua_pushlstring(L, name.as_ptr().cast(), name.len());
                ffi::lua_pushboolean(L, 1);
                ffi::lua_rawset(L, -3);
            }
            1
        }
    }
    // SAFETY: arguments are checked. Keys are not converted; to change the value of a key that exists allocates nothing.
    unsafe {
        let state = StateRef::of(L);
        let given = !args::is_absent(L, 1);
        if given && ffi::lua_type(L, 1) != ffi::LUA_TTABLE {
            error::type_error(L, DIRECT, 1, c"table");
        }
        let names: Result<HashSet<Name>, _> =
            guard(|| shared(L, state).channels.names().into_iter().collect());
        let names = match names {
            Ok(names) => names,
            Err(panic) => panic.raise(L),
        };
        if !given {
            return with_owned(L, names, push);
        }
        ffi::lua_settop(L, 1);
        ffi::lua_pushnil(L);
        while ffi::lua_next(L, 1) != 0 {
            ffi::lua_pop(L, 1);
            if ffi::lua_type(L, -1) == ffi::LUA_TSTRING {
                let mut len = 0;
                let name = ffi::lua_tolstring(L, -1, &mut len).cast::<u8>();
                let exists = names.contains(std::slice::from_raw_parts(name, len));
                ffi::lua_pushvalue(L, -1);
                if exists {
                    ffi::lua_pushboolean(L, 1);
                } else {
                    ffi::lua_pushnil(L);
                }
                ffi::lua_rawset(L, 1);
            }
        }
        1
    }
}

/// `sync(ch [, endpoint, ...])` → true, ...; or false, `empty`
unsafe extern "C-unwind" fn sync(L: *mut lua_State) -> c_int {
    enum Met {
        Yes(Transfer),
        No,
        Refused(Refused),
    }
    // SAFETY: arguments are checked. The channel is not closed while the exchange is made, which calls nothing of this state.
    unsafe {
        let state = StateRef::of(L);
        let object = check(L, DIRECT, state, 1);
        let endpoint = check_endpoint(L, DIRECT);
        let met = guard(|| {
            let values = match Transfer::take(L, 3) {
                Ok(values) => values,
                Err(refused) => return Met::Refused(refused),
            };
            let channel = state.touch(|state| {
                state.system().related.channels.get(&object).map(|open| &raw const open.channel)
            });
            match channel.map(|channel| (*channel).try_exchange(endpoint, values)) {
                Some(Ok(values)) => Met::Yes(values),
                _ => Met::No,
            }
        });
        match met {
            Ok(Met::Yes(values)) => values.give(L, true),
            Ok(Met::No) => {
                ffi::lua_pushboolean(L, 0);
                ffi::lua_pushstring(L, c"empty".as_ptr());
                2
            }
            Ok(Met::Refused(refused)) => raise_refused(L, refused),
            Err(panic) => panic.raise(L),
        }
    }
}
