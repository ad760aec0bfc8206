-- The loop together with generators, emitters, metamethods and protected calls.

local T = require "testing"
local L = require "loop_testing"
local event = require "coutil.event"
local memory = require "memory"
local system = require "coutil.system"
local run, suspend = system.run, system.suspend
local put = table.insert

T.test("plain generators inside coroutines of the loop [00 1.1.2] [20 8.12]", function ()
  local log = {}
  T.start(function ()
    for i in coroutine.wrap(function () for i = 1, 3 do coroutine.yield(i) end end) do
      put(log, i)
      suspend()
    end
    put(log, "end")
  end)
  T.eq(run(), false)
  T.same(log, { 1, 2, 3, "end" })
  local inner
  T.start(function () -- only the innermost waits
    inner = coroutine.create(function () suspend(); put(log, "inner") end)
    T.same(T.pack(coroutine.resume(inner)), { true })
    put(log, coroutine.status(inner))
  end)
  T.eq(run(), false)
  T.same(log, { 1, 2, 3, "end", "suspended", "inner" })
end)

T.test("an emitter inside the loop, a close inside an emitter [00 1.2.1] [50 5.1.2]", function ()
  local passive, log, e = L.listener(), {}, {}
  T.start(function () put(log, (select(2, passive:accept()))); event.emitall(e, "by the close") end)
  T.start(function () put(log, (select(2, event.await(e)))); suspend(); put(log, "end") end)
  T.start(function () suspend(); passive:close(); put(log, "closed by the loop") end)
  T.eq(run(), false)
  T.same(log, { "closed", "by the close", "closed by the loop", "end" })
end)

T.test_if(T.yield_across_pcall, "no yield across pcall", "awaits under pcall [00 1.1.3]", function ()
  local a, b = L.pair()
  local m, r = memory.create(4), {}
  T.start(function ()
    r[1] = T.pack(pcall(suspend))
    r[2] = T.pack(pcall(suspend, .001))
    r[3] = T.pack(pcall(b.read, b, m))
    r[4] = T.pack(pcall(a.write, a, "y"))
    r[5] = T.pack(pcall(function () b:read(m); error("after", 0) end))
    r[6] = T.pack(pcall(a.shutdown, a))
  end)
  L.send(a, "x")
  T.eq(run(), false)
  for i, want in ipairs { { true, true }, { true, true }, { true, 1 }, { true, true }, { false, "after" }, { true, true } } do
    T.same(r[i], want, "call " .. i)
  end
  a:close()
  b:close()
end)

T.test_if(T.yield_across_pcall, "no yield across metamethods", "awaits in metamethods and iterators [00 1.1.3]", function ()
  local a, b = L.pair()
  local log = {}
  local lazy = setmetatable({}, { __index = function (_, key) suspend(); return key .. "!" end,
    __call = function (_, n) suspend(.001); return n end, __concat = function () return L.take(b, 2) end })
  T.start(function ()
    put(log, lazy.x)
    put(log, lazy(5))
    put(log, lazy .. "")
    for text in function () return L.take(b, 2) or nil end do put(log, text) end
  end)
  T.start(function () assert(a:write("abcdef")); assert(a:shutdown()) end)
  T.eq(run(), false)
  T.same(log, { "x!", 5, "ab", "cd", "ef" })
  a:close()
  b:close()
end)

T.test_if(T.number >= 5.5, "a coroutine cannot close itself", "a coroutine that closes itself [20 8.12]", function ()
  local after
  local co = T.start(function () suspend(); coroutine.close(); after = true end)
  local other = T.waiter(suspend)
  T.eq(run(), false)
  T.eq(coroutine.status(co), "dead")
  T.eq(after, nil)
  T.same(other.got, { true })
end)

T.test_child("after an error in run's caller the loop is usable [90 2.5]", function ()
  local out, status = T.child [[
    local system = require "coutil.system"
    system.onerror("raise")
    for i = 1, 3 do
      coroutine.wrap(function () system.suspend(); error("e" .. i, 0) end)()
    end
    for _ = 1, 4 do print(pcall(system.run)) end
    coroutine.wrap(function () system.suspend(.001); io.write("end") end)()
    system.run() ]]
  T.eq(out, "false\te3\nfalse\te2\nfalse\te1\ntrue\tfalse\nend")
  T.eq(status, 0)
end)

T.done()
