-- The letters of all modes: which are known, where they may stand, and what is said about others.

local T = require "testing"
local L = require "loop_testing"
local F = require "file_testing"
local E = require "error_testing"
local memory = require "memory"
local system = require "coutil.system"
local unpack, pack = T.unpack, T.pack

local file, m = F.open(F.file "x", "rw"), memory.create(4)
local closed = F.open(F.file "x", "rw")
closed:close "~"
local wrong = {} -- no path
local step = T.full_speed and 1 or 13

-- Each is called with a first argument that is refused once the mode is accepted. `at` is the position of the mode, `before`
-- what is in front of it, `after` behind it, `number` what the text about an unknown byte says, nil if that is plain.
local functions = {
  { "linkfile", letters = "sdj", at = 3, number = 3 },
  { "copyfile", letters = "ncC", at = 3, number = 3 },
  { "movefile", letters = "", at = 3 },
  { "removefile", letters = "d", at = 2, number = 2 },
  { "makedir", letters = "", at = 3 },
  { "openfile", letters = "rwaftnNx", at = 2, after = { 0 } },
  { "grantfile", letters = "", at = 3, before = { 0 } },
  { "ownfile", letters = "l", at = 4, number = 4 },
  { "fileinfo", letters = "?UGSrwxRWX421M_ug#Dd*BbivamscN@ITFAtfp=", at = 2, prefix = "l" },
}
local methods = {
  { "close", letters = "", at = 1 },
  { "read", letters = "", at = 5 },
  { "write", letters = "", at = 5 },
  { "resize", letters = "", at = 2 },
  { "flush", letters = "d", at = 1, number = "[23]" }, -- the reference says 3
  { "own", letters = "", at = 3 },
  { "grant", letters = "", at = 2, before = { 0 } },
  { "info", letters = "?UGSrwxRWX421M_ug#Dd*Bbivamsc", at = 1, prefix = "" },
}

local function arguments(one, first, mode)
  local list = { n = one.at + #(one.after or {}) }
  for i, value in ipairs(one.before or {}) do list[i + (first and 1 or 0)] = value end
  if first then list[1] = first end
  list[one.at] = mode
  for i, value in ipairs(one.after or {}) do list[one.at + i] = value end
  return unpack(list, 1, list.n)
end

-- The errors of a call with this mode, in the main thread and in a coroutine, without positions.
local function errors(one, mode)
  if one.method then
    return L.message(closed[one[1]], closed, arguments(one, nil, mode)), L.fails(closed[one[1]], closed, arguments(one, nil, mode))
  end
  return L.message(system[one[1]], arguments(one, wrong, mode)), L.fails(system[one[1]], arguments(one, wrong, mode))
end

local function unknown(one, byte)
  if one.number == "[23]" then return nil, "^bad argument #[23], unknown mode char %(got '" .. byte:gsub("%p", "%%%0") .. "'%)$" end
  return (one.number and "bad argument #" .. one.number .. ", " or "") .. "unknown mode char (got '" .. byte .. "')"
end

local function refused(one, mode, byte)
  local want, pattern = unknown(one, byte)
  for _, got in ipairs { errors(one, mode) } do
    if want then T.eq(got, want, one[1]) else T.eq(got:find(pattern), 1, one[1] .. ": " .. got) end
  end
end

local function accepted(one, mode)
  local main, inside = errors(one, mode)
  local want = one.method and "bad argument #1 to '?' (closed file)"
    or "bad argument #1 to 'coutil.system." .. one[1] .. "' (string expected, got table)"
  T.eq(inside, want, one[1] .. " " .. mode)
  T.eq(main, mode:sub(1, 1) ~= "\0" and mode:find("~", 1, true) and want or "unable to yield", one[1] .. " " .. mode)
end

-- What the mode accepts, one letter at a time or more, with `~` where it may stand.
local function samples(one)
  local letters = one.letters
  local modes = { "~", "~~", "~\0x", letters, letters .. letters, letters:reverse(), "~" .. letters, "~~" .. letters:reverse() }
  for letter in letters:gmatch "." do
    modes[#modes + 1] = letter
    modes[#modes + 1] = letter .. letter
    modes[#modes + 1] = "~" .. letter
    if not one.prefix then
      modes[#modes + 1] = letter .. "~"
      modes[#modes + 1] = "~" .. letter .. "~" .. letter .. "~"
    end
  end
  if one.prefix == "l" then
    for letter in letters:gmatch "." do
      for _, prefix in ipairs { "l", "~l", "l~", "~~l", "l~~", "~l~" } do modes[#modes + 1] = prefix .. letter end
    end
  end
  return modes
end

-- The letters -----------------------------------------------------------------------------------

local function test(one)
  local name = (one.method and "file:" or "") .. one[1]

  T.test(name .. ": what its mode accepts [60 1.1.3] [60 1.1.1] [60 1.1.2]", function ()
    for _, mode in ipairs(samples(one)) do
      if mode ~= "" then accepted(one, mode) end
    end
    if not one.prefix then -- none at all
      for _, mode in ipairs { "", "\0~" } do accepted(one, mode) end
      local want = one.method and "(closed file)" or "string expected"
      T.eq(errors(one, nil), "unable to yield")
      T.eq((select(2, errors(one, nil))):find(want, 1, true) ~= nil, true)
    end
  end)

  T.test(name .. ": every other byte is reported as it is [60 1.1.3] [60 1.1.4] [60 5.2] [60 5.1] [00 2.3] [00 2.4]", function ()
    local n = 0
    for code = 1, 255, step do
      local byte = string.char(code)
      local known = byte == "~" or one.letters:find(byte, 1, true) or one.prefix == "l" and byte == "l"
      if not known then
        n = n + 1
        refused(one, byte, byte)
        refused(one, "~" .. byte, byte)
        refused(one, one.letters .. byte .. "\1", byte)
        if not one.prefix then refused(one, byte .. "~", byte) end
      end
    end
    if one.letters == "" and step == 1 then T.eq(n, 254) end
  end)

  T.test(name .. ": a mode that is no string [60 1.1.2] [00 5.2.2]", function ()
    for _, value in ipairs { {}, true, false, print, m, file } do
      local got = type(value)
      if got == "userdata" then got = getmetatable(value).__name end
      local position = one.method and one.at + 1 or one.at
      local want = "bad argument #" .. position .. " to '" .. (one.method and "?" or "coutil.system." .. one[1]) .. "' (string expected, got "
        .. got .. ")"
      local main, inside = errors(one, value)
      T.eq(main, want)
      T.eq(inside, want)
    end
    refused(one, 50, "5") -- numbers are strings
  end)
end

for _, one in ipairs(functions) do test(one) end
for _, one in ipairs(methods) do
  one.method = true
  test(one)
end

-- listdir and maketemp look at the first argument before the mode ------------------------------

T.test("listdir: no letters [60 1.1.3] [60 5.2] [60 5.1]", function ()
  for code = 1, 255, step do
    local byte = string.char(code)
    if byte ~= "~" then
      for _, mode in ipairs { byte, "~" .. byte, byte .. "~", "~~" .. byte .. "\1" } do
        T.eq(L.message(system.listdir, F.dir, mode), "unknown mode char (got '" .. byte .. "')")
      end
      T.eq(L.fails(system.listdir, "nowhere", byte), "unknown mode char (got '" .. byte .. "')")
    end
  end
  for _, mode in ipairs { "", "\0x" } do T.eq(L.message(system.listdir, F.dir, mode), "unable to yield") end
  T.eq(L.message(system.listdir, F.dir), "unable to yield")
  T.eq(L.message(system.listdir, F.dir, nil), "unable to yield")
  for _, mode in ipairs { "~", "~~", "~\0x" } do T.eq(type(system.listdir(F.dir, mode)), "userdata") end
  T.eq(L.message(system.listdir, F.dir, {}), "bad argument #2 to 'coutil.system.listdir' (string expected, got table)")
end)

T.test("maketemp: f and o, and a prefix [60 1.1.3] [60 3.6.3] [60 5.1]", function ()
  local missing = F.fresh() .. "/x"
  for code = 1, 255, step do
    local byte = string.char(code)
    if not ("fo~"):find(byte, 1, true) then
      local want = "bad argument #2, unknown mode char (got '" .. byte .. "')"
      T.eq(L.message(system.maketemp, missing, byte), want)
      T.eq(L.fails(system.maketemp, missing, byte), want)
      for _, mode in ipairs { "~" .. byte, "f" .. byte, "~of" .. byte } do
        local text = L.message(system.maketemp, missing, mode)
        -- The reference names the first byte.
        if text ~= want then T.eq(text, "bad argument #2, unknown mode char (got '" .. mode:sub(1, 1) .. "')") end
      end
    end
  end
  for _, mode in ipairs { "", "f", "o", "foof", "\0x" } do
    T.eq(L.message(system.maketemp, missing, mode), "unable to yield")
    F.gives(F.missing, system.maketemp(missing, "~" .. mode))
    F.gives(F.missing, system.maketemp(missing, "~~" .. mode))
    F.gives(F.missing, L.await(system.maketemp, missing, mode))
  end
  for _, mode in ipairs { "f~", "o~", "~f~", "fo~of" } do
    T.eq(L.message(system.maketemp, missing, mode), "'~' must be in the begin of 'mode'")
    T.eq(L.fails(system.maketemp, missing, mode), "'~' must be in the begin of 'mode'")
  end
  T.eq(L.message(system.maketemp, missing, {}), "bad argument #2 to 'coutil.system.maketemp' (string expected, got table)")
end)

-- Prefixes --------------------------------------------------------------------------------------

T.test("characters of the prefix found later [60 1.1.3] [00 2.3]", function ()
  local tilde, l = "'~' must be in the begin of 'mode'", "'l' must be in the begin of 'mode'"
  for _, f in ipairs { L.message, L.fails } do
    for letter in ("?UrBamscN@p="):gmatch "." do
      for _, prefix in ipairs { "", "~", "l", "~l", "l~" } do
        T.eq(f(system.fileinfo, wrong, prefix .. letter .. "~"), tilde)
        T.eq(f(system.fileinfo, wrong, prefix .. letter .. "l"), l)
        T.eq(f(system.fileinfo, wrong, prefix .. letter .. "B~l"), tilde)
        T.eq(f(system.fileinfo, wrong, prefix .. letter .. "l~\1"), l)
      end
    end
    for letter in ("?UrBamsc"):gmatch "." do
      T.eq(f(file.info, file, letter .. "~"), tilde)
      T.eq(f(file.info, file, "~" .. letter .. "B~"), tilde)
      T.eq(f(file.info, file, letter .. "l"), "unknown mode char (got 'l')")
    end
    for _, mode in ipairs { "l", "~l", "l~", "l?", "?l" } do T.eq(f(file.info, file, mode), "unknown mode char (got 'l')") end
    for letter in ("N@ITFAtfp="):gmatch "." do
      T.eq(f(file.info, file, "~?" .. letter), "unknown mode char (got '" .. letter .. "')") -- [60 4.9.1]
    end
    for letter in ("amb"):gmatch "." do
      T.eq(f(system.touchfile, wrong, letter .. "~", 1, 1), tilde)
      T.eq(f(system.touchfile, wrong, "~" .. letter .. "~", 1, 1), tilde)
      T.eq(f(system.touchfile, wrong, letter .. "l", 1, 1), l)
      T.eq(f(system.touchfile, wrong, "~l" .. letter .. "l", 1, 1), l)
      T.eq(f(file.touch, file, letter .. "~", 1, 1), tilde)
      T.eq(f(file.touch, file, letter .. "l", 1, 1), "bad argument #4, unknown mode char (got 'l')")
    end
    for _, mode in ipairs { "l", "~l", "~~la" } do
      T.eq(f(file.touch, file, mode, 1, 1), "bad argument #3, unknown mode char (got 'l')")
    end
  end
end)

-- Times -----------------------------------------------------------------------------------------

T.test("touch numbers its letters [60 1.1.3] [60 5.1]", function ()
  for _, f in ipairs { L.message, L.fails } do
    for code = 1, 255, step do
      local byte = string.char(code)
      if not ("lamb~"):find(byte, 1, true) then
        local text = ", unknown mode char (got '" .. byte .. "')"
        T.eq(f(system.touchfile, wrong, byte, 1), "bad argument #3" .. text)
        T.eq(f(system.touchfile, wrong, "a" .. byte, 1, 1), "bad argument #4" .. text)
        T.eq(f(system.touchfile, wrong, "~l~amb" .. byte, 1, 1, 1, 1), "bad argument #6" .. text)
        T.eq(f(file.touch, file, byte, 1), "bad argument #3" .. text)
        T.eq(f(file.touch, closed, "~~mb" .. byte .. "a", 1, 1, 1, {}), "bad argument #5" .. text)
      end
    end
  end
  for _, mode in ipairs { "~", "~a", "l~ambbma", "~~lm", "~l" } do
    T.eq(L.message(system.touchfile, wrong, mode, 1, 2, 3, 4, 5, 6), "bad argument #1 to 'coutil.system.touchfile' (string expected, got table)")
  end
  for _, mode in ipairs { "", "a", "lambbma", "\0~" } do
    T.eq(L.message(system.touchfile, wrong, mode, 1, 2, 3, 4, 5, 6), "unable to yield")
    T.eq(L.message(file.touch, closed, (mode:gsub("l", "")), 1, 2, 3, 4, 5, 6), "unable to yield")
  end
end)

T.test("touch and info need a mode [60 1.1.2] [60 3.8.4] [60 1.1.5]", function ()
  for _, name in ipairs { "touchfile", "fileinfo" } do
    local text = "bad argument #2 to 'coutil.system." .. name .. "' (string expected, got "
    for _, f in ipairs { L.message, L.fails } do
      T.eq(f(system[name], "x", nil), text .. "nil)")
      T.eq(f(system[name], "x", {}), text .. "table)")
      T.eq(f(system[name], "x"):find(text .. "n", 1, true), 1) -- no value, or nil
    end
  end
  for _, name in ipairs { "touch", "info" } do
    for _, one in ipairs { file, closed } do
      E.everywhere(1, "string expected, got nil", one, name, nil)
      E.everywhere(1, "string expected, got table", one, name, {})
      T.eq(L.message(one[name], one):find("bad argument #2 to '?' (string expected, got n", 1, true), 1)
    end
  end
end)

T.test("nothing happened to the file", function () T.returns({ 1, "file" }, file.info, file, "~B?") end)

file:close "~"
F.done()
