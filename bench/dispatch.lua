-- Tiny tasks: each is a state of its own, made here, and run and closed by one of two threads. Until all have ended.
-- Prints the seconds, the processor seconds, and the number of tasks.
local system = require "coutil.system"
local threads = require "coutil.threads"

local count = tonumber(arg and arg[1]) or 5000

local seconds, processor = system.nanosecs(), os.clock()
local pool = assert(threads.create(2))
for i = 1, count do
  assert(pool:dostring("local a, b = ... return a + b", "=chunk", "t", i, 1))
end
pool:close()
print(("%.6f %.6f %d"):format((system.nanosecs() - seconds) / 1e9, os.clock() - processor, count))
