-- bench/active.lua, as a program for luv.
local uv = require "luv"

local limit = 0
for line in io.lines "/proc/self/limits" do limit = tonumber(line:match "^Max open files%s+(%d+)") or limit end
local open = math.min(10000, math.floor((limit - 100) / 2))
local rounds = tonumber(arg and arg[1]) or 500
local data = ("x"):rep(64)

local server = uv.new_tcp()
assert(server:bind("0.0.0.0", 0))
local accepted = 0
assert(server:listen(64, function (err)
  assert(not err, err)
  local stream = uv.new_tcp()
  assert(server:accept(stream))
  stream:read_start(function (err, chunk)
    if not chunk then return stream:close() end
    stream:write(chunk)
  end)
  accepted = accepted + 1
  if accepted == open then server:close() end
end))
local port = server:getsockname().port

local start, busy, stop, idle
local active, ended = math.floor(open / 100), 0
local streams, used = {}, {}

local function client (stream)
  local left = rounds
  stream:read_start(function (err, chunk)
    assert(chunk and #chunk == #data)
    left = left - 1
    if left > 0 then
      stream:write(data)
    else
      ended = ended + 1
      if ended == active then
        stop, idle = uv.hrtime(), os.clock()
        for _, each in ipairs(streams) do each:close() end
      end
    end
  end)
  stream:write(data)
end

local function connect (i)
  local stream = uv.new_tcp()
  stream:connect("127.0.0." .. 1 + i % 100, port, function (err)
    assert(not err, err)
    streams[i] = stream
    if i % 100 == 0 then used[#used + 1] = stream end
    if i < open then return connect(i + 1) end
    start, busy = uv.hrtime(), os.clock()
    for _, each in ipairs(used) do client(each) end
  end)
end
connect(1)
uv.run()

print(("%.6f %.6f %d"):format((stop - start) / 1e9, idle - busy, 2 * active * rounds))
