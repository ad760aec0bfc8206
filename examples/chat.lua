-- A chat over TCP: a person types in a terminal while the messages of others arrive.
--
--   cargo xtask run examples/chat.lua serve [PORT]
--   cargo xtask run examples/chat.lua join HOST PORT NAME
--
-- Start one server, and join from as many terminals as you like; `nc HOST PORT` works too (the first line is the name).
-- Backspace and Ctrl+U edit what you type, Ctrl+C or Ctrl+D leaves. What is typed is drawn again below each message, so
-- the terminal is in raw mode: keys come one at a time, and without echo. It is restored however the program ends.
-- With its input redirected, `join` sends lines as they are: `echo "Dinner is ready." | ... join HOST PORT cook`.
local memory = require "coutil.memory"
local spawn = require "coutil.spawn"
local system = require "coutil.system"

local longest = 1000                    -- bytes of a line
local patience = 100                    -- messages that may wait for somebody who does not read

-- A function that returns the next line of a stream each time, without anything that would control a terminal; nil at
-- the end.
local function lines (stream)
  local buffer, text = memory.create(4096), ""
  return function ()
    while true do
      local line, rest = text:match "^([^\n]*)\n(.*)$"
      if line then
        text = rest
        return (line:gsub("%c", ""):gsub("\194[\128-\159]", ""))
      end
      if #text > longest then return nil, "a line is too long" end
      local count, message = stream:read(buffer)
      if count and count > 0 then
        text = text .. buffer:tostring(1, count)
      elseif text ~= "" then
        text = text .. "\n"             -- the last line may lack its end
      else
        return nil, message             -- files end with 0 bytes
      end
    end
  end
end

---------------------------------------------------------------------------------------------------
-- The server

local members = {}                      -- the set of those who are there

-- Sends a line to everybody. Nobody waits here for anybody: each write is a coroutine of its own, and who has too many
-- of them is no longer a member.
local function tell (text)
  for member in pairs(members) do
    if member.waiting < patience then
      spawn.catch(print, function ()
        member.waiting = member.waiting + 1
        member.stream:write(text .. "\n")
        member.waiting = member.waiting - 1
      end)
    else
      members[member] = nil
      member.stream:close()             -- whoever reads from it hears of that
    end
  end
end

local function welcome (stream)
  local member = { stream = stream, waiting = 0 }
  spawn.trap(function (ok, message)
    if not ok then io.stderr:write("error: ", tostring(message), "\n") end
    if members[member] then
      members[member] = nil
      stream:close()
    end
    if member.name then tell("* " .. member.name .. " has left") end
  end, function ()
    local nextline = lines(stream)
    members[member] = true
    local name = nextline()
    if not name or name == "" then return end
    member.name = name:sub(1, 30)
    tell("* " .. member.name .. " has come")
    local line = nextline()
    while line do
      if line ~= "" then tell(member.name .. ": " .. line) end
      line = members[member] and nextline()
    end
  end)
end

local function serve (port)
  local server = assert(system.socket("passive", "ipv4"))
  assert(server:bind(system.address("ipv4", "0.0.0.0", tonumber(port or 7008))))
  assert(server:listen(64))
  io.stdout:setvbuf "line"
  print("listening on " .. tostring(server:getaddress()))
  spawn.catch(print, function ()
    while true do
      local stream, message = server:accept()
      if stream then
        welcome(stream)
      else
        io.stderr:write("cannot accept: ", message, "\n")
        system.suspend(0.1)
      end
    end
  end)
  spawn.catch(print, function ()        -- Ctrl+C: unless it is awaited, `lua` keeps the first one until `run` returns
    system.awaitsig "interrupt"
    system.halt()
  end)
  system.run()
end

---------------------------------------------------------------------------------------------------
-- What is typed

local Editor = {}
Editor.__index = Editor

-- Shows the line as far as it fits, below the text, if there is any.
function Editor:draw (text)
  local columns = self.screen:winsize()
  local room = (columns and columns > 10 and columns or 80) - 3
  local line = self.line
  while #line > room do line = line:gsub("^.[\128-\191]*", "") end
  -- To the left, clear to the right; what is written ends where the next key goes.
  self.screen:write("\r\27[K" .. (text and text .. "\n" or "") .. "> " .. line)
end

-- Takes a key. Returns a line when there is one, and false when the person leaves.
function Editor:key (key)
  if self.escape then
    -- Cursor keys and the like, as `ESC [ 1 ; 5 A`: ignored up to their last letter.
    self.escape = key == "[" or key == "O" or key:find "[%d;]" ~= nil
  elseif key == "\27" then
    self.escape = true
  elseif key == "\3" or key == "\4" and self.line == "" then
    return false
  elseif key == "\r" or key == "\n" then
    local line = self.line
    self.line = ""
    return line
  elseif key == "\8" or key == "\127" then
    self.line = self.line:gsub("[^\128-\191][\128-\191]*$", "")
  elseif key == "\21" then
    self.line = ""
  elseif not key:find "%c" and #self.line < longest then
    self.line = self.line .. key        -- a byte; a letter may have several
  end
end

---------------------------------------------------------------------------------------------------
-- Somebody who joins

-- A stream to the server: the first of the addresses of the host that answers.
local function connect (host, port)
  local addresses, message = system.findaddr(host, port, "s")
  if not addresses then return nil, message end
  repeat
    local stream = assert(system.socket("stream", addresses:getdomain()))
    local done
    done, message = stream:connect(addresses:getaddress())
    if done then return stream end
    stream:close()
  until not addresses:next()
  return nil, message
end

local function join (host, port, name)
  local input, output = system.stdin, system.stdout
  local typed = input and input.setmode and output and output.setmode
  local editor = setmetatable({ screen = output, line = "" }, Editor)
  local stream, failure

  -- Ends both coroutines, by closing what they read from.
  local function leave (message)
    failure = failure or message
    if not stream then return end
    local open = stream
    stream = nil
    open:close()
    if typed then
      output:setmode "normal"
      if input then input:close() end
      input = nil
      print()
    end
  end
  local function ended (ok, message) leave(not ok and tostring(message) or nil) end

  local function read_keys ()
    local buffer = memory.create(256)
    editor:draw()
    while stream do
      local count = input:read(buffer)
      if not count then return end
      for key in buffer:tostring(1, count):gmatch "." do
        local line = editor:key(key)
        if line == false then return end
        if line and line ~= "" then stream:write(line .. "\n") end
        if not stream then return end
      end
      editor:draw()
    end
  end

  local function read_lines ()
    local nextline = lines(input)
    local line = nextline()
    while line do
      if not (stream and stream:write(line .. "\n")) then return end
      line = nextline()
    end
    if stream then stream:shutdown() end -- and read what still comes
  end

  spawn.trap(ended, function ()
    stream = assert(connect(host, port))
    if typed then assert(output:setmode "raw") end
    assert(stream:write(name .. "\n"))
    if typed then
      spawn.trap(ended, read_keys)
    elseif input then
      spawn.catch(ended, read_lines)
    end
    local nextline = lines(stream)
    while stream do
      local line, message = nextline()
      if not line then
        if message ~= "closed" and typed then failure = "the server has gone" end
        return
      end
      if typed then editor:draw(line) else output:write(line .. "\n") end
    end
  end)
  system.run()
  if failure then
    io.stderr:write("chat: ", failure, "\n")
    os.exit(1)
  end
end

if arg[1] == "serve" then
  serve(arg[2])
elseif arg[1] == "join" and arg[4] then
  join(arg[2], arg[3], arg[4])
else
  io.stderr:write("usage: chat.lua serve [PORT]\n       chat.lua join HOST PORT NAME\n")
  os.exit(2)
end
