-- Every await function of the library, as a list of waits for `matrix.lua`.
--
-- Each entry is a name and a function that makes a wait whose results nobody else's are like:
--   await()      suspends the coroutine that calls it
--   trigger()    makes what it waits for happen; without it that happens by itself
--   check(got)   its results, when nobody interfered
--   leftover()   after it was cancelled and triggered: what did not happen to it is still there
--   object       what can be closed
--   stubborn     an explicit resume does not end it (10 3.1.3)
--   goes_on      it goes on without who waited
--   now          it ends within `trigger`, not in `run`
--   done()       gives back what is left

local T = require "testing"
local memory = require "memory"
local event = require "coutil.event"
local queued = require "coutil.queued"
local mutex = require "coutil.mutex"
local promise = require "coutil.promise"
local channel = require "coutil.channel"
local states = require "coutil.coroutine"
local system = require "coutil.system"
local L = require "loop_testing"
local P = require "process_testing"
local pack = T.pack

local waits, serial = {}, 0

local function add(name, make)
  waits[#waits + 1] = { name = name, make = function ()
    serial = serial + 1
    return make(serial)
  end }
end

local function gives(...)
  local want = pack(...)
  return function (got) T.same(got, want) end
end

-- Closes what is not closed yet; a file without suspending.
local function closing(...)
  local list = pack(...)
  return function () for i = 1, list.n do pcall(list[i].close, list[i], "~") end end
end

-- What a wait for events leaves when it is cancelled: nobody is there.
local function nobody(...)
  local list = pack(...)
  return function () for i = 1, list.n do T.eq(event.pending(list[i]), false) end end
end

-- Events, mutexes, promises ---------------------------------------------------------------------

for _, kind in ipairs { "table", "string" } do
  local function key(n, i) return kind == "string" and "event " .. n .. "." .. i or { n, i } end

  add("event.await of a " .. kind, function (n)
    local e = key(n, 1)
    return { now = true, await = function () return event.await(e) end, trigger = function () event.emitall(e, n) end,
      check = gives(e, n), leftover = nobody(e) }
  end)
  add("event.awaitany of a " .. kind, function (n)
    local e, f = key(n, 1), key(n, 2)
    return { now = true, await = function () return event.awaitany(e, nil, f) end,
      trigger = function () event.emitone(f, n) end, check = gives(f, n), leftover = nobody(e, f) }
  end)
  add("event.awaitall of a " .. kind, function (n)
    local e, f = key(n, 1), key(n, 2)
    return { now = true, await = function () return event.awaitall(e, f) end,
      trigger = function () event.emitall(f, n); event.emitall(e, n) end, check = gives(true), leftover = nobody(e, f) }
  end)
  local function kept(...)
    local list = pack(...)
    return function ()
      nobody(T.unpack(list, 1, list.n))()
      for i = 1, list.n do T.same(pack(T.inside(queued.await, list[i])), { list[i], "kept" }) end
    end
  end
  add("queued.await of a " .. kind, function (n)
    local e = key(n, 1)
    return { now = true, await = function () return queued.await(e) end, trigger = function () queued.emitone(e, "kept") end,
      check = gives(e, "kept"), leftover = kept(e) }
  end)
  add("queued.awaitany of a " .. kind, function (n)
    local e, f = key(n, 1), key(n, 2)
    return { now = true, await = function () return queued.awaitany(e, f) end, trigger = function () queued.emitall(f, "kept") end,
      check = gives(f, "kept"), leftover = kept(f) }
  end)
  add("queued.awaitall of a " .. kind, function (n)
    local e, f = key(n, 1), key(n, 2)
    return { now = true, await = function () return queued.awaitall(e, f) end,
      trigger = function () queued.emitall(f, "kept"); queued.emitall(e, "kept") end,
      check = gives(true), leftover = kept(f, e) }
  end)
  add("mutex.lock of a " .. kind, function (n)
    local e = key(n, 1)
    local owner = T.start(function () mutex.lock(e); coroutine.yield(); mutex.unlock(e) end)
    return { now = true, stubborn = true, await = function ()
      local got = pack(mutex.lock(e))
      if mutex.ownlock(e) then mutex.unlock(e); got = { n = got.n + 1, "owned" } end
      return T.unpack(got, 1, got.n)
    end, trigger = function () if coroutine.status(owner) == "suspended" then T.resume(owner) end end, check = gives("owned"),
      leftover = function () T.eq(mutex.islocked(e), false) end }
  end)
end

add("a promise", function (n)
  local p, fulfill = promise.create()
  return { now = true, await = function () return p() end, trigger = function () fulfill(n, nil) end, check = gives(n, nil),
    leftover = function () T.same(pack(p()), pack(n, nil)) end }
end)
add("promise.awaitany", function (n)
  local p, fulfill = promise.create()
  local q = promise.create()
  return { now = true, await = function () return promise.awaitany(q, p) end, trigger = function () fulfill(n) end,
    check = gives(p, n), leftover = nobody(p, q) }
end)
add("promise.awaitall", function (n)
  local p, fulfill = promise.create()
  local q, other = promise.create()
  return { now = true, await = function () return promise.awaitall(q, p) end, trigger = function () fulfill(n); other() end,
    check = gives(true), leftover = nobody(p, q) }
end)

-- Time ------------------------------------------------------------------------------------------

add("suspend()", function () return { await = function () return system.suspend() end, check = gives(true) } end)
add("suspend(0.001)", function () return { await = function () return system.suspend(.001) end, check = gives(true) } end)

-- Sockets ---------------------------------------------------------------------------------------

for _, domain in ipairs { "ipv4", "local", "share" } do
  add("read of a stream, " .. domain, function (n)
    local a, b = L.pair(domain)
    local text, m = ("%06d"):format(n), memory.create("......")
    return { object = b, await = function () return b:read(m) end, trigger = function () L.send(a, text) end,
      check = function (got) T.eq(got.n, 1 + (domain == "share" and got.n - 1 or 0)); T.eq(got[1], 6); T.eq(m:tostring(), text) end,
      leftover = function ()
        T.eq(m:tostring(), "......")
        T.eq(L.await(L.take, b), text)
      end, done = closing(a, b) }
  end)
  add("a large write, " .. domain, function (n)
    local a, b = L.pair(domain)
    local data, read = L.pattern(T.scale(2 ^ 20, 2 ^ 18), n), nil
    return { object = a, goes_on = true, await = function () return a:write(data) end,
      trigger = function () T.start(function () read = L.collect(b, #data) end) end, check = gives(true),
      leftover = function () L.eqtext(read, data) end, done = closing(a, b) }
  end)
  add("accept, " .. domain, function ()
    local passive, address = L.listener(domain)
    local client = system.socket("stream", domain)
    local function check(got) T.eq(got.n, 1); got[1]:close() end
    return { object = passive, await = function () return passive:accept() end, check = check,
      trigger = function () T.start(function () client:connect(address) end) end,
      leftover = function () check(pack(L.await(passive.accept, passive))) end,
      done = closing(client, passive) }
  end)
  add("connect, " .. domain, function ()
    local passive, address = L.listener(domain)
    local s = system.socket("stream", domain)
    return { object = s, goes_on = true, await = function () return s:connect(address) end, check = gives(true),
      done = closing(s, passive) }
  end)
  add("shutdown, " .. domain, function ()
    local a, b = L.pair(domain)
    return { object = a, goes_on = true, await = function () return a:shutdown() end, check = gives(true),
      leftover = function () T.eq(L.await(L.take, b), false) end, done = closing(a, b) }
  end)
end
add("read of datagrams", function (n)
  local a, b = system.socket("datagram", "ipv4"), system.socket("datagram", "ipv4")
  assert(b:bind(L.address()))
  local to, text, m = assert(b:getaddress()), ("%06d"):format(n), memory.create("......")
  return { object = b, await = function () return b:read(m) end,
    trigger = function () T.start(function () a:write(text, 1, -1, to) end) end,
    check = function (got) T.eq(got[1], 6); T.eq(m:tostring(), text) end,
    leftover = function () T.eq(m:tostring(), "......"); T.eq(L.await(L.take, b), text) end,
    done = closing(a, b) }
end)

-- What the blocking pool does -------------------------------------------------------------------

add("openfile", function ()
  return { await = function () return system.openfile("/dev/null", "r") end,
    check = function (got) T.eq(got.n, 1); got[1]:close "~" end }
end)
add("read of a file", function ()
  local file, m = assert(system.openfile("/dev/zero", "~r")), memory.create("......")
  return { object = file, await = function () return file:read(m, 2, 5, 0) end,
    check = function (got) T.same(got, { 4 }); T.eq(m:tostring(), ".\0\0\0\0.") end, done = closing(file) }
end)
add("write of a file", function (n)
  n = n % 100 + 1
  local file = assert(system.openfile("/dev/null", "~w"))
  return { object = file, await = function () return file:write(("x"):rep(n), 1, -1, 0) end, check = gives(n),
    done = closing(file) }
end)
add("fileinfo", function () return { await = function () return system.fileinfo("/", "?") end, check = gives("directory") } end)
add("listdir", function ()
  return { await = function () return system.listdir("/") end, check = function (got) T.eq(got.n, 4) end }
end)
add("random", function (n)
  local m = memory.create(n % 100 + 1)
  return { await = function () return system.random(m) end, check = gives(m) }
end)
add("findaddr", function (n)
  n = n % 60000 + 1
  return { await = function () return system.findaddr("127.0.0.1", n) end,
    check = function (got) T.eq(got.n, 1); T.eq(got[1]:getaddress().port, n); got[1]:close() end }
end)
add("nameaddr", function (n)
  return { await = function () return system.nameaddr(65000 + n % 500) end,
    check = function (got) T.eq(got.n, 1); T.eq(type(got[1]), "string") end }
end)

-- Signals, processes, channels, state coroutines ------------------------------------------------

add("awaitsig", function ()
  return { await = function () return system.awaitsig("winresize") end, check = gives("winresize"),
    trigger = function () T.start(function () P.emit "winresize" end) end }
end)
add("execute", function (n)
  return { await = function () return system.execute("/bin/sh", "-c", "exit " .. n % 100) end, check = gives("exit", n % 100) }
end)
add("awaitch", function (n)
  local name = "matrix " .. n
  local mine, other = channel.create(name), channel.create(name)
  return { object = mine, await = function () return system.awaitch(mine, "in") end,
    trigger = function () other:sync("out", n) end, check = gives(true, n),
    leftover = function ()
      local w = T.waiter(system.awaitch, mine, "in")
      T.same(pack(other:sync("out", n)), { true })
      L.run()
      T.same(w.got, { true, n })
    end, done = closing(mine, other) }
end)
add("resume", function (n)
  local co = assert(states.load "return ...")
  return { object = co, goes_on = true, await = function () return system.resume(co, n) end, check = gives(true, n), done = closing(co) }
end)

return waits
