-- Random programs over TCP streams: whatever is cancelled, the bytes of all writes arrive once, whole and in order.

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

local bytes = L.pattern(2000000)

-- One direction of a connection: what was sent, what was received, and who waits.
local function direction(from, to)
  local d = { sent = {}, got = {}, writers = {}, done = 0, count = 0 }

  function d.write(random)
    local size = ({ 0, 1, 10, 1000, 30000, 60000, 1000, 60000, 1900000 })[random(9)] -- the last one has to wait
    local from_byte = random(30000)
    local data = bytes:sub(from_byte, from_byte + size - 1)
    put(d.sent, data)
    d.count = d.count + 1
    local number = d.count
    local w = {}
    w.co = T.start(function ()
      w.got = T.pack(from:write(data))
      if w.got[1] == "abandoned" then return end
      T.same(w.got, { true })
      T.eq(d.done < number, true) -- they end in the order of the calls
      d.done = number
    end)
    put(d.writers, w)
  end

  function d.abandon(random)
    local w = d.writers[random(math.max(#d.writers, 1))]
    if w and not w.got then T.resume(w.co, "abandoned") end
  end

  function d.read(random)
    if d.reader then return end
    local size = ({ 1, 7, 500, 50000 })[random(4)]
    local i = random(20)
    local m = random(2) == 1 and memory.create(size + 30) or memory.create()
    if m:type() == "resizable" then m:resize(size + 30, "-") else m:fill("-") end
    d.reader = T.start(function ()
      while true do
        local n, text, code = to:read(m, i, i + size - 1)
        if n == "cancelled" then
          -- Nothing was stored since the last read.
          T.eq(m:tostring(i, i + size - 1):find("[^%-]"), nil)
          break
        end
        if not n then
          T.eq(code, 4095, text)
          d.ended = true
          break
        end
        put(d.got, m:tostring(i, i + n - 1))
        T.eq(n >= 1 and n <= size, true)
        T.eq(m:tostring(1, i - 1) .. m:tostring(i + n), ("-"):rep(30 + size - n))
        m:fill("-")
        if random(3) == 1 then break end
        if random(4) == 1 then suspend() end
      end
      d.reader = nil
    end)
  end

  function d.cancel()
    -- Also a reader that is in `suspend`, which goes on.
    if d.reader and coroutine.status(d.reader) == "suspended" then T.resume(d.reader, "cancelled") end
  end

  function d.shutdown()
    T.start(function () T.same(T.pack(from:shutdown()), { true }) end)
  end

  function d.check()
    L.eqtext(table.concat(d.got), table.concat(d.sent))
  end

  return d
end

for seed = 1, math.min(T.scale(15, 3), 15) do
  T.test("random reads and writes " .. seed .. " [50 6.2.3] [50 6.3.3] [50 0.2.2] [50 0.2.3] [50 6.3.1]", function ()
    local random = generator(seed * 7919)
    local list = {}
    for i = 1, 3 do
      local a, b = L.pair(L.domains[i] or "ipv4")
      put(list, direction(a, b))
      put(list, direction(b, a))
      list[i * 2].socket, list[i * 2 - 1].socket = a, b
    end
    local over = false
    local function act()
      if over then return end
      local d = list[random(#list)]
      local what = random(12)
      if what <= 4 then d.write(random)
      elseif what <= 6 then d.abandon(random)
      elseif what <= 10 then d.read(random)
      else d.cancel() end
    end
    for _ = 1, 60 do
      for _ = 1, random(6) do act() end
      local how = random(5)
      if how == 1 then
        T.start(function () for _ = 1, random(4) do suspend(); act() end system.halt() end)
        run()
      elseif how <= 3 then
        run("ready")
      elseif how == 4 then
        T.start(function () suspend(.001); act() end)
        run("step")
      end
    end
    over = true
    for _, d in ipairs(list) do d.shutdown() end
    repeat
      local ended = true
      for _, d in ipairs(list) do
        if not d.ended then
          ended = false
          d.read(random)
        end
      end
      if not ended then run("step") end
    until ended
    T.eq(run(), false)
    for _, d in ipairs(list) do d.check() end
    for _, d in ipairs(list) do d.socket:close() end
  end)
end

-- Clients that connect, send, and stop at any point; a server that must see each of them whole.
for seed = 1, math.min(T.scale(10, 2), 10) do
  T.test("random clients " .. seed .. " [50 6.7.3] [50 6.1.7] [50 5.1.3] [50 6.1.6]", function ()
    local random = generator(seed * 104729)
    local passive, address = L.listener(nil, 64)
    local seen, want, accepting = {}, {}, true
    local accepter = T.start(function ()
      while true do
        local s, text = passive:accept()
        if not s then
          T.eq(text, "closed")
          break
        end
        T.start(function ()
          local parts = {}
          while true do
            local part = L.take(s, ({ 3, 100, 10000 })[random(3)])
            if not part then break end
            put(parts, part)
          end
          put(seen, table.concat(parts))
          s:close()
        end)
      end
      accepting = false
    end)
    local n, ended = 40, 0
    for i = 1, n do
      local s = socket("stream", "ipv4")
      local data = i .. ":" .. bytes:sub(1, random(30000))
      want[i] = data
      local connecter
      if random(2) == 1 then -- all at once, in the order of the calls
        connecter = T.start(function () s:connect(address) end)
        local half = random(#data)
        T.start(function () assert(s:write(data, 1, half)) end)
        T.start(function () assert(s:write(data, half + 1)) end)
        T.start(function ()
          assert(s:shutdown())
          s:close()
          ended = ended + 1
        end)
        if random(2) == 1 then T.resume(connecter, "abandoned") end
      else
        T.start(function ()
          assert(s:connect(address))
          for at = 1, #data, 9000 do
            assert(s:write(data, at, at + 8999))
            if random(3) == 1 then suspend() end
          end
          s:close()
          ended = ended + 1
        end)
      end
      if random(4) == 1 then run("ready") end
    end
    T.start(function ()
      while #seen < n do suspend() end
      T.eq(passive:close(), true)
      T.eq(accepting, false)
    end)
    T.eq(run(), false)
    T.eq(ended, n)
    T.eq(coroutine.status(accepter), "dead")
    table.sort(seen)
    table.sort(want)
    for i = 1, n do L.eqtext(seen[i], want[i], "client " .. i) end
  end)
end

-- Anything at any time: closing too, and losing what is pending.

-- What each await may give, besides what it was cancelled with: a failure by its code, `closed` by its text.
local allowed = {
  read = { [4095] = true, [107] = true, [104] = true, closed = true },
  write = { [32] = true, [104] = true, [125] = true },
  shutdown = { [107] = true, [125] = true },
  connect = { [111] = true, [104] = true, [114] = true, [106] = true, [125] = true, [22] = true, [103] = true },
  accept = { closed = true },
}

for seed = 1, math.min(T.scale(25, 3), 25) do
  T.test("random closing " .. seed .. " [50 5.1.2] [50 5.1.3] [50 0.2.4] [50 0.2.5] [20 8.13] [00 1.7.2]", function ()
    local random = generator(seed * 15485863 % 2147483647)
    local function chaos(watch)
      local passives, streams, waiting, count = {}, {}, {}, 0
      local refusing, holder = L.refusing()
      local function add(s)
        if #streams < 12 then put(streams, watch(s)) else s:close() end
      end
      local function renew()
        local passive, address = L.listener()
        passives[random(2)] = { watch(passive), address }
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
          count = count + 1
        end))
        waiting[w] = true
        local ok, text = coroutine.resume(w.co)
        if not ok then
          waiting[w] = nil
          if not text:find("already in use", 1, true) and not text:find("closed object", 1, true) then error(text, 0) end
        end
      end
      local function pick(list) return list[random(math.max(#list, 1))] end
      local function some()
        local at, chosen = random(8), nil
        for w in pairs(waiting) do
          chosen = w
          at = at - 1
          if at == 0 then break end
        end
        return chosen
      end
      local function act()
        local what, s = random(16), pick(streams)
        if what == 1 then renew()
        elseif what == 2 then add(assert(socket("stream", "ipv4")))
        elseif what <= 4 and s then operate("read", s, memory.create(random(3) * 5000))
        elseif what <= 6 and s then operate("write", s, bytes:sub(1, ({ 5, 5000, 1500000 })[random(3)]))
        elseif what == 7 and s then operate("shutdown", s)
        elseif what == 8 then operate("accept", pick(passives)[1])
        elseif what <= 10 and s then operate("connect", s, random(6) == 1 and refusing or pick(passives)[2])
        elseif what == 11 and s then pcall(s.close, s)
        elseif what == 12 and #streams > 2 then table.remove(streams, random(#streams)) -- may be collected
        elseif what == 13 and random(3) == 1 then pcall(pick(passives)[1].close, pick(passives)[1])
        elseif what <= 15 then
          local w = some()
          if w and coroutine.status(w.co) == "suspended" then
            if T.has_close and what == 15 then
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
      -- An abandoned write to who does not read would go on: all is closed.
      for _, list in ipairs { streams, { passives[1][1], passives[2][1], holder } } do
        for _, s in ipairs(list) do pcall(s.close, s) end
      end
      streams, passives = {}, {}
      collectgarbage()
      collectgarbage()
      -- The peers of what was lost may still wait: they are cancelled.
      for _ = 1, 20 do
        run("ready")
        for w in pairs(waiting) do
          if coroutine.status(w.co) == "suspended" then T.resume(w.co, "cancelled") end
        end
        waiting = {}
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
