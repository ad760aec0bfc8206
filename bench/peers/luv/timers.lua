-- bench/timers.lua, as a program for luv.
local uv = require "luv"

local rounds = tonumber(arg and arg[1]) or 30
local timers = tonumber(arg and arg[2]) or 20000

local expired = 0
local function wait (i)
  local timer = uv.new_timer()
  local round = 1
  local function expire ()
    expired = expired + 1
    round = round + 1
    if round <= rounds then
      timer:start(1 + (i * 7 + round * 13) % 4, 0, expire)
    else
      timer:close()
    end
  end
  timer:start(1 + (i * 7 + round * 13) % 4, 0, expire)
end

local start, busy = uv.hrtime(), os.clock()
for i = 1, timers do wait(i) end
uv.run()

print(("%.6f %.6f %d"):format((uv.hrtime() - start) / 1e9, os.clock() - busy, expired))
