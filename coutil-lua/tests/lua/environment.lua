-- Environments: of this process, packed ones, and those of child processes.

local T = require "testing"
local L = require "loop_testing"
local P = require "process_testing"
local memory = require "memory"
local system = require "coutil.system"
local getenv, setenv, packenv, unpackenv = system.getenv, system.setenv, system.packenv, system.unpackenv
local pack = T.pack

local undefined = { false, "no such file or directory", 2 }
local invalid = { false, "invalid argument", 22 }

local function count(t)
  local n = 0
  for _ in pairs(t) do n = n + 1 end
  return n
end

-- The same keys and values.
local function eqtables(got, want)
  for k, v in pairs(want) do T.eq(got[k], v, tostring(k)) end
  T.eq(count(got), count(want))
end

-- What a child with this environment prints: a table, and the text.
local function child(environment)
  local text = P.run { execfile = "/usr/bin/env", environment = environment }
  local got = {}
  for name, value in text:gmatch("([^=\n]*)=([^\n]*)\n") do got[name] = value end
  return got, text
end

-- getenv and setenv -----------------------------------------------------------------------------

T.test("setting, getting, deleting [40 V4] [40 V6] [40 V7]", function ()
  T.returns({ true }, setenv, "COUTIL_TEST", "value")
  T.returns({ "value" }, getenv, "COUTIL_TEST")
  T.eq(os.getenv("COUTIL_TEST"), "value")
  T.returns({ true }, setenv, "COUTIL_TEST", "other", "surplus")
  T.returns({ "other" }, getenv, "COUTIL_TEST", "surplus")
  T.eq(os.getenv("COUTIL_TEST"), "other")
  T.returns({ true }, setenv, "COUTIL_TEST", 12)
  T.returns({ "12" }, getenv, "COUTIL_TEST")
  T.returns({ true }, setenv, "COUTIL_TEST", 2.5)
  T.returns({ "2.5" }, getenv, "COUTIL_TEST")
  T.returns({ true }, setenv, "COUTIL_TEST", "")
  T.returns({ "" }, getenv, "COUTIL_TEST")
  T.eq(os.getenv("COUTIL_TEST"), "")
  T.eq(getenv().COUTIL_TEST, "")
  for _ = 1, 2 do
    T.returns({ true }, setenv, "COUTIL_TEST", nil)
    T.returns(undefined, getenv, "COUTIL_TEST")
    T.eq(os.getenv("COUTIL_TEST"), nil)
    T.eq(getenv().COUTIL_TEST, nil)
  end
  T.returns({ true }, setenv, 123, "number")
  T.returns({ "number" }, getenv, 123)
  T.returns({ "number" }, getenv, "123")
  T.returns({ true }, setenv, 123, nil)
  T.returns(undefined, getenv, 123)
end)

T.test("values of any bytes and any length [40 V4] [40 Q9] [40 V6]", function ()
  local bytes = {}
  for i = 1, 255 do bytes[i] = string.char(i) end
  for _, value in ipairs { ("x"):rep(1024), ("="):rep(1023), table.concat(bytes), (L.pattern(100000):gsub(P.nul, "0")) } do
    T.returns({ true }, setenv, "COUTIL_TEST", value)
    L.eqtext(getenv("COUTIL_TEST"), value)
    L.eqtext(os.getenv("COUTIL_TEST"), value)
    L.eqtext(getenv().COUTIL_TEST, value)
  end
  setenv("COUTIL_TEST", nil)
end)

T.test("names and values end at a NUL [30 K8]", function ()
  T.returns({ true }, setenv, "COUTIL_TEST\0x", "value\0x")
  T.returns({ "value" }, getenv, "COUTIL_TEST\0y")
  T.returns({ "value" }, getenv, "COUTIL_TEST")
  T.returns({ true }, setenv, "COUTIL_TEST\0=", nil)
  T.returns(undefined, getenv, "COUTIL_TEST")
  T.returns(invalid, setenv, "\0COUTIL_TEST", "x")
end)

T.test("names that are none [40 V8] [40 V5]", function ()
  for _, name in ipairs { "", "=", "COUTIL_TEST=", "=COUTIL_TEST", "COUTIL=TEST" } do
    T.returns(invalid, setenv, name, "x")
    T.returns(invalid, setenv, name, nil)
    T.returns(undefined, getenv, name)
  end
  P.integer(select(3, setenv("", "x")))
  T.returns({ true }, setenv, "COUTIL_TEST", "=a=b=")
  T.returns({ "=a=b=" }, getenv, "COUTIL_TEST")
  T.eq(os.getenv("COUTIL_TEST"), "=a=b=")
  T.eq(getenv().COUTIL_TEST, "=a=b=")
  setenv("COUTIL_TEST", nil)
end)

T.test("the quirk of the C function [40 V5]", function ()
  T.returns(undefined, getenv, "COUTIL_TEST=abc")
  setenv("COUTIL_TEST", "abc=def")
  T.returns({ "def" }, getenv, "COUTIL_TEST=abc")
  T.returns(undefined, getenv, "COUTIL_TEST=ab")
  T.returns(undefined, getenv, "COUTIL_TEST=abc=def")
  setenv("COUTIL_TEST", "abc")
  T.returns(undefined, getenv, "COUTIL_TEST=abc")
  setenv("COUTIL_TEST", nil)
  T.returns(undefined, getenv, "COUTIL_TEST=abc")
end)

T.test("all variables [40 V1] [40 V3] [40 V2]", function ()
  setenv("COUTIL_TEST", "here")
  local got = pack(getenv())
  T.eq(got.n, 1)
  T.eq(type(got[1]), "table")
  T.eq(getmetatable(got[1]), nil)
  T.eq(got[1] == getenv(), false) -- a new one
  for name, value in pairs(got[1]) do
    T.eq(type(name) .. type(value), "stringstring")
    T.eq(name:find("=", 1, true), nil)
    if name ~= "" then
      T.eq(os.getenv(name), value, name)
      T.returns({ value }, getenv, name)
    end
  end
  T.eq(got[1].COUTIL_TEST, "here")
  setenv("COUTIL_TEST", "changed")
  T.eq(got[1].COUTIL_TEST, "here")
  setenv("COUTIL_TEST", nil)
end)

T.test_if(P.succeeds("env -0") and not P.valgrind, "no env -0, or valgrind", "all variables are what other programs see [40 V1] [40 V3] [40 X11]", function ()
  setenv("COUTIL_TEST", "line 1\nline 2=x\n")
  setenv("COUTIL_EMPTY", "")
  local shells = { _ = true, PWD = true, OLDPWD = true, SHLVL = true } -- a shell is in between
  local function compare(text, but)
    local theirs, ours = {}, getenv()
    for entry in text:gmatch("([^" .. P.nul .. "]+)" .. P.nul) do
      local name, value = entry:match("^([^=]*)=(.*)$")
      if name and not theirs[name] then theirs[name] = value end
    end
    for name, value in pairs(theirs) do if not but[name] then T.eq(ours[name], value, name) end end
    for name, value in pairs(ours) do if not but[name] then T.eq(theirs[name], value, name) end end
    T.eq(theirs.COUTIL_EMPTY, "")
  end
  compare(P.sh("env -0"), shells)
  compare(P.run { execfile = "env", arguments = { "-0" } }, {}) -- nobody in between
  setenv("COUTIL_TEST", nil)
  setenv("COUTIL_EMPTY", nil)
end)

T.test("into a table that is given [40 V2] [30 K10]", function ()
  setenv("COUTIL_TEST", "new")
  local t = { COUTIL_TEST = "old", other = 1, [1] = "first" }
  local got = pack(getenv(t, "surplus", {}))
  T.eq(got.n, 1)
  T.eq(rawequal(got[1], t), true)
  T.eq(t.COUTIL_TEST, "new")
  T.eq(t.other, 1)
  T.eq(t[1], "first")
  T.eq(t.PATH, os.getenv("PATH"))
  T.eq(count(t), count(getenv()) + 2)
  local seen = {}
  local proxy = setmetatable({}, { __newindex = function (_, name, value) seen[name] = value end })
  T.eq(rawequal(getenv(proxy), proxy), true)
  T.eq(next(proxy), nil)
  eqtables(seen, getenv())
  local failing = setmetatable({}, { __newindex = function () error("own error", 0) end })
  P.raises("own error", getenv, failing)
  local redirected = setmetatable({}, { __newindex = {} })
  T.eq(rawequal(getenv(redirected), redirected), true)
  T.eq(getmetatable(redirected).__newindex.COUTIL_TEST, "new")
  setenv("COUTIL_TEST", nil)
end)

T.test("arguments of getenv [40 V1] [40 V4] [40 Q9]", function ()
  P.argument(1, "string expected, got nil", getenv, nil)
  P.argument(1, "string expected, got boolean", getenv, true)
  P.argument(1, "string expected, got boolean", getenv, false, {})
  P.argument(1, "string expected, got function", getenv, print)
  P.argument(1, "string expected, got thread", getenv, coroutine.create(function () end))
  P.argument(1, "string expected, got char[]", getenv, memory.create(1))
  P.argument(1, "string expected, got coutil:procesenv", getenv, packenv {})
end)

T.test("arguments of setenv [40 V6] [40 Q9]", function ()
  local values = { { "boolean", true }, { "boolean", false }, { "function", print }, { "thread", coroutine.create(function () end) },
    { "char[]", memory.create(1) }, { "table", {} } }
  for _, value in ipairs(values) do
    P.argument(1, "string expected, got " .. value[1], setenv, value[2], "x")
    P.argument(1, "string expected, got " .. value[1], setenv, value[2])
    P.argument(2, "string expected, got " .. value[1], setenv, "COUTIL_TEST", value[2])
    P.argument(2, "string expected, got " .. value[1], setenv, "", value[2]) -- before the name is looked at
  end
  P.argument(1, "string expected, got no value", setenv)
  P.argument(1, "string expected, got nil", setenv, nil, "x")
  P.argument(2, "string expected, got no value", setenv, "COUTIL_TEST")
  T.returns(undefined, getenv, "COUTIL_TEST")
end)

T.test("children see every change [40 V6] [40 X11]", function ()
  P.environment({ COUTIL_TEST = "set", COUTIL_OTHER = false }, function ()
    local got = child()
    T.eq(got.COUTIL_TEST, "set")
    T.eq(got.COUTIL_OTHER, nil)
    T.eq(P.line("echo $COUTIL_TEST"), "set")
    setenv("COUTIL_TEST", nil)
    T.eq(child().COUTIL_TEST, nil)
  end)
end)

T.test_child("duplicates: the first wins [40 V3] [40 E5]", function ()
  local script = P.source [[
    local system = require "coutil.system"
    local value = os.getenv("COUTIL_TEST")
    assert(value == "x" or value == "y")
    assert(system.getenv("COUTIL_TEST") == value)
    assert(system.getenv().COUTIL_TEST == value)
    assert(system.getenv({}).COUTIL_TEST == value)
    print(value)]]
  local environment = getenv()
  environment["COUTIL_TEST\0" .. "1"], environment["COUTIL_TEST\0" .. "2"] = "x", "y"
  local text = P.run { execfile = T.interpreter(), arguments = { script }, environment = environment }
  T.eq(text == "x\n" or text == "y\n", true)
  os.remove(script)
end)

-- Packed environments ---------------------------------------------------------------------------

T.test("packing and unpacking [40 Q10] [40 E1] [40 E3] [40 E7] [40 E9]", function ()
  local t = { A = "1", B = "two words", EMPTY = "", LONG = ("x"):rep(10000), ["with space"] = "=x=", [""] = "nameless" }
  local env = packenv(t, "surplus")
  for name, value in pairs(t) do T.eq(env[name], value) end
  T.eq(env.missing, nil)
  T.eq(env.a, nil)
  local got = pack(unpackenv(env))
  T.eq(got.n, 1)
  eqtables(got[1], t)
  T.eq(unpackenv(env) == got[1], false)
  eqtables(unpackenv(packenv {}), {})
  env = packenv { N = 3, F = 2.5, S = "3", NUL = "a\0b" }
  T.eq(env.N, "3")
  T.eq(env.F, "2.5")
  T.eq(env.NUL, "a")
  eqtables(unpackenv(env), { N = "3", F = "2.5", S = "3", NUL = "a" })
  local many = {}
  for i = 1, T.scale(2000, 50) do many["name" .. i] = "value" .. i end
  eqtables(unpackenv(packenv(many)), many)
end)

T.test("a packed environment is a snapshot, made without metamethods [40 E1]", function ()
  local t = setmetatable({ A = "1" }, { __index = { B = "2" }, __pairs = function () error("called") end })
  local env = packenv(t)
  t.A, t.C = "changed", "3"
  T.eq(env.A, "1")
  T.eq(env.B, nil)
  T.eq(env.C, nil)
  T.eq(T.collected(function (watch) watch(packenv(watch {})) end), true)
  for _, value in ipairs { { "nil", nil }, { "string", "A=1" }, { "boolean", true }, { "coutil:procesenv", env } } do
    P.argument(1, "table expected, got " .. value[1], packenv, value[2])
  end
  P.argument(1, "table expected, got no value", packenv)
end)

T.test("names with an equals sign, values that are neither strings nor numbers [40 E2] [40 E3] [40 Q5]", function ()
  local function bad(name) return "bad name '" .. name .. "' in environment (cannot contain '=')" end
  P.raises(bad "=ENV", packenv, { ["=ENV"] = "x" })
  P.raises(bad "A=", packenv, { ["A="] = "x" })
  P.raises(bad "A=B", packenv, { ["A=B"] = 1 })
  P.raises(bad "A=B", packenv, { ["A=B\0x"] = 1 })
  for _, value in ipairs { true, false, {}, print, io.stdout, coroutine.create(function () end) } do
    P.raises(bad "NAME", packenv, { NAME = value })
  end
  T.eq(packenv({ ["A\0=B"] = "x" }).A, "x") -- the name is cut first
end)

T.test("keys that are no strings [40 E4]", function ()
  for _, t in ipairs { { "x" }, { [2.5] = "x" }, { [-1] = "x" } } do
    local got = L.message(packenv, t)
    T.eq(got:find("invalid key to 'next'", 1, true) ~= nil, true, got)
  end
  for _, key in ipairs { true, print, {}, io.stdout, coroutine.create(function () end) } do
    T.eq((pcall(packenv, { [key] = "x" })), false)
  end
end)

T.test("names that become equal [40 E5] [40 Q5]", function ()
  local t = { ["ENV_VAR\0_01"] = "1", ["ENV_VAR\0_02"] = "2", ["ENV_VAR\0_03"] = "3", OTHER = "o" }
  local first, last
  for name, value in next, t do
    if name ~= "OTHER" then
      first = first or value
      last = value
    end
  end
  local env = packenv(t)
  T.eq(env.ENV_VAR, first)
  for name in pairs(t) do if name ~= "OTHER" then T.eq(env[name], nil) end end -- a name with a NUL never matches
  T.eq(env.OTHER, "o")
  T.eq(env["OTHER\0"], nil)
  eqtables(unpackenv(env), { ENV_VAR = last, OTHER = "o" })
  for _, environment in ipairs { env, t } do
    local lines = {}
    for line in P.run({ execfile = "/usr/bin/env", environment = environment }):gmatch("[^\n]+") do lines[#lines + 1] = line end
    table.sort(lines)
    T.same(lines, { "ENV_VAR=1", "ENV_VAR=2", "ENV_VAR=3", "OTHER=o" })
  end
end)

T.test("the class [40 E6]", function ()
  local env, same = packenv { A = "1" }, packenv { A = "1" }
  T.eq(type(env), "userdata")
  if T.number >= 5.3 then T.eq(tostring(env):find("coutil:procesenv: ", 1, true), 1) end
  local meta = getmetatable(env)
  T.eq(meta.__name, "coutil:procesenv")
  T.eq(type(meta.__index), "function")
  for name in pairs(meta) do T.eq(name == "__name" or name == "__index", true, name) end
  T.eq(getmetatable(same), meta)
  T.eq(env == same, false)
  T.eq(env == env, true)
  for _, f in ipairs { function () env.A = 1 end, function () env[1] = nil end, function () return #env end, function () return next(env) end,
                       function () for _ in pairs(env) do error("iterated") end end, function () return env() end,
                       function () return env .. "" end } do
    local ok, text = pcall(f)
    T.eq(ok, false)
    T.eq(tostring(text):find("iterated", 1, true), nil)
  end
  T.raises("attempt to", function () env.A = 1 end)
  T.raises("attempt to", function () return #env end)
  T.eq(env.A, "1")
end)

T.test("indexing [40 E7]", function ()
  local env = packenv { A = "B=C", ["1"] = "one", ["2.5"] = "x" }
  local function get(name) return env[name] end
  T.eq(env[1], "one")
  T.eq(env[2.5], "x")
  T.eq(env[2], nil)
  T.eq(env["A\0"], nil)
  T.eq(L.message(get, "A=B"), "bad argument #2 to 'index' (cannot contain '=')")
  T.eq(L.message(get, "="), "bad argument #2 to 'index' (cannot contain '=')")
  T.eq(L.message(get, true), "bad argument #2 to 'index' (string expected, got boolean)")
  T.eq(L.message(get, {}), "bad argument #2 to 'index' (string expected, got table)")
  T.eq(L.message(get, nil), "bad argument #2 to 'index' (string expected, got nil)")
  local index = getmetatable(env).__index
  T.eq(index(env, "A"), "B=C")
  P.argument(1, "coutil:procesenv expected, got table", index, {}, "A")
  P.argument(1, "coutil:procesenv expected, got char[]", index, memory.create(1), "A")
end)

T.test("unpacking into a table [40 E8] [40 E9] [40 Q10]", function ()
  local env = packenv { A = "1", B = "2" }
  local t = { A = "old", other = 1, [1] = "first" }
  local got = pack(unpackenv(env, t, {}, "surplus"))
  T.eq(got.n, 1)
  T.eq(rawequal(got[1], t), true)
  eqtables(t, { A = "1", B = "2", other = 1, [1] = "first" })
  local seen = {}
  local proxy = setmetatable({}, { __newindex = function (_, name, value) seen[name] = value end })
  T.eq(rawequal(unpackenv(env, proxy), proxy), true)
  T.eq(next(proxy), nil)
  eqtables(seen, { A = "1", B = "2" })
  P.raises("own error", unpackenv, env, setmetatable({}, { __newindex = function () error("own error", 0) end }))
  P.argument(2, "table expected, got nil", unpackenv, env, nil)
  P.argument(2, "table expected, got string", unpackenv, env, "x", {})
  P.argument(2, "table expected, got coutil:procesenv", unpackenv, env, env)
  for _, value in ipairs { { "nil", nil }, { "table", {} }, { "string", "A=1" }, { "char[]", memory.create(1) } } do
    P.argument(1, "coutil:procesenv expected, got " .. value[1], unpackenv, value[2])
    P.argument(1, "coutil:procesenv expected, got " .. value[1], unpackenv, value[2], false)
  end
  P.argument(1, "coutil:procesenv expected, got no value", unpackenv)
end)

-- Environments of children ----------------------------------------------------------------------

T.test("a child has exactly the variables that are given [40 X11] [40 Q5] [40 E1] [40 E3]", function ()
  local cases = { {}, { A = "1" }, { A = "1", B = "x y", EMPTY = "", N = 3, F = 2.5 }, { HOME = "/elsewhere" } }
  for _, vars in ipairs(cases) do
    local want = {}
    for name, value in pairs(vars) do want[name] = tostring(value) end
    local cmd = { execfile = "/usr/bin/env", environment = vars }
    local text = P.run(cmd)
    T.eq(rawequal(cmd.environment, vars), true) -- the field keeps the table
    local n = 0
    for name, value in text:gmatch("([^=\n]*)=([^\n]*)\n") do
      n = n + 1
      T.eq(value, want[name], name)
    end
    T.eq(n, count(want))
    local env = packenv(vars)
    eqtables((child(env)), want)
  end
  T.eq(P.run { execfile = "/usr/bin/env", environment = {} }, "")
  T.eq(P.run { execfile = "/bin/sh", arguments = { "-c", 'echo "${HOME-unset} ${COUTIL-unset}"' }, environment = { COUTIL = "set" } },
    "unset set\n")
  local order = {}
  local t = setmetatable({ A = "1" }, { __index = { B = "2" }, __pairs = function () order[1] = true end })
  T.eq(P.run { execfile = "/usr/bin/env", environment = t }, "A=1\n")
  T.eq(order[1], nil)
end)

T.test("the environment is taken when the process starts [40 X11] [40 X28]", function ()
  P.environment({ COUTIL_TEST = "before" }, function ()
    local cmd = P.shell("read x; echo $COUTIL_TEST; echo $OWN", { stdin = "w" })
    cmd.environment = { COUTIL_TEST = "own", OWN = "own" }
    local other = P.shell("read x; echo $COUTIL_TEST", { stdin = "w", stdout = "r" })
    local w = T.waiter(system.execute, other)
    setenv("COUTIL_TEST", "after")
    T.start(function () other.stdin:write("\n") end)
    T.eq(L.await(L.collect, other.stdout), "before\n")
    T.same(w.got, { "exit", 0 })
    cmd.stdout = "r"
    w = T.waiter(system.execute, cmd)
    cmd.environment.OWN = "changed"
    T.start(function () cmd.stdin:write("\n") end)
    T.eq(L.await(L.collect, cmd.stdout), "own\nown\n")
    T.same(w.got, { "exit", 0 })
  end)
end)

T.done()
