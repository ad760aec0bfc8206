-- bench/state.lua, in Rust: `luaL_newstate`, the same libraries, the chunk, `lua_close`.
local plain = require "plain"

local count = tonumber(arg and arg[1]) or 30000

local seconds, processor = plain.now(), os.clock()
plain.state(count, "local a, b = ... return a + b")
print(("%.6f %.6f %d"):format(plain.now() - seconds, os.clock() - processor, count))
