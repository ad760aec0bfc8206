-- State coroutines: collection, and what is true inside of them.

local T = require "testing"
local L = require "loop_testing"
local H = require "threads_testing"
local channel = require "coutil.channel"
local states = require "coutil.coroutine"
local system = require "coutil.system"
local load, status, close = states.load, states.status, states.close
local resume, run = system.resume, system.run
local pack = T.pack

-- Starts a run that goes on until its channel is closed; returns the waiter and the channel.
local function busy(co)
  local name, ch = H.flag()
  return T.waiter(resume, co, name), ch
end
local endless = [[
  local name, value = ...
  while true do
    while name and flagged(name) do system.suspend(.0005, "~") end
    name, value = yield(name, value)
  end ]]

-- Collection ------------------------------------------------------------------------------------

H.test("unreferenced ones are collected [20 3.4] [00 6.4.4]", function ()
  local name = H.name()
  T.eq(L.swept(function (watch)
    watch(load "return")
    local co = watch(H.load [[ kept = channel.create((...)) yield() ]])
    T.returns({ true }, H.resume, co, name)
    co = watch(load "require '_G' error()")
    H.resume(co)
  end), true)
  T.eq(channel.getnames()[name], nil) -- the state was closed
end)

H.test("a run keeps its state coroutine [20 3.3] [20 8.13] [00 1.6.1]", function ()
  local name, got = H.name(), nil
  local ch = channel.create(name)
  T.start(function () got = pack(resume(H.load [[ block((...)) return "delivered" ]], name)) end)
  T.gc()
  H.release(name)
  T.gc()
  T.eq(run(), false)
  T.same(got, { true, "delivered" })
  T.eq(ch:close(), true)
end)

H.test("an abandoned one is kept until its end is processed [20 3.4] [20 4.10]", function ()
  T.eq(L.swept(function (watch)
    local co = watch(H.load(endless))
    local w, ch = busy(co)
    T.resume(watch(w.co))
    ch:close()
    T.eq(run(), false)
    T.eq(status(co), "suspended")
  end), true)
end)

H.test("__gc closes silently [20 3.1] [00 6.4.2]", function ()
  local co = load "return"
  local gc = getmetatable(co).__gc
  gc(co)
  T.eq(status(co), "dead")
  gc(co)
  T.returns({ true }, close, co)
  co = load "require '_G' error 'x'"
  H.resume(co)
  gc(co)
  T.eq(status(co), "dead")
end)

H.test_if(T.has_tbc, "no to-be-closed variables", "__close closes silently [20 3.1] [20 3.2] [00 6.4.1] [00 6.4.3]", function ()
  local scope = T.load "local co <close> = ..."
  local co = load "return"
  scope(co)
  T.eq(status(co), "dead")
  scope(co)
  T.returns({ false, "cannot resume dead coroutine" }, resume, co)
  -- A running one: the run goes on, and the state is closed after it.
  local name = H.name()
  co = H.load [[ kept = channel.create((...)) block((...)) yield("delivered") ]]
  local w = T.waiter(resume, co, name)
  scope(co)
  T.eq(w.got, nil)
  H.release(name)
  T.eq(run(), false)
  T.same(w.got, { true, "delivered" })
  T.eq(status(co), "dead")
  T.eq(channel.getnames()[name], nil)
  T.returns({ true }, close, co)
end)

-- Inside ----------------------------------------------------------------------------------------

H.test("it has modules and a loop of its own [20 4.15] [20 8.3] [20 1.11] [20 7.1.5]", function ()
  local seen = pack(H.eval [[
    local states, threads = require "coutil.coroutine", require "coutil.threads"
    local none = pack(threads.create())
    local log = {}
    start(function () system.suspend() log[#log + 1] = tostring(system.isrunning()) end)
    local before = system.isrunning()
    local left = system.run()
    local co = assert(states.load "return 'grandchild', ...")
    start(function ()
      log[#log + 1] = table.concat({ select(2, system.resume(co, "x")) }, " ")
    end)
    system.run()
    assert(co:close())
    local pool = assert(threads.create(1))
    assert(pool:dostring("require 'coroutine'.yield('" .. "from a task', 'out', 1)"))
    start(function ()
      local ch = channel.create "from a task"
      log[#log + 1] = tostring(select(2, system.awaitch(ch, "in")))
      ch:close()
    end)
    system.run()
    assert(pool:close())
    return none.n, none[1], before, left, table.concat(log, ",") ]])
  T.same(seen, pack(1, nil, false, false, "true,grandchild x,1"))
end)

H.test("an await function called in the chunk yields out of it [20 4.16] [20 1.10]", function ()
  local co = H.load [[
    local a = pack(system.suspend())
    local ch = channel.create "inside"
    local b = pack(system.awaitch(ch, "in", "x"))
    ch:close()
    return a.n, a[1], b.n, b[1], b[2] ]]
  T.returns({ true }, H.resume, co)
  T.eq(status(co), "suspended")
  T.returns({ true }, H.resume, co, "first")
  T.eq(status(co), "suspended")
  T.returns(pack(true, 1, "first", 2, "second", nil), H.resume, co, "second", nil)
  close(co)
end)

H.test("globals, modules and pending operations stay [20 4.17]", function ()
  local co = H.load [[
    count = 0
    local name = ...
    local ch, w = channel.create(name), nil
    w = waiter(system.awaitch, ch, "in")
    while true do
      count = count + 1
      modules = modules or require "coutil.threads"
      yield(count, modules == require "coutil.threads")
      system.run "ready"
      if w.got then break end
    end
    ch:close()
    return unpack(w.got, 1, w.got.n) ]]
  local name = H.name()
  T.returns({ true, 1, true }, H.resume, co, name)
  T.returns({ true, 2, true }, H.resume, co)
  T.returns({ true }, H.sync, name, "out", "kept")
  T.returns({ true, true, "kept" }, H.resume, co)
  close(co)
end)

T.done()
