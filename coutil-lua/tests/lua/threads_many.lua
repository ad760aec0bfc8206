-- Tasks and channels: tasks whose pool is gone, and many parties on few threads.

local T = require "testing"
local H = require "threads_testing"
local channel = require "coutil.channel"
local system = require "coutil.system"
local threads = require "coutil.threads"
local create, close = threads.create, threads.close

-- Pools that are gone ---------------------------------------------------------------------------

H.test("the pool object is garbage, the task is still matched [20 10.11] [20 7.7.8] [20 7.9.1]", function ()
  local name = H.name()
  T.scope(function ()
    local pool = create(1)
    H.add(pool, "local name = ... yield(name, 'in', 'from the task') yield(name, 'out', 'went on')", name)
    H.reach(pool, "s", 1)
  end)
  T.scrub()
  T.gc()
  local ch = channel.create(name)
  T.returns({ true, "from the task" }, ch.sync, ch, "out")
  T.returns({ "went on" }, H.take, name)
  T.eq(ch:close(), true)
end)

H.test("the pool is closed, the task is matched once, and destroyed [20 10.12] [20 7.7.7] [20 7.8.4]", function ()
  local name, pool = H.name(), create(1)
  H.add(pool, [[
    local name = ...
    kept = channel.create(name .. " kept")
    yield(name, "in", "its value")
    channel.create(name .. " went on"):sync("out") ]], name)
  H.reach(pool, "nrpsea", 1, 0, 0, 1, 1, 1)
  T.returns({ true }, pool.resize, pool, 0)
  H.reach(pool, "a", 0)
  T.returns({ true }, close, pool)
  local w = T.waiter(system.awaitch, channel.create(name .. " went on"), "in")
  local ch = channel.create(name)
  T.eq(channel.getnames()[name .. " kept"], true) -- still in its queue
  T.returns({ true, "its value" }, ch.sync, ch, "out", "lost")
  T.returns({ false, "empty" }, ch.sync, ch, "out")
  H.wait(function () return not channel.getnames()[name .. " kept"] end, "the end of the task")
  T.eq(system.run "ready", true)
  T.eq(w.got, nil)
  T.resume(w.co)
  T.eq(ch:close(), true)
end)

H.test("the pool is closed, and the task is matched by a descendant that its end waits for [20 7.7.7] [20 1.14]", function ()
  local descendants = {
    [[
      local threads = require "coutil.threads"
      assert(threads.create(1):dostring(text, nil, nil, name)) ]],
    [[
      local co = assert(require "coutil.coroutine".load(text))
      start(system.resume, co, name) ]],
  }
  for _, text in ipairs(descendants) do
    local name, pool = H.name(), create(1)
    H.add(pool, [[
      local name, text = ...
      kept = channel.create(name .. " kept") ]] .. text .. [[
      yield(name, "in", "its value") ]], name, H.prelude .. [[
      local name = ...
      local go, task, told = channel.create(name .. " go"), channel.create(name), channel.create(name .. " told")
      repeat until go:sync("in")
      local ok, value = task:sync("out")
      repeat until told:sync("out", ok, value) ]])
    H.reach(pool, "s", 1)
    T.returns({ true }, pool.resize, pool, 0)
    H.reach(pool, "a", 0)
    T.returns({ true }, close, pool)
    H.meet(name .. " go", "out")
    T.returns({ true, true, "its value" }, H.meet, name .. " told", "in")
    H.wait(function () return not channel.getnames()[name .. " kept"] end, "the end of the task")
  end
end)

T.test_child("tasks left on channels do not hold up the end [20 1.14.6] [20 10.12] [20 10.13] [20 7.9.2]", function ()
  for _, ending in ipairs { "", "os.exit(7, true)", "os.exit(7)", "pool:close()", "pool:close() os.exit(7, true)" } do
    local out, status = H.child([[
      local channel, threads, system = require "coutil.channel", require "coutil.threads", require "coutil.system"
      local pool = assert(threads.create(2))
      assert(pool:dostring "require 'coroutine'.yield('a', 'in')")
      assert(pool:dostring "require 'coroutine'.yield('b', 'in')")
      local text = [=[
        local name, run = ...
        require "_G"
        local system, channel, wrap = require "coutil.system", require "coutil.channel", require "coroutine".wrap
        wrap(function () system.awaitch(channel.create(name), "in") end)()
        if run then system.run() end ]=]
      assert(pool:dostring(text, nil, nil, "c", true)) -- waits inside of run
      assert(pool:dostring(text, nil, nil, "d", false)) -- ends, and leaves its coroutine
      repeat until pool:count "n" == 3 and pool:count "s" == 3
      assert(pool:resize(0))
      repeat until pool:count "a" == 0
      local ch = channel.create "b"
      assert(ch:sync("out") == true) -- pending, without threads
      io.stdout:write "END\n"
      io.stdout:flush()
      ]] .. ending)
    T.eq(out, "END\n", ending)
    T.eq(status, ending:find "7" and 7 or 0, ending)
  end
end)

T.test_child("a state coroutine blocked in its run, released just before the exit [20 1.14.6] [20 1.14.4] [00 1.6.5]", function ()
  for _, ending in ipairs { "", "os.exit(0, true)" } do
    local out, status = H.child([[
      local channel, states, system = require "coutil.channel", require "coutil.coroutine", require "coutil.system"
      local co = assert(states.load([=[
        require "_G"
        local system, channel, wrap = require "coutil.system", require "coutil.channel", require "coroutine".wrap
        wrap(function () system.awaitch(channel.create "x", "in") end)()
        system.run() ]=]))
      coroutine.wrap(function () system.resume(co) io.stderr:write "resumed\n" end)()
      local ch = channel.create "x"
      repeat until ch:sync "out"
      io.stdout:write "END\n"
      ]] .. ending)
    T.eq(out, "END\n", ending)
    T.eq(status, 0, ending)
  end
end)

-- Many ------------------------------------------------------------------------------------------

H.test("a thousand channels, two threads [20 5.1] [20 7.7.5] [20 7.7.6]", function ()
  local n, name, pool = T.scale(1000, 20), H.name(), create(2)
  for i = 1, n do
    T.returns({ true }, pool.dostring, pool, [[
      local name, i = ...
      local yield = require "coroutine".yield
      local ok, value = yield(name .. i, "in", -i)
      yield(name, "out", ok, value - i) ]], nil, nil, name, i)
  end
  H.reach(pool, "nrpsea", n, 0, 0, n, 2, 2)
  local existing, count = channel.getnames(), 0
  for _ in pairs(existing) do count = count + 1 end
  T.eq(count, n)
  for i = n, 1, -1 do
    local ch = channel.create(name .. i)
    T.returns({ true, -i }, ch.sync, ch, "out", 2 * i)
    T.eq(ch:close(), true)
  end
  local sum = 0
  local ch = channel.create(name)
  T.start(function ()
    for _ = 1, n do
      local ok, same, value = system.awaitch(ch, "in")
      if ok == true and same == true then sum = sum + value end
    end
  end)
  T.eq(system.run(), false)
  T.eq(sum, n * (n + 1) / 2)
  T.eq(ch:close(), true)
  T.returns({ true }, close, pool)
end)

H.test("a ring of tasks on fewer threads passes a token around [20 7.7.2] [20 7.7.6] [20 0.8]", function ()
  local n, rounds, name, pool = 20, T.scale(200, 3), H.name(), create(3)
  for i = 1, n do
    H.add(pool, [[
      local name, i, n, rounds = ...
      for round = 1, rounds do
        local ok, token = yield(name .. i, "in")
        assert(ok == true and token == (round - 1) * n + i - 1)
        local last = i == n and round == rounds
        assert(yield(name .. (last and " end" or i % n + 1), "out", token + 1) == true)
      end ]], name, i, n, rounds)
  end
  T.returns({ true }, H.meet, name .. 1, "out", 0)
  T.returns({ true, n * rounds }, H.meet, name .. " end", "in")
  H.reach(pool, "n", 0)
  T.returns({ true }, close, pool)
end)

H.test("producers and consumers: every value arrives once [20 5.6] [20 5.8] [20 7.7.2]", function ()
  local each, name, pool = T.scale(300, 10), H.name(), create(3)
  for producer = 1, 5 do
    H.add(pool, [[
      local name, producer, each = ...
      for i = 1, each do assert(yield(name, "out", producer * 100000 + i) == true) end ]], name, producer, each)
  end
  for _ = 1, 4 do
    H.add(pool, [[
      local name = ...
      while true do
        local ok, value = yield(name, "in")
        assert(ok == true)
        if value == "stop" then return end
        assert(yield(name .. " results", "out", value) == true)
      end ]], name)
  end
  local ch, seen = channel.create(name .. " results"), {}
  T.start(function ()
    for _ = 1, 5 * each do
      local _, value = system.awaitch(ch, "in")
      seen[value] = (seen[value] or 0) + 1
    end
    local stop = channel.create(name)
    for _ = 1, 4 do system.awaitch(stop, "out", "stop") end
    stop:close()
  end)
  T.eq(system.run(), false)
  for producer = 1, 5 do
    for i = 1, each do T.eq(seen[producer * 100000 + i], 1) end
  end
  T.eq(ch:close(), true)
  T.returns({ true }, close, pool)
end)

T.done()
