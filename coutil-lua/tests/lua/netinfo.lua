-- The network interfaces and their addresses, compared with /sys and what `ip` says.

local T = require "testing"
local L = require "loop_testing"
local P = require "process_testing"
local memory = require "memory"
local system = require "coutil.system"
local netinfo = system.netinfo
local pack = T.pack

local letters = "nidlmtbTB"
local statistics = system.cpuinfo()
require "iterator_testing" ("coutil:netifaces", function (...) return netinfo("all", ...) end, letters,
  { { "coutil:cpustats", statistics } })

-- The interfaces that /sys knows: names and indices.
local indices, names = {}, {}
for name in P.sh("ls /sys/class/net 2>/dev/null"):gmatch("[^\n]+") do
  local index = tonumber(P.read("/sys/class/net/" .. name .. "/ifindex") or "")
  if index then
    indices[name] = index
    names[#names + 1] = name
  end
end

-- Names -----------------------------------------------------------------------------------------

T.test("options [30 N1] [30 K8]", function ()
  for _, option in ipairs { "", "ids", "ID", "Name", "ALL", "address" } do
    P.argument(1, "invalid option '" .. option .. "'", netinfo, option)
    P.argument(1, "invalid option '" .. option .. "'", netinfo, option, {})
  end
  P.argument(1, "invalid option '1'", netinfo, 1)
  P.argument(1, "string expected, got no value", netinfo)
  P.argument(1, "string expected, got nil", netinfo, nil, 1)
  P.argument(1, "string expected, got table", netinfo, {}, 1)
  P.argument(1, "string expected, got boolean", netinfo, true)
  T.eq(pack(netinfo("all\0x")).n, 4)
end)

for _, option in ipairs { "name", "id" } do
  T.test("the argument of " .. option .. " [30 N2] [00 5.2.3]", function ()
    P.argument(2, "number expected, got no value", netinfo, option)
    P.argument(2, "number expected, got nil", netinfo, option, nil)
    P.argument(2, "number expected, got string", netinfo, option, "lo")
    P.argument(2, "number expected, got table", netinfo, option, {})
    P.argument(2, "number has no integer representation", netinfo, option, 1.5)
    P.argument(2, "number has no integer representation", netinfo, option, 2 ^ 80)
    for _, index in ipairs { 0, -1, -2 ^ 31, 2 ^ 31, 2 ^ 32, 2 ^ 32 + 1, T.integers and math.maxinteger or 2 ^ 52,
                             T.integers and math.mininteger or -2 ^ 52 } do
      P.argument(2, "out of range", netinfo, option, index)
    end
    T.returns({ false, "no such device or address", 6 }, netinfo, option, 2 ^ 31 - 1)
    P.integer(select(3, netinfo(option, 2 ^ 31 - 1)))
  end)

  T.test_if(names[1], "no /sys/class/net", "the interfaces by " .. option .. " [30 N2]", function ()
    local known = {}
    for _, name in ipairs(names) do
      T.returns({ name }, netinfo, option, indices[name])
      T.returns({ name }, netinfo, option, tostring(indices[name]), "surplus")
      known[indices[name]] = true
    end
    for index = 1, 100 do
      if not known[index] then
        return T.returns({ false, "no such device or address", 6 }, netinfo, option, index)
      end
    end
  end)
end

-- Addresses -------------------------------------------------------------------------------------

-- All entries, as tables with the letters as fields.
local function entries()
  local list = {}
  for i, n, loopback, domain, length, mask, text, bytes, mac, mac_bytes in netinfo("all", letters) do
    list[i] = { n = n, i = loopback, d = domain, l = length, m = mask, t = text, b = bytes, T = mac, B = mac_bytes }
  end
  return list
end

local function bits(mask)
  local n = 0
  for i = 1, #mask do
    local byte = mask:byte(i)
    for k = 7, 0, -1 do
      if math.floor(byte / 2 ^ k) % 2 == 0 then return n end
      n = n + 1
    end
  end
  return n
end

T.test("types and sizes, and what belongs together [30 N4] [30 N5] [30 N6] [30 C5]", function ()
  local macs = {}
  local list = entries()
  T.eq(#list, #netinfo("all"))
  for _, e in ipairs(list) do
    T.eq(type(e.n) .. type(e.i) .. type(e.t) .. type(e.T), "stringbooleanstringstring")
    T.eq(e.d == "ipv4" or e.d == "ipv6", true)
    local size = e.d == "ipv4" and 4 or 16
    T.eq(#e.b, size)
    T.eq(#e.m, size)
    P.integer(e.l)
    T.eq(e.l, bits(e.m))
    T.eq(#e.B, 6)
    T.eq(e.T, (e.B:gsub(".", function (c) return (":%02x"):format(c:byte()) end):sub(2)))
    T.eq(e.t:find(e.d == "ipv4" and "^%d+%.%d+%.%d+%.%d+$" or "^[%x:.]+$"), 1, e.t)
    L.equal(system.address(e.d, e.t, 65432, "t"), system.address(e.d, e.b, 65432, "b"))
    T.eq(system.address(e.d, e.b, 65432, "b").literal, e.t)
    local name = e.n:match("^[^:]*")
    T.eq(macs[name] or e.T, e.T)
    macs[name] = e.T
  end
end)

T.test("the loopback interface [30 N4]", function ()
  for _, e in ipairs(entries()) do
    T.eq(e.i, e.t:find("^127%.") ~= nil or e.t == "::1" or e.n:match("^[^:]*") == "lo", e.n .. " " .. e.t)
    if e.t == "127.0.0.1" then
      T.eq(e.d .. e.l, "ipv48")
      T.eq(e.m, "\255\0\0\0")
      T.eq(e.b, "\127\0\0\1")
      T.eq(e.T, "00:00:00:00:00:00")
      T.eq(e.B, ("\0"):rep(6))
    elseif e.t == "::1" then
      T.eq(e.d .. e.l, "ipv6128")
      T.eq(e.b, ("\0"):rep(15) .. "\1")
      T.eq(e.m, ("\255"):rep(16))
    end
  end
end)

-- Interfaces that are up and running.
local function running(name)
  local flags = tonumber((P.read("/sys/class/net/" .. name .. "/flags") or "0"):match("%w+")) or 0
  local state = (P.read("/sys/class/net/" .. name .. "/operstate") or ""):match("%w+")
  return flags % 2 == 1 and (state == "up" or state == "unknown")
end

T.test_if(names[1] and P.succeeds("ip -o addr show"), "no ip, or no /sys/class/net",
"the addresses that ip shows, of interfaces that are up and running [30 N4]", function ()
  local function look()
    local list = {}
    for line in P.sh("ip -o addr show"):gmatch("[^\n]+") do
      local name, family, address, rest = line:match("^%d+:%s+(%S+)%s+(inet6?)%s+(%S+)(.*)$")
      if name and running(name:match("^[^@]*")) then
        local peer = rest:match("^%s+peer%s+(%S+)")
        local length = (peer or address):match("/(%d+)")
        list[#list + 1] = ("%s %s %s/%s"):format(name:match("^[^@]*"), family == "inet" and "ipv4" or "ipv6", address:match("^[^/]*"),
          length or (family == "inet" and "32" or "128"))
      end
    end
    table.sort(list)
    return table.concat(list, "\n")
  end
  local function ours()
    local list = {}
    for _, e in ipairs(entries()) do list[#list + 1] = ("%s %s %s/%s"):format(e.n:match("^[^:]*"), e.d, e.t, tostring(e.l)) end
    table.sort(list)
    return table.concat(list, "\n")
  end
  for _ = 1, 10 do -- the addresses may change meanwhile
    local before, got, after = look(), ours(), look()
    if before == after then return T.eq(got, before) end
  end
end)

T.test_if(names[1], "no /sys/class/net", "names and hardware addresses [30 N4] [30 N6]", function ()
  for _, e in ipairs(entries()) do
    local name = e.n:match("^[^:]*")
    T.eq(indices[name] ~= nil, true, name)
    T.eq(running(name), true, name)
    local mac = (P.read("/sys/class/net/" .. name .. "/address") or ""):match("^(%x%x:%x%x:%x%x:%x%x:%x%x:%x%x)\n$")
    if mac then T.eq(e.T, mac, name) end
    local flags = tonumber(P.read("/sys/class/net/" .. name .. "/flags"):match("%w+"))
    T.eq(e.i, math.floor(flags / 8) % 2 == 1, name) -- IFF_LOOPBACK
  end
end)

T.test("the data is a snapshot [30 C3]", function ()
  local it = netinfo("all")
  local before = {}
  for i = 1, #it do before[i] = pack(it(letters, i - 1)) end
  for i = 1, #it do T.same(pack(it(letters, i - 1)), before[i]) end
end)

-- In networks of their own ----------------------------------------------------------------------

local unshare = P.succeeds("unshare -n true") and "unshare -n" or P.succeeds("unshare -rn true") and "unshare -rn"

T.test_if(unshare and T.interpreter(), "no network name spaces, or no interpreter to start", "no addresses at all [30 C11] [30 N3] [30 C5]",
function ()
  local out, how, status = P.script([[
    local system = require "coutil.system"
    local it, which, first, closing = system.netinfo("all", "nt")
    print(type(it), which, first, rawequal(it, closing), #it)
    print(select("#", it("nt", 0)), select("#", it("?", 0)))
    for _ in system.netinfo("all", "n") do print "an entry" end
    getmetatable(it).__gc(it)
    print(pcall(function () return #it end))
  ]], "exec " .. tostring(unshare) .. ' "$@"')
  T.same({ how, status }, { "exit", 0 }, out)
  local lines = {}
  for line in out:gmatch("[^\n]+") do lines[#lines + 1] = line end
  T.eq(lines[1], "userdata\tnt\t0\ttrue\t0")
  T.eq(lines[2], "0\t0")
  T.eq(#lines, 3)
  T.eq(lines[3]:find("closed coutil:netifaces", 1, true) ~= nil, true)
end)

T.test_if(unshare and T.interpreter() and P.succeeds(tostring(unshare) .. " ip addr add 192.0.2.9/19 dev lo"),
"no network name spaces, or no ip", "addresses that were made for this, of an interface that is up, and of one that is down [30 N4] [30 N2]",
function ()
  local commands = "ip addr add 192.0.2.9/19 dev lo; ip addr add 198.51.100.1/32 label lo:1 dev lo; "
  local program = [[
    local system = require "coutil.system"
    for i, name, loopback, domain, length, text, mac in system.netinfo("all", "nidltT") do
      if domain == "ipv4" then print(name, loopback, domain, length, text, mac) end
    end
    print(system.netinfo("name", 1), system.netinfo("id", 1))
  ]]
  for _, up in ipairs { true, false } do
    local inner = commands .. (up and "ip link set lo up; " or "") .. 'exec "$@"'
    local out, how, status = P.script(program, "exec " .. unshare .. " sh -c '" .. inner .. "' sh \"$@\"")
    T.same({ how, status }, { "exit", 0 }, out)
    local lines = {}
    for line in out:gmatch("[^\n]+") do lines[#lines + 1] = line end
    table.sort(lines)
    if up then
      local mac = "\t00:00:00:00:00:00"
      T.same(lines, { "lo\tlo", "lo\ttrue\tipv4\t19\t192.0.2.9" .. mac, "lo\ttrue\tipv4\t8\t127.0.0.1" .. mac,
        "lo:1\ttrue\tipv4\t32\t198.51.100.1" .. mac })
    else
      T.same(lines, { "lo\tlo" })
    end
  end
end)

T.done()
