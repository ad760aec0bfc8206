-- Random programs that read, write and resize files, against a model that keeps the contents in strings.

-- COUTIL_TEST_SEED=N runs only the program of that number.

local T = require "testing"
local L = require "loop_testing"
local F = require "file_testing"
local M = require "memory_testing"
local memory = require "memory"
local system = require "coutil.system"
local pack = T.pack

local seed
local function random(n)
  seed = seed * 16807 % 2147483647
  return seed % n + 1
end
local function chance(n) return random(n) == 1 end
local function pick(list) return list[random(#list)] end

-- The model -------------------------------------------------------------------------------------

-- A file is `text`; an opening is `file` with `object`, `read`, `write`, `append` and `at`, its position.

local function overwrite(text, at, data)
  if data == "" then return text end
  if #text < at then text = text .. ("\0"):rep(at - #text) end
  return text:sub(1, at) .. data .. text:sub(at + #data + 1)
end

-- The corrected region of 70 §2.
local function region(n, i, j)
  i, j = i or 1, j or -1
  if i < 0 then i = n + 1 + i end
  if i < 1 then i = 1 end
  if j < 0 then j = n + 1 + j end
  if j < 0 then j = 0 end
  if j > n then j = n end
  return i, math.max(j, i - 1)
end

local huge = T.integers and math.maxinteger or 2 ^ 53
local function some_index(n)
  local kind = random(12)
  if kind <= 4 then return nil end
  if kind == 5 then return huge end
  if kind == 6 then return -huge end
  if kind == 7 then return 0 end
  if kind <= 9 then return random(n + 3) end
  return -random(n + 3)
end

local function some_text()
  local n = ({ 0, 1, random(10), random(100), random(1000) })[random(5)]
  local out = {}
  for i = 1, n do out[i] = string.char(random(4) == 1 and 0 or random(256) - 1) end
  return table.concat(out)
end

local function some_offset(text)
  local kind = random(8)
  if kind <= 3 then return nil end
  if kind == 4 then return -random(5) end
  if kind == 5 then return #text + random(50) - 1 end
  return random(#text + 1) - 1
end

local function some_memory(text) return chance(2) and memory.create(text) or M.resizable(text) end

-- Steps -----------------------------------------------------------------------------------------

local S -- the program that runs

local function fail(...)
  local out = { "program ", S.number, ", step ", S.step, ": " }
  for i = 1, select("#", ...) do out[#out + 1] = tostring((select(i, ...))) end
  error(table.concat(out), 0)
end

local function same(what, want, got)
  local equal = #want == got.n
  for i = 1, #want do equal = equal and want[i] == got[i] end
  if not equal then fail(what, ": got ", tostring(got[1]), " ", tostring(got[2]), ", expected ", tostring(want[1])) end
end

local steps = {}

function steps.read(o, f, t)
  local before = some_text()
  local m = some_memory(before)
  local i, j, offset = some_index(#before), some_index(#before), some_offset(f.text)
  local got = pack(o.object:read(m, i, j, offset, t))
  local first, last = region(#before, i, j)
  local at = offset and offset >= 0 and offset or o.at
  local want = f.text:sub(at + 1, at + last - first + 1)
  if last < first then want = "" end
  if not o.read then
    if last < first and got[1] == 0 then return end -- nothing asked for, nothing refused
    same("read", F.badfd, got)
    want = ""
  else
    same("read", { #want }, got)
    if at == o.at and not (offset and offset >= 0) then o.at = at + #want end
  end
  local after = before:sub(1, first - 1) .. want .. before:sub(first + #want)
  if want == "" then after = before end
  if m:tostring() ~= after then fail("read: the buffer differs") end
end

function steps.write(o, f, t)
  local text = some_text()
  local data = chance(2) and text or some_memory(text)
  local i, j, offset = some_index(#text), some_index(#text), some_offset(f.text)
  local got = pack(o.object:write(data, i, j, offset, t))
  local first, last = region(#text, i, j)
  local part = last >= first and text:sub(first, last) or ""
  if not o.write then
    if part == "" and got[1] == 0 then return end
    return same("write", F.badfd, got)
  end
  same("write", { #part }, got)
  local explicit = offset and offset >= 0
  local at = o.append and #f.text or explicit and offset or o.at
  f.text = overwrite(f.text, at, part)
  if not explicit and part ~= "" then o.at = at + #part end
end

function steps.resize(o, f, t)
  local size = chance(8) and -random(10) or chance(3) and #f.text or random(#f.text + 200) - 1
  local got = pack(o.object:resize(size, t))
  if not o.write or size < 0 then return same("resize", F.invalid, got) end
  same("resize", { true }, got)
  f.text = f.text:sub(1, size) .. ("\0"):rep(size - #f.text)
end

-- From another opening, or the same one; ranges of one file that overlap are not asked for.
function steps.copy(o, _, t)
  local from = pick(S.open)
  if o.append then return end
  local source, f = from.file, o.file
  local i = random(#source.text + 5)
  local j = i + random(300) - 1
  local part = source.text:sub(i, j)
  if source == f and (j > #f.text or o.at < j and i - 1 < o.at + (j - i + 1)) then return end
  local got = pack(o.object:write(from.object, i, j, nil, t))
  if not (o.write and from.read) then
    if part == "" and got[1] == 0 then return end
    return same("copy", F.badfd, got)
  end
  same("copy", { #part }, got)
  f.text = overwrite(f.text, o.at, part)
  o.at = o.at + #part
end

function steps.size(o, f, t)
  same("info", { #f.text, "file" }, pack(o.object:info(t .. "B?")))
  same("fileinfo", { #f.text }, pack(system.fileinfo(f.path, t .. "B")))
end

function steps.flush(o, _, t) same("flush", { true }, pack(o.object:flush(chance(2) and t .. "d" or t))) end

local function check(f)
  if F.get(f.path) ~= f.text then fail("the contents of the file differ") end
end
function steps.check(_, f) check(f) end

local modes = { "r", "w", "a", "t", "rw", "rw", "rw", "ra", "rt", "rf" }
local function open(f, t)
  local mode = pick(modes)
  if #f.text > 0 and mode:find "t" and chance(2) then mode = "rw" end
  local object = system.openfile(f.path, mode .. t)
  if not object then fail("cannot open with ", mode) end
  if mode:find "t" then f.text = "" end
  S.open[#S.open + 1] = { file = f, object = object, at = 0, read = mode:find "r" ~= nil, write = mode:find "[watf]" ~= nil,
    append = mode:find "a" ~= nil }
end
function steps.open(_, f, t) if #S.open < 8 then open(f, t) end end
function steps.close(o, _, t)
  if #S.open < 2 then return end
  for i, other in ipairs(S.open) do if other == o then table.remove(S.open, i) break end end
  same("close", { true }, pack(o.object:close(t)))
end
function steps.replace(_, f, t) -- the whole contents, through another name
  local other = F.file(some_text())
  same("copyfile", { true }, pack(system.copyfile(other, f.path, t)))
  f.text = F.get(other)
end

local bag = {}
for name, weight in pairs { read = 8, write = 8, resize = 3, copy = 3, size = 1, flush = 1, check = 1, open = 2, close = 1, replace = 1 } do
  for _ = 1, weight do bag[#bag + 1] = name end
end
table.sort(bag)

-- Each step in one of the forms, or all in one.
local function program(number, length, form)
  seed = (number * 7919 + 104729) % 2147483646 + 1
  for _ = 1, 5 do random(2) end
  S = { number = number, step = 0, open = {} }
  local files = {}
  for i = 1, random(3) do
    files[i] = { path = F.dir .. "/random" .. i, text = some_text() }
    F.put(files[i].path, files[i].text)
    open(files[i], "~")
  end
  for step = 1, length do
    S.step = step
    local o = pick(S.open)
    local t = form == "both" and (chance(2) and "~" or "") or form
    steps[pick(bag)](o, o.file, t)
    if chance(5) then check(o.file) end
  end
  for _, f in ipairs(files) do check(f) end
  for _, o in ipairs(S.open) do o.object:close "~" end
end

local only = tonumber(os.getenv "COUTIL_TEST_SEED" or "")

T.test("random programs do what the model says, blocking [60 4.2.1] [60 4.2.2] [60 4.2.3] [60 4.2.4] [60 4.3.1] [60 4.3.2] "
  .. "[60 4.3.3] [60 4.3.4] [60 4.4.1] [60 4.4.2] [60 3.12.2] [60 3.12.3] [60 3.2.1] [50 0.3.2] [70 2.2] [70 2.5]", function ()
  for number = only or 1, only or T.scale(30, 3) do program(number, T.scale(200, 60), "~") end
end)

T.test("random programs do what the model says, awaiting and blocking [60 1.1.1] [60 4.2.1] [60 4.2.3] [60 4.3.1] [60 4.3.2] "
  .. "[60 4.3.4] [60 4.4.1]", function ()
  for number = only or 1001, only or 1000 + T.scale(20, 3) do
    for _, form in ipairs { "", "both" } do
      local ended
      T.start(function () program(number, T.scale(200, 60), form); ended = true end)
      L.run()
      local report = T.reports()[1]
      if not ended then error(report and report.err or "not ended", 0) end
    end
  end
end)

F.done()
