-- The texts and positions of the errors that methods raise, called in both ways, in and out of coroutines.

local T = require "testing"

local E = {}

-- Calls the method by name, at line 2 of "chunk", as a statement: no tail call.
local callers = setmetatable({}, { __index = function (t, name)
  t[name] = T.load("local s = ...\ns:" .. name .. "(select(2, ...))", "=chunk")
  return t[name]
end })
E.callers = callers

-- The error of `f(...)`, under `pcall`.
function E.try(f, ...)
  local ok, text = pcall(f, ...)
  if ok then error("no error", 2) end
  return text
end
local try = E.try

-- The texts of an error about argument `n` (0 is self), or of a raw error if `n` is nil: called by a Lua function as a
-- method, and called by a C function.
local function texts(n, text, name)
  if n == 0 then
    return "chunk:2: calling '" .. name .. "' on bad self (" .. text .. ")", "bad argument #1 to '?' (" .. text .. ")"
  elseif n then
    return "chunk:2: bad argument #" .. n .. " to '" .. name .. "' (" .. text .. ")",
      "bad argument #" .. n + 1 .. " to '?' (" .. text .. ")"
  end
  return "chunk:2: " .. text, text
end

-- In the main thread.
function E.fails(n, text, s, name, ...)
  local by_name, direct = texts(n, text, name)
  T.eq(try(callers[name], s, ...), by_name)
  T.eq(try(s[name], s, ...), direct)
end

-- The error of `f(...)` as the body of a coroutine: there 5.1 can yield too, as it cannot under `pcall`.
function E.raised(f, ...)
  local ok, text = coroutine.resume(T.create(f), ...)
  if ok then error("no error", 2) end
  return text
end

-- In a coroutine.
function E.inside(n, text, s, name, ...)
  local by_name, direct = texts(n, text, name)
  T.eq(E.raised(callers[name], s, ...), by_name)
  if T.yield_across_pcall then T.eq(T.inside(try, s[name], s, ...), direct) end
end

function E.everywhere(...)
  E.fails(...)
  E.inside(...)
end

function E.main_only(s, name, ...)
  E.fails(nil, "unable to yield", s, name, ...)
end

-- Self: each of `methods` of `object`, whose class has this name, refuses what is not of the class.
-- `others` are pairs of a type name and a value.
function E.self(name, object, methods, others)
  local values = { { "nil", nil }, { "table", {} }, { "number", 1 }, { "string", "x" }, { "boolean", true },
    { "table", setmetatable({}, { __index = object }) }, { name, setmetatable({}, { __name = name }) } }
  for _, other in ipairs(others) do values[#values + 1] = other end
  for _, method in ipairs(methods) do
    for _, value in ipairs(values) do
      local text = name .. " expected, got " .. value[1]
      T.eq(try(object[method], value[2], {}, {}, {}), "bad argument #1 to '?' (" .. text .. ")")
      T.eq(T.inside(try, object[method], value[2], {}), "bad argument #1 to '?' (" .. text .. ")")
    end
    T.eq(try(object[method]), "bad argument #1 to '?' (" .. name .. " expected, got no value)")
    local dot = T.load("local s, other = ...\ns." .. method .. "(other)", "=chunk")
    T.eq(try(dot, object, true), "chunk:2: bad argument #1 to '" .. method .. "' (" .. name .. " expected, got boolean)")
    local fake = { [method] = object[method] }
    T.eq(try(callers[method], fake), "chunk:2: calling '" .. method .. "' on bad self (" .. name .. " expected, got table)")
  end
end

-- A closed object comes before all other arguments and before yielding, but for `getdomain` of some.
function E.closed(s, methods, arguments)
  for _, method in ipairs(methods) do
    if method ~= "getdomain" then
      for _, args in ipairs(arguments) do
        E.everywhere(0, "closed object", s, method, T.unpack(args, 1, args.n))
      end
    end
  end
end

return E
