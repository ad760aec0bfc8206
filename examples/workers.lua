-- Counts primes on several system threads: the range is cut into pieces, which the workers, tasks of a pool, take from one
-- channel; what they find comes back on another. No locks, no shared tables.
--
--   cargo xtask run examples/workers.lua [LIMIT [THREADS]]
local channel = require "coutil.channel"
local spawn = require "coutil.spawn"
local system = require "coutil.system"
local threads = require "coutil.threads"

local limit = tonumber(arg and arg[1]) or 200000
local count = tonumber(arg and arg[2]) or 2
local size = math.ceil(limit / (8 * count))     -- of a piece: some take longer than others

-- What a worker does. It is a Lua state of its own, which begins with nothing but `require`. It needs no module to wait: to
-- yield the name of a channel is to exchange values there.
local worker = [[
  local number = ...
  local max = require "math".max
  local yield = require "coroutine".yield

  local function primes (first, last)
    local found = 0
    for candidate = max(first, 2), last do
      local divisor = 2
      while divisor * divisor <= candidate and candidate % divisor ~= 0 do divisor = divisor + 1 end
      if divisor * divisor > candidate then found = found + 1 end
    end
    return found
  end

  while true do
    local _, first, last = yield("pieces", "in", number)
    if not first then return end
    yield("results", "out", number, primes(first, last))
  end
]]

local pool = assert(threads.create(count))
for number = 1, count do assert(pool:dostring(worker, "@worker", "t", number)) end

-- An error ends the program, with the traceback of the part that it is of.
local function fail (message)
  io.stderr:write(debug.traceback(message, 2), "\n")
  os.exit(1)
end

-- Gives a piece to whichever worker asks next; in the end each is told that there is none.
local pieces = math.ceil(limit / size)
spawn.catch(fail, function ()
  local ch = channel.create "pieces"
  for first = 1, limit, size do
    system.awaitch(ch, "out", first, math.min(first + size - 1, limit))
  end
  for _ = 1, count do system.awaitch(ch, "out") end
  ch:close()
end)

-- Takes the results as they come.
spawn.catch(fail, function ()
  local ch = channel.create "results"
  local found, done = 0, {}
  for _ = 1, pieces do
    local _, number, primes = system.awaitch(ch, "in")
    found = found + primes
    done[number] = (done[number] or 0) + 1
  end
  ch:close()
  for number = 1, count do print(("worker %d: %d pieces"):format(number, done[number] or 0)) end
  print(("%d primes up to %d"):format(found, limit))
end)

system.run()
pool:close()
