-- Small files: eight coroutines, each of which makes a file, writes 1000 bytes, reads them, closes and removes it, again and again.
-- Prints seconds, processor seconds, and calls.
local memory = require "coutil.memory"
local system = require "coutil.system"

local rounds = tonumber(arg and arg[1]) or 2000
local folder = assert(system.maketemp((os.getenv "TMPDIR" or "/tmp") .. "/coutil-bench-", "~"))
local data = ("x"):rep(1000)

local calls = 0
local function work (i)
  local path, buffer = folder .. "/" .. i, memory.create(1000)
  for _ = 1, rounds do
    local file = assert(system.openfile(path, "rwn", "rw"))
    assert(file:write(data, 1, -1, 0) == 1000)
    assert(file:read(buffer, 1, -1, 0) == 1000)
    assert(file:close())
    assert(system.removefile(path))
    calls = calls + 5
  end
end

local start, busy = system.nanosecs(), os.clock()
for i = 1, 8 do coroutine.wrap(work)(i) end
system.run()

print(("%.6f %.6f %d"):format((system.nanosecs() - start) / 1e9, os.clock() - busy, calls))
assert(system.removefile(folder, "~d"))
