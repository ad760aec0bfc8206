-- Values between two threads that the main program has started: lines over a pair of sockets.
local uv = require "luv"

local count = tonumber(arg and arg[1]) or 50000

local function asks (fd, count)
  local uv = require "luv"
  local peer = uv.new_pipe(false)
  peer:open(fd)
  local answers = 0
  peer:read_start(function (_, line)
    answers = answers + 1
    if answers < count then
      peer:write(tonumber(line) .. "\n")
    else
      assert(tonumber(line) == count)
      peer:close()
    end
  end)
  peer:write "0\n"
  uv.run()
end
local function answers (fd)
  local uv = require "luv"
  local peer = uv.new_pipe(false)
  peer:open(fd)
  peer:read_start(function (_, line)
    if line then
      peer:write(tonumber(line) + 1 .. "\n")
    else
      peer:close()
    end
  end)
  uv.run()
end

local fds = uv.socketpair(nil, nil, { nonblock = true }, { nonblock = true })
local seconds, processor = uv.hrtime(), os.clock()
local one = uv.new_thread(asks, fds[1], count)
local two = uv.new_thread(answers, fds[2])
one:join()
two:join()
print(("%.6f %.6f %d"):format((uv.hrtime() - seconds) / 1e9, os.clock() - processor, 2 * count))
