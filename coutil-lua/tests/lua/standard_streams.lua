-- The standard streams: which object each kind has, and what is left alone.

local T = require "testing"
local S = require "standard_testing"
local system = require "coutil.system"

local linux = pcall(S.read, "/proc/self/fdinfo/0") or pcall(S.read, "/proc/self/stat")

-- Fields ----------------------------------------------------------------------------------------

S.test("plain fields, filled when the module is loaded [30 D1] [30 D3]", "@ </dev/null >$DIR/out 2>$DIR/err", [[
  start()
  eq(package.loaded["coutil.system"], system)
  for _, name in ipairs { "stdin", "stdout", "stderr" } do
    eq(class(rawget(system, name)), "coutil:file", name)
    eq(system[name].getdomain, nil)
    local object = system[name]
    system[name] = "mine"
    eq(system[name], "mine")
    system[name] = nil
    eq(rawget(system, name), nil)
    system[name] = object
    eq(require("coutil.system")[name], object)
  end
]])

-- Kinds -----------------------------------------------------------------------------------------

local kinds = [[
  start()
  local object = system.stdin
  eq(class(object), %s)
  if object then
    eq(object.getdomain and object:getdomain(), %s)
    eq(await(object.close, object), true)
  end
]]

local function kind(title, shape, name, domain, condition)
  local text = kinds:format(name and ("%q"):format(name) or "nil", domain and ("%q"):format(domain) or "nil")
  T.test_if(T.interpreter() and condition ~= false, "no interpreter to start, or not possible here", title, function ()
    T.eq(S.run(shape, text), "")
  end)
end

kind("a file is a file [30 D3]", "echo x >$DIR/file; @ <$DIR/file", "coutil:file")
kind("the null device is a file [30 D3]", "@ </dev/null", "coutil:file")
kind("any other device is a file [30 D3]", "@ </dev/zero", "coutil:file")
kind("a pipe is a share stream [30 D3]", ": | @", "coutil:pipeshare", "share")
kind("a FIFO is a share stream [30 D3]", "echo x >$DIR/gate & @ <$DIR/gate; wait", "coutil:pipeshare", "share")
kind("a directory is nothing [30 D3]", "@ </", nil)
kind("what is closed is nothing [30 D3] [30 D13]", "@ <&-", nil, nil, S.closable)

local function perl(title, code, name, domain, condition)
  kind(title, S.with_perl(code), name, domain, S.perl and condition ~= false)
end

local ipv6 = S.perl and S.succeeds([[perl -MSocket -e 'socket(A, AF_INET6, SOCK_STREAM, 0) or die;
  bind(A, sockaddr_in6(0, inet_pton(AF_INET6, "::1"))) or die']])
perl("a local socket is a share stream [30 D3]", "socketpair(A, B, AF_UNIX, SOCK_STREAM, 0); dup2(fileno(A), 0)", "coutil:pipeshare", "share")
perl("a local datagram socket is nothing [30 D3]", "socketpair(A, B, AF_UNIX, SOCK_DGRAM, 0); dup2(fileno(A), 0)")
perl("a local packet socket is nothing [30 D3]", "socketpair(A, B, AF_UNIX, 5, 0); dup2(fileno(A), 0)")
perl("a socket of another family is nothing [30 D3]", "socket(A, 16, SOCK_RAW, 0) or die; dup2(fileno(A), 0)")
perl("an unconnected TCP socket is a stream [30 D3]", "socket(A, AF_INET, SOCK_STREAM, 0); dup2(fileno(A), 0)", "coutil:tcpactive", "ipv4")
perl("a listening TCP socket is a stream [30 D3]", "socket(A, AF_INET, SOCK_STREAM, 0); listen(A, 5); dup2(fileno(A), 0)", "coutil:tcpactive", "ipv4")
perl("a TCP socket of IPv6 is a stream [30 D3]", "socket(A, AF_INET6, SOCK_STREAM, 0); dup2(fileno(A), 0)", "coutil:tcpactive", "ipv6", ipv6)
perl("a UDP socket is a datagram socket [30 D3]", "socket(A, AF_INET, SOCK_DGRAM, 0); dup2(fileno(A), 0)", "coutil:udp", "ipv4")
perl("a UDP socket of IPv6 is a datagram socket [30 D3]", "socket(A, AF_INET6, SOCK_DGRAM, 0); dup2(fileno(A), 0)", "coutil:udp", "ipv6", ipv6)
do
  local machine = io.popen("uname -m"):read("*l")
  local call = ({ x86_64 = 291, aarch64 = 20 })[machine]
  perl("an epoll instance is nothing [30 D3]", ("my $e = syscall(%d, 0); die if $e < 0; dup2($e, 0)"):format(call or 0), nil, nil, call ~= nil)
end

-- Warnings --------------------------------------------------------------------------------------

T.test_if(T.number >= 5.4 and T.interpreter(), "no warnings", "a stream without an object is warned of [30 D4]", function ()
  local loads = [[ warn "@on"; start(); eq(system.%s, nil); eq(type(system.run), "function") ]]
  local text = "Lua warning: [coutil] %s: socket type not supported\n"
  T.eq(S.run("@ </", loads:format("stdin")), text:format("stdin"))
  T.eq(S.run("@ 1</ 2>$DIR/err; cat $DIR/err", loads:format("stdout")), text:format("stdout"))
  T.eq(S.run("@ 2</", [[ warn "@on"; start(); eq(system.stderr, nil) ]]), "") -- and cannot be read
  if not S.closable then return end
  local out = S.run("@ <&-", loads:format("stdin"))
  T.eq(out == "Lua warning: [coutil] stdin: socket type not supported\n"
    or out == "Lua warning: [coutil] stdin: bad file descriptor\n", true, out)
end)

S.test("no warning where warnings are off, and nothing fails [30 D4]", "@ </ 1</" .. (S.closable and "; @ <&-" or ""), [[
  start()
  eq(system.stdin, nil)
]])

-- Files -----------------------------------------------------------------------------------------

S.test("a file is read from the position that it has [30 D5]", "printf 'thirteen byte' >$DIR/file; @ <$DIR/file", [[
  start()
  for _, name in ipairs { "close", "flush", "grant", "info", "own", "read", "resize", "touch", "write" } do
    eq(type(system.stdin[name]), "function", name)
  end
  local buffer = memory.create(100)
  eq(await(system.stdin.read, system.stdin, buffer), 13)
  eq(buffer:tostring(1, 13), "thirteen byte")
  eq(await(system.stdin.read, system.stdin, buffer), 0)
  same(pack(await(system.stdin.write, system.stdin, "x")), { false, "bad file descriptor", 9 })
]])

S.test("the position is that of others too [30 D5] [30 D8]", "printf 'one\\ntwo\\nthree\\nfour\\n' >$DIR/file; { read x; @; cat; } <$DIR/file", [[
  start()
  -- The shell has read the first line.
  eq(await(take, system.stdin, 4), "two\n")
  eq(io.read("*l"), "three")             -- and what is behind it, into a buffer
  eq(await(take, system.stdin), "")
  eq(io.stdin:seek("set", 14), 14)
]], "four\n")

S.test("written to the end where the file was opened for that [30 D5]", "echo first >$DIR/file; { @; echo last; } >>$DIR/file; cat $DIR/file", [[
  start()
  eq(await(system.stdout.write, system.stdout, "second\n"), 7)
  local file = io.open(DIR .. "/file", "a")
  file:write("third\n")
  file:close()
  eq(await(system.stdout.write, system.stdout, "fourth\n"), 7)
]], "first\nsecond\nthird\nfourth\nlast\n")

S.test("output and io take turns when flushed [30 D5] [30 D8]", "@ >$DIR/file; cat $DIR/file", [[
  start()
  io.write("a")
  io.flush()
  eq(await(system.stdout.write, system.stdout, "b"), 1)
  io.write("c")
  io.flush()
  os.execute("printf d")
  eq(await(system.stdout.write, system.stdout, "e"), 1)
]], "abcde")

S.test("nothing is buffered together with io [30 D8]", "printf 'abc' | @ | cat", [[
  start()
  eq(io.read(1), "a")                    -- and bc, which are in the buffer of io
  same(pack(await(take, system.stdin)), eof)
  eq(io.read(2), "bc")
  io.stdout:setvbuf("full", 1000)
  io.write("late")
  eq(await(system.stdout.write, system.stdout, "early"), true)
  io.flush()
]], "earlylate")

-- Pipes and sockets -----------------------------------------------------------------------------

S.test("a pipe is read to its end [30 D7]", "echo hi | @", [[
  start()
  eq(await(take, system.stdin), "hi\n")
  for _ = 1, 3 do same(pack(await(take, system.stdin)), eof) end
  eq(system.stdin:close(), true)
]])

S.test("a FIFO is read as data comes [30 D7]", "{ echo one; read x <$DIR/gate; echo two; } | @", [[
  start()
  local got = {}
  T.start(function ()
    got[1] = take(system.stdin)
    got[2] = take(system.stdin, 2)
    got[3] = take(system.stdin)
    got[4] = pack(take(system.stdin))
  end)
  while not got[1] do system.run "step" end
  T.start(function ()
    for _ = 1, 100 do system.suspend() end -- others go on
    eq(got[2], nil)
    open_gate()
  end)
  eq(system.run(), false)
  same({ got[1], got[2], got[3] }, { "one\n", "tw", "o\n" })
  same(got[4], eof)
]])

S.test("a FIFO that nobody has opened for writing again ends [30 D7]", "{ echo one >$DIR/gate; } & @ <$DIR/gate; wait", [[
  start()
  eq(await(take, system.stdin), "one\n")
  same(pack(await(take, system.stdin)), eof)
]])

local flood = [[
  start()
  local size = 1048576
  local text = ("0123456789abcde\n"):rep(size / 16)
  local object = system.stdout
  local w = T.waiter(object.write, object, text)
  local turns = 0
  T.start(function ()
    while turns < 200 do system.suspend(); turns = turns + 1 end
    eq(w.got, nil)                       -- nobody reads yet
    open_gate()
  end)
  eq(system.run(), false)
  same(w.got, { true })
  eq(turns, 200)
]]

local function flooded(out) T.eq(out:match("%d+"), "1048576") end
S.test("a pipe that is full makes nobody else wait [30 D6] [30 D9]", "@ | { read x <$DIR/gate; wc -c; }", flood, flooded)
T.test_if(S.perl and T.interpreter(), "no perl", "a socket that is full makes nobody else wait [30 D6] [30 D9]", function ()
  flooded(S.run(S.with_perl([[socketpair(A, B, AF_UNIX, SOCK_STREAM, 0);
    if (!fork) { dup2(fileno(B), 0); close A; close B; exec("sh", "-c", "read x <\$DIR/gate; wc -c") }
    dup2(fileno(A), 1); close A; close B]]) .. "; wait", flood))
end)

T.test_if(S.perl and T.interpreter(), "no perl", "sockets do what those of their class do [30 D6]", function ()
  T.eq(S.run(S.with_perl([[socket(L, AF_INET, SOCK_STREAM, 0); bind(L, sockaddr_in(0, INADDR_LOOPBACK)); listen(L, 5);
    socket(A, AF_INET, SOCK_STREAM, 0); connect(A, getsockname(L)); accept(B, L); syswrite(B, "hello");
    if (!fork) { close A; sysread(B, $x, 100); syswrite(B, uc $x); shutdown(B, 1); sysread(B, $x, 1); exit }
    dup2(fileno(A), 0); close B; close A]]), [[
    start()
    eq(await(take, system.stdin), "hello")
    eq(await(system.stdin.write, system.stdin, "shout"), true)
    eq(await(take, system.stdin), "SHOUT")
    same(pack(await(take, system.stdin)), eof)
    eq(system.stdin:getaddress("peer").literal, "127.0.0.1")
    eq(system.stdin:setoption("nodelay", true), true)
    eq(await(system.stdin.shutdown, system.stdin), true)
  ]]), "")
  T.eq(S.run(S.with_perl([[socket(A, AF_INET, SOCK_DGRAM, 0); bind(A, sockaddr_in(0, INADDR_LOOPBACK));
    socket(B, AF_INET, SOCK_DGRAM, 0); bind(B, sockaddr_in(0, INADDR_LOOPBACK)); connect(B, getsockname(A)); connect(A, getsockname(B));
    syswrite(B, "datagram"); dup2(fileno(A), 0)]]), [[
    start()
    same(pack(await(take, system.stdin, 100)), { "datagram", false })
    eq(await(system.stdin.write, system.stdin, "x"), true) -- it has a peer
    same(pack(system.stdin:connect(system.address("ipv4", "127.0.0.1", 9))), { false, "socket is already connected", 106 })
  ]]), "")
end)

T.test_child("the share stream receives sockets from a parent [30 D6]", function ()
  local out = S.run("@", [[
    start()
    local lua = T.interpreter()
    local file = assert(io.open(DIR .. "/child.lua", "w"))
    file:write(("package.path, package.cpath = %q, %q\n"):format(package.path, package.cpath), [=[
      local system, memory = require "coutil.system", require "coutil.memory"
      coroutine.wrap(function ()
        assert(system.stdin:getdomain() == "share")
        local buffer = memory.create(100)
        local n, socket = system.stdin:read(buffer)
        assert(n == 4 and socket:getdomain() == "ipv4")
        assert(socket:write("from the child, " .. buffer:tostring(1, n)))
        socket:close()
        assert(system.stdin:write("done"))
      end)()
      system.run()
    ]=])
    file:close()
    local L = require "loop_testing"
    local a, b = L.pair("ipv4")
    local command = { execfile = lua, arguments = { DIR .. "/child.lua" }, stdin = "rws" }
    local log = {}
    T.start(function () log[1], log[2] = system.execute(command) end)
    T.start(function ()
      eq(command.stdin:getdomain(), "share")
      assert(command.stdin:write("take", 1, -1, b))
      b:close()
      log[3] = L.take(a)
      log[4] = select(2, L.take(a))
      log[5] = L.take(command.stdin)
    end)
    system.run()
    same(log, { "exit", 0, "from the child, take", "end of file", "done" })
  ]])
  T.eq(out, "")
end)

-- What is left alone ----------------------------------------------------------------------------

-- Looks at the flags of descriptor `fd` before the module is loaded, then, and after `use` of the object.
local function unchanged(title, shape, fd, use, check)
  T.test_if(linux and T.interpreter(), "no /proc", title, function ()
    local out = S.run(shape, ([=[
      local fd = %d
      local before, others, kinds = flags(fd), descriptors(), signals()
      start()
      eq(flags(fd), before)
      local object = assert(system[({ [0] = "stdin", "stdout", "stderr" })[fd]])
      for other in pairs(descriptors()) do
        if not others[other] then eq(cloexec(other), true, "close-on-exec " .. other) end
      end
      %s
      eq(flags(fd), before)
      eq(await(object.close, object), true)
      eq(flags(fd), before)
      eq(signals(), kinds)
    ]=]):format(fd, use))
    if check then T.eq(out, check) end
  end)
end

local reads = [[ eq(await(take, object, 2), "hi") eq(flags(fd), before) eq(io.read("*l"), " there") ]]
local writes = [[ eq(await(object.write, object, "one ") ~= false, true) eq(flags(fd), before) io.write("two ") io.flush() os.execute("printf three") ]]
unchanged("a pipe to read stays as it was [30 D2] [30 D9]", "echo hi there | @", 0, reads, "")
unchanged("a pipe to write stays as it was [30 D2] [30 D9]", "@ | cat", 1, writes, "one two three")
unchanged("a file to read stays as it was [30 D2] [30 D9]", "echo hi there >$DIR/file; @ <$DIR/file", 0, reads, "")
unchanged("a file to write stays as it was [30 D2] [30 D9]", "@ >$DIR/file; cat $DIR/file", 1, writes, "one two three")
unchanged("standard error stays as it was [30 D2] [30 D9]", "@ 2>&1 >/dev/null | cat", 2, [[
  eq(await(object.write, object, "one "), true)
  io.stderr:write("two")
]], "one two")
if S.perl then
  unchanged("a socket stays as it was [30 D2] [30 D9]",
    S.with_perl [[socketpair(A, B, AF_UNIX, SOCK_STREAM, 0); syswrite(B, "hi there\n"); dup2(fileno(A), 0); close A]], 0, reads, "")
  unchanged("a TCP socket stays as it was [30 D2] [30 D9]", S.with_perl [[
    socket(L, AF_INET, SOCK_STREAM, 0); bind(L, sockaddr_in(0, INADDR_LOOPBACK)); listen(L, 5);
    socket(A, AF_INET, SOCK_STREAM, 0); connect(A, getsockname(L)); accept(B, L); syswrite(B, "hi there\n"); dup2(fileno(A), 0)]],
    0, reads, "")
end

S.test("the descriptors and io go on when the objects are closed [30 D2]", "printf 'a\\nb\\nc\\n' | @ 2>&1 | cat", [[
  start()
  for _, name in ipairs { "stdin", "stdout", "stderr" } do
    eq(system[name]:close(), true)
    T.raises("closed object", system[name].close, system[name])
  end
  eq(io.read("*l"), "a")
  io.write("out ")
  io.flush()
  io.stderr:write("err ")
  os.execute("printf child; printf \" error\" >&2")
]], "out err child error")

T.test_if(linux and T.interpreter(), "no /proc", "a child gets the streams, and nothing else [30 D2]", function ()
  local out = S.run("echo line | @ | cat", [[
    start()
    eq(await(system.suspend), true)
    os.execute("cat; for fd in 3 4 5 6 7 8 9; do test -e /dev/fd/$fd && readlink /dev/fd/$fd | grep -v /fd; done")
  ]])
  T.eq(out, "line\n")
end)

-- In the case that the pipe cannot be opened again.
local stolen = [[
  if MUST_NOT_OPEN then eq(io.open("/proc/self/fd/0"), nil) end
  start()
  if MUST_NOT_OPEN then
    for fd in pairs(descriptors()) do eq(nonblocking(fd), false, "O_NONBLOCK of " .. fd) end
  end
  local got
  T.start(function () got = take(system.stdin) end)
  local turns = 0
  T.start(function ()
    eq(io.read("*l"), "mine")            -- waits for it, and takes it away
    for _ = 1, 200 do system.suspend(); turns = turns + 1 end
    eq(got, nil)
    open_gate()
  end)
  eq(system.run(), false)
  eq(turns, 200)
  eq(got, "yours\n")
]]
local late = "{ echo mine; read x <$DIR/gate; echo yours; } | "
S.test("somebody else may take what was there [30 D9]", late .. "@", stolen)

T.test_if(S.setpriv, "no setpriv(1), or not allowed", "a pipe that cannot be opened once more [30 D9] [30 D7]", function ()
  T.eq(S.run(late .. S.unprivileged .. "@", "MUST_NOT_OPEN = true\n" .. stolen), "")
  flooded(S.run(S.unprivileged .. "@ | { read x <$DIR/gate; wc -c; }", [[ eq(io.open("/proc/self/fd/1", "w"), nil)]] .. flood))
  T.eq(S.run("chmod 600 $DIR/gate; echo hi >$DIR/gate & " .. S.unprivileged .. "@ <$DIR/gate; wait", [[
    eq(io.open(DIR .. "/gate"), nil)
    local before = flags(0)
    start()
    eq(await(take, system.stdin, 2), "hi")
    eq(await(take, system.stdin), "\n")
    same(pack(await(take, system.stdin)), eof)
    eq(flags(0), before)
  ]]), "")
end)

S.test("a child that makes the streams blocking disturbs nothing [30 D9]", "{ read x <$DIR/gate; echo hi; } | @ | cat", [[
  start()
  local w = T.waiter(take, system.stdin)
  local turns = 0
  T.start(function ()
    same(pack(system.execute("true")), { "exit", 0 })
    eq(system.stdout:write("out "), true)
    same(pack(system.execute("sh", "-c", "printf 'child '")), { "exit", 0 })
    eq(system.stdout:write("more"), true)
    for _ = 1, 200 do system.suspend(); turns = turns + 1 end
    eq(w.got, nil)
    open_gate()
  end)
  eq(system.run(), false)
  eq(turns, 200)
  same(w.got, { "hi\n" })
]], "out child more")

-- The objects -----------------------------------------------------------------------------------

S.test("each state has objects of its own, and closes only those [30 D10]", "printf 'one\ntwo\n' | @ 2>$DIR/err | cat", [[
  start()
  local threads = require "coutil.threads"
  local pool = threads.create(2)
  local chunk = [=[
    require "_G"
    local system, coroutine, name = require "coutil.system", require "coroutine", ...
    assert(getmetatable(system.stdin).__name == "coutil:pipeshare")
    local done
    coroutine.wrap(function () done = system.stdout:write(name .. "\n") end)()
    system.run()
    assert(done == true and system.stdin:close() and system.stdout:close())
  ]=]
  for i = 1, 8 do assert(pool:dostring(chunk, "=task", "t", "task " .. i)) end
  pool:close()
  eq(await(take, system.stdin), "one\ntwo\n")
  eq(await(system.stdout.write, system.stdout, "main\n"), true)
  eq(system.stdout:close(), true)
  io.write("io\n")
  io.flush()
]], function (out)
  local lines = {}
  for line in out:gmatch "[^\n]+" do table.insert(lines, line) end
  T.eq(table.concat(lines, ",", 9), "main,io")
  table.sort(lines)
  T.eq(table.concat(lines, ","), "io,main,task 1,task 2,task 3,task 4,task 5,task 6,task 7,task 8")
end)

T.test_if(linux and T.interpreter(), "no /proc", "the objects hold nothing back, and are collected [30 D11] [30 D10]", function ()
  T.eq(S.run("{ read x <$DIR/gate; } | @ 2>&1 | cat", [[
    local before = count()
    start()
    eq(system.run(), false)
    eq(count() - before, 3)
    local w = T.waiter(system.stdin.read, system.stdin, memory.create(10))
    system.run "ready"
    T.resume(w.co, "cancelled")
    same(w.got, { "cancelled" })
    eq(system.run(), false)
    local open = count()
    system.stdin, system.stdout, system.stderr, w = nil
    T.scrub()
    T.gc()
    eq(open - count(), 3)
    for fd = 0, 2 do eq(type(flags(fd)), "number") end
    open_gate()
    local file = io.open(DIR .. "/file", "w")
    eq(system.run(), false)
    file:write("still open")
    file:close()
    eq(whole(DIR .. "/file"), "still open")
  ]]), "")
end)

S.test("closed while somebody reads [30 D11]", "{ read x <$DIR/gate; } | @", [[
  start()
  local w = T.waiter(take, system.stdin)
  system.run "ready"
  eq(system.stdin:close(), true)
  same(w.got, { false, "closed" })
  eq(system.run(), false)
  open_gate()
]])

-- SIGPIPE ---------------------------------------------------------------------------------------

local function sigpipe(shape)
  local out, report = S.run(shape, [[
    local before = signals()
    start()
    eq(signals(), before)
    local got
    repeat got = pack(await(system.stdout.write, system.stdout, "x")) until got[1] ~= true
    same(got, broken)
    same(pack(await(system.stdout.write, system.stdout, ("x"):rep(100000))), broken)
    eq(signals(), before)
    say("survived")
  ]])
  T.eq(out, "")
  T.eq(report, "survived\nexit 0\n")
end

T.test_if(linux and T.interpreter(), "no /proc", "a write to a broken pipe raises no signal [30 D12]", function ()
  sigpipe("@ | true")
  sigpipe("trap '' PIPE; @ | true")
end)
T.test_if(linux and S.setpriv, "no setpriv(1)", "nor to one that cannot be opened again [30 D12]", function ()
  sigpipe(S.unprivileged .. "@ | true")
end)
T.test_if(linux and S.perl and T.interpreter(), "no perl", "nor to a socket [30 D12]", function ()
  sigpipe(S.with_perl "socketpair(A, B, AF_UNIX, SOCK_STREAM, 0); close B; dup2(fileno(A), 1)")
end)

local default = S.succeeds("sh -c 'kill -PIPE $$'; test $? = 141") -- not ignored here
T.test_if(default and T.interpreter(), "SIGPIPE is ignored", "the signal is as it was for others [30 D12]", function ()
  -- The first broken write is ours, the second one of io, which dies.
  local _, report = S.run("@ | true", [[
    start()
    repeat until await(system.stdout.write, system.stdout, "x") ~= true
    local file = io.popen("{ (trap - PIPE; sh -c 'while echo x; do :; done' 2>/dev/null; echo $? >&2) | true; } 2>&1")
    say("child " .. file:read("*a"))
    file:close()
    io.write("x")
    io.flush()
    say("not killed")
  ]], 141)
  T.eq(report, "child 141\n\nexit 141\n")
end)

-- Processes that were started -------------------------------------------------------------------

-- Writes a program that reads once and answers; returns a command for it.
local ends = [=[
  start()
  local function command(more)
    local file = assert(io.open(DIR .. "/child.lua", "w"))
    file:write(("package.path, package.cpath = %q, %q\n"):format(package.path, package.cpath), [[
      local system, memory = require "coutil.system", require "coutil.memory"
      coroutine.wrap(function ()
        local buffer = memory.create(1000)
        local n = assert(system.stdin:read(buffer))
        assert(system.stdout:write("got " .. n .. " bytes: " .. buffer:tostring(1, n)))
      end)()
      system.run()
    ]])
    file:close()
    more.execfile, more.arguments = T.interpreter(), { DIR .. "/child.lua" }
    return more
  end
]=]

S.test("a started process reads and writes files [30 Z1]", "@", ends .. [=[
  local input = assert(io.open(DIR .. "/in", "w"))
  input:write("all of a small file\n")
  input:close()
  input = assert(io.open(DIR .. "/in"))
  local output = assert(io.open(DIR .. "/out", "w"))
  local w = T.waiter(system.execute, command { stdin = input, stdout = output })
  input:close()
  output:close()
  eq(system.run(), false)
  same(w.got, { "exit", 0 })
  eq(whole(DIR .. "/out"), "got 20 bytes: all of a small file\n")
]=])

S.test("a started process reads and writes streams [30 Z2]", "@", ends .. [=[
  local started = command { stdin = "w", stdout = "r" }
  local w = T.waiter(system.execute, started)
  local buffer, log = memory.create(1000), {}
  T.start(function ()
    same(pack(started.stdin:write("a line")), { true })
    log[1] = started.stdout:read(buffer)
    log[2] = buffer:tostring(1, log[1])
    log[3] = select(2, take(started.stdout))
  end)
  eq(system.run(), false)
  same(w.got, { "exit", 0 })
  same(log, { 19, "got 6 bytes: a line", "end of file" })
]=])

S.test("only the object of a TCP socket can be passed on [40 X20] [40 X14]", "echo hi | @ 2>$DIR/err | cat", [[
  start()
  eq(class(system.stdout), "coutil:pipeshare")
  eq(class(system.stderr), "coutil:file")
  for _, name in ipairs { "stdin", "stdout", "stderr" } do
    local ok, text = coroutine.resume(T.create(system.execute), { execfile = "true", [name] = system[name] })
    eq(ok, false)
    if not text:find("bad field " .. name .. " (invalid stream)", 1, true) then error(text) end
  end
  same(pack(await(system.execute, "cat")), { "exit", 0 }) -- nothing given: the descriptors
]], "hi\n")

T.test_if(S.perl and T.interpreter(), "no perl", "a TCP socket as a stream can be passed on [40 X17] [30 D6]", function ()
  T.eq(S.run(S.with_perl [[socket(L, AF_INET, SOCK_STREAM, 0); bind(L, sockaddr_in(0, INADDR_LOOPBACK)); listen(L, 5);
    socket(A, AF_INET, SOCK_STREAM, 0); connect(A, getsockname(L)); accept(B, L); syswrite(B, "hello\n"); close B; dup2(fileno(A), 0)]],
    [[
    start()
    same(pack(await(system.execute, { execfile = "cat", stdin = system.stdin })), { "exit", 0 })
  ]]), "hello\n")
end)

-- Closed ones -----------------------------------------------------------------------------------

-- What opens descriptors of all kinds.
local busy = [=[
  start()
  local names = { [0] = "stdin", "stdout", "stderr" }
  for fd = 0, 2 do
    if closed[fd] then eq(system[names[fd]], nil, names[fd]) else eq(type(system[names[fd]]), "userdata", names[fd]) end
  end
  local function low()
    for fd = 0, 2 do eq(flags(fd) == nil, closed[fd] or false, "descriptor " .. fd) end
  end
  low()
  local passive = assert(system.socket("passive", "ipv4"))
  assert(passive:bind(system.address("ipv4", "127.0.0.1", 0)))
  assert(passive:listen(5))
  low()
  local udp, path = system.socket("datagram", "ipv4"), system.socket("passive", "local")
  assert(path:bind(DIR .. "/socket") and path:listen(1))
  low()
  local log = {}
  T.start(function ()
    local s = assert(passive:accept())
    low()
    assert(s:write("data"))
    s:close()
  end)
  T.start(function ()
    local s = system.socket("stream", "ipv4")
    assert(s:connect(passive:getaddress()))
    low()
    log[1] = take(s)
    local l = system.socket("stream", "local")
    assert(l:connect(DIR .. "/socket"))
    low()
    assert(system.suspend(0.001) == true)
    local addresses = assert(system.findaddr("localhost", "0", "s4"))
    low()
    local file = assert(system.openfile(DIR .. "/text.lua"))
    eq(file:read(memory.create(8)), 8)
    low()
    assert(file:close())
    local command = { execfile = "sh", arguments = { "-c", "echo out; exit 3" }, stdin = false, stdout = "r", stderr = false }
    local how, status = system.execute(command)
    log[2] = take(command.stdout)
    low()
    log[3] = how .. status
  end)
  eq(system.run(), false)
  low()
  same(log, { "data", "out\n", "exit3" })
  -- A closed stream is nobody's.
  if closed[1] then
    local file = io.open(DIR .. "/other", "w")
    io.write("lost")
    file:close()
  end
]=]

T.test_if(linux and S.closable, "no /proc, or no streams closed", "no descriptor of ours gets the number of a closed stream [30 D13] [30 D3]", function ()
  for set = 1, 7 do
    local shape, closed = "@ ", {}
    for fd = 0, 2 do
      if math.floor(set / 2 ^ fd) % 2 == 1 then
        shape = shape .. fd .. (fd == 0 and "<&- " or ">&- ")
        closed[#closed + 1] = "[" .. fd .. "] = true"
      elseif fd == 0 then
        shape = shape .. "</dev/null "
      end
    end
    local ok, text = pcall(S.run, shape, "closed = { " .. table.concat(closed, ", ") .. " }\n" .. busy)
    if not ok then error(shape .. ": " .. text, 0) end
  end
end)

T.test_if(linux and S.closable, "no /proc, or no streams closed", "what takes the number of a closed stream is none [30 D13]", function ()
  T.eq(S.run("@ <&-", [=[
    start()
    local file = assert(io.open(DIR .. "/text.lua"))
    eq(flags(0) ~= nil, true)
    local co = assert(require "coutil.coroutine".load "return require 'coutil.system'.stdin == nil")
    local got
    coroutine.wrap(function () got = pack(system.resume(co)) end)()
    eq(system.run(), false)
    same(got, { true, true })
    file:close()
  ]=]), "")
end)

T.done()
