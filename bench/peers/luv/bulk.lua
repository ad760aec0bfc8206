-- bench/bulk.lua, as a program for luv.
local uv = require "luv"

local writes = tonumber(arg and arg[1]) or 2000
local data = ("x"):rep(1048576)

local start, busy, stop, idle
local received = 0
local server = uv.new_tcp()
assert(server:bind("127.0.0.1", 0))
assert(server:listen(1, function (err)
  assert(not err, err)
  local stream = uv.new_tcp()
  assert(server:accept(stream))
  server:close()
  stream:read_start(function (err, chunk)
    if chunk then
      received = received + #chunk
    else
      stop, idle = uv.hrtime(), os.clock()
      stream:close()
    end
  end)
end))

local stream = uv.new_tcp()
stream:connect("127.0.0.1", server:getsockname().port, function (err)
  assert(not err, err)
  stream:nodelay(true)
  start, busy = uv.hrtime(), os.clock()
  local left = writes
  local function written (err)
    assert(not err, err)
    left = left - 1
    if left > 0 then
      stream:write(data, written)
    else
      stream:close()
    end
  end
  stream:write(data, written)
end)
uv.run()

assert(received == writes * #data)
print(("%.6f %.6f %d"):format((stop - start) / 1e9, idle - busy, writes))
