-- The order of the checks of functions and methods on files, with texts and positions, and that who fails changes nothing.

local T = require "testing"
local L = require "loop_testing"
local F = require "file_testing"
local E = require "error_testing"
local memory = require "memory"
local system = require "coutil.system"
local run, pack, unpack = system.run, T.pack, T.unpack

local path, m = F.file "contents", memory.create(4)
local file, closed = F.open(path, "rw"), F.open(path)
closed:close "~"
local before = F.state(path)

local function argument(name, n, text) return "bad argument #" .. n .. " to 'coutil.system." .. name .. "' (" .. text .. ")" end

-- In the main thread, and in a coroutine: a number and a text are those of an argument, a text alone is the whole.
local function expected(name, want) return type(want) == "table" and argument(name, want[1], want[2]) or want end
local function main(want, name, ...) T.eq(L.message(system[name], ...), expected(name, want), name) end
local function inside(want, name, ...) T.eq(L.fails(system[name], ...), expected(name, want), name) end
local function everywhere(...) main(...); inside(...) end

local yield = "unable to yield"
local function str(n, got) return { n, "string expected, got " .. got } end
local function num(n, got) return { n, "number expected, got " .. got } end
local function char(c, n) return (n and "bad argument #" .. n .. ", " or "") .. "unknown mode char (got '" .. c .. "')" end
local function perm(c, n) return "bad argument #" .. n .. ", unknown perm char (got '" .. c .. "')" end
local integral = "number has no integer representation"

-- Functions -------------------------------------------------------------------------------------

T.test("linkfile, copyfile, movefile: mode, yieldable, both paths [60 1.1.4] [60 5.1] [00 1.4.4] [60 1.1.5]", function ()
  for name, n in pairs { linkfile = 3, copyfile = 3, movefile = 0 } do
    everywhere(str(3, "table"), name, {}, {}, {})
    everywhere(str(3, "boolean"), name, nil, nil, true)
    everywhere(char("x", n > 0 and n or nil), name, {}, {}, "x")
    for _, args in ipairs { pack(), pack({}, {}), pack({}, {}, ""), pack(path, path), pack(path, nil, nil) } do
      main(yield, name, unpack(args, 1, args.n))
    end
    inside(str(1, "table"), name, {}, {})
    inside(str(1, "nil"), name, nil, {})
    inside(str(2, "table"), name, "x", {})
    inside(str(2, "boolean"), name, 1, false, nil)
    everywhere(str(1, "table"), name, {}, {}, "~")
    everywhere(str(1, "nil"), name, nil, nil, "~")
    everywhere(str(2, "table"), name, path, {}, "~")
    everywhere(str(2, "nil"), name, path, nil, "~")
    T.eq(L.fails(system[name]):find("string expected", 1, true) ~= nil, true)
    T.eq(L.fails(system[name], path):find("#2.*string expected") ~= nil, true)
  end
end)

T.test("removefile: mode, yieldable, path [60 1.1.4] [60 5.1]", function ()
  everywhere(str(2, "table"), "removefile", {}, {})
  everywhere(char("x", 2), "removefile", {}, "dx")
  for _, args in ipairs { pack(), pack({}), pack(path), pack(path, "d"), pack({}, "") } do main(yield, "removefile", unpack(args, 1, args.n)) end
  inside(str(1, "table"), "removefile", {}, "d")
  inside(str(1, "boolean"), "removefile", true)
  everywhere(str(1, "table"), "removefile", {}, "~d")
  everywhere(str(1, "nil"), "removefile", nil, "d~")
end)

T.test("makedir: mode, yieldable, path, permissions [60 1.1.4] [60 1.3.9] [60 5.1]", function ()
  everywhere(str(3, "table"), "makedir", {}, {}, {})
  everywhere(char "d", "makedir", {}, {}, "~d")
  for _, args in ipairs { pack(), pack({}), pack({}, {}), pack(path, "z"), pack(path, "z", "") } do
    main(yield, "makedir", unpack(args, 1, args.n))
  end
  inside(str(1, "table"), "makedir", {}, {})
  everywhere(str(1, "table"), "makedir", {}, "z", "~")
  inside(num(2, "table"), "makedir", path, {})
  inside(perm("z", 2), "makedir", path, "rz")
  inside({ 2, integral }, "makedir", path, .5)
  everywhere(num(2, "nil"), "makedir", path, nil, "~")
  everywhere(perm("6", 2), "makedir", path, "644", "~")
  everywhere(num(2, "boolean"), "makedir", path, false, "~")
  T.eq(L.fails(system.makedir, path):find("#2.*number expected") ~= nil, true)
end)

T.test("maketemp: prefix, mode, the length, the letters, yieldable [60 3.6.1] [60 5.1] [00 1.4.4]", function ()
  local long = ("x"):rep(250)
  everywhere(str(1, "table"), "maketemp", {}, {})
  everywhere(str(1, "nil"), "maketemp", nil, "z")
  T.eq(L.message(system.maketemp):find("#1.*string expected, got n") ~= nil, true)
  everywhere(str(2, "table"), "maketemp", long, {})
  for _, mode in ipairs { "", "z", "f~", "~", "~z", "fo" } do
    everywhere({ 1, "too long" }, "maketemp", long, mode)
    everywhere({ 1, "too long" }, "maketemp", long .. long, mode)
  end
  everywhere({ 1, "too long" }, "maketemp", long)
  everywhere(char("z", 2), "maketemp", long:sub(2), "z")
  main(yield, "maketemp", long:sub(2))
  main(yield, "maketemp", "nowhere/x", "fo")
  main(yield, "maketemp", 1, "")
end)

T.test("listdir: path, mode, yieldable [60 5.1] [60 3.7.1] [00 1.4.3]", function ()
  everywhere(str(1, "table"), "listdir", {}, {})
  everywhere(str(1, "boolean"), "listdir", false, "z")
  T.eq(L.message(system.listdir):find("#1.*string expected, got n") ~= nil, true)
  everywhere(str(1, "table"), "listdir", {}, "~")
  everywhere(str(2, "table"), "listdir", "nowhere", {})
  everywhere(char "z", "listdir", "nowhere", "~z")
  main(yield, "listdir", "nowhere")
  main(yield, "listdir", F.dir, "")
  for _ = 1, 20 do main(yield, "listdir", F.dir) end
  T.gc() -- nothing half made is left
end)

T.test("touchfile: mode, its times and letters in turn, yieldable, path [60 5.1] [60 3.8.4] [60 3.8.3] [60 1.1.4]", function ()
  everywhere(str(2, "table"), "touchfile", {}, {})
  everywhere(str(2, "nil"), "touchfile", {}, nil)
  everywhere(num(3, "table"), "touchfile", {}, "x", {}) -- the time of a letter comes before the letter
  everywhere(num(3, "string"), "touchfile", {}, "a~x", "now")
  everywhere({ 3, "invalid time" }, "touchfile", {}, "x", -1)
  everywhere({ 3, "invalid time" }, "touchfile", {}, "ax", -.5, {})
  everywhere(num(4, "nil"), "touchfile", {}, "ax", 1, nil)
  everywhere(char("x", 4), "touchfile", "x", "ax", 1, 1)
  everywhere(char("x", 4), "touchfile", {}, "axm", 1, 1, {})
  everywhere({ 5, "invalid time" }, "touchfile", {}, "~lamb", 1, 1, T.nan)
  everywhere(num(4, "boolean"), "touchfile", {}, "lam", 1, true)
  everywhere(num(3, "nil"), "touchfile", {}, "~a", nil)
  T.eq(L.fails(system.touchfile, path, "x"):find("#3.*number expected, got n") ~= nil, true)
  T.eq(L.message(system.touchfile, path, "x"):find("#3.*number expected, got n") ~= nil, true)
  T.eq(L.message(system.touchfile, path, "~b"):find("#3.*number expected, got n") ~= nil, true)
  T.eq(L.message(system.touchfile, path):find("#2.*string expected, got n") ~= nil, true)
  for _, args in ipairs { pack({}, ""), pack({}, "l"), pack(nil, "am", 1, 2), pack(path, "b", "5"), pack(path, "", {}) } do
    main(yield, "touchfile", unpack(args, 1, args.n))
  end
  inside(str(1, "table"), "touchfile", {}, "")
  inside(str(1, "nil"), "touchfile", nil, "lb", 5)
  everywhere(str(1, "table"), "touchfile", {}, "~am", 5, 6)
end)

T.test("ownfile: mode, yieldable, path, IDs [60 3.9.1] [60 1.1.4]", function ()
  everywhere(str(4, "table"), "ownfile", {}, {}, {}, {})
  everywhere(char("x", 4), "ownfile", {}, {}, {}, "lx~")
  for _, args in ipairs { pack(), pack({}), pack(path, {}), pack(path, -1, -1), pack(path, 1, 2 ^ 33, "l"), pack({}, {}, {}, "") } do
    main(yield, "ownfile", unpack(args, 1, args.n))
  end
  inside(str(1, "table"), "ownfile", {}, {}, {})
  inside(num(2, "table"), "ownfile", path, {}, {})
  inside(num(3, "string"), "ownfile", path, -1, "root", "l")
  inside({ 2, integral }, "ownfile", path, .5, {})
  everywhere(str(1, "table"), "ownfile", {}, {}, {}, "~")
  everywhere(num(2, "table"), "ownfile", path, {}, {}, "~l")
  everywhere(num(2, "nil"), "ownfile", path, nil, nil, "~l")
  everywhere(num(3, "nil"), "ownfile", path, -1, nil, "~")
  everywhere(num(3, "boolean"), "ownfile", path, -1, false, "l~")
  everywhere({ 3, integral }, "ownfile", path, -1, -1.5, "l~")
  T.eq(L.fails(system.ownfile, path):find("#2.*number expected") ~= nil, true)
  T.eq(L.fails(system.ownfile, path, -1):find("#3.*number expected") ~= nil, true)
end)

T.test("grantfile: permissions, mode, yieldable, path [60 3.10.1] [60 1.3.9] [60 5.1]", function ()
  everywhere(num(2, "table"), "grantfile", {}, {}, {})
  everywhere(num(2, "nil"), "grantfile", {}, nil, "x")
  everywhere(perm("z", 2), "grantfile", {}, "rz", {})
  everywhere({ 2, integral }, "grantfile", {}, .5, "x")
  everywhere(str(3, "table"), "grantfile", {}, 0, {})
  everywhere(char "r", "grantfile", {}, "r", "~r")
  T.eq(L.message(system.grantfile, path):find("#2.*number expected") ~= nil, true)
  main(yield, "grantfile", {}, "r")
  main(yield, "grantfile", path, 0, "")
  inside(str(1, "table"), "grantfile", {}, "r")
  everywhere(str(1, "nil"), "grantfile", nil, "r", "~")
end)

T.test("openfile: mode, permissions if they are needed, yieldable, path [60 3.12.1] [60 5.3] [60 5.1] [60 1.3.9]", function ()
  everywhere(str(2, "table"), "openfile", {}, {}, {})
  everywhere(char "z", "openfile", {}, "nz", {})
  everywhere(char "z", "openfile", {}, "zy~", {})
  for _, mode in ipairs { "n", "N", "~n", "wN~", "rwNn" } do
    everywhere(num(3, "table"), "openfile", {}, mode, {})
    everywhere(num(3, "nil"), "openfile", {}, mode, nil)
    everywhere(num(3, "boolean"), "openfile", path, mode, false)
    everywhere(perm("z", 3), "openfile", {}, mode, "rwz")
    everywhere({ 3, integral }, "openfile", {}, mode, .5)
    T.eq(L.message(system.openfile, path, mode):find("#3.*number expected, got n") ~= nil, true)
  end
  everywhere(num(3, "no value"), "openfile", {}, "~n")
  for _, mode in ipairs { "", "w", "rwatfx" } do
    for _, value in ipairs { "invalid", {}, true, .5 } do
      main(yield, "openfile", {}, mode, value)
      inside(str(1, "table"), "openfile", {}, mode, value)
      everywhere(str(1, "table"), "openfile", {}, "~" .. mode, value)
    end
  end
  main(yield, "openfile")
  main(yield, "openfile", {}, nil)
  main(yield, "openfile", {}, "n", "r")
  inside(str(1, "table"), "openfile", {}, "N", 0)
  everywhere(str(1, "nil"), "openfile", nil, "~N", 0)
  T.eq(L.fails(system.openfile):find("#1.*string expected") ~= nil, true)
end)

T.test("fileinfo: mode, letters, yieldable, path [60 3.13.2] [60 5.1] [60 1.1.4]", function ()
  everywhere(str(2, "table"), "fileinfo", {}, {})
  everywhere(char "z", "fileinfo", {}, "?z")
  everywhere(char "!", "fileinfo", {}, "~l!?")
  main(yield, "fileinfo", {}, "?")
  main(yield, "fileinfo", path, "l=")
  main(yield, "fileinfo", nil, "p")
  inside(str(1, "table"), "fileinfo", {}, "?")
  inside(str(1, "nil"), "fileinfo", nil, "l@")
  everywhere(str(1, "table"), "fileinfo", {}, "~?")
  everywhere(str(1, "nil"), "fileinfo", nil, "~")
  everywhere(str(1, "boolean"), "fileinfo", true, "~l")
  T.returns({}, system.fileinfo, {}, "")
  T.returns({}, system.fileinfo, nil, "l")
  T.returns({}, T.inside, system.fileinfo, {}, "l")
end)

-- Methods ---------------------------------------------------------------------------------------

-- Numbers are those of `file:method(...)`: 0 is the file.
T.test("the mode comes before yieldable, and that before the file [60 4.1] [60 1.1.4] [60 5.1] [00 1.4.4]", function ()
  for _, f in ipairs { file, closed } do
    for name, args in pairs { close = 0, read = 4, write = 4, resize = 1, flush = 0, own = 2 } do
      local list = { n = args + 1 }
      for i = 1, args do list[i] = {} end
      E.main_only(f, name)
      E.main_only(f, name, unpack(list, 1, args))
      E.main_only(f, name, unpack(list, 1, args + 1))
      list[args + 1] = {}
      E.everywhere(args + 1, "string expected, got table", f, name, unpack(list, 1, args + 1))
      list[args + 1] = "~z"
      if name ~= "flush" then E.everywhere(nil, "unknown mode char (got 'z')", f, name, unpack(list, 1, args + 1)) end
    end
    E.everywhere(1, "number expected, got table", f, "grant", {}, {})
    E.everywhere(1, "number expected, got nil", f, "grant", nil, "z")
    E.everywhere(nil, "bad argument #2, unknown perm char (got 'z')", f, "grant", "z", {})
    E.everywhere(2, "string expected, got table", f, "grant", "r", {})
    E.everywhere(nil, "unknown mode char (got 'z')", f, "grant", "r", "z")
    E.main_only(f, "grant", "r")
    E.everywhere(2, "number expected, got table", f, "touch", "x", {})
    E.everywhere(2, "invalid time", f, "touch", "~x", -1)
    E.everywhere(3, "invalid time", f, "touch", "am", 1, -1)
    E.everywhere(nil, "bad argument #4, unknown mode char (got 'x')", f, "touch", "ax", 1, 1)
    E.everywhere(nil, "bad argument #4, unknown mode char (got 'l')", f, "touch", "al", 1, 1)
    E.main_only(f, "touch", "")
    E.main_only(f, "touch", "b", 5)
    E.everywhere(1, "string expected, got table", f, "info", {})
    E.everywhere(nil, "unknown mode char (got 'z')", f, "info", "~?z")
    E.main_only(f, "info", "?")
    E.main_only(f, "info", "")
  end
  T.eq(run(), false)
end)

T.test("a closed file comes before the other arguments [60 4.1]", function ()
  local function shut(name, ...) E.inside(0, "closed file", closed, name, ...) end
  local function blocking(name, ...) E.everywhere(0, "closed file", closed, name, ...) end
  shut "close"
  shut("read", {}, {}, {}, {})
  shut "read"
  shut("write", {}, {}, {}, {})
  shut("write", file)
  shut("resize", {})
  shut "flush"
  shut("own", {}, {})
  shut("grant", "r")
  shut("touch", "am", 1, 2)
  shut("info", "?")
  shut("info", "")
  blocking("close", "~")
  blocking("read", {}, {}, {}, {}, "~")
  blocking("write", {}, {}, {}, {}, "~")
  blocking("resize", {}, "~")
  blocking("flush", "~d")
  blocking("own", {}, {}, "~")
  blocking("grant", 0, "~")
  blocking("touch", "~")
  blocking("info", "~")
end)

T.test("read: the offset, the buffer, then i and j [60 4.2.1] [60 4.2.3] [50 0.3.1] [50 0.3.2]", function ()
  for _, tilde in ipairs { "", "~" } do
    local check = tilde == "" and E.inside or E.everywhere
    check(4, "number expected, got table", file, "read", {}, {}, {}, {}, tilde)
    check(4, "number expected, got string", file, "read", "x", {}, {}, "x", tilde)
    check(4, "number expected, got boolean", file, "read", m, 1, -1, false, tilde)
    check(4, integral, file, "read", {}, {}, {}, 1.5, tilde)
    check(1, "memory expected, got table", file, "read", {}, {}, {}, nil, tilde)
    check(1, "memory expected, got string", file, "read", "text", {}, {}, 0, tilde)
    check(1, "memory expected, got nil", file, "read", nil, 1, 1, -5, tilde)
    check(1, "memory expected, got number", file, "read", 4, 1, 1, nil, tilde)
    check(1, "memory expected, got coutil:file", file, "read", file, 1, 1, nil, tilde)
    check(2, "number expected, got table", file, "read", m, {}, {}, nil, tilde)
    check(2, integral, file, "read", m, 1.5, {}, nil, tilde)
    check(3, "number expected, got string", file, "read", m, nil, "x", nil, tilde)
    check(3, integral, file, "read", m, 1, T.nan, 0, tilde)
  end
  T.eq(E.raised(file.read, file):find("memory expected", 1, true) ~= nil, true)
  T.returns({ 0 }, file.read, file, m, 1, 0, 0, "~")
end)

T.test("write: the offset, the data, then i and j [60 4.3.1] [60 4.3.4] [50 0.3.1]", function ()
  local source = F.open(F.file "abc")
  for _, tilde in ipairs { "", "~" } do
    local check = tilde == "" and E.inside or E.everywhere
    check(4, "number expected, got table", file, "write", {}, {}, {}, {}, tilde)
    check(4, integral, file, "write", "x", {}, {}, 1.5, tilde)
    check(1, "string or memory expected, got table", file, "write", {}, {}, {}, nil, tilde)
    check(1, "string or memory expected, got nil", file, "write", nil, {}, {}, 0, tilde)
    check(1, "string or memory expected, got boolean", file, "write", true, 1, 1, -5, tilde)
    check(2, "number expected, got table", file, "write", "x", {}, {}, nil, tilde)
    check(2, integral, file, "write", m, 1.5, {}, nil, tilde)
    check(3, "number expected, got boolean", file, "write", "x", nil, true, nil, tilde)
    check(3, integral, file, "write", "x", 1, 2.5, 0, tilde)
    -- From a file: both are needed, and the offset is not looked at.
    check(2, "number expected, got nil", file, "write", source, nil, nil, {}, tilde)
    check(2, "number expected, got table", file, "write", source, {}, {}, {}, tilde)
    check(2, integral, file, "write", source, .5, {}, {}, tilde)
    check(3, "number expected, got nil", file, "write", source, 1, nil, {}, tilde)
    check(3, integral, file, "write", source, 1, 1.5, {}, tilde)
    check(3, "invalid range", file, "write", source, 2, 1, {}, tilde)
    check(3, "invalid range", file, "write", source, 1, -1, nil, tilde)
    check(3, "invalid range", file, "write", source, 0, -2 ^ 40, nil, tilde)
    check(3, "number expected, got table", file, "write", file, 1, {}, {}, tilde)
    check(2, "number expected, got table", file, "write", closed, {}, {}, {}, tilde)
  end
  T.eq(E.raised(file.write, file):find("memory expected", 1, true) ~= nil, true)
  T.eq(E.raised(file.write, file, source):find("number expected", 1, true) ~= nil, true)
  source:close "~"
end)

T.test("resize and own need integers [60 4.4.1] [60 3.9.1] [00 5.2.3]", function ()
  for _, tilde in ipairs { "", "~" } do
    local check = tilde == "" and E.inside or E.everywhere
    for _, value in ipairs { {}, "x", true, print, file } do
      local got = rawequal(value, file) and "coutil:file" or type(value)
      check(1, "number expected, got " .. got, file, "resize", value, tilde)
      check(1, "number expected, got " .. got, file, "own", value, {}, tilde)
      check(2, "number expected, got " .. got, file, "own", -1, value, tilde)
    end
    check(1, "number expected, got nil", file, "resize", nil, tilde)
    check(1, integral, file, "resize", .5, tilde)
    check(1, integral, file, "resize", T.nan, tilde)
    check(1, integral, file, "resize", 2 ^ 70, tilde)
    check(1, integral, file, "own", -.5, {}, tilde)
    check(2, integral, file, "own", -1, 1e300, tilde)
  end
  T.eq(E.raised(file.resize, file):find("number expected", 1, true) ~= nil, true)
  T.eq(E.raised(file.own, file, -1):find("number expected", 1, true) ~= nil, true)
end)

T.test("self must be a file [60 4.1] [00 5.2.2] [60 3.12.1]", function ()
  local calls = { close = pack "~", read = pack(m, 1, -1, 0, "~"), write = pack("x", 1, -1, 0, "~"), resize = pack(0, "~"), flush = pack "~",
    touch = pack("~b", 1), own = pack(-1, -1, "~"), grant = pack(0, "~"), info = pack "~?" }
  local socket, iterator = system.socket("stream", "ipv4"), system.listdir(F.dir, "~")
  for name, args in pairs(calls) do
    for _, value in ipairs { {}, 1, "x", true, print, socket, m, iterator, io.stdout, setmetatable({}, { __name = "coutil:file" }) } do
      local got = type(value)
      if got == "userdata" then got = value == io.stdout and "" or getmetatable(value).__name end
      if got == "table" and getmetatable(value) then got = "coutil:file" end
      local want = "bad argument #1 to '?' (coutil:file expected, got " .. got
      T.eq(E.try(file[name], value, unpack(args, 1, args.n)):sub(1, #want), want)
      T.eq(E.raised(file[name], value, unpack(args, 1, args.n)):sub(1, #want), want)
    end
    local fake = { [name] = file[name] }
    T.eq(E.try(E.callers[name], fake, unpack(args, 1, args.n)),
      "chunk:2: calling '" .. name .. "' on bad self (coutil:file expected, got table)")
    T.eq(E.try(file[name], nil, unpack(args, 1, args.n)), "bad argument #1 to '?' (coutil:file expected, got nil)")
    T.eq(type(E.try(file[name])), "string")
  end
  for _, value in ipairs { {}, 1, io.stdout, m } do
    pcall(getmetatable(file).__gc, value)
    pcall(getmetatable(file).__close, value)
  end
  io.stdout:write ""
end)

-- Positions, and what is left -------------------------------------------------------------------

T.test("errors have the position of the Lua caller [00 5.1.1] [00 1.4.2] [50 0.1.5] [60 1.1.3]", function ()
  local line3 = T.load("local f, a, b, c = ...\n\nf(a, b, c)\nreturn", "=chunk")
  T.eq(E.try(line3, system.openfile, path, "z"), "chunk:3: unknown mode char (got 'z')")
  T.eq(E.try(line3, system.linkfile, path, path, "z"), "chunk:3: bad argument #3, unknown mode char (got 'z')")
  T.eq(E.try(line3, system.grantfile, path, "z"), "chunk:3: bad argument #2, unknown perm char (got 'z')")
  T.eq(E.try(line3, system.touchfile, path, "b~"):match "^chunk:3: bad argument #3 to 'f' %(number expected, got n",
    "chunk:3: bad argument #3 to 'f' (number expected, got n")
  T.eq(E.try(line3, system.openfile, path, "r"), "chunk:3: unable to yield")
  T.eq(E.try(line3, system.openfile, {}, "~r"), "chunk:3: bad argument #1 to 'f' (string expected, got table)")
  T.eq(E.try(line3, file.close, closed, "~"), "chunk:3: bad argument #1 to 'f' (closed file)")
  T.eq(E.try(line3, file.flush, file), "chunk:3: unable to yield")
  T.eq(E.try(file.flush, file), "unable to yield")
  T.eq(E.raised(line3, system.removefile, {}), "chunk:3: bad argument #1 to 'f' (string expected, got table)")
end)

T.test("a coroutine that cannot yield [00 1.4.1] [00 1.4.3] [90 4.12] [60 1.1.1]", function ()
  local nothing = F.fresh()
  for _, call in ipairs { pack(system.openfile, nothing, "wN", 511), pack(system.makedir, nothing, 511), pack(system.removefile, path),
                          pack(system.copyfile, path, nothing), pack(system.maketemp, nothing, "f"), pack(system.listdir, F.dir),
                          pack(system.fileinfo, path, "?"), pack(file.write, file, "lost"), pack(file.read, file, m), pack(file.close, file) } do
    local got
    T.inside(string.gsub, "x", "x", function () got = pack(pcall(unpack(call, 1, call.n))) end)
    T.eq(got[1], false)
    if T.detects_yieldable or T.version == "5.1" then T.eq(got[2], "unable to yield") end
  end
  T.eq(run(), false)
  T.eq(F.sh("ls -d -- " .. F.quote(nothing) .. "* 2>/dev/null"), "")
end)

T.test("failures on a file that exists leave it alone, too [60 5.5] [60 1.2.8]", function ()
  local nothing = F.fresh()
  for _, form in ipairs(F.forms) do
    local call, t = form.call, form.t
    for _, got in ipairs { pack(call(system.openfile, path, t .. "wN", 0)), pack(call(system.makedir, path, 0, t)),
                           pack(call(system.linkfile, path, path, t)), pack(call(system.linkfile, "x", path, t .. "s")),
                           pack(call(system.copyfile, nothing, path, t)), pack(call(system.copyfile, path, path, t .. "n")),
                           pack(call(system.copyfile, F.dir, path, t)), pack(call(system.movefile, path, F.dir, t)),
                           pack(call(system.movefile, F.dir, path, t)), pack(call(system.removefile, path, t .. "d")),
                           pack(call(system.ownfile, path, 2 ^ 32, 0, t)), pack(call(system.touchfile, path, t .. "b", math.huge)),
                           pack(call(file.own, file, 0, -2, t)), pack(call(file.touch, file, t .. "am", 1, math.huge)),
                           pack(call(file.resize, file, -1, t)) } do
      T.eq(got.n, 3)
      T.eq(got[1], false)
      T.eq(type(got[2]), "string")
      T.eq(got[3] % 1 == 0 and got[3] > 0, true)
      if T.integers then T.eq(math.type(got[3]), "integer") end
    end
  end
end)

T.test("more results than a stack has room for are an error of the call, and the loop goes on [00 9] [60 1.1.4]", function ()
  local text = "stack overflow (too many values)"
  local many = 1000000
  local prefix = F.fresh()
  local calls = {
    function (mode) return system.fileinfo(path, mode .. ("B"):rep(many)) end,
    function (mode) return system.fileinfo(path, mode .. ("Bp"):rep(many / 2)) end,
    function (mode) return file:info(mode .. ("B"):rep(many)) end,
    function (mode) return system.maketemp(prefix, mode .. ("fo"):rep(many / 2)) end,
  }
  for _, call in ipairs(calls) do
    for _, mode in ipairs { "~", "" } do
      local ok, message = coroutine.resume(coroutine.create(call), mode)
      T.eq(ok, false)
      T.eq(message:find(text, 1, true) ~= nil, true, message)
      T.eq(run(), false)
    end
  end
  T.eq(F.sh("ls -d " .. F.quote(prefix) .. "* 2>/dev/null | wc -l"), "0")
end)

T.test("nothing that failed changed the file, or left anything pending [60 5.5] [00 1.4.3]", function ()
  T.eq(run(), false)
  T.eq(F.get(path), "contents")
  T.eq(F.state(path), before)
  T.returns({ 8 }, file.info, file, "~B")
end)

file:close "~"
F.done()
