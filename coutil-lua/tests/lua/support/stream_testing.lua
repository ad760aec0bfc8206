-- Streams of any domain: reading, writing, shutting down, and hand-overs.

local T = require "testing"
local L = require "loop_testing"
local memory = require "memory"
local system = require "coutil.system"
local run, suspend, socket = system.run, system.suspend, system.socket
local pack = T.pack
local put = table.insert

local function resizable(text)
  local m = memory.create()
  m:resize(#text, text)
  return m
end

local function close(...)
  for i = 1, select("#", ...) do (select(i, ...)):close() end
end

local eof = { false, "end of file", 4095 }
local broken = { false, "broken pipe", 32 }
local unconnected = { false, "socket is not connected", 107 }
local unopened = { false, "bad file descriptor", 9 }

-- Runs the tests for each of the domains, those of large amounts of data for the first `large` ones.
return function (domains, large)

local function each(title, f)
  for _, domain in ipairs(domains) do T.test(domain .. ": " .. title, function () f(domain) end) end
end

local function some(title, f)
  for i = 1, large or #domains do T.test(domains[i] .. ": " .. title, function () f(domains[i]) end) end
end

-- Read and write --------------------------------------------------------------------------------

each("request and reply [50 6.2.1] [50 6.3.1] [50 6.4.1] [50 6.3.2] [00 10.2]", function (domain)
  local passive, address = L.listener(domain)
  local log = {}
  T.start(function () -- the pattern of use of the manual
    local con = assert(passive:accept())
    local buffer = memory.create(1024)
    while true do
      local n, text, code = con:read(buffer)
      if not n then put(log, text .. code); break end
      T.same(pack(con:write(buffer, 1, n)), { true })
    end
    T.same(pack(con:shutdown()), { true })
    con:close()
  end)
  T.start(function ()
    local s = socket("stream", domain)
    T.same(pack(s:connect(address)), { true })
    for i = 1, 5 do
      T.same(pack(s:write("request " .. i)), { true })
      put(log, L.take(s))
    end
    T.same(pack(s:shutdown()), { true })
    for _ = 1, 3 do T.same(pack(L.take(s)), eof) end
    s:close()
  end)
  T.eq(run(), false)
  T.same(log, { "request 1", "request 2", "request 3", "request 4", "request 5", "end of file4095" })
  passive:close()
end)

each("what can be written, and which part [50 0.3.1] [50 0.3.2] [50 6.2.1] [50 6.2.6]", function (domain)
  local a, b = L.pair(domain)
  local cases = {
    { "abcdef", "abcdef" }, { "bcde", "abcdef", 2, -2 }, { "abcdef", "abcdef", 0 }, { "abcdef", "abcdef", -100, 100 },
    { "f", "abcdef", -1 }, { "abc", "abcdef", nil, 3 }, { "ef", "abcdef", "5", "6" }, { "b", "abcdef", 2.0, 2.0 },
    { "12", 12 }, { "1.5", 1.5 }, { "a\0b\255", "a\0b\255" }, { "cd", memory.create("abcdef"), 3, 4 },
    { "abcdef", resizable("abcdef") }, { "bc", resizable("abcdef"), 2, 3 }, { "-7", -7, 1, 2 },
    { "abc", "abc", 1, -1, {} }, { "abc", "abc", nil, nil, domain ~= "share" and a or "text" },
  }
  local want = ""
  T.start(function ()
    for _, c in ipairs(cases) do T.same(pack(a:write(T.unpack(c, 2, 5))), { true }) end
    a:shutdown()
  end)
  for _, c in ipairs(cases) do want = want .. c[1] end
  T.eq(L.await(L.collect, b), want)
  close(a, b)
end)

each("a read fills at most the region [50 6.3.1] [50 0.3.2] [50 8.8]", function (domain)
  local a, b = L.pair(domain)
  L.send(a, "abcdefghij")
  for _, new in ipairs { function () return memory.create("......") end, function () return resizable("......") end } do
    local m = new()
    T.returns({ 2 }, L.await, b.read, b, m, 3, 4)
    T.eq(m:tostring(), "..ab..")
    T.returns({ 1 }, L.await, b.read, b, m, -1)
    T.eq(m:tostring(), "..ab.c")
    T.returns({ 2 }, L.await, b.read, b, m, 0, -5, "surplus")
    T.eq(m:tostring(), "deab.c")
    T.eq(L.await(L.collect, b, 5), "fghij")
    L.send(a, "abcdefghij")
  end
  T.eq(L.await(L.collect, b, 10), "abcdefghij")
  local m = memory.create("......")
  L.send(a, "xy")
  T.returns({ 2 }, L.await, b.read, b, m, 2) -- does not wait for more
  T.eq(m:tostring(), ".xy...")
  if T.integers then
    L.send(a, "z")
    T.eq(math.type(L.await(b.read, b, m)), "integer")
  end
  close(a, b)
end)

each("writes and reads always suspend once [50 6.2.2] [50 0.2.1] [50 6.3.1]", function (domain)
  local a, b = L.pair(domain)
  for _, data in ipairs { "x", "", memory.create(), ("x"):rep(1000) } do
    local w = T.waiter(a.write, a, data)
    T.eq(w.got, nil)
    T.eq(run(), false)
    T.same(w.got, { true })
  end
  local w = T.waiter(a.write, a, "abc", 3, 2)
  T.eq(w.got, nil)
  T.eq(run(), false)
  T.same(w.got, { true })
  w = T.waiter(L.collect, b, 1001)
  T.eq(w.got, nil)
  T.eq(run(), false)
  T.eq(#w.got[1], 1001)
  close(a, b)
end)

each("what is written goes out at the call [50 6.2.1] [50 5.1.3] [50 5.1.2]", function (domain)
  local a, b = L.pair(domain)
  local w = T.waiter(a.write, a, "at once")
  T.eq(w.got, nil)
  a:close() -- aborts only what is left
  T.eq(run(), false)
  if w.got[1] then T.same(w.got, { true }) else T.same(w.got, { false, "operation canceled", 125 }) end
  T.eq(L.await(L.take, b), "at once")
  T.same(pack(L.await(L.take, b)), eof)
  close(b)
end)

each("an empty region: nothing is read, the data stay [50 6.3.6]", function (domain)
  local a, b = L.pair(domain)
  local m = memory.create("abc")
  for _, args in ipairs { { memory.create() }, { m, 2, 1 }, { m, 4 }, { m, 1, 0 }, { resizable("") } } do
    local w = T.waiter(b.read, b, T.unpack(args, 1, 3))
    T.eq(run("ready"), true) -- waits for data
    T.eq(w.got, nil)
    L.send(a, "x")
    T.eq(run(), false)
    T.same(w.got, { false, "no buffer space available", 105 })
    T.eq(L.await(L.take, b), "x")
  end
  T.eq(m:tostring(), "abc")
  close(a, b)
end)

each("the buffer is looked at when the bytes arrive [50 0.3.3] [90 1.8] [50 0.2.5]", function (domain)
  local a, b = L.pair(domain)
  local function read(size, change, ...)
    local m = memory.create()
    m:resize(size, ".")
    local w = T.waiter(b.read, b, m, ...)
    run("ready")
    change(m)
    L.send(a, "abcdefgh")
    T.eq(run(), false)
    return m:tostring(), w.got
  end
  local text, got = read(20, function (m) m:resize(4) end)
  T.eq(text, "abcd")
  T.same(got, { 4 })
  T.eq(L.await(L.take, b), "efgh") -- nothing is lost
  text, got = read(2, function (m) m:resize(100000, "-") end)
  T.eq(text:sub(1, 10), "abcdefgh--")
  T.same(got, { 8 })
  text, got = read(20, function (m) m:resize(5) end, 4)
  T.eq(text, "...ab")
  T.same(got, { 2 })
  T.eq(L.await(L.take, b), "cdefgh")
  text, got = read(20, function (m) m:resize(0) end)
  T.eq(text, "")
  T.same(got, { false, "no buffer space available", 105 })
  T.eq(L.await(L.take, b), "abcdefgh")
  text, got = read(20, function (m) getmetatable(m).__gc(m) end)
  T.eq(text, "")
  T.same(got, { false, "no buffer space available", 105 })
  T.eq(L.await(L.take, b), "abcdefgh")
  local m = memory.create(10) -- collected by all but the read
  T.start(function (x) m = { b:read(x), x } end, m)
  m = nil
  T.gc()
  L.send(a, "abc")
  T.eq(run(), false)
  T.eq(m[2]:tostring(1, m[1]), "abc")
  close(a, b)
end)

some("what is written stays valid while it waits [50 0.2.5]", function (domain)
  local n = 4 * 2 ^ 20
  for kind = 1, 3 do
    local a, b = L.pair(domain)
    local data = L.pattern(n, kind)
    local m = kind == 1 and memory.create(data) or resizable(data)
    local w = T.waiter(function (x) return a:write(x) end, m)
    if kind == 2 then m:resize(0) elseif kind == 3 then getmetatable(m).__gc(m) end
    m = nil
    T.gc()
    local got = L.await(L.collect, b, n)
    L.eqtext(got, data, "kind " .. kind)
    T.same(w.got, { true })
    close(a, b)
  end
end)

some("a string that nobody has any more is written whole [50 0.2.5] [50 0.2.2]", function (domain)
  local n = 4 * 2 ^ 20
  local function text(i) return L.pattern(n, i) end
  local ends = { function () end, function (co) T.resume(co, "enough") end }
  if T.has_close then ends[3] = function (co) coroutine.close(co) end end
  for i, finish in ipairs(ends) do
    local a, b = L.pair(domain)
    local first = T.waiter(function () return a:write(text(i)) end)
    local second = T.waiter(function () return a:write(text(i + 1), 2, -2) end)
    finish(first.co)
    finish(second.co)
    T.gc()
    local other = ("-"):rep(n) -- where they were, perhaps
    local got = L.await(L.collect, b, 2 * n - 2)
    L.eqtext(got, text(i) .. text(i + 1):sub(2, -2), "way " .. i)
    T.eq(#other, n)
    if i == 1 then T.same(second.got, { true }) end
    close(a, b)
  end
end)

-- Half-closing ----------------------------------------------------------------------------------

each("the other direction stays open [50 6.3.2] [50 6.4.1]", function (domain)
  local a, b = L.pair(domain)
  T.returns({ true }, L.await, a.shutdown, a)
  for _ = 1, 2 do T.returns({ false, "end of file", 4095, n = 3 }, L.await, L.take, b) end
  L.send(b, "still open")
  T.eq(L.await(L.take, a), "still open")
  T.same(pack(L.await(L.take, b)), eof)
  T.returns({ true }, L.await, b.shutdown, b)
  T.same(pack(L.await(L.take, a)), eof)
  close(a, b)
end)

each("shutting down once only, and writing no more [50 6.4.2] [50 6.4.3] [50 6.2.4]", function (domain)
  local a, b = L.pair(domain)
  local first, second = T.waiter(a.shutdown, a), T.waiter(a.shutdown, a)
  local late = { T.waiter(a.write, a, "x"), T.waiter(a.write, a, ""), T.waiter(a.write, a, memory.create()) }
  for _, w in ipairs(late) do T.same(w.got, broken) end -- at once
  T.eq(run(), false)
  T.same(first.got, { true })
  T.same(second.got, unconnected)
  T.same(pack(L.await(a.shutdown, a)), unconnected)
  T.same(T.waiter(a.write, a, "x").got, broken)
  T.same(T.waiter(a.write, a, "").got, broken)
  T.same(pack(L.await(L.take, b)), eof)
  close(a, b)
end)

each("without a connection [50 6.4.2] [50 6.2.4] [50 6.3.5]", function (domain)
  local s = socket("stream", domain)
  for i = 1, 2 do
    T.same(pack(L.await(s.shutdown, s)), unconnected)
    local none = i == 1 and not domain:find("^ip") and unopened or broken
    T.same(pack(L.await(s.write, s, "x")), none)
    T.same(pack(L.await(L.take, s)), unconnected)
    if i == 1 then assert(s:bind(L.address(domain))) end
  end
  s:close()
end)

some("shutdown waits for the writes before it [50 6.4.1] [50 8.2]", function (domain)
  local a, b = L.pair(domain)
  local data, log = L.pattern(16 * 2 ^ 20), {}
  T.start(function () T.same(pack(a:write(data)), { true }); put(log, "write") end)
  T.start(function () T.same(pack(a:write("tail")), { true }); put(log, "tail") end)
  T.start(function () T.same(pack(a:shutdown()), { true }); put(log, "shutdown") end)
  T.same(T.waiter(a.write, a, "too late").got, broken)
  for _ = 1, 3 do run("ready") end
  T.same(log, {}) -- nobody reads
  L.eqtext(L.await(L.collect, b), data .. "tail")
  T.same(log, { "write", "tail", "shutdown" })
  close(a, b)
end)

-- Large writes ----------------------------------------------------------------------------------

some("16 MiB against a slow reader [50 6.2.1] [50 8.2]", function (domain)
  local a, b = L.pair(domain)
  local data, parts, left = L.pattern(16 * 2 ^ 20), {}, 16 * 2 ^ 20
  local w = T.waiter(a.write, a, data)
  T.start(function ()
    while left > 0 do
      put(parts, (L.take(b, 2 ^ 17)))
      left = left - #parts[#parts]
      for _ = 1, 3 do suspend() end
    end
  end)
  T.eq(run(), false)
  T.same(w.got, { true })
  L.eqtext(table.concat(parts), data)
  close(a, b)
end)

some("any number of writers: whole, in the order of the calls [50 6.2.3]", function (domain)
  local a, b = L.pair(domain)
  local want, done = {}, {}
  for i = 1, 40 do
    local data = L.pattern(i % 5 == 0 and 700000 or i % 7 * 100, i)
    want[i] = data
    T.start(function () T.same(pack(a:write(data)), { true }); put(done, i) end)
  end
  local read = T.waiter(L.take, a) -- the other direction is not disturbed
  L.send(b, "meanwhile")
  want = table.concat(want)
  L.eqtext(L.await(L.collect, b, #want), want)
  T.eq(#done, 40)
  for i = 1, 40 do T.eq(done[i], i) end
  T.same(read.got, { "meanwhile" })
  close(a, b)
end)

some("writers that go on writing take turns [50 6.2.3]", function (domain)
  local a, b = L.pair(domain)
  for _, name in ipairs { "A", "B", "C" } do
    T.start(function () for _ = 1, 50 do assert(a:write(name:rep(30000))) end end)
  end
  local got = L.await(L.collect, b, 3 * 50 * 30000)
  local counts = {}
  for i = 1, #got, 30000 do
    local name = got:sub(i, i)
    if got:sub(i, i + 29999) ~= name:rep(30000) then error("mixed at " .. i) end
    counts[name] = (counts[name] or 0) + 1
  end
  T.same({ counts.A, counts.B, counts.C }, { 50, 50, 50 })
  close(a, b)
end)

-- Who reads -------------------------------------------------------------------------------------

each("one reader at a time [50 6.3.3]", function (domain)
  local a, b = L.pair(domain)
  local m = memory.create(3)
  local w = T.waiter(b.read, b, m)
  T.raises("already in use", b.read, b, m)
  T.eq(T.inside(L.message, b.read, b, m), "bad argument #1 to '?' (already in use)")
  T.resume(w.co, "cancelled")
  T.raises("unable to yield", b.read, b, m) -- free at once
  w = T.waiter(b.read, b, m)
  T.raises("already in use", b.read, b, m)
  L.send(a, "abc")
  T.eq(run(), false)
  T.same(w.got, { 3 })
  T.raises("unable to yield", b.read, b, m)
  close(a, b)
end)

each("hand-over of reading: nothing is lost [50 6.3.3] [50 0.2.2]", function (domain)
  local a, b = L.pair(domain)
  local text = {}
  local function reader(n)
    put(text, L.take(b, 1 + n % 3))
    if n > 0 then T.start(reader, n - 1) end -- by who was just resumed
  end
  T.start(reader, 30)
  L.send(a, L.pattern(100))
  T.eq(run(), false)
  local rest = L.await(L.collect, b, 100 - #table.concat(text))
  T.eq(table.concat(text) .. rest, L.pattern(100))
  -- A reader is cancelled before each byte.
  text = {}
  for i = 1, 20 do
    local w = T.waiter(L.take, b, 5)
    if i % 2 == 0 then run("ready") end
    L.send(a, string.char(64 + i))
    if i % 3 == 0 then run("ready") end
    if not w.got then
      T.resume(w.co, false, "cancelled")
      w = T.waiter(L.take, b, 1)
      T.eq(run(), false)
    end
    put(text, w.got[1])
  end
  T.eq(table.concat(text), "ABCDEFGHIJKLMNOPQRST")
  close(a, b)
end)

each("hand-over of accepting [50 6.7.2]", function (domain)
  local passive, address = L.listener(domain)
  local count = 0
  local function accepter(n)
    assert(passive:accept()):close()
    count = count + 1
    if n > 1 then T.start(accepter, n - 1) end
  end
  T.start(accepter, 10)
  T.raises("already in use", passive.accept, passive)
  for _ = 1, 10 do
    T.start(function ()
      local s = socket("stream", domain)
      assert(s:connect(address))
      L.collect(s)
      s:close()
    end)
  end
  T.eq(run(), false)
  T.eq(count, 10)
  local w = T.waiter(passive.accept, passive)
  for _ = 1, 3 do -- cancelled twice in a row, and accepted [50 6.7.5]
    T.resume(w.co, "cancelled")
    T.same(w.got, { "cancelled" })
    w = T.waiter(passive.accept, passive)
  end
  local s = socket("stream", domain)
  T.eq(L.await(s.connect, s, address), true)
  T.eq(type(w.got[1]), "userdata")
  close(w.got[1], s, passive)
end)

end
