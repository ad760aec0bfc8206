-- The processors, compared with /proc and /sys.

local T = require "testing"
local L = require "loop_testing"
local P = require "process_testing"
local system = require "coutil.system"
local cpuinfo = system.cpuinfo
local pack = T.pack

local interfaces = system.netinfo("all")
require "iterator_testing" ("coutil:cpustats", function (...) return cpuinfo(...) end, "mcunsid",
  interfaces and { { "coutil:netifaces", interfaces } })

-- The lines of the processors: lists of numbers (their times in ms), and their numbers.
local function times()
  local list, numbers = {}, {}
  for n, line in (P.read("/proc/stat") or ""):gmatch("cpu(%d+) ([^\n]*)") do
    local fields = {}
    for word in line:gmatch("%d+") do fields[#fields + 1] = tonumber(word) * 10 end
    list[#list + 1] = fields
    numbers[#numbers + 1] = tonumber(n)
  end
  return list, numbers
end

T.test("without arguments, or with more [30 C1] [30 K10]", function ()
  local it, which, first, closing = cpuinfo()
  T.eq(type(it) .. tostring(which) .. first, "userdatanil0")
  T.eq(rawequal(it, closing), true)
  local got = pack(cpuinfo("m", {}, "surplus"))
  T.eq(got.n, 4)
  T.eq(got[2], "m")
  T.eq(got[3], 0)
end)

T.test("types and numbers [30 C5] [30 C12]", function ()
  local it = cpuinfo()
  T.eq(#it > 0, true)
  for i = 1, #it do
    local n, model, mhz, user, nice, sys, idle, irq = it("mcunsid", i - 1)
    T.eq(n, i)
    T.eq(type(model), "string")
    T.eq(#model > 0, true)
    for _, value in ipairs { mhz, user, nice, sys, idle, irq } do T.eq(P.integer(value) >= 0, true) end
    for _, value in ipairs { user, nice, sys, idle, irq } do T.eq(value % 10, 0) end
  end
end)

local stat = P.read("/proc/stat")

T.test_if(stat and stat:find("\ncpu0"), "no /proc/stat", "one entry for each processor, with its times [30 C12] [30 C5] [30 C3]", function ()
  local before = times()
  local it = cpuinfo()
  local after = times()
  T.eq(#it, #before)
  -- user nice system idle iowait irq
  for i = 1, #it do
    for column, letter in pairs { "u", "n", "s", [6] = "d" } do
      local _, value = it(letter, i - 1)
      T.eq(before[i][column] <= value and value <= after[i][column], true, letter .. " of " .. i)
    end
    local _, idle = it("i", i - 1) -- which may go back a little
    T.eq(before[i][4] - 1000 <= idle and idle <= after[i][4] + 1000, true, "i of " .. i)
  end
end)

T.test("the data is a snapshot [30 C3]", function ()
  local old_stat = P.read("/proc/stat")
  local it = cpuinfo()
  local before = {}
  for i = 1, #it do before[i] = pack(it("mcunsid", i - 1)) end
  L.busy(.2)
  for i = 1, #it do T.same(pack(it("mcunsid", i - 1)), before[i]) end
  local later, grown = cpuinfo(), false
  for i = 1, math.min(#it, #later) do
    local now = pack(later("usni", i - 1))
    local old = pack(it("usni", i - 1))
    for k = 2, 5 do grown = grown or now[k] > old[k] end
  end
  T.eq(grown or P.read("/proc/stat") == old_stat, true) -- 200 ms on each processor
end)

T.test_if(stat and stat:find("\ncpu0"), "no /proc/stat", "model and clock [30 C12]", function ()
  local _, numbers = times()
  local text, blocks = P.read("/proc/cpuinfo") or "", {}
  for block in (text .. "\n\n"):gmatch("(.-)\n\n") do
    local n = tonumber(block:match("processor%s*:%s*(%d+)"))
    if n then blocks[n] = block end
  end
  local it = cpuinfo()
  for i, number in ipairs(numbers) do
    local _, model, mhz = it("mc", i - 1)
    local block = blocks[number]
    local name = block and block:match("model name[ \t]*:[ \t]*([^\n]*)")
    T.eq(model, name or "unknown", "model of " .. i)
    local current = P.read("/sys/devices/system/cpu/cpu" .. number .. "/cpufreq/scaling_cur_freq")
    local told = block and tonumber(block:match("cpu MHz[ \t]*:[ \t]*([%d.]+)"))
    if current or told then -- it changes: what is sure is the magnitude
      T.eq(mhz > 10 and mhz < 20000, true, "clock of " .. i)
    else
      T.eq(mhz, 0, "clock of " .. i)
    end
  end
end)

T.test_child("too many open files: cpuinfo raises, netinfo fails [30 C2] [30 N3] [00 4.4] [30 K2]", function ()
  local out, how, status = P.script([[
    local system = require "coutil.system"
    local files = {}
    repeat
      local file = io.open("/dev/null")
      files[#files + 1] = file
    until not file
    local ok, text = pcall(system.cpuinfo)
    print(ok, type(text), text)
    print(system.netinfo("all"))
    files[1]:close() files[2]:close()
    print(#system.cpuinfo() > 0, type((system.netinfo("all"))))
  ]], 'ulimit -n 40; exec "$@"')
  T.same({ how, status }, { "exit", 0 }, out)
  T.eq(out, "false\tstring\ttoo many open files\nfalse\ttoo many open files\t24\ntrue\tuserdata\n")
end)

T.done()
