-- Many waiters, deep nesting, long chains: nothing crashes, nothing takes quadratic time or grows.

local T = require "testing"
local event = require "coutil.event"
local mutex = require "coutil.mutex"
local promise = require "coutil.promise"
local queued = require "coutil.queued"
local await, awaitall, awaitany = event.await, event.awaitall, event.awaitany
local emitall, emitone, pending = event.emitall, event.emitone, event.pending

-- A coroutine takes about 1 KB.
-- The collector of 5.2 takes a full cycle for every few kilobytes when much is new at once, now and then: minutes, for as many
-- as the others manage in seconds.
local slow = T.version == "5.2"
local million = T.scale(T.number >= 5.4 and 1000000 or slow and 20000 or 200000)
local many = T.scale(slow and 10000 or 100000)

-- Many waiters ----------------------------------------------------------------------------------

T.test("a million waiters on one event [10 1.2.2] [10 1.2.3]", function ()
  local e, n, ordered = {}, 0, true
  local function body(i)
    await(e)
    n = n + 1
    ordered = ordered and n == i
  end
  for i = 1, million do coroutine.resume(coroutine.create(body), i) end
  T.eq(pending(e), true)
  T.eq(emitall(e), true)
  T.eq(n, million)
  T.eq(ordered, true)
  T.eq(emitall(e), false)
  T.gc()
end)

T.test("one at a time [10 1.3.3]", function ()
  local e, n = {}, 0
  local function body() while true do await(e); n = n + 1 end end
  for _ = 1, many do coroutine.resume(coroutine.create(body)) end
  for i = 1, 2 * many do
    emitone(e)
    if n ~= i then T.eq(n, i) end
  end
end)

T.test("cancellations in the middle of many waiters [10 1.4.3] [00 1.3.2]", function ()
  local e, f, n, cos = {}, {}, 0, {}
  for i = 1, many do
    cos[i] = coroutine.create(function () if awaitany(e, f) then n = n + 1 end end)
    coroutine.resume(cos[i])
  end
  local cancelled = 0
  for step = 7, 2, -1 do -- back and forth, near and far
    for i = step, many, step * 3 do
      if coroutine.status(cos[i]) == "suspended" then
        T.resume(cos[i])
        cancelled = cancelled + 1
      end
    end
  end
  for i = many, math.floor(many / 2), -5 do
    if coroutine.status(cos[i]) == "suspended" then T.resume(cos[i]); cancelled = cancelled + 1 end
  end
  T.eq(n, 0)
  T.eq(emitall(e), true)
  T.eq(n, many - cancelled)
  T.eq(pending(e) or pending(f), false)
end)

T.test("many members of a batch are cancelled by the first [10 1.2.5]", function ()
  local e, cos, woken, cancelled = {}, {}, 0, 0
  cos[1] = T.start(function ()
    await(e)
    for i = many, 2, -2 do coroutine.resume(cos[i], nil) end
  end)
  for i = 2, many do
    cos[i] = coroutine.create(function () if await(e) then woken = woken + 1 else cancelled = cancelled + 1 end end)
    coroutine.resume(cos[i])
  end
  T.eq(emitall(e), true)
  T.eq(cancelled, math.floor(many / 2))
  T.eq(woken + cancelled, many - 1)
end)

T.test("many lockers of one mutex [10 3.1.5]", function ()
  local m, n = {}, 0
  mutex.lock(m)
  local cos = {}
  for i = 1, many do
    cos[i] = coroutine.create(function () mutex.lock(m); n = n + 1; coroutine.yield(); mutex.unlock(m) end)
    coroutine.resume(cos[i])
  end
  T.eq(emitall(m), true) -- all queue up again
  T.eq(n, 0)
  mutex.unlock(m)
  for i = 1, many do
    if n ~= i then T.eq(n, i) end
    T.resume(cos[i])
  end
  T.eq(mutex.islocked(m), false)
end)

T.test("many waiters of one promise [10 4.3.2]", function ()
  local p, fulfill = promise.create()
  local sum = 0
  for _ = 1, many do coroutine.wrap(function () local v = p(); sum = sum + v end)() end
  T.eq(fulfill(2), true)
  T.eq(sum, 2 * many)
end)

T.test("many stored emissions [10 2.4.1]", function ()
  local e = {}
  for i = 1, many do queued.emitone(e, i) end
  for i = 1, many do
    local _, got = queued.await(e)
    if got ~= i then T.eq(got, i) end
  end
  T.eq(queued.queued(e), false)
end)

T.test("waits on many events [10 1.5.3] [10 1.6.3]", function ()
  local list, n = {}, math.min(many, 3000)
  for i = 1, n do list[i] = i % 3 == 0 and {} or i % 3 == 1 and i or "event " .. i end
  local w = T.waiter(awaitall, T.unpack(list))
  for i = n, 1, -1 do
    T.eq(w.got, nil)
    T.eq(emitone(list[i]), true)
    T.eq(emitone(list[i]), false)
  end
  T.same(w.got, { true })
  for _, i in ipairs { 1, math.floor(n / 2), n } do
    w = T.waiter(awaitany, T.unpack(list))
    T.eq(emitone(list[i], "x"), true)
    T.same(w.got, { list[i], "x" })
    for j = 1, n do if pending(list[j]) then T.eq(j, nil, "still pending") end end
  end
end)

T.test("many coroutines on each of many events [10 1.5.4]", function ()
  local events, n = {}, 0
  for i = 1, 100 do events[i] = {} end
  -- 5.2's collector does not count what it finds by a table with weak keys alone, and then runs at every step.
  local each = T.scale(slow and 200 or 2000)
  for _ = 1, each do coroutine.wrap(function () awaitany(T.unpack(events)); n = n + 1 end)() end
  T.eq(emitall(events[50]), true)
  T.eq(n, each)
  for i = 1, 100 do T.eq(pending(events[i]), false) end
end)

-- Nesting ---------------------------------------------------------------------------------------

-- Runs a chain of `n` nested wake-ups, `wake(i)` waking whoever waits for step i. Beyond the depth
-- that the interpreter allows, wake-ups may be lost, or the woken die of a stack overflow; nothing
-- else may go wrong.
local function nested(n, wait, wake)
  local reached, answers = 0, {}
  for i = 1, n do
    T.start(function ()
      wait(i)
      reached = reached + 1
      if i < n then answers[i] = wake(i + 1) end
    end)
  end
  T.eq(wake(1), true)
  for i = 1, n - 1 do
    if answers[i] == nil then break end
    T.eq(answers[i], true)
  end
  for _, r in ipairs(T.reports()) do T.eq(tostring(r.err):find("overflow", 1, true) ~= nil, true, r.err) end
  T.eq(reached >= math.min(n, 90), true, "only " .. reached .. " levels")
  return reached
end

T.test("a thousand nested emissions [10 1.2.10]", function ()
  local events = {}
  for i = 1, 1000 do events[i] = {} end
  for _, f in ipairs { await, awaitany, awaitall, queued.await } do
    for _, emit in ipairs { emitall, emitone, queued.emitall } do
      local reached = nested(1000, function (i) f(events[i]) end, function (i) return emit(events[i]) end)
      -- the first that was not reached may have been lost, the others wait still
      for i = 1, reached do T.eq(pending(events[i]), false) end
      for i = reached + 2, 1000 do T.eq(emitall(events[i]), true); break end
      for i = 1, 1000 do -- leave nothing behind, and everything works as before
        for _ = 1, 3 do
          emitone(events[i])
          T.reports()
        end
        T.eq(pending(events[i]), false)
      end
    end
  end
end)

T.test("a thousand nested fulfilments [10 1.2.10]", function ()
  local promises, fulfills = {}, {}
  for i = 1, 1000 do promises[i], fulfills[i] = promise.create() end
  local reached = nested(1000, function (i) promises[i]() end, function (i) return fulfills[i]() end)
  for i = 1, reached do T.eq(promises[i]("probe"), true) end
  T.eq(promises[1000]("probe"), reached == 1000)
end)

T.test("a thousand nested unlocks [10 1.2.10]", function ()
  local keys = {}
  for i = 1, 1000 do keys[i] = "key " .. i; mutex.lock(keys[i]) end
  local waiting = 0
  local function locker(i)
    mutex.lock(keys[i])
    waiting = waiting + 1
    mutex.unlock(keys[i])
  end
  for _ = 1, 1000 do T.start(locker, 1) end -- each is woken inside the unlock of the one before
  T.eq(mutex.unlock(keys[1]), true)
  for _, r in ipairs(T.reports()) do T.eq(tostring(r.err):find("overflow", 1, true) ~= nil, true, r.err) end
  T.eq(waiting >= 90, true)
  emitall(keys[1])
  T.reports()
  for i = 2, 1000 do T.eq(mutex.unlock(keys[i]), false) end
end)

T.test("emissions go on after the deepest nesting [10 1.2.10]", function ()
  local e, f, last = {}, {}, nil
  local depth = 0
  local function down()
    depth = depth + 1
    if depth < 1000 then
      local key = {}
      T.start(function () await(key); down() end)
      emitall(key)
    end
  end
  pcall(down)
  T.reports()
  local w = T.waiter(await, e)
  T.start(function () last = select(2, await(f)); emitall(e, last) end)
  T.eq(emitall(f, "x"), true)
  T.same(w.got, { e, "x" })
end)

-- Long chains -----------------------------------------------------------------------------------

T.test("a chain of 10 000 promises is collected [90 4.11] [10 1.7.1]", function ()
  local n = T.scale(10000)
  local box = T.watch()
  T.scope(function ()
    local last = promise.create()
    box.add(last)
    for _ = 1, n do
      local p = promise.create()
      box.add(p)
      local co = box.add(coroutine.create(function (this, next) this(); return next() end))
      coroutine.resume(co, p, last) -- waits for the one, and alone holds the next
      last = p
    end
  end)
  collectgarbage()
  local before = os.clock()
  T.eq(box.alive(), 0)
  if T.full_speed then T.eq(os.clock() - before < 2, true, "slow collection") end
end)

T.test("a chain of 10 000 promises that is reachable is kept, and works link by link [10 1.7.2]", function ()
  local n, log = T.scale(10000), 0
  local first, fulfill = promise.create()
  T.scope(function ()
    local this, open = first, nil
    for _ = 1, n do
      local next, fulfill_next = promise.create()
      coroutine.resume(coroutine.create(function (p)
        p()
        log = log + 1
        open = fulfill_next
      end), this)
      this = next
    end
    first = function () return open end
  end)
  T.gc()
  fulfill()
  for i = 1, n do
    if log ~= i then T.eq(log, i) end
    first()()
  end
end)

T.test("a collection with a long chain of waiters on tables is not slow", function ()
  local n = T.scale(2000)
  local first = {}
  T.scope(function ()
    local e = first
    for _ = 1, n do
      local next = {}
      coroutine.resume(coroutine.create(function (this) await(this); emitall(next) end), e)
      e = next
    end
  end)
  local before = os.clock()
  collectgarbage()
  if T.full_speed then T.eq(os.clock() - before < 2, true) end
  T.eq(pending(first), true)
end)

-- Growth ----------------------------------------------------------------------------------------

-- Memory of the process in KB, as far as the system tells; otherwise that of Lua.
local function memory()
  T.gc()
  local file = io.open("/proc/self/statm")
  if not file then return collectgarbage("count") end
  local _, resident = file:read("*n", "*n")
  file:close()
  return resident * 4
end

-- `use(i)` is called very often, and must leave nothing behind.
local function steady(title, use)
  T.test(title, function ()
    local n = T.scale(slow and 20000 or T.version == "5.1" and 100000 or 200000)
    for i = 1, n do use(i) end -- until tables and heap have their size
    local all = memory()
    local lua = collectgarbage("count")
    for i = n + 1, 2 * n do use(i) end
    all = memory() - all
    lua = collectgarbage("count") - lua
    T.eq(lua < 1000 + n * 20 / 1024, true, "Lua grew by " .. lua .. " KB")
    T.eq(all < 6000 + n * 40 / 1024, true, "the process grew by " .. all .. " KB")
  end)
end

local count = 0
local function key()
  count = count + 1
  return "an event that is used only this once: number " .. count
end

do
  local now, after
  local co = coroutine.wrap(function () while true do await(now) end end)
  now = "the first"
  co()
  steady("strings that are waited for once each do not grow the memory [00 1.6.4]", function ()
    after = now
    now = key()
    emitall(after)
  end)
  steady("tables that are waited for once each do not grow the memory [00 1.6.4]", function ()
    after = now
    now = {}
    emitall(after)
  end)
end

do
  local now
  local co = coroutine.wrap(function () while true do awaitany(now, now .. "!") end end)
  now = "first"
  co()
  steady("cancelled waits for strings do not grow the memory [00 1.3.4]", function () now = key(); co() end)
end

steady("asking for strings does not grow the memory [00 1.6.4]", function ()
  local e = key()
  return pending(e) or emitall(e) or emitone(e) or queued.queued(e) or mutex.islocked(e) or mutex.ownlock(e)
end)

steady("stored emissions on strings do not grow the memory once consumed", function (i)
  local e = key()
  queued.emitall(e, i, nil)
  return queued.await(e)
end)

steady("mutexes on strings do not grow the memory once unlocked", function ()
  local e = key()
  mutex.lock(e)
  mutex.unlock(e:sub(1, 20) .. e:sub(21))
end)

steady("promises do not grow the memory", function (i)
  local p, fulfill = promise.create()
  coroutine.wrap(function () return p() end)()
  if i % 2 == 0 then fulfill(i) end
end)

do
  local e = {}
  for i = 1, 10 do T.start(await, i % 2 == 0 and e or "another") end
  local co = coroutine.wrap(function () while true do awaitall(e, "another") end end)
  co()
  steady("a waiter that comes and goes does not grow its queues", function () co() end)
  emitall(e)
  emitall("another")
end

T.done()
