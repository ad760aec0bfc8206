-- bench/yield.lua, in Rust: two threads with a queue of states.
local plain = require "plain"

local count = tonumber(arg and arg[1]) or 50000
local tasks = 16
local chunk = ("local yield = require 'coroutine'.yield for _ = 1, %d do yield() end"):format(count)

local seconds, processor = plain.now(), os.clock()
plain.tasks(2, tasks, chunk)
print(("%.6f %.6f %d"):format(plain.now() - seconds, os.clock() - processor, tasks * count))
