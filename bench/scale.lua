-- How cost grows: many waiters on one event, cancellations anywhere among them, long chains of promises. A benchmark,
-- not a test: it prints times.
local event = require "coutil.event"
local promise = require "coutil.promise"

local count = tonumber(arg and arg[1]) or 1000000
local clock = os.clock

local function measure (title, n, f)
  collectgarbage()
  local start = clock()
  f()
  local time = clock() - start
  print(("%-52s %8.1f ms %8.0f ns each"):format(title, time * 1e3, time / n * 1e9))
end

print(type(jit) == "table" and jit.version or _VERSION)

local waiters = {}
local await = event.await
local function wait () return await "many" end
local before = collectgarbage "count"
measure(count .. " coroutines begin to wait for one event", count, function ()
  for i = 1, count do
    local co = coroutine.create(wait)
    coroutine.resume(co)
    waiters[i] = co
  end
end)
print(("%-52s %8.0f bytes each"):format("Lua memory of these", (collectgarbage "count" - before) * 1024 / count))

local few = math.floor(count / 100)
local resume = coroutine.resume
measure(few .. " of them are resumed by others: the first", few, function ()
  for i = 1, few do resume(waiters[i]) end
end)
measure(few .. " in the middle", few, function ()
  local middle = math.floor(count / 2)
  for i = middle, middle + few - 1 do resume(waiters[i]) end
end)
measure(few .. " the last", few, function ()
  for i = count, count - few + 1, -1 do resume(waiters[i]) end
end)
measure("the others get the event", count - 3 * few, function () event.emitall "many" end)
waiters = nil
collectgarbage()

local chain = 10000
do
  local last = {}
  for _ = 1, chain do
    -- Each coroutine alone holds the promise that the next waits for.
    local held = last
    local p = promise.create()
    local co = coroutine.create(function () p(); return held end)
    coroutine.resume(co)
    last = { co, p }
  end
end
measure("a chain of " .. chain .. " promises is collected", chain, function () collectgarbage(); collectgarbage() end)
