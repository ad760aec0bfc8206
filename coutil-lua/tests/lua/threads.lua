-- Thread pools: creating, adding tasks, counting, resizing, closing.

local T = require "testing"
local H = require "threads_testing"
local channel = require "coutil.channel"
local memory = require "coutil.memory"
local system = require "coutil.system"
local threads = require "coutil.threads"
local create, close = threads.create, threads.close
local pack = T.pack
local put = table.insert

-- A task that keeps its thread until `H.release(name)`.
local function add_blocked(pool, name) H.add(pool, "block((...))", name) end

-- The module ------------------------------------------------------------------------------------

H.test("the module and its objects [20 0.3] [20 0.4] [20 0.5]", function ()
  local names = {}
  for key, value in pairs(threads) do
    put(names, key)
    T.eq(debug.getinfo(value, "S").what, "C")
  end
  table.sort(names)
  T.eq(table.concat(names, " "), "close count create dofile dostring resize")
  local pool = create(0)
  local mt = getmetatable(pool)
  T.eq(mt.__name, "coutil:threads")
  T.eq(mt.__index, threads)
  T.eq(mt.__gc, nil)
  T.eq(mt.__tostring, nil)
  if T.has_tbc then T.eq(mt.__close, threads.close) end
  if T.number >= 5.3 then T.eq(tostring(pool):find("^coutil:threads: 0x%x+$"), 1) end
  for _, key in ipairs { "x", 1, true, print, {}, pool } do T.eq(pool[key], nil) end
  T.returns({ true }, pool.close, pool)
end)

-- create ----------------------------------------------------------------------------------------

H.test("sizes: threads exist when create returns [20 7.1.2] [20 7.4.1] [20 10.1]", function ()
  for size = -3, 0 do
    local pool = create(size)
    H.counts(pool, "nrpsea", 0, 0, 0, 0, 0, 0)
    T.returns({ true }, close, pool)
  end
  for size = 1, 8 do
    local pool = create(size)
    H.counts(pool, "nrpsea", 0, 0, 0, 0, size, size)
    T.returns({ true }, close, pool)
  end
  local pool = create("3") -- a numeral
  H.counts(pool, "ea", 3, 3)
  T.returns({ true }, close, pool)
end)

H.test("without argument: nil, but in a task [20 7.1.5]", function ()
  T.returns({ n = 1 }, create)
  T.returns({ n = 1 }, T.inside, create)
end)

H.test("three tasks in a pool without threads [20 7.5.4] [20 7.5.2] [20 10.1] [20 7.4.1] [20 7.8.4]", function ()
  local pool = create(0)
  T.returns({ true }, threads.dostring, pool, "return")
  H.counts(pool, "nrpsea", 1, 0, 1, 0, 0, 0)
  for _ = 1, 2 do T.returns({ true }, pool.dostring, pool, "while true do end") end
  T.same(pack(pool:count "panepane"), { 3, 0, 3, 0, 3, 0, 3, 0 })
  T.returns({ true }, close, pool) -- they are destroyed without being run
end)

-- count -----------------------------------------------------------------------------------------

H.test("count: one number for each letter [20 7.4.1] [20 7.4.3]", function ()
  local pool = create(2)
  T.returns({}, threads.count, pool, "")
  T.returns({ 2, 2, 2, 0 }, threads.count, pool, "eaen")
  T.returns({ 2 }, pool.count, pool, "a")
  local many = pack(pool:count(("nrpsea"):rep(30)))
  T.eq(many.n, 180)
  for i = 1, 180 do T.eq(many[i], (i % 6 == 5 or i % 6 == 0) and 2 or 0) end
  if T.integers then T.eq(math.type(pool:count "a"), "integer") end
  T.returns({ true }, close, pool)
end)

H.test("one running, one pending [20 10.3] [20 7.4.1] [20 7.6.1]", function ()
  local pool, a, b = create(1), H.name(), H.name()
  add_blocked(pool, a)
  add_blocked(pool, b)
  H.reach(pool, "nrpsea", 2, 1, 1, 0, 1, 1)
  H.release(a)
  H.reach(pool, "nrpsea", 1, 1, 0, 0, 1, 1)
  H.release(b)
  H.reach(pool, "nrpsea", 0, 0, 0, 0, 1, 1)
  T.returns({ true }, close, pool)
end)

-- dostring, dofile ------------------------------------------------------------------------------

H.test("the arguments of a task [20 10.6] [20 7.5.2] [20 2.2]", function ()
  local pool, name = create(1), H.name()
  local text = "require '_G' local yield = require 'coroutine'.yield yield('" .. name .. "', 'out', select('#', ...), ...)"
  T.returns({ true }, threads.dostring, pool, text)
  T.returns({ 0 }, H.take, name)
  T.returns({ true }, threads.dostring, pool, text, nil, nil)
  T.returns({ 0 }, H.take, name)
  T.returns({ true }, threads.dostring, pool, text, "name", "bt", nil, false, 123, 0xface / 256, "\1")
  T.returns(pack(5, nil, false, 123, 0xface / 256, "\1"), H.take, name)
  T.returns({ true }, close, pool)
end)

H.test("chunks: a string, a memory, binary [20 7.5.1] [20 3.1] [90 4.8]", function ()
  local pool, name = create(1), H.name()
  local text = "require 'coroutine'.yield('" .. name .. "', 'out', ...)"
  local binary = string.dump(T.load(text))
  for i, chunk in ipairs { text, memory.create(text), binary, memory.create(binary) } do
    T.returns({ true }, threads.dostring, pool, chunk, nil, nil, i)
    T.returns({ i }, H.take, name)
  end
  T.returns({ true }, close, pool)
end)

H.test("a file is read during the call [20 7.5.1] [20 3.3]", function ()
  local pool, name, path = create(0), H.name(), os.tmpname()
  local file = assert(io.open(path, "w"))
  file:write("#!a first line\nrequire 'coroutine'.yield('" .. name .. "', 'out', ...)")
  file:close()
  T.returns({ true }, threads.dofile, pool, path)
  T.returns({ true }, pool.dofile, pool, path, "t", "x", nil)
  os.remove(path)
  H.counts(pool, "np", 2, 2)
  T.returns({ true }, pool.resize, pool, 1)
  T.returns({}, H.take, name)
  T.returns({ "x", nil, n = 2 }, H.take, name)
  T.returns({ true }, close, pool)
end)

H.test("compile errors: false and the message, and nothing is added [20 7.5.1] [20 3.5] [20 0.1] [20 0.2]", function ()
  local pool, path = create(0), os.tmpname()
  local got = pack(pool:dostring("return return", "@chunk"))
  T.eq(got.n, 2)
  T.eq(rawequal(got[1], false), true)
  T.eq(got[2]:find("chunk:1:", 1, true), 1)
  got = pack(pool:dostring("x =", nil, nil, {})) -- compiled before the arguments are looked at
  T.eq(got.n, 2)
  T.eq(got[2]:find('[string "x ="]:1:', 1, true), 1)
  got = pack(pool:dostring("return", nil, "b"))
  T.same({ got.n, got[1] }, { 2, false })
  T.eq(got[2]:find("attempt to load", 1, true) ~= nil, true)
  local file = assert(io.open(path, "w"))
  file:write "return return"
  file:close()
  got = pack(pool:dofile(path))
  T.eq(got.n, 2)
  T.eq(got[1], false)
  T.eq(got[2]:find(path .. ":1:", 1, true), 1)
  os.remove(path)
  got = pack(pool:dofile(path))
  T.eq(got.n, 2)
  T.eq(got[1], false)
  T.eq(got[2]:find("cannot open", 1, true) ~= nil, true)
  H.counts(pool, "np", 0, 0)
  T.returns({ true }, close, pool)
end)

H.test("tasks start and continue in the order they came [20 7.6.1] [20 7.5.2]", function ()
  local pool, name = create(0), H.name()
  for i = 1, 10 do
    H.add(pool, [[
      local name, i = ...
      local ch = channel.create(name)
      for round = 1, 3 do
        while not ch:sync("out", i, round) do end
        yield()
      end ]], name, i)
  end
  H.counts(pool, "nrpsea", 10, 0, 10, 0, 0, 0)
  T.returns({ true }, pool.resize, pool, 1)
  for round = 1, 3 do
    for i = 1, 10 do T.returns({ i, round }, H.take, name) end
  end
  T.returns({ true }, close, pool)
end)

H.test("an idle thread is used, and none is started [20 7.5.3]", function ()
  local pool = create(2)
  for _ = 1, 10 do
    H.add(pool, "return")
    H.reach(pool, "nrpsea", 0, 0, 0, 0, 2, 2)
  end
  T.returns({ true }, pool.resize, pool, 4)
  for _ = 1, 10 do
    H.add(pool, "return")
    H.reach(pool, "nrpsea", 0, 0, 0, 0, 4, 2)
  end
  T.returns({ true }, close, pool)
end)

H.test("a thread is started if none is idle and there may be more [20 7.5.3] [20 7.3.3]", function ()
  local pool, names = create(1), {}
  T.returns({ true }, pool.resize, pool, 3)
  for i = 1, 3 do
    names[i] = H.name()
    add_blocked(pool, names[i])
    H.reach(pool, "nrpsea", i, i, 0, 0, 3, i)
  end
  names[4] = H.name()
  add_blocked(pool, names[4])
  H.counts(pool, "nrpsea", 4, 3, 1, 0, 3, 3)
  for i = 1, 4 do H.release(names[i]) end
  H.reach(pool, "nrpsea", 0, 0, 0, 0, 3, 3)
  T.returns({ true }, close, pool)
end)

-- resize ----------------------------------------------------------------------------------------

H.test("growing: threads only for the tasks that are pending [20 7.3.2] [20 7.3.3]", function ()
  local pool, a, b = create(2), H.name(), H.name()
  T.returns({ true }, threads.resize, pool, 4)
  H.counts(pool, "ea", 4, 2)
  T.returns({ true }, threads.resize, pool, 4, false)
  H.counts(pool, "ea", 4, 2)
  T.returns({ true }, close, pool)
  pool = create(1)
  add_blocked(pool, a)
  add_blocked(pool, b)
  H.reach(pool, "nrpsea", 2, 1, 1, 0, 1, 1)
  T.returns({ true }, pool.resize, pool, 4)
  H.reach(pool, "nrpsea", 2, 2, 0, 0, 4, 2)
  H.release(b)
  H.release(a)
  H.reach(pool, "nrpsea", 0, 0, 0, 0, 4, 2)
  T.returns({ true }, close, pool)
end)

H.test("growing by less than what is pending [20 7.3.3]", function ()
  local pool, names = create(0), {}
  for i = 1, 5 do
    names[i] = H.name()
    add_blocked(pool, names[i])
  end
  T.returns({ true }, pool.resize, pool, 2)
  H.reach(pool, "nrpsea", 5, 2, 3, 0, 2, 2)
  T.returns({ true }, pool.resize, pool, 3)
  H.reach(pool, "nrpsea", 5, 3, 2, 0, 3, 3)
  for i = 1, 5 do H.release(names[i]) end
  H.reach(pool, "nrpsea", 0, 0, 0, 0, 3, 3)
  T.returns({ true }, close, pool)
end)

H.test("growing with create: all threads at once [20 7.3.4]", function ()
  local pool = create(1)
  T.returns({ true }, threads.resize, pool, 4, true)
  H.counts(pool, "nrpsea", 0, 0, 0, 0, 4, 4)
  T.returns({ true }, threads.resize, pool, 6)
  H.counts(pool, "ea", 6, 4)
  T.returns({ true }, threads.resize, pool, 7, {}) -- fewer than the old size existed
  H.counts(pool, "ea", 7, 7)
  T.returns({ true }, close, pool)
end)

H.test("shrinking: idle threads end [20 7.3.5] [20 7.3.2]", function ()
  local pool = create(5)
  T.returns({ true }, pool.resize, pool, 4)
  H.counts(pool, "e", 4)
  H.reach(pool, "nrpsea", 0, 0, 0, 0, 4, 4)
  T.returns({ true }, pool.resize, pool, 0)
  H.reach(pool, "nrpsea", 0, 0, 0, 0, 0, 0)
  T.returns({ true }, close, pool)
end)

H.test("shrinking: busy threads end with their task, before taking another [20 7.3.5] [20 7.4.4]", function ()
  local pool, names = create(5), {}
  for i = 1, 3 do names[i] = H.name() end
  T.returns({ true }, pool.resize, pool, 4)
  H.reach(pool, "ea", 4, 4)
  add_blocked(pool, names[1])
  add_blocked(pool, names[2])
  H.reach(pool, "nrpsea", 2, 2, 0, 0, 4, 4)
  T.returns({ true }, pool.resize, pool, 1)
  H.reach(pool, "nrpsea", 2, 2, 0, 0, 1, 2)
  add_blocked(pool, names[3])
  H.counts(pool, "nrpsea", 3, 2, 1, 0, 1, 2)
  H.release(names[1])
  H.reach(pool, "nrpsea", 2, 1, 1, 0, 1, 1)
  T.returns({ true }, pool.resize, pool, 0)
  H.counts(pool, "nrpsea", 2, 1, 1, 0, 0, 1)
  H.release(names[2])
  H.reach(pool, "nrpsea", 1, 0, 1, 0, 0, 0)
  T.returns({ true }, close, pool)
end)

H.test("size zero keeps the tasks, and growing continues them [20 7.3.6] [20 7.3.5]", function ()
  local pool, name, flag = create(2), H.flag()
  for i = 1, 6 do
    H.add(pool, [[
      local name, i = ...
      while flagged(name) do yield() end
      yield(name .. i, "out", "end") ]], name, i)
  end
  T.returns({ true }, pool.resize, pool, 0)
  H.reach(pool, "nrpsea", 6, 0, 6, 0, 0, 0) -- the running ones yielded, or ended their turn
  flag:close()
  H.counts(pool, "nrpsea", 6, 0, 6, 0, 0, 0)
  T.returns({ true }, pool.resize, pool, 2)
  for i = 1, 6 do T.returns({ "end" }, H.take, name .. i) end
  H.reach(pool, "n", 0)
  T.returns({ true }, close, pool)
end)

-- close -----------------------------------------------------------------------------------------

H.test("close waits for the tasks [20 10.7] [20 7.8.2] [20 7.8.3] [20 7.9.3]", function ()
  local name = H.name()
  local ch = channel.create(name)
  for size = 1, 3 do
    local w = T.waiter(system.awaitch, ch, "in")
    local pool = create(size)
    H.add(pool, [[
      local name = ...
      for _ = 1, 100 do yield() end
      local ch = channel.create(name)
      assert(ch:sync("out", "ran to its end")) ]], name)
    T.returns({ true }, close, pool)
    T.eq(w.got, nil) -- nothing of this state ran meanwhile
    T.eq(system.run(), false)
    T.same(w.got, { true, "ran to its end" })
  end
  T.eq(ch:close(), true)
end)

H.test_if(T.has_tbc, "no to-be-closed variables", "a to-be-closed pool [20 7.9.3] [00 6.4.1] [00 6.4.2]", function ()
  local name = H.name()
  local ch = channel.create(name)
  local w = T.waiter(system.awaitch, ch, "in")
  T.load [[
    local create, chunk, name = ...
    local pool <close> = create(1)
    assert(pool:dostring(chunk, nil, nil, name)) ]](create, H.prelude .. [[ assert(channel.create((...)):sync("out", "end")) ]], name)
  T.eq(system.run(), false)
  T.same(w.got, { true, "end" })
  T.eq(ch:close(), true)
  T.raises("closed threads", T.load [[
    local create = ...
    local pool <close> = create(0)
    assert(pool:close()) ]], create)
end)

H.test("while close waits, tasks add tasks and resize [20 7.8.2] [20 7.5.5] [20 7.3.7]", function ()
  local pool, name = create(1), H.name()
  local ch = channel.create(name)
  local w = T.waiter(system.awaitch, ch, "in")
  H.add(pool, [[
    local name, prelude = ...
    local threads = require "coutil.threads"
    local pool = threads.create()
    for _ = 1, 10 do assert(pool:dostring("return")) end
    assert(pool:resize(3, true))
    assert(pool:dostring(prelude .. "assert(channel.create((...)):sync('out', 'added'))", nil, nil, name)) ]], name, H.prelude)
  T.returns({ true }, close, pool)
  T.eq(system.run(), false)
  T.same(w.got, { true, "added" })
  T.eq(ch:close(), true)
end)

H.test("size zero, then close: waits for those in execution only [20 7.8.4] [20 7.8.5] [20 7.8.2]", function ()
  local pool, name, flag = create(1), H.flag()
  local ch = channel.create(name .. " end")
  local w = T.waiter(system.awaitch, ch, "in")
  H.add(pool, [[
    local name = ...
    kept = channel.create(name .. " runs")
    while flagged(name) do end
    assert(channel.create(name .. " end"):sync("out", "still ran"))
    yield()
    channel.create(name .. " end"):sync("out", "continued") ]], name)
  for _ = 1, 3 do H.add(pool, "while true do end") end -- never run
  H.wait(function () return channel.getnames()[name .. " runs"] end, "the task")
  T.returns({ true }, pool.resize, pool, 0)
  H.counts(pool, "nrpsea", 4, 1, 3, 0, 0, 1)
  flag:close()
  T.returns({ true }, close, pool)
  T.eq(system.run(), false)
  T.same(w.got, { true, "still ran" })
  T.returns({ true }, ch.close, ch)
end)

H.test("a task that waits on a channel keeps close blocked until it has ended [20 7.8.2]", function ()
  local pool, name = create(1), H.name()
  local co = H.load [[
    local name = ...
    local ch, got = channel.create(name), nil
    repeat got = pack(ch:sync("out", "matched")) until got[1]
    return "done" ]]
  H.add(pool, [[
    local name = ...
    assert(select(2, yield(name, "in")) == "matched")
    yield(name .. " end", "out", "went on") ]], name)
  local done, w
  w = T.waiter(system.awaitch, channel.create(name .. " end"), "in")
  T.start(function () done = pack(system.resume(co, name)) end)
  T.returns({ true }, close, pool) -- somebody else matches it
  T.eq(system.run(), false)
  T.same(done, { true, "done" })
  T.same(w.got, { true, "went on" })
  T.eq(co:close(), true)
end)

H.test("many pools, one after the other and at once [20 7.1.6] [20 7.8.3]", function ()
  local pools, n = {}, T.scale(50, 5)
  for i = 1, n do
    pools[i] = create(i % 4)
    for _ = 1, i % 3 do H.add(pools[i], "yield()") end
  end
  for i = 1, n do T.returns({ true }, close, pools[i]) end
end)

H.test("fifty tasks on five threads, each yielding until a name is gone [20 10.2] [20 7.4.4] [20 7.6.5]", function ()
  local pool, name, flag = create(5), H.flag()
  for _ = 1, 50 do H.add(pool, "local name = ... while flagged(name) do yield() end", name) end
  H.counts(pool, "nea", 50, 5, 5)
  H.reach(pool, "nrpsea", 50, 5, 45, 0, 5, 5)
  for _ = 1, T.scale(2000, 20) do H.counts(pool, "nrpsea", 50, 5, 45, 0, 5, 5) end -- never seen in between
  flag:close()
  H.reach(pool, "nrpsea", 0, 0, 0, 0, 5, 5)
  T.returns({ true }, close, pool)
end)

H.test("five tasks that go on yielding on one thread [20 7.4.4] [20 7.4.3] [20 7.6.1]", function ()
  local pool, name, flag = create(1), H.flag()
  for _ = 1, 5 do H.add(pool, "local name = ... while flagged(name) do yield() end", name) end
  H.reach(pool, "r", 1)
  for _ = 1, T.scale(5000, 20) do H.counts(pool, "nrpsea", 5, 1, 4, 0, 1, 1) end
  flag:close()
  H.reach(pool, "nrpsea", 0, 0, 0, 0, 1, 1)
  T.returns({ true }, close, pool)
end)

H.test("an end is seen as a whole [20 7.4.4] [20 7.4.3]", function ()
  local pool, n = create(3), T.scale(200, 10)
  for _ = 1, n do H.add(pool, "yield()") end
  repeat
    local tasks, r, p, s, e, a = pool:count "nrpsea"
    T.eq(tasks, r + p + s)
    T.eq(s, 0)
    T.eq(r <= a and a <= 3 and e == 3, true)
    if p > 0 then T.eq(a, 3) end
  until tasks == 0
  T.returns({ true }, close, pool)
end)

T.done()
