-- The order of zero-delay suspensions: some cases, and random programs against a model.

local T = require "testing"
local L = require "loop_testing"
local event = require "coutil.event"
local system = require "coutil.system"
local run, suspend = system.run, system.suspend
local put = table.insert

T.test("newest first, in every pass [30 S6] [20 8.10]", function ()
  local log = {}
  for i = 1, 3 do
    T.start(function () for _ = 1, 3 do suspend(); put(log, i) end end)
  end
  T.eq(run(), false)
  T.same(log, { 3, 2, 1, 3, 2, 1, 3, 2, 1 })
end)

T.test("one that could not suspend keeps its place [30 S6] [00 1.1.3]", function ()
  local log = {}
  for i = 1, 3 do
    T.start(function ()
      for _ = 1, 3 do
        suspend()
        table.sort({ 1, 2 }, function ()
          local ok, message = pcall(suspend)
          put(log, ok == false and message == "unable to yield" and i or message)
          return false
        end)
      end
    end)
  end
  T.eq(run(), false)
  local once = {}
  for i, id in ipairs(log) do
    -- How often the function is called is the version's business.
    if log[i - 1] ~= id then put(once, id) end
  end
  T.same(once, { 3, 2, 1, 3, 2, 1, 3, 2, 1 })
end)

T.test("who registers during a pass comes first in the next [30 S6]", function ()
  local log, a, b = {}, L.pair()
  T.start(function () L.take(b); suspend(); put(log, "read"); suspend(); put(log, "read") end)
  for i = 1, 2 do
    T.start(function ()
      for _ = 1, 3 do
        suspend()
        put(log, i)
        if #log == 2 then T.start(function () suspend(); put(log, "new") end) end
      end
    end)
  end
  L.send(a, "x") -- also a suspension: by the poll, of a coroutine that ends
  run("step")
  T.same(log, { 2, 1 })
  T.eq(run(), false)
  T.same(log, { 2, 1, "read", "new", 2, 1, "read", 2, 1 })
  a:close()
  b:close()
end)

-- Programs of coroutines: each is a list of steps, a step is a list of actions and how it ends.
local function program(random, count)
  local scripts = {}
  for id = 1, count do
    local steps = {}
    for i = 1, random(6) do
      local step = { ends = ({ "zero", "zero", "zero", "zero", "yield", "event", "zero" })[random(7)] }
      for j = 1, random(3) - 1 do
        local what = random(4)
        step[j] = what <= 2 and { "spawn" } or { "cancel", random(count) }
      end
      steps[i] = step
    end
    scripts[id] = steps
  end
  return scripts
end

-- Between two passes: resume who yielded, emit to who awaits the event, cancel one, spawn.
local function gaps(random, count, passes)
  local list = {}
  for pass = 1, passes do
    local gap = {}
    for i = 1, random(4) - 1 do gap[i] = { ({ "resume", "emit", "spawn" })[random(3)], random(count) } end
    if random(3) == 1 then put(gap, { "again", random(count) }) end
    list[pass] = gap
  end
  return list
end

-- List Z by its definition. Returns the order in which the coroutines were resumed.
local function model(scripts, list)
  local log, Z, waits, at, spawned, events, late = {}, {}, {}, {}, 0, {}, nil
  local function leave(id)
    for i, other in ipairs(Z) do if other == id then table.remove(Z, i) end end
    for i, other in ipairs(events) do if other == id then table.remove(events, i) end end
    if late == id then late = nil end
    waits[id] = nil
  end
  local step
  local function spawn()
    if spawned < #scripts then
      spawned = spawned + 1
      step(spawned)
    end
  end
  function step(id, placed)
    waits[id] = nil
    at[id] = (at[id] or 0) + 1
    put(log, id)
    local this = scripts[id][at[id]]
    if this then
      for _, act in ipairs(this) do
        if act[1] == "spawn" then spawn()
        elseif waits[act[2]] == "zero" then leave(act[2]); put(log, -act[2]) end
      end
      waits[id] = this.ends
      if this.ends == "zero" and not placed then table.insert(Z, 1, id) end
      if this.ends == "event" then put(events, id) end
    end
    if placed and waits[id] ~= "zero" then
      for i, other in ipairs(Z) do if other == id then table.remove(Z, i) end end
    end
  end
  for _, gap in ipairs(list) do
    for _, act in ipairs(gap) do
      local kind, id = act[1], act[2]
      if kind == "spawn" then spawn()
      elseif kind == "emit" then if events[1] then step(table.remove(events, 1)) end
      elseif kind == "resume" then if waits[id] == "yield" then step(id) end
      elseif waits[id] == "zero" and not late then
        leave(id)
        put(log, -id)
        late, waits[id] = id, "late"
      end
    end
    local old = Z
    Z = {}
    for _, id in ipairs(old) do
      if waits[id] == "zero" then
        put(Z, id)
        step(id, true)
      end
    end
    if late then
      waits[late] = "zero"
      table.insert(Z, 1, late)
      late = nil
    end
  end
  return log, #Z > 0
end

local function real(scripts, list, mode)
  local log, waits, cos, spawned, events, late = {}, {}, {}, 0, 0, nil
  local E = {}
  local function cancelled(id, got) -- true if it is to end
    if got == true then return end
    put(log, -id)
    if got == "again" then
      waits[id] = "late"
      return cancelled(id, suspend())
    end
    return true
  end
  local function spawn()
    if spawned == #scripts then return end
    spawned = spawned + 1
    local id = spawned
    cos[id] = T.create(function ()
      for _, this in ipairs(scripts[id]) do
        waits[id] = nil
        put(log, id)
        for _, act in ipairs(this) do
          if act[1] == "spawn" then spawn()
          elseif waits[act[2]] == "zero" then waits[act[2]] = nil; T.resume(cos[act[2]], "end") end
        end
        waits[id] = this.ends
        if this.ends == "yield" then coroutine.yield()
        elseif this.ends == "event" then events = events + 1; event.await(E); events = events - 1
        elseif cancelled(id, suspend()) then return end
      end
      waits[id] = nil
      put(log, id)
    end)
    T.resume(cos[id])
  end
  local left
  for _, gap in ipairs(list) do
    for _, act in ipairs(gap) do
      local kind, id = act[1], act[2]
      if kind == "spawn" then spawn()
      elseif kind == "emit" then event.emitone(E)
      elseif kind == "resume" then if waits[id] == "yield" then T.resume(cos[id]) end
      elseif waits[id] == "zero" and not late then
        late = id
        T.resume(cos[id], "again")
      end
    end
    left = run(mode)
    if late and waits[late] == "late" then waits[late] = "zero" end
    late = nil
  end
  return log, left
end

T.test("random programs give the order of the model [30 S6] [30 A6] [30 P3] [30 P7] [20 8.8]", function ()
  local seed = 12345
  local function random(n) -- the same numbers on every version
    seed = (seed * 16807) % 2147483647
    return math.floor(seed / 65536) % n + 1
  end
  for round = 1, T.scale(400, 20) do
    local count, passes = 3 + random(15), 2 + random(10)
    local scripts, list = program(random, count), gaps(random, count, passes)
    put(list[1], 1, { "spawn" })
    put(list[1], 1, { "spawn" })
    local want, left = model(scripts, list)
    local got, more = real(scripts, list, round % 2 == 0 and "step" or "ready")
    T.same(got, want, "round " .. round)
    T.eq(more, left, "round " .. round)
    while run("ready") do end
  end
end)

T.done()
