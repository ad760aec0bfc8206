-- Argument errors: the texts of 5.4's auxiliary library, on every version.

local T = require "testing"
local M = require "memory_testing"
local memory = require "memory"
local event = require "coutil.event"
local mutex = require "coutil.mutex"
local raises = M.raises

-- The message of an error without the position before it.
local function message (f, ...)
  local ok, text = pcall(f, ...)
  assert(not ok, "no error")
  return (text:gsub("^[^:]*:%d+: ", ""))
end

local function compile (text) return assert(T.load(text, "=chunk")) end

T.test("a function is called by the name that its caller uses [00 5.2.1]", function ()
  T.eq(message(compile "local memory = ...; memory.len('x')", memory),
    "bad argument #1 to 'len' (memory expected, got string)")
  T.eq(message(compile "local f = (...).len; f('x')", memory), "bad argument #1 to 'f' (memory expected, got string)")
end)

T.test_if(T.number >= 5.4, "an event and its field have one name", "a field of a metatable is called by its name [00 5.2.1]", function ()
  local meta = getmetatable(memory.create(4))
  T.eq(message(compile "(...).__len('x')", meta), "bad argument #1 to '__len' (memory expected, got string)")
end)

T.test("as a method, self does not count [00 5.2.1]", function ()
  local m = memory.create(4)
  T.eq(message(compile "(...):get {}", m), "bad argument #1 to 'get' (number expected, got table)")
  T.eq(message(compile "(...):get(1, true)", m), "bad argument #2 to 'get' (number expected, got boolean)")
  T.eq(message(compile "(...):resize(1)", m), "calling 'resize' on bad self (resizable memory expected)")
end)

T.test("without a name, it is the one among the loaded modules [00 5.2.1]", function ()
  raises("bad argument #1 to 'memory.len' (memory expected, got no value)", memory.len)
  raises("bad argument #1 to 'memory.create' (string or memory expected, got nil)", memory.create, nil)
end)

T.test("of several names the shortest counts, and none is ? [00 5.2.1]", function ()
  local also = require "coutil.memory"
  if also ~= memory then return T.skip("names", "a C module memory is installed") end
  raises("bad argument #1 to 'memory.len' (memory expected, got no value)", memory.len)
  local loaded = { package.loaded["memory"], package.loaded["coutil.memory"] }
  package.loaded["memory"] = nil
  local dotted = message(memory.len)
  package.loaded["coutil.memory"] = nil
  local none = message(memory.len)
  package.loaded["memory"], package.loaded["coutil.memory"] = loaded[1], loaded[2]
  T.eq(dotted, "bad argument #1 to 'coutil.memory.len' (memory expected, got no value)")
  T.eq(none, "bad argument #1 to '?' (memory expected, got no value)")
end)

T.test("the position is that of the caller, if that is a Lua function [00 5.1.1]", function ()
  local ok, text = pcall(compile "local memory = ...\n\nmemory.len('x')", memory)
  T.eq(ok, false)
  T.eq(text:sub(1, 8), "chunk:3:")
  ok, text = pcall(memory.len, "x")
  T.eq(text:sub(1, 3), "bad")
end)

T.test("what was got instead [00 5.2.2]", function ()
  local function got (value, name)
    raises("bad argument #1 to 'memory.len' (memory expected, got " .. name .. ")", memory.len, value)
  end
  got(nil, "nil")
  got(true, "boolean")
  got(1, "number")
  got("s", "string")
  got({}, "table")
  got(print, "function")
  got(coroutine.create(function () end), "thread")
  got(setmetatable({}, { __name = "MyType" }), "MyType")
  got(setmetatable({}, { __name = 1 }), "table")
  raises("bad argument #2 to 'memory.get' (number expected, got char[])", memory.get, memory.create(1), memory.create(1))
  raises("bad argument #2 to 'memory.get' (number expected, got luamem_Ref)", memory.get, memory.create(1), memory.create())
  if T.number >= 5.3 then
    raises("bad argument #1 to 'memory.len' (memory expected, got FILE*)", memory.len, io.stdout)
  end
end)

T.test("the other details [00 5.2.3] [90 4.2]", function ()
  raises("bad argument #2 to 'memory.get' (number has no integer representation)", memory.get, memory.create(1), 1.5)
  raises("bad argument #2 to 'memory.get' (number has no integer representation)", memory.get, memory.create(1), 2 ^ 80)
  raises("bad argument #2 to 'memory.get' (number has no integer representation)", memory.get, memory.create(1), T.nan)
end)

T.test("numbers for strings, and strings for numbers [00 5.2.4] [90 4.2]", function ()
  local m = memory.create "abc"
  T.eq(m:get("2"), 98)
  T.eq(m:get(2.0), 98)
  T.eq(m:get("0x2"), 98)
  T.eq(memory.diff(12, "12"), nil)
  raises("bad argument #2 to 'memory.get' (number expected, got string)", memory.get, m, "x")
end)

T.test("functions with nothing to report return nothing [00 3.1]", function ()
  local m, r = memory.create(2), memory.create()
  T.same(T.pack(m:set(1, 1)), T.pack())
  T.same(T.pack(m:fill(0)), T.pack())
  T.same(T.pack(r:resize(1)), T.pack())
  local key = {}
  T.same(T.pack(mutex.lock(key)), T.pack())
  T.same(T.pack(mutex.unlock(key)), T.pack(false))
end)

T.test("surplus arguments are ignored [00 3.2]", function ()
  T.eq(event.pending("nobody", 1, 2), false)
  T.eq(mutex.islocked("nobody", 1, 2), false)
  T.eq(memory.len(memory.create(2), 1), 2)
end)

T.test("formats are those of 5.4 on every version [90 4.5]", function ()
  local m = memory.create(64)
  T.same(T.pack(m:pack("<!8 i2 I4 j z s1 B", 1, -2, 7, -3, "zz", "s", 255)), T.pack(true, 23))
  T.same(T.pack(m:unpack "<!8 i2 I4 j z s1 B"), T.pack(-2, 7, -3, "zz", "s", 255, 23))
  T.eq(m:tostring(9, 16), "\253" .. ("\255"):rep(7))
end)

T.done()
