-- What the tests of channels, state coroutines and thread pools share.

local T = require "testing"
local channel = require "coutil.channel"
local states = require "coutil.coroutine"
local system = require "coutil.system"
local threads = require "coutil.threads"
local pack, unpack = T.pack, T.unpack

local H = {}

-- What a chunk of another state begins with, in one line: the basic functions, `yield`, `system`, `channel`, and
--   start(f, ...)   runs f in a new coroutine until it suspends
--   waiter(f, ...)  the same, with the results in `got`
--   block(name)     waits for a match on that channel without giving the thread away
--   flagged(name)   true while a channel of that name exists
H.prelude = ([[
require "_G"
local coroutine, string, table, io = require "coroutine", require "string", require "table", require "io"
local system, channel = require "coutil.system", require "coutil.channel"
local yield, unpack = coroutine.yield, table.unpack or unpack
local function pack(...) return { n = select("#", ...), ... } end
local function start(f, ...)
local co = coroutine.create(function (...) return f(...) end)
local ok, err = coroutine.resume(co, ...)
if not ok then error(err, 0) end
return co
end
local function waiter(f, ...)
local w = {}
w.co = start(function (...) w.got = pack(f(...)) end, ...)
return w
end
local function block(name)
local ch = channel.create(name)
local w = waiter(system.awaitch, ch, "in")
while not w.got do system.run "step" end
ch:close()
end
local function flagged(name) return channel.getnames({ [name] = true })[name] end
]]):gsub("\n", " ")

local last = 0

-- A name that no channel has had.
function H.name(what)
  last = last + 1
  return (what or "name") .. " " .. last
end

-- A name that exists until `H.lower`: others see it with `flagged`.
function H.flag()
  local ch = channel.create(H.name "flag")
  return ch:getname(), ch
end

-- Repeats until `f()` gives a true value, which it returns. Others can have the processor between two calls.
function H.wait(f, what)
  local from = system.nanosecs()
  while true do
    local got = f()
    if got then return got end
    if system.nanosecs() - from > 60e9 then error("in vain: " .. (what or "waiting"), 2) end
    system.suspend(.0005, "~")
  end
end

-- Meets another party on the channel of that name, which comes sooner or later; returns what `awaitch` returned.
function H.meet(name, endpoint, ...)
  local ch = channel.create(name)
  local w = T.waiter(system.awaitch, ch, endpoint, ...)
  if not w.got then
    local guard = T.start(function ()
      if system.suspend(60) == true then T.resume(w.co, "nobody came to " .. name) end
    end)
    while not w.got do system.run "step" end
    if coroutine.status(guard) == "suspended" then T.resume(guard) end
  end
  ch:close()
  return unpack(w.got, 1, w.got.n)
end

-- Takes values from the task or state coroutine that sends them "out" on that channel.
function H.take(name)
  local got = pack(H.meet(name, "in"))
  if got[1] ~= true then error(tostring(got[2] or got[1]), 2) end
  return unpack(got, 2, got.n)
end

-- `sync` until a match is found: without running the loop.
function H.sync(name, endpoint, ...)
  local ch, args = channel.create(name), pack(...)
  local got = H.wait(function ()
    local got = pack(ch:sync(endpoint, unpack(args, 1, args.n)))
    return got[1] and got
  end, "sync on " .. name)
  ch:close()
  return unpack(got, 1, got.n)
end

-- Releases a `block(name)`.
function H.release(name) T.eq((H.sync(name, "out")), true) end

-- State coroutines ------------------------------------------------------------------------------

-- A state coroutine with that body after the prelude.
function H.load(body, name) return assert(states.load(H.prelude .. body, name or "=body")) end

-- Resumes and runs until the results are there, whatever else is pending.
function H.resume(co, ...)
  local w = T.waiter(system.resume, co, ...)
  while not w.got do system.run "step" end
  return unpack(w.got, 1, w.got.n)
end

-- What the body returns in a state of its own.
function H.eval(body, ...)
  local co = H.load(body)
  local got = pack(H.resume(co, ...))
  if got[1] ~= true then error(tostring(got[2]), 2) end
  T.eq(states.close(co), true)
  return unpack(got, 2, got.n)
end

-- The same for a text without the prelude.
function H.bare(text, ...)
  local co = assert(states.load(text, "=bare"))
  local got = pack(H.resume(co, ...))
  if got[1] ~= true then error(tostring(got[2]), 2) end
  T.eq(states.close(co), true)
  return unpack(got, 2, got.n)
end

-- Pools -----------------------------------------------------------------------------------------

-- Adds a task with that body after the prelude.
function H.add(pool, body, ...)
  T.returns({ true }, threads.dostring, pool, H.prelude .. body, "=task", "t", ...)
end

-- What the counts are now.
function H.counts(pool, letters, ...)
  T.same(pack(pool:count(letters)), pack(...), "counts " .. letters)
end

-- Waits until the counts are these.
function H.reach(pool, letters, ...)
  local want, got = pack(...), nil
  local ok = pcall(H.wait, function ()
    got = pack(pool:count(letters))
    for i = 1, want.n do if got[i] ~= want[i] then return false end end
    return true
  end)
  if not ok then T.same(got, want, "counts " .. letters) end
end

-- Waits until no task is left, and closes.
function H.finish(pool)
  H.reach(pool, "n", 0)
  T.returns({ true }, threads.close, pool)
end

-- Checks ----------------------------------------------------------------------------------------

-- The text of an argument error: called by name from Lua, and by `pcall`.
function H.argument(n, detail, module, name, ...)
  local loaded = require(module)
  local caller = T.load("local m = ...\nm." .. name .. "(select(2, ...))", "=chunk")
  local ok, text = pcall(caller, loaded, ...)
  T.eq(ok, false)
  T.eq(text, "chunk:2: bad argument #" .. n .. " to '" .. name .. "' (" .. detail .. ")")
  ok, text = pcall(loaded[name], ...)
  T.eq(ok, false)
  T.eq(text, "bad argument #" .. n .. " to '" .. module .. "." .. name .. "' (" .. detail .. ")")
end

-- The text of an argument error of a method: `n` is 0 for self.
function H.method(n, detail, object, name, ...)
  local caller = T.load("local s = ...\ns:" .. name .. "(select(2, ...))", "=chunk")
  local ok, text = pcall(caller, object, ...)
  T.eq(ok, false)
  T.eq(text, "chunk:2: " .. (n == 0 and "calling '" .. name .. "' on bad self (" .. detail .. ")" or
    "bad argument #" .. n .. " to '" .. name .. "' (" .. detail .. ")"))
end

-- The same, raised in a coroutine, where waiting is possible.
function H.inside(n, detail, module, name, ...)
  local loaded = require(module)
  local caller = T.load("local m = ...\nm." .. name .. "(select(2, ...))", "=chunk")
  local ok, text = coroutine.resume(T.create(caller), loaded, ...)
  T.eq(ok, false)
  T.eq(text, "chunk:2: bad argument #" .. n .. " to '" .. name .. "' (" .. detail .. ")")
end

-- One value of each kind that cannot be transferred, by its type.
H.refused = {
  { "table", {} }, { "function", function () end }, { "function", print }, { "userdata", io.stdout },
  { "thread", coroutine.create(function () end) },
}

-- Values that can be transferred, all at once.
H.values = pack(nil, true, false, 0, -1, 123, .25, -1e300, math.huge, "", "text", "a\0b\255\r\n", nil, ("x\0y"):rep(2048), nil)

-- Runs the text in an interpreter of its own, as this script is run; see `T.child`.
function H.child(text, options)
  local arg = rawget(_G, "arg")
  local bare = arg and arg[-1] == "--bare" and "--bare " or ""
  return T.child(text, bare .. (options or ""))
end

-- A file with that program, which has the package paths of this one; to be removed.
function H.program(text)
  local path = os.tmpname()
  local file = assert(io.open(path, "w"))
  file:write(("package.path, package.cpath = %q, %q\n"):format(package.path, package.cpath), text)
  file:close()
  return path
end

local function names() return channel.getnames() end

-- A test that leaves nothing behind: nothing pending, and no channel.
function H.test(title, f)
  T.test(title, function ()
    f()
    local turns = 0
    while system.run "ready" do
      turns = turns + 1
      if turns > 100 then error "something is still pending" end
    end
    T.scrub()
    T.gc()
    -- States may end in other threads.
    H.wait(function () T.gc(); return next(names()) == nil end, "the end of all channels")
  end)
end

function H.test_if(condition, reason, title, f)
  if condition then H.test(title, f) else T.skip(title, reason) end
end

return H
