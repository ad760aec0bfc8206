-- A child of fork(2) without exec: it may close what it has, and must leave its parent alone (90 §5.3, §5.5).

local T = require "testing"
local F = require "fork_testing"
local H = require "threads_testing"
local L = require "loop_testing"
local M = require "matrix_ends"
local event = require "coutil.event"
local memory = require "coutil.memory"
local mutex = require "coutil.mutex"
local promise = require "coutil.promise"
local channel = require "coutil.channel"
local states = require "coutil.coroutine"
local system = require "coutil.system"
local threads = require "coutil.threads"
local waits = require "matrix_waits"

local full = T.gc_mode == "full"
-- Under valgrind the memory of a child is looked at too, as it ends.
local slow = not T.full_speed

local function test(title, f) T.test_if(F.name, "no fork in this interpreter", title, f) end

-- A parent that was disturbed waits for ever.
if F.name then F.alarm(300) end

local foreign = "loop of another process"

-- The ways in which a child leaves. A program that embeds Lua decides itself about that.
local leaves = { at_once = false }
if F.name and F.name ~= "host" then
  leaves.exit = function () os.exit(0) end
  if T.version ~= "5.1" then leaves.close = function () os.exit(0, true) end end
end

-- All waits are pending when the child is made; then the parent ends them, and gets what it is to get.
local function everything(child, leave, passes)
  local list = {}
  for i, wait in ipairs(waits) do list[i] = wait.make() end
  for i, wait in ipairs(list) do list[i] = M.begin(function () return wait end, function () end) end
  for _ = 1, passes do system.run "ready" end
  local ended = F.child(function () child(list) end, leave)
  for _, w in ipairs(list) do M.trigger(w) end
  L.run()
  for i, w in ipairs(list) do
    T.eq(w.got ~= nil, true, waits[i].name)
    w.wait.check(w.got)
    M.finish(w)
  end
  T.eq(ended, true, "the child")
end

for name, leave in pairs(leaves) do
  for passes = 0, (full or slow) and 0 or 2 do
    test(("a child with everything pending leaves, %s, after %d passes [90 5.3]"):format(name, passes), function ()
      everything(function () end, leave, passes)
    end)
    test(("a child closes everything, and leaves, %s, after %d passes [90 5.3]"):format(name, passes), function ()
      everything(function (list)
        for _, w in ipairs(list) do
          if w.wait.object then pcall(w.wait.object.close, w.wait.object, "~") end
          if T.has_close then coroutine.close(w.co) end
          w.wait, w.co = nil, nil
        end
        T.gc()
      end, leave, passes)
    end)
    test(("a child resumes everything, and leaves, %s, after %d passes [90 5.3] [00 1.3.1]"):format(name, passes), function ()
      everything(function (list)
        for _, w in ipairs(list) do
          local had = w.got
          if not had then coroutine.resume(w.co, "explicit") end
          if not had and not w.wait.stubborn then T.same(w.got, { "explicit" }) end
        end
        T.gc()
      end, leave, passes)
    end)
    test(("a child triggers everything that does not need the loop, and leaves, %s, after %d passes [90 5.3]"):format(name, passes), function ()
      everything(function (list)
        for _, w in ipairs(list) do
          if w.wait.now then
            M.trigger(w)
            w.wait.check(w.got)
          end
        end
      end, leave, passes)
    end)
  end

  test("a child that begins all waits is told, or they work; it leaves, " .. name .. " [90 5.5]", function ()
    everything(function ()
      local told = 0
      for i, wait in ipairs(waits) do
        -- To make some, the loop is run.
        local made, w = pcall(wait.make)
        if made and w.now then
          local waiter = T.waiter(w.await)
          w.trigger()
          w.check(waiter.got)
        elseif made then
          local co = T.create(w.await)
          local ok, text = coroutine.resume(co)
          T.eq(ok, false, waits[i].name)
          T.eq(tostring(text):find(foreign, 1, true) ~= nil, true, waits[i].name .. ": " .. tostring(text))
          told = told + 1
        else
          T.eq(tostring(w):find(foreign, 1, true) ~= nil, true, waits[i].name .. ": " .. tostring(w))
          told = told + 1
        end
      end
      T.eq(told > 10, true)
      for _, mode in ipairs { "loop", "step", "ready" } do T.raises(foreign, system.run, mode) end
    end, leave, 1)
  end)

  test("what a child can do without the loop; it leaves, " .. name .. " [90 5.3]", function ()
    everything(function ()
      T.eq(system.fileinfo("/", "~?"), "directory")
      local file = assert(system.openfile("/dev/zero", "r~"))
      T.eq(file:read(memory.create(4), 1, -1, nil, "~"), 4)
      T.eq(file:close "~", true)
      T.eq(system.suspend(.001, "~"), true)
      local w = T.waiter(event.await, "of the child")
      event.emitall("of the child", 1)
      T.same(w.got, { "of the child", 1 })
      local p, fulfill = promise.create()
      fulfill(1)
      T.eq(p(), 1)
      T.start(function () mutex.lock "of the child" mutex.unlock "of the child" end)
      T.eq(system.getenv "HOME", os.getenv "HOME")
      T.eq(type(system.procinfo "#"), "number")
      local co = assert(states.load "return 1")
      T.eq(co:close(), true)
      -- Its own threads.
      local pool, ch = assert(threads.create(1)), channel.create "of the child"
      assert(pool:dostring "require 'coroutine'.yield('of the child', 'out', 1)")
      T.eq(H.wait(function ()
        local ok, one = ch:sync "in"
        return ok and one
      end), 1)
      T.eq(pool:close(), true)
    end, leave, 1)
  end)
end

test("a child that is made in a coroutine of the loop [90 5.3] [90 5.5]", function ()
  local ended, later = nil, 0
  T.start(function ()
    system.suspend()
    ended = F.child(function ()
      -- The loop is left by an error, which is for who runs it; here nothing can wait for it any more.
      T.raises(foreign, function () T.inside(function () system.suspend() end) end)
      T.raises("already running", system.run)
    end)
    system.suspend(.001)
    later = later + 1
  end)
  T.start(function () system.suspend(.002); later = later + 1 end)
  L.run()
  T.eq(ended, true)
  T.eq(later, 2)
end)

test("the loop of a child that is made in it raises an error [90 5.5]", function ()
  local pid, how
  local co = T.start(function ()
    system.suspend()
    io.stdout:flush()
    io.stderr:flush()
    pid = F.fork()
    if pid == 0 then F.alarm(60) end
  end)
  local other = T.start(function () system.suspend(); system.suspend(.001) end)
  local ok, text = pcall(system.run)
  if pid == 0 then F.exit(not ok and tostring(text):find(foreign, 1, true) and 0 or 1) end
  T.eq(ok, true, text)
  how = F.wait(pid)
  T.eq(how, true, "the child")
  T.eq(coroutine.status(co), "dead")
  T.eq(coroutine.status(other), "dead")
end)

test("a child with pools and state coroutines that run waits for none [90 5.3]", function ()
  for _, leave in pairs(leaves) do
    local flag, held = H.flag()
    local pool, other = assert(threads.create(2)), assert(threads.create(1))
    local name = H.name()
    local text = H.prelude .. "local flag, name = ... local mine = channel.create(name) repeat for _ = 1, 1000000 do end until not flagged(flag)"
    assert(pool:dostring(text, nil, nil, flag, name .. " task"))
    assert(pool:dostring "require 'coroutine'.yield('nobody comes', 'in')")
    local co = assert(states.load(text))
    local w = T.waiter(system.resume, co, flag, name .. " state")
    local names = channel.getnames
    H.wait(function () return names()[name .. " task"] and names()[name .. " state"] and names()["nobody comes"] end)
    H.wait(function () return pool:count "s" == 1 end)
    local child = F.child(function ()
      T.eq(other:close(), true)
      if not leave then T.eq(pool:close(), true) end
    end, leave or nil)
    held:close()
    L.run()
    T.same(w.got, { true })
    H.sync("nobody comes", "out")
    T.eq(pool:close() and other:close(), true)
    T.eq(child, true)
  end
end)

-- When a child is made one of the threads often has the lock of the channels, which nobody gives back in the child.
test("many children, while threads use channels [90 5.3]", function ()
  local flag, held = H.flag()
  local pool = assert(threads.create(2))
  for _ = 1, 2 do
    assert(pool:dostring(H.prelude .. [[
      local flag = ...
      while flagged(flag) do
        for i = 1, 100 do
          local ch = channel.create("of threads " .. i)
          ch:sync "in"
          ch:close()
        end
      end]], nil, nil, flag))
  end
  local kept, name = channel.create "kept", H.name()
  local ways = {
    function () kept = nil T.gc() end,
    function () T.raises("closed channel", kept.sync, kept) T.eq(kept:close(), false) end,
    function (w) coroutine.resume(w.co, "explicit") T.same(w.got, { "explicit" }) end,
    function (w) if T.has_close then T.eq(coroutine.close(w.co), true) end end,
    function ()
      local ch = channel.create "kept"
      T.eq(channel.getnames()[name], nil)
      T.eq(channel.getnames().kept, true)
      T.returns({ false, "empty" }, ch.sync, ch, "in")
      T.eq(ch:close(), true)
    end,
    function () end,
  }
  local awaited = channel.create(name)
  local w = T.waiter(system.awaitch, awaited, "in")
  local ended = true
  for i = 1, T.scale(120, 12) do
    local leave = i % 4 == 0 and leaves.close or nil
    ended = ended and F.child(function () ways[i % #ways + 1](w) end, leave)
  end
  held:close()
  T.eq(kept:getname(), "kept")
  T.eq(w.got, nil)
  H.sync(name, "out", 1)
  L.run()
  T.same(w.got, { true, 1 })
  T.eq(pool:close(), true)
  T.eq(ended, true, "the children")
end)

-- So it is with what wakes the loop.
test("many children, while threads make calls [90 5.3]", function ()
  local running, count = true, 0
  for _ = 1, 4 do
    T.start(function ()
      while running do
        if system.fileinfo("/", "?") == "directory" then count = count + 1 end
      end
    end)
  end
  for _ = 1, 3 do
    local co = assert(states.load "local yield = require 'coroutine'.yield while true do yield() end")
    T.start(function () while running do system.resume(co) end end)
  end
  for i = 1, T.scale(200, 5) do
    system.run "step"
    T.eq(F.child(function ()
      if i % 3 == 0 then T.gc() end
      T.eq(system.fileinfo("/", "~?"), "directory")
    end, i % 2 == 0 and (leaves.close or leaves.exit) or nil), true)
  end
  running = false
  L.run()
  T.eq(count > 0, true)
end)

if F.name then F.alarm(0) end
T.done()
