-- Values between two tasks of a pool: one sends a number, and gets the next one back.
-- Prints the seconds, the processor seconds, and the number of exchanges. The second argument is the number of threads.
local channel = require "coutil.channel"
local system = require "coutil.system"
local threads = require "coutil.threads"

local count = tonumber(arg and arg[1]) or 300000
local pool = assert(threads.create(tonumber(arg and arg[2]) or 1))

local asks = [[
  local count = ...
  local yield = require "coroutine".yield
  yield("start", "in")
  local number, _ = 0
  for _ = 1, count do
    yield("there", "out", number)
    _, number = yield("back", "in")
  end
  yield("end", "out", number)
]]
local answers = [[
  local count = ...
  local yield = require "coroutine".yield
  for _ = 1, count do
    local _, number = yield("there", "in")
    yield("back", "out", number + 1)
  end
]]
assert(pool:dostring(asks, "=asks", "t", count))
assert(pool:dostring(answers, "=answers", "t", count))

coroutine.wrap(function ()
  local ending = channel.create "end"
  system.awaitch(channel.create "start", "out")
  local seconds, processor = system.nanosecs(), os.clock()
  local _, number = system.awaitch(ending, "in")
  seconds, processor = (system.nanosecs() - seconds) / 1e9, os.clock() - processor
  assert(number == count)
  print(("%.6f %.6f %d"):format(seconds, processor, 2 * count))
end)()
system.run()
pool:close()
