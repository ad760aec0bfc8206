---@meta coutil.queued

---Events that are stored when nobody waits for them.
---@class coutil.queued
---@field version string
local queued = {}

---Takes the oldest stored emission of the event, or waits for the next.
---@async
---@param e any  Any value but `nil` and NaN.
---@return any e
---@return any ...
function queued.await(e) end

---Takes one stored emission of the first event that has any, or waits for the first of the events.
---@async
---@param ... any
---@return any e
---@return any ...
function queued.awaitany(...) end

---Takes one stored emission of each event that has any, and waits for the others.
---@async
---@param ... any
---@return true
function queued.awaitall(...) end

---Resumes the coroutine that has waited longest; if there is none, stores the emission and returns `false`.
---@param e any
---@param ... any
---@return boolean
function queued.emitone(e, ...) end

---Resumes all that wait; if there is nobody, stores one emission and returns `false`.
---@param e any
---@param ... any
---@return boolean
function queued.emitall(e, ...) end

---Whether some coroutine waits for the event.
---@param e any
---@return boolean
function queued.pending(e) end

---Whether an emission of the event is stored.
---@param e any
---@return boolean
function queued.isqueued(e) end

---Whether an emission of the event is stored.
---@param e any
---@return boolean
function queued.queued(e) end

return queued
