-- bench/tasks.lua, in Rust: states whose chunk has yielded.
local plain = require "plain"

local count = tonumber(arg and arg[1]) or 1000

local function resident ()
  collectgarbage()
  collectgarbage()
  for line in io.lines "/proc/self/status" do
    local kilobytes = line:match "^VmRSS:%s*(%d+) kB"
    if kilobytes then return tonumber(kilobytes) end
  end
end

local chunk = "require 'coroutine'.yield('nothing', 'in')"
plain.idle(1, chunk)
local before = resident()
plain.idle(count, chunk)
print(("%d %d"):format(resident() - before, count))
