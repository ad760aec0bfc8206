//! Rust values that have to survive calls of Lua, which may raise: each belongs to a userdata on the stack, and is dropped with
//! it at the latest.
//!
//! The value itself is kept here, under the address of the userdata: so nothing depends on what is in that.

use super::{Class, System, set_class};
use crate::raw::{Functions, c_int, compat, guard, lua_State};
use crate::state::StateRef;
use coutil_system::Result;
use mlua::ffi;
use rustc_hash::FxHashMap;
use std::any::Any;

pub(crate) const METAMETHODS: Functions<'_> = &[(c"__gc", collect)];

/// Names a value.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Key(usize);

#[derive(Default)]
pub(crate) struct Held(FxHashMap<Key, Box<dyn Any + Send>>);

impl System {
    pub(crate) fn hold<T: Any + Send>(&mut self, key: Key, value: T) {
        self.held.0.insert(key, Box::new(value));
    }

    /// The value of that key. It stays where it is until it is taken.
    pub(crate) fn held<T: Any>(&mut self, key: Key) -> Option<&mut T> {
        self.held.0.get_mut(&key)?.downcast_mut()
    }

    pub(crate) fn take_held<T: Any>(&mut self, key: Key) -> Option<Box<T>> {
        self.held.0.remove(&key)?.downcast().ok()
    }
}

/// Pushes a userdata that a value is going to belong to. [-0, +1] Raises for memory.
pub(crate) unsafe fn push(L: *mut lua_State) -> Key {
    // SAFETY: its contents are never looked at.
    unsafe {
        let address = compat::new_userdata(L, 1);
        set_class(L, Class::Held);
        Key(address as usize)
    }
}

/// Drops a value before its userdata is collected.
pub(crate) unsafe fn drop_held(state: StateRef, key: Key) {
    // SAFETY: it is dropped while nothing is borrowed.
    unsafe {
        let value = state.touch(|state| state.system().held.0.remove(&key));
        let _ = guard(|| drop(value));
    }
}

unsafe extern "C-unwind" fn collect(L: *mut lua_State) -> c_int {
    // SAFETY: any value may be given, also after the state was closed: only its address counts.
    unsafe {
        if let Some(state) = StateRef::of_finalizer(L) {
            drop_held(state, Key(ffi::lua_touserdata(L, 1) as usize));
        }
        0
    }
}

/// Pushes a string that `make` makes. [-0, +1 if it is made] Raises for memory.
pub(crate) unsafe fn push_bytes(
    L: *mut lua_State,
    state: StateRef,
    make: impl FnOnce() -> Result<Vec<u8>>,
) -> Result<()> {
    // SAFETY: the bytes are held while Lua copies them.
    unsafe {
        let key = push(L);
        let made = state.with(L, |state| {
            let bytes = make()?;
            let span = (bytes.as_ptr(), bytes.len());
            state.system().hold(key, bytes);
            Ok(span)
        });
        if let Ok((bytes, len)) = made {
            ffi::lua_pushlstring(L, bytes.cast(), len);
            drop_held(state, key);
            ffi::lua_remove(L, -2);
            return Ok(());
        }
        ffi::lua_pop(L, 1);
        made.map(|_| ())
    }
}
