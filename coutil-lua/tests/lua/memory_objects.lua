-- Memories as objects: metamethods, closing, and the representation that C code shares.

local T = require "testing"
local memory = require "memory"

local M = require "memory_testing"
local raises, returns, resizable, both = M.raises, M.returns, M.resizable, M.both

local function close(m)
  getmetatable(m).__close(m, nil)
end

-- An object with a finalizer.
local function finalized(f)
  if rawget(_G, "newproxy") then
    local proxy = newproxy(true)
    getmetatable(proxy).__gc = f
    return proxy
  end
  return setmetatable({}, { __gc = f })
end

T.test("the methods are the functions of the module [70 5.1]", function ()
  for _, m in ipairs(both("abc")) do
    T.eq(getmetatable(m).__index, memory)
    T.eq(m[1], nil)
    T.eq(m.get, memory.get)
    T.raises("attempt to index", function () m[1] = 1 end)
    memory.first = function (self) return self:get(1) end
    T.eq(m:first(), 97)
    memory.first = nil
    T.eq(m.first, nil)
  end
end)

T.test("the length operator [70 5.2]", function ()
  for _, m in ipairs(both("abc")) do
    T.eq(#m, 3)
    raises("bad argument #1 to 'memory.len' (memory expected, got string)",
      getmetatable(m).__len, "abc")
  end
  T.eq(#memory.create(), 0)
end)

T.test("tostring gives the contents [70 5.3]", function ()
  for _, m in ipairs(both("a\0b")) do
    T.eq(tostring(m), "a\0b")
  end
  -- 5.1 formats nothing but strings, 5.2 ends at a zero.
  if T.number >= 5.2 then T.eq(string.format("<%s>", memory.create("abc")), "<abc>") end
  T.eq(tostring(memory.create()), "")
end)

T.test("concatenation [70 5.4]", function ()
  local closed = resizable("gone")
  close(closed)
  for _, m in ipairs(both("abc")) do
    T.eq(m .. "def", "abcdef")
    T.eq("def" .. m, "defabc")
    T.eq(m .. 12, "abc12")
    T.eq(12 .. m, "12abc")
    T.eq(m .. m, "abcabc")
    T.eq("<" .. m .. ">" .. m, "<abc>abc")
    T.eq(m .. memory.create(), "abc")
    T.eq(memory.create() .. m, "abc")
    T.eq(closed .. m, "abc")
    T.eq(m .. memory.create(0) .. closed, "abc")

    local object = setmetatable({}, {
      __concat = function (a, b)
        return a == m and "memory first" or b == m and "object first", 2
      end,
    })
    T.eq(m .. object, "memory first")
    T.eq(object .. m, "object first")
    local concat = getmetatable(m).__concat
    returns({ "memory first" }, concat(m, object))
    returns({ false }, concat({}, object))
    returns({ "12" }, concat(1, "2"))

    raises("attempt to concat a 'userdata' with a 'table'", function () return m .. {} end)
    raises("attempt to concat a 'table' with a 'userdata'", function () return {} .. m end)
    raises("attempt to concat a 'userdata' with a 'nil'", function () return m .. nil end)
    raises("attempt to concat a 'boolean' with a 'userdata'", function () return true .. m end)
    raises("attempt to concat a 'nil' with a 'nil'", concat)
    raises("attempt to concat a 'userdata' with a 'userdata'", concat, m, io.stdout)
  end
  T.eq(T.raises("", T.load("return ... .. {}", "=here"), closed),
    "here:1: attempt to concat a 'userdata' with a 'table'")
  local long = ("0123456789"):rep(200)
  T.eq(resizable(long) .. resizable(long), long .. long)
  T.eq(memory.create() .. memory.create(), "")
end)

T.test("the classes have names [70 5.5]", function ()
  local fixed, m = memory.create("x"), memory.create()
  T.eq(getmetatable(fixed).__name, "char[]")
  T.eq(getmetatable(m).__name, "luamem_Ref")
  raises("bad argument #2 to 'memory.get' (number expected, got char[])", memory.get, fixed, fixed)
  raises("bad argument #2 to 'memory.get' (number expected, got luamem_Ref)", memory.get, fixed, m)
end)

T.test("only resizable memories have a finalizer [70 5.6]", function ()
  local fixed, m = getmetatable(memory.create("x")), getmetatable(memory.create())
  T.eq(rawget(fixed, "__gc"), nil)
  T.eq(rawget(fixed, "__close"), nil)
  T.eq(type(m.__gc), "function")
  T.eq(type(m.__close), "function")
  assert(T.collected(function (watch)
    watch(memory.create(1000))
    watch(resizable("abc"))
    watch(memory.create())
  end))
end)

T.test_if(T.has_tbc, "no to-be-closed variables", "memories as to-be-closed variables", function ()
  local run = T.load [[
    local m = ...
    local result
    do
      local x <close> = m
      result = x:tostring()
    end
    return result
  ]]
  local m = resizable("abc")
  T.eq(run(m), "abc")
  T.eq(m:type(), "other")
  T.raises("variable 'x' got a non-closable value", run, memory.create("abc"))
end)

T.test("a closed memory is empty, and nobody resizes it [70 6.3.1]", function ()
  for _, event in ipairs { "__gc", "__close" } do
    local m = resizable("abc")
    returns({}, getmetatable(m)[event](m))
    T.eq(m:type(), "other")
    T.eq(#m, 0)
    T.eq(m:tostring(), "")
    returns({}, m:get(1, -1))
    raises("calling 'resize' on bad self (resizable memory expected)", function () m:resize(3) end)
    raises("calling 'resize' on bad self (resizable memory expected)", function () m:resize(0) end)
    raises("bad argument #1 to 'set' (index out of bounds)", function () m:set(1, 1) end)
    T.eq(m:diff(""), nil)
    returns({ false, 1, 65 }, m:pack("b", 1, 65))
    returns({}, getmetatable(m)[event](m))
    T.eq(m:type(), "other")
    -- One that is empty stays as it is.
    local empty = memory.create()
    getmetatable(empty)[event](empty)
    T.eq(empty:type(), "resizable")
    empty:resize(2, "x")
    T.eq(empty:tostring(), "xx")
  end
end)

T.test("the finalizer leaves other values alone [70 6.3.5]", function ()
  local fixed = memory.create(("x"):rep(100))
  local events = getmetatable(memory.create())
  local fake = setmetatable({}, { __name = "luamem_Ref" })
  for _, event in ipairs { "__gc", "__close" } do
    for _, value in ipairs { fixed, "text", 1, true, {}, fake, io.stdout, print } do
      returns({}, events[event](value))
    end
    returns({}, events[event]())
    returns({}, events[event](nil))
  end
  T.eq(fixed:tostring(), ("x"):rep(100))
  T.eq(io.type(io.stdout), "file")
end)

T.test("only userdata with one of the two metatables are memories [70 6.1.3]", function ()
  for _, m in ipairs(both("abc")) do
    local name = getmetatable(m).__name
    local proxy = setmetatable({}, { __index = m, __name = name, __len = function () return 3 end })
    T.eq(memory.type(proxy), nil)
    raises("bad argument #1 to 'memory.len' (memory expected, got " .. name .. ")",
      memory.len, proxy)
    local same = setmetatable({}, getmetatable(m))
    T.eq(memory.type(same), nil)
    raises("bad argument #1 to 'memory.tostring' (string or memory expected, got " .. name .. ")",
      memory.tostring, same)
    setmetatable(same, nil)
  end
end)

T.test_if(debug.getregistry, "no access to the registry",
  "the metatables are fields of the registry [70 6.2.1]", function ()
  local registry = debug.getregistry()
  T.eq(getmetatable(memory.create("x")), registry["char[]"])
  T.eq(getmetatable(memory.create()), registry["luamem_Ref"])
  for _, name in ipairs { "char[]", "luamem_Ref" } do
    for _, event in ipairs { "__len", "__tostring", "__concat" } do
      T.eq(type(registry[name][event]), "function")
    end
  end
end)

T.test_if(debug.getregistry, "no access to the registry",
  "memories are recognized by what the registry holds now [70 6.2.3]", function ()
  local registry = debug.getregistry()
  for _, m in ipairs(both("abc")) do
    local name, kind = getmetatable(m).__name, m:type()
    local own = registry[name]
    registry[name] = {}
    local without = memory.type(m)
    registry[name] = nil
    local missing = memory.type(m)
    registry[name] = own
    T.eq(without, nil)
    T.eq(missing, nil)
    T.eq(memory.type(m), kind)
  end
end)

if debug.getregistry and rawget(_G, "newproxy") then
  T.test("a userdata that is too small is no memory", function ()
    local fake = newproxy()
    debug.setmetatable(fake, getmetatable(memory.create()))
    T.eq(memory.type(fake), nil)
    raises("bad argument #1 to 'memory.len' (memory expected, got luamem_Ref)", memory.len, fake)
  end)
end

-- Calls `f`, and makes the collector run a finalizer at the first allocation in it that can do so.
local function disturbed(finalizer, f, ...)
  local modern = T.number >= 5.5
  local mul = modern and collectgarbage("param", "stepmul", 10000)
    or collectgarbage("setstepmul", 10000)
  local size = modern and collectgarbage("param", "stepsize", 2 ^ 24)
  if T.version == "5.4" then collectgarbage("incremental", 0, 0, 24) end
  T.gc()
  collectgarbage("stop")
  finalized(finalizer)
  collectgarbage("restart")
  local results = T.pack(pcall(f, ...))
  if modern then
    collectgarbage("param", "stepmul", mul)
    collectgarbage("param", "stepsize", size)
  else
    collectgarbage("setstepmul", mul)
    if T.version == "5.4" then collectgarbage("incremental", 0, 0, 13) end
  end
  T.gc()
  if not results[1] then error(results[2], 2) end
  return T.unpack(results, 2, results.n)
end

T.test("finalizers may resize what is being read [70 6.1.4]", function ()
  local m = memory.create()
  -- Nothing, where the finalizer left too little to unpack.
  local function unpacked (...)
    local ok, text = pcall(memory.unpack, ...)
    return ok and text or ""
  end
  for _, size in ipairs { 20, 300, 20000, 200000 } do
    local number, format = size + 0.5, "c" .. size
    -- Each allocates, and so may run the finalizer, before it is done with the bytes of `m`.
    local operations = {
      tostring = function () return m:tostring() end,
      part = function () return m:tostring(-9, -1) end,
      concat = function () return m .. m end,
      create = function () return memory.create(m) end,
      unpack_c = function () return unpacked(m, format) end,
      unpack_s = function () return unpacked(m, "s1", size - 9) end,
      diff = function ()
        local _, less = memory.diff(m, number)
        return less and #m > 0 and "!" or ""
      end,
      find = function () return memory.find(m, number) and "!" or "" end,
      resize = function ()
        m:resize(2 * size, number) -- and right afterwards a finalizer may do it again
        return ""
      end,
      pack = function ()
        m:pack("z", 1, number)
        return m:tostring(10)
      end,
    }
    for name, operation in pairs(operations) do
      for _, left in ipairs { 0, 10, size, 2 * size } do
        local hits, reuse = 0, memory.create()
        m:resize(0)
        m:resize(size, "a")
        m:set(size - 9, 8)
        local result = disturbed(function ()
          hits = hits + 1
          -- Frees the storage, and reuses it for something else.
          m:resize(0)
          reuse:resize(size, "!")
          m:resize(left, "b")
        end, operation)
        if T.gc_mode ~= "full" then T.eq(hits, 1, "finalizers run by " .. name) end
        local text = memory.tostring(result)
        if text:find("[^ab\8%z]") then
          error(name .. " of " .. size .. " read freed bytes: " .. text:sub(1, 20))
        end
      end
    end
  end
end)

T.done()
