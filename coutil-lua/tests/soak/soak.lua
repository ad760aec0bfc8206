-- `cargo xtask soak`: waits of all kinds at a time, ended in any way, for so many seconds. Every result is checked, no object and no
-- descriptor is left after a round, and memory does not grow.
--
--   soak.lua [SECONDS [SEED]]

local M = require "matrix_ends"
local T = require "testing"
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

local begun, rounds, waits, size = system.nanosecs(), 0, 0, 120
local function elapsed() return (system.nanosecs() - begun) / 1e9 end

local function round()
  rounds, waits = rounds + 1, waits + size
  local ok, text = xpcall(M.mixture, debug.traceback, seed * 1000000 + rounds, size)
  if not ok then error(("round %d of seed %d: %s"):format(rounds, seed, text), 0) end
end

-- The allocator and the caches of threads take a while to have what they need.
repeat round() until rounds >= 50 and elapsed() >= seconds / 4
local before = resident()
repeat round() until elapsed() >= seconds
T.gc()
local after = resident()
print(("%d rounds, %d waits, in %.0f s; %d KiB, %d KiB a quarter in"):format(rounds, waits, elapsed(), after, before))
if after > before * 1.1 + 2048 then error("memory grows") end
