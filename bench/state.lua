-- Independent states with a small chunk, made and closed.
-- Prints the seconds, the processor seconds, and the number of states.
local states = require "coutil.coroutine"
local system = require "coutil.system"

local count = tonumber(arg and arg[1]) or 30000

local load, close = states.load, states.close
local seconds, processor = system.nanosecs(), os.clock()
for _ = 1, count do
  close(load "local a, b = ... return a + b")
end
print(("%.6f %.6f %d"):format((system.nanosecs() - seconds) / 1e9, os.clock() - processor, count))
