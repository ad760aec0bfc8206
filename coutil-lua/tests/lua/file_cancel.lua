-- Operations on files that are abandoned: in the sequences that all await functions go through, and what they leave behind;
-- buffers that change meanwhile, and many operations at a time on one file.

local T = require "testing"
local L = require "loop_testing"
local F = require "file_testing"
local M = require "memory_testing"
local C = require "cancel_testing"
local memory = require "memory"
local system = require "coutil.system"
local run, suspend = system.run, system.suspend
local pack, gives = T.pack, F.gives

-- The sequences ---------------------------------------------------------------------------------

-- Two configurations of a call: `make(watch)` gives the function that awaits and a check of its results.
local function operation(name, make)
  return { name, function (watch)
    local list = {}
    for i = 1, 2 do
      local await, check = make(watch)
      list[i] = { await = await, check = check or function (got) T.same(got, { true }) end }
    end
    return list
  end }
end

local function opened(watch, text, mode) return watch(F.open(F.file(text), mode)) end
local function returned(...)
  local want = pack(...)
  return function (got) T.same(got, want) end
end

local operations = {
  operation("openfile", function (watch)
    local path = F.file "x"
    return function () return system.openfile(path, "rw") end, function (got) T.eq(got.n, 1); watch(got[1]):close "~" end
  end),
  operation("openfile of nothing", function ()
    local path = F.fresh()
    return function () return system.openfile(path) end, returned(false, "no such file or directory", 2)
  end),
  operation("maketemp", function (watch)
    local prefix = F.fresh()
    return function () return system.maketemp(prefix, "of") end, function (got)
      T.eq(got.n, 2)
      watch(got[1]):close "~"
      T.eq(os.remove(got[2]), true)
    end
  end),
  operation("read", function (watch)
    local file, m = opened(watch, "text", "r"), watch(memory.create "....")
    return function () return file:read(m) end, function (got) T.same(got, { 4 }); T.eq(m:tostring(), "text") end
  end),
  operation("write", function (watch)
    local file = opened(watch, "....", "w")
    return function () return file:write("text", 1, -1, 0) end, returned(4)
  end),
  operation("write from a file", function (watch)
    local file, source = opened(watch, "", "w"), opened(watch, "text", "r")
    return function () return file:write(source, 1, 4) end, returned(4)
  end),
  operation("resize", function (watch)
    local file = opened(watch, "text", "w")
    return function () return file:resize(2) end
  end),
  operation("flush", function (watch)
    local file = opened(watch, "text", "w")
    return function () return file:flush() end
  end),
  operation("touch", function (watch)
    local file = opened(watch, "text", "r")
    return function () return file:touch("b", 5) end
  end),
  operation("info", function (watch)
    local file = opened(watch, "text", "r")
    return function () return file:info "?B" end, returned("file", 4)
  end),
  operation("fileinfo", function ()
    local path = F.file "text"
    return function () return system.fileinfo(path, "=?@pB") end, function (got) T.eq(got.n, 5); T.eq(got[5], 4) end
  end),
  operation("listdir", function (watch)
    local d = F.folder()
    F.put(d .. "/x", "")
    return function () return system.listdir(d) end, function (got) T.eq(got.n, 4); gives({ "x", "file" }, watch(got[1])()) end
  end),
  operation("copyfile", function ()
    local path, other = F.file "text", F.fresh()
    return function () return system.copyfile(path, other) end
  end),
  operation("makedir", function ()
    return function () return system.makedir(F.fresh(), 511) end
  end),
  operation("grantfile", function ()
    local path = F.file "text"
    return function () return system.grantfile(path, "rw") end
  end),
  operation("random", function (watch)
    local m = watch(memory.create(8))
    return function () return system.random(m) end, returned(m)
  end),
}

C.sequences(operations, "ipv4")
C.further(operations, "ipv4")

-- close -----------------------------------------------------------------------------------------

T.test("a file counts as closed from the call on [60 4.1.1] [60 1.2.7]", function ()
  for _, abandon in ipairs { false, true } do
    local file = F.open(F.file "x", "rw")
    local w = T.waiter(file.close, file)
    T.eq(w.got, nil)
    if abandon then
      T.resume(w.co, "enough")
      T.same(w.got, { "enough" })
    end
    for _ = 1, 2 do
      T.raises("(closed file)", file.info, file, "~?")
      T.raises("(closed file)", file.close, file, "~")
      T.raises("(closed file)", file.write, file, "x", 1, -1, 0, "~")
      T.eq(L.fails(file.flush, file), "bad argument #1 to '?' (closed file)")
      L.run()
    end
    T.same(w.got, { abandon and "enough" or true })
  end
end)

T.test("others are at work on a file that gets closed [60 4.1.1] [60 1.2.6]", function ()
  for _ = 1, T.scale(20, 3) do
    local path = F.file(("x"):rep(1000))
    local file, list = F.open(path, "rw"), {}
    for i = 1, 10 do
      local m = memory.create(("."):rep(100))
      list[i] = { T.waiter(file.read, file, m, 1, -1, 100), 100, m }
      list[10 + i] = { T.waiter(file.write, file, "xx", 1, -1, i), 2 }
      list[20 + i] = { T.waiter(file.info, file, "B"), 1000, raises = true }
    end
    local closing = T.waiter(file.close, file)
    L.run()
    T.same(closing.got, { true })
    for _, one in ipairs(list) do
      local got = one[1].got
      if one.raises then
        if got then T.same(got, { one[2] }) end
      elseif got[1] then
        T.same(got, { one[2] })
        if one[3] then T.eq(one[3]:tostring(), ("x"):rep(100)) end
      else
        T.same(got, F.badfd)
        if one[3] then T.eq(one[3]:tostring(), ("."):rep(100)) end
      end
    end
    for _, report in ipairs(T.reports()) do T.eq(tostring(report.err):find("bad file descriptor", 1, true) ~= nil, true) end
    T.eq(F.get(path), ("x"):rep(1000))
  end
end)

-- What is left behind ---------------------------------------------------------------------------

T.test_child("abandoned openings close their descriptors [60 1.2.7] [00 1.3.3] [50 0.2.2]", function ()
  local path = F.file "x"
  for passes = 0, 1 do
    T.eq(F.child("ulimit -n 60;", ([[
      local system, path, passes = require "coutil.system", %q, %d
      for i = 1, %d do
        local cos = {}
        for k = 1, 8 do
          cos[k] = coroutine.create(function ()
            if k %% 2 == 0 then return system.openfile(path) end
            return system.maketemp(path, "o")
          end)
          assert(coroutine.resume(cos[k]))
        end
        if passes > 0 then system.run "ready" end
        for k = 1, 8 do if coroutine.status(cos[k]) == "suspended" then assert(coroutine.resume(cos[k])) end end
        cos = nil
        if system.run() then io.write "still waiting" end
        if passes > 0 then collectgarbage() end -- those that came first
      end
      io.write(type(assert(system.openfile(path, "~"))))
    ]]):format(path, passes, T.scale(200, 20))), "userdata")
  end
end)

T.test_child("the state closes with operations pending [60 1.2.7] [60 4.2] [00 1.6.5]", function ()
  local path = F.file(("x"):rep(100000))
  for passes = 0, 1 do
    T.eq(F.child("", ([[
      local system, memory, path = require "coutil.system", require "memory", %q
      system.onerror(function () end) -- whoever asks about a file that gets closed
      local function go(f) coroutine.wrap(function () f(); io.write(%d == 0 and "resumed" or "") end)() end
      for i = 1, 10 do
        local file, m = assert(system.openfile(path, "~rw")), memory.create()
        m:resize(100000)
        go(function () file:read(m) end)
        go(function () file:write(m, 1, -1, 0) end)
        go(function () file:info "?" end)
        go(function () system.openfile(path) end)
        go(function () system.maketemp(path, "of") end)
        go(function () system.listdir "/" end)
        go(function () system.fileinfo(path, "?@p=") end)
        go(function () system.random(m) end)
        go(function () file:close() end)
        if i %% 2 == 0 then m:resize(0) end
      end
      if %d > 0 then system.run "ready" end
      io.write "closing"
    ]]):format(path, passes, passes)), "closing")
  end
end)

T.test("one collection also clears what was abandoned [60 1.2.7] [50 0.2.4] [00 1.6.1]", function ()
  local path, before = F.file "text", F.descriptors()
  T.eq(L.swept(function (watch)
    for i = 1, 10 do
      local file, m = watch(F.open(path, "rw")), watch(M.resizable "....")
      local co = watch(T.start(function ()
        watch(pack(file:read(m, 1, -1, 0)))
        watch(pack(file:write(m, 1, -1, 0)))
        watch(pack(file:info "?"))
      end))
      for _ = 1, i % 4 do if coroutine.status(co) == "suspended" then T.resume(co, watch {}) end end
    end
    L.run()
  end), true)
  for _ = 1, 1000 do -- what was abandoned may still be at work
    if F.descriptors() == before then break end
  end
  T.eq(F.descriptors(), before)
end)

T.test("a file in use is kept by who waits [60 4.2] [00 1.6.1]", function ()
  local got, m = {}, memory.create(4)
  T.scope(function ()
    local file = F.open(F.file "text", "rw")
    T.start(function ()
      got[1] = file:read(m)
      got[2] = file:info "B"
      got[3] = file:close()
    end)
  end)
  T.gc()
  L.run()
  T.same(got, { 4, 4, true })
  T.eq(m:tostring(), "text")
end)

T.test("who is ended before it started leaves things as they were, or did all of it [60 1.2.7]", function ()
  for _ = 1, T.scale(20, 4) do
    local a, b = F.file "text", F.fresh()
    for _, call in ipairs { pack(system.makedir, b .. "d", 511), pack(system.movefile, a, b), pack(system.grantfile, b, "rwx") } do
      local w = T.waiter(call[1], T.unpack(call, 2, call.n))
      T.resume(w.co, 1, nil, 3)
      T.same(w.got, { 1, nil, 3, n = 3 })
      L.run()
      T.same(w.got, { 1, nil, 3, n = 3 })
    end
    T.eq(F.exists(a) or F.exists(b), true) -- in this order, as the move may still be at work
  end
end)

-- Buffers that change meanwhile -----------------------------------------------------------------

T.test("a buffer that shrinks, grows or is freed during a read [60 1.2.7] [90 1.8] [70 6.4.4] [50 0.2.5]", function ()
  for _, size in ipairs { 0, 1, 2, 3, 6, 9, 10, 50000 } do
    for _, when in ipairs { "before", "in the loop", "abandoned" } do
      local file, m = F.open(F.file "0123456789"), M.resizable ".........."
      local w = T.waiter(file.read, file, m, 3, 9)
      if when == "abandoned" then T.resume(w.co, "enough") end
      if when == "in the loop" then T.start(function () suspend(); m:resize(size, "+") end) else m:resize(size, "+") end
      T.gc()
      L.run()
      local full = ".........." .. ("+"):rep(math.max(size - 10, 0))
      if when == "abandoned" then
        T.same(w.got, { "enough" })
        T.eq(m:tostring() == full:sub(1, size), true) -- [70 6.4.4]
      else
        T.eq(w.got[1], math.max(math.min(size, 9) - 2, 0), "size " .. size)
        local text = ("..0123456" .. full:sub(10)):sub(1, size)
        T.eq(m:tostring() == text, true, when .. " " .. size)
      end
      file:close "~"
    end
  end
end)

T.test("data is taken at the call [60 4.3.1] [70 6.4.4] [50 0.2.5]", function ()
  for _, size in ipairs { 0, 1, 5, 10, 50000 } do
    local path = F.file ""
    local file, m, n = F.open(path, "w"), M.resizable "0123456789", memory.create "0123456789"
    local w = T.waiter(file.write, file, m, 3, -2, 0)
    local v = T.waiter(file.write, file, n, 3, -2, 7)
    m:resize(size)
    m:fill("x", 1, -1)
    n:fill("x", 1, -1)
    T.gc()
    L.run()
    T.same(w.got, { 7 })
    T.same(v.got, { 7 })
    T.eq(F.get(path), "23456782345678")
    file:close "~"
  end
end)

-- Many at a time --------------------------------------------------------------------------------

T.test("many readers and writers with offsets on one file [60 1.2.6] [60 4.2.3] [60 4.3.2]", function ()
  local n = T.scale(200, 10)
  local path = F.file ""
  local file, done = F.open(path, "rw"), 0
  for i = 1, n do
    T.start(function ()
      local text, m = ("%05d"):format(i), memory.create(5)
      T.eq(file:write(text, 1, -1, (i - 1) * 5), 5)
      T.eq(file:read(m, 1, -1, (i - 1) * 5), 5)
      T.eq(m:tostring(), text)
      T.eq(file:info "B" >= i * 5, true)
      done = done + 1
    end)
  end
  L.run()
  T.eq(done, n)
  local want = {}
  for i = 1, n do want[i] = ("%05d"):format(i) end
  L.eqtext(F.get(path), table.concat(want))
  T.eq(file:info "~B", 5 * n)
  file:close "~"
end)

T.test("many readers without offsets share the file among them [60 1.2.6] [60 4.2.3]", function ()
  local n, seen, ends = T.scale(300, 20), {}, 0
  local text = {}
  for i = 1, n do text[i] = ("%05d"):format(i) end
  local file = F.open(F.file(table.concat(text)))
  for _ = 1, n + 10 do
    T.start(function ()
      local m = memory.create(5)
      local got = file:read(m)
      if got == 0 then ends = ends + 1 return end
      T.eq(got, 5)
      T.eq(seen[m:tostring()], nil)
      seen[m:tostring()] = true
    end)
  end
  L.run()
  T.eq(ends, 10)
  for i = 1, n do T.eq(seen[text[i]], true) end
  file:close "~"
end)

T.test("many that append [60 1.2.6] [60 3.12.2]", function ()
  local n, path = T.scale(200, 10), F.file ""
  local one, two = F.open(path, "a"), F.open(path, "ra")
  for i = 1, n do
    T.start(function () T.eq((i % 2 == 0 and one or two):write(("%05d\n"):format(i), 1, -1, i % 3 == 0 and 0 or nil), 6) end)
  end
  L.run()
  local lines = {}
  for line in F.get(path):gmatch "(%d%d%d%d%d)\n" do lines[#lines + 1] = tonumber(line) end
  table.sort(lines)
  T.eq(#lines, n)
  for i = 1, n do T.eq(lines[i], i) end
  one:close "~"
  two:close "~"
end)

T.test("one coroutine does one thing after the other [60 1.2.6]", function ()
  local finished = 0
  for i = 1, T.scale(50, 5) do
    T.start(function ()
      local path, m = F.dir .. "/seq" .. i, memory.create(10)
      local file = assert(system.openfile(path, "rwN", "rwR"))
      T.eq(file:write("0123456789"), 10)
      T.eq(file:resize(7), true)
      T.eq(file:read(m, 1, -1, 0), 7)
      T.eq(m:tostring(1, 7), "0123456")
      T.eq(file:close(), true)
      T.eq(system.movefile(path, path .. "b"), true)
      T.eq(system.fileinfo(path .. "b", "B"), 7)
      T.eq(system.removefile(path .. "b"), true)
      T.eq((system.openfile(path .. "b")), false)
      finished = finished + 1
    end)
  end
  L.run()
  T.eq(finished, T.scale(50, 5))
end)

F.done()
