-- Waiting across pcall, metamethods, iterators, generators and hooks.

local T = require "testing"
local event = require "coutil.event"
local mutex = require "coutil.mutex"
local promise = require "coutil.promise"
local queued = require "coutil.queued"
local await, emitall, emitone, pending = event.await, event.emitall, event.emitone, event.pending
local pack = T.pack
local put = table.insert
local across = T.yield_across_pcall
local why = "5.1 cannot yield across these"

-- Runs `body` in a coroutine, which waits for `e` once: it must end with what the emission gave.
-- On 5.1 the wait must fail, and leave nothing behind, but where that version can yield `anyway`.
local function crosses(title, body, anyway)
  T.test(title .. " [00 1.1.3] [90 4.1] [90 4.12]", function ()
    local e = {}
    local co = T.create(function () return body(e) end)
    local ok, got = coroutine.resume(co)
    if not across and not anyway then
      T.eq(pending(e), false)
      T.eq(emitall(e, "x"), false)
      if ok then T.eq(got, "refused") end
      return
    end
    T.eq(ok, true)
    T.eq(got, nil)
    T.eq(pending(e), true)
    local result
    local outer = T.start(function () result = pack(body(e)) end)
    T.eq(emitall(e, "x"), true)
    T.eq(coroutine.status(co), "dead")
    T.eq(coroutine.status(outer), "dead")
    T.same(result, { "x" })
    T.start(function () result = pack(body(e)) end)
    T.eq(emitone(e, "y"), true)
    T.same(result, { "y" })
  end)
end

crosses("pcall", function (e)
  local ok, _, x = pcall(await, e)
  return ok and x or "refused"
end)

crosses("pcall of a Lua function", function (e)
  local ok, x = pcall(function () return (select(2, await(e))) end)
  return ok and x or "refused"
end)

crosses("pcall under another name", function (e)
  local object = { protected = pcall }
  local ok, _, x = object.protected(await, e)
  return ok and x or "refused"
end)

crosses("pcalls in pcalls", function (e)
  local ok, _, _, _, x = pcall(pcall, pcall, await, e)
  return ok and (x or "refused") or "refused"
end)

crosses("xpcall", function (e)
  local ok, x = xpcall(function () return (select(2, await(e))) end, function (m) return m end)
  return ok and x or "refused"
end)

for _, name in ipairs { "add", "sub", "mul", "div", "mod", "pow", "concat" } do
  local f = T.load("local a, b = ... return a " .. ({ add = "+", sub = "-", mul = "*", div = "/",
    mod = "%", pow = "^", concat = ".." })[name] .. " b")
  crosses("the metamethod __" .. name, function (e)
    local a = setmetatable({}, { ["__" .. name] = function () return (select(2, await(e))) end })
    return (f(a, 1))
  end)
end

crosses("the metamethod __unm", function (e)
  return -setmetatable({}, { __unm = function () return (select(2, await(e))) end })
end)

crosses("the metamethod __index", function (e)
  return setmetatable({}, { __index = function () return (select(2, await(e))) end }).field
end)

crosses("the metamethod __newindex", function (e)
  local x
  setmetatable({}, { __newindex = function () x = select(2, await(e)) end }).field = 1
  return x
end)

crosses("the metamethod __call", function (e)
  return setmetatable({}, { __call = function (_, a) return (select(2, await(a))) end })(e)
end, "anyway")

crosses("an await function as __index", function (e)
  return setmetatable(e, { __index = function (t) return select(2, await(t)) end }).field
end)

crosses("comparisons", function (e)
  local x
  local mt = { __lt = function () x = select(2, await(e)); return true end }
  local less = setmetatable({}, mt) < setmetatable({}, mt)
  return less and x
end)

crosses("__eq in a condition", function (e)
  local x
  local mt = { __eq = function () x = select(2, await(e)); return true end }
  if setmetatable({}, mt) == setmetatable({}, mt) then return x end
end)

crosses("an await function as iterator", function (e)
  for _, x in await, e do return x end
end)

crosses("a Lua iterator that waits", function (e)
  for x in function () return (select(2, await(e))) end do return x end
end)

T.test_if(across, why, "an iterator that waits for each step [00 1.1.3]", function ()
  local e, log = {}, {}
  T.start(function ()
    for _, x in await, e do
      put(log, x)
      if x == 4 then break end
    end
    put(log, "end")
  end)
  for i = 1, 4 do T.eq(emitone(e, i), true) end
  T.same(log, { 1, 2, 3, 4, "end" })
end)

T.test_if(across, why, "every await function waits across pcall [00 1.1.3] [90 4.1]", function ()
  local e = {}
  local p, fulfill = promise.create()
  local cases = {
    { { true, e, "x" }, event.await, e }, { { true, e, "x" }, event.awaitany, {}, e },
    { { true, true }, event.awaitall, e, e }, { { true, e, "x" }, queued.await, e },
    { { true, e, "x" }, queued.awaitany, e }, { { true, true }, queued.awaitall, e },
  }
  for i, c in ipairs(cases) do
    local w = T.waiter(pcall, T.unpack(c, 2))
    T.eq(emitone(e, "x"), true)
    T.same(w.got, c[1], "case " .. i)
    w = T.waiter(pcall, T.unpack(c, 2))
    T.resume(w.co, "cancel", nil)
    T.same(w.got, pack(true, "cancel", nil), "cancelled, case " .. i)
    T.eq(pending(e), false)
  end
  local waiters = { T.waiter(pcall, p), T.waiter(pcall, promise.awaitall, p), T.waiter(pcall, promise.awaitany, p) }
  fulfill("x", nil)
  T.same(waiters[1].got, pack(true, "x", nil))
  T.same(waiters[2].got, { true, true })
  T.same(waiters[3].got, pack(true, p, "x", nil))
  local m = {}
  mutex.lock(m)
  local w = T.waiter(pcall, mutex.lock, m)
  T.resume(w.co, "lost")
  T.eq(w.got, nil)
  mutex.unlock(m)
  T.same(w.got, { true })
end)

T.test_if(across, why, "pcall catches errors raised after the wait [00 1.1.3]", function ()
  local e, got = {}, nil
  T.start(function ()
    got = pack(pcall(function ()
      pcall(function () await(e); error("inner") end)
      await(e)
      error("outer", 0)
    end))
  end)
  emitall(e)
  T.eq(got, nil)
  emitall(e)
  T.same(got, { false, "outer" })
end)

T.test("only the innermost coroutine is suspended [00 1.1.2]", function ()
  local e, log = {}, {}
  local outer = T.start(function ()
    local inner = coroutine.create(function ()
      put(log, (select(2, await(e))))
      return "inner ends"
    end)
    T.same(pack(coroutine.resume(inner)), { true })
    put(log, coroutine.status(inner))
    coroutine.yield("outer goes on")
  end)
  T.same(log, { "suspended" })
  T.eq(coroutine.status(outer), "suspended")
  emitall(e, "x")
  T.same(log, { "suspended", "x" })
  T.eq(coroutine.status(outer), "suspended")
end)

T.test("a generator inside a waiter [00 1.1.2] [00 1.5.6]", function ()
  local e, log = {}, {}
  T.start(function ()
    for i in coroutine.wrap(function () for i = 1, 3 do coroutine.yield(i) end end) do
      put(log, i)
      put(log, (select(2, await(e))))
    end
    put(log, "end")
  end)
  for i = 1, 3 do T.eq(emitone(e, "x" .. i), true) end
  T.same(log, { 1, "x1", 2, "x2", 3, "x3", "end" })
end)

T.test("a waiter inside a generator [00 1.1.1] [00 1.1.2] [00 1.2.5] [00 1.5.6]", function ()
  local e, log = {}, {}
  local next = coroutine.wrap(function ()
    coroutine.yield(1)
    put(log, (select(2, await(e))))
    coroutine.yield("dropped") -- to the emitter
    put(log, "resumed")
    coroutine.yield(3)
  end)
  T.returns({ 1 }, next)
  T.returns({}, next) -- it waits
  T.returns({ true }, emitall, e, "x")
  T.returns({ false }, emitall, e, "y")
  T.returns({ 3 }, next)
  T.same(log, { "x", "resumed" })
end)

T.test("waits deep in Lua calls, tail calls and varargs", function ()
  local e = {}
  local function deep(n) if n > 0 then return (select(2, deep(n - 1))) end; return await(e) end
  local function down(n, ...)
    if n == 0 then return await(e) end
    local got = pack(down(n - 1, n, ...))
    return T.unpack(got, 1, got.n)
  end
  local w = T.waiter(down, 100)
  emitall(e, "x", nil)
  T.same(w.got, pack(e, "x", nil))
  w = T.waiter(function () return await(e) end) -- a tail call
  emitall(e, nil)
  T.same(w.got, pack(e, nil))
  w = T.waiter(deep, 0)
  T.resume(w.co, 1, nil)
  T.same(w.got, pack(1, nil))
end)

T.test("an await function is the body of the coroutine", function ()
  if T.version == "5.1" and debug.getinfo(await, "S").what == "C" then return end
  local e = {}
  local co = coroutine.create(await)
  T.returns({ true }, coroutine.resume, co, e)
  T.eq(emitall(e, "x"), true)
  T.eq(coroutine.status(co), "dead")
  co = coroutine.create(await)
  coroutine.resume(co, e)
  T.returns(pack(true, 1, nil), coroutine.resume, co, 1, nil)
  local next = coroutine.wrap(event.awaitall)
  T.returns({}, next, e)
  T.returns({ 5 }, next, 5)
  T.eq(pending(e), false)
end)

for _, mask in ipairs { "c", "r", "l", "crl", "" } do
  T.test("with a hook for '" .. mask .. "' [00 1.1.1]", function ()
    local e, calls, log = {}, 0, {}
    local co = coroutine.create(function ()
      for i = 1, 3 do
        put(log, (select(2, event.awaitany(e, i))))
        put(log, #pack(await(e)))
      end
    end)
    debug.sethook(co, function () calls = calls + 1 end, mask, mask == "" and 1 or 0)
    T.resume(co)
    for i = 1, 3 do
      T.eq(emitall(e, "x" .. i), true)
      T.resume(co, 1, 2)
    end
    debug.sethook(co)
    debug.sethook()
    T.arm()
    T.eq(coroutine.status(co), "dead")
    T.same(log, { "x1", 2, "x2", 2, "x3", 2 })
    T.eq(calls > 0, true)
    T.eq(pending(e), false)
  end)
end

T.test("a hook may emit and look", function ()
  local e, f, seen = {}, {}, 0
  local w = T.waiter(await, f)
  local co = coroutine.create(function () await(e); await(e) end)
  debug.sethook(co, function () if pending(f) then emitall(f, "by a hook") end; seen = seen + 1 end, "crl")
  T.resume(co)
  emitall(e)
  emitall(e)
  debug.sethook(co)
  debug.sethook()
  T.arm()
  T.eq(coroutine.status(co), "dead")
  T.same(w.got, { f, "by a hook" })
  T.eq(seen > 0, true)
end)

T.test("debug functions on a waiting coroutine", function ()
  local e = {}
  local body = T.load("local await, e = ...\n\nawait(e)\nreturn 1", "=body")
  local co = T.start(body, await, e)
  T.eq(debug.traceback(co):find("body:3:", 1, true) ~= nil, true)
  local level = 0
  while debug.getinfo(co, level, "S") and debug.getinfo(co, level, "S").short_src ~= "body" do level = level + 1 end
  T.eq(debug.getinfo(co, level, "l").currentline, 3)
  T.eq(emitall(e), true)
  T.eq(coroutine.status(co), "dead")
end)

T.done()
