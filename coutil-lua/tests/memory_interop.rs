//! Memories that C code makes and sees: the representation in section 6 of the contract of `memory`.

#![cfg(feature = "vendored")]
#![allow(non_snake_case)]

use mlua::{Lua, Result, ffi};
use std::cell::Cell;
use std::ffi::{c_int, c_void};
use std::ptr;
use std::sync::Mutex;

type Unref = unsafe extern "C-unwind" fn(*mut ffi::lua_State, *mut c_void, usize);

/// What C code keeps in a `luamem_Ref`.
#[repr(C)]
struct Ref {
    mem: *mut u8,
    len: usize,
    unref: Option<Unref>,
}

thread_local! {
    /// How many blocks of this file were released, and how many bytes.
    static RELEASED: Cell<(usize, usize)> = const { Cell::new((0, 0)) };
}

/// A release function that is not that of the library.
unsafe extern "C-unwind" fn release(_: *mut ffi::lua_State, mem: *mut c_void, len: usize) {
    // SAFETY: `block` made it.
    drop(unsafe { Box::from_raw(ptr::slice_from_raw_parts_mut(mem.cast::<u8>(), len)) });
    let (blocks, bytes) = RELEASED.get();
    RELEASED.set((blocks + 1, bytes + len));
}

/// Storage that does not belong to Lua. What nobody releases, as Lua finalizes nothing that was made before there was a finalizer, is
/// known here, so that it does not count as lost.
fn block(contents: &[u8]) -> *mut u8 {
    static KNOWN: Mutex<Vec<usize>> = Mutex::new(Vec::new());
    let block = Box::into_raw(Box::<[u8]>::from(contents)).cast();
    KNOWN.lock().unwrap().push(block as usize);
    block
}

/// A new metatable like that of a C library that knows only the names. [-0, +1]
unsafe fn push_metatable(L: *mut ffi::lua_State) {
    // SAFETY: there is room for it.
    unsafe { ffi::luaL_newmetatable(L, c"luamem_Ref".as_ptr()) };
}

/// `foreign(contents)`: a memory with storage of this file.
unsafe extern "C-unwind" fn foreign(L: *mut ffi::lua_State) -> c_int {
    // SAFETY: the block is as large as a `Ref`, and complete before it has a metatable.
    unsafe {
        let mut len = 0;
        let text = ffi::luaL_checklstring(L, 1, &mut len);
        let memory = ffi::lua_newuserdata(L, size_of::<Ref>()).cast::<Ref>();
        let mem = block(std::slice::from_raw_parts(text.cast(), len));
        memory.write(Ref { mem, len, unref: Some(release) });
        push_metatable(L);
        ffi::lua_setmetatable(L, -2);
        1
    }
}

/// `hollow()`: a memory without bytes and without owner.
unsafe extern "C-unwind" fn hollow(L: *mut ffi::lua_State) -> c_int {
    // SAFETY: as `foreign`.
    unsafe {
        let memory = ffi::lua_newuserdata(L, size_of::<Ref>()).cast::<Ref>();
        memory.write(Ref { mem: ptr::null_mut(), len: 0, unref: None });
        push_metatable(L);
        ffi::lua_setmetatable(L, -2);
        1
    }
}

/// `adopt(m, contents)`: gives a memory other storage, and releases what it had, as owners do.
unsafe extern "C-unwind" fn adopt(L: *mut ffi::lua_State) -> c_int {
    // SAFETY: the tests pass memories with a `Ref`.
    unsafe {
        let memory = &mut *ffi::lua_touserdata(L, 1).cast::<Ref>();
        let mut len = 0;
        let text = ffi::luaL_checklstring(L, 2, &mut len);
        if let Some(unref) = memory.unref {
            unref(L, memory.mem.cast(), memory.len);
        }
        let mem = block(std::slice::from_raw_parts(text.cast(), len));
        *memory = Ref { mem, len, unref: Some(release) };
        0
    }
}

/// `cut(m, len)`: changes the length of a memory that nobody owns or releases.
unsafe extern "C-unwind" fn cut(L: *mut ffi::lua_State) -> c_int {
    // SAFETY: as `adopt`; the tests only shorten.
    unsafe {
        (*ffi::lua_touserdata(L, 1).cast::<Ref>()).len = ffi::lua_tointeger(L, 2) as usize;
        0
    }
}

/// `static_memory()`: a memory whose bytes nobody releases.
unsafe extern "C-unwind" fn static_memory(L: *mut ffi::lua_State) -> c_int {
    // SAFETY: as `foreign`.
    unsafe {
        let memory = ffi::lua_newuserdata(L, size_of::<Ref>()).cast::<Ref>();
        memory.write(Ref { mem: block(b"static"), len: 6, unref: None });
        push_metatable(L);
        ffi::lua_setmetatable(L, -2);
        1
    }
}

/// `look(m)`: what C code sees: the size of the block, `len`, whether `mem` and `unref` are set, the bytes.
unsafe extern "C-unwind" fn look(L: *mut ffi::lua_State) -> c_int {
    // SAFETY: as `adopt`.
    unsafe {
        let Ref { mem, len, unref } = ffi::lua_touserdata(L, 1).cast::<Ref>().read();
        ffi::lua_pushinteger(L, ffi::lua_rawlen(L, 1) as ffi::lua_Integer);
        ffi::lua_pushinteger(L, len as ffi::lua_Integer);
        ffi::lua_pushboolean(L, c_int::from(!mem.is_null()));
        ffi::lua_pushboolean(L, c_int::from(unref.is_some()));
        ffi::lua_pushlstring(L, if len == 0 { c"".as_ptr() } else { mem.cast() }, len);
        5
    }
}

/// `contents(m)`: the whole block of a userdata as a string, and the number of its user values (nil before 5.4).
unsafe extern "C-unwind" fn contents(L: *mut ffi::lua_State) -> c_int {
    // SAFETY: the tests pass userdata.
    unsafe {
        ffi::lua_pushlstring(L, ffi::lua_touserdata(L, 1).cast(), ffi::lua_rawlen(L, 1));
        #[cfg(any(feature = "lua54", feature = "lua55"))]
        {
            let none = ffi::lua_getiuservalue(L, 1, 1) == ffi::LUA_TNONE;
            ffi::lua_pop(L, 1);
            ffi::lua_pushinteger(L, if none { 0 } else { 1 });
        }
        #[cfg(not(any(feature = "lua54", feature = "lua55")))]
        ffi::lua_pushnil(L);
        2
    }
}

/// `released()`: how many blocks of this file were released, and how many bytes, since it was called last.
unsafe extern "C-unwind" fn released(L: *mut ffi::lua_State) -> c_int {
    let (blocks, bytes) = RELEASED.take();
    // SAFETY: there is room for two values.
    unsafe {
        ffi::lua_pushinteger(L, blocks as ffi::lua_Integer);
        ffi::lua_pushinteger(L, bytes as ffi::lua_Integer);
    }
    2
}

/// A state in which C code made its memories before the module was loaded.
fn state() -> Result<Lua> {
    let lua = Lua::new();
    coutil_lua::preload(&lua)?;
    let functions: [(&str, ffi::lua_CFunction); 8] = [
        ("foreign", foreign),
        ("hollow", hollow),
        ("adopt", adopt),
        ("cut", cut),
        ("static_memory", static_memory),
        ("look", look),
        ("contents", contents),
        ("released", released),
    ];
    for (name, function) in functions {
        // SAFETY: each checks what it needs, or is called as it says.
        lua.globals().set(name, unsafe { lua.create_c_function(function)? })?;
    }
    lua.globals().set("word", size_of::<usize>())?;
    RELEASED.set((0, 0));
    lua.load(
        r#"
        early = foreign("early")
        assert(getmetatable(early).__index == nil)
        memory = require "memory"
        function fails(text, ...)
            local ok, err = pcall(...)
            assert(not ok and tostring(err):find(text, 1, true), err)
        end
        function release(m)
            getmetatable(m).__gc(m)
        end
        "#,
    )
    .exec()?;
    Ok(lua)
}

/// [70 6.2.1] [70 6.1.4]
#[test]
fn metatables_of_c_code_get_the_methods() -> Result<()> {
    state()?
        .load(
            r#"
            assert(getmetatable(early).__name == "luamem_Ref")
            assert(getmetatable(early) == getmetatable(memory.create()))
            assert(early:tostring() == "early" and #early == 5)
            assert(tostring(early) == "early" and early .. "!" == "early!")
            -- C code changes it behind our back.
            adopt(early, "something longer")
            assert(#early == 16 and early:tostring(-6) == "longer")
            adopt(early, "")
            assert(#early == 0 and early:tostring() == "")
            local m = static_memory()
            cut(m, 4)
            assert(#m == 4 and m:tostring() == "stat" and m:find("ic") == nil)
            "#,
        )
        .exec()
}

/// [70 6.3.2]
#[test]
fn foreign_memories_are_used_but_not_resized() -> Result<()> {
    state()?
        .load(
            r#"
            local m = foreign("contents")
            assert(memory.type(m) == "other")
            fails("resizable memory expected", memory.resize, m, 3)
            fails("resizable memory expected", memory.resize, m, 8)
            m:set(1, 67)
            m:fill("-", -2)
            assert(m:tostring() == "Conten--")
            assert(m:find("ten") == 4 and m:diff("Conten--") == nil and m:get(-1) == 45)
            assert(m:pack("z", 1, "abc") and m:unpack("z") == "abc")
            local copy = memory.create(m, 1, 3)
            assert(copy:tostring() == "abc" and copy:type() == "fixed")
            local r = memory.create()
            r:resize(5, m)
            assert(r:tostring() == "abc\0e")
            assert(released() == 0)
            "#,
        )
        .exec()
}

/// [70 6.1.1] [70 6.3.1]
#[test]
fn storage_is_released_once_by_its_owner() -> Result<()> {
    let lua = state()?;
    lua.load(
        r#"
        local m = foreign("four")
        release(m)
        local blocks, bytes = released()
        assert(blocks == 1 and bytes == 4)
        assert(m:type() == "other" and #m == 0 and m:tostring() == "")
        local size, len, mem, unref = look(m)
        assert(len == 0 and not mem and not unref)
        release(m)
        getmetatable(m).__close(m)
        assert(released() == 0)

        m = foreign("five!")
        getmetatable(m).__close(m, "an error")
        blocks, bytes = released()
        assert(blocks == 1 and bytes == 5)

        -- Without an owner nothing is called; without bytes nothing happens.
        m = static_memory()
        release(m)
        assert(#m == 0 and released() == 0)
        m = foreign("")
        release(m)
        local _, len, _, unref = look(m)
        assert(len == 0 and unref and released() == 0)
        "#,
    )
    .exec()?;
    // The collector does the same.
    lua.load("foreign('garbage')").exec()?;
    lua.gc_collect()?;
    lua.gc_collect()?;
    assert_eq!(RELEASED.take(), (1, 7));
    Ok(())
}

/// [70 6.1.2]
#[test]
fn representation_of_our_memories() -> Result<()> {
    state()?
        .load(
            r#"
            local m = memory.create()
            local size, len, mem, unref, bytes = look(m)
            assert(size == 3 * word and len == 0 and unref)
            m:resize(5, "hello")
            size, len, mem, unref, bytes = look(m)
            assert(len == 5 and mem and unref and bytes == "hello")
            m:resize(0)
            size, len, mem, unref = look(m)
            assert(len == 0 and unref)

            local fixed = memory.create("a\0b")
            local block, values = contents(fixed)
            assert(block == "a\0b" and (values == 0 or values == nil))
            block, values = contents(m)
            assert(#block == size and (values == 0 or values == nil))
            assert(contents(memory.create(0)) == "")

            local h = hollow()
            assert(h:type() == "other" and #h == 0 and h:tostring() == "" and h .. "x" == "x")
            assert(h:find("x") == nil and h:get(1, -1) == nil and h:diff("") == nil)
            assert(h:pack("", 1) and h:unpack("") == 1)
            h:fill("x")
            release(h)
            assert(h:type() == "other")
            "#,
        )
        .exec()
}

/// [70 6.3.4]
#[test]
fn c_code_takes_over_our_storage() -> Result<()> {
    let lua = state()?;
    lua.load(
        r#"
        local m = memory.create()
        m:resize(100000, "ours")
        adopt(m, "theirs")
        assert(m:type() == "other" and m:tostring() == "theirs")
        fails("resizable memory expected", m.resize, m, 4)
        release(m)
        local blocks, bytes = released()
        assert(blocks == 1 and bytes == 6)
        "#,
    )
    .exec()
}

/// [70 6.2.2]
#[test]
fn finalizers_of_c_code_are_left_alone() -> Result<()> {
    let lua = Lua::new();
    coutil_lua::preload(&lua)?;
    // SAFETY: sets two fields of a table that it pushes and pops.
    unsafe {
        lua.exec_raw::<()>((), |L| {
            push_metatable(L);
            for event in [c"__gc", c"__close"] {
                ffi::lua_pushcfunction(L, released);
                ffi::lua_setfield(L, -2, event.as_ptr());
            }
            ffi::lua_pop(L, 1);
        })?;
        lua.globals().set("released", lua.create_c_function(released)?)?;
    }
    lua.load(
        r#"
        memory = require "memory"
        local events = getmetatable(memory.create())
        for _, event in ipairs { "__gc", "__close" } do
            -- It is theirs: it returns two numbers.
            local result = { events[event](memory.create("x")) }
            assert(result[1] == 0 and result[2] == 0)
        end
        assert(events.__index == memory and events.__len and events.__tostring and events.__concat)
        assert(events.__name == "luamem_Ref")
        "#,
    )
    .exec()
}

/// [70 3.4.3] [70 6.3.3]
#[cfg(not(feature = "luajit"))]
#[test]
fn storage_comes_from_the_state_and_goes_back() -> Result<()> {
    const SIZE: usize = 1 << 20;
    let lua = state()?;
    lua.load("m = memory.create()").exec()?;
    lua.gc_collect()?;
    let before = lua.used_memory();
    lua.load("m:resize(2^20)").exec()?;
    assert!(lua.used_memory() >= before + SIZE);
    lua.load("m:resize(2^19)").exec()?;
    assert!(lua.used_memory() < before + SIZE);
    lua.load("m:resize(0)").exec()?;
    assert!(lua.used_memory() < before + SIZE / 8);
    lua.load("m:resize(2^20); release(m)").exec()?;
    assert!(lua.used_memory() < before + SIZE / 8);
    lua.load("for _ = 1, 8 do memory.create():resize(2^20) end").exec()?;
    lua.gc_collect()?;
    lua.gc_collect()?;
    assert!(lua.used_memory() < before + SIZE / 8);
    Ok(())
}

/// [70 3.1.5] [70 3.4.6]
#[cfg(not(feature = "luajit"))]
#[test]
fn no_memory_is_an_error_and_changes_nothing() -> Result<()> {
    let lua = state()?;
    lua.load("m = memory.create(); m:resize(1000, 'abc')").exec()?;
    lua.gc_collect()?;
    lua.set_memory_limit(lua.used_memory() + (1 << 20))?;
    lua.load(
        r#"
        fails("not enough memory", memory.create, 2^22)
        fails("out of memory", memory.resize, m, 2^22, "x")
        fails("out of memory", m.resize, m, 2147483646)
        assert(#m == 1000 and m:tostring(1, 6) == "abcabc" and m:type() == "resizable")
        m:resize(2000)
        assert(m:get(2000) == 0)
        -- Garbage is collected before giving up.
        for _ = 1, 20 do
            memory.create():resize(2^19)
        end
        "#,
    )
    .exec()
}
