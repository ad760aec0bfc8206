-- system.fileinfo, file:info and system.filebits, compared with what the system's own tools say.

local T = require "testing"
local L = require "loop_testing"
local F = require "file_testing"
local system = require "coutil.system"
local fileinfo, run, bits = system.fileinfo, system.run, system.filebits
local pack, gives = T.pack, F.gives

local group_s = "?UGSrwxRWX421M_ug#Dd*BbivamscM"
local fixed = "?UGSrwxRWX421M_ug#Dd*BbivmscM" -- all but the time of access

-- filebits --------------------------------------------------------------------------------------

local permissions = { { "U", "setuid", "4000" }, { "G", "setgid", "2000" }, { "S", "sticky", "1000" },
  { "r", "ruser", "400" }, { "w", "wuser", "200" }, { "x", "xuser", "100" }, { "R", "rgroup", "40" }, { "W", "wgroup", "20" },
  { "X", "xgroup", "10" }, { "4", "rother", "4" }, { "2", "wother", "2" }, { "1", "xother", "1" } }
local types = { type = "170000", socket = "140000", link = "120000", file = "100000", block = "60000", directory = "40000",
  character = "20000", pipe = "10000" }

T.test("filebits is a plain table of integers [60 2.1] [60 1.3.9]", function ()
  local want, n = {}, 0
  for _, p in ipairs(permissions) do want[p[2]] = F.octal(p[3]) end
  for name, value in pairs(types) do want[name] = F.octal(value) end
  T.eq(type(bits), "table")
  T.eq(getmetatable(bits), nil)
  for name, value in pairs(bits) do
    T.eq(value, want[name], name)
    if T.integers then T.eq(math.type(value), "integer") end
    n = n + 1
  end
  T.eq(n, 20)
end)

-- Kinds -----------------------------------------------------------------------------------------

F.test("type names, and bits of the mode [60 2.2] [60 3.13.3]", function (call, t)
  local kinds = { file = F.file "x", directory = F.folder(), link = F.link "nowhere", pipe = F.pipe(), character = "/dev/null" }
  local block = F.sh "find /dev -type b 2>/dev/null | head -n 1"
  if block ~= "" then kinds.block = block end
  local passive = assert(system.socket("passive", "local"))
  local path = F.fresh "s"
  if #path < 100 and passive:bind(path) then kinds.socket = path end
  for kind, path in pairs(kinds) do
    local got = pack(call(fileinfo, path, t .. "l?M"))
    T.same(got, { kind, tonumber(F.stat(path, "%f"), 16) })
    T.eq(got[2] - got[2] % 4096, bits[kind])
  end
  passive:close()
end)

F.test("each permission bit [60 3.13.3] [60 1.3.9] [60 5.9]", function (call, t)
  local path = F.file "x"
  local file = F.open(path)
  for i, p in ipairs(permissions) do
    F.sh("chmod " .. p[3], path)
    if F.octal(F.stat(path, "%a")) == F.octal(p[3]) then -- not everybody may set all
      local want = { n = 12 }
      for k = 1, 12 do want[k] = k == i end
      gives(want, call(fileinfo, path, t .. "UGSrwxRWX421"))
      gives(want, call(file.info, file, t .. "UGSrwxRWX421"))
      gives({ F.octal "100000" + F.octal(p[3]) }, call(fileinfo, path, t .. "M"))
    end
  end
  F.sh("chmod 7777", path)
  for _, p in ipairs(permissions) do
    gives({ F.octal(F.stat(path, "%a")) % (2 * F.octal(p[3])) >= F.octal(p[3]) }, call(fileinfo, path, t .. p[1]))
  end
  file:close "~"
end)

-- Group S ---------------------------------------------------------------------------------------

-- The time as stat knows it, from its seconds and its text with nanoseconds.
local function when(seconds, text)
  local nanoseconds = text:match "%.(%d%d%d%d%d%d%d%d%d)"
  return tonumber(seconds) + tonumber(nanoseconds) * 1e-9
end

local cases = {
  function () return F.file "" end, function () return F.file(("x"):rep(100000)) end, function () return F.folder() end,
  function () return F.link "somewhere" end, function () return F.pipe() end, function () return "/dev/null" end,
  function () return "/" end, function () return "/proc/version" end,
  function () -- larger than 4 GiB, nearly all of it a hole
    local path = F.file ""
    F.sh("truncate -s 5000000001", path)
    return path
  end,
  function ()
    local path = F.file "owned"
    F.sh("touch -h -d '1999-12-31 23:59:59.123456789 UTC'", path)
    if F.root then F.sh("chown 4294967294:70000", path) end
    F.sh("ln", path, F.fresh())
    return path
  end,
}

F.test("what stat says [60 3.13.3] [60 3.13.4] [60 2.2]", function (call, t)
  for _, case in ipairs(cases) do
    local path = case()
    local got = pack(call(fileinfo, path, t .. "lug#Dd*BbivM_msc"))
    T.eq(got.n, 15, path)
    local format = "%u %g %i %d 0 %h %s %b %o 0"
    local want = {}
    for word in F.stat(path, format):gmatch "%S+" do want[#want + 1] = tonumber(word) end
    if path == "/dev/null" then want[5] = 259 end
    for i = 1, 10 do
      T.eq(got[i], want[i], path .. " " .. i)
      if T.integers then T.eq(math.type(got[i]), "integer") end
    end
    T.eq(got[11], tonumber(F.stat(path, "%f"), 16), path)
    T.eq(got[12], 0)
    if path ~= "/proc/version" and path ~= "/dev/null" then
      T.eq(got[13], when(F.stat(path, "%Y"), F.stat(path, "%y")), path)
      T.eq(got[14], when(F.stat(path, "%Z"), F.stat(path, "%z")), path)
    end
    local born, text = F.stat(path, "%W"), F.stat(path, "%w")
    if text:find "%.%d%d%d%d%d%d%d%d%d" and tonumber(born) > 0 then T.eq(got[15], when(born, text), path) end
    for i = 13, 15 do
      T.eq(type(got[i]), "number")
      if T.integers then T.eq(math.type(got[i]), "float") end
    end
  end
end)

F.test("the time of access [60 3.13.3] [60 3.13.4]", function (call, t)
  local path = F.file "x"
  F.sh("touch -a -d '2001-02-03 04:05:06.000000007 UTC'", path)
  local got = pack(call(fileinfo, path, t .. "aB"))
  T.same(got, { 981173106 + 7 * 1e-9, 1 })
  if T.integers then T.eq(math.type(call(fileinfo, path, t .. "a")), "float") end
  F.sh("touch -d '2001-02-03 04:05:06 UTC'", path)
  got = pack(call(fileinfo, path, t .. "am"))
  T.same(got, { 981173106, 981173106 })
  if T.integers then T.eq(math.type(got[2]), "float") end
end)

F.test("an open file and its path have the same values [60 5.9] [60 3.13.4] [60 4.9.1] [60 3.13.2]", function (call, t)
  for _, case in ipairs(cases) do
    local path = case()
    if F.stat(path, "%F"):find "^regular" or path == "/" then
      local file = F.open(path)
      local a, b = pack(call(fileinfo, path, t .. fixed)), pack(call(file.info, file, t .. fixed))
      T.eq(a.n, #fixed)
      T.eq(b.n, #fixed)
      for i = 1, #fixed do
        T.eq(a[i] == b[i], true, path .. " " .. fixed:sub(i, i))
        if T.integers then T.eq(math.type(a[i]), math.type(b[i])) end
      end
      file:close "~"
    end
  end
end)

F.test("file:info knows the file, whatever its name is now [60 4.9.1]", function (call, t)
  local path, other = F.file "12345", F.fresh()
  local file = F.open(path)
  F.sh("mv --", path, other)
  F.put(path, "1")
  T.eq(call(file.info, file, t .. "#"), tonumber(F.stat(other, "%i")))
  F.sh("rm --", other)
  gives({ "file", 5, 0 }, call(file.info, file, t .. "?B*"))
  gives({}, call(file.info, file, t))
  file:close "~"
end)

F.test("one result per letter, in order, repeated ones too [60 3.13.2]", function (call, t)
  local path = F.file "12345"
  F.sh("chmod 640", path)
  gives({ "file", 5, "file", 5, 5, true, false, nil, nil, 5, n = 10 }, call(fileinfo, path, t .. "?B?BBrX==B"))
  gives({}, call(fileinfo, path, t))
  gives({}, call(fileinfo, path, t .. "l"))
  gives({ 5 }, call(fileinfo, path, t .. "B\0x"))
  gives({ 5 }, call(fileinfo, path, t .. "B", "more", {}))
  local file = F.open(path)
  gives({ 5, "file", 5, 5 }, call(file.info, file, t .. "B?BB"))
  gives({ 5 }, call(file.info, file, t .. "B\0l"))
  file:close "~"
  local many = ("B?"):rep(100)
  local got = pack(call(fileinfo, path, t .. many))
  T.eq(got.n, 200)
  for i = 1, 200 do T.eq(got[i], i % 2 == 1 and 5 or "file") end
end)

-- Links -----------------------------------------------------------------------------------------

F.test("l: about the link itself [60 3.13.5] [60 5.7]", function (call, t)
  local path = F.file(("x"):rep(1000))
  local link = F.link(path)
  local ls = t == "" and { "l" } or { "l~", "~l", "~l~", "l~~" }
  for _, l in ipairs(ls) do
    gives({ "link", #path, tonumber(F.stat(link, "%i")), path }, call(fileinfo, link, l .. "?B#="))
    gives({ "file", 1000, tonumber(F.stat(path, "%i")) }, call(fileinfo, path, l .. "?B#"))
    gives({ path, path, path }, call(fileinfo, link, l .. "p=p"))
  end
  gives({ "file", 1000, tonumber(F.stat(path, "%i")), path }, call(fileinfo, link, t .. "?B#="))
  F.put(F.dir .. "/a.txt", "12345")
  gives({ "link", "a.txt", 5 }, call(fileinfo, F.link "a.txt", t .. "l?=B"))
  gives({ "file", "a.txt", 5 }, call(fileinfo, F.link "a.txt", t .. "?=B"))
end)

F.test("=: the content of a link, nil for what is none [60 3.13.3] [60 5.6] [60 3.13.6]", function (call, t)
  local path = F.file "x"
  for _, other in ipairs { path, F.dir, F.pipe(), "/dev/null", "/" } do
    gives({ nil, n = 1 }, call(fileinfo, other, t .. "="))
    gives({ nil, n = 1 }, call(fileinfo, other, t .. "l="))
    gives({ nil, (call(fileinfo, other, t .. "?")), nil, n = 3 }, call(fileinfo, other, t .. "=?="))
  end
  for _, content in ipairs { "nowhere", " ", "a\nb", "\255\254", "../../..", ("x"):rep(255), ("x/"):rep(2047) } do
    local link = F.link(content)
    gives({ content }, call(fileinfo, link, t .. "l="))
    gives({ content, "link", #content, content }, call(fileinfo, link, t .. "l=?B="))
    gives({ content }, call(fileinfo, link, t .. "="))
  end
end)

F.test("p: the absolute path without links [60 3.13.3] [60 3.13.5]", function (call, t)
  local d = F.folder()
  local path = F.put(d .. "/file", "x")
  local link = F.link(d)
  for _, p in ipairs { path, link .. "/file", d .. "/../" .. d:match "[^/]*$" .. "/./file", link .. "//file", F.link(link .. "/file") } do
    gives({ path }, call(fileinfo, p, t .. "p"))
    gives({ path }, call(fileinfo, p, t .. "lp"))
    T.eq(F.sh("readlink -f --", p), path)
  end
  for _, p in ipairs { "/", ".", "..", "/tmp/.." } do
    local want = F.sh("readlink -e --", p)
    if want ~= "" then gives({ want }, call(fileinfo, p, t .. "p")) end
  end
end)

-- File systems ----------------------------------------------------------------------------------

local file_systems = [[adfs 0xADF5 affs 0xADFF afs 0x5346414F anonymous 0x09041934 autofs 0x187 bdevfs 0x62646576 binfmtfs 0x42494E4D
bpf 0xCAFE4A11 btrfs 0x9123683E btrfs 0x73727279 cgroup 0x27E0EB cgroup2 0x63677270 coda 0x73757245 cramfs 0x28CD3D45 debugfs 0x64626720
devpts 0x1CD1 ecryptfs 0xF15F efivarfs 0xDE5E81E4 efs 0x414A53 ext4 0xEF53 f2fs 0xF2F52010 fuse 0x65735546 hostfs 0xC0FFEE hpfs 0xF995E849
hugetlbfs 0x958458F6 isofs 0x9660 jffs2 0x72B6 minix 0x137F minix+ 0x138F minix2 0x2468 minix2+ 0x2478 minix3 0x4D5A msdos 0x4D44
mtd 0x11307854 ncp 0x564C nfs 0x6969 nilfs 0x3434 nsfs 0x6E736673 ocfs2 0x7461636F openprom 0x9FA1 overlayfs 0x794C7630 pipefs 0x50495045
proc 0x9FA0 pstorefs 0x6165676C qnx4 0x2F qnx6 0x68191122 ramfs 0x858458F6 reiserfs 0x52654973 securityfs 0x73636673 selinux 0xF97CFF8C
smack 0x43415D53 smb 0x517B sockfs 0x534F434B squashfs 0x73717368 sysfs 0x62656572 tmpfs 0x01021994 tracefs 0x74726163 udf 0x15013346
usbdevice 0x9FA2 v9fs 0x01021997 xenfs 0xABBA1974 xfs 0x58465342]]
local system_names = {}
for name, number in file_systems:gmatch "(%S+) (%S+)" do system_names[tonumber(number)] = name end

local places = { F.dir, "/", "/proc", "/sys", "/dev", "/dev/pts", "/dev/shm", "/sys/fs/cgroup", "/sys/fs/bpf", "/sys/kernel/debug",
  "/sys/kernel/tracing", "/sys/fs/pstore", "/sys/kernel/security", "/sys/fs/selinux", "/dev/hugepages", "/dev/mqueue", "/proc/self/ns/net",
  "/proc/self/fd/0", "/run" }

F.test("@NIT: the file system [60 3.13.3]", function (call, t)
  for _, place in ipairs(places) do
    local number, size, total, files = F.sh("stat -f -c '%t %s %b %c' -- " .. place .. " 2>/dev/null"):match "^(%x+) (%d+) (%d+) (%d+)$"
    if number then
      number = tonumber(number, 16)
      local want = { system_names[number] or "unknown", number, tonumber(size), tonumber(total) }
      gives(want, call(fileinfo, place, t .. "@NIT"))
      gives(want, call(fileinfo, place, t .. "l@NIT")) -- follows links all the same [60 3.13.5]
      if place == "/proc" then T.eq(want[1], "proc") end
      if place == "/proc" or place == "/dev/pts" then gives({ 0, 0, 0, 0, 0 }, call(fileinfo, place, t .. "TFAtf")) end
      local got = pack(call(fileinfo, place, t .. "NITFAtf"))
      T.eq(got.n, 7)
      T.eq(got[3] >= got[4] and got[4] >= got[5] and got[6] >= got[7] and got[7] >= 0, true, place)
      for i = 1, 7 do if T.integers then T.eq(math.type(got[i]), "integer") end end
    end
  end
end)

F.test("FAtf: what is free, as far as others leave it alone [60 3.13.3]", function (call, t)
  for _, place in ipairs(places) do
    local command = "stat -f -c '%b %f %a %c %d' -- " .. place .. " 2>/dev/null"
    local before, got
    for _ = 1, 100 do
      before = F.sh(command)
      if before == "" or not T.integers then break end -- no such place here
      -- Others may use the disk in between.
      got = table.concat(pack(call(fileinfo, place, t .. "TFAtf")), " ")
      if got == before then break end
    end
    if got then T.eq(got, before, place) end
  end
end)

-- Failures --------------------------------------------------------------------------------------

F.test("failures are raised, those of the first group that has one [60 3.13.1] [60 3.13.5] [60 3.13.6] [60 1.2.8] [00 4.4]",
function (call, t, raises)
  local path, nothing, loop = F.file "x", F.fresh(), F.fresh()
  local dangling = F.link(nothing)
  F.sh("ln -s --", loop, loop)
  for letter in (group_s .. "@NITFAtfp="):gmatch "." do
    raises("no such file or directory", fileinfo, nothing, t .. letter)
    raises("not a directory", fileinfo, path .. "/x", t .. "l" .. letter)
    if letter ~= "=" then raises("no such file or directory", fileinfo, dangling, t .. letter) end
    if letter ~= "=" then raises("too many symbolic links encountered", fileinfo, loop, t .. letter) end
  end
  for letter in ("@NITFAtfp"):gmatch "." do
    raises("no such file or directory", fileinfo, dangling, t .. "l" .. letter)
    raises("no such file or directory", fileinfo, dangling, t .. "l=?" .. letter)
  end
  gives({ nothing, "link", 1, nothing }, call(fileinfo, dangling, t .. "l=?*="))
  gives({ loop }, call(fileinfo, loop, t .. "="))
  raises("no such file or directory", fileinfo, dangling, t .. "=B")
  raises("no such file or directory", fileinfo, "", t .. "B")
  raises("name too long", fileinfo, F.dir .. "/" .. ("x"):rep(256), t .. "B=")
  gives({}, call(fileinfo, nothing, t)) -- nothing is asked
end)

T.test("a failure has the position of the caller [60 3.13.1] [00 5.1.1]", function ()
  local nothing = F.fresh()
  T.eq(select(2, pcall(T.load("local f, p = ...\n\nf(p, '~B')\nreturn", "=chunk"), fileinfo, nothing)), "chunk:3: no such file or directory")
  T.eq(select(2, pcall(fileinfo, nothing, "~B")), "no such file or directory")
end)

-- In coroutines ---------------------------------------------------------------------------------

F.test("letters of all groups in one call [60 3.13.7] [60 3.13.2] [60 3.13.6]", function (call, t)
  local path = F.file "12345"
  local link = F.link(path)
  local number = tonumber(F.sh("stat -f -c %t --", path), 16)
  gives({ path, number, "file", path, 5, nil, number, n = 7 }, (function ()
    local a, b, c, d, e = call(fileinfo, link, t .. "pN?=B")
    return a, b, c, d, e, call(fileinfo, path, t .. "=N")
  end)())
  gives({ path, path, "link", number, #path, path }, call(fileinfo, link, t .. "lp=?NBp"))
end)

T.test("a call ended in any of its suspensions is ended [60 3.13.7] [00 1.3.1] [60 1.2.7]", function ()
  local path = F.file "12345"
  for passes = 0, 6 do
    local w = T.waiter(fileinfo, path, "BN=p")
    T.eq(w.got, nil)
    for _ = 1, passes do if not w.got then run "ready" end end
    if w.got then
      T.eq(w.got.n, 4)
    else
      T.resume(w.co, passes, nil)
      T.same(w.got, { passes, nil, n = 2 })
    end
    L.run()
  end
  local w = T.waiter(fileinfo, path, "BN=p")
  T.start(function () system.suspend(); T.resume(w.co) end) -- before the poll of the first pass
  L.run()
  T.same(w.got, {})
end)

T.test("without letters nothing is waited for by path [60 3.13.2] [00 1.1.4]", function ()
  for _, mode in ipairs { "", "l", "\0x" } do
    gives({}, fileinfo("/", mode))
    gives({}, fileinfo(F.fresh(), mode))
    gives({}, fileinfo({}, mode))
    gives({}, T.inside(fileinfo, "/", mode))
  end
  T.eq(run(), false)
end)

T.test_if(T.yield_across_pcall, "no yield across pcall", "a coroutine can catch what is raised after it waited [60 3.13.1] [60 3.7.1] [00 1.1.3]", function ()
  local nothing, dangling, got = F.fresh(), F.link "nowhere", nil
  T.start(function ()
    got = { (select(2, pcall(fileinfo, nothing, "B"))), (select(2, pcall(fileinfo, dangling, "l?=@"))),
      (select(2, pcall(system.listdir, nothing))), (select(2, pcall(fileinfo, dangling, "l?"))) }
  end)
  T.eq(got, nil)
  L.run()
  local text = "no such file or directory"
  T.same(got, { text, text, text, "link" })
end)

F.done()
