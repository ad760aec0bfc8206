-- TCP streams: connecting, peers that go away, and what closing does to who waits.

local T = require "testing"
local L = require "loop_testing"
local memory = require "memory"
local system = require "coutil.system"
local run, suspend, socket = system.run, system.suspend, system.socket
local pack = T.pack
local put = table.insert

local function each(title, f)
  for _, domain in ipairs(L.domains) do T.test(domain .. ": " .. title, function () f(domain) end) end
end

local function close(...)
  for i = 1, select("#", ...) do (select(i, ...)):close() end
end

local broken = { false, "broken pipe", 32 }
local unconnected = { false, "socket is not connected", 107 }
local canceled = { false, "operation canceled", 125 }

-- Connecting ------------------------------------------------------------------------------------

each("nobody listens [50 6.1.1] [50 0.2.1]", function (domain)
  local address, holder = L.refusing(domain)
  local s = socket("stream", domain)
  T.returns({ false, "connection refused", 111 }, L.await, s.connect, s, address)
  close(s, holder)
end)

each("operations wait for the attempt to connect [50 6.1.7] [50 6.4.4]", function (domain)
  local passive, address = L.listener(domain)
  local s = socket("stream", domain)
  local log = {}
  local connect = T.waiter(s.connect, s, address)
  local writes = { T.waiter(s.write, s, "one "), T.waiter(s.write, s, ""), T.waiter(s.write, s, "two") }
  local shutdown, read = T.waiter(s.shutdown, s), T.waiter(L.take, s)
  T.start(function ()
    local accepted = assert(passive:accept())
    put(log, L.collect(accepted))
    assert(accepted:write("reply"))
    accepted:close()
  end)
  T.eq(run(), false)
  T.same(log, { "one two" })
  for _, w in ipairs { connect, shutdown, writes[1], writes[2], writes[3] } do T.same(w.got, { true }) end
  T.same(read.got, { "reply" })
  local lone = socket("stream", domain) -- with no write queued
  connect, shutdown = T.waiter(lone.connect, lone, address), T.waiter(lone.shutdown, lone)
  T.start(function () put(log, L.collect(assert(passive:accept()))) end)
  T.eq(run(), false)
  T.same(connect.got, { true })
  T.same(shutdown.got, { true })
  T.same(log, { "one two", "" })
  close(s, lone, passive)
end)

each("operations that waited for an attempt that failed [50 6.1.7] [90 1.9]", function (domain)
  local address, holder = L.refusing(domain)
  local s = socket("stream", domain)
  local connect, write = T.waiter(s.connect, s, address), T.waiter(s.write, s, "x")
  local shutdown, read = T.waiter(s.shutdown, s), T.waiter(L.take, s)
  T.eq(run(), false)
  T.same(connect.got, { false, "connection refused", 111 })
  T.same(write.got, canceled)
  T.same(shutdown.got, unconnected)
  T.same(read.got, unconnected)
  close(s, holder)
end)

each("connecting again [50 6.1.2] [50 0.2.3] [50 8.7]", function (domain)
  local passive, address = L.listener(domain)
  local s = socket("stream", domain)
  local first, second = T.waiter(s.connect, s, address), T.waiter(s.connect, s, address)
  T.eq(run(), false)
  T.same(first.got, { true })
  T.same(second.got, { false, "connection already in progress", 114 })
  local again = pack(L.await(s.connect, s, address))
  if again[1] ~= true then T.same(again, { false, "socket is already connected", 106 }) end
  local own = socket("stream", domain) -- a coroutine whose first attempt was cancelled
  local w = T.waiter(function () return own:connect(address), own:connect(address) end)
  T.resume(w.co, "cancelled")
  T.eq(run(), false)
  T.eq(w.got[1], "cancelled")
  if w.got[2] ~= true then T.same({ n = 3, T.unpack(w.got, 2) }, { false, "socket is already connected", 106 }) end
  T.same(pack(L.await(own.write, own, "x")), { true })
  close(s, own, passive)
end)

-- The peer goes away ----------------------------------------------------------------------------

T.test("a reset connection [50 6.3.5] [50 6.2.4] [50 8.10] [90 5.1]", function ()
  for _, big in ipairs { false, true } do
    local a, b = L.pair()
    L.send(a, "not read")
    T.eq(run(), false)
    local w = big and T.waiter(a.write, a, ("x"):rep(2 ^ 24))
    if big then run("ready") end
    b:close() -- with data unread: the peer is reset
    T.eq(run(), false)
    if big then
      if w.got[3] ~= 32 then T.same(w.got, { false, "connection reset by peer", 104 }) else T.same(w.got, broken) end
    else
      T.returns({ false, "connection reset by peer", 104 }, L.await, L.take, a)
    end
    local got = pack(L.await(a.write, a, "x"))
    if got[3] ~= 104 then T.same(got, broken) end
    a:close()
  end
end)

T.test("writing to who left fails at last, and ends no program [50 6.2.4] [90 5.1] [30 P5]", function ()
  local a, b = L.pair()
  b:close()
  local got
  T.start(function () repeat got = pack(a:write("x")) until not got[1] end)
  T.eq(run(), false)
  if got[3] ~= 104 then T.same(got, broken) end
  a:close()
end)

-- Closing ---------------------------------------------------------------------------------------

each("a reader and an accepter are woken inside close [50 5.1.2] [50 6.3.4] [50 6.7.4] [00 1.3.7] [50 8.9]", function (domain)
  local passive = L.listener(domain)
  local a, b = L.pair(domain)
  for _, s in ipairs { a, passive } do
    local log = {}
    T.start(function ()
      local got
      if s == a then got = pack(a:read(memory.create(4))) else got = pack(passive:accept()) end
      put(log, "woken")
      T.same(got, { false, "closed" })
      for _, name in ipairs { "close", "getaddress", "bind", s == a and "read" or "accept" } do
        put(log, L.message(s[name], s))
      end
      suspend() -- it may await something else
      put(log, "end")
    end)
    T.returns({ true }, s.close, s)
    put(log, "closed")
    T.eq(run(), false)
    local text = "bad argument #1 to '?' (closed object)"
    T.same(log, { "woken", text, text, text, text, "closed", "end" })
  end
  b:close()
end)

T.test("the finalizer and the end of a variable close likewise [00 6.4.3] [00 4.3] [00 1.3.7]", function ()
  for _, event in ipairs { "__gc", "__close" } do
    local a, b = L.pair()
    local passive = L.listener()
    local read, accept = T.waiter(a.read, a, memory.create(4)), T.waiter(passive.accept, passive)
    local write = T.waiter(a.write, a, ("x"):rep(2 ^ 24))
    for _, s in ipairs { a, passive } do getmetatable(s)[event](s) end
    if event == "__close" then
      T.same(read.got, { false, "closed" })
      T.same(accept.got, { false, "closed" })
    end
    T.eq(run(), false)
    T.eq(read.got[1] or accept.got[1], false) -- a finalizer that is called by hand may leave it to the loop
    T.same(write.got, canceled)
    T.raises("closed object", a.close, a)
    b:close()
  end
end)

T.test("an error in who is woken does not leave close [50 5.1.2] [00 1.5.3] [90 2.2]", function ()
  local a, b = L.pair()
  local co = T.start(function () a:read(memory.create(4)); error("after the close", 0) end)
  T.returns({ true }, a.close, a)
  local reports = T.reports()
  T.eq(#reports, 1)
  T.eq(reports[1].err, "after the close")
  T.eq(reports[1].co, co)
  T.eq(run(), false)
  b:close()
end)

T.test("pending writes, connects and shutdowns end in the next run [50 5.1.3] [50 6.2.4] [00 1.3.7]", function ()
  local a, b = L.pair()
  local waiters = { T.waiter(a.write, a, ("x"):rep(2 ^ 24)), T.waiter(a.write, a, "x"), T.waiter(a.shutdown, a) }
  run("ready")
  a:close()
  for _, w in ipairs(waiters) do T.eq(w.got, nil) end
  T.eq(run(), false)
  for _, w in ipairs(waiters) do T.same(w.got, canceled) end
  b:close()
  local passive, address = L.listener()
  local s = socket("stream", "ipv4")
  waiters = { T.waiter(s.connect, s, address), T.waiter(s.write, s, "x"), T.waiter(s.shutdown, s) }
  s:close()
  for _, w in ipairs(waiters) do T.eq(w.got, nil) end
  T.eq(run(), false)
  for _, w in ipairs(waiters) do T.same(w.got, canceled) end
  passive:close()
end)

T.test("closing by a coroutine that the loop resumed [50 5.1.2] [50 5.1.3] [50 8.9]", function ()
  local a, b = L.pair()
  local log = {}
  T.start(function () put(log, select(2, a:read(memory.create(4)))) end)
  T.start(function () put(log, select(3, a:write(("x"):rep(2 ^ 24)))) end)
  T.start(function () suspend(); a:close(); put(log, "end of close") end)
  T.eq(run(), false)
  T.same(log, { "closed", "end of close", 125 })
  b:close()
end)

T.done()
