-- Channels: what is checked, in which order, and with which texts.

local T = require "testing"
local L = require "loop_testing"
local E = require "error_testing"
local H = require "threads_testing"
local channel = require "coutil.channel"
local system = require "coutil.system"
local create, sync = channel.create, channel.sync
local awaitch, run = system.awaitch, system.run
local pack = T.pack

local function closed_channel()
  local ch = create "closed"
  ch:close()
  return ch
end

-- The error of `awaitch(...)` in a coroutine, with its position if it has one.
local function awaiting(...) return (E.raised(awaitch, ...)) end

-- What is no channel, with the name of its type in messages.
local others = {
  { "nil", nil }, { "boolean", true }, { "number", 1 }, { "string", "x" }, { "table", {} }, { "function", print },
  { "thread", coroutine.create(function () end) }, { "table", setmetatable({}, { __index = channel }) },
  { "coutil:channel", setmetatable({}, { __name = "coutil:channel" }) },
}
if T.number >= 5.3 then table.insert(others, { "FILE*", io.stdout }) end

-- Types -----------------------------------------------------------------------------------------

H.test("create: a name [20 5.1] [00 5.2.2] [20 0.2]", function ()
  H.argument(1, "string expected, got no value", "coutil.channel", "create")
  for _, other in ipairs(others) do
    if other[1] ~= "number" and other[1] ~= "string" then
      H.argument(1, "string expected, got " .. other[1], "coutil.channel", "create", other[2])
    end
  end
  local ch = create "x"
  H.argument(1, "string expected, got coutil:channel", "coutil.channel", "create", ch)
  T.eq(channel.getnames().x, true)
  ch:close()
end)

H.test("getnames: nil or a table [20 5.3] [00 5.2.2]", function ()
  for _, value in ipairs { true, 1, "x", print } do
    H.argument(1, "table expected, got " .. type(value), "coutil.channel", "getnames", value)
  end
  local ch = create "x"
  H.argument(1, "table expected, got coutil:channel", "coutil.channel", "getnames", ch)
  H.method(0, "table expected, got coutil:channel", ch, "getnames")
  ch:close()
end)

H.test("getname, close, sync: a channel [20 0.3] [00 5.2.1] [00 5.2.2]", function ()
  for _, name in ipairs { "getname", "close", "sync" } do
    H.argument(1, "coutil:channel expected, got no value", "coutil.channel", name)
    for _, other in ipairs(others) do
      H.argument(1, "coutil:channel expected, got " .. other[1], "coutil.channel", name, other[2])
    end
    local fake = { [name] = channel[name] }
    H.method(0, "coutil:channel expected, got table", fake, name)
  end
end)

H.test("awaitch: a channel [20 5.5] [00 1.4.4]", function ()
  H.inside(1, "coutil:channel expected, got no value", "coutil.system", "awaitch")
  for _, other in ipairs(others) do
    H.inside(1, "coutil:channel expected, got " .. other[1], "coutil.system", "awaitch", other[2], "x", {})
  end
end)

H.test("a closed channel [20 5.3] [20 5.5]", function ()
  local ch = closed_channel()
  H.argument(1, "closed channel", "coutil.channel", "getname", ch)
  H.argument(1, "closed channel", "coutil.channel", "sync", ch)
  H.argument(1, "closed channel", "coutil.channel", "sync", ch, "bad", {}) -- before the endpoint
  H.method(0, "closed channel", ch, "getname")
  H.method(0, "closed channel", ch, "sync", "in")
  H.inside(1, "closed channel", "coutil.system", "awaitch", ch)
  H.inside(1, "closed channel", "coutil.system", "awaitch", ch, {}, {})
  T.returns({ false }, channel.close, ch)
  T.eq(type(tostring(ch)), "string")
end)

-- Endpoints -------------------------------------------------------------------------------------

local bad_endpoints = { "i", "o", "input", "output", "", "In", "OUT", "any ", " in", "*" }

H.test("an endpoint of another text: no position [20 5.7] [20 2.8]", function ()
  local ch = create "x"
  for _, endpoint in ipairs(bad_endpoints) do
    local text = "bad argument #2 (invalid option '" .. endpoint .. "')"
    T.same(pack(pcall(sync, ch, endpoint)), { false, text })
    T.same(pack(pcall(E.callers.sync, ch, endpoint)), { false, text })
    T.eq(awaiting(ch, endpoint), text)
    T.eq(E.raised(T.load "local awaitch = ...\nawaitch(select(2, ...))", awaitch, ch, endpoint), text)
    T.eq(awaiting(ch, endpoint, {}), text) -- before the other arguments
    T.same(pack(pcall(sync, ch, endpoint, {})), { false, text })
  end
  T.same(pack(pcall(sync, ch, 12)), { false, "bad argument #2 (invalid option '12')" })
  T.eq(awaiting(ch, 12), "bad argument #2 (invalid option '12')")
  T.returns({ true }, channel.close, ch) -- nobody waits
end)

H.test("the text of an endpoint ends at its first zero [20 5.7] [30 K8]", function ()
  local ch = create "x"
  T.same(pack(pcall(sync, ch, "bad\0text")), { false, "bad argument #2 (invalid option 'bad')" })
  T.returns({ false, "empty" }, sync, ch, "in\0out")
  local w = T.waiter(awaitch, ch, "in\0")
  T.returns({ false, "empty" }, sync, ch, "in")
  T.returns({ true }, sync, ch, "out\0in")
  T.eq(run(), false)
  T.same(w.got, { true })
  ch:close()
end)

H.test("an endpoint of another type [20 5.5] [00 5.2.2]", function ()
  local ch = create "x"
  for _, value in ipairs { true, {}, print, coroutine.create(function () end) } do
    H.argument(2, "string expected, got " .. type(value), "coutil.channel", "sync", ch, value)
    H.argument(2, "string expected, got " .. type(value), "coutil.channel", "sync", ch, value, {})
    H.inside(2, "string expected, got " .. type(value), "coutil.system", "awaitch", ch, value)
    H.inside(2, "string expected, got " .. type(value), "coutil.system", "awaitch", ch, value, {})
  end
  H.method(1, "string expected, got boolean", ch, "sync", false)
  H.argument(2, "string expected, got coutil:channel", "coutil.channel", "sync", ch, ch)
  T.returns({ true }, channel.close, ch)
end)

-- Values ----------------------------------------------------------------------------------------

H.test("values that cannot be transferred: raised without position [20 2.6] [20 2.8] [00 7.2.3] [20 10.9]", function ()
  local ch = create "x"
  for _, refused in ipairs(H.refused) do
    for _, at in ipairs { 1, 2, 3, 7, 200 } do
      local args = { n = at }
      for i = 1, at - 1 do args[i] = i end
      args[at] = refused[2]
      local text = "unable to transfer argument #" .. at + 2 .. " (got " .. refused[1] .. ")"
      for _, endpoint in ipairs { "in", "out", "any" } do
        T.same(pack(pcall(sync, ch, endpoint, T.unpack(args, 1, at))), { false, text })
        T.same(pack(pcall(E.callers.sync, ch, endpoint, T.unpack(args, 1, at))), { false, text })
        T.eq(awaiting(ch, endpoint, T.unpack(args, 1, at)), text)
      end
    end
  end
  T.same(pack(pcall(sync, ch, nil, ch)), { false, "unable to transfer argument #3 (got userdata)" })
  T.eq(awaiting(ch, nil, ch), "unable to transfer argument #3 (got userdata)")
  T.returns({ true }, channel.close, ch) -- nobody waits
end)

H.test("the first one is named [20 2.5]", function ()
  local ch = create "x"
  T.same(pack(pcall(sync, ch, "in", 1, print, {}, 2, io.stdout)), { false, "unable to transfer argument #4 (got function)" })
  T.eq(awaiting(ch, "in", nil, nil, {}, print), "unable to transfer argument #5 (got table)")
  ch:close()
end)

H.test("the name of the class is not used [20 2.4]", function ()
  local ch = create "x"
  local named = setmetatable({}, { __name = "MyType", __tostring = function () return "text" end })
  T.same(pack(pcall(sync, ch, "in", named)), { false, "unable to transfer argument #3 (got table)" })
  T.eq(awaiting(ch, "in", named), "unable to transfer argument #3 (got table)")
  ch:close()
end)

H.test("the waiting party does not see an attempt that fails [20 2.7] [20 5.12]", function ()
  local a, b = create "x", create "x"
  local w = T.waiter(awaitch, a, "in", "mine")
  T.raises("unable to transfer argument #3 (got table)", sync, b, "out", {})
  T.eq(awaiting(b, "out", 1, {}), "unable to transfer argument #4 (got table)")
  T.raises("invalid option 'o'", sync, b, "o")
  T.eq(awaiting(b, "o"), "bad argument #2 (invalid option 'o')")
  T.eq(run("ready"), true)
  T.eq(w.got, nil)
  T.returns({ true, "mine" }, sync, b, "out", "good")
  T.eq(run(), false)
  T.same(w.got, { true, "good" })
  a:close()
  b:close()
end)

-- Order -----------------------------------------------------------------------------------------

H.test("where waiting is impossible, nothing else is looked at [20 5.5] [00 1.4.1] [00 1.4.3] [20 8.19.1]", function ()
  local a, b = create "x", create "x"
  local w = T.waiter(awaitch, a, "in")
  local calls = { pack(), pack(nil), pack(1), pack({}), pack(closed_channel()), pack(a), pack(b, "out"), pack(b, "any"),
    pack(b, "bad"), pack(b, {}), pack(b, "out", {}) }
  for _, args in ipairs(calls) do
    T.same(pack(pcall(awaitch, T.unpack(args, 1, args.n))), { false, "unable to yield" })
    local ok, text = pcall(T.load("local awaitch = ...\nawaitch(select(2, ...))", "=chunk"), awaitch, T.unpack(args, 1, args.n))
    T.eq(ok, false)
    T.eq(text, "chunk:2: unable to yield")
  end
  if T.detects_yieldable or T.version == "5.1" then
    for _, args in ipairs(calls) do
      local got
      T.inside(string.gsub, "x", "x", function () got = pack(pcall(awaitch, T.unpack(args, 1, args.n))) end)
      T.same(got, { false, "unable to yield" })
    end
  end
  T.eq(w.got, nil)
  T.returns({ true }, sync, b, "out") -- still there
  T.eq(run(), false)
  T.same(w.got, { true })
  a:close()
  b:close()
end)

H.test("in use comes after closed, and before the endpoint [20 5.5] [20 5.9]", function ()
  local a = create "x"
  local w = T.waiter(awaitch, a, "in")
  H.inside(1, "in use", "coutil.system", "awaitch", a)
  H.inside(1, "in use", "coutil.system", "awaitch", a, "bad", {})
  H.inside(1, "in use", "coutil.system", "awaitch", a, {}, {})
  H.inside(1, "in use", "coutil.system", "awaitch", a, "out") -- though it would match
  T.same(pack(pcall(sync, a, "bad")), { false, "bad argument #2 (invalid option 'bad')" }) -- sync does not mind
  T.returns({ true }, sync, a, "out")
  H.inside(1, "in use", "coutil.system", "awaitch", a) -- until run has processed the match
  T.eq(run(), false)
  T.same(w.got, { true })
  a:close()
end)

H.test("an error leaves the coroutine able to wait [20 5.5] [20 8.19.5]", function ()
  local a = create "x"
  if T.yield_across_pcall then
    local w = T.waiter(function ()
      T.eq(select(2, pcall(awaitch, a, "bad")), "bad argument #2 (invalid option 'bad')")
      T.eq(select(2, pcall(awaitch, a, "in", {})), "unable to transfer argument #3 (got table)")
      return awaitch(a, "in")
    end)
    T.returns({ true }, sync, a, "out", "x")
    T.eq(run(), false)
    T.same(w.got, { true, "x" })
  end
  T.returns({ true }, channel.close, a)
end)

H.test("extra arguments of the others are ignored [00 3.2]", function ()
  local ch = create("x", {}, print)
  T.returns({ "x" }, channel.getname, ch, {}, print)
  local t = {}
  T.returns({ t }, channel.getnames, t, {}, 1)
  T.returns({ true }, channel.close, ch, {}, print)
  T.returns({ false }, channel.close, ch, 1)
end)

H.test("results of two values [20 0.1] [20 5.3]", function ()
  local ch = create "x"
  local got = pack(L.await(function () return ch:sync("in") end))
  T.eq(got.n, 2)
  T.eq(rawequal(got[1], false), true)
  T.eq(got[2], "empty")
  ch:close()
end)

T.done()
