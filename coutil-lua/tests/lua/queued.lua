-- Module coutil.queued: emissions that wait for somebody.

local T = require "testing"
local event = require "coutil.event"
local queued = require "coutil.queued"
local await, awaitall, awaitany = queued.await, queued.awaitall, queued.awaitany
local emitall, emitone, pending = queued.emitall, queued.emitone, queued.pending
local isqueued = queued.queued
local pack, waiter = T.pack, T.waiter
local put = table.insert

local both = { emitall = emitall, emitone = emitone }

-- Emitting --------------------------------------------------------------------------------------

for name, emit in pairs(both) do
  T.test(name .. " with a waiter stores nothing [10 2.1.1]", function ()
    local e = {}
    for _, module in ipairs { event, queued } do
      for _, f in ipairs { "await", "awaitany", "awaitall" } do
        local w = waiter(module[f], e)
        T.returns({ true }, emit, e, "x", nil)
        T.same(w.got, f == "awaitall" and { true } or pack(e, "x", nil))
        T.eq(isqueued(e), false)
      end
    end
    local w = waiter(awaitall, e, "another") -- only advanced: somebody was waiting
    T.returns({ true }, emit, e)
    T.eq(isqueued(e), false)
    T.returns({ false }, emit, e)
    T.eq(isqueued(e), true)
    T.resume(w.co)
  end)

  T.test(name .. " without a waiter stores one record [10 2.1.2]", function ()
    local e = {}
    T.returns({ false }, emit, e, "x")
    T.eq(isqueued(e), true)
    T.eq(pending(e), false)
    local a, b = waiter(await, e), waiter(await, e)
    T.same(a.got, { e, "x" }) -- one await is served, even by emitall
    T.eq(b.got, nil)
    T.eq(isqueued(e), false)
    T.returns({ true }, emit, e, "y")
    T.same(b.got, { e, "y" })
  end)

  T.test(name .. " of nil and NaN [10 2.1.3]", function ()
    T.returns({ false }, emit)
    T.returns({ false }, emit, nil, "x")
    T.eq(isqueued(nil), false)
    T.raises("table index is NaN", emit, T.nan)
    T.raises("table index is NaN", emit, T.nan, "x")
    T.eq(isqueued(T.nan), false)
  end)

  T.test(name .. " serves as the one of coutil.event: one or all [10 2.1.1]", function ()
    local e, log = {}, {}
    for i = 1, 3 do T.start(function () await(e); put(log, i) end) end
    T.eq(emit(e), true)
    T.same(log, name == "emitall" and { 1, 2, 3 } or { 1 })
    event.emitall(e)
    T.same(log, { 1, 2, 3 })
    T.eq(isqueued(e), false)
  end)
end

T.test("records keep their count and their nils [10 2.1.4]", function ()
  local lists = { pack(), pack(nil), pack(nil, nil), pack("x"), pack("x", nil), pack(nil, "x"),
                  pack(nil, 1, nil, 2, nil, nil), pack(false, nil, false) }
  for _, emit in pairs(both) do
    local e = {}
    for _, l in ipairs(lists) do emit(e, T.unpack(l, 1, l.n)) end
    for i, l in ipairs(lists) do
      local f = i % 2 == 0 and await or awaitany
      T.same(pack(f(e)), pack(e, T.unpack(l, 1, l.n)))
    end
    T.eq(isqueued(e), false)
    local many = { n = 230 }
    for i = 7, 230, 7 do many[i] = i end
    emit(e, T.unpack(many, 1, many.n))
    T.same(pack(await(e)), pack(e, T.unpack(many, 1, many.n)))
  end
end)

T.test("coutil.event neither stores nor consumes [10 2.1.5] [10 2.4.3]", function ()
  local e = {}
  T.eq(event.emitall(e), false)
  T.eq(event.emitone(e), false)
  T.eq(isqueued(e), false)
  emitone(e, "stored")
  for _, f in ipairs { "await", "awaitany", "awaitall" } do
    local w = waiter(event[f], e) -- waits though there is a record
    T.eq(w.got, nil)
    T.eq(isqueued(e), true)
    T.eq(pending(e), true)
    T.eq(event.emitall(e), true)
    T.eq(w.got[1], f == "awaitall" or e)
    T.eq(event.emitall(e), false)
    T.eq(isqueued(e), true)
  end
  local w = waiter(event.await, e)
  T.eq(emitone(e, "direct"), true) -- the waiter gets it, the record stays
  T.same(w.got, { e, "direct" })
  T.returns({ e, "stored" }, await, e)
end)

T.test("a nested emission in a batch stores, and a later member consumes [10 2.1.6]", function ()
  local e, log = {}, {}
  T.start(function () await(e); put(log, emitall(e, "nested")) end)
  T.start(function ()
    await(e)
    put(log, isqueued(e))
    put(log, (select(2, await(e))))
    put(log, isqueued(e))
  end)
  T.eq(emitall(e), true)
  T.same(log, { false, true, "nested", false })
  T.eq(pending(e), false)
end)

-- Queries ---------------------------------------------------------------------------------------

T.test("queued tells whether there are records", function () -- 10 2.2
  T.returns({ false }, isqueued)
  T.returns({ false }, isqueued, nil)
  T.returns({ false }, isqueued, T.nan)
  for _, e in ipairs { "text", false, 12, {}, print, io.stdout, function () end } do
    T.returns({ false }, isqueued, e)
    emitall(e)
    emitone(e)
    T.returns({ true }, isqueued, e)
    await(e)
    T.returns({ true }, isqueued, e)
    await(e)
    T.returns({ false }, isqueued, e)
  end
  T.eq(queued.isqueued, queued.queued)
  T.eq(queued.pending, event.pending) -- 10 2.3
end)

T.test("records are kept by raw identity", function ()
  local e = setmetatable({}, { __eq = function () return true end })
  emitone(e)
  T.eq(isqueued(setmetatable({}, getmetatable(e))), false)
  await(e)
  local one = T.load "return 1.0" ()
  emitone(1, "x")
  T.eq(isqueued(one), true)
  local got = pack(await(one)) -- the value given to await comes back
  T.same(got, { one, "x" })
  if T.integers then T.eq(math.type(got[1]), "float") end
  T.eq(isqueued(1), false)
  T.eq(emitone("1"), false)
  T.eq(isqueued(1), false)
  await("1")
end)

T.test("records on strings that are made anew each time", function ()
  local name = "a string that is too long to be shared: number "
  local n = T.scale(3000, 100)
  for i = 1, n do emitone(name .. i, i) end
  for i = 1, n do
    T.eq(isqueued(name .. n + i), false)
    T.returns({ name .. i, i }, await, name .. i)
    T.eq(isqueued(name .. i), false)
    emitall(name, i)
    T.returns({ name, i }, awaitany, name .. i, ("%s"):format(name))
  end
end)

-- await -----------------------------------------------------------------------------------------

T.test("records are consumed oldest first, from any thread [10 2.4.1] [00 1.1.4] [00 1.4.4]", function ()
  local e = {}
  for i = 1, 6 do both[i % 2 == 0 and "emitall" or "emitone"](e, i) end
  T.returns({ e, 1 }, await, e) -- the main thread cannot yield
  T.returns({ e, 2 }, T.inside, await, e)
  ;("x"):gsub("x", function () T.returns({ e, 3 }, await, e) end)
  T.returns({ e, 4 }, awaitany, e)
  T.returns({ e, 5 }, await, e, "ignored")
  emitall(e, 7)
  T.returns({ e, 6 }, await, e)
  T.returns({ e, 7 }, await, e)
  T.raises("unable to yield", await, e)
  T.eq(pending(e), false)
end)

T.test("without a record it is the await of coutil.event [10 2.4.2]", function ()
  local e, log = {}, {}
  for i, m in ipairs { event, queued, event, queued } do
    T.start(function () log[i] = pack(m.await(e)) end)
  end
  T.eq(pending(e), true)
  T.eq(event.emitall(e, nil, "x", nil), true)
  for i = 1, 4 do T.same(log[i], pack(e, nil, "x", nil)) end
  local w = waiter(await, e)
  T.resume(w.co, nil, "cancel")
  T.same(w.got, pack(nil, "cancel"))
  T.eq(pending(e), false)
  T.eq(isqueued(e), false)
  T.inside(function ()
    if T.yield_across_pcall then
      T.raises("table index is nil", await)
      T.raises("table index is nil", await, nil, e)
      T.raises("table index is NaN", await, T.nan)
    end
  end)
  T.raises("unable to yield", await)
end)

T.test("records are never given twice under a loop of consumers", function ()
  local e, log = {}, {}
  local function consumer(name)
    T.start(function () while true do put(log, name .. select(2, await(e))) end end)
  end
  emitone(e, 1); emitone(e, 2)
  consumer "a"
  consumer "b"
  emitone(e, 3); emitone(e, 4)
  emitall(e, 5)
  T.same(log, { "a1", "a2", "a3", "b4", "a5", "b5" })
end)

-- awaitany --------------------------------------------------------------------------------------

T.test("awaitany takes the first stored of its list, one record only [10 2.5.1]", function ()
  local a, b, c = {}, "b", false
  emitone(c, "c1"); emitone(b, "b1", nil); emitone(b, "b2"); emitone(c, "c2")
  T.returns(pack(b, "b1", nil), awaitany, a, nil, T.nan, b, c)
  T.returns({ c, "c1" }, awaitany, nil, c, b, nil)
  T.returns({ b, "b2" }, T.inside, awaitany, T.nan, nil, b, b)
  T.returns({ c, "c2" }, awaitany, a, b, c)
  for _, e in ipairs { a, b } do T.eq(isqueued(e), false) end
  T.eq(isqueued(c), false)
end)

T.test("awaitany with nothing stored waits as coutil.event's [10 2.5.2]", function ()
  local a, b, c = {}, {}, {}
  local w = waiter(awaitany, a, nil, b, a, nil)
  T.eq(pending(a) and pending(b), true)
  T.eq(pending(c), false)
  T.eq(emitone(b, "x", nil), true)
  T.same(w.got, pack(b, "x", nil))
  T.eq(pending(a), false)
  T.eq(event.emitall(a), false)
  w = waiter(awaitany, a, b)
  T.resume(w.co)
  T.same(w.got, {})
  T.eq(pending(a) or pending(b), false)
  T.raises("unable to yield", awaitany)
  T.raises("unable to yield", awaitany, a)
  T.raises("unable to yield", awaitany, nil, T.nan)
  if T.yield_across_pcall then
    T.inside(function ()
      T.raises("non-nil value expected", awaitany)
      T.raises("non-nil value expected", awaitany, nil, nil)
      T.raises("table index is NaN", awaitany, a, T.nan)
      T.eq(pending(a), false)
    end)
  end
end)

-- awaitall --------------------------------------------------------------------------------------

T.test("awaitall needs a coroutine, and a failing call consumes nothing [10 2.6.1] [00 1.4.4]", function ()
  local a, b = {}, {}
  emitone(a, 1); emitone(b, 2)
  T.raises("unable to yield", awaitall, a, b)
  T.raises("unable to yield", awaitall, a, {})
  T.raises("unable to yield", awaitall, T.nan)
  T.raises("unable to yield", awaitall)
  T.returns({ a, 1 }, await, a)
  T.returns({ b, 2 }, await, b)
end)

T.test("awaitall takes one record of each distinct value [10 2.6.2] [10 2.6.3]", function ()
  local a, b, c = {}, "b", false
  for i = 1, 2 do for _, e in ipairs { a, b } do emitone(e, i) end end
  emitall(c, 1)
  T.returns({ true }, T.inside, awaitall, a, nil, b, a, a, c, nil)
  T.eq(isqueued(c), false)
  T.returns({ a, 2 }, await, a)
  T.returns({ b, 2 }, await, b)
  T.eq(isqueued(a) or isqueued(b), false)
  T.returns({ true }, T.inside, awaitall)
  T.returns({ true }, T.inside, awaitall, nil, nil)
end)

T.test("a value whose record was taken is not awaited again [10 2.6.2] [10 2.6.3]", function ()
  local a, b, c = {}, {}, {}
  emitone(a, "x")
  local w = waiter(awaitall, a, b, a, c, b)
  T.eq(w.got, nil)
  T.eq(isqueued(a), false)
  T.eq(pending(a), false)
  T.eq(emitone(b, "y"), true)
  T.eq(emitone(a), false) -- stored
  T.eq(emitone(b), false) -- stored
  T.eq(w.got, nil)
  T.eq(emitall(c, "z"), true)
  T.same(w.got, { true })
  T.returns({ true }, T.inside, awaitall, a, b)
end)

T.test("records taken by an awaitall that is cancelled are not restored [10 2.6.4]", function ()
  local a, b = {}, {}
  emitone(a)
  local w = waiter(awaitall, a, b)
  T.resume(w.co, "cancel", nil)
  T.same(w.got, pack("cancel", nil))
  T.eq(isqueued(a) or isqueued(b), false)
  T.eq(pending(a) or pending(b), false)
end)

T.test("awaitall with NaN consumes and registers nothing [10 2.6.5]", function ()
  local a, b = {}, {}
  emitone(a, "kept")
  local co = coroutine.create(function () awaitall(a, b, T.nan) end)
  local ok, err = coroutine.resume(co)
  T.eq(ok, false)
  T.eq(err:find("table index is NaN", 1, true) ~= nil, true)
  co = coroutine.create(function () awaitall(T.nan, a) end)
  T.eq(coroutine.resume(co), false)
  T.eq(pending(a) or pending(b), false)
  T.returns({ a, "kept" }, await, a)
end)

T.test("many records, with the queue growing and shrinking", function ()
  local e, first, last = {}, 1, 0
  for round = 1, 30 do
    for _ = 1, round * 3 do last = last + 1; emitone(e, last) end
    for _ = 1, round * 2 do T.returns({ e, first }, await, e); first = first + 1 end
  end
  while isqueued(e) do T.returns({ e, first }, await, e); first = first + 1 end
  T.eq(first, last + 1)
end)

T.done()
