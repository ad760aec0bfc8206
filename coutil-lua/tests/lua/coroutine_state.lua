-- State coroutines: loading, status, closing.

local T = require "testing"
local L = require "loop_testing"
local H = require "threads_testing"
local channel = require "coutil.channel"
local memory = require "coutil.memory"
local states = require "coutil.coroutine"
local system = require "coutil.system"
local load, loadfile, status, close = states.load, states.loadfile, states.status, states.close
local resume, run = system.resume, system.run
local pack = T.pack
local put = table.insert

-- A file with this text; returns its path.
local function script(text)
  local path = os.tmpname()
  local file = assert(io.open(path, "wb"))
  file:write(text)
  file:close()
  return path
end

-- Starts a run that goes on until its channel is closed; returns the waiter and the channel.
local function busy(co)
  local name, ch = H.flag()
  return T.waiter(resume, co, name), ch
end
local endless = [[
  local name, value = ...
  while true do
    while name and flagged(name) do system.suspend(.0005, "~") end
    name, value = yield(name, value)
  end ]]

-- The module ------------------------------------------------------------------------------------

H.test("the module and its objects [20 0.3] [20 0.4] [20 0.5]", function ()
  local names = {}
  for key, value in pairs(states) do
    put(names, key)
    T.eq(debug.getinfo(value, "S").what, "C")
  end
  table.sort(names)
  T.eq(table.concat(names, " "), "close load loadfile status")
  local co = load "return"
  local mt = getmetatable(co)
  T.eq(mt.__name, "coutil:coroutine")
  T.eq(mt.__index, states)
  T.eq(mt.__tostring, nil)
  T.eq(type(mt.__gc), "function")
  if T.has_tbc then T.eq(type(mt.__close), "function") end
  if T.number >= 5.3 then T.eq(tostring(co):find("^coutil:coroutine: 0x%x+$"), 1) end
  for _, key in ipairs { "x", 1, true, print, {}, co } do T.eq(co[key], nil) end
  T.returns({ "suspended" }, co.status, co)
  T.returns({ true }, co.close, co)
end)

-- load ------------------------------------------------------------------------------------------

H.test("a string, a number or a memory [20 3.1] [20 3.4]", function ()
  local co = load "return 1, 'text'"
  T.eq(type(co), "userdata")
  T.eq(status(co), "suspended")
  T.returns({ true, 1, "text" }, H.resume, co)
  T.returns({ true }, close, co)
  local buffer = memory.create "return 'from a memory'"
  co = load(buffer)
  buffer:fill " "
  T.returns({ true, "from a memory" }, H.resume, co)
  close(co)
  co = load(memory.create "")
  T.returns({ true }, H.resume, co)
  close(co)
  local got = pack(load(12))
  T.same({ got.n, got[1], type(got[2]) }, { 2, false, "string" }) -- not a chunk, but a text
  T.eq(got[2]:find("12", 1, true) ~= nil, true)
  T.eq(select("#", load ""), 1)
end)

H.test("the chunk has not run when load returns [20 3.4]", function ()
  local name = H.name()
  local co = H.load([[ kept = channel.create(]] .. ("%q"):format(name) .. [[) ]])
  T.eq(channel.getnames()[name], nil)
  T.returns({ true }, H.resume, co)
  T.eq(channel.getnames()[name], true)
  close(co)
end)

H.test("the name of the chunk [20 3.2]", function ()
  local function message(...)
    local co = assert(load(...))
    local got = pack(H.resume(co))
    T.eq(got[1], false)
    T.eq(got.n, 2)
    close(co)
    return got[2]
  end
  local text = "require '_G' error 'Oops!'"
  T.eq(message(text), '[string "' .. text .. '"]:1: Oops!')
  T.eq(message(text, nil), '[string "' .. text .. '"]:1: Oops!')
  T.eq(message(text, "@file.lua"), "file.lua:1: Oops!")
  T.eq(message("\n\n" .. text, "=name"), "name:3: Oops!")
  T.eq(message(text, "a text"), '[string "a text"]:1: Oops!')
  T.eq(message(text, 12), '[string "12"]:1: Oops!')
  T.eq(message(memory.create(text)), '[string "' .. text .. '"]:1: Oops!')
  T.eq(message(memory.create(text), "@file.lua"), "file.lua:1: Oops!")
  -- Exactly the bytes of the memory, up to the first zero.
  local got = pack(load(memory.create "x ="))
  T.eq(got[2]:sub(1, 16), '[string "x ="]:1')
  got = pack(load(memory.create "x =\0y"))
  T.eq(got[2]:sub(1, 16), '[string "x ="]:1')
end)

H.test("a chunk that cannot be compiled [20 3.5] [20 0.1] [20 0.2]", function ()
  local got = pack(load "return return")
  T.eq(got.n, 2)
  T.eq(rawequal(got[1], false), true)
  T.eq(got[2]:find(":1: ", 1, true) ~= nil, true)
  T.eq(got[2]:find("near", 1, true) ~= nil, true)
  got = pack(load("x =", "@chunk"))
  T.eq(got.n, 2)
  T.eq(got[2]:sub(1, 8), "chunk:1:")
  T.eq(got[2]:find("near", 1, true) ~= nil, true)
  -- The text is that of this interpreter.
  local _, want = (rawget(_G, "loadstring") or _G.load)("local = 1", "@chunk")
  T.returns({ false, want }, load, "local = 1", "@chunk")
end)

local binary = string.dump(T.load("return 'binary', ...", "=dumped"))

H.test("text and binary chunks, and the mode [20 3.3] [20 3.5] [90 4.8]", function ()
  for _, mode in ipairs { "b", "bt", "tb" } do
    local co = assert(load(binary, "name", mode))
    T.returns({ true, "binary", 1 }, H.resume, co, 1)
    close(co)
  end
  local co = assert(load(binary))
  T.returns({ true, "binary" }, H.resume, co)
  close(co)
  co = assert(load(memory.create(binary), nil, "b"))
  T.returns({ true, "binary" }, H.resume, co)
  close(co)
  for _, mode in ipairs { "t", "bt", "tb" } do
    co = assert(load("return 'text'", nil, mode))
    T.returns({ true, "text" }, H.resume, co)
    close(co)
  end
  local got = pack(load(binary, nil, "t"))
  T.eq(got.n, 2)
  T.eq(got[1], false)
  T.eq(got[2]:find("attempt to load", 1, true) ~= nil, true)
  if T.version ~= "jit" then T.eq(got[2]:find("attempt to load a binary chunk (mode is 't')", 1, true) ~= nil, true) end
  got = pack(load("return", nil, "b"))
  T.eq(got.n, 2)
  T.eq(got[1], false)
  T.eq(got[2]:find("attempt to load", 1, true) ~= nil, true)
  if T.version ~= "jit" then T.eq(got[2]:find("attempt to load a text chunk (mode is 'b')", 1, true) ~= nil, true) end
end)

H.test("the globals of a binary chunk are those of the new state [20 3.3]", function ()
  local co = assert(load(string.dump(T.load "local up = require; x = 1; return print, up ~= nil, x")))
  T.returns(pack(true, nil, true, 1), H.resume, co)
  T.eq(rawget(_G, "x"), nil)
  close(co)
end)

-- loadfile --------------------------------------------------------------------------------------

H.test("a file is read during the call [20 3.1] [20 3.3] [20 3.4]", function ()
  local path = script "return 'from a file', ..."
  local co = assert(loadfile(path))
  os.remove(path)
  T.eq(status(co), "suspended")
  T.returns(pack(true, "from a file", 1, nil), H.resume, co, 1, nil)
  close(co)
  path = script "#!/usr/bin/env lua\nrequire '_G' error 'Oops!'"
  co = assert(loadfile(path, "t"))
  os.remove(path)
  local got = pack(H.resume(co))
  T.same(got, { false, path .. ":2: Oops!" })
  close(co)
  path = script(binary)
  co = assert(loadfile(path, "b"))
  T.returns({ true, "binary" }, H.resume, co)
  close(co)
  T.eq(loadfile(path, "t"), false)
  os.remove(path)
  path = script "return return"
  got = pack(loadfile(path))
  os.remove(path)
  T.eq(got.n, 2)
  T.eq(got[1], false)
  T.eq(got[2]:find(path .. ":1:", 1, true), 1)
end)

H.test("a file that cannot be opened [20 3.1] [20 0.1]", function ()
  local path = L.path()
  local got = pack(loadfile(path))
  T.eq(got.n, 2)
  T.eq(got[1], false)
  T.eq(got[2]:find(path, 1, true) ~= nil, true)
  T.eq(got[2]:find("cannot open", 1, true) ~= nil, true)
end)

T.test_child("without a path the standard input is read [20 3.1]", function ()
  local path = script "require '_G'\nerror('from the input ' .. ...)"
  local out, status = T.child([[
    local states, system = require "coutil.coroutine", require "coutil.system"
    local co = assert(states.loadfile())
    coroutine.wrap(function () print(system.resume(co, "x")) end)()
    system.run() ]], "", "2>&1 <" .. path)
  os.remove(path)
  T.eq(out, "false\tstdin:2: from the input x\n")
  T.eq(status, 0)
end)

-- status ----------------------------------------------------------------------------------------

H.test("suspended, running, suspended, dead [20 4.7] [20 4.8] [20 3.1] [20 3.2] [20 3.3]", function ()
  local co = H.load(endless .. "\n")
  T.returns({ "suspended" }, status, co)
  local w, ch = busy(co)
  T.eq(w.got, nil)
  T.returns({ "running" }, status, co)
  T.eq(run("ready"), true)
  T.returns({ "running" }, status, co)
  ch:close()
  T.eq(run(), false)
  T.eq(w.got[1], true)
  T.returns({ "suspended" }, status, co)
  T.returns({ true }, close, co)
  T.returns({ "dead" }, status, co)
  for _, text in ipairs { "return 1", "require '_G' error()" } do
    co = load(text)
    H.resume(co)
    T.returns({ "dead" }, status, co)
    close(co)
    T.returns({ "dead" }, status, co)
  end
end)

H.test("running until run has processed the end [20 3.1] [20 8.19.3] [20 4.7]", function ()
  local name = H.name()
  local co = H.load [[
    local name = ...
    local ch = channel.create(name)
    start(system.awaitch, ch, "out")
    while system.run "step" do end
    ch:close()
    return "end" ]]
  local w = T.waiter(resume, co, name)
  T.returns({ true }, H.sync, name, "in") -- it came this far
  H.wait(function () return channel.getnames()[name] == nil end, "the chunk to end")
  T.returns({ "running" }, status, co)
  T.eq(w.got, nil)
  T.eq(run(), false)
  T.returns({ "dead" }, status, co)
  T.same(w.got, { true, "end" })
  close(co)
end)

H.test("when the coroutine comes back the status is right [20 3.4] [20 4.8]", function ()
  local co = load "local yield = require 'coroutine'.yield yield() yield() return"
  local seen = {}
  T.start(function ()
    for _ = 1, 3 do
      T.eq(resume(co), true)
      put(seen, status(co))
    end
  end)
  T.eq(run(), false)
  T.same(seen, { "suspended", "suspended", "dead" })
  close(co)
end)

-- close -----------------------------------------------------------------------------------------

H.test("closing: suspended, finished, failed [20 3.2] [20 3.3]", function ()
  local co = load "return"
  for _ = 1, 3 do T.returns({ true }, close, co) end
  T.eq(status(co), "dead")
  co = load "require 'coroutine'.yield()"
  H.resume(co)
  T.returns({ true }, close, co, "ignored", {}) -- extra arguments
  T.returns({ true }, close, co)
  co = load "return 1"
  H.resume(co)
  for _ = 1, 2 do T.returns({ true }, close, co) end
  for _, err in ipairs { "'text'", "12", "true", "false", "nil" } do
    co = load("require '_G' error(" .. err .. ", 0)")
    local got = pack(H.resume(co))
    T.eq(got.n, 2)
    T.eq(got[1], false)
    T.same(pack(close(co)), got) -- the first time
    T.returns({ true }, close, co)
    T.returns({ true }, close, co)
    T.eq(status(co), "dead")
  end
end)

H.test("a running one cannot be closed [20 3.1]", function ()
  local co = H.load(endless)
  local w, ch = busy(co)
  H.argument(1, "cannot close a running coroutine", "coutil.coroutine", "close", co)
  H.method(0, "cannot close a running coroutine", co, "close")
  ch:close()
  T.raises("cannot close a running coroutine", close, co) -- the loop has not seen its end
  T.eq(run(), false)
  T.eq(w.got[1], true)
  T.returns({ true }, close, co)
end)

H.test("closing runs the finalizers of the state [20 1.13] [20 3.2]", function ()
  local name = H.name()
  local ch = channel.create(name)
  for _, way in ipairs { "suspended", "finished", "failed" } do
    local w = T.waiter(system.awaitch, ch, "in")
    local co = H.load [[
      local name, way = ...
      local ch = channel.create(name)
      local function finalize() ch:sync("out", "finalized") end
      if newproxy then
        proxy = newproxy(true)
        getmetatable(proxy).__gc = finalize
      else
        proxy = setmetatable({}, { __gc = finalize })
      end
      if way == "suspended" then yield() end
      if way == "failed" then error("expected", 0) end ]]
    local got = pack(H.resume(co, name, way))
    T.eq(got[1], way ~= "failed")
    T.eq(w.got, nil)
    close(co)
    T.eq(run "ready", false)
    T.same(w.got, { true, "finalized" })
  end
  ch:close()
end)

H.test_if(T.has_tbc, "no to-be-closed variables", "closing does not close the variables of the chunk [20 1.13]", function ()
  local name = H.name()
  local ch = channel.create(name)
  for _, way in ipairs { "suspended", "failed" } do
    local co = H.load [[
      local name, way = ...
      local ch = channel.create(name)
      local var <close> = setmetatable({}, { __close = function () ch:sync("out", "closed") end })
      if way == "suspended" then yield() end
      error("expected", 0) ]]
    local w = T.waiter(system.awaitch, ch, "in")
    H.resume(co, name, way)
    close(co)
    T.eq(run("ready"), true)
    T.eq(w.got, nil)
    T.resume(w.co)
  end
  ch:close()
end)

T.done()
