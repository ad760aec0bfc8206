-- What the tests of the event loop and of its sockets share.

local T = require "testing"
local memory = require "memory"
local system = require "coutil.system"

local L = {}

local loopback = { ipv4 = "127.0.0.1", ipv6 = "::1" }

-- A path where nothing is, of `n` bytes if given.
function L.path(n)
  local path = os.tmpname()
  os.remove(path)
  return n and path .. ("x"):rep(n - #path) or path
end

-- An address to bind to; that of a local socket is a path.
function L.address(domain, port)
  if domain == "local" or domain == "share" then return L.path() end
  return system.address(domain or "ipv4", loopback[domain or "ipv4"], port or 0)
end

-- The domains that this machine has.
L.domains = { "ipv4" }
do
  local probe = system.socket("passive", "ipv6")
  if probe and probe:bind(L.address("ipv6")) and probe:listen(1) then L.domains[2] = "ipv6" end
  if probe then probe:close() end
end

-- Runs until nothing is pending.
function L.run()
  local left = system.run()
  if left ~= false then error("run gives " .. tostring(left), 2) end
end

-- Calls `f(...)` in a coroutine that must have ended when nothing is pending; returns the results.
function L.await(f, ...)
  local w = T.waiter(f, ...)
  L.run()
  if not w.got then error("the call has not returned", 2) end
  return T.unpack(w.got, 1, w.got.n)
end

-- A listening socket, and its address.
function L.listener(domain, backlog)
  local passive = assert(system.socket("passive", domain or "ipv4"))
  assert(passive:bind(L.address(domain)))
  assert(passive:listen(backlog or 32))
  return passive, assert(passive:getaddress())
end

-- An address where nobody listens, and the socket that holds it.
function L.refusing(domain)
  local holder = assert(system.socket("stream", domain or "ipv4"))
  assert(holder:bind(L.address(domain)))
  return assert(holder:getaddress()), holder
end

-- Two ends of a connection. What else is pending runs too.
function L.pair(domain, passive, address)
  local own = not passive
  if own then passive, address = L.listener(domain) end
  local client, server = assert(system.socket("stream", domain or "ipv4")), nil
  T.start(function () server = assert(passive:accept()) end)
  T.start(function () assert(client:connect(address)) end)
  L.run()
  if own then passive:close() end
  return client, server
end

-- Starts a write, which goes out at once if it is small; its result is checked at the end of the next run.
function L.send(stream, data)
  T.start(function () assert(stream:write(data)) end)
end

-- Reads once, up to `n` bytes: the text, or what `read` returned instead. To be called in a coroutine.
function L.take(stream, n)
  local buffer = memory.create(n or 4096)
  local got = T.pack(stream:read(buffer))
  if got[1] then return buffer:tostring(1, got[1]) end
  return T.unpack(got, 1, got.n)
end

-- Reads `n` bytes, or up to the end of the stream, in reads of at most `size` bytes. To be called in a coroutine.
function L.collect(stream, n, size)
  local buffer, parts, left = memory.create(size or 65536), {}, n or math.huge
  while left > 0 do
    local got, text, code = stream:read(buffer, 1, math.min(left, #buffer))
    if not got then
      if code ~= 4095 then error(text) end
      break
    end
    parts[#parts + 1] = buffer:tostring(1, got)
    left = left - got
  end
  return table.concat(parts)
end

-- A text of `n` bytes in which a shifted or lost part is seen.
function L.pattern(n, first)
  local period = {}
  for i = 1, 251 do period[i] = string.char((i * 7 + (first or 0)) % 256) end
  return (table.concat(period):rep(math.ceil(n / 251)):sub(1, n))
end

-- Compares two long texts without showing them.
function L.eqtext(got, want, what)
  if got == want then return end
  what = what and what .. ": " or ""
  if type(got) ~= "string" then error(what .. "got " .. tostring(got), 2) end
  local at = 1
  while at <= #got and got:byte(at) == want:byte(at) do at = at + 1 end
  error(string.format("%sgot %d bytes, expected %d, different from byte %d on", what, #got, #want, at), 2)
end

-- Compares with the operator, as `T.eq` does not: addresses.
function L.equal(got, want)
  if got ~= want then error("got " .. tostring(got) .. ", expected " .. tostring(want), 2) end
end

-- Lets the clock advance, without anybody being resumed.
function L.busy(seconds)
  local from = system.nanosecs()
  repeat until system.nanosecs() - from >= seconds * 1e9
end

-- True if one collection after the return of `f` clears all that it gave to its argument.
function L.swept(f)
  local weak, n = setmetatable({}, { __mode = "v" }), 0
  T.scope(f, function (x)
    n = n + 1
    weak[n] = x
    return x
  end)
  if rawget(_G, "jit") then require("jit").flush() end
  collectgarbage()
  return next(weak) == nil
end

-- The number of sockets that this process has open; nil where it cannot be known.
function L.descriptors()
  local pipe = assert(io.popen("ls -l /proc/$PPID/fd 2>&1"))
  local text, n = pipe:read("*a"), 0
  pipe:close()
  if not text:find("%->") then return nil end
  for _ in text:gmatch("%-> socket:") do n = n + 1 end
  return n
end

-- True if `f` leaves as many sockets open as there were, when all it did has ended and what is garbage is collected.
function L.tidy(f)
  L.run()
  T.gc()
  local before = L.descriptors()
  T.scope(f)
  L.run()
  T.gc()
  return L.descriptors() == before
end

-- The message of the error that `f(...)` raises, without the position in front.
function L.message(f, ...)
  local ok, text = pcall(f, ...)
  if ok then error("no error", 2) end
  return (tostring(text):gsub("^[^:%s]*:%d+: ", ""))
end

-- The error of `f(...)` in a coroutine that can wait, without the position.
function L.fails(f, ...)
  local co = T.create(f)
  local ok, text = coroutine.resume(co, ...)
  if ok then error("no error", 2) end
  return (tostring(text):gsub("^[^:%s]*:%d+: ", ""))
end

return L
