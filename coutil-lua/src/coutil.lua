-- The module `coutil`: its fields are the other modules, loaded at first use.
local require, rawset, setmetatable = require, rawset, setmetatable

local modules = {}
for _, name in ipairs {
  "event", "queued", "mutex", "promise", "spawn", "coroutine", "channel", "threads", "system", "memory",
} do
  modules[name] = "coutil." .. name
end

return setmetatable({ _VERSION = "Coutil 3.0.0" }, {
  __index = function (coutil, field)
    local name = modules[field]
    if name == nil then return nil end
    local module = require(name)
    rawset(coutil, field, module)
    return module
  end,
})
