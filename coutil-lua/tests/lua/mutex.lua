-- Module coutil.mutex: ownership by coroutines, handed over in order.

local T = require "testing"
local event = require "coutil.event"
local queued = require "coutil.queued"
local mutex = require "coutil.mutex"
local lock, unlock, islocked, ownlock = mutex.lock, mutex.unlock, mutex.islocked, mutex.ownlock
local waiter = T.waiter
local put = table.insert

-- A coroutine that takes `e`, notes its name, and holds it until it is resumed with no wait left.
local function holder(e, name, log)
  return T.start(function ()
    lock(e)
    put(log, name)
    coroutine.yield()
    unlock(e)
  end)
end

-- lock ------------------------------------------------------------------------------------------

T.test("a free mutex is taken at once, in any thread [10 3.1.1] [00 1.4.4]", function ()
  for _, e in ipairs { {}, "text", false, 12.5, print, io.stdout, function () end,
                       coroutine.create(function () end) } do
    T.returns({}, lock, e)
    T.eq(ownlock(e), true)
    T.returns({ false }, unlock, e)
    T.returns({}, T.inside, lock, e)
    T.eq(islocked(e), true)
    T.eq(ownlock(e), false)
    local fresh = {}
    T.inside(function ()
      lock(fresh)
      T.eq(ownlock(fresh), true)
      unlock(fresh)
    end)
    ;("x"):gsub("x", function () lock(fresh) end)
    T.eq(ownlock(fresh), true)
    unlock(fresh)
  end
end)

T.test("the main thread owns what it locked, a coroutine does not [10 3.1.1] [10 3.3.1] [90 4.1]", function ()
  local e, got = {}, nil
  lock(e)
  T.inside(function ()
    T.eq(islocked(e), true)
    T.eq(ownlock(e), false)
    local ok, err = pcall(unlock, e)
    T.eq(ok, false)
    T.eq(err, "lock not owned")
  end)
  local co = T.start(function () lock(e); got = { ownlock(e), unlock(e) } end)
  T.eq(got, nil)
  T.returns({ true }, unlock, e)
  T.same(got, { true, false })
  T.eq(coroutine.status(co), "dead")
  T.eq(islocked(e), false)
end)

T.test("nested lock, also where nothing can be yielded [10 3.1.2] [00 1.4.4]", function ()
  local e = {}
  lock(e)
  T.raises("nested lock", lock, e)
  T.eq(ownlock(e), true)
  T.inside(function ()
    local f = {}
    lock(f)
    local err = T.raises("nested lock", lock, f)
    T.eq(err, "nested lock")
    T.eq(ownlock(f), true)
    unlock(f)
  end)
  unlock(e)
end)

T.test("a taken mutex needs a coroutine that can wait [10 3.1.3] [00 1.4.3]", function ()
  local e = {}
  T.inside(lock, e)
  T.raises("unable to yield", lock, e)
  T.eq(event.pending(e), false)
  T.eq(ownlock(e), false)
end)

T.test("a waiting locker is a waiter of the event [10 3.1.3]", function ()
  local e, log = {}, {}
  lock(e)
  local co = T.create(function () lock(e); put(log, "locked"); unlock(e) end)
  T.returns({}, T.resume, co) -- yields no value
  T.eq(event.pending(e), true)
  T.eq(queued.emitone(e), true) -- nothing stored: somebody waits
  T.eq(queued.queued(e), false)
  T.eq(event.pending(e), true)
  T.same(log, {})
  unlock(e)
  T.same(log, { "locked" })
end)

T.test("emitall makes the lockers wait again in the same order [10 3.1.3]", function ()
  local e, log = {}, {}
  lock(e)
  for i = 1, 4 do T.start(function () lock(e); put(log, i); unlock(e) end) end
  T.returns({ true }, event.emitall, e, "ignored")
  T.same(log, {})
  T.eq(event.pending(e), true)
  unlock(e)
  T.same(log, { 1, 2, 3, 4 })
end)

T.test("emitone sends only the first locker to the end [10 3.1.3]", function ()
  local e, log = {}, {}
  lock(e)
  for i = 1, 3 do T.start(function () lock(e); put(log, i); unlock(e) end) end
  T.returns({ true }, event.emitone, e)
  T.same(log, {})
  unlock(e)
  T.same(log, { 2, 3, 1 })
end)

T.test("an explicit resume does not cancel a lock [10 3.1.3] [00 1.3.5]", function ()
  local e, log, cos = {}, {}, {}
  lock(e)
  for i = 1, 3 do
    cos[i] = T.start(function () put(log, { i, n = 1 + select("#", lock(e)) }); unlock(e) end)
  end
  T.returns({}, T.resume, cos[1], "lost", nil)
  T.returns({}, T.resume, cos[1])
  T.returns({}, T.resume, cos[2], e)
  T.eq(#log, 0)
  unlock(e)
  T.eq(#log, 3)
  for i, who in ipairs { 3, 1, 2 } do
    T.eq(log[i][1], who)
    T.eq(log[i].n, 1)
  end
end)

T.test("a locker resumed while the mutex is free takes it [10 3.1.3] [10 3.1.5]", function ()
  local e, log = {}, {}
  lock(e)
  waiter(event.await, e) -- takes the notification of unlock
  local co = holder(e, "locker", log)
  T.eq(unlock(e), true)
  T.eq(islocked(e), false)
  T.same(log, {})
  T.resume(co, "lost")
  T.same(log, { "locker" })
  T.eq(islocked(e), true)
  T.eq(event.pending(e), false)
  T.resume(co)
end)

T.test("nil and NaN cannot be locked [10 3.1.4]", function ()
  for _, call in ipairs { function (f) return f() end, T.inside } do
    call(function ()
      T.raises("table index is nil", lock)
      T.raises("table index is nil", lock, nil)
      T.raises("table index is NaN", lock, T.nan)
    end)
  end
  T.eq(islocked(nil) or islocked(T.nan), false)
end)

T.test("mutexes of strings that are made anew each time", function ()
  local name = "a string that is too long to be shared: number "
  local n = T.scale(3000, 100)
  for i = 1, n do lock(name .. i) end
  for i = 1, n do
    T.eq(islocked(name .. n + i), false)
    T.eq(ownlock(name .. i), true)
    T.returns({ false }, unlock, name .. i)
    T.eq(islocked(name .. i), false)
  end
end)

T.test("1 and 1.0 are the same mutex", function ()
  local one = T.load "return 1.0" ()
  lock(1)
  T.eq(ownlock(one), true)
  T.raises("nested lock", lock, one)
  unlock(one)
  T.eq(islocked(1), false)
end)

T.test("the lockers take the mutex in the order of arrival [10 3.1.5] [10 3.2.2]", function ()
  local e, log, cos = {}, {}, {}
  for i = 1, 5 do cos[i] = holder(e, i, log) end
  for i = 1, 5 do
    T.eq(#log, i)
    T.eq(log[i], i)
    T.resume(cos[i])
  end
  T.eq(islocked(e), false)
end)

T.test("who locks again goes to the end, nobody starves [10 3.1.5]", function ()
  local e, log, cos = {}, {}, {}
  for i = 1, 3 do
    cos[i] = T.start(function ()
      while true do
        lock(e)
        put(log, i)
        coroutine.yield()
        unlock(e)
      end
    end)
  end
  -- the resumed one lets go, the next one takes the mutex, and the first queues up again
  for i = 1, 6 do T.resume(cos[(i - 1) % 3 + 1]) end
  T.same(log, { 1, 2, 3, 1, 2, 3, 1 })
end)

T.test("a newcomer takes a mutex freed by a stolen notification [10 3.1.5] [10 3.2.3]", function ()
  local e, log = {}, {}
  lock(e)
  local thief = waiter(event.await, e)
  local first, second = holder(e, "first", log), holder(e, "second", log)
  T.returns({ true }, unlock, e)
  T.same(thief.got, { e })
  T.same(log, {})
  T.eq(islocked(e), false)
  T.eq(event.pending(e), true)
  lock(e) -- free, though others have waited longer
  T.eq(unlock(e), true) -- this cycle wakes the first locker
  T.same(log, { "first" })
  T.resume(first)
  T.same(log, { "first", "second" })
  T.resume(second)
end)

T.test("another emission lets a left-over locker in [10 3.2.3]", function ()
  local e, log = {}, {}
  lock(e)
  waiter(event.await, e)
  local co = holder(e, "locker", log)
  unlock(e)
  T.eq(event.emitall(e), true)
  T.same(log, { "locker" })
  T.resume(co)
end)

-- unlock ----------------------------------------------------------------------------------------

T.test("only the owner can unlock [10 3.2.1]", function ()
  local e = {}
  T.raises("lock not owned", unlock)
  T.raises("lock not owned", unlock, nil)
  T.raises("lock not owned", unlock, T.nan)
  T.raises("lock not owned", unlock, e)
  local co = holder(e, 1, {})
  T.raises("lock not owned", unlock, e)
  T.inside(function () T.raises("lock not owned", unlock, e) end)
  T.eq(islocked(e), true)
  T.resume(co)
  T.eq(islocked(e), false)
  T.raises("lock not owned", unlock, e)
end)

T.test("a failing unlock wakes nobody [10 3.2.1]", function ()
  local e, log = {}, {}
  local co = holder(e, 1, log)
  local next = holder(e, 2, log)
  T.raises("lock not owned", unlock, e)
  T.same(log, { 1 })
  T.eq(event.pending(e), true)
  T.resume(co)
  T.resume(next)
end)

T.test("the woken owns and runs inside unlock [10 3.2.2] [10 3.3.2] [00 1.2.1]", function ()
  local e, log = {}, {}
  lock(e)
  T.start(function ()
    lock(e)
    put(log, "in")
    put(log, ownlock(e))
    put(log, unlock(e))
    put(log, ownlock(e))
  end)
  local keeper = T.start(function () lock(e); put(log, "kept"); coroutine.yield() end)
  T.returns({ true }, unlock, e)
  T.same(log, { "in", true, "kept", true, false })
  T.eq(islocked(e), true) -- by the keeper
  T.eq(ownlock(e), false)
  T.eq(coroutine.status(keeper), "suspended")
end)

T.test("unlock gives the event without values [10 3.2.2]", function ()
  local e = {}
  local w
  for _, f in ipairs { event.await, event.awaitany, event.awaitall } do
    lock(e)
    w = waiter(f, e)
    T.returns({ true }, unlock, e)
    T.same(w.got, { f == event.awaitall or e })
    T.eq(islocked(e), false)
    lock(e)
    T.returns({ false }, unlock, e)
  end
  lock(e)
  w = waiter(queued.await, e)
  unlock(e)
  T.same(w.got, { e })
  lock(e)
  unlock(e)
  T.eq(queued.queued(e), false) -- not a stored emission
end)

T.test("the mutex is free already when a waiter of the event runs [10 3.2.2]", function ()
  local e, free = {}, nil
  lock(e)
  T.start(function () event.await(e); free = not islocked(e); lock(e); unlock(e) end)
  T.eq(unlock(e), true)
  T.eq(free, true)
end)

T.test("a woken locker that fails leaves the mutex taken [10 3.4.2] [00 1.5.1]", function ()
  local e = {}
  lock(e)
  T.start(function () lock(e); error("owner fails") end)
  T.returns({ true }, unlock, e)
  T.eq(#T.reports(), 1)
  T.eq(islocked(e), true)
  T.raises("lock not owned", unlock, e)
end)

-- Queries ---------------------------------------------------------------------------------------

T.test("islocked and ownlock [10 3.3.1]", function ()
  for _, f in ipairs { islocked, ownlock } do
    T.returns({ false }, f)
    T.returns({ false }, f, nil)
    T.returns({ false }, f, T.nan)
    T.returns({ false }, f, {}, "ignored")
  end
  local e = {}
  local co = T.start(function ()
    lock(e, "ignored")
    T.returns({ true }, islocked, e)
    T.returns({ true }, ownlock, e)
    T.inside(function () -- another coroutine, called by the owner
      T.returns({ true }, islocked, e)
      T.returns({ false }, ownlock, e)
    end)
    coroutine.yield()
    unlock(e)
  end)
  T.returns({ true }, islocked, e)
  T.returns({ false }, ownlock, e)
  T.resume(co)
  T.returns({ false }, islocked, e)
end)

T.test("nothing releases a mutex when its owner ends [10 3.4.2]", function ()
  local e = {}
  T.inside(lock, e) -- ended
  T.eq(islocked(e), true)
  T.gc()
  T.eq(islocked(e), true)
  local f = {}
  local co = coroutine.create(function () lock(f); error("x") end)
  T.eq(coroutine.resume(co), false)
  T.eq(islocked(f), true)
  co = nil
  T.gc()
  T.eq(islocked(f), true)
  local w = waiter(lock, f)
  T.eq(w.got, nil)
  T.eq(event.emitall(f), true)
  T.eq(w.got, nil)
  T.raises("lock not owned", unlock, f)
end)

T.test("one coroutine holds many mutexes", function ()
  local held = {}
  for i = 1, 200 do held[i] = i % 2 == 0 and {} or "mutex " .. i; lock(held[i]) end
  local log = {}
  for i = 200, 1, -1 do T.start(function () lock(held[i]); put(log, i); unlock(held[i]) end) end
  for i = 1, 200 do T.eq(unlock(held[i]), true); T.eq(log[i], i) end
end)

T.test("a lock passes through several hands inside one unlock [10 3.2.2]", function ()
  local e, n = {}, 0
  lock(e)
  for _ = 1, 50 do T.start(function () lock(e); n = n + 1; unlock(e) end) end
  T.eq(unlock(e), true)
  T.eq(n, 50)
  T.eq(islocked(e), false)
end)

T.done()
