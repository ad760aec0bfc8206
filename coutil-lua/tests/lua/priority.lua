-- Priorities of processes, and the working directory.

local T = require "testing"
local L = require "loop_testing"
local P = require "process_testing"
local memory = require "memory"
local system = require "coutil.system"
local getpriority, setpriority, getdir, setdir = system.getpriority, system.setpriority, system.getdir, system.setdir
local pack = T.pack

local gone = { false, "no such process", 3 }
local values = { highest = -20, high = -14, above = -7, normal = 0, below = 10, low = 19 }
local function named(value)
  for name, v in pairs(values) do if v == value then return name end end
  return "other"
end

-- Priorities ------------------------------------------------------------------------------------

T.test("the own priority [40 O1]", function ()
  local name, value = getpriority(0)
  P.integer(value)
  T.eq(name, named(value))
  T.returns({ name, value }, getpriority, P.pid)
  T.returns({ name, value }, getpriority, tostring(P.pid), "surplus")
  if P.proc then T.eq(value, P.stat()[19]) end
  T.returns({ true }, setpriority, 0, value) -- no change
  T.returns({ name, value }, getpriority, 0)
  if P.has("ps") then T.eq(value, tonumber(P.line("ps -o ni= -p " .. P.pid)) or value) end
end)

T.test("of a child, by number and by name [40 O1] [40 O2] [40 O5] [40 O6]", function ()
  local w = P.sleeper()
  local _, first = getpriority(0)
  T.returns({ named(first), first }, getpriority, w.pid) -- inherited, and at once
  local function set(value, number)
    T.returns({ true }, setpriority, w.pid, value, "surplus")
    T.returns({ named(number), number }, getpriority, w.pid)
    P.integer(select(2, getpriority(w.pid)))
    if P.proc then T.eq(P.stat(w.pid)[19], number) end
  end
  if first <= 0 then
    if first == 0 then set(1, 1) else set(0, 0); set("normal", 0); set(1, 1) end
    for _, value in ipairs { 2, 3, 9 } do set(value, value) end
    set("below", 10)
    set(11, 11)
    set("low", 19)
    set(19, 19)
  end
  T.same(pack(getpriority(0)), { named(first), first }) -- only the child's
  P.finish(w)
  T.returns(gone, getpriority, w.pid)
  T.returns(gone, setpriority, w.pid, 19)
end)

local privileged = P.sleeper()
local may_raise = setpriority(privileged.pid, -20)
P.finish(privileged)

T.test_if(may_raise, "no privilege to raise priorities", "the whole range [40 O1] [40 O2]", function ()
  local w = P.sleeper()
  for value = -20, 19 do
    T.returns({ true }, setpriority, w.pid, value)
    T.returns({ named(value), value }, getpriority, w.pid)
    if P.proc then T.eq(P.stat(w.pid)[19], value) end
  end
  for name, value in pairs(values) do
    T.returns({ true }, setpriority, w.pid, name)
    T.returns({ name, value }, getpriority, w.pid)
  end
  P.finish(w)
end)

T.test_if(not may_raise, "nothing is forbidden", "raising without privilege [40 O4]", function ()
  local w = P.sleeper()
  T.returns({ true }, setpriority, w.pid, 19)
  T.returns({ false, "permission denied", 13 }, setpriority, w.pid, "highest")
  P.finish(w)
end)

T.test_if(T.interpreter() and P.has("setpriv") and P.succeeds("setpriv --reuid 65534 --clear-groups true"), "no setpriv",
"what another user may not [40 O4]", function ()
  local out = P.script([[
    local found, system = pcall(require, "coutil.system")
    if not found then print "cannot load" return end
    print(system.setpriority(0, 10))
    print(system.setpriority(0, 5))
    print(system.setpriority(1, 19))]], 'exec setpriv --reuid 65534 --clear-groups "$1" - < "$2"')
  -- The interpreter or the library may be where that user cannot read.
  if out:find("^true") then
    T.eq(out, "true\nfalse\tpermission denied\t13\nfalse\toperation not permitted\t1\n")
  end
end)

T.test("a process that is not there, also for numbers that do not fit [40 O1] [40 O4] [40 G21]", function ()
  T.returns(gone, getpriority, P.nobody)
  T.returns(gone, setpriority, P.nobody, "low")
  T.returns(gone, setpriority, P.nobody, 0)
  P.integer(select(3, getpriority(P.nobody)))
  local _, own = getpriority(0)
  for _, pid in ipairs { 2 ^ 31, 2 ^ 32, 2 ^ 32 + P.pid, -2 ^ 31 - 1, -2 ^ 32, T.integers and math.maxinteger or 2 ^ 52,
                         T.integers and math.mininteger or -2 ^ 52 } do
    T.returns(gone, getpriority, pid)
    T.returns(gone, setpriority, pid, own)
  end
end)

T.test("arguments come before the process [40 O2] [40 O3] [00 5.2.2] [00 5.2.3]", function ()
  for _, pid in ipairs { 0, P.pid, P.nobody, 2 ^ 40 } do
    for _, value in ipairs { -21, 20, 1000, T.integers and math.maxinteger or 2 ^ 40, T.integers and math.mininteger or -2 ^ 40 } do
      P.argument(2, "out of range", setpriority, pid, value)
    end
    for _, name in ipairs { "other", "5", "0", "", "Normal", "lowest", "idle" } do
      P.argument(2, "invalid option '" .. name .. "'", setpriority, pid, name)
    end
    if T.integers then
      P.argument(2, "invalid option '5.0'", setpriority, pid, 5.0)
      P.argument(2, "invalid option '0.0'", setpriority, pid, 0.0)
    end
    P.argument(2, "invalid option '0.5'", setpriority, pid, 0.5)
    P.argument(2, "string expected, got no value", setpriority, pid)
    P.argument(2, "string expected, got nil", setpriority, pid, nil)
    P.argument(2, "string expected, got table", setpriority, pid, {})
    P.argument(2, "string expected, got boolean", setpriority, pid, true)
    P.argument(2, "string expected, got char[]", setpriority, pid, memory.create(1))
  end
  for _, f in ipairs { getpriority, setpriority } do
    P.argument(1, "number expected, got no value", f)
    P.argument(1, "number expected, got nil", f, nil, {})
    P.argument(1, "number expected, got string", f, "x", "other")
    P.argument(1, "number expected, got table", f, {}, 20)
    P.argument(1, "number has no integer representation", f, 1.5, 20)
    P.argument(1, "number has no integer representation", f, "1.5", 20)
    P.argument(1, "number has no integer representation", f, 2 ^ 80, 20)
  end
end)

T.test("names end at a NUL [30 K8]", function ()
  T.returns(gone, setpriority, P.nobody, "low\0x")
end)

T.test_if(P.proc, "no /proc", "a child that has ended and is not yet waited for [40 O6] [40 X34]", function ()
  local cmd = P.shell "exit 3"
  local w = T.waiter(system.execute, cmd)
  P.dead(cmd.pid)
  T.returns({ true }, setpriority, cmd.pid, "low")
  T.returns({ "low", 19 }, getpriority, cmd.pid)
  L.run()
  T.same(w.got, { "exit", 3 })
  T.returns(gone, setpriority, cmd.pid, "low")
end)

T.test("the child of a child with a priority of its own inherits it [40 X12]", function ()
  if P.has("nice") then
    local _, own = getpriority(0)
    if own == 0 and T.interpreter() then
      local out, how, status = P.script([[
        local system = require "coutil.system"
        print(system.getpriority(0))
        local cmd = { execfile = "nice" }
        coroutine.wrap(function () print(system.execute(cmd)) end)()
        system.run()
      ]], 'exec nice -n 7 "$@"')
      T.same({ how, status }, { "exit", 0 }, out)
      local lines = {}
      for line in out:gmatch("[^\n]+") do lines[#lines + 1] = line end
      table.sort(lines)
      T.same(lines, { "7", "exit\t0", "other\t7" })
    end
  end
end)

-- Directories -----------------------------------------------------------------------------------

local start = getdir()

-- Calls `f` in the directory.
local function inside(path, f)
  T.returns({ true }, setdir, path)
  local ok, err = pcall(f)
  local back = pack(setdir(start))
  if not ok then error(err, 0) end
  T.same(back, { true })
end

T.test("the directory is absolute and that of this process [40 W1]", function ()
  T.returns({ start }, getdir)
  T.returns({ start }, getdir, "surplus")
  T.eq(start:sub(1, 1), "/")
  T.eq(start == "/" or start:sub(-1) ~= "/", true)
  T.eq(start, P.line("pwd -P"))
  if P.proc then T.eq(start, P.line("readlink /proc/$PPID/cwd")) end
end)

T.test("changing it [40 W2] [40 W3] [40 W1]", function ()
  P.directory(function (dir)
    P.sh("mkdir -p " .. dir .. "/a/b; ln -s a/b " .. dir .. "/link")
    inside(dir, function ()
      T.eq(getdir(), dir)
      T.eq(P.line("pwd -P"), dir) -- of the process
      P.write("file", "text")
      T.eq(P.read(dir .. "/file"), "text")
      T.returns({ true }, setdir, "a", "surplus")
      T.eq(getdir(), dir .. "/a")
      T.returns({ true }, setdir, "./b/")
      T.eq(getdir(), dir .. "/a/b")
      T.returns({ true }, setdir, "../..//link/.")
      T.eq(getdir(), dir .. "/a/b")
      T.returns({ true }, setdir, "..\0x")
      T.eq(getdir(), dir .. "/a")
      T.returns({ true }, setdir, "/")
      T.eq(getdir(), "/")
      T.returns({ true }, setdir, "/usr/")
      T.eq(getdir(), P.line("cd /usr && pwd -P"))
    end)
    P.sh("mkdir -p '" .. dir .. "/" .. ("x"):rep(200) .. "/" .. ("y"):rep(200) .. "/" .. ("z"):rep(200) .. "'")
    local long = dir .. "/" .. ("x"):rep(200) .. "/" .. ("y"):rep(200) .. "/" .. ("z"):rep(200)
    inside(long, function () T.eq(getdir(), long) end)
    P.sh("mkdir " .. dir .. "/77")
    inside(dir, function ()
      T.returns({ true }, setdir, 77) -- a number is a name
      T.eq(getdir(), dir .. "/77")
    end)
  end)
  T.eq(getdir(), start)
end)

T.test("directories that are none [40 W2] [30 K1]", function ()
  P.directory(function (dir)
    P.write(dir .. "/file", "")
    T.returns({ false, "no such file or directory", 2 }, setdir, "")
    T.returns({ false, "no such file or directory", 2 }, setdir, "\0/")
    T.returns({ false, "no such file or directory", 2 }, setdir, dir .. "/missing")
    T.returns({ false, "not a directory", 20 }, setdir, dir .. "/file")
    T.returns({ false, "not a directory", 20 }, setdir, dir .. "/file/x")
    T.returns({ false, "name too long", 36 }, setdir, dir .. "/" .. ("x"):rep(300))
    P.integer(select(3, setdir("")))
  end)
  T.eq(getdir(), start)
  P.argument(1, "string expected, got no value", setdir)
  P.argument(1, "string expected, got nil", setdir, nil)
  P.argument(1, "string expected, got table", setdir, {})
  P.argument(1, "string expected, got boolean", setdir, true)
end)

T.test("a directory that was deleted [40 W1] [00 4.4]", function ()
  P.directory(function (dir)
    inside(dir, function ()
      assert(os.remove(dir))
      T.eq(L.message(getdir), "no such file or directory")
      T.eq((pcall(T.load("local f = ...\nlocal x = f()\nreturn x", "=chunk"), getdir)), false)
      local _, text = pcall(T.load("local f = ...\nlocal x = f()\nreturn x", "=chunk"), getdir)
      T.eq(text, "chunk:2: no such file or directory")
    end)
  end)
  T.eq(getdir(), start)
end)

T.done()
