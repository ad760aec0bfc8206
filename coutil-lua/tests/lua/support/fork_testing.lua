-- fork(2) for tests: by the program that embeds Lua (`package.preload.fork_of_host`), by LuaJIT, or by luaposix where that is
-- installed. `fork()`, `wait(pid)` → true if it ended with status 0, `alarm(seconds)`, `exit(status)`, which runs nothing else;
-- `name` is nil if there is none.

local T = require "testing"

local F = {}

local found, host = pcall(require, "fork_of_host")
local jit = rawget(_G, "jit")

-- Where systems have it for all users, which the runner of the tests does not look at.
local function posix(name)
  local path, cpath = package.path, package.cpath
  local version = jit and "5.1" or T.version
  for _, root in ipairs { "/usr/local", "/usr" } do
    package.path = ("%s;%s/share/lua/%s/?.lua;%s/share/lua/%s/?/init.lua"):format(package.path, root, version, root, version)
    for _, machine in ipairs { "", "x86_64-linux-gnu/", "aarch64-linux-gnu/" } do
      package.cpath = ("%s;%s/lib/%slua/%s/?.so"):format(package.cpath, root, machine, version)
    end
  end
  local ok, module = pcall(require, name)
  package.path, package.cpath = path, cpath
  return ok and module
end

local unistd = not found and not jit and posix "posix.unistd"
if found then
  for key, f in pairs(host) do F[key] = f end
  F.name = "host"
elseif jit then
  local ffi = require "ffi"
  ffi.cdef [[ int fork(void); int waitpid(int, int *, int); unsigned alarm(unsigned); void _exit(int); ]]
  F.fork, F.alarm, F.exit, F.name = ffi.C.fork, ffi.C.alarm, ffi.C._exit, "ffi"
  function F.wait(pid)
    local status = ffi.new "int[1]"
    while ffi.C.waitpid(pid, status, 0) ~= pid do end
    return status[0] == 0
  end
elseif unistd then
  local wait = posix "posix.sys.wait".wait
  F.fork, F.alarm, F.exit, F.name = unistd.fork, unistd.alarm, unistd._exit, "posix"
  function F.wait(pid)
    local got, how, status
    repeat got, how, status = wait(pid) until got
    return how == "exited" and status == 0
  end
end

-- Whether `child` succeeds in a child of this process, which leaves by `leave`, or else at once. A child that hangs is ended.
function F.child(child, leave)
  io.stdout:flush()
  io.stderr:flush()
  local pid = F.fork()
  if pid ~= 0 then return F.wait(pid) end
  F.alarm(40)
  local ok, text = xpcall(child, debug.traceback)
  if not ok then
    io.stderr:write("in the child: ", tostring(text), "\n")
    io.stderr:flush()
    F.exit(1)
  end
  if leave then leave() end
  F.exit(0)
end

return F
