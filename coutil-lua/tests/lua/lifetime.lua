-- What keeps what alive: waiters, events, mutexes, promises, records, spawned coroutines.

local T = require "testing"
local event = require "coutil.event"
local mutex = require "coutil.mutex"
local promise = require "coutil.promise"
local queued = require "coutil.queued"
local spawn = require "coutil.spawn"
local await, awaitall, awaitany = event.await, event.awaitall, event.awaitany
local emitall, emitone, pending = event.emitall, event.emitone, event.pending
local put = table.insert

local no_ephemerons = "no ephemeron tables"

-- What waits ------------------------------------------------------------------------------------

T.test("the harness sees garbage, and what is none", function ()
  T.eq(T.collected(function (watch) watch({}); watch(T.start(coroutine.yield)) end), true)
  local kept
  T.eq(T.collected(function (watch) kept = watch({}); watch({}) end), false)
end)

T.test_if(T.ephemerons, no_ephemerons,
  "a waiter that alone holds its event is collected with it [10 1.7.1] [00 1.6.2]", function ()
  for _, f in ipairs { await, awaitany, awaitall, queued.await, queued.awaitany, queued.awaitall } do
    T.eq(T.collected(function (watch)
      local e = watch({})
      watch(T.start(function () f(e); error("never") end))
    end), true)
  end
  T.eq(T.collected(function (watch) -- functions, coroutines, userdata
    local n = 0
    for _, e in ipairs { function () n = n + 1 end, coroutine.create(function () end), assert(io.tmpfile()) } do
      watch(e)
      watch(T.start(function () await(e); error("never") end))
    end
  end), true)
end)

T.test_if(T.ephemerons, no_ephemerons,
  "also when several wait on several such values [10 1.7.1]", function ()
  T.eq(T.collected(function (watch)
    local a, b, c = watch({}), watch({}), watch({})
    for _, f in ipairs { awaitany, awaitall } do
      watch(T.start(function () f(a, b) end))
      watch(T.start(function () f(b, c) end))
      watch(T.start(function () f(c, a) end))
    end
  end), true)
  T.eq(T.collected(function (watch) -- each holds what the other waits for
    local a, b = watch({}), watch({})
    watch(T.start(function (e, kept) await(e); return kept end, a, b))
    watch(T.start(function (e, kept) await(e); return kept end, b, a))
  end), true)
  T.eq(T.collected(function (watch) -- a coroutine that waits for itself
    local co
    co = watch(T.create(function () await(coroutine.running()) end))
    T.resume(co)
  end), true)
end)

T.test("a waiter stays as long as its event is reachable [10 1.7.2] [00 1.6.2]", function ()
  local box, got = T.watch(), {}
  local e = {}
  T.scope(function ()
    for i, f in ipairs { await, awaitany, queued.await } do
      box.add(T.start(function () got[i] = select(2, f(e)) end))
    end
    box.add(T.start(function () got[4] = awaitall(e) end))
  end)
  T.eq(box.alive(), 4)
  T.eq(emitall(e, "x"), true)
  T.same(got, { "x", "x", "x", true })
  T.eq(box.alive(), 0)
end)

T.test("one of several awaited values is enough [10 1.7.2] [00 1.6.2]", function ()
  for n = 1, 3 do
    for _, f in ipairs { awaitany, awaitall } do
      local box, got = T.watch(), nil
      local kept = T.scope(function ()
        local list = { {}, {}, {} }
        box.add(T.start(function () got = f(T.unpack(list)) end))
        return list[n]
      end)
      T.eq(box.alive(), 1)
      T.eq(emitone(kept), true)
      if f == awaitany then T.eq(got, kept) end
      kept = nil
      if T.ephemerons or f == awaitany then T.eq(box.alive(), 0) end
    end
  end
end)

T.test("a waiter reached through another waiter's value stays [10 1.7.2]", function ()
  local box, log, first = T.watch(), {}, {}
  T.scope(function () -- first keeps a coroutine, which keeps the next event, and so on
    local e = first
    for i = 1, 5 do
      local next = {}
      box.add(T.start(function (this) await(this); put(log, i); emitall(next) end, e))
      e = next
    end
  end)
  T.eq(box.alive(), 5)
  T.eq(emitall(first), true)
  T.same(log, { 1, 2, 3, 4, 5 })
end)

T.test("a value that only coroutines with other anchors hold", function ()
  local box, got = T.watch(), nil
  local holder = T.scope(function ()
    local e = {}
    box.add(T.start(function () got = select(2, await(e)) end))
    return function (...) return emitall(e, ...) end
  end)
  T.eq(box.alive(), 1)
  T.eq(holder("x"), true)
  T.eq(got, "x")
end)

T.test("waiters on values that are no objects stay until resumed [10 1.7.3] [00 1.6.3]", function ()
  local keys = { "a word of this test", true, false, 12345.5, 1e100, -7, print }
  if debug.upvalueid then
    local up
    keys[#keys + 1] = debug.upvalueid(function () return up end, 1)
  end
  local box, n = T.watch(), 0
  for _, key in ipairs(keys) do
    T.scope(function ()
      box.add(T.start(function () await(key); n = n + 1 end))
      box.add(T.start(function () awaitany(key, {}); n = n + 1 end))
    end)
  end
  T.scope(function () box.add(T.start(function () await(("made of %d"):format(12)); n = n + 1 end)) end)
  T.eq(box.alive(), 2 * #keys + 1)
  for _, key in ipairs(keys) do T.eq(emitall(key), true) end
  T.eq(emitall("made of 12"), true)
  T.eq(n, 2 * #keys + 1)
  T.eq(box.alive(), 0)
end)

T.test("a running batch keeps its members [10 1.7.4]", function ()
  local log = {}
  local function batch()
    local e = {}
    for i = 1, 4 do
      T.start(function ()
        await(e)
        e = nil
        T.gc()
        put(log, i)
      end)
    end
    return e
  end
  T.eq(emitall(batch()), true)
  T.same(log, { 1, 2, 3, 4 })
  log = {}
  T.scope(function () T.eq(emitall(T.scope(batch)), true) end)
  T.same(log, { 1, 2, 3, 4 })
end)

T.test("asking and emitting anchor nothing [10 1.1.5] [10 1.2.9] [00 1.6.4]", function ()
  T.eq(T.collected(function (watch)
    for _, f in ipairs { pending, emitall, emitone, queued.queued, mutex.islocked, mutex.ownlock } do
      f(watch({}), watch({}))
      f(watch(function () return f end))
      f(watch(coroutine.create(function () end)))
    end
    pcall(mutex.unlock, watch({}))
    pcall(awaitany, watch({}), T.nan)
    pcall(awaitall, T.nan, watch({}))
    ;("x"):gsub("x", function () pcall(await, watch({})) end) -- cannot wait there
  end), true)
end)

T.test("an event is free again after its waiters [10 1.1.5] [10 1.2.9]", function ()
  T.eq(T.collected(function (watch)
    for _, f in ipairs { await, awaitany, awaitall } do
      local e = watch({})
      watch(T.start(f == await and f or function () f(e) end, e))
      emitall(e)
      emitall(e)
      emitone(e)
      local co = watch(T.start(function () f(e) end))
      T.resume(co)
    end
  end), true)
end)

T.test("a cancelled waiter is not kept by its event [00 1.2.5] [00 1.6.2]", function ()
  local box, e = T.watch(), {}
  T.scope(function ()
    for _, f in ipairs { await, awaitany, awaitall } do
      local co = box.add(T.start(function () f(e, "this too"); coroutine.yield() end))
      T.resume(co)
    end
  end)
  T.eq(box.alive(), 0)
  T.scope(function () -- dead by an error, and by another event
    box.add(T.start(function () awaitany(e, "this too"); error("x") end))
    emitall("this too")
    T.reports()
  end)
  T.eq(box.alive(), 0)
  T.eq(pending(e), false)
end)

T.test("values of an emission are not kept [10 1.2.9]", function ()
  local box, e = T.watch(), {}
  local co = T.start(function ()
    await(e)
    T.scrub()
    await(e)
    T.scrub()
    coroutine.yield()
  end)
  T.scope(function () emitall(e, box.add({}), box.add({})) end)
  T.eq(box.alive(), 0)
  T.scope(function () coroutine.resume(co, box.add({})) end)
  T.eq(box.alive(), 0)
end)

-- Mutexes ---------------------------------------------------------------------------------------

T.test_if(T.ephemerons, no_ephemerons,
  "a mutex and its owner are collected together [10 3.4.1]", function ()
  T.eq(T.collected(function (watch)
    local e = watch({})
    watch(T.start(function () mutex.lock(e); coroutine.yield(); mutex.unlock(e) end))
    watch(T.start(function () mutex.lock(e); mutex.unlock(e) end)) -- waits
  end), true)
end)

T.test("the owner is kept by the value only [10 3.4.1]", function ()
  local box = T.watch()
  local e = T.scope(function ()
    local e = {}
    local co = box.add(T.create(coroutine.yield))
    local locker = box.add(T.create(function (m) mutex.lock(m); m = nil; coroutine.yield() end))
    T.resume(locker, e)
    T.resume(co)
    return e
  end)
  T.eq(box.alive(), 1)
  T.eq(mutex.islocked(e), true)
  e = nil
  T.eq(box.alive(), 0)
end)

T.test("unlocking frees the owner [10 3.4.1]", function ()
  local box, e = T.watch(), {}
  T.scope(function () box.add(T.start(function () mutex.lock(e); mutex.unlock(e); coroutine.yield() end)) end)
  T.eq(box.alive(), 0)
  T.eq(mutex.islocked(e), false)
  T.eq(T.collected(function (watch) -- the main thread as owner keeps nothing
    local m = watch({})
    mutex.lock(m)
  end), true)
end)

-- Promises --------------------------------------------------------------------------------------

T.test("promises are collected, with their waiters, on every version [90 4.11] [00 1.6.2]", function () -- 10 4.1
  T.eq(T.collected(function (watch)
    local p, fulfill = promise.create()
    watch(p)
    watch(fulfill)
  end), true)
  T.eq(T.collected(function (watch)
    local p, fulfill = promise.create()
    watch(p)
    watch(fulfill)
    fulfill(watch({}), p, fulfill)
  end), true)
  for _, f in ipairs { function (p) p() end, await, awaitany, awaitall, queued.await, promise.awaitall, promise.awaitany } do
    T.eq(T.collected(function (watch)
      local p, fulfill = promise.create()
      watch(p)
      watch(fulfill)
      watch(T.start(function () f(p); return p, fulfill end))
    end), true)
  end
end)

T.test("promises that wait for each other are collected on every version [90 4.11]", function ()
  T.eq(T.collected(function (watch)
    local list = {}
    for i = 1, 4 do
      local p, fulfill = promise.create()
      list[i] = { watch(p), watch(fulfill) }
    end
    for i = 1, 4 do
      watch(T.start(function ()
        list[i][1]()
        list[i % 4 + 1][2](i)
      end))
      watch(T.start(function () awaitany(list[i][1], list[i % 4 + 1][1]) end))
    end
  end), true)
end)

T.test("a waiter stays as long as the promise or its fulfill function is reachable [00 1.6.2]", function ()
  local box, got = T.watch(), {}
  local function start(i)
    return T.scope(function ()
      local p, fulfill = promise.create()
      box.add(T.start(function () got[i] = p() end))
      return ({ p, fulfill })[i]
    end)
  end
  local p, fulfill = start(1), start(2)
  T.eq(box.alive(), 2)
  T.eq(fulfill("x"), true)
  T.eq(got[2], "x")
  T.eq(emitall(p, "y"), true)
  T.eq(got[1], "y")
  T.eq(box.alive(), 0)
end)

T.test("later results replace the earlier ones, which are released [10 4.3.3]", function ()
  local box = T.watch()
  local p, fulfill = promise.create()
  T.scope(function () fulfill(box.add({}), box.add({})) end)
  T.eq(box.alive(), 2)
  fulfill()
  T.eq(box.alive(), 0)
  T.eq(p("probe"), true)
end)

-- Records ---------------------------------------------------------------------------------------

T.test("records live as long as their event", function () -- 10 2.7
  T.eq(T.collected(function (watch)
    local e = watch({})
    for _ = 1, 3 do queued.emitone(e, watch({})) end
  end), true)
  local box, e = T.watch(), {}
  T.scope(function () for i = 1, 3 do queued.emitall(e, box.add({ i })) end end)
  T.eq(box.alive(), 3)
  T.scope(function () T.eq(select(2, queued.await(e))[1], 1) end)
  T.eq(box.alive(), 2)
  T.scope(function () queued.awaitany("none here", e) end)
  T.eq(box.alive(), 1)
  T.inside(queued.awaitall, e)
  T.eq(box.alive(), 0)
end)

T.test("records on values that are no objects stay until consumed", function () -- 10 2.7
  local box = T.watch()
  local keys = { "records of this test", 0.125, true, print }
  T.scope(function () for _, key in ipairs(keys) do queued.emitone(key, box.add({ key })) end end)
  T.eq(box.alive(), #keys)
  for _, key in ipairs(keys) do T.scope(function () T.eq(select(2, queued.await(key))[1], key) end) end
  T.eq(box.alive(), 0)
end)

T.test_if(T.ephemerons, no_ephemerons,
  "an event that only its records reach is collected", function () -- 10 2.7
  T.eq(T.collected(function (watch)
    local e = watch({})
    queued.emitone(e, e)
    queued.emitone(e, watch(function () return e end))
    watch(T.start(function () await(e) end)) -- waits while there are records
  end), true)
end)

-- Spawned coroutines ----------------------------------------------------------------------------

T.test("spawned coroutines are not anchored [10 5.3.1]", function ()
  for _, run in pairs(spawn) do
    T.eq(T.collected(function (watch)
      local function handler() end
      watch(handler)
      watch(run(handler, function () end))
      watch(run(handler, error, watch({})))
      watch(run(handler, coroutine.yield, watch({})))
      local e = {}
      watch(run(handler, function () await(e); error("x") end))
      watch(run(handler, function () await(e); coroutine.yield() end))
      emitall(e)
      T.resume(watch(run(handler, coroutine.yield)))
    end), true)
  end
end)

T.test("reports keep nothing [90 2.2]", function ()
  local box, e = T.watch(), {}
  T.scope(function ()
    box.add(T.start(function () await(e); error(box.add({})) end))
    emitall(e)
    T.reports()
  end)
  T.eq(box.alive(), 0)
end)

-- The end of the state --------------------------------------------------------------------------

local everything = [[
local event, mutex = require "coutil.event", require "coutil.mutex"
local promise, queued, spawn = require "coutil.promise", require "coutil.queued", require "coutil.spawn"
local p, fulfill = promise.create()
local e, m = {}, {}
mutex.lock(m)
queued.emitone(m, p, e)
local function wait(f, ...)
  local args = { ... }
  kept = kept or {}
  local function body() f((table.unpack or unpack)(args)); print("resumed") end
  kept[#kept + 1] = spawn.catch(print, body)
  spawn.trap(print, body)
end
wait(event.await, e) wait(event.awaitany, e, "a", p) wait(event.awaitall, e, 1, false)
wait(mutex.lock, m) wait(p) wait(promise.awaitall, p) wait(queued.await, e)
wait(event.await, {}) wait(event.await, "b")
]]

T.test_child("the end of the program resumes nothing [00 1.6.5] [90 1.1]", function ()
  local ends = { "", "kept = nil; p = nil; e = nil; collectgarbage()", "os.exit(0, true)", "os.exit(0)",
    "coroutine.wrap(function () os.exit(0, true) end)()",
    [[event.await, e = nil, nil
      coroutine.wrap(function () require "coutil.queued".await("b2"); os.exit(0, true) end)()
      event.emitall("b2")]] }
  if T.number < 5.2 and T.version ~= "jit" then for i = 3, 6 do ends[i] = "os.exit(0)" end end
  for i, text in ipairs(ends) do
    local out, status = T.child(everything .. text)
    T.eq(out, "", "end " .. i)
    T.eq(status, 0, "end " .. i)
  end
end)

T.test_child("finalizers at the end of the program may use the library [00 1.6.5]", function ()
  local out, status = T.child(everything .. [[
    local function finalizer()
      event.emitall("nobody"); event.pending(e); queued.emitone("nobody", e); mutex.islocked(m)
      pcall(event.await, e)
      local q, f = promise.create()
      f(q)
    end
    for i = 1, 10 do
      if newproxy then getmetatable(newproxy(true)).__gc = finalizer
      else setmetatable({}, { __gc = finalizer }) end
    end]])
  T.eq(out, "")
  T.eq(status, 0)
end)

T.test("a spawned coroutine that its handler refers to is collected [10 5.3.1]", function ()
  local box = T.watch()
  T.scope(function ()
    for _, run in pairs(spawn) do
      local co
      co = box.add(run(function () return co end, function () coroutine.yield() end))
    end
  end)
  T.eq(box.alive(), 0)
end)

T.test("a member of a batch is let go of whatever becomes of its event [10 1.2.5] [10 1.7.3]", function ()
  local box = T.watch()
  T.scope(function ()
    local second
    T.start(function ()
      event.await "batch"
      -- So many strings without waiters that idle ones are forgotten.
      for i = 1, 5000 do
        coroutine.wrap(function () event.await("idle " .. i) end)()
        event.emitone("idle " .. i)
      end
      T.resume(second)
    end)
    second = box.add(coroutine.create(function () event.await "batch" end))
    T.resume(second)
    T.eq(event.emitall "batch", true)
    T.eq(coroutine.status(second), "dead")
  end)
  T.eq(box.alive(), 0)
end)

T.done()
