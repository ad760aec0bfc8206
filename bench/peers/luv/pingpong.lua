-- bench/pingpong.lua, as a program for luv.
local uv = require "luv"

local rounds = tonumber(arg and arg[1]) or 50000
local ball = ("x"):rep(64)

local server = uv.new_tcp()
assert(server:bind("127.0.0.1", 0))
assert(server:listen(1, function (err)
  assert(not err, err)
  local stream = uv.new_tcp()
  assert(server:accept(stream))
  server:close()
  stream:nodelay(true)
  stream:read_start(function (err, chunk)
    if not chunk then return stream:close() end
    stream:write(chunk)
  end)
end))

local seconds, cpu
local stream = uv.new_tcp()
stream:connect("127.0.0.1", server:getsockname().port, function (err)
  assert(not err, err)
  stream:nodelay(true)
  local start, busy = uv.hrtime(), os.clock()
  local left, length = rounds, 0
  stream:read_start(function (err, chunk)
    assert(chunk, err)
    length = length + #chunk
    if length < #ball then return end
    length = 0
    left = left - 1
    if left > 0 then
      stream:write(ball)
    else
      seconds, cpu = (uv.hrtime() - start) / 1e9, os.clock() - busy
      stream:close()
    end
  end)
  stream:write(ball)
end)
uv.run()

print(("%.6f %.6f %d"):format(seconds, cpu, 2 * rounds))
