-- bench/pingpong.lua, as a program for cqueues.
local cqueues = require "cqueues"
local socket = require "cqueues.socket"

local rounds = tonumber(arg and arg[1]) or 50000
local ball = ("x"):rep(64)

local loop = cqueues.new()
local server = assert(socket.listen { host = "127.0.0.1", port = 0, nodelay = true })
assert(server:listen())
local _, _, port = server:localname()

loop:wrap(function ()
  local stream = assert(server:accept { nodelay = true })
  server:close()
  stream:setmode("bn", "bn")
  while true do
    local data = stream:read(#ball)
    if not data then break end
    assert(stream:write(data))
  end
  stream:close()
end)

local seconds, cpu
loop:wrap(function ()
  local stream = assert(socket.connect { host = "127.0.0.1", port = port, nodelay = true })
  stream:setmode("bn", "bn")
  assert(stream:connect())
  local start, busy = cqueues.monotime(), os.clock()
  for _ = 1, rounds do
    assert(stream:write(ball))
    assert(stream:read(#ball))
  end
  seconds, cpu = cqueues.monotime() - start, os.clock() - busy
  stream:close()
end)
assert(loop:loop())

print(("%.6f %.6f %d"):format(seconds, cpu, 2 * rounds))
