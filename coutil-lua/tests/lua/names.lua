-- system.findaddr, system.nameaddr, and lists of addresses. Nothing here needs a network.

local T = require "testing"
local L = require "loop_testing"
local memory = require "memory"
local system = require "coutil.system"
local findaddr, nameaddr, address, run, suspend = system.findaddr, system.nameaddr, system.address, system.run, system.suspend
local pack, unpack = T.pack, T.unpack

local function argument(name, n, text) return "bad argument #" .. n .. " to 'coutil.system." .. name .. "' (" .. text .. ")" end
local function fails(want, ...) T.eq(L.fails(findaddr, ...), want) end
local function misnamed(want, ...) T.eq(L.fails(nameaddr, ...), want) end

-- The entries of a list, as texts; it is closed afterwards.
local function entries(list)
  local found = {}
  repeat
    local a = list:getaddress()
    T.eq(a.type, list:getdomain())
    found[#found + 1] = tostring(a) .. " " .. list:getsocktype()
  until not list:next()
  T.eq(list:close(), true)
  return found
end

local function found(...)
  local got = pack(L.await(findaddr, ...))
  if not got[1] then error(tostring(got[2]), 2) end
  T.eq(got.n, 1)
  return entries(got[1])
end

local function finds(want, ...) T.same(found(...), want) end

local function failure(text, code, f, ...)
  local got = pack(L.await(f, ...))
  T.same(got, pack(false, text, code))
  if T.integers then T.eq(math.type(got[3]), "integer") end
end

-- What this machine knows.
local services = {}
do
  local file = io.open("/etc/services")
  for line in file and file:lines() or function () end do
    local name, port, protocol = line:match("^(%S+)%s+(%d+)/(%a+)")
    if name then services[port .. "/" .. protocol] = services[port .. "/" .. protocol] or name end
  end
  if file then file:close() end
end
local knows_services = services["22/tcp"] == "ssh" and services["514/tcp"] == "shell" and services["514/udp"] == "syslog"
local no_services = "no services, or others"
local localhost = pack(L.await(nameaddr, L.address("ipv4", 0)))
local knows_localhost = tostring(localhost[1]):find("localhost", 1, true) and L.await(findaddr, "localhost", 1, "4") and true
local no_localhost = "the name of localhost is not known"

-- Arguments -------------------------------------------------------------------------------------

T.test("unable to yield comes before all other checks [50 2.1] [50 3.1] [50 0.1.6] [00 1.4.1] [00 1.4.2] [00 1.4.4]", function ()
  for _, f in ipairs { findaddr, nameaddr } do
    for _, first in ipairs { {}, 80, "localhost", -1 } do
      T.eq(L.message(f, first, {}, {}), "unable to yield")
      T.inside(function ()
        string.gsub("x", "x", function () T.eq(L.message(f, first, {}, {}), "unable to yield") end)
      end)
    end
    T.eq(L.message(f), "unable to yield")
    local _, text = pcall(function () f("localhost"); return 1 end)
    T.eq(text:match("^%S-names%.lua:%d+: (.*)$"), "unable to yield")
  end
  T.eq(run "ready", false) -- nothing was started [00 1.4.3]
end)

T.test("findaddr: types, in their order [50 3.1] [00 5.2.1] [00 5.2.2]", function ()
  fails(argument("findaddr", 1, "string expected, got table"), {}, {}, {})
  fails(argument("findaddr", 1, "string expected, got boolean"), false)
  fails(argument("findaddr", 1, "string expected, got coutil:netaddress"), address "ipv4")
  fails(argument("findaddr", 2, "string expected, got table"), "localhost", {}, {})
  fails(argument("findaddr", 2, "string expected, got function"), nil, print, "x")
  fails(argument("findaddr", 3, "string expected, got table"), "localhost", 80, {})
  fails(argument("findaddr", 3, "string expected, got boolean"), nil, nil, true)
  fails(argument("findaddr", 3, "string expected, got table"), "*", nil, {})
end)

T.test("findaddr: name and service before the mode, and that from left to right [50 3.1] [50 3.2] [50 3.4]", function ()
  local neither = argument("findaddr", 1, "name or service must be provided")
  fails(neither)
  fails(neither, nil, nil)
  fails(neither, nil, nil, "x")
  fails(neither, nil, nil, "m4")
  local any = argument("findaddr", 2, "service must be provided for '*'")
  fails(any, "*")
  fails(any, "*", nil, "x")
  fails(any, "*\0x", nil, "m4")
  fails("unknown mode char (got 'i')", "localhost", 80, "ipv6")
  fails("unknown mode char (got 'x')", "localhost", nil, "m4xy")
  fails("unknown mode char (got '~')", "localhost", nil, "~")
  fails("unknown mode char (got '\255')", "*", 80, "46ds\255\254") -- [50 0.1.7]
  fails("unknown mode char (got '5')", "*", 80, 5)
  local mapped = argument("findaddr", 3, "'m' is invalid for IPv4")
  for _, mode in ipairs { "m4", "4m", "dm4", "4nms", "m4\0x" } do fails(mapped, "127.0.0.1", 80, mode) end
  for _, mode in ipairs { "m44", "4m4", "46m", "m64", "64m4" } do
    finds({ "[::1]:80 stream", "[::1]:80 datagram" }, "::1", 80, mode)
  end
end)

T.test("nameaddr: the mode before the value, and types [50 2.2] [50 2.3] [50 2.5]", function ()
  misnamed("unknown mode char (got 'x')", {}, "lx")
  misnamed("unknown mode char (got 'x')", -1, "x")
  misnamed("unknown mode char (got '\128')", address "ipv4", "ld\128x")
  for letter in ("iua46 "):gmatch "." do misnamed("unknown mode char (got '" .. letter .. "')", 80, letter) end
  misnamed(argument("nameaddr", 2, "string expected, got table"), {}, {})
  misnamed(argument("nameaddr", 2, "string expected, got boolean"), 80, false)
  for _, port in ipairs { -1, 65536, -2 ^ 31, 2 ^ 40 } do misnamed(argument("nameaddr", 1, "invalid port"), port, "dl") end
  for _, value in ipairs { {}, true, print } do
    misnamed(argument("nameaddr", 1, "coutil:netaddress expected, got " .. type(value)), value)
  end
  misnamed(argument("nameaddr", 1, "coutil:netaddress expected, got no value"))
  misnamed(argument("nameaddr", 1, "coutil:netaddress expected, got nil"), nil, "l")
  misnamed(argument("nameaddr", 1, "coutil:netaddress expected, got coutil:tcpactive"), system.socket("stream", "ipv4"))
end)

-- Addresses of names ----------------------------------------------------------------------------

T.test("a call suspends, also for literals, and yields nothing [50 3.5] [50 0.2.1] [00 1.1.1] [00 1.2.2]", function ()
  local calls = { pack(findaddr, "127.0.0.1", 80), pack(findaddr, "", 80), pack(findaddr, "127.0.0.1", "0x50"), pack(nameaddr, 80),
    pack(nameaddr, "127.0.0.1"), pack(nameaddr, "") }
  for _, call in ipairs(calls) do
    local got
    local co = T.create(function () got = pack(unpack(call, 1, call.n)); got = pack(call[1](unpack(call, 2, call.n))) end)
    T.returns({ true }, coroutine.resume, co)
    T.eq(coroutine.status(co), "suspended")
    L.run()
    T.eq(coroutine.status(co), "dead")
    T.eq(got[1] ~= nil, true)
  end
end)

T.test("a literal gives stream, then datagram entries [50 3.5] [50 3.12] [50 3.13]", function ()
  finds({ "127.0.0.1:80 stream", "127.0.0.1:80 datagram" }, "127.0.0.1", 80)
  finds({ "[::1]:65535 stream", "[::1]:65535 datagram" }, "::1", "65535", "6")
  finds({ "127.0.0.1:80 stream", "127.0.0.1:80 datagram" }, "127.0.0.1\0x", "80\0x", "4\0x") -- [50 0.1.8]
  finds({ "127.0.0.1:80 stream", "127.0.0.1:80 datagram" }, "127.0.0.1", 80, nil, "more", {}) -- extra arguments
end)

T.test("no service, or an empty one, is port 0 [50 3.3]", function ()
  finds({ "127.0.0.1:0 stream" }, "127.0.0.1", nil, "s")
  finds({ "127.0.0.1:0 stream" }, "127.0.0.1", "", "s")
  finds({ "127.0.0.1:0 datagram" }, nil, "", "4d")
  finds({ "0.0.0.0:0 passive" }, "*", "", "4s")
  finds({ "127.0.0.1:80 stream" }, "127.0.0.1", "00080", "s")
end)

T.test("ports that are none [50 3.3] [00 4.1]", function ()
  for _, port in ipairs { "65536", "99999999999999999999", 65536 } do
    failure("service not available for socket type", 3010, findaddr, "127.0.0.1", port)
  end
  for _, port in ipairs { "0x50", "80.0", "1e2", " 80", -1 } do
    failure("unknown node or service", 3008, findaddr, "127.0.0.1", port)
  end
  if T.integers then failure("unknown node or service", 3008, findaddr, "127.0.0.1", 80.0) end
  failure("service not available for socket type", 3010, findaddr, "127.0.0.1", "no-such-service")
  failure("service not available for socket type", 3010, findaddr, "127.0.0.1", "\255")
  failure("service not available for socket type", 3010, findaddr, nil, "80.5")
end)

T.test_if(knows_services, no_services, "names of services, for the types that have them [50 3.3]", function ()
  finds({ "127.0.0.1:22 stream" }, "127.0.0.1", "ssh")
  finds({ "127.0.0.1:514 stream" }, "127.0.0.1", "shell", "s")
  finds({ "127.0.0.1:514 datagram" }, "127.0.0.1", "syslog", "d")
  finds({ "0.0.0.0:22 passive" }, "*", "ssh", "4")
  failure("service not available for socket type", 3010, findaddr, "127.0.0.1", "ssh", "d")
end)

T.test("families: 4, 6, both, or those of this machine [50 3.4]", function ()
  finds({ "127.0.0.1:1 stream" }, nil, 1, "4s")
  finds({ "[::1]:1 stream" }, nil, 1, "6s")
  for _, mode in ipairs { "46s", "64s", "44s", "66s", "s464" } do
    local all = found(nil, 1, mode)
    table.sort(all)
    T.same(all, { "127.0.0.1:1 stream", "[::1]:1 stream" })
  end
  for _, entry in ipairs(found(nil, 1)) do
    T.eq(entry:match("^127%.0%.0%.1:1 %a+$") or entry:match("^%[::1%]:1 %a+$"), entry)
  end
  failure("address family not supported", 3000, findaddr, "127.0.0.1", 1, "6") -- [50 3.6]
  failure("address family not supported", 3000, findaddr, "::1", 1, "4")
end)

T.test("types: d, s, or both [50 3.4]", function ()
  finds({ "127.0.0.1:1 stream" }, "127.0.0.1", 1, "s")
  finds({ "127.0.0.1:1 datagram" }, "127.0.0.1", 1, "d")
  for _, mode in ipairs { "", "ds", "sd", "dd", "ss", "4ssd" } do
    finds({ "127.0.0.1:1 stream", "127.0.0.1:1 datagram" }, "127.0.0.1", 1, mode)
  end
end)

T.test("m: IPv4 mapped into IPv6 [50 3.4]", function ()
  for _, mode in ipairs { "m", "m6", "6m", "46m", "66m" } do
    finds({ "[::ffff:127.0.0.1]:1 stream" }, "127.0.0.1", 1, mode .. "s")
    finds({ "[::1]:1 stream" }, "::1", 1, mode .. "s")
    finds({ "[::]:1 passive" }, "*", 1, mode .. "s")
  end
end)

T.test("n: no look-up [50 3.4] [50 3.6]", function ()
  finds({ "127.0.0.1:1 stream" }, "127.0.0.1", 1, "ns")
  finds({ "[::1]:1 stream" }, "::1", 1, "sn")
  failure("unknown node or service", 3008, findaddr, "localhost", 1, "n")
end)

T.test("* is this machine, to listen at [50 3.2] [50 3.13]", function ()
  finds({ "0.0.0.0:8080 passive", "0.0.0.0:8080 datagram" }, "*", 8080, "4")
  finds({ "[::]:8080 passive", "[::]:8080 datagram" }, "*", 8080, "6")
  finds({ "0.0.0.0:8080 datagram" }, "*\0x", 8080, "4d")
end)

T.test("names that cannot be [50 3.6] [50 2.6]", function ()
  for _, name in ipairs { "", "\0localhost", "\255\254" } do
    failure("invalid argument", 22, findaddr, name, 80)
    failure("invalid argument", 22, nameaddr, name)
  end
end)

T.test("a name that is not known fails with what the resolver says [50 3.6] [50 2.6] [00 4.1] [00 10.1]", function ()
  local long = ("x"):rep(300) -- too long to be asked for
  for _, f in ipairs { findaddr, nameaddr } do
    local got = pack(L.await(f, long))
    T.eq(got.n, 3)
    T.eq(got[1], false)
    T.eq(type(got[2]), "string")
    if not (got[3] == 3008 or got[3] == 3004 or got[3] == 3001) then error(got[2]) end
  end
end)

T.test_if(knows_localhost, no_localhost, "localhost [50 3.5]", function ()
  finds({ "127.0.0.1:80 stream", "127.0.0.1:80 datagram" }, "localhost", 80, "4")
  finds({ "127.0.0.1:80 datagram" }, "localhost", "80", "4d")
  T.eq(#found("localhost", 80) >= 2, true)
  for _, entry in ipairs(found("localhost", 80, "ms")) do
    T.eq(entry == "[::1]:80 stream" or entry == "[::ffff:127.0.0.1]:80 stream", true)
  end
end)

-- Lists -----------------------------------------------------------------------------------------

local function new_list(...)
  if select("#", ...) > 0 then return (assert(L.await(findaddr, ...))) end
  return (assert(L.await(findaddr, "127.0.0.1", 80)))
end

T.test("the class [50 0.4.1] [50 0.4.2] [00 6.1]", function ()
  local list = new_list()
  local meta = getmetatable(list)
  T.eq(meta.__name, "coutil:netaddrlist")
  T.eq(type(meta.__gc), "function")
  T.eq(type(meta.__close), "function")
  local names = {}
  for name in pairs(meta.__index) do names[#names + 1] = name end
  table.sort(names)
  T.same(names, { "close", "getaddress", "getdomain", "getsocktype", "next", "reset" })
  T.eq(list.other, nil)
  T.eq(pcall(function () list.other = 1 end), false)
  if T.number >= 5.3 then T.eq(tostring(list):match "^coutil:netaddrlist: ", "coutil:netaddrlist: ") end
end)

T.test("next stays on the last entry, reset goes to the first [50 3.9] [50 3.10]", function ()
  local list = new_list()
  for _ = 1, 3 do
    T.eq(list:getsocktype(), "stream")
    T.returns({ true }, list.next, list)
    for _ = 1, 3 do
      T.eq(list:getsocktype(), "datagram")
      T.returns({ false }, list.next, list)
      T.eq(tostring(list:getaddress()), "127.0.0.1:80")
      T.eq(list:getdomain(), "ipv4")
    end
    T.returns({}, list.reset, list)
    T.returns({}, list.reset, list)
  end
  local single = new_list("::1", 7, "s")
  T.eq(single:next(), false)
  T.eq(tostring(single:getaddress()), "[::1]:7")
end)

T.test("getaddress fills an address, or makes one [50 3.11]", function ()
  local list = new_list("127.0.0.1", 80, "s")
  local a = address("ipv4", "10.0.0.1:7")
  local got = pack(list:getaddress(a))
  T.eq(got.n, 1)
  T.eq(rawequal(got[1], a), true)
  T.eq(tostring(a), "127.0.0.1:80")
  for _, other in ipairs { "ipv4", {}, 80, false, memory.create(20), list } do
    local made = list:getaddress(other)
    T.eq(tostring(made), "127.0.0.1:80")
    T.eq(rawequal(made, other), false)
  end
  T.eq(tostring(list:getaddress(nil)), "127.0.0.1:80")
  local six = address("ipv6", "[::2]:7")
  T.eq(L.message(function () list:getaddress(six) end), "bad argument #1 to 'getaddress' (wrong domain)")
  T.eq(tostring(six), "[::2]:7")
  -- What was given does not change with the list, nor the other way round.
  local first = list:getaddress()
  first.port = 1
  T.eq(list:getaddress().port, 80)
end)

T.test("a closed list refuses everything [50 3.7] [50 3.8] [50 0.4.2] [00 6.3]", function ()
  local list = new_list()
  local meta = getmetatable(list)
  T.returns({ true }, list.close, list)
  for _, name in ipairs { "close", "next", "reset", "getaddress", "getdomain", "getsocktype" } do
    T.eq(L.message(function () list[name](list) end):match "%((.*)%)$", "closed coutil:netaddrlist")
    T.eq(L.message(function () list[name](list, address "ipv6") end):match "%((.*)%)$", "closed coutil:netaddrlist")
  end
  T.eq(L.message(function () list:next() end), "calling 'next' on bad self (closed coutil:netaddrlist)")
  T.returns({}, meta.__gc, list)
  T.returns({}, meta.__close, list)
  list = new_list()
  T.returns({}, meta.__close, list, "some error")
  T.raises("closed coutil:netaddrlist", list.next, list)
  list = new_list()
  T.returns({}, meta.__gc, list)
  T.raises("closed coutil:netaddrlist", list.next, list)
end)

T.test("methods of something else [50 0.1.6] [00 5.2.2]", function ()
  local list = new_list()
  for name, method in pairs(getmetatable(list).__index) do
    for _, value in ipairs { {}, 1, "x", false, print, address "ipv4", system.socket("stream", "ipv4") } do
      T.raises("(coutil:netaddrlist expected, got ", method, value)
    end
    T.eq(L.message(method), "bad argument #1 to '?' (coutil:netaddrlist expected, got no value)")
    local text = L.message(function () list[name]({}) end)
    T.eq(text:match "%((.*)%)$", "coutil:netaddrlist expected, got table")
  end
  T.eq(pcall(getmetatable(list).__gc, {}), true)
end)

T.test("a userdata with a stolen metatable is harmless [50 3.7]", function ()
  local list = new_list()
  local meta = getmetatable(list)
  for _, byte in ipairs { 0, 1, 255 } do
    for size = 0, 80 do
      local forged = memory.create(size)
      for i = 1, size do forged:set(i, i == 5 and 0 or byte) end
      local former = getmetatable(forged)
      debug.setmetatable(forged, meta)
      for _, name in ipairs { "getdomain", "getsocktype", "getaddress", "next", "reset", "getaddress", "close" } do
        local ok, text = pcall(meta.__index[name], forged)
        if not ok then T.eq(text:match "%((.*)%)$", "coutil:netaddrlist expected, got coutil:netaddrlist") end
      end
      debug.setmetatable(forged, former)
    end
  end
end)

T.test_if(T.has_tbc, "no to-be-closed variables", "a list in a to-be-closed variable [50 0.4.2]", function ()
  local list = new_list()
  T.load "local list = ...; local x <close> = list; assert(x:getdomain() == 'ipv4')"(list)
  T.raises("closed coutil:netaddrlist", list.next, list)
end)

T.test("lists are collected [50 3.5]", function ()
  T.eq(L.swept(function (watch) watch(new_list()):next() end), true)
end)

-- Names of addresses ----------------------------------------------------------------------------

T.test("the canonical name of a host; the mode is not looked at [50 2.1]", function ()
  T.returns({ "127.0.0.1" }, L.await, nameaddr, "127.0.0.1")
  T.returns({ "127.0.0.1" }, L.await, nameaddr, "127.0.0.1\0x", {})
  T.returns({ "::1" }, L.await, nameaddr, "::1", "xyz")
  if knows_localhost then T.eq((L.await(nameaddr, "localhost")):find("localhost", 1, true) ~= nil, true) end
end)

T.test("a string of digits is the name of a host [50 2.1]", function ()
  local got = pack(L.await(nameaddr, "22"))
  T.eq(got[1] ~= "ssh", true)
end)

T.test_if(knows_services, no_services, "the service of a port [50 2.3] [50 2.2]", function ()
  T.returns({ "ssh" }, L.await, nameaddr, 22)
  T.returns({ "ssh" }, L.await, nameaddr, 22, nil)
  T.returns({ "ssh" }, L.await, nameaddr, 22, "l")
  T.returns({ "shell" }, L.await, nameaddr, 514)
  T.returns({ "syslog" }, L.await, nameaddr, 514, "d")
  T.returns({ "syslog" }, L.await, nameaddr, 514, "ldl")
  T.returns({ "shell" }, L.await, nameaddr, 514, "\0d")
end)

T.test("a port without a name is a decimal string [50 2.3]", function ()
  local free = 65535
  while services[free .. "/tcp"] or services[free .. "/udp"] do free = free - 1 end
  for _, mode in ipairs { "", "d", "l", "dl" } do T.returns({ tostring(free) }, L.await, nameaddr, free, mode) end
  T.returns({ "0" }, L.await, nameaddr, 0)
  for _, odd in ipairs { .5, -1.5, 65535.5, math.huge, -math.huge, T.nan } do -- these count as 0
    T.returns({ "0" }, L.await, nameaddr, odd)
  end
end)

T.test_if(knows_localhost and knows_services, no_localhost, "host and service of an address [50 2.4]", function ()
  local host = localhost[1]
  T.returns({ host, "ssh" }, L.await, nameaddr, L.address("ipv4", 22))
  T.returns({ host, "shell" }, L.await, nameaddr, L.address("ipv4", 514))
  T.returns({ host, "syslog" }, L.await, nameaddr, L.address("ipv4", 514), "d")
  T.returns({ host, "0" }, L.await, nameaddr, L.address("ipv4", 0))
  T.eq((L.await(nameaddr, L.address("ipv4", 22), "l")), host:match "^[^.]*")
end)

T.test("the address is taken at the call [50 0.2.5]", function ()
  if not knows_localhost then return end
  local a = L.address("ipv4", 65000)
  local w = T.waiter(nameaddr, a)
  a.port, a.literal = 1, "203.0.113.1"
  L.run()
  T.same(w.got, { localhost[1], services["65000/tcp"] or "65000" })
end)

-- While it is looked up -------------------------------------------------------------------------

T.test("the loop goes on meanwhile [50 0.2.4] [00 1.2.2]", function ()
  local passes, got = 0, 0
  for i = 1, 20 do
    T.start(function ()
      local list = assert(findaddr("127.0.0.1", i))
      T.eq(list:getaddress().port, i)
      got = got + 1
    end)
  end
  T.start(function () repeat suspend(); passes = passes + 1 until got == 20 end)
  T.eq(run "ready", true)
  T.eq(passes, 1)
  L.run()
  T.eq(got, 20)
  T.eq(passes > 1, true)
end)

T.test("in order in one coroutine, and at a time in many [20 9.2]", function ()
  local n, done = T.scale(300), 0
  for i = 1, n do
    T.start(function ()
      for j = 1, 3 do
        if (i + j) % 2 == 0 then
          T.eq(tostring(assert(findaddr("::1", i % 1000, "s")):getaddress()), "[::1]:" .. i % 1000)
        else
          T.eq(nameaddr("127.0.0." .. j), "127.0.0." .. j)
        end
      end
      done = done + 1
    end)
  end
  L.run()
  T.eq(done, n)
end)

T.test("who waits is anchored, and let go when run returns [50 0.2.4] [00 1.6.1]", function ()
  local ended = 0
  T.eq(L.swept(function (watch)
    for i = 1, 10 do
      watch(T.start(function ()
        local a = watch(L.address("ipv4", i))
        local list = watch(assert(findaddr(a.literal, i)))
        assert(nameaddr(i))
        assert(list:getaddress(a) == a)
        ended = ended + 1
      end))
    end
    T.gc()
    L.run()
    T.eq(ended, 10)
  end), true)
end)

T.test("one collection also clears what was cancelled [50 0.2.2] [50 0.2.4] [00 1.3.3]", function ()
  T.eq(L.swept(function (watch)
    for i = 1, 10 do
      local co = watch(T.start(function () watch(pack(findaddr("127.0.0.1", i))); watch(pack(nameaddr(i))) end))
      T.resume(co, watch {})
      if i % 2 == 0 then T.resume(co, watch {}) end
    end
    L.run()
  end), true)
end)

-- Each coroutine that returns leaves garbage behind whose finalizer resumes the next one, and with such settings the next
-- allocation is a whole collection: that of the list which is delivered to the next one.
T.test_if(T.version == "5.4", "no such collections", "a finalizer resumes who is about to get a list [00 1.3.1] [00 1.2.5]", function ()
  local names, lists = 0, 0
  local mode = collectgarbage "incremental"
  local pause, mul = collectgarbage("setpause", 1), collectgarbage("setstepmul", 1000)
  collectgarbage("incremental", 0, 0, 50)
  for _ = 1, T.scale(20, 4) do
    local cos, got = {}, {}
    for i = 1, 20 do
      local meta = { __gc = function () if cos[i + 1] and got[i + 1] == nil then coroutine.resume(cos[i + 1], "finalizer") end end }
      local garbage = setmetatable({}, meta)
      got[i] = nil
      cos[i] = T.start(function ()
        local one, two = findaddr("127.0.0.1", 80)
        if two == nil then got[i] = one end
        garbage = nil
        coroutine.yield()
        error "resumed twice"
      end)
    end
    L.run()
    for i = 1, 20 do
      T.eq(coroutine.status(cos[i]), "suspended")
      if got[i] == "finalizer" then names = names + 1 else lists = lists + 1; T.eq(got[i]:close(), true) end
    end
  end
  collectgarbage("setpause", pause)
  collectgarbage("setstepmul", mul)
  collectgarbage("incremental", 0, 0, 13)
  collectgarbage(mode)
  T.eq(names > 0 and lists > 0, true)
end)

T.test_child("closing the state does not wait for anybody [00 1.6.5] [50 0.2.7]", function ()
  for _, passes in ipairs { 0, 1 } do
    T.eq(T.child(([[
      local system = require "coutil.system"
      for i = 1, 50 do
        coroutine.wrap(function () system.findaddr("127.0.0.1", i); print "resumed" end)()
        coroutine.wrap(function () system.nameaddr(i); print "resumed" end)()
      end
      if %d > 0 then
        coroutine.wrap(function () system.suspend(); system.halt() end)()
        coroutine.wrap(function () system.suspend(); print "halted" end)()
        system.run()
      end
      io.stdout:write("closing\n")
    ]]):format(passes)):gsub("resumed\n", ""), passes > 0 and "halted\nclosing\n" or "closing\n")
  end
end)

T.test("the list is made by the loop, and outlives the module [50 0.2.6]", function ()
  local list = new_list("127.0.0.1", 9)
  local loaded = package.loaded["coutil.system"]
  package.loaded["coutil.system"] = nil
  T.gc()
  T.eq(tostring(list:getaddress()), "127.0.0.1:9")
  package.loaded["coutil.system"] = loaded
end)

T.done()
