-- A server that sends every line back, and tells who is there: who connects, who goes, what they sent.
--
--   cargo xtask run examples/echo.lua [--port N] [--address A] [--clients N]
--
-- Talk to it with `nc 127.0.0.1 7007`, from as many terminals as you like. It ends at Ctrl+C, or after as many clients as
-- `--clients` says. Each client is served by a coroutine of its own, which reads from top to bottom; while it waits for
-- its client, the others run.
local memory = require "coutil.memory"
local spawn = require "coutil.spawn"
local system = require "coutil.system"

local options = { address = "127.0.0.1", port = 7007, clients = math.huge }
for i = 1, #arg, 2 do
  local name = arg[i]:match "^%-%-(%l+)$"
  if not (name and options[name] and arg[i + 1]) then
    io.stderr:write("usage: echo.lua [--port N] [--address A] [--clients N]\n")
    os.exit(2)
  end
  options[name] = name == "address" and arg[i + 1] or assert(tonumber(arg[i + 1]), name .. " is a number")
end
io.stdout:setvbuf "line"                -- who pipes this somewhere wants to see each line when it is written

local longest = 4096                    -- bytes of a line, so that nobody can make the server keep what never ends
local clients = {}                      -- stream → what is known of the client that it leads to
local present, most = 0, 0
local total = { clients = 0, lines = 0, bytes = 0 }

-- Sends back each line as soon as it is complete. Returns why it stopped.
local function serve (stream, client)
  local buffer = memory.create(longest)
  local length = 0                      -- how much of the buffer is used: the beginning of a line
  while true do
    -- There may be half a line to read, or many. They go behind what is there already.
    local count, message = stream:read(buffer, length + 1)
    if not count then
      if length > 0 and message == "end of file" then stream:write(buffer, 1, length) end
      return message
    end
    local last                          -- the end of the last line that is complete
    local at = buffer:find("\n", length + 1, length + count)
    length = length + count
    client.bytes = client.bytes + count
    while at do
      last = at
      client.lines = client.lines + 1
      at = buffer:find("\n", at + 1, length)
    end
    if last then
      -- All complete lines in one write, straight from the buffer. It ends when the system has taken all of them, so a
      -- client that sends and never reads is not read from either.
      local written, failure = stream:write(buffer, 1, last)
      if not written then return failure end
      -- The rest is the beginning of the next line: it moves to the front.
      buffer:fill(buffer, 1, length - last, last + 1)
      length = length - last
    elseif length == #buffer then
      return "a line is too long"
    end
  end
end

-- Closes a connection, once.
local function hangup (stream)
  if clients[stream].open then
    clients[stream].open = false
    stream:close()
  end
end

local stopped                           -- a function, below

local function goodbye (stream, reason)
  local client = clients[stream]
  hangup(stream)
  clients[stream] = nil
  present = present - 1
  total.lines = total.lines + client.lines
  total.bytes = total.bytes + client.bytes
  print(("- %s: %s; %d lines, %d bytes, %.1f seconds"):format(client.name, reason, client.lines, client.bytes,
                                                           system.time() - client.since))
  stopped()
end

local function welcome (stream)
  stream:setoption("nodelay", true)     -- a line is an answer that somebody waits for
  local client = { name = tostring(stream:getaddress "peer"), since = system.time(), lines = 0, bytes = 0, open = true }
  clients[stream] = client
  present = present + 1
  most = math.max(most, present)
  total.clients = total.clients + 1
  print(("+ %s: %d connected"):format(client.name, present))
  -- Runs `serve` until it waits for the first time. However it ends, the first function hears of it.
  spawn.trap(function (ok, reason) goodbye(stream, reason) end, serve, stream, client)
end

local kind = options.address:find ":" and "ipv6" or "ipv4"
local server = assert(system.socket("passive", kind))
assert(server:bind(system.address(kind, options.address, options.port)))
assert(server:listen(128))              -- says so if the port is in use
print("listening on " .. tostring(server:getaddress()))
local start = system.time()
local listening = true
local watchers = {}                     -- the coroutines that wait for a signal

-- What waits in `accept` or `read` gets `false, "closed"`, right in these calls.
local function stop ()
  if listening then
    listening = false
    server:close()
  end
  for stream in pairs(clients) do hangup(stream) end
end

-- When nothing is left to do, nothing may be left that waits: `system.run` returns when no coroutine does.
function stopped ()
  if listening or present > 0 then return end
  for i, watcher in pairs(watchers) do
    watchers[i] = nil
    if coroutine.status(watcher) == "suspended" then coroutine.resume(watcher) end   -- ends its wait
  end
end

if system.awaitsig then
  for i, signal in ipairs { "interrupt", "terminate" } do
    watchers[i] = spawn.catch(print, function ()
      -- It returns the name of the signal; nothing if `stopped` resumed the coroutine.
      if system.awaitsig(signal) then stop() end
    end)
  end
end

spawn.catch(print, function ()
  while listening do
    local stream, message = server:accept()
    if stream then
      welcome(stream)
      if listening and total.clients >= options.clients then
        listening = false
        server:close()
      end
    elseif message ~= "closed" then
      -- Too many open files, say. Those who wait in the queue are not lost, so try again when some have gone.
      print("cannot accept: " .. message)
      system.suspend(0.1)
    end
  end
  stopped()
end)

system.run()
print(("%d clients, at most %d at once; %d lines, %d bytes; %.1f seconds"):format(total.clients, most, total.lines,
                                                                               total.bytes, system.time() - start))
