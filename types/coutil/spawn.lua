---@meta coutil.spawn

---Functions in coroutines of their own.
---@class coutil.spawn
local spawn = {}

---Calls `f(...)` in a new coroutine; the handler gets the error, if it raises one.
---@param handler fun(err: any): any
---@param f async fun(...: any): ...: any
---@param ... any
---@return thread
function spawn.catch(handler, f, ...) end

---Calls `f(...)` in a new coroutine; the handler gets `true` and its results, or `false` and its error.
---@param handler fun(ok: boolean, ...: any)
---@param f async fun(...: any): ...: any
---@param ... any
---@return thread
function spawn.trap(handler, f, ...) end

return spawn
