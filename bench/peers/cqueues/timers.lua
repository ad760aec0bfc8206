-- bench/timers.lua, as a program for cqueues.
local cqueues = require "cqueues"

local rounds = tonumber(arg and arg[1]) or 30
local timers = tonumber(arg and arg[2]) or 20000

local loop = cqueues.new()
local expired = 0
local function wait (i)
  for round = 1, rounds do
    cqueues.sleep((1 + (i * 7 + round * 13) % 4) / 1000)
    expired = expired + 1
  end
end

local start, busy = cqueues.monotime(), os.clock()
for i = 1, timers do loop:wrap(wait, i) end
assert(loop:loop())

print(("%.6f %.6f %d"):format(cqueues.monotime() - start, os.clock() - busy, expired))
