---@meta _

---An IP address with a port.
---@class coutil.Address
---@field type "ipv4"|"ipv6"
---@field literal string  The host as text.
---@field binary string  The host as 4 or 16 bytes.
---@field port integer
local address = {}

---Addresses that were found for a name; it stands at one of them.
---@class coutil.Addresses
local addresses = {}

---Goes to the next address; `false`, and stays, if there is none.
---@return boolean
function addresses:next() end

---Goes back to the first.
function addresses:reset() end

---@param address? coutil.Address  To be overwritten.
---@return coutil.Address
function addresses:getaddress(address) end

---@return "ipv4"|"ipv6"
function addresses:getdomain() end

---@return "stream"|"datagram"|"passive"
function addresses:getsocktype() end

---@return true
function addresses:close() end

---@class coutil.Socket
local socket = {}

---@return true
function socket:close() end

---@return "ipv4"|"ipv6"|"local"|"share"
function socket:getdomain() end

---@param address coutil.Address|string  A path for local sockets.
---@return boolean
---@return string? message
---@return integer? code
function socket:bind(address) end

---@param site? "self"|"peer"
---@param address? coutil.Address  To be overwritten.
---@return coutil.Address|string|nil address
---@return string? message
---@return integer? code
function socket:getaddress(site, address) end

---A stream, over TCP or between processes.
---@class coutil.Stream : coutil.Socket
local stream = {}

---@async
---@param address coutil.Address|string
---@return boolean
---@return string? message
---@return integer? code
function stream:connect(address) end

---Puts what is there into the bytes `i` to `j` of the buffer. Streams of domain `share` may return a socket as well.
---@async
---@param buffer coutil.Memory
---@param i? integer
---@param j? integer
---@return integer? count
---@return coutil.Socket|string|nil message
---@return integer? code
function stream:read(buffer, i, j) end

---Sends the bytes `i` to `j`; on streams of domain `share` also a socket.
---@async
---@param data coutil.Array
---@param i? integer
---@param j? integer
---@param socket? coutil.Socket
---@return boolean
---@return string? message
---@return integer? code
function stream:write(data, i, j, socket) end

---Ends the output, when all of it was sent.
---@async
---@return boolean
---@return string? message
---@return integer? code
function stream:shutdown() end

---@param option "nodelay"|"keepalive"|"permission"
---@param value any
---@param ... any
---@return boolean
---@return string? message
---@return integer? code
function stream:setoption(option, value, ...) end

---A UDP socket.
---@class coutil.Datagram : coutil.Socket
local datagram = {}

---Sets the only address to send to and receive from; `nil` removes it.
---@param address coutil.Address|nil
---@return boolean
---@return string? message
---@return integer? code
function datagram:connect(address) end

---Waits for a datagram: its size, and whether some of it did not fit.
---@async
---@param buffer coutil.Memory
---@param i? integer
---@param j? integer
---@param address? coutil.Address  Becomes that of the sender.
---@return integer? count
---@return boolean|string truncated
---@return integer? code
function datagram:read(buffer, i, j, address) end

---@async
---@param data coutil.Array
---@param i? integer
---@param j? integer
---@param address? coutil.Address
---@return boolean
---@return string? message
---@return integer? code
function datagram:write(data, i, j, address) end

---@param option "broadcast"|"mcastloop"|"mcastttl"|"mcastiface"|"mcastjoin"|"mcastleave"
---@param value any
---@param ... any
---@return boolean
---@return string? message
---@return integer? code
function datagram:setoption(option, value, ...) end

---A socket that accepts connections.
---@class coutil.Passive : coutil.Socket
local passive = {}

---@param backlog integer
---@return boolean
---@return string? message
---@return integer? code
function passive:listen(backlog) end

---@async
---@return coutil.Stream? stream
---@return string? message
---@return integer? code
function passive:accept() end

---One with a path.
---@class coutil.LocalPassive : coutil.Passive
local localpassive = {}

---@param option "permission"
---@param value string
---@param ... any
---@return boolean
---@return string? message
---@return integer? code
function localpassive:setoption(option, value, ...) end

---@class coutil.Terminal
local terminal = {}

---@async
---@param buffer coutil.Memory
---@param i? integer
---@param j? integer
---@return integer? count
---@return string? message
---@return integer? code
function terminal:read(buffer, i, j) end

---@async
---@param data coutil.Array
---@param i? integer
---@param j? integer
---@return boolean
---@return string? message
---@return integer? code
function terminal:write(data, i, j) end

---@async
---@return boolean
---@return string? message
---@return integer? code
function terminal:shutdown() end

---@param mode "normal"|"raw"|"binary"
---@return boolean
---@return string? message
---@return integer? code
function terminal:setmode(mode) end

---@return integer? columns
---@return integer|string rows
---@return integer? code
function terminal:winsize() end

---@return true
function terminal:close() end

---@class coutil.File
local file = {}

---Reads into the bytes `i` to `j` of the buffer; 0 at the end of the file.
---@async
---@param buffer coutil.Memory
---@param i? integer
---@param j? integer
---@param offset? integer  From 0; without it, the position of the file.
---@param mode? "~"
---@return integer? count
---@return string? message
---@return integer? code
function file:read(buffer, i, j, offset, mode) end

---Writes the bytes `i` to `j`, which may be those of another file.
---@async
---@param data coutil.Array|coutil.File
---@param i? integer
---@param j? integer
---@param offset? integer  From 0; without it, the position of the file.
---@param mode? "~"
---@return integer? count
---@return string? message
---@return integer? code
function file:write(data, i, j, offset, mode) end

---@async
---@param mode? "~"
---@return boolean
---@return string? message
---@return integer? code
function file:close(mode) end

---@async
---@param size integer
---@param mode? "~"
---@return boolean
---@return string? message
---@return integer? code
function file:resize(size, mode) end

---Waits until all is on the disk.
---@async
---@param mode? string
---@return boolean
---@return string? message
---@return integer? code
function file:flush(mode) end

---One result for each letter. Raises errors of the system.
---@async
---@param mode string
---@return any ...
function file:info(mode) end

---Sets times: `a`, `m`, `b`.
---@async
---@param mode string
---@param ... number
---@return boolean
---@return string? message
---@return integer? code
function file:touch(mode, ...) end

---@async
---@param uid integer
---@param gid integer
---@param mode? "~"
---@return boolean
---@return string? message
---@return integer? code
function file:own(uid, gid, mode) end

---@async
---@param perm string|integer
---@param mode? "~"
---@return boolean
---@return string? message
---@return integer? code
function file:grant(perm, mode) end
