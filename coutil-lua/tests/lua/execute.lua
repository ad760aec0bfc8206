-- Child processes: the forms of `execute`, programs, directories, arguments, results.

local T = require "testing"
local L = require "loop_testing"
local P = require "process_testing"
local system = require "coutil.system"
local execute, emitsig, run, suspend = system.execute, system.emitsig, system.run, system.suspend
local pack = T.pack

local function returns(want, ...)
  T.same(pack(L.await(execute, ...)), want)
end

-- Fails without suspending.
local function refused(code, text, ...)
  T.same(pack(T.inside(execute, ...)), { false, text, code })
end

local function shell(status) return P.shell("exit " .. status) end

-- Forms -----------------------------------------------------------------------------------------

T.test("the program and its arguments as arguments [40 X2] [40 X29]", function ()
  returns({ "exit", 0 }, "true")
  returns({ "exit", 1 }, "false")
  returns({ "exit", 0 }, "/bin/sh", "-c", "true")
  returns({ "exit", 7 }, "sh", "-c", "exit $1", "sh", 7)
  returns({ "exit", 0 }, "sh", "-c", 'test "$1" = 2.5 && test "$2" = "" && test $# = 2', "sh", 2.5, "")
  refused(2, "no such file or directory", 987654321) -- a number is the name of a program
end)

T.test("statuses are reported unchanged in both forms [40 Q3] [40 X29]", function ()
  for _, status in ipairs { 0, 1, 2, 3, 42, 126, 127, 128, 129, 255 } do
    returns({ "exit", status }, "/bin/sh", "-c", "exit " .. status)
    local got = pack(L.await(execute, shell(status)))
    T.same(got, { "exit", status })
    P.integer(got[2])
  end
end)

T.test("a table describes the process, further arguments are ignored [40 X3] [30 K10]", function ()
  returns({ "exit", 5 }, shell(5), {}, nil, print, true)
  returns({ "exit", 0 }, { execfile = "true", arguments = { } }, "surplus")
end)

T.test("fields are read and written with metamethods [40 X3]", function ()
  local hidden = { execfile = "cat", arguments = { "/dev/null" }, stdout = "r" }
  returns({ "exit", 0 }, setmetatable({}, { __index = { execfile = "true" } }))
  local reads, writes = {}, {}
  local proxy = setmetatable({}, {
    __index = function (_, name) reads[name] = true; return hidden[name] end,
    __newindex = function (_, name, value) writes[name] = value; hidden[name] = value end,
  })
  local w = T.waiter(execute, proxy)
  T.eq(w.got, nil)
  for _, name in ipairs { "execfile", "runpath", "stdin", "stdout", "stderr", "arguments", "environment" } do
    T.eq(reads[name], true, name)
  end
  T.eq(next(proxy), nil)
  P.integer(writes.pid)
  T.eq(writes.stdout:getdomain(), "local")
  L.run()
  T.same(w.got, { "exit", 0 })
  writes.stdout:close()
end)

T.test("fields that mean nothing are ignored, names of programs may be numbers [40 X6] [40 X5]", function ()
  returns({ "exit", 0 }, { execfile = "true", [1] = 1, flags = {}, env = 3, cwd = false, args = true, [{}] = {}, Stdin = true })
  refused(2, "no such file or directory", { execfile = 987654321 })
  refused(2, "no such file or directory", { execfile = "true", runpath = 987654321 })
end)

T.test("many arguments [40 X6]", function ()
  local list = {}
  for i = 1, 5000 do list[i] = i end
  local text = P.run { execfile = "/bin/sh", arguments = { "-c", "echo $#; shift 4998; echo $*", "sh", T.unpack(list) } }
  T.eq(text, "5000\n4999 5000\n")
end)

T.test("the length and the items of the arguments honour metamethods [40 X7]", function ()
  local function list(values) return setmetatable({}, { __index = values }) end
  if T.number >= 5.2 then
    local few = setmetatable({ "-c", 'echo "$@"', "sh", "a", "b", "c" }, { __len = function () return 5 end })
    T.eq(P.run { execfile = "sh", arguments = few }, "a b\n")
    local lazy = setmetatable({}, { __len = function () return 2 end, __index = function (_, i) return "item" .. i end })
    T.eq(P.run { execfile = "echo", arguments = lazy }, "item1 item2\n")
  end
  T.eq(P.run { execfile = "echo", arguments = list { "unseen" } }, "\n")
  T.eq(P.run { execfile = "echo" }, "\n")
  T.eq(P.run { execfile = "echo", arguments = { "a", 1, [7] = nil, x = "y" } }, "a 1\n")
end)

-- Arguments and program -------------------------------------------------------------------------

local prints = 'for i do printf "<%s>" "$i"; done'

T.test("arguments arrive as they are [40 X8] [40 Q4]", function ()
  local cases = {
    { "f1 f2 f3" }, { '"f1", "f2", "f3"' }, { "f1", "f2", "f3" }, { "" }, { " ", "", "\t\n" }, { "*", "$HOME", "`x`", "\\", "'" },
    { "-n", "--" }, { "\1\127\128\255" }, { ("x"):rep(100000) },
  }
  for _, case in ipairs(cases) do
    local want = {}
    for i, item in ipairs(case) do want[i] = "<" .. item .. ">" end
    T.eq(P.run { execfile = "/bin/sh", arguments = { "-c", prints, "sh", T.unpack(case) } }, table.concat(want))
  end
end)

T.test("arguments, programs and directories end at a NUL [40 X8] [40 Q4] [30 K8]", function ()
  T.eq(P.run { execfile = "/bin/sh", arguments = { "-c\0x", prints, "sh", "f1\0f2\0f3", "\0", "a" } }, "<f1><><a>")
  T.eq(P.run { execfile = "sh\0x", runpath = "/usr\0x", arguments = { "-c", "pwd -P" } }, P.line("cd /usr && pwd -P") .. "\n")
  returns({ "exit", 0 }, "true\0x", "a\0b")
end)

T.test_if(P.proc, "no /proc", "the first argument is the program as given [40 X8]", function ()
  T.eq(P.run { execfile = "cat", arguments = { "/proc/self/cmdline" } }, "cat\0/proc/self/cmdline\0")
  local cat = P.line("command -v cat")
  T.eq(P.run { execfile = cat, arguments = { "/proc/self/cmdline" } }, cat .. "\0/proc/self/cmdline\0")
  T.eq(P.run { execfile = "./cat", runpath = cat:match("^(.*)/"), arguments = { "/proc/self/cmdline" } },
    "./cat\0/proc/self/cmdline\0")
end)

T.test("a name without a slash is searched in the PATH that the child gets [40 X9]", function ()
  P.directory(function (dir)
    for _, name in ipairs { "one", "two", "locked" } do P.sh("mkdir " .. dir .. "/" .. name) end
    P.program(dir .. "/one/coutil_prog", "one")
    P.program(dir .. "/two/coutil_prog", "two")
    P.write(dir .. "/locked/coutil_prog", "not executable")
    P.sh("mkdir -p " .. dir .. "/folder/coutil_prog")
    local function gives(want, path, fields)
      local cmd = fields or {}
      cmd.execfile = "coutil_prog"
      cmd.environment = path and { PATH = path } or cmd.environment
      T.eq(P.run(cmd), want .. "\n", path)
    end
    local function fails(code, path, fields)
      local cmd = fields or {}
      cmd.execfile = "coutil_prog"
      cmd.environment = path and { PATH = path } or cmd.environment
      local got = pack(T.inside(execute, cmd))
      T.eq(got[1], false, path)
      T.eq(got[3], code, path)
    end
    local one, two = dir .. "/one", dir .. "/two"
    gives("one", one)
    gives("one", one .. ":" .. two)
    gives("two", two .. ":" .. one)
    gives("one", "/nonexistent:" .. dir .. "/one/coutil_prog:" .. one) -- neither missing folders nor files end the search
    gives("two", dir .. "/locked:" .. two)
    gives("two", dir .. "/folder:" .. two)
    fails(13, dir .. "/locked")
    fails(13, dir .. "/locked:/nonexistent")
    fails(13, "/nonexistent:" .. dir .. "/locked:" .. dir .. "/one/coutil_prog")
    fails(2, "/nonexistent:" .. dir)
    -- An empty element is the directory of the child.
    for _, path in ipairs { "", ":", ":/nonexistent", "/nonexistent:", "/nonexistent::/nonexistent", "." } do
      gives("one", path, { runpath = one })
      fails(2, path, { runpath = dir })
    end
    gives("two", "two", { runpath = dir })
    -- The environment that counts is that of the child.
    P.environment({ PATH = one .. ":" .. os.getenv("PATH") }, function ()
      gives("one")
      gives("two", two)
      fails(2, "/nonexistent")
      fails(2, nil, { environment = {} })
      fails(2, nil, { environment = { HOME = dir } })
      T.eq(pack(P.output { execfile = "sh", arguments = { "-c", "exit 3" }, environment = {} })[3], 3)
      T.eq(pack(P.output { execfile = "sh", arguments = { "-c", "exit 3" }, environment = system.packenv { A = 1 } })[3], 3)
    end)
    P.environment({ PATH = two }, function () gives("two") end)
    P.environment({ PATH = "/nonexistent" }, function ()
      gives("one", one)
      gives("two", nil, { environment = system.packenv { PATH = two } })
      fails(2)
    end)
    P.environment({ PATH = false }, function ()
      returns({ "exit", 0 }, "true")
      fails(2)
    end)
    -- With a slash there is no search.
    refused(2, "no such file or directory", { execfile = "one/coutil_prog", environment = { PATH = dir }, runpath = "/" })
    T.eq(P.run { execfile = "one/coutil_prog", environment = { PATH = "/nonexistent" }, runpath = dir }, "one\n")
  end)
end)

T.test("the directory of the child [40 X10]", function ()
  local before = system.getdir()
  P.directory(function (dir)
    P.sh("mkdir -p " .. dir .. "/a/b")
    P.program(dir .. "/a/coutil_prog", "in a")
    T.eq(P.run { execfile = "/bin/sh", arguments = { "-c", "pwd -P" }, runpath = dir .. "/a/b" }, dir .. "/a/b\n")
    T.eq(P.run { execfile = "./coutil_prog", runpath = dir .. "/a" }, "in a\n")
    T.eq(P.run { execfile = "../coutil_prog", runpath = dir .. "/a/b" }, "in a\n")
    refused(2, "no such file or directory", { execfile = "./coutil_prog", runpath = dir .. "/a/b" })
    T.eq(system.setdir(dir), true)
    local ok, err = pcall(function ()
      T.eq(P.run { execfile = "./coutil_prog", runpath = "a" }, "in a\n")
      T.eq(P.run { execfile = "/bin/sh", arguments = { "-c", "pwd -P" }, runpath = "a/b" }, dir .. "/a/b\n")
      T.eq(P.run { execfile = "/bin/sh", arguments = { "-c", "pwd -P" } }, dir .. "\n")
      T.eq(P.run { execfile = "a/coutil_prog" }, "in a\n")
      refused(2, "no such file or directory", { execfile = "a/coutil_prog", runpath = "a" })
      T.eq(system.getdir(), dir)
    end)
    system.setdir(before)
    if not ok then error(err, 0) end
  end)
  T.eq(system.getdir(), before)
end)

T.test("a script without an interpreter line [40 X13]", function ()
  P.directory(function (dir)
    P.write(dir .. "/script", "exit 6\n")
    P.sh("chmod 755 " .. dir .. "/script")
    local got = pack(L.await(execute, { execfile = dir .. "/script" }))
    if got[1] then T.same(got, { "exit", 6 }) else T.same(got, { false, "exec format error", 8 }) end
  end)
end)

-- The child's surroundings ----------------------------------------------------------------------

T.test_if(P.proc, "no /proc", "session, group, terminal, limits, umask, credentials and nice value are inherited [40 X12]", function ()
  local own = P.stat()
  local text = P.run { execfile = "cat", arguments = { "/proc/self/stat" } }
  local fields = {}
  for word in text:match("^.*%) (.*)$"):gmatch("%S+") do fields[#fields + 1] = word end
  for i, name in pairs { [4] = "parent", [5] = "process group", [6] = "session", [7] = "terminal", [19] = "nice value" } do
    T.eq(tonumber(fields[i - 2]), i == 4 and P.pid or own[i], name)
  end
  T.eq(P.run { execfile = "cat", arguments = { "/proc/self/limits" } }, P.read("/proc/self/limits"))
  local status, mine = P.run { execfile = "cat", arguments = { "/proc/self/status" } }, P.read("/proc/self/status")
  for _, name in ipairs { "Umask", "Uid", "Gid", "Groups", "CapEff", "CapBnd", "NoNewPrivs" } do
    T.eq(status:match("\n" .. name .. ":[^\n]*"), mine:match("\n" .. name .. ":[^\n]*"), name)
  end
end)

T.test_if(P.proc, "no /proc", "no signal is ignored or blocked in the child [40 X12]", function ()
  local w = T.waiter(system.awaitsig, "userdef1")
  -- Read by the shell itself: while it starts a program it may block signals.
  local shell = P.shell('while read -r line; do echo "$line"; done </proc/$$/status')
  for _, cmd in ipairs { { execfile = "cat", arguments = { "/proc/self/status" } }, shell } do
    local file = os.tmpname()
    local out = io.open(file, "wb")
    cmd.stdout = out
    local done = T.waiter(execute, cmd)
    out:close()
    while not done.got do run "step" end
    local text = P.read(file)
    os.remove(file)
    T.same(done.got, { "exit", 0 })
    T.eq(next(P.signals(text, "SigIgn")), nil)
    T.eq(next(P.signals(text, "SigBlk")), nil)
  end
  T.resume(w.co)
  T.eq(run(), false)
end)

local status_of_child = [[
  local system = require "coutil.system"
  local cmd = { execfile = "cat", arguments = { "/proc/self/status" } }
  coroutine.wrap(function () print(system.execute(cmd)) end)()
  system.run()
]]

T.test_if(P.proc and T.interpreter(), "no /proc, or no interpreter to start",
"signals that the parent ignores or blocks are not so in the child [40 X12]", function ()
  local ignoring = { 1, 2, 3, 13, 10, 12, 15, 20, 28, 34, 64 }
  local shells = { 'trap "" ' .. table.concat(ignoring, " ") .. '; exec "$@"' }
  if P.succeeds("env --block-signal=USR1 true") then shells[2] = 'exec env --block-signal=USR1,USR2,TERM,CHLD "$@"' end
  for i, start in ipairs(shells) do
    if i == 1 then -- it does what it is meant to do
      local out = P.script('io.write(io.open("/proc/self/status"):read("*a"))', start)
      local set = P.signals(out, "SigIgn")
      T.eq(set[10] and set[12] and set[15], true)
    end
    local out, how, status = P.script(status_of_child, start)
    T.same({ how, status }, { "exit", 0 }, out)
    T.eq(out:find("exit\t0\n", 1, true) ~= nil, true, out)
    T.eq(next(P.signals(out, "SigIgn")), nil, start)
    T.eq(next(P.signals(out, "SigBlk")), nil, start)
  end
end)

-- Start and results -----------------------------------------------------------------------------

T.test("the process is started inside the call, which then suspends [40 X28] [00 1.1.1] [30 A2]", function ()
  local cmd = { execfile = "sleep", arguments = { "60" }, stdin = "w", stdout = "r", stderr = false }
  local got
  local co = T.create(function () got = pack(execute(cmd)) end)
  T.same(pack(coroutine.resume(co)), { true })
  T.eq(coroutine.status(co), "suspended")
  P.integer(cmd.pid)
  T.eq(cmd.pid > 1, true)
  T.eq(cmd.stdin:getdomain() .. cmd.stdout:getdomain(), "locallocal")
  T.eq(cmd.stderr, false)
  T.eq(emitsig(cmd.pid, 0), true)
  if P.proc then T.eq(P.stat(cmd.pid)[4], P.pid) end
  T.eq(run "ready", true)
  T.eq(got, nil)
  T.eq(emitsig(cmd.pid, "terminate"), true)
  L.run()
  T.same(got, { "terminate", 15 })
  T.eq(type(cmd.pid), "number") -- stays
  cmd.stdin:close()
  cmd.stdout:close()
end)

T.test("two calls with one table overwrite its pid [40 X28]", function ()
  local cmd = { execfile = "sleep", arguments = { "60" }, stdout = false, pid = "old" }
  local first = T.waiter(execute, cmd)
  local pid = cmd.pid
  local second = T.waiter(execute, cmd)
  T.eq(cmd.pid ~= pid, true)
  T.eq(emitsig(pid, "userdef1"), true)
  T.eq(emitsig(cmd.pid, "userdef2"), true)
  L.run()
  T.same(first.got, { "userdef1", 10 })
  T.same(second.got, { "userdef2", 12 })
end)

T.test("a process that a signal ends: its name and number [40 X30]", function ()
  for _, case in ipairs(P.names) do
    if case[3] == "end" then
      local w = P.sleeper()
      T.eq(emitsig(w.pid, case[1]), true)
      L.run()
      T.eq(w.got[1], case[1])
      P.integer(w.got[2])
      if P.numbers_known then T.same(w.got, { case[1], case[2] }) end
    end
  end
  local w = P.sleeper()
  T.eq(emitsig(w.pid, "TERMINATE"), true)
  L.run()
  T.same(w.got, { "TERMINATE", 9 })
  T.same(pack(L.await(execute, "sh", "-c", "kill -TERM $$")), { "terminate", 15 })
end)

T.test_if(not P.valgrind, "valgrind refuses one", "a process that an unnamed signal ends [40 X30] [40 X12]", function ()
  local list = {}
  for i, number in ipairs(P.unnamed) do
    list[i] = P.sleeper()
    T.eq(emitsig(list[i].pid, number), true)
  end
  L.run()
  for i, number in ipairs(P.unnamed) do T.same(list[i].got, { "signal", number }) end
end)

T.test("seven sleeping children are killed [40 Q7] [40 X36] [40 X30]", function ()
  local signals = { "TERMINATE", "terminate", "interrupt", "quit", "userdef1", "userdef2", 32 }
  local list, done = {}, 0
  for i, signal in ipairs(signals) do
    list[i] = P.sleeper()
    T.start(function ()
      suspend()
      T.eq(emitsig(list[i].pid, signal), true)
      done = done + 1
    end)
  end
  L.run()
  T.eq(done, 7)
  for i, signal in ipairs(signals) do
    T.eq(list[i].got.n, 2)
    T.eq(list[i].got[1], signal == 32 and "signal" or signal)
    P.integer(list[i].got[2])
  end
  T.same(list[7].got, { "signal", 32 })
end)

T.test("stopping and continuing the child does not end the wait [40 X30] [40 G19]", function ()
  local w = P.sleeper()
  for _, signal in ipairs { "STOP", "continue", "STOP", "continue" } do
    local changed = T.waiter(system.awaitsig, "child")
    T.eq(emitsig(w.pid, signal), true)
    while not changed.got do T.eq(run "step", true) end
    T.same(changed.got, { "child" })
    for _ = 1, 5 do T.eq(run "ready", true) end
    T.eq(w.got, nil, signal)
  end
  P.finish(w)
end)

T.test("the example of a time limit [40 X28] [40 X30]", function ()
  local q = { execfile = "sleep", arguments = { "60" } }
  local w = T.waiter(execute, q)
  T.start(function () suspend(.01); system.emitsig(q.pid, "terminate") end)
  L.run()
  T.same(w.got, { "terminate", 15 })
end)

T.test("a loop of steps resumes a coroutine that executes again [40 Q8]", function ()
  local n = 0
  T.start(function ()
    for i = 1, 3 do
      T.same(pack(execute(shell(i))), { "exit", i })
      n = n + 1
    end
  end)
  T.eq(run "step", true)
  T.eq(n, 1)
  T.eq(run "step", true)
  T.eq(n, 2)
  local left = run "step"
  T.eq(n, 3)
  if left then left = run() end
  T.eq(left, false)
end)

T.done()
