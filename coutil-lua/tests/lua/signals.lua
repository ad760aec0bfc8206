-- Signals: emitting and awaiting them.

local T = require "testing"
local L = require "loop_testing"
local P = require "process_testing"
local memory = require "memory"
local system = require "coutil.system"
local awaitsig, emitsig, execute, run, suspend = system.awaitsig, system.emitsig, system.execute, system.run, system.suspend
local pack = T.pack

local gone = { false, "no such process", 3 }
local invalid = { false, "invalid argument", 22 }

-- emitsig: what it refuses ----------------------------------------------------------------------

T.test_if(not P.valgrind, "valgrind refuses one", "numbers are signals and are not validated [40 G1] [40 G4]", function ()
  T.returns({ true }, emitsig, P.pid, 0)
  T.returns({ true }, emitsig, tostring(P.pid), 0) -- a string may be a number parameter
  T.returns({ true }, emitsig, P.pid, 0, {}, "surplus")
  T.returns(invalid, emitsig, P.pid, 999)
  T.returns(invalid, emitsig, P.pid, -1)
  T.returns(invalid, emitsig, P.pid, 65)
  T.returns(gone, emitsig, P.nobody, 0)
  T.returns(gone, emitsig, P.nobody, 9)
  for _, number in ipairs { 32, 33, 34, 64 } do
    local w = P.sleeper()
    T.returns({ true }, emitsig, w.pid, number)
    L.run()
    T.same(w.got, { "signal", number })
  end
  P.integer(pack(emitsig(P.nobody, 0))[3])
end)

T.test("anything else is a name [40 G2] [00 5.2.2]", function ()
  for _, name in ipairs { "", "kill", "TERM", "SIGTERM", "sigterm", "Terminate", "stoP", "break", "9", "0", " child", "other" } do
    P.argument(2, "invalid signal '" .. name .. "'", emitsig, P.nobody, name)
  end
  P.argument(2, "invalid signal '9.5'", emitsig, P.nobody, 9.5)
  if T.integers then
    P.argument(2, "invalid signal '9.0'", emitsig, P.nobody, 9.0)
    P.argument(2, "invalid signal '0.0'", emitsig, P.nobody, 0.0)
    P.argument(2, "invalid signal '1e+100'", emitsig, P.nobody, 1e100)
  else
    T.returns(gone, emitsig, P.nobody, 9.0) -- an integral value [90 4.2]
  end
  P.argument(2, "string expected, got no value", emitsig, P.nobody)
  P.argument(2, "string expected, got nil", emitsig, P.nobody, nil)
  P.argument(2, "string expected, got boolean", emitsig, P.nobody, true)
  P.argument(2, "string expected, got table", emitsig, P.nobody, {})
  P.argument(2, "string expected, got char[]", emitsig, P.nobody, memory.create(1))
end)

T.test("the process comes first [40 G2] [00 5.2.3]", function ()
  P.argument(1, "number expected, got no value", emitsig)
  P.argument(1, "number expected, got nil", emitsig, nil, "kill")
  P.argument(1, "number expected, got string", emitsig, "x", {})
  P.argument(1, "number expected, got table", emitsig, {}, {})
  P.argument(1, "number has no integer representation", emitsig, 1.5, "kill")
  P.argument(1, "number has no integer representation", emitsig, 2 ^ 80, 0)
  if T.integers then T.returns(gone, emitsig, P.nobody + 0.0, 0) end
end)

T.test("names end at a NUL [30 K8]", function ()
  T.returns(gone, emitsig, P.nobody, "hangup\0x")
end)

T.test("numbers that do not fit are not cut to 32 bits [40 G21]", function ()
  for _, pid in ipairs { 2 ^ 31, 2 ^ 32, 2 ^ 32 + P.pid, -2 ^ 31 - 1, -2 ^ 32, 2 ^ 52 } do
    T.returns(gone, emitsig, pid, 0)
    if not T.integers then T.returns(gone, emitsig, pid, 2 ^ 40) end -- the process comes first
  end
  if T.integers then
    local huge, least = math.maxinteger, math.mininteger
    for _, pid in ipairs { huge, least, huge - 1 } do
      T.returns(gone, emitsig, pid, 0)
      T.returns(gone, emitsig, pid, huge)
    end
    for _, signal in ipairs { huge, least, math.tointeger(2 ^ 32), math.tointeger(2 ^ 31), math.tointeger(-2 ^ 31 - 1) } do
      T.returns(invalid, emitsig, P.pid, signal)
      T.returns(invalid, emitsig, P.nobody - 0, signal)
    end
    P.argument(2, "string expected, got table", emitsig, huge, {}) -- after the checks of the arguments
    P.argument(2, "invalid signal 'kill'", emitsig, huge, "kill")
  else
    T.returns(invalid, emitsig, P.pid, 2 ^ 32)
    T.returns(invalid, emitsig, P.pid, 2 ^ 31)
  end
end)

T.test("failures: a process of somebody else [40 G4]", function ()
  local first = P.read("/proc/1/status")
  local own = P.read("/proc/self/status")
  local function uid(text) return text and text:match("Uid:%s*(%d+)") end
  if uid(own) and uid(own) ~= "0" and uid(first) and uid(first) ~= uid(own) then
    T.returns({ false, "operation not permitted", 1 }, emitsig, 1, 0)
  elseif uid(own) == "0" and T.interpreter() and P.has("setpriv") and P.succeeds("setpriv --reuid 65534 --clear-groups true") then
    local out = P.script([[
      local found, system = pcall(require, "coutil.system")
      if found then print(system.emitsig(1, 0)) else print "cannot load" end
    ]], 'exec setpriv --reuid 65534 --clear-groups "$1" - < "$2"')
    -- The interpreter or the library may be where that user cannot read.
    if not out:find("cannot load", 1, true) and out:find("^false") then
      T.eq(out, "false\toperation not permitted\t1\n")
    end
  end
end)

T.test("the own group, and everything [40 G3]", function ()
  local w = P.sleeper()
  T.returns({ true }, emitsig, 0, 0) -- which exists
  T.returns({ true }, emitsig, -1, 0)
  T.returns(gone, emitsig, -P.nobody, 0)
  P.finish(w)
end)

T.test_if(P.has("setsid"), "no setsid", "a group [40 G3]", function ()
  local script = "sleep 60 & echo $!; exec sleep 60"
  local cmd = { execfile = "setsid", arguments = { "sh", "-c", script }, stdin = false, stdout = "r", stderr = false }
  local w = T.waiter(execute, cmd)
  local text, rest
  T.start(function ()
    text = L.take(cmd.stdout)
    T.returns({ true }, emitsig, -cmd.pid, 0)
    T.returns({ true }, emitsig, -cmd.pid, "userdef1")
    rest = L.collect(cmd.stdout) -- ends when both have
  end)
  L.run()
  T.same(w.got, { "userdef1", 10 })
  T.eq(rest, "")
  if P.proc then P.gone(tonumber(text)) end
  cmd.stdout:close()
end)

-- awaitsig: what it refuses ---------------------------------------------------------------------

T.test("unable to yield comes first [40 G6] [40 Q1] [30 A1] [00 1.4.4]", function ()
  for _, args in ipairs { pack(), pack(nil), pack("winresize"), pack("kill"), pack("STOP"), pack({}), pack(true), pack(10) } do
    T.raises("unable to yield", awaitsig, T.unpack(args, 1, args.n))
  end
  local got
  T.inside(string.gsub, "x", "x", function () got = pack(pcall(awaitsig, "winresize")) end)
  T.eq(got[1], false)
  if T.detects_yieldable or T.version == "5.1" then T.eq(got[2], "unable to yield") end
  T.eq(run(), false)
  if P.sees then T.eq(P.caught(28), false) end -- nothing was started
end)

T.test("then the signal [40 G6] [40 Q1] [40 G2]", function ()
  for _, name in ipairs { "STOP", "TERMINATE", "kill", "break", "", "Child", "SIGCHLD", "10", "signal" } do
    P.argument(1, "invalid signal '" .. name .. "'", awaitsig, name)
  end
  P.argument(1, "invalid signal '10'", awaitsig, 10)
  P.argument(1, "string expected, got no value", awaitsig)
  P.argument(1, "string expected, got nil", awaitsig, nil, "child")
  P.argument(1, "string expected, got table", awaitsig, {})
  P.argument(1, "string expected, got boolean", awaitsig, false)
  P.argument(1, "string expected, got thread", awaitsig, coroutine.create(function () end))
  T.eq(run(), false)
end)

-- Every name ------------------------------------------------------------------------------------

for _, case in ipairs(P.names) do
  local name, number = case[1], case[2]
  T.test("signal " .. name .. " [40 G18] [40 G7] [40 G9] [40 G5] [40 G14] [40 G15] [30 P4] [30 A2] [30 A5] [00 1.1.1]", function ()
    local w = T.waiter(awaitsig, name, "surplus", {}, nil)
    T.eq(coroutine.status(w.co), "suspended")
    if P.sees and P.numbers_known then T.eq(P.caught(number), true) end
    P.emit(name)
    T.eq(w.got, nil) -- never inside `emitsig`
    P.last "step"
    T.same(w.got, { name })
    if P.numbers_known then
      if P.sees then T.eq(P.caught(number), false) end
      w = T.waiter(awaitsig, name)
      P.emit(number)
      P.last "ready"
      T.same(w.got, { name })
      if P.proc then T.eq(P.signals(P.read("/proc/self/status"), "SigIgn")[number], nil) end
    end
  end)
end

T.test("signals from a child and from another program [40 G18] [40 G9]", function ()
  local w = T.waiter(awaitsig, "userdef2")
  P.sh("kill -s USR2 " .. P.pid)
  L.run()
  T.same(w.got, { "userdef2" })
  w = T.waiter(awaitsig, "hangup")
  local child = T.waiter(execute, "sh", "-c", "kill -s HUP $PPID; exit 3")
  L.run()
  T.same(w.got, { "hangup" })
  T.same(child.got, { "exit", 3 })
end)

T.test("all names at once [40 G18] [40 G9]", function ()
  local list, order = {}, {}
  for i, case in ipairs(P.names) do list[i] = T.waiter(awaitsig, case[1]) end
  for _, case in ipairs(P.names) do P.emit(case[1]) end
  L.run()
  for i, case in ipairs(P.names) do T.same(list[i].got, { case[1] }); order[i] = true end
  T.eq(#order, #P.names)
end)

T.test("waiting keeps the loop going [40 G8] [30 P7]", function ()
  local w = T.waiter(awaitsig, "winresize")
  for _ = 1, 20 do T.eq(run "ready", true) end
  T.start(function () suspend(.001); suspend(.001) end)
  for _ = 1, 2 do T.eq(run "step", true) end
  T.eq(w.got, nil)
  P.emit("winresize")
  T.eq(run(), false)
  T.same(w.got, { "winresize" })
end)

-- Steps -----------------------------------------------------------------------------------------

T.test("a signal emitted in a pass is delivered in it [30 P4] [40 Q1] [40 G5]", function ()
  local log = {}
  T.start(function ()
    for i = 1, 5 do
      T.same(pack(awaitsig("userdef1")), { "userdef1" })
      log[#log + 1] = i
    end
  end)
  T.start(function ()
    for i = 1, 5 do
      suspend()
      P.emit("userdef1")
      T.eq(#log, i - 1) -- not inside
    end
  end)
  for i = 1, 5 do
    if i < 5 then T.eq(run "step", true) else P.last "step" end
    T.eq(#log, i)
  end
end)

T.test("a loop over different signals [40 Q1] [40 G12] [30 P4]", function ()
  local names = { "userdef1", "winresize", "child", "userdef2", "userdef1", "hangup" }
  local n = 0
  T.start(function ()
    for _, name in ipairs(names) do
      T.same(pack(awaitsig(name)), { name })
      n = n + 1
    end
  end)
  for i, name in ipairs(names) do
    P.emit(name)
    if i < #names then T.eq(run "step", true) else P.last "step" end
    T.eq(n, i)
  end
end)

T.test("the same in one run [40 Q1] [40 G12]", function ()
  local names, n = { "userdef1", "userdef1", "winresize", "userdef1" }, 0
  T.start(function ()
    for _, name in ipairs(names) do
      T.start(function () suspend(); P.emit(name) end)
      T.same(pack(awaitsig(name)), { name })
      n = n + 1
    end
  end)
  L.run()
  T.eq(n, #names)
end)

T.test("several coroutines are resumed by one delivery, in one pass [40 G10]", function ()
  local list = {}
  for i = 1, 50 do list[i] = T.waiter(awaitsig, "userdef1") end
  local other = T.waiter(awaitsig, "userdef2")
  T.start(function () suspend(); P.emit("userdef1") end)
  T.eq(run "step", true)
  for i = 1, 50 do T.same(list[i].got, { "userdef1" }) end
  T.eq(other.got, nil)
  P.emit("userdef2")
  P.last "step"
  T.same(other.got, { "userdef2" })
end)

T.test_if(P.states and P.sees, "no state coroutines, or nothing tells of handlers", "awaits in other states are notified [40 G10]", function ()
  local text = [[
    local got
    coroutine.wrap(function () got = system.awaitsig("userdef1") end)()
    local left = system.run()
    return got, left
  ]]
  local there = T.waiter(system.resume, P.state_coroutine(text))
  P.wait_for(function () run "ready"; return P.caught(10) end, "a handler")
  T.eq(there.got, nil)
  local here = T.waiter(awaitsig, "userdef1")
  P.emit("userdef1")
  L.run()
  T.same(here.got, { "userdef1" })
  T.same(there.got, { true, "userdef1", false })
  T.eq(P.caught(10), false)
end)

T.test("different signals are delivered in the order in which they came [40 G9]", function ()
  local names = { "userdef2", "hangup", "userdef1", "winresize", "terminate" }
  local log = {}
  for i = #names, 1, -1 do
    T.start(function ()
      local name = awaitsig(names[i])
      log[#log + 1] = name
    end)
  end
  for _, name in ipairs(names) do P.emit(name) end
  L.run()
  T.same(log, names)
end)

-- How often -------------------------------------------------------------------------------------

T.test("three signals, three times [40 G11]", function ()
  local n = 0
  local co = T.start(function ()
    while true do
      T.same(pack(awaitsig("userdef1")), { "userdef1" })
      n = n + 1
      if n == 3 then break end
    end
  end)
  for _ = 1, 3 do P.emit("userdef1") end
  P.last "step"
  T.eq(n, 3)
  T.eq(coroutine.status(co), "dead")
end)

T.test("one delivery resumes a coroutine once [40 G11]", function ()
  local n = { 0, 0 }
  local cos = {}
  for i = 1, 2 do
    cos[i] = T.start(function ()
      while awaitsig("userdef1") do n[i] = n[i] + 1 end
    end)
  end
  for k = 1, 3 do
    P.emit("userdef1")
    for _ = 1, 3 do T.eq(run "ready", true) end
    T.same(n, { k, k })
  end
  P.emit("userdef1")
  P.emit("userdef1")
  T.eq(run "ready", true)
  T.same(n, { 5, 5 })
  for i = 1, 2 do T.resume(cos[i], false) end
  T.eq(run(), false)
  T.same(n, { 5, 5 })
end)

T.test("catches of a signal are dropped when another one is awaited [40 G12]", function ()
  local log = {}
  local keeper = T.start(function () while awaitsig("userdef2") do log[#log + 1] = "kept" end end)
  local co = T.start(function ()
    for _, name in ipairs { "userdef1", "userdef2", "userdef1" } do
      local got = awaitsig(name) -- `log` is another table meanwhile
      log[#log + 1] = got
    end
  end)
  P.emit("userdef2") -- before anybody but the keeper waits for it
  P.emit("userdef1")
  P.emit("userdef1")
  for _ = 1, 5 do T.eq(run "ready", true) end
  T.eq(table.concat(log, " "):gsub("kept", ""):gsub(" ", ""), "userdef1")
  log = {}
  P.emit("userdef2")
  for _ = 1, 5 do T.eq(run "ready", true) end
  table.sort(log)
  T.same(log, { "kept", "userdef2" }) -- now it waits for the first one again, and the old catch is lost
  log = {}
  P.emit("userdef1")
  T.eq(run "ready", true)
  T.same(log, { "userdef1" })
  T.eq(coroutine.status(co), "dead")
  T.resume(keeper, false)
  T.eq(run(), false)
end)

-- Children --------------------------------------------------------------------------------------

T.test("signal child beside execute, io.popen and os.execute [40 G19] [40 X35] [40 X37]", function ()
  local child, w = T.waiter(awaitsig, "child"), T.waiter(execute, "sh", "-c", "exit 7")
  L.run()
  T.same(child.got, { "child" })
  T.same(w.got, { "exit", 7 })
  child = T.waiter(awaitsig, "child")
  local pipe = io.popen("exit 0")
  T.eq((pipe:close()), true)
  L.run()
  T.same(child.got, { "child" })
  child = T.waiter(awaitsig, "child")
  local got = os.execute("exit 0")
  T.eq(got == true or got == 0, true)
  L.run()
  T.same(child.got, { "child" })
  if P.sees then T.eq(P.caught(17), false) end
end)

-- Writing to a broken stream --------------------------------------------------------------------

T.test("a failed write raises no signal [30 P5] [40 G20] [90 5.1]", function ()
  local a, b = L.pair("local")
  local w = T.waiter(awaitsig, "brokenpipe")
  b:close()
  local written
  T.start(function () written = pack(a:write("x")) end)
  for _ = 1, 5 do T.eq(run "ready", true) end
  T.same(written, { false, "broken pipe", 32 })
  T.eq(w.got, nil)
  T.resume(w.co)
  T.eq(run(), false)
  written = pack(L.await(a.write, a, "x"))
  T.eq(written[1], false) -- and this program lives
  a:close()
end)

T.test_if(P.proc and T.interpreter(), "no /proc, or no interpreter to start",
"the module changes no disposition and blocks nothing [40 G20] [30 D12]", function ()
  local out, how, status = P.script([[
    local function show()
      local text = io.open("/proc/self/status"):read("*a")
      return text:match("SigBlk[^\n]*") .. text:match("SigIgn[^\n]*") .. text:match("SigCgt[^\n]*")
    end
    local before = show()
    local system = require "coutil.system"
    assert(show() == before, "loading")
    local function start(f, ...) coroutine.wrap(f)(...) end
    start(system.suspend, .001)
    local passive = assert(system.socket("passive", "ipv4"))
    assert(passive:listen(1))
    local stream = assert(system.socket("stream", "ipv4"))
    start(function () assert(passive:accept()):close() end)
    local address = passive:getaddress()
    start(function () assert(stream:connect(system.address("ipv4", "127.0.0.1", address.port))) end)
    system.run()
    start(function () for i = 1, 3 do stream:write(("x"):rep(1000)) end end)
    system.run()
    start(function () assert(system.execute("true") == "exit") end)
    system.run()
    start(function () system.awaitsig("winresize") end)
    system.emitsig(system.procinfo and system.procinfo("#") or tonumber(io.open("/proc/self/stat"):read("*a"):match("^%d+")), "winresize")
    system.run()
    assert(show() == before, before .. "\n" .. show())
    print "end"]], 'trap "" USR2 URG; exec "$@"')
  T.same({ how, status }, { "exit", 0 }, out)
  T.eq(out, "end\n")
end)

T.done()
