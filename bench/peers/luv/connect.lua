-- bench/connect.lua, as a program for luv.
local uv = require "luv"

local count = tonumber(arg and arg[1]) or 10000
local clients = 32

local server = uv.new_tcp()
assert(server:bind("127.0.0.1", 0))
local accepted = 0
assert(server:listen(clients, function (err)
  assert(not err, err)
  local stream = uv.new_tcp()
  assert(server:accept(stream))
  stream:close()
  accepted = accepted + 1
  if accepted == count then server:close() end
end))
local port = server:getsockname().port

local start, busy = uv.hrtime(), os.clock()
local left = count
local function client ()
  if left == 0 then return end
  left = left - 1
  local stream = uv.new_tcp()
  stream:connect("127.0.0.1", port, function (err)
    assert(not err, err)
    stream:read_start(function (err, chunk)
      assert(not chunk)
      stream:close()
      client()
    end)
  end)
end
for _ = 1, clients do client() end
uv.run()

print(("%.6f %.6f %d"):format((uv.hrtime() - start) / 1e9, os.clock() - busy, count))
