-- `cargo xtask soak`: everything at a time, ended in any way, for so many seconds. Every result and every byte is checked, no object and
-- no descriptor is left after a round, and memory does not grow.
--
--   soak.lua [SECONDS [SEED]]

local E = require "matrix_ends"
local S = require "soak_load"
local T = require "testing"
local L = require "loop_testing"
local system = require "coutil.system"

local seconds = tonumber(arg and arg[1]) or 120
local seed = tonumber(arg and arg[2]) or 1
system.onerror(function (message, _, traceback)
  io.stderr:write("an error was reported: ", tostring(message), "\n", tostring(traceback), "\n")
  os.exit(1)
end)

-- Resident memory, in KiB; 0 where it cannot be known.
local function resident()
  local file = io.open "/proc/self/status"
  if not file then return 0 end
  local text = file:read "*a"
  file:close()
  return tonumber(text:match "VmRSS:%s*(%d+)")
end

-- How many descriptors are open; 0 where it cannot be known.
local function descriptors()
  local n = 0
  local ok, next_entry = pcall(system.listdir, "/proc/self/fd", "~")
  if ok then for _ in next_entry do n = n + 1 end end
  return n
end

local begun, rounds, waits, size = system.nanosecs(), 0, 0, 120
local function elapsed() return (system.nanosecs() - begun) / 1e9 end

-- A mixture of single waits, which leaves nothing; then a load, likewise.
local function round()
  rounds, waits = rounds + 1, waits + size
  local number = seed * 1000000 + rounds
  local ok, text = xpcall(function ()
    E.mixture(number, size)
    T.eq(L.tidy(function () S.round(number) end), true, "descriptors")
  end, debug.traceback)
  if not ok then error(("round %d of seed %d: %s"):format(rounds, seed, text), 0) end
end

-- The least resident memory of the rounds up to then, in KiB: what is used for a moment, or not given back at once, does not count.
local function least(until_seconds)
  local least = math.huge
  repeat
    round()
    least = math.min(least, resident())
  until elapsed() >= until_seconds
  T.gc()
  return math.min(least, resident())
end

-- The allocator and the caches of threads take a while to have what they need.
repeat round() until rounds >= 10 and elapsed() >= seconds / 4
local before = least(seconds / 2)
local open = descriptors()
repeat round() until elapsed() >= seconds * 3 / 4
local after = least(seconds)
local now_open = descriptors()
print(("%d rounds, %d waits, in %.0f s; at least %d KiB, %d KiB in the second quarter; %d descriptors, %d then"):format(
  rounds, waits, elapsed(), after, before, now_open, open))
local list = {}
for what, n in pairs(S.counts) do list[#list + 1] = ("%.0f %s"):format(n, what) end
table.sort(list, function (a, b) return a:match "%a+" < b:match "%a+" end)
print(table.concat(list, ", "))
if after > before * 1.1 + 8192 then error("memory grows") end
if now_open ~= open then error("descriptors are lost") end
