-- Finalizers, hooks and errors in the middle of what the loop does.

local T = require "testing"
local L = require "loop_testing"
local system = require "coutil.system"
local run, suspend = system.run, system.suspend

-- Calls `f` in a finalizer, at some allocation soon, and again and again until `stop` is called.
local function finalizers(f)
  local on = true
  local make
  local function collected()
    if not on then return end
    make()
    f()
  end
  function make()
    if newproxy then
      getmetatable(newproxy(true)).__gc = collected
    else
      setmetatable({}, { __gc = collected })
    end
  end
  make()
  local pause, step = 200, 100
  if _VERSION == "Lua 5.5" then
    collectgarbage("incremental")
    pause = collectgarbage("param", "pause", 0)
    step = collectgarbage("param", "stepmul", 100000)
  else
    if collectgarbage "count" and _VERSION == "Lua 5.4" then collectgarbage("incremental") end
    pause = collectgarbage("setpause", 0)
    step = collectgarbage("setstepmul", 1000)
  end
  return function ()
    on = false
    if _VERSION == "Lua 5.5" then
      collectgarbage("param", "pause", pause)
      collectgarbage("param", "stepmul", step)
    else
      collectgarbage("setpause", pause)
      collectgarbage("setstepmul", step)
    end
  end
end

-- A listener to which somebody is connecting.
local function expecting()
  local passive, address = L.listener()
  local client = assert(system.socket("stream", "ipv4"))
  T.start(function () client:connect(address) end)
  return passive, client
end

T.test("run inside what a close resumed comes to an end [20 8.7] [20 8.13]", function ()
  local passive = L.listener()
  local inner
  T.eq(T.collected(function (watch)
    local co = coroutine.create(function () passive:accept(); inner = run() end)
    watch(co)
    T.resume(co)
    passive:close()
  end), true)
  T.eq(inner, false)
  T.eq(run(), false)
end)

T.test("a wait that could not begin leaves nothing behind [00 1.4.3] [90 4.12]", function ()
  -- Below an iterator and a metamethod, where 5.1 cannot yield; elsewhere these wait.
  for _, f in ipairs {
    function () for _ in function () return suspend(.001) and nil end do end end,
    function () return setmetatable({}, { __index = function () return suspend() and nil end }).x end,
    function () return setmetatable({}, { __add = function () return suspend(.001) and 1 end }) + 1 end,
  } do
    coroutine.resume(coroutine.create(f))
  end
  T.eq(run(), false)
  -- Where the nesting of C calls, or the stack, has come to its end.
  local function deep(depth)
    if depth == 0 then return pcall(suspend, .001) end
    coroutine.resume(coroutine.create(deep), depth - 1)
  end
  for depth = 150, 230 do coroutine.resume(coroutine.create(deep), depth) end
  T.eq(run(), false)
end)

T.test_if(not jit, "its hooks are those of all coroutines", "a hook that fails while a wait begins leaves nothing behind [00 1.4.3]",
function ()
  local passive = L.listener()
  for count = 1, 30 do
    local co = coroutine.create(function () suspend(); passive:accept() end)
    local n = 0
    debug.sethook(co, function ()
      n = n + 1
      if n == count then error("hooked", 0) end
    end, "cr")
    coroutine.resume(co)
    run("ready")
    if coroutine.status(co) == "suspended" then
      debug.sethook(co)
      coroutine.resume(co)
      coroutine.resume(co)
    end
  end
  T.eq(run("ready"), false)
  passive:close()
  T.eq(run(), false)
  T.reports() -- the hook's, in coroutines that the loop resumed
end)

T.test_if(not jit, "its hooks are those of all coroutines", "a coroutine that dies as a wait begins is let go [30 A3]", function ()
  for count = 1, 30 do
    T.eq(T.collected(function (watch)
      local co = coroutine.create(function () suspend(.001) end)
      watch(co)
      local n = 0
      debug.sethook(co, function ()
        n = n + 1
        if n == count then error("hooked", 0) end
      end, "cr")
      coroutine.resume(co)
      T.eq(run(), false)
      T.eq(run(), false)
      T.reports() -- the hook's, in coroutines that the loop resumed
    end), true, count)
  end
end)

T.test("a hook that waits in another coroutine while a wait begins [00 1.3.4]", function ()
  local passive, client = expecting()
  for count = 1, 30 do
    local results, others = {}, 0
    local co = coroutine.create(function ()
      results[1] = suspend(.001)
      results[2] = suspend()
      results[3] = passive:accept()
    end)
    local n = 0
    debug.sethook(co, function ()
      n = n + 1
      if n == count then
        coroutine.resume(coroutine.create(function () suspend(.001); others = others + 1 end))
        coroutine.resume(coroutine.create(function () suspend(); others = others + 1 end))
      end
    end, "cr")
    T.resume(co)
    -- One more connection for each round.
    if count > 1 then
      client = assert(system.socket("stream", "ipv4"))
      T.start(function () client:connect(passive:getaddress()) end)
    end
    T.eq(run(), false)
    debug.sethook(co)
    T.eq(coroutine.status(co), "dead")
    T.eq(results[1], true)
    T.eq(results[2], true)
    T.eq(type(results[3]), "userdata")
    if n >= count then T.eq(others, 2) end
    results[3]:close()
    client:close()
  end
  passive:close()
end)

T.test("a finalizer that waits in another coroutine while a wait begins [00 1.3.4]", function ()
  local begun, ended = 0, 0
  local stop = finalizers(function ()
    begun = begun + 1
    coroutine.resume(coroutine.create(function () suspend(.0001); ended = ended + 1 end))
  end)
  local done = 0
  for i = 1, 20 do
    T.start(function ()
      for _ = 1, T.scale(50, 5) do T.eq(suspend(i % 2 == 0 and .0001 or 0), true) end
      done = done + 1
    end)
  end
  T.eq(run(), false)
  stop()
  T.eq(run(), false)
  T.eq(done, 20)
  T.eq(ended, begun)
end)

T.test("a finalizer that runs the loop while a wait begins [20 8.7]", function ()
  local runs = 0
  local stop = finalizers(function ()
    if not system.isrunning() then
      runs = runs + 1
      run("ready")
    end
  end)
  local done = 0
  for i = 1, T.scale(300, 30) do
    T.start(function () T.eq(suspend(i % 2 == 0 and .0001 or 0), true); done = done + 1 end)
  end
  stop()
  T.eq(run(), false)
  T.eq(done, T.scale(300, 30))
  T.eq(T.scale(runs, 1) > 0, true)
end)

T.test("an error of a finalizer during a delivery loses no connection [30 A5] [50 6.7.3]", function ()
  for i = 1, T.scale(40, 3) do
    local passive, client = expecting()
    local accepted
    local reader = T.start(function () accepted = passive:accept() end)
    local armed
    local stop = finalizers(function ()
      if armed then armed = false; error("from finalizer", 0) end
    end)
    -- Up to 5.3 and on LuaJIT the error comes out of whatever allocates.
    pcall(function () armed = true; for _ = 1, i do local _ = {} end; run("step") end)
    armed = false
    stop()
    T.eq(run(), false)
    T.eq(coroutine.status(reader), "dead")
    if #T.reports() == 0 then -- the finalizer may fail in that coroutine
      T.eq(type(accepted), "userdata")
      accepted:close()
    end
    T.eq(system.isrunning(), false)
    client:close()
    passive:close()
  end
end)

T.test("a finalizer that resumes who is about to get a connection [00 1.3.1] [00 1.3.5]", function ()
  for i = 1, T.scale(40, 3) do
    local passive, client = expecting()
    local got, later
    local co = coroutine.create(function () got = passive:accept(); later = T.pack(coroutine.yield()) end)
    T.resume(co)
    local armed = true
    local stop = finalizers(function ()
      if armed and coroutine.status(co) == "suspended" then
        armed = false
        coroutine.resume(co, "finalizer")
      end
    end)
    for _ = 1, i do local _ = {} end
    run("step")
    armed = false
    stop()
    run("ready")
    if got == "finalizer" then
      T.eq(later, nil) -- nobody resumes a plain yield
      local second
      T.start(function () second = passive:accept() end)
      T.eq(run(), false)
      T.eq(type(second), "userdata") -- and the connection is there for the next one
      second:close()
    elseif got then
      got:close()
    end
    client:close()
    passive:close()
    T.eq(run(), false)
  end
end)

T.test("a finalizer that fails in close loses no reader [50 5.1.2]", function ()
  for i = 1, T.scale(40, 3) do
    local passive = L.listener()
    local told
    T.start(function () told = T.pack(passive:accept()) end)
    local armed
    local stop = finalizers(function ()
      if armed then armed = false; error("from finalizer", 0) end
    end)
    local ok = pcall(function () armed = true; for _ = 1, i do local _ = {} end; passive:close() end)
    armed = false
    stop()
    if not ok and pcall(passive.getaddress, passive) then passive:close() end
    -- The reader may be what the finalizer fails in.
    if #T.reports() == 0 then T.same(told, { false, "closed" }) end
    T.eq(run(), false)
  end
end)

T.test_if(_VERSION == "Lua 5.5", "a coroutine cannot close itself", "a handler that closes its coroutine [90 2.2] [90 2.5]",
function ()
  local passive = L.listener()
  T.start(function () passive:accept(); error("boom", 0) end)
  system.onerror(function () coroutine.close(coroutine.running()) end)
  local closed
  T.start(function () suspend(); passive:close(); closed = true end)
  local inside = coroutine.create(function () return run() end)
  T.same(T.pack(coroutine.resume(inside)), { true, false })
  system.onerror(nil)
  T.eq(closed, true)
  T.eq(system.isrunning(), false)
  T.eq(run(), false)
end)

T.done()
