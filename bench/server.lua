-- A server with its 16 clients, in one state: 512 bytes there, 5 bytes back, as often as the argument says. A task of bench/twostates.lua.
local base = require "_G"
local coroutine = require "coroutine"
local string = require "string"
local memory = require "coutil.memory"
local system = require "coutil.system"
local assert = base.assert

local rounds = base.tonumber((...))
local clients = 16
local request, reply = string.rep("q", 512), "reply"

local server = assert(system.socket("passive", "ipv4"))
assert(server:bind(system.address("ipv4", "127.0.0.1", 0)))
assert(server:listen(clients))
local address = server:getaddress()

local function serve (stream)
  assert(stream:setoption("nodelay", true))
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

local function client ()
  local stream = assert(system.socket("stream", "ipv4"))
  assert(stream:setoption("nodelay", true))
  assert(stream:connect(address))
  local buffer = memory.create(#reply)
  for _ = 1, rounds do
    assert(stream:write(request))
    local length = 0
    repeat length = length + assert(stream:read(buffer, length + 1)) until length == #reply
  end
  stream:close()
end

coroutine.wrap(function ()
  for _ = 1, clients do coroutine.wrap(serve)(assert(server:accept())) end
  server:close()
end)()
for _ = 1, clients do coroutine.wrap(client)() end
system.run()
