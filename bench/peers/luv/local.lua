-- bench/local.lua, as a program for luv.
local uv = require "luv"

local rounds = tonumber(arg and arg[1]) or 1000
local clients = tonumber(arg and arg[2]) or 64
local request, reply = ("q"):rep(512), "reply"

local server = uv.new_pipe(false)
local path = os.tmpname()
os.remove(path)
assert(server:bind(path))
local accepted = 0
assert(server:listen(clients, function (err)
  assert(not err, err)
  local stream = uv.new_pipe(false)
  assert(server:accept(stream))
  local length = 0
  stream:read_start(function (err, chunk)
    if not chunk then return stream:close() end
    length = length + #chunk
    if length == #request then
      stream:write(reply)
      length = 0
    end
  end)
  accepted = accepted + 1
  if accepted == clients then server:close() end
end))

local connected, ended = 0, 0
local start, busy, stop, idle
local streams = {}

local function client (stream)
  local left, length = rounds, 0
  stream:read_start(function (err, chunk)
    assert(chunk, err)
    length = length + #chunk
    if length == #reply then
      length = 0
      left = left - 1
      if left > 0 then
        stream:write(request)
      else
        ended = ended + 1
        if ended == clients then stop, idle = uv.hrtime(), os.clock() end
        stream:close()
      end
    end
  end)
  stream:write(request)
end

for _ = 1, clients do
  local stream = uv.new_pipe(false)
  stream:connect(path, function (err)
    assert(not err, err)
      streams[#streams + 1] = stream
    connected = connected + 1
    if connected == clients then
      start, busy = uv.hrtime(), os.clock()
      for _, each in ipairs(streams) do client(each) end
    end
  end)
end
uv.run()

print(("%.6f %.6f %d"):format((stop - start) / 1e9, idle - busy, 2 * clients * rounds))
