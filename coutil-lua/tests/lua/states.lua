-- Independent states: what they start with, what they inherit, and what they share.

local T = require "testing"
local L = require "loop_testing"
local H = require "threads_testing"
local channel = require "coutil.channel"
local states = require "coutil.coroutine"
local system = require "coutil.system"
local threads = require "coutil.threads"
local pack = T.pack

-- Runs the text as the chunk of a state coroutine and as that of a task; `check` gets what it returned or sent: the text
-- ends by calling `give(...)`.
local function everywhere(title, text, check, ...)
  local args = pack(...)
  H.test("state coroutine: " .. title, function ()
    local got = pack(H.bare("local give = function (...) return ... end " .. text, T.unpack(args, 1, args.n)))
    check(T.unpack(got, 1, got.n))
  end)
  H.test("task: " .. title, function ()
    local name, pool = H.name(), threads.create(1)
    T.returns({ true }, threads.dostring, pool,
      "local give = function (...) return require 'coroutine'.yield('" .. name .. "', 'out', ...) end " .. text,
      "=bare", nil, T.unpack(args, 1, args.n))
    local got = pack(H.take(name))
    T.eq(pool:close(), true)
    check(T.unpack(got, 1, got.n))
  end)
end

-- What is there at the start --------------------------------------------------------------------

everywhere("the only global is require [20 1.1] [00 7.1.2] [20 1.2] [90 3.3]", [[
  local absent = _G == nil and package == nil and print == nil and string == nil and arg == nil and coroutine == nil and
    table == nil and io == nil and os == nil and math == nil and utf8 == nil and debug == nil and bit32 == nil and
    pairs == nil and error == nil and select == nil and load == nil and loadstring == nil and module == nil and
    jit == nil and bit == nil and ffi == nil and coutil == nil and unpack == nil and newproxy == nil and type == nil
  local first = require
  local loaded, n, others = require "package".loaded, 0, 0
  require "_G"
  -- Modules loaded before this line: only package (and _G now; 5.1 makes coroutine together with it).
  for key in pairs(loaded) do
    if key == "package" then n = n + 1
    elseif key ~= "_G" and key ~= "coroutine" then others = others + 1 end
  end
  return give(absent, first == require, n, others) ]],
  function (...) T.same(pack(...), { true, true, 1, 0 }) end)

if T.number >= 5.2 then
  -- `next` is inherited, so nothing needs to be loaded to look at the globals.
  package.preload["test next"] = next
  everywhere("all globals and all loaded modules [20 1.1] [00 7.1.2]", [[
    local next, count, other, modules, module = require "package".preload["test next"], 0, nil, 0, nil
    for key in next, _ENV do count = count + 1; other = key end
    for key in next, require "package".loaded do modules = modules + 1; module = key end
    return give(count, other, modules, module) ]],
    function (...) T.same(pack(...), { 1, "require", 1, "package" }) end)
  package.preload["test next"] = nil
else
  T.skip("all globals", "no _ENV")
end

everywhere("standard libraries can be required, and set no global but _G [20 1.2] [20 1.7] [00 7.1.3] [90 4.7]", [[
  local base = require "_G"
  local globals = _G
  local results = { base == globals, type(print) == "function", type(pcall) == "function", type(_VERSION) == "string" }
  local names = { "coroutine", "table", "io", "os", "string", "math", "debug" }
  if _VERSION ~= "Lua 5.1" and _VERSION ~= "Lua 5.2" then names[8] = "utf8" end
  if _VERSION == "Lua 5.2" then names[8] = "bit32" end
  local isolated, all = true, true
  for _, name in ipairs(names) do
    local preload = require "package".preload[name]
    local before = globals[name]
    local module = require(name)
    all = all and type(module) == "table" and type(preload) == "function"
    isolated = isolated and globals[name] == before
  end
  return give(results[1], results[2], results[3], results[4], all, isolated, require "string".rep("x", 3)) ]],
  function (...) T.same(pack(...), { true, true, true, true, true, true, "xxx" }) end)

if rawget(_G, "jit") then
  everywhere("the libraries of LuaJIT [90 4.7]", [[
    local bit, jit, ffi = require "bit", require "jit", require "ffi"
    return give(bit.band(7, 10), jit.version_num > 20000, ffi.sizeof "int") ]],
    function (...) T.same(pack(...), { 2, true, 4 }) end)
end

everywhere("the string metatable comes with the library [20 1.7] [00 7.1.2]", [[
  require "_G"
  local before = pcall(function () return ("x"):rep(2) end)
  require "string"
  local after, value = pcall(function () return ("x"):rep(2) end)
  return give(before, after, value) ]],
  function (...) T.same(pack(...), { false, true, "xx" }) end)

everywhere("the chunk runs in a second thread of the state [20 1.10] [00 7.1.1]", [[
  require "_G"
  local coroutine = require "coroutine"
  local co, main = coroutine.running()
  local yieldable = coroutine.isyieldable and coroutine.isyieldable()
  return give(type(co), require "string".sub(tostring(co), 1, 8), main, coroutine.isyieldable and yieldable or true) ]],
  function (...)
    local got = pack(...)
    T.eq(got[1], "thread")
    T.eq(got[2], "thread: ")
    if T.number >= 5.2 then T.eq(got[3], false) end
    T.eq(got[4], true)
  end)

everywhere("every module of the library can be required [20 0.6] [20 0.7] [20 4.15] [00 11.4]", [[
  local names = { "event", "queued", "mutex", "promise", "spawn", "coroutine", "channel", "threads", "system", "memory" }
  local require = require
  for i = 1, 10 do
    local module = require("coutil." .. names[i])
    if not module or require("coutil." .. names[i]) ~= module then return give(names[i]) end
  end
  -- None of them made a global.
  if _G or string or coutil or system or channel or memory then return give "globals" end
  require "_G"
  local log = {}
  require "coutil.spawn".catch(function (err) log[1] = err end, function ()
    require "coutil.event".await "e"
    error("caught", 0)
  end)
  local emitted = require "coutil.event".emitall "e"
  return give("all", emitted, log[1]) ]],
  function (...) T.same(pack(...), { "all", true, "caught" }) end)

everywhere("the name memory leads to the buffers, and sets nothing [90 3.2] [20 1.7] [20 4.15]", [[
  local memory = require "memory"
  return give(memory.type(memory.create(1)), not (_G or package or io or string)) ]],
  function (...) T.same(pack(...), { "fixed", true }) end)

-- preload ---------------------------------------------------------------------------------------

local function with_preload(entries, f)
  local before = {}
  for key, value in pairs(entries) do before[key], package.preload[key] = package.preload[key], value end
  local ok, err = pcall(f)
  for key in pairs(entries) do package.preload[key] = before[key] end
  if not ok then error(err, 0) end
end

H.test("entries of preload are copied [20 1.3] [20 1.5] [00 7.1.4] [20 0.6]", function ()
  local upvalue = "of the creator"
  local entries = {
    ["test lua"] = function (...)
      local known = require -- so that the globals are the first upvalue
      return { (...), known ~= nil and upvalue == nil }
    end,
    ["test wins"] = function () return "from the creator" end,
    ["test text"] = "no function", ["test table"] = {}, ["test number"] = 12,
    [1] = function () error "numeric" end, [2.5] = print, [true] = print, [print] = print,
  }
  with_preload(entries, function ()
    T.returns({ "test lua", true, "from the creator", true, true, true, true }, H.bare, [[
      local list = require "test lua"
      local preload = require "package".preload
      return list[1], list[2], require "test wins", preload["test text"] == nil and preload["test table"] == nil and
        preload["test number"] == nil, preload[1] == nil, preload[2.5] == nil, preload[true] == nil ]])
    -- Grandchildren inherit from their creators.
    T.returns({ true, "test lua", "from the creator" }, H.eval, [[
      local co = assert(require "coutil.coroutine".load
        "local list = require 'test lua' return list[1], (require 'test wins')")
      local w = waiter(system.resume, co)
      system.run()
      assert(co:close())
      return unpack(w.got, 1, w.got.n) ]])
  end)
end)

H.test("modules that are Lua files work where the library is not to be found [20 0.6] [20 0.7] [20 1.3]", function ()
  local entries, search = {}, (package.searchers or package.loaders)[2]
  for _, name in ipairs { "event", "queued", "mutex", "promise", "spawn" } do
    name = "coutil." .. name
    local loader = package.preload[name] or search(name)
    T.eq(type(loader), "function", name)
    entries[name] = loader
  end
  with_preload(entries, function ()
    T.returns({ true, true, "native", 5 }, H.bare, [[
      local package, require = require "package", require
      package.path, package.cpath = "", ""
      local spawn, event = require "coutil.spawn", require "coutil.event"
      local done
      spawn.catch(function () end, function () done = require "coutil.promise" and event.await "e" end)
      local emitted = event.emitall "e"
      require "coutil.queued"
      require "coutil.mutex"
      require "_G"
      local seen = "native"
      local string = require "string"
      -- They do not stand beside what was copied.
      for name in pairs(package.preload) do
        if string.find(name, "native", 1, true) and name ~= "coutil.native.spawn" then seen = name end
      end
      local count = 0
      for name in pairs(package.loaded) do
        if string.find(name, "^coutil%.%a+$") then count = count + 1 end
      end
      return emitted, done == "e", seen, count ]])
  end)
end)

H.test("entries of the creator win over the standard ones [20 1.2] [00 7.1.4]", function ()
  with_preload({ math = function () return { mine = true } end }, function ()
    T.returns(pack(true, nil), H.bare, "local math = require 'math' return math.mine, math.pi")
  end)
  T.returns({ nil, true, n = 2 }, H.bare, "local math = require 'math' return math.mine, math.pi ~= nil")
end)

H.test_if(T.number >= 5.2, "globals are no upvalue",
  "the first upvalue is the globals of the new state, the others are nil [20 1.3] [00 7.1.4]", function ()
  -- Upvalues are in the order of their use.
  local made = T.load [[
    local a, b = ...
    return function () return { a ~= nil and a.require ~= nil, b == nil } end ]]({ "a" }, { "b" })
  with_preload({ ["test upvalues"] = made }, function ()
    T.returns({ true, true }, H.bare, "local list = require 'test upvalues' return list[1], list[2]")
  end)
end)

H.test("a loader that changes globals changes those of the new state [20 1.3] [20 1.11] [00 7.1.8]", function ()
  with_preload({ ["test globals"] = T.load "a_global = 'set' return { require ~= nil, print == nil }" }, function ()
    T.returns({ true, true, "set" }, H.bare, [[
      local list = require "test globals"
      return list[1], list[2], a_global ]])
  end)
  T.eq(rawget(_G, "a_global"), nil)
end)

H.test("the copy is made when the state is created [20 1.4] [00 7.1.4]", function ()
  local co
  local pool, name = threads.create(0), H.name()
  with_preload({ ["test snapshot"] = function () return "kept" end }, function ()
    co = assert(states.load [[
      return require "test snapshot", require "package".preload["test late"] == nil ]])
    T.returns({ true }, threads.dostring, pool, "require 'coroutine'.yield('" .. name .. "', 'out', (require 'test snapshot'))")
  end)
  with_preload({ ["test late"] = function () return "late" end }, function ()
    T.returns({ true, "kept", true }, H.resume, co)
    T.returns({ true }, pool.resize, pool, 1)
    T.returns({ "kept" }, H.take, name)
  end)
  T.eq(pool:close(), true)
  T.eq(states.close(co), true)
end)

H.test("functions that cannot be copied whole do no harm [20 1.3]", function ()
  -- C functions with upvalues come without them; the fast functions of LuaJIT can be neither copied nor dumped.
  with_preload({ ["test wrap"] = coroutine.wrap(function () end), ["test iterator"] = ("x"):gmatch("x"), ["test next"] = next }, function ()
    T.returns({ "alive" }, H.bare, "return 'alive'")
  end)
end)

-- package ---------------------------------------------------------------------------------------

H.test("nothing else of package is inherited [20 1.6] [00 7.1.5] [00 7.1.8]", function ()
  local path, cpath = package.path, package.cpath
  local loaders = package.searchers and "searchers" or "loaders"
  local saved = package[loaders]
  package.loaded["test loaded"] = "of the creator"
  package.added = "added"
  a_global_of_the_creator = true
  package.path, package.cpath = "changed", "changed"
  local ok, got = pcall(function ()
    local co = assert(states.load [[
      local package = require "package"
      return package.path, package.cpath, package.loaded["test loaded"], package.added, package.config,
        a_global_of_the_creator, package.searchers and #package.searchers or #package.loaders ]])
    return pack(H.resume(co))
  end)
  package.path, package.cpath = path, cpath
  package.loaded["test loaded"], package.added, a_global_of_the_creator = nil, nil, nil
  T.eq(ok, true)
  T.eq(got[1], true)
  T.eq(type(got[2]), "string")
  T.eq(got[2] ~= "changed" and got[3] ~= "changed", true)
  T.eq(got[4], nil)
  T.eq(got[5], nil)
  T.eq(got[6], package.config)
  T.eq(got[7], nil)
  T.eq(got[8], 4)
  T.eq(#saved >= 4, true)
end)

T.test_child("path and cpath come from the environment [20 1.6] [00 7.1.5] [90 4.7]", function ()
  local suffix = T.number >= 5.2 and "_" .. _VERSION:match "%d+%.%d+":gsub("%.", "_") or ""
  local program = H.program [==[
    local states, system = require "coutil.coroutine", require "coutil.system"
    -- The loaders of this interpreter may lie on its own path only.
    local co = assert(states.load "local package = require 'package' return package.path, package.cpath")
    coroutine.wrap(function () print(select(2, system.resume(co))) end)()
    system.run() ]==]
  local pipe = assert(io.popen(("LUA_PATH%s='/the/path/?.lua' LUA_CPATH%s='/the/cpath/?.so' '%s' '%s' 2>&1"):format(
    suffix, suffix, T.interpreter(), program)))
  local out = pipe:read "*a"
  pipe:close()
  os.remove(program)
  T.eq(out, "/the/path/?.lua\t/the/cpath/?.so\n")
end)

-- Isolation -------------------------------------------------------------------------------------

H.test("states share channels, the directory and the environment, and nothing else [20 1.11] [00 7.1.7] [00 7.1.8]", function ()
  local name = H.name()
  local ch = channel.create(name)
  local a, b = H.load "value = ... yield() return value", H.load "value = ... yield() return value"
  T.returns({ true }, H.resume, a, "a")
  T.returns({ true }, H.resume, b, "b")
  T.returns({ true, "a" }, H.resume, a)
  T.returns({ true, "b" }, H.resume, b)
  states.close(a)
  states.close(b)
  T.eq(rawget(_G, "value"), nil)
  T.returns({ true, nil, n = 2 }, H.eval, [[
    local name = ...
    return channel.getnames()[name], channel.getnames().other ]], name)
  T.eq(ch:close(), true)
  if system.setenv then
    local variable = "COUTIL_TEST_STATES"
    T.eq((system.setenv(variable, "shared")), true)
    T.returns({ "shared" }, H.eval, "return system.getenv((...))", variable)
  end
  -- Grandchildren, too.
  T.returns({ true }, H.eval, [[
    local name = ...
    local own = channel.create(name)
    local co = assert(require "coutil.coroutine".load "local names = require 'coutil.channel'.getnames() return names[(...)]")
    local w = waiter(system.resume, co, name)
    system.run()
    co:close()
    own:close()
    return w.got[2] ]], name)
end)

H.test("many states at once, of all depths [20 1.11] [20 1.9] [90 4.9]", function ()
  local cos, n = {}, T.scale(60, 5)
  for i = 1, n do
    cos[i] = H.load [[
      local i = ...
      local list = {}
      for k = 1, 200 do list[k] = ("x"):rep(k * 10) .. i end
      yield(#list[200])
      collectgarbage()
      return #table.concat(list) ]]
  end
  local sizes = {}
  for i = 1, n do T.start(function () T.eq(system.resume(cos[i], i), true) sizes[i] = select(2, system.resume(cos[i])) end) end
  T.eq(system.run(), false)
  for i = 1, n do
    T.eq(sizes[i], 201000 + 200 * #tostring(i))
    T.eq(states.close(cos[i]), true)
  end
end)

H.test("the standard streams outlive the states [20 1.12] [00 7.1.7]", function ()
  for _ = 1, 3 do
    T.returns({ true }, H.eval, [[
      local a, b, c = system.stdin, system.stdout, system.stderr
      return io.stdout:write("") ~= nil ]])
    local pool = threads.create(1)
    H.add(pool, "local a, b, c = system.stdin, system.stdout, system.stderr")
    T.returns({ true }, threads.close, pool)
  end
  T.eq(io.stdout:write "" ~= nil, true)
  local a, b = L.pair() -- descriptors that are made now are nobody else's
  T.returns({ true }, H.eval, "local s = system.stdout return true")
  L.send(a, "x")
  T.eq(L.await(L.take, b), "x")
  a:close()
  b:close()
end)

T.test_child("the standard streams of the program still work after states have ended [20 1.12] [00 7.1.7]", function ()
  local out, status = H.child [==[
    local states, system, threads = require "coutil.coroutine", require "coutil.system", require "coutil.threads"
    local text = "require '_G' local s = require 'coutil.system' local a, b, c = s.stdin, s.stdout, s.stderr " ..
      "require 'io'.stdout:write((...)) require 'io'.stdout:flush()"
    for i = 1, 3 do
      local co = assert(states.load(text))
      coroutine.wrap(function () assert(system.resume(co, i)) end)()
      assert(system.run() == false)
      assert(co:close())
      local pool = assert(threads.create(1))
      assert(pool:dostring(text, nil, nil, i))
      assert(pool:close())
      io.stdout:write "|"
      io.stdout:flush()
    end
    io.stderr:write "END\n" ]==]
  T.eq(out, "11|22|33|END\n")
  T.eq(status, 0)
end)

T.done()
