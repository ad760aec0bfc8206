-- bench/exchange1.lua, in Rust: a thread with a queue of states, which exchange numbers where they meet.
local plain = require "plain"

local count = tonumber(arg and arg[1]) or 300000
local chunk = ("local yield, number = require 'coroutine'.yield, 0 for _ = 1, %d do number = yield(number) + 1 end"):format(2 * count)

local seconds, processor = plain.now(), os.clock()
plain.tasks(tonumber(arg and arg[2]) or 1, 1, chunk, chunk)
print(("%.6f %.6f %d"):format(plain.now() - seconds, os.clock() - processor, 2 * count))
