-- bench/resume.lua, in Rust: a thread with a state, and two channels of the standard library.
local plain = require "plain"

local count = tonumber(arg and arg[1]) or 50000

local seconds, processor = plain.now(), os.clock()
local number = plain.resume(count, [[
  local yield = require "coroutine".yield
  local number = ...
  while true do number = yield(number + 1) end
]])
seconds, processor = plain.now() - seconds, os.clock() - processor
assert(number == count)
print(("%.6f %.6f %d"):format(seconds, processor, count))
