-- coutil.spawn: functions in coroutines of their own, with somebody to tell how they ended.
local native = require "coutil.native.spawn"

-- Its state may have no global but `require` (20 §0.7).
local base = native.base
local error, getmetatable, pcall, type, xpcall = base.error, base.getmetatable, base.pcall, base.type, base.xpcall
local start, report, running = native.start, native.report, native.running

-- Where `xpcall` cannot be yielded across (5.1), the handler is kept with the coroutine instead.
local handled = native.handled

local function typename (value)
  local meta = getmetatable(value)
  local name = type(meta) == "table" and meta.__name
  return type(name) == "string" and name or type(value)
end

local function checkhandler (handler)
  if type(handler) ~= "function" then
    error("bad argument #1 to 'catch' (function expected, got " .. typename(handler) .. ")", 0)
  end
end

local catching, trapping

if handled then
  local function caught (...)
    handled()
    return true, ...
  end

  catching = function (handler, f, ...)
    checkhandler(handler)
    handled(handler)
    return caught(f(...))
  end

  local function trapped (handler, ...)
    handled()
    handler(true, ...)
  end

  trapping = function (handler, f, ...)
    -- A variable, as `handled` does not keep it.
    local function failed (err) handler(false, err) end
    handled(failed)
    return trapped(handler, f(...))
  end
else
  -- An error in the handler is reported, once.
  local watched, failing
  if native.jit then
    -- LuaJIT would replace it by this text, and tell nobody.
    local function checked (ok, ...)
      if ok then return ... end
      report((...), running())
      return "error in error handling"
    end

    watched = function (handler)
      return function (err) return checked(pcall(handler, err)) end
    end

    failing = function (handler)
      return function (err) checked(pcall(handler, false, err)) end
    end
  else
    -- Lua calls the handler again, with the new error; but also after it, with those of variables that are closed.
    watched = function (handler)
      local inside, reported = false, false
      return function (err)
        if inside and not reported then
          reported = true
          report(err, running())
        end
        inside = true
        local result = handler(err)
        inside = false
        return result
      end
    end

    local function fail (err) report(err, running()) end

    failing = function (handler)
      return function (err) xpcall(handler, fail, false, err) end
    end
  end

  catching = function (handler, f, ...)
    checkhandler(handler)
    return xpcall(f, watched(handler), ...)
  end

  local function trapped (handler, ok, ...)
    if ok then handler(true, ...) end
  end

  trapping = function (handler, f, ...)
    return trapped(handler, xpcall(f, failing(handler), ...))
  end
end

local spawn = {}

-- Calls `f(...)` in a new coroutine; an error in it is given to `handler`, as by `xpcall`. Returns the coroutine.
function spawn.catch (handler, f, ...)
  return start(catching, handler, f, ...)
end

-- Calls `f(...)` in a new coroutine, then `handler(true, results...)`, or `handler(false, error)`. Returns the coroutine.
function spawn.trap (handler, f, ...)
  return start(trapping, handler, f, ...)
end

return spawn
