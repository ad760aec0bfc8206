-- Tiny tasks: each is a thread, with a state of its own; two at once.
local cqueues = require "cqueues"
local thread = require "cqueues.thread"

local count = tonumber(arg and arg[1]) or 5000

local function task (_, a, b) return a + b end

local loop = cqueues.new()
local seconds, processor = cqueues.monotime(), os.clock()
for place = 0, 1 do
  loop:wrap(function ()
    for i = 1 + place, count, 2 do
      local running, con = thread.start(task, i, 1)
      running:join()
      con:close()
    end
  end)
end
assert(loop:loop())
print(("%.6f %.6f %d"):format(cqueues.monotime() - seconds, os.clock() - processor, count))
