-- 20 000 coroutines, each of which waits for a timer again and again: 1 to 4 ms, which is less than it takes to serve
-- all of them once, so the loop never sleeps. Prints seconds, processor seconds, and expirations.
local system = require "coutil.system"

local rounds = tonumber(arg and arg[1]) or 30
local timers = tonumber(arg and arg[2]) or 20000

local expired = 0
local function wait (i)
  local suspend = system.suspend
  for round = 1, rounds do
    suspend((1 + (i * 7 + round * 13) % 4) / 1000)
    expired = expired + 1
  end
end

local start, busy = system.nanosecs(), os.clock()
for i = 1, timers do coroutine.wrap(wait)(i) end
system.run()

print(("%.6f %.6f %d"):format((system.nanosecs() - start) / 1e9, os.clock() - busy, expired))
