-- What parses, with inputs at random, against models: `fuzz_parsers.lua` and `fuzz_values.lua` say what. COUTIL_TEST_SEED says which
-- inputs, COUTIL_TEST_ROUNDS how many for each. `cargo xtask fuzz` does the same with a fuzzer that looks for new ways.

local T = require "testing"
local choices = require "fuzz_choices"
local parsers = require "fuzz_values"

local seed = tonumber(os.getenv "COUTIL_TEST_SEED" or "") or 1
local rounds = tonumber(os.getenv "COUTIL_TEST_ROUNDS" or "") or T.scale(1000, 5)
local only = os.getenv "COUTIL_TEST_PARSER"

for number, parser in ipairs(parsers) do
  if not only or parser.name:find(only, 1, true) then
    T.test(parser.name, function ()
      math.randomseed(seed * 100 + number)
      local c = choices.at_random()
      for _ = 1, rounds do parser.case(c) end
    end)
  end
end
parsers.clean()

T.done()
