-- Module coutil.event: emissions and their batches.

local T = require "testing"
local event = require "coutil.event"
local await, awaitall, awaitany = event.await, event.awaitall, event.awaitany
local emitall, emitone, pending = event.emitall, event.emitone, event.pending
local waiter = T.waiter
-- `log[#log + 1] = await(e)` would take the length before it suspends.
local put = table.insert

-- A coroutine that appends `name` to `log` each time it wakes from await(e), for ever.
local function ticker(log, name, e)
  return T.start(function ()
    while true do await(e); put(log, name) end
  end)
end

-- Batches ---------------------------------------------------------------------------------------

T.test("the batch is served in order of arrival, once [10 1.2.2] [10 1.2.3] [10 1.2.8]", function ()
  local e, log = {}, {}
  for i = 1, 5 do ticker(log, i, e) end
  T.returns({ true }, emitall, e)
  T.same(log, { 1, 2, 3, 4, 5 })
  T.eq(emitone(e), true) -- 1 goes to the end
  T.eq(emitall(e), true)
  T.same(log, { 1, 2, 3, 4, 5, 1, 2, 3, 4, 5, 1 })
end)

T.test("who begins to wait during an emission waits for the next one [10 1.2.2]", function ()
  local e, late = {}, nil
  T.start(function () await(e); late = waiter(await, e) end)
  local second = waiter(await, e)
  emitall(e)
  T.same(second.got, { e })
  T.eq(late.got, nil)
  T.eq(emitall(e), true)
  T.same(late.got, { e })
end)

T.test("a batch member that was cancelled before its turn is out [10 1.2.5] [00 1.2.5]", function ()
  local e, log, cos = {}, {}, {}
  cos[1] = T.start(function ()
    await(e)
    T.resume(cos[2], "cancelled")
    T.resume(cos[3], "cancelled")
  end)
  cos[2] = T.start(function () put(log, (await(e))); put(log, (await(e))) end)
  cos[3] = T.start(function () put(log, (await(e))); coroutine.yield() end)
  cos[4] = T.start(function () await(e); put(log, "fourth") end)
  T.eq(emitall(e), true)
  T.same(log, { "cancelled", "cancelled", "fourth" })
  T.eq(pending(e), true) -- the second, which waits again
  emitall(e)
  T.eq(log[4], e)
end)

T.test("a batch member satisfied by another event is out [10 1.2.5]", function ()
  local e, f, log = {}, {}, {}
  T.start(function () await(e); emitall(f, "f") end)
  local w
  w = T.start(function ()
    for _ = 1, 3 do put(log, (select(2, awaitany(e, f)))) end
  end)
  T.start(function () await(e); put(log, "last") end)
  emitall(e, "e")
  T.same(log, { "f", "last" })
  T.eq(pending(e) and pending(f), true)
  T.resume(w)
end)

T.test("a nested emission sees only the new waiters [10 1.2.6]", function ()
  local e, log = {}, {}
  for i = 1, 3 do
    T.start(function ()
      await(e)
      put(log, i)
      put(log, emitall(e, "nested") or emitone(e, "nested"))
    end)
  end
  T.eq(emitall(e), true)
  T.same(log, { 1, false, 2, false, 3, false })
end)

T.test("a later member can resume an earlier one that waits again [10 1.2.6]", function ()
  for _, emit in ipairs { emitall, emitone } do
    local e, log = {}, {}
    T.start(function ()
      await(e)
      put(log, "a")
      put(log, (select(2, await(e))))
    end)
    T.start(function () await(e); put(log, emit(e, "by b")); put(log, "b") end)
    T.start(function () await(e); put(log, emit(e, "by c")) end)
    T.eq(emitall(e), true)
    T.same(log, { "a", "by b", true, "b", false })
  end
end)

T.test("yields and results of the resumed are ignored [10 1.2.7] [00 1.5.6]", function ()
  local e, after = {}, nil
  T.start(function () await(e); coroutine.yield("value"); after = "no" end)
  T.start(function () await(e); return "result" end)
  T.returns({ true }, emitall, e)
  T.start(function () await(e); coroutine.yield("value") end)
  T.returns({ true }, emitone, e)
  T.eq(after, nil)
end)

T.test("emissions are made from anywhere, also of the running coroutine [10 1.2.9] [00 1.2.1]", function ()
  local e = {}
  local w = waiter(await, e)
  T.eq(T.inside(function ()
    local emitter = coroutine.running()
    local status
    T.start(function () await(e); status = coroutine.status(emitter) end)
    local ok = emitall(e)
    T.eq(coroutine.status(emitter), "running")
    T.eq(status, "normal")
    return ok
  end), true)
  T.same(w.got, { e })
  w = waiter(await, e)
  ;("x"):gsub("x", function () T.eq(emitall(e), true) end) -- where nothing can be yielded
  T.same(w.got, { e })
  local me
  me = T.create(function ()
    local other = waiter(await, me)
    T.eq(emitone(me, 1), true)
    T.same(other.got, { me, 1 })
  end)
  T.resume(me)
  local self = T.create(function () return (await(coroutine.running())) end)
  T.resume(self)
  T.eq(emitall(self), true)
  T.eq(coroutine.status(self), "dead")
end)

-- emitone ---------------------------------------------------------------------------------------

T.test("emitone serves one waiter, the others stay in the queue [10 1.3.1] [10 1.3.3]", function ()
  local e, log = {}, {}
  for i = 1, 4 do T.start(function () log[i] = select(2, await(e)) end) end
  for i = 1, 4 do
    T.eq(pending(e), true)
    T.returns({ true }, emitone, e, i)
  end
  T.returns({ false }, emitone, e, 5)
  T.same(log, { 1, 2, 3, 4 })
end)

T.test("nested calls under emitone see the remaining waiters [10 1.3.2]", function ()
  local e, log = {}, {}
  T.start(function ()
    await(e)
    put(log, pending(e))
    put(log, emitone(e))
    put(log, (select(2, await(e)))) -- behind the third
  end)
  T.start(function () await(e); put(log, "second") end)
  T.start(function () put(log, (select(2, await(e)))) end)
  emitone(e, 1)
  T.same(log, { true, "second", true })
  emitone(e, 2)
  T.eq(log[4], 2)
  emitone(e, 3)
  T.eq(log[5], 3)
end)

T.test("the example of the contract [10 1.2.2] [10 1.3.1]", function ()
  local log = {}
  local function go(name)
    coroutine.wrap(function ()
      local _, x = await("go")
      put(log, name .. ":" .. x)
      await("go")
      put(log, name .. ":2")
    end)()
  end
  go "a"; go "b"
  T.eq(emitall("go", "x"), true)
  T.same(log, { "a:x", "b:x" })
  T.eq(emitone("go"), true)
  T.same(log, { "a:x", "b:x", "a:2" })
  T.eq(pending("go"), true)
  T.eq(emitall("go"), true)
end)

T.done()
