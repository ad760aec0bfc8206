-- Times, owners and permissions: touchfile, ownfile, grantfile, and the methods touch, own and grant.

local T = require "testing"
local L = require "loop_testing"
local F = require "file_testing"
local system = require "coutil.system"
local touchfile, ownfile, grantfile, fileinfo = system.touchfile, system.ownfile, system.grantfile, system.fileinfo
local pack, unpack, gives = T.pack, T.unpack, F.gives

-- Both ways to each operation on a new file: `by(path, f)` where f(operation, ...) gives its results.
local function path_and_file(call, path, f)
  f(function (name, ...) return call(system[name .. "file"], path, ...) end)
  for _, mode in ipairs { "r", "w" } do
    local file = F.open(path, mode)
    f(function (name, ...) return call(file[name], file, ...) end)
    file:close "~"
  end
end

-- Times -----------------------------------------------------------------------------------------

local function times(path, a, m)
  T.eq(F.stat(path, "%X %Y"), a .. " " .. m)
end

F.test("touch: each letter takes a time, later ones override [60 3.8.1] [60 5.8]", function (call, t)
  local path = F.file "x"
  path_and_file(call, path, function (f)
    local cases = { { "am", { 11, 22 }, 11, 22 }, { "ma", { 11, 22 }, 22, 11 }, { "b", { 33 }, 33, 33 }, { "bm", { 1, 2 }, 1, 2 },
      { "ab", { 1, 2 }, 2, 2 }, { "ba", { 5, 4 }, 4, 5 }, { "aamm", { 1, 2, 3, 4 }, 2, 4 }, { "mmmba", { 1, 2, 3, 4, 5 }, 5, 4 },
      { "am", { 0, 0 }, 0, 0 }, { "am", { "7", "8" }, 7, 8 }, { "b", { 2 ^ 31 - 5 }, 2 ^ 31 - 5, 2 ^ 31 - 5 },
      { "am", { 11, 22, 33, "x" }, 11, 22 } }
    for _, case in ipairs(cases) do
      gives({ true }, f("touch", t .. case[1], T.unpack(case[2])))
      times(path, ("%.0f"):format(case[3]), ("%.0f"):format(case[4]))
    end
  end)
  gives({ true }, call(touchfile, path, "~~~bm\0x", 9, 10))
  times(path, 9, 10)
end)

-- The times of a path, exactly.
local function exact(path) return T.unpack(pack(fileinfo(path, "~am")), 1, 2) end

F.test("touch: a time that is not given becomes now [60 3.8.1] [60 3.8.4] [60 5.8]", function (call, t)
  local path = F.file "x"
  path_and_file(call, path, function (f)
    -- The times after the call, from such old ones; a letter that is not "now" has its time.
    local function touched(mode, now, ...)
      local args = pack(...)
      T.wall(function ()
        gives({ true }, f("touch", t .. "am", 11, 22))
        local from = os.time()
        gives({ true }, f("touch", mode, unpack(args, 1, args.n)))
        local a, m = exact(path)
        local to = os.time()
        for letter, time in pairs { a = a, m = m } do
          if now:find(letter) then
            T.eq(time >= from - 1 and time <= to + 1, true, letter)
          else
            T.eq(time, 33)
          end
        end
      end)
    end
    touched(t .. "a", "m", 33)
    touched(t .. "m", "a", 33)
    touched(t, "am")
    touched("~\0", "am")
  end)
end)

F.test("touch: fractions, at least microseconds [60 3.8.3] [60 3.13.4]", function (call, t)
  local path = F.file "x"
  path_and_file(call, path, function (f)
    for _, pair in ipairs { { 11, 22.25 }, { .5, 1.000001 }, { 1e9 + .123456, 1e9 + .999999 }, { 1234567890.5, .000001 },
                            { 0, 1577836800.654321 } } do
      gives({ true }, f("touch", t .. "am", pair[1], pair[2]))
      local a, m = exact(path)
      T.eq(math.abs(a - pair[1]) <= 1.5e-6, true, tostring(pair[1]))
      T.eq(math.abs(m - pair[2]) <= 1.5e-6, true, tostring(pair[2]))
    end
    gives({ true }, f("touch", t .. "am", 11, 22.25))
    T.eq(F.stat(path, "%x"):match "%.(%d+)", "000000000")
    T.eq(F.stat(path, "%y"):match "%.(%d+)", "250000000")
  end)
end)

F.test("touch: times that cannot be [60 3.8.3] [60 5.5]", function (call, t, raises)
  local path = F.file "x"
  local before = F.state(path)
  path_and_file(call, path, function (f)
    gives(F.invalid, f("touch", t .. "a", math.huge))
    gives(F.invalid, f("touch", t .. "m", math.huge))
    gives(F.invalid, f("touch", t .. "am", 5, math.huge))
    gives(F.invalid, f("touch", t .. "b", math.huge))
  end)
  for _, time in ipairs { -1, -.001, -math.huge, T.nan } do
    raises("bad argument #3 to 'coutil.system.touchfile' (invalid time)", touchfile, path, t .. "a", time)
    raises("bad argument #4 to 'coutil.system.touchfile' (invalid time)", touchfile, path, t .. "ab", 1, time)
  end
  T.eq(F.state(path), before)
end)

F.test("touchfile: l changes the link [60 3.8.2]", function (call, t)
  local path = F.file "x"
  local link = F.link(path)
  F.sh("touch -d @77", path)
  for _, l in ipairs(t == "" and { "l" } or { "l~", "~l", "~l~~" }) do
    gives({ true }, call(touchfile, link, l .. "am", 11, 22))
    T.eq(F.stat(link, "%X %Y"), "11 22")
    T.eq(F.stat(path, "%X %Y"), "77 77")
    gives({ true }, call(touchfile, path, l .. "b", 77)) -- no link
  end
  gives({ true }, call(touchfile, link, t .. "b", 88))
  T.eq(F.stat(path, "%X %Y"), "88 88")
  T.eq(F.stat(link, "%Y"), "22")
  local dangling = F.link(F.fresh())
  gives({ true }, call(touchfile, dangling, t .. "lb", 5))
  T.eq(F.stat(dangling, "%Y"), "5")
  gives(F.missing, call(touchfile, dangling, t .. "b", 5))
end)

F.test("touchfile: folders and failures [60 3.8.1] [60 1.2.8]", function (call, t)
  local d, nothing = F.folder(), F.fresh()
  gives({ true }, call(touchfile, d, t .. "am", 11, 22))
  times(d, 11, 22)
  gives(F.missing, call(touchfile, nothing, t))
  gives(F.missing, call(touchfile, nothing, t .. "lb", 1))
  gives(F.notdir, call(touchfile, F.file "x" .. "/x", t .. "b", 1))
  T.eq(F.exists(nothing), false)
end)

-- Owners ----------------------------------------------------------------------------------------

local uid, gid = tonumber(F.sh "id -u"), tonumber(F.sh "id -g")

F.test("own: -1 leaves it unchanged [60 3.9.1]", function (call, t)
  local path = F.file "x"
  local before = F.stat(path, "%u %g")
  path_and_file(call, path, function (f)
    gives({ true }, f("own", -1, -1, t))
    gives({ true }, f("own", uid, -1, t))
    gives({ true }, f("own", -1, gid, t))
    gives({ true }, f("own", tostring(uid), gid + 0.0, t))
    T.eq(F.stat(path, "%u %g"), before)
  end)
end)

-- Root can give files away, where the machine lets it.
local giver = F.root and (function ()
  local path = F.file "x"
  F.sh("chown 4294967294:4294967294", path)
  return F.stat(path, "%u %g") == "4294967294 4294967294"
end)()

if giver then
  F.test("own: both owners, or one of them [60 3.9.1] [60 3.9.2]", function (call, t)
    local path = F.file "x"
    path_and_file(call, path, function (f)
      for _, case in ipairs { { 12, 34, "12 34" }, { -1, 56, "12 56" }, { 78, -1, "78 56" }, { 0, 0, "0 0" }, { 65534, 70000, "65534 70000" },
                              { 2 ^ 31, 2 ^ 31 - 1, "2147483648 2147483647" }, { 2 ^ 32 - 2, 2 ^ 32 - 2, "4294967294 4294967294" } } do
        gives({ true }, f("own", case[1], case[2], t))
        T.eq(F.stat(path, "%u %g"), case[3])
      end
      gives({ true }, f("own", 0, 0, t))
    end)
  end)

  F.test("ownfile: l is for the link itself [60 3.9.1]", function (call, t)
    local path = F.file "x"
    local link = F.link(path)
    for i, l in ipairs(t == "" and { "l" } or { "l~", "~l", "l~~", "~l~" }) do
      gives({ true }, call(ownfile, link, 100 + i, 200 + i, l))
      T.eq(F.stat(link, "%u %g"), 100 + i .. " " .. 200 + i)
      T.eq(F.stat(path, "%u %g"), "0 0")
      gives({ true }, call(ownfile, path, 0, 0, l))
    end
    gives({ true }, call(ownfile, link, 7, 8, t))
    T.eq(F.stat(path, "%u %g"), "7 8")
    T.eq(F.stat(link, "%u %g") ~= "7 8", true)
    local dangling = F.link(F.fresh())
    gives({ true }, call(ownfile, dangling, 7, 8, t .. "l"))
    T.eq(F.stat(dangling, "%u %g"), "7 8")
  end)
end

F.test("own: what is no ID changes nothing [60 3.9.2] [60 5.5]", function (call, t)
  local path = F.file "x"
  local before = F.state(path)
  path_and_file(call, path, function (f)
    for _, id in ipairs { -2, -100, 2 ^ 32 - 1, 2 ^ 32, 2 ^ 32 + 5, 2 ^ 40, 2 ^ 53, -2 ^ 31, -2 ^ 32, -2 ^ 53 } do
      gives(F.invalid, f("own", id, -1, t))
      gives(F.invalid, f("own", -1, id, t))
      gives(F.invalid, f("own", id, id, t))
      gives(F.invalid, f("own", uid, id, t))
    end
  end)
  if T.integers then
    gives(F.invalid, call(ownfile, path, math.maxinteger, 0, t))
    gives(F.invalid, call(ownfile, path, 0, math.mininteger, t .. "l"))
  end
  T.eq(F.state(path), before)
end)

F.test("ownfile: failures [60 3.9.1] [60 1.2.8]", function (call, t)
  local nothing = F.fresh()
  local dangling = F.link(nothing)
  gives(F.missing, call(ownfile, nothing, -1, -1, t))
  gives(F.missing, call(ownfile, nothing, uid, gid, t .. "l"))
  gives(F.missing, call(ownfile, dangling, uid, gid, t))
  gives({ true }, call(ownfile, dangling, uid, gid, t .. "l"))
  gives(F.notdir, call(ownfile, F.file "x" .. "/x", -1, -1, t))
  T.eq(F.exists(nothing), false)
end)

-- Permissions -----------------------------------------------------------------------------------

local letters = { U = "4000", G = "2000", S = "1000", r = "400", w = "200", x = "100", R = "40", W = "20", X = "10", ["4"] = "4", ["2"] = "2",
  ["1"] = "1" }
local perms = { { "", "0" }, { "rwxRWX421", "777" }, { "UGSrwxRWX421", "7777" }, { "124XWRxwrSGU", "7777" }, { "421", "7" }, { "rrr", "400" },
  { "rw4R", "644" }, { "rwUx", "4700" }, { "GRX", "2050" }, { "1S", "1001" }, { 0, "0" }, { 511, "777" }, { 420, "644" }, { 4095, "7777" },
  { 4096, "0" }, { 4096 + 384, "600" }, { -1, "7777" }, { -4096, "0" }, { -4096 + 416, "640" }, { 2 ^ 40 + 448, "700" }, { 33188, "644" },
  { 448.0, "700" } }
for letter, octal in pairs(letters) do perms[#perms + 1] = { letter, octal } end

F.test("grant sets the bits exactly as given [60 3.10.1] [60 1.3.9] [60 1.3.10]", function (call, t)
  local path = F.file "x"
  if not F.root then F.sh("chgrp " .. gid, path) end
  path_and_file(call, path, function (f)
    for _, perm in ipairs(perms) do
      gives({ true }, f("grant", perm[1], t))
      T.eq(F.stat(path, "%a"), perm[2], tostring(perm[1]))
    end
    gives({ true }, f("grant", "rwR4", t))
  end)
end)

F.test("grant: letters and numbers that are none [60 1.3.9] [60 5.1] [60 5.5]", function (call, t, raises)
  local path = F.file "x"
  local before = F.state(path)
  for _, perm in ipairs { { "644", "6" }, { "0", "0" }, { "r-x", "-" }, { "rwz", "z" }, { "3", "3" }, { "s", "s" }, { "u", "u" },
                          { "r\255", "\255" }, { "~", "~" }, { "r ", " " }, { "\n", "\n" } } do
    raises("bad argument #2, unknown perm char (got '" .. perm[2] .. "')", grantfile, path, perm[1], t)
    raises("bad argument #2, unknown perm char (got '" .. perm[2] .. "')", system.makedir, path .. "d", perm[1], t)
  end
  for byte = 1, 255 do
    local char = string.char(byte)
    if not letters[char] then
      T.raises("unknown perm char (got '" .. char .. "')", grantfile, path, "rw" .. char, "~")
      T.raises("bad argument #3, unknown perm char (got '" .. char .. "')", system.openfile, path .. "f", "~wN", char)
    end
  end
  raises("bad argument #2 to 'coutil.system.grantfile' (number expected, got table)", grantfile, path, {}, t)
  raises("bad argument #2 to 'coutil.system.grantfile' (number expected, got boolean)", grantfile, path, true, t)
  raises("bad argument #2 to 'coutil.system.grantfile' (number expected, got nil)", grantfile, path, nil, t)
  raises("bad argument #2 to 'coutil.system.grantfile' (number has no integer representation)", grantfile, path, 1.5, t)
  T.eq(F.state(path), before)
  T.eq(F.exists(path .. "d") or F.exists(path .. "f"), false)
end)

F.test("grantfile: links are followed, and failures [60 3.10.1] [60 1.2.8]", function (call, t)
  local path, d, nothing = F.file "x", F.folder(), F.fresh()
  local link, dangling = F.link(path), F.link(nothing)
  gives({ true }, call(grantfile, link, "rwx", t))
  T.eq(F.stat(path, "%a"), "700")
  T.eq(F.stat(link, "%F %a"), "symbolic link 777")
  gives({ true }, call(grantfile, d, "rwxS4", t))
  T.eq(F.stat(d, "%a"), "1704")
  gives(F.missing, call(grantfile, nothing, "r", t))
  gives(F.missing, call(grantfile, dangling, 511, t))
  gives(F.notdir, call(grantfile, path .. "/x", "r", t))
  T.eq(F.exists(nothing), false)
end)

-- Here not even root may.
local refused = F.sh "chmod 700 /proc/self/status 2>&1; true":find "[Nn]ot permitted" ~= nil
if refused then
  F.test("operation not permitted [60 3.10.1] [60 1.2.8]", function (call, t)
    local file = F.open "/proc/self/status"
    gives(F.notpermitted, call(file.grant, file, "rwx", t))
    gives(F.notpermitted, call(grantfile, "/proc/self/status", "rwx", t))
    file:close "~"
  end)
end

F.test("the methods take no l, and work on a file without a name [60 3.8.1] [60 3.9.1] [60 3.10.1]", function (call, t)
  local path = F.file "x"
  local file = F.open(path)
  F.sh("rm --", path)
  gives({ true }, call(file.touch, file, t .. "am", 1, 2))
  gives({ true }, call(file.own, file, -1, gid, t))
  gives({ true }, call(file.grant, file, "UrX1", t))
  local m, bits = call(file.info, file, t .. "mM")
  T.eq(m, 2)
  T.eq(bits, F.octal "104411")
  file:close "~"
  T.eq(L.await(fileinfo, F.file "y", "?"), "file")
end)

F.done()
