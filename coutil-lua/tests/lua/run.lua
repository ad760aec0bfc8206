-- The event loop: modes of system.run, order of a pass, halt, and the errors of what it resumes.

local T = require "testing"
local L = require "loop_testing"
local event = require "coutil.event"
local system = require "coutil.system"
local run, suspend = system.run, system.suspend
local pack = T.pack
local put = table.insert

local modes = { "loop", "step", "ready" }

-- Modes -----------------------------------------------------------------------------------------

T.test("the mode is one of three [20 8.1] [30 P1] [30 K5]", function ()
  for _, mode in ipairs { "x", "", "Loop", "steps", "loop ", "~" } do
    T.raises("invalid option '" .. mode .. "'", run, mode)
  end
  T.raises("invalid option '1'", run, 1)
  T.raises("string expected, got table", run, {})
  T.raises("string expected, got boolean", run, true)
  T.raises("string expected, got function", run, print)
  T.raises("string expected, got thread", run, coroutine.create(function () end))
  T.eq(L.message(T.load("local system = ... system.run('x')", "=chunk"), system),
    "bad argument #1 to 'run' (invalid option 'x')")
end)

T.test("with nothing pending it returns false at once [20 8.7] [30 P7] [30 K10]", function ()
  T.returns({ false }, run)
  T.returns({ false }, run, nil)
  T.returns({ false }, run, nil, "surplus", {})
  for _, mode in ipairs(modes) do
    T.returns({ false }, run, mode)
    T.returns({ false }, run, mode .. "\0what follows does not count")
  end
end)

T.test("it cannot run twice [20 8.2] [30 P2] [30 P1]", function ()
  local got, after = {}, nil
  T.start(function ()
    suspend()
    for i, mode in ipairs { "loop", "step", "ready" } do got[i] = pack(pcall(run, mode)) end
    got[4] = pack(pcall(run))
    got[5] = pack(pcall(run, "x"))
    got[6] = T.inside(function () return pack(pcall(run)) end)
    suspend()
    after = true
  end)
  T.eq(run(), false)
  for i = 1, 6 do
    T.eq(got[i][1], false)
    local text = i == 5 and "invalid option 'x'" or "already running"
    if not got[i][2]:find(text, 1, true) then error(got[i][2]) end
  end
  T.eq(got[1][2], "already running")
  T.eq(after, true) -- the outer call is unaffected
  T.eq(run(), false)
end)

T.test("it can be called in any coroutine [20 8.3] [30 P2]", function ()
  local log = {}
  local co = T.start(suspend)
  T.start(function () suspend(); put(log, coroutine.status(co)) end)
  T.returns({ false }, T.inside, run)
  T.same(log, { "suspended" }) -- newest first
  T.eq(coroutine.status(co), "dead")
  T.returns({ true }, T.inside, function ()
    return T.inside(function () co = T.start(suspend, 1000); return run("ready") end)
  end)
  T.eq(run("ready"), true)
  T.resume(co)
  T.eq(run(), false)
end)

T.test("a pass resumes each zero-delay suspension once [20 8.8] [30 P7] [20 8.5] [20 8.6]", function ()
  for _, mode in ipairs { "step", "ready" } do
    local counts = { 0, 0, 0 }
    for i = 1, 3 do
      T.start(function () for _ = 1, i do suspend(); counts[i] = counts[i] + 1 end end)
    end
    for pass = 1, 3 do
      collectgarbage()
      local left = run(mode)
      T.same(counts, { math.min(pass, 1), math.min(pass, 2), math.min(pass, 3) })
      T.eq(left, pass < 3)
      collectgarbage()
    end
    T.returns({ false }, run, mode)
  end
end)

T.test("what is cancelled is not pending [20 8.7] [20 8.20.1] [00 1.3.6] [50 8.12]", function ()
  local cos = {}
  for i = 1, 3 do cos[i] = T.start(suspend, 1000) end
  for i = 1, 3 do
    T.eq(run("ready"), true)
    T.resume(cos[i])
    T.eq(coroutine.status(cos[i]), "dead")
  end
  for _, mode in ipairs(modes) do T.eq(run(mode), false) end
end)

T.test("step blocks until something is resumed [20 8.5] [30 P6]", function ()
  local w = T.waiter(suspend, .02)
  local left = run("step")
  T.same(w.got, { true })
  T.eq(type(left), "boolean")
end)

T.test("ready never blocks [20 8.6] [30 P6]", function ()
  local passive = L.listener()
  local waiters = { T.waiter(suspend, 1000), T.waiter(passive.accept, passive) }
  local from = system.nanosecs()
  T.eq(run("ready"), true)
  T.eq(run("ready"), true)
  T.eq(system.nanosecs() - from < 500e9, true)
  T.eq(waiters[1].got or waiters[2].got, nil)
  T.resume(waiters[1].co)
  T.resume(waiters[2].co)
  passive:close()
end)

T.test("loop goes on until nothing is pending [20 8.4] [20 8.7] [30 P6]", function ()
  local n, order = 0, {}
  for i = 1, 20 do
    T.start(function ()
      for _ = 1, i do suspend(); n = n + 1 end
      suspend(i % 3 / 1000)
      put(order, i)
    end)
  end
  T.returns({ false }, run, "loop")
  T.eq(n, 210)
  T.eq(#order, 20)
end)

T.test("open objects keep nothing going [30 P8] [50 5.7.3]", function ()
  local passive, address = L.listener()
  local a, b = L.pair(nil, passive, address)
  local unused = assert(system.socket("stream", "ipv4"))
  for _, mode in ipairs(modes) do T.eq(run(mode), false) end
  T.eq(a:getdomain() .. b:getdomain() .. unused:getdomain(), "ipv4ipv4ipv4")
  for _, s in ipairs { a, b, unused, passive } do s:close() end
  T.eq(run(), false)
end)

-- The order of a pass ---------------------------------------------------------------------------

T.test("expired timers: earliest first, equal ones in starting order [20 8.10] [30 S9]", function ()
  local log, delays = {}, { 5, 2, 9, 2, 5, 1, 9, 2 }
  system.time("updated")
  for i, ms in ipairs(delays) do
    T.start(function () suspend(ms / 1000); put(log, i) end)
  end
  L.busy(.012)
  T.eq(run(), false)
  T.same(log, { 6, 2, 4, 8, 1, 5, 3, 7 })
end)

T.test("zero-delay suspensions come before what the poll finds [20 8.10] [30 P3]", function ()
  for _, mode in ipairs(modes) do
    local a, b = L.pair()
    local log = {}
    T.start(function () put(log, L.take(b)) end)
    L.send(a, "data")
    for i = 1, 3 do T.start(function () suspend(); put(log, i) end) end
    if mode == "loop" then T.eq(run(), false) end
    while run(mode) do end
    T.same(log, { 3, 2, 1, "data" })
    a:close()
    b:close()
  end
end)

T.test("suspending again takes the next pass, not this one [20 8.11] [30 S5]", function ()
  local a, b = L.pair()
  local pass, log = 1, {}
  T.start(function () -- served by the poll of the first pass
    L.take(b)
    put(log, "read " .. pass)
    suspend()
    put(log, "after read " .. pass)
  end)
  T.start(function ()
    for i = 1, 3 do
      suspend()
      put(log, i .. " " .. pass)
      T.start(function () suspend(); put(log, "new " .. pass) end)
    end
  end)
  L.send(a, "x")
  while run("step") do pass = pass + 1 end
  local want = { ["1 1"] = 1, ["2 2"] = 1, ["3 3"] = 1, ["new 2"] = 1, ["new 3"] = 1, ["new 4"] = 1,
    ["read 1"] = 1, ["after read 2"] = 1 }
  for _, name in ipairs(log) do T.eq(want[name], 1, name); want[name] = nil end
  T.eq(next(want), nil)
  a:close()
  b:close()
end)

T.test("what completes in the last pass leaves nothing pending [20 8.11]", function ()
  for _, mode in ipairs { "step", "ready" } do
    local w = T.waiter(suspend)
    T.returns({ false }, run, mode)
    T.same(w.got, { true })
  end
  local a, b = L.pair()
  local w = T.waiter(L.take, b)
  L.send(a, "x")
  T.returns({ false }, run)
  T.same(w.got, { "x" })
  a:close()
  b:close()
end)

T.test("a connection is made in one step, the accepter first [50 6.1.6] [30 P3]", function ()
  for _, domain in ipairs(L.domains) do
    for first = 1, 2 do
      local passive, address = L.listener(domain)
      local stream, log = assert(system.socket("stream", domain)), {}
      local function accept() T.start(function () put(log, assert(passive:accept())) end) end
      local function connect() T.start(function () put(log, (stream:connect(address))) end) end
      if first == 1 then accept(); connect() else connect(); accept() end
      run("step")
      T.eq(#log, 2, "completed in one step")
      T.eq(type(log[1]), "userdata")
      T.eq(log[2], true)
      L.run()
      log[1]:close()
      stream:close()
      passive:close()
    end
  end
end)

T.test("values of the resumed are dropped, plain yields are left alone [20 8.12] [30 A8] [00 1.5.6] [00 1.2.5]",
function ()
  local log = {}
  local co = T.start(function ()
    suspend()
    put(log, coroutine.yield(1, 2, 3))
    suspend(.001)
    put(log, coroutine.yield(nil))
    return "dropped"
  end)
  T.returns({ false }, run)
  T.eq(coroutine.status(co), "suspended")
  T.returns({ false }, run, "step")
  T.same(log, {})
  T.returns({ true }, coroutine.resume, co, "a")
  T.returns({ false }, run)
  T.same(log, { "a" })
  T.returns({ true, "dropped" }, coroutine.resume, co, "b")
  T.same(log, { "a", "b" })
end)

T.test("await functions complete only through run [20 8.19.3] [00 1.2.2] [00 1.1.1]", function ()
  local w = T.waiter(suspend)
  local timed = T.waiter(suspend, .001)
  L.busy(.005)
  system.time("updated")
  suspend(0, "~")
  event.emitall("nobody")
  T.gc()
  T.eq(w.got or timed.got, nil)
  T.eq(run(), false)
  T.same(w.got, { true })
  T.same(timed.got, { true })
end)

T.test("many turns need no more room [20 0.8]", function ()
  local n = T.scale(200000, 500)
  local co = T.start(function () for _ = 1, n do suspend() end end)
  T.eq(run(), false)
  T.eq(coroutine.status(co), "dead")
  co = T.start(function () for _ = 1, n do coroutine.yield(); suspend() end end)
  for _ = 1, n / 100 do
    T.resume(co)
    T.eq(run("step"), false)
  end
end)

-- isrunning and halt ----------------------------------------------------------------------------

T.test("isrunning is true in what run resumes [20 8.15] [30 P9]", function ()
  local running = system.isrunning
  local seen = {}
  T.returns({ false }, running)
  T.start(function ()
    seen[1] = running()
    suspend()
    seen[2] = running()
    T.inside(function () seen[3] = running() end)
    system.halt()
    seen[4] = running()
  end)
  T.eq(run(), false)
  T.same(seen, { false, true, true, true })
  T.returns({ false }, running)
  T.start(function () suspend(); system.halt(); suspend(); seen[5] = running() end)
  T.eq(run(), true)
  T.returns({ false }, running)
  T.eq(run(), false)
  T.eq(seen[5], true)
  for _, mode in ipairs { "step", "ready" } do
    T.start(function () suspend(); seen[mode] = running() end)
    run(mode)
    T.eq(seen[mode], true)
    T.eq(running(), false)
  end
end)

T.test("halt outside a run [20 8.16] [30 P10]", function ()
  T.raises("not running", system.halt)
  T.eq(L.message(T.load("(...).halt()", "=chunk"), system), "not running")
  T.start(suspend)
  T.raises("not running", system.halt)
  T.eq(run(), false)
  T.raises("not running", system.halt)
end)

T.test("halt lets the pass end, and the next run goes on [20 8.17] [20 8.18] [30 P10]", function ()
  local log, n = {}, 0
  for i = 1, 4 do
    T.start(function ()
      suspend()
      put(log, i)
      if i == 3 then
        put(log, select("#", system.halt()))
        system.halt() -- asking twice counts once
      end
      suspend()
      put(log, i + 10)
    end)
  end
  local timer = T.waiter(suspend, 1000)
  T.returns({ true }, run)
  T.same(log, { 4, 3, 0, 2, 1 })
  log = {}
  T.start(function () suspend(); suspend(); suspend(); n = 1; system.halt() end)
  T.returns({ true }, run)
  T.eq(n, 1)
  T.same(log, { 14, 13, 12, 11 })
  T.eq(timer.got, nil)
  T.resume(timer.co, "x")
  T.same(timer.got, { "x" })
  T.returns({ false }, run)
end)

T.test("halt does not wait [20 8.17]", function ()
  local passive = L.listener()
  local accepter = T.waiter(passive.accept, passive)
  local timer = T.waiter(suspend, 1000)
  for _, mode in ipairs(modes) do
    T.start(function () suspend(); system.halt() end)
    T.returns({ true }, run, mode)
  end
  T.resume(accepter.co)
  T.resume(timer.co)
  T.start(function () suspend(); system.halt() end)
  T.returns({ false }, run) -- nothing is left
  T.start(function () suspend(.001); system.halt(); suspend(.001) end)
  T.returns({ true }, run)
  T.returns({ false }, run)
  passive:close()
end)

-- Collection ------------------------------------------------------------------------------------

T.test("the loop keeps who waits, and nobody afterwards [20 8.13] [30 A3] [00 1.6.1] [90 4.11]", function ()
  local box, n = T.watch(), 0
  T.scope(function ()
    for i = 1, 6 do box.add(T.start(function () suspend(i % 2 / 1000); n = n + 1 end)) end
    box.add(T.start(function () suspend(); n = n + 1; coroutine.yield() end))
    box.add(T.start(function () suspend(); n = n + 1; error("x") end))
  end)
  T.eq(box.alive(), 8)
  T.eq(run(), false)
  T.eq(n, 8)
  T.eq(#T.reports(), 1)
  T.eq(box.alive(), 0)
end)

T.test("one collection after the run is enough [20 8.13] [50 0.2.4]", function ()
  T.eq(L.swept(function (watch)
    for i = 1, 4 do
      watch(T.start(suspend, i % 2 / 1000))
      watch(T.start(function () suspend(); coroutine.yield() end))
      T.resume(watch(T.start(function () suspend(1000); coroutine.yield() end)))
      T.resume(watch(T.start(function () suspend(1000); suspend(); coroutine.yield() end)))
      local e = watch({})
      watch(T.start(function () suspend(); error(e) end))
    end
    T.eq(run(), false)
    T.eq(#T.reports(), 4)
  end), true)
end)

-- In another interpreter ------------------------------------------------------------------------

local prelude = [[
local system = require "coutil.system"
local function start(f, ...) coroutine.wrap(f)(...) end
]]

T.test_child("printall writes a list to standard error [90 1.6] [00 11.3]", function ()
  local text = prelude .. [[
    assert(select("#", system.printall()) == 0)
    local passive = system.socket("passive", "ipv4")
    assert(passive:listen(1))
    start(function () passive:accept() end)
    start(function () system.suspend(1000) end)
    start(function () system.suspend() end)
    assert(select("#", system.printall()) == 0)
    start(function () system.suspend(); system.printall(); system.halt() end)
    assert(system.run() == true) ]]
  local out, status = T.child(text)
  T.eq(status, 0)
  T.eq(#out > 0, true)
  out, status = T.child(text, "", "2>/dev/null")
  T.eq(out, "")
  T.eq(status, 0)
end)

T.test_child("the end of the program resumes nobody and waits for nothing [20 1.14.1] [30 A10] [00 1.6.5] [90 1.1] [50 0.2.7]",
function ()
  local body = prelude .. [[
    local passive = system.socket("passive", "ipv4")
    assert(passive:listen(1))
    local address = passive:getaddress()
    local function wait(f, ...)
      local n, args = select("#", ...), { ... }
      start(function () f((table.unpack or unpack)(args, 1, n)); print("resumed") end)
    end
    wait(system.suspend) wait(system.suspend, 1000) wait(passive.accept, passive)
    local stream = system.socket("stream", "ipv4")
    wait(stream.connect, stream, system.address("ipv4", "127.0.0.1", address.port))
    wait(stream.write, stream, ("x"):rep(1e7)) wait(stream.shutdown, stream)
    wait(stream.read, stream, require("coutil.memory").create(1))
  ]]
  local ends = { "", "os.exit(0)", "passive, stream = nil, nil; collectgarbage()",
    "start(function () system.suspend(); os.exit(0) end) system.run()" }
  if T.number >= 5.2 or T.version == "jit" then
    put(ends, "os.exit(0, true)")
    put(ends, "start(function () system.suspend(); os.exit(0, true) end) system.run()")
  end
  for i, text in ipairs(ends) do
    local out, status = T.child(body .. text)
    -- Before the exit, a run resumes who is ready: the newest is the one that exits.
    T.eq(out, "", "end " .. i)
    T.eq(status, 0, "end " .. i)
  end
end)

T.done()
