-- bench/idle.lua, as a program for cqueues.
local cqueues = require "cqueues"

local count = tonumber(arg and arg[1]) or 100000

local function resident ()
  collectgarbage()
  collectgarbage()
  for line in io.lines "/proc/self/status" do
    local kilobytes = line:match "^VmRSS:%s*(%d+) kB"
    if kilobytes then return tonumber(kilobytes) end
  end
end

local function wait () cqueues.sleep(3600) end

local loop = cqueues.new()
loop:wrap(wait)
loop:step(0)
local before = resident()
for _ = 1, count do loop:wrap(wait) end
loop:step(0)
print(("%d %d"):format(resident() - before, count))
-- Without ending the coroutines one by one.
os.exit(0, false)
