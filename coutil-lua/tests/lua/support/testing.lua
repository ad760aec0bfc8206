-- A small test harness in plain Lua, for every Lua from 5.1 to 5.5 and LuaJIT.
--
--   local T = require "testing"
--   T.test("title [10 1.2.3]", function () T.eq(1 + 1, 2) end)
--   T.done()
--
-- A test runs at once, in the main thread, isolated from the others: whatever it raises is printed
-- with its title and a traceback. An error that the library reported through `system.onerror`
-- during a test fails the test, unless the test asked for it with `T.reports`.
--
-- COUTIL_TEST_GC=full          forces full collections all the time
-- COUTIL_TEST_GC=generational  or incremental: selects the collector (5.4 and later)
-- COUTIL_TEST_SCALE=N          divides the sizes given to `T.scale` (for slow environments)

local T = {}

-- Features of the interpreter -------------------------------------------------------------------

local jit = rawget(_G, "jit")
T.version = jit and "jit" or _VERSION:match("%d+%.%d+")
T.number = jit and 5.1 or tonumber(T.version)
T.has_close = coroutine.close ~= nil
T.has_tbc = T.number >= 5.4
T.yield_across_pcall = T.version ~= "5.1"
T.ephemerons = T.number >= 5.2
T.integers = math.type ~= nil
T.continuations = T.number >= 5.2 -- awaiting functions are C functions
T.detects_yieldable = T.number >= 5.3 or jit ~= nil -- the interpreter itself can tell
T.running_main = coroutine.running() ~= nil -- `coroutine.running` gives the main thread too
T.gc_mode = os.getenv("COUTIL_TEST_GC") or ""
T.nan = 0 / 0

T.unpack = table.unpack or unpack
T.pack = function (...) return { n = select("#", ...), ... } end
T.load = function (text, name) return assert((rawget(_G, "loadstring") or load)(text, name)) end
local pack, unpack = T.pack, T.unpack

-- Collections -----------------------------------------------------------------------------------

-- Collects whatever can be collected, also through chains of finalizers and weak tables.
function T.gc()
  if jit then jit.flush() end -- compiled traces hold values
  for _ = 1, 6 do collectgarbage() end
end

local function stress() collectgarbage() end

-- Arms the forced collections in a thread (the running one by default).
function T.arm(co)
  if T.gc_mode ~= "full" then return end
  if co then debug.sethook(co, stress, "", 61) else debug.sethook(stress, "", 61) end
end

if T.gc_mode == "full" then
  if T.number >= 5.5 then
    collectgarbage("param", "pause", 1)
    collectgarbage("param", "stepmul", 1000)
  else
    collectgarbage("setpause", 1)
    collectgarbage("setstepmul", 1000)
  end
elseif (T.gc_mode == "generational" or T.gc_mode == "incremental") and T.number >= 5.4 then
  collectgarbage(T.gc_mode)
end

local divisor = tonumber(os.getenv("COUTIL_TEST_SCALE") or "") or 1
if T.gc_mode == "full" then divisor = divisor * 500 end

T.full_speed = divisor == 1

-- The size of a load test: `n` where nothing makes the run slow, never less than `least`.
function T.scale(n, least) return math.max(math.floor(n / divisor), least or 10) end

-- A box that does not keep what it watches: `add(x)` returns x, `alive()` collects and counts.
function T.watch()
  local weak, count = setmetatable({}, { __mode = "v" }), 0
  local box = {}
  function box.add(x) count = count + 1; weak[count] = x; return x end
  function box.get(i) return weak[i] end
  function box.alive()
    T.gc()
    local n = 0
    for _ in pairs(weak) do n = n + 1 end
    return n
  end
  return box
end

-- Overwrites what earlier calls left in the unused part of the stack.
function T.scrub()
  local a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q, r, s, t, u, v, w, x, y, z
  return a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q, r, s, t, u, v, w, x, y, z
end

-- Calls `f` on a stack of its own, which is garbage afterwards: nothing that `f` had in its local
-- variables is kept by stale stack slots.
function T.scope(f, ...)
  local co = coroutine.create(f)
  local got = T.pack(coroutine.resume(co, ...))
  if not got[1] then error(debug.traceback(co, tostring(got[2])), 2) end
  if coroutine.status(co) ~= "dead" then error("a scope must not suspend", 2) end
  return T.unpack(got, 2, got.n)
end

-- True if all that `f` gives to its argument is collected once `f` has returned.
function T.collected(f)
  local box = T.watch()
  T.scope(f, box.add)
  return box.alive() == 0
end

-- Coroutines ------------------------------------------------------------------------------------

-- As `coroutine.create`; the function may be a C function also on 5.1.
function T.create(f)
  if T.version == "5.1" and debug.getinfo(f, "S").what == "C" then
    local c = f
    f = function (...) return c(...) end
  end
  local co = coroutine.create(f)
  T.arm(co)
  return co
end

-- Resumes `co`, which must not fail, and returns what it yields or returns.
function T.resume(co, ...)
  local got = pack(coroutine.resume(co, ...))
  if not got[1] then
    error(debug.traceback(co, "coroutine failed: " .. tostring(got[2])), 2)
  end
  return unpack(got, 2, got.n)
end

-- Runs `f(...)` in a new coroutine until it suspends or ends; returns the coroutine.
function T.start(f, ...)
  local co = T.create(f)
  T.resume(co, ...)
  return co
end

-- Runs `f(...)` in a new coroutine, which must end at once, and returns the results.
function T.inside(f, ...)
  local co = T.create(f)
  local got = pack(T.resume(co, ...))
  if coroutine.status(co) ~= "dead" then error("the coroutine has not ended", 2) end
  return unpack(got, 1, got.n)
end

-- Starts a coroutine that calls `await(...)`; `got` of the result is the packed list of what it
-- returned, or nil while it waits, and `co` is the coroutine.
function T.waiter(await, ...)
  local w = {}
  w.co = T.start(function (...) w.got = pack(await(...)) end, ...)
  return w
end

-- Checks ----------------------------------------------------------------------------------------

local function show(v)
  if type(v) == "string" then return string.format("%q", v) end
  return tostring(v)
end

local function equal(a, b) return rawequal(a, b) or (a ~= a and b ~= b) end

function T.eq(got, want, what)
  if not equal(got, want) then
    error((what and what .. ": " or "") .. "got " .. show(got) .. ", expected " .. show(want), 2)
  end
end

local function list(t)
  local out, n = {}, t.n or #t
  for i = 1, n do out[i] = show(t[i]) end
  return n .. " values (" .. table.concat(out, ", ") .. ")"
end

-- Compares two lists, with their number of values (field `n`, or else their length).
function T.same(got, want, what)
  if got == nil then error((what and what .. ": " or "") .. "nothing returned yet", 2) end
  local same = (got.n or #got) == (want.n or #want)
  for i = 1, want.n or #want do same = same and equal(got[i], want[i]) end
  if not same then
    error((what and what .. ": " or "") .. "got " .. list(got) .. ", expected " .. list(want), 2)
  end
end

-- `T.returns({"a", nil, n = 2}, f, ...)`: what `f(...)` returns, exactly.
function T.returns(want, f, ...)
  T.same(pack(f(...)), want)
end

-- What compares something with the wall clock, again if it fails: the clock may be set meanwhile.
function T.wall(f)
  for _ = 1, 9 do
    local ok = pcall(f)
    if ok then return end
  end
  f()
end

-- `f(...)` must raise an error whose text contains `text`; returns the error.
function T.raises(text, f, ...)
  local ok, err = pcall(f, ...)
  if ok then error("no error, expected " .. show(text), 2) end
  if not tostring(err):find(text, 1, true) then
    error("got the error " .. show(err) .. ", expected " .. show(text), 2)
  end
  return err
end

-- Reports of errors -----------------------------------------------------------------------------

local reports = {}
local function collect(...)
  local r = pack(...)
  r.err, r.co, r.traceback = r[1], r[2], r[3]
  reports[#reports + 1] = r
end

local function listen()
  local found, system = pcall(require, "coutil.system")
  if found and type(system) == "table" and system.onerror then system.onerror(collect) end
end

-- The errors reported since the test began, or since the last call; they are forgiven. Each has
-- the fields err, co and traceback, and the arguments of the handler as a packed list.
function T.reports()
  local got = reports
  reports = {}
  return got
end

-- Child interpreters ----------------------------------------------------------------------------

-- The interpreter that runs this script, if it is a program that can be started again.
function T.interpreter()
  local arg = rawget(_G, "arg")
  if not (arg and arg[-1]) then return nil end
  local i = -1
  while arg[i - 1] do i = i - 1 end
  return arg[i]
end

-- Runs the text in a new interpreter with the same package paths. Returns what it wrote to its
-- standard output and standard error (or as `redirect` says), and its exit status.
function T.child(text, options, redirect)
  local name = os.tmpname()
  local file = assert(io.open(name, "w"))
  file:write(string.format("package.path, package.cpath = %q, %q\n", package.path, package.cpath))
  file:write(text, "\n")
  file:close()
  local command = string.format('"%s" %s "%s" %s; echo "exit=$?"', T.interpreter(),
    options or "", name, redirect or "2>&1")
  local pipe = assert(io.popen(command))
  local out = pipe:read("*a")
  pipe:close()
  os.remove(name)
  local body, status = out:match("^(.-)exit=(%d+)\n$")
  if not body then error("child interpreter gave: " .. out, 2) end
  return body, tonumber(status)
end

-- Tests -----------------------------------------------------------------------------------------

local passed, failed, skipped = 0, 0, 0

local function failure(title, text)
  failed = failed + 1
  io.stderr:write("FAILED: ", title, "\n", text, "\n")
end

local function explain(err)
  if type(err) ~= "string" then err = "error value: " .. tostring(err) end
  return debug.traceback(err, 2)
end

function T.test(title, f)
  listen()
  reports = {}
  T.arm()
  local ok, text = xpcall(f, explain)
  if not ok then return failure(title, text) end
  if reports[1] then
    local r = reports[1]
    return failure(title, "error in a coroutine: " .. tostring(r.err) .. "\n" .. tostring(r.traceback))
  end
  passed = passed + 1
end

-- Counts a test that this interpreter cannot run. The reason is for the reader of the file.
function T.skip(title, reason)
  assert(type(title) == "string" and type(reason) == "string")
  skipped = skipped + 1
end

-- Runs the test if the condition holds, and skips it otherwise.
function T.test_if(condition, reason, title, f)
  if condition then T.test(title, f) else T.skip(title, reason) end
end

-- A test that needs to start interpreters.
function T.test_child(title, f)
  T.test_if(T.interpreter(), "no interpreter to start", title, f)
end

-- To be called at the end of the file.
function T.done()
  debug.sethook()
  print(string.format("%d passed, %d failed, %d skipped", passed, failed, skipped))
  if failed > 0 then error(failed .. " of " .. passed + failed .. " tests failed", 0) end
end

return T
