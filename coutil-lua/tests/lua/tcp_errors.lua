-- TCP sockets: what the methods refuse, the order of the checks, texts and positions, on every version.

local T = require "testing"
local L = require "loop_testing"
local E = require "error_testing"
local memory = require "memory"
local system = require "coutil.system"
local run, socket = system.run, system.socket
local pack = T.pack

local try, raised = E.try, E.raised
local inside, everywhere, main_only = E.inside, E.everywhere, E.main_only

local m = memory.create(8)
local a, b = L.pair()
local passive, here = L.listener()
local v6 = system.address("ipv6")

-- Yielding --------------------------------------------------------------------------------------

T.test("unable to yield comes before the arguments [00 1.4.1] [00 1.4.4] [50 6.1.1] [50 6.2.1] [50 6.4.1] [50 8.5] [90 4.1]",
function ()
  local s = socket("stream", "ipv4")
  for _, args in ipairs { pack(), pack(nil), pack({}), pack(here), pack(v6), pack("x") } do
    main_only(s, "connect", T.unpack(args, 1, args.n))
  end
  for _, args in ipairs { pack(), pack(nil), pack({}), pack("x"), pack("x", {}), pack("x", 1, {}), pack(m, 1.5) } do
    main_only(a, "write", T.unpack(args, 1, args.n))
    main_only(s, "write", T.unpack(args, 1, args.n))
  end
  main_only(a, "shutdown")
  main_only(s, "shutdown", {})
  main_only(passive, "accept")
  for _, args in ipairs { pack(m), pack(m, 2), pack(m, 3, 2), pack(m, "1", 2.0), pack(m, nil, nil) } do
    main_only(a, "read", T.unpack(args, 1, args.n))
    main_only(s, "read", T.unpack(args, 1, args.n))
  end
  T.eq(run(), false) -- nothing was started
  T.returns({ false, "socket is not connected", 107 }, s.getaddress, s, "peer")
  L.send(a, "x")
  T.eq(L.await(L.take, b), "x") -- and nothing was shut down or sent
  s:close()
end)

T.test("a coroutine that cannot yield [00 1.4.1] [00 1.4.3] [90 4.12]", function ()
  local s = socket("stream", "ipv4")
  for _, call in ipairs { { s, "connect", here }, { a, "write", "lost" }, { a, "read", m }, { passive, "accept" }, { s, "shutdown" } } do
    local got
    T.inside(string.gsub, "x", "x", function () got = pack(pcall(call[1][call[2]], call[1], call[3])) end)
    T.eq(got[1], false, call[2])
    if T.detects_yieldable or T.version == "5.1" then T.eq(got[2], "unable to yield", call[2]) end
  end
  T.eq(run(), false)
  L.send(a, "only this")
  T.eq(L.await(L.take, b), "only this")
  T.returns({ false, "socket is not connected", 107 }, s.getaddress, s, "peer")
  T.raises("unable to yield", a.read, a, m) -- not in use
  T.raises("unable to yield", passive.accept, passive)
  s:close()
end)

-- Arguments -------------------------------------------------------------------------------------

T.test("arguments of connect [50 6.1.1] [00 5.2.2]", function ()
  local s = socket("stream", "ipv4")
  inside(1, "coutil:netaddress expected, got no value", s, "connect")
  inside(1, "coutil:netaddress expected, got nil", s, "connect", nil)
  inside(1, "coutil:netaddress expected, got string", s, "connect", "127.0.0.1:80")
  inside(1, "coutil:netaddress expected, got coutil:tcpactive", s, "connect", s)
  inside(1, "wrong domain", s, "connect", v6)
  s:close()
  s = socket("stream", "ipv6")
  inside(1, "wrong domain", s, "connect", here)
  s:close()
  T.eq(run(), false)
end)

T.test("arguments of write [50 6.2.1] [50 0.3.1] [50 0.3.2] [50 0.1.6]", function ()
  for _, s in ipairs { a, socket("stream", "ipv4") } do
    inside(1, "string or memory expected, got no value", s, "write")
    inside(1, "string or memory expected, got nil", s, "write", nil)
    inside(1, "string or memory expected, got table", s, "write", {}, {}, {})
    inside(1, "string or memory expected, got boolean", s, "write", true)
    inside(1, "string or memory expected, got coutil:tcpactive", s, "write", b)
    inside(2, "number expected, got table", s, "write", "x", {}, {})
    inside(2, "number expected, got string", s, "write", "x", "y")
    inside(2, "number has no integer representation", s, "write", "x", 1.5)
    inside(3, "number expected, got boolean", s, "write", "x", 1, false)
    inside(3, "number has no integer representation", s, "write", m, nil, 2 ^ 80)
  end
  L.send(a, "x")
  T.eq(L.await(L.take, b), "x")
end)

T.test("arguments of read, before yielding [50 6.3.1] [50 0.3.1] [50 0.3.3] [00 1.4.4]", function ()
  for _, s in ipairs { a, socket("stream", "ipv4") } do
    everywhere(1, "memory expected, got no value", s, "read")
    everywhere(1, "memory expected, got nil", s, "read", nil, {})
    everywhere(1, "memory expected, got string", s, "read", "text")
    everywhere(1, "memory expected, got number", s, "read", 1)
    everywhere(1, "memory expected, got table", s, "read", {}, {}, {})
    everywhere(1, "memory expected, got coutil:netaddress", s, "read", here)
    everywhere(2, "number expected, got table", s, "read", m, {}, {})
    everywhere(2, "number expected, got string", s, "read", m, "x")
    everywhere(2, "number has no integer representation", s, "read", m, 1.5)
    everywhere(3, "number expected, got boolean", s, "read", m, 1, true)
    everywhere(3, "number has no integer representation", s, "read", m, 1, T.nan)
  end
  T.eq(run(), false)
end)

-- In use ----------------------------------------------------------------------------------------

T.test("a socket in use is told before yielding, after the arguments [50 6.3.1] [50 8.5] [50 6.7.1] [00 1.4.4]", function ()
  local read, accept = T.waiter(b.read, b, m), T.waiter(passive.accept, passive)
  for _ = 1, 2 do
    everywhere(0, "already in use", b, "read", m)
    everywhere(0, "already in use", b, "read", m, 3, 2)
    everywhere(1, "memory expected, got nil", b, "read", nil)
    everywhere(2, "number expected, got table", b, "read", m, {})
    everywhere(3, "number expected, got table", b, "read", m, 1, {})
    everywhere(0, "already in use", passive, "accept")
    T.eq(run("ready"), true)
  end
  T.eq(read.got or accept.got, nil)
  T.resume(read.co)
  T.resume(accept.co)
  main_only(b, "read", m)
  main_only(passive, "accept")
  T.eq(run(), false)
end)

T.test("accepting needs listening [50 6.7.1] [00 1.4.4] [50 5.7.1]", function ()
  local s = socket("passive", "ipv4")
  everywhere(0, "not listening", s, "accept")
  assert(s:bind(L.address()))
  everywhere(0, "not listening", s, "accept")
  everywhere(1, "number expected, got no value", s, "listen")
  everywhere(1, "out of range", s, "listen", -1)
  assert(s:listen(1))
  main_only(s, "accept")
  everywhere(0, "already listening", s, "listen", 1)
  everywhere(0, "already listening", s, "listen", -1)
  everywhere(1, "number expected, got string", s, "listen", "x")
  s:close()
  everywhere(0, "closed object", s, "accept")
  everywhere(0, "closed object", s, "listen")
end)

-- Self ------------------------------------------------------------------------------------------

local classes = {
  { "coutil:tcpactive", a, { "close", "getdomain", "getaddress", "bind", "setoption", "connect", "write", "read", "shutdown" } },
  { "coutil:tcppassive", passive, { "close", "getdomain", "getaddress", "bind", "listen", "accept" } },
}

T.test("self must be of the class [00 5.2.2] [50 0.1.4] [00 1.4.4] [50 0.1.6]", function ()
  for i, class in ipairs(classes) do
    E.self(class[1], class[2], class[3], { { classes[3 - i][1], classes[3 - i][2] }, { "coutil:netaddress", here }, { "char[]", m } })
  end
end)

T.test("a closed self comes before the other arguments and before yielding [00 1.4.4]", function ()
  for i, class in ipairs(classes) do
    local s = socket(i == 1 and "stream" or "passive", "ipv4")
    s:close()
    E.closed(s, class[3], { pack(), pack({}), pack(nil, {}), pack(v6), pack("x", "y", "z") })
  end
  T.eq(run(), false)
end)

-- Positions -------------------------------------------------------------------------------------

T.test("errors have the position of the Lua caller, none of a C caller [00 5.1.1] [00 1.4.2] [50 0.1.5] [90 4.10] [30 K6]", function ()
  local line3 = T.load("local f, s = ...\n\nf(s)\nreturn", "=chunk")
  T.eq(try(line3, a.shutdown, a), "chunk:3: unable to yield")
  T.eq(try(line3, passive.accept, passive), "chunk:3: unable to yield")
  T.eq(try(line3, a.write, a), "chunk:3: unable to yield")
  T.eq(try(a.write, a), "unable to yield")
  T.eq(try(line3, a.read, a), "chunk:3: bad argument #2 to 'f' (memory expected, got no value)")
  T.eq(try(line3, passive.listen, a), "chunk:3: bad argument #1 to 'f' (coutil:tcppassive expected, got coutil:tcpactive)")
  T.eq(raised(line3, a.connect, a), "chunk:3: bad argument #2 to 'f' (coutil:netaddress expected, got no value)")
  for _, f in ipairs { system.suspend, system.halt } do
    T.eq(try(line3, f), "chunk:3: " .. (f == system.halt and "not running" or "unable to yield"))
  end
  T.eq(try(line3, system.run, {}), "chunk:3: bad argument #1 to 'f' (string expected, got table)")
  T.eq(try(line3, system.suspend, {}), "chunk:3: bad argument #1 to 'f' (number expected, got table)")
  T.eq(try(line3, system.socket, "x"), "chunk:3: bad argument #1 to 'f' (invalid option 'x')")
end)

T.test("errors are strings [30 K2] [50 0.1.3]", function ()
  for _, call in ipairs { pack(a.read, a), pack(a.write, a), pack(passive.listen, passive, 1), pack(system.run, "x"),
                          pack(system.socket), pack(system.address, "ipv4", "x"), pack(system.halt), pack(a.bind, a, v6) } do
    T.eq(type(try(call[1], T.unpack(call, 2, call.n))), "string")
  end
end)

T.test("failures are false, a text and a code [50 0.1.1] [00 4.1] [00 4.2] [30 K1] [50 8.1] [50 0.1.2]", function ()
  local s = socket("stream", "ipv4")
  local address, holder = L.refusing()
  for _, got in ipairs { pack(s:getaddress("peer")), pack(L.await(s.connect, s, address)), pack(a:bind(L.address())),
                         pack(s:setoption("keepalive", 2 ^ 31 - 1)), pack(L.await(s.shutdown, s)) } do
    T.eq(got.n, 3)
    T.eq(got[1], false)
    T.eq(type(got[2]), "string")
    T.eq(got[3] > 0 and got[3] % 1, 0)
    if T.integers then T.eq(math.type(got[3]), "integer") end
  end
  for _, x in ipairs { s, holder } do T.returns({ true }, x.close, x) end
end)

for _, x in ipairs { a, b, passive } do x:close() end
run()

T.done()
