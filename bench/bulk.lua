-- One client that writes a mebibyte at a time, each write after the one before, and a server that reads as much as is
-- there. Prints seconds and processor seconds until the server has all, and messages (writes).
local memory = require "coutil.memory"
local system = require "coutil.system"

local writes = tonumber(arg and arg[1]) or 2000
local data = ("x"):rep(1048576)

local server = assert(system.socket("passive", "ipv4"))
assert(server:bind(system.address("ipv4", "127.0.0.1", 0)))
assert(server:listen(1))
local address = server:getaddress()

local start, busy, stop, idle
local received = 0
coroutine.wrap(function ()
  local stream = assert(server:accept())
  server:close()
  local buffer = memory.create(#data)
  while true do
    local count = stream:read(buffer)
    if not count then break end
    received = received + count
  end
  stop, idle = system.nanosecs(), os.clock()
  stream:close()
end)()

coroutine.wrap(function ()
  local stream = assert(system.socket("stream", "ipv4"))
  assert(stream:setoption("nodelay", true))
  assert(stream:connect(address))
  start, busy = system.nanosecs(), os.clock()
  for _ = 1, writes do assert(stream:write(data)) end
  stream:close()
end)()
system.run()

assert(received == writes * #data)
print(("%.6f %.6f %d"):format((stop - start) / 1e9, idle - busy, writes))
