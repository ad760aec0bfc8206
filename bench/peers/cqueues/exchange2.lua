-- Values between two threads that the main program has started: lines over a pair of sockets.
local cqueues = require "cqueues"
local socket = require "cqueues.socket"
local thread = require "cqueues.thread"

local count = tonumber(arg and arg[1]) or 50000

local function asks (con, fd, count)
  local cqueues = require "cqueues"
  local socket = require "cqueues.socket"
  local loop = cqueues.new()
  loop:wrap(function ()
    local peer = assert(socket.fdopen(fd))
    peer:setmode("bl", "bn")
    local number = 0
    for _ = 1, count do
      peer:write(number, "\n")
      number = tonumber((peer:read "*L"))
    end
    con:setmode("bl", "bn")
    con:write(number, "\n")
  end)
  assert(loop:loop())
end
local function answers (con, fd, count)
  local cqueues = require "cqueues"
  local socket = require "cqueues.socket"
  local loop = cqueues.new()
  loop:wrap(function ()
    local peer = assert(socket.fdopen(fd))
    peer:setmode("bl", "bn")
    for _ = 1, count do
      local number = tonumber((peer:read "*L"))
      peer:write(number + 1, "\n")
    end
  end)
  assert(loop:loop())
end

local loop = cqueues.new()
loop:wrap(function ()
  local left, right = assert(socket.pair())
  local seconds, processor = cqueues.monotime(), os.clock()
  local one, con = thread.start(asks, left:pollfd(), count)
  local two = thread.start(answers, right:pollfd(), count)
  con:setmode("bl", "bn")
  local number = tonumber((con:read "*L"))
  seconds, processor = cqueues.monotime() - seconds, os.clock() - processor
  assert(number == count)
  one:join()
  two:join()
  print(("%.6f %.6f %d"):format(seconds, processor, 2 * count))
end)
assert(loop:loop())
