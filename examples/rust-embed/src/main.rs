//! A Rust program with Lua in it, and Coutil in that: all modules for its own scripts, a few of them in a sandbox with a
//! memory limit for scripts of others. Run it with `cargo run`.

use coutil_lua::mlua::{Error, Function, Lua, LuaOptions, Result, StdLib};
use coutil_lua::{Builder, async_function, preload};
use futures_lite::future::yield_now;

fn main() -> Result<()> {
    println!("{}", coutil_lua::LUA_VERSION);
    own_script()?;
    sandbox()
}

/// All of the library: the script waits for sockets, timers, threads, and for a future of this program.
fn own_script() -> Result<()> {
    let lua = Lua::new();
    preload(&lua)?;
    // A future of Rust, as a function that waits like any other.
    let double = async_function(&lua, |number: i64| async move {
        yield_now().await;
        Ok::<_, Error>(number * 2)
    })?;
    lua.globals().set("double", double)?;

    let (echo, answer, squares): (String, i64, i64) = lua
        .load(
            r#"
            local memory = require "coutil.memory"
            local channel = require "coutil.channel"
            local spawn = require "coutil.spawn"
            local system = require "coutil.system"
            local threads = require "coutil.threads"

            local server = assert(system.socket("passive", "ipv4"))
            assert(server:bind(system.address("ipv4", "127.0.0.1", 0)))
            assert(server:listen(1))
            spawn.catch(print, function ()
                local stream = assert(server:accept())
                local buffer = memory.create(64)
                stream:write(buffer, 1, assert(stream:read(buffer)))
                stream:close()
            end)

            local echo, answer
            spawn.catch(print, function ()
                local stream = assert(system.socket("stream", "ipv4"))
                assert(stream:connect(server:getaddress()))
                stream:write("hello")
                local buffer = memory.create(64)
                echo = memory.tostring(buffer, 1, assert(stream:read(buffer)))
                stream:close()
                system.suspend(0.001)
                answer = double(21)
            end)

            -- On other threads.
            local pool = assert(threads.create(2))
            for i = 1, 10 do
                assert(pool:dostring([[
                    require "_G" -- a state of its own has `require` and nothing else
                    local system = require "coutil.system"
                    local channel = require "coutil.channel"
                    local i = ...
                    require("coutil.spawn").catch(print, function ()
                        system.awaitch(channel.create "squares", "out", i * i)
                    end)
                    system.run()
                ]], "@square", "t", i))
            end
            local squares = 0
            spawn.catch(print, function ()
                local results = channel.create "squares"
                for _ = 1, 10 do
                    squares = squares + select(2, system.awaitch(results, "in"))
                end
            end)

            system.run()
            pool:close()
            return echo, answer, squares
            "#,
        )
        .set_name("=own")
        .eval()?;
    println!("echo: {echo}; answer: {answer}; squares: {squares}");
    assert_eq!((echo.as_str(), answer, squares), ("hello", 42, 385));
    Ok(())
}

/// For scripts of others: events and promises, no system, no other Lua states, a megabyte of memory.
fn sandbox() -> Result<()> {
    let lua = Lua::new_with(StdLib::ALL_SAFE ^ StdLib::IO ^ StdLib::OS, LuaOptions::default())?;
    let modules = ["coutil.event", "coutil.promise", "coutil.spawn"];
    Builder::new().modules(&modules).independent_states(false).preload(&lua)?;
    lua.load("package.path, package.cpath = '', ''").exec()?;

    // A script of somebody else: one coroutine that waits for a promise, and a function that takes all the memory there is.
    let (greedy, fulfill, kept): (Function, Function, Function) = lua
        .load(
            r#"
            for _, name in ipairs { "coutil.system", "coutil.threads", "coutil.coroutine" } do
                assert(not pcall(require, name), name)
            end
            local event = require "coutil.event"
            local promise = require "coutil.promise"
            local spawn = require "coutil.spawn"

            local promised, fulfill = promise.create()
            local kept
            spawn.catch(error, function ()
                kept = promised()
            end)

            local function greedy ()
                while true do
                    -- A string keeps those who wait for it. (What `spawn` starts would tell its handler.)
                    coroutine.wrap(function ()
                        event.await "more"
                    end)()
                end
            end

            return greedy, fulfill, function () return kept end
            "#,
        )
        .set_name("=guest")
        .eval()?;

    lua.set_memory_limit(lua.used_memory() + (1 << 20))?;
    let error = greedy.call::<()>(()).expect_err("it never ends by itself");
    assert!(is_memory(&error), "{error}");
    lua.set_memory_limit(0)?;
    println!("the greedy function has failed");

    // That has harmed nobody: those who waited for the string go on, and end, and the promise is kept.
    lua.load("require('coutil.event').emitall 'more'").exec()?;
    fulfill.call::<()>("kept")?;
    assert_eq!(kept.call::<String>(())?, "kept");
    lua.gc_collect()?;
    println!("the promise was kept");
    Ok(())
}

/// Whether an error is, at its origin, that there was no memory.
fn is_memory(error: &Error) -> bool {
    match error {
        Error::MemoryError(_) => true,
        Error::CallbackError { cause, .. } => is_memory(cause),
        _ => false,
    }
}
