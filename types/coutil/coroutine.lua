---@meta coutil.coroutine

---State coroutines: chunks with Lua states of their own; its functions are methods of them.
---@class coutil.Coroutine
local coroutine = {}

---Compiles a chunk in a new state.
---@param chunk string|coutil.Memory
---@param chunkname? string
---@param mode? "t"|"b"|"bt"
---@return coutil.Coroutine? co
---@return string? message
function coroutine.load(chunk, chunkname, mode) end

---Compiles a file, or the standard input, in a new state.
---@param path? string
---@param mode? "t"|"b"|"bt"
---@return coutil.Coroutine? co
---@return string? message
function coroutine.loadfile(path, mode) end

---@param co coutil.Coroutine
---@return "suspended"|"running"|"dead"
function coroutine.status(co) end

---Closes its state. Returns `false` and the error of its chunk, if that had failed.
---@param co coutil.Coroutine
---@return boolean
---@return coutil.Value err
function coroutine.close(co) end

return coroutine
