-- The await functions of 5.1 and LuaJIT, which have no continuations; see `suspend`.
--
-- Each reserves a token, and calls two C functions: one that starts and yields, so that its results are whatever the
-- coroutine is resumed with; and one that ends what is left, and picks the results.
local native = ...
local reserve, finish = native.reserve, native.finish

local function one(start)
  return function (event)
    local token = reserve()
    return finish(token, start(token, event))
  end
end

local function any(start)
  return function (...)
    local token = reserve()
    return finish(token, start(token, ...))
  end
end

local function all(start)
  return function (...)
    local token = reserve(true)
    return finish(token, start(token, ...))
  end
end

local acquire, enqueue = native.acquire, native.enqueue
local open, results, start, settle = native.open, native.results, native.start, native.settle

return {
  event = { await = one(native.event_await), awaitany = any(native.event_awaitany), awaitall = all(native.event_awaitall) },
  queued = { await = one(native.queued_await), awaitany = any(native.queued_awaitany), awaitall = all(native.queued_awaitall) },
  mutex = {
    lock = function (value)
      while not acquire(value) do
        local token = reserve()
        finish(token, enqueue(token, value))
      end
    end,
  },
  promise = { awaitany = any(native.promise_awaitany), awaitall = all(native.promise_awaitall) },
  -- `promise_home` has to be the first upvalue: by it a promise is known.
  newpromise = function (promise_home)
    return function (probe)
      local home = promise_home
      local token = open(home, probe)
      if not token then return results(home, probe) end
      return settle(home, token, start(token, home))
    end
  end,
}
