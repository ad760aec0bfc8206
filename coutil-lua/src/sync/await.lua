-- The await functions of 5.1 and LuaJIT, which have no continuations; see `suspend`.
--
-- Each is two C functions: one that starts and yields, so that its results are whatever the coroutine is resumed with;
-- and one that ends what is left of the wait, and picks the results.
local native = ...
local finish = native.finish

-- On LuaJIT the first returns nothing where it is to be yielded, and that is done here.
local yield, select = native.yield, select

local function park (...)
  if select("#", ...) == 0 then return yield() end
  return ...
end

if not yield then park = nil end

local function one (start)
  if park then
    return function (event) return finish(park(start(event))) end
  end
  return function (event) return finish(start(event)) end
end

local function several (start)
  if park then
    return function (...) return finish(park(start(...))) end
  end
  return function (...) return finish(start(...)) end
end

-- A wait that certainly suspends.
local function always (start)
  if yield then
    return function (event)
      start(event)
      return finish(yield())
    end
  end
  return one(start)
end

local acquire, ready, results, settle = native.acquire, native.ready, native.results, native.settle
local enqueue, start = native.enqueue, native.start
if park then
  enqueue = function (value) return park(native.enqueue(value)) end
  start = function (home) return park(native.start(home)) end
end

return {
  event = {
    await = always(native.event_await),
    awaitany = several(native.event_awaitany),
    awaitall = several(native.event_awaitall),
  },
  queued = {
    await = one(native.queued_await),
    awaitany = several(native.queued_awaitany),
    awaitall = several(native.queued_awaitall),
  },
  mutex = {
    lock = function (value)
      while not acquire(value) do finish(enqueue(value)) end
    end,
  },
  promise = { awaitany = several(native.promise_awaitany), awaitall = several(native.promise_awaitall) },
  -- `promise_home` has to be the first upvalue: by it a promise is known.
  newpromise = function (promise_home)
    return function (probe)
      local home = promise_home
      if ready(home, probe) then return results(home, probe) end
      return settle(home, start(home))
    end
  end,
}
