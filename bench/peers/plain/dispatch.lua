-- bench/dispatch.lua, in Rust: two threads with a queue of states.
local plain = require "plain"

local count = tonumber(arg and arg[1]) or 5000

local seconds, processor = plain.now(), os.clock()
plain.dispatch(2, count, "local a, b = ... return a + b")
print(("%.6f %.6f %d"):format(plain.now() - seconds, os.clock() - processor, count))
