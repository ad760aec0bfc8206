-- Threads that wait for nothing, each with a state.
local uv = require "luv"

local count = math.min(tonumber(arg and arg[1]) or 1000, 200)

local function resident ()
  collectgarbage()
  collectgarbage()
  for line in io.lines "/proc/self/status" do
    local kilobytes = line:match "^VmRSS:%s*(%d+) kB"
    if kilobytes then return tonumber(kilobytes) end
  end
end

local ready = uv.new_async(function () end)
local function idle (ready)
  local uv = require "luv"
  uv.new_async(function () end)
  ready:send()
  uv.run()
end
local running = {}
local function add (count)
  for _ = 1, count do running[#running + 1] = uv.new_thread(idle, ready) end
  uv.sleep(200)
end
add(1)
local before = resident()
add(count)
print(("%d %d"):format(resident() - before, count))
io.stdout:flush()
os.exit(0, false)
