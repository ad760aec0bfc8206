-- Values between two threads: lines over the socket pair that a thread comes with.
local cqueues = require "cqueues"
local thread = require "cqueues.thread"

local count = tonumber(arg and arg[1]) or 50000

local loop = cqueues.new()
local seconds, processor
loop:wrap(function ()
  local other, con = thread.start(function (con)
    con:setmode("bl", "bn")
    for line in con:lines "*L" do
      local number = tonumber(line)
      if number < 0 then break end
      con:write(number + 1, "\n")
    end
  end)
  con:setmode("bl", "bn")
  local function ask (number)
    con:write(number, "\n")
    return tonumber((con:read "*L"))
  end
  local number = ask(0)
  seconds, processor = cqueues.monotime(), os.clock()
  for _ = 1, count do number = ask(number) end
  seconds, processor = cqueues.monotime() - seconds, os.clock() - processor
  assert(number == count + 1)
  con:write(-1, "\n")
  other:join()
end)
assert(loop:loop())
print(("%.6f %.6f %d"):format(seconds, processor, 2 * count))
