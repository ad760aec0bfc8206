-- Reads of 512 bytes of a file of 1 MiB, by other threads, one after the other. Prints seconds, processor seconds, and reads.
local memory = require "coutil.memory"
local system = require "coutil.system"

local reads = tonumber(arg and arg[1]) or 50000
local path, file = assert(system.maketemp((os.getenv "TMPDIR" or "/tmp") .. "/coutil-bench-", "~fo"))
assert(file:resize(1048576, "~"))

local function work ()
  local buffer = memory.create(512)
  for i = 0, reads - 1 do assert(file:read(buffer, 1, -1, i % 2048 * 512) == 512) end
end

local start, busy = system.nanosecs(), os.clock()
coroutine.wrap(work)()
system.run()

print(("%.6f %.6f %d"):format((system.nanosecs() - start) / 1e9, os.clock() - busy, reads))
assert(system.removefile(path, "~"))
