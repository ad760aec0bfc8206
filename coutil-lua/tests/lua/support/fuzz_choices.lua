-- Where the inputs of `fuzz_parsers.lua` come from: numbers at random, or the bytes of a fuzzer.

local random = math.random

local C = {}
C.__index = C

-- Choices at random.
function C.at_random() return setmetatable({}, C) end

-- Choices that these bytes make. When they are used up, always the first is chosen.
function C.from(bytes) return setmetatable({ bytes = bytes, at = 0 }, C) end

-- A number from 1 to n.
function C:number(n)
  if not self.bytes then return random(n) end
  local value, range = 0, 1
  repeat
    self.at = self.at + 1
    value, range = value * 256 + (self.bytes:byte(self.at) or 0), range * 256
  until range >= n
  return value % n + 1
end

function C:chance(n) return self:number(n) == n end

function C:pick(list) return list[self:number(#list)] end

-- A text of at most `n` bytes, of these pieces, and now and then of anything.
function C:text(n, pieces)
  local parts, count = {}, self:number(n + 1) - 1
  for i = 1, count do
    parts[i] = self:chance(16) and string.char(self:number(256) - 1) or self:pick(pieces)
  end
  return table.concat(parts):sub(1, n)
end

-- Any bytes, at most `n`.
function C:bytes_of(n)
  local parts, count = {}, self:number(n + 1) - 1
  for i = 1, count do parts[i] = string.char(self:number(256) - 1) end
  return table.concat(parts)
end

-- The text with something done to it, here and there.
function C:mutated(text)
  for _ = 1, self:number(4) - 1 do
    local at, what = self:number(#text + 1), self:number(5)
    local before, after = text:sub(1, at - 1), text:sub(at)
    if what == 1 then text = before
    elseif what == 2 then text = before .. string.char(self:number(256) - 1) .. after
    elseif what == 3 then text = before .. after:sub(2)
    elseif what == 4 then text = before .. string.char(self:number(256) - 1) .. after:sub(2)
    else
      local from = self:number(#text + 1)
      text = before .. text:sub(from, from + self:number(8)) .. after
    end
  end
  return text
end

return C
