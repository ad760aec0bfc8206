-- bench/upload.lua, as a program for cqueues.
local cqueues = require "cqueues"
local socket = require "cqueues.socket"

local writes = tonumber(arg and arg[1]) or 200000
local data = ("x"):rep(512)

local loop = cqueues.new()
local server = assert(socket.listen { host = "127.0.0.1", port = 0, nodelay = true })
assert(server:listen())
local _, _, port = server:localname()

local start, busy, stop, idle
local received = 0
loop:wrap(function ()
  local stream = assert(server:accept { nodelay = true })
  server:close()
  stream:setmode("bn", "bn")
  while true do
    local chunk = stream:read(-65536)
    if not chunk then break end
    received = received + #chunk
  end
  stop, idle = cqueues.monotime(), os.clock()
  stream:close()
end)

loop:wrap(function ()
  local stream = assert(socket.connect { host = "127.0.0.1", port = port, nodelay = true })
  stream:setmode("bn", "bn")
  assert(stream:connect())
  start, busy = cqueues.monotime(), os.clock()
  for _ = 1, writes do assert(stream:write(data)) end
  stream:close()
end)
assert(loop:loop())

assert(received == writes * #data)
print(("%.6f %.6f %d"):format(stop - start, idle - busy, writes))
