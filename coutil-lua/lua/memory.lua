-- `require "memory"`: the C module of that name if there is one on package.cpath, or else coutil.memory.

-- Its state may have no global but `require` (20 §0.7), and what it has not is left as it is: no string metatable appears.
local package = require "package"

local function search (name, path)
  if package.searchpath then return package.searchpath(name, path) end
  -- 5.1 has no such function.
  local string, io = require "string", require "io"
  for template in string.gmatch(path, "[^;]+") do
    local file = string.gsub(template, "%?", name)
    local handle = io.open(file, "rb")
    if handle then
      handle:close()
      return file
    end
  end
end

local file = search("memory", package.cpath)
if not file then return require "coutil.memory" end
local open, message = package.loadlib(file, "luaopen_memory")
if not open then return require "_G".error(message) end
return open("memory", file)
