-- Megabytes through a child: written in pieces of 64 KiB to the input of `cat`, read from its output. Prints seconds, processor
-- seconds (of this process, not of its child), and megabytes.
local memory = require "coutil.memory"
local system = require "coutil.system"

local megabytes = tonumber(arg and arg[1]) or 100
local piece = ("x"):rep(65536)

local cat = { execfile = "cat", stdin = "w", stdout = "r" }
local received = 0
local start, busy = system.nanosecs(), os.clock()
coroutine.wrap(function ()
  local how, status = system.execute(cat)
  assert(how == "exit" and status == 0)
end)()
coroutine.wrap(function ()
  for _ = 1, megabytes * 16 do assert(cat.stdin:write(piece)) end
  cat.stdin:close()
end)()
coroutine.wrap(function ()
  local buffer = memory.create(65536)
  while true do
    local count = cat.stdout:read(buffer)
    if not count then break end
    received = received + count
  end
  cat.stdout:close()
end)()
system.run()

assert(received == megabytes * 1048576)
print(("%.6f %.6f %d"):format((system.nanosecs() - start) / 1e9, os.clock() - busy, megabytes))
