-- What parses texts and bytes, each compared with a model or with what else reads the same. An entry is a name, and a function
-- that makes one case of the choices of `fuzz_choices.lua`. For `fuzz.lua`, and the fuzzer in `fuzz/`.

local T = require "testing"
local L = require "loop_testing"
local memory = require "memory"
local system = require "coutil.system"
local pack, unpack = T.pack, T.unpack
local put = table.insert

local parsers = {}
local function add(name, case) put(parsers, { name = name, case = case }) end

-- The text of an error without the position and without where the argument stood.
local function message(text) return (tostring(text):gsub("^[^\n]-:%d+: ", "")) end

local function shown(...)
  local list, args = {}, pack(...)
  for i = 1, args.n do list[i] = type(args[i]) == "string" and ("%q"):format(args[i]) or tostring(args[i]) end
  return table.concat(list, ", ")
end

local function same(got, want, ...)
  if got ~= want and (got == got or want == want) then
    error(("got %s, expected %s, of %s"):format(shown(got), shown(want), shown(...)), 2)
  end
end

-- A text, or the same as a memory.
local function some_array(c, text)
  if c:chance(4) then return memory.create(text) end
  if c:chance(4) then
    local m = memory.create()
    m:resize(#text, text)
    return m
  end
  return text
end

-- Addresses --------------------------------------------------------------------------------------

-- The bytes of an IPv4 literal, or nil.
local function model_v4(text)
  local parts = {}
  for part in (text .. "."):gmatch "([^.]*)%." do
    if not part:find "^%d%d?%d?$" or #part > 1 and part:find "^0" or tonumber(part) > 255 then return nil end
    put(parts, string.char(tonumber(part)))
  end
  return #parts == 4 and table.concat(parts) or nil
end

-- The bytes of groups of hexadecimal digits, of which the last may be an IPv4 literal.
local function model_groups(text, dotted)
  if text == "" then return "" end
  local parts, rest = {}, text
  while true do
    local group, behind = rest:match "^(%x%x?%x?%x?):(.*)$"
    if not group then break end
    put(parts, string.char(math.floor(tonumber(group, 16) / 256), tonumber(group, 16) % 256))
    rest = behind
  end
  local last = rest:match "^%x%x?%x?%x?$"
  if last then
    put(parts, string.char(math.floor(tonumber(last, 16) / 256), tonumber(last, 16) % 256))
  else
    local bytes = dotted and model_v4(rest)
    if not bytes then return nil end
    put(parts, bytes)
  end
  return table.concat(parts)
end

-- The bytes of an IPv6 literal, or nil.
local function model_v6(text)
  text = text:match "^[^%%]*"
  local first, second = text:match "^(.-)::(.*)$"
  if not first then
    local bytes = text ~= "" and model_groups(text, true)
    return bytes and #bytes == 16 and bytes or nil
  end
  local before, after = model_groups(first, false), model_groups(second, true)
  if not before or not after or #before + #after > 14 then return nil end
  return before .. ("\0"):rep(16 - #before - #after) .. after
end

-- The literal of these bytes.
local function model_literal(bytes)
  if #bytes == 4 then return ("%d.%d.%d.%d"):format(bytes:byte(1, 4)) end
  local groups, best, length = {}, nil, 1
  for i = 1, 8 do groups[i] = bytes:byte(2 * i - 1) * 256 + bytes:byte(2 * i) end
  local i = 1
  while i <= 8 do
    local j = i
    while j <= 8 and groups[j] == 0 do j = j + 1 end
    if j - i > length then best, length = i, j - i end
    i = math.max(j, i + 1)
  end
  if best == 1 and (length == 6 or length == 5 and groups[6] == 0xffff) then
    return (length == 6 and "::" or "::ffff:") .. model_literal(bytes:sub(13))
  end
  local function list(from, to)
    local out = {}
    for k = from, to do put(out, ("%x"):format(groups[k])) end
    return table.concat(out, ":")
  end
  if not best then return list(1, 8) end
  return list(1, best - 1) .. "::" .. list(best + length, 8)
end

-- On LuaJIT the C library can be asked, so the model is compared with it.
local c_library
if T.version == "jit" then
  local found, ffi = pcall(require, "ffi")
  if found and ffi.os == "Linux" then
    ffi.cdef "int inet_pton(int, const char *, void *); const char *inet_ntop(int, const void *, char *, unsigned);"
    c_library = function (text, v6)
      local bytes, literal = ffi.new "unsigned char[16]", ffi.new "char[64]"
      local family = v6 and 10 or 2
      if ffi.C.inet_pton(family, (v6 and text:match "^[^%%]*" or text), bytes) ~= 1 then return nil end
      return ffi.string(bytes, v6 and 16 or 4), ffi.string(ffi.C.inet_ntop(family, bytes, literal, 64))
    end
  end
end

local function model_host(text, v6)
  text = text:match "^[^%z]*"
  local bytes = (v6 and model_v6 or model_v4)(text)
  if c_library then
    local other, literal = c_library(text, v6)
    same(bytes, other, text)
    if bytes then same(model_literal(bytes), literal, text) end
  end
  return bytes
end

-- What `system.address` of a text gives: bytes and port, or the message.
local function model_uri(text, v6)
  local host, port
  if v6 then
    host, port = text:match "^[^%]]([^%]]*)%]:(.+)$"
  else
    host, port = text:match "^([^:]*):(.+)$"
  end
  if not host or #host > 47 then return nil, "invalid URI format" end
  if not port:find "^%d+$" or tonumber(port) > 65535 then return nil, "invalid port" end
  local bytes = model_host(host, v6)
  if not bytes then return nil, "invalid argument" end
  return bytes, tonumber(port)
end

local pieces = { "0", "1", "9", "10", "25", "255", "256", ".", ".", ".", ":", ":", "::", "f", "ffff", "FFFF", "%", "%eth0", "[", "]", "]:80", ":80",
  "65535", "65536", "00", " ", "\0", "1.2.3.4", "127.0.0.1", "-", "+", "x", "[::1]:1", "fe80::1", "1:2:3:4:5:6:7:8", "0:0:0:0:0:ffff:" }

-- A literal, more often than not.
local function some_host(c, v6)
  if c:chance(3) then return c:text(12, pieces) end
  if not v6 then
    local list = {}
    for i = 1, 4 do list[i] = c:number(300) - 1 end
    return c:mutated(table.concat(list, "."))
  end
  local list = {}
  for i = 1, 8 do list[i] = c:chance(2) and "0" or ("%x"):format(c:number(65536) - 1) end
  local text = table.concat(list, ":")
  if c:chance(2) then text = text:gsub(":0:[0:]*", "::", 1) end
  if c:chance(4) then text = text:gsub(":[^:]*:[^:]*$", ":1.2.3." .. c:number(260) - 1) end
  if c:chance(6) then text = text .. "%" .. c:text(3, pieces) end
  return c:mutated(text)
end

local function check_address(address, bytes, port, v6)
  same(address.binary, bytes)
  same(address.port, port)
  same(address.type, v6 and "ipv6" or "ipv4")
  local literal = model_literal(bytes)
  same(address.literal, literal)
  same(tostring(address), (v6 and "[%s]:%d" or "%s:%d"):format(literal, port))
  -- All its forms read back.
  for _, other in ipairs { system.address(address.type, tostring(address)), system.address(address.type, literal, port),
    system.address(address.type, bytes, port, "b") } do
    if other ~= address then error("another one: " .. tostring(other) .. ", not " .. tostring(address)) end
  end
end

add("addresses", function (c)
  local v6 = c:chance(2)
  local kind = v6 and "ipv6" or "ipv4"
  local what = c:number(4)
  local ok, got, bytes, port
  if what == 1 then
    local uri = c:mutated((v6 and "[%s]:%s" or "%s:%s"):format(some_host(c, v6), c:number(66000) - 1))
    ok, got = pcall(system.address, kind, some_array(c, uri))
    bytes, port = model_uri(uri, v6)
    if not bytes then return same(message(got):find(port, 1, true) ~= nil and not ok, true, uri, got, port) end
    same(ok, true, uri, got)
  elseif what == 2 then
    local host = some_host(c, v6)
    port = c:number(65536) - 1
    ok, got = pcall(system.address, kind, some_array(c, host), port)
    bytes = model_host(host, v6)
    if not bytes then return same(not ok and message(got), "invalid argument", host, got) end
    same(ok, true, host, got)
  elseif what == 3 then
    bytes, port = c:bytes_of(20), c:number(65536) - 1
    if c:chance(2) then bytes = (bytes .. ("\0"):rep(16)):sub(1, v6 and 16 or 4) end
    ok, got = pcall(system.address, kind, some_array(c, bytes), port, "b")
    if #bytes ~= (v6 and 16 or 4) then return same(ok, false, bytes) end
    same(ok, true, bytes, got)
  else
    -- Fields are set one after the other, and those that fail change nothing.
    got, bytes, port = system.address(kind), ("\0"):rep(v6 and 16 or 4), 0
    for _ = 1, c:number(6) do
      local field = c:number(3)
      if field == 1 then
        local text = some_host(c, v6)
        local new = model_host(text, v6)
        same((pcall(function () got.literal = text end)), new ~= nil, text)
        bytes = new or bytes
      elseif field == 2 then
        local new = c:bytes_of(c:chance(2) and (v6 and 16 or 4) or 20)
        same((pcall(function () got.binary = some_array(c, new) end)), #new == #bytes, new)
        if #new == #bytes then bytes = new end
      else
        local new = c:number(70000) - 2000
        local fits = new >= 0 and new <= 65535
        same((pcall(function () got.port = new end)), fits, new)
        if fits then port = new end
      end
      check_address(got, bytes, port, v6)
    end
  end
  check_address(got, bytes, port, v6)
end)

-- Modes ------------------------------------------------------------------------------------------

-- A function, its arguments with `mode` in its place, the letters, those of the prefix, and the number in the text, if any.
local nowhere = "/nowhere at all/x"
local modes = {
  { "linkfile", function (m) return nowhere, nowhere, m end, letters = "sdj~", number = 3 },
  { "copyfile", function (m) return nowhere, nowhere, m end, letters = "ncC~", number = 3 },
  { "movefile", function (m) return nowhere, nowhere, m end, letters = "~" },
  { "removefile", function (m) return nowhere, m end, letters = "d~", number = 2 },
  { "makedir", function (m) return nowhere, 0, m end, letters = "~" },
  { "grantfile", function (m) return nowhere, 0, m end, letters = "~" },
  { "listdir", function (m) return nowhere, m end, letters = "~" },
  { "openfile", function (m) return nowhere, m, "r" end, letters = "rwaftnNx~" },
  { "ownfile", function (m) return nowhere, 0, 0, m end, prefix = "~l", letters = "", number = 4, plain = true },
  { "maketemp", function (m) return nowhere, m end, prefix = "~", letters = "fo", number = 2 },
  { "touchfile", function (m) return nowhere, m, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1 end, prefix = "~l", letters = "amb", number = 3, counts = true },
  { "fileinfo", function (m) return nowhere, m end, prefix = "~l", letters = "?UGSrwxRWX421M_ug#Dd*BbivamscN@ITFAtfp=" },
}

-- What is raised for a mode: nil for nothing.
local function model_mode(one, mode)
  local first, rest = "", mode:match "^[^%z]*"
  if one.prefix then first, rest = rest:match("^([" .. one.prefix .. "]*)(.*)$") end
  for i = 1, #rest do
    local letter = rest:sub(i, i)
    if not one.letters:find(letter, 1, true) then
      if one.prefix and not one.plain and one.prefix:find(letter, 1, true) then
        return ("'%s' must be in the begin of 'mode'"):format(letter)
      end
      local text = "unknown mode char (got '" .. letter .. "')"
      if not one.number then return text end
      return "bad argument #" .. one.number + (one.counts and i - 1 or 0) .. ", " .. text
    end
  end
  local blocks = (one.prefix and first or rest):find("~", 1, true)
  return nil, blocks and true or false
end

add("modes", function (c)
  local one = c:pick(modes)
  local letters = {}
  for letter in (one.letters .. (one.prefix or "") .. "~l"):gmatch "." do put(letters, letter) end
  local mode = c:text(10, letters)
  local want, blocks = model_mode(one, mode)
  local got = pack(pcall(system[one[1]], one[2](mode)))
  if want then
    same(not got[1] and message(got[2]), want, one[1], mode)
  elseif one[1] == "fileinfo" and not mode:find "^[~l]*[^~l%z]" then
    same(got.n, blocks and 1 or got.n, one[1], mode, got[2]) -- nothing is asked
  elseif not blocks then
    same(not got[1] and message(got[2]), "unable to yield", one[1], mode)
  elseif one[1] == "listdir" or one[1] == "fileinfo" then
    same(not got[1] and message(got[2]), "no such file or directory", one[1], mode)
  else
    same(got[1], true, one[1], mode, got[2])
    same(got[2], false, one[1], mode)
    same(got[4], 2, one[1], mode, got[3])
  end
end)

-- Files: what the kernel says of them ------------------------------------------------------------

local function content(path)
  local file = assert(io.open(path, "rb"))
  local text = file:read "*a"
  file:close()
  return text
end

local scratch
-- A folder for the files of this process. COUTIL_TEST_FOLDER says where; a fuzzer leaves it there.
local function folder()
  if not scratch then scratch = assert(system.maketemp((os.getenv "COUTIL_TEST_FOLDER" or "/tmp") .. "/coutil-fuzz-", "~")) end
  return scratch
end

-- To be called at the end.
function parsers.clean()
  if scratch then os.execute("rm -rf '" .. scratch .. "'") end
  scratch = nil
end

local function has(text, letters) return text:find("[" .. letters .. "]") ~= nil end

local has_proc = io.open "/proc/self/fdinfo/0" ~= nil
if has_proc then
  add("files as they are opened", function (c)
    local path, letters = folder() .. "/file", { "r", "w", "a", "t", "f", "n", "N", "x", "~" }
    local exists = c:chance(2)
    os.remove(path)
    if exists then
      local file = assert(io.open(path, "wb"))
      file:write "content"
      file:close()
    end
    local parts = {}
    for i = 1, c:number(6) - 1 do parts[i] = c:pick(letters) end
    local mode = "~" .. table.concat(parts)
    local file, text, code = system.openfile(path, mode, "rw")
    if exists and has(mode, "N") then return same(code, 17, mode, text) end
    if not exists and not has(mode, "nN") then return same(code, 2, mode, text) end
    if not file then error(mode .. ": " .. text) end
    local number
    for name in system.listdir("/proc/self/fd", "~") do
      local ok, target = pcall(system.fileinfo, "/proc/self/fd/" .. name, "~=")
      if ok and target == path then number = name end
    end
    local flags = tonumber(content("/proc/self/fdinfo/" .. number):match "flags:%s*(%d+)", 8)
    local function bit(value) return math.floor(flags / value) % 2 == 1 end
    local writes = has(mode, "watf")
    same(flags % 4, not writes and 0 or has(mode, "r") and 2 or 1, mode)
    same(bit(1024), has(mode, "a"), "append", mode)
    same(bit(4096), has(mode, "f"), "sync", mode)
    same(bit(524288), true, "close-on-exec", mode)
    same(content(path), exists and not has(mode, "t") and "content" or "", mode)
    same(file:write("+", 1, -1, nil, "~"), writes and 1 or false, mode)
    file:close "~"
  end)
end

local permissions = { U = 2048, G = 1024, S = 512, r = 256, w = 128, x = 64, R = 32, W = 16, X = 8, ["4"] = 4, ["2"] = 2, ["1"] = 1 }
local permission_letters = {}
for letter in pairs(permissions) do put(permission_letters, letter) end
table.sort(permission_letters)

add("permissions", function (c)
  local path, want, wrong = folder() .. "/permissions", 0, nil
  local file = assert(io.open(path, "w"))
  file:close()
  local perm = c:chance(4) and c:number(8192) - 4097 or c:text(14, permission_letters)
  if type(perm) == "number" then
    want = perm % 4096
  else
    local seen = {}
    for letter in perm:match("^[^%z]*"):gmatch "." do
      if not permissions[letter] then wrong = wrong or letter end
      if not seen[letter] then want = want + (permissions[letter] or 0) end
      seen[letter] = true
    end
  end
  local ok, got, text = pcall(system.grantfile, path, perm, "~")
  if wrong then
    return same(not ok and message(got), "bad argument #2, unknown perm char (got '" .. wrong .. "')", perm)
  end
  same(ok and got, true, perm, text)
  -- The kernel's view, by whoever else can tell it.
  same(system.fileinfo(path, "~M") % 4096, want, perm)
  if c:chance(20) then
    local pipe = assert(io.popen("stat -c %a '" .. path .. "'"))
    local seen = pipe:read "*a"
    pipe:close()
    same(tonumber(seen, 8), want, perm)
  end
  for letter, bit in pairs(permissions) do
    same(system.fileinfo(path, "~" .. letter), math.floor(want / bit) % 2 == 1, perm, letter)
  end
end)

-- Environments -----------------------------------------------------------------------------------

local names = { "A", "B", "PATH", "=", "\0", "_", "é", " ", "\n", "1" }

add("environments", function (c)
  local vars, model, bad = {}, {}, false
  for _ = 1, c:number(8) - 1 do
    local name = c:text(4, names)
    local value = c:chance(8) and c:pick { 12, 2.5, true, {}, -1 } or c:text(20, names)
    vars[name] = value
  end
  local clashes = {}
  for name, value in pairs(vars) do
    local short = name:match "^[^%z]*"
    if short:find "=" or type(value) ~= "string" and type(value) ~= "number" then bad = true end
    model[short] = model[short] or {}
    model[short][tostring(value):match "^[^%z]*"] = true
    clashes[short] = (clashes[short] or 0) + 1
  end
  local ok, packed = pcall(system.packenv, vars)
  if bad then
    return same(not ok and message(packed):find "^bad name '[^%z]*' in environment %(cannot contain '='%)$" ~= nil, true, packed)
  end
  same(ok, true, packed)
  local kept = { kept = 1, [1] = 2 }
  local got = system.unpackenv(packed, kept)
  same(got, kept)
  same(got[1], 2)
  for name, value in pairs(got) do
    if name ~= 1 and name ~= "kept" then same(model[name] and model[name][value], true, name, value) end
  end
  for name, values in pairs(model) do
    same(values[got[name]], true, name, got[name])
    same(values[packed[name]], true, name, packed[name])
  end
  if c:chance(40) and not model[""] then
    local out, text = assert(io.open(folder() .. "/environment", "wb")), nil
    L.await(function ()
      local how, status = system.execute { execfile = "/usr/bin/env", arguments = { "-0" }, stdout = out,
        environment = c:chance(2) and packed or vars }
      same(how, "exit")
      same(status, 0)
    end)
    out:close()
    text = content(folder() .. "/environment")
    local count = 0
    for name, value in text:gmatch "([^=%z]*)=([^%z]*)%z" do
      same(model[name] and model[name][value], true, name, value)
      clashes[name] = clashes[name] - 1
      count = count + 1
    end
    for name, left in pairs(clashes) do same(left, 0, name) end
  end
end)

return parsers
