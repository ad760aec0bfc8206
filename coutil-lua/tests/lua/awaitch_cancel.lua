-- system.awaitch: explicit resumes, before and after a match.

local T = require "testing"
local L = require "loop_testing"
local C = require "cancel_testing"
local H = require "threads_testing"
local channel = require "coutil.channel"
local system = require "coutil.system"
local create, sync = channel.create, channel.sync
local awaitch, run, suspend = system.awaitch, system.run, system.suspend
local pack = T.pack

local function close(...)
  for i = 1, select("#", ...) do T.returns({ true }, channel.close, (select(i, ...))) end
end

-- The sequences that every await function goes through ------------------------------------------

-- The trigger matches the wait first: [20 9.3].
local function configurations(one_object, triggered)
  return function (watch)
    local list, shared = {}, nil
    for i = 1, 2 do
      local name = H.name()
      local ch = one_object and shared or watch(create(name))
      shared = ch
      local function other_sync(...)
        local other = create(ch:getname())
        local got = pack(sync(other, ...))
        close(other)
        return got
      end
      list[i] = { object = ch, await = function () return awaitch(ch, "in") end,
        trigger = triggered and function () sync(ch, "out", "value") end or nil,
        check = function (got) T.same(got, { true, "value" }) end,
        -- Nobody waits any more, and the object is free.
        leftover = function ()
          T.same(other_sync("out"), { false, "empty" })
          local w = T.waiter(awaitch, ch, "in")
          T.same(other_sync("out", 1), { true })
          T.eq(run(), false)
          T.same(w.got, { true, 1 })
        end }
    end
    return list
  end
end

C.sequences({
  { "awaitch [20 9.3]", configurations(false, true) },
  { "awaitch on one object [20 9.3]", configurations(true, true) },
}, "ipv4")
C.further({ { "awaitch [20 9.3]", configurations(false, true) } }, "ipv4")

-- Before a match --------------------------------------------------------------------------------

H.test("an explicit resume gives exactly its values [20 5.13] [20 5.11] [20 9.6] [20 9.10] [20 8.19.4]", function ()
  local a, b, t = create "x", create "x", {}
  for _, values in ipairs { pack(), pack(nil), pack(true, nil, 3), pack(t), pack(print, a, io.stdout, nil), pack(false, "empty") } do
    local w = T.waiter(awaitch, a, "in", 1)
    T.resume(w.co, T.unpack(values, 1, values.n))
    T.same(w.got, values)
    T.returns({ false, "empty" }, sync, b, "out")
    w = T.waiter(awaitch, a, "in", 1)
    T.start(function () suspend(); T.resume(w.co, T.unpack(values, 1, values.n)) end)
    T.eq(run(), false)
    T.same(w.got, values)
  end
  close(a, b)
end)

H.test("the wait leaves the queue, and the object is free at once [20 5.13] [20 5.9] [00 1.3.2]", function ()
  local a, b = create "x", create "x"
  local w = T.waiter(awaitch, a, "in")
  T.resume(w.co)
  T.returns({ false, "empty" }, sync, b, "out")
  close(a)
  a = create "x"
  w = T.waiter(awaitch, a, "in")
  T.resume(w.co)
  local v = T.waiter(awaitch, a, "out") -- used by another, on another endpoint
  T.returns({ false, "empty" }, sync, b, "out")
  T.returns({ true }, sync, b, "in", 1)
  T.eq(run(), false)
  T.same(v.got, { true, 1 })
  close(a, b)
end)

H.test("a cancelled wait does not keep run going [20 8.20.1] [20 8.7] [00 1.3.6]", function ()
  local a = create "x"
  local w = T.waiter(awaitch, a, "in")
  T.eq(run("ready"), true)
  T.resume(w.co)
  for _, mode in ipairs { "loop", "step", "ready" } do T.returns({ false }, run, mode) end
  w = T.waiter(awaitch, a, "in")
  T.start(function () suspend(); T.resume(w.co, "from inside") end)
  T.returns({ false }, run)
  T.same(w.got, { "from inside" })
  close(a)
end)

H.test("the one in the middle leaves, the others stay in order [20 5.13] [20 5.8]", function ()
  for skip = 1, 4 do
    local objects, waiters, ch = {}, {}, create "x"
    for i = 1, 4 do
      objects[i] = create "x"
      waiters[i] = T.waiter(awaitch, objects[i], "out", i)
    end
    T.resume(waiters[skip].co, "cancelled")
    for i = 1, 4 do
      if i ~= skip then T.returns({ true, i }, sync, ch, "in", -i) end
    end
    T.returns({ false, "empty" }, sync, ch, "in")
    T.eq(run(), false)
    for i = 1, 4 do T.same(waiters[i].got, i == skip and { "cancelled" } or { true, -i }) end
    close(ch, T.unpack(objects))
  end
end)

-- After a match ---------------------------------------------------------------------------------

H.test("resumed after a match: what was received is lost, the other sees success [20 5.14] [20 5.9] [20 8.19.4]", function ()
  local a, b = create "x", create "x"
  for _, how in ipairs { "sync", "awaitch" } do
    local w = T.waiter(awaitch, a, "in", "sent")
    if how == "sync" then
      T.returns({ true, "sent" }, sync, b, "out", "lost")
    else
      T.same(pack(T.inside(awaitch, b, "out", "lost")), { true, "sent" })
    end
    T.resume(w.co, "explicit", nil)
    T.same(w.got, pack("explicit", nil))
    -- In use until run has processed the match.
    T.raises("in use", channel.close, a)
    H.inside(1, "in use", "coutil.system", "awaitch", a)
    T.returns({ false, "empty" }, sync, a, "out")
    T.eq(run(), false)
    T.same(w.got, pack("explicit", nil))
    w = T.waiter(awaitch, a, "in")
    T.returns({ true }, sync, b, "out", "next")
    T.eq(run(), false)
    T.same(w.got, { true, "next" })
  end
  close(a, b)
end)

H.test("resumed after a match, from inside the loop [20 5.14] [20 8.20.3]", function ()
  local a, b = create "x", create "x"
  local w = T.waiter(awaitch, a, "in")
  T.start(function ()
    suspend()
    T.returns({ true }, sync, b, "out", "lost")
    T.resume(w.co, "explicit")
  end)
  T.eq(run(), false)
  T.same(w.got, { "explicit" })
  T.returns({ false, "empty" }, sync, b, "out")
  close(a, b)
end)

H.test("resumed after a match, it is not resumed again [20 5.14] [00 1.2.5]", function ()
  local a, b = create "x", create "x"
  local co = T.start(function ()
    awaitch(a, "in")
    return coroutine.yield()
  end)
  T.returns({ true }, sync, b, "out")
  T.resume(co)
  T.eq(run(), false)
  T.eq(coroutine.status(co), "suspended")
  T.returns({ true, "end" }, coroutine.resume, co, "end")
  close(a, b)
end)

-- Waiting again ---------------------------------------------------------------------------------

H.test("cancelled before a match, waits again on the same object [20 5.15] [20 8.21.1] [00 1.3.4] [90 1.2]", function ()
  local a, b, result = create "x", create "x", nil
  local w = T.waiter(function ()
    local first = pack(awaitch(a, "in"))
    T.same(first, { "cancelled" })
    return awaitch(a, "in")
  end)
  T.resume(w.co, "cancelled")
  T.start(function ()
    suspend()
    suspend()
    result = pack(sync(b, "out", "value"))
  end)
  T.eq(run(), false)
  T.same(result, { true })
  T.same(w.got, { true, "value" })
  close(a, b)
end)

H.test("cancelled after a match, waits again on the same object [20 5.15] [20 5.14]", function ()
  local a, b, first = create "x", create "x", nil
  local w = T.waiter(function ()
    first = pack(awaitch(a, "in"))
    return awaitch(a, "in")
  end)
  T.returns({ true }, sync, b, "out", 123)
  T.resume(w.co)
  T.same(first, {})
  local v = T.waiter(function ()
    suspend()
    return awaitch(b, "out", 456)
  end)
  T.eq(run(), false)
  T.same(w.got, { true, 456 })
  T.same(v.got, { true })
  close(a, b)
end)

H.test("waiting again on another object, or another name [20 5.15] [90 1.2]", function ()
  for _, matched in ipairs { false, true } do
    local a, b, c, d = create "x", create "x", create "y", create "y"
    local w = T.waiter(function ()
      awaitch(a, "in")
      return awaitch(c, "in")
    end)
    if matched then T.returns({ true }, sync, b, "out", "lost") end
    T.resume(w.co)
    T.returns({ false, "empty" }, sync, b, "out", "lost too")
    local result
    T.start(function ()
      suspend()
      suspend()
      result = pack(sync(d, "out", "right"))
    end)
    T.eq(run(), false)
    T.same(result, { true })
    T.same(w.got, { true, "right" })
    close(a, b, c, d)
  end
end)

H.test("cancelled many times in a row [20 8.19.5] [20 8.19.6] [00 1.3.4] [20 0.8]", function ()
  local a, b, count = create "x", create "x", 0
  local co = T.start(function ()
    while true do
      if awaitch(count % 2 == 0 and a or b, "in") == "stop" then return "end" end
      count = count + 1
    end
  end)
  local n = T.scale(5000, 20)
  for i = 1, n do
    T.resume(co, "again")
    T.eq(count, i)
    if i % 1000 == 0 then T.eq(run("ready"), true) end
  end
  T.returns({ true, "end" }, coroutine.resume, co, "stop")
  T.eq(run(), false)
  T.returns({ false, "empty" }, sync, a, "out")
  close(a, b)
end)

H.test("cancelled in the second wait, started or not [20 8.21.2] [20 9.7] [20 8.21.4]", function ()
  for _, matched in ipairs { false, true } do
    for _, where in ipairs { "at once", "in the pass" } do
      local a, b, r = create "x", create "x", {}
      local co = T.start(function ()
        r[1] = pack(awaitch(a, "in"))
        r[2] = pack(awaitch(a, "in"))
      end)
      if matched then T.returns({ true }, sync, b, "out") end
      T.resume(co, "first")
      if where == "at once" then
        T.resume(co, .1, 2.2, 33.3)
      else
        T.start(function () suspend(); T.resume(co, .1, 2.2, 33.3) end)
      end
      T.eq(run(), false)
      T.same(r[1], { "first" })
      T.same(r[2], { .1, 2.2, 33.3 })
      T.returns({ false, "empty" }, sync, b, "out")
      close(a, b)
    end
  end
end)

H.test("the second wait of a cancelled suspend [20 8.21.1] [20 5.15]", function ()
  local a, b, result = create "x", create "x", nil
  local w = T.waiter(function ()
    suspend(1000)
    return awaitch(a, "in")
  end)
  T.resume(w.co)
  T.start(function ()
    suspend()
    suspend()
    result = pack(sync(b, "out", 1))
  end)
  T.eq(run(), false)
  T.same(result, { true })
  T.same(w.got, { true, 1 })
  close(a, b)
end)

H.test("the errors of a wait that follows a cancelled one [20 8.21.1] [20 8.21.1]", function ()
  local a, b = create "x", create "x"
  local cases = { { "invalid option 'bad'", "bad" }, { "unable to transfer argument #3 (got table)", "in", {} },
    { "string expected, got table", {} } }
  for _, case in ipairs(cases) do
    local co = T.start(function ()
      awaitch(a, "in")
      awaitch(b, T.unpack(case, 2, 3))
      error "not raised"
    end)
    local ok, err = coroutine.resume(co)
    T.eq(run(), false)
    T.eq(coroutine.status(co), "dead")
    local reports = T.reports()
    T.eq(#reports, ok and 1 or 0) -- at once, or by the loop
    if ok then err = reports[1].err end
    T.eq(err:find(case[1], 1, true) ~= nil, true, err)
  end
  close(a, b)
end)

-- Collection ------------------------------------------------------------------------------------

H.test("what was cancelled is garbage after a run [20 8.13] [00 1.6.1]", function ()
  for _, matched in ipairs { false, true } do
    T.eq(L.swept(function (watch)
      local name = H.name()
      local ch, other = watch(create(name)), watch(create(name))
      local co = watch(T.start(function () awaitch(ch, "in"); coroutine.yield() end))
      if matched then T.eq(sync(other, "out"), true) end
      T.resume(co)
      T.eq(run(), false)
    end), true)
  end
end)

H.test("an error after an explicit resume goes to who resumed [00 1.5.5] [20 9.8]", function ()
  local a, b = create "x", create "x"
  for _, matched in ipairs { false, true } do
    local co = T.start(function () awaitch(a, "in"); error("mine", 0) end)
    if matched then T.returns({ true }, sync, b, "out") end
    T.returns({ false, "mine" }, coroutine.resume, co)
    T.eq(run(), false)
  end
  T.eq(#T.reports(), 0)
  close(a, b)
end)

H.test("a cancellation by who is resumed in the same pass [20 5.13] [20 5.14] [20 8.10]", function ()
  -- Both were matched; the one that comes first resumes the other.
  local a, b, c, got = create "x", create "x", create "x", {}
  local cos = {}
  for i, ch in ipairs { a, b } do
    cos[i] = T.start(function ()
      got[i] = pack(awaitch(ch, "in"))
      local other = cos[3 - i]
      if not got[3 - i] then T.resume(other, "by the other") end
    end)
  end
  T.returns({ true }, sync, c, "out", "value")
  T.returns({ true }, sync, c, "out", "value")
  T.eq(run(), false)
  local first = got[1][1] == true and 1 or 2
  T.same(got[first], { true, "value" })
  T.same(got[3 - first], { "by the other" })
  close(a, b, c)
end)

T.done()
