-- What crosses between states, chunks, and packed bytes: as `fuzz_parsers.lua`, whose list this goes on with.

local T = require "testing"
local L = require "loop_testing"
local parsers = require "fuzz_parsers"
local memory = require "memory"
local channel = require "coutil.channel"
local states = require "coutil.coroutine"
local system = require "coutil.system"
local threads = require "coutil.threads"
local pack, unpack = T.pack, T.unpack
local put = table.insert

local function add(name, case) put(parsers, { name = name, case = case }) end

local function message(text) return (tostring(text):gsub("^[^\n]-:%d+: ", "")) end

local function same(got, want, ...)
  if got ~= want and (got == got or want == want) then
    local list = {}
    for i, value in ipairs { got, want, ... } do list[i] = type(value) == "string" and ("%q"):format(value) or tostring(value) end
    error(("got %s, expected %s, of %s"):format(list[1], list[2], table.concat(list, ", ", 3)), 2)
  end
end

-- Values -----------------------------------------------------------------------------------------

local numbers = { 0, -0.0, 1, -1, 0.5, 1e308, -1e-308, 5e-324, math.huge, -math.huge, T.nan, 2 ^ 53, -2 ^ 53, 2 ^ 63, -2 ^ 63, 2 ^ 31, 1 / 3 }
if T.integers then
  for _, text in ipairs { "math.mininteger", "math.maxinteger", "1 << 53", "(1 << 53) + 1", "1 << 31", "-1" } do
    put(numbers, T.load("return " .. text)())
  end
end

-- A host may have no library `debug`.
local upvalueid = (rawget(_G, "debug") or {}).upvalueid
local light = upvalueid and upvalueid(function () return numbers end, 1)
if type(light) ~= "userdata" then light = nil end

local function some_value(c)
  local what = c:number(8)
  if what == 1 then return nil end
  if what == 2 then return c:chance(2) end
  if what <= 4 then return c:pick(numbers) end
  if what == 5 then return light end
  if what == 6 then return c:bytes_of(12):rep(c:chance(8) and 5000 or 1) end
  return c:bytes_of(40)
end

-- The same value of the same kind, and of the same sign.
local function same_value(got, want, where)
  same(type(got), type(want), where)
  same(got, want, where)
  if T.integers then same(math.type(got), math.type(want), where) end
  if want == 0 then same(1 / got, 1 / want, where) end
end

-- They give back what they get, and tell how many that was. `refused` cannot cross.
local echo = [[
  local yield, select = require "coroutine".yield, require "_G".select
  local function pass(...) return pass(yield(select("#", ...), ...)) end
  return pass(...) ]]
local state, served, name, parties

-- The loop runs before, and has nothing to do.
local function resumed(...)
  local w = T.waiter(system.resume, state, ...)
  if not w.got then L.run() end
  return w.got
end

add("values that cross", function (c)
  state = state or assert(states.load(echo))
  local list, refused = { n = c:number(12) - 1 }, nil
  for i = 1, list.n do
    list[i] = some_value(c)
    if c:chance(60) then
      list[i] = c:pick { {}, print, io.stdout, T.create(print) }
      refused = refused or ("unable to transfer argument #%d (got %s)"):format(i + 1, type(list[i]))
    end
  end
  local got, first = nil, 2
  if refused then
    got = resumed(unpack(list, 1, list.n))
    same(got[1], false)
    return same(got[2], refused)
  end
  if c:chance(3) then
    -- Through a channel, from one coroutine to another.
    name = name or "fuzz " .. tostring(parsers)
    parties = parties or { channel.create(name), channel.create(name) }
    served = T.waiter(system.awaitch, parties[1], "in")
    local w = T.waiter(system.awaitch, parties[2], "out", unpack(list, 1, list.n))
    L.run()
    same(w.got[1], true)
    got = served.got
    same(got.n, list.n + 1)
  else
    got = resumed(unpack(list, 1, list.n))
    same(got[2], list.n)
    same(got.n, list.n + 2)
    first = 3
  end
  same(got[1], true)
  for i = 1, list.n do same_value(got[first + i - 1], list[i], i) end
end)

-- Chunks -----------------------------------------------------------------------------------------

local sources = {
  "return 1", "return ...", "local a <const> = 1 return a", "goto x ::x::", "x = 1; return x", "return 'a\\z  b'", "#!/bin/lua\nreturn 1",
  "return function () return 1 // 2 end", "for i = 1, 10 do local x = { i } end", "return [[long]] .. [==[er]==]", "-- comment", "",
  "if x then elseif y then else end", "return 0x1p4, 1e5, 0xA", "while true do break end", "return \"\\65\\x41\"", "a.b.c:d 'x' { }",
}
local tokens = { "return ", "local ", "function ", "end ", "(", ")", "=", "1", "'", "\"", "[[", "]]", "--", "\n", "x", ",", "nil", "\\", "\0", "\27", "#" }
local modes = { "t", "b", "bt", "tb", "", "x", "b\0t" }

local function dumped(c)
  local f = T.load(c:pick { "return 1", "return ...", "local x = 1 return function () return x end", "return 'a', 2.5, nil, true" }, "=dumped")
  local text = string.dump(f, c:chance(2))
  -- Only what a loader has to notice: bytes within a chunk are trusted by every Lua, and by LuaJIT even that they are all there.
  if T.version == "jit" then return text end
  if c:chance(2) then text = text:sub(1, c:number(#text)) end
  if c:chance(4) then
    local at = c:number(T.version == "5.1" and 12 or 4)
    local byte = c:number(256) - 1
    text = text:sub(1, at - 1) .. string.char(byte) .. text:sub(at + 1)
  end
  return text
end

local has_modes = T.number >= 5.2 and T.version ~= "jit"

-- What the interpreter itself says of a chunk.
local function model_load(text, title, mode)
  if has_modes then return load(text, title, mode) end
  local kind = text:sub(1, 1) == "\27" and "binary" or "text"
  if mode and not mode:match "^[^%z]*":find(kind:sub(1, 1), 1, true) then
    return nil, ("attempt to load a %s chunk (mode is '%s')"):format(kind, mode:match "^[^%z]*")
  end
  return rawget(_G, "loadstring")(text, title)
end

local function chunk(c)
  local what = c:number(4)
  if what == 1 then return dumped(c) end
  local text = c:pick(sources)
  if what == 2 then text = c:mutated(text) elseif what == 3 then text = c:text(12, tokens) end
  return T.version == "jit" and text:gsub("\27", "x") or text
end

local function compare(got, text, f, want, ...)
  if f then
    same(type(got), "userdata", text, ...)
    same(states.status(got), "suspended")
    same(got:close(), true)
  else
    same(got, false, ...)
    same(text, want, ...)
  end
end

add("chunks", function (c)
  local text = chunk(c)
  local title = c:chance(2) and c:pick { "=name", "@file", "text", "", "=", "a\nb", ("x"):rep(100) } or nil
  local mode = c:chance(2) and c:pick(modes) or nil
  local source = c:chance(4) and memory.create(text) or text
  local got, why = states.load(source, title, mode)
  compare(got, why, (model_load(text, title or text, mode)), (select(2, model_load(text, title or text, mode))), text, title, mode)
end)

add("chunks of files", function (c)
  local text, path = chunk(c), os.tmpname()
  local file = assert(io.open(path, "wb"))
  file:write(text)
  file:close()
  local mode = has_modes and c:chance(2) and c:pick(modes) or nil
  local got, why = states.loadfile(path, mode)
  local f, want = loadfile(path, mode)
  os.remove(path)
  compare(got, why, f, want, text, mode)
end)

-- Packed bytes -----------------------------------------------------------------------------------

-- Formats of all options with what they take, which is more than the values of each.
local options = { "b", "B", "h", "H", "l", "L", "j", "J", "T", "i", "I", "f", "d", "n", "s", "z", "x", "X", "<", ">", "=", "!", " ", "c" }
local sized = { i = true, I = true, s = true, ["!"] = true, c = true }
local kinds = { s = "text", z = "text", c = "text", f = "float", d = "float", n = "float", x = "", X = "", ["<"] = "", [">"] = "", ["="] = "",
  ["!"] = "", [" "] = "" }

local function some_format(c, wild)
  local parts, wants = {}, {}
  if c:chance(3) then put(parts, c:pick { "!", "!2", "!4", "!16" }) end
  for _ = 1, c:number(8) - 1 do
    local option = c:pick(options)
    local size = (sized[option] and (c:chance(2) or option == "c")) and (c:chance(2) and c:pick { 2, 4, 8, 16 } or c:number(wild and 40 or 16)) or ""
    if option == "X" then put(parts, "X" .. c:pick { "b", "h", "i", "l", "j", "d", "s2", "i3" })
    else
      put(parts, option .. size)
      put(wants, { kinds[option] or "integer", size ~= "" and size or nil })
    end
  end
  local format = table.concat(parts)
  if wild then format = c:mutated(format) end
  return format, wants
end

local function some_integer(c)
  if c:chance(3) then return c:number(256) - 1 end
  if c:chance(3) then return c:number(65536) - 32768 end
  local value = 2 ^ (c:number(62) - 1) * (c:chance(2) and 1 or -1)
  return T.integers and math.tointeger(value) or value % 2 ^ 53
end

local function some_values(c, wants)
  local values = { n = 0 }
  for _, want in ipairs(wants) do
    local value
    if want[1] == "integer" then value = some_integer(c)
    elseif want[1] == "float" then value = c:pick(numbers)
    elseif want[1] == "text" then
      value = c:bytes_of(12)
      if want[2] and c:chance(2) then value = (value .. ("."):rep(40)):sub(1, want[2]) end
    end
    if want[1] ~= "" then
      values.n = values.n + 1
      values[values.n] = value
    end
  end
  return values
end

-- Arguments are numbered otherwise there.
local function plain(text) return (message(text):gsub("bad argument #%d+ to '[^']*' ", ""):gsub("^calling '[^']*' on bad self ", "")) end

local string_pack, string_unpack = string.pack, string.unpack
if T.version == "5.5" then
  -- There `!` alone stands for 16. Here all have what 5.4 has [90 4.5].
  local function as_in_54(format)
    return (format:gsub("!()", function (at) if not format:find("^%d", at) then return "!8" end end))
  end
  string_pack = function (format, ...) return string.pack(as_in_54(format), ...) end
  string_unpack = function (format, ...) return string.unpack(as_in_54(format), ...) end
end

-- What `string.pack` gives for this format and these values, where it means the same.
local function compare_packed(m, ok, all, position, format, values)
  local text = pack(pcall(string_pack, format, unpack(values, 1, values.n)))
  if not text[1] then
    if ok and not text[2]:find "longer than" then error(("packed by %q, but: %s"):format(format, text[2])) end
    return
  end
  if not ok then
    -- It fills texts that are too short.
    if format:find "c" and all:find "wrong length" then return end
    error(("not packed by %q: %s"):format(format, all))
  end
  if not all then error(("no room for %q"):format(format)) end
  same(m:tostring(1, position - 1), text[2], format)
end

add("packed values", function (c)
  local format, wants = some_format(c, c:chance(3))
  local values = some_values(c, wants)
  local m = c:chance(2) and memory.create(4096) or memory.create()
  if m:type() == "resizable" then m:resize(4096) end
  local ok, all, position = pcall(memory.pack, m, format, 1, unpack(values, 1, values.n))
  if string_pack then compare_packed(m, ok, all, position, format, values) end
  if not ok or not all then return end
  -- What was packed is unpacked, and is the same when it is packed again.
  local bytes, got = m:tostring(), pack(pcall(memory.unpack, m, format))
  if not got[1] then
    -- Large unsigned values, cut to a size beyond that of numbers.
    if T.integers then error(("%q: %s"):format(format, got[2])) end
    return
  end
  same(got[got.n], position, format)
  local other = memory.create(4096)
  local again = pack(pcall(memory.pack, other, format, 1, unpack(got, 2, got.n - 1)))
  if again[1] then
    same(again[3], position, format)
    L.eqtext(other:tostring(), bytes, format)
  elseif T.integers then
    error(("%q: %s"):format(format, again[2]))
  end
  -- In less room: nothing beyond it, and what is told is true.
  local small = memory.create(("~"):rep(math.min(position + 2, 4096)))
  local room = c:number(position) - 1
  local cut = memory.create(room)
  local fits = pack(memory.pack(cut, format, 1, unpack(values, 1, values.n)))
  same(fits[2] >= 1 and fits[2] <= room + 1, true, format)
  if room < position - 1 then same(fits[1], false, format, room) else same(fits[1], true, format, room) end
  local whole = pack(memory.pack(small, format, 1, unpack(values, 1, values.n)))
  same(whole[2], position, format)
  same(small:tostring(position), ("~"):rep(#small - position + 1), format)
end)

add("bytes that are unpacked", function (c)
  local format = some_format(c, c:chance(3))
  local bytes = c:bytes_of(60)
  local m, at = memory.create(bytes), c:number(#bytes + 1)
  local got = pack(pcall(memory.unpack, m, format, at))
  if not string_unpack then return end
  -- There alignment counts from the begin of the text as well.
  local want = pack(pcall(string_unpack, format, bytes, at))
  -- 5.3 finds the zero behind its texts.
  if T.version == "5.3" and not got[1] and got[2]:find "unfinished string" then return end
  same(got[1], want[1], format, bytes, at, got[2], want[2])
  if not got[1] then return end
  same(got.n, want.n, format, bytes)
  for i = 2, got.n do same_value(got[i], want[i], format) end
end)

-- Parts of memories ------------------------------------------------------------------------------

-- The corrected range of a text of `n` bytes [70 2].
local function region(n, i, j)
  if i < 0 then i = math.max(n + 1 + i, 1) elseif i == 0 then i = 1 end
  if j > n then j = n elseif j < 0 then j = math.max(n + 1 + j, 0) end
  return i, math.max(j, i - 1)
end

add("parts of memories", function (c)
  local text = c:bytes_of(24)
  local m = memory.create()
  m:resize(#text, text)
  for _ = 1, 8 do
    local function position() return c:number(60) - 30 end
    local what, i, j = c:number(6), position(), position()
    local from, to = region(#text, i, j)
    local other = c:bytes_of(8)
    if what == 1 then
      same(m:tostring(i, j), text:sub(from, to), i, j)
    elseif what == 2 then
      m:fill(other, i, j)
      if #other > 0 and from <= to then
        text = text:sub(1, from - 1) .. other:rep(to - from + 1):sub(1, to - from + 1) .. text:sub(to + 1)
      end
    elseif what == 3 then
      local size = c:number(40) - 1
      m:resize(size, other)
      local more = math.max(size - #text, 0)
      text = text:sub(1, size) .. (#other > 0 and other or "\0"):rep(more):sub(1, more)
    elseif what == 4 then
      local bytes = { other:byte(1, -1) }
      local start = region(#text, i, -1)
      local ok = pcall(m.set, m, i, unpack(bytes))
      same(ok, start <= #text, i, #text)
      if ok then
        local fit = other:sub(1, #text - start + 1)
        text = text:sub(1, start - 1) .. fit .. text:sub(start + #fit)
      end
    elseif what == 5 then
      local part = c:chance(2) and other or text:sub(c:number(#text + 1), c:number(#text + 1))
      local range = text:sub(from, to)
      local cut = part:sub(1, #range)
      local found = #cut > 0 and range:find(cut, 1, true)
      local first, last = m:find(part, i, j)
      same(first, found and from + found - 1 or nil, text, part, i, j)
      same(last, found and first + #part - 1 or nil, text, part, i, j)
    else
      local changed = c:mutated(text)
      local place
      for k = 1, math.max(#text, #changed) do
        if text:byte(k) ~= changed:byte(k) then
          place = k
          break
        end
      end
      local less = place ~= nil and (text:byte(place) or -1) < (changed:byte(place) or -1)
      local got = pack(memory.diff(m, changed))
      same(got[1], place, text, changed)
      same(got[2], less, text, changed)
    end
    L.eqtext(m:tostring(), text)
    same(#m, #text)
  end
end)

-- Letters and names ------------------------------------------------------------------------------

-- The error of a call in a coroutine, or nothing; one that waits is given up.
local function raised(f, ...)
  local co = T.create(f)
  local ok, text = coroutine.resume(co, ...)
  if not ok then return message(text) end
  if coroutine.status(co) == "suspended" then T.resume(co) end
end

-- The first byte that is none of these.
local function unknown(text, letters)
  for letter in text:match "^[^%z]*":gmatch "." do
    if not letters:find(letter, 1, true) then return letter end
  end
end

local pool, ch

add("letters and names", function (c)
  local what = c:number(4)
  if what == 1 then
    local mode = c:text(6, { "4", "6", "d", "s", "m", "n", "m" })
    local letter, want = unknown(mode, "46dsmn"), nil
    local cut = mode:match "^[^%z]*"
    local _, fours = cut:gsub("4", "")
    if letter then want = "unknown mode char (got '" .. letter .. "')"
    elseif cut:find "m" and fours == 1 and not cut:find "6" then
      want = "bad argument #3 to 'coutil.system.findaddr' ('m' is invalid for IPv4)"
    end
    same(raised(system.findaddr, "127.0.0.1", 80, mode), want, mode)
    if c:chance(50) then L.run() end
  elseif what == 2 then
    local mode = c:text(4, { "l", "d" })
    local letter = unknown(mode, "ld")
    same(raised(system.nameaddr, 80, mode), letter and "unknown mode char (got '" .. letter .. "')" or nil, mode)
    if c:chance(50) then L.run() end
  elseif what == 3 then
    pool = pool or assert(threads.create(2))
    local letters, values = c:text(8, { "n", "r", "p", "s", "e", "a" }), { n = 0, r = 0, p = 0, s = 0, e = 2, a = 2 }
    local got = pack(pcall(pool.count, pool, letters))
    for i = 1, #letters do
      if not values[letters:sub(i, i)] then
        return same(not got[1] and message(got[2]), "bad option (got '" .. letters:sub(i, i) .. "')", letters)
      end
    end
    same(got.n, #letters + 1, letters)
    for i = 1, #letters do same(got[i + 1], values[letters:sub(i, i)], letters) end
  else
    ch = ch or channel.create "fuzz letters"
    local endpoint = c:text(2, { "in", "out", "any", "i", "" })
    local cut = endpoint:match "^[^%z]*"
    local known = cut == "in" or cut == "out" or cut == "any"
    same(raised(system.awaitch, ch, endpoint), not known and "bad argument #2 (invalid option '" .. cut .. "')" or nil, endpoint)
  end
end)

-- To be called at the end.
local clean = parsers.clean
function parsers.clean()
  clean()
  L.run()
  if pool then pool:close() end
  if ch then ch:close() end
  if state then state:close() end
  if parties then
    parties[1]:close()
    parties[2]:close()
  end
end

return parsers
