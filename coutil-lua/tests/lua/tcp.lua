-- TCP sockets: creating, binding, addresses, options, closing.

local T = require "testing"
local L = require "loop_testing"
local memory = require "memory"
local system = require "coutil.system"
local run, socket = system.run, system.socket
local pack = T.pack

local function each(title, f)
  for _, domain in ipairs(L.domains) do T.test(domain .. ": " .. title, function () f(domain) end) end
end

local other = { ipv4 = "ipv6", ipv6 = "ipv4" }
local unspecified = { ipv4 = "0.0.0.0:0", ipv6 = "[::]:0" }

-- Objects ---------------------------------------------------------------------------------------

T.test("the kinds of sockets are checked in order [50 4.1] [00 5.2.3]", function ()
  local function fails(n, text, ...)
    T.eq(L.message(socket, ...), "bad argument #" .. n .. " to 'coutil.system.socket' (" .. text .. ")")
  end
  fails(1, "invalid option 'x'", "x", "y")
  fails(1, "invalid option 'tcp'", "tcp", "ipv4")
  fails(1, "invalid option 'Stream'", "Stream", "ipv4")
  fails(1, "string expected, got no value")
  fails(1, "string expected, got nil", nil, "x")
  fails(1, "string expected, got table", {}, {})
  for _, kind in ipairs { "stream", "passive" } do
    fails(2, "invalid option 'x'", kind, "x")
    fails(2, "invalid option 'ipv5'", kind, "ipv5")
    fails(2, "string expected, got no value", kind)
    fails(2, "string expected, got nil", kind, nil)
    fails(2, "string expected, got boolean", kind, true)
  end
end)

local methods = {
  stream = { "close", "getdomain", "getaddress", "bind", "setoption", "connect", "write", "read", "shutdown" },
  passive = { "close", "getdomain", "getaddress", "bind", "listen", "accept" },
}

each("classes and methods [50 4.5] [50 0.4.1] [50 5.2.1] [50 4.1]", function (domain)
  for kind, names in pairs(methods) do
    local s = assert(socket(kind, domain, "surplus"))
    T.eq(s:getdomain(), domain)
    T.eq(type(s), "userdata")
    local meta = getmetatable(s)
    local name = kind == "stream" and "coutil:tcpactive" or "coutil:tcppassive"
    T.eq(meta.__name, name)
    T.eq(type(meta.__gc) .. type(meta.__close), "functionfunction")
    T.eq(meta.__tostring, nil)
    if T.number >= 5.3 then T.eq(tostring(s):find(name .. ": ", 1, true), 1) end
    local has = {}
    for _, method in ipairs(names) do
      has[method] = true
      T.eq(type(s[method]), "function", method)
    end
    for _, list in pairs(methods) do
      for _, method in ipairs(list) do if not has[method] then T.eq(s[method], nil, method) end end
    end
    s:close()
  end
end)

each("unknown fields are nil, and no field can be set [50 0.4.2]", function (domain)
  for kind in pairs(methods) do
    local s = socket(kind, domain)
    T.eq(s.x, nil)
    T.eq(s[1], nil)
    T.eq(s[s], nil)
    T.raises("attempt to index", function () s.x = 1 end)
    T.raises("attempt to index", function () s.close = 1 end)
    T.eq(type(s.close), "function")
    s:close()
  end
end)

-- Addresses -------------------------------------------------------------------------------------

each("addresses of an unbound socket [50 5.4.1] [50 5.4.2]", function (domain)
  for kind in pairs(methods) do
    local s = socket(kind, domain)
    T.eq(tostring(s:getaddress()), unspecified[domain])
    T.eq(tostring(s:getaddress("self")), unspecified[domain])
    T.eq(tostring(s:getaddress(nil)), unspecified[domain])
    T.eq(s:getaddress().type, domain)
    local own = system.address(domain)
    own.port = 99
    T.returns({ own }, s.getaddress, s, "self", own)
    T.eq(tostring(own), unspecified[domain])
    T.returns({ false, "socket is not connected", 107 }, s.getaddress, s, "peer")
    T.returns({ false, "socket is not connected", 107 }, s.getaddress, s, "peer", own)
    s:close()
  end
end)

each("arguments of getaddress [50 5.4.1]", function (domain)
  local s = socket("passive", domain)
  assert(s:bind(L.address(domain)))
  local function fails(want, ...) T.eq(L.message(T.load("local s = ... s:getaddress(select(2, ...))", "=chunk"), s, ...), want) end
  fails("bad argument #1 to 'getaddress' (invalid option 'x')", "x")
  fails("bad argument #1 to 'getaddress' (invalid option 'Peer')", "Peer")
  fails("bad argument #1 to 'getaddress' (string expected, got table)", {})
  fails("bad argument #1 to 'getaddress' (invalid option 'x')", "x", system.address(other[domain]))
  fails("bad argument #2 to 'getaddress' (wrong domain)", "self", system.address(other[domain]))
  fails("bad argument #2 to 'getaddress' (wrong domain)", "peer", system.address(other[domain]))
  local mine = assert(s:getaddress())
  for _, value in ipairs { 1, "x", {}, true, io.stdout, memory.create(4) } do
    local got = s:getaddress("self", value)
    L.equal(got, mine)
    T.eq(rawequal(got, mine), false)
  end
  L.equal(s:getaddress(nil, nil, "surplus"), mine)
  local reused = system.address(domain)
  T.eq(rawequal(s:getaddress(nil, reused), reused), true)
  L.equal(reused, mine)
  s:close()
end)

each("both ends of a connection tell the same [50 5.4.1] [50 6.1.4]", function (domain)
  local passive, address = L.listener(domain)
  local a, b = L.pair(domain, passive, address)
  L.equal(a:getaddress("peer"), address)
  L.equal(b:getaddress("self"), address)
  L.equal(a:getaddress("self"), b:getaddress("peer"))
  T.eq(b:getdomain(), domain)
  T.eq(getmetatable(b), getmetatable(a))
  T.returns({ false, "socket is not connected", 107 }, passive.getaddress, passive, "peer")
  local bound = socket("stream", domain)
  assert(bound:bind(L.address(domain)))
  local source = bound:getaddress()
  T.start(function () assert(bound:connect(address)) end)
  local accepted
  T.start(function () accepted = assert(passive:accept()) end)
  L.run()
  L.equal(accepted:getaddress("peer"), source)
  L.equal(bound:getaddress(), source)
  for _, s in ipairs { a, b, bound, accepted, passive } do s:close() end
end)

-- bind ------------------------------------------------------------------------------------------

each("bind [50 5.3.1] [50 5.3.2] [50 5.3.4]", function (domain)
  for kind in pairs(methods) do
    local s = socket(kind, domain)
    T.returns({ true }, s.bind, s, L.address(domain))
    local address = s:getaddress()
    T.eq(address.literal, L.address(domain).literal)
    T.eq(address.port > 0, true)
    T.returns({ false, "invalid argument", 22 }, s.bind, s, L.address(domain))
    L.equal(s:getaddress(), address)
    s:close()
  end
end)

each("arguments of bind [50 5.3.1] [00 5.2.2]", function (domain)
  for kind in pairs(methods) do
    local s = socket(kind, domain)
    local function fails(want, ...) T.eq(L.message(T.load("local s = ... s:bind(select(2, ...))", "=chunk"), s, ...), want) end
    fails("bad argument #1 to 'bind' (coutil:netaddress expected, got no value)")
    fails("bad argument #1 to 'bind' (coutil:netaddress expected, got nil)", nil)
    fails("bad argument #1 to 'bind' (coutil:netaddress expected, got string)", "127.0.0.1:80")
    fails("bad argument #1 to 'bind' (coutil:netaddress expected, got coutil:tcpactive)", socket("stream", domain))
    fails("bad argument #1 to 'bind' (wrong domain)", system.address(other[domain]))
    T.eq(tostring(s:getaddress()), unspecified[domain])
    s:close()
  end
end)

T.test("an address that is not of this machine [50 5.3.4]", function ()
  local s = socket("stream", "ipv4")
  local got = pack(s:bind(system.address("ipv4", "203.0.113.1", 0)))
  if got[1] ~= true then T.same(got, { false, "address not available", 99 }) end -- a machine may allow it
  s:close()
end)

each("an address in use is told by bind or by what follows [50 5.3.3]", function (domain)
  local passive, address = L.listener(domain)
  local second = socket("passive", domain)
  local bound = pack(second:bind(address))
  if bound[1] then
    T.same(bound, { true })
    T.returns({ false, "address already in use", 98 }, second.listen, second, 1)
    T.returns({ false, "address already in use", 98 }, second.listen, second, 1)
  else
    T.same(bound, { false, "address already in use", 98 })
  end
  T.returns({ true }, second.bind, second, L.address(domain))
  T.returns({ true }, second.listen, second, 1)
  T.eq(second:getaddress().port ~= address.port, true)
  second:close()
  passive:close()
  T.eq(run(), false)
end)

-- setoption -------------------------------------------------------------------------------------

each("options of streams [50 5.5.5] [50 5.5.6] [50 5.5.7]", function (domain)
  local passive, address = L.listener(domain)
  local a, b = L.pair(domain, passive, address)
  for _, s in ipairs { socket("stream", domain), a, b } do
    for _, value in ipairs { true, false, 0, "no", {} } do T.returns({ true }, s.setoption, s, "nodelay", value) end
    T.returns({ true }, s.setoption, s, "nodelay", nil)
    for _, value in ipairs { 1, 60, 32767, "5", 2.0 } do T.returns({ true }, s.setoption, s, "keepalive", value) end
    T.returns({ true }, s.setoption, s, "keepalive", nil)
    T.returns({ true }, s.setoption, s, "keepalive", false)
    T.returns({ false, "invalid argument", 22 }, s.setoption, s, "keepalive", 2 ^ 31 - 1)
    local function fails(want, ...) T.eq(L.message(T.load("local s = ... s:setoption(select(2, ...))", "=chunk"), s, ...), want) end
    fails("bad argument #1 to 'setoption' (string expected, got no value)")
    fails("bad argument #1 to 'setoption' (string expected, got nil)", nil, 1)
    for _, name in ipairs { "x", "", "KeepAlive", "NODELAY", "broadcast", "mcastttl", "permission" } do
      fails("bad argument #1 to 'setoption' (invalid option '" .. name .. "')", name, 1)
    end
    fails("bad argument #2 to 'setoption' (value expected)", "nodelay")
    fails("bad argument #2 to 'setoption' (value expected)", "keepalive")
    fails("bad argument #2 to 'setoption' (number expected, got boolean)", "keepalive", true)
    fails("bad argument #2 to 'setoption' (number expected, got string)", "keepalive", "x")
    fails("bad argument #2 to 'setoption' (number has no integer representation)", "keepalive", 1.5)
    for _, delay in ipairs { 0, -1, 2 ^ 31, 2 ^ 32 + 1, -2 ^ 40 } do
      fails("bad argument #2 to 'setoption' (invalid argument)", "keepalive", delay)
    end
    s:close()
  end
  passive:close()
end)

-- close -----------------------------------------------------------------------------------------

each("closing twice, and using what is closed [50 5.1.1]", function (domain)
  for kind, names in pairs(methods) do
    local s = socket(kind, domain)
    T.returns({ true }, s.close, s)
    for _, name in ipairs(names) do
      if name ~= "getdomain" then
        local call = T.load("local s = ... s:" .. name .. "()", "=chunk")
        T.eq(L.message(call, s), "calling '" .. name .. "' on bad self (closed object)")
        T.eq(L.message(s[name], s), "bad argument #1 to '?' (closed object)")
        T.eq(T.inside(L.message, call, s), "calling '" .. name .. "' on bad self (closed object)")
      end
    end
    local ok, domain_or_error = pcall(s.getdomain, s)
    if ok then T.eq(domain_or_error, domain) end
    T.eq(s.x, nil)
    local meta = getmetatable(s)
    meta.__gc(s)
    meta.__close(s, nil)
    s = socket(kind, domain)
    meta.__close(s, "an error")
    T.raises("closed object", s.close, s)
    meta.__gc(s)
    s = socket(kind, domain)
    meta.__gc(s)
    T.raises("closed object", s.close, s)
  end
  T.eq(run(), false)
end)

T.test_if(T.has_tbc, "no to-be-closed variables", "sockets in to-be-closed variables [50 0.4.2] [00 6.4.1] [00 6.4.2]", function ()
  local f = T.load("local s, close = ... do local x <close> = s if close then s:close() end end return s", "=chunk")
  for kind in pairs(methods) do
    for _, close in ipairs { true, false } do
      local s = f(socket(kind, "ipv4"), close)
      T.raises("closed object", s.close, s)
    end
  end
end)

each("a closed port is free at once [50 5.1.2]", function (domain)
  for _ = 1, 3 do
    local passive, address = L.listener(domain)
    T.eq(passive:close(), true)
    for _ = 1, 2 do
      local again = socket("passive", domain)
      T.eq(again:bind(address), true)
      T.eq(again:listen(1), true)
      L.equal(again:getaddress(), address)
      again:close()
    end
  end
  T.eq(run(), false)
end)

each("a collected socket frees its port [50 5.1.5] [00 6.4.4] [50 8.11]", function (domain)
  local address = T.scope(function () return select(2, L.listener(domain)) end)
  T.gc()
  local again = socket("passive", domain)
  T.eq(again:bind(address), true)
  T.eq(again:listen(1), true)
  again:close()
  T.eq(run(), false)
end)

T.test("a closed object is kept until the loop runs [50 5.1.4]", function ()
  for kind in pairs(methods) do
    for _, mode in ipairs { "loop", "step", "ready" } do
      local box = T.watch()
      T.scope(function ()
        for _ = 1, 3 do box.add(socket(kind, "ipv4")):close() end
      end)
      T.eq(box.alive(), 3)
      T.eq(run(mode), false)
      T.eq(box.alive(), 0)
    end
  end
end)

T.test("an object that is not closed is not kept [50 5.1.5] [00 6.4.4]", function ()
  for kind in pairs(methods) do
    T.eq(T.collected(function (watch)
      for _ = 1, 3 do watch(socket(kind, "ipv4")) end
    end), true)
  end
  T.eq(T.collected(function (watch)
    watch((L.listener()))
    local a, b = L.pair()
    watch(a)
    watch(b)
  end), true)
  T.eq(run(), false)
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
  local passive, address = L.listener()
  local a, b = L.pair(nil, passive, address)
  T.start(L.take, b)
  T.eq(run("ready"), true)
  T.eq(inherited(), before)
  b:close()
  T.eq(inherited(), before)
  a:close()
  passive:close()
  T.eq(run(), false)
end)

T.test_child("the module table is collected while sockets exist [50 0.2.6]", function ()
  local out, status = T.child [[
    local memory = require "coutil.memory"
    local system = require "coutil.system"
    local run, suspend = system.run, system.suspend
    local passive = assert(system.socket("passive", "ipv4"))
    assert(passive:listen(1))
    local address = system.address("ipv4", "127.0.0.1", passive:getaddress().port)
    local client, server = assert(system.socket("stream", "ipv4")), nil
    coroutine.wrap(function () server = assert(passive:accept()) end)()
    coroutine.wrap(function () assert(client:connect(address)) end)()
    assert(run() == false)
    local weak = setmetatable({ system }, { __mode = "v" })
    package.loaded["coutil.system"], system = nil, nil
    for _ = 1, 3 do collectgarbage() end
    assert(weak[1] == nil, "still there")
    local got, buffer = nil, memory.create(4)
    coroutine.wrap(function () got = server:read(buffer) end)()
    coroutine.wrap(function () assert(client:write("abc")) end)()
    assert(run() == false and got == 3)
    io.write("END") ]]
  T.eq(out, "END")
  T.eq(status, 0)
end)

T.done()
