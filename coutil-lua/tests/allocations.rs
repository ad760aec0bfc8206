//! What is waited for again and again allocates nothing, once it is warm: neither here nor in Lua.
#![cfg(feature = "vendored")]

use mlua::{Function, Lua};
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

/// Counts what this thread asks of the system's allocator, which Lua also uses here.
struct Counting;

thread_local! {
    static COUNT: Cell<usize> = const { Cell::new(0) };
}

fn count() {
    COUNT.with(|count| count.set(count.get() + 1));
}

// SAFETY: all is done by the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: as the caller's.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: as the caller's.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        count();
        // SAFETY: as the caller's.
        unsafe { System.realloc(pointer, layout, new_size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const WORKLOADS: &str = r#"
local count = ...
local event, mutex = require "coutil.event", require "coutil.mutex"
local memory, system = require "coutil.memory", require "coutil.system"

local function start(f) coroutine.resume(coroutine.create(f)) end

-- So many rounds to warm up, and so many that are counted.
local warm, rounds = 1000, 1000

-- The allocations of `rounds` calls of `step`, which may wait. The stack of a coroutine may grow once more when somebody counts, so
-- the smaller one of two numbers is right.
local function measure(step)
  for _ = 1, warm do step() end
  local least = math.huge
  for _ = 1, 2 do
    local before = count()
    for _ = 1, rounds do step() end
    least = math.min(least, count() - before)
  end
  return least
end

local function connect()
  local passive = assert(system.socket("passive", "ipv4"))
  assert(passive:bind(system.address("ipv4", "127.0.0.1", 0)))
  assert(passive:listen(1))
  local client, server = system.socket("stream", "ipv4"), nil
  start(function () server = assert(passive:accept()) end)
  start(function () assert(client:connect(passive:getaddress())) end)
  system.run()
  passive:close()
  return client, server
end

local results = {}

-- In a coroutine, with the loop.
local function looped(name, make)
  local step, stop = make()
  start(function ()
    results[name] = measure(step)
    if stop then stop() end
  end)
  system.run()
end

-- Emissions from here.
local function emitted(name, key)
  start(function () while true do event.await(key) end end)
  results[name] = measure(function () event.emitone(key, 1) end)
end

if jit then jit.off() end -- what it compiles takes memory as well
collectgarbage()
collectgarbage("stop")

emitted("event.await of a string", "key")
emitted("event.await of a table", {})

looped("suspend()", function () return system.suspend end)
looped("suspend() of many", function ()
  for _ = 1, 50 do start(function () for _ = 1, warm + 2 * rounds do system.suspend() end end) end
  return system.suspend
end)
looped("suspend(0.00001)", function () return function () system.suspend(.00001) end end)

looped("a byte there and back", function ()
  local a, b = connect()
  local one, other = memory.create(64), memory.create(64)
  start(function ()
    while true do
      local n = b:read(other)
      if not n then break end
      b:write(other, 1, n)
    end
    b:close()
  end)
  return function () a:write("x"); a:read(one) end, function () a:close() end
end)

looped("reads that fill the buffer", function ()
  local a, b = connect()
  local buffer = memory.create(8)
  return function () a:write("12345678"); b:read(buffer) end, function () a:close(); b:close() end
end)

looped("datagrams", function ()
  local a, b = system.socket("datagram", "ipv4"), system.socket("datagram", "ipv4")
  assert(a:bind(system.address("ipv4", "127.0.0.1", 0)))
  assert(b:bind(system.address("ipv4", "127.0.0.1", 0)))
  assert(a:connect(b:getaddress()))
  local buffer, source = memory.create(8), system.address "ipv4"
  return function () a:write("x"); b:read(buffer, 1, -1, source) end, function () a:close(); b:close() end
end)

looped("mutex", function ()
  local key = {}
  start(function () for _ = 1, warm + 2 * rounds do mutex.lock(key); system.suspend(); mutex.unlock(key) end end)
  return function () mutex.lock(key); system.suspend(); mutex.unlock(key) end
end)

local names = {}
for name in pairs(results) do names[#names + 1] = name end
table.sort(names)
local report, bad = {}, 0
for _, name in ipairs(names) do
  report[#report + 1] = name .. ": " .. results[name]
  if results[name] ~= 0 then bad = bad + 1 end
end
assert(#names == 9, "all have ended")
return bad, table.concat(report, "\n")
"#;

#[test]
fn nothing_is_allocated_once_it_is_warm() -> mlua::Result<()> {
    let lua = Lua::new();
    coutil_lua::preload(&lua)?;
    let count: Function = lua.create_function(|_, ()| Ok(COUNT.with(Cell::get)))?;
    let (bad, report): (u32, String) = lua.load(WORKLOADS).call(count)?;
    assert_eq!(bad, 0, "allocations in 1000 rounds:\n{report}");
    Ok(())
}
