-- The module memory: positions, and the functions create, type, len and resize.

local T = require "testing"
local memory = require "memory"

local maxinteger = math.maxinteger or 2 ^ 53
local mininteger = math.mininteger or -2 ^ 53

local M = require "memory_testing"
local raises, returns, resizable, both = M.raises, M.returns, M.resizable, M.both

T.test("the module has these functions and sets no global", function ()
  local names = {}
  for name, value in pairs(memory) do
    assert(type(value) == "function", name)
    names[#names + 1] = name
  end
  table.sort(names)
  T.eq(table.concat(names, " "),
    "create diff fill find get len pack resize set tostring type unpack")
  assert(rawget(_G, "memory") == nil)
end)

T.test("bytes are 0 to 255, and zeros are as good as others [70 1.1]", function ()
  local all = {}
  for byte = 0, 255 do
    all[#all + 1] = string.char(byte)
  end
  all = table.concat(all)
  for _, m in ipairs(both(all)) do
    assert(#m == 256)
    for byte = 0, 255 do
      assert(m:get(byte + 1) == byte)
    end
    returns({}, m:get(257))
    assert(m:tostring() == all)
    assert(m:tostring(1, 3) == "\0\1\2")
  end
  assert(memory.create("a\0b"):len() == 3)
end)

T.test("an array is a memory, a string or a number [70 1.2]", function ()
  for _, m in ipairs(both("12")) do
    returns({ nil, false, n = 2 }, memory.diff(m, 12))
    returns({ nil, false, n = 2 }, memory.diff(12, m))
    returns({ 1, 2 }, memory.find("12", m))
    returns({ 2, 3 }, memory.find(112, m))
    returns({ 1, 2 }, memory.find(m, 12))
  end
  assert(memory.tostring(12) == "12")
  assert(memory.tostring(0.5) == "0.5")
  local m = memory.create(4)
  assert(memory.diff(1.5, "1.5") == nil)
  m = memory.create()
  m:resize(4, 12)
  assert(m:tostring() == "1212")
end)

T.test("memories are equal to themselves, have no order, and serve as keys [70 1.3]", function ()
  local a, b = memory.create("x"), memory.create("x")
  assert(a == a and a ~= b)
  assert(rawequal(getmetatable(a).__eq, nil))
  T.raises("attempt to compare", function () return a < b end)
  local r = memory.create()
  local keys = { [a] = 1, [b] = 2, [r] = 3 }
  r:resize(4)
  assert(keys[a] == 1 and keys[b] == 2 and keys[r] == 3)
end)

T.test("positions count from 1, or from the end if negative [70 2.1]", function ()
  for _, m in ipairs(both("abcde")) do
    assert(m:get(1) == 97 and m:get(5) == 101)
    assert(m:get(-1) == 101 and m:get(-5) == 97)
    m:set(-2, 88)
    assert(m:tostring() == "abcXe")
  end
end)

T.test("ranges are those of string.sub [70 2.2]", function ()
  local text = "abcde"
  -- Not string.sub itself: some releases of LuaJIT compile it wrong.
  local function sub(i, j)
    local from, to = i < 0 and i + 6 or i, j < 0 and j + 6 or j
    local bytes = {}
    for position = 1, 5 do
      if from <= position and position <= to then
        bytes[#bytes + 1] = text:sub(position, position)
      end
    end
    return table.concat(bytes)
  end
  for _, m in ipairs(both(text)) do
    for i = -7, 7 do
      for j = -7, 7 do
        local expected = sub(i, j)
        assert(m:tostring(i, j) == expected, i .. " " .. j)
        assert(memory.tostring(text, i, j) == expected)
        assert(memory.create(m, i, j):tostring() == expected)
        returns({ expected:byte(1, -1) }, m:get(i, j))
        local copy = memory.create(text)
        copy:fill("-", i, j)
        assert(copy:tostring() == text:gsub(expected, ("-"):rep(#expected), 1))
      end
    end
  end
end)

T.test("i is 1 and j is -1 when they are absent or nil [70 2.3]", function ()
  for _, m in ipairs(both("abc")) do
    assert(m:tostring() == "abc")
    assert(m:tostring(nil, 2) == "ab")
    assert(m:tostring(2, nil) == "bc")
    assert(memory.create(m, nil, nil):tostring() == "abc")
    returns({ 3, 3 }, m:find("c", nil, nil, nil))
    m:fill("x", nil, nil, nil)
    assert(m:tostring() == "xxx")
  end
end)

T.test("o is relative to the source [70 2.4]", function ()
  for _, s in ipairs { "xyz", memory.create("xyz"), resizable("xyz") } do
    for o, expected in pairs {
      [1] = "xyzx", [2] = "yzyz", [3] = "zzzz", [4] = "abcd", [99] = "abcd",
      [-1] = "zzzz", [-2] = "yzyz", [-3] = "xyzx", [-9] = "xyzx", [0] = "xyzx",
    } do
      local m = memory.create("abcd")
      m:fill(s, 1, -1, o)
      assert(m:tostring() == expected, o)
    end
    returns({ 3, 4 }, memory.find("abyz", s, 1, -1, 2))
    returns({ 3, 4 }, memory.find("abyz", s, 1, -1, -2))
    returns({}, memory.find("abyz", s, 1, -1, 4))
  end
end)

T.test("extreme, floating and textual positions are accepted [70 2.5]", function ()
  for _, m in ipairs(both("abc")) do
    assert(m:tostring(mininteger, maxinteger) == "abc")
    assert(m:tostring(maxinteger, maxinteger) == "")
    assert(m:tostring(mininteger, mininteger) == "")
    returns({}, m:get(maxinteger))
    returns({}, m:get(mininteger))
    returns({ 97, 98, 99 }, m:get(mininteger, maxinteger))
    returns({}, m:find("a", maxinteger))
    returns({ 1, 1 }, m:find("a", mininteger, maxinteger, mininteger))
    returns({}, m:find("a", 1, -1, maxinteger))
    m:fill("x", maxinteger, mininteger)
    m:fill("x", mininteger, mininteger)
    assert(m:tostring() == "abc")
    T.raises("index out of bounds", m.set, m, maxinteger, 1)
    T.raises("index out of bounds", m.pack, m, "b", maxinteger, 1)
    T.raises("index out of bounds", m.unpack, m, "b", maxinteger)
    m:set(mininteger, 65)
    assert(m:tostring() == "Abc")
    assert(m:tostring(2.0, 3.0) == "bc")
    assert(m:tostring("2", " 3 ") == "bc")
    assert(m:get("2") == 98)
    T.raises("number has no integer representation", m.get, m, 1.5)
    T.raises("number expected, got string", m.tostring, m, "x")
  end
end)

T.test("create without argument: empty and resizable [70 3.1.1]", function ()
  local m = memory.create()
  assert(memory.type(m) == "resizable" and #m == 0 and m:tostring() == "")
  raises("bad argument #1 to 'memory.create' (string or memory expected, got nil)",
    memory.create, nil)
  raises("bad argument #1 to 'create' (string or memory expected, got nil)",
    function () memory.create(nil) end)
end)

T.test("create of a number: that many zeros [70 3.1.2]", function ()
  local m = memory.create(5)
  assert(memory.type(m) == "fixed" and #m == 5 and m:tostring() == ("\0"):rep(5))
  assert(#memory.create(3.0) == 3)
  assert(#memory.create(3, "ignored", {}) == 3)
  local empty = memory.create(0)
  assert(memory.type(empty) == "fixed" and #empty == 0 and empty:tostring() == "")
  assert(memory.create("7"):tostring() == "7")
  local big = memory.create(1000000)
  assert(big:tostring() == ("\0"):rep(1000000))
  raises("bad argument #1 to 'memory.create' (number has no integer representation)",
    memory.create, 1.5)
  for _, size in ipairs { -1, 2147483647, 2 ^ 40, mininteger } do
    raises("bad argument #1 to 'memory.create' (invalid size)", memory.create, size)
  end
end)

T.test("create of an array: a fixed copy of a range [70 3.1.3]", function ()
  for _, source in ipairs { "hello", memory.create("hello"), resizable("hello") } do
    local copy = memory.create(source)
    assert(memory.type(copy) == "fixed" and copy:tostring() == "hello" and copy ~= source)
    assert(memory.create(source, 2, 3):tostring() == "el")
    assert(memory.create(source, -3):tostring() == "llo")
    for _, range in ipairs { { 6 }, { 3, 2 }, { 1, 0 } } do
      local empty = memory.create(source, range[1], range[2])
      assert(memory.type(empty) == "fixed" and #empty == 0)
    end
    copy:set(1, 74)
    assert(memory.tostring(source) == "hello")
    raises("bad argument #2 to 'memory.create' (number expected, got table)",
      memory.create, source, {}, {})
    raises("bad argument #3 to 'memory.create' (number expected, got table)",
      memory.create, source, 1, {})
  end
  assert(memory.type(memory.create("")) == "fixed")
  assert(memory.create("hello"):create(2, 2):tostring() == "e")
end)

T.test("create of anything else [70 3.1.4]", function ()
  for _, value in ipairs { true, {}, print, coroutine.create(function () end), io.stdout } do
    -- Metatables of 5.3 and later have a name.
    local class = value == io.stdout and getmetatable(value).__name or type(value)
    raises("bad argument #1 to 'memory.create' (string or memory expected, got " .. class .. ")",
      memory.create, value)
  end
  local named = setmetatable({}, { __name = "my class" })
  raises("bad argument #1 to 'memory.create' (string or memory expected, got my class)",
    memory.create, named)
end)

T.test("type of anything, and of nothing", function ()
  assert(memory.type(memory.create(1)) == "fixed")
  assert(memory.type(memory.create()) == "resizable")
  local closed = resizable("x")
  getmetatable(closed).__gc(closed)
  assert(memory.type(closed) == "other" and closed:type() == "other")
  for _, value in ipairs { "string", 1, true, {}, print, io.stdout, coroutine.create(T.test) } do
    returns({ nil, n = 1 }, memory.type(value))
    assert(memory.type(value) == nil)
  end
  assert(select("#", memory.type()) == 1 and memory.type() == nil)
end)

T.test("len wants a memory", function ()
  for _, m in ipairs(both("abc")) do
    assert(memory.len(m) == 3 and m:len() == 3)
  end
  raises("bad argument #1 to 'memory.len' (memory expected, got string)", memory.len, "abc")
  raises("bad argument #1 to 'memory.len' (memory expected, got no value)", memory.len)
  raises("bad argument #1 to 'memory.len' (memory expected, got number)", memory.len, 12)
  raises("calling 'len' on bad self (memory expected, got table)", function ()
    local t = { len = memory.len }
    t:len()
  end)
end)

T.test("resize checks the size, the memory, and the filling if need be [70 3.4.1]", function ()
  local fixed = memory.create("abc")
  raises("bad argument #2 to 'memory.resize' (number expected, got no value)", memory.resize)
  raises("bad argument #2 to 'memory.resize' (number expected, got string)",
    memory.resize, fixed, "x", true)
  raises("bad argument #2 to 'memory.resize' (number has no integer representation)",
    memory.resize, "", 0.5)
  for _, size in ipairs { -1, 2147483647, maxinteger, mininteger } do
    raises("bad argument #2 to 'memory.resize' (invalid size)", memory.resize, "", size)
  end
  local closed = resizable("x")
  getmetatable(closed).__gc(closed)
  for _, m in ipairs { fixed, closed, "abc", {}, 3 } do
    raises("bad argument #1 to 'memory.resize' (resizable memory expected)",
      memory.resize, m, 3, true)
    raises("bad argument #1 to 'memory.resize' (resizable memory expected)", memory.resize, m, 9)
  end
  raises("calling 'resize' on bad self (resizable memory expected)",
    function () fixed:resize(5) end)
  raises("bad argument #1 to 'resize' (invalid size)", function () fixed:resize(-1) end)

  local m = resizable("abc")
  for _, size in ipairs { 0, 1, 10 } do
    raises("bad argument #3 to 'memory.resize' (string or memory expected, got boolean)",
      memory.resize, m, size, true)
    raises("bad argument #2 to 'resize' (string or memory expected, got table)",
      function () m:resize(size, {}) end)
    assert(m:tostring() == "abc")
  end
  m:resize(3, true)
  returns({}, m:resize(4, nil))
  assert(m:tostring() == "abc\0")
end)

T.test("resize to the same size has no effect [70 3.4.2]", function ()
  local m = resizable("abc")
  returns({}, m:resize(3))
  returns({}, m:resize(3, "xyz"))
  assert(m:tostring() == "abc" and m:type() == "resizable")
  local empty = memory.create()
  returns({}, empty:resize(0, "x"))
  assert(#empty == 0)
end)

T.test("resize keeps the first bytes when it shrinks, maybe none [70 3.4.3]", function ()
  local m = resizable("abcdef")
  returns({}, m:resize(4))
  assert(m:tostring() == "abcd" and #m == 4)
  returns({}, m:resize(2, "zz"))
  assert(m:tostring() == "ab")
  returns({}, m:resize(0))
  assert(#m == 0 and m:tostring() == "" and m:type() == "resizable")
  returns({}, m:resize(2))
  assert(m:tostring() == "\0\0")
end)

T.test("resize fills what is new, over and over [70 3.4.4]", function ()
  local m = resizable("ab")
  returns({}, m:resize(9, "xyz"))
  assert(m:tostring() == "abxyzxyzx")
  m:resize(10, memory.create("12"))
  assert(m:tostring() == "abxyzxyzx1")
  m:resize(12)
  assert(m:tostring() == "abxyzxyzx1\0\0")
  m:resize(13, "")
  m:resize(14, memory.create())
  m:resize(15, nil)
  assert(m:tostring(11) == ("\0"):rep(5))
  m:resize(0)
  m:resize(100000, "0123456789")
  assert(m:tostring() == ("0123456789"):rep(10000))
  m:resize(3)
  m:resize(6)
  assert(m:tostring() == "012\0\0\0")
end)

T.test("resize can fill a memory with itself [70 3.4.5]", function ()
  local m = resizable("abc")
  m:resize(8, m)
  assert(m:tostring() == "abcabcab")
  m:resize(100008, m)
  assert(m:tostring() == "abcabcab" .. ("abcabcab"):rep(12500))
  m:resize(4, m)
  assert(m:tostring() == "abca")
  local empty = memory.create()
  empty:resize(3, empty)
  assert(empty:tostring() == "\0\0\0")
end)

T.done()
