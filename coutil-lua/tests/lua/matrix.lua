-- Every await function, ended in every way: no result is given to somebody else, nothing is lost, nothing is left behind.
-- The waits are those of `matrix_waits.lua`.

local T = require "testing"
local L = require "loop_testing"
local event = require "coutil.event"
local states = require "coutil.coroutine"
local system = require "coutil.system"
local waits = require "matrix_waits"
local M = require "matrix_ends"
local run, suspend = system.run, system.suspend
local pack = T.pack

local begin, trigger, resume, finish, close = M.begin, M.trigger, M.resume, M.finish, M.close

-- Ways in which a wait ends. `way(make, watch)` begins one at least.
local ways = {
  { "it happens [00 1.3.1]", function (make, watch)
    local w = begin(make, watch)
    trigger(w)
    L.run()
    T.eq(coroutine.status(w.co), "dead")
    w.wait.check(w.got)
    finish(w)
  end },

  { "resumed before, outside of the loop [00 1.3.1] [00 1.3.4]", function (make, watch)
    local w = begin(make, watch)
    resume(w)
    trigger(w)
    finish(w)
  end },

  { "resumed after it was triggered, outside of the loop", function (make, watch)
    local w = begin(make, watch)
    trigger(w)
    if not w.got then
      resume(w)
    end
    finish(w)
  end },

  { "resumed by a coroutine of the loop, in the pass that may deliver it", function (make, watch)
    local w = begin(make, watch)
    watch(T.start(function ()
      suspend()
      if not w.got then resume(w) end
      trigger(w)
    end))
    if not w.wait.now then trigger(w) end
    finish(w)
  end },

  { "resumed when it waits for something else already [00 1.3.6]", function (make, watch)
    local wait, key, got = make(), {}, nil
    local co = watch(T.start(function ()
      local first = pack(wait.await())
      wait.check(first)
      got = pack(event.await(key))
    end))
    if wait.trigger then wait.trigger() end
    L.run()
    T.eq(event.pending(key), true)
    T.resume(co, "explicit")
    T.same(got, { "explicit" })
    T.eq(event.pending(key), false)
    if wait.done then wait.done() end
    L.run()
  end },

  { "cancelled, and waiting for an event at once: it is resumed by that alone [00 1.3.4]", function (make, watch)
    local wait, key, first, second = make(), {}, nil, nil
    if wait.stubborn then return wait.trigger() end
    local co = watch(T.start(function ()
      first = pack(wait.await())
      second = pack(event.await(key))
    end))
    T.resume(co, key)
    T.same(first, { key })
    if wait.trigger then wait.trigger() end
    L.run()
    T.eq(second, nil)
    event.emitall(key, 1)
    T.same(second, { key, 1 })
    if wait.leftover then wait.leftover() end
    if wait.done then wait.done() end
    L.run()
  end },

  { "cancelled, and the same kind of wait at once", function (make, watch)
    local one, two = make(), make()
    if one.stubborn then return one.trigger(), two.trigger() end
    local first, second
    local co = watch(T.start(function ()
      first = pack(one.await())
      second = pack(two.await())
    end))
    T.resume(co, "explicit")
    T.same(first, { "explicit" })
    if one.trigger then one.trigger() end
    if two.trigger then two.trigger() end
    L.run()
    T.eq(coroutine.status(co), "dead")
    two.check(second)
    if one.leftover then one.leftover() end
    for _, wait in ipairs { one, two } do if wait.done then wait.done() end end
    L.run()
  end },

  { "the same object, waited for once more after it was cancelled", function (make, watch)
    local w = begin(make, watch)
    resume(w)
    if not w.wait.goes_on and not w.wait.stubborn then
      w.resumed = false -- what was left is taken by the second wait
      local again = T.waiter(w.wait.await)
      watch(again.co)
      T.eq(again.got, nil)
      trigger(w)
      L.run()
      w.wait.check(again.got)
    end
    finish(w)
  end },

  { "cancelled by whoever is delivered before it", function (make, watch)
    local one, two = make(), make() -- before anything waits: they run the loop
    local function given(wait) return function () return wait end end
    local a, b = begin(given(one), watch), nil
    local first = watch(T.start(function ()
      suspend()
      trigger(a)
      if not b.got then resume(b) end
      trigger(b)
    end))
    b = begin(given(two), watch)
    L.run()
    T.eq(coroutine.status(first), "dead")
    a.wait.check(a.got)
    for _, w in ipairs { a, b } do finish(w) end
  end },

  { "its coroutine is closed before [00 1.7.1] [00 1.7.2]", function (make, watch)
    local w = begin(make, watch)
    close(w)
    trigger(w)
    L.run()
    T.eq(w.got, nil)
    M.leftover(w)
    finish(w)
  end, T.has_close },

  { "its coroutine is closed when it is triggered", function (make, watch)
    local w = begin(make, watch)
    trigger(w)
    if not w.got then close(w) end
    finish(w)
  end, T.has_close },

  { "its coroutine is closed by a coroutine of the loop", function (make, watch)
    local w = begin(make, watch)
    watch(T.start(function ()
      suspend()
      if not w.got then
        close(w)
        trigger(w)
      end
    end))
    L.run()
    finish(w)
  end, T.has_close },

  { "nobody but the library knows its coroutine [00 1.6.1]", function (make, watch)
    local wait = make()
    T.scope(function () watch(T.start(wait.await)) end)
    T.gc()
    if wait.trigger then wait.trigger() end
    L.run()
    if wait.done then wait.done() end
    L.run()
  end },

  { "nobody knows anything of it any more", function (make, watch)
    local wait = make()
    -- What comes from elsewhere, as a connection or a signal, would keep the loop going.
    if wait.trigger and not wait.now then return wait.done and wait.done() end
    T.scope(function () watch(T.start(wait.await)) end)
    wait = nil
    T.gc()
    L.run()
    T.gc()
  end, nil, true },

  { "its object is closed [50 5.1.2] [20 9.1]", function (make, watch)
    local w = begin(make, watch)
    if not w.wait.object then return trigger(w), finish(w) end
    local ok = pcall(w.wait.object.close, w.wait.object, "~")
    if not ok then trigger(w) end -- a channel or a state coroutine in use cannot be closed
    L.run()
    if w.got and w.got[1] == false then
      T.eq(type(w.got[2]), "string")
    elseif w.got then
      w.wait.check(w.got)
    end
    finish(w)
  end },

  { "its object is closed by a coroutine of the loop, as it is triggered", function (make, watch)
    local w = begin(make, watch)
    if not w.wait.object then return trigger(w), finish(w) end
    watch(T.start(function ()
      suspend()
      pcall(w.wait.object.close, w.wait.object, "~")
    end))
    trigger(w)
    L.run()
    if w.got and w.got[1] ~= false then w.wait.check(w.got) end
    finish(w)
  end },
}

for _, way in ipairs(ways) do
  for _, wait in ipairs(waits) do
    T.test_if(way[3] ~= false, "no coroutine.close", wait.name .. ": " .. way[1], function ()
      local left
      T.eq(L.tidy(function ()
        left = not L.swept(function (watch) way[2](wait.make, watch) end)
      end), true, "descriptors")
      if not way[4] then T.eq(left, false, "something is kept") end
    end)
  end
end

-- All at a time ---------------------------------------------------------------------------------

for round = 1, T.scale(20, 2) do
  T.test("waits of all kinds at a time, ended in any way: round " .. round, function ()
    M.mixture(round, T.scale(120, 20))
  end)
end

-- The end of the state ----------------------------------------------------------------------------

-- Begins all waits in a coroutine each, which nobody keeps; then some passes run.
local pending = [[
  local T, system = require "testing", require "coutil.system"
  local count = 0
  local begun = {}
  for i, wait in ipairs(require "matrix_waits") do begun[i] = wait.make() end
  for i = 1, #begun do
    T.start(function () begun[i].await(); count = count + 1 end)
  end
  for _ = 1, passes do system.run "ready" end
  for i = 1, #begun do if begun[i].trigger and i % 2 == 0 then begun[i].trigger() end end
]]

for passes = 0, 2 do
  for _, ending in ipairs { "", "os.exit(0, true)", "os.exit(0)", "local t = nil; t.x = 1" } do
    T.test_child(("the state ends with all of it pending, after %d passes, by %q"):format(passes, ending), function ()
      local out, status = T.child(("local passes = %d; %s %s"):format(passes, pending, ending))
      if ending:find "nil" then
        T.eq(out:find("attempt to index", 1, true) ~= nil, true, out)
        T.eq(status, 1)
      else
        T.eq(out, "")
        T.eq(status, 0)
      end
    end)
  end

  T.test("a state coroutine is closed with all of it pending, after " .. passes .. " passes [20 4.12]", function ()
    T.eq(L.tidy(function ()
      local co = assert(states.load("require '_G'; for _, name in ipairs { 'string', 'table', 'math', 'io', 'os', 'debug', 'coroutine', 'package' } do _G[name] = require(name) end; " ..
        "local yield = require 'coroutine'.yield; require 'package'.path, require 'package'.cpath = ...; " ..
        "local passes = " .. passes .. "; " .. pending .. " yield 'begun'"))
      local w = T.waiter(system.resume, co, package.path, package.cpath)
      L.run()
      T.same(w.got, { true, "begun" })
      T.eq(co:close(), true)
    end), true)
  end)
end

T.done()
