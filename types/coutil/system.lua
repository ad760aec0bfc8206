---@meta coutil.system

---What `system.execute` starts. The letters of a stream are replaced by an object.
---@class coutil.Description
---@field execfile string
---@field arguments? string[]
---@field runpath? string
---@field environment? table<string, string|number>|coutil.Environment
---@field stdin? string|false|file*|coutil.Stream
---@field stdout? string|false|file*|coutil.Stream
---@field stderr? string|false|file*|coutil.Stream
---@field pid? integer  Is set when the process has started.

---Packed variables: their values by name.
---@class coutil.Environment
---@field [string] string?

---@alias coutil.Error fun(err: any, co: thread, traceback: string)

---@alias coutil.Iterator fun(which: string, previous?: integer): integer?, any ...

---The event loop, and what comes from outside of the program.
---@class coutil.system
---@field stdin coutil.Terminal|coutil.File|coutil.Stream|coutil.Datagram|nil
---@field stdout coutil.Terminal|coutil.File|coutil.Stream|coutil.Datagram|nil
---@field stderr coutil.Terminal|coutil.File|coutil.Stream|coutil.Datagram|nil
---@field filebits table<string, integer>
local system = {}

-- The loop and time

---Resumes the coroutines whose wait is over. Returns whether something is still awaited.
---@param mode? "loop"|"step"|"ready"
---@return boolean
function system.run(mode) end

---Whether `run` is being executed.
---@return boolean
function system.isrunning() end

---Makes `run` return when its pass is over.
function system.halt() end

---Waits for so many seconds; without them, for the next pass.
---@async
---@param seconds? number
---@param mode? "~"
---@return true
function system.suspend(seconds, mode) end

---Seconds: of the pass, read anew, or since 1970.
---@param mode? "cached"|"updated"|"epoch"
---@return number
function system.time(mode) end

---Nanoseconds of a clock that only goes forward.
---@return integer
function system.nanosecs() end

---Sets who is told of errors in coroutines that the library resumed; returns the one before.
---@param handler? coutil.Error|"raise"
---@return coutil.Error|"raise"|nil previous
function system.onerror(handler) end

---Writes what is awaited to standard error.
function system.printall() end

-- Threads

---Exchanges values at a channel; waits until somebody comes.
---@async
---@param ch coutil.Channel
---@param endpoint? coutil.Endpoint
---@param ... coutil.Value
---@return true
---@return coutil.Value ...
function system.awaitch(ch, endpoint, ...) end

---Runs a state coroutine on another thread, up to its next yield or its end.
---@async
---@param co coutil.Coroutine
---@param ... coutil.Value
---@return boolean
---@return coutil.Value ...
function system.resume(co, ...) end

-- Network

---An address from nothing, a text like `127.0.0.1:80`, or a host and a port.
---@param type "ipv4"|"ipv6"
---@param host? string|coutil.Memory
---@param port? integer
---@param mode? "t"|"b"
---@return coutil.Address
function system.address(type, host, port, mode) end

---A stream, to connect.
---@param type "stream"
---@param domain "ipv4"|"ipv6"|"local"|"share"
---@return coutil.Stream? socket
---@return string? message
---@return integer? code
function system.socket(type, domain) end

---A socket that accepts TCP connections.
---@param type "passive"
---@param domain "ipv4"|"ipv6"
---@return coutil.Passive? socket
---@return string? message
---@return integer? code
function system.socket(type, domain) end

---A socket that accepts local connections, at a path.
---@param type "passive"
---@param domain "local"|"share"
---@return coutil.LocalPassive? socket
---@return string? message
---@return integer? code
function system.socket(type, domain) end

---A UDP socket.
---@param type "datagram"
---@param domain "ipv4"|"ipv6"
---@return coutil.Datagram? socket
---@return string? message
---@return integer? code
function system.socket(type, domain) end

---Looks for the addresses of a host and a service. Letters: `4`, `6`, `s`, `d`, `m`, `n`.
---@async
---@param name string?
---@param service? string|integer
---@param mode? string
---@return coutil.Addresses? addresses
---@return string? message
---@return integer? code
function system.findaddr(name, service, mode) end

---Looks for the names of an address, of a host, or of a port. Letters: `l`, `d`.
---@async
---@param address coutil.Address|string|integer
---@param mode? string
---@return string? name
---@return string? service
---@return integer? code
function system.nameaddr(address, mode) end

-- Files

---Opens a file. Letters: `r`, `w`, `a`, `t`, `f`, `n`, `N`, `x`, `~`.
---@async
---@param path string
---@param mode? string
---@param perm? string|integer
---@return coutil.File? file
---@return string? message
---@return integer? code
function system.openfile(path, mode, perm) end

---One result for each letter. Raises errors of the system.
---@async
---@param path string
---@param mode string
---@return any ...
function system.fileinfo(path, mode) end

---For a `for` loop: names and types. Raises errors of the system.
---@async
---@param path string
---@param mode? "~"
---@return fun(): string?, string?
---@return nil
---@return nil
---@return any
function system.listdir(path, mode) end

---Makes a directory.
---@async
---@param path string
---@param perm string|integer
---@param mode? "~"
---@return boolean
---@return string? message
---@return integer? code
function system.makedir(path, perm, mode) end

---Makes a temporary directory, or with `f` and `o` a file.
---@async
---@param prefix string
---@param mode? string
---@return string|coutil.File|nil
---@return any ...
function system.maketemp(prefix, mode) end

---Makes a hard link, or with `s` a symbolic one.
---@async
---@param path string
---@param destiny string
---@param mode? string
---@return boolean
---@return string? message
---@return integer? code
function system.linkfile(path, destiny, mode) end

---Gives a file another path.
---@async
---@param path string
---@param destiny string
---@param mode? "~"
---@return boolean
---@return string? message
---@return integer? code
function system.movefile(path, destiny, mode) end

---Copies a file. Letters: `n`, `c`, `C`, `~`.
---@async
---@param path string
---@param destiny string
---@param mode? string
---@return boolean
---@return string? message
---@return integer? code
function system.copyfile(path, destiny, mode) end

---Removes a file, or with `d` a directory.
---@async
---@param path string
---@param mode? string
---@return boolean
---@return string? message
---@return integer? code
function system.removefile(path, mode) end

---Sets times. Letters: `l`, `~`, `a`, `m`, `b`.
---@async
---@param path string
---@param mode string
---@param ... number
---@return boolean
---@return string? message
---@return integer? code
function system.touchfile(path, mode, ...) end

---Changes the owners. Letters: `l`, `~`.
---@async
---@param path string
---@param uid integer
---@param gid integer
---@param mode? string
---@return boolean
---@return string? message
---@return integer? code
function system.ownfile(path, uid, gid, mode) end

---Sets the permissions.
---@async
---@param path string
---@param perm string|integer
---@param mode? "~"
---@return boolean
---@return string? message
---@return integer? code
function system.grantfile(path, perm, mode) end

-- Processes

---Starts a program and waits for its end.
---@async
---@param program string|coutil.Description
---@param ... string
---@return string? how  `"exit"`, or the name of a signal.
---@return integer|string number
---@return integer? code
function system.execute(program, ...) end

---Waits for a signal.
---@async
---@param signal string
---@return string? signal
---@return string? message
---@return integer? code
function system.awaitsig(signal) end

---Sends a signal to a process.
---@param pid integer
---@param signal string|integer
---@return boolean
---@return string? message
---@return integer? code
function system.emitsig(pid, signal) end

---The priority of a process.
---@param pid integer
---@return string? name
---@return integer|string number
---@return integer? code
function system.getpriority(pid) end

---Sets the priority of a process.
---@param pid integer
---@param value string|integer
---@return boolean
---@return string? message
---@return integer? code
function system.setpriority(pid, value) end

---The working directory.
---@return string
function system.getdir() end

---Changes the working directory.
---@param path string
---@return boolean
---@return string? message
---@return integer? code
function system.setdir(path) end

---The value of a variable; a table of all of them; or adds them to a table.
---@overload fun(): table<string, string>
---@overload fun(tab: table): table
---@param name? string
---@return string? value
---@return string? message
---@return integer? code
function system.getenv(name) end

---Sets a variable; `nil` removes it.
---@param name string
---@param value string|number|nil
---@return boolean
---@return string? message
---@return integer? code
function system.setenv(name, value) end

---Packs variables for `execute`.
---@param vars table<string, string|number>
---@return coutil.Environment
function system.packenv(vars) end

---A table of packed variables, or adds them to one.
---@param env coutil.Environment
---@param tab? table
---@return table<string, string>
function system.unpackenv(env, tab) end

-- Information

---What the system knows of itself, the user and this process: one result for each letter.
---@param which string
---@return any ...
function system.procinfo(which) end

---For a `for` loop over the processors.
---@param which? string
---@return coutil.Iterator
---@return string? which
---@return integer
---@return any
function system.cpuinfo(which) end

---For a `for` loop over the addresses of the network interfaces; or the name of one.
---@param option "all"|"name"|"id"
---@param which? string|integer
---@return coutil.Iterator|string|nil
---@return any ...
function system.netinfo(option, which) end

---Fills bytes of a memory with random ones.
---@async
---@param buffer coutil.Memory
---@param i? integer
---@param j? integer
---@param mode? "~"
---@return coutil.Memory? buffer
---@return string? message
---@return integer? code
function system.random(buffer, i, j, mode) end

return system
