-- Local and share sockets: creating, binding, listening, accepting, connecting, paths, permissions, closing.

local T = require "testing"
local L = require "loop_testing"
local E = require "error_testing"
local memory = require "memory"
local system = require "coutil.system"
local run, suspend, socket = system.run, system.suspend, system.socket
local pack = T.pack
local put = table.insert
local fails, inside, everywhere, main_only = E.fails, E.inside, E.everywhere, E.main_only

local domains, kinds = { "local", "share" }, { "stream", "passive" }

local function each(title, f)
  for _, domain in ipairs(domains) do T.test(domain .. ": " .. title, function () f(domain) end) end
end

local methods = {
  stream = { "close", "getdomain", "getaddress", "bind", "setoption", "connect", "write", "read", "shutdown" },
  passive = { "close", "getdomain", "getaddress", "bind", "setoption", "listen", "accept" },
}
local classes = {
  ["local"] = { stream = "coutil:pipeactive", passive = "coutil:pipepassive" },
  share = { stream = "coutil:pipeshare", passive = "coutil:pipepassive" },
}

local unopened = { false, "bad file descriptor", 9 }
local invalid = { false, "invalid argument", 22 }
local in_use = { false, "address already in use", 98 }
local missing = { false, "no such file or directory", 2 }
local refused = { false, "connection refused", 111 }
local unconnected = { false, "socket is not connected", 107 }
local canceled = { false, "operation canceled", 125 }
local full = { false, "resource temporarily unavailable", 11 }

local function close(...)
  for i = 1, select("#", ...) do (select(i, ...)):close() end
end

local function shell(command)
  local pipe = assert(io.popen(command .. " 2>&1"))
  local text = pipe:read("*a")
  pipe:close()
  return text
end

-- Whether there is something at the path.
local function exists(path)
  return shell("test -e '" .. path .. "' && echo yes") == "yes\n"
end

-- Calls `f` with the path of a file that contains something, which must be there afterwards as well.
local function with_file(f)
  local path = os.tmpname()
  local file = assert(io.open(path, "w"))
  file:write("content")
  file:close()
  f(path)
  file = assert(io.open(path))
  T.eq(file:read("*a"), "content")
  file:close()
  os.remove(path)
end

-- Objects ---------------------------------------------------------------------------------------

each("classes and methods [50 4.5] [50 0.4.1] [50 5.2.1] [50 4.1] [00 6.1]", function (domain)
  for kind, names in pairs(methods) do
    local s = assert(socket(kind, domain, "surplus"))
    T.eq(s:getdomain(), domain)
    T.eq(type(s), "userdata")
    local meta, name = getmetatable(s), classes[domain][kind]
    T.eq(meta.__name, name)
    T.eq(type(meta.__gc) .. type(meta.__close), "functionfunction")
    T.eq(meta.__tostring, nil)
    if T.number >= 5.3 then T.eq(tostring(s):find(name .. ": ", 1, true), 1) end
    local has = {}
    for _, method in ipairs(names) do
      has[method] = true
      T.eq(type(s[method]), "function", method)
    end
    for _, list in pairs(methods) do
      for _, method in ipairs(list) do if not has[method] then T.eq(s[method], nil, method) end end
    end
    s:close()
  end
end)

each("unknown fields are nil, and no field can be set [50 0.4.2]", function (domain)
  for _, kind in ipairs(kinds) do
    local s = socket(kind, domain)
    T.eq(s.x, nil)
    T.eq(s[1], nil)
    T.raises("attempt to index", function () s.x = 1 end)
    T.raises("attempt to index", function () s.close = 1 end)
    s:close()
  end
end)

each("an accepted socket is of the domain of the passive one [50 5.2.1] [50 6.7.1]", function (domain)
  local a, b = L.pair(domain)
  T.eq(a:getdomain(), domain)
  T.eq(b:getdomain(), domain)
  T.eq(getmetatable(a).__name, classes[domain].stream)
  T.eq(getmetatable(b), getmetatable(a))
  close(a, b)
end)

-- Not opened yet --------------------------------------------------------------------------------

each("a socket that is not opened [50 4.2] [50 5.4.3] [50 5.5.10] [50 5.7.2] [50 6.2.4] [50 6.3.5] [50 6.4.2]", function (domain)
  for _, kind in ipairs(kinds) do
    local s = socket(kind, domain)
    for _ = 1, 2 do
      T.returns(unopened, s.getaddress, s)
      T.returns(unopened, s.getaddress, s, "self")
      T.returns(unopened, s.getaddress, s, nil, system.address("ipv4"))
      local got = pack(s:getaddress("peer"))
      if got[3] ~= 9 then T.same(got, unconnected) else T.same(got, unopened) end
      for _, value in ipairs { "r", "w", "rw", "" } do T.returns(unopened, s.setoption, s, "permission", value) end
      T.returns(unopened, s.setoption, s, "permission")
      T.returns(unopened, s.setoption, s, "permission", nil)
      if kind == "passive" then
        T.returns(invalid, s.listen, s, 1)
      else
        T.same(pack(L.await(s.write, s, "x")), unopened)
        T.same(pack(L.await(s.shutdown, s)), unconnected)
        T.same(pack(L.await(L.take, s)), unconnected)
      end
    end
    T.returns({ true }, s.bind, s, L.path()) -- it can still be used
    close(s)
  end
end)

-- bind ------------------------------------------------------------------------------------------

each("bind makes the path, close removes it [50 5.3.1] [50 5.3.2] [50 5.3.5] [50 5.4.3] [50 5.1.2]", function (domain)
  for _, kind in ipairs(kinds) do
    local s, path = socket(kind, domain), L.path()
    T.eq(exists(path), false)
    T.returns({ true }, s.bind, s, path)
    T.eq(exists(path), true)
    T.returns({ path }, s.getaddress, s)
    T.returns({ path }, s.getaddress, s, "self")
    T.returns(unconnected, s.getaddress, s, "peer")
    local second = L.path()
    for _ = 1, 2 do T.returns(invalid, s.bind, s, second) end
    T.returns(invalid, s.bind, s, path)
    T.eq(exists(second), false)
    T.returns({ path }, s.getaddress, s)
    T.eq(s:close(), true)
    T.eq(exists(path), false)
    s = socket(kind, domain)
    T.returns({ true }, s.bind, s, path) -- at once free
    close(s)
    T.eq(exists(path), false)
  end
  T.eq(run(), false)
end)

each("arguments of bind [50 5.3.1] [50 0.1.8] [00 5.2.2]", function (domain)
  for _, kind in ipairs(kinds) do
    local s = socket(kind, domain)
    fails(1, "string expected, got no value", s, "bind")
    fails(1, "string expected, got nil", s, "bind", nil)
    fails(1, "string expected, got table", s, "bind", {})
    fails(1, "string expected, got coutil:netaddress", s, "bind", L.address())
    fails(1, "string expected, got char[]", s, "bind", memory.create("/tmp/x"))
    T.returns(unopened, s.getaddress, s)
    local path = L.path()
    T.returns({ true }, s.bind, s, path .. "\0ignored") -- ends at the zero
    T.returns({ true }, s.setoption, s, "permission", "r\0x")
    T.returns({ path }, s.getaddress, s)
    T.eq(exists(path), true)
    close(s)
    T.eq(exists(path), false)
  end
end)

each("what is at a path stays [50 5.3.5]", function (domain)
  for _, kind in ipairs(kinds) do
    with_file(function (path)
      local s = socket(kind, domain)
      for _ = 1, 2 do T.returns(in_use, s.bind, s, path) end
      close(s)
    end)
    local first, path = socket(kind, domain), L.path()
    assert(first:bind(path))
    local second = socket(kind, domain)
    T.returns(in_use, second.bind, second, path)
    T.returns(in_use, second.bind, second, "/tmp")
    T.returns(in_use, second.bind, second, "/dev/null")
    close(second)
    T.eq(exists(path), true)
    T.returns({ path }, first.getaddress, first)
    close(first)
  end
  T.eq(exists("/dev/null"), true)
end)

each("a directory that does not exist [50 5.3.5]", function (domain)
  for _, kind in ipairs(kinds) do
    local s, path = socket(kind, domain), L.path()
    T.returns({ false, "permission denied", 13 }, s.bind, s, path .. "/socket")
    close(s)
    T.eq(exists(path), false)
  end
end)

each("long paths [50 5.3.5] [50 5.4.3] [50 5.1.2] [50 6.1.3]", function (domain)
  for _, n in ipairs { 50, 100, 106, 107 } do
    local passive, path = socket("passive", domain), L.path(n)
    T.eq(#path, n)
    T.returns({ true }, passive.bind, passive, path)
    T.eq(exists(path), true)
    assert(passive:listen(4))
    local a, b = L.pair(domain, passive, path)
    for _, got in ipairs { passive:getaddress(), a:getaddress("peer"), b:getaddress("self") } do T.eq(got, path) end
    close(a, b, passive)
    T.eq(exists(path), false)
  end
  for _, n in ipairs { 108, 109, 200 } do
    local s, path = socket("passive", domain), L.path(n)
    local got = pack(s:bind(path))
    if got[1] then T.same(got, { true }) else T.same(got, { false, "name too long", 36 }) end
    close(s)
    os.remove(path:sub(1, 107))
    os.remove(path:sub(1, 108))
    T.eq(exists(path), false)
    s = socket("stream", domain)
    got = pack(L.await(s.connect, s, path))
    T.eq(got.n, 3)
    T.eq(got[1], false)
    close(s)
  end
end)

each("a path that is something else meanwhile, and the empty path [50 5.1.2] [50 5.3.6]", function (domain)
  for _, kind in ipairs(kinds) do
    local s, path = socket(kind, domain), L.path()
    assert(s:bind(path))
    os.remove(path)
    T.returns({ path }, s.getaddress, s)
    T.returns({ true }, s.close, s) -- there is nothing to remove
    s = socket(kind, domain)
    assert(s:bind(path))
    os.remove(path)
    assert(io.open(path, "w")):close()
    T.returns({ true }, s.close, s)
    os.remove(path)
    s = socket(kind, domain)
    local got = pack(s:bind(""))
    T.eq(got[1] == true and got.n or got[1] == false and got.n - 2, 1)
    T.returns({ true }, s.close, s)
  end
  T.eq(run(), false)
end)

T.test("a path relative to the current directory, and one with odd bytes [50 5.3.1] [50 5.4.3]", function ()
  local path = L.path()
  for _, name in ipairs { path .. " a'b", path .. "\240\159\152\128", path .. "\255\n" } do
    local passive = socket("passive", "local")
    assert(passive:bind(name))
    T.eq(passive:getaddress(), name)
    assert(passive:listen(1))
    local a, b = L.pair("local", passive, name)
    T.eq(a:getaddress("peer"), name)
    close(a, b, passive)
    T.eq(io.open(name), nil)
  end
  local relative = path:match("[^/]+$")
  local s = socket("stream", "local")
  T.returns({ true }, s.bind, s, relative)
  T.eq(exists("./" .. relative), true)
  T.eq(s:getaddress(), relative)
  close(s)
  T.eq(exists("./" .. relative), false)
end)

each("the collector removes the path [50 5.1.5] [50 8.11]", function (domain)
  for _, kind in ipairs(kinds) do
    local path = L.path()
    T.scope(function ()
      local s = socket(kind, domain)
      assert(s:bind(path))
      if kind == "passive" then assert(s:listen(1)) end
      T.eq(exists(path), true)
      T.eq(s:getaddress(), path)
    end)
    T.gc()
    T.eq(exists(path), false)
    local s = socket(kind, domain)
    T.returns({ true }, s.bind, s, path)
    close(s)
  end
  T.eq(run(), false)
end)

each("accepted and connected sockets remove nothing [50 5.1.2]", function (domain)
  local passive, path = L.listener(domain)
  local a, b = L.pair(domain, passive, path)
  close(a)
  T.eq(exists(path), true)
  close(b)
  T.eq(exists(path), true)
  local failed = socket("stream", domain)
  T.eq(L.await(failed.bind, failed, path), false)
  close(failed)
  T.eq(exists(path), true)
  T.scope(function () L.pair(domain, passive, path) end)
  T.gc()
  T.eq(exists(path), true)
  a, b = L.pair(domain, passive, path)
  close(passive)
  T.eq(exists(path), false)
  T.eq(a:getaddress("peer"), path)
  T.eq(b:getaddress("self"), path)
  L.send(a, "still connected")
  T.eq(L.await(L.take, b), "still connected")
  close(a, b)
end)

-- Addresses -------------------------------------------------------------------------------------

each("addresses of both ends [50 5.4.3] [50 5.4.1] [50 5.4.2] [50 6.1.4]", function (domain)
  local passive, path = L.listener(domain)
  local a, b = L.pair(domain, passive, path)
  T.returns({ "" }, a.getaddress, a)
  T.returns({ path }, a.getaddress, a, "peer")
  T.returns({ path }, b.getaddress, b)
  T.returns({ "" }, b.getaddress, b, "peer")
  T.returns(unconnected, passive.getaddress, passive, "peer")
  for _, value in ipairs { system.address("ipv4"), system.address("ipv6"), "x", 1, {}, a } do -- not looked at
    T.returns({ path }, a.getaddress, a, "peer", value)
    T.returns({ path }, b.getaddress, b, "self", value)
    T.returns({ path }, passive.getaddress, passive, nil, value)
  end
  close(a, b)
  local bound, own = socket("stream", domain), L.path()
  assert(bound:bind(own))
  T.returns(unconnected, bound.getaddress, bound, "peer")
  local accepted
  T.start(function () accepted = assert(passive:accept()) end)
  T.start(function () T.same(pack(bound:connect(path)), { true }) end)
  L.run()
  T.returns({ own }, bound.getaddress, bound)
  T.returns({ path }, bound.getaddress, bound, "peer")
  T.returns({ own }, accepted.getaddress, accepted, "peer")
  T.returns({ path }, accepted.getaddress, accepted, "self")
  close(accepted, passive)
  T.eq(exists(own), true)
  close(bound)
  T.eq(exists(own), false)
end)

each("arguments of getaddress [50 5.4.1]", function (domain)
  local a, b = L.pair(domain)
  local passive = L.listener(domain)
  for _, s in ipairs { a, b, passive } do
    fails(1, "invalid option 'x'", s, "getaddress", "x")
    fails(1, "invalid option 'SELF'", s, "getaddress", "SELF")
    fails(1, "string expected, got table", s, "getaddress", {})
    fails(1, "string expected, got boolean", s, "getaddress", false)
  end
  close(a, b, passive)
  for _, kind in ipairs(kinds) do
    local s = socket(kind, domain)
    fails(1, "invalid option 'x'", s, "getaddress", "x")
    close(s)
  end
end)

-- permission ------------------------------------------------------------------------------------

-- The permissions of a path as nine letters and dashes, like those of `ls`.
local function permissions(path)
  local text = shell("stat -c %a '" .. path .. "'")
  local digits = text:match("^%d*(%d%d%d)\n$")
  if not digits then error(text) end
  return (digits:gsub("%d", function (digit)
    local n = tonumber(digit)
    return (n >= 4 and "r" or "-") .. (n % 4 >= 2 and "w" or "-") .. (n % 2 >= 1 and "x" or "-")
  end))
end

-- What permissions become when those of the letters are added for all.
local function added(text, letters)
  return (text:gsub("(.)(.)(.)", function (r, w, x)
    return (letters:find("r") and "r" or r) .. (letters:find("w") and "w" or w) .. x
  end))
end

each("permissions are added, never removed [50 5.5.8] [50 5.5.9]", function (domain)
  for _, kind in ipairs(kinds) do
    for _, letters in ipairs { "r", "w", "rw", "wr", "rrr", "wwrrw" } do
      local s, path = socket(kind, domain), L.path()
      assert(s:bind(path))
      os.execute("chmod 700 '" .. path .. "'")
      local before = permissions(path)
      T.eq(before, "rwx------")
      T.returns({ true }, s.setoption, s, "permission", letters, "surplus")
      T.eq(permissions(path), added(before, letters))
      T.returns({ true }, s.setoption, s, "permission", "r")
      T.eq(permissions(path), added(before, letters .. "r"))
      T.returns({ true }, s.setoption, s, "permission", "w")
      T.eq(permissions(path), added(before, "rw"))
      T.returns({ true }, s.setoption, s, "permission", "r")
      T.eq(permissions(path), added(before, "rw"))
      close(s)
    end
  end
end)

each("on an accepted socket the path is that of the passive one [50 5.5.10]", function (domain)
  local passive, path = L.listener(domain)
  local a, b = L.pair(domain, passive, path)
  os.execute("chmod 700 '" .. path .. "'")
  T.returns({ true }, b.setoption, b, "permission", "w")
  T.eq(permissions(path), "rwx-w--w-")
  T.returns({ true }, passive.setoption, passive, "permission", "r")
  T.eq(permissions(path), "rwxrw-rw-")
  T.returns(missing, a.setoption, a, "permission", "r") -- connected, but bound to no path
  T.returns(missing, a.setoption, a, "permission", "rw")
  close(a, b, passive)
end)

each("without letters [50 5.5.10]", function (domain)
  local passive, path = L.listener(domain)
  local before = permissions(path)
  for _, args in ipairs { pack("permission"), pack("permission", nil), pack("permission", "") } do
    T.returns(invalid, passive.setoption, passive, T.unpack(args, 1, args.n))
  end
  T.eq(permissions(path), before)
  close(passive)
end)

each("arguments of setoption [50 5.5.8] [50 0.1.7]", function (domain)
  local bound = socket("stream", domain)
  assert(bound:bind(L.path()))
  for _, s in ipairs { bound, socket("stream", domain), socket("passive", domain) } do
    fails(1, "string expected, got no value", s, "setoption")
    fails(1, "string expected, got nil", s, "setoption", nil, "r")
    for _, name in ipairs { "x", "", "Permission", "keepalive", "nodelay", "broadcast", "mcastttl" } do
      fails(1, "invalid option '" .. name .. "'", s, "setoption", name, "r")
    end
    fails(2, "string expected, got table", s, "setoption", "permission", {})
    fails(2, "string expected, got boolean", s, "setoption", "permission", true)
    fails(nil, "unknown option (got 'x')", s, "setoption", "permission", "x")
    fails(nil, "unknown option (got 'x')", s, "setoption", "permission", "rwx")
    fails(nil, "unknown option (got 'R')", s, "setoption", "permission", "R")
    fails(nil, "unknown option (got '\255')", s, "setoption", "permission", "r\255")
    fails(nil, "unknown option (got '6')", s, "setoption", "permission", 644)
    close(s)
  end
end)

-- listen and accept -----------------------------------------------------------------------------

each("listen [50 5.7.1] [50 5.7.2] [50 5.7.3]", function (domain)
  local s = socket("passive", domain)
  for _ = 1, 2 do
    fails(1, "number expected, got no value", s, "listen")
    fails(1, "number expected, got nil", s, "listen", nil)
    fails(1, "number expected, got string", s, "listen", "x")
    fails(1, "number has no integer representation", s, "listen", 1.5)
    for _, backlog in ipairs { -1, 2 ^ 31, 2 ^ 32, -2 ^ 40 } do fails(1, "out of range", s, "listen", backlog) end
    everywhere(0, "not listening", s, "accept")
    T.returns(invalid, s.listen, s, 1) -- not bound
  end
  assert(s:bind(L.path()))
  everywhere(0, "not listening", s, "accept")
  T.returns({ true }, s.listen, s, "0")
  for _, backlog in ipairs { 0, 1, -1, 2 ^ 31 } do fails(0, "already listening", s, "listen", backlog) end
  fails(1, "number expected, got nil", s, "listen", nil)
  main_only(s, "accept")
  T.eq(run(), false) -- listening alone is nothing to wait for
  close(s)
  for _, backlog in ipairs { 0, 1, 2 ^ 31 - 1 } do
    s = socket("passive", domain)
    assert(s:bind(L.path()))
    T.returns({ true }, s.listen, s, backlog)
    close(s)
  end
end)

each("connections made before any accept are delivered in order [50 6.7.3] [50 6.7.1]", function (domain)
  local passive, path = L.listener(domain)
  local clients = {}
  for i = 1, 8 do
    clients[i] = socket("stream", domain)
    T.returns({ true }, L.await, clients[i].connect, clients[i], path)
    L.send(clients[i], "client " .. i)
  end
  T.eq(run(), false)
  for i = 2, 8, 2 do clients[i]:close() end -- delivered all the same, with its data
  local got = {}
  T.start(function ()
    for i = 1, 8 do
      local s = assert(passive:accept())
      got[i] = L.take(s)
      if i % 2 == 0 then T.same(pack(L.take(s)), { false, "end of file", 4095 }) end
      s:close()
    end
  end)
  T.eq(run(), false)
  for i = 1, 8 do T.eq(got[i], "client " .. i) end
  for i = 1, 7, 2 do clients[i]:close() end
  passive:close()
end)

each("a connection that is held is accepted at once, or it is waited for [50 6.7.1] [50 5.7.4]", function (domain)
  local passive, path = L.listener(domain)
  local clients, count = {}, 0
  for i = 1, 5 do
    clients[i] = socket("stream", domain)
    T.returns({ true }, L.await, clients[i].connect, clients[i], path)
  end
  for _ = 1, 3 do T.start(suspend) end
  L.run()
  local held
  repeat -- at most one, also in the main thread
    held = pack(pcall(passive.accept, passive))
    if held[1] then
      count = count + 1
      T.eq(held.n, 2)
      close(held[2])
    end
  until not held[1]
  T.eq(held[2], "unable to yield")
  T.eq(count <= 1, true)
  while count < 5 do
    close((L.await(passive.accept, passive)))
    count = count + 1
  end
  main_only(passive, "accept")
  close(passive, T.unpack(clients))
end)

each("those not accepted end with the passive socket [50 6.7.3]", function (domain)
  local passive, path = L.listener(domain)
  local s = socket("stream", domain)
  T.eq(L.await(s.connect, s, path), true)
  passive:close()
  local got = pack(L.await(L.take, s))
  T.eq(got[1], false)
  if got[3] ~= 4095 then T.same(got, { false, "connection reset by peer", 104 }) end
  s:close()
  s = socket("stream", domain)
  T.returns(missing, L.await, s.connect, s, path)
  s:close()
end)

each("several passive sockets and one coroutine [50 6.7.5]", function (domain)
  local list, log = {}, {}
  for i = 1, 3 do list[i] = { L.listener(domain) } end
  T.start(function ()
    for _ = 1, 3 do
      for i = 1, 3 do
        local s = assert(list[i][1]:accept())
        T.eq(s:getaddress(), list[i][2])
        s:close()
        put(log, i)
      end
    end
  end)
  for _ = 1, 3 do
    for i = 3, 1, -1 do
      T.start(function ()
        local s = socket("stream", domain)
        assert(s:connect(list[i][2]))
        T.eq(L.collect(s), "")
        s:close()
      end)
    end
  end
  T.eq(run(), false)
  T.same(log, { 1, 2, 3, 1, 2, 3, 1, 2, 3 })
  for i = 1, 3 do list[i][1]:close() end
end)

each("an accepter comes before its connecter, in one step [50 6.1.6]", function (domain)
  for _, first in ipairs { "accept", "connect" } do
    local passive, path = L.listener(domain)
    local s, log, accepted = socket("stream", domain), {}, nil
    local function accept() T.start(function () accepted = passive:accept(); put(log, "accept") end) end
    if first == "accept" then accept() end
    T.start(function () assert(s:connect(path)); put(log, "connect") end)
    if first == "connect" then accept() end
    T.same(log, {})
    run("step")
    T.same(log, { "accept", "connect" })
    T.eq(run(), false)
    close(s, accepted, passive)
  end
end)

-- connect ---------------------------------------------------------------------------------------

each("nobody there [50 6.1.1] [50 6.1.5] [50 5.4.3]", function (domain)
  local holder, bound = socket("stream", domain), L.path()
  assert(holder:bind(bound))
  local passive, path = L.listener(domain)
  with_file(function (file)
    local cases = { { missing, L.path() }, { missing, L.path() .. "/x" }, { refused, "/dev/null" }, { refused, file },
      { refused, "/tmp" }, { refused, bound } }
    for _, case in ipairs(cases) do
      local s = socket("stream", domain)
      for _ = 1, 2 do T.returns(case[1], L.await, s.connect, s, case[2]) end
      T.returns({ "" }, s.getaddress, s) -- opened
      T.returns(unconnected, s.getaddress, s, "peer")
      T.returns({ true }, L.await, s.connect, s, path) -- and it may try again
      L.await(passive.accept, passive):close()
      T.returns({ "", false, "end of file", 4095 }, L.await, function ()
        return "", L.take(s)
      end)
      close(s)
    end
  end)
  close(holder, passive)
end)

each("the path of a socket that is gone [50 6.1.1]", function (domain)
  local passive, path = L.listener(domain)
  local moved = L.path()
  assert(os.rename(path, moved))
  local s = socket("stream", domain)
  T.returns(missing, L.await, s.connect, s, path)
  T.returns({ true }, L.await, s.connect, s, moved)
  L.await(passive.accept, passive):close()
  close(passive, s)
  s = socket("stream", domain)
  T.returns(refused, L.await, s.connect, s, moved)
  close(s)
  os.remove(moved)
end)

each("connecting again [50 6.1.2] [50 0.2.3] [50 8.7]", function (domain)
  local passive, path = L.listener(domain)
  local connected = { false, "socket is already connected", 106 }
  local s = socket("stream", domain)
  local first, second = T.waiter(s.connect, s, path), T.waiter(s.connect, s, path)
  T.eq(run(), false)
  T.same(first.got, { true })
  T.same(second.got, { false, "connection already in progress", 114 })
  for _ = 1, 2 do T.returns(connected, L.await, s.connect, s, path) end
  T.returns(connected, L.await, s.connect, s, L.path())
  local own = socket("stream", domain) -- a coroutine whose first attempt was cancelled
  local w = T.waiter(function () return own:connect(path), own:connect(path) end)
  T.resume(w.co, "cancelled")
  T.eq(run(), false)
  T.eq(w.got[1], "cancelled")
  if w.got[2] ~= true then T.same({ n = 3, T.unpack(w.got, 2) }, connected) end
  T.returns({ true }, L.await, own.write, own, "x")
  close(s, own, passive)
end)

each("arguments of connect, and yielding [50 6.1.1] [00 1.4.4]", function (domain)
  local s, path = socket("stream", domain), L.path()
  for _, args in ipairs { pack(), pack(nil), pack({}), pack(path), pack(L.address()) } do
    main_only(s, "connect", T.unpack(args, 1, args.n))
  end
  inside(1, "string expected, got no value", s, "connect")
  inside(1, "string expected, got nil", s, "connect", nil)
  inside(1, "string expected, got table", s, "connect", {})
  inside(1, "string expected, got coutil:netaddress", s, "connect", L.address())
  T.returns(unopened, s.getaddress, s) -- nothing was done
  T.returns(missing, L.await, s.connect, s, path .. "\0ignored", "surplus")
  close(s)
end)

each("a full queue [50 6.1.3] [50 6.1.5] [50 5.7.4]", function (domain)
  local passive, path = socket("passive", domain), L.path()
  assert(passive:bind(path))
  assert(passive:listen(2))
  local clients, late = {}, nil
  repeat
    local s = socket("stream", domain)
    local got = pack(L.await(s.connect, s, path))
    if got[1] then
      T.same(got, { true })
      put(clients, s)
    else
      T.same(got, full)
      late = s
    end
  until late or #clients > 100
  T.eq(late ~= nil, true)
  T.eq(#clients >= 2 and #clients <= 4, true, "room for " .. #clients)
  local w = T.waiter(late.connect, late, path)
  if not w.got then run("ready") end
  T.same(w.got, full) -- at once
  for i = 1, #clients do
    L.send(clients[i], "client " .. i)
    local accepted = L.await(passive.accept, passive)
    T.eq(L.await(L.take, accepted), "client " .. i)
    close(accepted)
  end
  T.returns({ true }, L.await, late.connect, late, path)
  close(late, passive, T.unpack(clients))
end)

each("operations behind a connect [50 6.1.7] [50 6.4.4] [90 1.9]", function (domain)
  local passive, path = L.listener(domain)
  local s, log = socket("stream", domain), {}
  local connect = T.waiter(s.connect, s, path)
  local writes = { T.waiter(s.write, s, "one "), T.waiter(s.write, s, ""), T.waiter(s.write, s, "two") }
  local shutdown, read = T.waiter(s.shutdown, s), T.waiter(L.take, s)
  T.start(function ()
    local accepted = assert(passive:accept())
    put(log, L.collect(accepted))
    assert(accepted:write("reply"))
    accepted:close()
  end)
  T.eq(run(), false)
  T.same(log, { "one two" })
  for _, w in ipairs { connect, shutdown, writes[1], writes[2], writes[3] } do T.same(w.got, { true }) end
  T.same(read.got, { "reply" })
  close(s)
  s = socket("stream", domain) -- with no write queued
  connect, shutdown = T.waiter(s.connect, s, path), T.waiter(s.shutdown, s)
  T.start(function ()
    local accepted = assert(passive:accept())
    put(log, L.collect(accepted))
    accepted:close()
  end)
  T.eq(run(), false)
  T.same(connect.got, { true })
  T.same(shutdown.got, { true })
  T.same(log, { "one two", "" })
  close(s, passive)
  -- The attempt fails.
  s = socket("stream", domain)
  connect = T.waiter(s.connect, s, path)
  local write = T.waiter(s.write, s, "x")
  shutdown, read = T.waiter(s.shutdown, s), T.waiter(L.take, s)
  T.eq(run(), false)
  T.same(connect.got, missing)
  if write.got[3] ~= 32 then T.same(write.got, canceled) end -- the attempt may have ended before the write
  T.same(shutdown.got, unconnected)
  T.same(read.got, unconnected)
  close(s)
end)

each("a cancelled connect goes on, and can be collected [50 0.2.2] [50 0.2.4] [50 8.4]", function (domain)
  local passive, path = L.listener(domain)
  T.eq(L.swept(function (watch)
    T.scope(function ()
      local s = watch(socket("stream", domain))
      local co = watch(T.start(function () s:connect(path); coroutine.yield() end))
      T.resume(co)
    end)
    for _ = 1, 2 do collectgarbage() end
    T.eq(run(), false)
  end), true)
  local s = socket("stream", domain)
  local w = T.waiter(s.connect, s, path)
  T.resume(w.co, "abandoned")
  local write = T.waiter(s.write, s, "queued behind")
  T.eq(run(), false)
  T.same(write.got, { true })
  T.eq(L.await(function ()
    local text
    repeat
      local accepted = assert(passive:accept())
      local got = L.take(accepted)
      if got then text = got end
      accepted:close()
    until text
    return text
  end), "queued behind")
  close(s, passive)
end)

-- What is refused -------------------------------------------------------------------------------

each("unable to yield comes before the arguments [00 1.4.4] [50 6.2.2] [50 6.4.1] [50 8.5]", function (domain)
  local a, b = L.pair(domain)
  local m, s = memory.create(4), socket("stream", domain)
  for _, x in ipairs { a, s } do
    for _, args in ipairs { pack(), pack(nil), pack({}), pack("x"), pack("x", {}), pack("x", 1, {}), pack(m, 1.5),
                            pack(nil, nil, nil, io.stdout), pack("x", 1, 1, a) } do
      main_only(x, "write", T.unpack(args, 1, args.n))
    end
    main_only(x, "shutdown")
    main_only(x, "read", m)
    main_only(x, "read", m, 3, 2)
  end
  T.eq(run(), false)
  L.send(a, "x")
  T.eq(L.await(L.take, b), "x") -- nothing was sent or shut down
  close(a, b, s)
end)

each("arguments of read and write [50 6.2.6] [50 6.3.1] [50 0.3.1] [50 0.3.3] [00 1.4.4]", function (domain)
  local a, b = L.pair(domain)
  local m, s = memory.create(4), socket("stream", domain)
  for _, x in ipairs { a, s } do
    inside(1, "string or memory expected, got no value", x, "write")
    inside(1, "string or memory expected, got table", x, "write", {}, {}, {})
    inside(1, "string or memory expected, got " .. classes[domain].stream, x, "write", b)
    inside(2, "number expected, got table", x, "write", "x", {}, {})
    inside(3, "number has no integer representation", x, "write", "x", 1, 1.5)
  end
  local w = T.waiter(b.read, b, m)
  for _, x in ipairs { a, s, b } do
    everywhere(1, "memory expected, got no value", x, "read")
    everywhere(1, "memory expected, got string", x, "read", "text")
    everywhere(2, "number expected, got table", x, "read", m, {}, {})
    everywhere(3, "number expected, got boolean", x, "read", m, 1, true)
  end
  everywhere(0, "already in use", b, "read", m)
  T.resume(w.co)
  main_only(b, "read", m)
  local passive = L.listener(domain)
  w = T.waiter(passive.accept, passive)
  everywhere(0, "already in use", passive, "accept")
  T.resume(w.co)
  main_only(passive, "accept")
  T.eq(run(), false)
  close(a, b, s, passive)
end)

T.test("self must be of the class [00 5.2.2] [50 0.1.4] [50 0.1.6]", function ()
  local list = {}
  for _, domain in ipairs(domains) do
    for _, kind in ipairs(kinds) do put(list, { classes[domain][kind], socket(kind, domain), methods[kind] }) end
  end
  put(list, { "coutil:tcpactive", socket("stream", "ipv4"), {} })
  for _, own in ipairs(list) do
    local others = { { "coutil:netaddress", L.address() }, { "char[]", memory.create(1) } }
    for _, other in ipairs(list) do
      if other[1] ~= own[1] then put(others, { other[1], other[2] }) end
    end
    E.self(own[1], own[2], own[3], others)
  end
  for _, own in ipairs(list) do own[2]:close() end
end)

each("using what is closed [50 5.1.1] [00 1.4.4] [00 6.3] [00 6.4.2]", function (domain)
  for _, kind in ipairs(kinds) do
    for _, opened in ipairs { false, true } do
      local s = socket(kind, domain)
      if opened then assert(s:bind(L.path())) end
      T.returns({ true }, s.close, s)
      E.closed(s, methods[kind], { pack(), pack({}), pack(nil, {}), pack("x", "y", "z") })
      fails(0, "closed object", s, "getdomain")
      T.eq(s.x, nil)
      local meta = getmetatable(s)
      meta.__gc(s)
      meta.__close(s, nil)
    end
    for _, event in ipairs { "__gc", "__close" } do
      local s, path = socket(kind, domain), L.path()
      assert(s:bind(path))
      getmetatable(s)[event](s)
      T.eq(exists(path), false)
      T.raises("closed object", s.close, s)
    end
  end
  T.eq(run(), false)
end)

T.test_if(T.has_tbc, "no to-be-closed variables", "local sockets in to-be-closed variables [50 0.4.2] [00 6.4.1]", function ()
  local f = T.load("local s, close = ... do local x <close> = s if close then s:close() end end return s", "=chunk")
  for _, domain in ipairs(domains) do
    for _, kind in ipairs(kinds) do
      for _, close_it in ipairs { true, false } do
        local s = socket(kind, domain)
        local path = L.path()
        assert(s:bind(path))
        f(s, close_it)
        T.raises("closed object", s.close, s)
        T.eq(exists(path), false)
      end
    end
  end
end)

-- Closing while somebody waits ------------------------------------------------------------------

each("a reader and an accepter are woken inside close [50 5.1.2] [50 6.3.4] [50 6.7.4] [00 1.3.7] [50 8.9]", function (domain)
  local passive, path = L.listener(domain)
  local a, b = L.pair(domain)
  for _, s in ipairs { a, passive } do
    local log = {}
    T.start(function ()
      local got
      if s == a then got = pack(a:read(memory.create(4))) else got = pack(passive:accept()) end
      put(log, "woken")
      T.same(got, { false, "closed" })
      for _, name in ipairs { "close", "getaddress", "bind", s == a and "read" or "accept" } do
        put(log, L.message(s[name], s))
      end
      suspend()
      put(log, "end")
    end)
    T.returns({ true }, s.close, s)
    put(log, "closed")
    T.eq(run(), false)
    local text = "bad argument #1 to '?' (closed object)"
    T.same(log, { "woken", text, text, text, text, "closed", "end" })
  end
  T.eq(exists(path), false)
  b:close()
end)

each("an error in who is woken does not leave close [50 5.1.2] [00 1.5.3] [90 2.2]", function (domain)
  local passive, path = L.listener(domain)
  T.start(function () passive:accept(); error("after the close", 0) end)
  T.returns({ true }, passive.close, passive)
  local reports = T.reports()
  T.eq(#reports, 1)
  T.eq(reports[1].err, "after the close")
  T.eq(exists(path), false)
  T.eq(run(), false)
end)

each("pending writes, connects and shutdowns end in the next run [50 5.1.3] [50 6.2.4] [00 1.3.7]", function (domain)
  local a, b = L.pair(domain)
  local waiters = { T.waiter(a.write, a, ("x"):rep(2 ^ 24)), T.waiter(a.write, a, "x"), T.waiter(a.shutdown, a) }
  run("ready")
  a:close()
  for _, w in ipairs(waiters) do T.eq(w.got, nil) end
  T.eq(run(), false)
  for _, w in ipairs(waiters) do T.same(w.got, canceled) end
  b:close()
  local passive, path = L.listener(domain)
  local s = socket("stream", domain)
  waiters = { T.waiter(s.connect, s, path), T.waiter(s.write, s, "x"), T.waiter(s.shutdown, s) }
  s:close()
  for _, w in ipairs(waiters) do T.eq(w.got, nil) end
  T.eq(run(), false)
  for _, w in ipairs(waiters) do T.same(w.got, canceled) end
  passive:close()
end)

each("a peer that leaves [50 6.3.5] [50 6.2.4] [50 8.10] [90 5.1]", function (domain)
  for _, big in ipairs { false, true } do
    local a, b = L.pair(domain)
    L.send(a, "not read")
    T.eq(run(), false)
    local w = big and T.waiter(a.write, a, ("x"):rep(2 ^ 24))
    if big then run("ready") end
    b:close()
    T.eq(run(), false)
    local got = big and w.got or pack(L.await(L.take, a))
    T.eq(got[1], false)
    T.eq(got[3] == 104 or got[3] == (big and 32 or 4095), true, got[2])
    got = pack(L.await(a.write, a, "x"))
    if got[3] ~= 104 then T.same(got, { false, "broken pipe", 32 }) end
    a:close()
  end
end)

-- Collection ------------------------------------------------------------------------------------

each("a closed object is kept until the loop runs [50 5.1.4]", function (domain)
  for _, kind in ipairs(kinds) do
    for _, opened in ipairs { false, true } do
      local box = T.watch()
      T.scope(function ()
        for _ = 1, 3 do
          local s = box.add(socket(kind, domain))
          if opened then assert(s:bind(L.path())) end
          s:close()
        end
      end)
      T.eq(box.alive(), 3)
      T.eq(run("ready"), false)
      T.eq(box.alive(), 0)
    end
  end
end)

each("an object that is not closed is not kept [50 5.1.5] [00 6.4.4]", function (domain)
  T.eq(T.collected(function (watch)
    for _, kind in ipairs(kinds) do watch(socket(kind, domain)) end
    watch((L.listener(domain)))
    local a, b = L.pair(domain)
    watch(a)
    watch(b)
  end), true)
  T.eq(run(), false)
end)

each("a socket that somebody awaits on is no garbage [50 5.1.5] [00 1.6.1] [50 0.2.4]", function (domain)
  local box, got = T.watch(), nil
  local path = T.scope(function ()
    local passive, path = L.listener(domain)
    T.start(function ()
      local accepted = box.add(assert(box.add(passive):accept()))
      passive = nil
      got = L.collect(accepted)
    end)
    return path
  end)
  T.eq(box.alive(), 1)
  T.eq(run("ready"), true)
  T.eq(exists(path), true)
  local s = socket("stream", domain)
  T.start(function ()
    assert(s:connect(path))
    suspend()
    T.gc()
    assert(s:write("data"))
    s:close()
  end)
  T.eq(run(), false)
  T.eq(got, "data")
  T.eq(box.alive(), 0)
  T.eq(exists(path), false)
end)

T.test("local and share sockets connect to each other [50 6.1.1] [50 6.3.7]", function ()
  for _, domain in ipairs(domains) do
    local passive, path = L.listener(domain)
    local s, accepted = socket("stream", domain == "local" and "share" or "local"), nil
    T.start(function () accepted = assert(passive:accept()) end)
    T.start(function () assert(s:connect(path)) end)
    L.run()
    T.eq(accepted:getdomain(), domain)
    local share, other = s, accepted
    if domain == "share" then share, other = accepted, s end
    L.send(other, "data")
    T.eq(L.await(L.take, share), "data")
    local x, y = L.pair("local") -- a socket is not for the other kind
    T.start(function () T.same(pack(share:write("data", 1, -1, x)), { true }) end)
    L.run()
    close(x)
    T.returns({ 4 }, L.await, other.read, other, memory.create(10))
    close(s, accepted, passive)
    T.same(pack(L.await(L.take, y)), { false, "end of file", 4095 })
    close(y)
  end
end)

T.test_if(L.descriptors(), "the system does not tell", "no socket is left [50 5.1.2] [50 5.1.5] [50 6.1.1] [50 0.2.2] [50 0.2.4]", function ()
  for _, domain in ipairs(domains) do
    local what
    what = "failed calls"
    T.eq(L.tidy(function ()
      for i = 1, 10 do
        local s = socket(kinds[i % 2 + 1], domain)
        T.eq((s:bind("/dev/null")), false)
        T.eq((s:bind(L.path() .. "/x")), false)
        if s.connect then
          for _, path in ipairs { "/dev/null", L.path(), ("x"):rep(200) } do T.eq((L.await(s.connect, s, path)), false) end
        end
        if i % 3 == 0 then s:close() end
      end
    end), true, what)
    what = "cancelled and abandoned calls"
    T.eq(L.tidy(function ()
      local passive, path = L.listener(domain)
      for i = 1, 10 do
        local s = socket("stream", domain)
        local accept, connect = T.waiter(passive.accept, passive), T.waiter(s.connect, s, path)
        local write = T.waiter(s.write, s, ("x"):rep(2 ^ 20))
        if i % 2 == 0 then run("ready") end
        for _, w in ipairs { accept, connect, write } do
          if not w.got then T.resume(w.co) end
        end
        if i % 3 == 0 then s:close() end
        s, write, connect = nil, nil, nil
        T.gc()
      end
      passive:close() -- with what is in the queue
    end), true, what)
    what = "lost connections"
    T.eq(L.tidy(function ()
      for _ = 1, 10 do L.pair(domain) end
      local passive, path = L.listener(domain)
      for _ = 1, 5 do
        local s = socket("stream", domain)
        assert(L.await(s.connect, s, path))
      end
    end), true, what)
  end
end)

-- The descriptors of a new process that are sockets, or belong to the loop.
local function inherited()
  local text, n = shell("ls -l /proc/self/fd"), 0
  for _ in text:gmatch("socket:") do n = n + 1 end
  for _ in text:gmatch("anon_inode:") do n = n + 1 end
  return n
end

each("other programs do not inherit the descriptors [90 5.2] [50 4.3]", function (domain)
  local before = inherited()
  local passive, path = L.listener(domain)
  local a, b = L.pair(domain, passive, path)
  T.start(L.take, b)
  T.eq(run("ready"), true)
  T.eq(inherited(), before)
  close(b, a, passive)
  T.eq(run(), false)
end)

T.test_child("the module table is collected while sockets exist [50 0.2.6]", function ()
  local out, status = T.child(([[
    local memory = require "coutil.memory"
    local system = require "coutil.system"
    local run = system.run
    local path = %q
    local passive = assert(system.socket("passive", "local"))
    assert(passive:bind(path))
    assert(passive:listen(1))
    local client, server = assert(system.socket("stream", "local")), nil
    coroutine.wrap(function () server = assert(passive:accept()) end)()
    coroutine.wrap(function () assert(client:connect(path)) end)()
    assert(run() == false)
    local weak = setmetatable({ system }, { __mode = "v" })
    package.loaded["coutil.system"], system = nil, nil
    for _ = 1, 3 do collectgarbage() end
    assert(weak[1] == nil, "still there")
    local got, buffer = nil, memory.create(4)
    coroutine.wrap(function () got = server:read(buffer) end)()
    coroutine.wrap(function () assert(client:write("abc")) end)()
    assert(run() == false and got == 3)
    io.write("END") ]]):format(L.path()))
  T.eq(out, "END")
  T.eq(status, 0)
end)

T.test_child("closing the state with operations pending removes the path [50 0.2.7] [90 1.1] [50 5.1.5]", function ()
  local path = L.path()
  local out, status = T.child(([[
    local memory = require "coutil.memory"
    local system = require "coutil.system"
    local path = %q
    local passive = assert(system.socket("passive", "local"))
    assert(passive:bind(path))
    assert(passive:listen(1))
    local s = assert(system.socket("stream", "local"))
    local function go(f, ...) local args = { ... } coroutine.wrap(function () f(args[1], args[2]); io.write("resumed") end)() end
    go(passive.accept, passive)
    go(s.connect, s, path)
    go(s.write, s, ("x"):rep(2 ^ 24))
    go(s.read, s, memory.create(4))
    go(s.shutdown, s)
    io.write("END") ]]):format(path))
  T.eq(out, "END")
  T.eq(status, 0)
  T.eq(exists(path), false)
end)

T.done()
