-- Independent states: their warnings and reports, and how they end.

local T = require "testing"
local H = require "threads_testing"
local channel = require "coutil.channel"
local states = require "coutil.coroutine"
local system = require "coutil.system"
local pack = T.pack

-- Warnings --------------------------------------------------------------------------------------

T.test_if(T.interpreter() and T.has_tbc, "no interpreter to start, or no warnings",
  "the warnings of each state are its own, off at the start [20 1.8] [00 7.1.6] [20 4.9]", function ()
  local out, status = H.child [==[
    local states, system = require "coutil.coroutine", require "coutil.system"
    local function run(text)
      local co = assert(states.load("require '_G' " .. text))
      coroutine.wrap(function () print(system.resume(co)) end)()
      system.run()
      return co
    end
    warn "@on"
    run "warn 'off in the state'"
    run "warn '@on' warn('on ', 'in the state') warn '@off' warn 'off again'"
    warn "on in the main state"
    warn "@off"
    run "warn '@on'"
    warn "off in the main state"
    io.stdout:flush()
    io.stderr:write "END\n" ]==]
  T.eq(out:gsub("true\n", ""), "Lua warning: on in the state\nLua warning: on in the main state\nEND\n")
  T.eq(status, 0)
end)

T.test_if(T.interpreter() and T.has_tbc, "no interpreter to start, or no warnings",
  "an error that does not cross gives a warning [20 4.9] [20 2.6] [00 7.2.2]", function ()
  local out, status = H.child [==[
    local states, system = require "coutil.coroutine", require "coutil.system"
    local co = assert(states.load "require '_G' warn '@on' error({})")
    warn "@on"
    coroutine.wrap(function ()
      local ok, text = system.resume(co)
      assert(ok == false and text == "unable to transfer error (got table)")
    end)()
    system.run()
    io.stderr:write "END\n" ]==]
  T.eq(out, "Lua warning: [coutil] system.resume: (null)\nEND\n")
  T.eq(status, 0)
end)

T.test_child("errors in the coroutines of a state are reported in it [90 2.4] [20 8.14]", function ()
  local out, status = H.child [==[
    local states, system = require "coutil.coroutine", require "coutil.system"
    system.onerror(function () io.stderr:write "wrong state\n" end)
    local text = [[ require "_G"
      local system, wrap = require "coutil.system", require "coroutine".wrap
      if (...) then system.onerror(function (err, co, trace) require "io".stderr:write("handler: ", err, "\n") end) end
      wrap(function () system.suspend() error("in the state", 0) end)()
      return system.run() ]]
    for _, own in ipairs { false, true } do
      local co = assert(states.load(text))
      coroutine.wrap(function ()
        local ok, left = system.resume(co, own)
        assert(ok == true and left == false)
      end)()
      system.run()
    end
    io.stderr:write "END\n" ]==]
  T.eq(out:find("coutil: in the state\n", 1, true), 1)
  T.eq(out:find("handler: in the state\n", 1, true) ~= nil, true)
  T.eq(out:find("wrong state", 1, true), nil)
  T.eq(out:sub(-4), "END\n")
  T.eq(status, 0)
end)

-- The end ---------------------------------------------------------------------------------------

H.test("pending operations do not delay the end of a state [20 1.14.1] [00 1.6.5]", function ()
  local name = H.name()
  local from = system.nanosecs()
  local co = H.load [[
    local name = ...
    start(function () system.suspend(1000) error "resumed" end)
    start(function () system.awaitch(channel.create(name), "in") error "resumed" end)
    system.run "ready"
    return "end" ]]
  T.returns({ true, "end" }, H.resume, co, name)
  T.returns({ true }, states.close, co)
  T.eq(system.nanosecs() - from < 500e9, true)
end)

H.test("a state waits for the state coroutine that it executes, and for its pools [20 1.14.4] [20 1.14.5]", function ()
  local name, flag = H.flag()
  for _, what in ipairs { "state coroutine", "pool" } do
    local co = H.load [[
      local name, what, prelude = ...
      local text = prelude .. "local name = ... kept = channel.create(name .. ' runs') while flagged(name) do end"
      if what == "pool" then
        local pool = require "coutil.threads".create(1)
        assert(pool:dostring(text, nil, nil, name))
      else
        local co = assert(require "coutil.coroutine".load(text))
        start(function () system.resume(co, name) error "resumed" end)
      end
      return "end" ]]
    T.returns({ true, "end" }, H.resume, co, name, what, H.prelude)
    H.wait(function () return channel.getnames()[name .. " runs"] end, what)
    flag:close()
    T.returns({ true }, states.close, co)
    T.eq(channel.getnames()[name .. " runs"], nil) -- it has ended, and its state is closed
    flag = channel.create(name)
  end
  flag:close()
end)

T.test_child("the main state ends with state coroutines, suspended, executing and unfinished [20 1.14.4] [20 1.14.1] [00 1.6.5]", function ()
  for _, ending in ipairs { "", "os.exit(3, true)", "os.exit(3)" } do
    local out, status = H.child([==[
      local channel, states, system = require "coutil.channel", require "coutil.coroutine", require "coutil.system"
      suspended = assert(states.load "require 'coroutine'.yield()")
      coroutine.wrap(function () system.resume(suspended) end)()
      system.run()
      never = assert(states.load "while true do end")
      executing = assert(states.load [[
        local channel = require "coutil.channel"
        local mine = channel.create "executing"
        for i = 1, 10000 do mine:getname() end ]])
      coroutine.wrap(function () system.resume(executing) io.stderr:write "resumed\n" end)()
      io.stdout:write "END\n"
      io.stdout:flush()
      ]==] .. ending)
    T.eq(out, "END\n", ending)
    T.eq(status, ending == "" and 0 or 3, ending)
  end
end)

T.test_child("os.exit in another state ends the process [20 1.15]", function ()
  for _, call in ipairs { "os.exit(7)", "os.exit(7, true)" } do
    for _, where in ipairs {
      "assert(pool:dostring(text)) while true do end",
      "coroutine.wrap(function () system.resume(assert(states.load(text))) end)() system.run()",
      "coroutine.wrap(function () system.resume(assert(states.load(text))) end)() while true do end",
      "assert(pool:dostring 'while true do end') assert(pool:dostring(text)) pool:close()",
    } do
      local out, status = H.child([[
        local states, system, threads = require "coutil.coroutine", require "coutil.system", require "coutil.threads"
        local pool = assert(threads.create(2))
        local text = "local os = require 'os' ]] .. call .. [[ "
        ]] .. where)
      T.eq(out, "", call .. " " .. where)
      T.eq(status, 7, call .. " " .. where)
    end
  end
end)

H.test("binary chunks of another version are refused [90 4.8]", function ()
  local binary = string.dump(function () end)
  -- The byte after the signature is the version.
  local at = rawget(_G, "jit") and 4 or 5
  local other = binary:sub(1, at - 1) .. string.char((binary:byte(at) + 1) % 256) .. binary:sub(at + 1)
  local got = pack(states.load(other, "=other"))
  T.eq(got.n, 2)
  T.eq(got[1], false)
  T.eq(type(got[2]), "string")
  if T.version == "jit" then return end -- LuaJIT trusts the rest
  got = pack(states.load(binary:sub(1, 4), "=cut"))
  T.eq(got[1], false)
end)

T.done()
