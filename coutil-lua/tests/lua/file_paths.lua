-- Files and folders by their paths: linkfile, copyfile, movefile, removefile, makedir, maketemp, and names of all kinds.

local T = require "testing"
local L = require "loop_testing"
local F = require "file_testing"
local memory = require "memory"
local system = require "coutil.system"
local linkfile, copyfile, movefile, removefile = system.linkfile, system.copyfile, system.movefile, system.removefile
local makedir, maketemp, fileinfo = system.makedir, system.maketemp, system.fileinfo
local pack, gives = T.pack, F.gives

-- linkfile --------------------------------------------------------------------------------------

F.test("a hard link is another name of the file [60 3.1.1] [60 5.7]", function (call, t)
  local a, b = F.file "hello", F.fresh()
  gives({ true }, call(linkfile, a, b, t))
  T.eq(F.stat(b, "%i %h %F"), F.stat(a, "%i 2 regular file"))
  for _, path in ipairs { a, b } do
    gives({ 2, "file" }, call(fileinfo, path, t .. "*?"))
    gives({ 2, "file" }, call(fileinfo, path, t .. "l*?"))
  end
  F.put(b, "changed")
  T.eq(F.get(a), "changed")
  gives({ true }, call(removefile, a, t))
  T.eq(F.get(b), "changed")
  T.eq(F.stat(b, "%h"), "1")
end)

F.test("a symbolic link holds the path as it was given [60 3.1.1] [60 5.7]", function (call, t)
  for _, mode in ipairs { "s", "d", "j", "sd", "sdj", "ss", "js" } do
    for _, content in ipairs { "/", "no//such/../thing/.", " spaces\tand\nlines ", "\255\128x", ("x"):rep(200), "-n", "'" } do
      local b = F.fresh()
      gives({ true }, call(linkfile, content, b, t .. mode))
      T.eq(F.stat(b, "%F"), "symbolic link")
      T.eq(F.sh("readlink -n --", b), content)
      T.eq(select("#", call(fileinfo, b, t .. "l=")), 1)
      T.eq((call(fileinfo, b, t .. "l=")), content)
      gives({ true }, call(removefile, b, t))
    end
  end
  local a, b = F.file "x", F.fresh()
  gives({ true }, call(linkfile, a, b, t .. "s"))
  gives({ "link" }, call(fileinfo, b, t .. "l?"))
  gives({ "file", 1 }, call(fileinfo, b, t .. "?*"))
  T.eq(F.get(b), "x")
end)

F.test("what linkfile cannot do [60 3.1.2] [60 1.2.8]", function (call, t)
  local a, d, nothing = F.file "a", F.folder(), F.fresh()
  local dangling = F.link(nothing)
  for _, there in ipairs { a, d, dangling } do
    for _, mode in ipairs { "", "s", "d", "j" } do gives(F.exist, call(linkfile, F.file "b", there, t .. mode)) end
  end
  gives(F.exist, call(linkfile, a, a, t))
  gives(F.missing, call(linkfile, nothing, F.fresh(), t))
  gives(F.missing, call(linkfile, a, nothing .. "/x", t))
  gives(F.missing, call(linkfile, a, nothing .. "/x", t .. "s"))
  gives(F.notpermitted, call(linkfile, d, nothing, t))
  gives(F.notdir, call(linkfile, a .. "/x", nothing, t))
  T.eq(F.exists(nothing), false)
  T.eq(F.get(a), "a")
end)

-- copyfile --------------------------------------------------------------------------------------

F.test("a copy has the contents and the bits [60 3.2.1]", function (call, t)
  for i, text in ipairs { "", "x", "with\0zeros\0", L.pattern(T.scale(3000001, 70001)) } do
    for _, mode in ipairs { "", "n", "c", "nc", "cc" } do
      local a, b = F.file(text), F.fresh()
      F.sh("chmod " .. (F.root and 7 or 0) .. "6" .. i .. 8 - i, a)
      gives({ true }, call(copyfile, a, b, t .. mode))
      T.eq(F.sh("cmp --", a, b), "")
      T.eq(F.stat(b, "%a %s %F"), F.stat(a, "%a %s %F"))
      T.eq(F.stat(b, "%h"), "1")
      T.eq(F.get(a), text)
    end
  end
end)

F.test("a copy replaces what the destination held [60 3.2.1]", function (call, t)
  for _, mode in ipairs { "", "c" } do
    local a, b = F.file "short", F.file(("long"):rep(5000))
    F.sh("chmod 640", a)
    F.sh("chmod 777", b)
    local inode = F.stat(b, "%i")
    gives({ true }, call(copyfile, a, b, t .. mode))
    T.eq(F.get(b), "short")
    T.eq(F.stat(b, "%a"), "640")
    if mode == "" then T.eq(F.stat(b, "%i"), inode) end
  end
end)

F.test("a copy of a link is that of its target, and one onto a link goes through it [60 3.2.1] [60 3.2.4]", function (call, t)
  local a, b = F.file "target", F.fresh()
  gives({ true }, call(copyfile, F.link(a), b, t))
  T.eq(F.stat(b, "%F %s"), "regular file 6")
  local c = F.file "other"
  local link = F.link(c)
  gives({ true }, call(copyfile, a, link, t))
  T.eq(F.stat(link, "%F"), "symbolic link")
  T.eq(F.get(c), "target")
  local nothing = F.fresh()
  local dangling = F.link(nothing)
  gives({ true }, call(copyfile, a, dangling, t))
  T.eq(F.stat(dangling, "%F"), "symbolic link")
  T.eq(F.stat(nothing, "%F %s"), "regular file 6")
  gives(F.missing, call(copyfile, F.link(F.fresh()), b, t))
  T.eq(F.get(b), "target")
end)

F.test("a file copied to itself stays as it is [60 3.2.1] [60 3.2.4]", function (call, t)
  local a, hard = F.file "myself", F.fresh()
  F.sh("ln --", a, hard)
  F.sh("chmod 751", a)
  for _, same in ipairs { a, hard, F.link(a), F.dir .. "/./" .. a:match "[^/]*$" } do
    for _, mode in ipairs { "", "c" } do gives({ true }, call(copyfile, a, same, t .. mode)) end
    gives({ true }, call(copyfile, same, a, t))
    for _, mode in ipairs { "n", "nc", "Cn" } do gives(F.exist, call(copyfile, a, same, t .. mode)) end
    T.eq(F.get(a), "myself")
    T.eq(F.stat(a, "%a %h"), "751 2")
  end
end)

F.test("n: only where nothing is [60 3.2.2] [60 3.2.4]", function (call, t)
  local a, nothing = F.file "a", F.fresh()
  for _, there in ipairs { F.file "old", F.folder(), F.link(F.file "old"), F.link(nothing) } do
    local before = F.state(there)
    gives(F.exist, call(copyfile, a, there, t .. "n"))
    T.eq(F.state(there), before)
  end
  T.eq(F.exists(nothing), false)
end)

F.test("C: a shared copy or none [60 3.2.2] [60 3.2.3]", function (call, t)
  local a, b, old = F.file(L.pattern(10000)), F.fresh(), F.file "old"
  F.sh("chmod 604", old)
  local first, second = pack(call(copyfile, a, b, t .. "C")), pack(call(copyfile, a, old, t .. "C"))
  if first[1] then
    T.same(first, { true })
    T.eq(F.sh("cmp --", a, b), "")
  else
    T.eq(first.n, 3)
    if first[3] == 95 then T.eq(first[2], "operation not supported on socket") end
    T.eq(F.exists(b), false)
    T.eq(second[3], first[3])
    T.eq(F.get(old), "old")
    T.eq(F.stat(old, "%a"), "604")
  end
end)

F.test("what copyfile cannot do leaves the destination as it was [60 3.2.3]", function (call, t)
  local a, d, nothing, old = F.file "a", F.folder(), F.fresh(), F.file "old"
  F.sh("chmod 604", old)
  local before = F.state(old)
  for _, mode in ipairs { "", "c" } do
    gives(F.missing, call(copyfile, nothing, old, t .. mode))
    gives(F.isdir, call(copyfile, d, old, t .. mode))
    T.eq(F.state(old), before)
    gives(F.missing, call(copyfile, nothing, nothing .. "x", t .. mode))
    gives(F.isdir, call(copyfile, d, nothing, t .. mode))
    gives(F.isdir, call(copyfile, a, d, t .. mode))
    gives(F.missing, call(copyfile, a, nothing .. "/x", t .. mode))
    gives(F.notdir, call(copyfile, a, old .. "/x", t .. mode))
    T.eq(F.exists(nothing) or F.exists(nothing .. "x"), false)
  end
  T.eq(F.get(old), "old")
  T.eq(F.stat(d, "%F %a"), "directory 755")
end)

local version = io.open("/proc/version", "r")
if version then version:close() end

if version then
  F.test("a copy of what has contents but no size [60 3.2.1] [60 3.2.3]", function (call, t)
    local b = F.fresh()
    gives({ true }, call(copyfile, "/proc/version", b, t))
    T.eq(F.get(b), F.get "/proc/version")
    -- This one cannot be read from its start; who fails at it leaves no new file, and no old one is deleted.
    local new, old = F.fresh(), F.file "old"
    if not call(copyfile, "/proc/self/mem", new, t) then T.eq(F.exists(new), false) end
    call(copyfile, "/proc/self/mem", old, t)
    T.eq(F.exists(old), true)
  end)
end

-- movefile --------------------------------------------------------------------------------------

F.test("files, folders and links are renamed [60 3.3.1]", function (call, t)
  local nothing = F.fresh()
  for _, a in ipairs { F.file "text", F.folder(), F.link "nowhere", F.pipe() } do
    local b, before = F.fresh(), F.stat(a, "%i %F %a %Y")
    if F.stat(a, "%F") == "directory" then F.put(a .. "/inside", "x"); before = F.stat(a, "%i %F %a %Y") end
    gives({ true }, call(movefile, a, b, t))
    T.eq(F.exists(a), false)
    T.eq(F.stat(b, "%i %F %a %Y"), before)
    if F.stat(b, "%F") == "directory" then T.eq(F.get(b .. "/inside"), "x") end
  end
  gives(F.missing, call(movefile, nothing, F.fresh(), t))
end)

F.test("what movefile replaces, and what not [60 3.3.1] [60 1.2.8]", function (call, t)
  local a, old, link = F.file "new", F.file "old", F.link "nowhere"
  gives({ true }, call(movefile, a, old, t))
  T.eq(F.get(old), "new")
  T.eq(F.exists(a), false)
  gives({ true }, call(movefile, old, link, t))
  T.eq(F.stat(link, "%F"), "regular file")
  local d, empty, full = F.folder(), F.folder(), F.folder()
  local inode = F.stat(d, "%i")
  gives({ true }, call(movefile, d, empty, t))
  T.eq(F.stat(empty, "%i"), inode)
  F.put(full .. "/x", "kept")
  gives(F.notempty, call(movefile, empty, full, t))
  gives(F.notdir, call(movefile, empty, link, t))
  gives(F.isdir, call(movefile, link, empty, t))
  gives(F.isdir, call(movefile, link, full, t))
  gives(F.invalid, call(movefile, full, full .. "/below", t))
  gives(F.missing, call(movefile, link, F.fresh() .. "/x", t))
  gives(F.notdir, call(movefile, full, link .. "/x", t))
  T.eq(F.get(full .. "/x"), "kept")
  T.eq(F.get(link), "new")
  T.eq(F.stat(empty, "%i"), inode)
  gives({ true }, call(movefile, link, link, t))
  T.eq(F.get(link), "new")
end)

local other = L.path()
if F.stat((F.sh("dirname", other)), "%d") ~= F.stat(F.dir, "%d") then
  F.test("no move to another file system [60 3.3.1]", function (call, t)
    local a, b = F.file "x", other
    gives({ false, "cross-device link not permitted", 18 }, call(movefile, a, b, t))
    gives({ false, "cross-device link not permitted", 18 }, call(linkfile, a, b, t))
    T.eq(F.get(a), "x")
    T.eq(F.exists(b), false)
    gives({ true }, call(copyfile, a, b, t))
    T.eq(F.get(b), "x")
    gives({ true }, call(removefile, b, t))
  end)
end

-- removefile ------------------------------------------------------------------------------------

F.test("files and links, or with d empty folders, are removed [60 3.4.1]", function (call, t)
  local a, d = F.file "a", F.folder()
  for _, path in ipairs { F.file "x", F.link(a), F.link(d), F.link "nowhere", F.pipe() } do
    gives({ true }, call(removefile, path, t))
    T.eq(F.exists(path), false)
  end
  T.eq(F.get(a), "a")
  gives({ true }, call(removefile, d, t .. "d"))
  T.eq(F.exists(d), false)
  local e = F.folder()
  gives({ true }, call(removefile, e, "d" .. t .. "d"))
  T.eq(F.exists(e), false)
end)

F.test("what removefile cannot do [60 3.4.2]", function (call, t)
  local a, d, full, nothing = F.file "a", F.folder(), F.folder(), F.fresh()
  local link = F.link(d)
  F.put(full .. "/.x", "")
  gives(F.missing, call(removefile, nothing, t))
  gives(F.missing, call(removefile, nothing, t .. "d"))
  gives(F.missing, call(removefile, "", t))
  gives(F.isdir, call(removefile, d, t))
  gives(F.isdir, call(removefile, full, t))
  gives(F.notdir, call(removefile, a, t .. "d"))
  gives(F.notdir, call(removefile, link, t .. "d"))
  gives(F.notdir, call(removefile, a .. "/x", t))
  gives(F.notempty, call(removefile, full, t .. "d"))
  for _, path in ipairs { a, d, full, full .. "/.x", link } do T.eq(F.exists(path), true) end
end)

-- makedir ---------------------------------------------------------------------------------------

F.test("a folder is made, and the umask applied [60 3.5.1] [60 1.3.10]", function (call, t)
  for perm, octal in pairs { [""] = "0", rwx = "700", rwxRWX421 = "777", rRw = "640", ["4r"] = "404", [511] = "777", [448] = "700",
                             [4096 + 448] = "700", [-4096 + 511] = "777", rwxS = "1700" } do
    local path = F.fresh()
    gives({ true }, call(makedir, path, perm, t))
    T.eq(F.stat(path, "%F %a"), "directory " .. F.masked(octal))
  end
end)

F.test("what makedir cannot do [60 3.5.1] [60 1.2.8]", function (call, t)
  local nothing = F.fresh()
  for _, there in ipairs { F.file "x", F.folder(), F.link(nothing), F.link(F.dir), "/" } do
    gives(F.exist, call(makedir, there, 511, t))
  end
  gives(F.missing, call(makedir, nothing .. "/x", "rwx", t))
  gives(F.notdir, call(makedir, F.file "x" .. "/x", "rwx", t))
  gives(F.toolong, call(makedir, F.dir .. "/" .. ("x"):rep(256), "rwx", t))
  T.eq(F.exists(nothing), false)
end)

-- maketemp --------------------------------------------------------------------------------------

local function temporary(path, prefix)
  T.eq(type(path), "string")
  T.eq(path:sub(1, #prefix), prefix)
  T.eq(#path, #prefix + 6)
  T.eq(path:sub(-6):find "^[%w_-]+$", 1)
end

F.test("maketemp makes a folder [60 3.6.1]", function (call, t)
  local seen = {}
  for _, prefix in ipairs { F.dir .. "/", F.dir .. "/p", F.dir .. "/sp ace\255", F.dir .. "/XXXXXX", F.dir .. "/p", F.dir .. "/p" } do
    local got = pack(call(maketemp, prefix, t))
    T.eq(got.n, 1)
    temporary(got[1], prefix)
    T.eq(seen[got[1]], nil)
    seen[got[1]] = true
    T.eq(F.stat(got[1], "%F %a"), "directory 700")
  end
end)

F.test("maketemp makes a file [60 3.6.1] [60 3.6.2]", function (call, t)
  local prefix, before = F.fresh(), F.descriptors()
  local got = pack(call(maketemp, prefix, t .. "f"))
  T.eq(got.n, 1)
  temporary(got[1], prefix)
  T.eq(F.stat(got[1], "%F %a %s"), "regular empty file 600 0")
  T.eq(F.descriptors(), before)
  got = pack(call(maketemp, prefix, t .. "o"))
  T.eq(got.n, 1)
  T.eq(getmetatable(got[1]).__name, "coutil:file")
  got[1]:close "~"
  got = pack(call(maketemp, prefix, t .. "of"))
  T.eq(got.n, 2)
  temporary(got[2], prefix)
  local file, m = got[1], memory.create(10)
  if before then T.eq(F.has(F.flags(got[2]), "2000000"), true) end -- [60 3.12.5]
  gives({ 4 }, call(file.write, file, "temp", 1, -1, 0, t))
  gives({ 4 }, call(file.read, file, m, 1, -1, 0, t))
  T.eq(m:tostring(1, 4), "temp")
  T.eq(F.get(got[2]), "temp")
  gives({ true }, call(file.close, file, t))
  got = pack(call(maketemp, prefix, t .. "foof"))
  T.eq(got.n, 4)
  T.eq(rawequal(got[2], got[3]), true)
  T.eq(got[1], got[4])
  T.eq(F.stat(got[1], "%F %a"), "regular empty file 600")
  T.eq(got[1] .. " file", got[1] .. " " .. got[2]:info "~?")
  got[2]:close "~"
  got = pack(call(maketemp, prefix, t .. "ffff"))
  T.same(got, { got[1], got[1], got[1], got[1] })
  T.eq(F.descriptors(), before)
end)

F.test("what maketemp cannot do, and the longest prefix [60 3.6.1] [60 1.2.8]", function (call, t, raises)
  for _, mode in ipairs { "", "f", "o", "fo" } do
    gives(F.missing, call(maketemp, F.fresh() .. "/x", t .. mode))
    gives(F.notdir, call(maketemp, F.file "x" .. "/x", t .. mode))
    local prefix = F.dir .. "/" .. ("x"):rep(249 - #F.dir - 1)
    local got = pack(call(maketemp, prefix, t .. mode))
    if mode ~= "o" then temporary(got[got[1] and type(got[1]) ~= "string" and 2 or 1], prefix) end
    for _, one in ipairs(got) do if type(one) ~= "string" then one:close "~" end end
    raises("bad argument #1 to 'coutil.system.maketemp' (too long)", maketemp, prefix .. "x", t .. mode)
  end
end)

-- Names -----------------------------------------------------------------------------------------

local names = { "with space", " lead", "trail ", "\255\254not UTF-8\128", "line\nfeed", "-rf", "*", "a'b\"c", "\1\127", "\\", "~", "..." }

F.test("names of all kinds [50 0.1.8] [60 3.3.1] [60 3.4.1] [60 3.5.1] [60 3.12.1]", function (call, t)
  for _, name in ipairs(names) do
    local d = F.folder()
    local a, b, c, e = d .. "/" .. name, d .. "/" .. name .. "b", d .. "/" .. name .. "c", d .. "/" .. name .. "e"
    local file = call(system.openfile, a, t .. "wN", "rw")
    gives({ 4 }, call(file.write, file, "text", 1, -1, 0, t))
    gives({ true }, call(file.close, file, t))
    T.eq(F.stat(a, "%s"), "4")
    gives({ true }, call(copyfile, a, b, t))
    gives({ true }, call(linkfile, name, c, t .. "s"))
    T.eq((call(fileinfo, c, t .. "l=")), name)
    T.eq((call(fileinfo, c, t .. "p")), a)
    T.eq((call(fileinfo, c, t .. "B")), 4)
    gives({ true }, call(makedir, e, "rwx", t))
    gives({ true }, call(movefile, b, e .. "/" .. name, t))
    T.eq(F.sh("cmp --", a, e .. "/" .. name), "")
    local found = {}
    for entry, kind in call(system.listdir, d, t) do found[#found + 1] = entry .. kind end
    T.same(found, { name .. "file", name .. "clink", name .. "edirectory" })
    gives({ true }, call(removefile, e .. "/" .. name, t))
    gives({ true }, call(removefile, e, t .. "d"))
  end
end)

F.test("a path ends at its first zero, and numbers are paths [50 0.1.8] [30 K8] [00 5.2.4]", function (call, t)
  local a, b = F.file "a", F.fresh()
  gives({ true }, call(copyfile, a .. "\0x", b .. "\0/y/z", t .. "\0x"))
  T.eq(F.get(b), "a")
  gives({ true }, call(removefile, b .. "\0", t))
  T.eq(F.exists(b), false)
  gives({ true }, call(linkfile, "x\0y", b, t .. "s"))
  T.eq(F.sh("readlink -n --", b), "x")
  gives(F.missing, call(removefile, 918273645, t))
  gives(F.missing, call(removefile, "\0" .. a, t))
  gives(F.missing, call(removefile, F.fresh(), t, "more", {}))
end)

F.test("paths that lead nowhere [60 1.2.8] [00 4.1] [00 4.2]", function (call, t)
  local a, loop = F.link "b", F.fresh()
  F.sh("ln -s --", loop, loop)
  local long = F.dir .. ("/x"):rep(2100)
  for _, path in ipairs { long, F.dir .. "/" .. ("x"):rep(256) } do
    gives(F.toolong, call(removefile, path, t))
    gives(F.toolong, call(system.openfile, path, t .. "r"))
    gives(F.toolong, call(movefile, path, a, t))
    gives(F.toolong, call(copyfile, path, F.fresh(), t))
    gives(F.toolong, call(system.grantfile, path, "r", t))
    gives(F.toolong, call(system.touchfile, path, t))
    gives(F.toolong, call(system.ownfile, path, -1, -1, t))
  end
  gives(F.loop, call(system.openfile, loop, t .. "r"))
  gives(F.loop, call(copyfile, loop, F.fresh(), t))
  gives(F.loop, call(makedir, loop .. "/x", 511, t))
  gives(F.missing, call(system.openfile, "", t .. "r"))
  gives(F.missing, call(makedir, "", 511, t))
  gives(F.missing, call(linkfile, "", F.fresh(), t .. "s"))
  local got = pack(call(removefile, F.fresh(), t))
  if T.integers then T.eq(math.type(got[3]), "integer") end
end)

F.done()
