-- memory.pack and memory.unpack.

local T = require "testing"
local memory = require "memory"

local M = require "memory_testing"
local raises, returns, resizable, both = M.raises, M.returns, M.resizable, M.both

local little = memory.create(2)
little:pack("=h", 1, 1)
little = little:get(1) == 1

T.test("pack wants a memory, a format and a position [70 3.11.1]", function ()
  local m = memory.create(4)
  raises("bad argument #1 to 'memory.pack' (memory expected, got string)",
    memory.pack, "abcd", {}, {})
  raises("bad argument #2 to 'memory.pack' (string expected, got table)", memory.pack, m, {}, {})
  raises("bad argument #3 to 'memory.pack' (number expected, got no value)", memory.pack, m, "b")
  raises("bad argument #2 to 'pack' (number expected, got nil)", function () m:pack("b", nil) end)
  raises("bad argument #3 to 'memory.pack' (index out of bounds)", memory.pack, m, "b", 6, 1)
  raises("bad argument #2 to 'pack' (index out of bounds)", function () m:pack("y", 6) end)
  returns({ true, 5 }, m:pack("", 5))
  returns({ false, 5, 1 }, m:pack("b", 5, 1))
  returns({ true, 5 }, m:pack("b", -1, 7))
  returns({ true, 2 }, m:pack("b", 0, 8))
  returns({ true, 2 }, m:pack("b", -99, 9))
  returns({ true, 3 }, m:pack("b", 2, 10))
  returns({ 9, 10, 0, 7 }, m:get(1, -1))
  returns({ true, 1 }, memory.create():pack("", 1))
  returns({ false, 1, 1 }, memory.create():pack("b", 1, 1))
end)

T.test("pack of all values [70 3.11.2]", function ()
  for _, m in ipairs(both(("-"):rep(8))) do
    returns({ true, 5 }, m:pack("bb", 3, 65, 66))
    assert(m:tostring() == "--AB----")
    returns({ true, 5 }, m:pack("bb", 3, 67, 68, "surplus", nil))
    assert(m:tostring() == "--CD----")
    returns({ true, 9 }, m:pack("<i2 >i2 c2 z", 1, 0x4142, 0x4142, "xy", "z"))
    assert(m:tostring() == "BAABxyz\0")
    returns({ true, 7 }, m:pack("", 7, 1, 2))
    -- A format ends at a zero byte.
    returns({ true, 2 }, m:pack("b\0y", 1, 1))
  end
end)

T.test("pack of a value that does not fit [70 3.11.3]", function ()
  for _, m in ipairs(both("------")) do
    local function reset() m:fill("-") end
    local thing = {}
    returns({ false, 5, 7, "rest", thing, nil, n = 6 },
      m:pack("<i2i2i4i8", 1, 0x4141, 0x4242, 7, "rest", thing, nil))
    assert(m:tostring() == "AABB--")
    returns({ false, 7, 1 }, m:pack("b", 7, 1))

    reset() -- Padding that was skipped counts as used.
    returns({ false, 5, 9 }, m:pack("!4 b <i4", 4, 65, 9))
    assert(m:tostring() == "---A--")

    reset() -- The prefix stays, the text does not fit.
    returns({ false, 3, "abcde" }, m:pack("<s2", 1, "abcde"))
    assert(m:tostring() == "\5\0----")
    returns({ false, 6, "abcde" }, m:pack("<s2", 6, "abcde"))
    assert(m:tostring() == "\5\0----")

    reset() -- The text fits, the zero does not.
    returns({ false, 7, "abc", "d" }, m:pack("z", 4, "abc", "d"))
    assert(m:tostring() == "---abc")
    reset()
    returns({ false, 4, "abcd" }, m:pack("z", 4, "abcd"))
    assert(m:tostring() == "------")
    returns({ true, 7 }, m:pack("z", 4, "ab"))
    returns({ false, 7, "" }, m:pack("z", 7, ""))

    reset() -- Alignment that does not fit.
    returns({ false, 6, 1, 2 }, m:pack("!8 i8 b", 6, 1, 2))
    returns({ false, 6, 1 }, m:pack("!8 Xi8 b", 6, 1))
    returns({ false, 6 }, m:pack("!8 Xi8", 6))
    returns({ false, 7, 1 }, m:pack("xb", 7, 1))
    returns({ false, 7 }, m:pack("x", 7))
    returns({ false, 7, 1, 2 }, m:pack("bxb", 6, 3, 1, 2))
    assert(m:tostring() == "-----\3")

    reset() -- The rest of the format does not matter.
    returns({ false, 5, 1 }, m:pack("i4y", 5, 1))
    -- Numbers may come back as strings.
    local ok, at, value = m:pack("c9", 1, 123456789)
    assert(ok == false and at == 1 and tostring(value) == "123456789")
    local same = memory.create("long enough")
    returns({ false, 1, same }, m:pack("c11", 1, same))
    returns({ false, 4 }, m:pack("d", 4))
  end
end)

T.test("pack checks the space for integers last, for floats first [70 3.11.4]", function ()
  local m = memory.create(4)
  local thing = {}
  raises("bad argument #4 to 'memory.pack' (number expected, got table)",
    memory.pack, m, "i8", 1, thing)
  raises("bad argument #4 to 'memory.pack' (integer overflow)", memory.pack, m, "b", 5, 200)
  raises("bad argument #4 to 'memory.pack' (unsigned overflow)", memory.pack, m, "B", 5, 256)
  returns({ false, 1, thing }, m:pack("d", 1, thing))
  returns({ false, 5, thing }, m:pack("f", 5, thing))
  raises("bad argument #4 to 'memory.pack' (number expected, got table)",
    memory.pack, m, "f", 1, thing)
  raises("bad argument #4 to 'memory.pack' (string or memory expected, got table)",
    memory.pack, m, "z", 5, thing)
  raises("bad argument #4 to 'memory.pack' (string or memory expected, got table)",
    memory.pack, m, "s", 1, thing)
  raises("bad argument #4 to 'memory.pack' (wrong length)", memory.pack, m, "c9", 1, "abc")
  raises("bad argument #4 to 'memory.pack' (string contains zeros)", memory.pack, m, "z", 5, "a\0")
  local long = ("x"):rep(256)
  raises("bad argument #4 to 'memory.pack' (string length does not fit in given size)",
    memory.pack, m, "s1", 5, long)
  -- The space for the alignment comes before all of that.
  returns({ false, 2, thing }, m:pack("!8 i8", 2, thing))
  returns({ false, 2, thing }, m:pack("!8 s8", 2, thing))
end)

T.test("pack of missing values [70 3.11.5]", function ()
  for _, m in ipairs(both("------")) do
    raises("bad argument #5 to 'memory.pack' (number expected, got no value)",
      memory.pack, m, "bb", 1, 65)
    assert(m:tostring() == "A-----")
    raises("bad argument #3 to 'pack' (number expected, got no value)",
      function () m:pack("b", 1) end)
    raises("bad argument #4 to 'memory.pack' (number expected, got no value)",
      memory.pack, m, "f", 1)
    raises("bad argument #5 to 'memory.pack' (string or memory expected, got no value)",
      memory.pack, m, "bz", 1, 66)
    raises("bad argument #4 to 'memory.pack' (number expected, got nil)",
      memory.pack, m, "b", 1, nil)
    assert(m:tostring() == "B-----")
  end
end)

T.test("pack skips padding, which keeps its bytes [70 3.11.6]", function ()
  for _, m in ipairs(both("abcdefgh")) do
    returns({ true, 9 }, m:pack("!4 b x b Xi4 <i4", 1, 65, 66, 0x44434241))
    assert(m:tostring() == "AbBdABCD")
    returns({ true, 5 }, m:pack("!4 b Xi4", 1, 67))
    assert(m:tostring() == "CbBdABCD")
  end
end)

T.test("pack reads the format item by item [70 3.11.7]", function ()
  for _, m in ipairs(both("--------")) do
    raises("bad argument #4 to 'memory.pack' (number expected, got boolean)",
      memory.pack, m, "by", 1, true)
    raises("invalid format option 'y'", memory.pack, m, "by", 1, 65)
    assert(m:tostring() == "A-------")
    raises("bad argument #5 to 'memory.pack' (number expected, got no value)",
      memory.pack, m, "bby", 1, 66)
    raises("integral size (17) out of limits [1,16]", memory.pack, m, "zi17", 1, "xy")
    assert(m:tostring() == "xy\0-----")
  end
end)

T.test("unpack wants a memory, a format and maybe a position [70 3.12.1]", function ()
  for _, m in ipairs(both("abcd")) do
    raises("bad argument #2 to 'memory.unpack' (string expected, got no value)", memory.unpack, m)
    raises("bad argument #3 to 'memory.unpack' (number expected, got table)",
      memory.unpack, m, "", {})
    raises("bad argument #3 to 'memory.unpack' (index out of bounds)", memory.unpack, m, "b", 6)
    raises("bad argument #2 to 'unpack' (index out of bounds)", function () m:unpack("b", 6) end)
    returns({ 97, 2 }, m:unpack("b"))
    returns({ 97, 2 }, m:unpack("b", nil))
    returns({ 98, 3 }, m:unpack("b", 2))
    returns({ 100, 5 }, m:unpack("b", -1))
    returns({ 97, 2 }, m:unpack("b", -9))
    returns({ 5 }, m:unpack("", 5))
  end
  raises("bad argument #1 to 'memory.unpack' (memory expected, got string)",
    memory.unpack, "abcd", "b")
  returns({ 1 }, memory.create():unpack(""))
end)

T.test("unpack returns the values and the next position [70 3.12.2]", function ()
  for _, m in ipairs(both("\1\2\3\4\5\6\7\8\9")) do
    returns({ 0x0201, 0x0304, 5, 6 }, m:unpack("<i2 >i2 b"))
    returns({ 2, 9, 10 }, m:unpack("xbxxxxxxb"))
    returns({ 1, 0x0807060504, 9 }, m:unpack("<b xx I5"))
  end
end)

T.test("unpack of too few bytes [70 3.12.3]", function ()
  for _, m in ipairs(both("abc")) do
    for _, format in ipairs { "i4", "bbbb", "c4", "d", "f", "xxxx", "!4 bi4", "s", "s1", "<s2" } do
      raises("bad argument #2 to 'memory.unpack' (data string too short)", memory.unpack, m, format)
    end
    raises("bad argument #2 to 'memory.unpack' (data string too short)",
      memory.unpack, m, "!8 b Xd")
    raises("bad argument #1 to 'unpack' (data string too short)", function () m:unpack("b", 4) end)
    raises("bad argument #2 to 'memory.unpack' (unfinished string for format 'z')",
      memory.unpack, m, "z")
    raises("bad argument #1 to 'unpack' (unfinished string for format 'z')",
      function () m:unpack("z", 4) end)
  end
  raises("bad argument #2 to 'memory.unpack' (data string too short)",
    memory.unpack, memory.create(("\255"):rep(16)), "s8")
end)

T.test("unpack returns strings [70 3.12.4]", function ()
  for _, m in ipairs(both("\3abcxyz\0de")) do
    returns({ "abc", "xyz", "de", 11 }, m:unpack("s1zc2"))
    returns({ "", 1 }, m:unpack("c0"))
    returns({ "", 9 }, m:unpack("z", 8))
    assert(type(m:unpack("c3")) == "string")
  end
  local long = ("0123456789"):rep(10000)
  local m = resizable("--" .. long .. "\0")
  returns({ long, 100004 }, m:unpack("z", 3))
  m:resize(200000)
  returns({ true, 100009 }, m:pack("s8", 1, long))
  returns({ long, 100009 }, m:unpack("s8"))
end)

T.test("unpack of more values than the stack holds [70 3.12.5]", function ()
  local m = memory.create(1100000)
  T.raises("too many results", m.unpack, m, ("b"):rep(1100000))
  assert(select("#", m:unpack(("b"):rep(3000))) == 3001)
end)

T.test("alignment counts from the first byte of the memory [70 4.1]", function ()
  local m = memory.create(64)
  local function place(format, i, ...)
    local ok, at = m:pack(format, i, ...)
    assert(ok)
    return at
  end
  assert(place("i4", 2, 0) == 6)
  assert(place("!i4", 2, 0) == 9)
  assert(place("!i4", 5, 0) == 9)
  assert(place("!i4", 6, 0) == 13)
  assert(place("!2 i4", 2, 0) == 7)
  assert(place("!4 i8", 2, 0) == 13)
  assert(place("!16 i16", 2, 0) == 33)
  assert(place("! i8", 2, 0) == 17)
  assert(place("!4 d", 2, 0) == 13)
  assert(place("! f", 2, 0) == 9)
  assert(place("! s4", 2, "x") == 10)
  assert(place("! c4", 2, "abcd") == 6)
  assert(place("! z", 2, "a") == 4)
  assert(place("! b", 2, 0) == 3)
  assert(place("! xXh", 2) == 3)
  assert(place("! Xi4", 2) == 5)
  assert(place("! Xs4", 2) == 5)
  assert(place("! Xx Xb XB", 2) == 2)
  assert(place("! h Xd f", 2, 0, 0) == 13)
  m:fill(0)
  m:set(5, 1)
  local one = little and 1 or 2 ^ 24
  returns({ one, 9 }, m:unpack("!i4", 2))
  returns({ 0, 13 }, m:unpack("!i4", 6))
end)

T.test("integers of more than 8 bytes [70 4.2]", function ()
  local m = memory.create(16)
  for _, size in ipairs { 8, 9, 12, 16 } do
    for _, value in ipairs { 0, 1, -1, -300, 2 ^ 40 } do
      for _, order in ipairs { "<", ">" } do
        assert(m:pack(order .. "i" .. size, 1, value))
        returns({ value, size + 1 }, m:unpack(order .. "i" .. size))
        local sign = order == "<" and size or 1
        assert(m:get(sign) == (value < 0 and 255 or 0))
      end
    end
  end
  assert(m:pack("<I10", 1, -2))
  assert(m:tostring(1, 10) == "\254" .. ("\255"):rep(7) .. "\0\0")
  returns({ -2, 11 }, m:unpack("<I10"))
  raises("10-byte integer does not fit into Lua Integer", m.unpack, m, "<i10")
  m:fill(0)
  m:set(9, 1)
  raises("9-byte integer does not fit into Lua Integer", m.unpack, m, "<I9")
  raises("16-byte integer does not fit into Lua Integer", m.unpack, m, "<i16")
  raises("16-byte integer does not fit into Lua Integer", m.unpack, m, "<s16")
  raises("16-byte integer does not fit into Lua Integer", function () m:unpack("<I16") end)
end)

T.test("integers of less than 8 bytes are checked [70 4.3]", function ()
  local m = memory.create(8)
  for size = 1, 7 do
    local limit = 2 ^ (8 * size)
    for _, value in ipairs { limit / 2 - 1, -limit / 2 } do
      -- 2^55 - 1 is not a float.
      if size < 7 or value < 0 then
        returns({ true, size + 1 }, m:pack("i" .. size, 1, value))
        returns({ value, size + 1 }, m:unpack("i" .. size))
      end
    end
    raises("bad argument #4 to 'memory.pack' (integer overflow)",
      memory.pack, m, "i" .. size, 1, limit / 2)
    raises("bad argument #4 to 'memory.pack' (unsigned overflow)",
      memory.pack, m, "I" .. size, 1, limit)
    raises("bad argument #3 to 'pack' (unsigned overflow)",
      function () m:pack("I" .. size, 1, -1) end)
    if size < 7 then
      raises("bad argument #4 to 'memory.pack' (integer overflow)",
        memory.pack, m, "i" .. size, 1, -limit / 2 - 1)
      assert(m:pack("I" .. size, 1, limit - 1))
      assert(m:unpack("I" .. size) == limit - 1)
      assert(m:unpack("i" .. size) == -1)
    end
  end
  returns({ true, 9 }, m:pack("I8", 1, -1))
  returns({ -1, 9 }, m:unpack("J"))
  returns({ true, 9 }, m:pack("T", 1, -1))
  returns({ -1, 9 }, m:unpack("j"))
  raises("bad argument #4 to 'memory.pack' (number has no integer representation)",
    memory.pack, m, "b", 1, 1.5)
  raises("bad argument #4 to 'memory.pack' (integer overflow)", memory.pack, m, "h", 1, 32768)
  raises("bad argument #4 to 'memory.pack' (unsigned overflow)", memory.pack, m, "H", 1, 65536)
end)

T.test("texts are strings, numbers or memories [70 4.4]", function ()
  for _, m in ipairs(both(("-"):rep(12))) do
    for _, text in ipairs { "12", 12, memory.create("12"), resizable("12") } do
      m:fill("-")
      returns({ true, 4 }, m:pack("z", 1, text))
      assert(m:tostring(1, 4) == "12\0-")
      returns({ true, 4 }, m:pack("s1", 1, text))
      assert(m:tostring(1, 4) == "\00212-")
      returns({ true, 3 }, m:pack("c2", 1, text))
      assert(m:tostring(1, 4) == "122-")
      raises("bad argument #4 to 'memory.pack' (wrong length)", memory.pack, m, "c3", 1, text)
      raises("bad argument #4 to 'memory.pack' (wrong length)", memory.pack, m, "c1", 1, text)
      raises("bad argument #3 to 'pack' (wrong length)", function () m:pack("c0", 1, text) end)
    end
    raises("bad argument #4 to 'memory.pack' (string contains zeros)",
      memory.pack, m, "z", 1, "a\0b")
    raises("bad argument #4 to 'memory.pack' (string contains zeros)",
      memory.pack, m, "z", 1, memory.create(1))
    local long = memory.create(256)
    raises("bad argument #4 to 'memory.pack' (string length does not fit in given size)",
      memory.pack, m, "s1", 1, long)
    returns({ false, 3, long }, m:pack("s2", 1, long))
    returns({ true, 1 }, m:pack("c0", 1, ""))
    returns({ true, 2 }, m:pack("z", 1, memory.create()))
    -- A memory can be its own value.
    m:fill("abcdef")
    returns({ true, 13 }, m:pack("c12", 1, m))
    assert(m:tostring() == "abcdefabcdef")
  end
end)

T.test("errors of formats [70 4.5]", function ()
  local m = memory.create(64)
  local function plain(expected, format)
    for _, f in ipairs { memory.pack, memory.unpack } do
      raises(expected, f, m, format, 1)
    end
    raises(expected, function () m:pack(format, 1) end)
    raises(expected, function () m:unpack(format) end)
  end
  plain("invalid format option 'C'", "C")
  plain("invalid format option '1'", "x1")
  plain("invalid format option '\200'", "\200")
  plain("integral size (0) out of limits [1,16]", "i0")
  plain("integral size (17) out of limits [1,16]", "i17")
  plain("integral size (17) out of limits [1,16]", "!17")
  plain("integral size (0) out of limits [1,16]", "!0")
  plain("integral size (100) out of limits [1,16]", "s100")
  plain("integral size (17) out of limits [1,16]", "Xi17")
  plain("missing size for format option 'c'", "c")
  plain("missing size for format option 'c'", "Xc")
  plain("invalid format option 'y'", "Xy")

  local function argument(detail, format)
    raises("bad argument #1 to 'memory.pack' (" .. detail .. ")", memory.pack, m, format, 1)
    raises("bad argument #1 to 'memory.unpack' (" .. detail .. ")", memory.unpack, m, format, 1)
    raises("calling 'pack' on bad self (" .. detail .. ")", function () m:pack(format, 1) end)
    raises("calling 'unpack' on bad self (" .. detail .. ")", function () m:unpack(format) end)
  end
  for _, format in ipairs { "X", "Xc4", "Xz", "XX", "X ", "X<", "X>", "X=", "X!", "X\0" } do
    argument("invalid next option for option 'X'", format)
  end
  for _, format in ipairs { "!8i3", "!3i4", "!8Xi3", "!7d", "! s5" } do
    argument("format asks for alignment not power of 2", format)
  end
  returns({ true, 4 }, m:pack("i3", 1, 0))
  returns({ true, 3 }, m:pack("!3i2", 1, 0))
  returns({ true, 4 }, m:pack("!2i3", 1, 0))
end)

T.test("options have the sizes and signs of 5.4 on every version", function ()
  local m = memory.create(("\255"):rep(16))
  for option, size in pairs {
    b = 1, h = 2, i = 4, l = 8, j = 8,
    i1 = 1, i2 = 2, i3 = 3, i4 = 4, i5 = 5, i6 = 6, i7 = 7, i8 = 8, i16 = 16,
  } do
    returns({ -1, size + 1 }, m:unpack(option))
    local unsigned = option:upper()
    if size < 7 then
      returns({ 2 ^ (8 * size) - 1, size + 1 }, m:unpack(unsigned))
    end
  end
  assert(select(2, m:unpack("T")) == 9)
  m:fill(0)
  for option, size in pairs {
    f = 4, d = 8, n = 8, x = 1, c0 = 0, c7 = 7, s = 8, s3 = 3, z = 1,
  } do
    local last = select(-1, m:unpack(option))
    assert(last == size + 1, option)
  end
end)

T.test("the order of bytes", function ()
  local m = memory.create(4)
  m:pack("<I2 >I2", 1, 0x4142, 0x4142)
  assert(m:tostring() == "BAAB")
  m:pack(">I2 =I2", 1, 0x4142, 0x4142)
  assert(m:tostring() == "AB" .. (little and "BA" or "AB"))
  m:pack("I2", 1, 0x4142)
  assert(m:tostring(1, 2) == (little and "BA" or "AB"))
end)

T.test("floats", function ()
  local m = memory.create(16)
  for _, order in ipairs { "<", ">", "=" } do
    for _, value in ipairs { 0, 1, -1.5, 0.25, 2 ^ 100, -2 ^ -100, 1 / 0, -1 / 0 } do
      for option, size in pairs { f = 4, d = 8, n = 8 } do
        returns({ true, size + 1 }, m:pack(order .. option, 1, value))
        returns({ value, size + 1 }, m:unpack(order .. option))
      end
    end
    m:pack(order .. "d", 1, 0 / 0)
    local nan = m:unpack(order .. "d")
    assert(nan ~= nan)
  end
  -- Any bits make a number, whatever an interpreter keeps in those of a NaN.
  local any = memory.create(("\255"):rep(8)):unpack("d")
  assert(any ~= any and type(any) == "number")
  m:pack(">d", 1, 1)
  assert(m:tostring(1, 8) == "\63\240\0\0\0\0\0\0")
  m:pack("<f", 1, 1)
  assert(m:tostring(1, 4) == "\0\0\128\63")
  m:pack("f", 1, 0.1)
  local single = m:unpack("f")
  assert(single ~= 0.1 and math.abs(single - 0.1) < 1e-7)
  m:pack("f", 1, 1e300)
  assert(m:unpack("f") == 1 / 0)
  m:pack("d", 1, "0.5")
  assert(m:unpack("d") == 0.5)
end)

-- Where Lua has string.pack, it has to agree (from zeros, as it writes zeros for padding).
if string.pack then
  T.test("pack and unpack agree with string.pack", function ()
    for _, case in ipairs {
      { "bBhHlLjJ", -1, 1, -2, 2, -3, 3, -4, 4 },
      { "<i3>i3=i3", 1, 2, -3 },
      { "!bi2bi4bi8bfbd", 1, 2, 3, 4, 5, 6, 7, 0.5, 9, 0.25 },
      { "!4 b i16 Xi4 b", 1, -2, 3 },
      { "s1s2s4s8s16zz", "a", "bc", "", "d\0e", "f", "g", "" },
      { "c0c1c5x", "", "a", "abcde" },
      { "!2 b Xd b !16 b i16", 1, 2, 3, 4 },
      { ">i9 <I11 j", -5, 6, math.mininteger },
      { "J j T", math.maxinteger, math.mininteger, 0x7fffffffffffffff },
      { "fdn", 0.1, 0.1, 1e308 },
    } do
      local expected = string.pack(table.unpack(case))
      local m = memory.create(#expected + 3)
      returns({ true, #expected + 1 }, m:pack(case[1], 1, table.unpack(case, 2)))
      assert(m:tostring(1, #expected) == expected, case[1])
      assert(m:tostring(-3) == "\0\0\0")
      returns({ string.unpack(case[1], expected) }, m:unpack(case[1]))
    end
  end)

  T.test("64-bit integers keep all digits where Lua has them", function ()
    local m = memory.create(8)
    for _, value in ipairs { math.maxinteger, math.mininteger, math.maxinteger - 1 } do
      m:pack("j", 1, value)
      assert(m:unpack("j") == value and math.type(m:unpack("j")) == "integer")
    end
  end)
else
  T.test("64-bit integers are floats where Lua has no others", function ()
    local m = memory.create(("\255"):rep(7) .. "\127")
    assert(m:unpack("<j") == 2 ^ 63)
    m:pack("<j", 1, -2 ^ 63)
    assert(m:tostring() == ("\0"):rep(7) .. "\128")
    raises("bad argument #4 to 'memory.pack' (number has no integer representation)",
      memory.pack, m, "j", 1, 2 ^ 63)
  end)
end

T.done()
