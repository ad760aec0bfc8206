-- Counts the words of many files on several system threads: tasks of a pool take the names of files from one channel, count by
-- themselves, and in the end send what they have on another.
--
--   cargo xtask run examples/words.lua [THREADS [PATH...]]
local channel = require "coutil.channel"
local spawn = require "coutil.spawn"
local system = require "coutil.system"
local threads = require "coutil.threads"

local count = tonumber(arg and arg[1]) or 2
local paths = { (table.unpack or unpack)(arg or {}, 2) }
if not paths[1] then paths[1] = "." end

-- What a worker does, in a Lua state of its own. It yields the name of a channel to exchange values there.
local worker = [[
  require "_G"
  local io, string, table, coroutine = require "io", require "string", require "table", require "coroutine"
  local yield, gmatch, lower = coroutine.yield, string.gmatch, string.lower

  local counts, files = {}, 0
  while true do
    local _, path = yield("files", "in")
    if not path then break end
    local file = io.open(path, "rb")
    if file then
      files = files + 1
      for word in gmatch(lower(file:read "*a" or ""), "%a+") do
        counts[word] = (counts[word] or 0) + 1
      end
      file:close()
    end
  end

  local lines = {}
  for word, n in pairs(counts) do lines[#lines + 1] = word .. " " .. n end
  yield("counts", "out", files, table.concat(lines, "\n"))
]]

local pool = assert(threads.create(count))
for _ = 1, count do assert(pool:dostring(worker, "@worker", "t")) end

-- An error ends the program, with the traceback of the part that it is of.
local function fail (message)
  io.stderr:write(debug.traceback(message, 2), "\n")
  os.exit(1)
end

-- Calls `f` with the path of each file of a folder, and of those in it.
local function walk (path, f)
  if system.fileinfo(path, "?") ~= "directory" then return f(path) end
  for name, kind in system.listdir(path) do
    if name:sub(1, 1) == "." then                 -- hidden
    elseif kind == "directory" then walk(path .. "/" .. name, f)
    elseif kind == "file" then f(path .. "/" .. name) end
  end
end

-- Gives each file to whichever worker asks next; in the end each is told that there is none.
spawn.catch(fail, function ()
  local files = channel.create "files"
  for _, path in ipairs(paths) do
    walk(path, function (file) assert(system.awaitch(files, "out", file)) end)
  end
  for _ = 1, count do assert(system.awaitch(files, "out")) end
  files:close()
end)

-- Takes the counts of all workers together.
spawn.catch(fail, function ()
  local results = channel.create "counts"
  local counts, files, total, distinct = {}, 0, 0, {}
  for _ = 1, count do
    local _, n, text = assert(system.awaitch(results, "in"))
    files = files + n
    for word, times in text:gmatch "(%a+) (%d+)" do
      if not counts[word] then distinct[#distinct + 1] = word end
      counts[word] = (counts[word] or 0) + tonumber(times)
      total = total + tonumber(times)
    end
  end
  results:close()
  table.sort(distinct, function (a, b)
    if counts[a] ~= counts[b] then return counts[a] > counts[b] end
    return a < b
  end)
  for i = 1, math.min(10, #distinct) do print(("%8d %s"):format(counts[distinct[i]], distinct[i])) end
  print(("%d words, %d different ones, in %d files"):format(total, #distinct, files))
end)

system.run()
pool:close()
