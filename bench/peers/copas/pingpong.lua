-- bench/pingpong.lua, as a program for Copas.
local copas = require "copas"
local socket = require "socket"

local rounds = tonumber(arg and arg[1]) or 50000
local ball = ("x"):rep(64)

local server = assert(socket.bind("127.0.0.1", 0, 1))
local _, port = server:getsockname()
copas.addserver(server, function (stream)
  stream:setoption("tcp-nodelay", true)
  while true do
    local data = copas.receive(stream, #ball)
    if not data then break end
    assert(copas.send(stream, data))
  end
end)

local stream = assert(socket.connect("127.0.0.1", port))
stream:setoption("tcp-nodelay", true)
stream:settimeout(0)
local ended = false
local start, busy = socket.gettime(), os.clock()
copas.addthread(function ()
  for _ = 1, rounds do
    assert(copas.send(stream, ball))
    assert(copas.receive(stream, #ball))
  end
  stream:close()
  ended = true
end)
while not ended do copas.step() end

print(("%.6f %.6f %d"):format(socket.gettime() - start, os.clock() - busy, 2 * rounds))
