-- bench/children.lua, as a program for luv.
local uv = require "luv"

local rounds = tonumber(arg and arg[1]) or 10
local width = 64

local function start_one (left)
  local handle
  handle = assert(uv.spawn("/bin/true", { stdio = { 0, 1, 2 } }, function (status, signal)
    assert(status == 0 and signal == 0)
    handle:close()
    if left > 1 then start_one(left - 1) end
  end))
end
local start, busy = uv.hrtime(), os.clock()
for _ = 1, width do start_one(rounds) end
uv.run()

print(("%.6f %.6f %d"):format((uv.hrtime() - start) / 1e9, os.clock() - busy, rounds * width))
