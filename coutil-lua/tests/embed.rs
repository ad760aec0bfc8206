//! The library in a Rust program that embeds Lua.
#![cfg(feature = "vendored")]

use coutil_lua::mlua::{Function, Lua, LuaOptions, Result, StdLib, Table, Value, Variadic};
use coutil_lua::{Builder, preload};

fn lua() -> Result<Lua> {
    let lua = Lua::new();
    preload(&lua)?;
    Ok(lua)
}

/// [90 3.1] [90 3.3] [00 11.4]
#[test]
fn every_module_is_there_and_nothing_else_changes() -> Result<()> {
    let lua = lua()?;
    let before: Vec<String> = names(&lua.globals())?;
    lua.load(
        r#"
        local coutil = require "coutil"
        assert(coutil._VERSION == "Coutil 3.0.0")
        for _, name in ipairs {
            "event", "queued", "mutex", "promise", "spawn", "system", "memory", "channel", "coroutine", "threads",
        } do
            assert(coutil[name] == require("coutil." .. name), name)
        end
        assert(require "memory" == require "coutil.memory")
        "#,
    )
    .exec()?;
    assert_eq!(names(&lua.globals())?, before);
    Ok(())
}

fn names(table: &Table) -> Result<Vec<String>> {
    let mut names: Vec<String> =
        table.pairs::<String, Value>().map(|pair| pair.map(|(name, _)| name)).collect::<Result<_>>()?;
    names.sort();
    Ok(names)
}

#[test]
fn a_sandbox_gets_what_its_host_chose() -> Result<()> {
    let lua = Lua::new();
    Builder::new().modules(&["coutil.event", "coutil.spawn"]).preload(&lua)?;
    lua.load("require 'coutil.event'; require 'coutil.spawn'").exec()?;
    for missing in ["coutil", "coutil.promise", "coutil.system", "coutil.memory"] {
        assert!(lua.load(format!("require '{missing}'")).exec().is_err(), "{missing}");
    }
    Ok(())
}

#[test]
fn bad_choices_are_named_and_set_nothing() -> Result<()> {
    let lua = Lua::new();
    let error = Builder::new().modules(&["coutil.event", "coutil.evnet"]).preload(&lua).unwrap_err();
    assert!(error.to_string().contains("coutil.evnet"), "{error}");
    assert!(lua.load("require 'coutil.event'").exec().is_err());

    // Without `package` there is no `require`. (LuaJIT cannot be without.)
    if cfg!(not(feature = "luajit")) {
        let lua = Lua::new_with(StdLib::STRING, LuaOptions::new())?;
        let error = preload(&lua).unwrap_err();
        assert!(error.to_string().contains("package"), "{error}");
    }
    Ok(())
}

/// [90 3.2]
#[test]
fn a_module_memory_of_the_host_is_left_alone() -> Result<()> {
    let lua = Lua::new();
    lua.load("package.preload.memory = function () return 'mine' end").exec()?;
    preload(&lua)?;
    assert_eq!(lua.load("return require 'memory'").eval::<String>()?, "mine");
    Ok(())
}

/// The typed API and the library see the same coroutines: a thread that waits is resumed by an emission, and one that
/// the host resumes has its wait cancelled.
#[test]
fn threads_of_the_host_wait_as_others_do() -> Result<()> {
    let lua = lua()?;
    let wait: Function =
        lua.load("local e = ...; return select('#', require('coutil.event').await(e))").into_function()?;
    let emit: Function = lua.load("return require('coutil.event').emitall(...)").into_function()?;
    let pending: Function = lua.load("return require('coutil.event').pending(...)").into_function()?;

    let thread = lua.create_thread(wait.clone())?;
    thread.resume::<()>("e")?;
    assert!(pending.call::<bool>("e")?);
    assert!(emit.call::<bool>(("e", 1, 2))?);
    assert!(!pending.call::<bool>("e")?);

    let thread = lua.create_thread(wait)?;
    thread.resume::<()>("e")?;
    assert_eq!(thread.resume::<i64>((1, 2, 3))?, 3);
    assert!(!pending.call::<bool>("e")?);
    Ok(())
}

/// Other functions that await, in threads of the host, which clears the frames of what has yielded.
#[test]
fn threads_of_the_host_wait_for_anything() -> Result<()> {
    let lua = lua()?;
    let body: Function = lua
        .load(
            r#"
            local event, queued = require "coutil.event", require "coutil.queued"
            local mutex, promise = require "coutil.mutex", require "coutil.promise"
            a, b, m, log = {}, {}, {}, {}
            p, fulfill = promise.create()
            local function note (...) log[#log + 1] = table.concat({ ... }, ",", 2) end
            note(event.awaitany(a, b, "s"))
            note(1, tostring(queued.awaitall(a, nil, b)))
            mutex.lock(m)
            note(1, tostring(mutex.ownlock(m)), tostring(mutex.unlock(m)))
            note(1, p())
            note(1, tostring(promise.awaitany(p, a) == p))
            "#,
        )
        .into_function()?;
    let thread = lua.create_thread(body)?;
    thread.resume::<()>(())?;
    lua.gc_collect()?;
    lua.load(
        r#"
        local event, mutex = require "coutil.event", require "coutil.mutex"
        owner = coroutine.wrap(function () mutex.lock(m); coroutine.yield(); mutex.unlock(m) end)
        owner()
        assert(event.pending "s" and event.emitone(b, "b") and not event.pending "s")
        assert(event.emitone(a) and not event.pending(a) and event.pending(b) and event.emitone(b))
        assert(event.emitone(m))          -- taken: it waits again
        assert(event.pending(m))
        "#,
    )
    .exec()?;
    // A lock is not cancelled by a resume of the host.
    thread.resume::<()>("in vain")?;
    lua.gc_collect()?;
    let log: String = lua.load("owner(); assert(fulfill('x', 'y')); return table.concat(log, ' ')").eval()?;
    assert_eq!(log, "b true true,false x,y true");
    assert!(thread.is_finished());
    Ok(())
}

/// A thread that was reset and waits for something else does not get what it waited for before.
#[cfg(any(feature = "lua54", feature = "lua55"))]
#[test]
fn an_emission_for_what_a_thread_was_goes_astray() -> Result<()> {
    let lua = lua()?;
    let wait: Function = lua.load("return require('coutil.event').await(...)").into_function()?;
    let emit: Function = lua.load("return require('coutil.event').emitall(...)").into_function()?;
    let thread = lua.create_thread(wait.clone())?;
    thread.resume::<()>("before")?;
    thread.reset(wait)?;
    thread.resume::<()>("after")?;
    emit.call::<bool>(("before", 1))?;
    assert!(thread.is_resumable());
    assert!(emit.call::<bool>(("after", 1, 2))?);
    assert!(thread.is_finished());
    Ok(())
}

/// A thread that was reset and is used for something else is not the one that waited.
#[cfg(any(feature = "lua54", feature = "lua55"))]
#[test]
fn a_thread_that_was_reset_does_not_wait() -> Result<()> {
    let lua = lua()?;
    let wait: Function = lua.load("require('coutil.event').await('e')").into_function()?;
    let other: Function = lua.load("return (coroutine.yield())").into_function()?;
    let emit: Function = lua.load("return require('coutil.event').emitall(...)").into_function()?;
    let pending: Function = lua.load("return require('coutil.event').pending('e')").into_function()?;

    let thread = lua.create_thread(wait)?;
    thread.resume::<()>(())?;
    thread.reset(other)?;
    thread.resume::<()>(())?;
    assert!(!emit.call::<bool>(("e", "emitted"))?);
    assert!(!pending.call::<bool>(())?);
    assert_eq!(thread.resume::<String>("resumed")?, "resumed");
    Ok(())
}

/// [00 1.6.5] [90 1.1] Nothing is resumed by closing a state, and finalizers that use the library find it closed or
/// working, never freed.
#[test]
fn closing_a_state_resumes_nothing() -> Result<()> {
    let lua = lua()?;
    let resumed = std::sync::Arc::new(std::sync::atomic::AtomicU32::new(0));
    let count = std::sync::Arc::clone(&resumed);
    let note = lua.create_function(move |_, _: Variadic<Value>| {
        count.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        Ok(())
    })?;
    lua.globals().set("note", note)?;
    lua.load(
        r#"
        local event, mutex, promise = require "coutil.event", require "coutil.mutex", require "coutil.promise"
        require("coutil.system").onerror(note)
        local keep = {}
        for i = 1, 50 do
            local key = {}
            keep[i] = key
            coroutine.wrap(function () event.await(key); note() end)()
            coroutine.wrap(function () event.awaitall(key, "string", i); note() end)()
            coroutine.wrap(function () mutex.lock(key); event.await(i); note() end)()
            local p = promise.create()
            coroutine.wrap(function () p(); note() end)()
            keep[-i] = p
        end
        anchor = keep
        "#,
    )
    .exec()?;
    drop(lua);
    assert_eq!(resumed.load(std::sync::atomic::Ordering::Relaxed), 0);
    Ok(())
}

/// R4: an object whose finalizer uses the library while the state is closed.
#[test]
fn finalizers_may_use_the_library_while_the_state_closes() -> Result<()> {
    for _ in 0..3 {
        let lua = lua()?;
        lua.load(
            r#"
            local event, queued, mutex = require "coutil.event", require "coutil.queued", require "coutil.mutex"
            local promise, memory = require "coutil.promise", require "coutil.memory"
            local function finalizer (f)
                local object
                if newproxy then
                    object = newproxy(true)
                    getmetatable(object).__gc = f
                else
                    object = setmetatable({}, { __gc = f })
                end
                return object
            end
            local key, p, fulfill = {}, promise.create()
            coroutine.wrap(function () event.await(key) end)()
            coroutine.wrap(function () event.await(p) end)()
            objects = {}
            for i = 1, 20 do
                objects[i] = finalizer(function ()
                    pcall(event.emitall, key)
                    pcall(event.pending, "x")
                    pcall(queued.emitone, key, 1)
                    pcall(mutex.lock, "m")
                    pcall(fulfill, 1)
                    pcall(p)
                    pcall(promise.create)
                    pcall(coroutine.wrap(function () event.await(key) end))
                    pcall(memory.create, 10)
                end)
            end
            "#,
        )
        .exec()?;
    }
    Ok(())
}

/// A failure for memory at any point of an await leaves no waiter behind. [10 1.4.1] (LuaJIT has no limit in mlua.)
#[cfg(not(feature = "luajit"))]
#[test]
fn a_lack_of_memory_loses_nothing() -> Result<()> {
    let lua = lua()?;
    let check: Function = lua
        .load(
            r#"
            local event, queued, promise = require "coutil.event", require "coutil.queued", require "coutil.promise"
            local mutex = require "coutil.mutex"
            local a, b = {}, {}
            local p, fulfill = promise.create()
            local log
            counts = { [true] = 0, [false] = 0 }
            local tries = {
                function () log = { event.awaitany(a, "s", p, b) } end,
                function () log = { event.awaitall("s", a, p) } end,
                function () log = { event.await(b) } end,
                function () log = { p() } end,
            }
            local function try (f)
                local co = coroutine.create(f)
                local ok = coroutine.resume(co)
                return ok and coroutine.status(co) == "suspended"
            end
            return function (limited)
                for i = 1, #tries do
                    limited(try, tries[i])
                    local expected = {
                        { a = true, s = true, p = true, b = true },
                        { a = true, s = true, p = true },
                        { b = true },
                        { p = true },
                    }
                    -- All or nothing.
                    local values, waits = { a = a, b = b, s = "s", p = p }, 0
                    for name, value in pairs(values) do
                        if event.pending(value) then waits = waits + 1 end
                    end
                    for name, value in pairs(values) do
                        assert(event.pending(value) == (waits > 0 and expected[i][name] or false), i .. name)
                    end
                    counts[waits > 0] = counts[waits > 0] + 1
                    -- Whoever waits is still served.
                    for _, value in ipairs { a, b, "s", p } do event.emitall(value) end
                    assert(not event.pending(a) and not event.pending(b) and not event.pending "s" and not event.pending(p))
                    -- Stored emissions are stored, or not.
                    local stored = limited(queued.emitone, a, i, "x")
                    assert(stored == nil or queued.isqueued(a))
                    while queued.isqueued(a) do
                        local e, n, x = queued.await(a)
                        assert(e == a and n == i and x == "x")
                    end
                    local locked = limited(function () mutex.lock(b); return true end)
                    assert(mutex.islocked(b) == (locked == true))
                    if locked then mutex.unlock(b) end
                end
                fulfill()
                p, fulfill = promise.create()
            end
            "#,
        )
        .eval()?;
    for allowance in (0..6000).step_by(24) {
        // Calls a function with so much memory to spare; nil if that was not enough.
        let limited = lua.create_function(move |lua, (f, args): (Function, Variadic<Value>)| {
            lua.gc_collect()?;
            lua.set_memory_limit(lua.used_memory() + allowance)?;
            let result = f.call::<Value>(args);
            lua.set_memory_limit(0)?;
            Ok(result.unwrap_or(Value::Nil))
        })?;
        if let Err(error) = check.call::<()>(limited) {
            panic!("with {allowance} bytes to spare: {error}");
        }
    }
    // Both have happened, often.
    let counts: Table = lua.globals().get("counts")?;
    assert!(counts.get::<i64>(true)? > 100 && counts.get::<i64>(false)? > 100);
    Ok(())
}

/// R22: states on several threads, each with a limit of its own. (Design section 9.)
#[cfg(not(feature = "luajit"))]
#[test]
fn states_on_several_threads_with_memory_limits() {
    let threads: Vec<_> = (0..4).map(|_| std::thread::spawn(work)).collect();
    for thread in threads {
        thread.join().expect("no thread panics");
    }

    fn work() {
        limited().expect("no error");
    }

    fn limited() -> Result<()> {
        let lua = lua()?;
        lua.set_memory_limit(20 << 20)?;
        lua.load(
            r#"
            local event, promise = require "coutil.event", require "coutil.promise"
            for i = 1, 200 do
                local sum, keys = 0, {}
                for j = 1, 50 do
                    keys[j] = {}
                    coroutine.wrap(function ()
                        local _, value = event.await(keys[j])
                        sum = sum + value
                    end)()
                end
                for j = 1, 50 do assert(event.emitone(keys[j], j)) end
                assert(sum == 1275)
                local p, fulfill = promise.create()
                coroutine.wrap(function () sum = p() end)()
                fulfill(i)
                assert(sum == i)
            end
            "#,
        )
        .exec()?;
        Ok(())
    }
}

/// R22: two states on one thread know nothing of each other.
#[test]
fn two_states_on_one_thread() -> Result<()> {
    let (one, two) = (lua()?, lua()?);
    let wait = r#"
        woken = 0
        coroutine.wrap(function () require("coutil.event").await "e"; woken = woken + 1 end)()"#;
    one.load(wait).exec()?;
    two.load(wait).exec()?;
    assert!(one.load("return require('coutil.event').emitall 'e'").eval::<bool>()?);
    assert_eq!(one.globals().get::<i64>("woken")?, 1);
    assert_eq!(two.globals().get::<i64>("woken")?, 0);
    drop(one);
    assert!(two.load("return require('coutil.event').emitall 'e'").eval::<bool>()?);
    assert_eq!(two.globals().get::<i64>("woken")?, 1);
    Ok(())
}

/// A locker that was reset and waits for another mutex stays in its place. [10 3.1.3]
#[cfg(any(feature = "lua54", feature = "lua55"))]
#[test]
fn an_unlock_meant_for_what_a_locker_was_goes_astray() -> Result<()> {
    let lua = lua()?;
    lua.load(
        r#"
        mutex = require "coutil.mutex"
        event = require "coutil.event"
        mutex.lock "before"
        mutex.lock "after"
        mutex.lock "last"
        function lock (name) mutex.lock(name); locked = name; mutex.lock "last" end
        "#,
    )
    .exec()?;
    let lock: Function = lua.globals().get("lock")?;
    let thread = lua.create_thread(lock.clone())?;
    thread.resume::<()>("before")?;
    thread.reset(lock)?;
    thread.resume::<()>("after")?;
    lua.load(
        r#"
        -- Behind the thread, unless that has to queue up again.
        coroutine.wrap(function () event.await "after"; second = true end)()
        mutex.unlock "before"
        assert(locked == nil)
        mutex.unlock "after"
        assert(locked == "after" and not second)
        assert(event.emitone "after" and second)
        -- It does not wait there any more, wherever else it waits.
        assert(not event.emitone "after")
        "#,
    )
    .exec()
}
