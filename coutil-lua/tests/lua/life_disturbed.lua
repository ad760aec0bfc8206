-- All waits of the library in a process that is disturbed: by signals, by a debugger, by the collector.

local T = require "testing"
local H = require "threads_testing"
local L = require "loop_testing"
local M = require "matrix_ends"
local P = require "process_testing"
local channel = require "coutil.channel"
local states = require "coutil.coroutine"
local system = require "coutil.system"
local threads = require "coutil.threads"

local function rounds(first, count)
  for round = first, first + T.scale(count, 1) - 1 do M.mixture(round, T.scale(80, 15)) end
end

-- Signals ---------------------------------------------------------------------------------------

-- A task that awaits signals, so that they are handled, and that has a program which sends them as long as `flag` is there.
local storm = H.prelude .. [==[
  local pid, flag, command, told = ...
  local counts, alive = {}, true
  local io = require "io"
  local function await(signal)
    counts[signal] = 0
    -- Two, so that the signal is handled while one of them goes on.
    local waiting = {}
    for i = 1, 2 do
      waiting[i] = start(function ()
        while alive do
          if system.awaitsig(signal) ~= signal then return end
          counts[signal] = counts[signal] + 1
        end
      end)
    end
    return function () for i = 1, 2 do coroutine.resume(waiting[i]) end end
  end
  local first, second = await "userdef1", await "userdef2"
  local program = { execfile = "sh", arguments = { "-c", "trap 'kill -s CONT $0; exit' TERM; while kill -s 0 $0 2>&-; do " .. command .. "; done", pid } }
  local ended
  start(function () ended = system.execute(program) end)
  local begun = channel.create(told .. " begun") assert(begun)
  while flagged(flag) do
    start(function () system.suspend(.001) end)
    system.run "step"
  end
  -- It ends between its commands: it does not leave us stopped.
  system.emitsig(program.pid, 15)
  while not ended do system.run "step" end
  alive = false
  -- The last signals have arrived: they came before the end of the program did.
  system.run "ready"
  first()
  second()
  system.run()
  start(function () system.awaitch(channel.create(told), "out", counts.userdef1, counts.userdef2) end)
  system.run()
]==]

local function test_signals(title, command, awaited)
  T.test_if(P.proc, "nothing tells what is open", title, function ()
    local flag, held = H.flag()
    local told = H.name()
    local pool = assert(threads.create(1))
    assert(pool:dostring(storm, "=storm", "t", tostring(P.pid), flag, command, told))
    H.wait(function () return channel.getnames()[told .. " begun"] end, "the program")
    rounds(1, 3)
    -- Threads and tasks too.
    local other = assert(threads.create(2))
    local name = H.name()
    for i = 1, 10 do
      assert(other:dostring("require 'coroutine'.yield(..., 'out', 1)", nil, nil, name))
      if i % 2 == 0 then
        T.returns({ true, 1 }, function () return H.meet(name, "in") end)
        T.returns({ true, 1 }, function () return H.meet(name, "in") end)
      end
    end
    other:close()
    held:close()
    local one, two = H.take(told)
    T.eq(pool:close(), true)
    if awaited then
      T.eq(one > 0, true, "signals")
      T.eq(two > 0, true, "signals")
    end
  end)
end

test_signals("signals that are awaited by another thread arrive all the time [40 G10] [40 G14]",
  "kill -s USR1 $0; kill -s USR2 $0", true)
test_signals("the process is stopped and continued all the time", "kill -s STOP $0; kill -s CONT $0", false)
test_signals("signals that are ignored arrive all the time", "kill -s URG $0; kill -s CHLD $0", false)

-- Hooks -----------------------------------------------------------------------------------------

-- As a debugger looks at what runs.
local calls = 0
local function look()
  calls = calls + 1
  local info = debug.getinfo(2, "nSl")
  if info and calls % 50 == 0 then debug.traceback() end
end

local jit = rawget(_G, "jit")
for _, hook in ipairs { { "c", 0 }, { "r", 0 }, { "l", 0 }, { "", 1 }, { "", 7 }, { "crl", 3 } } do
  T.test(("a hook %q with count %d is called in everything [00 1.1]"):format(hook[1], hook[2]), function ()
    local arm = T.arm
    if jit then jit.off() end
    calls = 0
    T.arm = function (co)
      if co then debug.sethook(co, look, hook[1], hook[2]) else debug.sethook(look, hook[1], hook[2]) end
    end
    T.arm()
    local ok, err = pcall(rounds, 10, 2)
    T.arm = arm
    debug.sethook()
    if jit then jit.on() end
    if not ok then error(err, 0) end
    T.eq(calls > 100, true)
  end)
end

T.test("hooks in tasks and state coroutines [20 7.6]", function ()
  local body = [==[
    require "_G"
    local debug, coroutine = require "debug", require "coroutine"
    local channel, system = require "coutil.channel", require "coutil.system"
    local name = ...
    local calls = 0
    local function look() calls = calls + 1; debug.getinfo(2, "nSl") end
    if jit then jit.off() end
    debug.sethook(look, "crl", 1)
    local ch, got = channel.create(name), nil
    local co = coroutine.create(function ()
      for i = 1, 5 do
        system.suspend()
        system.suspend(.0001)
        system.openfile "/"
        system.execute "true"
      end
      got = calls
      system.awaitch(ch, "out", got)
    end)
    debug.sethook(co, look, "crl", 1)
    coroutine.resume(co)
    system.run()
    if not got then require "io".stderr:write "nothing\n" end
    return got
  ]==]
  local pool, name = assert(threads.create(2)), H.name()
  for _ = 1, 4 do assert(pool:dostring(body, "=hooked", "t", name)) end
  for _ = 1, 4 do T.eq(H.take(name) > 10, true) end
  T.eq(pool:close(), true)
  local co = assert(states.load(body, "=hooked"))
  local w = T.waiter(system.resume, co, name)
  T.eq(H.take(name) > 10, true)
  L.run()
  T.eq(w.got[1], true)
end)

-- Collectors --------------------------------------------------------------------------------------

local function collectors()
  if T.number >= 5.5 then
    local function with(mode, params)
      return function ()
        collectgarbage(mode)
        for name, value in pairs(params) do collectgarbage("param", name, value) end
      end
    end
    return {
      with("generational", { minormul = 1, majorminor = 1, minormajor = 1 }),
      with("generational", { minormul = 100, majorminor = 100, minormajor = 1000 }),
      with("incremental", { pause = 1, stepmul = 1000, stepsize = 1 }),
      with("incremental", { pause = 1000, stepmul = 1, stepsize = 1 }),
      with("incremental", { pause = 100, stepmul = 1000, stepsize = 2 ^ 20 }),
    }
  elseif T.number >= 5.4 then
    local function with(...)
      local args = T.pack(...)
      return function () collectgarbage(T.unpack(args, 1, args.n)) end
    end
    return {
      with("generational", 1, 1), with("generational", 100, 1000), with("generational", 5, 5),
      with("incremental", 1, 1000, 1), with("incremental", 1000, 40, 1), with("incremental", 100, 1000, 30),
    }
  end
  local function with(pause, stepmul)
    return function () collectgarbage("setpause", pause); collectgarbage("setstepmul", stepmul) end
  end
  return { with(1, 1000), with(1000, 1), with(1, 1), with(0, 100) }
end

local function default()
  if T.number >= 5.5 then
    collectgarbage "incremental"
    for name, value in pairs { minormul = 20, majorminor = 50, minormajor = 70, pause = 250, stepmul = 200, stepsize = 9600 } do
      collectgarbage("param", name, value)
    end
    collectgarbage "generational"
  elseif T.number >= 5.4 then
    collectgarbage("generational", 20, 100)
    collectgarbage("incremental", 200, 100, 13)
  else
    collectgarbage("setpause", 200)
    collectgarbage("setstepmul", 200)
  end
end

if T.gc_mode ~= "full" then
  for i, set in ipairs(collectors()) do
    T.test(("parameters %d of the collector [00 1.6]"):format(i), function ()
      set()
      local ok, err = pcall(rounds, 20 + 3 * i, 3)
      default()
      if not ok then error(err, 0) end
    end)
  end

  T.test("another collector at each moment [00 1.6]", function ()
    local sets, i, left = collectors(), 0, T.scale(300, 20)
    local function change() i = i % #sets + 1; sets[i]() end
    local arm = T.arm
    T.arm = function (co) if co and left > 0 then left = left - 1; debug.sethook(co, change, "", 100) end end
    local ok, err = pcall(rounds, 50, 4)
    T.arm = arm
    debug.sethook()
    default()
    if not ok then error(err, 0) end
  end)
end

T.done()
