-- Zero-delay suspensions in a loop, against a bare resume/yield pair of the same Lua, alternating in one run. Prints the
-- median of each, and of the ratio.
local system = require "coutil.system"

local rounds = tonumber(arg and arg[1]) or 15
local count = tonumber(arg and arg[2]) or 300000
local clock, resume, yield = os.clock, coroutine.resume, coroutine.yield

local bare = coroutine.create(function () while true do yield() end end)
resume(bare)

-- `coroutines` of them share the suspensions.
local function suspensions (coroutines)
  return function (n)
    local suspend = system.suspend
    local each = n / coroutines
    for _ = 1, coroutines do
      coroutine.wrap(function () for _ = 1, each do suspend() end end)()
    end
    system.run()
  end
end

local workloads = {
  { "bare resume/yield pair", function (n)
    for _ = 1, n do resume(bare) end
  end },
  { "suspend()", suspensions(1) },
  { "suspend(), 100 coroutines", suspensions(100) },
}

local times, ratios = {}, {}
for i = 1, #workloads do times[i], ratios[i] = {}, {} end
for _ = 1, rounds do
  for i, workload in ipairs(workloads) do
    collectgarbage()
    local start = clock()
    workload[2](count)
    local time = (clock() - start) / count * 1e9
    table.insert(times[i], time)
    table.insert(ratios[i], time / times[1][#times[1]])
  end
end

local function median (list)
  table.sort(list)
  return list[math.floor(#list / 2) + 1]
end

print(type(jit) == "table" and jit.version or _VERSION)
for i, workload in ipairs(workloads) do
  print(("%-26s %7.1f ns  %5.2f"):format(workload[1], median(times[i]), median(ratios[i])))
end
