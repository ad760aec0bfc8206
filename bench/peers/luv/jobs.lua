-- Tiny jobs for the threads of libuv, each of which has a state that it uses again.
local uv = require "luv"

local count = tonumber(arg and arg[1]) or 100000

local results = 0
local work = uv.new_work(function (a, b) return a + b end, function () results = results + 1 end)

local seconds, processor = uv.hrtime(), os.clock()
for i = 1, count do work:queue(i, 1) end
uv.run()
assert(results == count)
print(("%.6f %.6f %d"):format((uv.hrtime() - seconds) / 1e9, os.clock() - processor, count))
