-- A state coroutine is resumed with a number, on another thread, and yields the next one.
-- Prints the seconds, the processor seconds, and the number of resumptions.
local states = require "coutil.coroutine"
local system = require "coutil.system"

local count = tonumber(arg and arg[1]) or 50000

local co = assert(states.load [[
  local yield = require "coroutine".yield
  local number = ...
  while true do number = yield(number + 1) end
]])

coroutine.wrap(function ()
  local resume = system.resume
  local _, number = resume(co, -1)
  local seconds, processor = system.nanosecs(), os.clock()
  for _ = 1, count do
    _, number = resume(co, number)
  end
  seconds, processor = (system.nanosecs() - seconds) / 1e9, os.clock() - processor
  assert(number == count)
  print(("%.6f %.6f %d"):format(seconds, processor, count))
end)()
system.run()
