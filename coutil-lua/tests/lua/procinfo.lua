-- Information about the process and the system, compared with what other programs and /proc say.

local T = require "testing"
local L = require "loop_testing"
local P = require "process_testing"
local system = require "coutil.system"
local procinfo = system.procinfo
local pack = T.pack

local strings, integers, floats = "enThkvV$HU", "ug=dmR<>iopPSwxX#^bfMr", "cs1lLt"
local all = strings .. integers .. floats

local account = P.has("getent", "id") and P.succeeds("getent passwd $(id -u)") and {}
if account then
  local line = P.line("getent passwd $(id -u)")
  local name, uid, gid, home, shell = line:match("^([^:]*):[^:]*:(%d+):(%d+):[^:]*:([^:]*):([^:]*)$")
  account = name and { U = name, u = tonumber(uid), g = tonumber(gid), H = home, ["$"] = shell }
end

-- The letters that this process can ask for.
local usable = all
if not (pcall(procinfo, "U")) then usable = (usable:gsub("[%$HUug]", "")) end

-- Calls -----------------------------------------------------------------------------------------

T.test("one value for each letter, in order [30 I1] [30 I3]", function ()
  T.eq(#all, 38)
  T.eq(pack(procinfo("")).n, 0)
  T.eq(pack(procinfo("", "n", {})).n, 0)
  local got = pack(procinfo(usable, "surplus"))
  T.eq(got.n, #usable)
  for i = 1, #usable do
    local letter = usable:sub(i, i)
    if strings:find(letter, 1, true) then T.eq(type(got[i]), "string", letter)
    elseif integers:find(letter, 1, true) then P.integer(got[i], letter)
    else P.float(got[i], letter) end
    local one = pack(procinfo(letter))
    T.eq(one.n, 1)
    T.eq(type(one[1]), type(got[i]), letter)
  end
  T.returns({ P.pid, (P.line("uname -s")), P.pid }, procinfo, "#k#")
end)

T.test("a number is its text, the letters end at a NUL [30 I1] [30 K8]", function ()
  local got = pack(procinfo(1))
  T.eq(got.n, 1)
  P.float(got[1])
  T.eq(pack(procinfo(111)).n, 3)
  T.eq(pack(procinfo("\0")).n, 0)
  T.eq(pack(procinfo("#\0?")).n, 1)
end)

T.test("arguments and other letters [30 I1] [30 I2] [30 K9] [30 K6]", function ()
  P.argument(1, "string expected, got no value", procinfo)
  P.argument(1, "string expected, got nil", procinfo, nil)
  P.argument(1, "string expected, got table", procinfo, {})
  P.argument(1, "string expected, got boolean", procinfo, true)
  for byte = 1, 255 do
    local c = string.char(byte)
    if not all:find(c, 1, true) then
      P.raises("unknown mode char (got '" .. c .. "')", procinfo, c)
      P.raises("unknown mode char (got '" .. c .. "')", procinfo, "#k" .. c .. "#?")
    end
  end
  P.raises("unknown mode char (got '~')", procinfo, "~#")
  P.raises("unknown mode char (got '2')", procinfo, 12)
  local line2 = T.load("local f = ...\nlocal x = f('?')\nreturn x", "=chunk")
  local _, text = pcall(line2, procinfo)
  T.eq(text, "chunk:2: unknown mode char (got '?')")
end)

T.test("a snapshot for each call [30 I4]", function ()
  for _, letter in ipairs { "t", "f", "r", "c", "s", "x", "X", "p", "P", "R", "1", "l", "L", "i", "o", "b", "M" } do
    local got = pack(procinfo(letter:rep(200)))
    T.eq(got.n, 200)
    for i = 2, got.n do T.eq(got[i], got[1], letter) end
  end
  local got = pack(procinfo("tfrcsp#tfrcsp#tfrcsp#"))
  for i = 1, 14 do T.eq(got[i + 7], got[i]) end
end)

T.test("many values [30 I5]", function ()
  local n = T.number >= 5.2 and 100000 or 5000
  local list = pack(procinfo(("#"):rep(n)))
  T.same({ list.n, list[1], list[n], list[n + 1] }, { n, P.pid, P.pid })
  T.eq(select("#", procinfo(("fk"):rep(n / 2))), n)
  local got = L.message(procinfo, ("#"):rep(3000000))
  T.eq(got:find("too many values to return", 1, true) ~= nil, true, got)
end)

-- Values ----------------------------------------------------------------------------------------

for letter, option in pairs { n = "n", h = "m", k = "s", v = "r", V = "v" } do
  T.test("letter " .. letter .. " is what uname -" .. option .. " says [30 I1] [30 I3]", function ()
    T.eq(procinfo(letter), P.line("uname -" .. option))
  end)
end

T.test_if(P.proc and not P.valgrind, "no /proc, or valgrind", "the executable and the process ids [30 I1] [30 I6]", function ()
  T.eq(procinfo("e"), P.line("readlink /proc/$PPID/exe"))
  T.returns({ P.stat()[1], P.stat()[4] }, procinfo, "#^")
  T.eq(tostring(procinfo("#")), P.line("echo $PPID"))
end)

T.test_if(account, "no passwd entry, or no getent", "the account [30 I1] [30 I8]", function ()
  for letter, value in pairs(account) do T.eq(procinfo(letter), value, letter) end
  P.environment({ HOME = "/elsewhere", USER = "somebody", LOGNAME = "somebody", SHELL = "/elsewhere/sh" }, function ()
    for letter, value in pairs(account) do T.eq(procinfo(letter), value, letter) end
  end)
end)

T.test("the temporary directory [30 I1] [30 I6]", function ()
  local none = { TMPDIR = false, TMP = false, TEMP = false, TEMPDIR = false }
  local function gives(want, values)
    local vars = {}
    for name in pairs(none) do vars[name] = values[name] or false end
    P.environment(vars, function () L.eqtext(procinfo("T"), want) end)
  end
  gives("/tmp", {})
  gives("/a", { TMPDIR = "/a", TMP = "/b", TEMP = "/c", TEMPDIR = "/d" })
  gives("/b", { TMP = "/b", TEMP = "/c", TEMPDIR = "/d" })
  gives("/c", { TEMP = "/c", TEMPDIR = "/d" })
  gives("/d", { TEMPDIR = "/d" })
  gives("", { TMPDIR = "", TMP = "/b" }) -- set, though empty
  gives("", { TEMPDIR = "" })
  gives("/", { TMPDIR = "/" })
  gives("/a", { TMPDIR = "/a/" })
  gives("/a/", { TMPDIR = "/a//" }) -- one of them
  gives("x", { TMP = "x/" })
  gives("/", { TMP = "//" })
  local long = ("/" .. ("x"):rep(99)):rep(60)
  gives(long, { TMPDIR = long })
  gives(long, { TMPDIR = long .. "/" })
end)

local function meminfo(name)
  local kb = (P.read("/proc/meminfo") or ""):match(name .. ":%s*(%d+) kB")
  return kb and tonumber(kb) * 1024
end

T.test("memory of the system [30 I1] [30 I7]", function ()
  local total, free, limit = procinfo("bfM")
  if meminfo("MemTotal") then T.eq(total, meminfo("MemTotal")) end
  T.eq(free > 0 and free <= total, true)
  T.eq(limit >= -1, true)
  if meminfo("MemAvailable") then -- between two looks, with room for what other programs do
    local before, now, after = meminfo("MemAvailable"), procinfo("f"), meminfo("MemAvailable")
    T.eq(now > math.min(before, after) * .5 and now < math.max(before, after) * 2, true)
  end
end)

T.test_if(T.interpreter() and P.succeeds("ulimit -v 4000000"), "no interpreter to start, or no limits",
"the memory limit of the process is at most that of its address space [30 I7]", function ()
  local out, how, status = P.script([[
    print(("%.0f"):format(require("coutil.system").procinfo("M")))]], 'ulimit -v 4000000; exec "$@"')
  T.same({ how, status }, { "exit", 0 }, out)
  local limit = tonumber(out)
  T.eq(limit == 4000000 * 1024 or limit == 0 or procinfo("M") > 0 and limit == procinfo("M"), true, out)
end)

T.test("memory of the process [30 I1]", function ()
  local before = procinfo("r")
  local page = tonumber(P.has("getconf") and P.line("getconf PAGESIZE") or "") or 4096
  T.eq(before % page, 0)
  if P.proc then -- compared with another look, in bytes
    local rss = P.stat()[24] * page
    T.eq(before > rss / 2 and before < rss * 2, true)
  end
  local big = ("x"):rep(2 ^ 26)
  local now, peak = procinfo("rR")
  T.eq(now - before >= 2 ^ 25, true)
  T.eq(peak >= 2 ^ 26, true)
  T.eq(peak % 1024, 0)
  T.eq(#big, 2 ^ 26)
  local high = P.proc and P.read("/proc/self/status"):match("VmHWM:%s*(%d+) kB")
  if high then T.eq(peak > tonumber(high) * 512 and peak < tonumber(high) * 2048, true) end
end)

T.test("what is always zero on Linux [30 I1]", function ()
  T.returns({ 0, 0, 0, 0, 0, 0, 0 }, procinfo, "=dm<>Sw")
end)

-- A value must lie between two looks at the same counter; both looks are there before and after.
local function between(letter, look, slack)
  local before = look()
  local value = procinfo(letter)
  local after = look()
  if before and after and not (before - (slack or 0) <= value and value <= after + (slack or 0)) then
    error(("%s: %s is not from %s to %s"):format(letter, tostring(value), tostring(before), tostring(after)), 2)
  end
  return value
end

T.test_if(P.proc, "no /proc", "page faults, processor time, input and output [30 I1]", function ()
  local ticks = tonumber(P.has("getconf") and P.line("getconf CLK_TCK") or "") or 100
  between("p", function () return P.stat()[10] end)
  between("P", function () return P.stat()[12] end)
  L.busy(.05)
  between("c", function () return P.stat()[14] / ticks end, .1)
  between("s", function () return P.stat()[15] / ticks end, .1)
  local function io_counter(name)
    return function ()
      local text = P.read("/proc/self/io")
      local n = text and tonumber(text:match("\n" .. name .. ": (%d+)"))
      return n and math.floor(n / 512)
    end
  end
  -- The system counts what was read before this program was executed in one of the two only.
  local function less(letter, look) T.eq(procinfo(letter) <= (look() or math.huge), true) end
  less("i", io_counter("read_bytes"))
  less("o", io_counter("write_bytes"))
  T.eq(procinfo("x") >= tonumber(P.read("/proc/self/status"):match("\nvoluntary_ctxt_switches:%s*(%d+)") or 0) - 1, true)
  T.eq(procinfo("X") >= 0, true)
end)

T.test("counters grow [30 I4] [30 I1]", function ()
  local time, switches, faults = procinfo("cxp")
  L.busy(.1)
  P.sh("true") -- waiting for it is a switch
  local text = ("x"):rep(2 ^ 26)
  local time2, switches2, faults2 = procinfo("cxp")
  T.eq(#text, 2 ^ 26)
  T.eq(time2 + procinfo("s") > time, true)
  T.eq(time2 >= time, true)
  T.eq(switches2 > switches, true)
  T.eq(faults2 > faults, true)
end)

T.test_if(P.read("/proc/loadavg"), "no /proc/loadavg", "the load [30 I1]", function ()
  local function look()
    local a, b, c = P.read("/proc/loadavg"):match("^(%S+) (%S+) (%S+)")
    return { tonumber(a), tonumber(b), tonumber(c) }
  end
  for _ = 1, 1000 do
    local before, got, after = look(), pack(procinfo("1lL")), look()
    if before[1] == after[1] and before[2] == after[2] and before[3] == after[3] then return T.same(got, before) end
  end
end)

T.test_if(P.read("/proc/uptime"), "no /proc/uptime", "the uptime [30 I1]", function ()
  between("t", function () return tonumber(P.read("/proc/uptime"):match("^%S+")) end, .011)
end)

-- In other interpreters -------------------------------------------------------------------------

T.test_if(P.proc and T.interpreter(), "no interpreter to start", "a long path of the executable [30 I6]", function ()
  P.directory(function (dir)
    local deep = dir .. ("/" .. ("x"):rep(150)):rep(4)
    P.sh("mkdir -p " .. deep)
    P.sh("cp /proc/" .. P.pid .. "/exe " .. deep .. "/interpreter && chmod 755 " .. deep .. "/interpreter")
    local script = P.source [[print("path=" .. require("coutil.system").procinfo("e"))]]
    local text, how, status = P.output { execfile = deep .. "/interpreter", arguments = { script } }
    os.remove(script)
    if how == "exit" and status == 0 then T.eq(text, "path=" .. deep .. "/interpreter\n") end -- else it cannot be moved
  end)
end)

T.test_if(T.interpreter() and P.has("setpriv") and P.succeeds("setpriv --reuid 54321 --clear-groups true") and
  not P.succeeds("getent passwd 54321"), "no setpriv", "a user without an entry [30 I8] [30 I3] [30 K2] [00 4.4]", function ()
  local out = P.script([[
    local found, system = pcall(require, "coutil.system")
    if not found then print "cannot load" return end
    print "loaded"
    for letter in ("$HUug"):gmatch "." do print(select("#", pcall(system.procinfo, letter)), pcall(system.procinfo, letter)) end
    print(select("#", pcall(system.procinfo, "#k")))]], 'exec setpriv --reuid 54321 --clear-groups "$1" - < "$2"')
  if out:find("^loaded") then
    T.eq(out, "loaded\n" .. ("2\tfalse\tno such file or directory\n"):rep(5) .. "3\n")
  end
end)

T.test_if(T.interpreter() and P.has("setpriv") and P.succeeds("setpriv --ruid 54321 true") and account,
  "no setpriv", "the effective user counts [30 I1]", function ()
  local out = P.script([[
    local found, system = pcall(require, "coutil.system")
    if found then print("loaded", (system.procinfo("u"))) end]], 'exec setpriv --ruid 54321 "$1" - < "$2"')
  if out:find("^loaded") then T.eq(out, "loaded\t" .. account.u .. "\n") end
end)

T.done()
