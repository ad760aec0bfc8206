-- What the tests of standard streams and terminals share: programs that are run with other streams.

local T = require "testing"

local S = {}

-- Files and commands ----------------------------------------------------------------------------

function S.read(path)
  local file = assert(io.open(path, "rb"))
  local text = file:read("*a")
  file:close()
  return text
end

function S.write(path, text)
  local file = assert(io.open(path, "wb"))
  file:write(text)
  file:close()
end

local function sh(command)
  local pipe = assert(io.popen(command))
  local text = pipe:read("*a")
  pipe:close()
  return text
end

-- True if the shell command succeeds.
function S.succeeds(command)
  return sh("{ " .. command .. "; } >/dev/null 2>&1 </dev/null; echo $?") == "0\n"
end

-- Children --------------------------------------------------------------------------------------

-- What every child has before its own text. `DIR` is a directory that it may use. Nothing is loaded before `start`.
local prelude = [[
T = require "testing"
eq, same, pack = T.eq, T.same, T.pack

-- One line to the parent.
function say(...)
  local file = assert(io.open(DIR .. "/report", "a"))
  file:write(table.concat({ ... }, " "), "\n")
  file:close()
end

function start()
  system, memory = require "coutil.system", require "coutil.memory"
  system.onerror(function (text, _, trace) failed = true; say("ERROR", tostring(text), trace) end)
end

-- What `f(...)` returns, in a coroutine.
function await(f, ...)
  local w = T.waiter(f, ...)
  eq(system.run(), false)
  if not w.got then error("the call has not returned", 2) end
  return T.unpack(w.got, 1, w.got.n)
end

-- Reads once: the text, or what `read` returned instead. In a coroutine.
function take(stream, n)
  local buffer = memory.create(n or 4096)
  local got = pack(stream:read(buffer))
  if got[1] then return buffer:tostring(1, got[1]), T.unpack(got, 2, got.n) end
  return T.unpack(got, 1, got.n)
end

function class(object) return object and getmetatable(object).__name end

eof = { false, "end of file", 4095 }
broken = { false, "broken pipe", 32 }

-- The status flags of a descriptor, as open(2) has them; nil if it is not open.
function flags(fd)
  local file = io.open("/proc/self/fdinfo/" .. fd)
  if not file then return nil end
  local text = file:read("*a")
  file:close()
  return tonumber(text:match("flags:%s*(%d+)"), 8)
end

local function has(flags, bit) return math.floor(flags / bit) % 2 == 1 end
function nonblocking(fd) return has(flags(fd), 2048) end
function cloexec(fd) return has(flags(fd), 524288) end

-- The descriptors that are open, as a set.
function descriptors()
  local set = {}
  for fd = 0, 100 do if flags(fd) then set[fd] = true end end
  return set
end

function count()
  local n = 0
  for _ in pairs(descriptors()) do n = n + 1 end
  return n
end

-- What /proc/self/status says of signals: ignored, caught and blocked ones. (Some of the last are the C library's own.)
function signals()
  local list = {}
  for line in io.lines("/proc/self/status") do
    if line:find("^Sig") and not line:find("^SigQ") or line:find("^Shd") then list[#list + 1] = line:match("^(%w+)") .. line:sub(-7) end
  end
  return table.concat(list, "\n")
end

-- Lets the program go on that waits for `read x <"$DIR/gate"`.
function open_gate()
  local file = assert(io.open(DIR .. "/gate", "w"))
  file:write("go\n")
  file:close()
end

function whole(path)
  local file = assert(io.open(path, "rb"))
  local text = file:read("*a")
  file:close()
  return text
end
]]

-- Runs `f(dir)` with a directory of its own, in which `run.sh` runs the text as a program.
local function with_program(text, f)
  local dir = sh("mktemp -d"):match("^[^\n]+")
  S.write(dir .. "/text.lua", text)
  S.write(dir .. "/main.lua", table.concat {
    ("package.path, package.cpath = %q, %q\nDIR = %q\n"):format(package.path, package.cpath, dir), prelude, [[
    local ok, text = xpcall(assert(loadfile(DIR .. "/text.lua")), debug.traceback)
    if uncaught then error(text, 0) end
    if not ok then say("ERROR", text) end
    if not ok or failed then os.exit(99) end
    ]] })
  S.write(dir .. "/run.sh", ('DIR=%q\n"%s" "$DIR/main.lua"\necho "exit $?" >>"$DIR/report"\n'):format(dir, T.interpreter()))
  sh(("chmod 777 '%s'; chmod 755 '%s'/*; mkfifo -m 666 '%s/gate'"):format(dir, dir, dir))
  local ok, err = pcall(f, dir)
  sh("rm -rf '" .. dir .. "'")
  if not ok then error(err, 0) end
end

-- The command with the program in it.
local function in_place(shape)
  return (shape:gsub("@(%w?)", function (letter) return letter == "" and 'sh "$DIR/run.sh"' or nil end))
end

-- Runs the text as a program, in the shell command `shape`, where `@` is the program and `$DIR` its directory; all that
-- the command does may take as long as `timeout` says. Returns what the command wrote, and what the program said. The
-- program must end with the status `status`, by default 0.
function S.run(shape, text, status)
  local out, report
  with_program(text, function (dir)
    local command = in_place(shape)
    S.write(dir .. "/shape.sh", ('DIR=%q\nexport DIR\n%s\n'):format(dir, command))
    out = sh("timeout 60 sh '" .. dir .. "/shape.sh' 2>&1")
    local ok, said = pcall(S.read, dir .. "/report")
    report = ok and said or ""
    if report:match("exit (%d+)\n$") ~= tostring(status or 0) or report:find("ERROR") then
      error("the program said: " .. report .. "\nand the command wrote: " .. out, 0)
    end
  end)
  return out, report
end

-- A test that is such a program. `check(out)` looks at what the command wrote, by default it must be nothing.
function S.test(title, shape, text, check, status)
  T.test_child(title, function ()
    local out = S.run(shape, text, status)
    if type(check) == "function" then check(out) else T.eq(out, check or "") end
  end)
end

-- As another user, who may open nothing of ours again.
S.unprivileged = "setpriv --reuid=65534 --regid=65534 --clear-groups "
S.setpriv = T.interpreter() and S.succeeds(S.unprivileged .. "true") and (function ()
  local yes
  with_program("", function (dir) yes = S.succeeds(S.unprivileged .. "sh " .. dir .. "/run.sh && grep -q 'exit 0' " .. dir .. "/report") end)
  return yes
end)()

-- True if a program that is started without a standard input has none. (That of a Rust program is then the null device, before it
-- begins.)
S.closable = T.interpreter() and select(2, S.run("@ <&-", "say(tostring(flags(0)))")):find("nil", 1, true) ~= nil

-- Descriptors that a shell cannot make.
S.perl = S.succeeds("perl -MSocket -MPOSIX -e 1")

function S.with_perl(code)
  return ("perl -MSocket -MPOSIX -e '%s; exit(system(@ARGV) >> 8)' @"):format(code)
end

-- Terminals -------------------------------------------------------------------------------------

S.script = T.interpreter() and S.succeeds("script -qec true /dev/null")

-- Runs the text as a program with a terminal of its own as its streams, in the command `shape`. The program types by
-- `keys`; what arrives in the terminal is returned, and what it said.
function S.terminal(shape, text, status)
  local out, report = nil, {}
  with_program([[
    function keys(text) say("keys", (text:gsub(".", function (c) return ("%02x"):format(c:byte()) end))) end
    -- What stty(1) says, which does not depend on us.
    function stty(arguments)
      local pipe = assert(io.popen("stty " .. (arguments or "-g") .. " </dev/tty 2>&1"))
      local text = pipe:read("*a")
      pipe:close()
      return (text:gsub("\r?\n$", ""))
    end
    function set(name)
      local all = " " .. stty("-a"):gsub("[\n;]", " ") .. " "
      if all:find(" " .. name .. " ", 1, true) then return true end
      if all:find(" -" .. name .. " ", 1, true) then return false end
      error("stty does not know " .. name)
    end
  ]] .. text, function (dir)
    sh(("mkfifo -m 666 '%s/report'"):format(dir))
    local fifo = assert(io.open(dir .. "/report", "r+"))
    S.write(dir .. "/shape.sh", ("DIR=%q\nexport DIR\n%s\n"):format(dir, in_place(shape or "@")))
    local pipe = assert(io.popen(("SHELL=/bin/sh timeout 60 script -qec 'sh %s/shape.sh' /dev/null >'%s/out' 2>&1; " ..
      "echo over >>'%s/report'"):format(dir, dir, dir), "w"))
    pipe:setvbuf("no")
    for line in fifo:lines() do
      local typed = line:match("^keys (%x*)$")
      if typed then
        pipe:write((typed:gsub("%x%x", function (c) return string.char(tonumber(c, 16)) end)))
      elseif line == "over" then
        break
      else
        report[#report + 1] = line
      end
    end
    fifo:close()
    pipe:close()
    out = S.read(dir .. "/out")
  end)
  report = table.concat(report, "\n")
  if report:match("exit (%d+)$") ~= tostring(status or 0) or report:find("ERROR") then
    error("the program said: " .. report .. "\nand the terminal has: " .. out, 0)
  end
  return out, report
end

-- A test that is such a program. `check(out)` looks at what the terminal got.
function S.test_terminal(title, text, check, shape, status)
  T.test_if(S.script, "no script(1), or no interpreter to start", title, function ()
    local out, report = S.terminal(shape, text, status)
    if check then check(out, report) end
  end)
end

return S
