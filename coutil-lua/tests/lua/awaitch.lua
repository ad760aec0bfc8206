-- system.awaitch: waiting on a channel, what is exchanged, and when the loop resumes.

local T = require "testing"
local L = require "loop_testing"
local H = require "threads_testing"
local channel = require "coutil.channel"
local event = require "coutil.event"
local system = require "coutil.system"
local create, sync = channel.create, channel.sync
local awaitch, run, suspend = system.awaitch, system.run, system.suspend
local pack = T.pack
local put = table.insert

local function close(...)
  for i = 1, select("#", ...) do T.returns({ true }, channel.close, (select(i, ...))) end
end

-- Waiting ---------------------------------------------------------------------------------------

H.test("suspending yields nothing [20 5.6] [20 8.19.2] [30 A2] [00 1.1.1] [00 1.1.5]", function ()
  local a, b = create "x", create "x"
  local got
  local co = T.create(function () got = pack(awaitch(a, "in", 1, 2, nil)) return "end" end)
  T.returns({ true }, coroutine.resume, co)
  T.eq(coroutine.status(co), "suspended")
  T.returns(pack(true, 1, 2, nil), sync, b, "out")
  T.eq(coroutine.status(co), "suspended")
  T.eq(got, nil)
  T.eq(run(), false)
  T.same(got, { true })
  local wrapped = coroutine.wrap(function () awaitch(a, "in") return "end" end)
  T.returns({}, wrapped)
  T.returns({ "end" }, wrapped)
  close(a, b)
end)

H.test("a match that waits returns at once [20 5.6] [00 1.1.4] [20 5.12]", function ()
  local a, b = create "x", create "x"
  for _ = 1, 3 do
    local w = T.waiter(awaitch, a, "out", "first", nil)
    local got = pack(T.inside(awaitch, b, "in", nil, "second", nil))
    T.same(got, pack(true, "first", nil))
    T.eq(w.got, nil)
    T.eq(run(), false)
    T.same(w.got, pack(true, nil, "second", nil))
  end
  close(a, b)
end)

H.test("a match is kept until the loop runs [20 5.6] [20 8.19.3] [00 1.2.2] [30 A5]", function ()
  local a, b, done = create "x", create "x", 0
  T.start(function ()
    T.same(pack(awaitch(a, "in", "mine")), { true, "yours" })
    done = 1
  end)
  T.returns({ true, "mine" }, sync, b, "out", "yours")
  close(b) -- not needed any more
  T.gc()
  T.eq(done, 0)
  T.eq(run("ready"), false)
  T.eq(done, 1)
  close(a)
end)

H.test("a match by a coroutine of the pass is delivered in that pass [20 8.11] [20 8.10] [30 P3]", function ()
  for _, mode in ipairs { "step", "ready" } do
    local a, b, log = create "x", create "x", {}
    T.start(function ()
      awaitch(a, "in")
      put(log, "matched")
    end)
    T.start(function ()
      suspend()
      T.returns({ true }, sync, b, "out")
      put(log, "matching")
    end)
    T.eq(run(mode), false)
    T.same(log, { "matching", "matched" })
    close(a, b)
  end
end)

H.test("a match alone keeps nothing going but itself [20 8.7] [20 8.11] [20 8.5] [20 8.6]", function ()
  local a, b = create "x", create "x"
  for _, mode in ipairs { "loop", "step", "ready" } do
    local w = T.waiter(awaitch, a, "in")
    if mode ~= "loop" then
      T.eq(run("ready"), true)
      T.eq(w.got, nil)
    end
    T.returns({ true }, sync, b, "out", mode)
    T.returns({ false }, run, mode)
    T.same(w.got, { true, mode })
  end
  close(a, b)
end)

H.test("several matched in one pass are all resumed [20 8.10] [20 8.8]", function ()
  local n, objects, done = T.scale(200, 10), {}, 0
  for i = 1, n do
    objects[i] = create "x"
    T.start(function ()
      local ok, value = awaitch(objects[i], "in")
      if ok == true and value == i then done = done + 1 end
    end)
  end
  local ch = create "x"
  for i = 1, n do T.eq(sync(ch, "out", i), true) end
  while run("ready") do end
  T.eq(done, n)
  close(ch, T.unpack(objects))
end)

H.test("waiting on a channel does not hold up the others [20 8.10] [20 8.4]", function ()
  local a, b, log = create "x", create "x", {}
  local x, y = L.pair()
  T.start(function () awaitch(a, "in"); put(log, "matched") end)
  T.start(function () put(log, (L.take(y))) L.send(x, "second") put(log, (L.take(y))) sync(b, "out") end)
  T.start(function () suspend(.001); L.send(x, "first") end)
  T.eq(run(), false)
  T.same(log, { "first", "second", "matched" })
  x:close()
  y:close()
  close(a, b)
end)

H.test("matched from a state coroutine while the loop blocks [20 5.6] [20 8.5]", function ()
  local name = H.name()
  local a = create(name)
  local w = T.waiter(awaitch, a, "in", "to it")
  local co = H.load [[
    local name = ...
    local ch = channel.create(name)
    return ch:sync("out", "from it") ]]
  local got
  T.start(function () got = pack(system.resume(co, name)) end)
  T.eq(run(), false)
  T.same(got, { true, true, "to it" })
  T.same(w.got, { true, "from it" })
  close(a)
end)

-- What is exchanged -----------------------------------------------------------------------------

H.test("numbers of values, nils included [20 5.11] [20 2.2] [20 10.8]", function ()
  local a, b = create "x", create "x"
  local many = { n = 200 }
  for i = 1, 200, 3 do many[i] = i end
  local lists = { pack(), pack(nil), pack(nil, nil), pack(1, nil), pack(nil, 1), H.values, many }
  for _, here in ipairs(lists) do
    for _, there in ipairs(lists) do
      local w = T.waiter(awaitch, a, "in", T.unpack(here, 1, here.n))
      local got = pack(sync(b, "out", T.unpack(there, 1, there.n)))
      T.same(got, pack(true, T.unpack(here, 1, here.n)))
      T.eq(run(), false)
      T.same(w.got, pack(true, T.unpack(there, 1, there.n)))
      w = T.waiter(awaitch, a, "out", T.unpack(here, 1, here.n))
      got = pack(T.inside(awaitch, b, nil, T.unpack(there, 1, there.n)))
      T.same(got, pack(true, T.unpack(here, 1, here.n)))
      T.eq(run(), false)
      T.same(w.got, pack(true, T.unpack(there, 1, there.n)))
    end
  end
  close(a, b)
end)

H.test_if(T.integers, "no integers", "integers stay integers, floats stay floats [20 2.2]", function ()
  local a, b = create "x", create "x"
  local f = T.load "return 1, 1.0, 2^53, 1 << 62, math.mininteger, math.maxinteger + 0.0, -0.0, 0"
  local w = T.waiter(awaitch, a, "in", f())
  local got = pack(sync(b, "out", f()))
  T.eq(run(), false)
  for _, list in ipairs { got, w.got } do
    T.eq(list.n, 9)
    local want = { f() }
    for i = 1, 8 do
      T.eq(list[i + 1], want[i])
      T.eq(math.type(list[i + 1]), math.type(want[i]))
    end
    T.eq(1 / list[8], -math.huge)
  end
  close(a, b)
end)

-- Use of the object -----------------------------------------------------------------------------

H.test("one wait on an object at a time [20 5.9]", function ()
  local a, b = create "x", create "x"
  local w = T.waiter(awaitch, a, "in")
  H.inside(1, "in use", "coutil.system", "awaitch", a, "in")
  local v = T.waiter(awaitch, b, "in") -- another object of the name is not affected
  T.returns({ true }, sync, a, "out", 1) -- the wait of the very object
  T.returns({ true }, sync, a, "out", 2)
  T.returns({ false, "empty" }, sync, a, "out", 3)
  H.inside(1, "in use", "coutil.system", "awaitch", a, "in")
  T.eq(run(), false)
  T.same(w.got, { true, 1 })
  T.same(v.got, { true, 2 })
  close(a, b)
end)

H.test("the object is free when its coroutine has been resumed [20 5.9] [20 8.19.5]", function ()
  local a, b, log = create "x", create "x", {}
  T.start(function ()
    for i = 1, 5 do
      local ok, value = awaitch(a, "in", i)
      put(log, ok and value)
    end
    close(a)
  end)
  for i = 1, 5 do
    T.returns({ true, i }, sync, b, "out", i * 10)
    T.returns({ false, "empty" }, sync, b, "out")
    T.eq(run("ready"), i < 5)
  end
  T.same(log, { 10, 20, 30, 40, 50 })
  close(b)
end)

H.test("two coroutines throw a value to each other, with one object each [20 5.10] [20 0.8]", function ()
  local n, a, b = T.scale(20000, 50), create "x", create "x"
  local count, last = 0, 0
  T.start(function ()
    for i = 1, n do
      local ok, value = awaitch(a, "in", i)
      if ok ~= true or value ~= i then error("got " .. tostring(value)) end
      count = count + 1
    end
  end)
  T.start(function ()
    for i = 1, n do
      local ok, value = awaitch(b, "out", i)
      if ok ~= true or value ~= i then error("got " .. tostring(value)) end
      last = i
    end
  end)
  T.eq(run(), false)
  T.eq(count, n)
  T.eq(last, n)
  close(a, b)
end)

-- Other coroutines, errors ----------------------------------------------------------------------

H.test("the innermost coroutine waits [00 1.1.2]", function ()
  local a, b, log = create "x", create "x", {}
  T.inside(function ()
    T.start(function () awaitch(a, "in"); put(log, "inner") end)
    put(log, "outer goes on")
  end)
  T.returns({ true }, sync, b, "out")
  T.eq(run(), false)
  T.same(log, { "outer goes on", "inner" })
  close(a, b)
end)

H.test("awaiting other things afterwards, and before [20 8.19.5] [00 1.2.5] [20 8.12]", function ()
  local a, b, c, e, log = create "x", create "x", create "y", {}, {}
  local d = create "y"
  local co = T.start(function ()
    put(log, select(2, awaitch(a, "in")))
    suspend()
    put(log, "suspended")
    put(log, select(2, awaitch(c, "in")))
    put(log, select(2, event.await(e)))
    suspend(.001)
    put(log, select(2, awaitch(a, "out")))
    put(log, coroutine.yield("a plain yield"))
    return "end"
  end)
  T.returns({ true }, sync, b, "out", "first")
  T.eq(run("ready"), true)
  T.eq(run("ready"), true)
  T.same(log, { "first", "suspended" })
  T.returns({ true }, sync, d, "out", "second")
  T.eq(run(), false)
  T.eq(event.emitall(e, "event"), true)
  T.returns({ false, "empty" }, sync, b, "in")
  local w = T.waiter(awaitch, b, "in", "third")
  T.eq(run(), false)
  T.same(w.got, { true })
  T.same(log, { "first", "suspended", "second", "event", "third" })
  T.eq(coroutine.status(co), "suspended") -- the plain yield is left alone
  T.eq(run(), false)
  T.returns({ true, "end" }, coroutine.resume, co, "resumed")
  close(a, b, c, d)
end)

H.test("an error after the match concerns only that coroutine [20 8.14] [20 9.8] [20 5.12]", function ()
  local a, b = create "x", create "x"
  local failing = T.start(function () awaitch(a, "in"); error({}) end)
  T.returns({ true }, sync, b, "out")
  T.eq(run(), false)
  T.eq(coroutine.status(failing), "dead")
  T.eq(#T.reports(), 1)
  local w = T.waiter(awaitch, a, "in") -- the object is free
  T.returns({ true }, sync, b, "out", "next")
  T.eq(run(), false)
  T.same(w.got, { true, "next" })
  close(a, b)
end)

H.test("inside run, and isrunning [20 8.15] [20 8.2]", function ()
  local a, b, seen = create "x", create "x", nil
  T.start(function ()
    awaitch(a, "in")
    seen = pack(system.isrunning(), pcall(run))
  end)
  T.returns({ true }, sync, b, "out")
  T.eq(run(), false)
  T.eq(seen[1], true)
  T.eq(seen[2], false)
  T.eq(tostring(seen[3]):find("already running", 1, true) ~= nil, true)
  close(a, b)
end)

H.test("halt lets the other matches of the pass happen [20 8.17] [20 8.18]", function ()
  local a, b, c, log = create "x", create "x", create "x", {}
  for i, ch in ipairs { a, b } do
    T.start(function ()
      awaitch(ch, "in")
      put(log, i)
      system.halt()
      if i == 1 then awaitch(ch, "in") put(log, "again") end
    end)
  end
  T.returns({ true }, sync, c, "out")
  T.returns({ true }, sync, c, "out")
  T.returns({ true }, run)
  T.eq(#log, 2)
  T.returns({ true }, sync, c, "out")
  T.returns({ false }, run)
  T.eq(log[3], "again")
  close(a, b, c)
end)

H.test("coroutine and channel are garbage after one collection [20 8.13] [00 1.6.1] [20 9.5]", function ()
  for _, ending in ipairs { "end", "yield", "error" } do
    T.eq(L.swept(function (watch)
      local name = H.name()
      local ch = watch(create(name))
      watch(T.start(function ()
        awaitch(ch, "in")
        if ending == "yield" then coroutine.yield() end
        if ending == "error" then error("expected", 0) end
      end))
      local other = watch(create(name))
      T.eq(sync(other, "out"), true)
      T.eq(run(), false)
      T.eq(#T.reports(), ending == "error" and 1 or 0) -- which hold the coroutine
    end), true, ending)
  end
end)

T.done()
