-- Walks a directory tree, and sums up what is in it: how many files, directories, links and others, how many bytes the files have,
-- how many blocks of 512 bytes all of it takes, and how many lines there are. As many directories and files are worked on at a time
-- as there are walkers: each is a coroutine that reads from top to bottom, while the calls are made by other threads.
--
--   cargo xtask run examples/tree.lua [--walkers N] [PATH]        (without a path: the current directory)
--
-- The numbers are those of
--   find PATH -type f | wc -l      find PATH -type d | wc -l      find PATH -type l | wc -l
--   find PATH -type f -printf '%s\n' (their sum)                  find PATH -printf '%b\n' (their sum)
--   find PATH -type f -exec cat {} + | wc -l
local memory = require "coutil.memory"
local queued = require "coutil.queued"
local spawn = require "coutil.spawn"
local system = require "coutil.system"

local path, walkers = ".", 16
local index = 1
while arg and arg[index] do
  if arg[index] == "--walkers" then
    walkers = assert(tonumber(arg[index + 1]), "how many walkers?")
    index = index + 2
  else
    path = arg[index]
    index = index + 1
  end
end

-- An error in any walker ends the program, with the traceback of that walker.
local function fail (message)
  io.stderr:write(debug.traceback(message, 2), "\n")
  os.exit(1)
end

local total = { file = 0, directory = 0, link = 0, other = 0, bytes = 0, blocks = 0, lines = 0, unreadable = 0 }
local pending = 0                       -- paths that were found, and not worked on yet
local found = {}                        -- the event of a path

local function add (where, kind)
  pending = pending + 1
  queued.emitone(found, where, kind)
end

-- What cannot be read, as it is gone or there is no permission, is counted, and told.
local function unreadable (where, message)
  total.unreadable = total.unreadable + 1
  io.stderr:write(where, ": ", message, "\n")
end

-- Reads a file, and counts its lines.
local function lines (where, buffer)
  local file, message = system.openfile(where)
  if not file then return unreadable(where, message) end
  local count = 0
  while true do
    local size, failure = file:read(buffer)
    if not size then
      unreadable(where, failure)
      break
    elseif size == 0 then
      break
    end
    local _, more = memory.tostring(buffer, 1, size):gsub("\n", "\n")
    count = count + more
  end
  file:close()
  total.lines = total.lines + count
end

local function visit (where, kind, buffer)
  local size, blocks
  -- The link itself, not what it leads to. The file system may not have told what it is.
  kind, size, blocks = system.fileinfo(where, "l?Bb")
  total.blocks = total.blocks + blocks
  if kind == "directory" then
    total.directory = total.directory + 1
    local prefix = where:gsub("/*$", "/")
    for name, entry in system.listdir(where) do add(prefix .. name, entry) end
  elseif kind == "file" then
    total.file = total.file + 1
    total.bytes = total.bytes + size
    lines(where, buffer)
  else
    kind = kind == "link" and kind or "other"
    total[kind] = total[kind] + 1
  end
end

local function walker ()
  local buffer = memory.create(65536)
  while true do
    local _, where, kind = queued.await(found)
    if not where then break end
    -- 5.1 cannot suspend inside of `pcall`; `spawn.trap` runs the body in a coroutine of its own.
    local done = {}
    spawn.trap(function (ok, message)
      if not ok then unreadable(where, message) end
      pending = pending - 1
      done.now = true
      if pending == 0 then              -- all are told
        for _ = 1, walkers do queued.emitone(found) end
      end
      queued.emitone(done)
    end, visit, where, kind, buffer)
    if not done.now then queued.await(done) end
  end
end

add(path)
for _ = 1, walkers do spawn.catch(fail, walker) end
system.run()

for _, name in ipairs { "file", "directory", "link", "other", "bytes", "blocks", "lines", "unreadable" } do
  print(string.format("%-10s %d", name, total[name]))
end
