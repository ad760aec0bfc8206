-- Processes and signals where metamethods, finalizers and other coroutines do what nobody expects of them.

local T = require "testing"
local L = require "loop_testing"
local P = require "process_testing"
local memory = require "coutil.memory"
local system = require "coutil.system"

local execute, awaitsig, run = system.execute, system.awaitsig, system.run
local pack = T.pack

-- A table that calls `index(t, k)` and `newindex(t, k, v)` for all fields.
local function described(fields, index, newindex)
  return setmetatable({}, {
    __index = index and function (t, k) index(t, k) return fields[k] end or fields,
    __newindex = function (t, k, v) if newindex then newindex(t, k, v) end fields[k] = v end,
  })
end

-- Descriptions ----------------------------------------------------------------------------------

T.test("a field that starts another process when it is read [40 X3] [40 X36]", function ()
  local others, w = {}, nil
  local cmd = described({ execfile = "sh", arguments = { "-c", "cat; exit 3" }, stdin = "w", stdout = "r" },
    function (_, k) others[k] = T.waiter(execute, "sh", "-c", "exit 4") end)
  w = T.waiter(execute, cmd)
  L.send(cmd.stdin, "text")
  T.start(function () cmd.stdin:shutdown() end)
  local text
  T.start(function () text = L.collect(cmd.stdout) end)
  L.run()
  T.eq(text, "text")
  T.same(w.got, { "exit", 3 })
  for _, name in ipairs { "execfile", "runpath", "stdin", "stdout", "stderr", "arguments", "environment" } do
    T.same(others[name].got, { "exit", 4 }, name)
  end
  cmd.stdin:close()
  cmd.stdout:close()
  L.run() -- to read these fields has started others
end)

T.test("a run while the pid is stored loses nothing [40 X28] [40 X34]", function ()
  local inner
  local cmd = described({ execfile = "sh", arguments = { "-c", "exit 5" } }, nil, function (_, k, pid)
    if P.proc then P.wait_for(function () return P.state(pid) == "Z" end, "the end of the process") end
    inner = pack(k, run "ready")
  end)
  local w = T.waiter(execute, cmd)
  T.same(inner, { "pid", false })
  T.eq(system.emitsig(cmd.pid, 0), true)
  L.run()
  T.same(w.got, { "exit", 5 })
end)

T.test("an error while the pid is stored leaves a process by itself [40 X3] [40 X28] [40 X38]", function ()
  local pid
  local cmd = described({ execfile = "cat", stdin = "w", stdout = "r" }, nil, function (_, k, v)
    if k == "pid" then
      pid = v
      error({ "not this" })
    end
  end)
  local ok, err = T.inside(pcall, execute, cmd)
  if T.yield_across_pcall then
    T.eq(ok, false)
    T.eq(type(err) == "table" and err[1], "not this")
    T.eq(system.emitsig(pid, 0), true)
    T.eq(run(), false)
    cmd.stdin:close() -- it ends
    L.await(function () return L.collect(cmd.stdout) end)
    P.wait_for(function () run() return not system.emitsig(pid, 0) end, "it is reaped")
    cmd.stdout:close()
  end
end)

T.test("an error while a stream is stored closes what was for the process [40 X3] [40 X22]", function ()
  for _, bad in ipairs { "stdout", "stderr" } do
    local cmd = described({ execfile = "cat", stdin = "rw", stdout = "r", stderr = "r" }, nil,
      function (_, k) if k == bad then error("not this", 0) end end)
    local co = T.create(function () return execute(cmd) end)
    T.same(pack(coroutine.resume(co)), { false, "not this" })
    local buffer = memory.create(10)
    T.same(pack(L.await(cmd.stdin.read, cmd.stdin, buffer)), { false, "end of file", 4095 })
    T.eq(pack(L.await(cmd.stdin.write, cmd.stdin, "x"))[3], 32)
    cmd.stdin:close()
    T.eq(cmd.pid, nil)
  end
end)

T.test("the streams are closed while the pid is stored [40 X21] [40 X28]", function ()
  local cmd
  cmd = described({ execfile = "cat", stdin = "w", stdout = "r" }, nil, function (_, k)
    if k == "pid" then cmd.stdin:close(); cmd.stdout:close() end
  end)
  local w = T.waiter(execute, cmd)
  L.run()
  T.same(w.got, { "exit", 0 })
end)

T.test("no descriptor is left of all that [40 X25]", function ()
  T.eq(L.tidy(function ()
    for i = 1, T.scale(20, 3) do
      local cmd = described({ execfile = "cat", stdin = "w", stdout = "r", stderr = "" }, nil,
        function (_, k) if k == ({ "stdin", "stdout", "stderr", "pid" })[i % 4 + 1] then error("not this", 0) end end)
      T.create(function () execute(cmd) end)
      coroutine.resume(T.create(function () execute(cmd) end))
    end
  end), L.descriptors() and true)
end)

-- Resumed by others in the middle ---------------------------------------------------------------

T.test("those told by one signal, or by the ends of processes, resume each other [40 G10] [00 1.3.2] [40 X38]", function ()
  for _, start in ipairs {
    function () return awaitsig("winresize") end,
    function () return execute("sh", "-c", "exit 6") end,
  } do
    local cos, log = {}, {}
    for i = 1, 4 do
      cos[i] = T.create(function ()
        local got = start()
        log[#log + 1] = i .. ":" .. tostring(got)
        for j = 1, 4 do
          if coroutine.status(cos[j]) == "suspended" then coroutine.resume(cos[j], "by " .. i) end
        end
      end)
      T.resume(cos[i])
    end
    P.emit("winresize")
    L.run()
    T.eq(#log, 4)
    -- One was told, and the others were resumed once each.
    local by = 0
    for i = 1, 4 do if log[i]:find(":by %d$") then by = by + 1 end end
    T.eq(by, 3, table.concat(log, " "))
  end
end)

T.test("finalizers that cancel while results are made [40 X38] [40 G16]", function ()
  -- The collector runs when it likes, so this is about nothing being lost or told twice.
  local ended, cancelled = 0, 0
  local function one(f, ...)
    local co
    co = T.create(function (...)
      local got = f(...)
      if got == "finalizer" then cancelled = cancelled + 1 else ended = ended + 1 end
    end)
    T.resume(co, ...)
    local function collected() if coroutine.status(co) == "suspended" then coroutine.resume(co, "finalizer") end end
    if T.number >= 5.2 then
      setmetatable({}, { __gc = collected })
    else
      local proxy = newproxy(true)
      getmetatable(proxy).__gc = collected
    end
  end
  local n = T.scale(60, 6)
  for i = 1, n do
    one(execute, "sh", "-c", "exit " .. i % 3)
    one(awaitsig, "winresize")
  end
  P.emit("winresize")
  T.start(function () for _ = 1, 20 do system.suspend(); collectgarbage("step") end end)
  L.run()
  T.gc()
  L.run()
  T.eq(ended + cancelled, 2 * n)
end)

-- Environments ----------------------------------------------------------------------------------

T.test("tables that change the environment while they get it [40 V2]", function ()
  system.setenv("COUTIL_TEST", "1")
  local n, target = 0, nil
  target = setmetatable({}, { __newindex = function (t, k, v)
    n = n + 1
    system.setenv("COUTIL_TEST", n % 2 == 0 and tostring(n) or nil)
    rawset(t, k, v)
    collectgarbage("step")
  end })
  T.eq(system.getenv(target), target)
  T.eq(target.COUTIL_TEST, "1") -- as it was when the call began
  local own = { "an error" }
  local ok, err = pcall(system.getenv, setmetatable({}, { __newindex = function () error(own) end }))
  T.eq(ok, false)
  T.eq(err, own)
  ok, err = pcall(system.unpackenv, system.packenv { A = 1 }, setmetatable({}, { __newindex = function () error(own) end }))
  T.eq(ok, false)
  T.eq(err, own)
  system.setenv("COUTIL_TEST", nil)
end)

-- Floods ----------------------------------------------------------------------------------------

T.test("a signal that is emitted as often as it is told does not keep a pass going [40 G11] [30 P6]", function ()
  local told = 0
  local co = T.start(function ()
    while awaitsig("userdef1") do
      told = told + 1
      P.emit("userdef1")
    end
  end)
  P.emit("userdef1")
  for i = 1, 5 do
    T.eq(run "step", true)
    T.eq(told, i)
  end
  T.resume(co, false)
  T.eq(run(), false)
end)

T.done()
