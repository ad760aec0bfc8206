-- Several states, each with a loop, on several threads: each does all waits of the library at the same time as the others.

local T = require "testing"
local H = require "threads_testing"
local L = require "loop_testing"
local channel = require "coutil.channel"
local states = require "coutil.coroutine"
local threads = require "coutil.threads"

-- All waits at a time, several times. It tells by a channel how many have ended as they should.
local everything = [==[
  require "_G"
  for _, name in ipairs { "string", "table", "math", "io", "os", "debug", "coroutine", "package" } do _G[name] = require(name) end
  local path, cpath, rounds, name = ...
  package.path, package.cpath = path, cpath
  local T, L, M = require "testing", require "loop_testing", require "matrix_ends"
  local channel, system = require "coutil.channel", require "coutil.system"
  local waits = require "matrix_waits"
  local count = 0
  for round = 1, rounds do
    local list = {}
    for i, wait in ipairs(waits) do list[i] = wait.make() end
    for i, wait in ipairs(list) do list[i] = { wait = wait, number = i, co = nil } end
    for _, w in ipairs(list) do
      w.co = T.start(function () w.got = T.pack(w.wait.await()) end)
    end
    for _, w in ipairs(list) do M.trigger(w) end
    L.run()
    for i, w in ipairs(list) do
      if not w.got then error(waits[i].name .. " has not ended") end
      w.wait.check(w.got)
      M.finish(w)
      count = count + 1
    end
  end
  if name then
    local ch = channel.create(name)
    T.start(function () system.awaitch(ch, "out", count / rounds) end)
    system.run()
  end
  return count / rounds
]==]

local count = #require "matrix_waits"
local rounds = T.scale(4, 1)
local many = T.full_speed and 6 or 2

-- Those of channels are called alike in all related states, and would meet.
everything = everything:gsub('local waits = require "matrix_waits"', [[
  local create = channel.create
  channel.create = function (given) return create(given and given ~= name and given .. " of " .. tostring(name) or given) end
  local waits = require "matrix_waits"]])

T.test("tasks of a pool [20 7.6] [30 A1]", function ()
  local pool = assert(threads.create(4))
  local names = {}
  for i = 1, many do
    names[i] = H.name()
    assert(pool:dostring(everything, "=everything", "t", package.path, package.cpath, rounds, names[i]))
  end
  for i = 1, many do T.eq(H.take(names[i]), count) end
  T.eq(pool:close(), true)
end)

T.test("state coroutines, and the state that awaits them [20 4.1] [90 1.7]", function ()
  local running, cos = {}, {}
  -- Each resumes others, so not as many as there may be threads for them.
  for i = 1, 2 do
    local co = assert(states.load(everything, "=everything", "t"))
    cos[i] = co
    running[i] = T.waiter(require "coutil.system".resume, co, package.path, package.cpath, rounds, H.name())
  end
  -- They wait at their end until somebody takes what they have.
  for i = 1, #running do T.eq(H.take("name " .. (many + i)), count) end
  L.run()
  for i = 1, #running do T.same(running[i].got, { true, count }) end
  for i = 1, #cos do T.eq(cos[i]:close(), true) end
  T.eq(next(channel.getnames()), nil)
end)

T.done()
