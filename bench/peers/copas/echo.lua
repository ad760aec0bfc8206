-- bench/echo.lua, as a program for Copas.
local copas = require "copas"
local socket = require "socket"

local rounds = tonumber(arg and arg[1]) or 1000
local clients = tonumber(arg and arg[2]) or 64
local request, reply = ("q"):rep(512), "reply"

local server = assert(socket.bind("127.0.0.1", 0, clients))
local _, port = server:getsockname()
copas.addserver(server, function (stream)
  stream:setoption("tcp-nodelay", true)
  while copas.receive(stream, #request) do assert(copas.send(stream, reply)) end
end)

local ended = 0
local function client (stream)
  for _ = 1, rounds do
    assert(copas.send(stream, request))
    assert(copas.receive(stream, #reply) == reply)
  end
  stream:close()
  ended = ended + 1
end

local streams = {}
for i = 1, clients do
  streams[i] = assert(socket.connect("127.0.0.1", port))
  streams[i]:setoption("tcp-nodelay", true)
  streams[i]:settimeout(0)
end
local start, busy = socket.gettime(), os.clock()
for i = 1, clients do copas.addthread(function () client(streams[i]) end) end
while ended < clients do copas.step() end

print(("%.6f %.6f %d"):format(socket.gettime() - start, os.clock() - busy, 2 * clients * rounds))
