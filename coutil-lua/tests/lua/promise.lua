-- Module coutil.promise: results that arrive once.

local T = require "testing"
local event = require "coutil.event"
local queued = require "coutil.queued"
local promise = require "coutil.promise"
local create, onlypending, pickready = promise.create, promise.onlypending, promise.pickready
local awaitall, awaitany = promise.awaitall, promise.awaitany
local pack, waiter = T.pack, T.waiter
local put = table.insert

local lists = { pack(), pack(nil), pack(nil, nil), pack("x"), pack("x", nil), pack(nil, "x", nil),
                pack(false, nil, {}, nil) }

-- A promise that is fulfilled with these results.
local function ready(...)
  local p, fulfill = create()
  fulfill(...)
  return p
end

T.test("create returns two new functions", function () -- 10 4.1
  local got = pack(create("ignored", nil))
  T.eq(got.n, 2)
  T.eq(type(got[1]), "function")
  T.eq(type(got[2]), "function")
  local p, fulfill = create()
  T.eq(p == got[1] or fulfill == got[2] or p == fulfill, false)
  fulfill(1)
  T.eq(got[1]("probe"), false)
end)

T.test("a probe tells whether the promise is fulfilled, anywhere [10 4.2.1] [00 1.4.4]", function ()
  local p, fulfill = create()
  for _, probe in ipairs { "probe", true, 0, "", {}, p } do
    T.returns({ false }, p, probe)
    T.returns({ false }, T.inside, p, probe, "ignored")
  end
  T.eq(event.pending(p), false)
  fulfill()
  for _, probe in ipairs { "probe", true, 0, "", {}, p } do
    T.returns({ true }, p, probe)
    T.returns({ true }, T.inside, p, probe)
  end
end)

T.test("a fulfilled promise returns its results, anywhere [10 4.2.2] [10 4.3.1] [00 1.4.4]", function ()
  for _, l in ipairs(lists) do
    local p = ready(T.unpack(l, 1, l.n))
    for _ = 1, 2 do
      T.same(pack(p()), l)
      T.same(pack(p(nil, "ignored")), l)
      T.same(pack(p(false)), l)
      T.same(pack(T.inside(p)), l)
      ;("x"):gsub("x", function () T.same(pack(p()), l) end)
    end
  end
  local many = { n = 240 }
  for i = 1, 240, 5 do many[i] = i end
  T.same(pack(ready(T.unpack(many, 1, 240))()), many)
end)

T.test("an unfulfilled promise needs a coroutine that can wait [10 4.2.3] [00 1.4.4] [00 1.4.3]", function ()
  local p = create()
  T.raises("unable to yield", p)
  T.raises("unable to yield", p, false)
  T.eq(event.pending(p), false)
end)

T.test("a waiter gets the results of the fulfilment [10 4.2.3] [10 4.3.2]", function ()
  for _, l in ipairs(lists) do
    local p, fulfill = create()
    local a, b, c = waiter(p), waiter(p, false), waiter(p, nil, "ignored")
    T.eq(event.pending(p), true)
    T.returns({ true }, fulfill, T.unpack(l, 1, l.n))
    for _, w in ipairs { a, b, c } do T.same(w.got, l) end
    T.eq(event.pending(p), false)
  end
  local p, fulfill = create() -- the promise itself among the results
  local w = waiter(p)
  fulfill(p, nil)
  T.same(w.got, pack(p, nil))
  T.same(pack(p()), pack(p, nil))
end)

T.test("any other emission on the promise wakes too, with its values [10 4.2.3]", function ()
  local p, fulfill = create()
  for _, emit in ipairs { event.emitall, event.emitone, queued.emitall, queued.emitone } do
    for _, l in ipairs(lists) do
      local w = waiter(p)
      T.eq(emit(p, T.unpack(l, 1, l.n)), true)
      T.same(w.got, l)
      T.returns({ false }, p, "probe")
    end
  end
  local log = {}
  T.start(function () put(log, (p())); put(log, (p())) end) -- waits again
  event.emitone(p, "emitted")
  fulfill("fulfilled")
  T.same(log, { "emitted", "fulfilled" })
end)

T.test("an explicit resume of a promise call [10 4.2.3] [00 1.3.5] [00 1.3.1]", function ()
  local p, fulfill = create()
  local function check(want, ...)
    local w = waiter(p)
    T.resume(w.co, ...)
    T.same(w.got, want)
    T.eq(event.pending(p), false)
    T.returns({ false }, p, "probe")
  end
  check(pack(nil)) -- no values: one nil
  check(pack(nil), nil)
  check(pack(nil, nil), nil, nil)
  check(pack("x", nil), "x", nil)
  check(pack(), p) -- the promise itself is taken off
  check(pack("x", nil), p, "x", nil)
  check(pack(p), p, p)
  T.eq(fulfill(1), true)
end)

-- fulfill ---------------------------------------------------------------------------------------

T.test("later fulfilments only replace the results [10 4.3.1] [10 4.3.3] [00 3.3]", function ()
  for _, l in ipairs(lists) do
    local p, fulfill = create()
    T.returns({ true }, fulfill, "first", "two", "three")
    local other = waiter(event.await, p)
    T.returns({ false }, fulfill, T.unpack(l, 1, l.n))
    T.same(pack(p()), l)
    T.returns({ true }, p, "probe")
    T.eq(other.got, nil) -- nothing was emitted
    T.eq(event.emitall(p), true)
    T.returns({ false }, fulfill)
    T.same(pack(p()), {})
  end
end)

T.test("the resumed see the promise fulfilled [10 4.3.2] [00 1.2.1]", function ()
  local p, fulfill = create()
  local log = {}
  for i = 1, 3 do
    T.start(function ()
      put(log, (p()))
      put(log, p("probe"))
      put(log, (p())) -- does not suspend
    end)
  end
  T.eq(fulfill("r"), true)
  T.same(log, { "r", true, "r", "r", true, "r", "r", true, "r" })
end)

T.test("a fulfilment during the fulfilment [10 4.3.3]", function ()
  local p, fulfill = create()
  local first, again, second, third
  T.start(function () first = p(); again = fulfill("changed", nil); third = pack(p()) end)
  T.start(function () second = pack(p()); put(second, (p())) end)
  T.returns({ true }, fulfill, "original", nil)
  T.eq(first, "original")
  T.eq(again, false)
  T.same(third, pack("changed", nil))
  T.eq(second[1], "original") -- the emission goes on with its values
  T.eq(second.n, 2)
  T.same(pack(p()), pack("changed", nil))
end)

T.test("the functions of coutil.event work on promises [10 4.3.4]", function ()
  local p, fulfill = create()
  local a = waiter(event.await, p)
  local b = waiter(event.awaitany, {}, p)
  local c = waiter(event.awaitall, p)
  local d = waiter(queued.await, p)
  T.eq(fulfill("x", nil), true)
  T.same(a.got, pack(p, "x", nil))
  T.same(b.got, pack(p, "x", nil))
  T.same(c.got, { true })
  T.same(d.got, pack(p, "x", nil))
  local late = waiter(event.await, p) -- after the fulfilment nothing comes by itself
  T.eq(late.got, nil)
  fulfill("y")
  T.eq(late.got, nil)
  T.eq(event.emitone(p, "z"), true)
  T.same(late.got, { p, "z" })
  T.eq(queued.queued(p), false)
end)

T.test("waiters of a promise wake in order, with failures among them [10 4.3.2] [00 1.5.1]", function ()
  local p, fulfill = create()
  local log = {}
  for i = 1, 5 do
    T.start(function ()
      p()
      put(log, i)
      if i % 2 == 0 then error({ i }) end
    end)
  end
  T.returns({ true }, fulfill)
  T.same(log, { 1, 2, 3, 4, 5 })
  local reports = T.reports()
  T.eq(#reports, 2)
  T.eq(reports[1].err[1], 2)
  T.eq(reports[2].err[1], 4)
end)

T.test("a promise used as a mutex and as a queued event is the same value", function ()
  local mutex = require "coutil.mutex"
  local p, fulfill = create()
  mutex.lock(p)
  local w = waiter(mutex.lock, p)
  T.eq(event.pending(p), true)
  T.eq(mutex.unlock(p), true)
  T.same(w.got, {})
  T.eq(p("probe"), false)
  queued.emitone(p, "stored")
  T.eq(fulfill("x"), true)
  T.returns({ p, "stored" }, queued.await, p)
  T.same(pack(p()), { "x" })
end)

-- onlypending and pickready ---------------------------------------------------------------------

T.test("onlypending returns the unfulfilled, in order [10 4.4.1] [10 4.4.2]", function ()
  local a, fulfill = create()
  local b, c, done = create(), create(), ready()
  T.returns({}, onlypending)
  T.returns({}, onlypending, nil, a)
  T.returns({}, onlypending, done)
  T.returns({ b, a, c, a }, onlypending, b, done, a, c, done, a)
  T.returns({ b, a }, onlypending, b, a, nil, c)
  fulfill()
  T.returns({ c, b }, onlypending, c, a, b)
end)

T.test("onlypending calls its arguments with 'probe' [10 4.4.1] [10 4.4.3]", function ()
  local log = {}
  local function probe(result)
    return function (...) put(log, pack(...)); return result, "second" end
  end
  local no, none, yes = probe(false), probe(nil), probe(1)
  local object = setmetatable({}, { __call = function (_, ...) put(log, pack(...)); return false end })
  T.returns({ no, none, object }, onlypending, no, yes, none, object)
  T.eq(#log, 4)
  for i = 1, 4 do T.same(log[i], { "probe" }) end
  T.raises("attempt to call", onlypending, 12)
  T.raises("attempt to call", onlypending, create(), {})
  T.raises("attempt to call", onlypending, false)
  T.raises("from the probe", onlypending, function () error("from the probe") end)
end)

T.test("pickready returns the first fulfilled", function () -- 10 4.5
  local a, b, done, other = create(), create(), ready(1), ready()
  T.returns({}, pickready)
  T.returns({}, pickready, a, b)
  T.returns({ done }, pickready, a, done, other)
  T.returns({ other }, pickready, other, done)
  T.returns({}, pickready, a, nil, done)
  T.returns({}, pickready, nil)
  T.raises("attempt to call", pickready, {})
  local object = setmetatable({}, { __call = function (_, how) return how end })
  T.returns({ object }, pickready, a, object, {})
end)

-- awaitall --------------------------------------------------------------------------------------

T.test("awaitall needs a coroutine even when nothing is pending [10 4.6.1] [00 1.4.4]", function ()
  local done, p = ready(), create()
  T.raises("unable to yield", awaitall)
  T.raises("unable to yield", awaitall, done)
  T.raises("unable to yield", awaitall, p)
  T.eq(event.pending(p), false)
  T.raises("attempt to call", awaitall, 12) -- probed before
  T.returns({ true }, T.inside, awaitall)
  T.returns({ true }, T.inside, awaitall, done, done)
  T.returns({ true }, T.inside, awaitall, nil, p)
end)

T.test("awaitall waits for each pending promise [10 4.6.1]", function ()
  local a, fa = create()
  local b, fb = create()
  local c, fc = create()
  local w = waiter(awaitall, a, ready(), b, a, nil, c)
  T.eq(event.pending(a) and event.pending(b), true)
  T.eq(event.pending(c), false) -- behind a nil
  fb("dropped")
  T.eq(w.got, nil)
  fa("dropped")
  T.same(w.got, { true })
  T.eq(fc(), true)
end)

T.test("awaitall waits for one event on each [10 4.6.2]", function ()
  local a, b = create(), create()
  local w = waiter(awaitall, a, b)
  T.eq(event.emitone(a), true)
  T.eq(event.emitone(a), false)
  T.eq(event.emitall(b), true)
  T.same(w.got, { true })
  T.eq(a("probe") or b("probe"), false)
  w = waiter(awaitall, a, b)
  event.emitone(a)
  T.resume(w.co, "cancel", nil)
  T.same(w.got, pack("cancel", nil))
  T.eq(event.pending(b), false)
  w = waiter(awaitall, a)
  T.resume(w.co)
  T.same(w.got, {})
end)

-- awaitany --------------------------------------------------------------------------------------

T.test("awaitany returns a fulfilled promise at once, anywhere [10 4.7.1] [00 1.4.4]", function ()
  local p, done, other = create(), ready("x"), ready()
  T.returns({ done }, awaitany, p, done, other)
  T.returns({ other }, awaitany, other)
  T.returns({ done }, T.inside, awaitany, p, p, done)
  T.eq(event.pending(p), false)
  T.raises("unable to yield", awaitany, p)
  T.raises("unable to yield", awaitany)
  T.raises("unable to yield", awaitany, nil, done) -- probing stops at the nil
  T.raises("attempt to call", awaitany, 12)
end)

T.test("awaitany with none fulfilled returns the first one and its results [10 4.7.2]", function ()
  local a = create()
  local b, fb = create()
  local w = waiter(awaitany, a, nil, b, a)
  T.eq(event.pending(a) and event.pending(b), true)
  T.eq(fb("x", nil), true)
  T.same(w.got, pack(b, "x", nil))
  T.eq(event.pending(a), false)
  w = waiter(awaitany, a)
  T.eq(event.emitall(a, "emitted"), true)
  T.same(w.got, { a, "emitted" })
  w = waiter(awaitany, a)
  T.resume(w.co, nil, "cancel")
  T.same(w.got, pack(nil, "cancel"))
  w = waiter(awaitany, a)
  T.resume(w.co)
  T.same(w.got, {})
  for _, l in ipairs { pack(), pack(nil), pack(nil, nil) } do
    local co = coroutine.create(awaitany)
    local ok, err = coroutine.resume(co, T.unpack(l, 1, l.n))
    T.eq(ok, false)
    T.eq(tostring(err):find("non-nil value expected", 1, true) ~= nil, true)
  end
end)

T.test("the example of the contract [10 4.2.2] [10 4.3.2]", function ()
  local p, fulfill = create()
  local got
  coroutine.wrap(function () got = pack(p()) end)()
  fulfill("x", nil)
  T.same(got, pack("x", nil))
  T.eq(p("probe"), true)
  T.eq(select("#", p()), 2)
end)

T.test("a chain of promises settles in one fulfilment", function ()
  local p, fulfill = create()
  local ends, n = p, 40
  for _ = 1, n do
    local q, fulfill_q = create()
    local before = ends
    T.start(function () fulfill_q(before() + 1) end)
    ends = q
  end
  fulfill(0)
  T.returns({ n }, ends)
end)

T.done()
