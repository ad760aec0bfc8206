-- What the tests of scarcity share: limits of this process, set by another one, for which they do not hold.

local T = require "testing"

local S = {}

-- Whether a command of the shell succeeds. What it writes nobody reads; /dev/null is not open to everybody everywhere.
function S.succeeds(command)
  local ok = os.execute("{ " .. command .. "; } >&- 2>&-")
  return ok == true or ok == 0
end

-- What the command writes.
function S.line(command)
  local pipe = assert(io.popen(command))
  local text = pipe:read "*a"
  pipe:close()
  return (text:match "^[^\n]*")
end

-- A function that sets limits of this process, as `limit("nproc", 0)`, and gives them back, as `limit "nproc"`. Only the soft limit
-- is changed, so anybody may do that. It opens nothing and starts nothing after this.
function S.limiter()
  local fifo = os.tmpname()
  os.remove(fifo)
  assert(S.succeeds("mkfifo '" .. fifo .. "'"))
  local to = assert(io.popen([[
    exec 3>']] .. fifo .. [['
    while read -r name value; do
      test "$value" || value=$(prlimit --pid $PPID --$name --noheadings --raw --output HARD)
      prlimit --pid $PPID --$name=$value: >&2
      echo $? >&3
    done ]], "w"))
  local from = assert(io.open(fifo))
  os.remove(fifo)
  return function (name, value)
    assert(to:write(name, " ", value or "", "\n") and to:flush())
    local answer = from:read "*l"
    if answer ~= "0" then error("no limit of " .. name, 2) end
  end
end

-- The user whose processes are counted: root has no limit.
local nobody = 54321
local is_root = S.line "id -u" == "0"

-- The command, as an interpreter without what is built in.
local arg = rawget(_G, "arg")
local bare = arg and arg[-1] == "--bare" and "--bare" or ""

-- How a program is started for which limits hold; nil if that cannot be.
function S.prefix()
  if S.line "command -v prlimit" == "" or S.line "command -v mkfifo" == "" then return nil end
  if not is_root then return "" end
  local prefix = "setpriv --reuid=" .. nobody .. " --clear-groups "
  -- Others may not see what this program is made of.
  local lua = os.tmpname()
  local file = assert(io.open(lua, "w"))
  file:write(string.format("package.path, package.cpath = %q, %q; require 'coutil.system'", package.path, package.cpath))
  file:close()
  S.succeeds("chmod 644 '" .. lua .. "'")
  local can = S.succeeds(prefix .. '"' .. T.interpreter() .. '" ' .. bare .. ' "' .. lua .. '"')
  os.remove(lua)
  return can and prefix or nil
end

-- Begins every program below.
S.prelude = [==[
local T, S = require "testing", require "scarcity_testing"
local channel, states, threads = require "coutil.channel", require "coutil.coroutine", require "coutil.threads"
local system, memory = require "coutil.system", require "coutil.memory"
local limit = S.limiter()

-- The results of an await function, once they are there.
local function await(f, ...)
  local w = T.waiter(f, ...)
  while not w.got do
    if not system.run "step" and not w.got then error("nothing is pending", 2) end
  end
  return T.unpack(w.got, 1, w.got.n)
end

-- What an await function raises.
local raised
system.onerror(function (err) raised = err end)
local function failure(f, ...)
  raised = nil
  local co = T.create(f)
  local ok, err = coroutine.resume(co, ...)
  if not ok then return err end
  while not raised and coroutine.status(co) == "suspended" do system.run "step" end
  return raised
end

-- What fails for lack of something, with its code.
local function lacks(code, ...)
  local got = T.pack(...)
  if not (got[1] == false and type(got[2]) == "string" and got[3] == code) then
    error("got " .. tostring(got[1]) .. ", " .. tostring(got[2]) .. ", " .. tostring(got[3]), 2)
  end
end

local function temporary()
  local path = assert(system.maketemp((os.getenv "TMPDIR" or "/tmp") .. "/coutil-scarcity-", "~f"))
  return path
end
]==]

-- Runs a program of these in another interpreter, under the command `prefix`. What it writes, and its exit status.
function S.child(prefix, text)
  local name = os.tmpname()
  local file = assert(io.open(name, "w"))
  file:write(string.format("package.path, package.cpath = %q, %q\n", package.path, package.cpath))
  file:write(S.prelude, text, "\n")
  file:close()
  S.succeeds("chmod 644 '" .. name .. "'")
  local pipe = assert(io.popen(string.format('timeout 120 %s "%s" %s "%s" 2>&1; echo "exit=$?"', prefix, T.interpreter(), bare, name)))
  local out = pipe:read "*a"
  pipe:close()
  os.remove(name)
  local body, status = out:match "^(.-)exit=(%d+)\n$"
  return body or out, tonumber(status)
end

return S
