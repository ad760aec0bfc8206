-- Thread pools: what is checked, in which order, with which texts, and how errors of tasks are reported.

local T = require "testing"
local E = require "error_testing"
local H = require "threads_testing"
local memory = require "coutil.memory"
local system = require "coutil.system"
local threads = require "coutil.threads"
local pack = T.pack

local others = {
  { "nil", nil }, { "boolean", true }, { "number", 1 }, { "string", "x" }, { "table", {} }, { "function", print },
  { "thread", coroutine.create(function () end) }, { "table", setmetatable({}, { __index = threads }) },
  { "coutil:threads", setmetatable({}, { __name = "coutil:threads" }) },
}
if T.number >= 5.3 then table.insert(others, { "FILE*", io.stdout }) end

-- Arguments that each function accepts after the pool.
local calls = { close = pack(), count = pack "n", dofile = pack "no such file", dostring = pack "return", resize = pack(1) }

H.test("create: an integer [20 7.1.1] [00 5.2.2] [00 5.2.3]", function ()
  H.argument(1, "number expected, got nil", "coutil.threads", "create", nil)
  for _, other in ipairs(others) do
    if other[1] ~= "number" then
      H.argument(1, "number expected, got " .. other[1], "coutil.threads", "create", other[2])
    end
  end
  for _, value in ipairs { .5, -1.5, 2 ^ 80, math.huge, T.nan } do
    H.argument(1, "number has no integer representation", "coutil.threads", "create", value)
  end
end)

H.test("all others: a pool [20 0.3] [00 5.2.1] [00 5.2.2]", function ()
  for name, args in pairs(calls) do
    H.argument(1, "coutil:threads expected, got no value", "coutil.threads", name)
    for _, other in ipairs(others) do
      H.argument(1, "coutil:threads expected, got " .. other[1], "coutil.threads", name, other[2], {}, {}, {})
      T.raises("coutil:threads expected, got " .. other[1], threads[name], other[2], T.unpack(args, 1, args.n))
    end
    H.method(0, "coutil:threads expected, got table", { [name] = threads[name] }, name)
  end
end)

H.test("a closed pool [20 0.2]", function () -- 20 7.2: every function, close included
  local pool = threads.create(1)
  T.returns({ true }, threads.close, pool)
  for name, args in pairs(calls) do
    H.argument(1, "closed threads", "coutil.threads", name, pool, T.unpack(args, 1, args.n))
    H.argument(1, "closed threads", "coutil.threads", name, pool, {}, {})
    H.method(0, "closed threads", pool, name)
  end
  T.eq(type(tostring(pool)), "string")
end)

H.test("resize: an integer that is not negative [20 7.3.1]", function ()
  local pool = threads.create(1)
  for _, value in ipairs { true, {}, print, "x" } do
    H.argument(2, "number expected, got " .. type(value), "coutil.threads", "resize", pool, value)
  end
  H.argument(2, "number expected, got nil", "coutil.threads", "resize", pool, nil)
  H.argument(2, "number expected, got no value", "coutil.threads", "resize", pool)
  H.argument(2, "number has no integer representation", "coutil.threads", "resize", pool, 1.5)
  H.argument(2, "size cannot be negative", "coutil.threads", "resize", pool, -1)
  H.method(1, "size cannot be negative", pool, "resize", -1, true)
  H.counts(pool, "ea", 1, 1)
  T.returns({ true }, threads.resize, pool, "2", true)
  H.counts(pool, "ea", 2, 2)
  T.returns({ true }, threads.close, pool)
end)

H.test("count: a string of known letters [20 7.4.1] [20 7.4.2]", function ()
  local pool = threads.create(1)
  for _, value in ipairs { true, {}, print } do
    H.argument(2, "string expected, got " .. type(value), "coutil.threads", "count", pool, value)
  end
  H.argument(2, "string expected, got no value", "coutil.threads", "count", pool)
  H.method(1, "string expected, got nil", pool, "count", nil)
  for _, case in ipairs { { "x", "x" }, { "nxy", "x" }, { "nrpseaN", "N" }, { " n", " " }, { 12, "1" }, { "n\255", "\255" } } do
    T.eq(E.try(threads.count, pool, case[1]), "bad option (got '" .. case[2] .. "')")
    T.eq(E.try(E.callers.count, pool, case[1]), "chunk:2: bad option (got '" .. case[2] .. "')")
  end
  T.returns({ true }, threads.close, pool)
end)

H.test("dostring: the chunk, its name, the mode, in this order [20 7.5.1] [00 5.2.2]", function ()
  local pool = threads.create(0)
  H.argument(2, "string or memory expected, got no value", "coutil.threads", "dostring", pool)
  H.argument(2, "string or memory expected, got nil", "coutil.threads", "dostring", pool, nil)
  for _, value in ipairs { true, {}, print } do
    H.argument(2, "string or memory expected, got " .. type(value), "coutil.threads", "dostring", pool, value, {}, {}, {})
    for _, chunk in ipairs { "return", "return return", memory.create "return" } do
      H.argument(3, "string expected, got " .. type(value), "coutil.threads", "dostring", pool, chunk, value, {}, {})
      H.argument(4, "string expected, got " .. type(value), "coutil.threads", "dostring", pool, chunk, nil, value, {})
    end
  end
  H.method(1, "string or memory expected, got boolean", pool, "dostring", true)
  H.counts(pool, "n", 0)
  T.returns({ true }, threads.close, pool)
end)

H.test("dofile: the path and the mode [20 7.5.1] [00 5.2.2]", function ()
  local pool = threads.create(0)
  for _, value in ipairs { true, {}, print } do
    H.argument(2, "string expected, got " .. type(value), "coutil.threads", "dofile", pool, value, {}, {})
    H.argument(3, "string expected, got " .. type(value), "coutil.threads", "dofile", pool, "no such file", value, {})
  end
  H.argument(2, "string expected, got char[]", "coutil.threads", "dofile", pool, memory.create "x")
  H.counts(pool, "n", 0)
  T.returns({ true }, threads.close, pool)
end)

H.test("extra arguments are ignored [00 3.2]", function ()
  local pool = threads.create(1, {}, print)
  T.returns({ true }, threads.resize, pool, 2, nil, {})
  T.returns({ 2 }, threads.count, pool, "e", {}, print)
  T.returns({ true }, threads.close, pool, {}, print)
end)

H.test("errors of tasks end them, and nothing else [20 7.6.3] [20 7.6.2]", function ()
  -- Their own handler is told; the owner is not.
  local pool, name = threads.create(1), H.name()
  for i, err in ipairs { "'text'", "12", "{}", "nil", "true" } do
    H.add(pool, [[
      local name, i = ...
      local ch = channel.create(name)
      system.onerror(function (err) while not ch:sync("out", i, type(err)) do end end)
      yield()
      error(]] .. err .. ", 0)", name, i)
    local got, kind = H.take(name)
    T.eq(got, i)
    if err ~= "nil" then T.eq(kind, ({ "string", "number", "table", "nil", "boolean" })[i]) end
    H.reach(pool, "nrpsea", 0, 0, 0, 0, 1, 1)
  end
  T.eq(#T.reports(), 0)
  T.returns({ true }, threads.close, pool)
end)

-- In interpreters of their own: what is written -------------------------------------------------


T.test_if(T.interpreter() and T.has_tbc, "no interpreter to start, or no warnings", -- has_tbc: 5.4 and later
  "the warning of a task that fails [20 7.6.3] [20 0.10] [20 1.8] [90 2.4] [00 7.1.6]", function ()
  local out, status = H.child [==[
    local threads = require "coutil.threads"
    local pool = assert(threads.create(1))
    assert(pool:dostring([[require "_G"
warn "@on"
error "Oops!"]], "@chunk.lua"))
    assert(pool:dostring("require '_G' warn '@on' error(12)"))
    assert(pool:dostring("require '_G' warn '@on' error({})"))
    assert(pool:dostring("require '_G' warn '@on' error(true)"))
    assert(pool:close())
    warn "this is off"
    io.stderr:write "END\n" ]==]
  T.eq(out, "Lua warning: [coutil] threads: chunk.lua:3: Oops!\nLua warning: [coutil] threads: 12\n" ..
    ("Lua warning: [coutil] threads: (null)\n"):rep(2) .. "END\n")
  T.eq(status, 0)
end)

T.test_child("without warnings the default handler of the task's state reports [90 2.4] [90 2.3] [20 7.6.3]", function ()
  local out, status = H.child [==[
    local threads = require "coutil.threads"
    local pool = assert(threads.create(1))
    require "coutil.system".onerror(function () io.stderr:write "wrong state\n" end)
    assert(pool:dostring("require '_G'\n\nerror 'Oops!'", "@chunk.lua"))
    assert(pool:close())
    io.stderr:write "END\n" ]==]
  T.eq(out:find("coutil: chunk.lua:3: Oops!\n", 1, true), 1)
  T.eq(out:find("Lua warning", 1, true), nil)
  T.eq(out:find("wrong state", 1, true), nil)
  T.eq(out:sub(-4), "END\n")
  T.eq(status, 0)
end)

T.test_child("a handler set in the task is called, with the coroutine and a traceback [90 2.2] [90 2.4]", function ()
  local out, status = H.child [==[
    local threads = require "coutil.threads"
    local pool = assert(threads.create(1))
    assert(pool:dostring([[require "_G"
local io, debug, string = require "io", require "debug", require "string"
require "coutil.system".onerror(function (err, co, traceback)
  io.stderr:write(err, " ", type(co), " ", type(traceback), " ", tostring(string.find(debug.traceback(co), "chunk.lua:7") ~= nil), "\n")
  error "in the handler"
end)
error "Oops!"]], "@chunk.lua"))
    assert(pool:close())
    io.stderr:write "END\n" ]==]
  T.eq(out:find("chunk.lua:7: Oops! thread string true\n", 1, true), 1)
  T.eq(out:find("in the handler", 1, true) ~= nil, true)
  T.eq(out:sub(-4), "END\n")
  T.eq(status, 0)
end)

T.test_child("an error in a coroutine that the loop of a task resumes [90 2.4] [20 8.14]", function ()
  local out, status = H.child [==[
    local threads = require "coutil.threads"
    local pool = assert(threads.create(1))
    assert(pool:dostring([[require "_G"
local system, wrap = require "coutil.system", require "coroutine".wrap
wrap(function () system.suspend() error "in a coroutine" end)()
local left = system.run()
require "io".stderr:write("left ", tostring(left), "\n")]], "@chunk.lua"))
    assert(pool:close())
    io.stderr:write "END\n" ]==]
  T.eq(out:find("coutil: chunk.lua:3: in a coroutine\n", 1, true), 1)
  T.eq(out:sub(-15), "left false\nEND\n")
  T.eq(status, 0)
end)

T.test_child("threads that cannot be had [20 7.1.3] [20 0.1] [00 4.2]", function ()
  -- The limit of the address space leaves no room for the stacks of so many.
  local program = H.program [==[
    local threads = require "coutil.threads"
    local got = { n = 3, threads.create(100000) }
    if type(got[1]) == "userdata" then return print "limit not effective" end
    print(got[1], got[2], got[3])
    local pool = assert(threads.create(1))
    assert(pool:count "a" == 1)
    assert(pool:close()) ]==]
  local pipe = assert(io.popen(("ulimit -v 3000000; '%s' '%s' 2>&1"):format(T.interpreter(), program)))
  local out = pipe:read "*a"
  pipe:close()
  os.remove(program)
  if out == "limit not effective\n" then return T.skip("threads that cannot be had", out) end
  T.eq(out, "false\tresource temporarily unavailable\t11\n")
end)

T.test_child("no thread for a state coroutine, nor for a larger pool [20 4.6] [20 7.3.1] [20 4.7]", function ()
  local program = H.program [==[
    local states, system, threads = require "coutil.coroutine", require "coutil.system", require "coutil.threads"
    local co = assert(states.load "return ...")
    local pool = assert(threads.create(0))
    coroutine.wrap(function () print(system.resume(co, "not yet")) print(co:status()) end)()
    assert(system.run() == false)
    print(pool:resize(5, true))
    print(pool:count "ea")
    assert(pool:close())
    for line in io.lines "/proc/self/status" do io.write(line:match "^VmSize:%s*(%d+)" or "") end ]==]
  local function child(limit)
    local pipe = assert(io.popen(("ulimit -v %s; '%s' '%s' 2>&1"):format(limit, T.interpreter(), program)))
    local out = pipe:read "*a"
    pipe:close()
    return out
  end
  -- What it needs without a limit has two stacks and more in it; a few megabytes more than without those have room for none.
  local size = tonumber(child("unlimited"):match "(%d+)$")
  local failure = "false\tresource temporarily unavailable\t11\n"
  local expected, out = failure .. "suspended\n" .. failure .. "5\t0\n", nil
  -- Where that is depends on the system: limits that are too low for the program, or too high, are passed over.
  for limit = 4000, size, 2000 do
    out = child(limit)
    if out:sub(1, #expected) == expected then break end
  end
  os.remove(program)
  T.eq(out:sub(1, #expected), expected)
end)

T.test_child("a file from standard input [20 7.5.1]", function ()
  local path = os.tmpname()
  local file = assert(io.open(path, "w"))
  file:write "require '_G' print('from the input', ...)"
  file:close()
  local out, status = T.child([[
    local threads = require "coutil.threads"
    local pool = assert(threads.create(1))
    assert(pool:dofile(nil, "t", "x", nil) == true)
    assert(pool:close()) ]], "", "2>&1 <" .. path)
  os.remove(path)
  T.eq(out, "from the input\tx\tnil\n")
  T.eq(status, 0)
end)

T.done()
