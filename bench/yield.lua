-- 16 tasks on two threads, which yield. Until all have ended.
-- Prints the seconds, the processor seconds, and the number of yields.
local system = require "coutil.system"
local threads = require "coutil.threads"

local count = tonumber(arg and arg[1]) or 50000
local tasks = 16

local seconds, processor = system.nanosecs(), os.clock()
local pool = assert(threads.create(2))
for _ = 1, tasks do
  assert(pool:dostring([[
    local count = ...
    local yield = require "coroutine".yield
    for _ = 1, count do yield() end
  ]], "=chunk", "t", count))
end
pool:close()
print(("%.6f %.6f %d"):format((system.nanosecs() - seconds) / 1e9, os.clock() - processor, tasks * count))
