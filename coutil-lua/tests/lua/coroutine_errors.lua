-- State coroutines and system.resume: what is checked, in which order, and with which texts.

local T = require "testing"
local L = require "loop_testing"
local E = require "error_testing"
local H = require "threads_testing"
local memory = require "coutil.memory"
local states = require "coutil.coroutine"
local system = require "coutil.system"
local resume, run = system.resume, system.run
local pack = T.pack

local others = {
  { "nil", nil }, { "boolean", true }, { "number", 1 }, { "string", "x" }, { "table", {} }, { "function", print },
  { "thread", coroutine.create(function () end) }, { "table", setmetatable({}, { __index = states }) },
  { "coutil:coroutine", setmetatable({}, { __name = "coutil:coroutine" }) },
}
if T.number >= 5.3 then table.insert(others, { "FILE*", io.stdout }) end

H.test("load: a string or a memory [20 3.1] [00 5.2.1] [00 5.2.2]", function ()
  H.argument(1, "string or memory expected, got no value", "coutil.coroutine", "load")
  for _, other in ipairs(others) do
    if other[1] ~= "number" and other[1] ~= "string" then
      H.argument(1, "string or memory expected, got " .. other[1], "coutil.coroutine", "load", other[2])
      H.argument(1, "string or memory expected, got " .. other[1], "coutil.coroutine", "load", other[2], {}, {})
    end
  end
  local co = states.load "return"
  H.argument(1, "string or memory expected, got coutil:coroutine", "coutil.coroutine", "load", co)
  states.close(co)
end)

H.test("load: the name and the mode [20 3.2] [20 3.3]", function ()
  for _, chunk in ipairs { "return", "return return", memory.create "return" } do
    for _, value in ipairs { true, {}, print } do
      H.argument(2, "string expected, got " .. type(value), "coutil.coroutine", "load", chunk, value)
      H.argument(2, "string expected, got " .. type(value), "coutil.coroutine", "load", chunk, value, {})
      H.argument(3, "string expected, got " .. type(value), "coutil.coroutine", "load", chunk, nil, value)
      H.argument(3, "string expected, got " .. type(value), "coutil.coroutine", "load", chunk, "name", value)
    end
  end
end)

H.test("loadfile: the path and the mode [20 3.2] [00 5.2.2]", function ()
  for _, value in ipairs { true, {}, print } do
    H.argument(1, "string expected, got " .. type(value), "coutil.coroutine", "loadfile", value)
    H.argument(2, "string expected, got " .. type(value), "coutil.coroutine", "loadfile", "no such file", value)
    H.argument(2, "string expected, got " .. type(value), "coutil.coroutine", "loadfile", nil, value)
  end
  H.argument(1, "string expected, got char[]", "coutil.coroutine", "loadfile", memory.create "x")
end)

H.test("status and close: a state coroutine [20 3.5] [20 0.3] [00 5.2.1] [00 5.2.2]", function ()
  for _, name in ipairs { "status", "close" } do
    H.argument(1, "coutil:coroutine expected, got no value", "coutil.coroutine", name)
    for _, other in ipairs(others) do
      H.argument(1, "coutil:coroutine expected, got " .. other[1], "coutil.coroutine", name, other[2])
    end
    H.method(0, "coutil:coroutine expected, got table", { [name] = states[name] }, name)
  end
end)

H.test("resume: a state coroutine, before everything else [20 4.1] [00 1.4.4]", function ()
  H.inside(1, "coutil:coroutine expected, got no value", "coutil.system", "resume")
  for _, other in ipairs(others) do
    H.inside(1, "coutil:coroutine expected, got " .. other[1], "coutil.system", "resume", other[2], {})
    local ok, text = pcall(resume, other[2]) -- in the main thread too
    T.eq(ok, false)
    T.eq(text, "bad argument #1 to 'coutil.system.resume' (coutil:coroutine expected, got " .. other[1] .. ")")
  end
end)

H.test("resume: running, before yielding and before the values [20 4.2] [00 1.4.4]", function ()
  local name = H.name()
  local co = H.load [[ block((...)) return "end" ]]
  local w = T.waiter(resume, co, name)
  local refused = { false, "cannot resume running coroutine" }
  T.returns(refused, resume, co) -- main thread
  T.returns(refused, resume, co, {}, print)
  T.returns(refused, T.inside, resume, co, {})
  local got
  T.inside(string.gsub, "x", "x", function () got = pack(resume(co)) end)
  T.same(got, refused)
  T.eq(states.status(co), "running")
  H.release(name)
  T.returns(refused, resume, co)
  T.eq(run(), false)
  T.same(w.got, { true, "end" })
  T.eq(states.close(co), true)
end)

H.test("resume: dead, before yielding and before the values [20 4.3] [00 1.4.4] [00 4.3]", function ()
  local refused = { false, "cannot resume dead coroutine" }
  for _, text in ipairs { "return 1", "require '_G' error 'x'", "closed" } do
    local co = assert(states.load(text == "closed" and "return" or text))
    if text == "closed" then T.eq(states.close(co), true) else H.resume(co) end
    for _ = 1, 2 do
      T.returns(refused, resume, co)
      T.returns(refused, resume, co, {}, print)
      T.returns(refused, T.inside, resume, co, {})
      local got
      T.inside(string.gsub, "x", "x", function () got = pack(resume(co, {})) end)
      T.same(got, refused)
      states.close(co)
    end
  end
end)

H.test("resume: where waiting is impossible, the state coroutine is unchanged [20 4.4] [00 1.4.1] [00 1.4.2] [00 1.4.3] [20 8.19.1]",
function ()
  local co = assert(states.load "return 'ran', ...")
  for _, args in ipairs { pack(), pack(1, nil), pack({}), pack(print) } do
    T.same(pack(pcall(resume, co, T.unpack(args, 1, args.n))), { false, "unable to yield" })
    local ok, text = pcall(T.load("local resume = ...\nresume(select(2, ...))", "=chunk"), resume, co, T.unpack(args, 1, args.n))
    T.eq(ok, false)
    T.eq(text, "chunk:2: unable to yield")
    if T.detects_yieldable or T.version == "5.1" then
      local got
      T.inside(string.gsub, "x", "x", function () got = pack(pcall(resume, co, T.unpack(args, 1, args.n))) end)
      T.same(got, { false, "unable to yield" })
    end
    T.eq(states.status(co), "suspended")
    T.eq(run(), false)
  end
  T.returns({ true, "ran", "good" }, H.resume, co, "good")
  T.eq(states.close(co), true)
end)

H.test("resume: a refused value leaves it as it was [20 4.5] [20 2.5]", function ()
  local co = H.load [[
    local first = pack(...)
    local second = pack(yield(first.n, first[1]))
    return second.n, second[1] ]]
  T.eq(select(2, T.inside(resume, co, 1, 2, {})), "unable to transfer argument #4 (got table)")
  T.eq(states.status(co), "suspended")
  T.eq(run(), false)
  T.returns({ true, 1, "first" }, H.resume, co, "first")
  T.eq(select(2, T.inside(resume, co, print)), "unable to transfer argument #2 (got function)")
  T.eq(states.status(co), "suspended")
  T.returns({ true, 2, "second" }, H.resume, co, "second", nil)
  T.returns({ true }, states.close, co)
end)

H.test("the position of raised errors [00 5.1.1]", function ()
  local co = assert(states.load "return")
  local text = E.try(T.load("local states = ...\n\nstates.status()", "=chunk"), states)
  T.eq(text:sub(1, 9), "chunk:3: ")
  T.eq(E.try(states.status):sub(1, 3), "bad")
  text = E.raised(T.load("local resume = ...\n\nresume()\nreturn 1", "=chunk"), resume)
  T.eq(text:sub(1, 9), "chunk:3: ")
  T.eq(states.close(co), true)
end)

H.test("numbers are strings where strings are expected [00 5.2.4] [20 3.1]", function ()
  local co = assert(states.load("return 1", 12, "t"))
  T.returns({ true, 1 }, H.resume, co)
  T.eq(states.close(co), true)
  local got = pack(states.loadfile(L.path() .. 1, "t"))
  T.same({ got.n, got[1] }, { 2, false })
end)

T.done()
