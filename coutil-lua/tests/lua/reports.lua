-- Errors in coroutines that the library resumes: they stop nothing, and they are reported.

local T = require "testing"
local event = require "coutil.event"
local mutex = require "coutil.mutex"
local promise = require "coutil.promise"
local queued = require "coutil.queued"
local system = require "coutil.system"
local await, emitall, emitone = event.await, event.emitall, event.emitone
local put = table.insert

local errors = { "text", 12.5, true, false, {}, print, io.stdout, coroutine.create(function () end) }

T.test("an error does not disturb the emission, and is reported [00 1.5.1] [10 1.2.7] [90 2.2]", function ()
  local e, log, cos = {}, {}, {}
  for i = 1, 6 do
    cos[i] = T.start(function ()
      await(e)
      put(log, i)
      if i % 2 == 0 then error({ i }) end
    end)
  end
  T.returns({ true }, emitall, e)
  T.same(log, { 1, 2, 3, 4, 5, 6 })
  local reports = T.reports()
  T.eq(#reports, 3)
  for i, r in ipairs(reports) do
    T.eq(r.n, 3)
    T.eq(r.err[1], 2 * i)
    T.eq(r.co, cos[2 * i])
    T.eq(coroutine.status(r.co), "dead")
    T.eq(type(r.traceback), "string")
  end
end)

T.test("every function that resumes reports [00 1.5.1] [90 2.2]", function ()
  local e = {}
  local p, fulfill = promise.create()
  local emitters = {
    { function () return emitall(e) end, await },
    { function () return emitone(e) end, await },
    { function () return queued.emitall(e) end, await },
    { function () return queued.emitone(e) end, event.awaitany },
    { function () return emitone(e) end, event.awaitall },
    { function () mutex.lock(e); return mutex.unlock(e) end, await },
    { function () return fulfill() end, p },
  }
  for i, pair in ipairs(emitters) do
    local err = {}
    local co = T.start(function () pair[2](pair[2] ~= p and e or nil); error(err) end)
    T.returns({ true }, pair[1])
    local reports = T.reports()
    T.eq(#reports, 1, "emitter " .. i)
    T.eq(reports[1].err, err)
    T.eq(reports[1].co, co)
    T.eq(event.pending(e), false)
  end
end)

T.test("the original value is reported, whatever it is [90 2.2]", function ()
  local e = {}
  for _, err in ipairs(errors) do
    T.start(function () await(e); error(err, 0) end)
    emitall(e)
    local reports = T.reports()
    T.eq(#reports, 1)
    T.eq(reports[1].n, 3)
    T.eq(reports[1].err, err)
  end
  T.start(function () await(e); error(setmetatable({}, { __tostring = error })) end)
  emitall(e)
  T.eq(#T.reports(), 1)
  T.start(function () await(e); error(nil) end)
  emitall(e)
  local reports = T.reports()
  T.eq(#reports, 1)
  T.eq(reports[1].n, 3)
end)

T.test("the dead coroutine has its stack, and the traceback is of it [90 2.2]", function ()
  local e, shown = {}, nil
  local body = T.load("local await, e = ...\nawait(e)\nerror('message')\nreturn 1", "=body")
  local before = system.onerror()
  system.onerror(function (err, co, traceback)
    shown = { err, traceback, debug.traceback(co), coroutine.running() == co }
  end)
  T.start(body, await, e)
  emitall(e)
  system.onerror(before)
  T.eq(shown[1], "body:3: message")
  T.eq(shown[2]:find("stack traceback:", 1, true) ~= nil, true)
  T.eq(shown[2]:find("body:3:", 1, true) ~= nil, true)
  T.eq(shown[3]:find("body:3:", 1, true) ~= nil, true)
end)

T.test("onerror returns the previous handler [90 2.2]", function ()
  local before = system.onerror()
  local function a() end
  local function b() end
  T.returns({ before }, system.onerror, a)
  T.returns({ a }, system.onerror)
  T.returns({ a }, system.onerror)
  T.returns({ a }, system.onerror, b)
  T.returns({ b }, system.onerror, nil)
  T.returns({ nil, n = 1 }, system.onerror)
  T.returns({ nil, n = 1 }, system.onerror, before)
  T.returns({ before }, system.onerror)
end)

T.test("a handler can emit, wait elsewhere, and set another handler [90 2.2]", function ()
  local e, f, log = {}, {}, {}
  local before = system.onerror()
  system.onerror(function (err)
    put(log, err)
    emitall(f, "from the handler")
    system.onerror(function (other) put(log, other .. " second handler") end)
  end)
  T.start(function () put(log, (select(2, await(f)))) end)
  for i = 1, 2 do T.start(function () await(e); error("error " .. i, 0) end) end
  T.eq(emitall(e), true)
  system.onerror(before)
  T.same(log, { "error 1", "from the handler", "error 2 second handler" })
end)

T.test("errors in nested emissions are reported each [00 1.5.1]", function ()
  local events = { {}, {}, {} }
  for i = 1, 3 do
    T.start(function ()
      await(events[i])
      if events[i + 1] then T.eq(emitall(events[i + 1]), true) end
      error("level " .. i, 0)
    end)
  end
  T.eq(emitall(events[1]), true)
  local reports = T.reports()
  T.eq(#reports, 3)
  for i = 1, 3 do T.eq(reports[i].err, "level " .. 4 - i) end
end)

T.test("an error after an explicit resume goes to who resumed [00 1.5.5]", function ()
  local e = {}
  local co = T.start(function () await(e); error("x", 0) end)
  T.returns({ false, "x" }, coroutine.resume, co)
  T.eq(#T.reports(), 0)
  T.eq(event.pending(e), false)
  local next = coroutine.wrap(function () await(e); error("x", 0) end)
  next()
  T.raises("x", next)
  T.eq(emitall(e), false)
end)

T.test("a coroutine that dies leaves nothing registered [00 1.5.1]", function ()
  local e, f = {}, {}
  T.start(function () event.awaitany(e, f); error("x") end)
  emitall(e)
  T.eq(event.pending(e) or event.pending(f), false)
  T.eq(#T.reports(), 1)
end)

T.test_if(T.has_tbc, "no to-be-closed variables",
  "pending to-be-closed variables of the dead are not closed [00 1.5.4]", function ()
  local e, closed = {}, false
  local body = T.load("local await, e, object = ... local x <close> = object await(e) error('x')")
  local co = T.start(body, await, e, setmetatable({}, { __close = function () closed = true end }))
  T.eq(emitall(e), true)
  T.eq(#T.reports(), 1)
  T.eq(closed, false)
  if T.has_close then
    coroutine.close(co)
    T.eq(closed, true)
  end
end)

-- The default, in another interpreter -----------------------------------------------------------

local body = [[
local event = require "coutil.event"
local system = require "coutil.system"
local function start(...)
  coroutine.wrap(function (err) event.await("e"); error(err, 0) end)(...)
end
local text = [=[
local await = ...
await("e")
error("the message")
return 1
]=]
local chunk = (loadstring or load)(text, "=chunk")
coroutine.wrap(function (...) chunk(...) end)(event.await)
]]

T.test_child("the default handler writes message and traceback to standard error [90 2.3]", function ()
  local out, status = T.child(body .. [[
    assert(event.emitall("e"))
    io.stderr:write("END\n") ]])
  T.eq(status, 0)
  T.eq(out:find("coutil: chunk:3: the message\n", 1, true), 1)
  T.eq(out:find("\nstack traceback:\n", 1, true) ~= nil, true)
  local _, lines = out:gsub("chunk:3:", "")
  T.eq(lines, 2) -- in the message, and in the traceback
  T.eq(out:sub(-5), "\nEND\n")
end)

T.test_child("the default handler writes to standard error only [90 2.3]", function ()
  local out, status = T.child(body .. [[
    assert(event.emitall("e"))
    print("only this") ]], "", "2>/dev/null")
  T.eq(out, "only this\n")
  T.eq(status, 0)
end)

T.test_child("onerror(nil) restores the default [90 2.2]", function ()
  local out, status = T.child(body .. [[
    system.onerror(function () end)
    system.onerror(nil)
    assert(event.emitall("e")) ]])
  T.eq(status, 0)
  T.eq(out:find("coutil: chunk:3: the message\n", 1, true), 1)
end)

T.test_child("errors of every type pass through the default handler [90 2.3]", function ()
  local out, status = T.child(body .. [[
    event.emitall("e")
    for _, v in ipairs { 12.5, true, {}, print, "a\0b", setmetatable({}, { __tostring = function () return {} end }),
                         setmetatable({}, { __tostring = error }) } do
      start(v)
    end
    start()
    assert(event.emitall("e"))
    io.stderr:write("END\n") ]])
  T.eq(status, 0)
  local _, count = ("\n" .. out):gsub("\ncoutil: ", "")
  T.eq(count, 9)
  T.eq(out:find("coutil: 12.5\n", 1, true) ~= nil, true)
  T.eq(out:sub(-5), "\nEND\n")
end)

T.test_child("an error inside the handler is written and stops nothing [90 2.2]", function ()
  local out, status = T.child(body .. [[
    local calls = 0
    system.onerror(function (err) calls = calls + 1; error("handler fails " .. calls) end)
    start("second")
    assert(event.emitall("e"))
    assert(calls == 2)
    start("third")
    assert(event.emitone("e"))
    assert(calls == 3)
    io.stderr:write("END\n") ]])
  T.eq(status, 0)
  for i = 1, 3 do T.eq(out:find("handler fails " .. i, 1, true) ~= nil, true) end
  T.eq(out:sub(-5), "\nEND\n")
end)

T.test_child("spawn reports by the default too [90 2.6]", function ()
  local out, status = T.child [[
    local spawn = require "coutil.spawn"
    spawn.catch(nil, function () end)
    spawn.trap(function () error("trap handler") end, function () return 1 end)
    spawn.catch(function () end, error, "handled")
    io.stderr:write("END\n") ]]
  T.eq(status, 0)
  local _, count = ("\n" .. out):gsub("\ncoutil: ", "")
  T.eq(count, 2)
  T.eq(out:find("trap handler", 1, true) ~= nil, true)
  T.eq(out:find("handled", 1, true), nil)
end)

-- On 5.1 and LuaJIT the error of a finalizer leaves whatever was being done; and so it does not come out of a report.
T.test_if(rawget(_G, "newproxy") and T.gc_mode ~= "full", "errors of finalizers go nowhere", "a report raises nothing [00 1.5.1] [90 2.2]", function ()
  local e, mark = {}, {}
  local raised
  local function body () await(e); error(mark) end
  local function finalizer () error("of a finalizer", 0) end
  local function round (i)
    coroutine.resume(coroutine.create(body))
    getmetatable(newproxy(true)).__gc = finalizer
    local _ = ("x"):rep(i % 50) .. i
    local ok, err = pcall(emitone, e)
    if not ok then raised = err end
  end
  collectgarbage("setpause", 0)
  for i = 1, T.scale(2000, 200) do pcall(round, i) end
  collectgarbage("setpause", 200)
  while event.pending(e) do pcall(emitall, e) end
  repeat until pcall(collectgarbage)
  T.reports()
  T.eq(raised, nil)
end)

T.test("the mode of errors is a word, not what begins with it [90 2.5]", function ()
  for _, handler in ipairs { "raise\0x", "raise\0", "rais", "raiser", "" } do
    T.raises("(function or \"raise\" expected, got string)", system.onerror, handler)
  end
end)

T.done()
