-- The modules as such: their fields, names, and what loading them changes.

local T = require "testing"
local put = table.insert

-- Every module of this stage, with its fields.
local fields = {
  ["coutil.event"] = "await awaitall awaitany emitall emitone pending version",
  ["coutil.queued"] = "await awaitall awaitany emitall emitone isqueued pending queued version",
  ["coutil.mutex"] = "islocked lock ownlock unlock version",
  ["coutil.promise"] = "awaitall awaitany create onlypending pickready version",
  ["coutil.spawn"] = "catch trap",
}

local names = {}
for name in pairs(fields) do put(names, name) end
table.sort(names)

for _, name in ipairs(names) do
  T.test(name .. " has these fields", function () -- 00 11
    local module = require(name)
    T.eq(type(module), "table")
    T.eq(package.loaded[name], module)
    T.eq(require(name), module)
    local keys = {}
    for key, value in pairs(module) do
      put(keys, key)
      T.eq(type(value), key == "version" and "string" or "function", key)
    end
    table.sort(keys)
    T.eq(table.concat(keys, " "), fields[name])
    T.eq(getmetatable(module), nil)
  end)

  T.test(name .. " has its version [00 11.2]", function ()
    T.eq(require(name).version, name ~= "coutil.spawn" and "1.0 alpha" or nil)
  end)

  T.test(name .. " has functions of the right kind [90 4.10]", function () -- 00 5.2.1
    for key, value in pairs(require(name)) do
      if type(value) == "function" then
        local what = debug.getinfo(value, "S").what
        local await = key:find("^await") or key == "lock"
        if name == "coutil.spawn" then
          T.eq(what, "Lua", key)
        elseif T.continuations then
          T.eq(what, "C", key)
        else
          T.eq(what, await and "Lua" or "C", key)
        end
      end
    end
  end)
end

T.test("promise and fulfill are functions [90 4.10]", function ()
  local p, fulfill = require("coutil.promise").create()
  T.eq(debug.getinfo(p, "S").what, T.continuations and "C" or "Lua")
  T.eq(type(fulfill), "function")
end)

T.test("two names for one function, and one function in two modules [00 11.1]", function ()
  local event, queued = require "coutil.event", require "coutil.queued"
  T.eq(queued.queued, queued.isqueued)
  T.eq(queued.pending, event.pending) -- 10 2.3
  for _, key in ipairs { "await", "awaitall", "awaitany", "emitall", "emitone" } do
    T.eq(queued[key] == event[key], false, key)
  end
end)

T.test("all modules share one registry of waiters [00 11.5]", function ()
  local event, queued = require "coutil.event", require "coutil.queued"
  local mutex, promise = require "coutil.mutex", require "coutil.promise"
  local e, log = {}, {}
  mutex.lock(e)
  local p = promise.create()
  T.start(function () queued.await(e); put(log, "queued") end)
  T.start(function () event.awaitany(p, e); put(log, "event") end)
  T.start(function () mutex.lock(e); put(log, "mutex") end)
  T.start(function () promise.awaitany(p); put(log, "promise") end)
  T.eq(event.pending(e) and queued.pending(p), true)
  T.eq(event.emitall(e), true)
  T.same(log, { "queued", "event" })
  T.eq(queued.emitone(p), true)
  T.same(log, { "queued", "event", "promise" })
  T.eq(mutex.unlock(e), true)
  T.same(log, { "queued", "event", "promise", "mutex" })
end)

T.test("a module changed by its user stays changed, and the others work", function ()
  local event, queued = require "coutil.event", require "coutil.queued"
  local mutex, promise = require "coutil.mutex", require "coutil.promise"
  local saved = {}
  for key, value in pairs(event) do saved[key] = value end
  for key in pairs(saved) do event[key] = nil end
  local p, fulfill = promise.create()
  local w, v = T.waiter(p), T.waiter(queued.await, "changed")
  local ok = fulfill("x") and queued.emitall("changed") and not mutex.islocked(p)
  for key, value in pairs(saved) do event[key] = value end
  T.eq(ok, true)
  T.same(w.got, { "x" })
  T.same(v.got, { "changed" })
end)

-- In interpreters of their own ------------------------------------------------------------------

for _, name in ipairs(names) do
  T.test_child(name .. " loads alone and works, with standard functions removed [00 11.4]", function ()
    local out, status = T.child(([[
      local module = require %q
      assert(require %q == module)
      local wrap, print, next, error, _G = coroutine.wrap, print, next, error, _G
      for _, t in next, { coroutine, table, string, debug } do
        for key in next, t do t[key] = nil end
      end
      for key in next, _G do
        if key ~= "tostring" then _G[key] = nil end -- which `print` of 5.1 calls
      end
      if module.await then
        wrap(function () print(module.await("e")) end)()
        print(module.emitall("e", 1))
      elseif module.lock then
        module.lock("e")
        wrap(function () module.lock("e"); print(module.unlock("e")) end)()
        print(module.unlock("e"))
      elseif module.create then
        local p, fulfill = module.create()
        wrap(function () print(p(), module.awaitany(p) == p) end)()
        print(fulfill("x"), module.awaitany(p) == p)
      else
        module.catch(function (e) print(e[1]) end, error, { "caught" })
        module.trap(function (ok, e) print(ok, e[1]) end, error, { "trapped" })
      end]]):format(name, name))
    T.eq(status, 0, out)
    T.eq(out, (({ event = "e\t1\ntrue\n", queued = "e\t1\ntrue\n", mutex = "false\ntrue\n",
      promise = "x\ttrue\ntrue\ttrue\n", spawn = "caught\nfalse\ttrapped\n" })[name:match("%.(.*)")]))
  end)

  T.test_child(name .. " sets no global and changes no library [00 11.4] [90 3.3]", function ()
    local out, status = T.child(([[
      local function snapshot()
        local seen, list = {}, {}
        local function add(path, value)
          list[path] = value
          if type(value) ~= "table" or seen[value] then return end
          seen[value] = true
          for key, v in pairs(value) do
            if value ~= package.loaded or not tostring(key):find("^coutil") then
              add(path .. "." .. tostring(key), v)
            end
          end
        end
        add("_G", _G)
        add("string", getmetatable(""))
        for i, v in pairs { io.stdout, print, coroutine.create(print or function () end), 1, true } do
          list["metatable " .. type(v)] = debug.getmetatable(v)
        end
        list["nil"] = debug.getmetatable(nil)
        return list
      end
      if package.loaded.jit then require "jit.opt" end
      local create = coroutine.create
      coroutine.create = function () return create(function () end) end
      local before = snapshot()
      require %q
      local after = snapshot()
      for path, v in pairs(after) do if before[path] ~= v and path ~= "metatable thread" then print("set", path) end end
      for path, v in pairs(before) do if after[path] == nil then print("lost", path) end end
      print "end"]]):format(name))
    T.eq(out, "end\n")
    T.eq(status, 0)
  end)
end

local proc = io.open("/proc/self/status")
if proc then proc:close() end

for _, name in ipairs(names) do
  local title = name .. " starts no thread and opens no descriptor [90 5.4]"
  T.test_if(proc and T.interpreter(), "no /proc, or no interpreter to start", title, function ()
    local out, status = T.child(([[
      local function descriptors()
        local name = os.tmpname() -- a pipe would be among the descriptors, now and then with both ends
        os.execute("ls /proc/$PPID/fd > " .. name)
        local file = io.open(name)
        local list = file:read("*a")
        file:close()
        os.remove(name)
        return list
      end
      local before = descriptors()
      local module = require %q
      if module.await then coroutine.wrap(module.await)("e"); module.emitall("e") end
      print(descriptors() == before)
      for line in io.lines "/proc/self/status" do if line:find("^Threads:") then print(line) end end]]):format(name))
    T.eq(out, "true\nThreads:\t1\n")
    T.eq(status, 0)
  end)
end

T.test_child("require 'coutil' loads its modules at first use [90 3.1]", function ()
  local out, status = T.child [[
    local coutil = require "coutil"
    assert(type(coutil) == "table")
    assert(coutil._VERSION == "Coutil 3.0.0")
    local globals = {}
    for _, name in ipairs { "event", "queued", "mutex", "promise", "spawn" } do
      assert(not package.loaded["coutil." .. name], name .. " is loaded already")
      local module = coutil[name]
      assert(type(module) == "table", name)
      assert(module == package.loaded["coutil." .. name], name)
      assert(module == require("coutil." .. name), name)
      assert(module == coutil[name], name)
      assert(rawget(_G, name) == nil and rawget(_G, "coutil") == nil)
    end
    assert(coutil.nothing == nil)
    assert(coutil[1] == nil and coutil[false] == nil)
    print "end"]]
  T.eq(out, "end\n")
  T.eq(status, 0)
end)

T.test_child("require 'coutil' after a module, and modules in any order [90 3.1] [00 11.4]", function ()
  local out, status = T.child [[
    local spawn = require "coutil.spawn"
    local promise = require "coutil.promise"
    local coutil = require "coutil"
    assert(coutil.promise == promise and coutil.spawn == spawn)
    assert(coutil.mutex == require "coutil.mutex")
    assert(coutil.event.pending == coutil.queued.pending)
    assert(require "coutil" == coutil)
    print "end"]]
  T.eq(out, "end\n")
  T.eq(status, 0)
end)

T.test_child("a module loaded again is the same library", function ()
  local out, status = T.child [[
    local event = require "coutil.event"
    local got
    coroutine.wrap(function () got = event.await("e") end)()
    package.loaded["coutil.event"] = nil
    local again = require "coutil.event"
    assert(again.pending("e"))
    assert(again.emitall("e"))
    assert(got == "e")
    package.loaded["coutil.mutex"] = nil
    local mutex = require "coutil.mutex"
    mutex.lock("m")
    package.loaded["coutil.mutex"] = nil
    assert(require "coutil.mutex".ownlock("m"))
    require "coutil.queued".emitone("q")
    package.loaded["coutil.queued"] = nil
    assert(require "coutil.queued".queued("q"))
    print "end"]]
  T.eq(out, "end\n")
  T.eq(status, 0)
end)

T.done()
