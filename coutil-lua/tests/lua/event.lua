-- Module coutil.event: what an event can be, waiting and cancelling.

local T = require "testing"
local event = require "coutil.event"
local await, awaitall, awaitany = event.await, event.awaitall, event.awaitany
local emitall, emitone, pending = event.emitall, event.emitone, event.pending
local pack, waiter = T.pack, T.waiter
-- `log[#log + 1] = await(e)` would take the length before it suspends.
local put = table.insert

-- What an event can be --------------------------------------------------------------------------

local kinds = {
  { "true", true }, { "false", false }, { "zero", 0 }, { "a number", 1e300 },
  { "a negative fraction", -1.5 }, { "infinity", math.huge }, { "the empty string", "" },
  { "a string", "some event" }, { "a string with zeros", "a\0b" }, { "a table", {} },
  { "a Lua function", function () end }, { "a C function", print },
  { "a C function with a field in the library", string.rep },
  { "a file", io.stdout }, { "a coroutine", coroutine.create(function () end) },
  { "a function of coroutine.wrap", coroutine.wrap(function () end) },
  { "an await function", await },
  { "a table with metamethods", setmetatable({}, {
    __index = error, __newindex = error, __eq = error, __call = error, __len = error }) },
}
if debug.upvalueid then
  local up
  kinds[#kinds + 1] = { "a light userdata", debug.upvalueid(function () return up end, 1) }
end

for _, kind in ipairs(kinds) do
  local name, e = kind[1], kind[2]
  T.test(name .. " is an event [10 1.1.1] [10 1.2.1] [10 1.3.1] [10 1.4.2]", function ()
    T.returns({ false }, pending, e)
    T.returns({ false }, emitall, e, "lost")
    T.returns({ false }, emitone, e, "lost")
    local w = waiter(await, e)
    T.returns({ true }, pending, e)
    T.returns({ true }, emitall, e, "x", nil)
    T.same(w.got, pack(e, "x", nil))
    T.returns({ false }, pending, e)
    w = waiter(awaitany, {}, e)
    T.returns({ true }, emitone, e)
    T.same(w.got, { e, n = 1 })
    w = waiter(awaitall, e, {}, e)
    T.returns({ true }, emitone, e)
    T.returns({ false }, emitone, e)
    T.eq(w.got, nil)
    T.resume(w.co)
    T.same(w.got, {})
  end)
end

T.test("nil and NaN: nobody can wait for them, asking is fine [10 1.1.1] [10 1.2.1]", function ()
  for _, f in ipairs { pending, emitall, emitone } do
    T.returns({ false }, f)
    T.returns({ false }, f, nil)
    T.returns({ false }, f, nil, "x")
    T.returns({ false }, f, T.nan)
    T.returns({ false }, f, T.nan, "x")
  end
end)

T.test("strings are compared by contents", function ()
  local w = waiter(await, "some" .. tostring(12) .. " text")
  T.eq(emitall(table.concat { "some", 12, " text" }), true)
  T.same(w.got, { "some12 text" })
  local long = ("x"):rep(1000)
  w = waiter(await, long .. "y")
  T.eq(pending(long), false)
  T.eq(emitall(("x"):rep(1000) .. "y"), true)
  T.same(w.got, { long .. "y" })
end)

T.test("equal strings made at different times are the same event", function ()
  for i = 1, T.scale(5000, 100) do
    local w = waiter(await, "short " .. i)
    T.eq(emitall("short " .. i, i), true)
    T.same(w.got, { "short " .. i, i })
    w = waiter(awaitany, "a string that is too long to be shared: number " .. i)
    T.eq(pending("a string that is too long to be shared: number " .. i), true)
    T.eq(emitall("a string that is too long to be shared: number " .. i, i), true)
    T.eq(w.got[2], i)
  end
end)

T.test("strings that come and go are not taken for each other", function ()
  local kinds, n, log = { "x%d", "a string that is too long to be shared: number %d" }, T.scale(500, 50), 0
  for i = 1, n do
    for _, kind in ipairs(kinds) do
      T.start(function () if await(kind:format(i)) == kind:format(i) then log = log + 1 end end)
    end
  end
  for round = 1, 4 do
    for i = n + 1, 3 * n do -- in the place of strings that are garbage now
      for _, kind in ipairs(kinds) do
        local pending_i, one, all = pending(kind:format(i)), emitone(kind:format(i)), emitall(kind:format(i))
        if pending_i or one or all then error("nobody waits for " .. kind:format(i)) end
      end
    end
    for i = round, n, 4 do
      for _, kind in ipairs(kinds) do
        T.eq(pending(kind:format(i)), true)
        T.eq(emitone(kind:format(i)), true)
      end
    end
    collectgarbage()
  end
  T.eq(log, 2 * n)
end)

T.test("a float equal to an integer is the same event, and the emitted one is returned [10 1.4.2]",
function ()
  local function same(awaited, emitted)
    local w = waiter(await, awaited)
    T.eq(pending(emitted), true)
    T.eq(emitall(emitted, "x"), true)
    T.same(w.got, { emitted, "x" })
    if T.integers then T.eq(math.type(w.got[1]), math.type(emitted)) end
    local any = waiter(awaitany, "unused", awaited)
    T.eq(emitone(emitted), true)
    if T.integers then T.eq(math.type(any.got[1]), math.type(emitted)) end
    T.eq(pending(awaited), false)
  end
  local one, million = T.load "return 1.0, 2.0^52" ()
  same(1, one)
  same(one, 1)
  same(4503599627370496, million)
  same(0, -0.0)
  same(-0.0, 0)
end)

T.test("numbers that differ are different events", function ()
  local w = waiter(await, 1)
  for _, e in ipairs { 1.5, "1", true, -1, 1 + 2 ^ -52 } do T.eq(emitall(e), false) end
  if T.integers then
    local big = waiter(await, math.maxinteger)
    T.eq(emitall(math.maxinteger + 0.0), false)
    T.eq(emitall(math.maxinteger), true)
    T.same(big.got, { math.maxinteger })
  end
  T.eq(emitall(1), true)
  T.same(w.got, { 1 })
end)

T.test("identity is raw: __eq is not used", function ()
  local mt = { __eq = function () return true end }
  local a, b = setmetatable({}, mt), setmetatable({}, mt)
  local w = waiter(await, a)
  T.eq(pending(b), false)
  T.eq(emitall(b), false)
  T.eq(emitall(a), true)
  T.eq(w.got.n, 1)
end)

-- pending ---------------------------------------------------------------------------------------

T.test("pending tells whether somebody waits [10 1.1.1]", function ()
  local e = {}
  local a, b = waiter(await, e), waiter(awaitall, e, "other event")
  T.returns({ true }, pending, e)
  emitone(e)
  T.eq(pending(e), true)
  emitone(e)
  T.eq(pending(e), false)
  T.eq(pending("other event"), true)
  T.resume(b.co)
  T.eq(pending("other event"), false)
  T.same(a.got, { e })
end)

T.test("waiters of a running batch are not pending [10 1.1.2] [10 1.2.2]", function ()
  local e, seen = {}, {}
  for i = 1, 3 do
    T.start(function ()
      await(e)
      seen[#seen + 1] = pending(e)
      if i == 2 then await(e) end
    end)
  end
  emitall(e)
  T.same(seen, { false, false, true }) -- the third sees the second, which waits again
  T.eq(emitall(e), true)
end)

T.test("who wakes is not pending any more [10 1.1.3] [00 1.3.2]", function ()
  local e, f, seen = {}, {}, nil
  local function look(f1, ...) f1(...); seen = { pending(e), pending(f) } end
  T.start(look, await, e)
  emitone(e)
  T.same(seen, { false, false })
  T.start(look, await, e)
  emitall(e)
  T.same(seen, { false, false })
  T.start(look, awaitany, e, f)
  emitall(f)
  T.same(seen, { false, false })
  T.resume(T.start(look, await, e))
  T.same(seen, { false, false })
  T.resume(T.start(look, awaitany, e, f))
  T.same(seen, { false, false })
  T.resume(T.start(look, awaitall, e, f))
  T.same(seen, { false, false })
  T.start(look, awaitall, e, f)
  emitone(e)
  T.eq(pending(e), false)
  emitone(f)
  T.same(seen, { false, false })
end)

-- await -----------------------------------------------------------------------------------------

T.test("suspending yields no value and leaves an ordinary coroutine [00 1.1.1] [00 1.1.5]", function ()
  for _, f in ipairs { await, awaitany, awaitall } do
    local e = {}
    local co = T.create(function () f(e); return "end" end)
    T.returns({ true }, coroutine.resume, co)
    T.eq(coroutine.status(co), "suspended")
    T.returns({ true, "end" }, coroutine.resume, co)
    local next = coroutine.wrap(function () f(e); return "end" end)
    T.returns({}, next)
    T.returns({ "end" }, next)
  end
end)

T.test("all counts of extra arguments arrive [00 1.2.3] [10 1.2.4] [10 1.4.2] [10 1.5.5]", function ()
  for _, f in ipairs { await, awaitany } do
    for _, emit in ipairs { emitall, emitone } do
      local e = {}
      for _, extra in ipairs { pack(), pack(nil), pack(nil, nil), pack(1, nil), pack(nil, 2, nil, nil),
                               pack(e, false, e), pack("a", {}, print, nil) } do
        local w = waiter(f, e)
        T.eq(emit(e, T.unpack(extra, 1, extra.n)), true)
        T.same(w.got, pack(e, T.unpack(extra, 1, extra.n)))
      end
    end
  end
end)

T.test("hundreds of extra arguments, for each of the waiters [10 1.2.4]", function ()
  local e, many = {}, { n = 240 }
  for i = 1, 240, 3 do many[i] = i end
  local a, b = waiter(await, e), waiter(awaitany, {}, e)
  emitall(e, T.unpack(many, 1, many.n))
  T.same(a.got, pack(e, T.unpack(many, 1, many.n)))
  T.same(b.got, a.got)
end)

T.test("an explicit resume cancels and gives its values [00 1.3.1] [10 1.4.3] [10 1.5.5] [10 1.6.7]",
function ()
  local values = { pack(), pack(nil), pack(1), pack(nil, nil, nil), pack(false, nil), pack({}, 2, 3) }
  for _, f in ipairs { await, awaitany, awaitall } do
    local e = {}
    values[7] = pack(e)
    values[8] = pack(e, "x")
    for _, v in ipairs(values) do
      local w = waiter(f, e)
      T.resume(w.co, T.unpack(v, 1, v.n))
      T.same(w.got, v)
      T.eq(pending(e), false)
      T.eq(emitall(e), false)
      local got
      local next = coroutine.wrap(function () got = pack(f(e)) end)
      next()
      next(T.unpack(v, 1, v.n))
      T.same(got, v)
    end
  end
end)

T.test("a cancelled waiter leaves the others in order [10 1.4.3]", function ()
  for skip = 1, 5 do
    local e, log, cos = {}, {}, {}
    for i = 1, 5 do cos[i] = T.start(function () if await(e) then put(log, i) end end) end
    T.resume(cos[skip])
    for _ = 1, 6 do emitone(e) end
    local want = { 1, 2, 3, 4, 5 }
    table.remove(want, skip)
    T.same(log, want)
  end
end)

T.test("after the await the coroutine is left alone [00 1.2.5]", function ()
  local e, f = {}, {}
  local co = T.start(function ()
    awaitany(e, f)
    local got = pack(coroutine.yield("plain"))
    return T.unpack(got, 1, got.n)
  end)
  emitall(e)
  T.eq(emitall(e, 1), false)
  T.eq(emitall(f, 1), false)
  T.returns({ true, "mine" }, coroutine.resume, co, "mine")
  co = T.start(function () await(e); coroutine.yield(); return "end" end)
  T.resume(co)
  T.eq(emitall(e), false)
  T.returns({ true, "end" }, coroutine.resume, co)
end)

T.test("cancelled, and awaiting again at once, many times [00 1.3.4] [90 1.2]", function ()
  local events, wakes, co = { {}, {}, "word" }, 0, nil
  local awaits = { await, awaitany, awaitall }
  co = T.start(function ()
    while true do
      local f, e = awaits[wakes % 3 + 1], events[wakes % 2 + 1]
      local got = pack(f(e, f ~= await and "word" or nil))
      wakes = wakes + 1
      if got[1] ~= "again" then return got[2] end
    end
  end)
  local n = T.scale(3000, 30)
  for i = 1, n do
    T.resume(co, "again")
    T.eq(wakes, i)
    T.eq(pending(events[wakes % 2 + 1]), true)
    T.eq(pending(events[(wakes + 1) % 2 + 1]), false)
  end
  T.returns({ true, "last" }, coroutine.resume, co, "stop", "last")
  for _, e in ipairs(events) do T.eq(pending(e), false) end
end)

T.test("a chain of cancellations, each made by the one cancelled before [00 1.3.4]", function ()
  local e, cos, order = {}, {}, {}
  for i = 1, 20 do
    cos[i] = T.start(function ()
      local from = await(e)
      order[#order + 1] = from
      if cos[i + 1] then coroutine.resume(cos[i + 1], i) end
    end)
  end
  T.resume(cos[1], 0)
  T.eq(#order, 20)
  for i = 1, 20 do T.eq(order[i], i - 1) end
  T.eq(pending(e), false)
end)

T.test("await of one event behaves as awaitany of it [10 1.4.4]", function ()
  local e, log = {}, {}
  for i, f in ipairs { await, awaitany, await, awaitany } do
    T.start(function () log[i] = pack(f(e)) end)
  end
  emitall(e, "x", nil)
  for i = 1, 4 do T.same(log[i], pack(e, "x", nil)) end
end)

-- awaitany --------------------------------------------------------------------------------------

T.test("nils are ignored and repeated values count once [10 1.5.2]", function ()
  local e, f = {}, {}
  local lists = { pack(e, nil), pack(nil, e), pack(nil, nil, e, nil, nil), pack(e, e, nil, e), pack(e, f, e, f, nil) }
  for _, l in ipairs(lists) do
    local w = waiter(awaitany, T.unpack(l, 1, l.n))
    T.eq(pending(e), true)
    T.eq(emitone(e, "x"), true)
    T.same(w.got, { e, "x" })
    T.eq(emitone(e), false)
    T.eq(emitone(f), false)
  end
end)

T.test("awaitany is a waiter of each event, in the order of arrival [10 1.5.3] [10 1.5.6]", function ()
  local a, b, c, log = {}, {}, "c", {}
  local function go(name, ...)
    local l = pack(...)
    T.start(function ()
      while true do put(log, name .. tostring(select(2, awaitany(T.unpack(l, 1, l.n))))) end
    end)
  end
  go("x", a, b)
  go("y", b, c, a)
  go("z", c, a)
  for _, e in ipairs { a, b, c } do T.eq(pending(e), true) end
  emitone(a, 1) -- x, now behind y in both its queues
  emitone(b, 2) -- y, now last everywhere
  emitone(c, 3) -- z
  emitone(a, 4) -- x, before y and z
  emitall(a, 5) -- y z x
  T.same(log, { "x1", "y2", "z3", "x4", "y5", "z5", "x5" })
end)

T.test("the first event wins, the others do not find it [10 1.5.4]", function ()
  local events, w = { {}, {}, {} }, nil
  for i = 1, 3 do
    local seen
    w = {}
    w.co = T.start(function ()
      w.got = pack(awaitany(T.unpack(events)))
      seen = {}
      for j = 1, 3 do seen[j] = pending(events[j]) or emitone(events[j]) end
      coroutine.yield()
    end)
    T.eq(emitall(events[i], i), true)
    T.same(w.got, { events[i], i })
    T.same(seen, { false, false, false })
    for j = 1, 3 do T.eq(emitall(events[j]), false) end
    T.eq(coroutine.status(w.co), "suspended")
  end
end)

-- awaitall --------------------------------------------------------------------------------------

T.test("awaitall without values returns at once [10 1.6.1] [00 1.1.4]", function ()
  T.returns({ true }, T.inside, awaitall)
  T.returns({ true }, T.inside, awaitall, nil)
  T.returns({ true }, T.inside, awaitall, nil, nil, nil)
end)

T.test("awaitall waits for each distinct value [10 1.6.2] [10 1.6.3] [10 1.6.4] [10 1.6.6] [00 1.2.4]",
function ()
  local a, b, c = {}, "b", false
  local w = waiter(awaitall, a, nil, b, a, c, nil, b, nil)
  T.eq(pending(a) and pending(b) and pending(c), true)
  T.returns({ true }, emitone, b, "dropped") -- [10 1.2.8]: it only advances
  T.eq(pending(b), false)
  T.eq(emitone(b), false)
  T.eq(w.got, nil)
  T.returns({ true }, emitall, a, "dropped")
  T.eq(emitall(a), false)
  T.eq(w.got, nil)
  T.eq(coroutine.status(w.co), "suspended")
  T.returns({ true }, emitall, c, "dropped")
  T.same(w.got, { true })
end)

T.test("awaitall continues in its place in the queue of the last event [10 1.6.5] [10 1.2.8]", function ()
  local a, b, log = {}, {}, {}
  local function go(name, f, ...)
    T.start(function (...) f(...); put(log, name) end, ...)
  end
  go("1", await, b)
  go("2", awaitall, a, b)
  go("3", await, b)
  go("4", awaitall, b, a)
  go("5", awaitany, {}, b)
  go("6", awaitall, b, {}) -- stays
  go("7", await, b)
  T.eq(emitall(a), true)
  T.same(log, {})
  T.eq(emitall(b), true)
  T.same(log, { "1", "2", "3", "4", "5", "7" })
end)

T.test("several awaitalls that miss one event wake in the order of its queue [10 1.6.5]", function ()
  local a, b, c, log = {}, {}, {}, {}
  for i, l in ipairs { { a, b }, { b, c }, { c, a, b }, { b } } do
    T.start(function () awaitall(T.unpack(l)); put(log, i) end)
  end
  emitone(c); emitone(c); emitone(a); emitone(a)
  T.eq(pending(a) or pending(c), false)
  T.same(log, {})
  for i = 1, 4 do
    T.eq(emitone(b), true)
    T.eq(log[#log], i)
  end
  T.eq(emitone(b), false)
end)

T.test("awaitall cancelled in the middle leaves the remaining queues [10 1.6.7]", function ()
  local a, b, c = {}, {}, {}
  local w = waiter(awaitall, a, b, c)
  emitone(b)
  T.resume(w.co, "stop", nil)
  T.same(w.got, pack("stop", nil))
  for _, e in ipairs { a, b, c } do T.eq(pending(e), false); T.eq(emitall(e), false) end
end)

T.test("extra arguments of the functions are ignored [00 3.2] [00 3.3]", function ()
  local e, f = {}, {}
  local w = waiter(await, e, f)
  T.returns({ false }, pending, f, e)
  T.returns({ true }, pending, e, f)
  T.eq(emitall(f), false)
  T.eq(emitall(e), true)
  T.same(w.got, { e })
end)

T.done()
