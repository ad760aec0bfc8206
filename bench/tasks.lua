-- 1000 tasks that wait on a channel. Prints the resident memory that they take, in KB, and how many they are.
local threads = require "coutil.threads"

local count = tonumber(arg and arg[1]) or 1000

local function resident ()
  collectgarbage()
  collectgarbage()
  for line in io.lines "/proc/self/status" do
    local kilobytes = line:match "^VmRSS:%s*(%d+) kB"
    if kilobytes then return tonumber(kilobytes) end
  end
end

local pool = assert(threads.create(1))
local function add (count)
  for _ = 1, count do
    assert(pool:dostring "require 'coroutine'.yield('nothing', 'in')")
  end
  local tasks, suspended
  repeat tasks, suspended = pool:count "ns" until suspended == tasks
end

add(1)
local before = resident()
add(count)
print(("%d %d"):format(resident() - before, count))
pool:resize(0)
