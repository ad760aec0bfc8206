-- bench/pipe.lua, as a program for luv.
local uv = require "luv"

local megabytes = tonumber(arg and arg[1]) or 100
local piece = ("x"):rep(65536)

local received = 0
local start, busy = uv.hrtime(), os.clock()
local input, output = uv.new_pipe(false), uv.new_pipe(false)
local handle
handle = assert(uv.spawn("cat", { stdio = { input, output, 2 } }, function (status, signal)
  assert(status == 0 and signal == 0)
  handle:close()
end))
local left = megabytes * 16
local function written (err)
  assert(not err, err)
  left = left - 1
  if left > 0 then
    input:write(piece, written)
  else
    input:close()
  end
end
input:write(piece, written)
output:read_start(function (err, chunk)
  assert(not err, err)
  if chunk then
    received = received + #chunk
  else
    output:close()
  end
end)
uv.run()

assert(received == megabytes * 1048576)
print(("%.6f %.6f %d"):format((uv.hrtime() - start) / 1e9, os.clock() - busy, megabytes))
