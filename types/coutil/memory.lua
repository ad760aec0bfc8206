---@meta coutil.memory

---Writable bytes: a memory, or a string or number to read from.
---@alias coutil.Array coutil.Memory|string|number

---The module of writable byte arrays; its functions are methods of them.
---@class coutil.Memory
---@operator len: integer
---@operator concat(coutil.Array): string
local memory = {}

---A resizable memory; a fixed one of so many zeros; or a fixed one with a copy of bytes.
---@param array? integer|string|coutil.Memory
---@param i? integer
---@param j? integer
---@return coutil.Memory
function memory.create(array, i, j) end

---@param value any
---@return "fixed"|"resizable"|"other"|nil
function memory.type(value) end

---The number of bytes.
---@param m coutil.Memory
---@return integer
function memory.len(m) end

---Changes the size; new bytes are those of the array, repeated, or zeros.
---@param m coutil.Memory
---@param size integer
---@param array? coutil.Array
function memory.resize(m, size, array) end

---@param array coutil.Array
---@param i? integer
---@param j? integer
---@return string
function memory.tostring(array, i, j) end

---The bytes `i` to `j`, or byte `i`.
---@param m coutil.Memory
---@param i integer
---@param j? integer
---@return integer ...
function memory.get(m, i, j) end

---Writes bytes, from byte `i` on.
---@param m coutil.Memory
---@param i integer
---@param ... integer
function memory.set(m, i, ...) end

---Fills the bytes `i` to `j` with those of the array from its byte `o` on, or with one byte.
---@param m coutil.Memory
---@param array coutil.Array
---@param i? integer
---@param j? integer
---@param o? integer
function memory.fill(m, array, i, j, o) end

---Looks for the bytes of the pattern, from its byte `o` on, among the bytes `i` to `j`.
---@param array coutil.Array
---@param pattern coutil.Array
---@param i? integer
---@param j? integer
---@param o? integer
---@return integer? first
---@return integer? last
function memory.find(array, pattern, i, j, o) end

---Where two arrays differ first, and whether the first one sorts before the other.
---@param array1 coutil.Array
---@param array2 coutil.Array
---@return integer? index
---@return boolean less
function memory.diff(array1, array2) end

---Writes values, from byte `i` on. Returns whether all fit, the position after them, and the values that are left.
---@param m coutil.Memory
---@param format string
---@param i integer
---@param ... any
---@return boolean
---@return integer index
---@return any ...
function memory.pack(m, format, i, ...) end

---Reads values, from byte `i` on. The last result is the position after them.
---@param m coutil.Memory
---@param format string
---@param i? integer
---@return any ...
function memory.unpack(m, format, i) end

return memory
