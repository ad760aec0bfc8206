-- Counts the words of a text file: a producer that reads it, three consumers that count, a table of totals behind a
-- mutex, and promises for the results. No callbacks, no loop: each part is a coroutine that reads from top to bottom.
--
--   cargo xtask run examples/pipeline.lua [FILE]        (without a file: this one)
local event = require "coutil.event"
local mutex = require "coutil.mutex"
local promise = require "coutil.promise"
local queued = require "coutil.queued"
local spawn = require "coutil.spawn"

local unpack = table.unpack or unpack

local path = arg and (arg[1] or arg[0])
local file = assert(io.open(path))

-- An error in any part ends the program, with the traceback of that part.
local function fail (message)
  io.stderr:write(debug.traceback(message, 2), "\n")
  os.exit(1)
end

local totals = {}                       -- word → how often; guarded by the mutex of the same value

-- Takes lines while there are any; adds what it counted to the totals every few lines.
local function consumer (name, fulfill)
  local counts, lines, words = {}, 0, 0

  local function merge ()
    mutex.lock(totals)
    event.await "page"                  -- others may take lines meanwhile, but not the totals
    for word, count in pairs(counts) do totals[word] = (totals[word] or 0) + count end
    mutex.unlock(totals)
    counts = {}
  end

  while true do
    local _, line = queued.await "line" -- stored ones first, then those to come
    if not line then break end
    lines = lines + 1
    for word in line:lower():gmatch "[%a']+" do
      counts[word] = (counts[word] or 0) + 1
      words = words + 1
    end
    if lines % 5 == 0 then merge() end
  end
  if next(counts) then merge() end
  fulfill(name, lines, words)
end

-- The consumers start to wait for lines.
local promises = {}
for _, name in ipairs { "first", "second", "third" } do
  local promised, fulfill = promise.create()
  promises[#promises + 1] = promised
  spawn.catch(fail, consumer, name, fulfill)
end

-- Somebody waits for all of them.
local ended = spawn.catch(fail, function ()
  promise.awaitall(unpack(promises))
  local lines, words = 0, 0
  for _, promised in ipairs(promises) do
    local name, itslines, itswords = promised()
    print(("the %s consumer: %d words in %d lines"):format(name, itswords, itslines))
    lines, words = lines + itslines, words + itswords
  end

  local sorted, sum = {}, 0
  for word, count in pairs(totals) do
    sorted[#sorted + 1] = word
    sum = sum + count
  end
  table.sort(sorted, function (a, b)
    if totals[a] ~= totals[b] then return totals[a] > totals[b] end
    return a < b
  end)
  assert(sum == words, "words were lost")
  assert(not mutex.islocked(totals))
  print(("%s: %d words in %d lines, %d different ones"):format(path, words, lines, #sorted))
  for i = 1, math.min(5, #sorted) do print(("  %-12s %d"):format(sorted[i], totals[sorted[i]])) end
end)

-- The producer: each line goes to a consumer that waits, or is stored until one does.
local count = 0
for line in file:lines() do
  count = count + 1
  queued.emitone("line", line)
  if count % 10 == 0 then event.emitone "page" end
end
file:close()
for _ = 1, #promises do queued.emitone("line", nil) end   -- no more lines, for each of them
while event.emitall "page" do end                         -- whoever still waits to merge goes on

assert(coroutine.status(ended) == "dead", "a consumer did not end")
