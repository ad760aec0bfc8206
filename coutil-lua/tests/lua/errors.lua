-- Errors that the functions raise: what can yield, order of the checks, texts and positions.

local T = require "testing"
local event = require "coutil.event"
local queued = require "coutil.queued"
local mutex = require "coutil.mutex"
local promise = require "coutil.promise"
local pending = event.pending
local pack = T.pack

local nan = T.nan

-- A mutex that another coroutine holds.
local function held()
  local e = {}
  T.inside(mutex.lock, e)
  return e
end

-- The error that `f(...)` raises as the body of a new coroutine: nothing called it.
local function fails(f, ...)
  local co = T.create(function (...) f(...) end)
  local got = pack(coroutine.resume(co, ...))
  if got[1] then error("no error", 2) end
  T.eq(coroutine.status(co), "dead")
  return got[2]
end

-- Calls its first argument at line 3 of "chunk".
local line3 = T.load("local f = ...\n\nlocal result = f(select(2, ...))\nreturn result", "=chunk")

-- Yieldability ----------------------------------------------------------------------------------

-- Calls that would have to wait, with the event that they would wait for.
local function waits()
  local e, p, m = {}, promise.create(), held()
  return {
    { "event.await", e, event.await, e },
    { "event.awaitany", e, event.awaitany, e },
    { "event.awaitall", e, event.awaitall, e },
    { "queued.await", e, queued.await, e },
    { "queued.awaitany", e, queued.awaitany, nil, e },
    { "queued.awaitall", e, queued.awaitall, e, e },
    { "mutex.lock", m, mutex.lock, m },
    { "promise call", p, p },
    { "promise.awaitall", p, promise.awaitall, p },
    { "promise.awaitany", p, promise.awaitany, p },
    n = 10,
  }
end

for i = 1, waits().n do
  local name = waits()[i][1]
  local function case() local c = waits()[i]; return c[2], T.unpack(c, 3, 5) end

  T.test(name .. " in the main thread [00 1.4.1] [00 1.4.2] [00 1.4.3] [00 5.1.1] [90 4.1] [90 4.6]", function ()
    local e, f, a, b = case()
    local ok, err = pcall(f, a, b) -- called by a C function
    T.eq(ok, false)
    T.eq(err, "unable to yield")
    T.eq(T.raises("unable to yield", line3, f, a, b), "chunk:3: unable to yield")
    T.eq(pending(e), false)
    T.eq(event.emitall(e), false)
  end)

  T.test(name .. " under a C function that cannot yield [00 1.4.1] [00 1.4.3] [90 4.1] [90 4.12]", function ()
    local e, f, a, b = case()
    local results = {}
    local co = T.start(function ()
      local function try() results[#results + 1] = pack(pcall(f, a, b)) end
      ;("x"):gsub("x", try)
      table.sort({ 1, 2 }, function (x, y) if #results < 2 then try() end; return x < y end)
      xpcall(error, try) -- a message handler
      coroutine.yield("own")
    end)
    T.eq(#results, 3)
    for _, r in ipairs(results) do
      T.eq(r[1], false)
      if T.detects_yieldable or T.version == "5.1" then T.eq(r[2], "unable to yield") end
    end
    T.eq(pending(e), false)
    T.eq(event.emitall(e), false)
    T.resume(co)
    T.eq(coroutine.status(co), "dead")
  end)

  T.test(name .. " called by a C function directly [00 1.4.1] [00 1.4.2]", function ()
    local e, f = case()
    if f == e then return end -- a promise takes no event
    local ok, err
    T.inside(function () ok, err = pcall(string.gsub, "x", "x", f == mutex.lock and f or function () f(e) end) end)
    if f == mutex.lock then
      T.eq(ok, true) -- "x" is free: no yielding needed
      T.eq(mutex.islocked("x"), true)
      T.resume(T.start(event.await, "x")) -- touches nothing
    else
      T.eq(ok, false)
      if T.detects_yieldable then T.eq(err:find("unable to yield", 1, true) ~= nil, true) end
    end
    T.eq(pending(e), false)
  end)

  T.test(name .. " in a finalizer [00 1.4.1] [00 1.4.3]", function ()
    local e, f, a, b = case()
    local got
    T.inside(function ()
      local function finalizer() got = pack(pcall(f, a, b)) end
      if T.number >= 5.2 then
        setmetatable({}, { __gc = finalizer })
      else
        getmetatable(newproxy(true)).__gc = finalizer
      end
      T.gc()
    end)
    T.eq(got and got[1], false)
    if T.detects_yieldable then T.eq(got[2], "unable to yield") end
    T.eq(pending(e), false)
  end)

  T.test_if(coroutine.isyieldable, "no isyieldable",
    name .. " yields exactly where isyieldable says so [00 1.4.1]", function ()
    local e, f, a, b = case()
    T.eq(coroutine.isyieldable(), false)
    local function check(call)
      local able, failed
      local co = T.start(function ()
        call(function ()
          able = coroutine.isyieldable()
          local ok = pcall(f, a, b)
          failed = not ok
        end)
        return "end"
      end)
      if failed == nil then T.eq(able, true); T.resume(co) else T.eq(able, false) end
      T.eq(pending(e) and e ~= a, false)
    end
    if f ~= mutex.lock then -- which goes on waiting
      check(function (g) g() end)
      check(pcall)
      check(function (g) return setmetatable({}, { __index = g }).field end)
      check(function (g) for _ in g do end end)
    end
    check(function (g) ("x"):gsub("x", function () g() end) end)
    check(function (g) table.sort({ 2, 1 }, function (x, y) g(); return x < y end) end)
    T.eq(pending(e), false)
  end)
end

-- The order of the checks -----------------------------------------------------------------------

T.test("yieldability comes before the arguments [00 1.4.4] [10 1.4.1] [10 1.5.1] [10 1.6.1]", function ()
  local calls = {
    { event.await }, { event.await, nil }, { event.await, nan }, { event.awaitany },
    { event.awaitany, nil, nil }, { event.awaitany, nan }, { event.awaitall },
    { event.awaitall, nil }, { event.awaitall, nan },
    { queued.await }, { queued.await, nan }, { queued.awaitany }, { queued.awaitany, nan },
    { queued.awaitall }, { queued.awaitall, nan }, { promise.awaitall }, { promise.awaitany },
  }
  for _, c in ipairs(calls) do
    local ok, err = pcall(c[1], c[2])
    T.eq(ok, false)
    T.eq(err, "unable to yield")
  end
end)

T.test("the arguments are checked in a coroutine [10 1.4.1] [10 1.4.4] [10 1.5.1] [10 1.5.7] [10 2.4.2]", function ()
  local e = {}
  for _, m in ipairs { event, queued } do
    T.eq(fails(m.await):find("table index is nil", 1, true) ~= nil, true)
    T.eq(fails(m.await, nil, e):find("table index is nil", 1, true) ~= nil, true)
    T.eq(fails(m.await, nan):find("table index is NaN", 1, true) ~= nil, true)
    T.eq(fails(m.awaitany):find("non-nil value expected", 1, true) ~= nil, true)
    T.eq(fails(m.awaitany, nil, nil):find("non-nil value expected", 1, true) ~= nil, true)
    for _, f in ipairs { m.awaitany, m.awaitall } do
      T.eq(fails(f, nan):find("table index is NaN", 1, true) ~= nil, true)
      T.eq(fails(f, e, nil, "other", nan):find("table index is NaN", 1, true) ~= nil, true)
      T.eq(fails(f, nan, e, "other"):find("table index is NaN", 1, true) ~= nil, true)
      T.eq(pending(e) or pending("other"), false)
    end
  end
  T.eq(event.emitall(e), false)
  T.eq(event.emitone("other"), false)
end)

T.test("after an error nothing is registered, and the coroutine can wait [10 1.4.1] [10 1.5.7]", function ()
  local e, f = {}, {}
  local w = { errors = {} }
  w.co = T.start(function ()
    local function try(g, ...) w.errors[#w.errors + 1] = pack(pcall(g, ...)) end
    try(event.await, nil)
    try(event.awaitany, e, nan)
    try(event.awaitall, e, f, nan)
    w.got = pack(event.await(f))
  end)
  T.eq(#w.errors, 3)
  for _, r in ipairs(w.errors) do T.eq(r[1], false) end
  T.eq(pending(e), false)
  T.eq(event.emitall(f, "x"), true)
  T.same(w.got, { f, "x" })
end)

T.test("promise.awaitall and awaitany probe before they check [00 1.4.4]", function ()
  local log = {}
  local function probe(answer) return function (how) log[#log + 1] = how; return answer end end
  T.raises("unable to yield", promise.awaitall, probe(true), probe(false))
  T.same(log, { "probe", "probe" })
  log = {}
  T.raises("unable to yield", promise.awaitany, probe(false), probe(nil))
  T.same(log, { "probe", "probe" })
end)

T.test("mutex.lock in the main thread: free, nested, taken [00 1.4.4]", function ()
  local e = {}
  T.returns({}, mutex.lock, e)
  T.eq(select(2, pcall(mutex.lock, e)), "nested lock")
  mutex.unlock(e)
  T.eq(select(2, pcall(mutex.lock, held())), "unable to yield")
  T.eq(select(2, pcall(mutex.lock)), "table index is nil")
end)

-- Texts and positions ---------------------------------------------------------------------------

local own = {}
mutex.lock(own)

local texts = { -- text, only in a coroutine, function, arguments
  { "table index is nil", true, event.await },
  { "table index is NaN", true, event.await, nan },
  { "non-nil value expected", true, event.awaitany },
  { "table index is NaN", true, event.awaitany, 1, nan },
  { "table index is NaN", true, event.awaitall, 1, nan },
  { "table index is nil", true, queued.await },
  { "table index is NaN", true, queued.await, nan },
  { "non-nil value expected", true, queued.awaitany },
  { "table index is NaN", true, queued.awaitany, 1, nan },
  { "table index is NaN", true, queued.awaitall, 1, nan },
  { "table index is NaN", false, queued.emitall, nan },
  { "table index is NaN", false, queued.emitone, nan },
  { "table index is nil", false, mutex.lock },
  { "table index is NaN", false, mutex.lock, nan },
  { "lock not owned", false, mutex.unlock },
  { "lock not owned", false, mutex.unlock, {} },
  { "nested lock", false, mutex.lock, own, main = true },
  { "non-nil value expected", true, promise.awaitany },
}

T.test("the position of a Lua caller is in front, none of a C caller [00 5.1.1] [00 5.1.2] [90 4.10]", function ()
  for i, c in ipairs(texts) do
    local text, f, a, b = c[1], c[3], c[4], c[5]
    if not c[2] then
      T.eq(select(2, pcall(f, a, b)), text, "C caller, case " .. i)
      T.eq(select(2, pcall(line3, f, a, b)), "chunk:3: " .. text, "Lua caller, case " .. i)
    end
    if not c.main then
      T.eq(fails(line3, f, a, b), "chunk:3: " .. text, "in a coroutine, case " .. i)
      if c[2] == false or T.yield_across_pcall then
        T.eq(T.inside(function () return (select(2, pcall(f, a, b))) end), text)
      end
    end
  end
end)

T.test_if(T.number >= 5.2 or rawget(_G, "jit"), "a coroutine starts with a Lua function",
  "a function that is the body of a coroutine has no caller [00 5.1.1]", function ()
  for i, c in ipairs(texts) do
    if not c.main then
      local co = coroutine.create(c[3])
      T.same(pack(coroutine.resume(co, c[4], c[5])), { false, c[1] }, "case " .. i)
    end
  end
end)

T.test("errors of Lua itself pass through promise functions", function ()
  for _, f in ipairs { promise.onlypending, promise.pickready, promise.awaitany, promise.awaitall } do
    T.raises("attempt to call", f, {})
    T.raises("attempt to call", f, promise.create(), true)
    local err = {}
    local ok, got = pcall(f, function () error(err) end)
    T.eq(ok, false)
    T.eq(got, err)
  end
end)

T.done()
