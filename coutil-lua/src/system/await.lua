-- The functions of this module that await, on versions without continuations; see `suspend`.
--
-- `start` checks, and yields, or returns its results at once; `finish` ends what is left of a wait that somebody else
-- ended. On LuaJIT `start` returns nothing where it is to be yielded, and that is done here.
local starts, finish, yield = ...
local select = select

local function park (...)
  if select("#", ...) == 0 then return yield() end
  return ...
end

local awaits = {}
for name, start in pairs(starts) do
  if yield then
    awaits[name] = function (...) return finish(park(start(...))) end
  else
    awaits[name] = function (...) return finish(start(...)) end
  end
end
-- It takes nil for nothing, so it can do without variable arguments.
local start = starts.suspend
if start then
  if yield then
    awaits.suspend = function (seconds, mode)
      local slept = start(seconds, mode)
      if slept then return slept end
      return finish(yield())
    end
  else
    awaits.suspend = function (seconds, mode) return finish(start(seconds, mode)) end
  end
end

return awaits
