-- What the tests of processes, signals and system information share.

local T = require "testing"
local L = require "loop_testing"
local system = require "coutil.system"

local P = {}

-- Files and commands ----------------------------------------------------------------------------

-- What the file holds; nil if it cannot be read.
function P.read(path)
  local file = io.open(path, "rb")
  if not file then return nil end
  local text = file:read("*a")
  file:close()
  return text
end

function P.write(path, text)
  local file = assert(io.open(path, "wb"))
  assert(file:write(text))
  file:close()
end

-- What the shell command writes to its standard output.
function P.sh(command)
  local pipe = assert(io.popen(command))
  local text = pipe:read("*a")
  pipe:close()
  return text
end

-- The first line of it.
function P.line(command) return (P.sh(command):match("^[^\n]*")) end

-- True if all these programs are there.
function P.has(...)
  for _, program in ipairs { ... } do
    if P.sh("command -v " .. program .. " 2>/dev/null") == "" then return false end
  end
  return true
end

-- True if the shell command succeeds.
function P.succeeds(command)
  return P.line("{ " .. command .. "; } >/dev/null 2>&1 </dev/null; echo $?") == "0"
end

-- Calls `f` with the path of a new directory, which is removed afterwards. `f` must not suspend.
function P.directory(f)
  local path = os.tmpname()
  os.remove(path)
  P.sh("mkdir '" .. path .. "'")
  path = P.line("cd '" .. path .. "' && pwd -P")
  local ok, err = pcall(f, path)
  P.sh("rm -rf '" .. path .. "'")
  if not ok then error(err, 0) end
end

-- Makes an executable script that writes the text.
function P.program(path, text)
  P.write(path, "#!/bin/sh\necho " .. text .. "\n")
  P.sh("chmod 755 '" .. path .. "'")
end

-- Calls `f` with other values of environment variables (false: not set), which are restored afterwards.
function P.environment(values, f)
  local old = {}
  for name in pairs(values) do old[name] = os.getenv(name) or false end
  local function put(from)
    for name, value in pairs(from) do T.eq(system.setenv(name, value or nil), true) end
  end
  local ok, err = pcall(function () put(values); f() end)
  put(old)
  if not ok then error(err, 0) end
end

-- Processes -------------------------------------------------------------------------------------

-- Waits until the condition holds, without running the loop.
function P.wait_for(condition, what)
  local due = system.nanosecs() + 60e9
  while not condition() do
    if system.nanosecs() > due then error("this does not happen: " .. (what or "?"), 2) end
  end
end

-- Runs steps until the condition holds.
function P.steps(condition)
  while not condition() do
    if not system.run "step" and not condition() then error("nothing is pending", 2) end
  end
end

-- One run of the mode, after which nothing is pending; the result of this run may be late (P7 of 30).
function P.last(mode)
  if system.run(mode) and system.run() then error("something is pending", 2) end
end

P.proc = P.read("/proc/self/stat") ~= nil
P.valgrind = (os.getenv("LD_PRELOAD") or ""):find("valgrind", 1, true) ~= nil -- it hides what it changes
P.sees = P.proc and not P.valgrind -- which signals have handlers
P.nul = T.number >= 5.2 and "\0" or "%z" -- in a pattern
P.nobody = 2147483647 -- no process has this id

-- The fields of /proc/PID/stat, numbered as in proc(5); nil if there is no such process.
function P.stat(pid)
  local text = P.read("/proc/" .. (pid or "self") .. "/stat")
  if not text or text == "" then return nil end
  local fields = { tonumber(text:match("^%d+")), text:match("%((.*)%)") }
  for word in text:match("^.*%) (.*)$"):gmatch("%S+") do fields[#fields + 1] = tonumber(word) or word end
  return fields
end

-- The id of this process.
P.pid = P.proc and P.stat()[1] or tonumber(P.line("echo $PPID"))

function P.state(pid)
  local fields = P.stat(pid)
  return fields and fields[3]
end

-- Waits until the process has ended and is not yet reaped.
function P.dead(pid)
  P.wait_for(function () return P.state(pid) == "Z" end, "the end of " .. tostring(pid))
end

-- Waits until nothing is left of the process, or a zombie whose parent is somebody else.
function P.gone(pid)
  P.wait_for(function ()
    local fields = P.stat(pid)
    return not fields or fields[3] == "Z" and fields[4] ~= P.pid
  end, "the disappearance of " .. tostring(pid))
end

-- The number of children of this process that have ended and are not yet reaped.
function P.zombies()
  local n = 0
  for line in P.sh("cat /proc/[0-9]*/stat 2>/dev/null"):gmatch("[^\n]+") do
    local state, parent = line:match("^.*%) (%a) (%d+)")
    if state == "Z" and tonumber(parent) == P.pid then n = n + 1 end
  end
  return n
end

-- The set of the signals in a mask of /proc/PID/status.
function P.signals(status, field)
  local hex, set = status:match(field .. ":%s*(%x+)"), {}
  for i = 1, #hex do
    local digit = tonumber(hex:sub(-i, -i), 16)
    for bit = 0, 3 do
      if math.floor(digit / 2 ^ bit) % 2 == 1 then set[(i - 1) * 4 + bit + 1] = true end
    end
  end
  return set
end

-- True if this process has a handler for the signal.
function P.caught(number)
  return P.signals(P.read("/proc/self/status"), "SigCgt")[number] == true
end

-- A child that ends when it is killed, or after a minute; its fields `cmd` and `pid`, and those of a waiter.
-- Its directory is one where no core file can be written.
function P.sleeper(fields)
  local cmd = { execfile = "sleep", arguments = { "60" }, runpath = "/proc", stdin = false, stdout = false, stderr = false }
  for k, v in pairs(fields or {}) do cmd[k] = v end
  local w = T.waiter(system.execute, cmd)
  w.cmd, w.pid = cmd, cmd.pid
  return w
end

-- Kills the children and waits for them.
function P.finish(...)
  for _, w in ipairs { ... } do T.eq(system.emitsig(w.pid, 9), true) end
  L.run()
  for _, w in ipairs { ... } do T.same(w.got, { "TERMINATE", 9 }) end
end

-- A table for a shell script.
function P.shell(script, fields)
  local cmd = { execfile = "/bin/sh", arguments = { "-c", script } }
  for k, v in pairs(fields or {}) do cmd[k] = v end
  return cmd
end

-- Runs the command with a file as its standard output (or as the stream with this name): what it wrote, and the results.
function P.output(cmd, name)
  local path = os.tmpname()
  local file = assert(io.open(path, "wb"))
  cmd[name or "stdout"] = file
  local w = T.waiter(system.execute, cmd)
  file:close()
  L.run()
  local text = P.read(path)
  os.remove(path)
  if not w.got then error("execute has not returned", 2) end
  return text, T.unpack(w.got, 1, w.got.n)
end

-- What the command writes; it must succeed.
function P.run(cmd, name)
  local got = T.pack(P.output(cmd, name))
  T.same({ n = got.n - 1, T.unpack(got, 2, got.n) }, { "exit", 0 })
  return got[1]
end

-- A file with the text, to be run by another interpreter.
function P.source(text)
  local name = os.tmpname()
  P.write(name, ("package.path, package.cpath = %q, %q\n"):format(package.path, package.cpath) .. text .. "\n")
  return name
end

-- Runs the text in another interpreter, which the shell script starts as "$@" ("$1" the interpreter, "$2" the file). What it
-- wrote to standard output and standard error, and the results of `execute`.
function P.script(text, shell, fields)
  local name = P.source(text)
  local cmd = { execfile = "/bin/sh", arguments = { "-c", shell or 'exec "$@"', "sh", T.interpreter(), name } }
  for k, v in pairs(fields or {}) do cmd[k] = v end
  local path = os.tmpname()
  local file = assert(io.open(path, "wb"))
  cmd.stdout, cmd.stderr = file, file
  local w = T.waiter(system.execute, cmd)
  file:close()
  L.run()
  local out = P.read(path)
  os.remove(path)
  os.remove(name)
  if not w.got then error("execute has not returned", 2) end
  return out, T.unpack(w.got, 1, w.got.n)
end

-- Checks ----------------------------------------------------------------------------------------

-- The call, in a coroutine, must raise exactly this text, but for a position.
function P.raises(text, f, ...)
  local got = L.fails(f, ...)
  if got ~= text then error(("got the error %q, expected %q"):format(got, text), 2) end
end

-- The call, in a coroutine, must raise an error about argument `n`.
function P.argument(n, text, f, ...)
  local got = L.fails(f, ...)
  local number, detail = got:match("^bad argument #(%d+) to '[^']*' %((.*)%)$")
  if tonumber(number) ~= n or detail ~= text then
    error(("got the error %q, expected argument #%d, %q"):format(got, n, text), 2)
  end
end

function P.integer(x, what)
  if type(x) ~= "number" or x ~= math.floor(x) or T.integers and math.type(x) ~= "integer" then
    error((what and what .. ": " or "") .. "not an integer: " .. tostring(x), 2)
  end
  return x
end

-- A float where the version can tell.
function P.float(x, what)
  if type(x) ~= "number" or T.integers and math.type(x) ~= "float" then
    error((what and what .. ": " or "") .. "not a float: " .. tostring(x), 2)
  end
  return x
end

-- Signals ---------------------------------------------------------------------------------------

-- Names and numbers, and what happens by default ("end", "ignore" or "stop"). Numbers of x86-64 and aarch64.
P.names = {
  { "abort", 6, "end" }, { "brokenpipe", 13, "end" }, { "child", 17, "ignore" }, { "clocktime", 14, "end" },
  { "continue", 18, "ignore" }, { "cpulimit", 24, "end" }, { "cputime", 26, "end" }, { "cputotal", 27, "end" },
  { "filelimit", 25, "end" }, { "hangup", 1, "end" }, { "interrupt", 2, "end" }, { "polling", 29, "end" },
  { "quit", 3, "end" }, { "stdinoff", 21, "stop" }, { "stdoutoff", 22, "stop" }, { "stop", 20, "stop" },
  { "sysargerr", 31, "end" }, { "terminate", 15, "end" }, { "trap", 5, "end" }, { "urgentsock", 23, "ignore" },
  { "userdef1", 10, "end" }, { "userdef2", 12, "end" }, { "winresize", 28, "ignore" },
}
if P.valgrind then -- it needs these itself
  for i = #P.names, 1, -1 do
    if P.names[i][1] == "sysargerr" or P.names[i][1] == "trap" then table.remove(P.names, i) end
  end
end
P.emit_only = { { "STOP", 19, "stop" }, { "TERMINATE", 9, "end" } }
P.unnamed = { 4, 7, 8, 11, 16, 30, 32, 33, 34, 50, 64 }

local machine = P.line("uname -m")
P.numbers_known = machine == "x86_64" or machine == "aarch64"

-- Emits to this process a signal that somebody awaits.
function P.emit(signal)
  T.same(T.pack(system.emitsig(P.pid, signal)), { true })
end

-- Module `coutil.coroutine` and `system.resume`, if they are there.
do
  local found, states = pcall(require, "coutil.coroutine")
  if found and type(states) == "table" and states.load and system.resume then P.states = states end
end

-- A state coroutine with the text, in which `system` is the module.
function P.state_coroutine(text)
  return assert(P.states.load(([[
    require "_G"
    local package = require "package"
    package.path, package.cpath = %q, %q
    local coroutine, table = require "coroutine", require "table"
    local system = require "coutil.system"
  ]]):format(package.path, package.cpath) .. text))
end

return P
