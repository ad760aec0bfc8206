-- Two UDP sockets that send 64 bytes to and fro. Prints seconds, processor seconds, and messages (one direction each).
local memory = require "coutil.memory"
local system = require "coutil.system"

local rounds = tonumber(arg and arg[1]) or 50000
local data = ("x"):rep(64)

local function bound ()
  local socket = assert(system.socket("datagram", "ipv4"))
  assert(socket:bind(system.address("ipv4", "127.0.0.1", 0)))
  return socket
end

local a, b = bound(), bound()
assert(a:connect(b:getaddress()))
assert(b:connect(a:getaddress()))

local start, busy, stop, idle
coroutine.wrap(function ()
  local buffer = memory.create(2048)
  for _ = 1, rounds do
    local count = assert(b:read(buffer))
    assert(b:write(buffer, 1, count))
  end
  b:close()
end)()
coroutine.wrap(function ()
  local buffer = memory.create(2048)
  start, busy = system.nanosecs(), os.clock()
  for _ = 1, rounds do
    assert(a:write(data))
    assert(a:read(buffer) == #data)
  end
  stop, idle = system.nanosecs(), os.clock()
  a:close()
end)()
system.run()

print(("%.6f %.6f %d"):format((stop - start) / 1e9, idle - busy, 2 * rounds))
