-- Channels: closing, collection, and the end of the states that hold them.

local T = require "testing"
local L = require "loop_testing"
local H = require "threads_testing"
local channel = require "coutil.channel"
local states = require "coutil.coroutine"
local system = require "coutil.system"
local threads = require "coutil.threads"
local create, getnames, sync, close = channel.create, channel.getnames, channel.sync, channel.close
local awaitch, run = system.awaitch, system.run
local pack = T.pack

local function nobody(name) T.eq(getnames()[name], nil, name) end

-- close -----------------------------------------------------------------------------------------

H.test("close gives true once, then false [20 5.1] [20 5.3] [00 3.3]", function ()
  local a, b = create "x", create "x"
  T.returns({ true }, close, a)
  for _ = 1, 3 do T.returns({ false }, close, a) end
  T.returns({ false }, a.close, a)
  T.raises("closed channel", channel.getname, a)
  T.raises("closed channel", sync, a)
  T.eq(L.fails(awaitch, a):find("closed channel", 1, true) ~= nil, true)
  T.eq(type(tostring(a)), "string")
  if T.number >= 5.3 then T.eq(tostring(a):find("coutil:channel: ", 1, true), 1) end
  T.returns({ "x" }, channel.getname, b)
  T.returns({ true }, close, b)
end)

H.test("a channel in use is not closed, and the wait goes on [20 5.2] [20 5.9]", function ()
  local a, b = create "x", create "x"
  local w = T.waiter(awaitch, a, "in")
  H.argument(1, "in use", "coutil.channel", "close", a)
  H.method(0, "in use", a, "close")
  T.eq(run("ready"), true)
  T.raises("in use", close, a)
  T.returns({ "x" }, channel.getname, a)
  T.returns({ true }, sync, b, "out", "value")
  T.raises("in use", close, a) -- until run has processed the match
  T.eq(run(), false)
  T.same(w.got, { true, "value" })
  T.returns({ true }, close, a)
  T.returns({ true }, close, b)
end)

H.test("closing another object of the name disturbs nobody [20 5.4] [20 5.9]", function ()
  local a, b, c = create "x", create "x", create "x"
  local w = T.waiter(awaitch, a, "in")
  T.returns({ true }, close, b)
  T.eq(getnames().x, true)
  T.returns({ true }, sync, c, "out", 1)
  T.returns({ true }, close, c)
  T.eq(run(), false)
  T.same(w.got, { true, 1 })
  T.returns({ true }, close, a)
  nobody "x"
end)

H.test("a coroutine may close its channel as soon as it is resumed [20 5.9] [20 5.13]", function ()
  local got = {}
  local a, b = create "x", create "x"
  T.start(function ()
    awaitch(a, "in")
    got[1] = pack(close(a))
  end)
  local co = T.start(function ()
    awaitch(b, "in")
    got[2] = pack(close(b))
  end)
  T.resume(co)
  T.same(got[2], { true })
  local c = create "x"
  T.returns({ true }, sync, c, "out")
  T.returns({ false, "empty" }, sync, c, "out")
  T.eq(run(), false)
  T.same(got[1], { true })
  T.returns({ true }, close, c)
end)

-- __close and __gc ------------------------------------------------------------------------------

H.test("__gc closes, and never raises [20 5.5] [20 0.5] [00 6.4.2]", function ()
  local a = create "x"
  local gc = getmetatable(a).__gc
  gc(a)
  nobody "x"
  T.raises("closed channel", sync, a)
  gc(a)
  T.returns({ false }, close, a)
  gc(a)
end)

H.test_if(T.has_tbc, "no to-be-closed variables", "__close closes, and never raises [20 5.5] [00 6.4.1] [00 6.4.2]", function ()
  local scope = T.load [[
    local create, close, getnames, early = ...
    local kept
    do
      local ch <close> = create "x"
      kept = ch
      assert(getnames().x)
      if early then assert(close(ch)) end
    end
    return kept ]]
  for _, early in ipairs { false, true } do
    local ch = scope(create, close, getnames, early)
    nobody "x"
    T.returns({ false }, close, ch)
  end
  T.raises("error inside", T.load [[
    local create = ...
    local ch <close> = create "x"
    error "error inside" ]], create)
  nobody "x"
end)

H.test_if(T.has_tbc, "no to-be-closed variables",
  "__close of a channel in use: the wait is over and nobody is resumed [20 5.5] [00 6.4.3]", function ()
  local a, b = create "x", create "x"
  local w = T.waiter(awaitch, a, "in")
  local other = T.waiter(awaitch, b, "in")
  T.load("local ch <close> = ...")(a)
  T.eq(getnames().x, true)
  local c = create "x"
  T.returns({ true }, sync, c, "out", "for the other")
  T.returns({ false, "empty" }, sync, c, "out", "lost")
  T.eq(run(), false)
  T.eq(w.got, nil)
  T.same(other.got, { true, "for the other" })
  T.eq(coroutine.status(w.co), "suspended")
  T.raises("closed channel", sync, a)
  T.resume(w.co, "explicit", nil)
  T.same(w.got, pack("explicit", nil))
  T.eq(run(), false)
  T.returns({ true }, close, b)
  T.returns({ true }, close, c)
end)

H.test_if(T.has_close, "no coroutine.close", "closing the coroutine ends its wait [00 1.7.1] [90 1.3]", function ()
  local a, b = create "x", create "x"
  local w = T.waiter(awaitch, a, "in")
  T.eq(coroutine.close(w.co), true)
  T.eq(run(), false)
  T.returns({ false, "empty" }, sync, b, "out")
  T.returns({ true }, close, a)
  T.returns({ true }, close, b)
end)

-- The end of a state ----------------------------------------------------------------------------

H.test("the channels of a state end with it [20 5.3] [20 1.14.1]", function ()
  local name = H.name()
  local co = H.load [[
    local name = ...
    kept = channel.create(name)
    yield()
    return "end" ]]
  T.returns({ true }, H.resume, co, name)
  T.eq(getnames()[name], true)
  T.returns({ true, "end" }, H.resume, co)
  T.eq(getnames()[name], true) -- the state is there until it is closed
  T.returns({ true }, states.close, co)
  nobody(name)
end)

H.test("who waits in a state that ends leaves the queue [20 1.14.2] [20 1.14.1]", function ()
  for _, way in ipairs { "close", "collect", "finish" } do
    local name = H.name()
    local ch = create(name)
    local co = H.load [[
      local name = ...
      start(system.awaitch, channel.create(name), "in")
      start(system.suspend, 1000)
      yield()
      return ]]
    T.returns({ true }, H.resume, co, name)
    if way == "finish" then T.returns({ true }, H.resume, co) end
    if way == "collect" then
      co = nil
      T.scrub()
      T.gc()
    else
      T.returns({ true }, states.close, co)
    end
    T.returns({ false, "empty" }, sync, ch, "out")
    T.returns({ true }, close, ch)
    nobody(name)
  end
end)

H.test("the others keep their order when a state ends [20 1.14.2] [20 5.8]", function ()
  local name = H.name()
  local ch, objects, waiters = create(name), {}, {}
  local cos = {}
  for i = 1, 3 do
    objects[i] = create(name)
    waiters[i] = T.waiter(awaitch, objects[i], "in", i)
    cos[i] = H.load [[ start(system.awaitch, channel.create((...)), "in", "gone") yield() ]]
    T.eq(run("ready"), true)
    local got
    T.start(function () got = pack(system.resume(cos[i], name)) end)
    H.wait(function () run("ready") return got end)
    T.same(got, { true })
  end
  for i = 1, 3 do T.returns({ true }, states.close, cos[i]) end
  for i = 1, 3 do T.returns({ true, i }, sync, ch, "out") end
  T.returns({ false, "empty" }, sync, ch, "out")
  T.eq(run(), false)
  for i = 1, 3 do T.returns({ true }, close, objects[i]) end
  T.returns({ true }, close, ch)
end)

H.test("matched, and the state ends before its loop saw it [20 1.14.3]", function ()
  for _, way in ipairs { "close", "collect" } do
    local name = H.name()
    local ch = create(name)
    local co = H.load [[
      start(system.awaitch, channel.create((...)), "in", "from the state")
      yield() ]]
    T.returns({ true }, H.resume, co, name)
    T.returns({ true, "from the state" }, sync, ch, "out", ("lost"):rep(1000), nil)
    if way == "close" then
      T.returns({ true }, states.close, co)
    else
      co = nil
      T.scrub()
      T.gc()
    end
    T.returns({ false, "empty" }, sync, ch, "out")
    T.returns({ true }, close, ch)
  end
end)

H.test("a task that ends leaves nobody in a queue [20 10.13] [20 7.6.4] [20 1.14.2]", function ()
  local name = H.name()
  local ch, pool = create(name), assert(threads.create(1))
  H.add(pool, [[ start(system.awaitch, channel.create((...)), "in") ]], name)
  T.returns({ true }, threads.close, pool)
  T.returns({ false, "empty" }, sync, ch, "out")
  T.returns({ true }, close, ch)
end)

H.test("a task that ends although its coroutine has been matched [20 1.14.3]", function ()
  local name, pool = H.name(), assert(threads.create(1))
  H.add(pool, [[
    local name = ...
    start(system.awaitch, channel.create(name), "in")
    local ch = channel.create(name)
    assert(ch:sync("out", "lost") == true)
    yield(name .. " done", "out", "matched") ]], name)
  T.returns({ "matched" }, H.take, name .. " done")
  T.returns({ true }, threads.close, pool)
end)

-- In interpreters of their own ------------------------------------------------------------------

T.test_child("the main state ends while coroutines wait, or were matched [20 1.14.1] [20 1.14.3] [20 10.13] [00 1.6.5]", function ()
  for _, ending in ipairs { "", "os.exit(0, true)", "os.exit(0)" } do
    local out, status = H.child([[
      local channel, system = require "coutil.channel", require "coutil.system"
      local function start(f, ...) coroutine.wrap(function (...) f(...) error "resumed" end)(...) end
      start(system.awaitch, channel.create "a", "in", "value")
      start(system.awaitch, channel.create "b", "in", "value")
      start(system.awaitch, channel.create "c", "any")
      start(system.suspend, 1000)
      assert(channel.create "b":sync("out", "lost") == true)
      assert(system.run "ready" == true)
      start(system.awaitch, channel.create "d", "in")
      assert(channel.create "d":sync("out", "lost") == true)
      io.write("END") io.stdout:flush()
      ]] .. ending)
    -- The second coroutine was resumed by run, and its error reported.
    T.eq(out:find("END", 1, true) ~= nil, true)
    local _, errors = out:gsub("coutil: [^\n]*resumed", "")
    T.eq(errors, 1)
    T.eq(status, 0)
  end
end)

T.done()
