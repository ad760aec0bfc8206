-- Which values cross between states, in every direction, and what is said of the others.

local T = require "testing"
local L = require "loop_testing"
local E = require "error_testing"
local H = require "threads_testing"
local channel = require "coutil.channel"
local states = require "coutil.coroutine"
local system = require "coutil.system"
local threads = require "coutil.threads"
local resume = system.resume
local pack, unpack = T.pack, T.unpack
local put = table.insert

-- Each way sends a list to another party and gives back what comes to it and what it sends back.
local ways = {}

-- Arguments of a first resume, and results of the chunk.
function ways.chunk(...)
  local co = assert(states.load "return ...")
  local got = pack(H.resume(co, ...))
  T.eq(states.status(co), "dead")
  T.eq(states.close(co), true)
  return got
end

-- Arguments of a later resume, and values yielded.
function ways.yields(...)
  local co = assert(states.load [[
    local yield = require "coroutine".yield
    local function pass(...) return pass(yield(...)) end
    pass() ]])
  T.returns({ true }, H.resume, co)
  local got = pack(H.resume(co, ...))
  T.same(pack(H.resume(co, ...)), got)
  T.eq(states.status(co), "suspended")
  T.eq(states.close(co), true)
  return got
end

-- Arguments of a task; what it sends on a channel by yielding.
function ways.dostring(...)
  local name, pool = H.name(), assert(threads.create(1))
  T.returns({ true }, threads.dostring, pool, [[
    local yield = require "coroutine".yield
    yield(]] .. ("%q"):format(name) .. [[, "out", ...) ]], nil, nil, ...)
  local got = pack(H.meet(name, "in"))
  T.eq(pool:close(), true)
  return got
end

function ways.dofile(...)
  local name, pool, path = H.name(), assert(threads.create(1)), os.tmpname()
  local file = assert(io.open(path, "w"))
  file:write([[ local yield = require "coroutine".yield
    yield(]] .. ("%q"):format(name) .. [[, "out", ...) ]])
  file:close()
  T.returns({ true }, threads.dofile, pool, path, nil, ...)
  os.remove(path)
  local got = pack(H.meet(name, "in"))
  T.eq(pool:close(), true)
  return got
end

-- What awaitch sends to a task that waits by yielding, and what the task sends back.
ways["a task that yields"] = function (...)
  local name, pool = H.name(), assert(threads.create(1))
  T.returns({ true }, threads.dostring, pool, [[
    local name = ...
    local yield = require "coroutine".yield
    local function back(ok, ...) yield(name .. " back", "out", ...) end
    back(yield(name, "in")) ]], nil, nil, name)
  T.returns({ true }, H.meet, name, "out", ...)
  local got = pack(H.meet(name .. " back", "in"))
  T.eq(pool:close(), true)
  return got
end

-- Between awaitch here and awaitch in a coroutine of a state coroutine.
ways["awaitch of a state"] = function (...)
  local name = H.name()
  local co = H.load [[
    local name = ...
    start(function ()
      local ch = channel.create(name)
      local function back(ok, ...) system.awaitch(ch, "out", ...) end
      back(system.awaitch(ch, "in"))
      ch:close()
    end)
    system.run()
    return "done" ]]
  local done
  T.start(function () done = pack(resume(co, name)) end)
  local ch, got = channel.create(name), nil
  local args = pack(...)
  T.start(function ()
    T.same(pack(system.awaitch(ch, "out", unpack(args, 1, args.n))), { true })
    got = pack(system.awaitch(ch, "in"))
  end)
  L.run()
  T.same(done, { true, "done" })
  T.eq(states.close(co), true)
  T.eq(ch:close(), true)
  return got
end

-- Between sync here and sync there.
ways.sync = function (...)
  local name, args = H.name(), pack(...)
  local co = H.load [[
    local name = ...
    local ch, w = channel.create(name), nil
    w = waiter(system.awaitch, ch, "in")
    while not w.got do system.run "step" end
    local got
    repeat got = pack(ch:sync("out", unpack(w.got, 2, w.got.n))) until got[1]
    ch:close()
    return "done" ]]
  local done
  T.start(function () done = pack(resume(co, name)) end)
  T.returns({ true }, H.sync, name, "out", unpack(args, 1, args.n))
  local got = pack(H.meet(name, "in"))
  L.run()
  T.same(done, { true, "done" })
  T.eq(states.close(co), true)
  return got
end

local many, most = { n = 200 }, { n = 245 }
for i = 1, 200 do if i % 3 > 0 then many[i] = "value " .. i end end
for i = 1, 244, 2 do most[i] = i end

local names = {}
for name in pairs(ways) do put(names, name) end
table.sort(names)

for _, name in ipairs(names) do
  local way = ways[name]
  H.test("values cross: " .. name .. " [20 2.1] [20 2.2] [20 2.3] [00 7.2.1] [20 10.8] [20 4.8]", function ()
    local lists = { pack(), pack(nil), pack(nil, nil), pack(false), pack("a", nil), pack(nil, "a"), H.values, many, most,
      pack(("\0\1\255\n\r"):rep(1229)), pack(T.nan) }
    for _, list in ipairs(lists) do
      T.same(way(unpack(list, 1, list.n)), pack(true, unpack(list, 1, list.n)))
    end
  end)

  H.test_if(T.integers, "no integers", "integers and floats: " .. name .. " [20 2.2] [00 7.2.1] [90 4.2]", function ()
    local f = T.load "return 1, 1.0, 2^53, 1 << 62, math.mininteger, math.maxinteger + 0.0, -0.0, 0"
    local got = way(f())
    T.same(got, pack(true, f()))
    for i, v in ipairs { f() } do T.eq(math.type(got[i + 1]), math.type(v)) end
    T.eq(1 / got[8], -math.huge)
  end)

  local light = debug.upvalueid and debug.upvalueid(function () return way end, 1)
  H.test_if(type(light) == "userdata", "no light userdata", "light userdata: " .. name .. " [20 2.1] [20 2.2] [00 7.2.1]", function ()
    local got = way(light, nil, light)
    T.eq(got.n, 4)
    T.eq(got[2], light)
    T.eq(got[4], light)
  end)

  H.test("a large string: " .. name .. " [20 2.2]", function ()
    local text = L.pattern(T.scale(2 ^ 20, 5000))
    local got = way(text, "end")
    T.eq(got.n, 3)
    L.eqtext(got[2], text)
    T.eq(got[3], "end")
  end)
end

-- What does not cross ---------------------------------------------------------------------------

local function refused(n, type) return "unable to transfer argument #" .. n .. " (got " .. type .. ")" end

H.test("resume: fails, and the state coroutine is as before [20 4.5] [20 2.6] [20 2.5] [00 7.2.2] [00 7.2.3] [20 0.2]", function ()
  local co = assert(states.load "return 'ran', ...")
  for _, one in ipairs(H.refused) do
    for at = 2, 5 do
      local args = { n = at - 1 }
      for i = 1, at - 2 do args[i] = i end
      args[at - 1] = one[2]
      T.returns({ false, refused(at, one[1]) }, T.inside, resume, co, unpack(args, 1, args.n)) -- without yielding
      T.eq(states.status(co), "suspended")
    end
  end
  T.returns({ false, refused(3, "userdata") }, T.inside, resume, co, 1, co, {})
  T.returns(pack(true, "ran", 1, nil), H.resume, co, 1, nil)
  T.eq(states.close(co), true)
end)

H.test("dostring and dofile: fail, and nothing is added [20 7.5.1] [20 2.6] [00 7.2.2] [00 7.2.3]", function ()
  local pool, path = assert(threads.create(0)), os.tmpname()
  for _, one in ipairs(H.refused) do
    for at = 1, 4 do
      local args = { n = at }
      for i = 1, at - 1 do args[i] = i end
      args[at] = one[2]
      T.returns({ false, refused(at + 4, one[1]) }, threads.dostring, pool, "return", "name", "t", unpack(args, 1, at))
      T.returns({ false, refused(at + 3, one[1]) }, threads.dofile, pool, path, "t", unpack(args, 1, at))
    end
  end
  T.returns({ false, refused(6, "userdata") }, threads.dostring, pool, "return", nil, nil, nil, pool, {})
  H.counts(pool, "np", 0, 0)
  T.eq(pool:close(), true)
  os.remove(path)
end)

H.test("a task's yield on a channel: fails, and the task goes on [20 7.7.3] [20 2.6] [20 2.7] [20 10.9] [00 7.2.2]", function ()
  local name, pool = H.name(), assert(threads.create(1))
  local ch = channel.create(name)
  local w = T.waiter(system.awaitch, ch, "in", "kept")
  H.add(pool, [[
    local name = ...
    local list = { {}, print, function () end, io.stdout, coroutine.create(function () end) }
    local results = {}
    for _, value in ipairs(list) do
      for at = 1, 5 do
        local args = {}
        args[at] = value
        local got = pack(yield(name, "out", unpack(args, 1, at)))
        assert(got.n == 2 and got[1] == false, "two results")
        results[#results + 1] = got[2]
      end
    end
    local far = {}
    far[200] = {}
    results[#results + 1] = select(2, yield(name, "out", unpack(far, 1, 200)))
    results[#results + 1] = select(2, yield(name, nil, nil, print, {}))
    yield(name .. " results", "out", unpack(results)) ]], name)
  local got = pack(H.take(name .. " results"))
  T.eq(got.n, 27)
  for i, kind in ipairs { "table", "function", "function", "userdata", "thread" } do
    for at = 1, 5 do T.eq(got[(i - 1) * 5 + at], refused(at + 2, kind)) end
  end
  T.eq(got[26], refused(202, "table"))
  T.eq(got[27], refused(4, "function"))
  T.eq(w.got, nil)
  T.returns({ true, "kept" }, H.meet, name, "out", "good") -- still waits
  T.eq(system.run(), false)
  T.same(w.got, { true, "good" })
  T.eq(pool:close(), true)
  T.eq(ch:close(), true)
end)

H.test("values returned by a state coroutine [20 4.9] [20 2.6] [00 7.2.2] [00 7.2.3]", function ()
  local bodies = { { "{}", "table" }, { "require", "function" }, { "function () end", "function" },
    { "require('io').stdout", "userdata" }, { "require('coroutine').create(function () end)", "thread" } }
  for _, body in ipairs(bodies) do
    for at = 1, 4 do
      local list = {}
      for i = 1, at - 1 do list[i] = tostring(i) end
      list[at] = body[1]
      list[at + 1] = "{}"
      local co = assert(states.load("return " .. table.concat(list, ",")))
      T.returns({ false, "unable to transfer return value #" .. at .. " (got " .. body[2] .. ")" }, H.resume, co)
      T.eq(states.status(co), "dead")
      T.returns({ true }, states.close, co)
    end
  end
end)

H.test("values yielded by a state coroutine: it stays suspended [20 4.9] [20 2.6] [00 7.2.3]", function ()
  local co = H.load [[
    local got = pack(yield(1, nil, {}, print))
    return got.n, unpack(got, 1, got.n) ]]
  T.returns({ false, "unable to transfer return value #3 (got table)" }, H.resume, co)
  T.eq(states.status(co), "suspended")
  T.returns({ true, 2, "a", "b" }, H.resume, co, "a", "b")
  T.eq(states.status(co), "dead")
  T.returns({ true }, states.close, co)
end)

H.test("errors of a state coroutine [20 4.9] [20 3.3] [20 2.4] [00 7.2.2] [20 10.9]", function ()
  local bodies = { { "{}", "table" }, { "require", "function" }, { "require('io').stdout", "userdata" },
    { "require('coroutine').create(function () end)", "thread" } }
  for _, body in ipairs(bodies) do
    local co = assert(states.load("require '_G' error(" .. body[1] .. ")"))
    local text = "unable to transfer error (got " .. body[2] .. ")"
    T.returns({ false, text }, H.resume, co)
    T.eq(states.status(co), "dead")
    T.returns({ false, text }, states.close, co)
    T.returns({ true }, states.close, co)
  end
  T.reports() -- such an error may be reported as well
end)

H.test("nothing is checked of what a task returns, or yields not as a channel [20 2.9] [20 7.6.2] [20 7.6.5]", function ()
  local name, pool = H.name(), assert(threads.create(1))
  H.add(pool, [[
    local name = ...
    local n = 0
    for _, value in ipairs { {}, print, true, false, io.stdout, coroutine.create(function () end) } do
      n = n + select("#", yield(value, {}, print, name))
    end
    n = n + select("#", yield(nil, {}, print))
    yield(name, "out", n)
    return {}, print ]], name)
  T.returns({ 0 }, H.take, name)
  T.eq(pool:close(), true)
end)

H.test("tables with metamethods are not asked [20 2.4] [20 2.1]", function ()
  local trap = setmetatable({}, { __index = error, __tostring = error, __name = "MyType", __metatable = false })
  local co = assert(states.load "return ...")
  T.returns({ false, refused(2, "table") }, T.inside, resume, co, trap)
  T.raises(refused(3, "table"), channel.sync, channel.create "x", "in", trap)
  T.eq(E.raised(system.awaitch, channel.create "x", "in", trap), refused(3, "table"))
  T.eq(states.close(co), true)
end)

H.test("far more values than usual are transferred or refused, never lost [20 2.3]", function ()
  local n = T.scale(70000, 1000)
  local co = H.load [[
    local n, how = ...
    local list = {}
    for i = 1, n do list[i] = i end
    if how == "yield" then yield(unpack(list, 1, n)) else return unpack(list, 1, n) end ]]
  for _, how in ipairs { "yield", "return" } do
    local got = pack(H.resume(co, n, how))
    if got[1] == true then
      T.eq(got.n, n + 1)
      T.eq(got[n + 1], n)
    else
      T.eq(got.n, 2)
      T.eq(type(got[2]), "string")
    end
    if states.status(co) == "dead" then break end
    T.eq(H.resume(co), true) -- ends
    states.close(co)
    co = H.load [[
      local n = ...
      local list = {}
      for i = 1, n do list[i] = i end
      return unpack(list, 1, n) ]]
  end
  states.close(co)
end)

T.done()
