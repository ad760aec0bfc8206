-- A small HTTP/1.1 server over plain sockets: connections that stay open, requests sent without waiting for the answers
-- before (pipelining), bodies, HEAD, and limits on everything that a client could make large or slow.
--
--   cargo xtask run examples/http.lua [--port N] [--address A]
--
--   curl http://127.0.0.1:8080/time
--   curl --data "some text" http://127.0.0.1:8080/echo
--   wrk -c 256 -d 30 http://127.0.0.1:8080/
--
-- One coroutine for each connection: read a request, answer it, again. It ends at Ctrl+C.
local memory = require "coutil.memory"
local spawn = require "coutil.spawn"
local system = require "coutil.system"

local options = { address = "127.0.0.1", port = 8080 }
for i = 1, #arg, 2 do
  local name = arg[i]:match "^%-%-(%l+)$"
  if not (name and options[name] and arg[i + 1]) then
    io.stderr:write("usage: http.lua [--port N] [--address A]\n")
    os.exit(2)
  end
  options[name] = name == "port" and assert(tonumber(arg[i + 1]), "port is a number") or arg[i + 1]
end
io.stdout:setvbuf "line"

local limits = {
  head = 8192,                          -- bytes of a request line and its fields
  body = 1024 * 1024,                   -- bytes of a body
  request = 30,                         -- seconds from the end of an answer to the end of the next one
  farewell = 2,                         -- seconds for a client to close after we did
}

local connections = {}                  -- the set of those that are open
local stopping = false
local count = { connections = 0, requests = 0 }

---------------------------------------------------------------------------------------------------
-- What is served: for each path and method a function that gets the request and returns the body of the answer, a string
-- or a memory, and its type. It may wait; the other connections are served meanwhile.

local plain = "text/plain; charset=utf-8"

local routes = {
  ["/"] = {
    GET = function () return "Hello from Coutil.\n\n/time\n/slow\n/echo (POST)\n", plain end,
  },
  ["/time"] = {
    GET = function () return os.date "!%Y-%m-%dT%H:%M:%SZ\n", plain end,
  },
  ["/slow"] = {
    GET = function ()
      system.suspend(1)
      return "That took a second.\n", plain
    end,
  },
  ["/echo"] = {
    POST = function (request) return request.body, "application/octet-stream" end,
  },
}

---------------------------------------------------------------------------------------------------
-- Reading requests

local reasons = {
  [200] = "OK",
  [400] = "Bad Request",
  [404] = "Not Found",
  [405] = "Method Not Allowed",
  [413] = "Content Too Large",
  [417] = "Expectation Failed",
  [431] = "Request Header Fields Too Large",
  [501] = "Not Implemented",
  [505] = "HTTP Version Not Supported",
}

local Connection = {}
Connection.__index = Connection

-- The first `length` bytes of the buffer have been read from the socket, and not been used yet.
local function connection (stream)
  return setmetatable({ stream = stream, buffer = memory.create(limits.head), length = 0, open = true }, Connection)
end

-- Reads what comes next, up to the end of the buffer. False if nothing comes any more.
function Connection:fill ()
  local bytes = self.stream:read(self.buffer, self.length + 1)
  if not bytes then return false end
  self.length = self.length + bytes
  return true
end

-- Drops bytes that were used: those behind them, the next request perhaps, move to the front.
function Connection:drop (bytes)
  if bytes < self.length then
    self.buffer:fill(self.buffer, 1, self.length - bytes, bytes + 1)
  end
  self.length = self.length - bytes
end

-- The next request line with its fields, as a string that ends in an empty line. Or nil, and a status if that is the
-- client's fault.
function Connection:head ()
  local line, from = 1, 1               -- where the line starts; where to look for its end
  while true do
    local at = self.buffer:find("\n", from, self.length)
    if at then
      -- Lines end in CR LF, but should be understood with LF alone. 13 is CR.
      if at == line or at == line + 1 and self.buffer:get(line) == 13 then
        local head = self.buffer:tostring(1, at)
        self:drop(at)
        return head
      end
      line, from = at + 1, at + 1
    elseif self.length == #self.buffer then
      return nil, 431
    else
      from = self.length + 1
      if not self:fill() then return nil end
    end
  end
end

-- A head as a table: method, path, fields (names in lower case), length (of the body), keep (the connection open).
-- Or nil and a status.
local function parse (head)
  local method, target, major, minor, rest = head:match "^(%u+) (%S+) HTTP/(%d)%.(%d)\r?\n(.*)$"
  if not method then return nil, 400 end
  if major ~= "1" then return nil, 505 end

  local fields = {}
  for line in rest:gmatch "([^\n]-)\r?\n" do
    if line ~= "" then
      -- No space before the colon, no line that continues the one before, no control character: all of these have been
      -- used to make two servers understand the same bytes differently.
      local name, value = line:match "^([%w!#$%%&'*+%-.^_`|~]+):[ \t]*(.-)[ \t]*$"
      if not name or value:find "[^%C\t]" then return nil, 400 end
      name = name:lower()
      fields[name] = fields[name] and fields[name] .. ", " .. value or value
    end
  end

  -- A proxy sends the whole URL. What is behind `?` is of no interest here.
  local path = target:gsub("^http://[^/?]*", ""):match "^[^?#]*"
  if path == "" then path = "/" end
  if not (path:find "^/" or path == "*") then return nil, 400 end
  if not fields.host and minor ~= "0" or fields.host and fields.host:find "[%s,/]" then return nil, 400 end

  -- How long the body is. This must not be guessed: what follows it is the next request. (A length that was sent twice is
  -- `5, 5` here, so not a number.)
  local length = 0
  if fields["transfer-encoding"] then return nil, 501 end
  if fields["content-length"] then
    if not fields["content-length"]:find "^%d+$" then return nil, 400 end
    length = tonumber(fields["content-length"])
    if length > limits.body then return nil, 413 end
  end
  if fields.expect and fields.expect:lower() ~= "100-continue" then return nil, 417 end

  local wish = "," .. (fields.connection or ""):lower():gsub("%s", "") .. ","
  local keep
  if minor == "0" then keep = wish:find(",keep-alive,", 1, true) else keep = not wish:find(",close,", 1, true) end
  return { method = method, path = path, fields = fields, length = length, keep = keep and true or false, minor = minor }
end

-- The body of a request, in a memory of its size. Nil if it does not come.
function Connection:body (request)
  local body = memory.create(request.length)
  if request.length == 0 then return body end
  if request.fields.expect and request.minor ~= "0" and self.length == 0 then
    -- The client waits for this before it sends a large body.
    if not self.stream:write "HTTP/1.1 100 Continue\r\n\r\n" then return nil end
  end
  local have = math.min(self.length, request.length)
  body:fill(self.buffer, 1, have)       -- what came together with the head
  self:drop(have)
  while have < request.length do
    -- The rest goes to its place without a detour.
    local bytes = self.stream:read(body, have + 1)
    if not bytes then return nil end
    have = have + bytes
  end
  return body
end

-- The next request. Or nil, and a status if that is the client's fault.
function Connection:request ()
  local head, status
  repeat
    self.idle = self.length == 0
    head, status = self:head()
    self.idle = false
    if not head then return nil, status end
  until head:find "^[^\r\n]"            -- empty lines before a request are to be ignored
  local request
  request, status = parse(head)
  if not request then return nil, status end
  request.body = self:body(request)
  if not request.body then return nil end
  return request
end

---------------------------------------------------------------------------------------------------
-- Answering them

-- The date as HTTP writes it, made once a second.
local date, made
local function today ()
  local now = os.time()
  if now ~= made then date, made = os.date("!%a, %d %b %Y %H:%M:%S GMT", now), now end
  return date
end

-- Sends an answer; true if all of it was sent. It is one write, so that a short one is one packet.
function Connection:answer (status, body, kind, keep, more, bare)
  local head = {
    ("HTTP/1.1 %d %s\r\n"):format(status, reasons[status]),
    "Date: ", today(), "\r\n",
    "Content-Type: ", kind, "\r\n",
    "Content-Length: ", ("%d"):format(#body), "\r\n",
    "Connection: ", keep and "keep-alive" or "close", "\r\n",
    more or "",
    "\r\n",
  }
  local text = table.concat(head)
  return self.stream:write(bare and text or text .. body)
end

function Connection:fault (status, more, keep, bare)
  return self:answer(status, ("%d %s\n"):format(status, reasons[status]), plain, keep, more, bare)
end

-- Answers a request. Returns whether the connection can go on.
function Connection:respond (request)
  local keep = request.keep and not stopping
  local bare = request.method == "HEAD" -- as GET, but for the body
  local route = routes[request.path]
  if not route then return self:fault(404, nil, keep, bare) and keep end
  local handler = route[bare and "GET" or request.method]
  if not handler then
    local methods = {}
    for method in pairs(route) do methods[#methods + 1] = method end
    if route.GET then methods[#methods + 1] = "HEAD" end
    table.sort(methods)
    return self:fault(405, "Allow: " .. table.concat(methods, ", ") .. "\r\n", keep, bare) and keep
  end
  local body, kind = handler(request)
  return self:answer(200, body, kind, keep, nil, bare) and keep
end

-- Closes it, once. Whoever waits to read gets `false, "closed"`, right in this call.
function Connection:close ()
  if self.open then
    self.open = false
    connections[self] = nil
    self.stream:close()
  end
end

-- Serves a connection to its end.
function Connection:serve ()
  local more
  repeat
    self.deadline = system.time() + limits.request
    local request, status = self:request()
    if request then
      count.requests = count.requests + 1
      more = self:respond(request)
    elseif status then
      self:fault(status)
      more = false
    else
      return                            -- the client has gone
    end
  until not more
  -- We end first. If anything that was sent to us were unread when the socket is closed, the system would reset the
  -- connection, and the client might never see the answer. So: no more from us, then read until it closes, too.
  self.deadline = system.time() + limits.farewell
  if self.open and self.stream:shutdown() then
    while self.stream:read(self.buffer) do end
  end
end

---------------------------------------------------------------------------------------------------
-- Connections

local kind = options.address:find ":" and "ipv6" or "ipv4"
local server = assert(system.socket("passive", kind))
assert(server:bind(system.address(kind, options.address, options.port)))
assert(server:listen(1024))             -- says so if the port is in use
print(("listening on http://%s/"):format(tostring(server:getaddress())))

spawn.catch(print, function ()
  while not stopping do
    local stream, message = server:accept()
    if stream then
      count.connections = count.connections + 1
      local new = connection(stream)
      connections[new] = true
      -- Runs it until it waits for the first time. However it ends, the first function hears of it; an error in a
      -- handler costs that connection, not the server.
      spawn.trap(function (ok, message)
        new:close()
        if not ok then io.stderr:write("error: ", tostring(message), "\n") end
      end, new.serve, new)
    elseif message ~= "closed" then
      -- Too many open files, say. Nobody in the queue is lost, so try again when some have gone.
      io.stderr:write("cannot accept: ", message, "\n")
      system.suspend(0.1)
    end
  end
end)

-- Closes those that take too long: clients that went away without a word, or send a byte now and then.
spawn.catch(print, function ()
  while not stopping or next(connections) do
    system.suspend(1)
    local now = system.time()
    for each in pairs(connections) do
      if each.deadline < now then each:close() end
    end
  end
end)

-- At a signal: no new connections, no further requests; those that are being answered are finished.
local watchers = {}

local function stop ()
  stopping = true
  server:close()
  for each in pairs(connections) do
    if each.idle then each:close() end
  end
  for _, watcher in ipairs(watchers) do
    -- One of them is running this. The others would wait for their signals for ever: a resume ends that.
    if coroutine.status(watcher) == "suspended" then coroutine.resume(watcher) end
  end
end

if system.awaitsig then
  for i, signal in ipairs { "interrupt", "terminate" } do
    watchers[i] = spawn.catch(print, function ()
      -- It returns the name of the signal; nothing if `stop` resumed the coroutine.
      if system.awaitsig(signal) then stop() end
    end)
  end
end

system.run()
print(("%d connections, %d requests"):format(count.connections, count.requests))
