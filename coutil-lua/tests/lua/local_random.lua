-- Random programs over share streams, local sockets and datagrams.

local T = require "testing"
local L = require "loop_testing"
local memory = require "memory"
local system = require "coutil.system"
local run, suspend, socket = system.run, system.suspend, system.socket
local put = table.insert

-- The same numbers on every version.
local function generator(seed)
  return function (n)
    seed = (seed * 16807) % 2147483647
    return math.floor(seed / 65536) % n + 1
  end
end

local bytes = L.pattern(100000)

-- Data and sockets are cancelled at any point: all arrive once, in order, each socket with its first byte.
for seed = 1, math.min(T.scale(20, 3), 20) do
  T.test("random passing " .. seed .. " [50 6.2.5] [50 6.3.7] [50 6.2.3] [50 6.3.3] [50 0.2.2] [50 0.2.3]", function ()
    local random = generator(seed * 7919)
    local a, b = L.pair("share")
    local spare, pool, numbers = {}, {}, {}
    for i = 1, 40 do -- the other end of each says its number
      local domain = ({ "local", "share", L.domains[1], L.domains[#L.domains] })[random(4)]
      local x, y = L.pair(domain)
      L.send(y, tostring(i))
      pool[i] = x
      put(spare, y)
    end
    T.eq(run(), false)
    local sent, offset, places = {}, 0, {}
    local got, received, at, reader, ended = {}, 0, {}, nil, false
    local writers = {}

    local function write()
      local data = bytes:sub(random(40000)):sub(1, ({ 1, 2, 10, 1000, 30000, 60000 })[random(6)])
      local object
      if random(2) == 1 and #pool > 0 then
        object = table.remove(pool, 1)
        put(places, offset)
      end
      put(sent, data)
      offset = offset + #data
      local w = {}
      w.co = T.start(function ()
        w.got = T.pack(a:write(data, 1, -1, object))
        if w.got[1] ~= "abandoned" then T.same(w.got, { true }) end
      end)
      put(writers, w)
    end

    local function read()
      if reader then return end
      local m = memory.create(({ 1, 7, 500, 50000 })[random(4)])
      reader = T.start(function ()
        while true do
          local n, s, code = b:read(m)
          if n == "cancelled" then break end
          if not n then
            T.eq(code, 4095, s)
            ended = true
            break
          end
          if s then
            put(numbers, s)
            put(at, { received, received + n })
          end
          received = received + n
          put(got, m:tostring(1, n))
          if random(3) == 1 then break end
          if random(4) == 1 then suspend() end
        end
        reader = nil
      end)
    end

    local over = false
    local function act()
      if over then return end
      local what = random(10)
      if what <= 4 then write()
      elseif what == 5 then
        local w = writers[random(math.max(#writers, 1))]
        if w and not w.got then T.resume(w.co, "abandoned") end
      elseif what <= 8 then read()
      elseif what == 9 then
        if reader and coroutine.status(reader) == "suspended" then T.resume(reader, "cancelled") end
      else collectgarbage("step") end
    end
    for _ = 1, 40 do
      for _ = 1, random(5) do act() end
      local how = random(3)
      if how == 1 then
        T.start(function () for _ = 1, random(4) do suspend(); act() end system.halt() end)
        run()
      else
        run("ready")
      end
    end
    over = true
    T.start(function () T.same(T.pack(a:shutdown()), { true }) end)
    repeat
      read()
      run("step")
    until ended
    T.eq(run(), false)
    L.eqtext(table.concat(got), table.concat(sent))
    T.eq(#numbers, #places)
    for i, s in ipairs(numbers) do
      T.eq(at[i][1] <= places[i] and places[i] < at[i][2], true, "place of socket " .. i)
      T.eq(L.await(L.take, s), tostring(i))
      s:close()
    end
    for _, list in ipairs { pool, spare, { a, b } } do
      for _, s in ipairs(list) do s:close() end
    end
  end)
end

-- Anything at any time: closing too, and losing what is pending. What each await may give, besides what it was cancelled
-- with: a failure by its code, `closed` by its text.
local allowed = {
  read = { [4095] = true, [107] = true, [104] = true, [111] = true, closed = true },
  write = { [9] = true, [32] = true, [104] = true, [111] = true, [125] = true },
  shutdown = { [107] = true, [125] = true },
  connect = { [2] = true, [11] = true, [104] = true, [106] = true, [111] = true, [114] = true, [125] = true },
  accept = { closed = true },
}

for seed = 1, math.min(T.scale(30, 3), 30) do
  T.test("random closing " .. seed .. " [50 5.1.2] [50 5.1.3] [50 0.2.4] [50 0.2.5] [20 8.13] [00 1.7.2]", function ()
    local random = generator(seed * 15485863 % 2147483647)
    local function chaos(watch)
      local passives, streams, datagrams, waiting, count = {}, {}, {}, {}, 0
      local target = assert(socket("datagram", "ipv4"))
      assert(target:bind(L.address()))
      local there = target:getaddress()
      local function add(s)
        local list = s.connect and not s.shutdown and datagrams or streams
        if #list < 12 then put(list, watch(s)) else s:close() end
      end
      local function pick(list) return list[random(math.max(#list, 1))] end
      local function renew()
        local passive, path = L.listener(({ "local", "share" })[random(2)])
        passives[random(2)] = { watch(passive), path }
      end
      local function operate(name, s, ...)
        local args, w = T.pack(...), {}
        w.co = watch(T.create(function ()
          local got = T.pack(s[name](s, T.unpack(args, 1, args.n)))
          waiting[w] = nil
          if got[1] == "cancelled" then return end
          if not got[1] and not allowed[name][got[3] or got[2]] then
            error(name .. " gives " .. tostring(got[2]) .. " " .. tostring(got[3]))
          end
          if name == "accept" and got[1] then add(got[1]) end
          if name == "read" and type(got[2]) == "userdata" then add(got[2]) end
          count = count + 1
        end))
        waiting[w] = true
        local ok, text = coroutine.resume(w.co)
        if not ok then
          waiting[w] = nil
          if not text:find("already in use", 1, true) and not text:find("closed object", 1, true) then error(text, 0) end
        end
      end
      local function some()
        local at, chosen = random(8), nil
        for w in pairs(waiting) do
          chosen = w
          at = at - 1
          if at == 0 then break end
        end
        return chosen
      end
      local function open()
        local kind = random(4)
        if kind == 1 then
          local s = assert(socket("datagram", "ipv4"))
          if random(2) == 1 then assert(s:connect(there)) else assert(s:bind(L.address())) end
          add(s)
        else
          add(assert(socket("stream", kind == 2 and "local" or "share")))
        end
      end
      local function act()
        local what, s, d = random(20), pick(streams), pick(datagrams)
        if what == 1 then renew()
        elseif what <= 3 then open()
        elseif what <= 5 and s then operate("read", s, memory.create(random(3) * 5000))
        elseif what <= 8 and s then operate("write", s, bytes:sub(1, ({ 5, 5000, 100000 })[random(3)]), 1, -1, pick(streams))
        elseif what == 9 and s then operate("shutdown", s)
        elseif what <= 11 then operate("accept", pick(passives)[1])
        elseif what <= 13 and s then operate("connect", s, random(6) == 1 and "/dev/null" or pick(passives)[2])
        elseif what == 14 and s then pcall(s.close, s)
        elseif what == 15 and #streams > 2 then table.remove(streams, random(#streams)) -- may be collected
        elseif what == 16 and d then operate("read", d, memory.create(random(3) * 500), 1, -1, there)
        elseif what == 17 and d then operate("write", d, bytes:sub(1, random(2000)), 1, -1, L.address("ipv4", there.port))
        elseif what == 18 then
          if random(4) == 1 then pcall(pick(passives)[1].close, pick(passives)[1]) end
          if random(3) == 1 and #datagrams > 0 then pcall(d.close, table.remove(datagrams, random(#datagrams))) end
        elseif what == 19 then
          local w = some()
          if w and coroutine.status(w.co) == "suspended" then
            if T.has_close and random(2) == 1 then
              coroutine.close(w.co)
              waiting[w] = nil
            else
              T.resume(w.co, "cancelled")
            end
          end
        else collectgarbage() end
      end
      renew()
      passives[1] = passives[1] or passives[2]
      passives[2] = passives[2] or passives[1]
      for _ = 1, 40 do
        for _ = 1, random(8) do act() end
        local how = random(4)
        if how == 1 then
          T.start(function () for _ = 1, random(3) do suspend(); act() end system.halt() end)
          run()
        elseif how <= 3 then
          run("ready")
        end
      end
      for _, list in ipairs { streams, datagrams, { passives[1][1], passives[2][1], target } } do
        for _, s in ipairs(list) do pcall(s.close, s) end
      end
      streams, datagrams, passives = {}, {}, {}
      collectgarbage()
      collectgarbage()
      for _ = 1, 20 do -- the peers of what was lost may still wait
        run("ready")
        for w in pairs(waiting) do
          if coroutine.status(w.co) == "suspended" then T.resume(w.co, "cancelled") end
        end
        waiting = {}
        for _, list in ipairs { streams, datagrams } do
          for _, s in ipairs(list) do pcall(s.close, s) end
        end
        streams, datagrams = {}, {}
        collectgarbage()
      end
      T.eq(run(), false)
      T.eq(count > 0, true)
      for _, r in ipairs(T.reports()) do error(r.traceback .. "\n" .. tostring(r.err)) end
    end
    T.eq(T.collected(chaos), true)
  end)
end

T.done()
