-- Socket options, read back by other programs: perl(1) asks for them with getsockopt(2), ss(8) and /proc show some.

local T = require "testing"
local L = require "loop_testing"
local system = require "coutil.system"
local socket = system.socket
local pack = T.pack

local function sh(command)
  local pipe = assert(io.popen(command))
  local text = pipe:read("*a")
  pipe:close()
  return text
end

local function read(path)
  local file = io.open(path)
  if not file then return nil end
  local text = file:read("*a")
  file:close()
  return text
end

local own = (read("/proc/self/stat") or ""):match("^%d+")

-- The descriptors of this process.
local function descriptors()
  local set = {}
  for fd = 0, 200 do set[fd] = read("/proc/self/fdinfo/" .. fd) and true end
  return set
end

-- A new socket, and the number of its descriptor. A domain is opened at once where it is one of the Internet.
local function numbered(kind, domain)
  local before = descriptors()
  local object = assert(socket(kind, domain))
  for fd in pairs(descriptors()) do if not before[fd] then return object, fd end end
  error("a socket without a descriptor")
end

-- What getsockopt(2) says of a descriptor of this process: the first four bytes as a number, or what `unpack` makes of it.
local function option(fd, level, name, unpack)
  return (sh(([[perl -e '$p = syscall(434, %s, 0); $f = syscall(438, $p, %d, 0); exit 1 if $f < 0; open(S, "+<&=", $f) or exit 1;
    print join(".", unpack("%s", getsockopt(S, %d, %d)))' 2>&1]]):format(own, fd, unpack or "i", level, name)))
end

local asks = own and (function ()
  local machine = sh("uname -m"):match("%S+")
  if machine ~= "x86_64" and machine ~= "aarch64" then return false end -- the numbers below are others there
  local probe, fd = numbered("datagram", "ipv4")
  local type = option(fd, 1, 3) -- SO_TYPE
  probe:close()
  return type == "2"
end)()

local SOCKET, IP, TCP, IPV6 = 1, 0, 6, 41
local REUSEADDR, BROADCAST, KEEPALIVE = 2, 6, 9
local NODELAY, KEEPIDLE, KEEPINTVL, KEEPCNT = 1, 4, 5, 6

local function test(title, f) T.test_if(asks, "no perl(1), or it may not look at our descriptors", title, f) end
local function set(object, ...) T.same(pack(object:setoption(...)), { true }) end
local ipv6 = L.domains[2]

test("nodelay [50 5.5.7]", function ()
  local s, fd = numbered("stream", "ipv4")
  T.eq(option(fd, TCP, NODELAY), "0")
  set(s, "nodelay", true)
  T.eq(option(fd, TCP, NODELAY), "1")
  set(s, "nodelay", nil)
  T.eq(option(fd, TCP, NODELAY), "0")
  set(s, "nodelay", 0)
  T.eq(option(fd, TCP, NODELAY), "1")
  set(s, "nodelay", false)
  T.eq(option(fd, TCP, NODELAY), "0")
  s:close()
end)

test("keepalive [50 5.5.6]", function ()
  local s, fd = numbered("stream", "ipv4")
  T.eq(option(fd, SOCKET, KEEPALIVE), "0")
  set(s, "keepalive", 77)
  T.eq(option(fd, SOCKET, KEEPALIVE), "1")
  T.eq(option(fd, TCP, KEEPIDLE), "77")
  T.eq(option(fd, TCP, KEEPINTVL), "1") -- what docs/architecture.md says
  T.eq(option(fd, TCP, KEEPCNT), "10")
  set(s, "keepalive", 32767)
  T.eq(option(fd, TCP, KEEPIDLE), "32767")
  T.same(pack(s:setoption("keepalive", 32768)), { false, "invalid argument", 22 })
  set(s, "keepalive", false)
  T.eq(option(fd, SOCKET, KEEPALIVE), "0")
  set(s, "keepalive", 5)
  T.eq(option(fd, SOCKET, KEEPALIVE), "1")
  set(s, "keepalive", nil)
  T.eq(option(fd, SOCKET, KEEPALIVE), "0")
  s:close()
end)

test("addresses are reused by TCP, not by datagrams [50 5.3.3]", function ()
  for kind, reuse in pairs { passive = "1", stream = "1", datagram = "0" } do
    local s, fd = numbered(kind, "ipv4")
    assert(s:bind(L.address("ipv4")))
    T.eq(option(fd, SOCKET, REUSEADDR), reuse, kind)
    s:close()
  end
end)

test("broadcast [50 5.5.1]", function ()
  local s, fd = numbered("datagram", "ipv4")
  for _, case in ipairs { { true, "1" }, { false, "0" }, { "text", "1" }, { nil, "0" } } do
    set(s, "broadcast", case[1])
    T.eq(option(fd, SOCKET, BROADCAST), case[2])
  end
  set(s, "broadcast", true)
  set(s, "broadcast")
  T.eq(option(fd, SOCKET, BROADCAST), "0")
  s:close()
end)

test("mcastloop and mcastttl [50 5.5.1] [50 5.5.2]", function ()
  for _, domain in ipairs(L.domains) do
    local s, fd = numbered("datagram", domain)
    local level, loop, ttl = IP, 34, 33
    if domain == ipv6 then level, loop, ttl = IPV6, 19, 18 end
    set(s, "mcastloop", false)
    T.eq(option(fd, level, loop), "0", domain)
    set(s, "mcastloop", 1)
    T.eq(option(fd, level, loop), "1", domain)
    for _, hops in ipairs { 1, 2, 100, 255 } do
      set(s, "mcastttl", hops)
      T.eq(option(fd, level, ttl), tostring(hops), domain)
    end
    s:close()
  end
end)

test("mcastiface [50 5.5.3]", function ()
  local s, fd = numbered("datagram", "ipv4")
  local function interface() return option(fd, IP, 32, "C4") end -- IP_MULTICAST_IF
  T.eq(interface(), "0.0.0.0")
  set(s, "mcastiface", "127.0.0.1")
  T.eq(interface(), "127.0.0.1")
  T.same(pack(s:setoption("mcastiface", "nonsense")), { false, "invalid argument", 22 })
  T.eq(interface(), "127.0.0.1")
  set(s, "mcastiface", nil)
  T.eq(interface(), "0.0.0.0")
  s:close()
end)

-- What the system says of groups -----------------------------------------------------------------

-- How often a group was joined at an interface: /proc/net/igmp has addresses in the order of the machine.
local function users(a, b, c, d)
  local name = ("%02X%02X%02X%02X"):format(d, c, b, a)
  return tonumber((read("/proc/net/igmp") or ""):match(name .. "%s+(%d+)")) or 0
end

local function has_groups()
  if not read("/proc/net/igmp") then return false end
  local s = assert(socket("datagram", "ipv4"))
  local joined = s:setoption("mcastjoin", "239.5.6.1", "127.0.0.1") and users(239, 5, 6, 1) == 1
  s:close()
  return joined
end

T.test_if(has_groups(), "no groups, or nothing tells of them", "mcastjoin and mcastleave [50 5.5.4]", function ()
  T.eq(users(239, 5, 6, 7), 0)
  local s, other = assert(socket("datagram", "ipv4")), assert(socket("datagram", "ipv4"))
  set(s, "mcastjoin", "239.5.6.7", "127.0.0.1")
  T.eq(users(239, 5, 6, 7), 1)
  set(other, "mcastjoin", "239.5.6.7", "127.0.0.1")
  T.eq(users(239, 5, 6, 7), 2)
  set(s, "mcastleave", "239.5.6.7", "127.0.0.1")
  T.eq(users(239, 5, 6, 7), 1)
  other:close()
  T.eq(users(239, 5, 6, 7), 0)
  s:close()
end)

-- /proc/net/mcfilter: interface, group, source, how many include it, how many exclude it.
local function sources(group, source)
  local line = (read("/proc/net/mcfilter") or ""):match(group .. " " .. source .. "[^\n]*")
  return line and tonumber(line:match("^%S+%s+%S+%s+(%d+)")) or 0
end

T.test_if(has_groups() and read("/proc/net/mcfilter"), "no groups, or nothing tells of their sources", "sources of a group [50 5.5.4]", function ()
  local s = assert(socket("datagram", "ipv4"))
  set(s, "mcastjoin", "239.5.6.8", "127.0.0.1", "127.0.0.2")
  set(s, "mcastjoin", "239.5.6.8", "127.0.0.1", "127.0.0.3")
  T.eq(sources("0xef050608", "0x7f000002"), 1)
  T.eq(sources("0xef050608", "0x7f000003"), 1)
  set(s, "mcastleave", "239.5.6.8", "127.0.0.1", "127.0.0.2")
  T.eq(sources("0xef050608", "0x7f000002"), 0)
  T.eq(sources("0xef050608", "0x7f000003"), 1)
  s:close()
  T.eq(sources("0xef050608", "0x7f000003"), 0)
end)

-- What ss(8) shows -------------------------------------------------------------------------------

local function ss(port) return sh(("ss -tnoH 'sport = :%d or dport = :%d' 2>&1"):format(port, port)) end
local shows = (function ()
  local a, b = L.pair("ipv4")
  local text = ss(a:getaddress().port)
  a:close()
  b:close()
  return text:find("ESTAB", 1, true) ~= nil
end)()

T.test_if(shows, "no ss(8), or it sees nothing", "a connection that is kept alive has a timer [50 5.5.6]", function ()
  local a, b = L.pair("ipv4")
  local port = a:getaddress().port
  T.eq(ss(port):find("keepalive", 1, true), nil)
  set(a, "keepalive", 1000)
  local minutes = tonumber(ss(port):match("timer:%(keepalive,(%d+)min"))
  if minutes ~= 16 then error(ss(port)) end
  set(a, "keepalive", false)
  T.eq(ss(port):find("keepalive", 1, true), nil)
  a:close()
  b:close()
end)

T.test_if(own and read("/proc/net/unix"), "no /proc", "the permission of a local socket is that of its file [50 5.5.9]", function ()
  local s, path = assert(socket("passive", "local")), L.path()
  assert(s:bind(path))
  sh("chmod 600 " .. path)
  local function mode() return (sh("stat -c %a " .. path):match("%d+")) end
  set(s, "permission", "r")
  T.eq(mode(), "644")
  set(s, "permission", "w")
  T.eq(mode(), "666")
  s:close()
end)

T.done()
