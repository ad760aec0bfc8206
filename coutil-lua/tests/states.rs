//! Other Lua states, made by Lua code in a program that embeds Lua.
#![cfg(feature = "vendored")]

use coutil_lua::mlua::{Lua, Result, Table};
use coutil_lua::{Builder, preload};
use std::thread;

fn lua() -> Result<Lua> {
    let lua = Lua::new();
    preload(&lua)?;
    Ok(lua)
}

/// What is preloaded here is preloaded there, down to the grandchildren. [20 1.2] [20 1.5] [20 0.6]
#[test]
fn the_library_is_in_the_states_too() -> Result<()> {
    let sum: i64 = lua()?
        .load(
            r#"
            local channel = require "coutil.channel"
            local system = require "coutil.system"
            local threads = require "coutil.threads"
            local pool = assert(threads.create(2))
            for i = 1, 10 do
                assert(pool:dostring([[
                    require "_G"
                    local i = ...
                    local channel = require "coutil.channel"
                    local coroutine = require "coroutine"
                    local states = require "coutil.coroutine"
                    local system = require "coutil.system"
                    local co = assert(states.load "return require('coutil.event') and ... * 2")
                    coroutine.wrap(function ()
                        local _, double = system.resume(co, i)
                        system.awaitch(channel.create "sum", "out", double)
                    end)()
                    system.run()
                ]], "@task", "t", i))
            end
            local sum = 0
            coroutine.wrap(function ()
                local ch = channel.create "sum"
                for _ = 1, 10 do sum = sum + select(2, system.awaitch(ch, "in")) end
            end)()
            system.run()
            pool:close()
            return sum
            "#,
        )
        .eval()?;
    assert_eq!(sum, 110);
    Ok(())
}

/// [20 1.11] Two states of a host are no relatives.
#[test]
fn names_of_channels_belong_to_a_root() -> Result<()> {
    let (one, other) = (lua()?, lua()?);
    one.load(r#"kept = require "coutil.channel".create "name""#).exec()?;
    let names =
        |lua: &Lua| -> Result<Table> { lua.load(r#"return require "coutil.channel".getnames()"#).eval() };
    assert!(names(&one)?.contains_key("name")?);
    assert!(!names(&other)?.contains_key("name")?);
    Ok(())
}

#[test]
fn a_sandbox_without_other_states() -> Result<()> {
    let lua = Lua::new();
    Builder::new().independent_states(false).preload(&lua)?;
    lua.load("require 'coutil.channel'; require 'coutil.system'").exec()?;
    for missing in ["coutil.coroutine", "coutil.threads"] {
        assert!(lua.load(format!("require '{missing}'")).exec().is_err(), "{missing}");
    }
    // Nor can that be chosen by name.
    let lua = Lua::new();
    Builder::new().modules(&["coutil.threads"]).independent_states(false).preload(&lua)?;
    assert!(lua.load("require 'coutil.threads'").exec().is_err());
    Ok(())
}

/// [20 1.14.5] [20 1.14.6] [20 7.9.2] A state that is dropped closes its pools, and takes what waits with it.
#[test]
fn a_state_that_is_dropped_leaves_nothing_behind() -> Result<()> {
    let lua = lua()?;
    lua.load(
        r#"
        local channel = require "coutil.channel"
        local states = require "coutil.coroutine"
        local system = require "coutil.system"
        local threads = require "coutil.threads"
        local pool = assert(threads.create(1))
        assert(pool:dostring "require 'coroutine'.yield('waits', 'in')")
        assert(pool:dostring [[
            require "_G"
            local channel, system = require "coutil.channel", require "coutil.system"
            require "coroutine".wrap(function () system.awaitch(channel.create "loop", "in") end)()
            system.run()
        ]])
        repeat until pool:count "s" == 2
        pool:resize(0)
        repeat until pool:count "a" == 0
        pool:dostring "while true do end"
        coroutine.wrap(function () system.awaitch(channel.create "c", "in") end)()
        coroutine.wrap(function () system.resume(assert(states.load "return ...")) end)()
        coroutine.wrap(function () system.suspend(1000) end)()
        "#,
    )
    .exec()?;
    drop(lua);
    Ok(())
}

/// The allocator of `mlua` counts without a lock: states that it made are never given to others. [90 4.9]
#[test]
#[cfg(not(feature = "luajit"))]
fn states_of_their_own_under_a_memory_limit() -> Result<()> {
    let lua = lua()?;
    lua.set_memory_limit(lua.used_memory() + (8 << 20))?;
    lua.load(
        r#"
        local threads = require "coutil.threads"
        local pool = assert(threads.create(4))
        for _ = 1, 40 do
            assert(pool:dostring [[
                local rep = require "string".rep
                local list = {}
                for i = 1, 20000 do list[i] = rep("x", i % 100) end
            ]])
        end
        pool:close()
        "#,
    )
    .exec()
}

/// Roots on several threads at the same time, each with states that run on more.
#[test]
fn roots_side_by_side() {
    let roots: Vec<_> = (0..4)
        .map(|_| {
            thread::spawn(|| {
                let lua = lua().unwrap();
                let count: i64 = lua
                    .load(
                        r#"
                        local channel = require "coutil.channel"
                        local threads = require "coutil.threads"
                        local pool = assert(threads.create(2))
                        for _ = 1, 50 do
                            assert(pool:dostring "local y = require 'coroutine'.yield; y() y('c', 'out', 1)")
                        end
                        local ch, count = channel.create "c", 0
                        while count < 50 do
                            local ok, one = ch:sync "in"
                            if ok then count = count + one end
                        end
                        pool:close()
                        return count
                        "#,
                    )
                    .eval()
                    .unwrap();
                assert_eq!(count, 50);
            })
        })
        .collect();
    roots.into_iter().for_each(|root| root.join().unwrap());
}

/// [20 0.9] [20 7.6.7] What a C function keeps on its stack while it yields is where it was when it goes on.
#[test]
#[cfg(any(feature = "lua53", feature = "lua54", feature = "lua55"))]
fn c_functions_keep_their_values_over_yields() -> Result<()> {
    use coutil_lua::mlua::ffi::{self, lua_KContext, lua_State};
    use std::ffi::{c_int, c_void};

    const KEPT: *mut c_void = 0x1234 as *mut c_void;

    unsafe extern "C-unwind" fn next(state: *mut lua_State, _: c_int, turn: lua_KContext) -> c_int {
        // SAFETY: it has been called with room for a few values.
        unsafe {
            if ffi::lua_touserdata(state, 1) != KEPT {
                ffi::luaL_error(state, c"it is gone".as_ptr());
            }
            // What it was resumed with is above.
            ffi::lua_settop(state, 1);
            if turn < 3 {
                return ffi::lua_yieldk(state, 0, turn + 1, Some(next));
            }
            ffi::lua_pushboolean(state, 1);
            1
        }
    }

    unsafe extern "C-unwind" fn keep(state: *mut lua_State) -> c_int {
        // SAFETY: as above.
        unsafe {
            ffi::lua_settop(state, 0);
            ffi::lua_pushlightuserdata(state, KEPT);
            next(state, ffi::LUA_YIELD, 0)
        }
    }

    unsafe extern "C-unwind" fn open(state: *mut lua_State) -> c_int {
        // SAFETY: as above.
        unsafe { ffi::lua_pushcfunction(state, keep) };
        1
    }

    let lua = lua()?;
    // SAFETY: they are functions for Lua.
    let open = unsafe { lua.create_c_function(open)? };
    lua.globals().get::<Table>("package")?.get::<Table>("preload")?.set("keep", open)?;
    lua.load(
        r#"
        local channel = require "coutil.channel"
        local states = require "coutil.coroutine"
        local system = require "coutil.system"
        local threads = require "coutil.threads"
        local co = assert(states.load "return require 'keep'()")
        local pool = assert(threads.create(1))
        assert(pool:dostring "require 'coroutine'.yield('kept', 'out', require 'keep'())")
        local results = {}
        coroutine.wrap(function ()
            for turn = 1, 4 do results[turn] = table.pack(system.resume(co, turn, "more")) end
            results[5] = table.pack(system.awaitch(channel.create "kept", "in"))
        end)()
        system.run()
        pool:close()
        for turn = 1, 3 do assert(results[turn].n == 1 and results[turn][1] == true) end
        for turn = 4, 5 do assert(results[turn].n == 2 and results[turn][2] == true) end
        "#,
    )
    .exec()
}

/// A long chain of states, each of which owns the next one, is closed on any stack. [20 1.14]
#[test]
fn a_long_chain_of_states_is_closed() {
    let body = || {
        lua()
            .unwrap()
            .load(
                r#"
                local states, system = require "coutil.coroutine", require "coutil.system"
                local channel = require "coutil.channel"
                local text = [[
                    local text, count = ...
                    if count == 0 then
                        last = require "coutil.channel".create "the last one"
                        return
                    end
                    local co = require "coutil.coroutine".load(text)
                    local system, coroutine = require "coutil.system", require "coroutine"
                    coroutine.wrap(function () system.resume(co, text, count - 1) end)()
                    coroutine.yield()
                ]]
                local co = states.load(text)
                coroutine.wrap(function () system.resume(co, text, 300) end)()
                system.run()
                repeat until channel.getnames()["the last one"]
                "#,
            )
            .exec()
            .unwrap();
    };
    let thread = thread::Builder::new().stack_size(1 << 20).spawn(body).unwrap();
    thread.join().unwrap();
}
