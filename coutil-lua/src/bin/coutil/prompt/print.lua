-- How results are shown at the prompt: as `print` shows them, but strings are quoted, and tables show what is in them, one level
-- deep.
local byte, format, gsub, match, rep = string.byte, string.format, string.gsub, string.match, string.rep
local concat, sort = table.concat, table.sort
local debug_getmetatable, next, rawget, rawlen, tostring, type =
  debug.getmetatable, next, rawget, rawlen or function (t) return #t end, tostring, type

-- More entries of a table are only counted.
local MOST = 100
-- Longer strings are cut, in tables.
local LONGEST = 200

local KEYWORDS = {}
for word in ([[and break do else elseif end false for function goto if in local nil not or repeat return then true until
    while]]):gmatch "%a+" do
  KEYWORDS[word] = true
end

local ESCAPES = { ["\n"] = "\\n", ["\r"] = "\\r", ["\t"] = "\\t", ["\\"] = "\\\\", ['"'] = '\\"', ["\0"] = "\\0" }

local function escape (char)
  return ESCAPES[char] or format("\\%03d", byte(char))
end

local function quote (text)
  return '"' .. gsub(text, '[%c\\"\127]', escape) .. '"'
end

local function has (value, event)
  local meta = debug_getmetatable(value)
  return type(meta) == "table" and rawget(meta, event) ~= nil
end

-- A value that is inside of a table.
local function short (value)
  if type(value) == "string" then
    if #value > LONGEST then return quote(value:sub(1, LONGEST)) .. "..." end
    return quote(value)
  elseif type(value) == "table" and not has(value, "__tostring") then
    return next(value) == nil and "{}" or "{...}"
  end
  return tostring(value)
end

local function key (value)
  if type(value) == "string" and match(value, "^[%a_][%w_]*$") and not KEYWORDS[value] then return value end
  return "[" .. short(value) .. "]"
end

-- Numbers by their value, then texts by theirs, then the rest.
local function before (a, b)
  local of_a, of_b = type(a), type(b)
  if of_a ~= of_b then
    if of_a == "number" or of_b == "number" then return of_a == "number" end
    if of_a == "string" or of_b == "string" then return of_a == "string" end
    return of_a < of_b
  elseif of_a == "number" or of_a == "string" then
    return a < b
  end
  return tostring(a) < tostring(b)
end

local function entries (value, width)
  local parts = {}
  local length = rawlen(value)
  for index = 1, length do
    if #parts >= MOST then break end
    parts[#parts + 1] = short(rawget(value, index))
  end
  local keys = {}
  for name in next, value do
    if not (type(name) == "number" and name >= 1 and name <= length and name % 1 == 0) then keys[#keys + 1] = name end
  end
  sort(keys, before)
  for _, name in ipairs(keys) do
    if #parts >= MOST then break end
    parts[#parts + 1] = key(name) .. " = " .. short(rawget(value, name))
  end
  local more = length + #keys - #parts
  if more > 0 then parts[#parts + 1] = "... " .. more .. " more" end
  local line = "{" .. concat(parts, ", ") .. "}"
  if #line <= width then return line end
  return "{\n  " .. concat(parts, ",\n  ") .. "\n}"
end

-- The text of a result; a table that does not fit into a line of that width takes one for each entry.
return function (value, width)
  if type(value) == "string" then
    return quote(value)
  elseif type(value) == "table" and not has(value, "__tostring") then
    local text = entries(value, width)
    local meta = debug_getmetatable(value)
    local name = type(meta) == "table" and rawget(meta, "__name")
    return type(name) == "string" and name .. " " .. text or text
  end
  return tostring(value)
end
