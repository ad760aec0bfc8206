-- Child processes: what `execute` refuses, in which order and with which texts, and processes that cannot be started.

local T = require "testing"
local L = require "loop_testing"
local P = require "process_testing"
local E = require "error_testing"
local memory = require "memory"
local system = require "coutil.system"
local execute, run, suspend = system.execute, system.run, system.suspend
local pack = T.pack

-- Raised, whatever follows in the order of the checks.
local function raises(text, cmd) P.raises(text, execute, cmd) end

-- A call of `execute` that fails, at once and leaving nothing.
local function refused(code, text, ...)
  T.same(pack(T.inside(execute, ...)), { false, text, code })
end

-- Yielding --------------------------------------------------------------------------------------

T.test("unable to yield precedes every check [40 X1] [00 1.4.1] [00 1.4.4] [30 A1]", function ()
  local touched = setmetatable({}, { __index = function () error("touched") end })
  for _, args in ipairs { pack(), pack(nil), pack(true), pack(print), pack("true"), pack("true", {}), pack({}), pack(touched),
                          pack { execfile = "true" }, pack { execfile = "true", stdin = true }, pack { execfile = {} } } do
    T.raises("unable to yield", execute, T.unpack(args, 1, args.n))
  end
  local cmd = { execfile = "true", stdin = "w" }
  T.raises("unable to yield", execute, cmd)
  T.eq(cmd.pid, nil) -- nothing was started
  T.eq(cmd.stdin, "w")
  T.eq(run(), false)
end)

T.test("a coroutine that cannot yield [40 X1] [00 1.4.1] [00 1.4.3] [90 4.12]", function ()
  local cmd = { execfile = "true", stdin = "w" }
  local got
  T.inside(string.gsub, "x", "x", function () got = pack(pcall(execute, cmd)) end)
  T.eq(got[1], false)
  if T.detects_yieldable or T.version == "5.1" then T.eq(got[2], "unable to yield") end
  T.eq(run(), false)
end)

T.test("positions [00 5.1.1] [00 1.4.2] [30 K6] [30 K2]", function ()
  local line2 = T.load("local f, x = ...\nf(x)\nreturn", "=chunk")
  T.eq(E.try(line2, execute, {}), "chunk:2: unable to yield")
  T.eq(E.raised(line2, execute, {}), "chunk:2: bad field execfile (must be a string)")
  T.eq(E.raised(line2, execute), "chunk:2: bad argument #1 to 'f' (table or string expected)")
  T.eq(E.try(execute), "unable to yield")
end)

-- Arguments -------------------------------------------------------------------------------------

T.test("other commands [40 X4] [40 X32]", function ()
  for _, cmd in ipairs { true, false, print, io.stdout, memory.create("true"), coroutine.create(function () end) } do
    P.argument(1, "table or string expected", execute, cmd)
    P.argument(1, "table or string expected", execute, cmd, {}, {})
  end
  P.argument(1, "table or string expected", execute)
  P.argument(1, "table or string expected", execute, nil)
  P.argument(1, "table or string expected", execute, nil, "true")
  T.eq(run(), false)
end)

T.test("arguments of a program [40 X2] [40 X32]", function ()
  P.argument(2, "string expected, got nil", execute, "true", nil)
  P.argument(2, "string expected, got table", execute, "true", {})
  P.argument(3, "string expected, got nil", execute, "true", "a", nil, "b")
  P.argument(4, "string expected, got boolean", execute, "/nonexistent", "a", 2, true)
  P.argument(2, "string expected, got function", execute, "true", print, nil)
  P.argument(5, "string expected, got char[]", execute, "true", "", "", "", memory.create(1))
  T.eq(run(), false)
end)

local tagged = setmetatable({}, {})
local environment_text = "coutil:procesenv expected, got "

-- The fields in the order in which they are examined: wrong values and texts, `argument` where it is about argument #1 (or
-- which one) of the call.
local fields = {
  { "execfile", { { nil, "bad field execfile (must be a string)" }, { false, "bad field execfile (must be a string)" },
    { {}, "bad field execfile (must be a string)" }, { print, "bad field execfile (must be a string)" } } },
  { "runpath", { { false, "bad field runpath (must be a string)" }, { {}, "bad field runpath (must be a string)" },
    { true, "bad field runpath (must be a string)" } } },
  { "stdin", {} }, { "stdout", {} }, { "stderr", {} },
  { "arguments", { { false, 1, "field 'arguments' must be a table" }, { "x", 1, "field 'arguments' must be a table" },
    { 1, 1, "field 'arguments' must be a table" }, { print, 1, "field 'arguments' must be a table" } } },
  { "arguments", { { { "a", {}, true }, "bad value #2 in field 'arguments' (must be a string)" },
    { { false }, "bad value #1 in field 'arguments' (must be a string)" },
    { { 1, 2, 3, print }, "bad value #4 in field 'arguments' (must be a string)" } } },
  { "environment", { { false, 3, environment_text .. "boolean" }, { "A=1", 3, environment_text .. "string" },
    { true, 3, environment_text .. "boolean" }, { print, 3, environment_text .. "function" },
    { memory.create(1), 3, environment_text .. "char[]" },
    { { ["=ENV"] = "x" }, "bad name '=ENV' in environment (cannot contain '=')" },
    { { A = {} }, "bad name 'A' in environment (cannot contain '=')" },
    { { A = true }, "bad name 'A' in environment (cannot contain '=')" } } },
}
for i = 3, 5 do
  local name = fields[i][1]
  fields[i][2] = {
    { true, "bad field " .. name .. " (got true)" }, { "x", "unknown '" .. name .. "' mode char (got 'x')" },
    { "rwx", "unknown '" .. name .. "' mode char (got 'x')" }, { "R", "unknown '" .. name .. "' mode char (got 'R')" },
    { "r w", "unknown '" .. name .. "' mode char (got ' ')" }, { "\255", "unknown '" .. name .. "' mode char (got '\255')" },
    { "s\1r", "unknown '" .. name .. "' mode char (got '\1')" }, { "~r", "unknown '" .. name .. "' mode char (got '~')" },
    { tagged, "bad field " .. name .. " (invalid stream)" }, { memory.create(1), "bad field " .. name .. " (invalid stream)" },
    { system.address("ipv4"), "bad field " .. name .. " (invalid stream)" },
  }
end

local function check(case, cmd)
  if case[3] then P.argument(case[2], case[3], execute, cmd) else raises(case[2], cmd) end
  T.eq(cmd.pid, nil)
end

local titles = { "[40 X5] [40 X32]", "[40 X5]", "[40 X15] [40 X18] [40 X20] [40 X5] [30 K9]", "[40 X15] [40 X18] [40 X20] [40 X5]",
  "[40 X15] [40 X18] [40 X20] [40 X5]", "[40 X5]", "[40 X5] [40 X7]", "[40 X5] [40 Q5] [40 E2] [40 E3]" }
for i, field in ipairs(fields) do
  T.test("wrong values of field " .. field[1] .. ", " .. i .. " " .. titles[i], function ()
    for _, case in ipairs(field[2]) do
      local cmd = { execfile = "/nonexistent" }
      cmd[field[1]] = case[1]
      check(case, cmd)
    end
    T.eq(run(), false)
  end)
end

T.test("the first problem in the order of the fields is told [40 X5] [40 X32]", function ()
  for i = 1, #fields do
    local cmd = { execfile = "true" }
    for k = #fields, i, -1 do
      local case = fields[k][2][1]
      cmd[fields[k][1]] = case[1]
    end
    if i == 1 then cmd.execfile = nil end
    check(fields[i][2][1], cmd)
  end
  T.eq(run(), false)
end)

T.test("a field that is missing does not stop the examination, nor does one that is right [40 X5]", function ()
  raises("unknown 'stderr' mode char (got 'x')", { execfile = "true", runpath = "/", stdin = false, stdout = false, stderr = "x" })
  raises("bad name '=ENV' in environment (cannot contain '=')",
    { execfile = "true", stdout = false, arguments = {}, environment = { ["=ENV"] = "x" } })
  raises("bad field execfile (must be a string)", {})
  raises("bad field execfile (must be a string)", { "true" })
end)

T.test("a hole in the arguments [40 X7] [40 X5]", function ()
  local holed = { "a", "b", "c", "d" }
  holed[2] = nil
  if #holed == 4 then -- 5.5 says 1
    raises("bad value #2 in field 'arguments' (must be a string)", { execfile = "true", arguments = holed })
  end
  if T.number >= 5.2 then
    local long = setmetatable({ "a" }, { __len = function () return 3 end })
    raises("bad value #2 in field 'arguments' (must be a string)", { execfile = "true", arguments = long })
  end
end)

T.test("errors of metamethods are passed on [40 X3] [40 X7]", function ()
  local function failing() error("own error", 0) end
  raises("own error", setmetatable({}, { __index = failing }))
  raises("own error", setmetatable({ execfile = "true" }, { __index = function (_, name)
    if name == "environment" then failing() end
  end }))
  raises("own error", setmetatable({ execfile = "true" }, {
    __index = function (_, name) if name == "stdin" then return "w" end end,
    __newindex = function (_, name) if name == "stdin" then failing() end end,
  }))
  if T.number >= 5.2 then
    raises("own error", { execfile = "true", arguments = setmetatable({}, { __len = failing }) })
    raises("own error", { execfile = "true",
      arguments = setmetatable({}, { __len = function () return 3 end, __index = failing }) })
  end
  T.eq(run(), false)
end)

T.test("streams that are no streams [40 X20]", function ()
  local closers = {}
  local function object(...)
    local o = assert(system.socket(...))
    closers[#closers + 1] = o
    return o
  end
  local values = { object("passive", "ipv4"), object("passive", "local"), object("passive", "share"), object("datagram", "ipv4"),
    object("stream", "share"), (L.pair("share")) }
  if system.packenv then values[#values + 1] = system.packenv {} end
  if system.openfile then
    local file = L.await(system.openfile, "/dev/null", "r")
    closers[#closers + 1] = { close = function () L.await(file.close, file) end }
    values[#values + 1] = file
  end
  for _, name in ipairs { "stdin", "stdout", "stderr" } do
    local object = system[name]
    if object and getmetatable(object).__name ~= "coutil:tcpactive" then values[#values + 1] = object end
  end
  for _, name in ipairs { "stdin", "stdout", "stderr" } do
    for _, value in ipairs(values) do
      raises("bad field " .. name .. " (invalid stream)", { execfile = "true", [name] = value })
    end
  end
  for _, o in ipairs(closers) do o:close() end
  T.eq(run(), false)
end)

T.test("values without a metatable are as false, or refused [40 X20]", function ()
  for _, value in ipairs { {}, 5, print, coroutine.create(function () end) } do
    for _, name in ipairs { "stdin", "stdout", "stderr" } do
      local cmd = { execfile = "true", [name] = value }
      local w = {}
      local co = T.create(function () w.got = pack(execute(cmd)) end)
      local ok, text = coroutine.resume(co)
      if ok then
        L.run()
        T.same(w.got, { "exit", 0 })
      else
        T.eq(tostring(text):find("bad field " .. name .. " (invalid stream)", 1, true) ~= nil, true, text)
      end
    end
  end
end)

-- Processes that cannot start -------------------------------------------------------------------

T.test_if(not P.valgrind, "valgrind starts some of them", "programs that cannot start fail at once [40 X31] [30 K1] [30 K3]", function ()
  P.directory(function (dir)
    P.write(dir .. "/text", "no program")
    P.sh("mkdir " .. dir .. "/folder")
    P.sh("ln -s loop " .. dir .. "/loop")
    P.write(dir .. "/orphan", "#!/nonexistent/interpreter\n")
    P.sh("chmod 755 " .. dir .. "/orphan")
    local cases = {
      { 2, "no such file or directory", { execfile = "/nonexistent" } },
      { 2, "no such file or directory", { execfile = "coutil_no_such_program" } },
      { 2, "no such file or directory", { execfile = dir .. "/folder/missing" } },
      { 2, "no such file or directory", { execfile = dir .. "/orphan" } },
      { 2, "no such file or directory", { execfile = "true", runpath = "/nonexistent" } },
      { 2, "no such file or directory", { execfile = "true", runpath = "" } },
      { 2, "no such file or directory", { execfile = "/bin/sh", runpath = "\0/" } },
      { 13, "permission denied", { execfile = dir .. "/text" } },
      { 13, "permission denied", { execfile = dir .. "/folder" } },
      { 13, "permission denied", { execfile = "/" } },
      { 20, "not a directory", { execfile = dir .. "/text/program" } },
      { 20, "not a directory", { execfile = "true", runpath = dir .. "/text" } },
      { 20, "not a directory", { execfile = "true", runpath = dir .. "/text/folder" } },
      { 40, "too many symbolic links encountered", { execfile = dir .. "/loop" } },
      { 36, "name too long", { execfile = "/" .. ("x"):rep(300) } },
      { 7, "argument list too long", { execfile = "true", arguments = { ("x"):rep(200000) } } },
      { 7, "argument list too long", { execfile = "true", environment = { A = ("x"):rep(200000) } } },
    }
    local zombies = P.proc and P.zombies()
    for _, case in ipairs(cases) do
      local cmd = case[3]
      cmd.pid = "own"
      refused(case[1], case[2], cmd)
      T.eq(cmd.pid, "own")
      cmd.pid = nil
      refused(case[1], case[2], cmd)
      T.eq(cmd.pid, nil)
      if not (cmd.runpath or cmd.arguments or cmd.environment) then refused(case[1], case[2], cmd.execfile, "a", 1) end
      P.integer(pack(T.inside(execute, cmd))[3])
    end
    local got = pack(T.inside(execute, ""))
    T.eq(got[3] == 2 and got[2] == "no such file or directory" or got[3] == 13 and got[2] == "permission denied", true)
    T.eq(run(), false) -- nothing is left
    if zombies then T.eq(P.zombies(), zombies) end
  end)
end)

T.test("a coroutine that fails to start goes on [40 X31] [40 X32]", function ()
  local log = {}
  T.start(function ()
    for i = 1, 3 do
      log[#log + 1] = select(3, execute("/nonexistent"))
      log[#log + 1] = select(2, execute("sh", "-c", "exit " .. i))
    end
    suspend()
    log[#log + 1] = select(3, execute { execfile = "true", runpath = "/nonexistent" })
  end)
  L.run()
  T.same(log, { 2, 1, 2, 2, 2, 3, 2 })
end)

T.test("streams are made before a later check, or the start, fails [40 X22] [40 X31]", function ()
  local function opened(object)
    T.eq(type(object), "userdata")
    T.eq(object:getdomain(), "local")
  end
  local function check_open(cmd)
    for _, name in ipairs { "stdin", "stdout", "stderr" } do opened(cmd[name]) end
    local got = pack(L.await(L.take, cmd.stdout))
    T.eq(got[1], false)
    T.eq(got[3] == 4095 or got[3] == 107, true)
    for _, name in ipairs { "stdin", "stderr" } do
      got = pack(L.await(cmd[name].write, cmd[name], "text"))
      T.eq(got[1], false, name)
      T.eq(got[3] == 32 or got[3] == 9, true, name)
    end
    for _, name in ipairs { "stdin", "stdout", "stderr" } do T.same(pack(cmd[name]:close()), { true }) end
    T.raises("closed object", cmd.stdin.close, cmd.stdin)
  end
  local cmd = { execfile = "/nonexistent", stdin = "w", stdout = "r", stderr = "rw" }
  refused(2, "no such file or directory", cmd)
  check_open(cmd)
  cmd = { execfile = "true", stdin = "w", stdout = "r", stderr = "rw", arguments = false }
  P.argument(1, "field 'arguments' must be a table", execute, cmd)
  check_open(cmd)
  cmd = { execfile = "true", stdin = "w", stdout = "r", stderr = "rw", environment = { ["=ENV"] = "x" } }
  raises("bad name '=ENV' in environment (cannot contain '=')", cmd)
  check_open(cmd)
  cmd = { execfile = "true", stdin = "rw", stdout = "r", stderr = true }
  raises("bad field stderr (got true)", cmd)
  opened(cmd.stdin)
  opened(cmd.stdout)
  T.eq(run(), false)
end)

T.test_if(P.proc, "no /proc", "processes that cannot start leave no descriptor [40 X22] [40 X25]", function ()
  T.eq(L.tidy(function ()
    for _ = 1, 20 do
      local cmd = { execfile = "/nonexistent", stdin = "w", stdout = "rs", stderr = "" }
      refused(2, "no such file or directory", cmd)
      raises("bad field stderr (got true)", { execfile = "true", stdin = "w", stdout = "rs", stderr = true })
      raises("unknown 'stdin' mode char (got 'x')", { execfile = "true", stdin = "wx" })
    end
  end), true)
end)

T.test_child("too many open files [40 X31] [40 X18] [30 K3]", function ()
  local out, how, status = P.script([[
    local system = require "coutil.system"
    coroutine.wrap(function () print(system.execute("true")) end)()
    system.run()
    local files = {}
    repeat
      local file = io.open("/dev/null")
      files[#files + 1] = file
    until not file
    local cmd = { execfile = "true", stdin = "w" }
    coroutine.wrap(function () print(system.execute(cmd)) end)()
    for i = 1, 10 do files[i]:close() end
    coroutine.wrap(function () print(system.execute(cmd)) end)()
    system.run()
  ]], 'ulimit -n 40; exec "$@"')
  T.same({ how, status }, { "exit", 0 }, out)
  T.eq(out, "exit\t0\nfalse\ttoo many open files\t24\nexit\t0\n")
end)

T.done()
