-- Sockets that are passed over share streams.

local T = require "testing"
local L = require "loop_testing"
local E = require "error_testing"
local memory = require "memory"
local system = require "coutil.system"
local run, suspend, socket = system.run, system.suspend, system.socket
local pack = T.pack
local put = table.insert
local inside = E.inside

local eof = { false, "end of file", 4095 }
local unopened = { false, "bad file descriptor", 9 }

local domains = { "local", "share" }
for i, domain in ipairs(L.domains) do table.insert(domains, i, domain) end

-- What arrives when a stream of the domain is sent.
local classes = { ipv4 = "coutil:tcpactive", ipv6 = "coutil:tcpactive", ["local"] = "coutil:pipeactive", share = "coutil:pipeactive" }
local function arrives_as(domain) return domain == "share" and "local" or domain end

local function each(title, f)
  for _, domain in ipairs(domains) do T.test(domain .. ": " .. title, function () f(domain) end) end
end

local function close(...)
  for i = 1, select("#", ...) do (select(i, ...)):close() end
end

-- Sends a text with a socket; the result is checked at the end of the next run.
local function pass(stream, data, object)
  T.start(function () T.same(pack(stream:write(data, 1, -1, object)), { true }) end)
end

-- Reads once: the text and the socket that came with it, or what `read` returned instead. To be called in a coroutine.
local function take(stream, n)
  local buffer = memory.create(n or 4096)
  local got = pack(stream:read(buffer))
  if not got[1] then return T.unpack(got, 1, got.n) end
  T.eq(got.n == 1 or got.n == 2 and type(got[2]) == "userdata", true)
  return buffer:tostring(1, got[1]), T.unpack(got, 2, got.n)
end

-- Passes one socket and returns what arrives.
local function through(a, b, object, data)
  pass(a, data or "x", object)
  local got = pack(L.await(take, b))
  T.eq(got.n, 2)
  T.eq(got[1], data or "x")
  return got[2]
end

-- Sends a text over one stream, which must come out of the other.
local function connected(from, to, text)
  L.send(from, text)
  T.eq(L.await(L.take, to), text)
end

-- What is passed --------------------------------------------------------------------------------

each("a connected stream is passed [50 6.2.5] [50 6.3.7] [50 6.2.1]", function (domain)
  local a, b = L.pair("share")
  for _, which in ipairs { "the connecting end", "the accepted end" } do
    local x, y = L.pair(domain)
    if which == "the accepted end" then x, y = y, x end
    local copy = through(a, b, x, "with a socket")
    T.eq(copy == x, false)
    T.eq(getmetatable(copy).__name, classes[domain])
    T.eq(copy:getdomain(), arrives_as(domain))
    connected(copy, y, "from the copy")
    connected(x, y, "from the original") -- the sender keeps its own
    L.send(y, "reply")
    T.eq(L.await(L.take, copy), "reply")
    L.send(y, "reply")
    T.eq(L.await(L.take, x), "reply")
    if domain:find("^ip") then
      L.equal(copy:getaddress(), x:getaddress())
      L.equal(copy:getaddress("peer"), x:getaddress("peer"))
    else
      T.eq(copy:getaddress(), x:getaddress())
      T.eq(copy:getaddress("peer"), x:getaddress("peer"))
    end
    close(copy, x, y)
  end
  connected(a, b, "still a stream")
  connected(b, a, "in both directions")
  close(a, b)
  T.eq(run(), false)
end)

T.test("both ends of a share connection can pass [50 6.2.5]", function ()
  local a, b = L.pair("share")
  local x, y = L.pair("local")
  local there = through(a, b, x)
  local back = through(b, a, there)
  close(x, there)
  connected(back, y, "there and back")
  connected(y, back, "and the other way")
  close(a, b, back, y)
end)

each("the connection ends when all copies are closed [50 6.2.5] [50 5.1.5]", function (domain)
  local a, b = L.pair("share")
  for _, how in ipairs { "original first", "copy first", "collected" } do
    local x, y = L.pair(domain)
    if how == "collected" then
      pass(a, "x", x)
      T.eq(L.await(function () return (take(b)) end), "x") -- nobody keeps the copy
      T.gc()
      connected(x, y, "still open")
      close(x)
    else
      local copy = through(a, b, x)
      local first, last = x, copy
      if how == "copy first" then first, last = copy, x end
      close(first)
      connected(last, y, "still open")
      connected(y, last, "in both directions")
      local w = T.waiter(L.take, y)
      T.eq(run("ready"), true)
      close(last)
      T.eq(run(), false)
      T.same(w.got, eof)
    end
    T.same(pack(L.await(L.take, y)), eof)
    close(y)
  end
  close(a, b)
end)

each("shutting down one copy ends the direction [50 6.2.5] [50 6.4.1]", function (domain)
  local a, b = L.pair("share")
  local x, y = L.pair(domain)
  local copy = through(a, b, x)
  T.returns({ true }, L.await, copy.shutdown, copy)
  T.same(pack(L.await(L.take, y)), eof)
  L.send(y, "still read")
  T.eq(L.await(L.take, x), "still read")
  close(a, b, x, y, copy)
end)

each("a socket that nobody takes ends with the stream [50 6.2.5]", function (domain)
  local a, b = L.pair("share")
  local x, y = L.pair(domain)
  pass(a, "x", x)
  L.run()
  close(x)
  L.send(y, "x")
  T.eq(run(), false) -- it is on its way, and open
  close(a, b)
  local got = pack(L.await(L.take, y))
  if got[3] ~= 104 then T.same(got, eof) end
  close(y)
end)

each("a listening socket arrives as a stream [50 6.3.7] [50 6.2.5]", function (domain)
  local a, b = L.pair("share")
  local passive, address = L.listener(domain)
  local copy = through(a, b, passive)
  T.eq(copy:getdomain(), arrives_as(domain))
  T.eq(getmetatable(copy).__name, classes[domain])
  T.eq(copy.accept, nil)
  T.returns({ false, "socket is not connected", 107 }, copy.getaddress, copy, "peer")
  if domain:find("^ip") then L.equal(copy:getaddress(), address) else T.eq(copy:getaddress(), address) end
  local x, y = L.pair(domain, passive, address) -- the sender goes on listening
  connected(x, y, "accepted")
  close(x, y)
  if domain:find("^ip") then
    close(passive)
    local s = socket("stream", domain)
    T.returns({ true }, L.await, s.connect, s, address) -- the copy still listens
    close(copy)
    local got = pack(L.await(L.take, s))
    if got[3] ~= 104 then T.same(got, eof) end
    close(s)
    s = socket("stream", domain)
    T.returns({ false, "connection refused", 111 }, L.await, s.connect, s, address)
    close(s)
  else
    close(copy) -- this does not remove the path
    x, y = L.pair(domain, passive, address)
    connected(x, y, "accepted")
    close(x, y, passive)
    T.eq(io.open(address), nil)
  end
  close(a, b)
end)

each("a socket without a connection is passed, if it is open [50 6.2.5]", function (domain)
  local a, b = L.pair("share")
  local s = socket("stream", domain)
  if not domain:find("^ip") then assert(s:bind(L.path())) end
  local copy = through(a, b, s)
  T.returns({ false, "socket is not connected", 107 }, copy.getaddress, copy, "peer")
  T.same(pack(L.await(L.take, copy)), { false, "socket is not connected", 107 })
  T.same(pack(L.await(copy.write, copy, "x")), { false, "broken pipe", 32 })
  close(copy, s, a, b)
end)

T.test("a stream can be sent over itself [50 6.2.5]", function ()
  local a, b = L.pair("share")
  local copy = through(a, b, a)
  T.eq(copy:getdomain(), "local")
  connected(copy, b, "from the other side")
  connected(b, copy, "to the other side")
  close(a)
  connected(copy, b, "still open")
  close(copy)
  T.same(pack(L.await(L.take, b)), eof)
  close(b)
end)

-- What is not -----------------------------------------------------------------------------------

T.test("a closed or unopened socket [50 6.2.5]", function ()
  local a, b = L.pair("share")
  local list = { socket("stream", "local"), socket("stream", "share"), socket("passive", "local"), socket("passive", "share") }
  for _, domain in ipairs(domains) do
    for _, kind in ipairs { "stream", "passive" } do
      local s = socket(kind, domain)
      close(s)
      put(list, s)
    end
    local x, y = L.pair(domain)
    close(x, y)
    put(list, x)
  end
  for _, s in ipairs(list) do T.returns(unopened, L.await, a.write, a, "lost", 1, -1, s) end
  T.eq(run(), false)
  pass(a, "only this")
  T.returns({ "only this" }, L.await, take, b)
  close(a, b)
  for i = 1, 4 do close(list[i]) end
end)

T.test("other objects are refused, before the data [50 6.2.5] [50 6.2.2]", function ()
  local a, b = L.pair("share")
  local datagram = socket("datagram", "ipv4")
  for _, object in ipairs { datagram, L.address(), memory.create(4), io.stdout } do
    inside(4, "writable object expected", a, "write", "x", 1, -1, object)
    inside(4, "writable object expected", a, "write", nil, nil, nil, object)
    inside(4, "writable object expected", a, "write", {}, {}, {}, object)
    inside(4, "writable object expected", a, "write", "", 2, 1, object)
  end
  close(datagram)
  inside(4, "writable object expected", a, "write", "x", 1, -1, datagram) -- closed as well
  local unconnected = socket("stream", "share")
  inside(4, "writable object expected", unconnected, "write", nil, 1, -1, io.stdout)
  for _, object in ipairs { a, b, socket("stream", "ipv4"), socket("passive", "local") } do -- good ones: the others are checked
    inside(1, "string or memory expected, got nil", a, "write", nil, {}, {}, object)
    inside(2, "number expected, got table", a, "write", "x", {}, {}, object)
    inside(3, "number expected, got table", a, "write", "x", 1, {}, object)
    if object ~= a and object ~= b then close(object) end
  end
  T.eq(run(), false)
  pass(a, "only this")
  T.returns({ "only this" }, L.await, take, b)
  close(a, b, unconnected)
end)

T.test("what is no userdata is ignored [50 6.2.5]", function ()
  local a, b = L.pair("share")
  for _, value in ipairs { "x", 1, 1.5, true, false, {}, print, coroutine.create(function () end), setmetatable({}, getmetatable(a)) } do
    T.returns({ true }, L.await, a.write, a, "data", 1, -1, value)
    T.returns({ "data" }, L.await, take, b)
  end
  T.returns({ true }, L.await, a.write, a, "data", 1, -1, nil, a)
  T.returns({ "data" }, L.await, take, b)
  close(a, b)
end)

T.test("other streams ignore the argument [50 6.2.6]", function ()
  local datagram, closed = socket("datagram", "ipv4"), socket("stream", "ipv4")
  close(closed)
  for _, domain in ipairs { "ipv4", L.domains[#L.domains], "local" } do
    local x, y = L.pair(domain)
    local share = L.pair("share")
    for _, value in ipairs { x, share, datagram, closed, io.stdout, socket("stream", "local"), L.address(), {}, "x" } do
      T.returns({ true }, L.await, x.write, x, "data", 1, -1, value)
      T.returns({ "data" }, L.await, take, y)
    end
    inside(1, "string or memory expected, got nil", x, "write", nil, 1, 1, datagram)
    close(x, y, share)
  end
  close(datagram)
end)

T.test("an empty region loses the socket [50 6.2.5]", function ()
  local a, b = L.pair("share")
  local x, y = L.pair("local")
  for _, args in ipairs { pack("", nil, nil, x), pack("abc", 3, 2, x), pack("abc", 4, nil, x), pack(memory.create(), 1, -1, x) } do
    T.returns({ true }, L.await, a.write, a, T.unpack(args, 1, args.n))
  end
  pass(a, "data")
  T.returns({ "data" }, L.await, take, b)
  connected(x, y, "the sender keeps its own")
  close(x)
  T.same(pack(L.await(L.take, y)), eof)
  close(y, a, b)
end)

-- Data and sockets ------------------------------------------------------------------------------

T.test("data without a socket give one result [50 6.3.7]", function ()
  local a, b = L.pair("share")
  local x, y = L.pair("local")
  pass(a, "plain")
  T.returns({ 5 }, L.await, b.read, b, memory.create(10))
  pass(a, "with", x)
  local m = memory.create("..........")
  local got = pack(L.await(b.read, b, m, 3, -3))
  T.eq(got.n, 2)
  T.eq(got[1], 4)
  T.eq(m:tostring(), "..with....")
  pass(a, "plain")
  T.returns({ 5 }, L.await, b.read, b, m)
  close(a, b, x, y, got[2])
end)

T.test("the socket comes with the first byte [50 6.2.5] [50 6.3.7]", function ()
  local a, b = L.pair("share")
  local x, y = L.pair("local")
  pass(a, "abcdef", x)
  pass(a, "ghi")
  local got = pack(L.await(take, b, 1))
  T.eq(got.n, 2)
  T.eq(got[1], "a")
  close(x)
  connected(got[2], y, "works")
  T.returns({ "bc" }, L.await, take, b, 2)
  local text = ""
  while #text < 6 do
    local more = pack(L.await(take, b))
    T.eq(more.n, 1)
    text = text .. more[1]
  end
  T.eq(text, "defghi")
  local part = through(a, b, got[2], "z")
  close(a, b, y, part, got[2])
end)

T.test("an empty region: the data stay, and so does the socket [50 6.3.6] [50 6.3.7] [50 0.3.3]", function ()
  local a, b = L.pair("share")
  local x, y = L.pair("local")
  local m = memory.create()
  m:resize(4)
  for _, args in ipairs { { memory.create() }, { memory.create("abc"), 2, 1 }, { m } } do
    local w = T.waiter(b.read, b, T.unpack(args, 1, 3))
    T.eq(run("ready"), true)
    if args[1] == m then m:resize(0) end
    pass(a, "data", x)
    T.eq(run(), false)
    T.same(w.got, { false, "no buffer space available", 105 })
    local got = pack(L.await(take, b))
    T.eq(got.n, 2)
    T.eq(got[1], "data")
    connected(got[2], y, "works")
    close(got[2])
  end
  close(a, b, x, y)
end)

-- Reads until `n` bytes have come; returns them and the sockets. To be called in a coroutine.
local function collect(stream, n, size)
  local parts, sockets, left = {}, {}, n
  while left > 0 do
    local text, s = take(stream, size or 65536)
    if not text then error(s) end
    put(parts, text)
    put(sockets, s)
    left = left - #text
  end
  return table.concat(parts), sockets
end

T.test("many sockets, in the order of the writes [50 6.2.5] [50 6.3.7] [50 6.2.3]", function ()
  local a, b = L.pair("share")
  local n, list, want = 40, {}, {}
  for i = 1, n do
    list[i] = { L.pair(domains[i % #domains + 1]) }
    want[i] = ("%d,"):format(i)
    pass(a, want[i], i % 4 ~= 0 and list[i][1] or nil)
  end
  want = table.concat(want)
  local text, sockets = L.await(collect, b, #want)
  T.eq(text, want)
  T.eq(#sockets, n - n / 4)
  local at = 0
  for i = 1, n do
    if i % 4 ~= 0 then
      at = at + 1
      close(list[i][1])
      connected(sockets[at], list[i][2], "socket " .. i)
      close(sockets[at], list[i][2])
    else
      close(list[i][1], list[i][2])
    end
  end
  close(a, b)
end)

T.test("sockets with large amounts of data [50 6.2.5] [50 6.2.1]", function ()
  local a, b = L.pair("share")
  local list, want = {}, {}
  for i = 1, 5 do list[i] = { L.pair("local") } end
  for i = 1, 5 do
    want[i] = L.pattern(i * 300000, i)
    pass(a, want[i], list[i][1])
  end
  want = table.concat(want)
  local text, sockets = L.await(collect, b, #want)
  L.eqtext(text, want)
  T.eq(#sockets, 5)
  for i = 1, 5 do
    close(list[i][1])
    connected(sockets[i], list[i][2], "socket " .. i)
    close(sockets[i], list[i][2])
  end
  close(a, b)
end)

T.test("a socket that is dropped while it waits to be sent [50 0.2.4] [50 0.2.5] [00 1.6.1]", function ()
  local a, b = L.pair("share")
  local data = L.pattern(2 ^ 22)
  for _, cancel in ipairs { false, true } do
    local box = T.watch()
    local y = T.scope(function ()
      local x, y = L.pair("local")
      pass(a, data)
      local w = T.waiter(function (object) return a:write("!", 1, 1, object) end, box.add(x))
      if cancel then T.resume(w.co, "abandoned") end
      return y
    end)
    T.gc()
    local text, sockets = L.await(collect, b, #data + 1)
    T.eq(#text, #data + 1)
    T.eq(#sockets, 1)
    T.eq(box.alive(), 0)
    connected(sockets[1], y, "still there")
    close(sockets[1])
    T.same(pack(L.await(L.take, y)), eof)
    close(y)
  end
  close(a, b)
end)

T.test("a socket that is closed while it waits to be sent [50 0.2.5]", function ()
  local a, b = L.pair("share")
  local data = L.pattern(2 ^ 22)
  local x, y = L.pair("local")
  pass(a, data)
  local w = T.waiter(a.write, a, "!", 1, 1, x)
  pass(a, "end")
  close(x)
  local text, sockets = L.await(collect, b, #data)
  L.eqtext(text:sub(1, #data), data)
  text = text:sub(#data + 1)
  while text:sub(-3) ~= "end" do
    local more, s = L.await(take, b)
    text = text .. more
    put(sockets, s)
  end
  if w.got[1] then -- it was taken at the call, or else it is refused
    T.same(w.got, { true })
    T.eq(text, "!end")
    T.eq(#sockets, 1)
    connected(sockets[1], y, "alive")
    close(sockets[1])
  else
    T.same(w.got, unopened)
    T.eq(#sockets, 0)
  end
  T.same(pack(L.await(L.take, y)), eof)
  close(a, b, y)
end)

T.test("a cancelled write with a socket goes on [50 0.2.2] [50 0.2.3]", function ()
  local a, b = L.pair("share")
  local x, y = L.pair("local")
  local r = {}
  local co = T.start(function ()
    r[1] = pack(a:write("one", 1, -1, x))
    r[2] = pack(a:write("two", 1, -1, x))
  end)
  T.resume(co, "abandoned")
  local text, sockets = L.await(collect, b, 6, 3)
  T.eq(text, "onetwo")
  T.eq(#sockets, 2)
  T.same(r[1], { "abandoned" })
  T.same(r[2], { true })
  close(x)
  for _, s in ipairs(sockets) do connected(s, y, "works") end
  close(sockets[1])
  connected(sockets[2], y, "works")
  close(sockets[2])
  T.same(pack(L.await(L.take, y)), eof)
  close(a, b, y)
end)

T.test("a cancelled read leaves the socket to the next [50 0.2.2] [50 6.3.3] [50 8.8]", function ()
  local a, b = L.pair("share")
  local x, y = L.pair("local")
  for i = 1, 10 do
    local m = memory.create("....")
    local w = T.waiter(b.read, b, m)
    if i % 2 == 0 then run("ready") end
    pass(a, "data", x)
    if i % 3 == 0 then T.start(function () suspend(); if not w.got then T.resume(w.co, nil, i) end end) else T.resume(w.co, nil, i) end
    local reader
    T.start(function () suspend(); suspend(); reader = T.waiter(take, b) end)
    T.eq(run(), false)
    T.same(w.got, pack(nil, i))
    T.eq(m:tostring(), "....")
    T.eq(reader.got.n, 2)
    T.eq(reader.got[1], "data")
    connected(reader.got[2], y, "works")
    close(reader.got[2])
  end
  close(a, b, x, y)
end)

T.test("hand-over of reading [50 6.3.3] [50 6.3.7]", function ()
  local a, b = L.pair("share")
  local x, y = L.pair("local")
  local count, text = 0, {}
  local function reader(n)
    local got, s = take(b, 2)
    put(text, got)
    if s then
      count = count + 1
      s:close()
    end
    if n > 1 then T.start(reader, n - 1) end -- by who was just resumed
  end
  T.start(reader, 20)
  for i = 1, 20 do pass(a, ("%02d"):format(i), x) end
  T.eq(run(), false)
  T.eq(count, 20)
  for i = 1, 20 do T.eq(text[i], ("%02d"):format(i)) end
  close(a, b, x, y)
end)

T.test("a received socket can do whatever one of its kind can [50 6.3.7] [50 6.2.1]", function ()
  local a, b = L.pair("share")
  for _, domain in ipairs(domains) do
    local x, y = L.pair(domain)
    local copy = through(a, b, x)
    close(x)
    local data = L.pattern(2 ^ 21)
    local w = T.waiter(copy.write, copy, data)
    local shutdown = T.waiter(copy.shutdown, copy)
    L.eqtext(L.await(L.collect, y), data)
    T.same(w.got, { true })
    T.same(shutdown.got, { true })
    w = T.waiter(copy.read, copy, memory.create(4))
    T.raises("already in use", copy.read, copy, memory.create(4))
    T.eq(run("ready"), true)
    close(copy)
    T.same(w.got, { false, "closed" })
    T.eq(run(), false)
    close(y)
  end
  close(a, b)
end)

T.test("nothing is kept [50 0.2.4] [50 5.1.5]", function ()
  T.eq(L.swept(function (watch)
    local a, b = L.pair("share")
    for _, domain in ipairs(domains) do
      local x, y = L.pair(domain)
      watch(x)
      watch(y)
      watch((through(a, b, x)))
    end
    watch(a)
    watch(b)
    T.eq(run(), false)
  end), true)
end)

T.test_if(L.descriptors(), "the system does not tell", "no socket is left [50 0.2.4] [50 5.1.5] [50 6.2.5] [50 6.3.7]", function ()
  T.eq(L.tidy(function ()
    local a, b = L.pair("share")
    for i = 1, 20 do
      local x, y = L.pair(domains[i % #domains + 1])
      pass(a, "x", x)
      if i % 4 == 0 then
        close(x, y)
      elseif i % 4 == 1 then
        local co = T.start(function () a:write("y", 1, 1, x) end)
        if i % 8 == 1 then T.resume(co) end
        L.await(take, b, 1)
      elseif i % 4 == 2 then
        local w = T.waiter(take, b, 1)
        T.resume(w.co)
      else
        inside(1, "string or memory expected, got nil", a, "write", nil, 1, 1, x)
        local closed = T.waiter(a.write, a, "", 1, 1, y)
        L.run()
        T.same(closed.got, { true })
      end
    end
    local data = ("x"):rep(2 ^ 22) -- some wait for those before
    local x = L.pair("local")
    for _ = 1, 3 do T.start(function () a:write(data, 1, -1, x) end) end
    for _ = 1, 3 do run("ready") end
    close(a)
  end), true)
  T.eq(L.tidy(function ()
    local a, b = L.pair("share")
    for _ = 1, 5 do pass(a, "x", a); pass(b, "x", b) end -- over themselves
    L.run()
    close(a)
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

T.test("other programs do not inherit what was received [90 5.2] [50 4.3]", function ()
  local before = inherited()
  local a, b = L.pair("share")
  for _, domain in ipairs(domains) do
    local x, y = L.pair(domain)
    local copy = through(a, b, x)
    T.eq(inherited(), before)
    close(copy, x, y)
  end
  close(a, b)
end)

-- Other processes -------------------------------------------------------------------------------

-- Starts a program, and calls `f` in a coroutine with a share stream that it connects to `path`. Returns what it wrote.
local function with_process(command, path, f)
  local passive = socket("passive", "share")
  assert(passive:bind(path))
  assert(passive:listen(1))
  local pipe = assert(io.popen(command .. " 2>&1"))
  local ended
  local guard = T.start(function ()
    if suspend(60) == true then passive:close() end -- the program did not start
  end)
  T.start(function ()
    local stream = assert(passive:accept())
    f(stream)
    stream:close()
    ended = true
    T.resume(guard)
  end)
  run()
  if coroutine.status(guard) == "suspended" then T.resume(guard) end
  if ended then passive:close() end
  local out = pipe:read("*a")
  pipe:close()
  if not ended then error("the other process: " .. out) end
  return out
end

T.test_child("between processes [50 6.3.7]", function ()
  local path, script = L.path(), os.tmpname()
  local file = assert(io.open(script, "w"))
  file:write(("package.path, package.cpath = %q, %q\n"):format(package.path, package.cpath), ([[
    local memory = require "coutil.memory"
    local system = require "coutil.system"
    coroutine.wrap(function ()
      local share = assert(system.socket("stream", "share"))
      assert(share:connect(%q))
      local buffer = memory.create(100)
      for i = 1, 3 do
        local n, s = share:read(buffer)
        assert(n == 6 and buffer:tostring(1, n) == "take " .. i)
        assert(s:write("from the child: " .. i .. s:getdomain()))
        assert(s:close())
        assert(share:write("ok"))
      end
      assert(share:close())
      io.write("END")
    end)()
    system.run() ]]):format(path))
  file:close()
  local log, domain_of = {}, { "ipv4", "local", "share" }
  local ends = {}
  for i = 1, 3 do ends[i] = { L.pair(domain_of[i]) } end
  local out = with_process(('"%s" "%s"'):format(T.interpreter(), script), path, function (share)
    for i = 1, 3 do
      local accepted, peer = ends[i][2], ends[i][1]
      assert(share:write("take " .. i, 1, -1, accepted))
      accepted:close()
      put(log, L.take(peer))
      T.same(pack(L.take(peer)), eof)
      T.eq(L.take(share), "ok")
      peer:close()
    end
  end)
  os.remove(script)
  T.eq(out, "END")
  T.same(log, { "from the child: 1ipv4", "from the child: 2local", "from the child: 3local" })
end)

-- A program that can send several descriptors at once.
local python = (function ()
  local pipe = io.popen("python3 -c 'import socket; socket.send_fds; print(1)' 2>&1")
  local text = pipe:read("*a")
  pipe:close()
  return text == "1\n"
end)()

local function script(path, body)
  local name = os.tmpname()
  local file = assert(io.open(name, "w"))
  file:write("import socket, os\n",
    "s = socket.socket(socket.AF_UNIX)\ns.settimeout(60)\ns.connect('" .. path .. "')\n",
    "ends = [socket.socketpair() for _ in range(3)]\n",
    "def send(data, fds): socket.send_fds(s, [data], fds)\n", body)
  file:close()
  return name
end

local function run_script(body, f)
  local path = L.path()
  local name = script(path, body)
  local out = with_process("python3 " .. name, path, f)
  os.remove(name)
  return out
end

T.test_if(python, "no Python to send several at once", "several sockets in one read [50 6.3.7]", function ()
  local out = run_script([[
send(b'abc', [ends[0][0].fileno(), ends[1][0].fileno(), ends[2][0].fileno()])
for i in range(3):
    ends[i][0].close()
    print(ends[i][1].recv(100).decode())
    assert ends[i][1].recv(100) == b''
s.sendall(b'last')
assert s.recv(100) == b''
]], function (share)
    local sockets = {}
    local text, first = take(share)
    T.eq(text, "abc")
    sockets[1] = first
    -- The others come at once, whatever the arguments, and where nobody can wait.
    local got
    local waiter = T.waiter(function () got = pack(share:read({}, {}, {})) end)
    T.eq(coroutine.status(waiter.co), "dead")
    T.eq(got.n, 2)
    T.eq(got[1], 0)
    sockets[2] = got[2]
    T.inside(string.gsub, "x", "x", function () got = pack(share:read()) end)
    T.eq(got.n, 2)
    T.eq(got[1], 0)
    sockets[3] = got[2]
    T.eq(coroutine.resume(T.create(share.read), share), false) -- the arguments are checked again
    for i = 1, 3 do
      T.eq(sockets[i]:getdomain(), "local")
      assert(sockets[i]:write("socket " .. i))
      sockets[i]:close()
    end
    T.same(pack(take(share)), { "last" })
  end)
  T.eq(out, "socket 1\nsocket 2\nsocket 3\n")
end)

T.test_if(python, "no Python to send several at once", "sockets that nobody takes are closed with the stream [50 6.3.7] [50 5.1.2]",
function ()
  local out = run_script([[
send(b'x', [e[0].fileno() for e in ends])
for e in ends: e[0].close()
assert s.recv(100) == b''
for e in ends:
    e[1].settimeout(60)
    assert e[1].recv(100) == b''
print('closed')
]], function (share)
    local text, first = take(share)
    T.eq(text, "x")
    first:close()
  end)
  T.eq(out, "closed\n")
end)

T.test_if(python, "no Python to send other things", "what cannot be received [50 6.3.7]", function ()
  local out = run_script([[
f = os.open('/dev/null', os.O_RDONLY)
send(b'a', [f])
assert s.recv(1) == b'+'
send(b'b', [ends[0][0].fileno()])
assert s.recv(100) == b''
]], function (share)
    T.same(pack(take(share)), { false, "socket type not supported", 3011 })
    assert(share:write("+"))
    local text, s = "", nil
    repeat
      local got = pack(take(share))
      T.eq(type(got[1]), "string")
      text, s = text .. got[1], got[2]
    until text:sub(-1) == "b"
    T.eq(s:getdomain(), "local")
    s:close()
  end)
  T.eq(out, "")
end)

T.done()
