-- coroutine.close of coroutines that wait (5.4 and later): the dead are no waiters.

local T = require "testing"

if not T.has_close then
  T.skip("coroutine.close [00 1.7.3] [90 4.3]", "this version has none")
  T.done()
  return
end

local event = require "coutil.event"
local mutex = require "coutil.mutex"
local promise = require "coutil.promise"
local queued = require "coutil.queued"
local spawn = require "coutil.spawn"
local await, awaitall, awaitany = event.await, event.awaitall, event.awaitany
local emitall, emitone, pending = event.emitall, event.emitone, event.pending
local waiter = T.waiter
local put = table.insert
local close = coroutine.close

local waits = { await, awaitany, awaitall, queued.await, queued.awaitany, queued.awaitall }

T.test("a closed waiter is not pending and takes no emission [90 1.3] [00 1.7.1] [00 1.7.3] [10 1.1.4]", function ()
  for _, f in ipairs(waits) do
    for _, emit in ipairs { emitall, emitone } do
      local e = {}
      local w = waiter(f, e)
      T.returns({ true }, close, w.co)
      T.eq(pending(e), false)
      T.eq(emit(e), false)
      T.eq(w.got, nil)
      T.eq(coroutine.status(w.co), "dead")
      w = waiter(f, e)
      close(w.co)
      T.eq(emit(e), false) -- without asking before
    end
  end
end)

T.test("emitone skips the dead and takes the next waiter [00 1.7.3] [10 1.1.4]", function ()
  for first = 1, 4 do
    for last = first, 4 do
      local e, log, cos = {}, {}, {}
      for i = 1, 5 do cos[i] = T.start(function () await(e); put(log, i) end) end
      for i = first, last do close(cos[i]) end
      T.eq(pending(e), true)
      for _ = 1, 6 do emitone(e) end
      local want = {}
      for i = 1, 5 do if i < first or i > last then want[#want + 1] = i end end
      T.same(log, want)
    end
  end
end)

T.test("emitall skips the dead, and those closed before their turn [10 1.2.5] [00 1.7.3]", function ()
  local e, log, cos = {}, {}, {}
  for i = 1, 6 do
    cos[i] = T.start(function ()
      await(e)
      put(log, i)
      if i == 2 then close(cos[3]); close(cos[5]) end
    end)
  end
  close(cos[1])
  T.eq(emitall(e), true)
  T.same(log, { 2, 4, 6 })
  T.eq(emitall(e), false)
end)

T.test("emitall to the dead only is false [10 1.1.4] [00 1.7.3]", function ()
  local e = {}
  for _ = 1, 3 do close(waiter(await, e).co) end
  T.eq(emitall(e), false)
  T.eq(queued.emitall(e, "x"), false) -- so it is stored
  T.returns({ e, "x" }, queued.await, e)
end)

T.test("an awaitall closed in the middle is in none of its queues [00 1.7.3]", function ()
  local a, b, c = {}, {}, {}
  local w = waiter(awaitall, a, b, c)
  emitone(a)
  local other = waiter(await, b)
  close(w.co)
  T.eq(pending(a) or pending(c), false)
  T.eq(pending(b), true)
  T.eq(emitone(b), true)
  T.same(other.got, { b })
  T.eq(emitone(b) or emitone(c), false)
end)

T.test("unlock skips dead lockers [10 3.2.4] [00 1.7.3]", function ()
  local e, log, cos = {}, {}, {}
  mutex.lock(e)
  for i = 1, 4 do
    cos[i] = T.start(function () mutex.lock(e); put(log, i); mutex.unlock(e) end)
  end
  close(cos[1])
  close(cos[2])
  T.eq(mutex.unlock(e), true)
  T.same(log, { 3, 4 })
  mutex.lock(e)
  close(T.start(mutex.lock, e))
  T.eq(mutex.unlock(e), false)
  T.eq(mutex.islocked(e), false)
end)

T.test("a closed owner leaves the mutex taken [10 3.4.2]", function ()
  local e = {}
  local co = T.start(function () mutex.lock(e); coroutine.yield() end)
  close(co)
  T.eq(mutex.islocked(e), true)
  T.raises("lock not owned", mutex.unlock, e)
  T.raises("unable to yield", mutex.lock, e)
end)

T.test("closed waiters of a promise [00 1.7.3]", function ()
  local p, fulfill = promise.create()
  local a, b = waiter(p), waiter(p)
  local c, d = waiter(promise.awaitall, p), waiter(promise.awaitany, p)
  close(a.co)
  close(c.co)
  T.eq(fulfill("x"), true)
  T.eq(a.got or c.got, nil)
  T.same(b.got, { "x" })
  T.same(d.got, { p, "x" })
end)

T.test("closed spawned coroutines call no handler [00 1.7.1]", function ()
  local e, calls = {}, 0
  local function handler() calls = calls + 1 end
  for _, run in pairs(spawn) do
    local co = run(handler, function () await(e) end)
    T.returns({ true }, close, co)
    T.eq(emitall(e), false)
  end
  T.eq(calls, 0)
  T.eq(#T.reports(), 0)
end)

T.test("closing runs the to-be-closed variables, which may use the library [00 1.7.1]", function ()
  local body = T.load("local await, e, object = ... local x <close> = object await(e) return 1")
  local e, f, log = {}, {}, {}
  local other = waiter(await, f)
  local co = T.start(body, await, e, setmetatable({}, { __close = function ()
    put(log, "closed")
    put(log, emitall(f, "by the closing"))
  end }))
  T.returns({ true }, close, co)
  T.same(log, { "closed", true })
  T.same(other.got, { f, "by the closing" })
  T.eq(pending(e), false)
  T.eq(emitall(e), false)
end)

T.test("a value closed when its coroutine goes on normally", function ()
  local body = T.load("local await, e, object = ... do local x <close> = object await(e) end return await(e)")
  local e, closed = {}, 0
  local co = T.start(body, await, e, setmetatable({}, { __close = function () closed = closed + 1 end }))
  emitall(e)
  T.eq(closed, 1)
  T.eq(pending(e), true)
  T.returns({ true, "cancel" }, coroutine.resume, co, "cancel")
end)

T.test("a to-be-closed variable whose closing waits [00 1.1.3]", function ()
  local body = T.load("local await, e, object = ... do local x <close> = object end return 1")
  local e = {}
  local co = T.start(body, await, e, setmetatable({}, { __close = function () await(e) end }))
  T.eq(pending(e), true)
  T.eq(emitall(e), true)
  T.eq(coroutine.status(co), "dead")
end)

T.test("a closed waiter is not kept [00 1.7.1] [00 1.6.2]", function ()
  local box, e = T.watch(), {}
  T.scope(function ()
    for _, f in ipairs(waits) do close(box.add(waiter(f, e, "another").co)) end
  end)
  T.eq(pending(e) or pending("another"), false)
  T.eq(box.alive(), 0)
end)

T.test("many closed among many waiters, without anybody asking", function ()
  local e, n, count = {}, T.scale(20000), 0
  local cos = {}
  for i = 1, n do cos[i] = T.start(function () await(e); count = count + 1 end) end
  for i = 1, n do if i % 3 ~= 0 then close(cos[i]) end end
  T.eq(emitone(e), true)
  T.eq(emitall(e), true)
  T.eq(count, math.floor(n / 3))
  for _ = 1, n do close(T.start(await, e)) end -- comes and goes: the queue must not grow
  T.eq(pending(e), false)
end)

T.test("closing a coroutine that has failed in an emission [00 1.5.4]", function ()
  local e = {}
  local co = T.start(function () await(e); error("x", 0) end)
  emitall(e)
  T.eq(#T.reports(), 1)
  T.eq(coroutine.status(co), "dead")
  T.returns({ false, "x" }, close, co)
  T.returns({ true }, close, co)
end)

T.done()
