-- 10 000 open connections (fewer if the limit of open files is low), of which one in a hundred is used: 64 bytes to and
-- fro. Prints seconds, processor seconds, and messages (one direction each).
local event = require "coutil.event"
local memory = require "coutil.memory"
local system = require "coutil.system"

-- Both ends are in this process, and some descriptors are needed for other things.
local limit = 0
for line in io.lines "/proc/self/limits" do limit = tonumber(line:match "^Max open files%s+(%d+)") or limit end
local open = math.min(10000, math.floor((limit - 100) / 2))
local rounds = tonumber(arg and arg[1]) or 500
local data = ("x"):rep(64)

local server = assert(system.socket("passive", "ipv4"))
assert(server:bind(system.address("ipv4", "0.0.0.0", 0)))
assert(server:listen(64))
local port = server:getaddress().port

local function serve (stream)
  local buffer = memory.create(64)
  while true do
    local count = stream:read(buffer)
    if not count then break end
    assert(stream:write(buffer, 1, count))
  end
  stream:close()
end

coroutine.wrap(function ()
  for _ = 1, open do coroutine.wrap(serve)(assert(server:accept())) end
  server:close()
end)()

-- One after the other, as the queue of the server is short.
local start, busy, stop, idle
local active, ended = math.floor(open / 100), 0

local function client (stream, used)
  local buffer = memory.create(64)
  if used then
    event.await "start"
    for _ = 1, rounds do
      assert(stream:write(data))
      assert(stream:read(buffer) == #data)
    end
    ended = ended + 1
    if ended == active then
      stop, idle = system.nanosecs(), os.clock()
      event.emitall "stop"
    end
  else
    event.await "stop"
  end
  stream:close()
end

coroutine.wrap(function ()
  for i = 1, open do
    local stream = assert(system.socket("stream", "ipv4"))
    assert(stream:connect(system.address("ipv4", "127.0.0." .. 1 + i % 100, port)))
    coroutine.wrap(client)(stream, i % 100 == 0)
  end
  start, busy = system.nanosecs(), os.clock()
  event.emitall "start"
end)()
system.run()

print(("%.6f %.6f %d"):format((stop - start) / 1e9, idle - busy, 2 * active * rounds))
