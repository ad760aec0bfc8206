-- Tiny jobs: two tasks on two threads take them from a channel, and give the last result for the next job. 64 coroutines of the main
-- program have jobs.
-- Prints the seconds, the processor seconds, and the number of jobs.
local channel = require "coutil.channel"
local system = require "coutil.system"
local threads = require "coutil.threads"

local count = tonumber(arg and arg[1]) or 100000

local pool = assert(threads.create(2))
for _ = 1, 2 do
  assert(pool:dostring([[
    local yield = require "coroutine".yield
    local _, a, b = yield("jobs", "in")
    while a do
      _, a, b = yield("jobs", "in", a + b)
    end
  ]]))
end

local begun, results, left = 0, 0, 64
local seconds, processor = system.nanosecs(), os.clock()
for _ = 1, left do
  coroutine.wrap(function ()
    local jobs, awaitch = channel.create "jobs", system.awaitch
    while begun < count do
      begun = begun + 1
      local _, result = awaitch(jobs, "out", begun, 1)
      if result then results = results + 1 end
    end
    left = left - 1
    if left > 0 then return end
    for _ = 1, 2 do
      local _, result = awaitch(jobs, "out")
      if result then results = results + 1 end
    end
    assert(results == count)
  end)()
end
system.run()
pool:close()
print(("%.6f %.6f %d"):format((system.nanosecs() - seconds) / 1e9, os.clock() - processor, count))
