-- system.openfile: letters, access, permissions, and what cannot be opened.

local T = require "testing"
local F = require "file_testing"
local memory = require "memory"
local system = require "coutil.system"
local openfile, fileinfo = system.openfile, system.fileinfo
local pack, gives = T.pack, F.gives

local function opened(got)
  T.eq(got.n, 1)
  T.eq(type(got[1]), "userdata")
  T.eq(getmetatable(got[1]).__name, "coutil:file")
  return got[1]
end

-- What the file can do, tried on a file with the contents "old".
local function access(file)
  local m = memory.create(8)
  local read, write = pack(file:read(m, 1, -1, 0, "~")), pack(file:write("N", 1, -1, 0, "~"))
  if read[1] == false then T.same(read, F.badfd) end
  if write[1] == false then T.same(write, F.badfd) end
  return (read[1] and "r" or "") .. (write[1] and "w" or "")
end

-- The object ------------------------------------------------------------------------------------

F.test("an open file [60 3.12.1] [60 4.2] [50 0.4.2]", function (call, t)
  local file = opened(pack(call(openfile, F.file "x", t ~= "" and "r~" or nil)))
  local meta = getmetatable(file)
  for _, event in ipairs { "__gc", "__close" } do T.eq(type(meta[event]), "function") end
  local names = {}
  for name in pairs(meta.__index) do names[#names + 1] = name end
  table.sort(names)
  T.same(names, { "close", "flush", "grant", "info", "own", "read", "resize", "touch", "write" })
  T.eq(file.other, nil)
  T.eq(pcall(function () file.other = 1 end), false)
  T.eq(pcall(function () return #file end), false)
  if T.number >= 5.3 then T.eq(tostring(file):match "^coutil:file: ", "coutil:file: ") end
  gives({ true }, call(file.close, file, t))
end)

F.test("missing files, and other failures [60 3.12.1] [60 3.12.2] [60 1.2.8]", function (call, t)
  local path, nothing = F.file "x", F.fresh()
  for _, mode in ipairs { "", "r", "w", "a", "t", "f", "x", "rw", "rwatfx" } do
    gives(F.missing, call(openfile, nothing, t .. mode))
    gives(F.missing, call(openfile, F.link(nothing), t .. mode))
    gives(F.notdir, call(openfile, path .. "/x", t .. mode))
  end
  T.eq(F.exists(nothing), false)
  gives(F.missing, call(openfile, nothing .. "/x", t .. "wn", 511))
  gives(F.missing, call(openfile, nothing .. "/x", t .. "wN", 511))
  local passive = assert(system.socket("passive", "local"))
  local there = F.fresh "s"
  if #there < 100 and passive:bind(there) then
    gives({ false, "no such device or address", 6 }, call(openfile, there, t .. "r"))
  end
  passive:close()
end)

-- Access ----------------------------------------------------------------------------------------

local accesses = { [""] = "r", r = "r", w = "w", a = "w", t = "w", f = "w", x = "r", rr = "r", rw = "rw", wr = "rw", ra = "rw", rt = "rw",
  fr = "rw", wat = "w", watf = "w", fxatwr = "rw", xw = "w", rx = "r", wwaaw = "w", n = "r", N = "r", nx = "r", rn = "r", wn = "w",
  Nrw = "rw", an = "w", tNr = "rw", nfx = "w", xN = "r", nN = "r" }

F.test("reading, writing, or both [60 3.12.3] [60 3.12.2] [60 5.4] [60 4.2.4] [60 4.3.3]", function (call, t)
  for mode, want in pairs(accesses) do
    for place = 1, t == "" and 1 or #mode + 1 do
      local path = mode:find "N" and F.fresh() or F.file "old"
      local file = opened(pack(call(openfile, path, mode:sub(1, place - 1) .. t .. mode:sub(place), "rw")))
      local size = mode:find "[tN]" and 0 or 3
      T.eq(F.stat(path, "%F %s"), size == 0 and "regular empty file 0" or "regular file 3", mode)
      T.eq(access(file), want, mode)
      T.eq(F.stat(path, "%s"), tostring(not want:find "w" and size or mode:find "a" and size + 1 or math.max(size, 1)), mode)
      gives({ true }, call(file.close, file, t))
    end
  end
end)

F.test("no mode is r [60 1.1.2] [60 3.12.3]", function (call, t)
  if t == "" then
    for _, args in ipairs { pack(), pack(nil), pack(nil, "invalid"), pack("") } do
      local file = opened(pack(call(openfile, F.file "old", T.unpack(args, 1, args.n))))
      T.eq(access(file), "r")
      file:close "~"
    end
  end
end)

F.test("w neither empties nor creates, t empties, a appends [60 3.12.2]", function (call, t)
  local path = F.file "0123456789"
  local file = call(openfile, path, t .. "w")
  T.eq(F.get(path), "0123456789")
  gives({ 2 }, call(file.write, file, "ab", 1, -1, nil, t))
  gives({ 2 }, call(file.write, file, "cd", 1, -1, nil, t))
  T.eq(F.get(path), "abcd456789")
  file:close "~"
  file = call(openfile, path, t .. "a")
  for _, offset in ipairs { 0, 3, -1, 100 } do gives({ 1 }, call(file.write, file, "+", 1, -1, offset, t)) end
  T.eq(F.get(path), "abcd456789++++")
  F.put(path, "short")
  gives({ 1 }, call(file.write, file, "+", 1, -1, 1, t))
  T.eq(F.get(path), "short+")
  file:close "~"
  file = call(openfile, path, t .. "t")
  T.eq(F.stat(path, "%s"), "0")
  gives({ 1 }, call(file.write, file, "x", nil, nil, nil, t))
  T.eq(F.get(path), "x")
  file:close "~"
end)

T.test_if(F.descriptors(), "no /proc", "the flags that the system has of a file [60 3.12.2] [60 3.12.5]", function ()
  for mode in pairs(accesses) do
    local path = mode:find "N" and F.fresh() or F.file "old"
    local file = F.open(path, mode, "rw")
    local flags = F.flags(path)
    T.eq(F.has(flags, "2000000"), true, mode) -- closed by exec
    T.eq(F.has(flags, "2000"), mode:find "a" ~= nil, mode) -- appending
    T.eq(F.has(flags, "10000"), mode:find "f" ~= nil, mode) -- synchronous, data at least
    T.eq(F.has(flags, "4000"), false, mode) -- waits
    T.eq(flags % 4, ({ r = 0, w = 1, rw = 2 })[accesses[mode]], mode)
    T.eq(F.sh "ls -l /proc/self/fd 2>&1":find(path, 1, true), nil, mode) -- children do not have it
    file:close "~"
    T.eq(F.flags(path), nil)
  end
end)

F.test("f: what was written can be read [60 3.12.2]", function (call, t)
  local path = F.file "x"
  local file = call(openfile, path, t .. "rf")
  gives({ 5 }, call(file.write, file, "12345", 1, 5, 0, t))
  T.eq(F.get(path), "12345")
  gives({ true }, call(file.close, file, t))
end)

-- Creating --------------------------------------------------------------------------------------

F.test("n creates what is missing, N what must be [60 3.12.2] [60 5.4] [60 1.3.10]", function (call, t)
  for _, mode in ipairs { "n", "N", "nN", "wn", "aN", "xN", "rtn" } do
    local path = F.fresh()
    local file = opened(pack(call(openfile, path, mode .. t, "rwR")))
    T.eq(F.stat(path, "%F %a"), "regular empty file " .. F.masked "640", mode)
    file:close "~"
    F.sh("chmod 644", path)
    local got = pack(call(openfile, path, mode .. t, "rwx"))
    if mode:find "N" then
      T.same(got, F.exist)
    else
      opened(got):close "~"
    end
    T.eq(F.stat(path, "%a"), "644", mode) -- those of a file that exists stay
  end
  local nothing = F.fresh()
  for _, there in ipairs { F.dir, F.link(nothing), F.link(F.file "x"), "/dev/null" } do
    gives(F.exist, call(openfile, there, t .. "wN", 511))
  end
  T.eq(F.exists(nothing), false)
  local dangling = F.link(nothing)
  opened(pack(call(openfile, dangling, t .. "wn", 511))):close "~"
  T.eq(F.stat(nothing, "%F"), "regular empty file")
  T.eq(F.stat(dangling, "%F"), "symbolic link")
end)

-- All ways to write permissions, with `stat -c %a` of what is meant.
local perms = { { "", "0" }, { "r", "400" }, { "w", "200" }, { "x", "100" }, { "R", "40" }, { "W", "20" }, { "X", "10" }, { "4", "4" },
  { "2", "2" }, { "1", "1" }, { "rw", "600" }, { "wr", "600" }, { "rrr", "400" }, { "421", "7" }, { "124", "7" }, { "xXrR41", "555" },
  { "rwxRWX421", "777" }, { 0, "0" }, { 256, "400" }, { 511, "777" }, { 420, "644" }, { 4096, "0" },
  { 4096 * 5 + 384, "600" }, { -4096 + 448, "700" }, { 2 ^ 40 + 416, "640" } }

F.test("permissions with the umask when creating [60 1.3.9] [60 1.3.10]", function (call, t)
  for _, perm in ipairs(perms) do
    local path = F.fresh()
    opened(pack(call(openfile, path, t .. "wN", perm[1]))):close "~"
    T.eq(F.stat(path, "%a"), F.masked(perm[2]), tostring(perm[1]))
  end
end)

T.test_child("another umask [60 1.3.10] [60 3.10.1]", function ()
  for _, umask in ipairs { "0", "077", "0777" } do
    local path, d = F.fresh(), F.fresh()
    T.eq(F.child("umask " .. umask .. ";", ([[
      local system, p, d = require "coutil.system", %q, %q
      assert(system.openfile(p, "~wN", "rwxRWX421")):close "~"
      assert(system.makedir(d, 511, "~"))
      coroutine.wrap(function ()
        assert(system.openfile(p .. "2", "wN", "rwxRWX421")):close "~"
        assert(system.makedir(d .. "2", "rwxRWX421"))
        assert(system.grantfile(p .. "2", "rwxRWX421"))
        assert(system.grantfile(d .. "2", "rwxRWX421"))
        io.write "done"
      end)()
      system.run()
    ]]):format(path, d)), "done")
    for _, made in ipairs { path, d } do
      T.eq(F.stat(made, "%a"), F.sh("printf %o $((0777 & ~0" .. umask .. "))"))
      T.eq(F.stat(made .. "2", "%a"), "777")
    end
  end
end)

F.test("perm is not for this very opening [60 3.12.4] [60 5.4]", function (call, t)
  for _, perm in ipairs { "r", "", "w", 0, "x" } do
    local path = F.fresh()
    local file = call(openfile, path, t .. "rwN", perm)
    T.eq(access(file), "rw")
    file:close "~"
    T.eq(F.stat(path, "%s"), "1")
    path = F.fresh()
    file = call(openfile, path, t .. "N", perm)
    T.eq(access(file), "r")
    file:close "~"
    T.eq(F.stat(path, "%F"), "regular empty file")
  end
end)

F.test("perm is not looked at without n or N [60 5.3]", function (call, t)
  local path = F.file "x"
  for _, perm in ipairs { "invalid", "", 1.5, true, {}, print, -1, "644" } do
    for _, mode in ipairs { "w", "", "r", "rwatfx" } do
      opened(pack(call(openfile, path, mode .. t, perm))):close "~"
    end
  end
  T.eq(F.stat(path, "%a"), F.masked "666")
end)

-- What is no file -------------------------------------------------------------------------------

F.test("a folder can be opened, and not read [60 3.12.6]", function (call, t)
  local d, m = F.folder(), memory.create(10)
  for _, mode in ipairs { "r", "", "x" } do
    local file = opened(pack(call(openfile, d, t .. mode)))
    gives(F.isdir, call(file.read, file, m, 1, -1, nil, t))
    gives(F.isdir, call(file.read, file, m, 1, -1, 0, t))
    gives(F.badfd, call(file.write, file, "x", 1, -1, nil, t))
    gives({ "directory", tonumber(F.stat(d, "%i")) }, call(file.info, file, t .. "?#"))
    gives({ true }, call(file.grant, file, "rwx", t))
    T.eq(F.stat(d, "%a"), "700")
    gives({ true }, call(file.touch, file, t .. "b", 5))
    T.eq(F.stat(d, "%X %Y"), "5 5")
    gives({ true }, call(file.close, file, t))
  end
  for _, mode in ipairs { "w", "a", "t", "f", "rw", "rt" } do gives(F.isdir, call(openfile, d, t .. mode)) end
  gives(F.isdir, call(openfile, d, t .. "wn", 511))
  T.eq(m:tostring(), ("\0"):rep(10))
end)

F.test("devices and pipes [60 3.12.1] [60 4.2.4] [60 4.5.1] [60 4.2.1] [60 1.2.8]", function (call, t)
  local m = memory.create(".........")
  local zero = call(openfile, "/dev/zero", t .. "r")
  gives({ 9 }, call(zero.read, zero, m, 1, -1, nil, t))
  T.eq(m:tostring(), ("\0"):rep(9))
  zero:close "~"
  local null = call(openfile, "/dev/null", t .. "rw")
  gives({ 0 }, call(null.read, null, m, 1, -1, nil, t))
  gives({ 100000 }, call(null.write, null, ("x"):rep(100000), 1, -1, nil, t))
  null:close "~"
  local full = call(openfile, "/dev/full", t .. "w")
  gives(F.full, call(full.write, full, "x", 1, -1, nil, t))
  gives(F.full, call(full.write, full, memory.create(100000), 1, -1, 7, t))
  full:close "~"
  local path = F.pipe()
  local pipe = call(openfile, path, t .. "rw")
  gives({ 5 }, call(pipe.write, pipe, "12345", 1, -1, nil, t))
  gives({ 5 }, call(pipe.read, pipe, m, 1, -1, nil, t)) -- fewer than asked for
  T.eq(m:tostring(), "12345\0\0\0\0")
  gives(F.seek, call(pipe.read, pipe, m, 1, -1, 0, t))
  gives(F.seek, call(pipe.write, pipe, m, 1, -1, 3, t))
  gives(F.invalid, call(pipe.flush, pipe, t))
  gives(F.invalid, call(pipe.flush, pipe, t .. "d"))
  gives(F.invalid, call(pipe.resize, pipe, 0, t))
  gives({ "pipe" }, call(pipe.info, pipe, t .. "?"))
  pipe:close "~"
end)

T.test_if(F.unprivileged, "no way to lose the rights", "what must not be opened [60 1.2.8] [60 3.9.1] [60 3.13.1]", function ()
  local closed, d = F.file "x", F.folder()
  F.sh("chmod 600", closed)
  F.sh("chmod 755", d)
  if not F.root then F.sh("chmod 000", closed); F.sh("chmod 555", d) end
  local readable = F.root and closed or "/"
  local out = F.child(F.unprivileged, ([[
    local system, closed, d, foreign = require "coutil.system", %q, %q, %q
    local function show(...) print(...) end
    show(system.openfile(closed, "~r"))
    show(system.openfile(closed, "~w"))
    show(system.openfile(d .. "/x", "~wn", 511))
    show(system.makedir(d .. "/x", 511, "~"))
    show(system.maketemp(d .. "/x", "~fo"))
    show(system.linkfile("x", d .. "/x", "~s"))
    show(system.copyfile(closed, d .. "/x", "~"))
    show(system.ownfile(foreign, 0, 0, "~"))
    show(system.ownfile(foreign, 0, -1, "~l"))
    show(system.grantfile(foreign, "rwx", "~"))
    show(system.touchfile(foreign, "~b", 1))
    coroutine.wrap(function ()
      show(system.openfile(closed))
      show(system.ownfile(foreign, 0, 0))
      show(system.grantfile(foreign, 511))
    end)()
    system.run()
  ]]):format(closed, d, readable))
  local denied, refused = "false\tpermission denied\t13\n", "false\toperation not permitted\t1\n"
  T.eq(out, denied:rep(7) .. refused:rep(4) .. denied .. refused:rep(2))
  T.eq(F.stat(closed, "%a"), F.root and "600" or "0")
  F.sh("chmod 755", d, closed)
end)

F.test("a file may be open many times [60 3.12.1] [60 1.2.6]", function (call, t)
  local path, m, files = F.file "0123456789", memory.create(1), {}
  local before = F.descriptors()
  for i = 1, 10 do files[i] = call(openfile, path, t .. "rw") end
  if before then T.eq(F.descriptors(), before + 10) end
  for i = 1, 10 do
    for k = 1, i do
      gives({ 1 }, call(files[i].read, files[i], m, 1, 1, nil, t)) -- each has a position of its own
      T.eq(m:tostring(), tostring(k - 1))
    end
  end
  for i = 1, 10 do gives({ true }, call(files[i].close, files[i], t)) end
  T.eq(F.descriptors(), before)
  T.eq((call(fileinfo, path, t .. "B")), 10)
end)

F.test("files outlive the module table [50 0.2.6]", function (call, t)
  local loaded = package.loaded["coutil.system"]
  local file, m = call(openfile, F.file "text", t .. "r"), memory.create(4)
  package.loaded["coutil.system"] = nil
  T.gc()
  gives({ 4 }, call(file.read, file, m, 1, -1, nil, t))
  package.loaded["coutil.system"] = loaded
  gives({ true }, call(file.close, file, t))
end)

F.done()
