-- 100 000 coroutines that wait for a timer of an hour. Prints the resident memory that they take, in KB, and how many
-- they are.
local system = require "coutil.system"

local count = tonumber(arg and arg[1]) or 100000

local function resident ()
  collectgarbage()
  collectgarbage()
  for line in io.lines "/proc/self/status" do
    local kilobytes = line:match "^VmRSS:%s*(%d+) kB"
    if kilobytes then return tonumber(kilobytes) end
  end
end

local function wait () system.suspend(3600) end

coroutine.wrap(wait)()
system.run "ready"
local before = resident()
for _ = 1, count do coroutine.wrap(wait)() end
system.run "ready"
print(("%d %d"):format(resident() - before, count))
os.exit(true)
