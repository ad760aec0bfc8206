-- Coutil in a stock interpreter: run.sh says how it is found.
local channel = require "coutil.channel"
local memory = require "coutil.memory"
local spawn = require "coutil.spawn"
local system = require "coutil.system"
local threads = require "coutil.threads"

local function failed (message)
  print(message)
  os.exit(1)
end

-- A program whose output is read.
spawn.catch(failed, function ()
  local process = { execfile = "uname", arguments = { "-s" }, stdout = "r" }
  spawn.catch(failed, function ()
    assert(system.execute(process))
  end)
  local buffer = memory.create(64)
  local count = assert(process.stdout:read(buffer))
  print("this is " .. memory.tostring(buffer, 1, count - 1))
end)

-- Lua code on other threads, with states of its own; their results come by a channel.
local pool = assert(threads.create(2))
for first = 1, 40001, 10000 do
  assert(pool:dostring([[
    require "_G"
    local channel = require "coutil.channel"
    local coroutine = require "coroutine"
    local system = require "coutil.system"
    local first = ...
    local count = 0
    for number = first, first + 9999 do
      local prime = number > 1
      for divisor = 2, number ^ 0.5 do
        if number % divisor == 0 then prime = false; break end
      end
      if prime then count = count + 1 end
    end
    coroutine.wrap(function ()
      system.awaitch(channel.create "primes", "out", count)
    end)()
    system.run()
  ]], "@primes", "t", first))
end
local primes = 0
spawn.catch(failed, function ()
  local results = channel.create "primes"
  for _ = 1, 5 do
    primes = primes + select(2, system.awaitch(results, "in"))
  end
end)

system.run()
pool:close()
print(("%s, Coutil: %d primes below 50 000"):format(_VERSION, primes))
assert(primes == 5133)
