-- Files and the threads that work on them: long strings, which are written from where they are, pipes, full disks, how many
-- threads there are, and the end of the Lua state.

local T = require "testing"
local L = require "loop_testing"
local F = require "file_testing"
local memory = require "memory"
local system = require "coutil.system"
local gives = F.gives

-- Of no short period.
local function text(length)
  local pieces = {}
  for i = 1, math.floor(length / 4096) + 1 do
    pieces[i] = string.format("%08x", i * 2654435 % 4294967):rep(511) .. ("-"):rep(8)
  end
  return table.concat(pieces):sub(1, length)
end

F.test("long strings and memories arrive as they are [60 4.3.1] [70 6.4.4]", function (call, t)
  for _, length in ipairs { 4095, 32767, 32768, 65537, 3000001 } do
    local data, path = text(length), F.fresh()
    local file = F.open(path, "rwN", "rw")
    gives({ length }, call(file.write, file, data, nil, nil, nil, t))
    gives({ length - 20 }, call(file.write, file, data, 11, -11, nil, t))
    gives({ length }, call(file.write, file, memory.create(data), 1, -1, 2 * length, t))
    file:close "~"
    T.eq(F.get(path) == data .. data:sub(11, -11) .. ("\0"):rep(20) .. data, true)
  end
end)

T.test("many long strings at once [60 1.2.6] [60 4.3.1]", function ()
  local file, size, count = F.open(F.fresh "long", "rwN", "rw"), 100000, T.scale(40, 10)
  local strings, done = {}, 0
  for i = 1, count do
    strings[i] = text(size - i) .. ("x"):rep(i)
    coroutine.wrap(function ()
      gives({ size }, file:write(strings[i], 1, -1, (i - 1) * size))
      done = done + 1
    end)()
  end
  L.run()
  T.eq(done, count)
  local got = memory.create(size)
  for i = 1, count do
    gives({ size }, file:read(got, 1, -1, (i - 1) * size, "~"))
    T.eq(got:tostring() == strings[i], true)
  end
  file:close "~"
end)

T.test("long strings are let go, also of writes that were given up [60 1.2.7] [00 1.6.1]", function ()
  local file = F.open(F.fresh "long", "rwN", "rw")
  local rounds, size = 8, 4000000
  T.gc()
  local before = collectgarbage "count" * 1024
  for round = 1, rounds do
    local co = T.create(function () return file:write(("x"):rep(size), 1, -1, 0) end)
    assert(coroutine.resume(co))
    if round % 2 == 0 then assert(coroutine.resume(co)) end
    L.run()
  end
  -- The threads may still be at work on those that were given up.
  for _ = 1, 1000 do
    T.gc()
    if collectgarbage "count" * 1024 < before + size then break end
    L.run()
    file:flush "~"
  end
  T.eq(collectgarbage "count" * 1024 < before + size, true)
  file:close "~"
end)

F.test("a pipe that nobody reads fails, and no signal comes [90 5.1] [60 1.2.8]", function (call, t)
  local path = F.pipe()
  local both = F.open(path, "rw")
  local writer = F.open(path, "w")
  gives({ 1 }, call(writer.write, writer, "x", nil, nil, nil, t))
  both:close "~"
  gives({ false, "broken pipe", 32 }, call(writer.write, writer, "x", nil, nil, nil, t))
  gives({ false, "broken pipe", 32 }, call(writer.write, writer, text(100000), nil, nil, nil, t))
  local source = F.open(F.file "source")
  gives({ false, "broken pipe", 32 }, call(writer.write, writer, source, 1, 6, nil, t))
  source:close "~"
  writer:close "~"
end)

local small = F.folder "small"
if F.root and F.sh("mount -t tmpfs -o size=64k tmpfs " .. F.quote(small) .. " 2>/dev/null && echo mounted") == "mounted" then
  F.test("a full disk [60 4.3.1] [60 3.2.3] [60 1.2.8]", function (call, t)
    local path, source = small .. "/file", F.file(text(200000))
    local file = F.open(path, "wN", "rw")
    gives({ 65536 }, call(file.write, file, text(100000), nil, nil, nil, t))
    gives(F.full, call(file.write, file, "x", nil, nil, nil, t))
    gives(F.full, call(system.copyfile, source, small .. "/copy", t))
    T.eq(F.exists(small .. "/copy"), false)
    file:resize(0, "~")
    local from = F.open(source)
    local empty = F.open(path, "w")
    gives({ 65536 }, call(empty.write, empty, from, 1, 200000, nil, t))
    gives(F.full, call(empty.write, empty, from, 1, 1, nil, t))
    for _, each in ipairs { file, empty, from } do each:close "~" end
    gives({ true }, call(system.removefile, path, t))
    -- One that was there before stays.
    F.put(path, "old")
    gives(F.full, call(system.copyfile, source, path, t))
    T.eq(F.exists(path), true)
    gives({ true }, call(system.removefile, path, t))
  end)
end
F.sh("umount -l " .. F.quote(small) .. " 2>/dev/null")

if T.interpreter() and F.sh "ls /proc/$PPID/task" ~= "" then
  T.test("threads are started when they are needed, and no more than the variable says [90 5.4] [60 1.2.6] [90 1.7]", function ()
    local out, status = F.child("env UV_THREADPOOL_SIZE=3", string.format([[
      local system = require "coutil.system"
      local memory = require "memory"
      local function threads()
        local pipe = io.popen "ls /proc/$PPID/task | wc -l"
        local count = pipe:read "*n"
        pipe:close()
        return count
      end
      local file = assert(system.openfile(%q, "r~"))
      local got = memory.create(4)
      file:read(got, 1, -1, 0, "~")
      system.random(got, 1, -1, "~")
      local before = threads()
      local pipe = assert(system.openfile(%q, "rw~"))
      for i = 1, 8 do coroutine.wrap(function () pipe:read(got) end)() end
      -- The others have to be there before the first one is done.
      pipe:write("12345678", 1, 1, nil, "~")
      system.run "step"
      local after = threads()
      io.write(before, " ", after <= 1 + 3 and after > 1 and "few" or after)
      pipe:write("12345678", 1, 7, nil, "~")
      os.exit(0)
    ]], F.file "text", F.pipe()))
    T.eq(status, 0)
    T.eq(out, "1 few")
  end)
end

if T.interpreter() then
  T.test("the end of a state waits for writes that have begun, and for nothing else [00 1.6.5] [90 1.1]", function ()
    local path, pipe = F.file "", F.pipe()
    local body = [[
      local system = require "coutil.system"
      local memory = require "memory"
      local file = assert(system.openfile(%q, "w~"))
      local pipe = assert(system.openfile(%q, "rw~"))
      local got = memory.create(4)
      %s
      for i = 1, 8 do
        coroutine.wrap(function () file:write((tostring(i)):rep(2000000), 1, -1, 0) end)()
      end
      io.write "end"
    ]]
    for _, first in ipairs { "", "for i = 1, 8 do coroutine.wrap(function () pipe:read(got) end)() end" } do
      local out, status = F.child("timeout 100", string.format(body, path, pipe, first))
      T.eq(out, "end")
      T.eq(status, 0)
    end
    local written = F.get(path)
    T.eq(written == "" or written == written:sub(1, 1):rep(2000000) or #written == 2000000, true)
  end)
end

T.test("each group of information is one step, and who gives up does not go on [60 3.13.6] [60 3.13.7]", function ()
  local path = F.file "text"
  local got
  coroutine.wrap(function () got = T.pack(system.fileinfo(path, "p@B=?")) end)()
  L.run()
  T.same(got, { path, F.sh("stat -f -c %T --", path) ~= "" and got[2] or nil, 4, nil, "file", n = 5 })
  -- Given up at different times.
  for passes = 0, 4 do
    local ended
    local co = T.create(function () ended = T.pack(system.fileinfo(path, "p@B=?")) end)
    assert(coroutine.resume(co))
    for _ = 1, passes do
      if not ended then system.run "ready" end
    end
    if not ended then
      assert(coroutine.resume(co, "enough", nil))
      T.same(ended, { "enough", nil, n = 2 })
    end
    L.run()
  end
end)

F.done()
