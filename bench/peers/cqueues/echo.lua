-- bench/echo.lua, as a program for cqueues.
local cqueues = require "cqueues"
local condition = require "cqueues.condition"
local socket = require "cqueues.socket"

local rounds = tonumber(arg and arg[1]) or 1000
local clients = tonumber(arg and arg[2]) or 64
local request, reply = ("q"):rep(512), "reply"

local loop = cqueues.new()
local server = assert(socket.listen { host = "127.0.0.1", port = 0, nodelay = true })
assert(server:listen())
local _, _, port = server:localname()

local function serve (stream)
  while stream:read(#request) do assert(stream:write(reply)) end
  stream:close()
end

local connected, ended = 0, 0
local start, busy, stop, idle
local all = condition.new()

local function client ()
  local stream = assert(socket.connect { host = "127.0.0.1", port = port, nodelay = true })
  stream:setmode("bn", "bn")
  assert(stream:connect())
  connected = connected + 1
  if connected < clients then
    all:wait()
  else
    start, busy = cqueues.monotime(), os.clock()
    all:signal()
  end
  for _ = 1, rounds do
    assert(stream:write(request))
    assert(stream:read(#reply) == reply)
  end
  ended = ended + 1
  if ended == clients then stop, idle = cqueues.monotime(), os.clock() end
  stream:close()
end

loop:wrap(function ()
  for _ = 1, clients do
    local stream = assert(server:accept { nodelay = true })
    stream:setmode("bn", "bn")
    loop:wrap(serve, stream)
  end
  server:close()
end)
for _ = 1, clients do loop:wrap(client) end
assert(loop:loop())

print(("%.6f %.6f %d"):format(stop - start, idle - busy, 2 * clients * rounds))
