//! The two representations of memories, which are a contract with C code: a memory is a full userdata whose metatable
//! is one of two fields of the registry.
//!
//! - `char[]`: the userdata holds the bytes and nothing else;
//! - `luamem_Ref`: the userdata holds a [`Ref`], the storage belongs to whoever set its `unref`.

use super::range::Span;
use crate::raw::error::{DIRECT, raise_text, type_error};
use crate::raw::{c_int, lua_State};
use mlua::ffi;
use std::ffi::{CStr, c_void};
use std::ptr;

/// Releases the storage of a [`Ref`].
pub(crate) type Unref = unsafe extern "C-unwind" fn(*mut lua_State, *mut c_void, usize);

/// The contents of a `luamem_Ref`.
#[repr(C)]
#[derive(Clone, Copy)]
pub(crate) struct Ref {
    /// The bytes. May be null while `len` is 0.
    pub(crate) mem: *mut u8,
    pub(crate) len: usize,
    /// None: nobody releases the storage.
    pub(crate) unref: Option<Unref>,
}

/// Which of the two representations.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Class {
    Fixed,
    Ref,
}

/// What a memory is to this library.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Does not change its size, nor its place.
    Fixed,
    /// Its storage is ours.
    Resizable,
    /// Its storage belongs to C code, or it was closed.
    Other,
}

impl Class {
    /// The field of the registry, and the `__name`.
    pub(crate) fn name(self) -> &'static CStr {
        match self {
            Self::Fixed => c"char[]",
            Self::Ref => c"luamem_Ref",
        }
    }
}

/// Pushes the metatable of a class, which it creates if it is not there. [-0, +1] Raises for memory.
///
/// It finishes one that C code made: `luaL_newmetatable` of 5.1 and 5.2 sets no `__name`, and there may be no `__gc`.
pub(crate) unsafe fn push_metatable(L: *mut lua_State, class: Class) {
    // SAFETY: the table stays on the top; one more slot is used.
    unsafe {
        ffi::luaL_newmetatable(L, class.name().as_ptr());
        if ffi::lua_istable(L, -1) == 0 {
            raise_text(L, DIRECT, c"bad metatable of memories in the registry");
        }
        if lacks(L, c"__name") {
            ffi::lua_pushstring(L, class.name().as_ptr());
            ffi::lua_setfield(L, -2, c"__name".as_ptr());
        }
        if class == Class::Ref {
            for event in [c"__gc", c"__close"] {
                if lacks(L, event) {
                    ffi::lua_pushcfunction(L, close);
                    ffi::lua_setfield(L, -2, event.as_ptr());
                }
            }
        }
    }
}

/// Whether the table on the top lacks a field. [-0, +0]
unsafe fn lacks(L: *mut lua_State, field: &CStr) -> bool {
    // SAFETY: a table is on the top.
    unsafe {
        ffi::lua_getfield(L, -1, field.as_ptr());
        let absent = ffi::lua_isnil(L, -1) != 0;
        ffi::lua_pop(L, 1);
        absent
    }
}

/// Recognizes a memory. [-0, +0], three slots. It does not matter who made it, nor whether the module was opened.
unsafe fn class(L: *mut lua_State, idx: c_int) -> Option<Class> {
    // SAFETY: any value or none may stand at `idx`; what is pushed is popped.
    unsafe {
        if ffi::lua_type(L, idx) != ffi::LUA_TUSERDATA {
            return None;
        }
        let idx = ffi::lua_absindex(L, idx);
        if ffi::lua_getmetatable(L, idx) == 0 {
            return None;
        }
        let mut found = None;
        for class in [Class::Fixed, Class::Ref] {
            ffi::lua_getfield(L, ffi::LUA_REGISTRYINDEX, class.name().as_ptr());
            let same = ffi::lua_rawequal(L, -1, -2) != 0;
            ffi::lua_pop(L, 1);
            if same {
                found = Some(class);
                break;
            }
        }
        ffi::lua_pop(L, 1);
        // `debug.setmetatable` can put the metatable on anything.
        if found == Some(Class::Ref) && ffi::lua_rawlen(L, idx) < size_of::<Ref>() {
            return None;
        }
        found
    }
}

/// The `Ref` of a `luamem_Ref`. [-0, +0], three slots.
pub(super) unsafe fn as_ref(L: *mut lua_State, idx: c_int) -> Option<*mut Ref> {
    // SAFETY: as `class`; the block of a userdata is aligned for any C type.
    unsafe { (class(L, idx)? == Class::Ref).then(|| ffi::lua_touserdata(L, idx).cast()) }
}

/// Which kind of memory it is, if it is one. [-0, +0], three slots.
pub(crate) unsafe fn kind(L: *mut lua_State, idx: c_int) -> Option<Kind> {
    // SAFETY: as `as_ref`.
    unsafe {
        match class(L, idx)? {
            Class::Fixed => Some(Kind::Fixed),
            Class::Ref if is_ours(ffi::lua_touserdata(L, idx).cast()) => Some(Kind::Resizable),
            Class::Ref => Some(Kind::Other),
        }
    }
}

/// A memory that was recognized. It is valid as long as its value is on the stack, whatever code runs meanwhile: neither
/// the block of a userdata moves, nor does another metatable change it.
#[derive(Clone, Copy)]
pub(crate) enum Memory {
    Fixed(*mut u8, usize),
    Ref(*const Ref),
}

impl Memory {
    /// The memory at `idx`. [-0, +0], three slots.
    pub(crate) unsafe fn find(L: *mut lua_State, idx: c_int) -> Option<Self> {
        // SAFETY: as `as_ref`.
        unsafe {
            let class = class(L, idx)?;
            let block = ffi::lua_touserdata(L, idx);
            Some(match class {
                Class::Fixed => Self::Fixed(block.cast(), ffi::lua_rawlen(L, idx)),
                Class::Ref => Self::Ref(block.cast()),
            })
        }
    }

    /// Its bytes, as they are now: see [`as_memory`].
    pub(crate) unsafe fn bytes(self) -> (*mut u8, usize) {
        match self {
            Self::Fixed(bytes, len) => (bytes, len),
            Self::Ref(memory) => {
                // SAFETY: the caller vouches for the value.
                let Ref { mem, len, .. } = unsafe { *memory };
                if mem.is_null() { (ptr::dangling_mut(), 0) } else { (mem, len) }
            }
        }
    }
}

/// The bytes of a memory. [-0, +0], three slots. The pointer is not null, and valid until Lua is called in a way that
/// may run other code; for a fixed memory, as long as the memory lives.
pub(crate) unsafe fn as_memory(L: *mut lua_State, idx: c_int) -> Option<(*mut u8, usize)> {
    // SAFETY: as `as_ref`.
    unsafe { Memory::find(L, idx).map(|memory| memory.bytes()) }
}

/// The bytes of a memory or a string, or of a number, which is converted in place. [-0, +0], three slots. The pointer
/// is as that of [`as_memory`]. The conversion may run finalizers: fetch the other arrays again after it. Raises for
/// memory.
pub(crate) unsafe fn as_array(L: *mut lua_State, idx: c_int) -> Option<(*const u8, usize)> {
    // SAFETY: as `as_memory`; `len` is written when the pointer is not null.
    unsafe {
        match ffi::lua_type(L, idx) {
            ffi::LUA_TSTRING | ffi::LUA_TNUMBER => {
                let mut len = 0;
                let text = ffi::lua_tolstring(L, idx, &mut len);
                Some((text.cast(), len))
            }
            ffi::LUA_TUSERDATA => as_memory(L, idx).map(|(bytes, len)| (bytes.cast_const(), len)),
            _ => None,
        }
    }
}

/// As [`as_memory`], or raises `memory expected, got T`.
pub(crate) unsafe fn check_memory(L: *mut lua_State, frame: c_int, arg: c_int) -> (*mut u8, usize) {
    // SAFETY: as `as_memory`.
    unsafe {
        match as_memory(L, arg) {
            Some(memory) => memory,
            None => type_error(L, frame, arg, c"memory"),
        }
    }
}

/// As [`as_array`], or raises `string or memory expected, got T`.
pub(crate) unsafe fn check_array(L: *mut lua_State, frame: c_int, arg: c_int) -> (*const u8, usize) {
    // SAFETY: as `as_array`.
    unsafe {
        match as_array(L, arg) {
            Some(array) => array,
            None => type_error(L, frame, arg, c"string or memory"),
        }
    }
}

/// The bytes of a memory that was checked before; none if it is no memory any more.
pub(super) unsafe fn memory(L: *mut lua_State, idx: c_int) -> (*mut u8, usize) {
    // SAFETY: as `as_memory`.
    unsafe { as_memory(L, idx) }.unwrap_or((ptr::dangling_mut(), 0))
}

/// The bytes of an array that was checked before; none if it is no array any more.
pub(super) unsafe fn array(L: *mut lua_State, idx: c_int) -> (*const u8, usize) {
    // SAFETY: as `as_array`.
    unsafe { as_array(L, idx) }.unwrap_or((ptr::dangling(), 0))
}

/// Pushes a fixed memory of `len` bytes, and returns its bytes, which the caller has to initialize. [-0, +1] Raises for
/// memory. May run finalizers.
pub(crate) unsafe fn push_fixed(L: *mut lua_State, len: usize) -> *mut u8 {
    // SAFETY: the userdata is below the metatable.
    unsafe {
        let block = new_userdata(L, len);
        push_metatable(L, Class::Fixed);
        ffi::lua_setmetatable(L, -2);
        block.cast()
    }
}

/// Pushes an empty resizable memory. [-0, +1] Raises for memory. May run finalizers.
pub(super) unsafe fn push_resizable(L: *mut lua_State) {
    // SAFETY: the block is as large as a `Ref`; it is complete before it gets a finalizer.
    unsafe {
        let block = new_userdata(L, size_of::<Ref>()).cast::<Ref>();
        block.write(Ref { mem: ptr::null_mut(), len: 0, unref: Some(UNREF) });
        push_metatable(L, Class::Ref);
        ffi::lua_setmetatable(L, -2);
    }
}

/// Pushes a userdata without user values, as the contract with C code demands. [-0, +1] Raises for memory.
unsafe fn new_userdata(L: *mut lua_State, len: usize) -> *mut c_void {
    // SAFETY: any length may be asked for.
    unsafe {
        // Beyond this LuaJIT speaks of its own limit.
        #[cfg(feature = "luajit")]
        if len > 0x7fff_ff00 {
            ffi::lua_pushstring(L, c"not enough memory".as_ptr());
            ffi::lua_error(L);
        }
        crate::raw::compat::new_userdata(L, len)
    }
}

/// The owner of our storage is told by this value. A static has one address for `release`, however often it is compiled.
static UNREF: Unref = release;

/// Whether the storage of a `Ref` is ours. The pointer is valid.
unsafe fn is_ours(memory: *const Ref) -> bool {
    // SAFETY: as the caller says.
    unsafe { (*memory).unref }.is_some_and(|unref| ptr::fn_addr_eq(unref, UNREF))
}

/// Our storage comes from the allocator of the state, so that the limits of a host apply to it.
unsafe extern "C-unwind" fn release(L: *mut lua_State, mem: *mut c_void, len: usize) {
    // SAFETY: `reallocate` got the block from the same allocator.
    unsafe { reallocate(L, mem.cast(), len, 0) };
}

/// Changes the size of a block: from nothing if `old` is 0, to nothing if `new` is 0. Null if that failed, and then the
/// block is as it was. Runs no Lua code.
unsafe fn reallocate(L: *mut lua_State, block: *mut u8, old: usize, new: usize) -> *mut u8 {
    // SAFETY: the allocator gets what it gave.
    unsafe {
        let mut data = ptr::null_mut();
        let allocate = ffi::lua_getallocf(L, &mut data);
        allocate(data, block.cast(), old, new).cast()
    }
}

/// What became of a [`resize`].
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Resized {
    /// The bytes in the span are new, and not initialized.
    New(Span),
    NotResizable,
    NoMemory,
}

/// Gives a resizable memory another size, and keeps the bytes that fit. Runs no Lua code. [-0, +0], three slots.
pub(super) unsafe fn resize(L: *mut lua_State, idx: c_int, len: usize) -> Resized {
    // SAFETY: `memory` stays valid, as nothing here can collect it.
    unsafe {
        let Some(memory) = as_ref(L, idx).filter(|memory| is_ours(*memory)) else {
            return Resized::NotResizable;
        };
        let old = (*memory).len;
        if len != old {
            let block = reallocate(L, (*memory).mem, old, len);
            if block.is_null() && len != 0 {
                return Resized::NoMemory;
            }
            (*memory).mem = if len == 0 { ptr::null_mut() } else { block };
            (*memory).len = len;
        }
        Resized::New(Span { start: old, len: len.saturating_sub(old) })
    }
}

/// `__gc` and `__close`. Anybody can call it with anything, so it checks.
unsafe extern "C-unwind" fn close(L: *mut lua_State) -> c_int {
    // SAFETY: `unref` is called once for the block, as the fields are cleared before: it may run code that comes back.
    unsafe {
        if let Some(memory) = as_ref(L, 1) {
            let Ref { mem, len, unref } = *memory;
            if len != 0 {
                *memory = Ref { mem: ptr::null_mut(), len: 0, unref: None };
                if let Some(unref) = unref {
                    unref(L, mem.cast(), len);
                }
            }
        }
        0
    }
}
