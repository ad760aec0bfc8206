//! The event loop in a process that forks, and that runs out of descriptors.
#![cfg(all(feature = "vendored", target_os = "linux"))]

use coutil_lua::mlua::{Function, Lua, Result};
use coutil_lua::preload;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Mutex;

/// Limits, and children of a fork, concern the whole process.
static ALONE: Mutex<()> = Mutex::new(());

fn lua() -> Result<Lua> {
    let lua = Lua::new();
    preload(&lua)?;
    lua.load(
        r#"
        system = require "coutil.system"
        memory = require "coutil.memory"
        listener = assert(system.socket("passive", "ipv4"))
        assert(listener:bind(system.address("ipv4", "127.0.0.1", 0)))
        assert(listener:listen(16))
        port = listener:getaddress().port
        function start (f, ...)
            local co = coroutine.create(f)
            assert(coroutine.resume(co, ...))
            return co
        end
        "#,
    )
    .exec()?;
    Ok(lua)
}

/// [90 5.3] [90 1.1] A child does not wait for a write that a thread of its parent is in the middle of.
#[test]
fn a_forked_child_closes_its_state_while_its_parent_writes() -> Result<()> {
    const LENGTH: usize = 16 << 20;
    let _alone = ALONE.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let mut in_the_middle = 0;
    for _ in 0..50 {
        let lua = lua()?;
        lua.globals().set("text", lua.create_string(vec![b'x'; LENGTH])?)?;
        let path: String = lua
            .load(
                r#"
                local path = system.maketemp((os.getenv("TMPDIR") or "/tmp") .. "/coutil-fork-", "~f")
                -- It lasts until the disk has it.
                local file = assert(system.openfile(path, "wf~"))
                written = false
                start(function () file:write(text); written = true end)
                return path
                "#,
            )
            .eval()?;
        let written = std::fs::File::open(&path)?;
        std::fs::remove_file(&path)?;
        while written.metadata()?.len() == 0 {
            std::thread::yield_now();
        }
        // SAFETY: the child only closes its state, or is ended by a signal, and leaves by `_exit`.
        let child = unsafe { libc::fork() };
        if child == 0 {
            // SAFETY: as above.
            unsafe {
                libc::alarm(30);
                drop(lua);
                libc::_exit(0);
            }
        }
        in_the_middle += usize::from(lua.load("system.run('ready') return not written").eval::<bool>()?);
        let mut status = 0;
        // SAFETY: the child is ours.
        assert_eq!(unsafe { libc::waitpid(child, &mut status, 0) }, child);
        assert_eq!(status, 0, "the child waited");
        if in_the_middle == 3 {
            return Ok(());
        }
    }
    // Where there is no disk, as in a container that has all in memory.
    eprintln!("skipped: no write lasted long enough");
    Ok(())
}

/// [90 5.3] [90 5.5] A child closes all that it inherited, and the parent serves on.
#[test]
fn a_forked_child_does_not_disturb_its_parent() -> Result<()> {
    let _alone = ALONE.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let lua = lua()?;
    lua.load(
        r#"
        served = 0
        start(function ()
            while true do
                local stream = listener:accept()
                if not stream then break end
                streams = { stream }
                start(function ()
                    local buffer = memory.create(16)
                    while true do
                        local count = stream:read(buffer)
                        if not count then break end
                        served = served + count
                        stream:write(buffer, 1, count)
                    end
                end)
            end
        end)
        start(function () sleeper = system.suspend(1000) end)
        assert(system.run("ready") == true)
        "#,
    )
    .exec()?;
    let mut client = TcpStream::connect(("127.0.0.1", lua.globals().get("port")?))?;
    client.write_all(b"before")?;
    let run: Function = lua.load("return system.run('step')").into_function()?;
    let mut answer = [0; 6];
    while lua.globals().get::<i64>("served")? < 6 {
        assert!(run.call::<bool>(())?);
    }
    client.read_exact(&mut answer)?;
    assert_eq!(&answer, b"before");

    // SAFETY: the child only runs Lua code of this state, writes nothing, and leaves by `_exit`.
    let child = unsafe { libc::fork() };
    if child == 0 {
        let result = lua
            .load(
                r#"
                local ok, message = pcall(system.run)
                assert(not ok and message:find("loop of another process", 1, true), message)
                local co = coroutine.create(system.suspend)
                ok, message = coroutine.resume(co)
                assert(not ok and message:find("loop of another process", 1, true), message)
                ok, message = pcall(system.socket, "stream", "ipv4")
                assert(not ok and message:find("loop of another process", 1, true), message)
                streams[1]:close()
                listener:close()
                collectgarbage()
                "#,
            )
            .exec();
        drop(lua);
        // SAFETY: nothing of the parent's is run on the way out.
        unsafe { libc::_exit(if result.is_ok() { 0 } else { 1 }) };
    }
    let mut status = 0;
    // SAFETY: the child is ours.
    assert_eq!(unsafe { libc::waitpid(child, &mut status, 0) }, child);
    assert_eq!(status, 0, "the child failed");

    client.write_all(b"after!")?;
    while lua.globals().get::<i64>("served")? < 12 {
        assert!(run.call::<bool>(())?);
    }
    client.read_exact(&mut answer)?;
    assert_eq!(&answer, b"after!");
    Ok(())
}

/// [90 5.3] Pools and state coroutines have no threads in a child: it ends without waiting for them.
#[test]
fn a_forked_child_does_not_wait_for_threads_that_it_has_not() -> Result<()> {
    let _alone = ALONE.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let lua = lua()?;
    lua.load(
        r#"
        local threads, states = require "coutil.threads", require "coutil.coroutine"
        channel = require "coutil.channel"
        pool, other = threads.create(2), threads.create(1)
        -- One task runs, one waits, and a state coroutine runs.
        text = [[
            require "_G"
            local name = ...
            local channel = require "coutil.channel"
            local begun, go = channel.create(name .. " begun"), channel.create(name)
            -- Rarely: a fork in the middle of it would leave the lock of the channels to nobody.
            repeat for _ = 1, 1000000 do end until go:sync("in")
        ]]
        assert(pool:dostring(text, nil, nil, "task"))
        assert(pool:dostring "require 'coroutine'.yield('waits', 'in')")
        co = assert(states.load(text))
        start(function () ended = system.resume(co, "state") end)
        local names
        repeat names = channel.getnames() until names["task begun"] and names["state begun"] and names.waits
        repeat until pool:count("s") == 1
        "#,
    )
    .exec()?;
    // SAFETY: the child only runs what follows, in its one thread. It is ended if it hangs.
    let child = unsafe { libc::fork() };
    if child == 0 {
        // SAFETY: plain system calls.
        unsafe { libc::alarm(60) };
        let result = lua.load("assert(other:close()) co = nil collectgarbage()").exec();
        drop(lua);
        // SAFETY: nothing of the parent's is run on the way out.
        unsafe { libc::_exit(if result.is_ok() { 0 } else { 1 }) };
    }
    let mut status = 0;
    // SAFETY: the child is ours.
    assert_eq!(unsafe { libc::waitpid(child, &mut status, 0) }, child);
    // First of all what the state would wait for at its end.
    lua.load(
        r#"
        start(function ()
            for _, name in ipairs { "task", "state", "waits" } do
                system.awaitch(channel.create(name), "out")
            end
        end)
        assert(system.run() == false and ended == true)
        assert(pool:close() and other:close())
        "#,
    )
    .exec()?;
    assert_eq!(status, 0, "the child failed");
    Ok(())
}

/// Sets the limit of descriptors to what is open now, and gives the former back when dropped.
struct NoDescriptors(libc::rlimit);

impl NoDescriptors {
    fn new() -> Self {
        let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
        // SAFETY: plain system calls on valid structures.
        unsafe {
            assert_eq!(libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit), 0);
            // The lowest free descriptor is the limit: none can be opened.
            let free = libc::dup(0);
            assert!(free >= 0);
            libc::close(free);
            let none = libc::rlimit { rlim_cur: free as libc::rlim_t, ..limit };
            assert_eq!(libc::setrlimit(libc::RLIMIT_NOFILE, &none), 0);
        }
        Self(limit)
    }
}

impl Drop for NoDescriptors {
    fn drop(&mut self) {
        // SAFETY: as above.
        unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &self.0) };
    }
}

/// [50 6.7.1] Each accept fails once, and the connection is there when descriptors are.
#[test]
fn accept_without_descriptors_fails_and_loses_nothing() -> Result<()> {
    let _alone = ALONE.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let lua = lua()?;
    lua.load(
        r#"
        failures = {}
        start(function ()
            while not stream do
                local message, code
                stream, message, code = listener:accept()
                if not stream then
                    failures[#failures + 1] = message .. " " .. code
                    coroutine.yield()
                end
            end
        end)
        assert(system.run("ready") == true)
        "#,
    )
    .exec()?;
    let mut client = TcpStream::connect(("127.0.0.1", lua.globals().get("port")?))?;
    let scarcity = NoDescriptors::new();
    lua.load("assert(system.run() == false)").exec()?;
    drop(scarcity);
    assert_eq!(lua.load("return table.concat(failures, ',')").eval::<String>()?, "too many open files 24");
    lua.load("start(function () stream = assert(listener:accept()); stream:write('hello') end); assert(system.run() == false)")
        .exec()?;
    let mut answer = [0; 5];
    client.read_exact(&mut answer)?;
    assert_eq!(&answer, b"hello");
    Ok(())
}

/// [90 5.4] What needs no descriptor works without one; what does fails, and works again afterwards.
#[test]
fn a_loop_without_descriptors_sleeps_and_fails_clearly() -> Result<()> {
    let _alone = ALONE.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let lua = lua()?;
    lua.globals().set("peer", TcpStream::connect(("127.0.0.1", lua.globals().get("port")?)).is_ok())?;
    let scarcity = NoDescriptors::new();
    let result = lua
        .load(
            r#"
            start(function () slept = system.suspend(.001) end)
            assert(system.run() == false and slept)
            local socket, message, code = system.socket("stream", "ipv4")
            assert(socket == false and message == "too many open files" and code == 24)
            start(function () _, failure, number = listener:accept() end)
            assert(system.run() == false)
            assert(failure == "too many open files" and number == 24, failure)
            "#,
        )
        .exec();
    drop(scarcity);
    result?;
    lua.load(
        "start(function () stream = assert(listener:accept()) end); assert(system.run() == false and stream)",
    )
    .exec()
}
