-- bench/idle.lua, as a program for luv: a coroutine that waits for a timer is a timer that resumes a coroutine.
local uv = require "luv"

local count = tonumber(arg and arg[1]) or 100000

local function resident ()
  collectgarbage()
  collectgarbage()
  for line in io.lines "/proc/self/status" do
    local kilobytes = line:match "^VmRSS:%s*(%d+) kB"
    if kilobytes then return tonumber(kilobytes) end
  end
end

local function suspend (milliseconds)
  local co = coroutine.running()
  local timer = uv.new_timer()
  timer:start(milliseconds, 0, function ()
    timer:close()
    assert(coroutine.resume(co))
  end)
  coroutine.yield()
end

local function wait () suspend(3600000) end

coroutine.wrap(wait)()
uv.run "nowait"
local before = resident()
for _ = 1, count do coroutine.wrap(wait)() end
uv.run "nowait"
print(("%d %d"):format(resident() - before, count))
-- Without closing the timers one by one.
os.exit(0, false)
