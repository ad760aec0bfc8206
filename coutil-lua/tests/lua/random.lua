-- Modules coutil.event, queued, mutex, promise: random programs against a naive model of the contract.
--
-- The main thread and a population of coroutines take random steps. The model knows, whenever anything continues, which
-- coroutine it must be and with which values; each resumption, each result and each query is compared with it.
-- COUTIL_TEST_SEED=N runs only the program of that seed.

local T = require "testing"
local event, queued = require "coutil.event", require "coutil.queued"
local mutex, promise = require "coutil.mutex", require "coutil.promise"
local memory, system = require "coutil.memory", require "coutil.system"
local pack, unpack, rep = T.pack, T.unpack, string.rep
local function all(list, first) return unpack(list, first or 1, list.n) end

local DEPTH = 25 -- the greatest nesting of emissions and resumptions
local S -- the program that runs

-- Random choices; failures ----------------------------------------------------------------------

local seed
local function random(n)
  seed = seed * 16807 % 2147483647
  return math.floor(seed / 2147483647 * n) + 1
end
local function chance(n) return random(n) == 1 end
local function pick(list) return list[random(#list)] end

local extras = { 1, 2.5, "x", {}, print, true, false, T.nan, rep("long", 20) }
local function some_values()
  local values = { n = random(4) - 1 }
  if chance(40) then values.n = T.version == "5.1" and 12 or 70 end -- 5.1's own `pcall` takes no more
  for i = 1, values.n do values[i] = not chance(4) and pick(extras) or nil end
  return values
end

-- Errors in coroutines get lost on the way, so the first failure is kept, and raised wherever anything goes on.
local function fail(...)
  if not S.failed then
    local text, trail = pack(...), table.concat(S.trail, " ", math.max(#S.trail - 30, 1))
    for i = 1, text.n do text[i] = tostring(text[i]) end
    S.failed = debug.traceback("seed " .. S.seed .. ", after\n" .. trail .. "\n" .. table.concat(text), 2)
  end
  error(S.failed, 0)
end

local function equal(a, b)
  if type(a) == "number" and T.integers and math.type(a) ~= math.type(b) then return false end
  return rawequal(a, b) or (a ~= a and b ~= b)
end

local function show(list)
  local text = list.n .. " values"
  for i = 1, math.min(list.n, 9) do text = text .. " " .. tostring(list[i]) end
  return text
end

local function same(what, want, ...)
  local got = pack(...)
  local ok = got.n == want.n
  for i = 1, want.n do ok = ok and equal(got[i], want[i]) end
  if not ok then fail(what, ": got ", show(got), ", expected ", show(want)) end
end

-- The model -------------------------------------------------------------------------------------
--
-- An event: `get` gives its value, W is the list of those who wait, Q that of the stored emissions; `owner` of the
-- mutex; `fulfil` and `results` of a promise. A coroutine that waits: the `kind` of wait, the set `missing` of events;
-- it has no reference to its thread once that was dropped.
-- A frame is an emission (`ev`, `values`, `batch` unless it is for one), or an explicit resumption (`rec`, `want`).

local function remove(list, x)
  for i = #list, 1, -1 do if list[i] == x then table.remove(list, i) end end
end

local function wait(rec, kind, evs)
  rec.kind, rec.missing = kind, {}
  for i = 1, evs.n or 1 do
    local ev = evs[i]
    if ev and not rec.missing[ev] then rec.missing[ev] = true; table.insert(ev.W, rec) end
  end
end

local function withdraw(rec)
  for ev in pairs(rec.missing) do remove(ev.W, rec) end
  for _, frame in ipairs(S.frames) do if frame.batch then remove(frame.batch, rec) end end
  rec.kind, rec.missing = nil, nil
end

local function lock_or_wait(rec, ev)
  if ev.owner then wait(rec, "lock", { ev }) else ev.owner = rec; return true end
end

-- What an emission does next: it resumes the coroutine that is returned, with these values, or ends.
local function advance(frame)
  while true do
    local rec
    if frame.batch then rec = table.remove(frame.batch, 1)
    elseif not frame.taken then rec, frame.taken = table.remove(frame.ev.W, 1), true end
    if not rec then return nil end
    local kind = rec.kind
    rec.missing[frame.ev] = nil
    if kind ~= "all" or not next(rec.missing) then
      withdraw(rec)
      if kind == "all" then return rec, { true, n = 1 } end
      if kind == "event" then return rec, frame.values end
      if kind == "promise" then return rec, pack(all(frame.values, 2)) end
      if lock_or_wait(rec, frame.ev) then return rec, { n = 0 } end
    end
  end
end

-- Control ---------------------------------------------------------------------------------------

local function check_reported()
  if S.failed then error(S.failed, 0) end
  if S.owed then fail "an error was not reported" end
end
local function died(err)
  if not S.owed or S.owed ~= err then pcall(fail, "error that was not to be reported: ", err) end
  S.owed = nil
end

local function enter(frame, by)
  by.status = "normal"
  table.insert(S.frames, frame)
end
local function exit(by)
  by.status = "running"
  table.remove(S.frames)
end

-- A coroutine suspends or ends; `out` is what an explicit resumption returns.
local function leave(rec, status, out)
  rec.status, rec.out = status, out
  if status == "dead" then remove(S.recs, rec) end
  if not out[1] and not S.frames[#S.frames].rec then S.owed = out[2] end
end

local function arrive(rec, ...)
  check_reported()
  local frame, want = S.frames[#S.frames], nil
  if not frame then fail(rec.id, " was resumed by nobody") end
  if frame.rec then
    if frame.used or frame.rec ~= rec then fail(rec.id, " was resumed, not ", frame.rec.id) end
    frame.used, want = true, frame.want
  else
    local expected
    expected, want = advance(frame)
    if expected ~= rec then fail(rec.id, " was resumed, not ", expected and expected.id) end
  end
  same("continued with", want, ...)
  rec.status = "running"
end

local function suspend(rec, kind, evs, f, ...)
  wait(rec, kind, evs)
  leave(rec, "suspended", { true, n = 1 })
  if not (T.yield_across_pcall and chance(6)) then return arrive(rec, f(...)) end
  local got = pack(pcall(f, ...))
  if not got[1] then fail("await raised ", got[2]) end
  arrive(rec, all(got, 2))
end

local function resume(by, rec)
  local values, kind, ev, absorbed = some_values(), rec.kind, rec.kind and next(rec.missing), nil
  local frame = { rec = rec, want = values }
  if kind then withdraw(rec) end
  if kind == "promise" and values.n == 0 then frame.want = { n = 1 } end
  if kind == "lock" then frame.want, absorbed = { n = 0 }, not lock_or_wait(rec, ev) end
  enter(frame, by)
  local got = pack(rec.resume(all(values)))
  check_reported()
  exit(by)
  if not frame.used and not absorbed then fail(rec.id, " was not resumed") end
  same("resume", absorbed and { true, n = 1 } or rec.out, all(got))
end

local function emission(by, ev, to_all, f, value, values, result)
  local frame = { ev = ev, values = pack(value, all(values)) }
  if result == nil then result = #ev.W > 0 end
  if to_all then frame.batch, ev.W = ev.W, {} end
  enter(frame, by)
  local arguments, got = f == ev.fulfil and values or frame.values, nil
  local function emit() got = pack(f(all(arguments))) end
  if chance(8) then string.gsub("x", "x", emit) else emit() end
  check_reported()
  local left = advance(frame)
  if left then fail(left.id, " was not resumed") end
  exit(by)
  same("emission", { result, n = 1 }, all(got))
end

-- Compares all that can be asked; not always, as a query may tidy up.
local function verify(by)
  check_reported()
  if not S.dense and not chance(12) then return end
  for _, ev in ipairs(S.events) do
    local e = ev.get()
    if event.pending(e) ~= (#ev.W > 0) then fail("pending of ", e, " is not ", #ev.W > 0) end
    if queued.isqueued(e) ~= (#ev.Q > 0) then fail("isqueued of ", e, " is not ", #ev.Q > 0) end
    if mutex.islocked(e) ~= (ev.owner ~= nil) then fail("islocked of ", e, " is not ", ev.owner ~= nil) end
    if mutex.ownlock(e) ~= (ev.owner == by) then fail("ownlock of ", e, " is not ", ev.owner == by) end
    if ev.fulfil and e("probe") ~= (ev.results ~= nil) then fail("probe is not ", ev.results ~= nil) end
  end
  for _, rec in ipairs(S.recs) do
    local status = coroutine.status(rec.co)
    if status ~= rec.status then fail(rec.id, " is ", status, ", not ", rec.status) end
  end
end

-- Events ----------------------------------------------------------------------------------------

local function anew(get) return function (n) return { get = function () return get(n) end } end end
local function constant(value) return { get = function () return value end } end
-- Values that all programs have: they are left without waiters, and are no mutexes.
local function shared(value)
  return function ()
    S.shared[value] = S.shared[value] or { shared = true, get = function () return value end }
    return S.shared[value]
  end
end

local odd = { __eq = function () return true end, __index = error, __newindex = error }
local function new_promise()
  local p, fulfil = promise.create()
  return { get = function () return p end, fulfil = fulfil }
end
local kinds = {
  shared(true), shared(false), shared(math.huge), shared(print), shared(pcall),
  anew(function (n) return "k" .. n end),
  anew(function (n) return rep("k", 35) .. n end), -- about 40 bytes, where strings become long ones
  anew(function (n) return rep("k", 60) .. n end),
  anew(function (n) return chance(2) and n or n + 0.0 end),
  anew(function (n) return n + 0.5 end),
  function () return constant {} end,
  function () return constant(setmetatable({}, odd)) end,
  function (n) return constant(function () return n end) end,
  function () return constant(string.gmatch("a", "a")) end,
  function () return constant(T.create(function () end)) end,
  function () return constant(memory.create(4)) end,
  function () -- one of the population
    local rec = S.recs[1] and pick(S.recs)
    return constant(rec and not S.threads[rec.co] and rec.co or {})
  end,
  new_promise, new_promise, new_promise, new_promise, new_promise,
}

local function new_event(index)
  S.made = S.made + 1
  local ev = pick(kinds)(S.seed * 1000 + S.made)
  local value = ev.get()
  for _, other in ipairs(S.events) do if rawequal(other.get(), value) then return end end
  if type(value) == "thread" then S.threads[value] = true end
  ev.W, ev.Q = ev.W or {}, ev.Q or {}
  S.events[index] = ev
end

local function some_event(promises)
  for _ = 1, promises and 20 or 1 do
    local ev = pick(S.events)
    if ev.fulfil or not promises then return ev, ev.get() end
  end
end
local function some_events(promises)
  local n = chance(30) and 40 or random(4)
  local evs, values = { n = n }, { n = n }
  for i = 1, n do if not chance(5) then evs[i], values[i] = some_event(promises) end end
  return evs, values
end
local function some_target()
  local ev
  for _ = 1, 3 do
    ev = pick(S.events)
    if ev.W[1] then break end
  end
  return ev
end
local function suspended()
  for _ = 1, 5 do
    local rec = S.recs[1] and pick(S.recs)
    if rec and rec.status == "suspended" then return rec end
  end
end

-- Steps -----------------------------------------------------------------------------------------

local function none(list)
  for i = 1, list.n do if list[i] ~= nil then return false end end
  return true
end
local function refuse(text, f, ...)
  local ok, err = pcall(f, ...)
  if ok or not tostring(err):find(text, 1, true) then fail("expected ", text, ", got ", err) end
end

local function await(rec, kind, evs, f, ...)
  if rec.main then return refuse("unable to yield", f, ...) end
  suspend(rec, kind, evs, f, ...)
end
local function await_many(rec, kind, f, evs, values)
  if not rec.main and none(evs) then
    if kind == "all" then return same("awaitall", { true, n = 1 }, f(all(values))) end
    return refuse(T.yield_across_pcall and "non-nil value expected" or "", f, all(values))
  end
  if not rec.main and T.yield_across_pcall and f ~= promise.awaitany and chance(20) then
    values.n = values.n + 1
    values[values.n] = T.nan
    return refuse("table index is NaN", f, all(values))
  end
  await(rec, kind, evs, f, all(values))
end

local steps = {}
local weights = { await = 6, awaitany = 5, awaitall = 6, queued_await = 4, queued_any = 3, queued_all = 4, lock = 7,
  unlock = 7, call = 4, fulfil = 2, promise_any = 2, promise_all = 2, emit = 16, store = 7, cancel = 6, close = 2,
  yield = 2, throw = 1, drop_event = 1, drop_thread = 1, collect = 1, start = 8, finish = 1, blocked = 1 }

function steps.await(rec)
  local ev, e = some_event()
  await(rec, "event", { ev }, event.await, e)
end
function steps.awaitany(rec) await_many(rec, "event", event.awaitany, some_events()) end
function steps.awaitall(rec) await_many(rec, "all", event.awaitall, some_events()) end

function steps.queued_await(rec)
  local ev, e = some_event()
  if not ev.Q[1] then return await(rec, "event", { ev }, queued.await, e) end
  same("queued.await", pack(e, all(table.remove(ev.Q, 1))), queued.await(e))
end
function steps.queued_any(rec)
  local evs, values = some_events()
  for i = 1, evs.n do
    if evs[i] and evs[i].Q[1] then
      return same("queued.awaitany", pack(values[i], all(table.remove(evs[i].Q, 1))), queued.awaitany(all(values)))
    end
  end
  await_many(rec, "event", queued.awaitany, evs, values)
end
function steps.queued_all(rec)
  local evs, values = some_events()
  if rec.main or chance(10) then
    values.n = values.n + 1
    values[values.n] = T.nan
    local text = rec.main and "unable to yield" or T.yield_across_pcall and "table index is NaN" or ""
    return refuse(text, queued.awaitall, all(values))
  end
  local left, served = { n = evs.n }, {}
  for i = 1, evs.n do
    local ev = evs[i]
    if ev and not served[ev] then
      served[ev] = true
      if ev.Q[1] then table.remove(ev.Q, 1) else left[i] = ev end
    end
  end
  if none(left) then return same("queued.awaitall", { true, n = 1 }, queued.awaitall(all(values))) end
  suspend(rec, "all", left, queued.awaitall, all(values))
end

function steps.lock(rec)
  local ev, e = some_event()
  if ev.shared then return end
  if ev.owner == rec then return refuse("nested lock", mutex.lock, e) end
  if ev.owner then return await(rec, "lock", { ev }, mutex.lock, e) end
  ev.owner = rec
  same("lock", { n = 0 }, mutex.lock(e))
end
function steps.unlock(rec)
  for _, ev in ipairs(S.events) do
    if ev.owner == rec then
      ev.owner = nil
      return emission(rec, ev, false, mutex.unlock, ev.get(), { n = 0 })
    end
  end
  local _, e = some_event()
  refuse("lock not owned", mutex.unlock, e)
end

function steps.call(rec)
  local ev, p = some_event(true)
  if ev and ev.results then return same("promise", ev.results, p(false, 1)) end
  if ev then await(rec, "promise", { ev }, p) end
end
function steps.fulfil(rec)
  local ev, p = some_event(true)
  if not ev then return end
  local first, values = not ev.results, some_values()
  ev.results = values
  if first then return emission(rec, ev, true, ev.fulfil, p, values, true) end
  same("fulfil", { false, n = 1 }, ev.fulfil(all(values)))
end
function steps.promise_any(rec)
  local evs, values = some_events(true)
  for i = 1, evs.n do
    if not evs[i] then break end
    if evs[i].results then
      same("pickready", { values[i], n = 1 }, promise.pickready(all(values)))
      return same("promise.awaitany", { values[i], n = 1 }, promise.awaitany(all(values)))
    end
  end
  await_many(rec, "event", promise.awaitany, evs, values)
end
function steps.promise_all(rec)
  local evs, values = some_events(true)
  local left, ps = { n = 0 }, { n = 0 }
  for i = 1, evs.n do
    if not evs[i] then break end
    if not evs[i].results then
      left.n, ps.n = left.n + 1, ps.n + 1
      left[left.n], ps[ps.n] = evs[i], values[i]
    end
  end
  same("onlypending", ps, promise.onlypending(all(values)))
  if rec.main or not none(left) then return await(rec, "all", left, promise.awaitall, all(values)) end
  same("promise.awaitall", { true, n = 1 }, promise.awaitall(all(values)))
end

function steps.emit(rec)
  local ev, to_all = some_target(), chance(2)
  emission(rec, ev, to_all, to_all and event.emitall or event.emitone, ev.get(), some_values())
end
function steps.store(rec)
  local ev, to_all, values = some_target(), chance(2), some_values()
  if not ev.W[1] then table.insert(ev.Q, values) end
  emission(rec, ev, to_all, to_all and queued.emitall or queued.emitone, ev.get(), values)
end

function steps.cancel(by)
  local rec = suspended()
  if rec then return resume(by, rec) end
  rec = T.version ~= "5.2" and S.recs[1] and pick(S.recs) -- 5.2 with its assertions on fails at this
  if rec and rec.status ~= "suspended" and rec.resume(1) then fail("resumed while ", rec.status) end
end
function steps.close()
  local rec = T.has_close and suspended()
  if not rec then return end
  if rec.kind then withdraw(rec) end
  rec.status = "dead"
  if coroutine.close(rec.co) ~= true then fail "not closed" end
  if chance(2) then remove(S.recs, rec) end
end
function steps.yield(rec)
  if rec.main then return end
  local values = some_values()
  leave(rec, "suspended", pack(true, all(values)))
  arrive(rec, coroutine.yield(all(values)))
end
function steps.throw(rec)
  if rec.main then return end
  local err = {}
  leave(rec, "dead", { false, err, n = 2 })
  error(err)
end
function steps.finish(rec) rec.finish = true end
function steps.blocked(rec)
  local _, e = some_event()
  if not rec.main then string.gsub("x", "x", function () refuse("unable to yield", event.await, e) end) end
end

function steps.drop_event() new_event(random(#S.events)) end
function steps.drop_thread()
  local rec = S.recs[1] and table.remove(S.recs, random(#S.recs))
  if rec then rec.co, rec.resume = nil, nil end
end
function steps.collect() if chance(4) then collectgarbage() else collectgarbage("step", 10) end end

local function step(rec)
  local name = #S.frames >= DEPTH and "await" or pick(S.bag)
  S.left = S.left - 1
  table.insert(S.trail, rec.id .. ":" .. name)
  steps[name](rec)
  verify(rec)
end

function steps.start(by)
  if #S.recs > 20 then return end
  S.count = S.count + 1
  local rec = { id = "co" .. S.count, status = "suspended" }
  local function body(...)
    arrive(rec, ...)
    rec.co = coroutine.running()
    T.arm(rec.co)
    table.insert(S.recs, rec)
    while S.left > 0 and not rec.finish do step(rec) end
    local values = some_values()
    leave(rec, "dead", pack(true, all(values)))
    return all(values)
  end
  if chance(2) then
    local f = coroutine.wrap(body)
    rec.resume = function (...) return pcall(f, ...) end
  else
    local co = coroutine.create(body)
    rec.resume = function (...) return coroutine.resume(co, ...) end
  end
  resume(by, rec)
end

-- Programs --------------------------------------------------------------------------------------

local names = {}
for name in pairs(weights) do names[#names + 1] = name end
table.sort(names)

local function program(number, length)
  seed = (number * 7919 + 104729) % 2147483646 + 1
  for _ = 1, 5 do random(2) end
  S = { seed = number, left = length, dense = chance(2), made = 0, count = 0, events = {}, recs = {}, frames = {},
    bag = {}, trail = {}, shared = {}, threads = setmetatable({}, { __mode = "k" }) }
  for _, name in ipairs(names) do
    for _ = 1, weights[name] * (chance(4) and 3 or 1) do table.insert(S.bag, name) end
  end
  for i = 1, random(10) + 1 do while not S.events[i] do new_event(i) end end
  local main = { main = true, id = "main", status = "running" }
  while S.left > 0 do step(main) end
  -- Who continues now ends. What others can see is left as it was before.
  for _, ev in pairs(S.shared) do remove(S.events, ev); table.insert(S.events, ev) end
  S.dense = true
  for _, ev in ipairs(S.events) do
    emission(main, ev, true, event.emitall, ev.get(), some_values())
    while ev.Q[1] do
      local e = ev.get()
      same("queued.await", pack(e, all(table.remove(ev.Q, 1))), queued.await(e))
    end
    if ev.shared and ev.W[1] then fail "still waiting" end
    verify(main)
  end
end

T.test("random programs do what the model says [00 1.1.1] [00 1.2.1] [00 1.2.4] [00 1.2.5] [00 1.3.1] [00 1.3.2] "
  .. "[00 1.3.4] [00 1.4.1] [00 1.4.3] [00 1.5.1] [00 1.5.5] [00 1.5.6] [00 1.7.3] [10 1.1.1] [10 1.1.2] [10 1.1.3] "
  .. "[10 1.2.1] [10 1.2.2] [10 1.2.3] [10 1.2.4] [10 1.2.5] [10 1.2.6] [10 1.2.7] [10 1.2.8] [10 1.2.9] [10 1.3.1] "
  .. "[10 1.3.2] [10 1.4.2] [10 1.4.3] [10 1.5.2] [10 1.5.3] [10 1.5.4] [10 1.5.5] [10 1.5.6] [10 1.5.7] [10 1.6.2] "
  .. "[10 1.6.3] [10 1.6.4] [10 1.6.5] [10 1.6.6] [10 1.6.7] [10 2.1.1] [10 2.1.2] [10 2.1.4] [10 2.1.5] [10 2.1.6] "
  .. "[10 2.2] [10 2.4.1] [10 2.4.2] [10 2.4.3] [10 2.5.1] [10 2.5.2] [10 2.6.1] [10 2.6.2] [10 2.6.3] [10 2.6.4] "
  .. "[10 2.6.5] [10 3.1.1] [10 3.1.2] [10 3.1.3] [10 3.1.5] [10 3.2.1] [10 3.2.2] [10 3.2.3] [10 3.2.4] [10 3.3.1] "
  .. "[10 3.4.2] [10 4.2.1] [10 4.2.2] [10 4.2.3] [10 4.3.1] [10 4.3.2] [10 4.3.3] [10 4.3.4] [10 4.4.1] [10 4.4.2] "
  .. "[10 4.5] [10 4.6.1] [10 4.6.2] [10 4.7.1] [10 4.7.2] [90 2.2]", function ()
  local previous = system.onerror(died)
  local only = tonumber(os.getenv("COUTIL_TEST_SEED") or "")
  for number = only or 1, only or T.scale(600) do program(number, 200) end
  system.onerror(previous)
end)

T.done()
