-- Every function of every module, and every method of every object, called at random with values that nobody expects: it
-- raises or returns, and everything works afterwards. COUTIL_TEST_SEED and COUTIL_TEST_ROUNDS say which calls, and how many.

local T = require "testing"
local L = require "loop_testing"
local P = require "process_testing"
local memory = require "memory"
local system = require "coutil.system"
local channel = require "coutil.channel"
local states = require "coutil.coroutine"
local threads = require "coutil.threads"
local promise = require "coutil.promise"
local event = require "coutil.event"
local unpack = T.unpack

local seed = tonumber(os.getenv "COUTIL_TEST_SEED" or "") or 1
math.randomseed(seed)
local random = math.random

-- Values ----------------------------------------------------------------------------------------

local function raises() error("a metamethod raises", 0) end
local function yields() return coroutine.yield() end

-- Tables whose metamethods raise, yield, or change what is being worked on.
local function strange(method)
  local mt = {}
  for _, name in ipairs { "__index", "__newindex", "__len", "__tostring", "__eq", "__lt", "__le", "__call", "__concat", "__pairs", "__close" } do
    mt[name] = method
  end
  return setmetatable({}, mt)
end

local dead = coroutine.create(function () end)
coroutine.resume(dead)
local closed_file = assert(io.open("/dev/null"))
closed_file:close()

-- A file whose owner and permissions may be changed, which is not so with a device.
local scratch = os.tmpname()

local plain = {
  false, true, 0, 1, -1, 2, 3, 7, 255, 256, 65536, -2 ^ 31, 2 ^ 31, 2 ^ 32, 2 ^ 53, -2 ^ 53, 2 ^ 63, -2 ^ 63, 1e308,
  math.huge, -math.huge, T.nan, 0.5, -0.5, "", "x", "0", "-1", "1e9", "0x10", "a\0b", "~", "*", "in", "out", "any", "loop", "rw",
  "ipv4", "stream", "\255\254", ("y"):rep(300), ("z"):rep(5000), "%s%n%d", "2147483648",
  {}, { 1, 2, 3 }, { n = 1 }, { execfile = 1, arguments = { {} } }, { execfile = "", environment = 3 }, strange(raises),
  strange(yields), strange(function (t) return t end), type, raises, yields, coroutine.create(yields), dead, io.stdout, closed_file,
}

-- Objects of the library, of each kind, new ones and closed ones.
local kinds = {
  function () return memory.create(16) end,
  function () return memory.create("text") end,
  function () local m = memory.create(); m:resize(20); return m end,
  function () return memory.create() end,
  function () return system.address("ipv4") end,
  function () return system.address("ipv6", "::1", 80) end,
  function () return channel.create("hostile " .. random(3)) end,
  function () return (assert(states.load "return ...")) end,
  function () return (assert(threads.create(1))) end,
  function () return (promise.create()) end,
  function () return (select(2, promise.create())) end,
  function () return (assert(system.openfile(scratch, "~rw"))) end,
  function () return (select(4, system.listdir(".", "~"))) end,

  function () return system.packenv { A = "b" } end,
}
for _, domain in ipairs { "ipv4", "ipv6", "local", "share" } do
  for _, kind in ipairs { "stream", "passive", "datagram" } do
    kinds[#kinds + 1] = function () return (system.socket(kind, domain)) end
  end
end

-- A connection; what waits for ever must not be waited for.
local function connected(domain)
  local passive, address = L.listener(domain)
  local client, server = assert(system.socket("stream", domain)), nil
  T.start(function () server = passive:accept() end)
  T.start(function () client:connect(address) end)
  for _ = 1, 1000 do if not server then system.run "ready" end end
  passive:close()
  return server
end
kinds[#kinds + 1] = function () return connected "ipv4" end
kinds[#kinds + 1] = function () return connected "local" end

local objects = {}
local function renew(i)
  local ok, object = pcall(kinds[i])
  objects[i] = ok and object or nil
end
for i = 1, #kinds do renew(i) end

local function value()
  local what = random(10)
  if what <= 2 then return nil end
  if what <= 7 then return plain[random(#plain)] end
  local i = random(#kinds)
  if objects[i] == nil or random(20) == 1 then renew(i) end
  return objects[i]
end

-- Functions -------------------------------------------------------------------------------------

-- What would end, stop or harm this process or others if it succeeded; and what may last.
local function is_number(v) return tonumber(v) ~= nil end
local except = {
  ["system.run"] = function (a) if a[1] == nil or a[1] == "loop" or a[1] == "step" then a[1], a.n = "ready", math.max(a.n, 1) end end,
  ["system.emitsig"] = function (a) if is_number(a[1]) then a[1] = P.nobody end end,
  ["system.setpriority"] = function (a) if is_number(a[1]) then a[1] = P.nobody end end,
  ["system.onerror"] = function (a) a.n, a[1] = 1, "?" end,
  ["system.printall"] = function (a) a.n = -1 end,
  ["system.suspend"] = function (a) if (tonumber(a[1]) or 0) > 0.01 then a[1] = .0001 end end,
  ["system.findaddr"] = function (a) if type(a[1]) == "string" then a[1] = "127.0.0.1" end end,
  ["threads.create"] = function (a) if (tonumber(a[1]) or 0) > 3 then a[1] = 2 end end,
  ["pool.resize"] = function (a) if (tonumber(a[2]) or 0) > 3 then a[2] = 2 end end,
  ["memory.create"] = function (a) if (tonumber(a[1]) or 0) > 2 ^ 20 and tonumber(a[1]) <= 2 ^ 53 then a[1] = 99 end end,
  ["memory.resize"] = function (a) if (tonumber(a[2]) or 0) > 2 ^ 20 and tonumber(a[2]) <= 2 ^ 53 then a[2] = 99 end end,
}

local functions = {}
for _, name in ipairs { "event", "queued", "mutex", "promise", "spawn", "channel", "threads", "coroutine", "memory", "system" } do
  for field, f in pairs(require("coutil." .. name)) do
    if type(f) == "function" then
      local title = name .. "." .. field
      functions[#functions + 1] = { title, f, title == "threads.resize" and except["pool.resize"] or except[title] }
    end
  end
end

-- Their methods and metamethods.
for i = 1, #kinds do
  local object = objects[i]
  local mt = object ~= nil and type(object) ~= "function" and debug.getmetatable(object)
  if mt then
    local function add(list)
      for field, f in pairs(list) do
        if type(f) == "function" then
          local title = tostring(mt.__name or i):match "%a*$" .. "." .. tostring(field)
          local limit = except[title] or field == "resize" and except[list.dostring and "pool.resize" or "memory.resize"]
          functions[#functions + 1] = { title, f, limit, i }
        end
      end
    end
    add(mt)
    if type(mt.__index) == "table" and mt.__index ~= mt then add(mt.__index) end
  end
end
table.sort(functions, function (a, b) return a[1] < b[1] end)

-- Calls ------------------------------------------------------------------------------------------

local raised, returned, waited = 0, 0, 0

-- Coroutines that wait. Some are resumed, some closed, some forgotten.
local waiting = {}

local function call(entry)
  local args = { n = random(0, 6) }
  for i = 1, args.n do args[i] = value() end
  if entry[4] and random(4) > 1 then -- on an object of its kind
    if objects[entry[4]] == nil then renew(entry[4]) end
    args[1], args.n = objects[entry[4]], math.max(args.n, 1)
  end
  if entry[3] then entry[3](args) end
  if args.n < 0 then return end
  local ok
  if random(3) == 1 then
    ok = pcall(entry[2], unpack(args, 1, args.n))
  else
    local co = T.create(entry[2])
    ok = coroutine.resume(co, unpack(args, 1, args.n))
    if coroutine.status(co) == "suspended" then
      waited = waited + 1
      waiting[#waiting + 1] = co
    end
  end
  if ok then returned = returned + 1 else raised = raised + 1 end
end

local function disturb()
  if #waiting > 50 or random(5) == 1 and #waiting > 0 then
    local co = table.remove(waiting, random(#waiting))
    local what = random(3)
    if coroutine.status(co) ~= "suspended" then return end
    if what == 1 then
      coroutine.resume(co, value(), value())
    elseif what == 2 and T.has_close then
      pcall(coroutine.close, co)
    end
  end
  if random(10) == 1 then pcall(system.run, "ready") end
  if random(200) == 1 then collectgarbage() end
end

-- The errors of what was called by the loop are expected, and not interesting.
local function forgive() T.reports() end

local rounds = tonumber(os.getenv "COUTIL_TEST_ROUNDS" or "") or T.scale(100, 2)
P.directory(function (path)
  local before = system.getdir()
  system.setdir(path)
  T.test("random calls [00 1.4] [00 2.1] [00 10.1]", function ()
    for round = 1, rounds do
      for _, entry in ipairs(functions) do
        if os.getenv "COUTIL_TEST_TRACE" then io.stderr:write(round, " ", entry[1], "\n") end
        call(entry)
        disturb()
      end
      forgive()
    end
    forgive()
    T.eq(raised > rounds, true)
    T.eq(returned > rounds, true)
    T.eq(waited > 0, true)
  end)
  system.setdir(before)
end)

-- Afterwards -------------------------------------------------------------------------------------

T.test("everything works after that", function ()
  for i = 1, #kinds do objects[i] = nil end
  waiting = nil
  T.gc()
  for _ = 1, 5 do pcall(system.run, "ready") end
  T.reports()
  local w = T.waiter(event.await, "hostile")
  event.emitall("hostile", 1)
  T.same(w.got, { "hostile", 1 })
  T.eq(type(connected "ipv4"), "userdata")
end)

os.remove(scratch)
T.done()
os.exit(0)
