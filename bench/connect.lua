-- Connections that are made, accepted and closed, by 32 clients at the same time; each closes when the server has. Prints
-- seconds, processor seconds, and connections.
local memory = require "coutil.memory"
local system = require "coutil.system"

local count = tonumber(arg and arg[1]) or 10000
local clients = 32

local server = assert(system.socket("passive", "ipv4"))
assert(server:bind(system.address("ipv4", "127.0.0.1", 0)))
assert(server:listen(clients))
local address = server:getaddress()

local start, busy = system.nanosecs(), os.clock()
coroutine.wrap(function ()
  for _ = 1, count do assert(server:accept()):close() end
  server:close()
end)()

local left = count
local function client ()
  local buffer = memory.create(16)
  while left > 0 do
    left = left - 1
    local stream = assert(system.socket("stream", "ipv4"))
    assert(stream:connect(address))
    assert(not stream:read(buffer))
    stream:close()
  end
end
for _ = 1, clients do coroutine.wrap(client)() end
system.run()

print(("%.6f %.6f %d"):format((system.nanosecs() - start) / 1e9, os.clock() - busy, count))
