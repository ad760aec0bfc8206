-- Tasks: how they are scheduled, what a yield of the chunk does, how they end, and their own pool.

local T = require "testing"
local H = require "threads_testing"
local channel = require "coutil.channel"
local system = require "coutil.system"
local threads = require "coutil.threads"
local create, close = threads.create, threads.close
local pack = T.pack

-- Yields ----------------------------------------------------------------------------------------

H.test("a yield lets the next pending task run, and gives no values [20 7.6.5] [20 7.6.1] [20 2.9]", function ()
  local pool, name = create(0), H.name()
  for i = 1, 3 do
    H.add(pool, [[
      local name, i = ...
      local ch = channel.create(name)
      local kinds = { false, true, {}, print, io.stdout, coroutine.create(function () end), n = 7 }
      for round = 1, 7 do
        local got
        if round == 1 then got = pack(yield()) else got = pack(yield(kinds[round - 1], "out", name, {})) end
        while not ch:sync("out", i, round, got.n) do end
      end ]], name, i)
  end
  T.returns({ true }, pool.resize, pool, 1)
  for round = 1, 7 do
    for i = 1, 3 do T.returns({ i, round, 0 }, H.take, name) end
  end
  T.returns({ true }, close, pool)
end)

H.test("nil as the first value is no name [20 7.6.5]", function ()
  local pool, name = create(1), H.name()
  H.add(pool, [[
    local name = ...
    local got = pack(yield(nil, "out", 1))
    yield(name, "out", got.n) ]], name)
  T.returns({ 0 }, H.take, name)
  T.returns({ true }, close, pool)
end)

H.test("a number is a name [20 7.6.5] [20 5.1]", function ()
  local pool = create(1)
  H.add(pool, [[ yield(12, "out", "a") yield(.5, "out", "b") ]])
  T.returns({ "a" }, H.take, "12")
  T.returns({ "b" }, H.take, "0.5")
  T.returns({ true }, close, pool)
end)

H.test("no thread is taken from a task that does not yield [20 7.6.1]", function ()
  local pool, name, flag = create(1), H.flag()
  H.add(pool, "local name = ... while flagged(name) do end", name)
  H.add(pool, "local name = ... yield(name .. ' end', 'out')", name)
  H.reach(pool, "nrpsea", 2, 1, 1, 0, 1, 1)
  for _ = 1, T.scale(1000, 10) do H.counts(pool, "nrpsea", 2, 1, 1, 0, 1, 1) end
  flag:close()
  H.take(name .. " end")
  T.returns({ true }, close, pool)
end)

H.test("a yield below calls and inside pcall is one of the chunk, one of a coroutine is not [20 7.6.5] [20 7.6.7] [20 0.9] [20 0.8]",
function ()
  local pool, name = create(1), H.name()
  H.add(pool, [[
    local name, across = ...
    local log = {}
    local function deep(n) if n > 0 then local got = pack(deep(n - 1)) return unpack(got, 1, got.n) end return yield() end
    log[1] = select("#", deep(20))
    if across then
      log[2] = select("#", pcall(deep, 5)) -- pcall's own true
      local mt = setmetatable({}, { __add = function () return select("#", yield()) end })
      log[3] = mt + 1
    else
      log[2], log[3] = 1, 0
    end
    local co = coroutine.wrap(function (...) return ..., yield(name, "out", "to the creator of the coroutine") end)
    log[4] = select("#", co(1))
    yield(name, "out", unpack(log, 1, 4)) ]], name, T.yield_across_pcall)
  T.returns({ 0, 1, 0, 3 }, H.take, name)
  T.returns({ true }, close, pool)
end)

H.test("a C function that yields with a continuation, three times [20 7.6.7] [20 0.9]", function ()
  local pool, name = create(1), H.name()
  H.add(pool, [[
    local name, across = ...
    local n = 0
    local function three() for _ = 1, 3 do n = n + 1 + select("#", yield()) end return "a", nil end
    local got
    if across then got = pack(pcall(three)) else got = pack(true, three()) end
    yield(name, "out", n, unpack(got, 1, got.n)) ]], name, T.yield_across_pcall)
  T.returns(pack(3, true, "a", nil), H.take, name)
  T.returns({ true }, close, pool)
  -- The chunk may be a C function's call from its first instruction on.
  if T.yield_across_pcall then
    pool = create(1)
    T.returns({ true }, threads.dostring, pool, "require '_G' return pcall(require 'coroutine'.yield)")
    T.returns({ true }, close, pool)
  end
end)

H.test("very many yields [20 0.8] [20 7.6.5]", function ()
  local pool, name, n = create(2), H.name(), T.scale(100000, 100)
  for i = 1, 3 do
    H.add(pool, [[
      local name, n = ...
      for i = 1, n do yield(i % 2 == 0) end
      yield(name, "out", n) ]], name .. i, n)
  end
  for i = 1, 3 do T.returns({ n }, H.take, name .. i) end
  T.returns({ true }, close, pool)
end)

H.test("an await function called in the chunk does not wait [20 7.6.6]", function ()
  local pool, name = create(1), H.name()
  H.add(pool, [[
    local name = ...
    local ch = channel.create(name .. " never")
    local a = pack(system.suspend(1000))
    local b = pack(system.awaitch(ch, "in"))
    local closed = ch:close() -- free again
    local c = pack(system.suspend())
    yield(name, "out", a.n, b.n, c.n, closed, system.run()) ]], name)
  T.returns({ 0, 0, 0, true, false }, H.take, name)
  T.returns({ true }, close, pool)
end)

H.test("coroutines and the loop inside of a task [20 7.6.5] [20 8.3] [20 1.10]", function ()
  local pool, name = create(1), H.name()
  H.add(pool, [[
    local name = ...
    local log = {}
    start(function ()
      for i = 1, 3 do system.suspend(i / 1000) log[#log + 1] = i end
      coroutine.yield("a name that is not one", "out")
      log[#log + 1] = "never"
    end)
    local left = system.run()
    yield(name, "out", left, #log, unpack(log)) ]], name)
  T.returns({ false, 3, 1, 2, 3 }, H.take, name)
  T.returns({ true }, close, pool)
end)

-- The end of a task -----------------------------------------------------------------------------

H.test("values returned are ignored, and the state is closed [20 7.6.2] [20 1.13] [20 2.9]", function ()
  local pool, name = create(1), H.name()
  local ch = channel.create(name)
  local w = T.waiter(system.awaitch, ch, "in")
  H.add(pool, [[
    local name = ...
    local ch = channel.create(name)
    local function finalize() ch:sync("out", "finalized") end
    if newproxy then
      proxy = newproxy(true)
      getmetatable(proxy).__gc = finalize
    else
      proxy = setmetatable({}, { __gc = finalize })
    end
    return {}, print, nil, io.stdout ]], name)
  H.reach(pool, "nrpsea", 0, 0, 0, 0, 1, 1)
  T.eq(system.run "ready", false) -- it counts until all has been closed
  T.same(w.got, { true, "finalized" })
  T.returns({ true }, close, pool)
  T.eq(ch:close(), true)
end)

H.test("a task that owns an unclosed pool ends with it [20 7.6.2] [20 10.5] [20 7.1.6] [20 1.14.5]", function ()
  local pool, name = create(1), H.name()
  H.add(pool, [[
    local name, prelude = ...
    local inner = require "coutil.threads".create(1)
    inner:dostring(prelude .. "block((...))", nil, nil, name)
    yield(name .. " made", "out") ]], name, H.prelude)
  H.take(name .. " made")
  H.reach(pool, "nrpsea", 1, 1, 0, 0, 1, 1)
  for _ = 1, T.scale(200, 10) do H.counts(pool, "nrpsea", 1, 1, 0, 0, 1, 1) end
  H.release(name)
  H.reach(pool, "nrpsea", 0, 0, 0, 0, 1, 1)
  T.returns({ true }, close, pool)
end)

H.test("waiting coroutines of a task that ends are dropped [20 7.6.4] [20 1.14.1] [20 10.13]", function ()
  local pool, name = create(1), H.name()
  H.add(pool, [[
    local name = ...
    start(function () system.suspend(1000) error "resumed" end)
    start(function () system.awaitch(channel.create(name), "in") error "resumed" end) ]], name)
  H.reach(pool, "n", 0)
  local ch = channel.create(name)
  T.returns({ false, "empty" }, ch.sync, ch, "out")
  T.eq(ch:close(), true)
  T.returns({ true }, close, pool)
end)

-- The task's own pool ---------------------------------------------------------------------------

H.test("a task adds tasks to its own pool [20 10.4] [20 7.5.5] [20 7.1.4]", function ()
  local pool, name = create(1), H.name()
  H.add(pool, [[
    local name, prelude = ...
    local own = require "coutil.threads".create()
    assert(own:dostring(prelude .. "block((...))", nil, nil, name .. " inner"))
    block(name) ]], name, H.prelude)
  H.reach(pool, "nrpsea", 2, 1, 1, 0, 1, 1)
  H.release(name)
  H.reach(pool, "nrpsea", 1, 1, 0, 0, 1, 1)
  H.release(name .. " inner")
  H.reach(pool, "nrpsea", 0, 0, 0, 0, 1, 1)
  T.returns({ true }, close, pool)
end)

H.test("create without argument gives a new object of the own pool each time [20 7.1.4] [20 7.3.7] [20 7.8.1]", function ()
  local pool, name = create(2), H.name()
  H.add(pool, [[
    local name = ...
    local threads = require "coutil.threads"
    local a, b = threads.create(), threads.create()
    local log = { a == b, a:count "nrpsea" }
    log[#log + 1] = a:close()
    log[#log + 1] = pcall(a.count, a, "n")
    log[#log + 1] = b:resize(3, true)
    log[#log + 1], log[#log + 2] = b:count "ea"
    log[#log + 1] = b:dostring("return")
    log[#log + 1] = b:close() -- does not wait, and the pool goes on
    log[#log + 1] = threads.create():count "e"
    log[#log + 1] = select("#", threads.create())
    yield(name, "out", unpack(log)) ]], name)
  local got = pack(H.take(name))
  T.same(got, { false, 1, 1, 0, 0, 2, 2, true, false, true, 3, 3, true, true, 3, 1 })
  H.counts(pool, "ea", 3, 3)
  T.returns({ true }, close, pool)
end)

H.test("a coroutine of a task has the same pool, a state coroutine in it has none [20 7.1.4] [20 7.1.5] [20 4.15]", function ()
  local pool, name = create(3), H.name()
  H.add(pool, [[
    local name = ...
    local threads, states = require "coutil.threads", require "coutil.coroutine"
    local inside
    start(function () inside = threads.create():count "e" end)
    local co = assert(states.load "return require 'coutil.threads'.create()")
    local w = waiter(system.resume, co)
    system.run()
    yield(name, "out", inside, unpack(w.got, 1, w.got.n)) ]], name)
  T.returns(pack(3, true, nil), H.take, name)
  T.returns({ true }, close, pool)
end)

H.test("a pool inside of a task inside of a pool [20 7.1.6] [20 1.11] [20 1.5]", function ()
  local pool, name = create(1), H.name()
  H.add(pool, [[
    local name, prelude, depth = ...
    local body = prelude .. "local name, body, depth = ... " ..
      "if depth == 0 then return yield(name, 'out', 'the innermost') end " ..
      "local pool = require 'coutil.threads'.create(1) " ..
      "assert(pool:dostring(body, nil, nil, name, body, depth - 1)) assert(pool:close())"
    local pool = require "coutil.threads".create(1)
    assert(pool:dostring(body, nil, nil, name, body, depth))
    assert(pool:close()) ]], name, H.prelude, 3)
  T.returns({ "the innermost" }, H.take, name)
  T.returns({ true }, close, pool)
end)

-- Pools that nobody refers to -------------------------------------------------------------------

H.test("losing the object does not stop the pool [20 7.9.1] [20 7.8.6] [20 0.5]", function ()
  local name = H.name()
  T.scope(function ()
    local pool = create(1)
    H.add(pool, [[
      local name, prelude = ...
      yield(name, "out", "alive")
      local own = require "coutil.threads".create()
      assert(own:dostring(prelude .. "yield((...), 'out', 'added')", nil, nil, name))
      assert(own:resize(2))
      yield(name, "out", own:count "e") ]], name, H.prelude)
  end)
  T.scrub()
  T.gc()
  T.returns({ "alive" }, H.take, name)
  T.gc()
  local got = { (H.take(name)), (H.take(name)) }
  table.sort(got, function (a, b) return tostring(a) < tostring(b) end)
  T.same(got, { 2, "added" })
end)

T.test_child("the end of the owner waits for tasks of an unclosed pool [20 7.9.2] [20 1.14.5] [00 1.6.5]", function ()
  for _, ending in ipairs { "", "pool = nil collectgarbage()", "os.exit(0, true)" } do
    if ending ~= "os.exit(0, true)" or T.version ~= "5.1" then
      local out, status = H.child([[
        local threads = require "coutil.threads"
        local pool = assert(threads.create(1))
        assert(pool:dostring("local yield = require 'coroutine'.yield for i = 1, 100 do yield() end " ..
          "require 'io'.stdout:write('task ends\\n')"))
        io.stdout:write "main ends\n"
        io.stdout:flush()
        ]] .. ending)
      T.eq(out:gsub("main ends\n", ""), "task ends\n")
      T.eq(status, 0)
    end
  end
end)

T.test_child("a pool of size zero does not hold up the end [20 7.9.2] [20 7.8.4] [20 1.14.6]", function ()
  local out, status = H.child [[
    local threads = require "coutil.threads"
    local pool = assert(threads.create(1))
    assert(pool:dostring("require 'coroutine'.yield('waits', 'in')"))
    repeat until pool:count "s" == 1
    assert(pool:resize(0))
    for _ = 1, 3 do assert(pool:dostring "while true do end") end
    assert(pool:count "n" == 4)
    print "END" ]]
  T.eq(out, "END\n")
  T.eq(status, 0)
end)

T.done()
