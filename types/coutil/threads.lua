---@meta coutil.threads

---Pools of system threads that run chunks with Lua states of their own; its functions are methods of pools.
---@class coutil.Threads
local threads = {}

---A new pool; without a size, the pool of the task that calls it, or `nil`.
---@overload fun(): coutil.Threads|nil
---@param size integer
---@return coutil.Threads? pool
---@return string? message
---@return integer? code
function threads.create(size) end

---Adds a task: a chunk, and its arguments.
---@param pool coutil.Threads
---@param chunk string|coutil.Memory
---@param chunkname? string
---@param mode? "t"|"b"|"bt"
---@param ... coutil.Value
---@return boolean
---@return string? message
function threads.dostring(pool, chunk, chunkname, mode, ...) end

---Adds a task: the chunk in a file, and its arguments.
---@param pool coutil.Threads
---@param path string?
---@param mode? "t"|"b"|"bt"
---@param ... coutil.Value
---@return boolean
---@return string? message
function threads.dofile(pool, path, mode, ...) end

---Changes the number of threads.
---@param pool coutil.Threads
---@param size integer
---@param create? boolean  Whether to start new threads at once.
---@return boolean
---@return string? message
---@return integer? code
function threads.resize(pool, size, create) end

---One number for each letter: tasks (`n`), running (`r`), pending (`p`), suspended (`s`); size (`e`), threads (`a`).
---@param pool coutil.Threads
---@param options string
---@return integer ...
function threads.count(pool, options) end

---Waits until there are no tasks, or no threads, and ends the pool.
---@param pool coutil.Threads
---@return true
function threads.close(pool) end

return threads
