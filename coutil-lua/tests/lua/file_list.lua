-- system.listdir and its iterator.

local T = require "testing"
local L = require "loop_testing"
local F = require "file_testing"
local system = require "coutil.system"
local listdir, run = system.listdir, system.run
local pack, gives = T.pack, F.gives

-- All entries, as "name kind".
local function entries(iterator)
  local found = {}
  for name, kind in iterator do found[#found + 1] = name .. " " .. kind end
  return found
end

local letters = { regular = "file", directory = "directory", symbolic = "link", fifo = "pipe", socket = "socket",
                  character = "character", block = "block" }

-- What other tools find in a folder whose names have no spaces.
local function expected(path)
  local found = {}
  local command = "cd " .. F.quote(path) .. " && LC_ALL=C ls -A1 | tr '\\n' '\\0' | LC_ALL=C xargs -0r stat -c '%F//%n' -- 2>/dev/null"
  for kind, name in F.sh(command):gmatch "(%a+)[^\n/]*//([^\n]*)" do found[#found + 1] = name .. " " .. letters[kind] end
  return found
end

-- Results ---------------------------------------------------------------------------------------

F.test("four results for a generic for [60 3.7.2] [60 3.7.5]", function (call, t)
  local d = F.folder()
  F.put(d .. "/x", "")
  local got = pack(call(listdir, d, t))
  T.eq(got.n, 4)
  local iterator = got[1]
  T.same(got, { iterator, nil, nil, iterator, n = 4 })
  T.eq(type(iterator), "userdata")
  local meta = getmetatable(iterator)
  T.eq(meta.__name, "coutil:dirlist")
  for _, event in ipairs { "__call", "__gc", "__close" } do T.eq(type(meta[event]), "function") end
  local ok, value = pcall(function () return iterator.x end)
  T.eq(ok and value or nil, nil)
  T.eq(pcall(function () return #iterator end), false)
  T.eq(pcall(function () iterator.x = 1 end), false)
  gives({ "x", "file" }, iterator())
  gives({}, iterator())
end)

F.test("an empty folder [60 3.7.3] [60 3.7.4]", function (call, t)
  local iterator = call(listdir, F.folder(), t)
  gives({}, iterator())
  T.raises("(closed)", iterator)
  for _ in call(listdir, F.folder(), t) do error "an entry" end
end)

F.test("entries of all kinds; links are not followed [60 3.7.3] [60 2.2]", function (call, t)
  local d = F.folder()
  F.put(d .. "/file", "x")
  F.put(d .. "/.hidden", "")
  F.put(d .. "/...", "")
  F.sh("mkdir", d .. "/directory")
  F.sh("mkdir", d .. "/.directory")
  F.sh("mkfifo", d .. "/pipe")
  F.sh("ln -s file", d .. "/link")
  F.sh("ln -s .", d .. "/link-to-directory")
  F.sh("ln -s nowhere", d .. "/dangling")
  local passive = assert(system.socket("passive", "local"))
  local bound = #d < 90 and passive:bind(d .. "/socket")
  local want = { "... file", ".directory directory", ".hidden file", "dangling link", "directory directory", "file file", "link link",
                 "link-to-directory link", "pipe pipe" }
  if bound then want[#want + 1] = "socket socket" end
  T.same(entries(call(listdir, d, t)), want)
  T.same(entries(call(listdir, d, t)), expected(d))
  T.same(entries(call(listdir, F.link(d), t)), want) -- the path itself is followed
  T.same(entries(call(listdir, d .. "/", t)), want)
  T.same(entries(call(listdir, d .. "\0x", t)), want)
  passive:close()
end)

F.test("folders of the system: devices and the like [60 3.7.3]", function (call, t)
  for _, d in ipairs { "/dev", "/dev/pts", "/sys/block", "/etc" } do
    local before = F.sh("ls -d -- " .. d .. " 2>/dev/null") ~= "" and expected(d)
    if before then
      local got = entries(call(listdir, d, t))
      if table.concat(before, "\n") == table.concat(expected(d), "\n") then T.same(got, before, d) end
    end
  end
end)

F.test("ascending byte order of all names [60 3.7.3]", function (call, t)
  local d = F.folder()
  local names = { "a", "B", "b", "A", "a b", "ab", "a.", "a-", "\255", "\128x", "\195\169", "\1", "\127", "~", " ", "0", "10", "9", "-",
                  ".", "line\nfeed", "_", "a\255", ("z"):rep(255) }
  local want = {}
  for _, name in ipairs(names) do
    if name ~= "." then
      F.put(d .. "/" .. name, "")
      want[#want + 1] = name
    end
  end
  table.sort(want, function (a, b)
    for i = 1, math.min(#a, #b) do
      if a:byte(i) ~= b:byte(i) then return a:byte(i) < b:byte(i) end
    end
    return #a < #b
  end)
  for i, name in ipairs(want) do want[i] = name .. " file" end
  T.same(entries(call(listdir, d, t)), want)
end)

F.test("many entries [60 3.7.3]", function (call, t)
  for _, n in ipairs { T.scale(5000, 100), T.full_speed and 100000 or 1000 } do
    -- In memory, if there is such a place: so many files take a disk a while.
    local d = F.sh "mktemp -d /dev/shm/coutil-XXXXXX 2>/dev/null"
    if d == "" then d = F.folder() end
    F.sh(("cd %s && seq 1 %d | sed 's/^/entry number /' | tr '\\n' '\\0' | xargs -0 touch --"):format(F.quote(d), n))
    local names = {}
    for i = 1, n do names[i] = "entry number " .. i end
    table.sort(names)
    local i = 0
    for name, kind in call(listdir, d, t) do
      i = i + 1
      if name ~= names[i] or kind ~= "file" then error("entry " .. i .. ": " .. name .. " " .. kind) end
    end
    T.eq(i, n)
    F.sh("rm -rf --", d)
  end
end)

-- The iterator ----------------------------------------------------------------------------------

F.test("arguments of the iterator are ignored, and it never suspends [60 3.7.3]", function (call, t)
  local d = F.folder()
  for i = 1, 9 do F.put(d .. "/" .. i, "") end
  local iterator = call(listdir, d, t)
  gives({ "1", "file" }, iterator({}, "x", nil))
  gives({ "2", "file" }, iterator(false))
  gives({ "3", "file" }, T.inside(function () return iterator() end))
  gives({ "4", "file" }, T.inside(function () return iterator(1, 2, 3) end))
  local got
  string.gsub("x", "x", function () got = pack(iterator()) end)
  T.same(got, { "5", "file" })
  T.eq(run(), false)
end)

F.test("all entries are read by listdir [60 3.7.3]", function (call, t)
  local d, before = F.folder(), F.descriptors()
  for i = 1, 300 do F.put(d .. "/" .. i + 1000, "") end
  local iterator = call(listdir, d, t)
  T.eq(iterator(), "1001")
  T.eq(F.descriptors(), before)
  F.put(d .. "/1001b", "")
  F.sh("rm -rf --", d)
  for i = 2, 300 do gives({ tostring(i + 1000), "file" }, iterator()) end
  gives({}, iterator())
end)

F.test("after the last entry the iterator is closed [60 3.7.4]", function (call, t)
  local d = F.folder()
  F.put(d .. "/x", "")
  local iterator = call(listdir, d, t)
  T.same(entries(iterator), { "x file" })
  for _ = 1, 3 do
    local text = T.raises("(closed)", iterator, 1, 2)
    T.eq(text:find("#1", 1, true) ~= nil, true)
    T.raises("(closed)", function () for _ in iterator do error "an entry" end end)
  end
  getmetatable(iterator).__close(iterator)
  getmetatable(iterator).__gc(iterator)
  T.raises("(closed)", iterator)
end)

F.test("closing it before its end [60 3.7.4] [00 6.4.1] [00 6.4.2]", function (call, t)
  local d = F.folder()
  for i = 1, 9 do F.put(d .. "/" .. i, "") end
  for _, event in ipairs { "__close", "__gc" } do
    local iterator = call(listdir, d, t)
    iterator()
    for _ = 1, 3 do
      getmetatable(iterator)[event](iterator)
      T.raises("(closed)", iterator)
    end
  end
  if T.has_tbc then
    local first, second, _, closing = call(listdir, d, t)
    for name in first, second, nil, closing do
      if name == "2" then break end
    end
    T.raises("(closed)", first)
    first = call(listdir, d, t)
    pcall(function () for name in first, nil, nil, first do error(name) end end)
    T.raises("(closed)", first)
    first = call(listdir, d, t)
    T.load "local first = ...; local x <close> = first; assert(x() == '1')"(first)
    T.raises("(closed)", first)
  end
end)

F.test("iterators are collected [60 3.7.4] [00 6.4.4]", function (call, t)
  local d = F.folder()
  for i = 1, 9 do F.put(d .. "/" .. i, "") end
  T.eq(L.swept(function (watch)
    watch((call(listdir, d, t)))()
    entries(watch((call(listdir, d, t))))
  end), true)
end)

T.test("other values with its metatable, or as its self, are harmless [60 3.7.5]", function ()
  local iterator = listdir(F.folder(), "~")
  local meta = getmetatable(iterator)
  for _, value in ipairs { {}, 1, "x", false, print, io.stdout } do
    T.eq(pcall(meta.__call, value), false)
    pcall(meta.__gc, value)
    pcall(meta.__close, value)
  end
  T.eq(pcall(meta.__call), false)
  gives({}, iterator())
end)

-- Errors ----------------------------------------------------------------------------------------

F.test("failures are raised [60 3.7.1] [60 1.2.8] [00 4.4]", function (call, t, raises)
  local loop = F.fresh()
  F.sh("ln -s --", loop, loop)
  raises("not a directory", listdir, F.file "x", t)
  raises("not a directory", listdir, F.file "x" .. "/", t)
  raises("no such file or directory", listdir, F.fresh(), t)
  raises("no such file or directory", listdir, F.link "nowhere", t)
  raises("no such file or directory", listdir, "", t)
  raises("too many symbolic links encountered", listdir, loop, t)
  raises("name too long", listdir, F.dir .. "/" .. ("x"):rep(256), t)
  T.same(entries(call(listdir, F.folder(), t)), {})
end)

T.test("a failure has the position of the caller [60 3.7.1] [00 5.1.1]", function ()
  local nothing = F.fresh()
  T.eq(select(2, pcall(T.load("local f, p = ...\n\nf(p, '~')\nreturn", "=chunk"), listdir, nothing)), "chunk:3: no such file or directory")
  T.eq(select(2, pcall(listdir, nothing, "~")), "no such file or directory")
end)

T.test_if(F.unprivileged, "no way to lose the rights", "a folder that must not be read [60 3.7.1] [60 1.2.8]", function ()
  local d, e = F.folder(), F.folder()
  F.put(d .. "/x", "")
  F.sh("chmod 711", d)
  F.sh("mkdir", e .. "/below")
  F.sh("chmod 700", e)
  if not F.root then F.sh("chmod 000", d, e) end
  T.eq(F.child(F.unprivileged, ([[
    local system = require "coutil.system"
    for _, path in ipairs { %q, %q, %q } do
      print((tostring(select(2, pcall(system.listdir, path, "~"))):gsub("^%%S-:%%d+: ", "")))
    end
  ]]):format(d, e, e .. "/below")), ("permission denied\n"):rep(3))
  F.sh("chmod 755", d, e)
end)

-- In coroutines ---------------------------------------------------------------------------------

T.test("who waits yields nothing, and others go on [60 1.1.1] [00 1.1.1]", function ()
  local d, got, passes = F.folder(), nil, 0
  F.put(d .. "/x", "")
  local co = T.create(function () got = entries(listdir(d)) end)
  T.returns({ true }, coroutine.resume, co)
  T.eq(coroutine.status(co), "suspended")
  T.start(function () repeat system.suspend(); passes = passes + 1 until got end)
  L.run()
  T.same(got, { "x file" })
  T.eq(passes > 0, true)
end)

F.done()
