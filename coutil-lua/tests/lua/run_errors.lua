-- Errors in the coroutines that the loop resumes: they stop nothing, and never vanish.

local T = require "testing"
local L = require "loop_testing"
local event = require "coutil.event"
local system = require "coutil.system"
local run, suspend = system.run, system.suspend
local pack = T.pack
local put = table.insert

local modes = { "loop", "step", "ready" }

T.test("an error does not disturb the loop, and is reported [20 8.14] [30 A7] [00 1.5.2] [90 2.2]", function ()
  local errors = { "text", 12.5, true, false, {}, print, io.stdout, coroutine.create(function () end) }
  local cos, done = {}, 0
  for i, err in ipairs(errors) do
    cos[i] = T.start(function () suspend(); error(err, 0) end)
    T.start(function () suspend(); done = done + 1 end)
  end
  T.returns({ false }, run)
  T.eq(done, #errors)
  local reports = T.reports()
  T.eq(#reports, #errors)
  for i, r in ipairs(reports) do
    local at = #errors + 1 - i
    T.eq(r.n, 3)
    T.eq(r.err, errors[at])
    T.eq(r.co, cos[at])
    T.eq(coroutine.status(r.co), "dead")
    T.eq(type(r.traceback), "string")
  end
  T.start(function () suspend(); error(nil) end)
  T.eq(run(), false)
  T.eq(#T.reports(), 1)
end)

T.test("the stack of the dead is intact [90 2.2]", function ()
  local shown
  local body = T.load("local suspend = ...\nsuspend()\nerror('message')\nreturn 1", "=body")
  local before = system.onerror()
  system.onerror(function (err, co, traceback)
    shown = { err, traceback, debug.traceback(co), system.isrunning() }
  end)
  T.start(body, suspend)
  T.eq(run(), false)
  system.onerror(before)
  T.eq(shown[1], "body:3: message")
  T.eq(shown[2]:find("body:3:", 1, true) ~= nil, true)
  T.eq(shown[3]:find("body:3:", 1, true) ~= nil, true)
end)

T.test("an error after an explicit resume goes to who resumed [20 8.14] [00 1.5.5]", function ()
  local co = T.start(function () suspend(); error("mine", 0) end)
  T.returns({ false, "mine" }, coroutine.resume, co)
  T.eq(#T.reports(), 0)
  T.eq(run(), false)
  local inner = T.start(function () suspend(); error("inner", 0) end)
  local got
  T.start(function () suspend(); got = pack(coroutine.resume(inner)) end)
  T.eq(run(), false)
  T.same(got, { false, "inner" })
end)

T.test("a handler may use the loop [90 2.2]", function ()
  local before, log = system.onerror(), {}
  system.onerror(function (err)
    put(log, err)
    T.start(function () suspend(); put(log, "after " .. err) end)
    put(log, select(2, pcall(run)))
    system.halt()
  end)
  T.start(function () suspend(); error("e", 0) end)
  T.returns({ true }, run)
  system.onerror(before)
  T.returns({ false }, run)
  T.same(log, { "e", "already running", "after e" })
end)

-- onerror "raise" -------------------------------------------------------------------------------

local function raising(f)
  local before = system.onerror("raise")
  local ok, err = pcall(f)
  system.onerror(before)
  if not ok then error(err, 0) end
end

T.test("onerror('raise') is set and asked like a handler [90 2.5]", function ()
  local before = system.onerror()
  T.returns({ before }, system.onerror, "raise")
  T.returns({ "raise" }, system.onerror)
  T.returns({ "raise" }, system.onerror, before)
  T.returns({ before }, system.onerror)
end)

T.test("run raises the errors, one each, at the end of the pass [90 2.5]", function ()
  raising(function ()
    for _, mode in ipairs(modes) do
      local errors, log = { {}, "text", 12.5, {}, false }, {}
      for i, err in ipairs(errors) do
        T.start(function () suspend(); put(log, i); error(err, 0) end)
        T.start(function () suspend(); put(log, -i); suspend(); put(log, i * 10) end)
      end
      local function check(i)
        T.same(pack(pcall(run, mode)), { false, errors[i] })
        T.eq(system.isrunning(), false)
      end
      check(5)
      T.same(log, { -5, 5, -4, 4, -3, 3, -2, 2, -1, 1 }) -- the pass was finished
      for i = 4, 1, -1 do check(i) end
      local left = run(mode)
      while left do left = run(mode) end
      T.same(log, { -5, 5, -4, 4, -3, 3, -2, 2, -1, 1, 50, 40, 30, 20, 10 })
      T.returns({ false }, run, mode)
    end
  end)
end)

T.test("the original value is raised, nil too [90 2.5]", function ()
  raising(function ()
    local object = setmetatable({}, { __tostring = error })
    for _, err in ipairs { object, true, print, coroutine.create(function () end), "a\0b", "body:1: text" } do
      T.start(function () suspend(); error(err, 0) end)
      T.same(pack(pcall(run)), { false, err })
      T.returns({ false }, run)
    end
    T.start(function () suspend(); error(nil) end)
    local got = pack(pcall(run))
    T.eq(got[1], false)
    -- 5.5 has a text instead of nil.
    if T.number < 5.5 then T.eq(got[2], nil) end
    T.returns({ false }, run)
  end)
end)

T.test("errors of what an emitter or a close resumes are raised by run too [90 2.5]", function ()
  raising(function ()
    local e, err, closing = {}, {}, {}
    T.start(function () event.await(e); error(err) end)
    T.returns({ true }, event.emitall, e)
    T.same(pack(pcall(run)), { false, err })
    T.returns({ false }, run)
    local passive = L.listener()
    T.start(function () passive:accept(); error(closing) end)
    T.start(function () event.await(e); error(err) end)
    T.eq(passive:close(), true)
    T.eq(event.emitone(e), true)
    T.same(pack(pcall(run, "ready")), { false, closing })
    T.same(pack(pcall(run, "step")), { false, err })
    T.returns({ false }, run)
  end)
end)

T.test("what waits is not disturbed by a raise [90 2.5]", function ()
  raising(function ()
    local a, b = L.pair()
    local read, timer = T.waiter(L.take, b), T.waiter(suspend, .001)
    T.start(function () suspend(); error("first", 0) end)
    T.same(pack(pcall(run)), { false, "first" })
    L.send(a, "x")
    T.start(function () suspend(); system.halt(); error("second", 0) end)
    T.same(pack(pcall(run)), { false, "second" })
    while run() do end
    T.same(read.got, { "x" })
    T.same(timer.got, { true })
    a:close()
    b:close()
  end)
end)

T.test("an error after an explicit resume is not raised by run [90 2.5] [00 1.5.5]", function ()
  raising(function ()
    local co = T.start(function () suspend(); error("x", 0) end)
    T.returns({ false, "x" }, coroutine.resume, co)
    T.returns({ false }, run)
  end)
end)

-- In another interpreter ------------------------------------------------------------------------

local prelude = [[
local system = require "coutil.system"
local function start(f, ...) coroutine.wrap(f)(...) end
local function fail(err) start(function () system.suspend(); error(err, 0) end) end
local function final(text) io.stderr:write(text, "\n") end
]]

if T.has_tbc then
  T.test_child("an error gives a warning [20 8.14] [20 0.10] [30 A7] [90 2.1] [00 1.5.2]", function ()
    local out, status = T.child(prelude .. [[
      system.onerror(function () end)
      warn("@on")
      for _, err in ipairs { "text", 12, 1.5, true, {}, setmetatable({}, { __tostring = function () return "no" end }) } do
        fail(err)
        assert(system.run() == false)
      end
      warn("@off")
      fail("off")
      assert(system.run() == false)
      warn("@on")
      local co = coroutine.create(function () system.suspend(); error("explicit") end)
      coroutine.resume(co)
      coroutine.resume(co)
      assert(system.run() == false)
      final("END") ]])
    T.eq(status, 0)
    local not_string = "Lua warning: [coutil] system.run: (error object is not a string)\n"
    T.eq(out, "Lua warning: [coutil] system.run: text\n" .. "Lua warning: [coutil] system.run: 12\n" ..
      "Lua warning: [coutil] system.run: 1.5\n" .. not_string:rep(3) .. "END\n")
  end)

  T.test_child("an error in what a close resumes gives a warning [00 1.5.3] [50 5.1.2]", function ()
    local out, status = T.child(prelude .. [[
      system.onerror(function () end)
      warn("@on")
      local passive = system.socket("passive", "ipv4")
      assert(passive:listen(1))
      start(function () passive:accept(); error("the text", 0) end)
      assert(passive:close() == true)
      assert(system.run() == false)
      final("END") ]])
    T.eq(status, 0)
    T.eq(out, "Lua warning: [coutil] object:close: the text\nEND\n")
  end)
else
  T.skip("warnings [90 2.1]", "this version has none")
end

T.test_child("without a handler it is written to standard error [90 2.3] [90 4.3]", function ()
  local out, status = T.child(prelude .. [[
    fail("the message")
    assert(system.run() == false)
    final("END") ]])
  T.eq(status, 0)
  T.eq(out:find("coutil: the message\n", 1, true), 1)
  T.eq(out:find("\nstack traceback:\n", 1, true) ~= nil, true)
  T.eq(out:sub(-5), "\nEND\n")
end)

T.test_child("an error in the handler is written and stops nothing [90 2.2]", function ()
  local out, status = T.child(prelude .. [[
    local calls = 0
    system.onerror(function (err) calls = calls + 1; error("handler fails " .. calls) end)
    fail("one") fail("two")
    assert(system.run() == false)
    assert(calls == 2)
    final("END") ]])
  T.eq(status, 0)
  for i = 1, 2 do T.eq(out:find("handler fails " .. i, 1, true) ~= nil, true) end
  T.eq(out:sub(-5), "\nEND\n")
end)

T.done()
