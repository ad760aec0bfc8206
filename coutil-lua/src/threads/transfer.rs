//! Values on their way between states: owned copies, which belong to none (20 §2).

use crate::raw::{c_int, lua_State};
use mlua::ffi;
use std::ffi::CStr;

/// A value that can cross.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Value {
    Nil,
    Boolean(bool),
    #[cfg(any(feature = "lua53", feature = "lua54", feature = "lua55"))]
    Integer(ffi::lua_Integer),
    Number(f64),
    String(Box<[u8]>),
    /// The address of a light userdata: it is only copied.
    Light(usize),
}

/// Why values do not cross.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    /// The value at that index, from 1, is of a type that cannot.
    Type(usize, c_int),
    Memory,
}

/// `not enough memory`
pub(crate) const MEMORY: &CStr = c"not enough memory";
/// More values than a stack can have.
pub(crate) const TOO_MANY: &CStr = c"stack overflow (too many values)";

/// What refused values are called in messages.
#[derive(Clone, Copy)]
pub(crate) enum Role {
    /// Arguments, of which the first has this number.
    Arguments(usize),
    Results,
    Error,
}

impl Refused {
    /// Pushes the message (20 §2.4). [-0, +1] Raises for memory.
    pub(crate) unsafe fn push(self, L: *mut lua_State, role: Role) {
        // SAFETY: the names of types are static.
        unsafe {
            match (self, role) {
                (Self::Memory, _) => {
                    ffi::lua_pushstring(L, MEMORY.as_ptr());
                }
                (Self::Type(index, kind), Role::Arguments(first)) => {
                    let text = c"unable to transfer argument #%d (got %s)".as_ptr();
                    ffi::lua_pushfstring(L, text, (index + first - 1) as c_int, type_name(L, kind));
                }
                (Self::Type(index, kind), Role::Results) => {
                    let text = c"unable to transfer return value #%d (got %s)".as_ptr();
                    ffi::lua_pushfstring(L, text, index as c_int, type_name(L, kind));
                }
                (Self::Type(_, kind), Role::Error) => {
                    let text = c"unable to transfer error (got %s)".as_ptr();
                    ffi::lua_pushfstring(L, text, type_name(L, kind));
                }
            }
        }
    }
}

unsafe fn type_name(L: *mut lua_State, kind: c_int) -> *const std::ffi::c_char {
    // SAFETY: only tables, functions, threads, userdata, and what LuaJIT has besides.
    unsafe { ffi::lua_typename(L, kind) }
}

/// Bytes of their own. `None` for lack of memory.
pub(crate) fn copy(bytes: &[u8]) -> Option<Box<[u8]>> {
    let mut copy = Vec::new();
    copy.try_reserve_exact(bytes.len()).ok()?;
    copy.extend_from_slice(bytes);
    Some(copy.into_boxed_slice())
}

impl Value {
    /// Copies the value at `index`. Never raises.
    pub(crate) unsafe fn take(L: *mut lua_State, index: c_int) -> Result<Self, Refused> {
        // SAFETY: a string is not converted, and lives while it is copied.
        unsafe {
            Ok(match ffi::lua_type(L, index) {
                ffi::LUA_TNIL | ffi::LUA_TNONE => Self::Nil,
                ffi::LUA_TBOOLEAN => Self::Boolean(ffi::lua_toboolean(L, index) != 0),
                #[cfg(any(feature = "lua53", feature = "lua54", feature = "lua55"))]
                ffi::LUA_TNUMBER if ffi::lua_isinteger(L, index) != 0 => {
                    Self::Integer(ffi::lua_tointeger(L, index))
                }
                ffi::LUA_TNUMBER => Self::Number(ffi::lua_tonumber(L, index)),
                ffi::LUA_TSTRING => {
                    let mut len = 0;
                    let bytes = ffi::lua_tolstring(L, index, &mut len).cast::<u8>();
                    Self::String(copy(std::slice::from_raw_parts(bytes, len)).ok_or(Refused::Memory)?)
                }
                ffi::LUA_TLIGHTUSERDATA => Self::Light(ffi::lua_touserdata(L, index) as usize),
                kind => return Err(Refused::Type(1, kind)),
            })
        }
    }

    /// Pushes it. [-0, +1] Raises for memory if it is a string. Nothing of it is live in this frame when it does.
    pub(crate) unsafe fn push(&self, L: *mut lua_State) {
        // SAFETY: Lua copies the bytes.
        unsafe {
            match *self {
                Self::Nil => ffi::lua_pushnil(L),
                Self::Boolean(value) => ffi::lua_pushboolean(L, value.into()),
                #[cfg(any(feature = "lua53", feature = "lua54", feature = "lua55"))]
                Self::Integer(value) => ffi::lua_pushinteger(L, value),
                Self::Number(value) => ffi::lua_pushnumber(L, value),
                Self::String(ref bytes) => {
                    ffi::lua_pushlstring(L, bytes.as_ptr().cast(), bytes.len());
                }
                Self::Light(address) => ffi::lua_pushlightuserdata(L, address as *mut std::ffi::c_void),
            }
        }
    }
}

/// Values that cross together. Their number is kept, whatever they are.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Transfer {
    values: Vec<Value>,
}

impl Transfer {
    /// Copies the values from index `first` to the top, all or none. Never raises.
    pub(crate) unsafe fn take(L: *mut lua_State, first: c_int) -> Result<Self, Refused> {
        // SAFETY: as `Value::take`.
        unsafe {
            let count = usize::try_from(ffi::lua_gettop(L) - first + 1).unwrap_or(0);
            let mut values = Vec::new();
            values.try_reserve_exact(count).map_err(|_| Refused::Memory)?;
            for position in 0..count {
                // Counted from the top: what a coroutine left may be more than the room that its frame asked for.
                let value =
                    Value::take(L, position as c_int - count as c_int).map_err(|refused| match refused {
                        Refused::Type(_, kind) => Refused::Type(position + 1, kind),
                        Refused::Memory => Refused::Memory,
                    })?;
                values.push(value);
            }
            Ok(Self { values })
        }
    }

    /// The first one.
    pub(crate) fn into_first(self) -> Value {
        self.values.into_iter().next().unwrap_or(Value::Nil)
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.values.len()
    }

    /// Whether to push them raises nothing, if there is room: they are few, and none is a string.
    pub(crate) fn is_plain(&self) -> bool {
        self.len() < 16 && !self.values.iter().any(|value| matches!(value, Value::String(_)))
    }

    /// Pushes them. [-0, +len], for which there is room. Raises for memory.
    pub(crate) unsafe fn push(&self, L: *mut lua_State) {
        // SAFETY: as `Value::push`.
        unsafe { self.values.iter().for_each(|value| value.push(L)) }
    }

    /// Pushes `success` and the values; or `false` and why there is no room for them. Returns how many that are. Raises for
    /// memory.
    pub(crate) unsafe fn push_results(&self, L: *mut lua_State, success: bool) -> c_int {
        // SAFETY: the room is made first.
        unsafe {
            let count = c_int::try_from(self.len()).unwrap_or(c_int::MAX - 10);
            if ffi::lua_checkstack(L, count + 5) == 0 {
                ffi::lua_pushboolean(L, 0);
                ffi::lua_pushstring(L, TOO_MANY.as_ptr());
                return 2;
            }
            ffi::lua_pushboolean(L, success.into());
            self.push(L);
            count + 1
        }
    }

    /// As [`push_results`](Self::push_results), of values that end with this call, also if it raises.
    pub(crate) unsafe fn give(self, L: *mut lua_State, success: bool) -> c_int {
        unsafe extern "C-unwind" fn push(L: *mut lua_State) -> c_int {
            // SAFETY: called by `with_owned`.
            unsafe {
                let results = ffi::lua_touserdata(L, 1).cast::<(Transfer, bool)>();
                (*results).0.push_results(L, (*results).1)
            }
        }
        // SAFETY: where nothing raises there is no need of protection.
        unsafe {
            if self.is_plain() { self.push_results(L, success) } else { with_owned(L, (self, success), push) }
        }
    }
}

impl From<Value> for Transfer {
    fn from(value: Value) -> Self {
        Self { values: vec![value] }
    }
}

impl From<&str> for Transfer {
    fn from(text: &str) -> Self {
        Value::String(text.as_bytes().into()).into()
    }
}

/// Calls `push` with a light userdata, the address of `data`, and returns the number of its results, which are on the top.
/// `data` is dropped when the call is over, also if it raises, which this does then.
pub(crate) unsafe fn with_owned<T>(
    L: *mut lua_State,
    data: T,
    push: unsafe extern "C-unwind" fn(*mut lua_State) -> c_int,
) -> c_int {
    // SAFETY: while Lua is called the data is in no frame.
    unsafe {
        let top = ffi::lua_gettop(L);
        let data = Box::into_raw(Box::new(data));
        ffi::lua_pushcfunction(L, push);
        ffi::lua_pushlightuserdata(L, data.cast());
        let status = ffi::lua_pcall(L, 1, ffi::LUA_MULTRET, 0);
        drop(Box::from_raw(data));
        if status != ffi::LUA_OK {
            ffi::lua_error(L);
        }
        ffi::lua_gettop(L) - top
    }
}
