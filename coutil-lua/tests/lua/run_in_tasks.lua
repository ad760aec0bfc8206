-- system.run in tasks and state coroutines: when a task gives its thread away, and when it does not.

local T = require "testing"
local L = require "loop_testing"
local H = require "threads_testing"
local channel = require "coutil.channel"
local system = require "coutil.system"
local threads = require "coutil.threads"
local create, close = threads.create, threads.close
local pack = T.pack
local put = table.insert

-- Waits until the task is suspended, with no thread used.
local function suspended(pool, n, a) H.reach(pool, "nrpsea", n, 0, 0, n, a, a) end

H.test("three tasks on one thread, each in run [20 8.9] [20 10.14] [20 7.4.4]", function ()
  local name, pool = H.name(), create(1)
  for i = 1, 3 do
    H.add(pool, [[
      local name, i = ...
      local ch = channel.create(name .. i)
      local w = waiter(system.awaitch, ch, "in", i)
      local left = system.run()
      yield(name, "out", i, left, unpack(w.got, 1, w.got.n)) ]], name, i)
  end
  suspended(pool, 3, 1)
  for i = 3, 1, -1 do
    local ch = channel.create(name .. i)
    T.same(pack(T.inside(system.awaitch, ch, "out", i * 10)), { true, i }) -- at once: s means that it is in the queue
    T.eq(ch:close(), true)
    T.returns({ i, false, true, i * 10 }, H.take, name)
  end
  T.returns({ true }, close, pool)
end)

H.test("several waits in one run [20 8.9]", function ()
  local name, pool = H.name(), create(1)
  H.add(pool, [[
    local name = ...
    local log = {}
    for i = 1, 4 do
      start(function ()
        local ch = channel.create(name .. i)
        local ok, value = system.awaitch(ch, "in")
        log[#log + 1] = ok and system.isrunning() and value
        ch:close()
      end)
    end
    local left = system.run()
    yield(name, "out", left, system.isrunning(), unpack(log)) ]], name)
  suspended(pool, 1, 1)
  for _, i in ipairs { 2, 4, 1 } do
    T.returns({ true }, H.meet, name .. i, "out", i)
    suspended(pool, 1, 1)
  end
  T.returns({ true }, H.meet, name .. 3, "out", 3)
  T.returns({ false, false, 2, 4, 1, 3 }, H.take, name)
  T.returns({ true }, close, pool)
end)

H.test("several matches before the task continues [20 8.9]", function ()
  local name, pool = H.name(), create(1)
  H.add(pool, [[
    local name = ...
    local sum = 0
    for i = 1, 4 do
      start(function ()
        local ch = channel.create(name .. i)
        local _, value = system.awaitch(ch, "in")
        sum = sum + value
        ch:close()
      end)
    end
    yield(name, "out", system.run(), sum) ]], name)
  suspended(pool, 1, 1)
  T.returns({ true }, pool.resize, pool, 0)
  H.reach(pool, "a", 0)
  for i = 1, 4 do
    local ch = channel.create(name .. i)
    T.returns({ true }, ch.sync, ch, "out", i)
    H.counts(pool, "nrpsea", 1, 0, 1, 0, 0, 0)
    T.eq(ch:close(), true)
  end
  T.returns({ true }, pool.resize, pool, 1)
  T.returns({ false, 10 }, H.take, name)
  T.returns({ true }, close, pool)
end)

H.test("after timers, and after earlier matches, within the same call [20 8.9]", function ()
  local name, pool = H.name(), create(1)
  H.add(pool, [[
    local name = ...
    local log = {}
    start(function () system.suspend(.001) log[#log + 1] = "timer" end)
    start(function () for _ = 1, 5 do system.suspend() end log[#log + 1] = "passes" end)
    start(function ()
      local ch = channel.create(name .. " first")
      system.awaitch(ch, "in")
      ch:close()
      log[#log + 1] = "first"
      system.suspend(.001)
      log[#log + 1] = "timer after first" -- and this coroutine does not wait on a channel again
    end)
    start(function ()
      local ch = channel.create(name .. " second")
      system.awaitch(ch, "in")
      ch:close()
      log[#log + 1] = "second"
    end)
    local left = system.run()
    table.sort(log, function (a, b) return a < b end)
    yield(name, "out", left, unpack(log)) ]], name)
  suspended(pool, 1, 1)
  T.returns({ true }, H.meet, name .. " first", "out")
  suspended(pool, 1, 1)
  T.returns({ true }, H.meet, name .. " second", "out")
  T.returns({ false, "first", "passes", "second", "timer", "timer after first" }, H.take, name)
  T.returns({ true }, close, pool)
end)

H.test("after sockets, with fewer threads than tasks at the end [20 8.9] [20 10.15]", function ()
  local name, pool = H.name(), create(3)
  local passive, address = L.listener()
  local port = address.port
  for i = 1, 3 do
    H.add(pool, [[
      local name, i, host, port = ...
      local memory = require "coutil.memory"
      local count, got = 0, nil
      start(function ()
        local ch = channel.create(name .. i)
        got = pack(system.awaitch(ch, "out", i))
        ch:close()
      end)
      start(function ()
        local socket = assert(system.socket("stream", "ipv4"))
        assert(socket:connect(system.address("ipv4", host, port)))
        local buffer = memory.create(8192)
        while count < 8192 do count = count + assert(socket:read(buffer, 1, 8192 - count)) end
        assert(socket:close())
      end)
      yield(name, "out", i, system.run(), count, unpack(got, 1, got.n)) ]], name, i, "127.0.0.1", port)
  end
  local text = L.pattern(8192)
  for _ = 1, 3 do
    T.start(function ()
      local stream = assert(passive:accept())
      assert(stream:write(text))
      T.returns({ false, "end of file", 4095 }, L.take, stream) -- the other side closes when it has all
      stream:close()
    end)
    L.run()
  end
  suspended(pool, 3, 3)
  T.returns({ true }, pool.resize, pool, 1)
  H.reach(pool, "nrpsea", 3, 0, 0, 3, 1, 1)
  for i = 3, 1, -1 do T.returns({ true, i }, H.meet, name .. i, "in", -i) end
  local results = {}
  for _ = 1, 3 do
    local got = pack(H.take(name))
    T.same(pack(T.unpack(got, 2, got.n)), { false, 8192, true, -got[1] })
    results[got[1]] = true
  end
  T.same(results, { true, true, true })
  passive:close()
  T.returns({ true }, close, pool)
end)

H.test("run is called again and again, at any depth [20 8.9] [20 0.8]", function ()
  local name, pool, n = H.name(), create(1), T.scale(500, 10)
  for i = 1, 2 do
    H.add(pool, [[
      local name, i, n, across = ...
      local ch = channel.create(name .. i)
      local sum = 0
      local function deep(depth)
        if depth > 0 then return (deep(depth - 1)) end
        start(function () sum = sum + select(2, system.awaitch(ch, "in")) end)
        if across then
          local ok, left = pcall(system.run)
          assert(ok)
          return left
        end
        return (system.run())
      end
      for k = 1, n do assert(deep(k % 20) == false) end
      ch:close()
      yield(name, "out", sum) ]], name, i, n, T.yield_across_pcall)
  end
  T.start(function ()
    local a, b = channel.create(name .. 1), channel.create(name .. 2)
    for k = 1, n do
      system.awaitch(a, "out", k)
      system.awaitch(b, "out", -k)
    end
    a:close()
    b:close()
  end)
  T.eq(system.run(), false)
  local x, y = H.take(name), H.take(name)
  T.eq(x + y, 0)
  T.eq(math.abs(x), n * (n + 1) / 2)
  T.returns({ true }, close, pool)
end)

H.test("halt in a task that was suspended [20 8.9] [20 8.16] [20 8.17] [20 8.18]", function ()
  local name, pool = H.name(), create(1)
  H.add(pool, [[
    local name = ...
    local w
    start(function ()
      local ch = channel.create(name .. " halt")
      system.awaitch(ch, "in")
      ch:close()
      system.halt()
    end)
    local ch = channel.create(name .. " other")
    w = waiter(system.awaitch, ch, "in")
    local halted = system.run()
    local before = w.got
    local left = system.run()
    ch:close()
    yield(name, "out", halted, before, left, w.got[2], (pcall(system.halt))) ]], name)
  suspended(pool, 1, 1)
  T.returns({ true }, H.meet, name .. " halt", "out")
  suspended(pool, 1, 1)
  T.returns({ true }, H.meet, name .. " other", "out", "value")
  T.returns(pack(true, nil, false, "value", false), H.take, name)
  T.returns({ true }, close, pool)
end)

-- Where the thread is kept ----------------------------------------------------------------------

local keeping = {
  { "step", "repeat until system.run 'step' == false" },
  { "an inner coroutine", "start(function () assert(system.run() == false) end)" },
  { "a C function", "assert(string.gsub('x', 'x', function () assert(system.run() == false) end))" },
  { "a table.sort", "table.sort({ 1, 2 }, function () if not w.got then assert(system.run() == false) end return false end)" },
}

for _, case in ipairs(keeping) do
  H.test("the thread is kept: " .. case[1] .. " [20 8.9] [20 8.3]", function ()
    local name, pool = H.name(), create(1)
    H.add(pool, [[
      local name = ...
      local ch = channel.create(name)
      kept = channel.create(name .. " runs")
      local w = waiter(system.awaitch, ch, "in")
      ]] .. case[2] .. [[
      ch:close()
      yield(name .. " end", "out", w.got[2]) ]], name)
    H.add(pool, "return")
    H.wait(function () return channel.getnames()[name .. " runs"] end, "the task")
    for _ = 1, T.scale(300, 10) do H.counts(pool, "nrpsea", 2, 1, 1, 0, 1, 1) end
    T.returns({ true }, H.meet, name, "out", "value")
    T.returns({ "value" }, H.take, name .. " end")
    T.returns({ true }, close, pool)
  end)
end

H.test("the thread is kept while another operation is pending [20 8.9]", function ()
  local name, pool = H.name(), create(1)
  H.add(pool, [[
    local name = ...
    local ch = channel.create(name)
    local timer = start(function () system.suspend(1000) end)
    start(function ()
      system.awaitch(ch, "in")
      assert(coroutine.resume(timer))
      system.awaitch(ch, "in")
    end)
    kept = channel.create(name .. " runs")
    local left = system.run()
    ch:close()
    yield(name .. " end", "out", left) ]], name)
  H.wait(function () return channel.getnames()[name .. " runs"] end, "the task")
  for _ = 1, T.scale(300, 10) do H.counts(pool, "nrpsea", 1, 1, 0, 0, 1, 1) end
  T.returns({ true }, H.meet, name, "out")
  suspended(pool, 1, 1) -- now there is only the channel
  T.returns({ true }, H.meet, name, "out")
  T.returns({ false }, H.take, name .. " end")
  T.returns({ true }, close, pool)
end)

H.test("a state coroutine keeps its thread [20 8.9] [20 4.16]", function ()
  local name = H.name()
  local co = H.load [[
    local name = ...
    local ch = channel.create(name)
    local w = waiter(system.awaitch, ch, "in")
    local left = system.run()
    ch:close()
    return left, w.got[2] ]]
  local got
  T.start(function () got = pack(system.resume(co, name)) end)
  T.returns({ true }, H.sync, name, "out", "value")
  T.eq(system.run(), false)
  T.same(got, { true, false, "value" })
  T.eq(co:close(), true)
end)

-- Matches ---------------------------------------------------------------------------------------

H.test("no match is lost between deciding to suspend and suspending [20 8.9]", function ()
  -- Both sides hurry: each wait of the task is matched as soon as it is there.
  local name, pool, n = H.name(), create(1), T.scale(5000, 20)
  H.add(pool, [[
    local name, n = ...
    local ch = channel.create(name)
    local count = 0
    start(function ()
      for i = 1, n do
        local ok, value = system.awaitch(ch, "in", -i)
        assert(ok == true and value == i)
        count = count + 1
      end
    end)
    local left = system.run()
    ch:close()
    yield(name .. " end", "out", left, count) ]], name, n)
  local ch = channel.create(name)
  for i = 1, n do
    H.wait(function ()
      for _ = 1, 1000 do
        local ok, value = ch:sync("out", i)
        if ok then
          T.eq(value, -i)
          return true
        end
      end
    end)
  end
  T.eq(ch:close(), true)
  T.returns({ false, n }, H.take, name .. " end")
  T.returns({ true }, close, pool)
end)

H.test("two tasks in run match each other on one thread [20 8.9] [20 5.6]", function ()
  local name, pool, n = H.name(), create(1), T.scale(1000, 20)
  for side = 1, 2 do
    H.add(pool, [[
      local name, side, n = ...
      local ch = channel.create(name)
      local sum = 0
      start(function ()
        for i = 1, n do sum = sum + select(2, system.awaitch(ch, side == 1 and "in" or "out", i * side)) end
      end)
      local left = system.run()
      ch:close()
      yield(name .. " end", "out", side, left, sum) ]], name, side, n)
  end
  for _ = 1, 2 do
    local side, left, sum = H.take(name .. " end")
    T.eq(left, false)
    T.eq(sum, (3 - side) * n * (n + 1) / 2)
  end
  T.returns({ true }, close, pool)
end)

H.test("a task in run whose pool was closed is matched, and destroyed [20 7.7.7] [20 8.9] [20 7.8.4]", function ()
  local name, pool = H.name(), create(1)
  H.add(pool, [[
    local name = ...
    start(function () system.awaitch(channel.create(name), "in", "its") error "resumed" end)
    system.run() ]], name)
  suspended(pool, 1, 1)
  T.returns({ true }, pool.resize, pool, 0)
  H.reach(pool, "a", 0)
  T.returns({ true }, close, pool)
  local ch = channel.create(name)
  T.returns({ true, "its" }, ch.sync, ch, "out", "lost")
  T.returns({ false, "empty" }, ch.sync, ch, "out", "lost")
  T.eq(ch:close(), true)
  H.wait(function () return channel.getnames()[name] == nil end, "the end of the task")
end)

H.test("an error of a coroutine does not end the run of a task [20 8.14] [20 8.9]", function ()
  local name, pool = H.name(), create(1)
  H.add(pool, [[
    local name = ...
    local seen = 0
    system.onerror(function () seen = seen + 1 end)
    for i = 1, 2 do
      start(function ()
        local ch = channel.create(name .. i)
        system.awaitch(ch, "in")
        ch:close()
        error "expected"
      end)
    end
    yield(name, "out", system.run(), seen) ]], name)
  suspended(pool, 1, 1)
  for i = 1, 2 do
    T.returns({ true }, H.meet, name .. i, "out")
    if i == 1 then suspended(pool, 1, 1) end
  end
  T.returns({ false, 2 }, H.take, name)
  T.returns({ true }, close, pool)
end)

H.test("the loops of states are separate [20 8.3] [20 8.15] [20 8.2] [20 1.11]", function ()
  local name, pool = H.name(), create(1)
  local running = {}
  T.start(function ()
    put(running, system.isrunning())
    local ch = channel.create(name)
    local got = pack(system.awaitch(ch, "in"))
    put(running, system.isrunning())
    T.same(got, { true, false, true, false, false, false })
    ch:close()
  end)
  H.add(pool, [[
    local name = ...
    local log = { system.isrunning() }
    start(function ()
      system.suspend()
      log[#log + 1] = system.isrunning()
      log[#log + 1] = (pcall(system.run))
    end)
    local left = system.run()
    yield(name, "out", log[1], log[2], log[3], left, system.isrunning()) ]], name)
  T.eq(system.run(), false)
  T.same(running, { false, true })
  T.returns({ true }, close, pool)
end)

T.done()
