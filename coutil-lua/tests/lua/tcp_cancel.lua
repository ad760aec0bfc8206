-- Cancelling: every await function of the loop and of TCP sockets in the same sequences, and what is left behind.

local T = require "testing"
local L = require "loop_testing"
local C = require "cancel_testing"
local memory = require "memory"
local system = require "coutil.system"
local run, suspend, socket = system.run, system.suspend, system.socket

C.sequences(C.timers, "ipv4")
C.further(C.timers, "ipv4")
for _, domain in ipairs(L.domains) do
  local list = {}
  for _, operation in ipairs(C.streams) do -- large ones in one domain only
    if domain == "ipv4" or T.full_speed and operation[1] ~= "a large write" then list[#list + 1] = operation end
  end
  C.sequences(list, domain, true)
end
C.further(C.streams, "ipv4")

T.test_if(T.has_close, "no coroutine.close",
  "a closed coroutine uses no object any more [00 1.7.1] [50 6.3.3] [50 6.7.2]", function ()
  local a, b = L.pair()
  local passive = L.listener()
  local m = memory.create("....")
  for _ = 1, 3 do
    local read, accept = T.waiter(b.read, b, m), T.waiter(passive.accept, passive)
    coroutine.close(read.co)
    coroutine.close(accept.co)
    run("ready")
    T.raises("unable to yield", b.read, b, m)
    T.raises("unable to yield", passive.accept, passive)
  end
  L.send(a, "data")
  T.eq(L.await(L.take, b), "data")
  T.eq(m:tostring(), "....")
  for _, s in ipairs { a, b, passive } do s:close() end
end)

-- What goes on ----------------------------------------------------------------------------------

T.test("a cancelled connect goes on, and can be collected [50 0.2.2] [50 0.2.4] [50 8.4]", function ()
  local passive, address = L.listener()
  T.eq(L.swept(function (watch)
    T.scope(function ()
      local s = watch(socket("stream", "ipv4"))
      local co = watch(T.start(function () s:connect(address); coroutine.yield() end))
      T.resume(co)
    end)
    for _ = 1, 2 do collectgarbage() end
    T.eq(run(), false)
  end), true)
  local s = socket("stream", "ipv4")
  local w = T.waiter(s.connect, s, address)
  T.resume(w.co, "abandoned")
  local write = T.waiter(s.write, s, "queued behind") -- [50 6.1.7]
  T.eq(run(), false)
  T.same(write.got, { true })
  T.eq(L.await(function ()
    local text
    repeat
      local accepted = assert(passive:accept())
      if accepted:getaddress("peer") == s:getaddress() then text = L.take(accepted) end
      accepted:close()
    until text
    return text
  end), "queued behind")
  s:close()
  passive:close()
end)

T.test("an abandoned write keeps the loop going [50 0.2.2] [00 1.3.6]", function ()
  local a, b = L.pair()
  local data = L.pattern(16 * 2 ^ 20)
  local w = T.waiter(a.write, a, data)
  T.resume(w.co, "abandoned")
  for _ = 1, 3 do T.eq(run("ready"), true) end
  T.start(function () suspend(); system.halt() end)
  T.eq(run(), true)
  L.eqtext(L.await(L.collect, b, #data), data)
  T.eq(run(), false)
  w = T.waiter(a.write, a, data)
  T.resume(w.co, "abandoned")
  a:close() -- this aborts it
  T.eq(run(), false)
  b:close()
end)

T.test("an abandoned read or accept leaves nothing behind [50 0.2.2] [50 0.2.4] [00 1.3.2] [30 A3]", function ()
  T.eq(L.swept(function (watch)
    local a, b = L.pair()
    watch(a)
    local passive = watch((L.listener()))
    for _ = 1, 5 do
      local m = memory.create(4)
      local co = watch(T.start(function () watch(b):read(m); coroutine.yield(m) end))
      T.resume(co)
      co = watch(T.start(function () passive:accept(); coroutine.yield() end))
      T.resume(co)
    end
    T.eq(run(), false)
  end), true)
end)

T.test("a socket that somebody awaits on is no garbage [50 5.1.5] [00 1.6.1] [50 0.2.4]", function ()
  local box, got = T.watch(), nil
  local address, a = T.scope(function ()
    local passive, address = L.listener()
    local a, b = L.pair()
    T.start(function () got = { L.collect(box.add(b)), (box.add(passive):accept()) } end)
    return address, a
  end)
  T.eq(box.alive(), 1)
  L.send(a, "x")
  a:close()
  run("ready")
  run("ready")
  T.eq(box.alive() >= 1, true)
  local s = socket("stream", "ipv4")
  T.eq(L.await(s.connect, s, address), true)
  T.eq(got[1], "x")
  got[2]:close()
  s:close()
  got = nil
  T.eq(run(), false)
  T.eq(box.alive(), 0)
end)

T.test("sockets that nobody closes are collected [50 0.2.4] [00 6.4.4]", function ()
  T.eq(L.swept(function (watch)
    for _ = 1, 20 do
      local a, b = L.pair()
      watch(a)
      watch(b)
    end
  end), true)
end)

T.done()
