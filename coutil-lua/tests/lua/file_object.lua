-- Open files: close, read, write, resize, flush, copies from file to file, and buffers of all kinds.

local T = require "testing"
local L = require "loop_testing"
local F = require "file_testing"
local M = require "memory_testing"
local memory = require "memory"
local system = require "coutil.system"
local openfile = system.openfile
local gives = F.gives

-- close -----------------------------------------------------------------------------------------

F.test("close [60 4.1.1] [60 4.1]", function (call, t)
  local path, before = F.file "x", F.descriptors()
  for _, mode in ipairs { "r", "w", "rw" } do
    local file = call(openfile, path, t .. mode)
    gives({ true }, call(file.close, file, t))
    T.eq(F.descriptors(), before)
    T.raises("(closed file)", file.close, file, "~")
    getmetatable(file).__gc(file) -- silent [00 6.4.2]
    getmetatable(file).__close(file)
  end
end)

F.test("every method of a closed file [60 4.1]", function (call, t, raises)
  local file, m = F.open(F.file "x", "rw"), memory.create(4)
  file:close "~"
  local closed = "bad argument #1 to '?' (closed file)"
  raises(closed, file.close, file, t)
  raises(closed, file.read, file, m, 1, -1, 0, t)
  raises(closed, file.read, file, {}, {}, {}, {}, t)
  raises(closed, file.write, file, "x", 1, -1, 0, t)
  raises(closed, file.write, file, {}, {}, {}, {}, t)
  raises(closed, file.resize, file, 0, t)
  raises(closed, file.resize, file, {}, t)
  raises(closed, file.flush, file, t .. "d")
  raises(closed, file.touch, file, t .. "am", 1, 2)
  raises(closed, file.own, file, -1, -1, t)
  raises(closed, file.own, file, {}, {}, t)
  raises(closed, file.grant, file, "r", t)
  raises(closed, file.info, file, t .. "?")
  raises(closed, file.info, file, t)
end)

T.test("files are closed by the collector and by variables [60 4.2] [00 6.4.3] [00 6.4.4]", function ()
  local before = F.descriptors()
  T.scope(function ()
    for i = 1, 20 do
      local file = F.open(F.file "x", i % 2 == 0 and "r" or "rw")
      if i > 10 then L.await(file.read, file, memory.create(1)) end
    end
  end)
  T.scrub()
  T.gc()
  T.eq(F.descriptors(), before)
  T.eq(L.swept(function (watch) watch(F.open(F.file "x")) end), true)
  local file = F.open(F.file "x")
  if T.has_tbc then
    T.load "local file = ...; local x <close> = file; assert(x:info '~?' == 'file')"(file)
  else
    getmetatable(file).__close(file)
  end
  T.raises("(closed file)", file.info, file, "~?")
  T.eq(F.descriptors(), before)
end)

T.test("the metamethods close at once [60 4.2] [00 6.4.3]", function ()
  for _, call in ipairs { "__gc", "__close" } do
    local file = F.open "/dev/null"
    getmetatable(file)[call](file)
    T.raises("(closed file)", file.close, file, "~")
  end
end)

T.test_child("files are closed with the state [60 4.2] [00 1.6.5]", function ()
  local path = F.fresh()
  T.eq(F.child("", ([[
    local system = require "coutil.system"
    local file = assert(system.openfile(%q, "~wN", "rw"))
    assert(file:write("text", 1, -1, nil, "~"))
    local other = assert(system.openfile(%q, "~r"))
    coroutine.wrap(function () file:flush(); print "resumed" end)()
    coroutine.wrap(function () system.openfile(%q); print "resumed" end)()
    io.write "closing"
  ]]):format(path, path, path)), "closing")
  T.eq(F.get(path), "text")
end)

-- read ------------------------------------------------------------------------------------------

local function buffers(text) return { memory.create(text), M.resizable(text) } end

-- The region of 70 §2 for a buffer of `n` bytes.
local function region(n, i, j)
  i, j = i or 1, j or -1
  if i < 0 then i = n + 1 + i end
  if i < 1 then i = 1 end
  if j < 0 then j = n + 1 + j end
  if j < 0 then j = 0 end
  if j > n then j = n end
  return i, j
end

local huge = T.integers and math.maxinteger or 2 ^ 53
local indices = { T.pack(), T.pack(nil, nil), T.pack(1, 10), T.pack(3), T.pack(3, 5), T.pack(0), T.pack(-3), T.pack(-3, -2),
  T.pack(nil, 4), T.pack(nil, -4), T.pack(-100, 2), T.pack(1, 100), T.pack(5, 4), T.pack(11), T.pack(11, 20), T.pack(1, 0), T.pack(1, -11),
  T.pack(-100, -100), T.pack(-huge, huge), T.pack(huge, huge), T.pack(-huge, -huge), T.pack(huge, -huge), T.pack(10, 10), T.pack("2", "3"),
  T.pack(4.0, 6.0), T.pack(-1, -1), T.pack(-10, -1), T.pack(-11, -10) }
if T.integers then indices[#indices + 1] = T.pack(math.mininteger, math.maxinteger) end

F.test("the region of the buffer [60 4.2.1] [60 4.2.2] [50 0.3.2] [50 0.1.8]", function (call, t)
  local file, text = F.open(F.file "ABCDEFGHIJKLMNOP"), "0123456789"
  for _, range in ipairs(indices) do
    for _, m in ipairs(buffers(text)) do
      local i, j = region(10, tonumber(range[1]), tonumber(range[2]))
      local n = math.max(j - i + 1, 0)
      gives({ n }, call(file.read, file, m, range[1], range[2], 2, t))
      local want = n == 0 and text or text:sub(1, i - 1) .. ("CDEFGHIJKL"):sub(1, n) .. text:sub(j + 1)
      T.eq(m:tostring(), want)
    end
  end
  for _, m in ipairs { memory.create(0), memory.create "", memory.create() } do
    for _, offset in ipairs { 0, 5, 100, -1 } do gives({ 0 }, call(file.read, file, m, 1, -1, offset, t)) end
    gives({ 0 }, call(file.read, file, m, nil, nil, nil, t))
    T.eq(#m, 0)
  end
  file:close "~"
end)

F.test("the position advances, offsets leave it alone [60 4.2.3] [60 4.2.1]", function (call, t)
  local file, m = F.open(F.file(("x"):rep(60) .. "0123456789abcdefghij")), memory.create(("."):rep(30))
  gives({ 10 }, call(file.read, file, m, 11, 20, 62, t))
  T.eq(m:tostring(), ("."):rep(10) .. "23456789ab" .. ("."):rep(10))
  gives({ 30 }, call(file.read, file, m, nil, nil, nil, t))
  gives({ 5 }, call(file.read, file, m, 1, 5, 60, t))
  T.eq(m:tostring(1, 5), "01234")
  gives({ 30 }, call(file.read, file, m, 1, -1, -1, t))
  gives({ 4 }, call(file.read, file, m, 1, 4, -7, t))
  T.eq(m:tostring(1, 4), "0123")
  gives({ 2 }, call(file.read, file, m, 1, 2, "62", t))
  T.eq(m:tostring(1, 2), "23")
  gives({ 3 }, call(file.read, file, m, 1, 3, nil, t))
  T.eq(m:tostring(1, 3), "456")
  gives({ 0 }, call(file.read, file, m, 3, 2, nil, t))
  gives({ 1 }, call(file.read, file, m, 1, 1, -0.0, t)) -- zero is an offset
  T.eq(m:tostring(1, 1), "x")
  gives({ 13 }, call(file.read, file, m, 1, -1, -2 ^ 40, t))
  T.eq(m:tostring(1, 13), "789abcdefghij")
  file:close "~"
end)

F.test("at the end zero is read [60 4.2.2] [60 4.2.1]", function (call, t)
  local path, m = F.file "0123456789", memory.create(("."):rep(20))
  local file = F.open(path)
  gives({ 10 }, call(file.read, file, m, 1, -1, nil, t))
  T.eq(m:tostring(), "0123456789..........")
  for _ = 1, 3 do gives({ 0 }, call(file.read, file, m, 1, -1, nil, t)) end
  for _, offset in ipairs { 10, 11, 1000, 2 ^ 31, 2 ^ 32 + 5, 2 ^ 52 } do
    gives({ 0 }, call(file.read, file, m, 1, -1, offset, t))
  end
  gives({ 3 }, call(file.read, file, m, 1, -1, 7, t))
  F.put(path, "0123456789more")
  gives({ 4 }, call(file.read, file, m, 1, -1, nil, t))
  T.eq(m:tostring(1, 4), "more")
  T.eq(m:tostring(11), "..........")
  file:close "~"
end)

F.test("all bytes are as in the file [60 4.2.1] [70 1.1]", function (call, t)
  local text = L.pattern(70000):gsub("[\1-\9]", "\0")
  local path = F.file(text)
  for _, size in ipairs { 1000, 65536, 70001 } do
    local file, parts, m = F.open(path), {}, memory.create(size)
    repeat
      local n = call(file.read, file, m, nil, nil, nil, t)
      parts[#parts + 1] = m:tostring(1, n)
    until n == 0
    L.eqtext(table.concat(parts), text)
    file:close "~"
  end
end)

F.test("not opened for reading [60 4.2.4] [60 3.12.3]", function (call, t)
  for _, mode in ipairs { "w", "a", "t", "f", "wat" } do
    local file, m = F.open(F.file "old", mode), memory.create "....."
    gives(F.badfd, call(file.read, file, m, 1, -1, nil, t))
    gives(F.badfd, call(file.read, file, m, 1, -1, 0, t))
    T.eq(m:tostring(), ".....")
    file:close "~"
  end
end)

-- write -----------------------------------------------------------------------------------------

F.test("the region of the data [60 4.3.1] [50 0.3.1] [50 0.3.2]", function (call, t)
  local text = "0123456789"
  for _, range in ipairs(indices) do
    local i, j = region(10, tonumber(range[1]), tonumber(range[2]))
    local want = text:sub(i, j)
    if i > j then want = "" end
    for _, data in ipairs { text, memory.create(text), M.resizable(text) } do
      local path = F.file ""
      local file = F.open(path, "w")
      gives({ #want }, call(file.write, file, data, range[1], range[2], nil, t))
      T.eq(F.get(path), want)
      file:close "~"
    end
  end
end)

F.test("strings, numbers, memories, with zeros or empty [60 4.3.1] [50 0.3.1]", function (call, t)
  local cases = { { "", "" }, { "\0", "\0" }, { "a\0b\0", "a\0b\0" }, { memory.create "m\0m", "m\0m" }, { M.resizable "r\0", "r\0" },
    { memory.create(), "" }, { memory.create(0), "" }, { memory.create(5), ("\0"):rep(5) }, { 125, "125" }, { -1.5, "-1.5" },
    { L.pattern(300001), L.pattern(300001) }, { memory.create(L.pattern(300001)), L.pattern(300001) } }
  for _, case in ipairs(cases) do
    local path = F.file ""
    local file = F.open(path, "w")
    gives({ #case[2] }, call(file.write, file, case[1], nil, nil, nil, t))
    L.eqtext(F.get(path), case[2])
    gives({ #case[2] }, call(file.write, file, case[1], 1, -1, 0, t))
    L.eqtext(F.get(path), case[2])
    file:close "~"
  end
end)

F.test("the position advances, offsets leave it alone, gaps are zeros [60 4.3.2] [60 4.3.1]", function (call, t)
  local path = F.file "0123456789"
  local file, m = F.open(path, "rw"), memory.create(4)
  gives({ 2 }, call(file.write, file, "AB", 1, -1, nil, t))
  gives({ 2 }, call(file.write, file, "YZ", 1, -1, 8, t))
  gives({ 2 }, call(file.write, file, "CD", 1, -1, -5, t))
  T.eq(F.get(path), "ABCD4567YZ")
  gives({ 4 }, call(file.read, file, m, 1, -1, nil, t)) -- one position for both
  T.eq(m:tostring(), "4567")
  gives({ 1 }, call(file.write, file, "x", 1, -1, 15, t))
  T.eq(F.get(path), "ABCD4567YZ\0\0\0\0\0x")
  gives({ 3 }, call(file.write, file, "890", 1, -1, nil, t))
  T.eq(F.get(path), "ABCD4567890\0\0\0\0x")
  gives({ 0 }, call(file.write, file, "", 1, -1, 100, t))
  T.eq(F.stat(path, "%s"), "16")
  file:close "~"
end)

F.test("offsets beyond 4 GiB [60 4.2.3] [60 4.3.2] [60 4.4.1] [60 3.13.3]", function (call, t)
  local path, m = F.file "start", memory.create(10)
  local file = F.open(path, "rw")
  local at = 2 ^ 32 + 5
  gives({ 5 }, call(file.write, file, "there", 1, -1, at, t))
  gives({ at + 5 }, call(file.info, file, t .. "B"))
  T.eq(F.stat(path, "%s"), "4294967306")
  gives({ 10 }, call(file.read, file, m, 1, -1, at - 5, t))
  T.eq(m:tostring(), "\0\0\0\0\0there")
  gives({ 10 }, call(file.read, file, m, 1, -1, 0, t))
  T.eq(m:tostring(), "start\0\0\0\0\0")
  T.eq(F.sh("tail -c 6 -- " .. F.quote(path) .. " | od -An -c"):gsub("%s", ""), "\\0there")
  gives({ true }, call(file.resize, file, at + 2, t))
  gives({ 2 }, call(file.read, file, m, 1, -1, at, t))
  T.eq(m:tostring(1, 2), "th")
  gives({ true }, call(file.resize, file, 2 ^ 33 + 1, t))
  T.eq(F.stat(path, "%s"), "8589934593")
  gives({ true }, call(file.resize, file, 3, t))
  T.eq(F.get(path), "sta")
  file:close "~"
end)

F.test("not opened for writing [60 4.3.3] [60 4.4.2] [60 3.12.3]", function (call, t)
  for _, mode in ipairs { "r", "", "x", "n" } do
    local path = F.file "old"
    local file, before = F.open(path, mode, "rw"), F.state(path)
    gives(F.badfd, call(file.write, file, "new", 1, -1, nil, t))
    gives(F.badfd, call(file.write, file, memory.create(5), 1, -1, 7, t))
    gives(F.invalid, call(file.resize, file, 1, t))
    gives(F.invalid, call(file.resize, file, 100, t))
    T.eq(F.state(path), before)
    file:close "~"
  end
end)

-- From file to file -----------------------------------------------------------------------------

F.test("bytes of another file [60 4.3.4]", function (call, t)
  local source = F.open(F.file(("x"):rep(62) .. "0123456789yyy"))
  local path, m = F.file "............", memory.create(3)
  local file = F.open(path, "rw")
  source:read(m, 1, -1, nil, "~")
  gives({ 10 }, call(file.write, file, source, 63, 72, nil, t))
  T.eq(F.get(path), "0123456789..")
  gives({ 3 }, call(file.write, file, source, 63, 65, 0, t)) -- where the other ended, whatever the offset
  T.eq(F.get(path), "0123456789012")
  for _, offset in ipairs { {}, "x", true, 1.5 } do gives({ 1 }, call(file.write, file, source, 64, 64, offset, t)) end
  T.eq(F.get(path), "01234567890121111")
  gives({ 3 }, call(file.write, file, source, 73, 1000, nil, t)) -- fewer
  for _, from in ipairs { 76, 77, 1000, 2 ^ 32 } do gives({ 0 }, call(file.write, file, source, from, from + 10, nil, t)) end
  gives({ 1 }, call(file.write, file, source, "63", 63.0, nil, t))
  T.eq(F.get(path), "01234567890121111yyy0")
  gives({ 1 }, call(file.write, file, "!", 1, -1, nil, t))
  T.eq(F.get(path), "01234567890121111yyy0!")
  gives({ 3 }, call(source.read, source, m, 1, -1, nil, t)) -- the position of the source is where it was
  gives({ 3 }, call(source.read, source, m, 1, -1, 60, t))
  T.eq(m:tostring(), "xx0")
  local rest = memory.create(100)
  gives({ 69 }, call(source.read, source, rest, 1, -1, nil, t))
  source:close "~"
  file:close "~"
end)

F.test("many bytes of another file [60 4.3.4]", function (call, t)
  local text = L.pattern(T.scale(5000003, 300003))
  local from, to = F.file(text), F.file ""
  local source, file = F.open(from), F.open(to, "w")
  local at = 1
  repeat -- one call may copy fewer
    local n = call(file.write, file, source, at, #text + 1000, nil, t)
    at = at + n
  until n == 0
  T.eq(at, #text + 1)
  T.eq(F.sh("cmp --", from, to), "")
  source:close "~"
  file:close "~"
end)

F.test("bytes of the file itself, and of the same file opened twice [60 4.3.4]", function (call, t)
  local path = F.file "0123456789"
  local file, m = F.open(path, "rw"), memory.create(10)
  call(file.read, file, m, 1, -1, nil, t)
  gives({ 4 }, call(file.write, file, file, 2, 5, nil, t))
  T.eq(F.get(path), "01234567891234")
  local second = F.open(path, "w")
  gives({ 3 }, call(second.write, second, file, 8, 10, nil, t))
  T.eq(F.get(path), "78934567891234")
  second:close "~"
  file:close "~"
end)

F.test("sources that give nothing [60 4.3.4] [60 1.2.8]", function (call, t)
  local path = F.file "old"
  local file, source = F.open(path, "rw"), F.open(F.file "abc", "rw")
  local blind, reader = F.open(F.file "abc", "w"), F.open(path)
  gives(F.badfd, call(file.write, file, blind, 1, 2, nil, t))
  gives(F.badfd, call(reader.write, reader, source, 1, 2, nil, t))
  for _, i in ipairs { 0, -1, -3 } do
    local got = T.pack(call(file.write, file, source, i, 2, nil, t))
    T.eq(got.n, 3)
    T.eq(got[1], false)
    T.eq(type(got[3]), "number")
  end
  source:close "~"
  gives(F.badfd, call(file.write, file, source, 1, 2, nil, t))
  T.eq(F.get(path), "old")
  -- To the end of a file, or not at all.
  source = F.open(F.file "abc")
  local appending = F.open(path, "a")
  local got = T.pack(call(appending.write, appending, source, 1, 2, nil, t))
  if got[1] then
    T.same(got, { 2 })
    T.eq(F.get(path), "oldab")
  else
    T.eq(got.n, 3)
    T.eq(F.get(path), "old")
  end
  for _, one in ipairs { file, source, blind, reader, appending } do one:close "~" end
end)

-- resize ----------------------------------------------------------------------------------------

F.test("resize cuts, or adds zeros, and leaves the position [60 4.4.1]", function (call, t)
  local path, m = F.file "0123456789", memory.create(3)
  local file = F.open(path, "rw")
  gives({ 3 }, call(file.read, file, m, 1, -1, nil, t))
  gives({ true }, call(file.resize, file, 5, t))
  T.eq(F.get(path), "01234")
  gives({ true }, call(file.resize, file, 8, t))
  T.eq(F.get(path), "01234\0\0\0")
  gives({ true }, call(file.resize, file, "8", t))
  gives({ 3 }, call(file.read, file, m, 1, -1, nil, t))
  T.eq(m:tostring(), "34\0")
  gives({ true }, call(file.resize, file, 0, t))
  T.eq(F.stat(path, "%F"), "regular empty file")
  gives({ 0 }, call(file.read, file, m, 1, -1, nil, t))
  gives({ 1 }, call(file.write, file, "x", 1, -1, nil, t))
  T.eq(F.get(path), ("\0"):rep(6) .. "x")
  file:close "~"
end)

F.test("sizes that cannot be [60 4.4.2]", function (call, t)
  local path = F.file "old"
  for _, mode in ipairs { "w", "rw", "r" } do
    local file = F.open(path, mode)
    for _, size in ipairs { -1, -100, -2 ^ 40 } do gives(F.invalid, call(file.resize, file, size, t)) end
    file:close "~"
  end
  local file = F.open("/dev/null", "rw")
  gives(F.invalid, call(file.resize, file, 0, t))
  file:close "~"
  T.eq(F.get(path), "old")
end)

-- flush -----------------------------------------------------------------------------------------

F.test("flush [60 4.5.1]", function (call, t)
  local path = F.file "x"
  for _, mode in ipairs { "r", "w", "rw", "a" } do
    local file = F.open(path, mode)
    if mode ~= "r" then gives({ 3 }, call(file.write, file, "new", 1, -1, nil, t)) end
    for _, flush in ipairs { "", "d", "dd" } do gives({ true }, call(file.flush, file, t .. flush)) end
    gives({ true }, call(file.flush, file, "d" .. t))
    file:close "~"
  end
  T.eq(F.get(path), "newnew")
  local null = F.open("/dev/null", "w")
  gives(F.invalid, call(null.flush, null, t))
  null:close "~"
end)

F.done()
