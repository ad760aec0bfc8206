-- system.resume: runs of state coroutines, their results, and what abandons them.

local T = require "testing"
local L = require "loop_testing"
local C = require "cancel_testing"
local H = require "threads_testing"
local channel = require "coutil.channel"
local states = require "coutil.coroutine"
local system = require "coutil.system"
local resume, run, suspend = system.resume, system.run, system.suspend
local status, close = states.status, states.close
local pack = T.pack
local put = table.insert

-- The number of threads for runs.
local limit = math.max(1, math.min(1024, tonumber(os.getenv "UV_THREADPOOL_SIZE" or "") or 4))

-- Runs until the flag is lowered, and gives back its value; for ever.
local endless = [[
  local name, value = ...
  while true do
    while name and flagged(name) do system.suspend(.0005, "~") end
    name, value = yield(value)
  end ]]

-- The sequences that every await function goes through ------------------------------------------

C.sequences({
  { "resume", function (watch)
    local list = {}
    for i = 1, 2 do
      local co = watch(H.load(endless))
      local name, flag = H.flag()
      list[i] = { object = co, await = function () return resume(co, name, "value") end,
        trigger = function () flag:close() end,
        check = function (got) T.same(got, { true, "value" }) end,
        leftover = function () -- withdrawn, or over
          T.eq(status(co), "suspended")
          T.returns({ true, "again" }, H.resume, co, nil, "again")
        end }
    end
    return list
  end },
}, "ipv4")

-- Results ---------------------------------------------------------------------------------------

H.test("arguments and results, first and later [20 4.8] [20 4.7]", function ()
  local co = assert(states.load [[
    local yield = require "coroutine".yield
    local a, b = ...
    local c, d = yield(b, a)
    local e = yield(d, nil, c, nil)
    yield()
    return "end", e, nil ]])
  T.returns({ true, "b", "a" }, H.resume, co, "a", "b")
  T.returns(pack(true, "d", nil, "c", nil), H.resume, co, "c", "d", "ignored")
  T.returns({ true }, H.resume, co, "e")
  T.eq(status(co), "suspended")
  T.returns(pack(true, "end", "e", nil), H.resume, co)
  T.eq(status(co), "dead")
  T.eq(close(co), true)
end)

H.test("the caller yields no values, and comes back by run only [20 4.7] [20 8.19.2] [20 8.19.3] [00 1.2.2]", function ()
  local co = assert(states.load "return 1")
  local got
  local caller = T.create(function () got = pack(resume(co)) end)
  T.returns({ true }, coroutine.resume, caller)
  T.eq(status(co), "running")
  T.eq(got, nil)
  T.eq(run(), false)
  T.same(got, { true, 1 })
  T.eq(close(co), true)
end)

H.test("it runs in parallel with its caller's state [20 4.7] [20 10.17]", function ()
  local name, flag = H.flag()
  local co = H.load [[
    local name = ...
    kept = channel.create(name .. " runs")
    while flagged(name) do end
    return "end" ]]
  local w = T.waiter(resume, co, name)
  H.wait(function () return channel.getnames()[name .. " runs"] end, "the run") -- nobody runs the loop here
  system.suspend(.01, "~")
  flag:close()
  T.eq(w.got, nil)
  T.eq(run(), false)
  T.same(w.got, { true, "end" })
  T.eq(close(co), true)
end)

H.test("an error: false and the value, with its type [20 4.9] [20 0.2] [20 9.8]", function ()
  for _, case in ipairs { { "true", true }, { "false", false }, { "12", 12 }, { "'text'", "text" }, { "'a\\0b'", "a\0b" } } do
    local co = assert(states.load("require '_G' error(" .. case[1] .. ", 0)"))
    T.returns({ false, case[2] }, H.resume, co)
    T.eq(status(co), "dead")
    close(co)
  end
  local co = assert(states.load("require '_G'\nerror 'Oops!'", "@chunk.lua"))
  T.returns({ false, "chunk.lua:2: Oops!" }, H.resume, co) -- no traceback
  close(co)
  co = assert(states.load "require '_G' error(nil)")
  local got = pack(H.resume(co))
  T.eq(got.n, 2)
  T.eq(got[1], false)
  if T.number < 5.5 then T.eq(got[2], nil) end
  close(co)
  co = assert(states.load("local x\nx()", "=chunk"))
  got = pack(H.resume(co))
  T.eq(got[2]:find("chunk:2: attempt to call", 1, true), 1)
  close(co)
  T.eq(#T.reports(), 0)
end)

H.test("any coroutine may resume it next [20 4.11] [20 4.12]", function ()
  local co = H.load [[ local n = 0 while true do n = n + 1 yield(n, ...) end ]]
  local log = {}
  for i = 1, 3 do
    T.start(function ()
      for _ = 1, 3 do
        local got
        repeat
          got = pack(resume(co))
          if not got[1] then
            T.eq(got[2], "cannot resume running coroutine")
            suspend()
          end
        until got[1]
        put(log, got[2])
      end
    end)
  end
  T.eq(run(), false)
  T.same(log, { 1, 2, 3, 4, 5, 6, 7, 8, 9 })
  T.eq(close(co), true)
end)

H.test("another coroutine resumes it inside of the one just woken [20 4.11]", function ()
  local co = assert(states.load "local yield = require 'coroutine'.yield yield(1) yield(2) return 3")
  local log = {}
  T.start(function ()
    put(log, select(2, resume(co)))
    T.start(function ()
      put(log, select(2, resume(co)))
      T.start(function () put(log, select(2, resume(co))) end)
      T.eq(status(co), "running")
    end)
    T.eq(status(co), "running")
  end)
  T.eq(run(), false)
  T.same(log, { 1, 2, 3 })
  T.eq(close(co), true)
end)

H.test("again and again in one coroutine, on two state coroutines [20 4.12] [20 0.8] [20 8.19.5]", function ()
  local n, sum = T.scale(2000, 10), 0
  local text = "local yield = require 'coroutine'.yield local v = ... while true do v = yield(v) end"
  local a, b = assert(states.load(text)), assert(states.load(text))
  T.start(function ()
    for i = 1, n do
      local ok, value = resume(i % 3 == 0 and a or b, i)
      if ok ~= true or value ~= i then error("got " .. tostring(value)) end
      sum = sum + 1
    end
  end)
  T.eq(run(), false)
  T.eq(sum, n)
  T.eq(close(a), true)
  T.eq(close(b), true)
end)

H.test("a completion in a step is not followed by the next in it [20 4.12] [20 8.11] [20 8.5]", function ()
  local co = assert(states.load "local yield = require 'coroutine'.yield for i = 1, 5 do yield(i) end")
  local count = 0
  T.start(function ()
    for _ = 1, 5 do
      T.eq(resume(co), true)
      count = count + 1
    end
  end)
  for i = 1, 5 do
    local steps = 0
    while count < i do
      T.eq(count, i - 1)
      run "step"
      steps = steps + 1
      if count > i then error "two completions in one step" end
    end
    T.eq(status(co), i < 5 and "running" or "suspended")
  end
  T.eq(run(), false)
  T.eq(close(co), true)
end)

H.test("an error after the result concerns only that coroutine [20 4.13] [20 8.14] [20 9.8]", function ()
  local co = assert(states.load "require 'coroutine'.yield() return 'end'")
  T.start(function () resume(co); error({}) end)
  T.eq(run(), false)
  T.eq(#T.reports(), 1)
  T.eq(status(co), "suspended")
  T.returns({ true, "end" }, H.resume, co)
  T.eq(close(co), true)
end)

H.test("a plain yield after the result [20 9.5] [20 8.12]", function ()
  local co = assert(states.load "return 1")
  local at
  local caller = T.start(function () at = select(2, resume(co)); coroutine.yield(); at = "resumed" end)
  T.eq(run(), false)
  T.eq(at, 1)
  T.eq(coroutine.status(caller), "suspended")
  T.eq(close(co), true)
end)

-- Abandoned runs --------------------------------------------------------------------------------

-- A state coroutine in execution: it says so by the second name.
local reporting = [[
  local name, n = ..., 0
  while true do
    n = n + 1
    local runs = channel.create(name .. " runs")
    while flagged(name) do system.suspend(.0005, "~") end
    runs:close()
    name = yield("result " .. n)
  end ]]

local function in_execution(name) H.wait(function () return channel.getnames()[name .. " runs"] end, "the run") end

H.test("abandoned while it is executed: it goes on, and its results are lost [20 4.10] [20 8.20.2] [00 1.3.3] [20 9.9]", function ()
  local co = H.load(reporting)
  local name, flag = H.flag()
  local w = T.waiter(resume, co, name)
  in_execution(name)
  T.resume(w.co, true, nil, 3)
  T.same(w.got, pack(true, nil, 3))
  T.eq(status(co), "running")
  T.returns({ false, "cannot resume running coroutine" }, T.inside, resume, co)
  T.eq(run("ready"), true) -- it cannot be withdrawn
  T.eq(status(co), "running")
  flag:close()
  T.eq(status(co), "running")
  T.eq(run(), false) -- not before its end
  T.eq(status(co), "suspended")
  T.same(w.got, pack(true, nil, 3))
  T.returns({ true, "result 2" }, H.resume, co, "x")
  T.eq(close(co), true)
end)

H.test("abandoned, and refused to all until its end is processed [20 9.9] [20 4.2] [20 4.10]", function ()
  local co = assert(states.load "local yield = require 'coroutine'.yield yield(1) yield(2) yield(3)")
  local got, refused
  local caller = T.create(function ()
    T.same(pack(resume(co)), { "abandoned" })
    refused = pack(resume(co))
    T.start(function () T.same(pack(resume(co)), refused) end)
    while status(co) == "running" do suspend() end
    T.eq(status(co), "suspended")
    got = pack(resume(co))
  end)
  T.resume(caller)
  T.resume(caller, "abandoned")
  T.same(refused, { false, "cannot resume running coroutine" })
  T.eq(run(), false)
  T.eq(got[1], true)
  T.eq(got[2] == 1 or got[2] == 2, true) -- as the run had started or not
  T.eq(close(co), true)
end)

H.test("abandoned runs that fail, or give what cannot cross [20 4.10] [20 8.20.2] [20 3.4]", function ()
  for _, ending in ipairs { "error({})", "error('lost')", "return {}", "return 'lost'", "do yield({}) return 'second' end" } do
    local co = H.load([[
      local name = ...
      local runs = channel.create(name .. " runs")
      while flagged(name) do system.suspend(.0005, "~") end
      runs:close() ]] .. ending)
    local name, flag = H.flag()
    local w = T.waiter(resume, co, name)
    in_execution(name)
    T.resume(w.co, "abandoned")
    flag:close()
    T.eq(run(), false)
    T.same(w.got, { "abandoned" })
    if ending:find "yield" then
      T.eq(status(co), "suspended")
      T.returns({ true, "second" }, H.resume, co)
      T.returns({ true }, close, co)
    else
      T.eq(status(co), "dead")
      T.returns({ false, "cannot resume dead coroutine" }, resume, co)
      T.eq(pack(close(co))[1], not ending:find "error")
      T.returns({ true }, close, co)
    end
  end
  T.eq(#T.reports(), 0)
end)

H.test("withdrawn while it waits for a thread: it keeps its point [20 4.10] [20 4.14] [00 1.3.3] [20 9.4] [90 1.7]", function ()
  -- More runs at once than there can be threads; every one is abandoned before they get on.
  local name, flag = H.flag()
  local n = 12
  local cos, waiters = {}, {}
  for i = 1, n do
    cos[i] = H.load [[
      local name, i = ...
      while flagged(name) do system.suspend(.0005, "~") end
      yield("first", i)
      return "second" ]]
    waiters[i] = T.waiter(resume, cos[i], name, i)
    T.eq(status(cos[i]), "running")
  end
  for i = 1, n do T.resume(waiters[i].co, "abandoned") end
  for i = 1, n do T.eq(status(cos[i]), "running") end
  flag:close()
  T.eq(run(), false)
  local started = 0
  for i = 1, n do
    T.eq(status(cos[i]), "suspended")
    local got = pack(H.resume(cos[i], name, -i))
    if got[2] == "second" then
      started = started + 1
      T.same(got, { true, "second" })
    else
      T.same(got, { true, "first", -i })
    end
    T.eq(close(cos[i]), true)
  end
  T.eq(started <= limit, true)
end)

-- Threads ---------------------------------------------------------------------------------------

H.test("four can block at once, and more wait for a thread [20 4.14] [90 1.7]", function ()
  if limit < 4 then return T.skip("four at once", "fewer threads by the environment") end
  local name, done = H.name(), {}
  local cos = {}
  for i = 1, 4 do
    cos[i] = H.load [[
      local name, i = ...
      local ch = channel.create(name .. i)
      start(system.awaitch, ch, "in")
      while system.run "step" do end
      ch:close()
      return i ]]
    T.start(function () put(done, select(2, resume(cos[i], name, i))) end)
  end
  for i = 4, 1, -1 do H.release(name .. i) end -- all four came as far as this
  T.eq(run(), false)
  table.sort(done)
  T.same(done, { 1, 2, 3, 4 })
  for i = 1, 4 do T.eq(close(cos[i]), true) end
end)

H.test("many runs are all executed [20 4.14] [20 4.7]", function ()
  local n, sum, cos = T.scale(100, 10), 0, {}
  for i = 1, n do
    cos[i] = assert(states.load "return ...")
    T.start(function ()
      local _, value = resume(cos[i], i)
      sum = sum + value
    end)
  end
  for i = 1, n do T.eq(status(cos[i]), "running") end
  T.eq(run(), false)
  T.eq(sum, n * (n + 1) / 2)
  for i = 1, n do T.eq(close(cos[i]), true) end
end)

T.test_child("runs wait for a thread in the order of the calls [20 4.14] [90 1.7]", function ()
  local program = H.program [[
    local channel, states, system = require "coutil.channel", require "coutil.coroutine", require "coutil.system"
    local cos, seen = {}, {}
    for i = 1, 10 do
      cos[i] = assert(states.load [=[
        require "_G"
        local channel, n = require "coutil.channel", 0
        for _ in pairs(channel.getnames()) do n = n + 1 end
        kept = channel.create("run " .. ...)
        return n ]=])
      coroutine.wrap(function () seen[i] = select(2, system.resume(cos[i], i)) end)()
    end
    assert(system.run() == false)
    io.write(table.concat(seen, " ")) ]]
  for _, size in ipairs { "1", "0" } do
    local pipe = assert(io.popen(("UV_THREADPOOL_SIZE=%s '%s' '%s' 2>&1"):format(size, T.interpreter(), program)))
    local out = pipe:read "*a"
    pipe:close()
    T.eq(out, "0 1 2 3 4 5 6 7 8 9", "with " .. size)
  end
  os.remove(program)
end)

H.test("C functions of the state keep their place over yields [20 0.9]", function ()
  -- pcall and a metamethod yield with a continuation where the version has it.
  local co = H.load [[
    local function three()
      local list = {}
      for i = 1, 3 do list[i] = yield("yield " .. i, nil) end
      return unpack(list, 1, 3)
    end
    if (...) == "across" then return select("#", pcall(three)), pcall(three) end
    return 4, true, three() ]]
  local across = T.yield_across_pcall
  T.returns(pack(true, "yield 1", nil), H.resume, co, across and "across" or "plain")
  T.returns(pack(true, "yield 2", nil), H.resume, co, "a")
  T.returns(pack(true, "yield 3", nil), H.resume, co, "b")
  if across then
    T.returns(pack(true, "yield 1", nil), H.resume, co, "c")
    for i = 2, 3 do T.returns(pack(true, "yield " .. i, nil), H.resume, co, ("abc"):sub(i - 1, i - 1)) end
  end
  T.returns({ true, 4, true, "a", "b", "c" }, H.resume, co, "c")
  T.eq(close(co), true)
end)

H.test("garbage after one collection [20 8.13] [00 1.6.1]", function ()
  T.eq(L.swept(function (watch)
    for _, ending in ipairs { "end", "yield", "error" } do
      local co = watch(assert(states.load "return"))
      watch(T.start(function ()
        resume(co)
        if ending == "yield" then coroutine.yield() end
        if ending == "error" then error("expected", 0) end
      end))
    end
    T.eq(run(), false)
    T.eq(#T.reports(), 1) -- which holds the coroutine
  end), true)
end)

H.test_if(T.has_close, "no coroutine.close", "closing the coroutine that waits [00 1.7.1] [90 1.3]", function ()
  local co = H.load(reporting)
  local name, flag = H.flag()
  local w = T.waiter(resume, co, name)
  in_execution(name)
  T.eq(coroutine.close(w.co), true)
  T.eq(status(co), "running")
  flag:close()
  T.eq(run(), false)
  T.eq(w.got, nil)
  T.eq(status(co), "suspended")
  T.returns({ true, "result 2" }, H.resume, co, "x")
  T.eq(close(co), true)
end)

T.done()
