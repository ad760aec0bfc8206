-- Cancelling look-ups of names: in the sequences that all await functions go through, and what is left behind.

local T = require "testing"
local L = require "loop_testing"
local system = require "coutil.system"
local findaddr, nameaddr, run, suspend = system.findaddr, system.nameaddr, system.run, system.suspend
local pack, unpack = T.pack, T.unpack

local localhost = pack(L.await(nameaddr, L.address("ipv4", 0)))
local knows_localhost = tostring(localhost[1]):find("localhost", 1, true) and L.await(findaddr, "localhost", 1, "4") and true

local function is_list(got) T.eq(got.n, 1); T.eq(got[1]:close(), true) end
local operations = {
  { "findaddr", function (i) return findaddr("localhost", i, "n46") end,
    function (got) T.same(got, { false, "unknown node or service", 3008 }) end },
  { "findaddr of a literal", function (i) return findaddr("127.0.0.1", i) end, is_list },
  { "nameaddr of a port", function (i) return nameaddr(65500 + i) end, function (got) T.eq(got.n, 1); T.eq(type(got[1]), "string") end },
}
if knows_localhost then
  operations[#operations + 1] = { "findaddr of a name", function (i) return findaddr("localhost", i, "4") end, is_list }
  operations[#operations + 1] = { "nameaddr of loopback", function (i) return nameaddr(L.address("ipv4", 80 * i)) end, function (got)
    T.eq(got.n, 2)
    T.eq(got[1], localhost[1])
  end }
end

local function X(co) T.resume(co, nil, "canceled") end
local function X0(co) T.resume(co) end
local _, states = pcall(require, "coutil.coroutine")
local sco = type(states) == "table" and states.load and system.resume and
  assert(states.load [[local yield = require "coroutine".yield; while true do yield() end]])

-- `body(r, A)` runs in the coroutine; `early` before the run; `late` by a second one, when the first await has returned.
local sequences = {
  { want = { "normal" }, ends = "yield", -- [20 9.5]
    body = function (r, A) r[1] = pack(A(1)); r.at = "yield"; coroutine.yield(); r.at = "resumed" end },
  { want = { "normal", "normal" }, body = function (r, A) r[1] = pack(A(1)); r[2] = pack(A(2)) end },
  { want = { "normal", "canceled" },
    body = function (r, A) r[1] = pack(A(1)); coroutine.yield(); r[2] = pack(A(2)) end,
    late = function (co) X0(co); X(co) end },
  { want = { "normal" }, sco = true, body = function (r, A) r[1] = pack(A(1)); coroutine.yield(); system.resume(sco) end, late = X0 },
  { want = { "normal" }, body = function (r, A) r[1] = pack(A(1)); coroutine.yield(); T.returns({ true }, suspend) end, late = X0 },
  { want = { "normal" }, body = function (r, A) r[1] = pack(A(1)); T.same(pack(suspend(10)), pack(nil, "canceled")) end, late = X },
  { want = { "normal" }, late = function (co) X(co); X(co) end, body = function (r, A)
    r[1] = pack(A(1))
    for _ = 1, 2 do T.same(pack(suspend(10)), pack(nil, "canceled")) end
  end },
  { want = { "normal" }, sco = true, body = function (r, A) r[1] = pack(A(1)); T.eq((system.resume(sco)), true) end },
  { want = { "normal" }, body = function (r, A) r[1] = pack(A(1)); T.returns({ true }, suspend) end },
  { want = { "canceled" }, ends = "yield", early = X,
    body = function (r, A) r[1] = pack(A(1)); r.at = "yield"; coroutine.yield(); r.at = "resumed" end },
  { want = { "canceled", "canceled" }, early = function (co) X(co); X(co) end,
    body = function (r, A) r[1] = pack(A(1)); r[2] = pack(A(2)) end },
  { want = { "canceled" }, sco = true, early = X, body = function (r, A) r[1] = pack(A(1)); system.resume(sco) end },
  { want = { "canceled" }, early = X, body = function (r, A) r[1] = pack(A(1)); T.returns({ true }, suspend) end },
  { want = { "canceled", "normal" }, early = X, body = function (r, A) r[1] = pack(A(1)); r[2] = pack(A(2)) end },
}

local function perform(operation, sequence, watch)
  local r, from = { at = "waiting" }, system.nanosecs()
  local co = watch(T.start(function ()
    sequence.body(r, operation[2])
    r.at = "end"
  end))
  T.eq(r.at, "waiting")
  if sequence.late then
    watch(T.start(function ()
      while not r[1] do suspend() end
      sequence.late(co)
    end))
  end
  if sequence.early then sequence.early(co) end
  L.run()
  T.eq(r.at, sequence.ends or "end")
  T.eq(coroutine.status(co), sequence.ends and "suspended" or "dead")
  T.eq(system.nanosecs() - from < 9e9, true, "prompt")
  for i, how in ipairs(sequence.want) do
    if how == "canceled" then T.same(r[i], pack(nil, "canceled")) else operation[3](r[i]) end
  end
end

for _, operation in ipairs(operations) do
  for n, sequence in ipairs(sequences) do
    T.test_if(sco or not sequence.sco, "no state coroutines", "sequence " .. n .. " of " .. operation[1] ..
      " [20 8.19.4] [20 8.19.5] [20 8.20.1] [20 8.20.2] [20 9.2] [00 1.3.1] [00 1.3.4] [00 1.3.6]", function ()
      T.eq(L.swept(function (watch) perform(operation, sequence, watch) end), true)
    end)
  end

  T.test(operation[1] .. ": an explicit resume gives its values, also in the middle [00 1.3.1] [50 0.2.2] [20 9.6]", function ()
    for _, values in ipairs { pack(), pack(nil), pack(true, nil, 3), pack({}, nil) } do
      local early, later = T.waiter(operation[2], 1), T.waiter(operation[2], 2)
      T.resume(early.co, unpack(values, 1, values.n))
      T.same(early.got, values)
      T.start(function () suspend(); T.resume(later.co, unpack(values, 1, values.n)) end)
      L.run()
      T.same(later.got, values)
    end
  end)

  T.test(operation[1] .. ": failing after the await [00 1.5.2] [00 1.5.5] [20 9.8]", function ()
    T.eq(L.swept(function (watch)
      watch(T.start(function () operation[2](1); error("by the loop", 0) end))
      L.run()
      local reports = T.reports()
      T.eq(#reports, 1)
      T.eq(reports[1].err, "by the loop")
      local co = watch(T.start(function () operation[2](1); error("explicit", 0) end))
      T.returns({ false, "explicit" }, coroutine.resume, co)
      L.run()
    end), true)
  end)

  T.test_if(T.has_close, "no coroutine.close", operation[1] .. ": closing the coroutine [00 1.7.1] [00 1.7.2]", function ()
    T.eq(L.swept(function (watch)
      local first = watch(T.start(function () operation[2](1); error("resumed") end))
      T.eq(coroutine.close(first), true)
      T.eq(run "ready", false)
      local second = watch(T.start(function () operation[2](2); error("resumed") end))
      T.start(function () suspend(); coroutine.close(second) end)
      L.run()
      T.eq(coroutine.status(second), "dead")
    end), true)
  end)
end

T.test("nothing is left pending by a look-up that was cancelled [00 1.3.6] [20 8.20.1]", function ()
  local w = T.waiter(findaddr, "127.0.0.1", 80)
  T.eq(run "ready" or w.got ~= nil, true)
  if not w.got then T.resume(w.co, "enough") end
  T.eq(run "ready", false)
  T.eq(w.got[1] == "enough" or type(w.got[1]) == "userdata", true)
end)

T.done()
