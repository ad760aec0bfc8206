-- bench/udp.lua, as a program for luv.
local uv = require "luv"

local rounds = tonumber(arg and arg[1]) or 50000
local data = ("x"):rep(64)

local function bound ()
  local socket = uv.new_udp()
  assert(socket:bind("127.0.0.1", 0))
  return socket
end

local a, b = bound(), bound()
assert(a:connect("127.0.0.1", b:getsockname().port))
assert(b:connect("127.0.0.1", a:getsockname().port))

local start, busy, stop, idle
local function sent (err) assert(not err, err) end

b:recv_start(function (err, chunk)
  assert(not err, err)
  if chunk then b:send(chunk, nil, nil, sent) end
end)

local left = rounds
a:recv_start(function (err, chunk)
  assert(not err, err)
  if not chunk then return end
  assert(#chunk == #data)
  left = left - 1
  if left > 0 then
    a:send(data, nil, nil, sent)
  else
    stop, idle = uv.hrtime(), os.clock()
    a:close()
    b:close()
  end
end)
start, busy = uv.hrtime(), os.clock()
a:send(data, nil, nil, sent)
uv.run()

print(("%.6f %.6f %d"):format((stop - start) / 1e9, idle - busy, 2 * rounds))
