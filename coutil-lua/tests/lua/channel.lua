-- Channels: names, endpoints, sync, and which calls match.

local T = require "testing"
local L = require "loop_testing"
local H = require "threads_testing"
local channel = require "coutil.channel"
local system = require "coutil.system"
local create, getname, getnames, sync = channel.create, channel.getname, channel.getnames, channel.sync
local awaitch, run = system.awaitch, system.run
local pack = T.pack
local put = table.insert

local function close(...)
  for i = 1, select("#", ...) do T.returns({ true }, channel.close, (select(i, ...))) end
end

-- The keys of a table, sorted, in one string.
local function keys(t)
  local list = {}
  for key, value in pairs(t) do
    T.eq(value, true)
    put(list, key)
  end
  table.sort(list)
  return table.concat(list, ",")
end

-- The module ------------------------------------------------------------------------------------

H.test("the module and its objects [20 0.3] [20 0.4] [20 0.5]", function ()
  local names = {}
  for key, value in pairs(channel) do
    put(names, key)
    T.eq(type(value), "function")
    T.eq(debug.getinfo(value, "S").what, "C")
  end
  table.sort(names)
  T.eq(table.concat(names, " "), "close create getname getnames sync")
  T.eq(getmetatable(channel), nil)
  local ch = create "a"
  local mt = getmetatable(ch)
  T.eq(type(ch), "userdata")
  T.eq(mt.__name, "coutil:channel")
  T.eq(mt.__index, channel)
  T.eq(mt.__tostring, nil)
  T.eq(type(mt.__gc), "function")
  if T.has_tbc then T.eq(type(mt.__close), "function") end
  if T.number >= 5.3 then T.eq(tostring(ch):find("^coutil:channel: 0x%x+$"), 1) end
  -- An unknown key of any type.
  for _, key in ipairs { "x", 1, 1.5, true, print, function () end, {}, ch, io.stdout } do T.eq(ch[key], nil) end
  T.eq(ch[awaitch], nil)
  T.eq(ch.sync, sync)
  channel.added = function (self, x) return self, x end
  T.returns({ ch, 1 }, ch.added, ch, 1)
  channel.added = nil
  close(ch)
end)

-- Names -----------------------------------------------------------------------------------------

H.test("names are byte strings [20 5.4] [20 5.1]", function ()
  local names = { "", "\0", "\0\0", "\255", "a", "a\0", "a\0b", "a\0c", "A", " ", "é", ("x"):rep(6000), ("x"):rep(6000) .. "\0y" }
  local objects = {}
  for i, name in ipairs(names) do
    objects[i] = create(name)
    T.returns({ name }, getname, objects[i])
    T.returns({ name }, objects[i].getname, objects[i])
  end
  local existing, n = getnames(), 0
  for _ in pairs(existing) do n = n + 1 end
  T.eq(n, #names)
  for _, name in ipairs(names) do T.eq(existing[name], true) end
  -- Each is a channel of its own.
  for i, ch in ipairs(objects) do
    local w = T.waiter(awaitch, ch, "in")
    for j, other in ipairs(objects) do
      if j ~= i then T.returns({ false, "empty" }, sync, other, "out", "lost") end
    end
    local second = create(names[i])
    T.returns({ true }, sync, second, "out", i)
    T.eq(run(), false)
    T.same(w.got, { true, i })
    close(second)
  end
  close(T.unpack(objects))
end)

H.test("a number is converted, and the object is always new [20 5.1] [00 5.2.4]", function ()
  local a, b, c = create(12), create("12"), create(12)
  T.eq(a == b or b == c or a == c, false)
  T.eq(a:getname(), "12")
  T.eq(type(a:getname()), "string")
  T.returns({ "0.5" }, getname, create(.5))
  local w = T.waiter(awaitch, a, "in", 1)
  T.returns({ true, 1 }, sync, b, "out", 2)
  T.eq(run(), false)
  T.same(w.got, { true, 2 })
  T.eq(getnames()["12"], true)
  T.eq(getnames()[12], nil)
  close(a, b, c)
end)

H.test("getnames without a table, or with nil [20 5.1] [20 5.2]", function ()
  T.eq(keys(getnames()), "")
  T.eq(keys(getnames(nil)), "")
  local a, b, again = create "a", create "b", create "a"
  local first = getnames()
  T.eq(keys(first), "a,b")
  T.eq(keys(getnames(nil)), "a,b")
  T.eq(getnames() == first, false)
  T.eq(getmetatable(first), nil)
  close(a)
  T.eq(keys(first), "a,b") -- a snapshot
  T.eq(keys(getnames()), "a,b")
  close(again)
  T.eq(keys(getnames()), "b")
  close(b)
  T.eq(keys(getnames()), "")
  T.eq(select("#", getnames()), 1)
end)

H.test("getnames with a table: its string keys [20 5.2]", function ()
  local a, b = create "a", create "b"
  local object, flag = {}, true
  local t = { a = "any value", b = false, c = true, d = 1, [1] = "one", [2.5] = "float", [object] = "table", [flag] = "boolean" }
  local got = pack(getnames(t))
  T.eq(got.n, 1)
  T.eq(got[1], t)
  T.eq(t.a, true)
  T.eq(t.b, true)
  T.eq(t.c, nil)
  T.eq(t.d, nil)
  T.eq(t[1], "one")
  T.eq(t[2.5], "float")
  T.eq(t[object], "table")
  T.eq(t[flag], "boolean")
  local empty = {}
  T.returns({ empty }, getnames, empty)
  T.eq(next(empty), nil)
  close(a)
  T.eq(getnames(t).a, nil)
  T.eq(t.b, true)
  close(b)
  T.eq(getnames(t).b, nil)
  T.eq(t[1], "one")
end)

H.test("getnames accesses the table raw, and many keys [20 5.2]", function ()
  local a = create "name 7"
  local t = setmetatable({ ["name 7"] = 1, x = 1 }, { __index = error, __newindex = error, __pairs = error, __len = error })
  T.returns({ t }, getnames, t)
  T.eq(rawget(t, "name 7"), true)
  T.eq(rawget(t, "x"), nil)
  local many = {}
  for i = 1, T.scale(3000, 100) do many["name " .. i] = i end
  for i = 1, 50 do many[i] = i end
  getnames(many)
  local n = 0
  for key, value in pairs(many) do
    if type(key) == "string" then T.eq(key, "name 7"); T.eq(value, true) else T.eq(value, key) end
    n = n + 1
  end
  T.eq(n, 51)
  close(a)
end)

H.test("a name exists while an object is open, or somebody waits [20 5.2] [20 5.3]", function ()
  local a, b = create "x", create "x"
  close(a)
  T.eq(getnames().x, true)
  close(b)
  T.eq(getnames().x, nil)
  local ch = create "x"
  local w = T.waiter(awaitch, ch)
  T.eq(getnames().x, true)
  T.raises("in use", channel.close, ch)
  T.resume(w.co)
  T.eq(getnames().x, true)
  close(ch)
  T.eq(next(getnames()), nil)
end)

T.test("one collection closes every unreachable channel [20 5.3]", function ()
  T.scope(function ()
    for i = 1, T.scale(500, 20) do create("garbage " .. i) end
    for i = 1, 5 do create("garbage " .. i) end
  end)
  T.scrub()
  collectgarbage()
  T.eq(next(getnames()), nil)
end)

T.test("a channel that is waited on is not collected, and is afterwards [20 5.3] [20 8.13] [00 1.6.1]", function ()
  local w
  T.eq(L.swept(function (watch)
    w = T.waiter(function ()
      local ch = watch(create "kept")
      return awaitch(ch, "in")
    end)
    watch(w.co)
    T.gc()
    T.eq(getnames().kept, true)
    local other = create "kept"
    T.eq(other:sync("out", "found"), true)
    other:close()
    T.eq(run(), false)
    T.same(w.got, { true, "found" })
    w = nil
  end), true)
  T.eq(next(getnames()), nil)
end)

-- Matching --------------------------------------------------------------------------------------

-- The table of the contract: [waiting][arriving].
local matches = {
  ["in"] = { ["in"] = false, out = true, any = true },
  out = { ["in"] = true, out = false, any = true },
  any = { ["in"] = true, out = true, any = true },
}
local endpoints = { "in", "out", "any" }

H.test("which endpoints match: sync [20 5.8] [20 5.10]", function ()
  for _, one in ipairs { false, true } do -- one object or two
    for _, waiting in ipairs(endpoints) do
      for _, arriving in ipairs(endpoints) do
        for _, absent in ipairs { false, true } do
          local a = create "x"
          local b = one and a or create "x"
          local w = T.waiter(awaitch, a, (not absent or waiting ~= "any") and waiting or nil, "waiting")
          T.eq(w.got, nil)
          local endpoint = (not absent or arriving ~= "any") and arriving or nil
          if matches[waiting][arriving] then
            T.returns({ true, "waiting" }, sync, b, endpoint, "arriving")
            T.eq(w.got, nil) -- never inside the matching call
            T.returns({ false, "empty" }, sync, b, endpoint, "late")
            T.eq(run(), false)
            T.same(w.got, { true, "arriving" })
          else
            T.returns({ false, "empty" }, sync, b, endpoint, "arriving")
            T.eq(run("ready"), true)
            T.eq(w.got, nil)
            T.resume(w.co)
          end
          close(a)
          if not one then close(b) end
        end
      end
    end
  end
end)

H.test("which endpoints match: awaitch [20 5.8] [20 5.6] [20 10.16]", function ()
  for _, waiting in ipairs(endpoints) do
    for _, arriving in ipairs(endpoints) do
      local a, b = create "x", create "x"
      local w = T.waiter(awaitch, a, waiting, "waiting", nil)
      local v = T.waiter(awaitch, b, arriving, nil, "arriving", nil)
      if matches[waiting][arriving] then
        T.same(v.got, pack(true, "waiting", nil)) -- at once, without yielding
        T.eq(coroutine.status(v.co), "dead")
        T.eq(w.got, nil)
        T.eq(run(), false)
        T.same(w.got, pack(true, nil, "arriving", nil))
      else
        T.eq(v.got, nil)
        T.eq(run("ready"), true)
        -- Both wait on the same endpoint: the oldest first.
        local opposite = waiting == "in" and "out" or "in"
        T.returns(pack(true, "waiting", nil), sync, a, opposite, 1)
        T.returns(pack(true, nil, "arriving", nil), sync, a, opposite, 2)
        T.returns({ false, "empty" }, sync, a, opposite, 3)
        T.eq(run(), false)
        T.same(w.got, { true, 1 })
        T.same(v.got, { true, 2 })
      end
      close(a, b)
    end
  end
end)

H.test("nothing is queued by sync [20 5.3] [20 5.6]", function ()
  local ch = create "x"
  for _, endpoint in ipairs { "in", "out", "any" } do
    for _ = 1, 3 do T.returns({ false, "empty" }, sync, ch, endpoint, 1, nil) end
  end
  T.returns({ false, "empty" }, sync, ch)
  T.returns({ false, "empty" }, sync, ch, nil)
  T.returns({ false, "empty" }, sync, ch, nil, 1)
  close(ch)
end)

H.test("sync can be called anywhere, and never yields [20 5.1] [20 5.2]", function ()
  local a, b = create "x", create "x"
  local calls = {
    function () return b:sync("out", "v") end,
    function () return T.inside(sync, b, "out", "v") end,
    function ()
      local got
      string.gsub("x", "x", function () got = pack(b:sync("out", "v")) end)
      return T.unpack(got, 1, got.n)
    end,
    function ()
      return L.await(function ()
        system.suspend()
        return b:sync("out", "v")
      end)
    end,
  }
  for i, call in ipairs(calls) do
    local w = T.waiter(awaitch, a, "in", "w" .. i)
    T.returns({ true, "w" .. i }, call)
    T.eq(run(), false)
    T.same(w.got, { true, "v" })
    T.returns({ false, "empty" }, call)
  end
  close(a, b)
end)

H.test("first come, first served [20 5.8] [20 5.6]", function ()
  for _, endpoint in ipairs { "in", "out" } do
    local opposite = endpoint == "in" and "out" or "in"
    local objects, waiters, order = {}, {}, {}
    for i = 1, 20 do
      objects[i] = create "x"
      waiters[i] = T.waiter(function ()
        local got = pack(awaitch(objects[i], endpoint, "party " .. i))
        put(order, i)
        return T.unpack(got, 1, got.n)
      end)
    end
    -- Three leave; the others keep their order.
    for _, i in ipairs { 1, 10, 20 } do T.resume(waiters[i].co) end
    order = {}
    local ch = create "x"
    for i = 2, 19 do
      if i ~= 10 then T.returns({ true, "party " .. i }, sync, ch, i % 2 == 0 and opposite or nil, "for " .. i) end
    end
    T.returns({ false, "empty" }, sync, ch, opposite)
    T.eq(run(), false)
    T.eq(#order, 17)
    for i = 2, 19 do if i ~= 10 then T.same(waiters[i].got, { true, "for " .. i }) end end
    close(ch, T.unpack(objects))
  end
end)

H.test("producers and consumers on one endpoint each [20 10.16]", function ()
  local pairs_of = { { "in", "out" }, { "out", "in" }, { "in" }, { "out" } }
  for _, endpoint in ipairs(pairs_of) do
    local objects, producers, sum = {}, {}, 0
    for i = 1, 5 do
      objects[i] = create "x"
      T.returns({ false, "empty" }, sync, objects[i], endpoint[1]) -- only equal endpoints wait
      producers[i] = T.waiter(awaitch, objects[i], endpoint[1], i)
    end
    for i = 1, 5 do
      local ch = create "x"
      T.start(function ()
        local ok, value = awaitch(ch, endpoint[2], -i)
        T.eq(ok, true)
        sum = sum + value
      end)
      put(objects, ch)
    end
    T.eq(sum, 15) -- all matched at once
    T.eq(run(), false)
    for i = 1, 5 do T.same(producers[i].got, { true, -i }) end
    close(T.unpack(objects))
  end
end)

H.test("the example of the contract [20 5.10] [20 5.9]", function ()
  local a, b = create "n", create "n"
  local w = T.waiter(awaitch, a, "in", 1, nil)
  T.returns({ false, "empty" }, b.sync, b, "in")
  T.same(pack(pcall(b.sync, b, "out", {})), { false, "unable to transfer argument #3 (got table)" })
  T.returns(pack(true, 1, nil), b.sync, b, "out", "x")
  T.returns({ false, "empty" }, b.sync, b, "out", "y")
  T.raises("in use", a.close, a)
  T.eq(run(), false)
  T.same(w.got, { true, "x" })
  T.returns({ true }, a.close, a)
  T.returns({ false }, a.close, a)
  close(b)
end)

H.test("many channels at once [20 5.1]", function ()
  local n, list, done = T.scale(1000, 30), {}, 0
  for i = 1, n do
    local ch = create("many " .. i)
    list[i] = ch
    T.start(function ()
      local ok, value = awaitch(ch, "in", -i)
      T.eq(ok, true)
      T.eq(value, i)
      done = done + 1
    end)
  end
  for i = n, 1, -1 do
    local other = create("many " .. i)
    T.returns({ true, -i }, sync, other, "out", i)
    close(other)
  end
  T.eq(done, 0)
  T.eq(run(), false)
  T.eq(done, n)
  for i = 1, n do close(list[i]) end
end)

T.done()
