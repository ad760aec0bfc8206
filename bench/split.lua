-- A job as tasks of a pool, as many as the second argument says, each on its own thread with an equal part of the work.
local threads = require "coutil.threads"

local work = tonumber(arg and arg[1]) or 4000
local tasks = tonumber(arg and arg[2]) or 2

local pool = assert(threads.create(tasks))
for _ = 1, tasks do
  assert(pool:dofile("bench/job.lua", nil, work / tasks))
end
pool:close()
