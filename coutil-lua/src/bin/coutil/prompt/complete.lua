-- What a name at the end of a text can become: globals, keywords, fields, methods. Nothing of the program is called: neither
-- metamethods nor functions.
local find, gmatch, match, sub = string.find, string.gmatch, string.match, string.sub
local sort = table.sort
local debug_getmetatable, next, rawget, type = debug.getmetatable, next, rawget, type

local KEYWORDS = {}
for word in gmatch(
  "and break do else elseif end false for function if in local nil not or repeat return then true until while", "%a+") do
  KEYWORDS[word] = true
end

-- How far tables that `__index` leads to are followed.
local DEEPEST = 20

-- The table in which fields of a value are found that it does not have itself.
local function index_of (value)
  local meta = debug_getmetatable(value)
  local index = type(meta) == "table" and rawget(meta, "__index")
  return type(index) == "table" and index or nil
end

local function field (value, name)
  local place = type(value) == "table" and value or index_of(value)
  for _ = 1, DEEPEST do
    if place == nil then return nil end
    local found = rawget(place, name)
    if found ~= nil then return found end
    place = index_of(place)
  end
end

-- Returns how many bytes of the text stay, and what can follow them.
return function (text, globals)
  local path = match(text, "[%a_][%w_.:]*$") or ""
  -- After `..` something new begins.
  path = match(path, "^.*%.%.(.*)$") or path
  local start = #text - #path
  local last = match(path, "[%w_]*$")
  local objects = sub(path, 1, #path - #last)
  if objects == "" and find(sub(text, 1, start), "[%w_%)%]\"'.:]%s*[.:]$") and sub(text, start - 1, start) ~= ".." then
    -- A field of what would have to be computed.
    return #text, {}
  end
  local value = globals
  for name in gmatch(objects, "[^.:]+") do
    value = field(value, name)
    if value == nil then return #text, {} end
  end
  local method = sub(objects, -1) == ":"

  local found, names = {}, {}
  local function add (name, candidate)
    if type(name) == "string" and not found[name] and sub(name, 1, #last) == last and match(name, "^[%a_][%w_]*$")
      and (sub(name, 1, 1) ~= "_" or sub(last, 1, 1) == "_") and not (method and type(candidate) ~= "function") then
      found[name] = true
      names[#names + 1] = objects .. name
    end
  end

  local place = type(value) == "table" and value or index_of(value)
  for _ = 1, DEEPEST do
    if place == nil then break end
    for name, candidate in next, place do add(name, candidate) end
    place = index_of(place)
  end
  if objects == "" then
    for name in next, KEYWORDS do add(name) end
  end
  sort(names)
  return start, names
end
