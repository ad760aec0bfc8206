-- A small DNS server (RFC 1035) for a table of names, over UDP and TCP.
--
--   cargo xtask run examples/dns.lua [--port N] [--address A] [--hosts FILE]
--
--   dig -p 5300 @127.0.0.1 web.example
--   dig -p 5300 @127.0.0.1 web.example TXT +tcp
--
-- A line of the file is an address with its names, as in /etc/hosts, or `txt NAME TEXT`. Names that it does not have do
-- not exist for this server, and it asks no other. Whatever it is sent, it answers or drops it: a query that cannot be
-- understood gets FORMERR, and what is no query at all gets nothing. It ends at Ctrl+C.
local memory = require "coutil.memory"
local spawn = require "coutil.spawn"
local system = require "coutil.system"

local options = { address = "127.0.0.1", port = 5300, hosts = false }
for i = 1, #arg, 2 do
  local name = arg[i]:match "^%-%-(%l+)$"
  if not (name and options[name] ~= nil and arg[i + 1]) then
    io.stderr:write("usage: dns.lua [--port N] [--address A] [--hosts FILE]\n")
    os.exit(2)
  end
  options[name] = name == "port" and assert(tonumber(arg[i + 1]), "port is a number") or arg[i + 1]
end

local example = [[
192.0.2.1     web.example www.web.example
192.0.2.2     web.example
2001:db8::1   web.example
192.0.2.25    mail.example
txt web.example v=example A web server that does not exist.
]]

local lifetime = 60                     -- seconds for which an answer may be kept
local patience = 10                     -- seconds for a client of TCP to send something
local largest = 512                     -- bytes of a message over UDP

local A, TXT, AAAA, ANY = 1, 16, 28, 255
local IN = 1
local FORMERR, NXDOMAIN, NOTIMP = 1, 3, 4

---------------------------------------------------------------------------------------------------
-- What is known: for each name, in lower case, a list of { type, data }

local function u16 (number) return string.char(math.floor(number / 256) % 256, number % 256) end

local function read_hosts (text)
  local names = {}
  local function add (name, kind, data)
    name = name:lower():gsub("%.$", "")
    names[name] = names[name] or {}
    table.insert(names[name], { kind = kind, data = data })
  end
  for line in text:gmatch "[^\n]+" do
    local name, said = line:match "^%s*txt%s+(%S+)%s+(.-)%s*$"
    local literal, others = line:match "^%s*([%x.:]+)%s+([^#]+)"
    if name then
      local strings = ""                -- each with its length in front, and at most 255 bytes long
      for from = 1, #said, 255 do
        local part = said:sub(from, from + 254)
        strings = strings .. string.char(#part) .. part
      end
      add(name, TXT, strings)
    elseif literal then
      local six = literal:find(":", 1, true)
      local address = system.address(six and "ipv6" or "ipv4", literal, 0)
      for each in others:gmatch "%S+" do add(each, six and AAAA or A, address.binary) end
    end
  end
  return names
end

local hosts
if options.hosts then
  local file = assert(io.open(options.hosts))
  hosts = read_hosts(file:read "*a")
  file:close()
else
  hosts = read_hosts(example)
end

---------------------------------------------------------------------------------------------------
-- Messages

-- The question of a query: its name, type and class, and the bytes that it is. Nil if it is none.
local function question (query)
  local labels, at = {}, 13             -- behind the head
  while true do
    local length = query:byte(at)
    -- More than 63 would be a reference to another name, and here there is none yet.
    if not length or length > 63 or at + length > #query then return nil end
    at = at + 1
    if length == 0 then break end
    labels[#labels + 1] = query:sub(at, at + length - 1):lower()
    at = at + length
  end
  if at - 13 > 255 or #query < at + 3 then return nil end
  local t1, t2, c1, c2 = query:byte(at, at + 3)
  return table.concat(labels, "."), t1 * 256 + t2, c1 * 256 + c2, query:sub(13, at + 3)
end

-- The answer to a query, at most so many bytes long; nil if none is due.
local function answer (query, most)
  if #query < 12 then return nil end
  local flags = query:byte(3)
  -- Answering an answer could go on for ever.
  if flags >= 128 then return nil end
  local function message (code, asked, records, cut)
    return table.concat {
      query:sub(1, 2),                  -- the number by which the client knows it
      -- An answer, with the operation and the wish for recursion of the query; ours to give; cut off, if it is.
      string.char(128 + flags - flags % 8 + 4 + (cut and 2 or 0) + flags % 2, code),
      u16(asked and 1 or 0), u16(#records), "\0\0\0\0",
      asked or "", table.concat(records),
    }
  end
  if flags >= 8 then return message(NOTIMP, nil, {}) end
  local name, kind, class, asked = question(query)
  if not name or query:sub(5, 6) ~= "\0\1" then return message(FORMERR, nil, {}) end
  local known = hosts[name]
  if not known then return message(NXDOMAIN, asked, {}) end
  local records, size = {}, 12 + #asked
  for _, each in ipairs(known) do
    if (kind == each.kind or kind == ANY) and (class == IN or class == 255) then
      -- Its name is the one that was asked for, 12 bytes from the beginning.
      local record = "\192\12" .. u16(each.kind) .. u16(IN) .. "\0\0" .. u16(lifetime) .. u16(#each.data) .. each.data
      size = size + #record
      if size > most then return message(0, asked, records, true) end -- the client asks again, over TCP
      records[#records + 1] = record
    end
  end
  return message(0, asked, records)
end

---------------------------------------------------------------------------------------------------
-- Serving

local kind = options.address:find ":" and "ipv6" or "ipv4"
local server = assert(system.socket("passive", kind))
assert(server:bind(system.address(kind, options.address, options.port)))
assert(server:listen(64))
local address = server:getaddress()
local socket = assert(system.socket("datagram", kind))
assert(socket:bind(address))            -- the same port
io.stdout:setvbuf "line"
print("listening on " .. tostring(address))

spawn.catch(print, function ()
  local buffer, client = memory.create(65535), system.address(kind)
  while true do
    local count = socket:read(buffer, 1, -1, client)
    -- A failure is about something sent before: that the client has gone, say.
    local reply = count and answer(buffer:tostring(1, count), largest)
    if reply then socket:write(reply, 1, -1, client) end
  end
end)

-- Over TCP each message has its length in front.
local function serve (client)
  local buffer, length = memory.create(2 + 65535), 0
  while true do
    local size = length >= 2 and buffer:get(1) * 256 + buffer:get(2)
    if size and length >= 2 + size then
      local reply = answer(buffer:tostring(3, 2 + size), 65535)
      if not reply then return end
      length = length - 2 - size
      buffer:fill(buffer, 1, length, 3 + size)
      if not client.stream:write(u16(#reply) .. reply) then return end
    else
      client.due = system.time() + patience
      local count = client.stream:read(buffer, length + 1)
      if not count then return end
      length = length + count
    end
  end
end

local clients = {}
spawn.catch(print, function ()
  while true do
    local stream, message = server:accept()
    if stream then
      local client = { stream = stream, due = 0 }
      clients[client] = true
      spawn.trap(function (ok, message)
        if not ok then io.stderr:write("error: ", tostring(message), "\n") end
        if clients[client] then
          clients[client] = nil
          stream:close()
        end
      end, serve, client)
    else
      io.stderr:write("cannot accept: ", message, "\n")
      system.suspend(0.1)
    end
  end
end)

-- Those who send nothing are not kept.
spawn.catch(print, function ()
  while true do
    system.suspend(1)
    local now = system.time()
    for client in pairs(clients) do
      if client.due < now then
        clients[client] = nil
        client.stream:close()
      end
    end
  end
end)

-- Ctrl+C: unless it is awaited, `lua` keeps the first one until `run` returns.
spawn.catch(print, function ()
  system.awaitsig "interrupt"
  system.halt()
end)
system.run()
