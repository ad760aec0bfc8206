-- Tiny tasks: each is a thread, with a state of its own; two at once.
local uv = require "luv"

local count = tonumber(arg and arg[1]) or 5000

local function task (a, b) return a + b end

local seconds, processor = uv.hrtime(), os.clock()
local running = {}
for i = 1, count do
  local place = i % 2
  if running[place] then running[place]:join() end
  running[place] = uv.new_thread(task, i, 1)
end
for _, thread in pairs(running) do thread:join() end
print(("%.6f %.6f %d"):format((uv.hrtime() - seconds) / 1e9, os.clock() - processor, count))
