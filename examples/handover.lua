-- Connections are accepted by one process and answered by others: the front hands each one over to a worker.
--
--   cargo xtask run examples/handover.lua [--port N] [--workers N]
--
--   nc 127.0.0.1 7009
--
-- Each line that you send comes back with the id of the process that answers. The workers are this same program; what
-- goes to their standard input are sockets. `kill` one of them: its connections end, the others go on, and the front
-- starts a new one. It ends at Ctrl+C; a worker ends when it is handed nothing any more and its last client has gone.
local memory = require "coutil.memory"
local spawn = require "coutil.spawn"
local system = require "coutil.system"

---------------------------------------------------------------------------------------------------
-- A worker

local function serve (stream)
  local me = ("%d: "):format(system.procinfo "#")
  local buffer, text = memory.create(4096), ""
  while true do
    local count = stream:read(buffer)
    if not count then break end
    text = text .. buffer:tostring(1, count)
    local line, rest = text:match "^([^\n]*\n)(.*)$"
    while line do
      text = rest
      stream:write(me .. line)
      line, rest = text:match "^([^\n]*\n)(.*)$"
    end
  end
  stream:close()
end

-- Ends the program at Ctrl+C, of which all processes of a terminal are told. Unless somebody awaits it, `lua` keeps the first one
-- until `run` returns.
local function ended_by_interrupt ()
  return spawn.catch(print, function ()
    if system.awaitsig "interrupt" then system.halt() end
  end)
end

local function work ()
  local interrupted = ended_by_interrupt()
  spawn.catch(print, function ()
    local buffer = memory.create(1)
    while true do
      -- A byte, and the socket that came with it.
      local count, stream = system.stdin:read(buffer)
      if not count then break end       -- the front has gone
      if stream then spawn.catch(print, serve, stream) end
    end
    coroutine.resume(interrupted)       -- it waits no more: the loop ends with the last client
  end)
  system.run()
end

if arg[1] == "worker" then return work() end

---------------------------------------------------------------------------------------------------
-- The front

local options = { port = 7009, workers = 4 }
for i = 1, #arg, 2 do
  local name = arg[i]:match "^%-%-(%l+)$"
  if not (name and options[name] and tonumber(arg[i + 1])) then
    io.stderr:write("usage: handover.lua [--port N] [--workers N]\n")
    os.exit(2)
  end
  options[name] = tonumber(arg[i + 1])
end
io.stdout:setvbuf "line"

-- How this program was started: the interpreter, its options, the script.
local interpreter, first = nil, 0
while arg[first - 1] do first = first - 1 end
interpreter = arg[first]

local workers = {}                      -- the streams that lead to them
local turn = 0

-- Starts a worker, and another one when it ends.
local function start (place)
  local arguments = {}
  for i = first + 1, 0 do arguments[#arguments + 1] = arg[i] end
  arguments[#arguments + 1] = "worker"
  -- `s`: a stream over which sockets can be sent. `execute` puts our end of it into the table when it starts the process.
  local command = { execfile = interpreter, arguments = arguments, stdin = "ws" }
  spawn.catch(print, function ()
    local how, status = system.execute(command)
    print(("worker %d ended: %s %s"):format(place, tostring(how), tostring(status)))
    if workers[place] then
      workers[place]:close()
      workers[place] = nil
    end
    system.suspend(0.1)                 -- so that one that fails at once is not started all the time
    start(place)
  end)
  if command.pid then workers[place] = command.stdin end
end

-- Hands a connection to the next worker that takes it.
local function hand_over (stream)
  for _ = 1, options.workers do
    turn = turn % options.workers + 1
    local worker = workers[turn]
    if worker and worker:write("+", 1, 1, stream) then return true end
  end
end

local server = assert(system.socket("passive", "ipv4"))
assert(server:bind(system.address("ipv4", "127.0.0.1", options.port)))
assert(server:listen(64))
for place = 1, options.workers do start(place) end
print("listening on " .. tostring(server:getaddress()))

spawn.catch(print, function ()
  while true do
    local stream, message = server:accept()
    if not stream then
      io.stderr:write("cannot accept: ", message, "\n")
      system.suspend(0.1)
    else
      if not hand_over(stream) then stream:write "nobody is there\n" end
      stream:close()                    -- ours; the connection is the worker's now
    end
  end
end)
ended_by_interrupt()

system.run()
