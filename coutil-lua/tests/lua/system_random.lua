-- system.random: bytes from the system, into a part of a memory.

local T = require "testing"
local L = require "loop_testing"
local F = require "file_testing"
local M = require "memory_testing"
local memory = require "memory"
local system = require "coutil.system"
local random, run, suspend = system.random, system.run, system.suspend
local pack, gives = T.pack, F.gives

local function zeros(n) return ("\0"):rep(n) end

F.test("all bytes are random by default, and the buffer is returned [30 R1] [30 R4]", function (call, t)
  local m, seen = memory.create(32), {}
  for _ = 1, 20 do
    local got = pack(call(random, m, nil, nil, t))
    T.eq(got.n, 1)
    T.eq(rawequal(got[1], m), true)
    T.eq(#m, 32)
    T.eq(seen[m:tostring()], nil)
    seen[m:tostring()] = true
  end
  if T.full_speed then
    local large = M.resizable(zeros(65536))
    T.eq(rawequal(call(random, large, 1, -1, t), large), true)
    local counts = {}
    for i = 1, 65536 do
      local byte = large:get(i)
      counts[byte] = (counts[byte] or 0) + 1
    end
    for byte = 0, 255 do T.eq((counts[byte] or 0) > 100 and counts[byte] < 500, true, "byte " .. byte) end
  end
  if t == "" then T.eq(rawequal(L.await(random, m), m), true) end
end)

F.test("more bytes than the system gives at a time [30 R1] [30 R9]", function (call, t)
  local n = T.full_speed and 40000000 or 100000
  local m = memory.create(n)
  T.eq(rawequal(call(random, m, 1, -1, t), m), true)
  for _, from in ipairs { 1, 257, 33554400, n - 50 } do -- no 32 zeros in a row
    if from + 31 <= n then T.eq(m:tostring(from, from + 31) ~= zeros(32), true, tostring(from)) end
  end
end)

local huge = T.integers and math.maxinteger or 2 ^ 53
local ranges = { pack(), pack(nil, nil), pack(1, 10), pack(3), pack(3, 5), pack(0), pack(0, 0), pack(-3), pack(-3, -2), pack(nil, 4), pack(nil, -4),
  pack(-100, 2), pack(1, 100), pack(5, 4), pack(11), pack(11, 20), pack(10, 11), pack(1, 0), pack(1, -11), pack(-10, -10), pack(-11, -10),
  pack(-100, -100), pack(-huge, huge), pack(huge, huge), pack(-huge, -huge), pack(huge, -huge), pack("2", "3"), pack(4.0, 6.0), pack(-1, -1) }
if T.integers then ranges[#ranges + 1] = pack(math.mininteger, math.maxinteger) end

-- The first and the last byte, as the rule has it.
local function region(n, i, j)
  i, j = tonumber(i or 1), tonumber(j or -1)
  if i == 0 or i < -n then i = 1 elseif i < 0 then i = n + 1 + i end
  if j > n then j = n elseif j < -n then j = 0 elseif j < 0 then j = n + 1 + j end
  return i, j
end

F.test("the range, and nothing outside of it [30 R2] [30 R3] [30 R4]", function (call, t)
  for _, range in ipairs(ranges) do
    for _, m in ipairs(M.both(zeros(10))) do
      local i, j = region(10, range[1], range[2])
      local changed = {}
      for _ = 1, 12 do -- a byte stays zero all the time with a probability of 2^-96
        gives({ m }, call(random, m, range[1], range[2], t))
        for k = 1, 10 do if m:get(k) ~= 0 then changed[k] = true end end
      end
      for k = 1, 10 do T.eq(changed[k] or false, k >= i and k <= j, tostring(range[1]) .. " " .. tostring(range[2]) .. " " .. k) end
      T.eq(#m, 10)
    end
  end
  for _, m in ipairs { memory.create(0), memory.create "", memory.create() } do
    for _, range in ipairs(ranges) do gives({ m }, call(random, m, range[1], range[2], t)) end
  end
end)

-- Arguments -------------------------------------------------------------------------------------

local function argument(n, text) return "bad argument #" .. n .. " to 'coutil.system.random' (" .. text .. ")" end

T.test("the mode comes first, then yieldable, then the others [30 R6] [30 R5] [30 A9] [00 1.4.4]", function ()
  local m = memory.create(4)
  for _, f in ipairs { L.message, L.fails } do
    T.eq(f(random, {}, {}, {}, {}), argument(4, "string expected, got table"))
    T.eq(f(random, m, 1, -1, true), argument(4, "string expected, got boolean"))
    T.eq(f(random, nil, nil, nil, print), argument(4, "string expected, got function"))
    T.eq(f(random, {}, {}, {}, "~ ~"), "unknown mode char (got ' ')")
    T.eq(f(random, {}, {}, {}, 5), "unknown mode char (got '5')")
    for code = 1, 255, T.full_speed and 1 or 13 do
      local byte = string.char(code)
      if byte ~= "~" then
        T.eq(f(random, {}, {}, {}, byte), "unknown mode char (got '" .. byte .. "')")
        T.eq(f(random, m, 1, -1, "~" .. byte .. "\1"), "unknown mode char (got '" .. byte .. "')")
      end
    end
  end
  for _, args in ipairs { pack(), pack "x", pack({}, {}, {}), pack(m), pack(m, 1.5), pack({}, {}, {}, ""), pack(m, 1, 1, "\0~"), pack(m, 2, 1) } do
    T.eq(L.message(random, T.unpack(args, 1, args.n)), "unable to yield")
  end
  T.eq(run(), false)
  T.eq(m:tostring(), zeros(4))
end)

T.test("types [30 R5] [30 R6] [70 6.4.2]", function ()
  local m = memory.create(4)
  for _, form in ipairs { { L.fails, "" }, { L.fails, nil }, { L.fails, "~" }, { L.message, "~" }, { L.message, "~~\0x" } } do
    local f, mode = form[1], form[2]
    for _, value in ipairs { "x", {}, 5, true, print } do
      T.eq(f(random, value, {}, {}, mode), argument(1, "memory expected, got " .. type(value)))
    end
    T.eq(f(random, nil, {}, {}, mode), argument(1, "memory expected, got nil"))
    T.eq(f(random, m, {}, {}, mode), argument(2, "number expected, got table"))
    T.eq(f(random, m, "x", {}, mode), argument(2, "number expected, got string"))
    T.eq(f(random, m, 1.5, {}, mode), argument(2, "number has no integer representation"))
    T.eq(f(random, m, 1, true, mode), argument(3, "number expected, got boolean"))
    T.eq(f(random, m, nil, T.nan, mode), argument(3, "number has no integer representation"))
    T.eq(f(random, m, 1, 2 ^ 70, mode), argument(3, "number has no integer representation"))
  end
  T.eq(L.fails(random):find("memory expected", 1, true) ~= nil, true)
  T.eq(m:tostring(), zeros(4))
end)

-- Waiting ---------------------------------------------------------------------------------------

T.test("it always yields, nothing, and ends in a run [30 R7] [30 A2]", function ()
  local m = memory.create(16)
  for _, args in ipairs { pack(m), pack(m, 1, -1), pack(m, 1, 0), pack(m, 17), pack(memory.create(0)), pack(memory.create(), 1, 1, "") } do
    local got
    local co = T.create(function () got = pack(random(T.unpack(args, 1, args.n))) end)
    T.returns({ true }, coroutine.resume, co)
    T.eq(coroutine.status(co), "suspended")
    L.run()
    T.same(got, { args[1] })
  end
end)

T.test("others proceed meanwhile [30 R7]", function ()
  local done, passes = 0, 0
  for i = 1, 20 do
    T.start(function ()
      local m = memory.create(1000 * i)
      for _ = 1, 3 do T.eq(rawequal(random(m), m), true) end
      done = done + 1
    end)
  end
  T.start(function () repeat suspend(); passes = passes + 1 until done == 20 end)
  L.run()
  T.eq(done, 20)
  T.eq(passes > 0, true)
end)

T.test("~ works where nobody can yield [30 R4] [00 2.2]", function ()
  local m = memory.create(8)
  string.gsub("x", "x", function () T.returns({ m }, random, m, 1, -1, "~") end)
  T.inside(string.gsub, "x", "x", function () T.returns({ m }, random, m, 1, -1, "~~") end)
  T.returns({ m }, T.inside, random, m, 1, 8, "~")
  T.eq(run(), false)
end)

T.test("an explicit resume gives its values [30 R8] [30 A4] [00 1.3.1]", function ()
  local m = M.resizable(zeros(1000))
  for _, values in ipairs { pack(), pack(nil), pack(1, nil, "x", nil), pack(m) } do
    local w = T.waiter(random, m, 101, 200)
    T.resume(w.co, T.unpack(values, 1, values.n))
    T.same(w.got, values)
    local during = T.waiter(random, m, 101, 200)
    T.start(function () suspend(); T.resume(during.co, T.unpack(values, 1, values.n)) end)
    L.run()
    T.same(during.got, values)
  end
  T.eq(m:tostring(1, 100), zeros(100)) -- outside of the range nothing changed
  T.eq(m:tostring(201), zeros(800))
end)

T.test("a memory that shrinks, grows or is freed meanwhile [30 R8] [90 1.8] [70 6.4.4]", function ()
  for _, size in ipairs { 0, 1, 49, 50, 60, 99, 101, 5000 } do
    local list = {}
    for i = 1, 8 do
      local m = M.resizable(zeros(100))
      list[i] = m
      local w = T.waiter(random, m, 50, 99)
      if i % 2 == 0 then T.resume(w.co) end
      m:resize(size)
      if i % 4 >= 2 then T.start(function () suspend(); m:resize(0); m:resize(size, "\0") end) end
    end
    T.gc()
    L.run()
    for _, m in ipairs(list) do
      T.eq(#m, size)
      T.eq(m:tostring(1, 49), zeros(math.min(size, 49)))
      T.eq(m:tostring(100), zeros(math.max(size - 99, 0)))
    end
  end
end)

T.test("who waits is anchored, and let go when run returns [30 R8] [00 1.6.1]", function ()
  local ended = 0
  T.eq(L.swept(function (watch)
    for i = 1, 10 do
      local co = watch(T.start(function ()
        local m = watch(memory.create(100))
        random(m)
        ended = ended + 1
      end))
      if i % 3 == 0 then T.resume(co) end
    end
    T.gc()
    L.run()
  end), true)
  T.eq(ended, 10)
end)

F.done()
