-- The names of 20 000 files of a directory, again and again. Prints seconds, processor seconds, and names.
local system = require "coutil.system"

local rounds = tonumber(arg and arg[1]) or 50
local folder = assert(system.maketemp((os.getenv "TMPDIR" or "/tmp") .. "/coutil-bench-", "~"))
for i = 1, 20000 do assert(system.openfile(folder .. "/a file of some name " .. i, "wN~", "rw")):close "~" end

local names = 0
local function work ()
  for _ = 1, rounds do
    for name, kind in system.listdir(folder) do
      if kind == "file" and #name > 20 then names = names + 1 end
    end
  end
end

local start, busy = system.nanosecs(), os.clock()
coroutine.wrap(work)()
system.run()

print(("%.6f %.6f %d"):format((system.nanosecs() - start) / 1e9, os.clock() - busy, names))
for name in system.listdir(folder, "~") do system.removefile(folder .. "/" .. name, "~") end
assert(system.removefile(folder, "~d"))
