-- system.address: the three forms, what they refuse, and the fields of address objects.

local T = require "testing"
local L = require "loop_testing"
local memory = require "memory"
local system = require "coutil.system"
local address = system.address
local message = L.message

local function argument(n, text) return "bad argument #" .. n .. " to 'coutil.system.address' (" .. text .. ")" end

local function fails(want, ...) T.eq(message(address, ...), want) end

local function resizable(text)
  local m = memory.create()
  m:resize(#text, text)
  return m
end

-- The parts of an address, all at once.
local function is(a, kind, literal, port, binary)
  T.eq(a.type, kind)
  T.eq(a.literal, literal)
  T.eq(a.port, port)
  if T.integers then T.eq(math.type(a.port), "integer") end
  if binary then T.eq(a.binary, binary) end
  T.eq(#a.binary, kind == "ipv4" and 4 or 16)
  T.eq(tostring(a), (kind == "ipv4" and "%s:%d" or "[%s]:%d"):format(literal, port))
end

-- The forms -------------------------------------------------------------------------------------

T.test("the domain is checked first [50 1.1] [00 5.2.3]", function ()
  fails(argument(1, "invalid option 'x'"), "x", nil)
  fails(argument(1, "invalid option 'ipv5'"), "ipv5", "127.0.0.1:80")
  fails(argument(1, "invalid option 'IPv4'"), "IPv4")
  fails(argument(1, "invalid option 'local'"), "local", {}, {}, {})
  fails(argument(1, "invalid option '4'"), 4)
  fails(argument(1, "string expected, got no value"))
  fails(argument(1, "string expected, got nil"), nil)
  fails(argument(1, "string expected, got table"), {}, nil)
end)

T.test("the data are checked second, nil too, in every form [50 1.1] [50 0.3.1]", function ()
  for _, domain in ipairs { "ipv4", "ipv6" } do
    for _, value in ipairs { {}, true, print } do
      local text = argument(2, "string or memory expected, got " .. type(value))
      fails(text, domain, value)
      fails(text, domain, value, "x")
      fails(text, domain, value, 80, {})
    end
    local text = argument(2, "string or memory expected, got nil")
    fails(text, domain, nil)
    fails(text, domain, nil, nil)
    fails(text, domain, nil, 80)
    fails(text, domain, nil, 80, "b")
    fails(text, domain, nil, {}, {})
    fails(argument(2, "string or memory expected, got coutil:netaddress"), domain, address(domain))
  end
end)

T.test("without data: the address with all zeros [50 1.1]", function ()
  is(address("ipv4"), "ipv4", "0.0.0.0", 0, ("\0"):rep(4))
  is(address("ipv6"), "ipv6", "::", 0, ("\0"):rep(16))
  is(address("ipv4\0x"), "ipv4", "0.0.0.0", 0)
end)

T.test("an IPv4 URI [50 1.2] [50 1.6]", function ()
  is(address("ipv4", "127.0.0.1:80"), "ipv4", "127.0.0.1", 80, "\127\0\0\1")
  is(address("ipv4", "255.255.255.255:65535"), "ipv4", "255.255.255.255", 65535, "\255\255\255\255")
  is(address("ipv4", "0.0.0.0:0"), "ipv4", "0.0.0.0", 0)
  is(address("ipv4", "1.2.3.4:0080"), "ipv4", "1.2.3.4", 80)
  is(address("ipv4", "1.2.3.4:000000065535"), "ipv4", "1.2.3.4", 65535)
  is(address("ipv4", memory.create("1.2.3.4:5")), "ipv4", "1.2.3.4", 5)
  is(address("ipv4", resizable("1.2.3.4:5")), "ipv4", "1.2.3.4", 5)
  for _, uri in ipairs { "", "127.0.0.1", "127.0.0.1:", "localhost", ":", "x", "80" } do
    fails(argument(2, "invalid URI format"), "ipv4", uri)
  end
  fails(argument(2, "invalid URI format"), "ipv4", memory.create())
end)

T.test("an IPv6 URI [50 1.3] [50 1.4] [50 1.6]", function ()
  is(address("ipv6", "[::1]:80"), "ipv6", "::1", 80, ("\0"):rep(15) .. "\1")
  is(address("ipv6", "[::]:0"), "ipv6", "::", 0)
  is(address("ipv6", "[1:2:3:4:5:6:7:8]:00065535"), "ipv6", "1:2:3:4:5:6:7:8", 65535)
  is(address("ipv6", memory.create("[::1]:5")), "ipv6", "::1", 5)
  for _, uri in ipairs { "", "[", "[]", "]", "]:", "::1", "[::1", "[::1]", "[::1]:", "[::1]80", "[::1] :80", "::1:80",
                         "[::1", "[]:", "127.0.0.1:80", "[::1:80" } do
    fails(argument(2, "invalid URI format"), "ipv6", uri)
  end
  fails("invalid argument", "ipv6", "[]:80")
  fails(argument(2, "invalid port"), "ipv6", "[::1]::80")
end)

T.test("the port of a URI is decimal [50 1.6] [50 0.1.8]", function ()
  for _, port in ipairs { "65536", "-80", "+80", "0x50", "80 ", " 80", "8.0", "80.0", "1e1", "x", "99999999999999999999",
                          "4294967376", "80\0", "\0", "\00080", "80x", "8 0", "٣" } do
    fails(argument(2, "invalid port"), "ipv4", "127.0.0.1:" .. port)
    fails(argument(2, "invalid port"), "ipv6", "[::1]:" .. port)
    fails(argument(2, "invalid port"), "ipv4", "not a host:" .. port) -- before the host
  end
  fails(argument(2, "invalid port"), "ipv4", "1.2.3.4:5:6")
  fails(argument(2, "invalid port"), "ipv4", "::80")
end)

T.test("hosts in a URI are literals of at most 47 bytes [50 1.5] [50 1.9]", function ()
  for _, host in ipairs { "localhost", "", "291.168.0.1", "[::1]", "*", ("1"):rep(47) } do
    if not host:find(":") then fails("invalid argument", "ipv4", host .. ":80") end
  end
  for _, host in ipairs { "localhost", "", "g::", "127.0.0.1", ("1"):rep(47) } do
    fails("invalid argument", "ipv6", "[" .. host .. "]:80")
  end
  for _, n in ipairs { 48, 49, 100, 1000, 70000 } do
    fails(argument(2, "invalid URI format"), "ipv4", ("1"):rep(n) .. ":80")
    fails(argument(2, "invalid URI format"), "ipv6", "[" .. ("1"):rep(n) .. "]:80")
  end
end)

T.test("the third form: the order of the checks [50 1.7]", function ()
  for _, domain in ipairs { "ipv4", "ipv6" } do
    local good = domain == "ipv4" and "1.2.3.4" or "::1"
    for _, host in ipairs { good, "localhost" } do
      for _, port in ipairs { 80, -1, 1.5, "x" } do
        fails(argument(4, "string expected, got table"), domain, host, port, {})
        fails(argument(4, "string expected, got boolean"), domain, host, port, false)
      end
      for _, mode in ipairs { "t", "x", "" } do
        fails(argument(3, "number expected, got nil"), domain, host, nil, mode)
        fails(argument(3, "number expected, got string"), domain, host, "x", mode)
        fails(argument(3, "number expected, got table"), domain, host, {}, mode)
        fails(argument(3, "number has no integer representation"), domain, host, 1.5, mode)
        for _, port in ipairs { -1, 65536, 2 ^ 32, 2 ^ 32 + 80, 2 ^ 53, -2 ^ 53 } do
          fails(argument(3, "invalid port"), domain, host, port, mode)
        end
      end
      for _, mode in ipairs { "", "x", "T", "B", "tb", "bt", "tt", "bb", " t", "t ", "~" } do
        fails(argument(4, "invalid mode"), domain, host, 80, mode)
      end
      fails(argument(4, "invalid mode"), domain, host, 80, 1)
    end
    fails(argument(3, "number expected, got nil"), domain, good, nil)
    fails(argument(3, "number expected, got nil"), domain, good, nil, nil)
    fails("invalid argument", domain, "localhost", 80)
    L.equal(address(domain, good, 80), address(domain, good, 80, nil))
    L.equal(address(domain, good, 80), address(domain, good, 80, "t", "surplus"))
    L.equal(address(domain, good, "80"), address(domain, good, 80))
    T.eq(address(domain, good, "0x50").port, 80)
    T.eq(address(domain, good, 80.0).port, 80)
    T.eq(address(domain, good, 65535).port, 65535)
  end
end)

T.test("raw bytes [50 1.8] [50 1.10]", function ()
  is(address("ipv4", "\192\168\0\1", 80, "b"), "ipv4", "192.168.0.1", 80, "\192\168\0\1")
  is(address("ipv4", "\0\0\0\0", 80, "b"), "ipv4", "0.0.0.0", 80)
  is(address("ipv4", memory.create("\1\0\3\255"), 80, "b"), "ipv4", "1.0.3.255", 80)
  is(address("ipv4", resizable("\1\0\3\255"), 80, "b"), "ipv4", "1.0.3.255", 80)
  is(address("ipv4", 1234, 80, "b"), "ipv4", "49.50.51.52", 80)
  is(address("ipv6", ("\0"):rep(15) .. "\1", 80, "b"), "ipv6", "::1", 80)
  for _, n in ipairs { 0, 1, 3, 5, 8, 15, 16, 17, 70000 } do
    if n ~= 16 then fails(argument(2, "invalid binary address"), "ipv6", ("x"):rep(n), 80, "b") end
    fails(argument(2, "invalid binary address"), "ipv4", ("x"):rep(n), 80, "b")
  end
  fails(argument(2, "invalid binary address"), "ipv6", "xxxx", 80, "b")
end)

-- Literals --------------------------------------------------------------------------------------

T.test("IPv4 literals [50 1.9] [50 1.10]", function ()
  for _, text in ipairs { "0.0.0.0", "1.2.3.4", "10.0.99.100", "255.255.255.255", "192.168.0.1" } do
    is(address("ipv4", text, 1), "ipv4", text, 1)
  end
  for _, text in ipairs { "localhost", "291.168.0.1", "1.2.3.256", "1.2.3", "1.2.3.4.5", "127.1", "2130706433", "01.2.3.4",
                          "1.02.3.4", "1.2.3.04", "1.2.3.00", "1..3.4", ".1.2.3", "1.2.3.", "", " 1.2.3.4", "1.2.3.4 ", "1.2.3.4\n",
                          "0x1.2.3.4", "1.2.3.-4", "+1.2.3.4", "1,2,3,4", "::1", "::ffff:1.2.3.4", "[1.2.3.4]", "1.2.3.4:80",
                          "1.2.3.4%lo", "1.2.3.1000", "\2551.2.3.4", "a.b.c.d" } do
    fails("invalid argument", "ipv4", text, 80)
    fails("invalid argument", "ipv4", text, 80, "t")
  end
  fails("invalid argument", "ipv4", 3232235776, 80)
  fails("invalid argument", "ipv4", 1.5, 80)
end)

local texts = { -- given, canonical
  { "::", "::" }, { "::1", "::1" }, { "0:0:0:0:0:0:0:0", "::" }, { "0000:0000:0000:0000:0000:0000:0000:0001", "::1" },
  { "1::", "1::" }, { "1:0:0:0:0:0:0:0", "1::" }, { "ABCD:EF01::", "abcd:ef01::" }, { "2001:DB8::00ff", "2001:db8::ff" },
  { "1:2:3:4:5:6:7:8", "1:2:3:4:5:6:7:8" }, { "0001:0002:0003:0004:0005:0006:0007:0008", "1:2:3:4:5:6:7:8" },
  { "1:0:3:4:5:6:7:8", "1:0:3:4:5:6:7:8" }, { "1::3:4:5:6:7:8", "1:0:3:4:5:6:7:8" }, -- one group is no run
  { "1:0:0:4:5:6:7:8", "1::4:5:6:7:8" }, { "1:0:0:4:5:0:0:8", "1::4:5:0:0:8" }, -- the first of equal runs
  { "1:0:0:4:0:0:0:8", "1:0:0:4::8" }, { "0:0:3:0:0:0:7:8", "0:0:3::7:8" }, { "0:0:0:4:5:0:0:0", "::4:5:0:0:0" },
  { "0:2:3:4:5:6:7:8", "0:2:3:4:5:6:7:8" }, { "1:2:3:4:5:6:7:0", "1:2:3:4:5:6:7:0" }, { "1:2:3:4:5:6::", "1:2:3:4:5:6::" },
  { "::3:4:5:6:7:8", "::3:4:5:6:7:8" }, { "::1.2.3.4", "::1.2.3.4" }, { "::102:304", "::1.2.3.4" },
  { "::0.1.0.0", "::0.1.0.0" }, { "::1:0", "::0.1.0.0" }, { "::0.0.1.2", "::102" }, { "::0.0.3.4", "::304" },
  { "0:0:0:0:0:0:0.0.3.4", "::304" }, { "::ffff:192.168.0.1", "::ffff:192.168.0.1" },
  { "::FFFF:c000:280", "::ffff:192.0.2.128" }, { "::ffff:0:0", "::ffff:0.0.0.0" }, { "::ffff:0.0.0.1", "::ffff:0.0.0.1" },
  { "::fffe:102:304", "::fffe:102:304" }, { "::1:ffff:102:304", "::1:ffff:102:304" }, { "1::ffff:1.2.3.4", "1::ffff:102:304" },
  { "64:ff9b::1.2.3.4", "64:ff9b::102:304" }, { "1:2:3:4:5:6:1.2.3.4", "1:2:3:4:5:6:102:304" },
  { "::ffff:0:1.2.3.4", "::ffff:0:102:304" }, { "fe80::1%lo", "fe80::1" }, { "fe80::1%no-such", "fe80::1" },
  { "::%1", "::" }, { "::5:1.2.3.4", "::5:102:304" },
}

T.test("IPv6 literals and their canonical text [50 1.9] [50 1.13] [50 1.14]", function ()
  for _, pair in ipairs(texts) do
    is(address("ipv6", pair[1], 80), "ipv6", pair[2], 80)
    is(address("ipv6", "[" .. pair[1] .. "]:443"), "ipv6", pair[2], 443)
    local a = address("ipv6")
    a.literal = pair[1]
    is(a, "ipv6", pair[2], 0)
    is(address("ipv6", a.binary, 0, "b"), "ipv6", pair[2], 0)
    is(address("ipv6", pair[2], 1), "ipv6", pair[2], 1, a.binary)
  end
  for _, text in ipairs { "[::1]", "", ":", ":::", "1", "1:2", "1:2:3:4:5:6:7", "1:2:3:4:5:6:7:8:9", "1::2::3", "12345::", "g::",
                          "::00001", ":1:2:3:4:5:6:7:8", "1:2:3:4:5:6:7:8:", "1:2:3:4:5:6:7:", ":1::", "::1:", " ::1", "::1 ", "::1.2.3",
                          "::1.2.3.256", "::01.2.3.4", "::1.2.3.4.5", "::1.2.3.4:5", "1.2.3.4", "1.2.3.4::", "1:2:3:4:5:6:7:1.2.3.4",
                          "localhost", "::-1", "::+1", "::0x1", "%lo", "::1/64" } do
    fails("invalid argument", "ipv6", text, 80)
  end
end)

T.test("texts end at a zero byte, bytes do not [50 0.1.8] [30 K8]", function ()
  is(address("ipv4", "1.2.3.4\0.5", 80), "ipv4", "1.2.3.4", 80)
  is(address("ipv6", "::1\0x", 80), "ipv6", "::1", 80)
  is(address("ipv4", "1.2.3.4\0x:80"), "ipv4", "1.2.3.4", 80)
  is(address("ipv4", memory.create("1.2.3.4\0\0\0"), 80), "ipv4", "1.2.3.4", 80)
  fails("invalid argument", "ipv4", "\0001.2.3.4", 80)
  local a = address("ipv4")
  a.literal = "1.2.3.4\0x"
  is(a, "ipv4", "1.2.3.4", 0)
  a.binary = "\0\1\0\2"
  is(a, "ipv4", "0.1.0.2", 0, "\0\1\0\2")
end)

-- The text of bytes by the rules, written again.
local function format6(binary)
  local groups, from, length = {}, nil, 1
  for i = 1, 8 do groups[i] = binary:byte(2 * i - 1) * 256 + binary:byte(2 * i) end
  local i = 1
  while i <= 8 do
    local j = i
    while j <= 8 and groups[j] == 0 do j = j + 1 end
    if j - i > length then from, length = i, j - i end
    i = math.max(j, i + 1)
  end
  local out, at = {}, 1
  local dotted = from == 1 and (length == 6 or length == 5 and groups[6] == 0xffff)
  local last = dotted and 6 or 8
  while at <= last do
    if at == from then
      out[#out + 1] = at == 1 and "::" or ":"
      at = at + length
    else
      out[#out + 1] = ("%x"):format(groups[at]) .. (at < 8 and ":" or "")
      at = at + 1
    end
  end
  local text = table.concat(out)
  return dotted and text .. ("%d.%d.%d.%d"):format(binary:byte(13, 16)) or text
end

T.test("random addresses go around [50 1.8] [50 1.9] [50 1.12] [50 1.13] [50 1.14]", function ()
  math.randomseed(50)
  local a4, a6 = address("ipv4"), address("ipv6")
  for _ = 1, T.scale(4000, 200) do
    local port = math.random(0, 65535)
    local bytes = {}
    for i = 1, 16 do bytes[i] = string.char(math.random(0, 255)) end
    if math.random(2) == 1 then -- zero groups, and the prefix of a mapped address
      for i = 1, 8 do
        if math.random(2) == 1 then bytes[2 * i - 1], bytes[2 * i] = "\0", math.random(3) == 1 and "\7" or "\0" end
      end
      if math.random(4) == 1 then
        for i = 1, 10 do bytes[i] = "\0" end
        if math.random(2) == 1 then bytes[11], bytes[12] = "\255", "\255" end
      end
    end
    local binary = table.concat(bytes)
    local text = format6(binary)
    is(address("ipv6", binary, port, "b"), "ipv6", text, port, binary)
    is(address("ipv6", text, port), "ipv6", text, port, binary)
    is(address("ipv6", ("[%s]:%d"):format(text:upper(), port)), "ipv6", text, port, binary)
    a6.literal, a6.port = text, port
    is(a6, "ipv6", text, port, binary)
    a6.binary = ("\1"):rep(16)
    a6.binary = memory.create(binary)
    L.equal(a6, address("ipv6", text, port))
    binary = binary:sub(1, 4)
    text = ("%d.%d.%d.%d"):format(binary:byte(1, 4))
    is(address("ipv4", binary, port, "b"), "ipv4", text, port, binary)
    is(address("ipv4", text .. ":" .. port), "ipv4", text, port, binary)
    a4.port, a4.literal = port, text
    is(a4, "ipv4", text, port, binary)
  end
end)

-- Fields ----------------------------------------------------------------------------------------

T.test("other fields do not exist [50 1.11] [50 1.12] [00 5.2.1]", function ()
  local a = address("ipv4", "1.2.3.4", 80)
  local get, set = T.load("return (...)[select(2, ...)]", "=chunk"), T.load("local a, k, v = ... a[k] = v", "=chunk")
  for _, key in ipairs { "x", "", "Type", "host", "close", "port ", "domain", "index" } do
    T.eq(message(get, a, key), "bad argument #2 to 'index' (invalid option '" .. key .. "')")
    T.eq(message(set, a, key, 1), "bad argument #2 to 'newindex' (invalid option '" .. key .. "')")
  end
  T.eq(message(get, a, 1), "bad argument #2 to 'index' (invalid option '1')")
  T.eq(message(set, a, "type", "ipv6"), "bad argument #2 to 'newindex' (invalid option 'type')")
  T.eq(message(get, a, {}), "bad argument #2 to 'index' (string expected, got table)")
  T.eq(message(set, a, true, 1), "bad argument #2 to 'newindex' (string expected, got boolean)")
  is(a, "ipv4", "1.2.3.4", 80)
end)

T.test("what cannot be assigned leaves the address as it is [50 1.12] [50 0.1.3] [00 4.4]", function ()
  local set = T.load("local a, k, v = ... a[k] = v", "=chunk")
  local third = "bad argument #3 to 'newindex' "
  for domain, literal in pairs { ipv4 = "1.2.3.4", ipv6 = "1::2" } do
    local a = address(domain, literal, 80)
    local binary = a.binary
    local function refuse(want, key, value)
      T.eq(message(set, a, key, value), want)
      is(a, domain, literal, 80, binary)
    end
    for _, port in ipairs { -1, 65536, 2 ^ 32, 2 ^ 32 + 1 } do refuse(third .. "(invalid port)", "port", port) end
    refuse(third .. "(number expected, got nil)", "port", nil)
    refuse(third .. "(number expected, got string)", "port", "x")
    refuse(third .. "(number has no integer representation)", "port", 80.5)
    for _, text in ipairs { "", "x", binary .. "x", binary:sub(2), ("x"):rep(5), ("x"):rep(70000) } do
      refuse(third .. "(wrong byte size)", "binary", text)
      refuse(third .. "(wrong byte size)", "binary", memory.create(text))
    end
    refuse(third .. "(string or memory expected, got table)", "binary", {})
    refuse(third .. "(string or memory expected, got nil)", "binary", nil)
    for _, text in ipairs { "", "localhost", "1.2.3", "1:2", ":::", "1.2.3.4:80", "[::1]" } do
      refuse("invalid argument", "literal", text)
    end
    refuse("invalid argument", "literal", domain == "ipv4" and "::1" or "1.2.3.4")
    refuse("invalid argument", "literal", 12)
    refuse(third .. "(string expected, got nil)", "literal", nil)
    refuse(third .. "(string expected, got table)", "literal", {})
    refuse(third .. "(string expected, got char[])", "literal", memory.create(literal))
  end
end)

T.test("setting the host keeps the port, and conversely [50 1.12]", function ()
  local a = address("ipv4", "1.2.3.4", 80)
  a.port = "443"
  is(a, "ipv4", "1.2.3.4", 443)
  a.literal = "5.6.7.8"
  is(a, "ipv4", "5.6.7.8", 443)
  a.binary = "\0\0\0\1"
  is(a, "ipv4", "0.0.0.1", 443)
  a.port = 0
  is(a, "ipv4", "0.0.0.1", 0)
  a.binary = 1234
  is(a, "ipv4", "49.50.51.52", 0)
  local b = address("ipv6", "::1", 80)
  b.literal = "fe80::2%lo"
  is(b, "ipv6", "fe80::2", 80)
  b.port = 65535.0
  is(b, "ipv6", "fe80::2", 65535)
end)

T.test("equality is of type, host and port [50 1.15]", function ()
  local a = address("ipv4", "1.2.3.4", 80)
  local b = address("ipv4", "1.2.3.4:80")
  T.eq(a == b, true)
  T.eq(rawequal(a, b), false)
  b.port = 81
  T.eq(a == b, false)
  b.port = 80
  b.literal = "1.2.3.5"
  T.eq(a ~= b, true)
  T.eq(address("ipv4") == address("ipv6"), false)
  T.eq(address("ipv6", "::1.2.3.4", 80) == a, false)
  T.eq(address("ipv6", "::1%lo", 1) == address("ipv6", "0::1", 1), true)
  for _, other in ipairs { 1, "1.2.3.4:80", {} } do T.eq(a == other, false) end
  T.eq(({ [a] = 1 })[address("ipv4", "1.2.3.4", 80)], nil) -- not as keys
end)

T.test("no other operators, and nothing to close [50 1.15]", function ()
  local a = address("ipv4")
  local meta = getmetatable(a)
  T.eq(meta.__name, "coutil:netaddress")
  T.eq(type(meta.__index) .. type(meta.__newindex), "functionfunction")
  for name in pairs(meta) do
    T.eq(({ __name = 1, __index = 1, __newindex = 1, __eq = 1, __tostring = 1 })[name], 1, name)
  end
  T.raises("attempt to compare", function () return a < a end)
  T.raises("attempt to get length", function () return #a end)
  T.raises("attempt to call", function () a() end)
  T.raises("attempt to concatenate", function () return a .. "x" end)
  T.raises("address expected", meta.__index, io.stdout, "port")
  T.raises("address expected", meta.__newindex, {}, "port", 1)
  if T.has_tbc then T.raises("variable 'x' got a non-closable value", T.load("local x <close> = ...", "=chunk"), a) end
end)

T.test("addresses are collected [00 6.4.4]", function ()
  T.eq(L.swept(function (watch)
    for _ = 1, 10 do watch(address("ipv6", "::1", 80)).literal = "::2" end
  end), true)
end)

T.done()
