-- Values between two threads: there by a pair of sockets, back by an `async` handle of the main program. (There is no `async`
-- for the way there: a handle cannot be given back to the one who started the thread.)
local uv = require "luv"

local count = tonumber(arg and arg[1]) or 50000

local fds = uv.socketpair(nil, nil, { nonblock = true }, { nonblock = true })
local there = uv.new_pipe(false)
there:open(fds[1])

local seconds, processor
local exchanged = -1
local back
back = uv.new_async(function (number)
  exchanged = exchanged + 1
  if exchanged == 0 then seconds, processor = uv.hrtime(), os.clock() end
  if exchanged < count then
    there:write(number .. "\n")
  else
    assert(number == count + 1)
    seconds, processor = (uv.hrtime() - seconds) / 1e9, os.clock() - processor
    there:close()
    back:close()
  end
end)

local thread = uv.new_thread(function (fd, back)
  local uv = require "luv"
  local here = uv.new_pipe(false)
  here:open(fd)
  here:read_start(function (_, line)
    if line then
      back:send(tonumber(line) + 1)
    else
      here:close()
    end
  end)
  uv.run()
end, fds[2], back)
there:write "0\n"
uv.run()
thread:join()
print(("%.6f %.6f %d"):format(seconds, processor, 2 * count))
