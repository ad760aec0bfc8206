-- A job that keeps a processor busy: tables, strings, and a little arithmetic. Its argument says how much.
local base = require "_G"
local string, table = require "string", require "table"

for round = 1, base.tonumber((...)) do
  local numbers = {}
  for i = 1, 1000 do numbers[i] = (i * 7919 + round) % 1009 end
  table.sort(numbers)
  local words = {}
  for i = 1, 200 do words[i] = string.format("%d", numbers[i * 5]) end
  base.assert(#table.concat(words, " ") > 400)
end
