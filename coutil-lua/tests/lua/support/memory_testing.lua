-- What the tests of memories share.

local T = require "testing"
local memory = require "memory"

-- The call must raise this error, whatever its position.
local function raises(want, f, ...)
  local got = T.raises(want, f, ...)
  T.eq((got:gsub("^[^:]*:%d+: ", "")), want)
end

-- Compares all results of a call.
local function returns(want, ...)
  T.same(T.pack(...), want)
end

local function resizable(contents)
  local m = memory.create()
  m:resize(#contents, contents)
  return m
end

-- Both kinds with the same contents.
local function both(contents)
  return { memory.create(contents), resizable(contents) }
end

return { raises = raises, returns = returns, resizable = resizable, both = both }
