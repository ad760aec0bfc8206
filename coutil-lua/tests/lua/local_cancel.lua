-- Cancelling: what waits for datagrams, local and share sockets, in the sequences that all await functions are tested with.

local T = require "testing"
local L = require "loop_testing"
local C = require "cancel_testing"
local memory = require "memory"
local system = require "coutil.system"
local socket = system.socket

-- A bound socket, its address, and one that sends to it.
local function ends(domain)
  local s, out = assert(socket("datagram", domain)), assert(socket("datagram", domain))
  assert(s:bind(L.address(domain)))
  return s, assert(s:getaddress()), out
end

-- Receives one datagram.
local function receive(s)
  return L.await(function ()
    local buffer = memory.create(100)
    local n, truncated = s:read(buffer)
    T.eq(truncated, false)
    return buffer:tostring(1, n)
  end)
end

local datagrams = {
  {
    "datagram read", function (watch, domain)
      local list = {}
      for i = 1, 2 do
        local s, address, out = ends(domain)
        local m = memory.create("......")
        list[i] = { object = watch(s), await = function () return s:read(m) end,
          trigger = function () T.start(function () assert(watch(out):write("abcdef", 1, -1, address)) end) end,
          check = function (got)
            T.same(got, { 6, false })
            T.eq(m:tostring(), "abcdef")
          end,
          leftover = function ()
            T.eq(m:tostring(), "......")
            T.eq(receive(s), "abcdef")
          end }
      end
      return list
    end,
  },
  {
    "datagram write", function (watch, domain)
      local list = {}
      for i = 1, 2 do
        local s, address, out = ends(domain)
        watch(s)
        list[i] = { object = watch(out), await = function () return out:write("abcdef", 1, -1, address) end,
          check = function (got) T.same(got, { true }) end,
          leftover = function () T.eq(receive(s), "abcdef") end }
      end
      return list
    end,
  },
  {
    "connected datagram write", function (watch, domain)
      local list = {}
      for i = 1, 2 do
        local s, address, out = ends(domain)
        watch(s)
        assert(out:connect(address))
        list[i] = { object = watch(out), await = function () return out:write("abcdef") end,
          check = function (got) T.same(got, { true }) end,
          leftover = function () T.eq(receive(s), "abcdef") end }
      end
      return list
    end,
  },
}

-- Reading and writing sockets.
local passing = {
  {
    "read of a socket", function (watch, domain)
      local list = {}
      for i = 1, 2 do
        local a, b = L.pair(domain)
        local x = watch((L.pair("local")))
        local m = memory.create("......")
        list[i] = { object = watch(b), await = function () return b:read(m) end,
          trigger = function () T.start(function () assert(watch(a):write("abcdef", 1, -1, x)) end) end,
          check = function (got)
            T.eq(got.n, 2)
            T.eq(got[1], 6)
            T.eq(m:tostring(), "abcdef")
            T.eq(watch(got[2]):close(), true)
          end,
          leftover = function ()
            T.eq(m:tostring(), "......")
            local n, s = L.await(b.read, b, m)
            T.eq(n, 6)
            T.eq(watch(s):close(), true)
          end }
      end
      return list
    end,
  },
  {
    "write of a socket", function (watch, domain)
      local list = {}
      for i = 1, 2 do
        local a, b = L.pair(domain)
        local x = watch((L.pair("local")))
        watch(b)
        list[i] = { object = watch(a), await = function () return a:write("abcdef", 1, -1, x) end,
          check = function (got) T.same(got, { true }) end,
          leftover = function ()
            local n, s = L.await(b.read, b, memory.create(6))
            T.eq(n, 6)
            T.eq(watch(s):close(), true)
          end }
      end
      return list
    end,
  },
}

for _, domain in ipairs { "local", "share" } do
  local list = {}
  for _, operation in ipairs(C.streams) do -- all in one domain, the others where they may differ
    if domain == "local" or T.full_speed and operation[1] ~= "a large write" then list[#list + 1] = operation end
  end
  C.sequences(list, domain, true)
  C.further(list, domain)
end
C.sequences(passing, "share", true)
C.further(passing, "share")
for _, domain in ipairs(L.domains) do
  C.sequences(datagrams, domain, true)
  C.further(datagrams, domain)
end

T.done()
