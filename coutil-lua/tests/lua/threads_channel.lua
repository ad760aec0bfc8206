-- Tasks and channels: the four kinds of parties, and channel yields.

local T = require "testing"
local H = require "threads_testing"
local channel = require "coutil.channel"
local states = require "coutil.coroutine"
local system = require "coutil.system"
local threads = require "coutil.threads"
local create, close = threads.create, threads.close
local pack = T.pack
local put = table.insert

-- The four kinds --------------------------------------------------------------------------------

-- Each starts a party that goes to `name` with an endpoint and values; `finish()` gives what it got, when it has ended.
local kinds = {}

kinds["a coroutine"] = function (name, endpoint, ...)
  local ch = channel.create(name)
  local args = pack(...)
  local party = {}
  T.start(function ()
    party.got = pack(system.awaitch(ch, endpoint, T.unpack(args, 1, args.n)))
    ch:close()
  end)
  function party.finish()
    while not party.got do system.run "step" end
    return party.got
  end
  return party
end

kinds["a coroutine of a state coroutine"] = function (name, endpoint, ...)
  local co = H.load [[
    local name, endpoint = ...
    local args, got = pack(select(3, ...)), nil
    start(function ()
      local ch = channel.create(name)
      got = pack(system.awaitch(ch, endpoint, unpack(args, 1, args.n)))
      ch:close()
    end)
    system.run()
    return unpack(got, 1, got.n) ]]
  local party = {}
  local args = pack(...)
  T.start(function () party.got = pack(system.resume(co, name, endpoint, T.unpack(args, 1, args.n))) end)
  function party.finish()
    while not party.got do system.run "step" end
    T.eq(party.got[1], true)
    T.eq(states.close(co), true)
    return pack(T.unpack(party.got, 2, party.got.n))
  end
  return party
end

local number = 0

local function task(body)
  return function (name, endpoint, ...)
    number = number + 1
    local report, pool, party = "report " .. number, create(1), {}
    H.add(pool, "local name, report, endpoint = ... " .. body, name, report, endpoint, ...)
    function party.finish()
      party.got = pack(H.take(report))
      T.returns({ true }, close, pool)
      return party.got
    end
    return party
  end
end

kinds["a coroutine of a task"] = task [[
  local args = pack(select(4, ...))
  local w
  start(function ()
    local ch = channel.create(name)
    w = pack(system.awaitch(ch, endpoint, unpack(args, 1, args.n)))
    ch:close()
  end)
  assert(system.run() == false)
  yield(report, "out", unpack(w, 1, w.n)) ]]

kinds["a task"] = task [[
  local got = pack(yield(name, endpoint, select(4, ...)))
  yield(report, "out", unpack(got, 1, got.n)) ]]

local order = { "a coroutine", "a coroutine of a state coroutine", "a coroutine of a task", "a task" }
local binary = ("\0\1\n\r\255x"):rep(1024)
local many = { n = 200 }
for i = 1, 200, 2 do many[i] = i end
local lists = { pack(), pack(nil), pack(nil, nil, 1, nil), pack(math.huge, -math.huge, .1, -7), pack(binary, true, false), many }

-- Nobody can see a party from outside but by matching it: both are started, whoever comes first waits.
for i, one in ipairs(order) do
  for j, two in ipairs(order) do
    H.test(one .. " and " .. two .. " exchange values [20 10.8] [20 5.8] [20 5.6] [20 5.12] [20 7.7.2] [20 5.1]", function ()
      local name = H.name()
      for k = 1, #lists do
        local here, there = lists[k], lists[(k + i + j) % #lists + 1]
        local a = kinds[one](name, "in", T.unpack(here, 1, here.n))
        local b = kinds[two](name, "out", T.unpack(there, 1, there.n))
        T.same(a.finish(), pack(true, T.unpack(there, 1, there.n)))
        T.same(b.finish(), pack(true, T.unpack(here, 1, here.n)))
        T.eq(channel.getnames()[name], nil)
      end
    end)
  end
end

H.test("two producers and two consumers of every kind, and one of each with any [20 5.8] [20 10.16] [20 10.8]", function ()
  local name = H.name()
  local cases = { { 2, "in", "out" }, { 2, "out", "in" }, { 1, "in", "any" }, { 1, "out" }, { 1 } }
  for _, one in ipairs(order) do
    for _, two in ipairs(order) do
      for _, case in ipairs(cases) do
        local sum, parties = 0, {}
        for k = 1, case[1] do put(parties, { kinds[one](name, case[2], k), 10 }) end
        for k = 1, case[1] do put(parties, { kinds[two](name, case[3], k * 10), 1 }) end
        for _, party in ipairs(parties) do
          local got = party[1].finish()
          T.eq(got.n, 2)
          T.eq(got[1], true)
          T.eq(got[2] == party[2] or got[2] == party[2] * 2, true) -- a value of the other side
          sum = sum + got[2]
        end
        T.eq(sum, case[1] == 2 and 33 or 11) -- each once
      end
    end
  end
end)

H.test("the queue is one for all kinds, in the order of arrival [20 5.8] [20 7.7.1] [20 7.4.4]", function ()
  local name = H.name()
  local ch, pool = channel.create(name), create(1)
  local parties = {}
  -- Each party is known to wait before the next comes.
  local function seen(n) H.reach(pool, "nrps", n, 0, 0, n) end
  parties[1] = kinds["a coroutine"](name, "in", 1)
  H.add(pool, "local name = ... assert(select(2, yield(name, 'in', 2)) == 20)", name)
  seen(1)
  H.add(pool, [[
    local name = ...
    local w = waiter(system.awaitch, channel.create(name), "in", 3)
    assert(system.run() == false)
    assert(w.got[2] == 30) ]], name)
  seen(2)
  parties[2] = kinds["a coroutine"](name, "in", 4)
  H.add(pool, "local name = ... assert(select(2, yield(name, 'in', 5)) == 50)", name)
  seen(3)
  for i = 1, 5 do T.returns({ true, i }, ch.sync, ch, i % 2 == 0 and "out" or nil, i * 10) end
  T.returns({ false, "empty" }, ch.sync, ch, "out")
  T.same(parties[1].finish(), { true, 10 })
  T.same(parties[2].finish(), { true, 40 })
  T.returns({ true }, close, pool)
  T.eq(ch:close(), true)
end)

-- Channel yields --------------------------------------------------------------------------------

H.test("a task that waits is suspended, and takes no thread [20 7.7.5] [20 7.7.1] [20 7.4.1] [20 7.4.4]", function ()
  local name, pool = H.name(), create(1)
  for i = 1, 5 do H.add(pool, "local name, i = ... assert(select(2, yield(name .. i, 'in')) == i)", name, i) end
  H.reach(pool, "nrpsea", 5, 0, 0, 5, 1, 1)
  local names = channel.getnames()
  for i = 1, 5 do T.eq(names[name .. i], true) end
  for i = 5, 1, -1 do
    local ch = channel.create(name .. i)
    T.returns({ true }, ch.sync, ch, "out", i) -- s means that it is in the queue
    T.eq(ch:close(), true)
    H.reach(pool, "nrpsea", i - 1, 0, 0, i - 1, 1, 1)
    T.eq(channel.getnames()[name .. i], nil)
  end
  T.returns({ true }, close, pool)
end)

H.test("a match that is there: the task goes to the end of the pending ones [20 7.7.4] [20 7.6.1]", function ()
  local name, pool = H.name(), create(0)
  local ch = channel.create(name)
  local w = T.waiter(system.awaitch, ch, "in", "mine")
  H.add(pool, [[
    local name = ...
    kept = channel.create(name .. " first")
    local ok, value = yield(name, "out", "its")
    assert(ok == true and value == "mine")
    assert(flagged(name .. " second")) -- the other one ran meanwhile
    yield(name .. " end", "out") ]], name)
  H.add(pool, [[
    local name = ...
    kept = channel.create(name .. " second")
    assert(flagged(name .. " first"))
    yield() yield()
    yield(name .. " end", "out") ]], name)
  T.returns({ true }, pool.resize, pool, 1)
  T.returns({}, H.take, name .. " end")
  T.returns({}, H.take, name .. " end")
  T.same(w.got, { true, "its" })
  T.returns({ true }, close, pool)
  T.eq(ch:close(), true)
end)

H.test("a match without threads makes the task pending [20 7.7.4] [20 7.7.6] [20 7.3.6]", function ()
  local name, pool = H.name(), create(1)
  H.add(pool, "local name = ... assert(select(2, yield(name, 'in')) == 1) yield(name, 'in')", name)
  H.reach(pool, "nrpsea", 1, 0, 0, 1, 1, 1)
  T.returns({ true }, pool.resize, pool, 0)
  H.reach(pool, "nrpsea", 1, 0, 0, 1, 0, 0)
  local ch = channel.create(name)
  T.returns({ true }, ch.sync, ch, "out", 1)
  H.counts(pool, "nrpsea", 1, 0, 1, 0, 0, 0) -- the match does not wait for it
  T.returns({ true }, pool.resize, pool, 2)
  H.reach(pool, "nrps", 1, 0, 0, 1)
  T.returns({ true }, ch.sync, ch, "out")
  H.finish(pool)
  T.eq(ch:close(), true)
end)

H.test("a matched task has a thread started for it [20 7.7.6] [20 7.5.3]", function ()
  local name, pool = H.name(), create(1)
  H.add(pool, "local name = ... yield(name, 'in') block(name .. ' second')", name)
  H.reach(pool, "nrpsea", 1, 0, 0, 1, 1, 1)
  H.add(pool, "block((...))", name .. " first")
  H.reach(pool, "nrpsea", 2, 1, 0, 1, 1, 1)
  T.returns({ true }, pool.resize, pool, 3)
  H.counts(pool, "nrpsea", 2, 1, 0, 1, 3, 1)
  T.returns({ true }, H.meet, name, "out")
  H.reach(pool, "nrpsea", 2, 2, 0, 0, 3, 2)
  H.release(name .. " second")
  H.release(name .. " first")
  H.reach(pool, "nrpsea", 0, 0, 0, 0, 3, 2)
  T.returns({ true }, close, pool)
end)

H.test("errors of a channel yield are results [20 7.7.3] [20 5.7] [20 10.9]", function ()
  local name, pool = H.name(), create(1)
  H.add(pool, [[
    local name = ...
    local unused = name .. " unused"
    local log = {}
    local function try(...)
      local got = pack(yield(...))
      assert(got.n == 2 and got[1] == false)
      log[#log + 1] = got[2]
    end
    for _, endpoint in ipairs { "i", "o", "input", "output", "", "IN", 12 } do try(unused, endpoint) end
    for _, endpoint in ipairs { true, {}, print, coroutine.create(function () end) } do try(unused, endpoint) end
    try(unused, "sideways", {}) -- the endpoint comes first
    try(unused, {}, {})
    try(12, "in", 1, {})
    try(unused, "in\255")
    assert(not flagged(unused))
    yield(name, "out", unpack(log)) ]], name)
  local got = pack(H.take(name))
  for i, text in ipairs { "i", "o", "input", "output", "", "IN", "12" } do
    T.eq(got[i], "bad argument #2 (invalid option '" .. text .. "')")
  end
  for i, kind in ipairs { "boolean", "table", "function", "thread" } do
    T.eq(got[7 + i], "bad argument #2 (string expected, got " .. kind .. ")")
  end
  T.eq(got[12], "bad argument #2 (invalid option 'sideways')")
  T.eq(got[13], "bad argument #2 (string expected, got table)")
  T.eq(got[14], "unable to transfer argument #4 (got table)")
  T.eq(got[15], "bad argument #2 (invalid option 'in\255')")
  T.eq(got.n, 15)
  T.returns({ true }, close, pool)
end)

H.test("a refused yield lets the other pending tasks go first, or not, but goes on [20 7.7.3]", function ()
  local name, pool = H.name(), create(1)
  for i = 1, 3 do
    H.add(pool, [[
      local name, i = ...
      for _ = 1, 100 do assert(yield("x", "bad") == false) end
      yield(name .. i, "out", "end") ]], name, i)
  end
  for i = 1, 3 do T.returns({ "end" }, H.take, name .. i) end
  T.returns({ true }, close, pool)
end)

H.test("endpoints of channel yields [20 7.7.2] [20 5.8]", function ()
  local name, pool = H.name(), create(2)
  for _, ends in ipairs { { "in", "out" }, { "out", "in" }, { "any", "in" }, { "any", "any" }, { nil, "out" }, { "in", nil }, { nil, nil } } do
    H.add(pool, "local name, endpoint = ... assert(select(2, yield(name, endpoint, 1)) == 2)", name, ends[1])
    H.reach(pool, "nrps", 1, 0, 0, 1)
    local ch = channel.create(name)
    if ends[1] and ends[1] ~= "any" then T.returns({ false, "empty" }, ch.sync, ch, ends[1], 2) end
    T.returns({ true, 1 }, ch.sync, ch, ends[2], 2)
    T.eq(ch:close(), true)
    H.reach(pool, "n", 0)
  end
  T.returns({ true }, close, pool)
end)

H.test("names exist exactly while somebody waits [20 10.10] [20 7.7.1] [20 5.2]", function ()
  for _, kind in ipairs { "a task", "a coroutine of a task", "a coroutine of a state coroutine", "a coroutine" } do
    T.gc()
    T.eq(next(channel.getnames()), nil)
    local name = H.name()
    local party = kinds[kind](name, "any")
    H.wait(function () return channel.getnames()[name] end, kind)
    local names = channel.getnames()
    T.eq(next(names), name)
    T.eq(next(names, name), nil)
    T.returns({ true }, H.sync, name, nil, "reset")
    T.same(party.finish(), { true, "reset" })
    T.eq(channel.getnames()[name], nil)
  end
end)

T.done()
