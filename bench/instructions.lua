-- One primitive, again and again, for counting the instructions that it takes. Its arguments are a name and how often; without, it prints
-- the names.
local channel = require "coutil.channel"
local event = require "coutil.event"
local mutex = require "coutil.mutex"
local promise = require "coutil.promise"
local queued = require "coutil.queued"
local system = require "coutil.system"

local function start (f) coroutine.wrap(f)() end

local primitives = {
  { "bare resume/yield pair", function (n)
    local resume, yield = coroutine.resume, coroutine.yield
    local bare = coroutine.create(function () while true do yield() end end)
    for _ = 1, n do resume(bare) end
  end },
  { "event", function (n)
    local await, emitone = event.await, event.emitone
    start(function () while true do await "event" end end)
    for _ = 1, n do emitone "event" end
  end },
  { "stored event", function (n)
    local await, emitone = queued.await, queued.emitone
    for _ = 1, n do
      emitone "event"
      await "event"
    end
  end },
  { "mutex, free", function (n)
    local lock, unlock = mutex.lock, mutex.unlock
    start(function ()
      for _ = 1, n do
        lock "mutex"
        unlock "mutex"
      end
    end)
  end },
  { "promise, made and kept", function (n)
    local create = promise.create
    for _ = 1, n do
      local p, fulfill = create()
      fulfill(true)
      p()
    end
  end },
  { "suspend()", function (n)
    local suspend = system.suspend
    start(function () for _ = 1, n do suspend() end end)
    system.run()
  end },
  { "channel, one state", function (n)
    local awaitch = system.awaitch
    local function party (endpoint)
      local ch = channel.create "channel"
      start(function () for _ = 1, n do awaitch(ch, endpoint) end end)
    end
    party "in"
    party "out"
    system.run()
  end },
}

local wanted, count = arg[1], tonumber(arg[2])
for _, primitive in ipairs(primitives) do
  if not wanted then print(primitive[1]) end
  if wanted == primitive[1] then primitive[2](count) end
end
