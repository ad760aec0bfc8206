-- Copies of a file of 32 MiB. Prints seconds, processor seconds, and MiB.
local memory = require "coutil.memory"
local system = require "coutil.system"

local copies = tonumber(arg and arg[1]) or 30
local folder = assert(system.maketemp((os.getenv "TMPDIR" or "/tmp") .. "/coutil-bench-", "~"))
local file = assert(system.openfile(folder .. "/from", "wN~", "rw"))
local data = memory.create(1048576)
for _ = 1, 32 do
  system.random(data, 1, -1, "~")
  file:write(data, 1, -1, nil, "~")
end

local function work ()
  for _ = 1, copies do assert(system.copyfile(folder .. "/from", folder .. "/to")) end
end

local start, busy = system.nanosecs(), os.clock()
coroutine.wrap(work)()
system.run()

print(("%.6f %.6f %d"):format((system.nanosecs() - start) / 1e9, os.clock() - busy, 32 * copies))
for _, name in ipairs { "/from", "/to", "" } do assert(system.removefile(folder .. name, name == "" and "~d" or "~")) end
