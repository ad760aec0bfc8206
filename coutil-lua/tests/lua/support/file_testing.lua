-- What the tests of files share: a folder of their own, the system's tools, and both forms of a call.

local T = require "testing"
local L = require "loop_testing"
local system = require "coutil.system"
local pack = T.pack

local F = {}

-- The system's own tools ------------------------------------------------------------------------

function F.quote(text) return "'" .. text:gsub("'", "'\\''") .. "'" end

-- What the command wrote, without the last end of line.
function F.sh(command, ...)
  local parts = { command }
  for i = 1, select("#", ...) do parts[i + 1] = F.quote((select(i, ...))) end
  local pipe = assert(io.popen(table.concat(parts, " "), "r"))
  local out = pipe:read("*a")
  pipe:close()
  return (out:gsub("\n$", ""))
end

-- What stat says of the path; of a link itself, or else of its target.
function F.stat(path, format) return F.sh("stat -c " .. F.quote(format) .. " --", path) end
function F.target(path, format) return F.sh("stat -L -c " .. F.quote(format) .. " --", path) end

-- All that an operation must leave alone if it fails, but for the time of access, which others change too.
local everything = "%a %u %g %s %h %i %f %Y %Z %y %z"
function F.state(path) return F.stat(path, everything) end

F.root = F.sh "id -u" == "0"

-- The folder ------------------------------------------------------------------------------------

-- In memory, if there is such a place: a disk may be busy.
local folder = F.sh "mktemp -d /dev/shm/coutil-XXXXXX 2>/dev/null"
if folder == "" then folder = L.path() end
F.sh("mkdir -p -m 755", folder)
F.sh("chmod 755", folder)
F.dir = F.sh("cd " .. F.quote(folder) .. " && pwd -P")
if F.dir == "" then error("cannot make the folder " .. folder) end

-- A path in the folder where nothing is.
local count = 0
function F.fresh(name)
  count = count + 1
  return F.dir .. "/" .. (name or "n") .. count
end

function F.put(path, text)
  local file = assert(io.open(path, "wb"))
  assert(file:write(text))
  file:close()
  return path
end

function F.get(path)
  local file = assert(io.open(path, "rb"))
  local text = file:read("*a")
  file:close()
  return text
end

function F.exists(path)
  return F.sh("p=" .. F.quote(path) .. '; if [ -e "$p" ] || [ -L "$p" ]; then echo yes; fi') == "yes"
end

-- A new file with this text, a new folder, a new link, a new pipe.
function F.file(text, name) return F.put(F.fresh(name), text or "") end
function F.folder(name)
  local path = F.fresh(name)
  F.sh("mkdir -m 755 --", path)
  return path
end
function F.link(content, name)
  local path = F.fresh(name)
  F.sh("ln -s --", content, path)
  return path
end
function F.pipe()
  local path = F.fresh "pipe"
  F.sh("mkfifo --", path)
  return path
end

-- An octal number as the process's umask would change it, in the form of `stat -c %a`.
function F.masked(octal) return F.sh('printf %o $((0' .. octal .. ' & ~$(umask)))') end

function F.octal(text) return tonumber(text, 8) end

-- Descriptors -----------------------------------------------------------------------------------

-- How many descriptors of this process are files in the folder; nil where it cannot be known.
function F.descriptors()
  local text, n = F.sh "ls -l /proc/$PPID/fd 2>&1", 0
  if not text:find "%->" then return nil end
  for line in text:gmatch "[^\n]+" do
    if line:find("-> " .. F.dir, 1, true) then n = n + 1 end
  end
  return n
end

-- The flags of the descriptor of this path, as the system keeps them.
function F.flags(path)
  local text = F.sh("p=" .. F.quote(path) .. '; for f in /proc/$PPID/fd/*; do if [ "$(readlink $f)" = "$p" ]; then '
    .. "cat /proc/$PPID/fdinfo/${f##*/}; fi; done 2>/dev/null")
  local flags = text:match "flags:%s*(%d+)"
  return flags and tonumber(flags, 8)
end

function F.has(flags, octal) return math.floor(flags / tonumber(octal, 8)) % 2 == 1 end

-- Files -----------------------------------------------------------------------------------------

function F.open(path, mode, perm)
  local file, text = system.openfile(path, (mode or "r") .. "~", perm)
  if not file then error(path .. ": " .. text, 2) end
  return file
end

function F.gives(want, ...) T.same(pack(...), want) end

-- Failures.
F.exist, F.missing = { false, "file already exists", 17 }, { false, "no such file or directory", 2 }
F.notdir, F.isdir = { false, "not a directory", 20 }, { false, "illegal operation on a directory", 21 }
F.notempty, F.badfd = { false, "directory not empty", 39 }, { false, "bad file descriptor", 9 }
F.invalid, F.notpermitted = { false, "invalid argument", 22 }, { false, "operation not permitted", 1 }
F.denied, F.seek = { false, "permission denied", 13 }, { false, "invalid seek", 29 }
F.toolong, F.loop = { false, "name too long", 36 }, { false, "too many symbolic links encountered", 40 }
F.full = { false, "no space left on device", 28 }

-- Both forms ------------------------------------------------------------------------------------

local function strip(text) return (tostring(text):gsub("^[^:%s]*:%d+: ", "")) end

local function now(f, ...)
  local ok, text = pcall(f, ...)
  if ok then error("no error", 2) end
  return strip(text)
end

-- The error of a coroutine with the body `f`, which may come after it has waited; on 5.1 nothing can catch it inside.
local function later(f, ...)
  local co = T.create(f)
  local ok, text = coroutine.resume(co, ...)
  if not ok then return strip(text) end
  if coroutine.status(co) == "dead" then error("no error", 2) end
  L.run()
  local reports = T.reports()
  if #reports ~= 1 then error(#reports .. " errors", 2) end
  if not rawequal(reports[1].co, co) then error("another coroutine died", 2) end
  return strip(reports[1].err)
end

F.forms = {
  { name = "blocking", t = "~", call = function (f, ...) return f(...) end, message = now },
  { name = "awaiting", t = "", call = L.await, message = later },
}

-- `f(call, t, raises)` once for each form: `call(g, ...)` calls g, `t` is what its mode needs, and `raises(text, g, ...)`
-- wants this error, whatever its position.
function F.test(title, f)
  for _, form in ipairs(F.forms) do
    T.test(title .. " (" .. form.name .. ")", function ()
      f(form.call, form.t, function (want, ...) T.eq(form.message(...), want) end)
    end)
  end
end

-- Children --------------------------------------------------------------------------------------

-- Runs the text in another interpreter, after the words `prefix`; the output, and the exit status.
function F.child(prefix, text)
  local script = F.file(string.format("package.path, package.cpath = %q, %q\n", package.path, package.cpath) .. text .. "\n")
  F.sh("chmod 644", script)
  local out = F.sh(prefix .. " " .. F.quote(T.interpreter()) .. " " .. F.quote(script) .. ' 2>&1; echo "exit=$?"')
  local body, status = out:match "^(.-)exit=(%d+)$"
  if not body then error("child interpreter gave: " .. out, 2) end
  return body, tonumber(status)
end

-- The words before a program that run it as somebody without rights; nil if there is no way.
do
  local prefix = F.root and "setpriv --reuid=65534 --regid=65534 --clear-groups" or "env"
  if T.interpreter() then
    local probe = [[local system = require "coutil.system"; require "memory"; io.write(system.fileinfo("/", "~?"))]]
    if F.child(prefix, probe) == "directory" then F.unprivileged = prefix end
  end
end

-- To be called at the end of the file.
function F.done()
  L.run()
  T.gc()
  if F.dir:find "^/%w" and #F.dir > 5 then F.sh("chmod -R u+rwX " .. F.quote(F.dir) .. " 2>/dev/null; rm -rf --", F.dir) end
  T.done()
end

return F
