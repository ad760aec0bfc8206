-- A function is called with a number on another thread, and returns the next one.
local uv = require "luv"

local count = tonumber(arg and arg[1]) or 50000

local done = -1
local seconds, processor, work
work = uv.new_work(function (number) return number + 1 end, function (number)
  done = done + 1
  if done == 0 then seconds, processor = uv.hrtime(), os.clock() end
  if done < count then
    work:queue(number)
  else
    seconds, processor = (uv.hrtime() - seconds) / 1e9, os.clock() - processor
    assert(number == count)
  end
end)
work:queue(-1)
uv.run()
print(("%.6f %.6f %d"):format(seconds, processor, count))
