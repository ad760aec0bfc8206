-- Finalizers and hooks that use the library, in the middle of its own work.

local T = require "testing"
local event = require "coutil.event"
local mutex = require "coutil.mutex"
local promise = require "coutil.promise"
local queued = require "coutil.queued"

local rounds = T.scale(10000, 300)

local function finalizer (f)
  if rawget(_G, "newproxy") then
    local object = newproxy(true)
    getmetatable(object).__gc = f
  else
    setmetatable({}, { __gc = f })
  end
end

for _, name in ipairs { "awaitany", "awaitall" } do
  T.test("a finalizer waits while " .. name .. " is prepared [10 1.5.3] [10 1.6.3]", function ()
    for i = 1, rounds do
      finalizer(function () coroutine.wrap(function () event.await "finalizer" end)() end)
      local e, ended = {}, false
      coroutine.wrap(function () event[name](e, {}, i, name == "awaitall" and e or nil); ended = true end)()
      if not event.pending(e) or not event.pending(i) then error("lost in round " .. i) end
      event.emitall(e)
      event.emitall(i)
      event.emitall "finalizer"
    end
  end)
end

local waits = {
  await = function (e) event.await(e) end,
  awaitany = function (e) event.awaitany(e, "other") end,
  queued = function (e) queued.await(e) end,
  promise = function (_, p) p() end,
  lock = function (e) mutex.lock(e); mutex.unlock(e) end,
}

for name, wait in pairs(waits) do
  T.test_if(T.version ~= "jit" or T.gc_mode ~= "full", "hooks miss waits",
    "a finalizer emits while a coroutine is about to wait: " .. name .. " [10 1.3.1]", function ()
    local function deep (n, ...)
      if n == 0 then return wait(...) end
      deep(n - 1, ...)
      return nil
    end
    for i = 1, rounds do
      local e, p = {}, promise.create()
      finalizer(function () event.emitall(e); event.emitall(p) end)
      local ended = false
      if name == "lock" then mutex.lock(e) end
      coroutine.wrap(function () deep(i % 23, e, p); ended = true end)()
      if name == "lock" then mutex.unlock(e) end
      event.emitall(e)
      event.emitall(p)
      if not ended then error("lost in round " .. i) end
    end
  end)
end

T.test("finalizers take stored emissions under awaitall [10 2.6.2]", function ()
  for i = 1, rounds do
    local e = {}
    queued.emitone(e, i)
    finalizer(function () if queued.queued(e) then queued.await(e) end end)
    local co = coroutine.create(function () queued.awaitall(e, {}, i, {}) end)
    T.resume(co)
    local left = 0
    while queued.queued(e) do
      queued.await(e)
      left = left + 1
    end
    if left > 1 then error("emissions out of nothing in round " .. i) end
    T.resume(co)
  end
end)

T.test("a coroutine started in a finalizer waits [10 1.4.1]", function ()
  local woken = 0
  finalizer(function ()
    coroutine.wrap(function () event.await "in a finalizer"; woken = woken + 1 end)()
  end)
  T.gc()
  T.gc()
  T.eq(event.pending "in a finalizer", true)
  T.eq(event.emitall "in a finalizer", true)
  T.eq(woken, 1)
end)

-- LuaJIT calls the hook in every coroutine, also between the steps of a wait: such an emission misses it.
T.test_if(T.version ~= "jit", "hooks miss waits", "a hook wakes a coroutine that waits again and again [10 1.3.1]", function ()
  local woken, hooks = 0, 0
  local co = coroutine.create(function () while true do event.await "hook"; woken = woken + 1 end end)
  T.resume(co)
  debug.sethook(function () hooks = hooks + 1; event.emitone "hook" end, "", 1000)
  local x = 0
  for i = 1, 100000 do x = x + i % 7 end
  debug.sethook()
  T.eq(woken > 0 and woken == hooks, true)
  T.resume(co)
end)

T.test("frames of any size [10 1.5.5] [10 1.6.6]", function ()
  for _, n in ipairs { 4094, 4095, 4096, 5000 } do
    local values = {}
    for i = 1, n do values[i] = i end
    local got
    local co = coroutine.create(function () got = T.pack(event.awaitall(T.unpack(values))) end)
    T.resume(co)
    for i = 1, n do event.emitone(i) end
    T.same(got, { true, n = 1 })
    co = coroutine.create(function () got = T.pack(event.awaitany(T.unpack(values))) end)
    T.resume(co)
    event.emitone(n, "x")
    T.same(got, { n, "x", n = 2 })
  end
end)

T.done()
