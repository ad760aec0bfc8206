-- Values between the main program and a task of a pool: the main program sends a number, and gets the next one back.
-- Prints the seconds, the processor seconds, and the number of exchanges.
local channel = require "coutil.channel"
local system = require "coutil.system"
local threads = require "coutil.threads"

local count = tonumber(arg and arg[1]) or 50000

local pool = assert(threads.create(1))
assert(pool:dostring([[
  local yield = require "coroutine".yield
  local _, number = yield("there", "in")
  while number do
    yield("back", "out", number + 1)
    _, number = yield("there", "in")
  end
]]))

local seconds, processor
coroutine.wrap(function ()
  local there, back = channel.create "there", channel.create "back"
  local awaitch, number = system.awaitch, 0
  awaitch(there, "out", number)
  _, number = awaitch(back, "in")
  seconds, processor = system.nanosecs(), os.clock()
  for _ = 1, count do
    awaitch(there, "out", number)
    local _, answer = awaitch(back, "in")
    number = answer
  end
  seconds, processor = (system.nanosecs() - seconds) / 1e9, os.clock() - processor
  awaitch(there, "out")
  assert(number == count + 1)
end)()
system.run()
pool:close()
print(("%.6f %.6f %d"):format(seconds, processor, 2 * count))
