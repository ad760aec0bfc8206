-- bench/start.lua, as a program for luv.
local uv = require "luv"

local processes = tonumber(arg and arg[1]) or 300

local stop, idle
local left = processes
local function start_one ()
  local handle
  handle = assert(uv.spawn("/bin/true", { stdio = { 0, 1, 2 } }, function (status, signal)
    assert(status == 0 and signal == 0)
    handle:close()
    left = left - 1
    if left > 0 then
      start_one()
    else
      stop, idle = uv.hrtime(), os.clock()
    end
  end))
end
local start, busy = uv.hrtime(), os.clock()
start_one()
uv.run()

print(("%.6f %.6f %d"):format((stop - start) / 1e9, idle - busy, processes))
