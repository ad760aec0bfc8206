-- Starts a program that does nothing, and awaits its end, again and again. Prints seconds, processor seconds (of this process,
-- not of its children), and processes.
local system = require "coutil.system"

local processes = tonumber(arg and arg[1]) or 300

local start, busy, stop, idle
coroutine.wrap(function ()
  start, busy = system.nanosecs(), os.clock()
  for _ = 1, processes do
    local how, status = system.execute("/bin/true")
    assert(how == "exit" and status == 0)
  end
  stop, idle = system.nanosecs(), os.clock()
end)()
system.run()

print(("%.6f %.6f %d"):format((stop - start) / 1e9, idle - busy, processes))
