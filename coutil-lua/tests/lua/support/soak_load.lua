-- A load of everything at the same time, for `soak.lua`: connections, timers, files, processes and tasks, with waits cancelled at
-- random. Every byte and every value is compared with what it has to be, and whatever waits has to come back.

local T = require "testing"
local L = require "loop_testing"
local memory = require "memory"
local event = require "coutil.event"
local mutex = require "coutil.mutex"
local channel = require "coutil.channel"
local states = require "coutil.coroutine"
local system = require "coutil.system"
local threads = require "coutil.threads"
local random, suspend = math.random, system.suspend
local put = table.insert

local M = { counts = {} }

-- What a cancelled wait returns.
local cancelled = {}

local load

-- So much was done; the guard sees that something is.
local function count(what, n)
  M.counts[what] = (M.counts[what] or 0) + (n or 1)
  load.progress = load.progress + 1
end

-- Runs `f` in a coroutine, which has to end.
local function start(name, f)
  load.alive[name] = (load.alive[name] or 0) + 1
  T.start(function ()
    f()
    load.alive[name] = load.alive[name] - 1
    load.left = load.left - 1
    if load.left == 0 then event.emitall(load) end
  end)
end

local function begin(name, f)
  load.left = load.left + 1
  start(name, f)
end

-- A wait that may be cancelled: then the first result is `cancelled`.
local function await(f, ...)
  local co = coroutine.running()
  put(load.waiting, co)
  load.place[co] = #load.waiting
  local got = T.pack(f(...))
  local place, last = load.place[co], #load.waiting
  local other = load.waiting[last]
  load.waiting[place], load.place[other] = other, place
  load.waiting[last], load.place[co] = nil, nil
  return T.unpack(got, 1, got.n)
end

-- Cancels one of those that wait, now and then.
local function canceller()
  while load.left > 0 do
    local got = suspend(random(20) / 10000)
    if got == cancelled then break end
    local co = #load.waiting > 0 and load.waiting[random(#load.waiting)]
    if co and coroutine.status(co) == "suspended" then
      count "cancelled"
      T.resume(co, cancelled)
    end
  end
end

-- Fails if nothing happens for long: then a wake-up was lost.
local function guard()
  local seen, since = -1, system.nanosecs()
  while load.left > 0 do
    if suspend(.5) == cancelled then break end
    if load.progress ~= seen then
      seen, since = load.progress, system.nanosecs()
    elseif system.nanosecs() - since > 60e9 then
      local list = {}
      for name, n in pairs(load.alive) do if n > 0 then put(list, n .. " " .. name) end end
      io.stderr:write("nothing happens any more; there are still: ", table.concat(list, ", "), "\n")
      os.exit(1)
    end
  end
end

-- Streams ---------------------------------------------------------------------------------------

local largest = T.scale(300000, 1000)
local long = L.pattern(largest + 251)

-- The bytes of a direction of a connection, which has a position only.
local function bytes(at, n) return long:sub(at % 251 + 1, at % 251 + n) end

-- Sends from one end to the other, and compares all that arrives. `ended` is called when all has.
local function direction(from, to, ended)
  local sent, got, over = 0, 0, 0
  local function done()
    over = over + 1
    if over < 2 then return end
    T.eq(got, sent, "bytes of a stream")
    ended()
  end
  begin("writer", function ()
    for _ = 1, 2 + random(8) do
      local n = random(8) == 1 and random(largest) or random(3000) - 1
      local data = bytes(sent, n)
      sent = sent + n
      local ok, text = await(from.write, from, data)
      if ok ~= cancelled then T.eq(ok, true, text) end
      count "writes"
    end
    local ok, text = from:shutdown()
    T.eq(ok, true, text)
    done()
  end)
  begin("reader", function ()
    while true do
      local size = random(4) == 1 and 65536 or random(5000)
      local m = memory.create(("-"):rep(size + 1))
      local n, text, code = await(to.read, to, m, 1, size)
      if n == cancelled then
        T.eq(m:find "-", 1, "nothing was stored")
      elseif not n then
        T.eq(code, 4095, text)
        break
      else
        L.eqtext(m:tostring(1, n), bytes(got, n), "at byte " .. got)
        T.eq(m:get(size + 1), 45, "nothing behind")
        got = got + n
        count "reads"
        count("bytes", n)
      end
    end
    done()
  end)
end

local function connections(domain, n)
  local passive, address = L.listener(domain)
  local clients, servers, over = {}, {}, 0
  local function both(i)
    local a, b = clients[i], servers[i]
    if not a or not b then return end
    local ended = 0
    local function close()
      ended = ended + 1
      if ended < 2 then return end
      T.eq(a:close(), true)
      T.eq(b:close(), true)
      count "connections"
    end
    direction(a, b, close)
    direction(b, a, close)
    over = over + 1
    if over == n then passive:close() end
  end
  begin("accepter", function ()
    for i = 1, n do
      repeat
        local s, text = await(passive.accept, passive)
        if s ~= cancelled then servers[i] = assert(s, text) end
      until servers[i]
      both(i)
    end
  end)
  begin("connecter", function ()
    for i = 1, n do
      local s, ok, text, code = assert(system.socket("stream", domain)), nil, nil, nil
      repeat ok, text, code = await(s.connect, s, address) until ok ~= cancelled
      if not ok then T.eq(code, 106, text) end -- by the attempt that was cancelled
      clients[i] = s
      both(i)
    end
  end)
end

-- Datagrams of one socket to itself: those that come are whole, and nothing comes twice.
local function datagrams()
  local s = assert(system.socket("datagram", "ipv4"))
  assert(s:bind(L.address()))
  local address, seen, n = assert(s:getaddress()), {}, 20
  begin("datagrams", function ()
    for i = 1, n do
      T.eq(s:write(bytes(i, i * 3), 1, -1, address), true)
      local m, got = memory.create(100), nil
      repeat got = await(s.read, s, m) until got ~= cancelled
      T.eq(got % 3, 0)
      L.eqtext(m:tostring(1, got), bytes(got / 3, got))
      T.eq(seen[got], nil, "a datagram")
      seen[got] = true
      count "datagrams"
    end
    s:close()
  end)
end

-- Time, mutual exclusion ------------------------------------------------------------------------

local function timers()
  for _ = 1, 20 do
    begin("timer", function ()
      for _ = 1, 5 do
        local delay, from = random(30) / 1000, system.time() -- that of the loop
        local got = await(suspend, delay)
        if got ~= cancelled then
          T.eq(got, true)
          T.eq(system.time() - from >= delay - .0005, true, "not too early")
        end
        count "timers"
      end
    end)
  end
end

local function turns()
  local key, inside = {}, 0
  for _ = 1, 8 do
    begin("turn", function ()
      for _ = 1, 5 do
        mutex.lock(key)
        inside = inside + 1
        T.eq(inside, 1, "who is inside")
        suspend(random(3) == 1 and .0005 or nil)
        inside = inside - 1
        mutex.unlock(key)
        count "turns"
      end
    end)
  end
end

-- Files -----------------------------------------------------------------------------------------

local function files()
  local path = os.tmpname()
  begin("file", function ()
    local file = assert(system.openfile(path, "rwt"))
    local text, spare = bytes(0, 5000), 8192 -- beyond, what was given up may be written at any time
    T.eq(file:write(text, 1, -1, 0), #text)
    for _ = 1, 20 do
      local what, at = random(4), random(#text) - 1
      if what == 1 then
        local data = bytes(random(251), random(3000))
        T.eq(file:write(data, 1, -1, at), #data)
        text = text:sub(1, at) .. data .. text:sub(at + #data + 1)
        if #text > spare then text = text:sub(1, spare) end
      elseif what == 2 then
        await(file.write, file, bytes(0, 100), 1, -1, spare)
      else
        local m = memory.create(("-"):rep(2000))
        local n = await(file.read, file, m, 1, 1000, at)
        if n ~= cancelled then
          local want = text:sub(at + 1, at + 1000)
          L.eqtext(m:tostring(1, math.min(n, #want)), want:sub(1, n), "a file")
          T.eq(n >= math.min(#want, 1), true)
        else
          T.eq(m:find "-", 1)
        end
        T.eq(m:tostring(1001), ("-"):rep(1000))
      end
      count "files"
    end
    T.eq(file:close(), true)
    T.eq(system.removefile(path), true)
  end)
end

-- Processes -------------------------------------------------------------------------------------

local function processes()
  local p = { execfile = "cat", stdin = "w", stdout = "r" }
  begin("cat", function ()
    local how, status = system.execute(p)
    T.eq(how, "exit", status)
    T.eq(status, 0)
    count "processes"
  end)
  direction(p.stdin, p.stdout, function ()
    T.eq(p.stdin:close(), true)
    T.eq(p.stdout:close(), true)
  end)
  local q = { execfile = "sleep", arguments = { "600" } }
  begin("sleep", function ()
    local how, number = await(system.execute, q)
    if how ~= cancelled then
      T.eq(how, "terminate", number)
      T.eq(number, 15)
    end
    count "processes"
  end)
  begin("killer", function ()
    suspend(random(20) / 1000)
    T.eq(system.emitsig(q.pid, "terminate"), true)
  end)
end

-- Tasks -----------------------------------------------------------------------------------------

local forward = [[
  local from, to = ...
  local yield = require "coroutine".yield
  while true do
    local ok, value = yield(from, "in")
    if value == "stop" then break end
    yield(to, "out", value)
    if value % 3 == 0 then yield() end
  end
  yield(to, "out", "stop") ]]

local serial = 0
local function tasks()
  serial = serial + 1
  local from, to, workers, senders, each = "soak " .. serial, "soak back " .. serial, 3, 4, 25
  local pool = assert(threads.create(2))
  for _ = 1, workers do T.eq(threads.dostring(pool, forward, "=task", "t", from, to), true) end
  local sure, maybe, ended = {}, {}, 0
  for sender = 1, senders do
    begin("sender", function ()
      local ch = channel.create(from)
      for i = 1, each do
        local value = sender * 1000 + i
        local ok = await(system.awaitch, ch, "out", value)
        if ok == cancelled then maybe[value] = true else
          T.eq(ok, true)
          sure[value] = true
        end
        count "values"
      end
      ended = ended + 1
      if ended == senders then
        for _ = 1, workers do T.eq((system.awaitch(ch, "out", "stop")), true) end
      end
      -- It is in use until the loop comes to a match that was cancelled [20 5.9].
      local ok, text = pcall(ch.close, ch)
      if not ok then
        T.eq(text:find("in use", 1, true) ~= nil, true, text)
        suspend()
        T.eq(ch:close(), true)
      end
    end)
  end
  begin("receiver", function ()
    local ch, seen, stopped = channel.create(to), {}, 0
    while stopped < workers do
      local ok, value = system.awaitch(ch, "in")
      T.eq(ok, true)
      if value == "stop" then stopped = stopped + 1 else
        T.eq(seen[value], nil, "a value comes once")
        seen[value] = true
      end
    end
    for value in pairs(sure) do T.eq(seen[value], true, "a value that was taken") end
    for value in pairs(seen) do T.eq(sure[value] or maybe[value], true, "a value that was given") end
    ch:close()
    while pool:count "n" > 0 do suspend(.001) end
    T.eq(pool:close(), true)
    count "pools"
  end)
  begin("resizer", function ()
    for _ = 1, 5 do
      suspend(random(5) / 1000)
      if pcall(pool.resize, pool, random(3), random(2) == 1) then count "sizes" end
    end
  end)
  begin("nobody", function ()
    -- Nobody comes there.
    local ch = channel.create(from .. " nobody")
    local co = coroutine.running()
    T.start(function ()
      suspend(.005)
      T.resume(co, cancelled)
    end)
    T.eq((system.awaitch(ch, "any")), cancelled)
    ch:close()
  end)
end

local function other_states()
  begin("state", function ()
    local co = assert(states.load [[
      local yield = require "coroutine".yield
      local function pass(...) return pass(yield(...)) end
      return pass(...) ]])
    for i = 1, 10 do
      local text = bytes(i, random(2000))
      T.same(T.pack(system.resume(co, i, text, nil)), T.pack(true, i, text, nil))
      count "resumes"
    end
    T.eq(co:close(), true)
  end)
end

-- All of it at the same time, until all of it has ended.
function M.round(seed)
  math.randomseed(seed)
  load = { alive = {}, left = 0, progress = 0, waiting = {}, place = {} }
  for _, domain in ipairs(L.domains) do connections(domain, 4) end
  connections("local", 4)
  datagrams()
  timers()
  turns()
  for _ = 1, 3 do files() end
  processes()
  tasks()
  other_states()
  local helpers = { T.start(canceller), T.start(guard) }
  T.start(function ()
    event.await(load)
    for _, co in ipairs(helpers) do
      if coroutine.status(co) == "suspended" then T.resume(co, cancelled) end
    end
  end)
  L.run()
  T.eq(load.left, 0, "what has not ended")
  T.eq(#load.waiting, 0)
  load = nil
end

return M
