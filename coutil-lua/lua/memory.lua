-- `require "memory"`: the C module of that name if there is one on package.cpath, or else coutil.memory.
local path = package.cpath
for template in path:gmatch "[^;]+" do
  local name = template:gsub("%?", "memory")
  local file = io.open(name, "rb")
  if file then
    file:close()
    local open, message = package.loadlib(name, "luaopen_memory")
    if not open then error(message) end
    return open("memory", name)
  end
end
return require "coutil.memory"
