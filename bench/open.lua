-- 10 000 open connections (fewer if the limit of open files is low) on which nothing happens, while both ends wait to read.
-- Prints the resident memory that they take, in KB, and how many ends they have.
local memory = require "coutil.memory"
local system = require "coutil.system"

-- Both ends are in this process, and some descriptors are needed for other things.
local limit = 0
for line in io.lines "/proc/self/limits" do limit = tonumber(line:match "^Max open files%s+(%d+)") or limit end
local open = math.min(10000, math.floor((limit - 100) / 2))
open = math.min(open, tonumber(arg and arg[1]) or open)

local function resident ()
  collectgarbage()
  collectgarbage()
  for line in io.lines "/proc/self/status" do
    local kilobytes = line:match "^VmRSS:%s*(%d+) kB"
    if kilobytes then return tonumber(kilobytes) end
  end
end

local server = assert(system.socket("passive", "ipv4"))
assert(server:bind(system.address("ipv4", "0.0.0.0", 0)))
assert(server:listen(64))
local port = server:getaddress().port

-- One buffer for all: where nothing happens, nobody uses it.
local buffer = memory.create(64)
local function wait (stream) stream:read(buffer) end

local before
coroutine.wrap(function ()
  for _ = 1, open do coroutine.wrap(wait)(assert(server:accept())) end
end)()
coroutine.wrap(function ()
  before = resident()
  for i = 1, open do
    local stream = assert(system.socket("stream", "ipv4"))
    assert(stream:connect(system.address("ipv4", "127.0.0." .. 1 + i % 100, port)))
    coroutine.wrap(wait)(stream)
  end
  system.suspend()
  print(("%d %d"):format(resident() - before, 2 * open))
  os.exit(true)
end)()
system.run()
