-- 64 children at once: each is started anew when it has ended, until there were enough. Prints seconds, processor seconds (of this
-- process, not of its children), and processes.
local system = require "coutil.system"

local rounds = tonumber(arg and arg[1]) or 10
local width = 64

local start, busy = system.nanosecs(), os.clock()
for _ = 1, width do
  coroutine.wrap(function ()
    for _ = 1, rounds do
      local how, status = system.execute("/bin/true")
      assert(how == "exit" and status == 0)
    end
  end)()
end
system.run()

print(("%.6f %.6f %d"):format((system.nanosecs() - start) / 1e9, os.clock() - busy, rounds * width))
