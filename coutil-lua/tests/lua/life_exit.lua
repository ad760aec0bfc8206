-- The end of the program with everything pending, from every place: os.exit, an error, the end of the script.

local T = require "testing"
local H = require "threads_testing"

-- All waits of the library, of which some have happened; programs with pipes; tasks that compute, that give way, that wait in a
-- loop of their own and for a channel; state coroutines, suspended and running; a thread that is blocked; errors to be told.
local pending = [==[
local T, system = require "testing", require "coutil.system"
local threads, states, channel = require "coutil.threads", require "coutil.coroutine", require "coutil.channel"
local event, mutex = require "coutil.event", require "coutil.mutex"
local start = T.start
if jit then jit.off() end -- there hooks do not run in compiled code
local begun = {}
for i, wait in ipairs(require "matrix_waits") do begun[i] = wait.make() end
for i = 1, #begun do start(function () begun[i].await() end) end
start(function () system.execute { execfile = "cat", stdin = "w", stdout = "w" } end)
start(function () system.execute "true" end)
local pool, sleepers = assert(threads.create(2)), assert(threads.create(1))
assert(pool:dostring "for i = 1, 1e6 do end")
assert(pool:dostring "local yield = require 'coroutine'.yield for i = 1, 1000 do yield() end")
assert(pool:dostring [[
  require "_G"
  local system, wrap = require "coutil.system", require "coroutine".wrap
  wrap(function () for i = 1, 20 do system.suspend(.001) end end)()
  wrap(function () system.openfile "/" end)()
  system.run()
]])
assert(sleepers:dostring "require 'coroutine'.yield('nobody', 'in')")
repeat until sleepers:count "s" == 1
sleepers:resize(0)
local suspended = assert(states.load "require 'coroutine'.yield()")
local running = assert(states.load "for i = 1, 1e6 do end")
start(function () system.resume(suspended) end)
system.run "ready"
start(function () system.resume(running) end)
for i = 1, #begun do if begun[i].trigger and i % 2 == 0 then begun[i].trigger() end end
io.stdout:write "BEGUN\n"
io.stdout:flush()
]==]

local gc = T.number >= 5.2 and "setmetatable({}, { __gc = function () END end }) collectgarbage() collectgarbage()"
  or "getmetatable(newproxy(true)).__gc = function () END end collectgarbage() collectgarbage()"

-- Where it ends; END is how.
local places = {
  { "the main chunk", "END" },
  { "a coroutine", "start(function () END end)" },
  { "a coroutine of the loop", "start(function () system.suspend() END end) system.run()" },
  { "a coroutine of the loop, inside another one", "start(function () system.suspend(.001) start(function () END end) end) system.run()" },
  { "who awaited an event", "start(function () event.await 'e' END end) event.emitall 'e'" },
  { "who awaited an event, in the loop", "start(function () event.await 'e' END end) start(function () system.suspend() event.emitall 'e' end) system.run()" },
  { "who got a mutex", "local o = start(function () mutex.lock 'm' coroutine.yield() mutex.unlock 'm' end) start(function () mutex.lock 'm' END end) T.resume(o)" },
  { "who awaited a signal", "start(function () system.awaitsig 'userdef1' END end) start(function () system.emitsig(tonumber(PID), 'userdef1') end) system.run()" },
  { "who read from a closed socket", "local s = system.socket('datagram', 'ipv4') s:bind(system.address('ipv4', '127.0.0.1', 0)) start(function () s:read(require 'coutil.memory'.create(1)) END end) s:close()" },
  { "a hook", "debug.sethook(function () debug.sethook() END end, '', 1000) for i = 1, 1e9 do end" },
  { "a hook, in the loop", "start(function () system.suspend() debug.sethook(function () debug.sethook() END end, '', 1000) for i = 1, 1e9 do end end) system.run()" },
  { "a finalizer", gc },
  { "a finalizer, in the loop", "start(function () system.suspend() " .. gc .. " end) system.run()" },
  { "an error handler", "system.onerror(function () END end) start(function () system.suspend() error 'x' end) system.run()" },
  { "a task", "assert(threads.create(1):dostring [[require '_G' local os, io = require 'os', require 'io' END]]) while true do end", states = true },
  { "a task, while the loop runs", "assert(threads.create(1):dostring [[require '_G' local os, io = require 'os', require 'io' END]]) start(function () system.suspend(1000) end) system.run()", states = true },
  { "a coroutine of the loop of a task", "assert(threads.create(1):dostring [[require '_G' local os, system = require 'os', require 'coutil.system' require 'coroutine'.wrap(function () system.suspend(.001) END end)() system.run()]]) start(function () system.suspend(1000) end) system.run()", states = true },
  { "a state coroutine", "start(function () system.resume(assert(states.load [[require '_G' local os, io = require 'os', require 'io' END]])) end) system.run()", states = true },
}

-- What is started here does not depend on how this program runs: elsewhere some of it is enough.
local step = T.gc_mode == "" and T.full_speed and 1 or 4

for i = 1, #places, step do
  local place = places[i]
  T.test_child("os.exit from " .. place[1] .. " [00 1.6.5] [20 1.14] [20 1.15]", function ()
    for _, ending in ipairs { "os.exit(7)", "os.exit(7, true)" } do
      local text = pending .. place[2]:gsub("END", ending)
      if place[2]:find "PID" then
        text = "local PID = io.popen('echo $PPID'):read '*l' " .. text
      end
      local out, status = H.child(text)
      T.eq(out, "BEGUN\n", ending)
      T.eq(status, 7, ending)
    end
  end)
end

T.test_child("an error and the end of the script [00 1.6.5] [20 1.14]", function ()
  local out, status = H.child(pending .. "error 'at the end'")
  T.eq(out:match "^BEGUN\n.*at the end" ~= nil, true, out)
  T.eq(status, 1)
  out, status = H.child(pending)
  T.eq(out, "BEGUN\n")
  T.eq(status, 0)
end)

T.test_child("a thread that is blocked for ever keeps nobody [00 1.6.5] [90 1.1]", function ()
  for _, ending in ipairs { "os.exit(7)", "os.exit(7, true)", "error 'x'" } do
    local out, status = H.child([[
      local system = require "coutil.system"
      local path = os.tmpname()
      os.remove(path)
      os.execute("mkfifo " .. path)
      -- Nobody opens the other end.
      for _ = 1, 6 do coroutine.wrap(function () system.openfile(path, "r") end)() end
      system.run "ready"
      system.suspend(.01, "~")
      os.remove(path)
      io.stdout:write "BEGUN\n"
      io.stdout:flush() ]] .. ending)
    T.eq(out:sub(1, 6), "BEGUN\n", ending)
    T.eq(status, ending == "error 'x'" and 1 or 7, ending)
  end
end)

T.done()
