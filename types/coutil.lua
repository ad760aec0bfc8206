---@meta coutil

---All modules: each is loaded when its field is first read.
---@class coutil
---@field _VERSION string  The version of the library.
---@field event coutil.event
---@field queued coutil.queued
---@field mutex coutil.mutex
---@field promise coutil.promise
---@field spawn coutil.spawn
---@field memory coutil.Memory
---@field channel coutil.Channel
---@field coroutine coutil.Coroutine
---@field threads coutil.Threads
---@field system coutil.system
local coutil = {}

return coutil
