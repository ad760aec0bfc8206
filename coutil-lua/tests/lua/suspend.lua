-- Time: the clocks, system.suspend, and its order.

local T = require "testing"
local L = require "loop_testing"
local system = require "coutil.system"
local run, suspend, time, nanosecs = system.run, system.suspend, system.time, system.nanosecs
local pack = T.pack
local put = table.insert

-- Clocks ----------------------------------------------------------------------------------------

T.test("nanosecs is a monotonic integer [30 T1] [30 T2]", function ()
  T.eq(select("#", nanosecs("surplus")), 1)
  local first = nanosecs()
  T.eq(type(first), "number")
  if T.integers then T.eq(math.type(first), "integer") end
  T.eq(first, math.floor(first))
  local least = math.huge
  for _ = 1, 100 do
    local a, b = nanosecs(), nanosecs()
    T.eq(b > a, true)
    least = math.min(least, b - a)
  end
  T.eq(least < 1e6, true)
end)

T.test("the mode of time [30 T3] [30 K4] [30 K5] [30 K8]", function ()
  for _, mode in ipairs { "x", "", "Cached", "epoch " } do
    T.eq(L.message(time, mode), "bad argument #1 to 'coutil.system.time' (invalid option '" .. mode .. "')")
  end
  T.eq(L.message(T.load("local time = ... time {}", "=chunk"), time),
    "bad argument #1 to 'time' (string expected, got table)")
  T.raises("string expected, got boolean", time, true)
  T.eq(time(), time("cached"))
  T.eq(time(nil), time("cached", "surplus"))
  T.wall(function () T.eq(math.abs(time("epoch\0x") - os.time()) < 5, true) end)
end)

T.test("the cached time is whole milliseconds, and stands still [30 T4]", function ()
  local now = time()
  T.eq(now > 0, true)
  T.eq(now, math.floor(now * 1000 + .5) / 1000)
  if T.integers then T.eq(math.type(now), "float") end
  L.busy(.004)
  T.eq(time("cached"), now)
  T.eq(suspend(.004, "~"), true)
  T.eq(time("cached"), now)
  time("epoch")
  T.eq(time("cached"), now)
  T.returns({ false }, run) -- also an empty run refreshes it
  T.eq(time() - now > .006, true)
  local seen = {}
  T.start(function ()
    suspend()
    seen[1] = time()
    L.busy(.004)
    seen[2] = time()
    suspend()
    seen[3] = time()
  end)
  run("step")
  run("step")
  T.eq(seen[1], seen[2])
  T.eq(seen[3] - seen[2] > .002, true)
end)

T.test("updated refreshes the cached time [30 T5]", function ()
  local before = time("updated")
  T.eq(time("cached"), before)
  L.busy(.003)
  local after = time("updated")
  T.eq(after - before > .00099, true)
  T.eq(time(), after)
  T.eq(after, math.floor(after * 1000 + .5) / 1000)
end)

T.test("epoch is the wall clock with digits below the second [30 T7]", function ()
  T.wall(function ()
    local low = os.time()
    local now = time("epoch")
    T.eq(now >= low - 1 and now <= os.time() + 1, true)
  end)
  local fractions = 0
  for _ = 1, 20 do
    if time("epoch") % 1 ~= 0 then fractions = fractions + 1 end
    L.busy(.0002)
  end
  T.eq(fractions > 0, true)
end)

-- Arguments -------------------------------------------------------------------------------------

T.test("the order of the checks [30 S1] [30 A9] [00 1.4.4] [30 K9]", function ()
  local name = "to 'coutil.system.suspend'"
  local checks = {
    { "bad argument #1 " .. name .. " (number expected, got table)", {} },
    { "bad argument #1 " .. name .. " (number expected, got string)", "x", "z" },
    { "bad argument #1 " .. name .. " (number expected, got boolean)", false, {} },
    { "bad argument #2 " .. name .. " (string expected, got table)", nil, {} },
    { "bad argument #2 " .. name .. " (string expected, got boolean)", math.huge, true },
    { "bad argument #1 " .. name .. " (out of range)", math.huge },
    { "bad argument #1 " .. name .. " (out of range)", math.huge, "~" },
  }
  for _, char in ipairs { "x", "\1", "\255", " ", "\n" } do
    for _, seconds in ipairs { 0, 1, math.huge } do
      put(checks, { "unknown mode char (got '" .. char .. "')", seconds, char })
      put(checks, { "unknown mode char (got '" .. char .. "')", seconds, "~" .. char })
    end
  end
  for _, c in ipairs(checks) do
    T.eq(L.message(suspend, c[2], c[3]), c[1])
    T.eq(T.inside(L.message, suspend, c[2], c[3]), c[1])
  end
  for _, seconds in ipairs { 0, -1, 1000, "1", T.nan } do T.eq(L.message(suspend, seconds), "unable to yield") end
  T.eq(L.message(suspend), "unable to yield")
  T.eq(L.message(suspend, nil, ""), "unable to yield")
  T.eq(L.message(T.load("local f = ... f()", "=chunk"), suspend), "unable to yield")
  T.returns({ false }, run) -- nothing was started
end)

T.test("what is out of range [30 S3]", function ()
  for _, seconds in ipairs { math.huge, 2 ^ 64 / 999.9, 2 ^ 64, 1e300 } do
    T.raises("out of range", suspend, seconds)
  end
  for _, seconds in ipairs { math.huge, 4294967.296, 2 ^ 53, math.maxinteger or 2 ^ 63, 2 ^ 64 } do
    T.raises("out of range", suspend, seconds, "~")
  end
  for _, seconds in ipairs { 2 ^ 53, 1e15, 2 ^ 64 / 1000.1, math.maxinteger and 2 ^ 54 or 1e16 } do
    local w = T.waiter(suspend, seconds)
    T.eq(run("ready"), true)
    T.eq(w.got, nil)
    T.resume(w.co, "enough")
    T.same(w.got, { "enough" })
  end
  T.eq(run(), false)
end)

T.test("numbers as strings, surplus arguments [30 S14] [30 K7] [30 K10]", function ()
  T.returns({ true }, L.await, suspend, "0")
  T.returns({ true }, L.await, suspend, "0x0", nil, "surplus")
  T.returns({ true }, L.await, suspend, 0, nil, "x", 1)
  T.returns({ true }, L.await, suspend, ".001")
  T.returns({ true }, suspend, "-1", "~", {})
end)

T.test("the mode of a wait [30 A9] [00 2.3] [00 2.4] [30 K8]", function ()
  for _, mode in ipairs { "~", "~~", "~~~~", "~\0x" } do T.returns({ true }, suspend, 0, mode) end
  for _, mode in ipairs { "", "\0~", "\0x" } do
    T.raises("unable to yield", suspend, 0, mode)
    local w = T.waiter(suspend, 0, mode)
    T.eq(w.got, nil)
    T.eq(run("ready"), false)
    T.same(w.got, { true })
  end
end)

-- Waiting ---------------------------------------------------------------------------------------

T.test("suspending yields no value and returns true [30 A2] [30 S4] [00 1.1.1] [20 8.19.2]", function ()
  for _, seconds in ipairs { 0, .001 } do
    local got
    local co = T.create(function () got = pack(suspend(seconds)); return "end" end)
    T.returns({ true }, coroutine.resume, co)
    T.eq(coroutine.status(co), "suspended")
    T.eq(run(), false)
    T.same(got, { true })
    local next = coroutine.wrap(function () suspend(seconds) end)
    T.returns({}, next)
    T.eq(run(), false)
  end
end)

T.test("where yielding is impossible [30 A1] [00 1.4.1] [20 8.19.1] [00 1.4.3]", function ()
  local got
  T.inside(string.gsub, "x", "x", function () got = pack(pcall(suspend)) end)
  T.eq(got[1], false)
  if T.detects_yieldable or T.version == "5.1" then T.eq(got[2], "unable to yield") end
  T.eq(run(), false)
end)

T.test("what counts as zero delay [30 S2] [30 S5]", function ()
  local waiters = {}
  for i, seconds in ipairs { 0, -0.0, -1, -1e300, -math.huge, T.nan, "0" } do
    waiters[i] = T.waiter(suspend, seconds)
  end
  put(waiters, T.waiter(suspend))
  put(waiters, T.waiter(suspend, nil, nil))
  for _, w in ipairs(waiters) do T.eq(w.got, nil) end
  T.eq(run("ready"), false)
  for _, w in ipairs(waiters) do T.same(w.got, { true }) end
end)

T.test("a delay counts from the cached time [30 S7] [30 S8]", function ()
  time("updated")
  L.busy(.02)
  local w = T.waiter(suspend, .01) -- over already
  T.eq(w.got, nil)
  run("ready")
  T.same(w.got, { true })
  T.eq(run(), false)
end)

T.test("never earlier than the delay [30 S8] [30 S10]", function ()
  local early
  T.start(function ()
    for i = 1, 60 do
      local seconds = ({ 1e-3, 2e-3, 3.5e-3, 1e-3, .0101 })[i % 5 + 1]
      local from = nanosecs()
      time("updated")
      suspend(seconds)
      local took = nanosecs() - from
      -- A fraction of a millisecond may be cut.
      if took < math.floor(seconds * 1000) * 1e6 then early = seconds .. " took " .. took end
    end
  end)
  T.eq(run(), false)
  T.eq(early, nil)
end)

T.test("delays below a millisecond, one after the other [30 S10] [30 S11]", function ()
  local n = 0
  T.start(function () for i = 1, 30 do suspend(i % 2 == 0 and 5e-4 or 1e-6); n = n + 1 end end)
  T.eq(run(), false)
  T.eq(n, 30)
  local log = {}
  T.start(function () suspend(); put(log, 1) end)
  T.start(function () suspend(); put(log, 2) end)
  T.start(function () suspend(1e-5); put(log, "timed") end)
  T.start(function () suspend(); put(log, 3) end)
  T.eq(run(), false)
  if log[2] == "timed" or log[3] == "timed" then error("served as a zero delay") end
end)

T.test("an equal delay again counts from the cached time too [30 S11]", function ()
  local took
  T.start(function ()
    suspend(.01)
    L.busy(.02)
    local from = nanosecs()
    time("updated")
    suspend(.01)
    took = nanosecs() - from
  end)
  T.eq(run(), false)
  T.eq(took >= 10e6, true)
end)

T.test("equal deadlines: first registered, first resumed [30 S9] [20 8.10]", function ()
  math.randomseed(7)
  for round = 1, 5 do
    local log, delays, cos = {}, {}, {}
    time("updated")
    for i = 1, 60 do
      delays[i] = math.random(10)
      cos[i] = T.start(function () if suspend(delays[i] / 1000) == true then put(log, i) end end)
    end
    for i = round, 60, 7 do T.resume(cos[i], "cancelled"); delays[i] = nil end
    L.busy(.012)
    T.eq(run(), false)
    local want = {}
    for ms = 1, 10 do
      for i = 1, 60 do if delays[i] == ms then put(want, i) end end
    end
    T.same(log, want)
  end
end)

T.test("what was due before the run is served by it [30 A5] [00 1.3.2]", function ()
  time("updated")
  local w = T.waiter(suspend, .001)
  L.busy(.005)
  time("updated")
  T.eq(w.got, nil)
  run("ready")
  T.same(w.got, { true })
  T.eq(run(), false)
end)

-- Blocking --------------------------------------------------------------------------------------

T.test("blocking takes its time, wherever it is called [30 S12] [00 2.2] [00 1.4.5] [00 2.1]", function ()
  local other = T.waiter(suspend)
  local cached = time()
  local function take(...)
    local from = nanosecs()
    T.returns({ true }, suspend, ...)
    return nanosecs() - from
  end
  T.eq(take(.02, "~") >= 20e6, true)
  T.eq(take(.0015, "~~") >= 1.5e6, true)
  T.inside(function () T.eq(take(.01, "~") >= 10e6, true) end)
  string.gsub("x", "x", function () T.eq(take(.001, "~") >= 1e6, true) end)
  for _, seconds in ipairs { 0, -1, -math.huge, T.nan } do T.eq(take(seconds, "~") < 1e9, true) end
  T.eq(take(nil, "~") < 1e9, true)
  T.eq(time(), cached)
  T.eq(other.got, nil)
  T.eq(run(), false)
  T.same(other.got, { true })
end)

-- Cancelling ------------------------------------------------------------------------------------

T.test("an explicit resume ends the wait with its values [30 A4] [30 S13] [00 1.3.1] [20 8.19.4]", function ()
  local values = { pack(), pack(nil), pack(1), pack(nil, nil, nil), pack(false, nil), pack({}, print, 3), pack(true) }
  for _, seconds in ipairs { 0, .5, 1000 } do
    for _, v in ipairs(values) do
      local w = T.waiter(suspend, seconds)
      T.resume(w.co, T.unpack(v, 1, v.n))
      T.same(w.got, v)
      T.eq(run(), false)
      local got
      w = T.waiter(suspend, seconds)
      T.start(function () suspend(); T.resume(w.co, T.unpack(v, 1, v.n)) end)
      T.eq(run(), false)
      T.same(w.got, v)
      local next = coroutine.wrap(function () got = pack(suspend(seconds)) end)
      next()
      next(T.unpack(v, 1, v.n))
      T.same(got, v)
    end
  end
  T.eq(run(), false)
end)

T.test("a timer that is due is dropped too [30 S13] [30 A4]", function ()
  time("updated")
  local w = T.waiter(suspend, .001)
  L.busy(.004)
  time("updated")
  T.resume(w.co, "dropped")
  T.same(w.got, { "dropped" })
  local log = {}
  local cos = {}
  for i = 1, 2 do cos[i] = T.start(function ()
    put(log, suspend(.001))
    -- Both are due in the same pass.
    if i == 1 then T.resume(cos[2], "by the first") end
    coroutine.yield()
  end) end
  L.busy(.004)
  T.eq(run(), false)
  T.same(log, { true, "by the first" })
  T.returns({ false }, run)
end)

T.test("a second wait after a cancelled one starts later [30 A6] [20 8.21.3] [90 1.2]", function ()
  local x
  local A = T.start(function () suspend(); x = suspend() end)
  T.start(function () suspend(); T.resume(A, 7) end)
  T.resume(A)
  T.eq(run(), false)
  T.eq(x, 7)
end)

T.test("who waited already goes first [30 A6] [20 8.21.3] [20 8.21.2]", function ()
  local log = {}
  local late = T.start(function () suspend(1000); suspend(); put(log, "late") end)
  for i = 1, 3 do T.start(function () suspend(); put(log, i); suspend(); put(log, i + 10) end) end
  T.resume(late)
  T.eq(run("ready"), true) -- it counts as pending
  T.same(log, { 3, 2, 1 })
  T.eq(run(), false)
  T.same(log, { 3, 2, 1, "late", 13, 12, 11 })
end)

T.test("a wait that has not started can be cancelled, again and again [30 A6] [20 8.21.1] [20 8.21.2] [00 1.3.4]", function ()
  local log = {}
  local co = T.start(function ()
    for i = 1, 50 do put(log, suspend(i % 3 == 0 and 1000 or i % 3 == 1 and 0 or nil)) end
    suspend()
    put(log, "end")
  end)
  for i = 1, 50 do T.resume(co, i) end
  T.eq(#log, 50)
  for i = 1, 50 do T.eq(log[i], i) end
  T.eq(run("ready"), true)
  T.eq(run(), false)
  T.eq(log[51], "end")
  co = T.start(function () suspend(1000); log = pack(suspend()); coroutine.yield(); error("resumed") end)
  T.resume(co)
  T.resume(co, "never started")
  T.same(log, { "never started" })
  T.eq(run(), false)
  T.eq(coroutine.status(co), "suspended")
end)

T.test("a new coroutine is not taken for a cancelled one that is gone [30 S5] [30 A6]", function ()
  local n, got = T.scale(500, 50), 0
  T.scope(function ()
    for _ = 1, n do T.resume(T.start(suspend, 1000)) end
  end)
  T.gc() -- others may get their place in memory
  for _ = 1, n do T.start(function () suspend(); got = got + 1 end) end
  T.eq(run("ready"), false)
  T.eq(got, n)
end)

T.test("a second timed wait starts at once [30 A6] [90 1.2]", function ()
  time("updated")
  local w = T.waiter(function () suspend(1000); return suspend(.001) end)
  T.resume(w.co)
  L.busy(.004)
  run("ready")
  T.same(w.got, { true })
  T.eq(run(), false)
end)

T.test_if(T.has_close, "no coroutine.close", "closing the coroutine cancels [00 1.7.1] [90 1.3]", function ()
  for _, seconds in ipairs { 0, .001, 1000 } do
    local before = T.waiter(suspend, seconds)
    -- A short one might end first where the machine is slow.
    local during = T.waiter(suspend, seconds > 0 and 1000 or 0)
    T.eq(coroutine.close(before.co), true)
    T.start(function () suspend(); coroutine.close(during.co) end)
    T.start(function () suspend(); suspend(seconds > 1 and .002 or seconds) end)
    T.eq(run(), false)
    T.eq(before.got or during.got, nil)
    T.eq(coroutine.status(before.co) .. coroutine.status(during.co), "deaddead")
  end
  T.eq(#T.reports(), 0)
  local co = T.start(function () suspend(1000); suspend() end) -- not started yet
  T.resume(co)
  coroutine.close(co)
  T.eq(run(), false)
end)

T.done()
