-- How waits begin and end, for `matrix.lua` and `soak.lua`; and a mixture of all of them.

local T = require "testing"
local L = require "loop_testing"
local system = require "coutil.system"
local waits = require "matrix_waits"
local pack, unpack, suspend = T.pack, T.unpack, system.suspend

local M = {}

-- What an explicit resume passes. Nobody else has such a value.
local function values() return pack({}, nil, "explicit", nil) end

-- A wait in a coroutine: `co`, and `got` when it has returned.
function M.begin(make, watch)
  local wait = make()
  local w = T.waiter(wait.await)
  w.wait = wait
  watch(w.co)
  if wait.object then watch(wait.object) end
  T.eq(w.got, nil, "suspended")
  T.eq(coroutine.status(w.co), "suspended")
  return w
end

-- Once only.
function M.trigger(w)
  if w.wait.trigger and not w.triggered then w.wait.trigger() end
  w.triggered = true
end

-- Resumes it explicitly: it gets just what was passed.
function M.resume(w)
  local passed = values()
  T.resume(w.co, unpack(passed, 1, passed.n))
  if w.wait.stubborn then return T.eq(w.got, nil, "resumed explicitly [10 3.1.3]") end
  T.same(w.got, passed, "resumed explicitly")
  w.resumed = true
end

-- What it was cancelled for is still there. Once only.
function M.leftover(w)
  if w.wait.leftover and not w.looked then w.wait.leftover() end
  w.looked = true
end

-- All that is pending comes to its end, and what was cancelled was left alone.
function M.finish(w)
  if w.resumed or w.wait.stubborn or w.wait.goes_on then M.trigger(w) end
  L.run()
  if w.resumed then
    T.eq(coroutine.status(w.co), "dead")
    T.eq(type(w.got[1]), "table", "what was passed")
    M.leftover(w)
  end
  if w.wait.done then w.wait.done() end
  L.run()
end

function M.close(w) T.eq(coroutine.close(w.co), true) end

local fates = {
  function (w) M.trigger(w) end,
  function (w) M.resume(w); M.trigger(w) end,
  function (w) T.start(function () suspend(); if not w.got then M.resume(w) end; M.trigger(w) end) end,
  function (w) M.trigger(w); T.start(function () suspend(); if not w.got then M.resume(w) end end) end,
}
if T.has_close then
  fates[#fates + 1] = function (w) M.close(w); w.closed = true; M.trigger(w) end
  fates[#fates + 1] = function (w)
    T.start(function () suspend(); if not w.got then M.close(w); w.closed = true end; M.trigger(w) end)
  end
end

-- So many waits of any kind at a time, each ended in any way. Nothing is given to the wrong coroutine, and nothing is left.
function M.mixture(seed, size)
  math.randomseed(seed)
  T.eq(L.tidy(function ()
    T.eq(L.swept(function (watch)
      local list = {}
      for i = 1, size do list[i] = waits[math.random(#waits)].make() end
      for i, wait in ipairs(list) do list[i] = M.begin(function () return wait end, watch) end
      for _, w in ipairs(list) do if not w.got then fates[math.random(#fates)](w) end end
      L.run()
      for _, w in ipairs(list) do
        if w.resumed then
          T.eq(w.got[3], "explicit")
        elseif w.closed then
          T.eq(w.got, nil)
          M.leftover(w)
        else
          w.wait.check(w.got)
        end
        M.finish(w)
      end
    end), true, "nothing is kept")
  end), true, "descriptors")
end

return M
