-- Reads and writes of 512 bytes of a file of 1 MiB in blocking mode. Prints seconds, processor seconds, and calls.
local memory = require "coutil.memory"
local system = require "coutil.system"

local rounds = tonumber(arg and arg[1]) or 500000
local path, file = assert(system.maketemp((os.getenv "TMPDIR" or "/tmp") .. "/coutil-bench-", "~fo"))
assert(file:resize(1048576, "~"))
local buffer = memory.create(512)

local start, busy = system.nanosecs(), os.clock()
for i = 0, rounds - 1 do
  local offset = i % 2048 * 512
  file:write(buffer, 1, -1, offset, "~")
  file:read(buffer, 1, -1, offset, "~")
end

print(("%.6f %.6f %d"):format((system.nanosecs() - start) / 1e9, os.clock() - busy, 2 * rounds))
assert(system.removefile(path, "~"))
