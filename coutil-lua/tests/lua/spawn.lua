-- Module coutil.spawn: coroutines whose errors are handled.

local T = require "testing"
local event = require "coutil.event"
local spawn = require "coutil.spawn"
local catch, trap = spawn.catch, spawn.trap
local pack = T.pack
local put = table.insert
local old = T.version == "5.1" -- no xpcall around the body there: 90 4.1

local function never() error("must not be called") end
local function fail(...) error(...) end

local errors = { "text", 12.5, true, false, {}, print, io.stdout, coroutine.create(never) }

-- A function that raises an error value of no interest, in a frame that tracebacks show.
local in_frame = T.load("local e = ... error(e, 0) return 1", "=frame_of_f")

-- Suspends until `go(co)`, which lets the library resume it.
local gate = {}
local function suspend() event.await(gate) end
local function go() T.eq(event.emitone(gate), true) end

-- Both ------------------------------------------------------------------------------------------

for name, run in pairs(spawn) do
  local function ignore() end

  T.test(name .. " runs the function at once in a new coroutine, which it returns [10 5.2.1] [10 5.1.1]", function ()
    for _, args in ipairs { pack(), pack(nil), pack(1, nil), pack(nil, false, nil), pack({}, "b", nil, nil) } do
      local got, inside
      local out = pack(run(ignore, function (...)
        got, inside = pack(...), coroutine.running()
        return 1, 2
      end, T.unpack(args, 1, args.n)))
      T.same(got, args)
      T.same(out, { inside })
      T.eq(type(out[1]), "thread")
      T.eq(coroutine.status(out[1]), "dead")
    end
    local many = { n = 200 }
    for i = 1, 200, 7 do many[i] = i end
    local got
    run(ignore, function (...) got = pack(...) end, T.unpack(many, 1, 200))
    T.same(got, many)
  end)

  T.test(name .. " accepts any callable value as the body [10 5.1.1] [10 5.2.1]", function ()
    local got
    local object = setmetatable({}, { __call = function (...) got = pack(...) end })
    run(ignore, object, 1, nil)
    T.same(got, pack(object, 1, nil))
    local made = {}
    run(ignore, setmetatable, made, { field = 1 }) -- a C function
    T.eq(getmetatable(made).field, 1)
  end)

  T.test(name .. " works from where nothing can be yielded", function ()
    local log = {}
    ;("ab"):gsub(".", function (c)
      run(ignore, function () put(log, c); suspend(); put(log, c) end)
    end)
    go(); go()
    T.same(log, { "a", "b", "a", "b" })
  end)

  T.test(name .. ": plain yields suspend the new coroutine only [10 5.1.2]", function ()
    local log = {}
    local out = pack(run(ignore, function () put(log, coroutine.yield("out", nil)); put(log, "end") end))
    T.eq(out.n, 1)
    T.eq(coroutine.status(out[1]), "suspended")
    T.resume(out[1], "in")
    T.same(log, { "in", "end" })
    T.eq(coroutine.status(out[1]), "dead")
  end)

  T.test(name .. ": nested in its own body", function ()
    local log = {}
    run(ignore, function ()
      put(log, 1)
      run(ignore, function () put(log, 2); suspend(); put(log, 4) end)
      put(log, 3)
    end)
    go()
    T.same(log, { 1, 2, 3, 4 })
  end)
end

-- catch -----------------------------------------------------------------------------------------

T.test("catch gives the original error to the handler, once [10 5.1.1] [10 5.3.3] [90 2.6]", function ()
  for _, err in ipairs(errors) do
    local calls, running, inside = {}, nil, nil
    local co = catch(function (...)
      put(calls, pack(...))
      running = coroutine.running()
      return "handled"
    end, function ()
      inside = coroutine.running()
      error(err, 0)
    end)
    T.eq(#calls, 1)
    T.same(calls[1], { err })
    T.eq(running, co)
    T.eq(inside, co)
    T.eq(coroutine.status(co), "dead")
  end
  T.eq(#T.reports(), 0)
  local got
  catch(function (...) got = pack(...) end, fail, nil)
  T.eq(got.n, 1)
  T.eq(got[1], nil)
  catch(function (err) got = err end, T.load("\nerror('text')", "=chunk"))
  T.eq(got, "chunk:2: text")
  catch(function (err) got = err end, T.load("\n\nlocal x = nil + 1", "=chunk"))
  T.eq(got:find("chunk:3: attempt to perform arithmetic", 1, true), 1)
end)

T.test_if(T.version ~= "5.1", "the body is called by a Lua function there, which has a position",
  "an error function as the body has no position [10 5.3.3]", function ()
  local got
  catch(function (err) got = err end, error, "text")
  T.eq(got, "text")
  trap(function (_, err) got = err end, error, "other text")
  T.eq(got, "other text")
end)

T.test("the handler of catch runs on the stack of the error [10 5.1.1] [10 5.1.5] [90 4.1]", function ()
  local text, plain
  local function handler() text, plain = debug.traceback(), coroutine.running() end
  local co = catch(handler, in_frame, {})
  T.eq(text:find("frame_of_f:", 1, true) ~= nil, true)
  T.eq(plain, co)
  text = nil
  co = catch(handler, T.load("local s, f = ... s() f({}) return 1", "=frame_of_f"), suspend, fail)
  go()
  T.eq(text:find("frame_of_f:", 1, true) ~= nil, true)
  T.eq(plain, co)
end)

T.test("the handler of catch cannot yield [10 5.1.1] [00 1.4.1]", function ()
  local e, got, other = {}, nil, nil
  catch(function ()
    got = pack(pcall(event.await, e))
    other = pack(pcall(coroutine.yield))
  end, fail, "x")
  T.eq(got[1], false)
  if T.detects_yieldable or old then T.eq(got[2], "unable to yield") end
  T.eq(other[1], false)
  T.eq(event.pending(e), false)
end)

T.test("the handler of catch must be a function [10 5.1.1] [10 5.1.5] [90 2.6]", function ()
  local callable = setmetatable({}, { __call = function () end })
  for i, h in ipairs { callable, 12, "text", {}, true } do
    local co = catch(h, never)
    T.eq(type(co), "thread")
    T.eq(coroutine.status(co), "dead")
    local reports = T.reports()
    T.eq(#reports, 1, "reports of handler " .. i)
    T.eq(reports[1].co, co)
  end
end)

T.test("a body that cannot be called is an error for the handler [10 5.1.1]", function ()
  for _, f in ipairs { false, 12, {}, "text" } do
    local calls = {}
    local co = catch(function (...) put(calls, pack(...)) end, f or nil, 1)
    T.eq(#calls, 1)
    T.eq(calls[1].n, 1)
    T.eq(calls[1][1]:find("attempt to call", 1, true) ~= nil, true)
    T.eq(coroutine.status(co), "dead")
  end
end)

T.test("catch with missing arguments [10 5.1.4] [90 2.6]", function ()
  for _, args in ipairs { pack(), pack(nil), pack(nil, nil), pack(nil, never) } do
    local out = pack(catch(T.unpack(args, 1, args.n)))
    T.eq(out.n, 1)
    T.eq(coroutine.status(out[1]), "dead")
    T.eq(#T.reports(), 1)
  end
end)

T.test("catch handles errors after any number of suspensions [10 5.1.2] [90 4.1]", function ()
  for n = 0, 4 do
    local got
    local co = catch(function (...) got = pack(...) end, function ()
      for _ = 1, n do suspend() end
      error({ n })
    end)
    for _ = 1, n do T.eq(got, nil); go() end
    T.eq(got.n, 1)
    T.eq(got[1][1], n)
    T.eq(coroutine.status(co), "dead")
  end
end)

T.test("who resumes a coroutine of catch last sees the results [10 5.1.3] [90 4.1]", function ()
  local calls = 0
  local function handler(err) calls = calls + 1; return err .. " handled", "dropped" end
  for _, l in ipairs { pack(), pack(nil), pack(1, nil), pack(nil, false, nil) } do
    local co = catch(handler, function () coroutine.yield(); return T.unpack(l, 1, l.n) end)
    T.same(pack(coroutine.resume(co)), pack(true, true, T.unpack(l, 1, l.n)))
  end
  local co = catch(handler, function () coroutine.yield(); error("x", 0) end)
  if old then -- the error goes to who resumed, and the handler is not called
    T.same(pack(coroutine.resume(co)), { false, "x" })
    T.eq(calls, 0)
  else
    T.same(pack(coroutine.resume(co)), { true, false, "x handled" })
    T.eq(calls, 1)
  end
  T.eq(#T.reports(), 0)
  co = catch(function () end, function () event.await({}); return "result" end)
  T.same(pack(coroutine.resume(co, "cancel")), { true, true, "result" })
end)

T.test("an error inside the handler of catch is reported once [10 5.1.1] [90 2.6]", function ()
  local function handler() error("in the handler", 0) end
  for _, times in ipairs { 0, 2 } do
    local co = catch(handler, function ()
      for _ = 1, times do suspend() end
      error("x")
    end)
    for _ = 1, times do T.eq(#T.reports(), 0); go() end
    T.eq(coroutine.status(co), "dead")
    local reports = T.reports()
    T.eq(#reports, 1)
    T.eq(tostring(reports[1].err), "in the handler")
    T.eq(reports[1].co, co)
  end
  if not old then
    local co = catch(handler, function () coroutine.yield(); error("x") end)
    local got = pack(coroutine.resume(co))
    T.eq(got[1], true)
    T.eq(got[2], false)
    T.eq(got.n, 3)
    T.eq(#T.reports(), 1)
  end
end)

-- trap ------------------------------------------------------------------------------------------

T.test("trap gives the results to the handler [10 5.2.2] [10 5.2.4]", function ()
  for _, l in ipairs { pack(), pack(nil), pack(1, nil), pack(nil, {}, nil) } do
    local calls, running = {}, nil
    local co = trap(function (...) put(calls, pack(...)); running = coroutine.running() end,
      function (...) return ... end, T.unpack(l, 1, l.n))
    T.eq(#calls, 1)
    T.same(calls[1], pack(true, T.unpack(l, 1, l.n)))
    T.eq(running, co)
    T.eq(coroutine.status(co), "dead")
  end
end)

T.test("the handler of trap gets results after the body has returned, and may wait [10 5.2.2]", function ()
  local log, text = {}, nil
  local co = trap(function (ok, x)
    text = debug.traceback()
    suspend()
    put(log, ok); put(log, x); put(log, coroutine.yield())
  end, T.load("local x = ... return x", "=frame_of_f"), "x")
  T.eq(text:find("frame_of_f", 1, true), nil)
  T.same(log, {})
  go()
  T.resume(co, "y")
  T.same(log, { true, "x", "y" })
  T.eq(coroutine.status(co), "dead")
end)

T.test("an error of the handler of trap for results is not protected [10 5.2.2] [10 5.2.4] [10 5.3.2]", function ()
  local calls = {}
  local function handler(...)
    put(calls, pack(...))
    suspend()
    error("in the handler", 0)
  end
  local co = trap(handler, function () return 1 end)
  T.same(pack(coroutine.resume(co)), { false, "in the handler" }) -- cancelled, so to who resumed
  T.eq(#T.reports(), 0)
  T.eq(#calls, 1)
  co = trap(handler, function () return 2 end)
  go()
  T.eq(coroutine.status(co), "dead")
  T.eq(#calls, 2)
  T.same(calls[2], { true, 2 })
  T.eq(#T.reports(), 1)
  co = trap(function (...) put(calls, pack(...)); error("in the handler") end, function () return 3 end)
  T.eq(coroutine.status(co), "dead")
  T.eq(#calls, 3)
  T.same(calls[3], { true, 3 })
  T.eq(#T.reports(), 1)
end)

T.test("trap gives the error to the handler [10 5.2.3] [10 5.2.4] [10 5.3.3] [90 2.6]", function ()
  for _, err in ipairs(errors) do
    local calls, running = {}, nil
    local co = trap(function (...)
      put(calls, pack(...))
      running = coroutine.running()
      return "dropped"
    end, function () error(err, 0) end)
    T.eq(#calls, 1)
    T.same(calls[1], { false, err })
    T.eq(running, co)
    T.eq(coroutine.status(co), "dead")
  end
  local got
  trap(function (...) got = pack(...) end, fail, nil)
  T.same(got, pack(false, nil))
  trap(function (...) got = pack(...) end, T.load("\nerror('text')", "=chunk"))
  T.same(got, { false, "chunk:2: text" })
  T.eq(#T.reports(), 0)
end)

T.test("the handler of trap gets errors on the stack of the error [10 5.2.3] [90 4.1]", function ()
  local text, got
  local e = {}
  local function handler()
    text = debug.traceback()
    got = pack(pcall(event.await, e))
  end
  trap(handler, in_frame, {})
  T.eq(text:find("frame_of_f:", 1, true) ~= nil, true)
  T.eq(got[1], false)
  if T.detects_yieldable or old then T.eq(got[2], "unable to yield") end
  text = nil
  trap(handler, T.load("local s, f = ... s() f({}) return 1", "=frame_of_f"), suspend, fail)
  go()
  T.eq(text:find("frame_of_f:", 1, true) ~= nil, true)
  T.eq(event.pending(e), false)
end)

T.test("an error of the handler of trap for an error is absorbed, and reported [10 5.2.3] [90 2.6]", function ()
  local calls = 0
  local function handler(ok) T.eq(ok, false); calls = calls + 1; error("in the handler", 0) end
  for _, times in ipairs { 0, 1 } do
    local co = trap(handler, function ()
      for _ = 1, times do suspend() end
      error("x")
    end)
    for _ = 1, times do go() end
    T.eq(coroutine.status(co), "dead")
    local reports = T.reports()
    T.eq(#reports, 1)
    T.eq(tostring(reports[1].err), "in the handler")
  end
  T.eq(calls >= 2, true)
  if not old then -- the coroutine ends normally
    local co = trap(handler, function () coroutine.yield(); error("x") end)
    T.same(pack(coroutine.resume(co)), { true })
    T.eq(#T.reports(), 1)
  end
end)

T.test("a coroutine of trap ends with no values [10 5.2.5]", function ()
  local co = trap(function () return "dropped" end, function () coroutine.yield(); return 1, 2 end)
  T.same(pack(coroutine.resume(co)), { true })
  if not old then
    co = trap(function () return "dropped" end, function () coroutine.yield(); error("x") end)
    T.same(pack(coroutine.resume(co)), { true })
  end
end)

T.test("any callable value handles for trap [10 5.2.5]", function ()
  local calls = {}
  local object = setmetatable({}, { __call = function (_, ...) put(calls, pack(...)) end })
  trap(object, function () return "r", nil end)
  trap(object, fail, "x", 0)
  trap(object, function () suspend(); error("y", 0) end)
  go()
  T.eq(#calls, 3)
  T.same(calls[1], pack(true, "r", nil))
  T.same(calls[2], { false, "x" })
  T.same(calls[3], { false, "y" })
end)

T.test("trap with wrong and missing arguments [10 5.2.6] [90 2.6]", function ()
  for _, f in ipairs { false, 12, {}, "text" } do
    local got
    trap(function (...) got = pack(...) end, f or nil)
    T.eq(got.n, 2)
    T.eq(got[1], false)
    T.eq(got[2]:find("attempt to call", 1, true) ~= nil, true)
  end
  local called = 0
  local co = trap(nil, function (...) called = called + select("#", ...) end, nil, nil)
  T.eq(called, 2)
  T.eq(coroutine.status(co), "dead")
  local reports = T.reports()
  T.eq(#reports, 1)
  T.eq(tostring(reports[1].err):find("attempt to call", 1, true) ~= nil, true)
  co = trap()
  T.eq(type(co), "thread")
  T.eq(coroutine.status(co), "dead")
  T.eq(#T.reports(), 1)
end)

T.test("trap after suspensions: results and errors [10 5.2.7] [90 4.1]", function ()
  for n = 1, 4 do
    local got
    local function handler(...) got = pack(...) end
    local co = trap(handler, function (x)
      for _ = 1, n do suspend() end
      return x, nil
    end, "x")
    for _ = 1, n do T.eq(got, nil); go() end
    T.same(got, pack(true, "x", nil))
    T.eq(coroutine.status(co), "dead")
    got = nil
    trap(handler, function () for _ = 1, n do suspend() end; error("x", 0) end)
    for _ = 1, n do T.eq(got, nil); go() end
    T.same(got, { false, "x" })
  end
end)

T.test("an error after an explicit resume [10 5.3.2] [90 4.1]", function ()
  local got
  local co = trap(function (...) got = pack(...) end, function () suspend(); error("x", 0) end)
  local out = pack(coroutine.resume(co))
  if old then
    T.same(out, { false, "x" })
    T.eq(got, nil)
  else
    T.same(out, { true })
    T.same(got, { false, "x" })
  end
  T.eq(#T.reports(), 0)
  T.eq(event.pending(gate), false)
end)

T.test_if(T.has_tbc, "no variables are closed", "errors of closed variables that the handler gets are not reported [90 2.6]", function ()
  local body = T.load [[
    local closed <close> = setmetatable({}, { __close = function () error("close", 0) end })
    error("body", 0)
  ]]
  local log = {}
  spawn.catch(function (err) put(log, err); return err end, body)
  T.same(log, { "body", "close" })
  T.eq(#T.reports(), 0)
  -- One that fails is reported all the same.
  spawn.catch(function (err) if err == "close" then error("handler", 0) end end, body)
  local reports = T.reports()
  T.eq(#reports, 1)
  T.eq(reports[1].err, "handler")
end)

T.done()
