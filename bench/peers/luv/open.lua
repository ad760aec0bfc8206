-- bench/open.lua, as a program for luv.
local uv = require "luv"

local limit = 0
for line in io.lines "/proc/self/limits" do limit = tonumber(line:match "^Max open files%s+(%d+)") or limit end
local open = math.min(10000, math.floor((limit - 100) / 2))
open = math.min(open, tonumber(arg and arg[1]) or open)

local function resident ()
  collectgarbage()
  collectgarbage()
  for line in io.lines "/proc/self/status" do
    local kilobytes = line:match "^VmRSS:%s*(%d+) kB"
    if kilobytes then return tonumber(kilobytes) end
  end
end

local streams = {}
local function wait (stream)
  streams[#streams + 1] = stream
  stream:read_start(function (err, chunk)
    if not chunk then stream:close() end
  end)
end

local server = uv.new_tcp()
assert(server:bind("0.0.0.0", 0))
assert(server:listen(64, function (err)
  assert(not err, err)
  local stream = uv.new_tcp()
  assert(server:accept(stream))
  wait(stream)
end))
local port = server:getsockname().port

local before = resident()
local function connect (i)
  local stream = uv.new_tcp()
  stream:connect("127.0.0." .. 1 + i % 100, port, function (err)
    assert(not err, err)
    wait(stream)
    if i < open then return connect(i + 1) end
    print(("%d %d"):format(resident() - before, #streams))
    os.exit(0, false)
  end)
end
connect(1)
uv.run()
