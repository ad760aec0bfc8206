-- Datagram sockets.

local T = require "testing"
local L = require "loop_testing"
local E = require "error_testing"
local memory = require "memory"
local system = require "coutil.system"
local run, suspend, socket = system.run, system.suspend, system.socket
local pack = T.pack
local put = table.insert
local fails, inside, everywhere, main_only = E.fails, E.inside, E.everywhere, E.main_only

local function each(title, f)
  for _, domain in ipairs(L.domains) do T.test(domain .. ": " .. title, function () f(domain) end) end
end

local other = { ipv4 = "ipv6", ipv6 = "ipv4" }
local unspecified = { ipv4 = "0.0.0.0:0", ipv6 = "[::]:0" }
local methods = { "close", "getdomain", "getaddress", "bind", "setoption", "connect", "write", "read" }
local absent = { "shutdown", "listen", "accept" }

local unconnected = { false, "socket is not connected", 107 }
local invalid = { false, "invalid argument", 22 }
local in_use = { false, "address already in use", 98 }
local unavailable = { false, "address not available", 99 }
local no_room = { false, "no buffer space available", 105 }

local function new(domain) return assert(socket("datagram", domain or "ipv4")) end

-- A bound socket, and its address.
local function bound(domain, literal)
  local s = new(domain)
  assert(s:bind(literal and system.address(domain, literal, 0) or L.address(domain)))
  return s, assert(s:getaddress())
end

local function close(...)
  for i = 1, select("#", ...) do (select(i, ...)):close() end
end

-- Sends; the result is checked at the end of the next run.
local function send(s, data, address)
  T.start(function () T.same(pack(s:write(data, 1, -1, address)), { true }) end)
end

-- Reads one datagram: the text and whether it was truncated, or what `read` returned instead. To be called in a coroutine.
local function take(s, n, address)
  local buffer = memory.create(n or 4096)
  local got = pack(s:read(buffer, 1, -1, address))
  if got[1] then return buffer:tostring(1, got[1]), T.unpack(got, 2, got.n) end
  return T.unpack(got, 1, got.n)
end

-- The next datagram.
local function receive(s, n) return L.await(take, s, n) end

-- Objects ---------------------------------------------------------------------------------------

T.test("kinds and domains [50 4.1] [00 10.3]", function ()
  for _, domain in ipairs { "local", "share" } do
    T.returns({ false, "socket type not supported", 3011 }, socket, "datagram", domain)
  end
  local function refused(n, text, ...)
    T.eq(L.message(socket, ...), "bad argument #" .. n .. " to 'coutil.system.socket' (" .. text .. ")")
  end
  refused(1, "invalid option 'Datagram'", "Datagram", "ipv4")
  refused(1, "invalid option 'udp'", "udp", "x")
  refused(2, "invalid option 'x'", "datagram", "x")
  refused(2, "invalid option ''", "datagram", "")
  refused(2, "string expected, got no value", "datagram")
  refused(2, "string expected, got nil", "datagram", nil)
end)

each("class and methods [50 4.5] [50 0.4.1] [50 5.2.1] [50 4.2] [00 6.1]", function (domain)
  local s = assert(socket("datagram", domain, "surplus"))
  T.eq(s:getdomain(), domain)
  T.eq(type(s), "userdata")
  local meta = getmetatable(s)
  T.eq(meta.__name, "coutil:udp")
  T.eq(type(meta.__gc) .. type(meta.__close), "functionfunction")
  T.eq(meta.__tostring, nil)
  if T.number >= 5.3 then T.eq(tostring(s):find("coutil:udp: ", 1, true), 1) end
  for _, name in ipairs(methods) do T.eq(type(s[name]), "function", name) end
  for _, name in ipairs(absent) do T.eq(s[name], nil, name) end
  s:close()
end)

each("unknown fields are nil, and no field can be set [50 0.4.2]", function (domain)
  local s = new(domain)
  T.eq(s.x, nil)
  T.eq(s[1], nil)
  T.eq(s[s], nil)
  T.raises("attempt to index", function () s.x = 1 end)
  T.raises("attempt to index", function () s.close = 1 end)
  T.eq(type(s.close), "function")
  s:close()
end)

-- Addresses -------------------------------------------------------------------------------------

each("addresses of an unbound socket [50 5.4.1] [50 5.4.2]", function (domain)
  local s = new(domain)
  for _, got in ipairs { s:getaddress(), s:getaddress("self"), s:getaddress(nil), (s:getaddress(nil, nil)) } do
    T.eq(tostring(got), unspecified[domain])
    T.eq(got.type, domain)
  end
  local own = system.address(domain)
  own.port = 99
  T.eq(rawequal(s:getaddress("self", own), own), true)
  T.eq(tostring(own), unspecified[domain])
  T.returns(unconnected, s.getaddress, s, "peer")
  T.returns(unconnected, s.getaddress, s, "peer", own)
  s:close()
end)

each("arguments of getaddress [50 5.4.1] [50 0.1.4]", function (domain)
  local s, mine = bound(domain)
  fails(1, "invalid option 'x'", s, "getaddress", "x")
  fails(1, "invalid option 'Peer'", s, "getaddress", "Peer")
  fails(1, "string expected, got table", s, "getaddress", {})
  fails(1, "invalid option 'x'", s, "getaddress", "x", system.address(other[domain]))
  fails(2, "wrong domain", s, "getaddress", "self", system.address(other[domain]))
  fails(2, "wrong domain", s, "getaddress", nil, system.address(other[domain]))
  fails(2, "wrong domain", s, "getaddress", "peer", system.address(other[domain]))
  for _, value in ipairs { 1, "x", {}, true, io.stdout, memory.create(4) } do
    local got = s:getaddress("self", value)
    L.equal(got, mine)
    T.eq(rawequal(got, mine), false)
  end
  L.equal(s:getaddress(nil, nil, "surplus"), mine)
  local reused = system.address(domain)
  T.eq(rawequal(s:getaddress("self", reused), reused), true)
  L.equal(reused, mine)
  s:close()
end)

-- bind ------------------------------------------------------------------------------------------

each("bind [50 5.3.1] [50 5.3.2]", function (domain)
  local s = new(domain)
  T.returns({ true }, s.bind, s, L.address(domain))
  local address = s:getaddress()
  T.eq(address.literal, L.address(domain).literal)
  T.eq(address.port > 0, true)
  for _ = 1, 2 do T.returns(invalid, s.bind, s, L.address(domain)) end
  L.equal(s:getaddress(), address)
  s:close()
end)

each("arguments of bind [50 5.3.1] [00 5.2.2]", function (domain)
  local s = new(domain)
  fails(1, "coutil:netaddress expected, got no value", s, "bind")
  fails(1, "coutil:netaddress expected, got nil", s, "bind", nil)
  fails(1, "coutil:netaddress expected, got string", s, "bind", "127.0.0.1:80")
  fails(1, "coutil:netaddress expected, got coutil:udp", s, "bind", s)
  fails(1, "wrong domain", s, "bind", system.address(other[domain]))
  T.eq(tostring(s:getaddress()), unspecified[domain])
  T.returns({ true }, s.bind, s, L.address(domain))
  fails(1, "wrong domain", s, "bind", system.address(other[domain]))
  s:close()
end)

each("bind reports an address in use, and may be tried again [50 5.3.3]", function (domain)
  local s, address = bound(domain)
  local second = new(domain)
  for _ = 1, 2 do T.returns(in_use, second.bind, second, address) end
  T.returns({ true }, second.bind, second, L.address(domain))
  T.eq(second:getaddress().port ~= address.port, true)
  local third = new(domain)
  T.returns(in_use, third.bind, third, address)
  s:close()
  T.returns({ true }, third.bind, third, address)
  L.equal(third:getaddress(), address)
  close(second, third)
end)

T.test("an address that is not of this machine [50 5.3.4]", function ()
  local s = new()
  local got = pack(s:bind(system.address("ipv4", "203.0.113.1", 0)))
  if got[1] ~= true then T.same(got, unavailable) end -- a machine may allow it
  s:close()
end)

-- connect ---------------------------------------------------------------------------------------

each("connecting and disconnecting [50 5.6.1] [50 5.6.2] [50 5.6.3] [50 5.4.1] [50 5.4.2]", function (domain)
  local s, peer = new(domain), { bound(domain) }
  T.returns(unconnected, s.connect, s, nil)
  for _ = 1, 2 do
    T.returns({ true }, s.connect, s, peer[2]) -- in the main thread
    T.eq(run(), false)
    L.equal(s:getaddress("peer"), peer[2])
    local reused = system.address(domain)
    T.eq(rawequal(s:getaddress("peer", reused), reused), true)
    L.equal(reused, peer[2])
    T.eq(s:getaddress().literal, peer[2].literal)
    T.eq(s:getaddress().port > 0, true)
    for _ = 1, 2 do T.returns({ false, "socket is already connected", 106 }, s.connect, s, L.address(domain, 9)) end
    L.equal(s:getaddress("peer"), peer[2])
    T.eq(T.inside(s.connect, s, nil), true) -- and in a coroutine, without suspending
    T.returns(unconnected, s.getaddress, s, "peer")
    T.returns(unconnected, s.connect, s, nil)
  end
  close(s, peer[1])
end)

each("arguments of connect [50 5.6.1] [50 5.6.4]", function (domain)
  local s = new(domain)
  for _, connected in ipairs { false, true } do
    everywhere(1, "coutil:netaddress expected, got string", s, "connect", "127.0.0.1:80")
    everywhere(1, "coutil:netaddress expected, got boolean", s, "connect", false)
    everywhere(1, "coutil:netaddress expected, got coutil:udp", s, "connect", s)
    everywhere(1, "wrong domain", s, "connect", system.address(other[domain]))
    if not connected then assert(s:connect(L.address(domain, 9))) end
  end
  local got = pack(pcall(s.connect, s)) -- an absent argument
  if got[1] then T.same(got, { true, true }) else T.eq(got[2], "bad argument #2 to '?' (coutil:netaddress expected, got no value)") end
  s:close()
end)

each("only the peer is heard [50 5.6.2] [50 6.5.2]", function (domain)
  local s, mine = bound(domain)
  local peer, address = bound(domain)
  local stranger, strange = bound(domain)
  assert(s:connect(address))
  send(stranger, "not from the peer", mine)
  send(peer, "one", mine)
  local source = system.address(domain)
  T.returns({ "one", false }, L.await, take, s, nil, source)
  L.equal(source, address)
  -- The address of a write is not looked at.
  for i, value in ipairs { strange, system.address(other[domain]), "x", 1, {}, s } do
    send(s, "reply " .. i, value)
    T.returns({ "reply " .. i, false }, L.await, take, peer, nil, source)
    L.equal(source, mine)
  end
  T.returns({ true }, L.await, s.write, s, "reply")
  T.eq(receive(peer), "reply")
  assert(s:connect(nil))
  inside(4, "coutil:netaddress expected, got no value", s, "write", "x")
  close(s, peer, stranger)
end)

each("after disconnecting everybody is heard [50 5.6.3]", function (domain)
  local s, mine = bound(domain)
  local peer, address = bound(domain)
  local stranger, strange = bound(domain)
  assert(s:connect(address))
  assert(s:connect(nil))
  L.equal(s:getaddress(), mine)
  for _, x in ipairs { peer, stranger } do
    send(x, "heard", mine)
    T.eq(receive(s), "heard")
  end
  for _, to in ipairs { address, strange } do send(s, "there", to) end
  T.eq(receive(peer), "there")
  T.eq(receive(stranger), "there")
  local unbound = new(domain)
  assert(unbound:connect(strange))
  assert(unbound:connect(nil))
  send(unbound, "from somewhere", address)
  T.eq(receive(peer), "from somewhere")
  close(s, peer, stranger, unbound)
end)

-- write and read --------------------------------------------------------------------------------

each("datagrams there and back [50 6.5.1] [50 6.6.1] [50 6.6.2] [50 6.5.3]", function (domain)
  local server, address = bound(domain)
  local log = {}
  T.start(function ()
    local buffer, source = memory.create(100), system.address(domain)
    for _ = 1, 5 do
      local n, truncated = server:read(buffer, 1, -1, source)
      T.eq(truncated, false)
      put(log, buffer:tostring(1, n))
      T.same(pack(server:write(buffer, 1, n, source)), { true })
    end
  end)
  T.start(function ()
    local s = new(domain)
    for i = 1, 5 do
      T.same(pack(s:write("request " .. i, 1, -1, address)), { true })
      T.eq(s:getaddress().port > 0, true) -- chosen by the system
      local source = system.address(domain)
      T.same(pack(take(s, 100, source)), { log[i], false })
      L.equal(source, address)
    end
    s:close()
  end)
  T.eq(run(), false)
  T.same(log, { "request 1", "request 2", "request 3", "request 4", "request 5" })
  server:close()
end)

local function resizable(text)
  local m = memory.create()
  m:resize(#text, text)
  return m
end

each("what can be written, and which part [50 0.3.1] [50 0.3.2] [50 6.5.1]", function (domain)
  local s, address = bound(domain)
  local out = new(domain)
  local cases = {
    { "abcdef", "abcdef" }, { "bcde", "abcdef", 2, -2 }, { "abcdef", "abcdef", 0 }, { "abcdef", "abcdef", -100, 100 },
    { "f", "abcdef", -1 }, { "abc", "abcdef", nil, 3 }, { "ef", "abcdef", "5", "6" }, { "b", "abcdef", 2.0, 2.0 },
    { "12", 12 }, { "1.5", 1.5 }, { "a\0b\255", "a\0b\255" }, { "cd", memory.create("abcdef"), 3, 4 },
    { "abcdef", resizable("abcdef") }, { "bc", resizable("abcdef"), 2, 3 }, { "-7", -7, 1, 2 }, { "", "" },
    { "", "abc", 3, 2 }, { "", "abc", 4 }, { "", memory.create() }, { "", resizable("") }, { "last", "last" },
  }
  T.start(function ()
    for _, c in ipairs(cases) do T.same(pack(out:write(c[2], c[3], c[4], address, "surplus")), { true }) end
  end)
  local got = {}
  T.start(function ()
    for i = 1, #cases do
      got[i] = pack(take(s))
      T.eq(got[i][2], false)
    end
  end)
  T.eq(run(), false)
  for i, c in ipairs(cases) do T.same(got[i], { c[1], false }) end
  close(s, out)
end)

each("a write suspends once, a read until something comes [50 0.2.1] [50 6.6.1]", function (domain)
  local s, address = bound(domain)
  local out = new(domain)
  local read = T.waiter(take, s)
  T.eq(run("ready"), true)
  local write = T.waiter(out.write, out, "x", 1, -1, address)
  T.eq(write.got, nil)
  T.eq(read.got, nil)
  T.eq(run(), false)
  T.same(write.got, { true })
  T.same(read.got, { "x", false })
  send(out, "y", address)
  T.eq(run(), false)
  read = T.waiter(take, s) -- it is there already
  T.eq(read.got, nil)
  T.eq(run(), false)
  T.same(read.got, { "y", false })
  close(s, out)
end)

each("truncation: the rest is discarded [50 6.6.1]", function (domain)
  local s, address = bound(domain)
  local out = new(domain)
  local function read(data, m, ...)
    send(out, data, address)
    return L.await(s.read, s, m, ...)
  end
  for _, make in ipairs { memory.create, resizable } do
    local m = make("......")
    T.returns({ 6, false }, read, "abcdef", m) -- just fits
    T.returns({ 6, true }, read, "ABCDEFG", m)
    T.eq(m:tostring(), "ABCDEF")
    T.returns({ 2, true }, read, "xyz", m, 3, 4)
    T.eq(m:tostring(), "ABxyEF")
    T.returns({ 2, false }, read, "12", m, 3, 4)
    T.eq(m:tostring(), "AB12EF")
    T.returns({ 1, false }, read, "-", m, 2)
    T.eq(m:tostring(), "A-12EF")
    T.returns({ 1, true }, read, ("*"):rep(3000), m, -1, 100)
    T.eq(m:tostring(), "A-12E*")
    T.returns({ 2, true }, read, "///", m, 0, -5, nil)
    T.eq(m:tostring(), "//12E*")
    T.returns({ 0, false }, read, "", m)
    T.eq(m:tostring(), "//12E*")
  end
  send(out, "next", address)
  T.returns({ "next", false }, L.await, take, s)
  if T.integers then T.eq(math.type((read("x", memory.create(3)))), "integer") end
  close(s, out)
end)

each("empty datagrams [50 6.5.1] [50 6.6.1]", function (domain)
  local s, address = bound(domain)
  local out = new(domain)
  for _ = 1, 3 do send(out, "", address) end
  send(out, "full", address)
  local source = system.address(domain)
  for _ = 1, 3 do T.returns({ "", false }, L.await, take, s, nil, source) end
  L.equal(source.port, out:getaddress().port)
  T.returns({ "full", false }, L.await, take, s)
  assert(out:connect(address))
  send(out, "")
  T.returns({ "", false }, L.await, take, s, 1)
  close(s, out)
end)

each("the address of the sender [50 6.6.2]", function (domain)
  local s, address = bound(domain)
  local list = {}
  for i = 1, 3 do list[i] = pack(bound(domain)) end
  local source = system.address(domain)
  for i = 1, 3 do
    send(list[i][1], "from " .. i, address)
    T.returns({ "from " .. i, false }, L.await, take, s, nil, source)
    L.equal(source, list[i][2])
  end
  for _, value in ipairs { "x", 1, true, {}, io.stdout, s } do -- not an address: ignored
    send(list[1][1], "again", address)
    T.returns({ "again", false }, L.await, take, s, nil, value)
  end
  send(list[1][1], "again", address)
  T.returns({ "again", false }, L.await, take, s, 10, nil)
  close(s, list[1][1], list[2][1], list[3][1])
end)

each("an address of the other family [50 6.6.3] [50 6.5.1]", function (domain)
  local s, address = bound(domain)
  local m, wrong = memory.create("...."), system.address(other[domain])
  inside(4, "wrong domain", s, "read", m, 1, -1, wrong)
  local out = new(domain)
  inside(4, "wrong domain", out, "write", "x", 1, -1, wrong)
  send(out, "kept", address)
  T.eq(run(), false)
  inside(4, "wrong domain", s, "read", m, 1, -1, wrong)
  T.eq(m:tostring(), "....")
  T.eq(tostring(wrong), unspecified[other[domain]])
  T.eq(receive(s), "kept")
  close(s, out)
end)

each("a reader that waits before there is a port [50 6.6.4]", function (domain)
  local peer, address = bound(domain)
  for _, how in ipairs { "bind", "connect", "write" } do
    for _, known in ipairs { false, true } do
      local s = new(domain)
      local w = T.waiter(take, s)
      for _ = 1, known and 2 or 0 do T.eq(run("ready"), true) end
      T.eq(w.got, nil)
      if how == "bind" then
        assert(s:bind(L.address(domain)))
      elseif how == "connect" then
        assert(s:connect(address))
      else
        send(s, "hello", address)
        run("ready")
      end
      local mine = s:getaddress()
      mine.literal = L.address(domain).literal
      send(peer, "answer", mine)
      T.eq(run(), false)
      T.same(w.got, { "answer", false }, how)
      s:close()
    end
  end
  peer:close()
end)

each("what cannot be sent [50 6.5.3] [50 0.2.1]", function (domain)
  local s, address = bound(domain)
  local out = new(domain)
  for _ = 1, 2 do
    T.returns({ false, "message too long", 90 }, L.await, out.write, out, ("x"):rep(70000), 1, -1, address)
    T.returns(invalid, L.await, out.write, out, "x", 1, -1, L.address(domain, 0))
  end
  send(out, "still works", address)
  T.eq(receive(s), "still works")
  local large = L.pattern(60000)
  send(out, large, address)
  L.eqtext(L.await(take, s, 65536), large)
  close(s, out)
end)

each("nobody listens [50 6.5.3]", function (domain)
  local gone, address = bound(domain)
  gone:close()
  run()
  local s, mine = bound(domain)
  for _ = 1, 3 do T.returns({ true }, L.await, s.write, s, "lost", 1, -1, address) end
  local alive, there = bound(domain)
  send(s, "arrives", there)
  T.eq(receive(alive), "arrives")
  send(alive, "reply", mine)
  T.eq(receive(s), "reply")
  -- Connected: a later call may tell, none hangs.
  assert(s:connect(address))
  for i = 1, 4 do
    local got = pack(L.await(s.write, s, "lost"))
    if i == 1 or got[1] then T.same(got, { true }) else T.same(got, { false, "connection refused", 111 }) end
  end
  local w = T.waiter(take, s)
  run("ready")
  run("ready")
  if w.got then T.same(w.got, { false, "connection refused", 111 }) end
  close(s, alive)
  if w.got[3] ~= 111 then T.same(w.got, { false, "closed" }) end
  T.eq(run(), false)
end)

each("any number of writers, each datagram whole [50 6.5.4]", function (domain)
  local list, log = {}, {}
  for i = 1, 3 do list[i] = pack(bound(domain)) end
  local out = new(domain)
  for i = 1, 30 do
    send(out, ("%d:"):format(i) .. L.pattern(i * 10, i), list[i % 3 + 1][2])
  end
  for i = 1, 3 do
    T.start(function ()
      for _ = 1, 10 do
        local text = take(list[i][1])
        local n = tonumber(text:match("^%d+"))
        T.eq(text, ("%d:"):format(n) .. L.pattern(n * 10, n))
        put(log, n)
      end
    end)
  end
  T.eq(run(), false)
  table.sort(log)
  for i = 1, 30 do T.eq(log[i], i) end
  close(out, list[1][1], list[2][1], list[3][1])
end)

T.test("an empty region: nothing is read, the datagram stays [50 6.6.5] [50 6.3.6]", function ()
  local s, address = bound()
  local out = new()
  local m = memory.create("abc")
  for _, args in ipairs { { memory.create() }, { m, 2, 1 }, { m, 4 }, { m, 1, 0 }, { resizable("") } } do
    local w = T.waiter(s.read, s, T.unpack(args, 1, 3))
    T.eq(run("ready"), true) -- waits for a datagram
    T.eq(w.got, nil)
    send(out, "x", address)
    T.eq(run(), false)
    T.same(w.got, no_room)
    T.returns({ "x", false }, L.await, take, s)
  end
  T.eq(m:tostring(), "abc")
  close(s, out)
end)

T.test("the buffer is looked at when the datagram arrives [50 0.3.3] [90 1.8] [50 0.2.5]", function ()
  local s, address = bound()
  local out = new()
  local function read(size, change, ...)
    local m = memory.create()
    m:resize(size, ".")
    local w = T.waiter(s.read, s, m, ...)
    run("ready")
    change(m)
    send(out, "abcdefgh", address)
    T.eq(run(), false)
    return m:tostring(), w.got
  end
  local text, got = read(20, function (m) m:resize(4) end)
  T.eq(text, "abcd")
  T.same(got, { 4, true })
  text, got = read(2, function (m) m:resize(100000, "-") end)
  T.eq(text:sub(1, 10), "abcdefgh--")
  T.same(got, { 8, false })
  text, got = read(20, function (m) m:resize(5) end, 4)
  T.eq(text, "...ab")
  T.same(got, { 2, true })
  text, got = read(20, function (m) m:resize(0) end)
  T.eq(text, "")
  T.same(got, no_room)
  T.eq(receive(s), "abcdefgh") -- not lost
  local m = memory.create(10) -- collected by all but the read
  T.start(function (x) m = { x, s:read(x) } end, m)
  m = nil
  T.gc()
  send(out, "abc", address)
  T.eq(run(), false)
  T.eq(m[1]:tostring(1, m[2]), "abc")
  close(s, out)
end)

T.test("what is written stays valid while it waits [50 0.2.5]", function ()
  local s, address = bound()
  local out = new()
  for kind = 1, 3 do
    local data = L.pattern(1000, kind)
    local m = kind == 1 and memory.create(data) or resizable(data)
    local w = T.waiter(function (x) return out:write(x, 1, -1, address) end, m)
    if kind == 2 then m:resize(0) elseif kind == 3 then getmetatable(m).__gc(m) end
    m = nil
    T.gc()
    T.eq(receive(s), data)
    T.same(w.got, { true })
  end
  close(s, out)
end)

T.test("changing the address object after the call changes nothing [50 0.2.5]", function ()
  local s, address = bound()
  local out = new()
  local target = system.address("ipv4", address.literal, address.port)
  local w = T.waiter(out.write, out, "x", 1, -1, target)
  target.port = 9
  T.eq(receive(s), "x")
  T.same(w.got, { true })
  close(s, out)
end)

T.test_if(#L.domains == 2, "no IPv6", "an IPv6 socket receives from IPv4 [50 4.4]", function ()
  local s = new("ipv6")
  assert(s:bind(system.address("ipv6", "::", 0)))
  local address = s:getaddress()
  local out, mine = bound("ipv4")
  send(out, "four", system.address("ipv4", "127.0.0.1", address.port))
  local source = system.address("ipv6")
  T.returns({ "four", false }, L.await, take, s, nil, source)
  T.eq(source.literal, "::ffff:127.0.0.1")
  T.eq(source.port, mine.port)
  send(s, "back", source)
  T.eq(receive(out), "back")
  close(s, out)
end)

-- Who reads -------------------------------------------------------------------------------------

each("one reader at a time, and hand-over [50 6.6.5] [50 6.3.3] [50 6.6.1]", function (domain)
  local s, address = bound(domain)
  local out = new(domain)
  local m = memory.create(3)
  local w = T.waiter(s.read, s, m)
  T.raises("already in use", s.read, s, m)
  T.eq(T.inside(L.message, s.read, s, m), "bad argument #1 to '?' (already in use)")
  T.resume(w.co, "cancelled")
  T.raises("unable to yield", s.read, s, m) -- free at once
  w = T.waiter(s.read, s, m)
  T.raises("already in use", s.read, s, m)
  send(out, "abc", address)
  T.eq(run(), false)
  T.same(w.got, { 3, false })
  T.raises("unable to yield", s.read, s, m)
  local log = {}
  local function reader(n)
    put(log, (take(s)))
    if n > 1 then T.start(reader, n - 1) end -- by who was just resumed
  end
  T.start(reader, 20)
  for i = 1, 20 do send(out, "number " .. i, address) end
  T.eq(run(), false)
  for i = 1, 20 do T.eq(log[i], "number " .. i) end
  close(s, out)
end)

each("a cancelled read takes nothing and writes nothing [50 0.2.2] [50 8.8]", function (domain)
  local s, address = bound(domain)
  local out = new(domain)
  for i = 1, 20 do
    local m, source = memory.create("...."), system.address(domain)
    local w = T.waiter(s.read, s, m, 1, -1, source)
    if i % 2 == 0 then run("ready") end
    send(out, "data", address)
    if i % 3 == 0 then T.start(function () suspend(); if not w.got then T.resume(w.co, nil, i) end end) else T.resume(w.co, nil, i) end
    local next_reader
    T.start(function () suspend(); suspend(); next_reader = T.waiter(take, s) end)
    T.eq(run(), false)
    T.same(w.got, pack(nil, i))
    T.same(next_reader.got, { "data", false })
    T.eq(m:tostring(), "....")
    T.eq(tostring(source), unspecified[domain])
  end
  close(s, out)
end)

each("a cancelled write is received, and so is the next [50 0.2.2] [50 0.2.3] [50 8.3]", function (domain)
  local s, address = bound(domain)
  local out, r = new(domain), {}
  local co = T.start(function ()
    for i = 1, 3 do r[i] = pack(out:write("datagram " .. i, 1, -1, address)) end
  end)
  T.resume(co, "abandoned")
  T.resume(co)
  T.same(r[1], { "abandoned" })
  T.same(r[2], {})
  for i = 1, 3 do T.eq(receive(s), "datagram " .. i) end
  T.same(r[3], { true })
  close(s, out)
end)

T.test("an abandoned operation leaves nothing behind [50 0.2.2] [50 0.2.4] [30 A3]", function ()
  T.eq(L.swept(function (watch)
    local s, address = bound()
    watch(s)
    for _ = 1, 5 do
      local m = memory.create(4)
      local co = watch(T.start(function () watch(s):read(m); coroutine.yield(m) end))
      T.resume(co)
      co = watch(T.start(function () watch(new()):write("x", 1, -1, address); coroutine.yield() end))
      T.resume(co)
    end
    T.eq(run(), false)
  end), true)
end)

-- Errors ----------------------------------------------------------------------------------------

T.test("unable to yield comes before the arguments of write [50 6.5.1] [50 8.5] [00 1.4.4]", function ()
  local s, connected, address = new(), new(), L.address("ipv4", 9)
  assert(connected:connect(address))
  for _, args in ipairs { pack(), pack(nil), pack({}), pack("x"), pack("x", {}), pack("x", 1, 1, {}), pack("x", 1, 1, address),
                          pack("x", 1, 1, system.address("ipv6")) } do
    main_only(s, "write", T.unpack(args, 1, args.n))
    main_only(connected, "write", T.unpack(args, 1, args.n))
  end
  T.eq(run(), false)
  T.eq(s:getaddress().port, 0) -- nothing was sent
  close(s, connected)
end)

T.test("arguments of write: the address first [50 6.5.1] [50 8.6] [50 6.5.2] [50 0.3.1]", function ()
  local s, address = new(), L.address("ipv4", 9)
  local missing = "coutil:netaddress expected, got "
  inside(4, missing .. "no value", s, "write")
  inside(4, missing .. "no value", s, "write", nil)
  inside(4, missing .. "no value", s, "write", {}, {}, {})
  inside(4, missing .. "nil", s, "write", "x", 1, 1, nil)
  inside(4, missing .. "string", s, "write", nil, nil, nil, "127.0.0.1:9")
  inside(4, missing .. "coutil:udp", s, "write", "x", 1, 1, s)
  inside(4, "wrong domain", s, "write", nil, {}, {}, system.address("ipv6"))
  local connected = new()
  assert(connected:connect(address))
  for _, x in ipairs { s, connected } do
    inside(1, "string or memory expected, got nil", x, "write", nil, nil, nil, address)
    inside(1, "string or memory expected, got table", x, "write", {}, {}, {}, address)
    inside(1, "string or memory expected, got boolean", x, "write", true, 1, 1, address)
    inside(1, "string or memory expected, got coutil:udp", x, "write", s, 1, 1, address)
    inside(2, "number expected, got table", x, "write", "x", {}, {}, address)
    inside(2, "number expected, got string", x, "write", "x", "y", 1, address)
    inside(2, "number has no integer representation", x, "write", "x", 1.5, {}, address)
    inside(3, "number expected, got boolean", x, "write", "x", 1, false, address)
    inside(3, "number has no integer representation", x, "write", "x", nil, 2 ^ 80, address)
  end
  inside(1, "string or memory expected, got no value", connected, "write")
  inside(1, "string or memory expected, got nil", connected, "write", nil, {}, {}, {})
  T.eq(run(), false)
  close(s, connected)
end)

T.test("arguments of read, before yielding [50 6.6.1] [50 6.3.1] [50 0.3.1] [50 0.3.3] [00 1.4.4]", function ()
  local m = memory.create(8)
  local s, busy = new(), bound()
  local w = T.waiter(busy.read, busy, m)
  for _, x in ipairs { s, busy } do
    everywhere(1, "memory expected, got no value", x, "read")
    everywhere(1, "memory expected, got nil", x, "read", nil, {})
    everywhere(1, "memory expected, got string", x, "read", "text")
    everywhere(1, "memory expected, got table", x, "read", {}, {}, {})
    everywhere(1, "memory expected, got coutil:udp", x, "read", s)
    everywhere(2, "number expected, got table", x, "read", m, {}, {})
    everywhere(2, "number expected, got string", x, "read", m, "x")
    everywhere(2, "number has no integer representation", x, "read", m, 1.5)
    everywhere(3, "number expected, got boolean", x, "read", m, 1, true)
    everywhere(3, "number has no integer representation", x, "read", m, 1, T.nan)
  end
  for _ = 1, 2 do
    everywhere(0, "already in use", busy, "read", m)
    everywhere(0, "already in use", busy, "read", m, 3, 2, L.address())
    T.eq(run("ready"), true)
  end
  main_only(s, "read", m)
  main_only(s, "read", m, 3, 2)
  main_only(s, "read", m, "1", 2.0, L.address())
  T.resume(w.co)
  main_only(busy, "read", m)
  T.eq(run(), false)
  close(s, busy)
end)

T.test("a coroutine that cannot yield [00 1.4.1] [00 1.4.3] [90 4.12]", function ()
  local s, address = bound()
  local out, m = new(), memory.create(4)
  for _, call in ipairs { { out, "write", "lost", 1, 4, address }, { s, "read", m } } do
    local got
    T.inside(string.gsub, "x", "x", function () got = pack(pcall(call[1][call[2]], call[1], T.unpack(call, 3, 6))) end)
    T.eq(got[1], false, call[2])
    if T.detects_yieldable or T.version == "5.1" then T.eq(got[2], "unable to yield", call[2]) end
  end
  T.eq(run(), false)
  send(out, "only", address)
  T.eq(receive(s), "only")
  T.raises("unable to yield", s.read, s, m) -- not in use
  close(s, out)
end)

T.test("self must be of the class, and open [00 5.2.2] [50 0.1.4] [50 0.1.6] [50 5.1.1]", function ()
  local s, stream = new(), socket("stream", "ipv4")
  E.self("coutil:udp", s, methods, { { "coutil:tcpactive", stream }, { "coutil:netaddress", L.address() }, { "char[]", memory.create(1) } })
  s:close()
  E.closed(s, methods, { pack(), pack({}), pack(nil, {}), pack(L.address()), pack("x", "y", "z") })
  stream:close()
  T.eq(run(), false)
end)

-- setoption -------------------------------------------------------------------------------------

each("the names of options [50 5.5.1] [50 5.5.2]", function (domain)
  local s = new(domain)
  fails(1, "string expected, got no value", s, "setoption")
  fails(1, "string expected, got nil", s, "setoption", nil, 1)
  fails(1, "string expected, got table", s, "setoption", {}, {})
  for _, name in ipairs { "x", "", "Broadcast", "MCASTTTL", "keepalive", "nodelay", "permission", "mcastloop " } do
    fails(1, "invalid option '" .. name .. "'", s, "setoption", name, 1)
  end
  s:close()
end)

each("broadcast and mcastloop take any value [50 5.5.1]", function (domain)
  local s = new(domain)
  for _, name in ipairs { "broadcast", "mcastloop" } do
    for _, value in ipairs { true, false, 0, "no", {}, s } do T.returns({ true }, s.setoption, s, name, value, "surplus") end
    T.returns({ true }, s.setoption, s, name)
    T.returns({ true }, s.setoption, s, name, nil)
  end
  s:close()
end)

T.test("broadcasts need the option [50 5.5.1]", function ()
  local s = new()
  assert(s:bind(system.address("ipv4", "0.0.0.0", 0)))
  local everybody = system.address("ipv4", "127.255.255.255", s:getaddress().port)
  local out = new()
  local function refused() T.returns({ false, "permission denied", 13 }, L.await, out.write, out, "x", 1, -1, everybody) end
  refused()
  T.returns({ true }, out.setoption, out, "broadcast", 1)
  send(out, "to all", everybody)
  T.eq(receive(s), "to all")
  T.returns({ true }, out.setoption, out, "broadcast")
  refused()
  close(s, out)
end)

each("mcastttl [50 5.5.2]", function (domain)
  local s = new(domain)
  for _, value in ipairs { 1, 2, 255, "5", 7.0 } do T.returns({ true }, s.setoption, s, "mcastttl", value) end
  fails(2, "number expected, got no value", s, "setoption", "mcastttl")
  fails(2, "number expected, got nil", s, "setoption", "mcastttl", nil)
  fails(2, "number expected, got boolean", s, "setoption", "mcastttl", true)
  fails(2, "number expected, got string", s, "setoption", "mcastttl", "x")
  fails(2, "number has no integer representation", s, "setoption", "mcastttl", 1.5)
  for _, value in ipairs { 0, -1, 256, 257, 2 ^ 31, 2 ^ 32 + 1, -2 ^ 40 } do
    fails(2, "must be from 1 upto 255", s, "setoption", "mcastttl", value)
  end
  s:close()
end)

each("mcastiface [50 5.5.3]", function (domain)
  local s = new(domain)
  T.returns({ true }, s.setoption, s, "mcastiface", "127.0.0.1") -- also on an IPv6 socket
  T.returns({ true }, s.setoption, s, "mcastiface")
  T.returns({ true }, s.setoption, s, "mcastiface", nil)
  for _, bad in ipairs { "x", "", "localhost", "127.0.0.1:80", "[::1]", "lo", 1 } do
    T.returns(invalid, s.setoption, s, "mcastiface", bad)
  end
  fails(2, "string expected, got table", s, "setoption", "mcastiface", {})
  fails(2, "string expected, got boolean", s, "setoption", "mcastiface", true)
  if domain == "ipv4" then
    T.returns({ false, "protocol not available", 92 }, s.setoption, s, "mcastiface", "::1")
  else
    T.returns({ true }, s.setoption, s, "mcastiface", "::1")
    T.returns({ true }, s.setoption, s, "mcastiface", "::1%lo")
  end
  s:close()
end)

local group, sourced = { ipv4 = "239.1.2.3", ipv6 = "ff12::1:2" }, { ipv4 = "232.1.2.3", ipv6 = "ff32::1:2" }
local iface = { ipv4 = "127.0.0.1", ipv6 = "::1%lo" }
local loopback = { ipv4 = "127.0.0.1", ipv6 = "::1" }

each("texts end at their first zero byte [50 0.1.8]", function (domain)
  local s = new(domain)
  for _ = 1, 2 do
    T.returns({ true }, s.setoption, s, "mcastjoin", group[domain] .. "\0x", iface[domain] .. "\0x")
    T.returns({ true }, s.setoption, s, "mcastleave", group[domain], iface[domain])
    T.returns({ true }, s.setoption, s, "mcastjoin", sourced[domain], iface[domain], loopback[domain] .. "\0")
    T.returns({ true }, s.setoption, s, "mcastleave", sourced[domain], iface[domain] .. "\0\0", loopback[domain])
    T.returns({ true }, s.setoption, s, "mcastiface", "127.0.0.1\0x")
  end
  T.returns(invalid, s.setoption, s, "mcastiface", "\000127.0.0.1")
  s:close()
end)

each("arguments of mcastjoin and mcastleave [50 5.5.4]", function (domain)
  local s = new(domain)
  for _, name in ipairs { "mcastjoin", "mcastleave" } do
    fails(2, "string expected, got no value", s, "setoption", name)
    fails(2, "string expected, got nil", s, "setoption", name, nil)
    fails(2, "string expected, got boolean", s, "setoption", name, true, {}, {})
    fails(3, "string expected, got table", s, "setoption", name, group[domain], {}, {})
    fails(3, "string expected, got boolean", s, "setoption", name, "x", false)
    fails(4, "string expected, got table", s, "setoption", name, group[domain], iface[domain], {})
    fails(4, "string expected, got boolean", s, "setoption", name, group[domain], nil, true)
    for _, bad in ipairs { "x", "", "localhost", "239.1.2", "[ff02::1]", 7 } do
      T.returns(invalid, s.setoption, s, name, bad)
      T.returns(invalid, s.setoption, s, name, group[domain], bad)
      T.returns(invalid, s.setoption, s, name, group[domain], iface[domain], bad)
    end
    for _, d in ipairs { "ipv4", domain } do -- of different families
      T.returns(invalid, s.setoption, s, name, group[d], iface[other[d]])
      T.returns(invalid, s.setoption, s, name, group[d], iface[d], loopback[other[d]])
      T.returns(invalid, s.setoption, s, name, group[d], nil, loopback[other[d]])
    end
  end
  T.returns(invalid, s.setoption, s, "mcastjoin", loopback[domain], iface[domain]) -- no group
  T.eq(tostring(s:getaddress()), unspecified[domain])
  s:close()
end)

-- Joins and leaves with these arguments. `twice` is what a second join gives, `left` what leaving gives when not joined.
local function membership(s, address, twice, left, ...)
  T.returns(left, s.setoption, s, "mcastleave", ...)
  for _ = 1, 2 do
    T.returns({ true }, s.setoption, s, "mcastjoin", ...)
    if twice then T.returns(twice, s.setoption, s, "mcastjoin", ...) end
    T.returns({ true }, s.setoption, s, "mcastleave", ...)
    T.returns(left, s.setoption, s, "mcastleave", ...)
  end
  T.eq(tostring(s:getaddress()), address)
end

each("joining and leaving groups [50 5.5.4]", function (domain)
  local s = new(domain)
  membership(s, unspecified[domain], in_use, unavailable, group[domain], iface[domain])
  membership(s, unspecified[domain], nil, invalid, sourced[domain], iface[domain], loopback[domain])
  s:close()
end)

-- Whether a group can be joined where the system chooses the interface.
local function routed(domain)
  local s = socket("datagram", domain)
  if not s then return false end
  local ok = s:setoption("mcastjoin", group[domain])
  s:close()
  return ok
end

for _, domain in ipairs(L.domains) do
  T.test_if(routed(domain), "no interface for groups", domain .. ": where the system chooses the interface [50 5.5.4]", function ()
    local g = group[domain]
    for _, last in ipairs { 1, 2 } do
      local s = new(domain)
      membership(s, unspecified[domain], in_use, unavailable, T.unpack({ g }, 1, last))
      if domain == "ipv6" then membership(s, unspecified[domain], in_use, unavailable, g, "::1") end
      s:close()
    end
    local s = new(domain)
    membership(s, unspecified[domain], nil, invalid, sourced[domain], nil, loopback[domain])
    s:close()
  end)
end

T.test("groups of the other family [50 5.5.4]", function ()
  local s = new("ipv4")
  for _, name in ipairs { "mcastjoin", "mcastleave" } do
    T.returns({ false, "protocol not available", 92 }, s.setoption, s, name, "ff02::1")
    T.returns({ false, "protocol not available", 92 }, s.setoption, s, name, "ff02::1", "::1")
    T.returns({ false, "protocol not available", 92 }, s.setoption, s, name, "ff32::1", "::1", "::1")
  end
  s:close()
  if #L.domains < 2 then return end
  s = new("ipv6")
  membership(s, "[::]:0", in_use, unavailable, "239.1.2.3", "127.0.0.1")
  membership(s, "[::]:0", nil, invalid, "232.1.2.3", "127.0.0.1", "127.0.0.1")
  if routed("ipv4") then membership(s, "[::]:0", in_use, unavailable, "239.1.2.3") end
  s:close()
end)

-- A socket that receives what is sent to its port, also to groups; and a group that no other process uses meanwhile.
local function receiver(prefix)
  local s = new()
  assert(s:bind(system.address("ipv4", "0.0.0.0", 0)))
  local port = s:getaddress().port
  return s, port, ("%d.17.%d.%d"):format(prefix, math.floor(port / 256), port % 256)
end

local function sender(literal)
  local s = bound("ipv4", literal or "127.0.0.1")
  T.returns({ true }, s.setoption, s, "mcastiface", "127.0.0.1")
  T.returns({ true }, s.setoption, s, "mcastloop", true)
  T.returns({ true }, s.setoption, s, "mcastttl", 1)
  return s
end

T.test("datagrams to a group [50 5.5.3] [50 5.5.4]", function ()
  local s, port, g = receiver(239)
  local out = sender()
  local all = system.address("ipv4", g, port)
  T.returns({ true }, s.setoption, s, "mcastjoin", g, "127.0.0.1")
  send(out, "group", all)
  local source = system.address("ipv4")
  T.returns({ "group", false }, L.await, take, s, nil, source)
  L.equal(source, out:getaddress())
  T.returns({ true }, s.setoption, s, "mcastleave", g, "127.0.0.1")
  T.returns({ true }, L.await, out.write, out, "nobody", 1, -1, all)
  send(out, "direct", L.address("ipv4", port))
  T.eq(receive(s), "direct")
  close(s, out)
end)

T.test("several sources of one group [50 5.5.4]", function ()
  local s, port, g = receiver(232)
  local all = system.address("ipv4", g, port)
  local list, literals = {}, { "127.0.0.1", "127.0.0.2", "127.0.0.3" }
  for i, literal in ipairs(literals) do list[i] = sender(literal) end
  local heard = {}
  local function hear(want)
    for i = 1, 3 do T.returns({ true }, L.await, list[i].write, list[i], "from " .. i, 1, -1, all) end
    send(list[1], "end", L.address("ipv4", port))
    local got = {}
    repeat
      local text = receive(s)
      put(got, text:match("%d"))
    until text == "end"
    table.sort(got)
    T.eq(table.concat(got), want)
  end
  for _, step in ipairs { { "mcastjoin", 1, "1" }, { "mcastjoin", 3, "13" }, { "mcastjoin", 2, "123" }, { "mcastleave", 1, "23" },
                          { "mcastleave", 2, "3" }, { "mcastjoin", 1, "13" }, { "mcastleave", 3, "1" }, { "mcastleave", 1, "" } } do
    T.returns({ true }, s.setoption, s, step[1], g, "127.0.0.1", literals[step[2]])
    hear(step[3])
  end
  T.returns(invalid, s.setoption, s, "mcastleave", g, "127.0.0.1", literals[1])
  close(s, T.unpack(list))
end)

for _, domain in ipairs(L.domains) do
  T.test_if(routed(domain), "no interface for groups", domain .. ": mcastloop [50 5.5.1]", function ()
    local s = new(domain)
    assert(s:bind(system.address(domain)))
    local port = s:getaddress().port
    local to = system.address(domain, group[domain], port)
    assert(s:setoption("mcastjoin", group[domain]))
    local out = new(domain)
    -- Whether the sender's own machine receives; unknown where nothing can be sent.
    local function loops(value)
      T.returns({ true }, out.setoption, out, "mcastloop", value)
      local sent = L.await(out.write, out, "group", 1, -1, to)
      send(out, "end", L.address(domain, port))
      local text = receive(s)
      if text == "group" then T.eq(receive(s), "end") else T.eq(text, "end") end
      if sent then return text == "group" end
    end
    if loops(true) then
      T.eq(loops(false), false)
      T.eq(loops(1), true)
      T.eq(loops(nil), false)
    end
    close(s, out)
  end)
end

-- close -----------------------------------------------------------------------------------------

each("closing [50 5.1.1] [50 0.4.2] [00 6.4.2]", function (domain)
  local s = new(domain)
  T.returns({ true }, s.close, s)
  fails(0, "closed object", s, "close")
  local ok, got = pcall(s.getdomain, s)
  if ok then T.eq(got, domain) end
  T.eq(s.x, nil)
  local meta = getmetatable(s)
  meta.__gc(s)
  meta.__close(s, nil)
  s = new(domain)
  meta.__close(s, "an error")
  T.raises("closed object", s.close, s)
  meta.__gc(s)
  s = new(domain)
  meta.__gc(s)
  T.raises("closed object", s.close, s)
  T.eq(run(), false)
end)

T.test_if(T.has_tbc, "no to-be-closed variables", "datagram sockets in to-be-closed variables [50 0.4.2] [00 6.4.1]", function ()
  local f = T.load("local s, close = ... do local x <close> = s if close then s:close() end end return s", "=chunk")
  for _, close_it in ipairs { true, false } do
    local s = f(new(), close_it)
    T.raises("closed object", s.close, s)
  end
end)

each("a closed port is free at once [50 5.1.2]", function (domain)
  local s, address = bound(domain)
  for _ = 1, 3 do
    local w = T.waiter(take, s)
    run("ready")
    T.eq(s:close(), true)
    T.same(w.got, { false, "closed" })
    s = new(domain)
    T.returns({ true }, s.bind, s, address)
  end
  s:close()
  T.eq(run(), false)
end)

each("a collected socket frees its port [50 5.1.5] [00 6.4.4]", function (domain)
  local address = T.scope(function () return select(2, bound(domain)) end)
  T.gc()
  local s = new(domain)
  T.returns({ true }, s.bind, s, address)
  s:close()
  T.eq(run(), false)
end)

each("who reads is resumed inside the close [50 5.1.2] [50 6.6.5] [50 8.9] [50 0.1.1]", function (domain)
  for _, known in ipairs { false, true } do
    local s = bound(domain)
    local log = {}
    T.start(function ()
      put(log, pack(s:read(memory.create(4))))
      put(log, (select(2, pcall(s.read, s, memory.create(4)))))
      put(log, (select(2, pcall(s.close, s))))
      suspend()
      put(log, "another await")
    end)
    if known then T.eq(run("ready"), true) end
    T.eq(s:close(), true)
    T.same(log[1], { false, "closed" })
    T.eq(log[2], "bad argument #1 to '?' (closed object)")
    T.eq(log[3], "bad argument #1 to '?' (closed object)")
    T.eq(#log, 3)
    T.eq(run(), false)
    T.eq(log[4], "another await")
  end
end)

T.test("an error in the coroutine resumed by a close [50 5.1.2] [00 1.5.3] [90 2.2]", function ()
  local s = bound()
  T.start(function () s:read(memory.create(4)); error("by the close", 0) end)
  T.eq(s:close(), true)
  local reports = T.reports()
  T.eq(#reports, 1)
  T.eq(reports[1].err, "by the close")
  T.eq(run(), false)
end)

each("closing while a write is pending [50 5.1.3]", function (domain)
  local s, address = bound(domain)
  local out = new(domain)
  local list = {}
  for i = 1, 3 do list[i] = T.waiter(out.write, out, "x", 1, -1, address) end
  T.eq(out:close(), true)
  for i = 1, 3 do T.eq(list[i].got, nil) end
  T.eq(run(), false)
  for i = 1, 3 do
    if list[i].got[1] ~= true then T.same(list[i].got, { false, "operation canceled", 125 }) else T.same(list[i].got, { true }) end
  end
  s:close()
  T.eq(run(), false)
end)

T.test("a closed object is kept until the loop runs [50 5.1.4]", function ()
  for _, mode in ipairs { "loop", "step", "ready" } do
    local box = T.watch()
    T.scope(function ()
      for _ = 1, 3 do box.add(new()):close() end
      box.add((bound())):close()
    end)
    T.eq(box.alive(), 4)
    T.eq(run(mode), false)
    T.eq(box.alive(), 0)
  end
end)

T.test("an object that is not closed is not kept [50 5.1.5] [00 6.4.4]", function ()
  T.eq(T.collected(function (watch)
    local s, address = bound()
    watch(s)
    local out = watch(new())
    send(out, "x", address)
    T.eq(receive(s), "x")
    assert(watch(new()):connect(address))
  end), true)
  T.eq(run(), false)
end)

T.test("a socket that somebody reads is no garbage [50 5.1.5] [50 0.2.4] [00 1.6.1]", function ()
  local box, got = T.watch(), nil
  local address = T.scope(function ()
    local s, address = bound()
    T.start(function () got = pack(take(box.add(s))) end)
    return address
  end)
  T.eq(box.alive(), 1)
  T.eq(run("ready"), true)
  T.eq(box.alive(), 1)
  local out = new()
  send(out, "x", address)
  T.eq(run(), false)
  T.same(got, { "x", false })
  T.eq(box.alive(), 0)
  out:close()
end)

T.test_if(L.descriptors(), "the system does not tell", "no socket is left [50 5.1.2] [50 5.1.5] [50 0.2.4]", function ()
  T.eq(L.tidy(function ()
    T.eq((socket("datagram", "local")), false)
    for i = 1, 12 do
      local s, address = bound()
      local second = new()
      T.eq((second:bind(address)), false)
      local read, write = T.waiter(s.read, s, memory.create(4)), T.waiter(second.write, second, "x", 1, 1, address)
      if i % 2 == 0 then run("ready") end
      if i % 3 == 0 then
        if not read.got then T.resume(read.co) end
        if not write.got then T.resume(write.co) end
      elseif i % 3 == 1 then
        close(s, second)
      end
      if not read.got then L.run() end
    end
  end), true)
end)

-- The descriptors of a new process that are sockets, or belong to the loop.
local function inherited()
  local pipe = assert(io.popen("ls -l /proc/self/fd 2>&1"))
  local text = pipe:read("*a")
  pipe:close()
  local n = 0
  for _ in text:gmatch("socket:") do n = n + 1 end
  for _ in text:gmatch("anon_inode:") do n = n + 1 end
  return n
end

T.test("other programs do not inherit the descriptors [90 5.2] [50 4.3]", function ()
  local before = inherited()
  local s = bound()
  local w = T.waiter(take, s)
  T.eq(run("ready"), true)
  T.eq(inherited(), before)
  s:close()
  T.same(w.got, { false, "closed" })
  T.eq(run(), false)
end)

T.test_child("the module table is collected while sockets exist [50 0.2.6]", function ()
  local out, status = T.child [[
    local memory = require "coutil.memory"
    local system = require "coutil.system"
    local run = system.run
    local s, out = assert(system.socket("datagram", "ipv4")), assert(system.socket("datagram", "ipv4"))
    assert(s:bind(system.address("ipv4", "127.0.0.1", 0)))
    assert(out:connect(s:getaddress()))
    coroutine.wrap(function () assert(out:write("first")) end)()
    assert(run() == false)
    local weak = setmetatable({ system }, { __mode = "v" })
    package.loaded["coutil.system"], system = nil, nil
    for _ = 1, 3 do collectgarbage() end
    assert(weak[1] == nil, "still there")
    local got, buffer = 0, memory.create(9)
    coroutine.wrap(function () got = s:read(buffer) + s:read(buffer) end)()
    coroutine.wrap(function () assert(out:write("abc")) end)()
    assert(run() == false and got == 8)
    io.write("END") ]]
  T.eq(out, "END")
  T.eq(status, 0)
end)

T.test_child("closing the state with operations pending [50 0.2.7] [90 1.1] [00 1.6.5]", function ()
  local out, status = T.child [[
    local memory = require "coutil.memory"
    local system = require "coutil.system"
    local s, out = assert(system.socket("datagram", "ipv4")), assert(system.socket("datagram", "ipv4"))
    assert(s:bind(system.address("ipv4", "127.0.0.1", 0)))
    coroutine.wrap(function () s:read(memory.create(4)); io.write("resumed") end)()
    system.run("ready")
    coroutine.wrap(function () out:write("x", 1, 1, s:getaddress()); io.write("resumed") end)()
    io.write("END") ]]
  T.eq(out, "END")
  T.eq(status, 0)
end)

-- Many ------------------------------------------------------------------------------------------

each("many datagrams, each once, in order [50 6.6.1] [90 1.5]", function (domain)
  local s, address = bound(domain)
  local out, n, log = new(domain), T.scale(2000, 40), {}
  local turn = 0
  T.start(function () -- never more than a few on the way
    for i = 1, n do
      assert(out:write("datagram " .. i, 1, -1, address))
      while i - #log > 50 do suspend() end
    end
  end)
  T.start(function () for _ = 1, n do put(log, (take(s, 30))) end end)
  T.start(function () while #log < n do suspend(); turn = turn + 1 end end)
  T.eq(run(), false)
  for i = 1, n do T.eq(log[i], "datagram " .. i) end
  T.eq(turn > 0, true)
  close(s, out)
end)

T.test("sockets that never stop to exchange datagrams starve nobody [90 1.5] [20 8.10]", function ()
  local done = {}
  for _ = 1, 3 do
    local a, here = bound()
    local b, there = bound()
    assert(a:connect(there))
    assert(b:connect(here))
    T.start(function ()
      repeat
        assert(a:write("x"))
        take(a)
      until done.timer and done.turns
      assert(a:write("end"))
    end)
    T.start(function () while take(b) ~= "end" do assert(b:write("y")) end a:close(); b:close() end)
  end
  T.start(function () suspend(.005); suspend(.005); done.timer = true end)
  T.start(function () for _ = 1, 20 do suspend() end done.turns = true end)
  T.eq(run(), false)
  T.eq(done.timer and done.turns, true)
end)

T.done()
