-- TCP sockets: listening, accepting, and the addresses of connections.

local T = require "testing"
local L = require "loop_testing"
local system = require "coutil.system"
local run, socket = system.run, system.socket
local pack = T.pack
local put = table.insert

local function each(title, f)
  for _, domain in ipairs(L.domains) do T.test(domain .. ": " .. title, function () f(domain) end) end
end

each("listen [50 5.7.1] [50 5.7.2]", function (domain)
  local s = socket("passive", domain)
  local function fails(want, ...) T.eq(L.message(T.load("local s = ... s:listen(select(2, ...))", "=chunk"), s, ...), want) end
  for _ = 1, 2 do
    fails("bad argument #1 to 'listen' (number expected, got no value)")
    fails("bad argument #1 to 'listen' (number expected, got nil)", nil)
    fails("bad argument #1 to 'listen' (number expected, got string)", "x")
    fails("bad argument #1 to 'listen' (number has no integer representation)", 1.5)
    if s:getaddress().port > 0 then break end
    for _, backlog in ipairs { -1, 2 ^ 31, 2 ^ 32, -2 ^ 40, 2 ^ 53 } do fails("bad argument #1 to 'listen' (out of range)", backlog) end
    T.returns({ true }, s.listen, s, "0")
    T.eq(s:getaddress().port > 0, true) -- chosen by the system [50 5.7.1]
    for _, backlog in ipairs { 0, 1, -1, 2 ^ 31 } do fails("calling 'listen' on bad self (already listening)", backlog) end
  end
  s:close()
  for _, backlog in ipairs { 0, 1, 2 ^ 31 - 1 } do
    s = socket("passive", domain)
    T.returns({ true }, s.listen, s, backlog)
    s:close()
  end
end)

each("connections made before any accept are delivered in order [50 6.7.3] [50 6.7.1] [50 6.7.5]", function (domain)
  local passive, address = L.listener(domain)
  local clients, ports = {}, {}
  for i = 1, 8 do
    clients[i] = socket("stream", domain)
    T.eq(L.await(clients[i].connect, clients[i], address), true)
    ports[i] = clients[i]:getaddress().port
  end
  local got = {}
  T.start(function ()
    for i = 1, 8 do
      local s = assert(passive:accept())
      got[i] = s:getaddress("peer").port
      T.eq(s:getdomain(), domain)
      s:close()
    end
  end)
  T.eq(run(), false)
  T.same(got, ports)
  for i = 1, 8 do clients[i]:close() end
  passive:close()
end)

each("a peer that left is accepted all the same, with its data [50 6.7.3]", function (domain)
  local passive, address = L.listener(domain)
  local s = socket("stream", domain)
  L.await(function () assert(s:connect(address)); assert(s:write("last words")) end)
  s:close()
  local left = socket("stream", domain)
  local connecter = T.waiter(left.connect, left, address)
  T.resume(connecter.co, "abandoned")
  local texts = {}
  T.start(function ()
    for i = 1, 2 do
      local accepted = assert(passive:accept())
      if i == 2 then left:close() end
      put(texts, L.collect(accepted))
      accepted:close()
    end
  end)
  T.eq(run(), false)
  T.same(texts, { "last words", "" })
  passive:close()
end)

each("connections that come while the loop runs for others are kept [50 5.7.4] [50 6.7.3]", function (domain)
  local passive, address = L.listener(domain)
  local ports, got = {}, {}
  for i = 1, 5 do
    T.start(function ()
      local s = socket("stream", domain)
      assert(s:connect(address))
      put(ports, s:getaddress().port)
      if i % 2 == 0 then s:close() else T.eq(L.collect(s), "") end
    end)
  end
  T.start(function ()
    for _ = 1, 20 do system.suspend() end
    system.suspend(.002)
    for _ = 1, 20 do system.suspend() end
    for _ = 1, 5 do
      local s = assert(passive:accept())
      put(got, s:getaddress("peer").port)
      s:close()
      system.suspend()
    end
  end)
  T.eq(run(), false)
  T.eq(#got, 5)
  table.sort(got)
  table.sort(ports)
  T.same(got, ports)
  passive:close()
end)

each("an address is taken as it is at the call [50 6.1.1] [50 5.3.1]", function (domain)
  local passive, address = L.listener(domain)
  local bound = L.address(domain)
  local s = socket("stream", domain)
  assert(s:bind(bound))
  bound.port = 1
  local copy = system.address(domain, address.literal, address.port)
  local w = T.waiter(s.connect, s, copy)
  copy.port = 1
  copy = nil
  T.gc()
  T.eq(run(), false)
  T.same(w.got, { true })
  L.equal(s:getaddress("peer"), address)
  T.eq(s:getaddress().port ~= 1, true)
  s:close()
  passive:close()
end)

each("several passive sockets and one coroutine [50 6.7.5]", function (domain)
  local list, log = {}, {}
  for i = 1, 4 do list[i] = { L.listener(domain) } end
  T.start(function ()
    for _ = 1, 3 do
      for i = 1, 4 do
        local s = assert(list[i][1]:accept())
        L.equal(s:getaddress(), list[i][2])
        s:close()
        put(log, i)
      end
    end
  end)
  for _ = 1, 3 do
    for i = 4, 1, -1 do
      T.start(function ()
        local s = socket("stream", domain)
        assert(s:connect(list[i][2]))
        T.eq(L.collect(s), "")
        s:close()
      end)
    end
  end
  T.eq(run(), false)
  T.same(log, { 1, 2, 3, 4, 1, 2, 3, 4, 1, 2, 3, 4 })
  for i = 1, 4 do list[i][1]:close() end
end)

each("those not accepted end with the passive socket [50 6.7.3]", function (domain)
  local passive, address = L.listener(domain)
  local s = socket("stream", domain)
  T.eq(L.await(s.connect, s, address), true)
  passive:close()
  local got = pack(L.await(L.take, s))
  T.eq(got[1], false)
  if got[3] ~= 4095 then T.same(got, { false, "connection reset by peer", 104 }) end
  s:close()
  T.eq(L.await(function ()
    local late = socket("stream", domain)
    return select(3, late:connect(address))
  end), 111)
end)

T.test_if(#L.domains == 2, "no IPv6", "an IPv6 socket takes IPv4 connections [50 4.4]", function ()
  local passive = socket("passive", "ipv6")
  assert(passive:listen(4))
  local address = passive:getaddress()
  local s, accepted = socket("stream", "ipv4"), nil
  T.start(function () accepted = assert(passive:accept()) end)
  T.start(function () assert(s:connect(system.address("ipv4", "127.0.0.1", address.port))) end)
  L.run()
  T.eq(accepted:getdomain(), "ipv6")
  T.eq(accepted:getaddress("peer").literal, "::ffff:127.0.0.1")
  for _, x in ipairs { passive, s, accepted } do x:close() end
end)

T.done()
