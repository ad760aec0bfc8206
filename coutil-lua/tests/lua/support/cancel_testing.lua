-- Cancelling: await functions in the same sequences, whatever they wait for.

-- local C = require "cancel_testing"
-- C.test(operations, domain, options)

local T = require "testing"
local L = require "loop_testing"
local memory = require "memory"
local system = require "coutil.system"
local run, suspend, socket, nanosecs = system.run, system.suspend, system.socket, system.nanosecs
local pack = T.pack

local function busy_until(seconds)
  local due = system.time() + seconds
  repeat until system.time("updated") > due
end

local C = {}

-- The operations --------------------------------------------------------------------------------

-- Each makes two configurations: `await`, `trigger` (makes the condition hold), `check` (of the results), `object` (what
-- can be closed), `leftover` (called if the await was cancelled: what did not happen to it happens now).
-- What is to be collected afterwards is given to `watch`.
C.timers = {
  {
    "suspend(.01)", function ()
      local list = {}
      for i = 1, 2 do
        list[i] = { await = function () return suspend(i / 100) end, trigger = function () busy_until(i / 100) end,
          check = function (got) T.same(got, { true }) end }
      end
      return list
    end,
  },
  {
    "suspend()", function ()
      local list = {}
      for i = 1, 2 do
        list[i] = { await = function () return suspend() end, check = function (got) T.same(got, { true }) end }
      end
      return list
    end,
  },
}

C.streams = {
  {
    "read", function (watch, domain)
      local list = {}
      for i = 1, 2 do
        local a, b = L.pair(domain)
        local m = memory.create("......")
        list[i] = { object = watch(b), await = function () return b:read(m) end,
          trigger = function () L.send(watch(a), "abcdef") end,
          check = function (got)
            T.same(got, { 6 })
            T.eq(m:tostring(), "abcdef")
          end,
          leftover = function ()
            T.eq(m:tostring(), "......")
            T.eq(L.await(L.take, b), "abcdef")
          end }
      end
      return list
    end,
  },
  {
    "accept", function (watch, domain)
      local list = {}
      for i = 1, 2 do
        local passive, address = L.listener(domain)
        local function check(got)
          T.eq(got.n, 1)
          T.eq(watch(got[1]):close(), true)
        end
        list[i] = { object = watch(passive), await = function () return passive:accept() end, check = check,
          trigger = function ()
            local s = watch(socket("stream", domain))
            T.start(function () assert(s:connect(address)) end)
          end,
          leftover = function () check(pack(L.await(passive.accept, passive))) end }
      end
      return list
    end,
  },
  {
    "connect", function (watch, domain)
      local list = {}
      local passive, address = L.listener(domain)
      watch(passive)
      for i = 1, 2 do
        local s = watch(socket("stream", domain))
        list[i] = { object = s, passive = passive, await = function () return s:connect(address) end,
          check = function (got) T.eq(got[1], true) end,
          leftover = function ()
            local ok, _, code = L.await(s.connect, s, address)
            T.eq(ok or code == 106, true)
          end }
      end
      return list
    end,
  },
  {
    "write", function (watch, domain)
      local list = {}
      for i = 1, 2 do
        local a, b = L.pair(domain)
        local data = L.pattern(64, i)
        list[i] = { object = watch(a), await = function () return a:write(data) end,
          check = function (got) T.same(got, { true }) end,
          leftover = function () T.eq(L.await(L.collect, watch(b), 64), data) end }
      end
      return list
    end,
  },
  {
    "a large write", function (watch, domain)
      local list, size = {}, T.scale(8 * 2 ^ 20, 2 ^ 20)
      for i = 1, 2 do
        local a, b = L.pair(domain)
        local data = L.pattern(size, i)
        local read = 0
        list[i] = { object = watch(a), await = function () return a:write(data) end,
          trigger = function ()
            T.start(function () L.eqtext(L.collect(watch(b), #data), data); read = read + 1 end)
          end,
          check = function (got) T.same(got, { true }) end,
          leftover = function () T.eq(read, 1) end }
      end
      return list
    end,
  },
  {
    "shutdown", function (watch, domain)
      local list = {}
      for i = 1, 2 do
        local a, b = L.pair(domain)
        watch(b)
        list[i] = { object = watch(a), await = function () return a:shutdown() end,
          check = function (got) T.same(got, { true }) end }
      end
      return list
    end,
  },
}

-- The sequences ---------------------------------------------------------------------------------

local function X(co) T.resume(co, nil, "canceled") end
local function X0(co) T.resume(co) end

local _, states = pcall(require, "coutil.coroutine")
local sco = type(states) == "table" and states.load and system.resume and
  assert(states.load [[local yield = require "coroutine".yield; while true do yield() end]])

-- `body(r, A1, A2)` runs in the coroutine; `early` before the run; `late` by a second coroutine that the poll of the
-- first pass resumes, once the first await has returned (or at once). `want` says how each await must have ended. In the
-- order of one poll the second await may come before that coroutine; then there is nothing to cancel.
local sequences = {
  { want = { "normal" }, ends = "yield", -- [20 9.5]
    body = function (r, A1) r[1] = pack(A1()); r.at = "yield"; coroutine.yield(); r.at = "resumed" end },
  { want = { "normal", "normal" },
    body = function (r, A1, A2) r[1] = pack(A1()); r[2] = pack(A2()) end,
    late = function (_, trigger) trigger(2) end },
  { want = { "normal", "canceled" },
    body = function (r, A1, A2) r[1] = pack(A1()); coroutine.yield(); r[2] = pack(A2()) end,
    late = function (co, trigger) X0(co); X(co); trigger(2) end },
  { want = { "normal" }, sco = true,
    body = function (r, A1) r[1] = pack(A1()); coroutine.yield(); system.resume(sco) end,
    late = X0 },
  { want = { "normal" },
    body = function (r, A1) r[1] = pack(A1()); coroutine.yield(); T.same(pack(suspend()), { true }) end,
    late = X0 },
  { want = { "normal" }, prompt = true,
    body = function (r, A1) r[1] = pack(A1()); T.same(pack(suspend(10)), pack(nil, "canceled")) end,
    late = X },
  { want = { "normal" }, prompt = true,
    body = function (r, A1)
      r[1] = pack(A1())
      for _ = 1, 2 do T.same(pack(suspend(10)), pack(nil, "canceled")) end
    end,
    late = function (co) X(co); X(co) end },
  { want = { "normal" }, sco = true,
    body = function (r, A1) r[1] = pack(A1()); T.eq((system.resume(sco)), true) end },
  { want = { "normal" },
    body = function (r, A1) r[1] = pack(A1()); T.same(pack(suspend()), { true }) end },
  { want = { "canceled" }, ends = "yield", early = X,
    body = function (r, A1) r[1] = pack(A1()); r.at = "yield"; coroutine.yield(); r.at = "resumed" end },
  { want = { "canceled", "either" }, early = X, at_once = true,
    body = function (r, A1, A2) r[1] = pack(A1()); r[2] = pack(A2()) end,
    late = function (co, trigger, r) if not r[2] then X(co) end trigger(2) end },
  { want = { "canceled" }, early = X, sco = true,
    body = function (r, A1) r[1] = pack(A1()); system.resume(sco) end },
  { want = { "canceled" }, early = X,
    body = function (r, A1) r[1] = pack(A1()); T.same(pack(suspend()), { true }) end },
}

local function check(how, list, i, got, closing)
  if not got then error("await " .. i .. " has not returned", 2) end
  if how == "either" then how = got[2] == "canceled" and "canceled" or "normal" end
  if how == "canceled" then
    T.same(got, pack(nil, "canceled"), "await " .. i)
    if not closing and list[i].leftover then list[i].leftover() end
  elseif closing and not got[1] then
    local text = tostring(got[2])
    if not text:find("closed", 1, true) and text ~= "operation canceled" then error("await " .. i .. ": " .. text, 2) end
  else
    list[i].check(got)
  end
end

local function perform(operation, sequence, domain, closing, watch)
  local wake, woken = L.pair(domain)
  local list = operation[2](watch, domain)
  local function trigger(i)
    if closing then
      T.start(function () suspend(); T.eq(list[i].object:close(), true) end)
    elseif list[i].trigger then
      list[i].trigger()
    end
  end
  local r, from, co = { at = "waiting" }, nanosecs(), nil
  if sequence.late then
    watch(T.start(function ()
      L.take(woken)
      while not r[1] and not sequence.at_once do
        suspend()
        if nanosecs() - from > 60e9 then error("the first await does not return") end
      end
      sequence.late(co, trigger, r)
    end))
    L.send(wake, "x")
  end
  co = watch(T.start(function ()
    sequence.body(r, list[1].await, list[2].await)
    r.at = "end"
  end))
  T.eq(r.at, "waiting")
  trigger(1)
  if sequence.early then sequence.early(co) end
  T.eq(run(), false)
  T.eq(r.at, sequence.ends or "end")
  T.eq(coroutine.status(co), sequence.ends and "suspended" or "dead")
  if sequence.prompt then T.eq(nanosecs() - from < 9e9, true, "prompt") end
  for i, how in ipairs(sequence.want) do check(how, list, i, r[i], closing) end
  T.eq(run(), false)
end

-- All sequences of these operations in a domain, also while what they wait for is closed if `closable`.
function C.sequences(operations, domain, closable)
  for _, operation in ipairs(operations) do
    for _, closing in ipairs(closable and { false, true } or { false }) do
      local title = operation[1] .. " " .. domain .. (closing and " while closing [20 9.1]" or "")
      for n, sequence in ipairs(sequences) do
        T.test_if(sco or not sequence.sco, "no state coroutines", "sequence " .. n .. " of " .. title ..
          " [20 8.19.4] [20 8.19.5] [20 8.20.1] [20 8.20.3] [20 9.2] [00 1.3.1] [00 1.3.4]", function ()
          T.eq(L.swept(function (watch) perform(operation, sequence, domain, closing, watch) end), true)
        end)
      end
    end
  end
end

-- Further sequences -----------------------------------------------------------------------------

local function further(operation, domain)
  local timed = operation[1]:find("^suspend") ~= nil -- timers come first
  local large = operation[1] == "a large write"
  local name = operation[1] .. " " .. domain

  local function configured(f)
    return function ()
      T.eq(L.swept(function (watch)
        f(function () return T.unpack(operation[2](watch, domain)) end, watch)
        T.eq(run(), false)
      end), true)
    end
  end

  -- What is left of the first and the second await is served.
  local function trigger(...)
    for _, one in ipairs { ... } do if one.trigger then one.trigger() end end
  end

  T.test(name .. ": an explicit resume gives its values [00 1.3.1] [50 0.2.2] [20 8.19.4] [30 A4] [20 9.6]",
    configured(function (make)
      local values = { pack(), pack(nil), pack(true, nil, 3), pack({}, nil), pack(false, "closed"), pack(6) }
      for i = 1, large and 2 or #values do
        local before, during = make()
        local w = T.waiter(before.await)
        T.eq(w.got, nil)
        T.resume(w.co, T.unpack(values[i], 1, values[i].n))
        T.same(w.got, values[i])
        w = T.waiter(during.await)
        T.start(function () suspend(); T.resume(w.co, T.unpack(values[i], 1, values[i].n)) end)
        if not timed then trigger(before, during) end
        T.eq(run(), false)
        T.same(w.got, values[i])
      end
    end))

  T.test(name .. ": cancelled, waiting again, and resumed in the first pass [20 9.7] [90 1.2]",
    configured(function (make)
      local one, two = make()
      local r = {}
      system.time("updated")
      local co = T.start(function () r[1] = pack(one.await()); r[2] = pack(two.await()) end)
      T.start(function () suspend(); T.resume(co, .1, 2.2, 33.3) end)
      T.resume(co, "first")
      if one.trigger ~= two.trigger and not timed then trigger(one, two) end
      T.eq(run(), false)
      T.same(r[1], { "first" })
      T.same(r[2], { .1, 2.2, 33.3 })
    end))

  T.test(name .. ": failing after the await [00 1.5.2] [00 1.5.5] [20 8.14] [20 9.8]", configured(function (make, watch)
    local one, two = make()
    watch(T.start(function () one.await(); error("by the loop", 0) end))
    trigger(one)
    T.eq(run(), false)
    local reports = T.reports()
    T.eq(#reports, 1)
    T.eq(reports[1].err, "by the loop")
    local co = watch(T.start(function () two.await(); error("explicit", 0) end))
    T.returns({ false, "explicit" }, coroutine.resume, co)
    trigger(two)
    T.eq(run(), false)
  end))

  T.test_if(T.has_close and not large, "no coroutine.close, or nobody to read",
    name .. ": closing the coroutine [00 1.7.1] [00 1.7.2] [90 1.3]", configured(function (make, watch)
      local one, two = make()
      local first = watch(T.start(function () one.await(); error("resumed") end))
      T.eq(coroutine.close(first), true)
      trigger(one)
      local second = watch(T.start(function () two.await(); error("resumed") end))
      T.start(function () suspend(); coroutine.close(second) end) -- before what the poll finds
      T.eq(run(), false)
      T.eq(coroutine.status(second), "dead")
      if one.leftover then one.leftover() end
    end))
end

-- The further sequences of these operations in a domain.
function C.further(operations, domain)
  for _, operation in ipairs(operations) do further(operation, domain) end
end

return C
