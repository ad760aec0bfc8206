---@meta coutil.event

---Coroutines wait for events, which are any values; whoever emits one resumes them.
---@class coutil.event
---@field version string
local event = {}

---Waits for an event. Returns it, and what the emitter passed.
---@async
---@param e any  Any value but `nil` and NaN.
---@return any e
---@return any ...
function event.await(e) end

---Waits for the first of several events. `nil`s are ignored.
---@async
---@param ... any
---@return any e
---@return any ...
function event.awaitany(...) end

---Waits until each of the events was emitted. `nil`s are ignored.
---@async
---@param ... any
---@return true
function event.awaitall(...) end

---Resumes the coroutine that has waited longest for the event. Returns whether there was one.
---@param e any
---@param ... any  What the coroutine gets besides the event.
---@return boolean
function event.emitone(e, ...) end

---Resumes all that wait for the event now, in their order. Returns whether there was any.
---@param e any
---@param ... any  What the coroutines get besides the event.
---@return boolean
function event.emitall(e, ...) end

---Whether some coroutine waits for the event.
---@param e any
---@return boolean
function event.pending(e) end

return event
