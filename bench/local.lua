-- The echo over local sockets: many connections, clients and server in this process: each client sends 512 bytes and waits for the
-- 5 bytes of the reply, again and again. Prints seconds, processor seconds, and messages (one direction each).
local event = require "coutil.event"
local memory = require "coutil.memory"
local system = require "coutil.system"

local rounds = tonumber(arg and arg[1]) or 1000
local clients = tonumber(arg and arg[2]) or 64
local request, reply = ("q"):rep(512), "reply"

local server = assert(system.socket("passive", "local"))
local address = os.tmpname()
os.remove(address)
assert(server:bind(address))
assert(server:listen(clients))

local function serve (stream)
  local buffer = memory.create(#request)
  local length = 0
  while true do
    local count = stream:read(buffer, length + 1)
    if not count then break end
    length = length + count
    if length == #request then
      assert(stream:write(reply))
      length = 0
    end
  end
  stream:close()
end

local connected, ended = 0, 0
local start, busy, stop, idle

local function client ()
  local stream = assert(system.socket("stream", "local"))
  assert(stream:connect(address))
  connected = connected + 1
  if connected < clients then
    event.await "start"
  else
    start, busy = system.nanosecs(), os.clock()
    event.emitall "start"
  end
  local buffer = memory.create(#reply)
  for _ = 1, rounds do
    assert(stream:write(request))
    local length = 0
    repeat length = length + assert(stream:read(buffer, length + 1)) until length == #reply
  end
  ended = ended + 1
  if ended == clients then stop, idle = system.nanosecs(), os.clock() end
  stream:close()
end

coroutine.wrap(function ()
  for _ = 1, clients do coroutine.wrap(serve)(assert(server:accept())) end
  server:close()
end)()
for _ = 1, clients do coroutine.wrap(client)() end
system.run()

print(("%.6f %.6f %d"):format((stop - start) / 1e9, idle - busy, 2 * clients * rounds))
