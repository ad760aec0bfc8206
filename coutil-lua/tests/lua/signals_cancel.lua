-- Signals: cancelling, waiting again, and how long a signal stays caught.

local T = require "testing"
local L = require "loop_testing"
local P = require "process_testing"
local system = require "coutil.system"
local awaitsig, emitsig, execute, run, suspend = system.awaitsig, system.emitsig, system.execute, system.run, system.suspend
local pack = T.pack

-- The default action of these is to do nothing, so that a signal that nobody catches does no harm.
local harmless = { "winresize", "child", "urgentsock" }
local number = { winresize = 28, child = 17, urgentsock = 23, userdef1 = 10, userdef2 = 12 }
local can_see = P.proc and P.numbers_known and not P.valgrind

local function caught(name, want, what)
  if can_see then T.eq(P.caught(number[name]), want, what or name) end
end

-- Sequences -------------------------------------------------------------------------------------

local function X(co) T.resume(co, nil, "canceled") end
local function X0(co) T.resume(co) end

-- `body(r, A)` runs in the coroutine; `early` before the run; `late` by a second coroutine, when the first await has
-- returned. Signals are emitted before the run, and by `late`, as many as `emits` says.
local sequences = {
  { want = { "normal" }, emits = { 1 }, ends = "yield",
    body = function (r, A) r[1] = pack(A()); r.at = "yield"; coroutine.yield(); r.at = "resumed" end },
  { want = { "normal", "normal" }, emits = { 1, 1 },
    body = function (r, A) r[1] = pack(A()); r[2] = pack(A()) end },
  { want = { "normal", "normal" }, emits = { 2 },
    body = function (r, A) r[1] = pack(A()); r[2] = pack(A()) end },
  { want = { "normal", "canceled" }, emits = { 1, 1 }, late = function (co) X0(co); X(co) end,
    body = function (r, A) r[1] = pack(A()); coroutine.yield(); r[2] = pack(A()) end },
  { want = { "normal" }, emits = { 1, 1 }, late = X0,
    body = function (r, A) r[1] = pack(A()); coroutine.yield(); T.same(pack(suspend()), { true }) end },
  { want = { "normal" }, emits = { 1, 1 }, late = X,
    body = function (r, A) r[1] = pack(A()); T.same(pack(suspend(100)), pack(nil, "canceled")) end },
  { want = { "normal" }, emits = { 1 }, late = function (co) X(co); X(co) end, body = function (r, A)
    r[1] = pack(A())
    for _ = 1, 2 do T.same(pack(suspend(100)), pack(nil, "canceled")) end
  end },
  { want = { "normal" }, emits = { 1 }, body = function (r, A) r[1] = pack(A()); T.same(pack(suspend()), { true }) end },
  { want = { "normal" }, emits = { 1 }, body = function (r, A) r[1] = pack(A()); T.same(pack(execute("true")), { "exit", 0 }) end },
  { want = { "normal" }, emits = { 1 }, sco = true, body = function (r, A) r[1] = pack(A()); T.eq((system.resume(r.sco)), true) end },
  { want = { "normal" }, emits = { 1, 1 }, sco = true, late = X0,
    body = function (r, A) r[1] = pack(A()); coroutine.yield(); T.eq((system.resume(r.sco)), true) end },
  { want = { "canceled" }, emits = { 1 }, early = X, ends = "yield",
    body = function (r, A) r[1] = pack(A()); r.at = "yield"; coroutine.yield(); r.at = "resumed" end },
  { want = { "canceled" }, emits = { 0 }, early = X, ends = "yield",
    body = function (r, A) r[1] = pack(A()); r.at = "yield"; coroutine.yield(); r.at = "resumed" end },
  { want = { "canceled", "canceled" }, emits = { 1 }, early = function (co) X(co); X(co) end,
    body = function (r, A) r[1] = pack(A()); r[2] = pack(A()) end },
  { want = { "canceled" }, emits = { 1 }, early = X,
    body = function (r, A) r[1] = pack(A()); T.same(pack(suspend()), { true }) end },
  { want = { "canceled" }, emits = { 1 }, early = X, sco = true,
    body = function (r, A) r[1] = pack(A()); T.eq((system.resume(r.sco)), true) end },
  { want = { "canceled", "normal" }, emits = { 1, 1 }, early = X, again = true,
    body = function (r, A) r[1] = pack(A()); r[2] = pack(A()) end },
}

for _, name in ipairs(harmless) do
  for n, sequence in ipairs(sequences) do
    T.test_if(P.states or not sequence.sco, "no state coroutines", "sequence " .. n .. " of " .. name ..
      " [40 Q2] [40 G16] [40 G17] [40 G14] [00 1.3.1] [00 1.3.4] [00 1.3.6] [30 A4]", function ()
      T.eq(L.swept(function (watch)
        local r = { at = "waiting" }
        if sequence.sco then
          r.sco = P.states.load 'local yield = require "coroutine".yield; while true do yield() end'
        end
        local function A() return awaitsig(name) end
        local co = watch(T.start(function () sequence.body(r, A); r.at = "end" end))
        T.eq(r.at, "waiting")
        for _ = 1, sequence.emits[1] do P.emit(name) end
        if sequence.late or sequence.emits[2] then
          watch(T.start(function ()
            if sequence.again then suspend() else while not r[1] do suspend() end end
            if sequence.late then sequence.late(co) end
            for _ = 1, sequence.emits[2] or 0 do P.emit(name) end
          end))
        end
        if sequence.early then sequence.early(co) end
        L.run()
        T.eq(r.at, sequence.ends or "end")
        T.eq(coroutine.status(co), sequence.ends and "suspended" or "dead")
        for i, how in ipairs(sequence.want) do
          if how == "normal" then T.same(r[i], { name }) else T.same(r[i], pack(nil, "canceled")) end
        end
      end), true)
      caught(name, false)
    end)
  end

  T.test(name .. ": an explicit resume gives its values [40 G16] [30 A4] [00 1.3.1]", function ()
    for _, values in ipairs { pack(), pack(nil), pack(true, nil, 3), pack({}, nil), pack(name) } do
      local early, later = T.waiter(awaitsig, name), T.waiter(awaitsig, name)
      T.resume(early.co, T.unpack(values, 1, values.n))
      T.same(early.got, values)
      T.start(function () suspend(); T.resume(later.co, T.unpack(values, 1, values.n)) end)
      T.eq(run(), false)
      T.same(later.got, values)
    end
  end)

  T.test(name .. ": failing after the await [00 1.5.2] [00 1.5.5] [30 A7]", function ()
    T.eq(L.swept(function (watch)
      watch(T.start(function () awaitsig(name); error("by the loop", 0) end))
      P.emit(name)
      L.run()
      local reports = T.reports()
      T.eq(#reports, 1)
      T.eq(reports[1].err, "by the loop")
      caught(name, false)
      local co = watch(T.start(function () awaitsig(name); error("explicit", 0) end))
      T.returns({ false, "explicit" }, coroutine.resume, co)
      caught(name, false)
      L.run()
    end), true)
  end)

  T.test_if(T.has_close, "no coroutine.close", name .. ": closing the coroutine [00 1.7.1] [00 1.7.2] [90 1.3]", function ()
    T.eq(L.swept(function (watch)
      local first = watch(T.start(function () awaitsig(name); error("resumed") end))
      P.emit(name)
      T.eq(coroutine.close(first), true)
      P.last "ready"
      caught(name, false)
      local second = watch(T.start(function () awaitsig(name); error("resumed") end))
      T.start(function () suspend(); coroutine.close(second) end)
      P.emit(name)
      L.run()
      T.eq(coroutine.status(second), "dead")
    end), true)
    caught(name, false)
  end)
end

-- Cancelling ------------------------------------------------------------------------------------

T.test("a catch that was not delivered is dropped [40 G16] [30 A4] [40 G17]", function ()
  local got = {}
  local co = T.start(function ()
    for i = 1, 3 do got[i] = pack(awaitsig("winresize")) end
  end)
  P.emit("winresize")
  P.emit("winresize")
  T.resume(co, "first")
  T.same(got[1], { "first" })
  for _ = 1, 3 do T.eq(run "ready", true) end
  T.eq(got[2], nil) -- the second await does not see what was caught for the first
  P.emit("winresize")
  T.eq(run "ready", true)
  T.same(got[2], { "winresize" })
  T.eq(got[3], nil)
  T.resume(co, "last")
  T.same(got[3], { "last" })
  T.eq(run(), false)
end)

T.test("waiting again starts at once, and may be cancelled before any pass [40 G17] [90 1.2]", function ()
  local got = {}
  local co = T.start(function ()
    for i = 1, 6 do got[i] = pack(awaitsig("urgentsock")) end
  end)
  for i = 1, 5 do T.resume(co, i) end
  caught("urgentsock", true)
  P.emit("urgentsock")
  L.run()
  for i = 1, 5 do T.same(got[i], { i }) end
  T.same(got[6], { "urgentsock" })
  caught("urgentsock", false)
end)

T.test("waiting for a killing signal again is safe at once [40 G17] [90 1.2]", function ()
  local got = {}
  local co = T.start(function ()
    for i = 1, 2 do got[i] = pack(awaitsig("userdef1")) end
  end)
  T.resume(co, "canceled")
  P.emit("userdef1")
  L.run()
  T.same(got[2], { "userdef1" })
end)

T.test("one is cancelled, the others go on [40 G10] [40 G16]", function ()
  local list = {}
  for i = 1, 4 do list[i] = T.waiter(awaitsig, "userdef1") end
  T.resume(list[2].co, "out")
  P.emit("userdef1")
  T.resume(list[3].co, "too") -- drops the catch for this one only
  L.run()
  T.same(list[1].got, { "userdef1" })
  T.same(list[2].got, { "out" })
  T.same(list[3].got, { "too" })
  T.same(list[4].got, { "userdef1" })
  caught("userdef1", false)
end)

T.test("the one that is resumed first cancels another, in the same pass [40 G10] [30 A4]", function ()
  local got, cos = {}, {}
  for i = 1, 2 do
    cos[i] = T.start(function ()
      got[i] = pack(awaitsig("userdef1"))
      if not got[3 - i] then T.resume(cos[3 - i], "canceled") end
    end)
  end
  P.emit("userdef1")
  L.run()
  local first = got[1][1] == "userdef1" and 1 or 2
  T.same(got[first], { "userdef1" })
  T.same(got[3 - first], { "canceled" })
end)

-- Lifetime of the handler -----------------------------------------------------------------------

T.test_if(can_see, "no /proc", "a signal is caught while somebody waits for it [40 G9] [40 G14] [40 G16]", function ()
  caught("userdef1", false)
  local a = T.waiter(awaitsig, "userdef1")
  caught("userdef1", true)
  local b = T.waiter(awaitsig, "userdef1")
  T.resume(a.co)
  caught("userdef1", true) -- the other one
  T.resume(b.co)
  caught("userdef1", false) -- at once
  T.eq(run(), false)
  caught("userdef1", false)
end)

T.test_if(can_see, "no /proc", "until the resumed one ends, yields, or waits for something else [40 G14]", function ()
  local endings = {
    { "end", function () end },
    { "yield", function () coroutine.yield() end },
    { "suspend", function () suspend(.001) end, true },
    { "no delay", function () suspend() end, true },
    { "execute", function () execute("true") end, true },
    { "a file", function () system.fileinfo("/", "M") end, true },
    { "random bytes", function () system.random(require "memory".create(8)) end, true },
    { "another signal", function () awaitsig("winresize") end, true },
  }
  for _, ending in ipairs(endings) do
    local inside
    T.start(function ()
      awaitsig("userdef1")
      inside = P.caught(10)
      ending[2]()
    end)
    P.emit("userdef1")
    run "step"
    T.eq(inside, true, ending[1]) -- a signal that comes now is lost, but does no harm
    caught("userdef1", false, ending[1])
    if ending[1] == "another signal" then P.emit("winresize") end
    T.eq(run(), false)
    caught("userdef1", false, ending[1])
  end
end)

T.test_if(can_see, "no /proc", "a signal that comes while the resumed one runs is lost, or seen if it waits again [40 G14] [40 G11]",
function ()
  local n = 0
  T.start(function ()
    awaitsig("userdef1")
    P.emit("userdef1")
    suspend(.001)
    caught("userdef1", false)
  end)
  P.emit("userdef1")
  L.run()
  T.start(function ()
    for i = 1, 3 do
      awaitsig("userdef1")
      n = n + 1
      if i < 3 then P.emit("userdef1") end
    end
  end)
  P.emit("userdef1")
  L.run()
  T.eq(n, 3)
  caught("userdef1", false)
end)

T.test_if(can_see, "no /proc", "the handler stays as long as another one waits [40 G14]", function ()
  local keeper = T.start(function () while awaitsig("userdef1") do end end)
  for _ = 1, 3 do
    local w = T.waiter(awaitsig, "userdef1")
    P.emit("userdef1")
    T.eq(run "ready", true)
    T.same(w.got, { "userdef1" })
    caught("userdef1", true)
    T.start(function () suspend(); P.emit("userdef1") end)
    T.eq(run "step", true)
    caught("userdef1", true)
  end
  T.resume(keeper, false)
  caught("userdef1", false)
  T.eq(run(), false)
end)

T.test_if(P.proc, "no /proc", "a signal restarts what it interrupts [40 G13]", function ()
  local w = T.waiter(awaitsig, "userdef1")
  local pipe = io.popen(("until grep -q '^State:.S' /proc/%d/status; do :; done; kill -s USR1 %d; echo done"):format(P.pid, P.pid))
  T.eq(pipe:read("*a"), "done\n") -- a read that waits when the signal comes
  T.eq((pipe:close()), true)
  T.eq(w.got, nil) -- Lua never runs in the handler
  L.run()
  T.same(w.got, { "userdef1" })
end)

-- In other interpreters -------------------------------------------------------------------------

local prelude = [[
  local system = require "coutil.system"
  local pid = tonumber(io.open("/proc/self/stat"):read("*a"):match("^%d+"))
  local function start(f) local co = coroutine.create(f); assert(coroutine.resume(co)); return co end
  local function say(...) print(...) io.stdout:flush() end
]]

local function dies(title, want, text, shell)
  T.test_if(P.proc and T.interpreter(), "no /proc, or no interpreter to start", title, function ()
    local out, how, signal = P.script(prelude .. text .. " say 'survived'", shell)
    T.eq(out, "ready\n")
    T.same({ how, signal }, want)
  end)
end

dies("after a cancellation the default action is back [40 G16] [40 G15]", { "userdef1", 10 }, [[
  local co = start(function () system.awaitsig("userdef1") end)
  coroutine.resume(co)
  say "ready"
  system.emitsig(pid, "userdef1")
]])

dies("after the end as well [40 G15] [40 G14]", { "userdef2", 12 }, [[
  start(function () system.awaitsig("userdef2") end)
  assert(system.emitsig(pid, "userdef2"))
  assert(system.run() == false)
  say "ready"
  system.emitsig(pid, 12)
]])

dies("a second signal during a suspension between two awaits [40 G15]", { "userdef1", 10 }, [[
  start(function ()
    system.awaitsig("userdef1")
    say "ready"
    system.suspend(60)
    system.awaitsig("userdef1")
  end)
  assert(system.emitsig(pid, "userdef1"))
  system.run("step")
  system.emitsig(pid, "userdef1")
]])

dies("a signal that was ignored before is not so again [40 G15]", { "userdef1", 10 }, [[
  assert(system.emitsig(pid, "userdef1")) -- ignored
  start(function () system.awaitsig("userdef1") end)
  assert(system.emitsig(pid, "userdef1"))
  assert(system.run() == false)
  say "ready"
  system.emitsig(pid, "userdef1")
]], 'trap "" USR1; exec "$@"')

dies("without anybody who waits [40 G20] [40 G9]", { "terminate", 15 }, [[
  start(function () system.awaitsig("userdef1") end)
  say "ready"
  system.emitsig(pid, "terminate")
]])

T.test_if(P.proc and T.interpreter(), "no /proc, or no interpreter to start",
"a signal from before the run, between two passes, and with nothing else to do [40 G9] [40 G8] [30 A5]", function ()
  local out, how, status = P.script(prelude .. [[
    local n = 0
    local co = start(function () while system.awaitsig("userdef1") do n = n + 1 end end)
    os.execute("kill -s USR1 " .. pid)
    assert(system.run("ready") == true and n == 1)
    os.execute("kill -s USR1 " .. pid)
    assert(system.run("step") == true and n == 2)
    local pipe = io.popen("until grep -q '^State:.S' /proc/" .. pid .. "/status; do :; done; kill -s USR1 " .. pid)
    assert(system.run("step") == true and n == 3) -- while it waits
    pipe:close()
    assert(coroutine.resume(co, false))
    assert(system.run() == false)
    print "end"]])
  T.same({ how, status }, { "exit", 0 }, out)
  T.eq(out, "end\n")
end)

T.test_if(P.proc and T.interpreter(), "no /proc, or no interpreter to start",
"the end of the program resumes nobody [30 A10] [00 1.6.5] [90 1.1]", function ()
  local out, how, status = P.script(prelude .. [[
    start(function () system.awaitsig("userdef1"); print "resumed" end)
    system.emitsig(pid, "userdef1")
    start(function () system.awaitsig("child"); print "resumed" end)]])
  T.same({ how, status }, { "exit", 0 }, out)
  T.eq(out, "")
end)

T.done()
