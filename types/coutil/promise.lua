---@meta coutil.promise

---Gives the values of a promise, and waits for them if it has to. With a probe: whether they are there.
---@alias coutil.Promise async fun(probe?: any): any ...

---Gives a promise its values. Returns whether it had none before.
---@alias coutil.Fulfill fun(...: any): boolean

---Values that arrive once.
---@class coutil.promise
---@field version string
local promise = {}

---@return coutil.Promise promise
---@return coutil.Fulfill fulfill
function promise.create() end

---Waits until all of the promises are fulfilled.
---@async
---@param ... coutil.Promise
---@return true
function promise.awaitall(...) end

---Waits for the first of the promises: returns it, and its values if it had to wait.
---@async
---@param ... coutil.Promise
---@return coutil.Promise promise
---@return any ...
function promise.awaitany(...) end

---Those of the promises that are not fulfilled.
---@param ... coutil.Promise
---@return coutil.Promise ...
function promise.onlypending(...) end

---The first of the promises that is fulfilled.
---@param ... coutil.Promise
---@return coutil.Promise? promise
function promise.pickready(...) end

return promise
