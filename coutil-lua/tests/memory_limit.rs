//! Lack of memory at any moment: the error reaches the caller, nothing is lost for good, and everything goes on afterwards.
#![cfg(all(feature = "vendored", not(feature = "luajit")))] // which allocates by itself

use mlua::{Error, Function, Lua, Result};

/// Each is called again and again, with ever more memory, until it succeeds. What one has left is finished, with enough of it,
/// before the next one.
const SCRIPT: &str = r#"
local event, queued, mutex = require "coutil.event", require "coutil.queued", require "coutil.mutex"
local promise, spawn, memory = require "coutil.promise", require "coutil.spawn", require "coutil.memory"
local channel, states, threads = require "coutil.channel", require "coutil.coroutine", require "coutil.threads"
local system = require "coutil.system"

local function start(f, ...)
  local co = coroutine.create(f)
  local ok, text = coroutine.resume(co, ...)
  if not ok then error(text, 0) end
end

-- Runs until the condition holds. Whoever would bring it about may have run out of memory.
local function drive(done)
  for _ = 1, 1000 do
    system.run "ready"
    if done() then return end
    system.suspend(.0002, "~")
  end
  error("in vain", 0)
end

-- What is closed after each attempt.
local owned = {}
for i = 1, 8 do owned[i] = false end
local count = 0
local function own(object)
  count = count % 8 + 1
  owned[count] = object
  return object
end

local function settle()
  for i = 1, 8 do
    if owned[i] then pcall(owned[i].close, owned[i], "~") end
    owned[i] = false
  end
  for _ = 1, 3 do system.run "ready" end
  collectgarbage()
  collectgarbage()
end

local serial = 0
local jobs = {}

function jobs.events()
  serial = serial + 1
  local table_key, string_key, got = {}, "key " .. serial, 0
  for _, key in ipairs { table_key, string_key, serial } do
    start(function () event.await(key); got = got + 1 end)
    start(function () event.awaitany(key, {}); got = got + 1 end)
    event.emitall(key)
  end
  queued.emitone(string_key, 1, 2, 3)
  start(function () queued.await(string_key); got = got + 1 end)
  assert(got == 7)
end

function jobs.mutexes()
  local key, order = {}, 0
  for _ = 1, 3 do
    start(function () mutex.lock(key); system.suspend(); order = order + 1; mutex.unlock(key) end)
  end
  drive(function () return order == 3 end)
end

function jobs.promises()
  local p, fulfill = promise.create()
  local got
  start(function () got = p() end)
  spawn.catch(function () end, function () promise.awaitall(p) end)
  fulfill("value")
  assert(got == "value")
end

function jobs.timers()
  local count = 0
  for i = 1, 20 do start(function () system.suspend(i % 2 / 100000); count = count + 1 end) end
  drive(function () return count == 20 end)
end

function jobs.sockets()
  local passive = own(assert(system.socket("passive", "ipv4")))
  assert(passive:bind(system.address("ipv4", "127.0.0.1", 0)))
  assert(passive:listen(4))
  local text, data = nil, ("x"):rep(100000)
  start(function ()
    local stream = own(assert(passive:accept()))
    passive:close()
    local buffer, n = memory.create(65536), 0
    while n < #data do n = n + assert(stream:read(buffer)) end
    text = n
    stream:close()
  end)
  local stream = own(assert(system.socket("stream", "ipv4")))
  start(function ()
    assert(stream:connect(passive:getaddress()))
    assert(stream:write(data))
  end)
  drive(function () return text == #data end)
  stream:close()
end

function jobs.files()
  local file = own(assert(system.openfile("/dev/zero", "~r")))
  local buffer, count = memory.create(100), nil
  start(function () count = file:read(buffer); file:close() end)
  start(function () for _ in system.listdir("/") do end end)
  drive(function () return count == 100 end)
end

function jobs.channels()
  serial = serial + 1
  local a, b = own(channel.create("limit " .. serial)), own(channel.create("limit " .. serial))
  local one, other
  start(function () one = select(2, system.awaitch(a, "in", "from a", {} and 1)) end)
  start(function () other = select(2, system.awaitch(b, "out", "from b")) end)
  drive(function () return one == "from b" and other == "from a" end)
  a:close()
  b:close()
end

function jobs.states()
  local co = own(assert(states.load "return ..."))
  local got
  start(function () got = select(2, system.resume(co, "through")) end)
  drive(function () return got == "through" end)
  assert(co:close())
end

function jobs.tasks()
  local pool = own(assert(threads.create(1)))
  assert(pool:dostring("return ..."))
  assert(pool:close())
end

function jobs.processes()
  local how, status
  start(function () how, status = system.execute("/bin/sh", "-c", "exit 3") end)
  drive(function () return how == "exit" and status == 3 end)
end

function jobs.information()
  assert(system.getenv("PATH"))
  assert(system.procinfo "h")
  assert(system.packenv { A = "b" })
end

return jobs, settle
"#;

#[test]
fn all_works_after_memory_was_short() -> Result<()> {
    let lua = Lua::new();
    coutil_lua::preload(&lua)?;
    let (jobs, settle): (mlua::Table, Function) = lua.load(SCRIPT).call(())?;
    // What is reported is the lack of memory.
    lua.load(r#"require "coutil.system".onerror(function () end)"#).exec()?;
    let mut failures = 0;
    for pair in jobs.pairs::<String, Function>() {
        let (name, job) = pair?;
        job.call::<()>(()).map_err(|error| Error::runtime(format!("{name} with enough memory: {error}")))?;
        settle.call::<()>(())?;
        let mut room = 0;
        loop {
            lua.set_memory_limit(lua.used_memory() + room)?;
            let result = job.call::<()>(());
            lua.set_memory_limit(0)?;
            // What waits still, without whoever ran into the limit, is given up.
            let done = result.is_ok();
            failures += u32::from(!done);
            drop(result);
            settle.call::<()>(())?;
            if done {
                break;
            }
            room += 8 + room / 100;
            assert!(room < 64 << 20, "{name} does not succeed");
        }
        job.call::<()>(()).map_err(|error| Error::runtime(format!("{name} afterwards: {error}")))?;
    }
    assert!(failures > 500, "{failures}");
    Ok(())
}
