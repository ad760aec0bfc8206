-- Random programs: parties of all kinds on a few channels, while the pool is resized. Whatever comes in between, every value
-- arrives once.

local T = require "testing"
local H = require "threads_testing"
local channel = require "coutil.channel"
local system = require "coutil.system"
local threads = require "coutil.threads"

-- The same numbers on every version.
local function generator(seed)
  return function (n)
    seed = (seed * 16807) % 2147483647
    return math.floor(seed / 65536) % n + 1
  end
end

-- Exchanges `count` values on the channel, as a party of each kind: what it gives are `first`, `first + 1` and so on. What it
-- gets it sums up, and tells on the channel of the results.
local chunks = {
  task = [[
    local name, endpoint, results, count, first, seed = ...
    local sum = 0
    for i = 1, count do
      local ok, value = yield(name, endpoint, first + i - 1)
      assert(ok)
      sum = sum + value
      if (i + seed) % 3 == 0 then yield() end
    end
    yield(results, "out", sum) ]],
  loop = [[
    local name, endpoint, results, count, first, seed = ...
    local sum = 0
    -- Two coroutines with an object each.
    local function part(from, to)
      local ch = channel.create(name)
      for i = from, to do
        local ok, value = system.awaitch(ch, endpoint, first + i - 1)
        assert(ok)
        sum = sum + value
        if (i + seed) % 3 == 0 then system.suspend() end
        if (i + seed) % 7 == 0 then system.suspend(.0001) end
      end
      ch:close()
    end
    local middle = (count - count % 2) / 2
    start(part, 1, middle)
    start(part, middle + 1, count)
    assert(system.run() == false)
    start(function ()
      local ch = channel.create(results)
      system.awaitch(ch, "out", sum)
      ch:close()
    end)
    assert(system.run() == false) ]],
}

for seed = 1, T.scale(12, 2) do
  H.test("random parties, seed " .. seed .. " [20 5.8] [20 5.12] [20 7.3.6] [20 7.4.4] [20 7.7.6] [20 8.9]", function ()
    local random = generator(seed)
    local names = { H.name(), H.name() }
    local results, count, states = H.name "results", T.scale(60, 6), 0
    local pool = assert(threads.create(random(3)))
    local parties, expected, total = 0, 0, 0
    for pair = 1, 4 + random(4) do
      local name = names[random(2)]
      for side = 1, 2 do
        local endpoint, first = side == 1 and "in" or "out", pair * 1000 + side
        parties = parties + 1
        expected = expected + count * first + count * (count - 1) / 2
        local kind = random(4)
        if kind == 4 and states == 3 then kind = 1 end -- so that they have threads
        if kind == 1 then
          H.add(pool, chunks.task, name, endpoint, results, count, first, random(9))
        elseif kind == 2 then
          H.add(pool, chunks.loop, name, endpoint, results, count, first, random(9))
        elseif kind == 3 then
          T.start(function ()
            local ch = channel.create(name)
            local sum = 0
            for i = 1, count do
              local ok, value = system.awaitch(ch, endpoint, first + i - 1)
              T.eq(ok, true)
              sum = sum + value
            end
            ch:close()
            local out = channel.create(results)
            system.awaitch(out, "out", sum)
            out:close()
          end)
        else
          states = states + 1
          local co = H.load(chunks.loop)
          T.start(function ()
            T.returns({ true }, system.resume, co, name, endpoint, results, count, first, random(9))
            T.eq(co:close(), true)
          end)
        end
      end
    end
    local done = false
    T.start(function ()
      local ch = channel.create(results)
      for _ = 1, parties do
        local ok, sum = system.awaitch(ch, "in")
        T.eq(ok, true)
        total = total + sum
      end
      ch:close()
      done = true
    end)
    -- The size changes all the time, to nothing as well; in the end there are threads.
    T.start(function ()
      while not done do
        T.eq(pool:resize(random(4) - 1, random(2) == 1), true)
        local n, r, p, s, e, a = pool:count "nrpsea"
        T.eq(n, r + p + s)
        T.eq(r <= a and (e > 0 or p + s + r == n), true)
        system.suspend(random(10) / 10000)
      end
      T.eq(pool:resize(2), true)
    end)
    T.eq(system.run(), false)
    T.eq(total, expected)
    H.finish(pool)
  end)
end

T.done()
