-- Runs the script that `arg` names, as `lua` does; true if it ended without an error.
local arg, unpack = arg, table.unpack or unpack
local traceback, tostring, type = debug.traceback, tostring, type
local stderr, xpcall = io.stderr, xpcall

local function describe (message)
  if type(message) ~= "string" then
    local meta = debug.getmetatable(message)
    if meta and meta.__tostring then return tostring(message) end
    if type(message) ~= "number" then message = ("(error object is a %s value)"):format(type(message)) end
  end
  return traceback(message, 2)
end

local script = arg[1]
local count = #arg
if script == "-" then script = nil end
local f, message = loadfile(script)
if not f then
  stderr:write("coutil: ", message, "\n")
  return false
end
-- As for `lua`: the script is `arg[0]`, the interpreter `arg[-1]`.
for i = 0, count + 1 do arg[i - 1] = arg[i] end
local ok, result = xpcall(function () return f(unpack(arg, 1, count - 1)) end, describe)
if not ok then stderr:write("coutil: ", result, "\n") end
return ok
