-- One connection, 64 bytes to and fro. Prints seconds, processor seconds, and messages (one direction
-- each).
local memory = require "coutil.memory"
local system = require "coutil.system"

local rounds = tonumber(arg and arg[1]) or 50000
local ball = ("x"):rep(64)

local server = assert(system.socket("passive", "ipv4"))
assert(server:bind(system.address("ipv4", "127.0.0.1", 0)))
assert(server:listen(1))
local address = server:getaddress()

-- Reads until the buffer is full; false at the end.
local function fill (stream, buffer)
  local length = 0
  repeat
    local count = stream:read(buffer, length + 1)
    if not count then return false end
    length = length + count
  until length == #buffer
  return true
end

coroutine.wrap(function ()
  local stream = assert(server:accept())
  server:close()
  assert(stream:setoption("nodelay", true))
  local buffer = memory.create(#ball)
  while fill(stream, buffer) do assert(stream:write(buffer)) end
  stream:close()
end)()

local seconds, cpu
coroutine.wrap(function ()
  local stream = assert(system.socket("stream", "ipv4"))
  assert(stream:setoption("nodelay", true))
  assert(stream:connect(address))
  local buffer = memory.create(#ball)
  local start, busy = system.nanosecs(), os.clock()
  for _ = 1, rounds do
    assert(stream:write(ball))
    assert(fill(stream, buffer))
  end
  seconds, cpu = (system.nanosecs() - start) / 1e9, os.clock() - busy
  stream:close()
end)()
system.run()

print(("%.6f %.6f %d"):format(seconds, cpu, 2 * rounds))
