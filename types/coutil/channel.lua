---@meta coutil.channel

---@alias coutil.Endpoint "in"|"out"|"any"

---What can cross to another Lua state.
---@alias coutil.Value nil|boolean|number|string|lightuserdata

---Names at which coroutines of any thread exchange values; its functions are methods of channels.
---@class coutil.Channel
local channel = {}

---An object for the channel of that name.
---@param name string
---@return coutil.Channel
function channel.create(name) end

---@param ch coutil.Channel
---@return string
function channel.getname(ch) end

---The names that exist; with a table, which of its keys do.
---@param names? table<string, any>
---@return table<string, true>
function channel.getnames(names) end

---Returns whether it was open.
---@param ch coutil.Channel
---@return boolean
function channel.close(ch) end

---Exchanges values with somebody who waits; without waiting.
---@param ch coutil.Channel
---@param endpoint? coutil.Endpoint
---@param ... coutil.Value
---@return boolean
---@return coutil.Value ...  What the other passed, or `"empty"`.
function channel.sync(ch, endpoint, ...) end

return channel
