-- The module memory: the functions that read and write bytes, but for pack and unpack.

local T = require "testing"
local memory = require "memory"

local maxinteger = math.maxinteger or 2 ^ 53

local M = require "memory_testing"
local raises, returns, resizable, both = M.raises, M.returns, M.resizable, M.both

T.test("diff finds the first byte that differs [70 3.5.1]", function ()
  for _, a in ipairs { "abcd", memory.create("abcd"), resizable("abcd") } do
    assert(memory.diff(a, "abcd") == nil)
    assert(memory.diff(a, "abXd") == 3)
    assert(memory.diff(a, "Xbcd") == 1)
    assert(memory.diff(a, "abcX") == 4)
    assert(memory.diff(a, "ab") == 3)
    assert(memory.diff(a, "abcde") == 5)
    assert(memory.diff(a, "") == 1)
    assert(memory.diff(a, a) == nil)
  end
  assert(memory.diff("", memory.create()) == nil)
  local long = ("x"):rep(1000)
  for _, at in ipairs { 1, 63, 64, 65, 128, 999, 1000 } do
    local other = long:sub(1, at - 1) .. "y" .. long:sub(at + 1)
    assert(memory.diff(memory.create(long), other) == at)
  end
  raises("bad argument #1 to 'memory.diff' (string or memory expected, got nil)",
    memory.diff, nil, {})
  raises("bad argument #2 to 'memory.diff' (string or memory expected, got table)",
    memory.diff, "", {})
  raises("bad argument #1 to 'diff' (string or memory expected, got no value)", function ()
    memory.create(1):diff()
  end)
end)

T.test("diff tells which sorts first [70 3.5.2]", function ()
  for _, case in ipairs {
    { "abcd", "abXd", 3, false }, { "abXd", "abcd", 3, true },
    { "ab", "abc", 3, true }, { "abc", "ab", 3, false },
    { "", "a", 1, true }, { "a", "", 1, false },
    { "a\0", "a\1", 2, true }, { "a", "a\0", 2, true },
  } do
    local a, b, index, less = case[1], case[2], case[3], case[4]
    returns({ index, less }, memory.diff(a, b))
    returns({ index, less }, memory.create(a):diff(b))
    returns({ index, less }, memory.diff(a, resizable(b)))
  end
  assert(select("#", memory.diff("a", "a")) == 2)
  assert(select(2, memory.diff("a", "a")) == false)
end)

T.test("diff compares unsigned bytes [70 3.5.3]", function ()
  returns({ 1, true }, memory.diff("a", "\255"))
  returns({ 1, false }, memory.diff(memory.create("\128"), memory.create("\127")))
end)

T.test("tostring gives a range of any array", function ()
  for _, m in ipairs { "hello", memory.create("hello"), resizable("hello") } do
    assert(memory.tostring(m) == "hello")
    assert(memory.tostring(m, 2, -2) == "ell")
    assert(memory.tostring(m, 4, 2) == "")
  end
  local long = ("0123456789"):rep(20000)
  assert(resizable(long):tostring(11, -11) == long:sub(11, -11))
  assert(memory.create(long):tostring() == long)
  raises("bad argument #1 to 'memory.tostring' (string or memory expected, got nil)",
    memory.tostring, nil)
  raises("bad argument #2 to 'memory.tostring' (number expected, got boolean)",
    memory.tostring, "", true)
  raises("bad argument #2 to 'tostring' (number expected, got table)", function ()
    memory.create(1):tostring(1, {})
  end)
end)

T.test("get wants a memory and a position [70 3.7.1]", function ()
  raises("bad argument #1 to 'memory.get' (memory expected, got string)", memory.get, "abc", 1)
  raises("bad argument #2 to 'memory.get' (number expected, got no value)",
    memory.get, memory.create(1))
  raises("bad argument #1 to 'get' (number expected, got no value)",
    function () memory.create(1):get() end)
  raises("bad argument #1 to 'get' (number expected, got nil)",
    function () memory.create(1):get(nil) end)
  raises("bad argument #3 to 'memory.get' (number expected, got table)",
    memory.get, memory.create(1), 1, {})
end)

T.test("get returns the bytes of a range [70 3.7.2]", function ()
  for _, m in ipairs(both("abcd")) do
    returns({ 97, 98, 99, 100 }, m:get(1, -1))
    returns({ 98, 99 }, m:get(2, 3))
    returns({ 100 }, m:get(4, 9))
    returns({}, m:get(3, 2))
    returns({}, m:get(5, 9))
  end
  returns({}, memory.create():get(1, -1))
end)

T.test("get of one byte [70 3.7.3]", function ()
  for _, m in ipairs(both("abc")) do
    for k = -5, 5 do
      local expected = (k >= 1 and k <= 3 or k <= -1 and k >= -3) and { ("abc"):byte(k) } or {}
      returns(expected, m:get(k))
      returns(expected, m:get(k, nil))
    end
  end
end)

T.test("get of more bytes than the stack holds [70 3.7.4]", function ()
  for _, m in ipairs { memory.create(1100000), resizable(("x"):rep(1100000)) } do
    T.raises("string slice too long", m.get, m, 1, -1)
    assert(m:get(1100000) ~= nil)
  end
  returns({ ("ab"):rep(1500):byte(1, -1) }, memory.create(("ab"):rep(1500)):get(1, -1))
end)

T.test("set wants a position within the memory [70 3.8.1]", function ()
  raises("bad argument #1 to 'memory.set' (memory expected, got string)", memory.set, "abc", 1, 1)
  for _, m in ipairs(both("abc")) do
    raises("bad argument #2 to 'memory.set' (number expected, got no value)", memory.set, m)
    raises("bad argument #2 to 'memory.set' (index out of bounds)", memory.set, m, 4)
    raises("bad argument #1 to 'set' (index out of bounds)", function () m:set(4, 1) end)
    returns({}, m:set(3))
    returns({}, m:set(0, 65))
    assert(m:tostring() == "Abc")
    m:set(-9, 66)
    assert(m:tostring() == "Bbc")
    m:set(-1, 67)
    assert(m:tostring() == "BbC")
  end
  for _, empty in ipairs(both("")) do
    for _, i in ipairs { 1, 0, -1 } do
      raises("bad argument #2 to 'memory.set' (index out of bounds)", memory.set, empty, i)
    end
  end
end)

T.test("set stores as many values as there is room for [70 3.8.2]", function ()
  for _, m in ipairs(both("abcd")) do
    returns({}, m:set(2, 65, "66", 67.0))
    assert(m:tostring() == "aABC")
    m:set(3, 0, 255, "unchecked", {}, -1)
    assert(m:tostring() == "aA\0\255")
  end
end)

T.test("set checks each value it uses [70 3.8.3]", function ()
  for _, m in ipairs(both("abcd")) do
    raises("bad argument #3 to 'memory.set' (number expected, got nil)", memory.set, m, 1, nil)
    raises("bad argument #4 to 'memory.set' (number has no integer representation)",
      memory.set, m, 1, 65, 1.5)
    raises("bad argument #3 to 'set' (value out of range)", function () m:set(2, 66, 256) end)
    raises("bad argument #3 to 'memory.set' (value out of range)", memory.set, m, 1, -1)
    raises("bad argument #3 to 'memory.set' (value out of range)", memory.set, m, 1, maxinteger)
    assert(m:tostring() == "ABcd")
  end
end)

T.test("find looks in a range for a source that is cut to it [70 3.9.1]", function ()
  for _, m in ipairs { "abcabc", memory.create("abcabc"), resizable("abcabc") } do
    for _, s in ipairs { "bc", memory.create("bc"), resizable("bc") } do
      returns({ 2, 3 }, memory.find(m, s))
      returns({ 2, 3 }, memory.find(m, s, 2))
      returns({ 5, 6 }, memory.find(m, s, 3))
      returns({}, memory.find(m, s, 3, 4))
      returns({ 5, 6 }, memory.find(m, s, -2))
      returns({ 3, 3 }, memory.find(m, s, 1, -1, 2))
      -- The range ends within the source.
      returns({ 5, 6 }, memory.find(m, s, 5, 5))
    end
    returns({ 1, 6 }, memory.find(m, m))
  end
end)

T.test("find of nothing, or in nothing [70 3.9.2]", function ()
  for _, m in ipairs { "abc", memory.create("abc"), resizable("abc") } do
    returns({}, memory.find(m, ""))
    returns({}, memory.find(m, memory.create()))
    returns({}, memory.find(m, "a", 4))
    returns({}, memory.find(m, "a", 2, 1))
    returns({}, memory.find(m, "a", 1, -1, 2))
  end
  returns({}, memory.find("", ""))
  returns({}, memory.find(memory.create(), "a"))
end)

T.test("find without success [70 3.9.3]", function ()
  returns({}, memory.find(memory.create("abc"), "d"))
  returns({}, memory.find(memory.create("abc"), "cb"))
  assert((memory.find("abc", "x")) == nil)
  returns({}, memory.find(memory.create(100000), "\0\1"))
end)

T.test("find gives the position, and the end of the uncut source [70 3.9.4]", function ()
  returns({ 1, 6 }, memory.find(memory.create("12345"), "123456"))
  returns({ 1, 6 }, memory.find("12345", "123456"))
  returns({ 3, 6 }, memory.find("12345", "34zz", 3, 4))
  returns({ 3, 5 }, memory.find("12345", "x34z", 3, 4, 2))
  local hay = ("a"):rep(50000) .. "b" .. ("a"):rep(50000)
  returns({ 50000, 50002 }, memory.find(memory.create(hay), "aba"))
  returns({ 50001, 50001 }, memory.find(resizable(hay), "b", 20000))
end)

T.test("find knows no patterns [70 3.9.5]", function ()
  returns({}, memory.find("abc", "."))
  returns({ 2, 3 }, memory.find("a%a", "%a"))
  returns({ 2, 3 }, memory.find("a\0b", "\0b"))
end)

T.test("find checks its arguments in order [70 3.9.6]", function ()
  local bad = {}
  raises("bad argument #1 to 'memory.find' (string or memory expected, got table)",
    memory.find, bad, bad, bad, bad, bad)
  raises("bad argument #2 to 'memory.find' (string or memory expected, got table)",
    memory.find, "", bad, bad, bad, bad)
  raises("bad argument #3 to 'memory.find' (number expected, got table)",
    memory.find, "", "", bad, bad, bad)
  raises("bad argument #4 to 'memory.find' (number expected, got table)",
    memory.find, "", "", 1, bad, bad)
  raises("bad argument #5 to 'memory.find' (number expected, got table)",
    memory.find, "", "", 1, 1, bad)
  raises("bad argument #1 to 'find' (string or memory expected, got no value)",
    function () memory.create(1):find() end)
end)

T.test("fill checks its arguments in another order [70 3.10.1]", function ()
  local bad, m = {}, memory.create("abc")
  raises("bad argument #1 to 'memory.fill' (memory expected, got string)",
    memory.fill, "abc", bad, bad, bad, bad)
  raises("bad argument #3 to 'memory.fill' (number expected, got table)",
    memory.fill, m, bad, bad, bad, bad)
  raises("bad argument #4 to 'memory.fill' (number expected, got table)",
    memory.fill, m, bad, 1, bad, bad)
  raises("bad argument #2 to 'memory.fill' (string or memory expected, got table)",
    memory.fill, m, bad, 1, 1, bad)
  raises("bad argument #5 to 'memory.fill' (number expected, got table)",
    memory.fill, m, "x", 1, 1, bad)
  raises("bad argument #1 to 'fill' (string or memory expected, got no value)",
    function () m:fill() end)
  assert(m:tostring() == "abc")
end)

T.test("fill with a number [70 3.10.2]", function ()
  for _, m in ipairs(both("abcde")) do
    returns({}, m:fill(120))
    assert(m:tostring() == "xxxxx")
    m:fill(0, 2, 3, {})
    assert(m:tostring() == "x\0\0xx")
    m:fill(255.0, -1)
    assert(m:tostring() == "x\0\0x\255")
    m:fill("7", 1, 2)
    assert(m:tostring() == "77\0x\255")
    raises("bad argument #2 to 'memory.fill' (value out of range)", memory.fill, m, 256)
    raises("bad argument #2 to 'memory.fill' (value out of range)", memory.fill, m, -1, 9)
    raises("bad argument #2 to 'memory.fill' (number has no integer representation)",
      memory.fill, m, 1.5, 3, 2)
    raises("bad argument #1 to 'fill' (value out of range)", function () m:fill(maxinteger) end)
  end
end)

T.test("fill with an array, over and over [70 3.10.3]", function ()
  for _, s in ipairs { "xyz", memory.create("xyz"), resizable("xyz") } do
    for _, m in ipairs(both("abcdefgh")) do
      returns({}, m:fill(s, 9))
      returns({}, m:fill(s, 3, 2))
      returns({}, m:fill(s, 1, -1, 4))
      returns({}, m:fill("", 1, -1))
      assert(m:tostring() == "abcdefgh")
      returns({}, m:fill(s, 2, 3))
      assert(m:tostring() == "axydefgh")
      m:fill(s, 4, -1, 2)
      assert(m:tostring() == "axyyzyzy")
      m:fill(s)
      assert(m:tostring() == "xyzxyzxy")
    end
  end
  local m = memory.create(10007)
  m:fill("0123456789")
  assert(m:tostring() == ("0123456789"):rep(1001):sub(1, 10007))
end)

T.test("fill with itself copies piece by piece [70 3.10.4]", function ()
  -- What the definition says, byte by byte.
  local function expected(text, i, j, o)
    local bytes = { text:byte(1, -1) }
    local n = #text - o + 1
    local at = i
    while n > 0 and at <= j do
      local piece = math.min(n, j - at + 1)
      local source = {}
      for k = 1, piece do source[k] = bytes[o + k - 1] end
      for k = 1, piece do bytes[at + k - 1] = source[k] end
      at = at + piece
    end
    for k = 1, #bytes do bytes[k] = string.char(bytes[k]) end
    return table.concat(bytes)
  end
  assert(expected("abcdef", 2, 6, 4) == "adeffe")
  for _, m in ipairs(both("abcdef")) do
    m:fill(m, 2, 6, 4)
    assert(m:tostring() == "adeffe")
  end
  for i = 1, 6 do
    for j = i, 6 do
      for o = 1, 7 do
        for _, m in ipairs(both("abcdef")) do
          m:fill(m, i, j, o)
          assert(m:tostring() == expected("abcdef", i, j, o), i .. " " .. j .. " " .. o)
        end
      end
    end
  end
end)

T.done()
