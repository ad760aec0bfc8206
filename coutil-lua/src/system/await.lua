-- The functions of this module that await, on versions without continuations; see `suspend`.
--
-- `start` checks, and yields, or returns its results at once; `finish` ends what is left of a wait that somebody else
-- ended. On LuaJIT `start` returns nothing where it is to be yielded, and that is done here; so what has results at once needs no
-- `finish`.
local starts, finish, yield, finishraising, nothing = ...
local select = select

local function park (...)
  if select("#", ...) == 0 then return finish(yield()) end
  return ...
end

local function parkraising (...)
  if select("#", ...) == 0 then return yield() end
  return ...
end

-- Those that raise failures. They may also have no results at once, for which there is a mark. The function that raises needs this
-- one to be below it, so it is not called last.
local raising = { fileinfo = true, info = true, listdir = true }

local function results (first, ...)
  if first == nothing then return end
  return first, ...
end

local function count (...)
  if select("#", ...) == 0 then return nothing end
  return ...
end

local awaits = {}
for name, start in pairs(starts) do
  if raising[name] then
    local suspend = yield and parkraising or function (...) return ... end
    awaits[name] = function (...)
      return results(count(finishraising(suspend(start(...)))))
    end
  elseif yield then
    awaits[name] = function (...) return park(start(...)) end
  else
    awaits[name] = function (...) return finish(start(...)) end
  end
end
-- It takes nil for nothing, so it can do without variable arguments.
local start = starts.suspend
if start then
  if yield then
    awaits.suspend = function (seconds, mode)
      if seconds == nil and mode == nil then
        start()
        return finish(yield())
      end
      local slept = start(seconds, mode)
      if slept then return slept end
      return finish(yield())
    end
  else
    awaits.suspend = function (seconds, mode)
      if seconds == nil and mode == nil then return finish(start()) end
      return finish(start(seconds, mode))
    end
  end
end

return awaits
