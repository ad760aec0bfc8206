-- The await functions of 5.1 and LuaJIT, which have no continuations; see `suspend`.
--
-- Each is two C functions: one that starts and yields, so that its results are whatever the coroutine is resumed with;
-- and one that ends what is left of the wait, and picks the results.
local native = ...
local finish = native.finish

local function one (start)
  return function (event) return finish(start(event)) end
end

local function several (start)
  return function (...) return finish(start(...)) end
end

local acquire, enqueue = native.acquire, native.enqueue
local ready, results, start, settle = native.ready, native.results, native.start, native.settle

return {
  event = {
    await = one(native.event_await),
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
