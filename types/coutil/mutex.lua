---@meta coutil.mutex

---Who may use something that takes several steps. A mutex is any value; its owner is a coroutine.
---@class coutil.mutex
---@field version string
local mutex = {}

---Makes the running coroutine the owner, as soon as its turn has come.
---@async
---@param e any  Any value but `nil` and NaN.
function mutex.lock(e) end

---Gives the mutex to the one who has waited longest. Returns whether there was one.
---@param e any
---@return boolean
function mutex.unlock(e) end

---Whether the mutex has an owner.
---@param e any
---@return boolean
function mutex.islocked(e) end

---Whether the running coroutine is the owner.
---@param e any
---@return boolean
function mutex.ownlock(e) end

return mutex
