-- Child processes: cancelling, collection, other children, many at once.

local T = require "testing"
local L = require "loop_testing"
local P = require "process_testing"
local system = require "coutil.system"
local execute, emitsig, run, suspend = system.execute, system.emitsig, system.run, system.suspend
local pack = T.pack

local function sleep() return { execfile = "sleep", arguments = { "60" }, stdin = false, stdout = false, stderr = false } end

-- Kills a process that nobody waits for, and waits until it is no more, or a zombie.
local function kill(pid)
  T.eq(emitsig(pid, 9), true)
  if P.proc then
    P.wait_for(function () return (P.state(pid) or "Z") == "Z" end, "the end of " .. pid)
  end
end

-- Sequences -------------------------------------------------------------------------------------

local function X(co) T.resume(co, nil, "canceled") end
local function X0(co) T.resume(co) end

-- `body(r, A)` runs in the coroutine; `A(1)` is a process that ends by itself, `A(2)` one that does not; `early` before the
-- run; `late` by a second coroutine, when the first await has returned.
local sequences = {
  { want = { "exit" }, ends = "yield",
    body = function (r, A) r[1] = pack(A(1)); r.at = "yield"; coroutine.yield(); r.at = "resumed" end },
  { want = { "exit", "exit" }, body = function (r, A) r[1] = pack(A(1)); r[2] = pack(A(1)) end },
  { want = { "exit", "canceled" }, late = function (co) X0(co); X(co) end,
    body = function (r, A) r[1] = pack(A(1)); coroutine.yield(); r[2] = pack(A(2)) end },
  { want = { "exit" }, late = X0,
    body = function (r, A) r[1] = pack(A(1)); coroutine.yield(); T.same(pack(suspend()), { true }) end },
  { want = { "exit" }, late = X, body = function (r, A) r[1] = pack(A(1)); T.same(pack(suspend(100)), pack(nil, "canceled")) end },
  { want = { "exit" }, body = function (r, A) r[1] = pack(A(1)); T.same(pack(suspend()), { true }) end },
  { want = { "exit" }, late = function (co) X(co); X(co) end, body = function (r, A)
    r[1] = pack(A(1))
    for _ = 1, 2 do T.same(pack(suspend(100)), pack(nil, "canceled")) end
  end },
  { want = { "exit" }, sco = true, body = function (r, A) r[1] = pack(A(1)); T.eq((system.resume(r.sco)), true) end },
  { want = { "canceled" }, ends = "yield", early = X,
    body = function (r, A) r[1] = pack(A(2)); r.at = "yield"; coroutine.yield(); r.at = "resumed" end },
  { want = { "canceled" }, early = X, body = function (r, A) r[1] = pack(A(1)); T.same(pack(suspend()), { true }) end },
  { want = { "canceled", "canceled" }, early = function (co) X(co); X(co) end,
    body = function (r, A) r[1] = pack(A(2)); r[2] = pack(A(2)) end },
  { want = { "canceled", "canceled", "exit" }, early = function (co) X(co); X(co) end,
    body = function (r, A) r[1] = pack(A(1)); r[2] = pack(A(2)); r[3] = pack(A(1)) end },
  { want = { "canceled", "exit" }, early = X, body = function (r, A) r[1] = pack(A(2)); r[2] = pack(A(1)) end },
  { want = { "canceled" }, early = X, sco = true, body = function (r, A) r[1] = pack(A(2)); T.eq((system.resume(r.sco)), true) end },
}

for n, sequence in ipairs(sequences) do
  T.test_if(P.states or not sequence.sco, "no state coroutines", "sequence " .. n ..
    " [40 Q2] [40 X38] [40 X39] [00 1.3.1] [00 1.3.4] [00 1.3.6] [30 A4]", function ()
    local left = {}
    T.eq(L.swept(function (watch)
      local r = { at = "waiting" }
      if sequence.sco then
        r.sco = P.states.load 'local yield = require "coroutine".yield; while true do yield() end'
      end
      local function A(which)
        local cmd = which == 1 and P.shell("exit 11") or sleep()
        watch(cmd)
        local got = pack(execute(cmd))
        if which == 2 then left[#left + 1] = cmd.pid end
        return T.unpack(got, 1, got.n)
      end
      local co = watch(T.start(function () sequence.body(r, A); r.at = "end" end))
      T.eq(r.at, "waiting")
      if sequence.late then
        watch(T.start(function ()
          while not r[1] do suspend() end
          sequence.late(co)
        end))
      end
      if sequence.early then sequence.early(co) end
      L.run()
      T.eq(r.at, sequence.ends == "yield" and "yield" or "end")
      T.eq(coroutine.status(co), sequence.ends and "suspended" or "dead")
      for i, how in ipairs(sequence.want) do
        if how == "exit" then T.same(r[i], { "exit", 11 }) else T.same(r[i], pack(nil, "canceled")) end
      end
    end), true)
    for _, pid in ipairs(left) do kill(pid) end
    T.eq(run(), false)
  end)
end

-- Cancelling ------------------------------------------------------------------------------------

T.test("an explicit resume gives its values, the process goes on [40 X38] [30 A4] [00 1.3.1]", function ()
  for _, values in ipairs { pack(), pack(nil), pack(true, nil, 3), pack({}, nil), pack("exit", 0) } do
    local early, later = P.sleeper { stdin = "w" }, P.sleeper()
    T.resume(early.co, T.unpack(values, 1, values.n))
    T.same(early.got, values)
    T.start(function () suspend(); T.resume(later.co, T.unpack(values, 1, values.n)) end)
    T.eq(run(), false) -- not waited for
    T.same(later.got, values)
    for _, w in ipairs { early, later } do
      T.eq(w.cmd.pid, w.pid)
      T.eq(emitsig(w.pid, 0), true)
      if P.proc then T.eq(P.state(w.pid) ~= "Z", true) end -- not signalled
      kill(w.pid)
    end
    T.same(pack(early.cmd.stdin:close()), { true })
    for _ = 1, 3 do run "ready" end -- the end of them resumes nothing
    T.eq(run(), false)
    T.same(early.got, values)
    T.same(later.got, values)
  end
end)

T.test("the streams of a cancelled one stay open [40 X38] [40 X21]", function ()
  local cmd = { execfile = "cat", stdin = "w", stdout = "r" }
  local w = T.waiter(execute, cmd)
  T.resume(w.co, "canceled")
  T.eq(run(), false)
  for i = 1, 3 do
    L.send(cmd.stdin, "line " .. i)
    T.eq(L.await(L.take, cmd.stdout), "line " .. i)
  end
  cmd.stdin:close()
  T.same(pack(L.await(L.take, cmd.stdout)), { false, "end of file", 4095 })
  cmd.stdout:close()
  T.same(w.got, { "canceled" })
end)

T.test_if(P.proc, "no /proc", "a process that ended before it is cancelled [40 X38] [30 A4]", function ()
  local w = T.waiter(execute, P.shell "exit 1")
  local again = T.waiter(execute, P.shell "exit 2")
  local cmd = P.shell "exit 3"
  local third = T.waiter(execute, cmd)
  P.dead(cmd.pid)
  T.resume(w.co, "first")
  T.resume(third.co, "third")
  L.run()
  T.same(w.got, { "first" })
  T.same(again.got, { "exit", 2 })
  T.same(third.got, { "third" })
end)

T.test("the end of a cancelled one does not reach the next await of the coroutine [40 X39] [30 A4] [00 1.2.5]", function ()
  local one, two = sleep(), sleep()
  local got = {}
  local co = T.start(function ()
    got[1] = pack(execute(one))
    got[2] = pack(execute(two))
    got[3] = pack(coroutine.yield())
  end)
  T.resume(co, "canceled")
  T.eq(one.pid ~= two.pid and type(two.pid) == "number", true) -- started at once [90 1.2]
  kill(one.pid)
  for _ = 1, 5 do T.eq(run "ready", true) end
  T.same(got[1], { "canceled" })
  T.eq(got[2], nil)
  T.eq(emitsig(two.pid, "interrupt"), true)
  L.run()
  T.same(got[2], { "interrupt", 2 })
  T.eq(got[3], nil)
  T.eq(coroutine.status(co), "suspended")
end)

T.test("again after a cancellation, cancelled before any pass, and so on [40 X39] [00 1.3.4]", function ()
  local pids, got = {}, {}
  local co = T.start(function ()
    for i = 1, 5 do
      local cmd = i < 5 and sleep() or P.shell "exit 5"
      pids[i] = cmd
      got[i] = pack(execute(cmd))
    end
  end)
  for i = 1, 4 do T.resume(co, i) end
  T.eq(#pids, 5)
  L.run()
  for i = 1, 4 do T.same(got[i], { i }) end
  T.same(got[5], { "exit", 5 })
  for i = 1, 4 do kill(pids[i].pid) end
end)

T.test_if(T.has_close, "no coroutine.close", "closing the coroutine [00 1.7.1] [00 1.7.2] [90 1.3] [40 X38]", function ()
  local w, later = P.sleeper(), P.sleeper()
  local gone = T.waiter(execute, P.shell "exit 1")
  T.eq(coroutine.close(w.co), true)
  T.eq(coroutine.close(gone.co), true)
  T.start(function () suspend(); coroutine.close(later.co) end)
  L.run()
  T.eq(w.got or later.got or gone.got, nil)
  for _, one in ipairs { w, later } do
    T.eq(emitsig(one.pid, 0), true)
    kill(one.pid)
  end
  T.eq(run(), false)
end)

T.test("failing after the await [00 1.5.2] [00 1.5.5] [30 A7]", function ()
  T.eq(L.swept(function (watch)
    watch(T.start(function () execute("true"); error("by the loop", 0) end))
    L.run()
    local reports = T.reports()
    T.eq(#reports, 1)
    T.eq(reports[1].err, "by the loop")
    local co = watch(T.start(function () execute("true"); error("explicit", 0) end))
    T.returns({ false, "explicit" }, coroutine.resume, co)
    L.run()
  end), true)
end)

T.test("a waiting coroutine is kept, with its table and streams; afterwards nothing is [30 A3] [00 1.6.1] [40 X3]", function ()
  local ended = 0
  T.eq(L.swept(function (watch)
    for i = 1, 3 do
      T.scope(function ()
        local cmd = watch(P.shell("read x; exit " .. i, { stdin = "w" }))
        watch(T.start(function ()
          T.same(pack(execute(cmd)), { "exit", i })
          ended = ended + 1
        end))
        T.start(function () T.same(pack(watch(cmd.stdin):write("go\n")), { true }) end)
      end)
      T.gc()
    end
    L.run()
    T.eq(ended, 3)
  end), true)
end)

-- Reaping ---------------------------------------------------------------------------------------

T.test_if(P.proc, "no /proc", "children are reaped only by run, until then they can be addressed [40 X34] [40 O6] [30 A5]", function ()
  local cmd = P.shell "exit 6"
  local w = T.waiter(execute, cmd)
  P.dead(cmd.pid)
  T.eq(P.state(cmd.pid), "Z")
  T.same(pack(emitsig(cmd.pid, 0)), { true })
  T.same(pack(emitsig(cmd.pid, "terminate")), { true }) -- too late for it
  T.same(pack(emitsig(cmd.pid, 9)), { true })
  T.eq(pack(system.getpriority(cmd.pid)).n, 2)
  T.same(pack(system.setpriority(cmd.pid, "low")), { true })
  T.same(pack(system.getpriority(cmd.pid)), { "low", 19 })
  T.eq(w.got, nil)
  L.run()
  T.same(w.got, { "exit", 6 })
  local gone = { false, "no such process", 3 }
  T.same(pack(emitsig(cmd.pid, 0)), gone)
  T.same(pack(emitsig(cmd.pid, 9)), gone)
  T.same(pack(system.getpriority(cmd.pid)), gone)
  T.same(pack(system.setpriority(cmd.pid, 19)), gone)
  T.eq(P.state(cmd.pid), nil)
end)

T.test_if(P.proc, "no /proc", "no zombies are left [40 X34] [40 X36]", function ()
  local before = P.zombies()
  local list = {}
  for i = 1, 20 do list[i] = T.waiter(execute, P.shell("exit " .. i)) end
  L.run()
  for i = 1, 20 do T.same(list[i].got, { "exit", i }) end
  T.eq(P.zombies(), before)
end)

-- What `os.execute` and the `close` of `io.popen` say about the status, where the version says it.
local function system_status(got)
  if got.n >= 3 then return got[3] end
  if type(got[1]) == "number" then return got[1] / 256 end
  return nil
end

T.test("other children keep their results [40 X35]", function ()
  local mine = {}
  for i = 1, 10 do mine[i] = T.waiter(execute, P.shell("exit " .. i)) end
  local pipe = io.popen("echo text; exit 5")
  T.eq(pipe:read("*a"), "text\n") -- it has ended, or is about to
  local sleeper = P.sleeper()
  P.steps(function ()
    for i = 1, 10 do if not mine[i].got then return false end end
    return true
  end)
  T.eq(system_status(pack(os.execute("exit 3"))), 3)
  local late = io.popen("exit 6")
  T.eq(late:read("*a"), "")
  local signal = T.waiter(system.awaitsig, "child")
  local inside
  T.start(function ()
    suspend()
    inside = pack(os.execute("exit 4"))
  end)
  P.steps(function () return inside and signal.got end)
  T.eq(system_status(inside), 4)
  for _ = 1, 3 do T.eq(run "ready", true) end
  for i, p in ipairs { pipe, late } do
    local got = pack(p:close())
    if got.n >= 3 then T.same(got, pack(nil, "exit", 4 + i)) else T.eq(got[1] ~= nil, true) end -- not "no child processes"
  end
  P.finish(sleeper)
  for i = 1, 10 do T.same(mine[i].got, { "exit", i }) end
end)

-- Many ------------------------------------------------------------------------------------------

T.test("many at once, with every status [40 X36] [40 X29]", function ()
  local list, n = {}, T.scale(150, 10)
  for i = 1, n do list[i] = T.waiter(execute, P.shell("exit " .. i % 256)) end
  L.run()
  for i = 1, n do T.same(list[i].got, { "exit", i % 256 }) end
end)

T.test("many that end together [40 X36]", function ()
  local list, n = {}, T.scale(100, 10)
  for i = 1, n do list[i] = P.sleeper() end
  for i = n, 1, -1 do T.eq(emitsig(list[i].pid, i % 2 == 0 and 9 or 15), true) end
  if P.proc then P.dead(list[1].pid) end
  L.run()
  for i = 1, n do T.same(list[i].got, i % 2 == 0 and { "TERMINATE", 9 } or { "terminate", 15 }) end
end)

T.test_if(P.proc, "no /proc", "processes that died before the loop looked [40 X36] [30 A5]", function ()
  local cmds, list = {}, {}
  for i = 1, 10 do
    cmds[i] = P.shell("exit " .. i)
    list[i] = T.waiter(execute, cmds[i])
    P.dead(cmds[i].pid)
  end
  L.run()
  for i = 1, 10 do T.same(list[i].got, { "exit", i }) end
end)

T.test("one after the other, started by those that ended [40 X36] [40 X39]", function ()
  local n, ended = T.scale(20, 5), 0
  for i = 1, 5 do
    T.start(function ()
      for k = 1, n do
        T.same(pack(execute("sh", "-c", "exit " .. (i * k) % 256)), { "exit", (i * k) % 256 })
      end
      ended = ended + 1
    end)
  end
  L.run()
  T.eq(ended, 5)
end)

T.test_if(P.states, "no state coroutines", "several states [40 X36] [40 X35]", function ()
  local text = [[
    local results = {}
    for i = 1, 10 do
      coroutine.wrap(function () results[i] = select(2, system.execute("sh", "-c", "exit " .. i)) end)()
    end
    system.run()
    return table.concat(results, " ")
  ]]
  local states, mine = {}, {}
  for i = 1, 3 do states[i] = T.waiter(system.resume, P.state_coroutine(text)) end
  for i = 1, 10 do mine[i] = T.waiter(execute, P.shell("exit " .. i)) end
  L.run()
  for i = 1, 3 do T.same(states[i].got, { true, "1 2 3 4 5 6 7 8 9 10" }) end
  for i = 1, 10 do T.same(mine[i].got, { "exit", i }) end
end)

T.test_if(P.proc, "no /proc", "SIGCHLD has its default action when nobody waits [40 X37]", function ()
  T.eq(run(), false)
  local w = P.sleeper()
  T.eq(run "ready", true)
  P.finish(w)
  T.eq(P.caught(17), false)
  w = P.sleeper()
  T.resume(w.co)
  T.eq(run(), false)
  T.eq(P.caught(17), false)
  kill(w.pid)
  T.eq(P.signals(P.read("/proc/self/status"), "SigIgn")[17], nil)
end)

T.test_child("processes survive the end of the program, which does not wait [40 X40] [30 A10]", function ()
  for _, ending in ipairs { "", "coroutine.wrap(function () system.suspend(); os.exit(0) end)() system.run()", "os.exit(0, true)" } do
    local out, how, status = P.script([[
      local system = require "coutil.system"
      local cmd = { execfile = "sleep", arguments = { "60" }, stdin = false, stdout = false, stderr = false }
      coroutine.wrap(function () system.execute(cmd); print("resumed") end)()
      print(cmd.pid)
      io.stdout:flush()
    ]] .. ending)
    T.same({ how, status }, { "exit", 0 }, out)
    local pid = tonumber(out)
    T.eq(type(pid), "number", out)
    T.eq(emitsig(pid, 0), true)
    if P.proc then T.eq(P.state(pid) ~= "Z", true) end
    T.eq(emitsig(pid, 9), true)
  end
end)

T.done()
