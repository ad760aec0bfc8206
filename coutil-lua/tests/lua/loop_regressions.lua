-- Bugs that event loops have had: one test for each.

local T = require "testing"
local L = require "loop_testing"
local event = require "coutil.event"
local memory = require "memory"
local system = require "coutil.system"
local run, suspend, socket = system.run, system.suspend, system.socket
local put = table.insert

-- Data and the end of the stream ----------------------------------------------------------------

T.test("data and the end in one event: both are seen [50 6.3.1] [50 6.3.2]", function ()
  for _, how in ipairs { "close", "shutdown" } do
    for _, waiting in ipairs { "before the run", "known to the loop", "not yet" } do
      for _, size in ipairs { 1, 3, 4096 } do
        local a, b = L.pair()
        local reader
        local function read() reader = T.waiter(L.collect, b, nil, size) end
        if waiting ~= "not yet" then read() end
        if waiting == "known to the loop" then T.eq(run("ready"), true) end
        T.start(function ()
          if waiting == "known to the loop" then suspend() end
          assert(a:write("abcdefg"))
          if how == "shutdown" then assert(a:shutdown()) else a:close() end
        end)
        if waiting == "not yet" then
          T.eq(run(), false)
          read()
        end
        T.eq(run(), false)
        T.same(reader.got, { "abcdefg" })
        b:close()
        if how == "shutdown" then a:close() end
      end
    end
  end
end)

T.test("the end alone, and the end after a short read", function () -- [50 6.3.2]
  local a, b = L.pair()
  local w = T.waiter(L.collect, b)
  L.send(a, "short")
  run("ready")
  run("ready")
  a:close()
  T.eq(run(), false)
  T.same(w.got, { "short" })
  b:close()
end)

T.test("a reader that reads less than there is goes on at once [50 6.3.1]", function ()
  local a, b = L.pair()
  L.send(a, L.pattern(1000))
  local w = T.waiter(L.collect, b, 1000, 1) -- one event, a thousand reads
  T.eq(run(), false)
  T.same(w.got, { L.pattern(1000) })
  a:close()
  b:close()
end)

T.test("reading in two coroutines in turn, each byte once [50 6.3.3]", function ()
  local a, b = L.pair()
  local text = {}
  for i = 1, 2 do
    T.start(function ()
      if i == 2 then event.await("turn 2") end
      for _ = 1, 50 do
        put(text, (L.take(b, 1)))
        event.emitone("turn " .. 3 - i)
        if #text < 100 then event.await("turn " .. i) end
      end
    end)
  end
  L.send(a, L.pattern(100))
  T.eq(run(), false)
  T.eq(table.concat(text), L.pattern(100))
  a:close()
  b:close()
end)

-- Cancelling ------------------------------------------------------------------------------------

T.test("a cancel between readiness and resumption loses nothing [50 0.2.2] [50 8.8] [20 8.19.4]", function ()
  for round = 1, 3 do
    local pairs_, readers, texts, first = {}, {}, {}, nil
    for i = 1, 10 do pairs_[i] = { L.pair() } end
    for i = 1, 10 do
      local b, m = pairs_[i][2], memory.create("....")
      readers[i] = T.start(function ()
        local got = b:read(m)
        if not got then
          T.eq(m:tostring(), "....")
          if round == 2 then suspend() elseif round == 3 then suspend(.001) end
          texts[i] = L.take(b)
          return
        end
        if not first then -- all are ready: cancel the others
          first = i
          for j = 1, 10 do
            if j ~= i then T.resume(readers[j], nil, "x") end
          end
        end
        texts[i] = m:tostring(1, got)
        texts[i] = texts[i] .. L.take(b)
      end)
    end
    for i = 1, 10 do L.send(pairs_[i][1], "number" .. i) end
    T.eq(run(), false)
    for i = 1, 10 do T.eq(texts[i], "number" .. i) end
    for i = 1, 10 do pairs_[i][1]:close(); pairs_[i][2]:close() end
  end
end)

T.test("an accept cancelled when it is ready leaves the connection [50 0.2.2] [50 6.7.5]", function ()
  local passive, address = L.listener()
  local w = T.waiter(passive.accept, passive)
  local s = socket("stream", "ipv4")
  local connected
  T.start(function () connected = s:connect(address) end)
  T.start(function () suspend(); T.resume(w.co, "cancelled") end)
  T.eq(run(), false)
  T.same(w.got, { "cancelled" })
  T.eq(connected, true)
  local accepted = L.await(passive.accept, passive)
  L.equal(accepted:getaddress("peer"), s:getaddress())
  accepted:close()
  s:close()
  passive:close()
end)

T.test("nobody is resumed for an await that ended [00 1.2.5] [50 0.2.2]", function ()
  local a, b = L.pair()
  local log = {}
  local co = T.start(function ()
    put(log, (b:read(memory.create(4))))
    put(log, coroutine.yield())
    put(log, (suspend(.001)))
    put(log, coroutine.yield())
  end)
  T.resume(co, "cancelled")
  L.send(a, "data")
  T.eq(run(), false)
  T.same(log, { "cancelled" })
  T.resume(co, "plain")
  T.resume(co, "timer")
  L.busy(.003)
  T.eq(run(), false)
  T.same(log, { "cancelled", "plain", "timer" })
  T.resume(co, "end")
  T.eq(coroutine.status(co), "dead")
  a:close()
  b:close()
end)

T.test("an abandoned write arrives whole, before the next [50 0.2.2] [50 0.2.3] [50 8.2] [90 1.2]", function ()
  local a, b = L.pair()
  local data, r = L.pattern(16 * 2 ^ 20), {}
  local co = T.start(function ()
    r[1] = T.pack(a:write(data))
    data = nil
    r[2] = T.pack(a:write("next"))
    r[3] = T.pack(a:write(" and last"))
    a:shutdown()
  end)
  T.resume(co, false, "abandoned")
  T.same(r[1], { false, "abandoned" })
  T.gc()
  local got = L.await(L.collect, b)
  L.eqtext(got, L.pattern(16 * 2 ^ 20) .. "next and last")
  T.same(r[2], { true })
  T.same(r[3], { true })
  a:close()
  b:close()
  a, b = L.pair() -- several abandoned ones, and one that nobody cancels
  local want = {}
  for i = 1, 8 do
    want[i] = L.pattern(i * 300000, i)
    local w = T.waiter(a.write, a, want[i])
    if i < 8 then T.resume(w.co) end
  end
  want = table.concat(want)
  L.eqtext(L.await(L.collect, b, #want), want)
  a:close()
  b:close()
end)

T.test("a write does not overtake what waits, when room appears [50 6.2.3]", function ()
  local a, b = L.pair()
  local want, got, n = { L.pattern(8 * 2 ^ 20) }, {}, 0
  L.send(a, want[1])
  T.start(function ()
    while #table.concat(got) < #table.concat(want) do
      put(got, (L.take(b, 2 ^ 22)))
      if n < 5 then -- the system has room now, but the loop has not gone on with the first write
        n = n + 1
        put(want, "<" .. n .. ">")
        L.send(a, want[n + 1])
      end
    end
  end)
  T.eq(run(), false)
  L.eqtext(table.concat(got), table.concat(want))
  a:close()
  b:close()
end)

-- Connecting ------------------------------------------------------------------------------------

T.test("no connecter before its accepter, however many [50 6.1.6]", function ()
  local n, log, at = 20, {}, {}
  local list, sockets = {}, {}
  for i = 1, n do list[i] = { L.listener() } end
  local function accept(i)
    T.start(function () put(sockets, (assert(list[i][1]:accept()))); put(log, i) end)
  end
  local function connect(i)
    T.start(function ()
      local s = socket("stream", "ipv4")
      put(sockets, s)
      assert(s:connect(list[i][2]))
      put(log, -i)
    end)
  end
  for i = 1, n do if i % 2 == 0 then accept(i) else connect(i) end end
  for i = 1, n do if i % 2 == 0 then connect(i) else accept(i) end end
  T.eq(run("step") and #log == 0, false)
  T.eq(run(), false)
  T.eq(#log, 2 * n)
  for place, i in ipairs(log) do at[i] = place end
  for i = 1, n do
    if at[-i] < at[i] then error("connecter " .. i .. " came first") end
  end
  for _, s in ipairs(sockets) do s:close() end
  for i = 1, n do list[i][1]:close() end
end)

T.test("many connections to one socket, all are accepted once [50 6.7.3] [50 6.7.1]", function ()
  local n = T.scale(200, 10)
  local passive, address = L.listener(nil, n)
  local seen, count = {}, 0
  T.start(function ()
    for _ = 1, n do
      local s = assert(passive:accept())
      local port = s:getaddress("peer").port
      T.eq(seen[port], nil)
      seen[port] = true
      s:close()
    end
  end)
  for _ = 1, n do
    T.start(function ()
      local s = socket("stream", "ipv4")
      assert(s:connect(address))
      T.eq(L.collect(s), "")
      s:close()
      count = count + 1
    end)
  end
  T.eq(run(), false)
  T.eq(count, n)
  passive:close()
end)

-- Fairness --------------------------------------------------------------------------------------

-- The number of descriptors that this process may open.
local function limit()
  local pipe = io.popen("ulimit -n")
  local text = pipe:read("*a")
  pipe:close()
  return tonumber(text:match("%d+")) or 1e6
end

T.test("more ready sockets than fit in one report of the system [50 6.3.1]", function ()
  local n = math.min(T.scale(1200, 40), math.floor((limit() - 60) / 2))
  local passive, address = L.listener(nil, 128)
  local list, got = {}, 0
  for i = 1, n do list[i] = { L.pair(nil, passive, address) } end
  for i = 1, n do
    T.start(function ()
      T.eq(L.take(list[i][2]), "ready " .. i)
      got = got + 1
    end)
  end
  for i = 1, n do L.send(list[i][1], "ready " .. i) end
  T.eq(run(), false)
  T.eq(got, n)
  for i = 1, n do list[i][1]:close(); list[i][2]:close() end
  passive:close()
  T.eq(run(), false)
end)

-- Two coroutines that never stop to exchange bytes, until `stopped()`.
local function hot(a, b, stopped)
  T.start(function ()
    while not stopped() do
      assert(a:write("x"))
      if not L.take(a, 1) then break end
    end
    a:close()
  end)
  T.start(function ()
    while L.take(b, 1) do assert(b:write("y")) end
    b:close()
  end)
end

T.test("a hot socket starves neither timers nor others [20 8.10] [90 1.5]", function ()
  local done, turns = {}, 0
  local function stopped() return done.timer and done.turns and done.late end
  local passive, address = L.listener()
  local ends = {}
  for i = 1, 4 do ends[i] = { L.pair() } end
  for i = 1, 4 do hot(ends[i][1], ends[i][2], stopped) end
  T.start(function () suspend(.005); suspend(.005); done.timer = true end)
  T.start(function () while turns < 20 do suspend(); turns = turns + 1 end done.turns = true end)
  T.start(function () -- a connection made meanwhile
    assert(passive:accept()):close()
    done.late = true
  end)
  T.start(function ()
    local s = socket("stream", "ipv4")
    assert(s:connect(address))
    s:close()
  end)
  T.eq(run(), false)
  T.eq(done.timer and done.turns and done.late, true)
  passive:close()
end)

T.test("a turning suspend() starves neither sockets nor timers [90 1.5] [20 8.10]", function ()
  local a, b = L.pair()
  local done = {}
  for _ = 1, 3 do
    T.start(function () while not (done.read and done.timer) do suspend() end end)
  end
  T.start(function () done.read = L.take(b) end)
  T.start(function () suspend(.005); done.timer = true end)
  T.start(function () suspend(); assert(a:write("x")) end)
  T.eq(run(), false)
  T.eq(done.read, "x")
  a:close()
  b:close()
end)

T.test("a stream that is always ready starves nobody [90 1.5]", function ()
  local a, b = L.pair()
  local stop, ticks, read = false, 0, 0
  T.start(function ()
    local data = L.pattern(100000)
    while not stop do assert(a:write(data)) end
    a:close()
  end)
  T.start(function ()
    while true do
      local text = L.take(b, 64)
      if not text then break end
      read = read + #text
    end
  end)
  T.start(function () for i = 1, 5 do suspend(.002); ticks = i end stop = true end)
  T.eq(run(), false)
  T.eq(ticks, 5)
  T.eq(read > 0 and read % 100000, 0)
  b:close()
end)

-- Many at once ----------------------------------------------------------------------------------

T.test("five hundred coroutines, twice [20 8.4] [20 8.7]", function ()
  for _ = 1, 2 do
    local n, sum = T.scale(500, 40), 0
    local passive, address = L.listener(nil, 64)
    T.start(function ()
      for _ = 1, math.floor(n / 5) do
        local s = assert(passive:accept())
        T.start(function () assert(s:write(L.collect(s))); s:close() end)
      end
    end)
    for i = 1, n do
      T.start(function ()
        if i % 5 == 0 then
          local s = socket("stream", "ipv4")
          assert(s:connect(address))
          assert(s:write("text " .. i))
          assert(s:shutdown())
          T.eq(L.collect(s), "text " .. i)
          s:close()
        elseif i % 5 == 1 then
          suspend(i % 7 / 1000)
        else
          for _ = 1, i % 11 do suspend() end
        end
        sum = sum + 1
      end)
    end
    T.eq(run(), false)
    T.eq(sum, n)
    passive:close()
    T.eq(run(), false)
  end
end)

T.test("many timers, many of them cancelled [30 S13] [30 S9]", function ()
  local n, log = T.scale(5000, 100), {}
  local cos = {}
  system.time("updated")
  for i = 1, n do
    cos[i] = T.start(function () if suspend(i % 20 / 1000 + .001) == true then put(log, i % 20) end end)
  end
  for i = 3, n, 3 do T.resume(cos[i]) end
  L.busy(.025)
  T.eq(run(), false)
  T.eq(#log, n - math.floor(n / 3))
  for i = 2, #log do if log[i] < log[i - 1] then error("out of order") end end
end)

T.done()
