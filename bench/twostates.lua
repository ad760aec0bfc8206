-- Servers with their clients, each pair in a state and on a thread of its own: as many as the second argument says.
local threads = require "coutil.threads"

local work = tonumber(arg and arg[1]) or 2000
local states = tonumber(arg and arg[2]) or 2

local pool = assert(threads.create(states))
for _ = 1, states do
  assert(pool:dofile("bench/server.lua", nil, work))
end
pool:close()
