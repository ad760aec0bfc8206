-- Calls with `~`: they work anywhere, never suspend, resume nobody and leave the loop alone.

local T = require "testing"
local L = require "loop_testing"
local F = require "file_testing"
local memory = require "memory"
local system = require "coutil.system"
local run, suspend = system.run, system.suspend
local pack, gives = T.pack, F.gives

-- Every function and method once, with its result. On 5.1 too, whoever calls it.
local function everything()
  local d, m = F.dir, memory.create(4)
  local a, b, c = F.fresh(), F.fresh(), F.fresh()
  local file = assert(system.openfile(a, "~rwN", "rwR"))
  gives({ 4 }, file:write("text", 1, -1, nil, "~"))
  gives({ 4 }, file:read(m, 1, -1, 0, "~"))
  T.eq(m:tostring(), "text")
  gives({ 0 }, file:read(m, 1, -1, nil, "~"))
  gives({ true }, file:resize(2, "~"))
  gives({ true }, file:flush "~")
  gives({ true }, file:flush "d~")
  gives({ true }, file:touch("~am", 1, 2))
  gives({ true }, file:own(-1, -1, "~"))
  gives({ true }, file:grant("rw", "~"))
  gives({ "file", 2, 2 }, file:info "~?Bm")
  local other = assert(system.openfile(a, "~"))
  gives({ 2 }, file:write(other, 1, 2, nil, "~"))
  gives({ true }, other:close "~")
  gives({ true }, file:close "~~~")
  gives({ "file" }, system.fileinfo(a, "~?"))
  gives({ a, nil, n = 2 }, system.fileinfo(a, "~~p="))
  gives({ true }, system.touchfile(a, "~b", 7))
  gives({ true }, system.ownfile(a, -1, -1, "~"))
  gives({ true }, system.grantfile(a, "rwx", "~"))
  gives({ true }, system.copyfile(a, b, "~"))
  gives({ true }, system.movefile(b, c, "~~"))
  gives({ true }, system.linkfile(a, b, "~s~"))
  gives({ true }, system.makedir(c .. "d", "rwx", "~"))
  local found = 0
  for name, kind in system.listdir(d, "~") do
    if d .. "/" .. name == c .. "d" then T.eq(kind, "directory"); found = found + 1 end
  end
  T.eq(found, 1)
  gives({ true }, system.removefile(c .. "d", "~d"))
  local temporary, object = system.maketemp(c, "~fo")
  gives({ true }, object:close "~")
  for _, path in ipairs { a, b, c, temporary } do gives({ true }, system.removefile(path, "~")) end
  gives({ m, n = 1 }, system.random(m, 1, -1, "~"))
  return "all"
end

T.test("in the main thread [60 1.1.1] [00 2.2]", function () T.eq(everything(), "all") end)

T.test("in coroutines, also where they cannot yield [60 1.1.1] [00 2.2] [00 1.4.5]", function ()
  T.eq(T.inside(everything), "all")
  T.eq(T.inside(function () return select(2, assert(pcall(everything))) end), "all")
  local got
  T.inside(string.gsub, "x", "x", function () got = everything() end)
  T.eq(got, "all")
  got = nil
  table.sort({ 2, 1 }, function (a, b) got = got or everything(); return a < b end)
  T.eq(got, "all")
  local object = setmetatable({}, { __index = function () return everything() end, __concat = everything })
  T.eq(object.x, "all")
  T.eq(object .. object, "all")
  T.eq(T.inside(function () return object.x end), "all")
  local iterated = 0
  for all in everything do
    iterated = iterated + 1
    if iterated == 3 then T.eq(all, "all") break end
  end
end)

T.test("in a coroutine that the loop resumes [60 1.1.1] [00 2.2]", function ()
  local got = {}
  T.start(function () suspend(); got[1] = everything() end)
  T.start(function () system.openfile("/dev/null"); got[2] = everything() end)
  T.start(function () suspend(.001); got[3] = everything(); suspend(); got[4] = everything() end)
  L.run()
  T.same(got, { "all", "all", "all", "all" })
end)

T.test("nobody is resumed, and the loop is left alone [60 1.1.1] [00 2.2]", function ()
  local resumed = 0
  local path, m = F.file "text", memory.create(4)
  local file = F.open(path)
  T.start(function () suspend(); resumed = resumed + 1 end)
  T.start(function () T.eq(file:read(m, 1, -1, 0), 4); resumed = resumed + 1 end)
  T.start(function () T.eq(system.fileinfo(path, "B"), 4); resumed = resumed + 1 end)
  local time = system.time()
  for _ = 1, T.scale(50, 3) do everything() end
  T.eq(resumed, 0)
  T.eq(m:tostring(), "\0\0\0\0")
  T.eq(system.isrunning(), false)
  T.eq(system.time(), time)
  L.run()
  T.eq(resumed, 3)
  T.eq(m:tostring(), "text")
  file:close "~"
end)

T.test("a blocking call on a file that others wait for [60 1.2.6] [60 1.1.1]", function ()
  local file, m = F.open(F.file "0123456789", "rw"), memory.create(4)
  local w = T.waiter(file.read, file, m, 1, -1, 2)
  local n = memory.create(3)
  gives({ 3 }, file:read(n, 1, -1, 7, "~"))
  T.eq(n:tostring(), "789")
  gives({ 10 }, file:info "~B")
  L.run()
  T.same(w.got, { 4 })
  T.eq(m:tostring(), "2345")
  w = T.waiter(file.read, file, m, 1, -1, 2)
  gives({ true }, file:close "~") -- the read had its chance or not
  L.run()
  if w.got[1] then
    T.same(w.got, { 4 })
  else
    T.same(w.got, F.badfd)
  end
end)

T.test_child("without any loop, and while the state closes [60 1.1.1] [60 4.2]", function ()
  local path = F.fresh()
  T.eq(F.child("", ([[
    local system = require "coutil.system"
    local file = assert(system.openfile(%q, "~wN", "rw"))
    last = setmetatable({}, { __gc = function () pcall(file.write, file, "last", 1, -1, nil, "~") end }) -- not on 5.1
    assert(file:write("first", 1, -1, nil, "~"))
    io.write(system.fileinfo(%q, "~B"))
  ]]):format(path, path)), "5")
  local text = F.get(path)
  T.eq(text == "first" or text == "firstlast", true)
end)

-- What the awaiting form does instead -----------------------------------------------------------

T.test("without it each call suspends once or more, yields nothing, and ends in the loop [60 1.1.1] [60 1.2.6] [00 1.1.1] [50 0.2.1]", function ()
  local a, b = F.file "text", F.fresh()
  local file, m = F.open(a, "rw"), memory.create(4)
  local closing = F.open(a)
  local calls = { pack(system.openfile, a), pack(file.read, file, m), pack(file.write, file, "more"), pack(file.resize, file, 4),
    pack(file.flush, file), pack(file.touch, file, "b", 5), pack(file.own, file, -1, -1), pack(file.grant, file, "rw"),
    pack(file.info, file, "?"), pack(closing.close, closing), pack(system.linkfile, a, b), pack(system.copyfile, a, b .. "x"),
    pack(system.movefile, b .. "x", b .. "y"), pack(system.removefile, b .. "y"), pack(system.makedir, b .. "d", 511), pack(system.maketemp, b),
    pack(system.listdir, F.dir), pack(system.touchfile, a, ""), pack(system.ownfile, a, -1, -1), pack(system.grantfile, a, "rwx"),
    pack(system.fileinfo, a, "?@p="), pack(system.openfile, F.fresh()), pack(system.random, m) }
  for i, call in ipairs(calls) do
    local got
    local co = T.create(function () got = pack(call[1](T.unpack(call, 2, call.n))) end)
    T.returns({ true }, coroutine.resume, co)
    T.eq(coroutine.status(co), "suspended", "call " .. i)
    T.eq(got, nil)
    L.run()
    T.eq(coroutine.status(co), "dead")
    T.eq(got[1] == false, i == 22, "call " .. i)
  end
  file:close "~"
end)

F.done()
