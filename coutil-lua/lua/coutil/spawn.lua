-- coutil.spawn: functions in coroutines of their own, with somebody to tell how they ended.
local native = require "coutil.native.spawn"

local error, getmetatable, type, xpcall = error, getmetatable, type, xpcall
local running = coroutine.running
local start, report = native.start, native.report

-- Where `xpcall` cannot be yielded across (5.1), the handler is kept with the coroutine instead.
local handled = native.handled

-- What a handler that failed in turn leaves as the result of `xpcall`.
local UNHANDLED = "error in error handling"

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

  function catching (handler, f, ...)
    checkhandler(handler)
    handled(handler)
    return caught(f(...))
  end

  local function trapped (handler, ...)
    handled()
    handler(true, ...)
  end

  function trapping (handler, f, ...)
    handled(function (err) handler(false, err) end)
    return trapped(handler, f(...))
  end
else
  -- Lua calls the handler again, with the new error, when it fails: that one is reported, once.
  local function watched (handler)
    local calls = 0
    return function (err)
      calls = calls + 1
      if calls == 2 then report(err, running()) end
      return handler(err)
    end
  end

  catching = function (handler, f, ...)
    checkhandler(handler)
    return xpcall(f, watched(handler), ...)
  end

  if type(jit) == "table" then
    -- LuaJIT does not call it again, and keeps its error to itself.
    local function caught (ok, result, ...)
      if not ok and result == UNHANDLED then report(result, running()) end
      return ok, result, ...
    end

    catching = function (handler, f, ...)
      checkhandler(handler)
      return caught(xpcall(f, handler, ...))
    end
  end

  local function fail (err) report(err, running()) end

  local function trapped (handler, ok, ...)
    if ok then handler(true, ...) end
  end

  function trapping (handler, f, ...)
    return trapped(handler, xpcall(f, function (err) xpcall(handler, fail, false, err) end, ...))
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
