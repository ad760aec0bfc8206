-- How cost grows: what an operation takes while so many others wait, or stand in a queue. Prints a line `TITLE  SIZE  NS ns` for each: processor
-- time, the least of five. The collector stands still meanwhile: what a collection takes grows with what lives, in any program.
-- `bare coroutine` has nothing of the library: what the caches make of so many coroutines.
-- Arguments: the size, a part of the titles of those that are to run, and how many operations are measured at a time.
local channel = require "coutil.channel"
local event = require "coutil.event"
local memory = require "coutil.memory"
local mutex = require "coutil.mutex"
local promise = require "coutil.promise"
local queued = require "coutil.queued"
local system = require "coutil.system"

local size = tonumber(arg and arg[1]) or 1000
local only = arg and arg[2] or ""
local clock, resume = os.clock, coroutine.resume
local await, emitone, suspend = event.await, event.emitone, system.suspend
local operations = tonumber(arg and arg[3]) or 20000

local function start (f, ...)
  local co = coroutine.create(f)
  assert(resume(co, ...))
  return co
end

-- `prepare` makes those that wait; it returns a function which does about so many operations, and says how many, and one that makes an end
-- of all. `count` is how many there are, if not `size`.
local function measure (title, prepare, count)
  if not title:find(only, 1, true) then return end
  local operate, finish = prepare()
  collectgarbage()
  collectgarbage()
  collectgarbage "stop"
  local least = math.huge
  for _ = 1, 5 do
    local begun = clock()
    local done = operate(operations)
    least = math.min(least, (clock() - begun) / done)
  end
  collectgarbage "restart"
  if finish then finish() end
  print(("%s  %d  %.1f ns"):format(title, count or size, least * 1e9))
end

local function emissions (n)
  for _ = 1, n do emitone "mine" end
  return n
end

local function passes (n)
  for _ = 1, n do system.run "ready" end
  return n
end

measure("event, others await others", function ()
  local others = {}
  for i = 1, size do
    others[i] = {}
    start(await, others[i])
  end
  start(function () while true do await "mine" end end)
  return emissions, function () others = nil end
end)

measure("event, all await it", function ()
  local one = {}
  local function wait () while true do await(one) end end
  for _ = 1, size do start(wait) end
  return function (n)
    for _ = 1, n do emitone(one) end
    return n
  end
end)

measure("stored event, behind others", function ()
  local one, take, put = {}, queued.await, queued.emitone
  for i = 1, size do put(one, i) end
  return function (n)
    for i = 1, n do
      put(one, i)
      take(one)
    end
    return n
  end
end)

measure("mutex, others queue for it", function ()
  local one = {}
  local function own ()
    while true do
      mutex.lock(one)
      await "mine"
      mutex.unlock(one)
    end
  end
  for _ = 1, size do start(own) end
  return emissions
end)

measure("promise, all await it", function ()
  local function wait (p) return p() end
  return function (n)
    local rounds = math.max(1, math.floor(n / size))
    for _ = 1, rounds do
      local p, fulfill = promise.create()
      for _ = 1, size do start(wait, p) end
      fulfill(true)
    end
    return rounds * size
  end
end)

-- Resumes waiters, by which they stop waiting, and wait anew, as the last. `which` says whose turn it is.
local function cancellations (title, wait)
  local function prepare (which)
    return function (...)
      local waiters = {}
      for i = 1, size do waiters[i] = start(wait, ...) end
      return function (n)
        local at = 1
        for _ = 1, n do
          at = which(at)
          resume(waiters[at], "cancelled")
        end
        return n
      end, function ()
        for _, waiter in ipairs(waiters) do resume(waiter) end
      end
    end
  end
  local one = {}
  local random = 1
  for _, case in ipairs {
    { "the first", function (at) return at % size + 1 end },
    { "the last", function () return size end },
    { "any", function ()
      random = random * 16807 % 2147483647
      return random % size + 1
    end },
  } do
    local work = prepare(case[2])
    measure(title .. ", " .. case[1], function () return work(one) end)
  end
end

cancellations("bare coroutine", function ()
  local yield = coroutine.yield
  while yield() == "cancelled" do end
end)
cancellations("event, cancelled", function (one) while await(one) == "cancelled" do end end)
cancellations("timer, cancelled", function () while suspend(3600) == "cancelled" do end end)
cancellations("channel, cancelled", function ()
  local ch = channel.create "cancelled"
  while system.awaitch(ch, "in") == "cancelled" do end
end)

measure("suspend(), each of them", function ()
  local going = true
  local function wait () while going do suspend() end end
  for _ = 1, size do start(wait) end
  return function (n)
    return passes(math.max(1, math.floor(n / size))) * size
  end, function ()
    going = false
    system.run()
  end
end)

measure("timer, others live", function ()
  local waiters, going, expired = {}, true, 0
  local function wait () suspend(3600) end
  for i = 1, size do waiters[i] = start(wait) end
  start(function ()
    while going do
      suspend(1e-9)
      expired = expired + 1
    end
  end)
  return function (n)
    local before = expired
    while expired - before < n do system.run "ready" end
    return n
  end, function ()
    going = false
    for _, waiter in ipairs(waiters) do resume(waiter) end
    system.run()
  end
end)

local function answer (name, going)
  local ch = channel.create(name)
  while going() do system.awaitch(ch, "in") end
end

-- Somebody comes, and whoever is matched goes on, and comes again.
local function matches (name)
  local ch = channel.create(name)
  return function (n)
    for _ = 1, n do
      assert(ch:sync "out")
      system.run "ready"
    end
    return n
  end
end

measure("channel, others at other names", function ()
  local waiters, going = {}, true
  local function goes () return going end
  for i = 1, size do waiters[i] = start(answer, "other " .. i, goes) end
  waiters[size + 1] = start(answer, "mine", goes)
  return matches "mine", function ()
    going = false
    for _, waiter in ipairs(waiters) do resume(waiter) end
  end
end)

measure("channel, others at its name", function ()
  local waiters, going = {}, true
  local function goes () return going end
  for i = 1, size do waiters[i] = start(answer, "one", goes) end
  return matches "one", function ()
    going = false
    for _, waiter in ipairs(waiters) do resume(waiter) end
  end
end)

measure("channel made and closed, others open", function ()
  local others = {}
  for i = 1, size do others[i] = channel.create("other " .. i) end
  return function (n)
    for _ = 1, n do channel.create "mine":close() end
    return n
  end, function ()
    for _, other in ipairs(others) do other:close() end
  end
end)

-- Both ends are in this process, and some descriptors are needed for other things.
local limit = 0
for line in io.lines "/proc/self/limits" do limit = tonumber(line:match "^Max open files%s+(%d+)") or limit end
local open = math.min(size, math.floor((limit - 100) / 2))

measure("message, others connected", function ()
  local server = assert(system.socket("passive", "ipv4"))
  assert(server:bind(system.address("ipv4", "0.0.0.0", 0)))
  assert(server:listen(64))
  local port = server:getaddress().port
  local streams, going = {}, true
  local function serve (stream)
    local buffer = memory.create(64)
    while true do
      local count = stream:read(buffer)
      if not count then break end
      stream:write(buffer, 1, count)
    end
    stream:close()
  end
  local function wait (stream) stream:read(memory.create(1)) end
  local mine
  start(function ()
    for _ = 1, open + 1 do start(serve, assert(server:accept())) end
    server:close()
  end)
  start(function ()
    for i = 0, open do
      local stream = assert(system.socket("stream", "ipv4"))
      assert(stream:setoption("nodelay", true))
      assert(stream:connect(system.address("ipv4", "127.0.0." .. 1 + i % 100, port)))
      if i == 0 then mine = stream else start(wait, stream) end
      streams[i + 1] = stream
    end
  end)
  while #streams <= open do system.run "step" end
  local messages = 0
  start(function ()
    local buffer, data = memory.create(64), ("x"):rep(64)
    while going do
      assert(mine:write(data))
      assert(mine:read(buffer) == #data)
      messages = messages + 2
    end
  end)
  return function (n)
    local before = messages
    while messages - before < n do system.run "step" end
    return messages - before
  end, function () going = false end
end, open)
os.exit(true)
