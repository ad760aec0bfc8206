-- Child processes: their standard streams.

local T = require "testing"
local L = require "loop_testing"
local P = require "process_testing"
local memory = require "memory"
local system = require "coutil.system"
local execute, emitsig, run, suspend = system.execute, system.emitsig, system.run, system.suspend
local pack = T.pack

local eof = { false, "end of file", 4095 }
local broken = { false, "broken pipe", 32 }
local unconnected = { false, "socket is not connected", 107 }

local function close(...)
  for i = 1, select("#", ...) do T.same(pack((select(i, ...)):close()), { true }) end
end

-- Nothing given ---------------------------------------------------------------------------------

local links = "readlink /proc/$$/fd/0; readlink /proc/$$/fd/1; readlink /proc/$$/fd/2"
local function lines(text)
  local list = {}
  for line in text:gmatch("[^\n]+") do list[#list + 1] = line end
  return list
end

T.test_if(P.proc, "no /proc", "streams that are not given are the parent's, each for itself [40 X14]", function ()
  local function own(fd) return P.line("readlink /proc/$PPID/fd/" .. fd) end
  local stdin, stdout, stderr = own(0), own(1), own(2)
  local got = lines(P.run(P.shell(links)))
  T.eq(got[1], stdin)
  T.eq(got[3], stderr)
  got = lines(P.run(P.shell('links=$(' .. links .. '); echo "$links" >&2'), "stderr"))
  T.eq(got[1], stdin)
  T.eq(got[2], stdout)
end)

T.test_child("the real descriptors are inherited when the objects and files are closed [40 X14]", function ()
  local out, how, status = P.script([[
    local system = require "coutil.system"
    for _, name in ipairs { "stdin", "stdout", "stderr" } do
      if system[name] then
        if system[name].getdomain then system[name]:close() end
        system[name] = nil
      end
    end
    coroutine.wrap(function ()
      local how, status = system.execute("sh", "-c", "cat; echo out; echo err >&2; exit 4")
      assert(how == "exit" and status == 4)
    end)()
    system.run()
  ]], 'echo in | "$@"')
  T.same({ how, status }, { "exit", 0 }, out)
  T.eq(out, "in\nout\nerr\n")
end)

T.test_child("streams can be swapped [40 X14] [40 X16]", function ()
  P.directory(function (dir)
    local out, how, status = P.script([[
      local system = require "coutil.system"
      local cmd = { execfile = "sh", arguments = { "-c", "echo out; echo err >&2" }, stdout = io.stderr, stderr = io.stdout }
      coroutine.wrap(function () assert(system.execute(cmd) == "exit") end)()
      system.run()
    ]], '"$@" >' .. dir .. "/1 2>" .. dir .. "/2")
    T.same({ how, status }, { "exit", 0 }, out)
    T.eq(P.read(dir .. "/1"), "err\n")
    T.eq(P.read(dir .. "/2"), "out\n")
  end)
end)

-- No stream -------------------------------------------------------------------------------------

T.test("false is the null device [40 X15] [40 Q6]", function ()
  local flood = P.shell("cat; head -c 9216 /dev/zero; head -c 9216 /dev/zero >&2; echo x; exit 9",
    { stdin = false, stdout = false, stderr = false })
  T.same(pack(L.await(execute, flood)), { "exit", 9 })
  T.eq(flood.stdin, false)
  if P.proc then
    T.eq(lines(P.run(P.shell(links, { stdin = false })))[1], "/dev/null")
    local got = lines(P.run(P.shell(links, { stdin = false, stderr = false })))
    T.eq(got[1], "/dev/null")
    T.eq(got[3], "/dev/null")
    got = lines(P.run(P.shell('links=$(' .. links .. '); echo "$links" >&2', { stdout = false }), "stderr"))
    T.eq(got[2], "/dev/null")
  end
end)

-- Files -----------------------------------------------------------------------------------------

T.test("output to files and input from a file are byte exact [40 X16] [40 Q6]", function ()
  local all = {}
  for i = 0, 255 do all[i + 1] = string.char(i) end
  local texts = { "", "Hello, World!", "\0\1\2\3", "one\ntwo\r\n\nlast", table.concat(all), L.pattern(T.scale(300000, 3000)) }
  for _, text in ipairs(texts) do
    for _, name in ipairs { "stdout", "stderr" } do
      local path = os.tmpname()
      P.write(path, text)
      local input = assert(io.open(path, "rb"))
      local cmd = P.shell(name == "stderr" and "cat >&2" or "cat", { stdin = input })
      L.eqtext(P.run(cmd, name), text)
      T.eq(cmd.stdin, input) -- the field stays
      T.eq(io.type(input), "file")
      input:close()
      os.remove(path)
    end
  end
end)

T.test("the position of a file is shared, its buffer is not flushed [40 X16]", function ()
  local path = os.tmpname()
  local file = assert(io.open(path, "w+b"))
  file:setvbuf("full", 4096)
  file:write("abc")
  file:flush()
  file:write("later")
  T.same(pack(L.await(execute, P.shell("printf def; printf ghi >&2", { stdout = file, stderr = file }))), { "exit", 0 })
  T.eq(P.read(path), "abcdefghi")
  file:close()
  T.eq(P.read(path), "abcdefghilater")
  file = assert(io.open(path, "rb"))
  file:setvbuf("no")
  T.same(pack(L.await(execute, P.shell("read x; exit 3", { stdin = file, stdout = file }))), { "exit", 3 }) -- read-only
  file:close()
  P.write(path, "first\nsecond\n")
  file = assert(io.open(path, "rb"))
  T.eq(P.run(P.shell("read x; echo $x", { stdin = file })), "first\n")
  T.eq(P.run(P.shell("read x; echo $x", { stdin = file })), "second\n")
  file:close()
  os.remove(path)
end)

T.test("a file may be closed as soon as the call has suspended [40 X16]", function ()
  local source, path = os.tmpname(), os.tmpname()
  P.write(source, "content")
  local input, output = assert(io.open(source, "rb")), assert(io.open(path, "wb"))
  local w = T.waiter(execute, { execfile = "cat", stdin = input, stdout = output, stderr = output })
  input:close()
  output:close()
  L.run()
  T.same(w.got, { "exit", 0 })
  T.eq(P.read(path), "content")
  os.remove(source)
  os.remove(path)
end)

T.test("a closed file [40 X16] [40 X31]", function ()
  local file = io.tmpfile()
  file:close()
  for _, name in ipairs { "stdin", "stdout", "stderr" } do
    local cmd = { execfile = "true", [name] = file, pid = "own" }
    T.same(pack(T.inside(execute, cmd)), { false, "invalid argument", 22 })
    T.eq(cmd.pid, "own")
  end
  T.eq(run(), false)
end)

T.test("files of io.popen, and those of the io library [40 X16] [40 X35]", function ()
  local pipe = io.popen("echo from a pipe; exit 0")
  T.eq(P.run { execfile = "cat", stdin = pipe, stderr = io.stderr }, "from a pipe\n")
  T.eq((pipe:close()), true)
  local path = os.tmpname()
  pipe = io.popen("cat >" .. path, "w")
  T.same(pack(L.await(execute, { execfile = "echo", arguments = { "to a pipe" }, stdin = io.stdin, stdout = pipe })), { "exit", 0 })
  T.eq((pipe:close()), true)
  T.eq(P.read(path), "to a pipe\n")
  os.remove(path)
end)

-- Sockets ---------------------------------------------------------------------------------------

local domains = { "local" }
for _, domain in ipairs(L.domains) do domains[#domains + 1] = domain end

for _, domain in ipairs(domains) do
  T.test("a " .. domain .. " socket, connected or accepted, for all streams [40 X17] [40 X14] [40 Q6] [40 X27]", function ()
    for which = 1, 2 do
      local a, b = L.pair(domain)
      if which == 2 then a, b = b, a end
      local cmd = P.shell('read x; echo "got $x"; echo error >&2; exit 2', { stdin = b, stdout = b, stderr = b })
      local w = T.waiter(execute, cmd)
      T.eq(rawequal(cmd.stdin, b) and rawequal(cmd.stdout, b) and rawequal(cmd.stderr, b), true)
      L.send(a, "hello\n")
      local out = L.await(L.collect, a, #"got hello\nerror\n")
      T.eq(out, "got hello\nerror\n")
      T.same(w.got, { "exit", 2 })
      -- The object is as open as before.
      L.send(b, "from the object")
      T.eq(L.await(L.take, a), "from the object")
      L.send(a, "to the object")
      T.eq(L.await(L.take, b), "to the object")
      T.same(pack(L.await(b.shutdown, b)), { true })
      T.same(pack(L.await(L.take, a)), eof)
      close(a, b)
    end
  end)

  T.test("a " .. domain .. " socket is blocking for the child, and works in the parent meanwhile [40 X27] [40 X17]", function ()
    local a, b = L.pair(domain)
    local size = T.scale(8 * 2 ^ 20, 2 ^ 20)
    local text = L.pattern(size)
    if P.proc then
      local flags = P.run { execfile = "cat", arguments = { "/proc/self/fdinfo/0" }, stdin = b }
      flags = tonumber(flags:match("flags:%s*(%d+)"), 8)
      T.eq(math.floor(flags / 2048) % 2, 0) -- O_NONBLOCK
    end
    local w = P.sleeper { stdin = b }
    local ticks, written, got = 0, nil, nil
    T.start(function () -- the loop goes on while the write waits
      for _ = 1, 3 do
        suspend()
        ticks = ticks + 1
      end
      got = L.collect(a, size)
      T.same(pack(b:shutdown()), { true })
      T.same(pack(L.take(a)), eof)
      T.eq(emitsig(w.pid, 9), true)
    end)
    T.start(function () written = pack(b:write(text)) end)
    T.eq(run "ready", true)
    L.run()
    T.eq(ticks, 3)
    T.same(written, { true })
    L.eqtext(got, text)
    T.same(w.got, { "TERMINATE", 9 })
    close(a, b)
  end)
end

T.test("closing a socket after it was handed over leaves it to the child [40 X17] [40 X27]", function ()
  local a, b = L.pair("local")
  local w = T.waiter(execute, { execfile = "cat", stdin = b, stdout = b })
  close(b)
  L.send(a, "echoed")
  T.start(function ()
    T.eq(L.collect(a, 6), "echoed")
    T.same(pack(a:shutdown()), { true })
    T.same(pack(L.take(a)), eof)
  end)
  L.run()
  T.same(w.got, { "exit", 0 })
  close(a)
end)

T.test("closed sockets, and fresh ones [40 X17] [40 X31]", function ()
  for _, domain in ipairs(domains) do
    for _, name in ipairs { "stdin", "stdout", "stderr" } do
      local s = system.socket("stream", domain)
      if domain == "local" then
        T.same(pack(T.inside(execute, { execfile = "true", [name] = s })), { false, "invalid argument", 22 })
      elseif P.proc then
        local fd = ({ stdin = 0, stdout = 1, stderr = 2 })[name]
        local path = os.tmpname()
        local cmd = P.shell(('link=$(readlink /proc/$$/fd/%d); echo "$link" >%s'):format(fd, path), { [name] = s })
        T.same(pack(L.await(execute, cmd)), { "exit", 0 })
        T.eq(P.read(path):match("^socket:") ~= nil, true)
        os.remove(path)
        T.same(pack(s:getaddress("peer")), unconnected)
      end
      close(s)
      T.same(pack(T.inside(execute, { execfile = "true", [name] = s })), { false, "invalid argument", 22 })
    end
    local a, b = L.pair(domain)
    close(a, b)
    T.same(pack(T.inside(execute, { execfile = "true", stdin = a, stdout = b })), { false, "invalid argument", 22 })
  end
  T.eq(run(), false)
end)

T.test_if(P.proc, "no /proc", "the child has sockets [40 X24] [40 X18]", function ()
  local cmd = P.shell(links, { stdin = "w", stderr = "" })
  local got = lines(P.run(cmd))
  T.eq(got[1]:match("^socket:") and got[3]:match("^socket:") and true, true)
  T.eq(got[1] ~= got[3], true)
  close(cmd.stdin, cmd.stderr)
end)

T.test("reusing the table passes the parent's end [40 X23] [40 X17] [40 X20]", function ()
  local cmd = { execfile = "true", stdin = "rw", arguments = {} }
  T.same(pack(L.await(execute, cmd)), { "exit", 0 })
  local object = cmd.stdin
  T.eq(object:getdomain(), "local")
  if P.proc then
    cmd.execfile, cmd.arguments = "readlink", { "/proc/self/fd/0" }
    T.eq(P.run(cmd):match("^socket:") ~= nil, true)
  else
    T.same(pack(L.await(execute, cmd)), { "exit", 0 })
  end
  T.eq(rawequal(cmd.stdin, object), true)
  cmd = { execfile = "true", stdin = "rs" }
  T.same(pack(L.await(execute, cmd)), { "exit", 0 })
  P.raises("bad field stdin (invalid stream)", execute, cmd)
  close(object, cmd.stdin)
  -- With the strings again it is as at first.
  cmd = { execfile = "cat" }
  for i = 1, 3 do
    cmd.stdin, cmd.stdout = "w", "r"
    local w = T.waiter(execute, cmd)
    L.send(cmd.stdin, "round " .. i)
    T.start(function () assert(cmd.stdin:shutdown()) end)
    T.eq(L.await(L.collect, cmd.stdout), "round " .. i)
    T.same(w.got, { "exit", 0 })
    close(cmd.stdin, cmd.stdout)
  end
end)

T.test("streams and descriptors are released when they are collected [40 X21] [40 X25] [00 6.4.4]", function ()
  T.eq(L.tidy(function ()
    for _ = 1, 10 do
      local cmd = { execfile = "true", stdin = "w", stdout = "r", stderr = "rws" }
      T.same(pack(L.await(execute, cmd)), { "exit", 0 })
    end
  end), true)
end)

T.test_if(P.proc, "no /proc", "the child has the parent's descriptors that are not close-on-exec, and no others [40 X25] [90 5.2]",
function ()
  local path = os.tmpname()
  local file = io.open(path, "wb")
  local a, b = L.pair("local")
  local c, d = L.pair("ipv4")
  local passive = L.listener("ipv4")
  local reading = T.waiter(c.read, c, memory.create(1))
  local signal = T.waiter(system.awaitsig, "winresize")
  local other = P.sleeper { stdin = "rw", stdout = "rs", stderr = "w" }
  local function inherited()
    local list = {}
    for i = 0, 99 do
      local info = P.read("/proc/self/fdinfo/" .. i)
      if info then
        local flags = tonumber(info:match("flags:%s*(%d+)"), 8)
        if math.floor(flags / 524288) % 2 == 0 then list[#list + 1] = i end -- O_CLOEXEC
      end
    end
    return table.concat(list, " ")
  end
  local out = os.tmpname()
  local cmd = P.shell(("exec >%s; for i in $(seq 0 99); do test -h /proc/$$/fd/$i && echo $i; done; readlink /proc/$$/fd/*; exit 0")
    :format(out), { stdin = "w", stdout = "r", stderr = false })
  local want = inherited()
  local w = T.waiter(execute, cmd)
  T.eq(inherited(), want) -- the streams did not add any
  while not w.got do T.eq(run "step", true) end
  T.same(w.got, { "exit", 0 })
  local got = lines(P.read(out))
  local numbers, holds_file = {}, false
  for _, line in ipairs(got) do
    if line:find("^%d+$") then numbers[#numbers + 1] = line end
    holds_file = holds_file or line == path
  end
  T.eq(table.concat(numbers, " "), want)
  T.eq(holds_file, true)
  os.remove(out)
  os.remove(path)
  file:close()
  T.resume(reading.co)
  T.resume(signal.co)
  P.finish(other)
  close(a, b, c, d, passive, cmd.stdin, cmd.stdout, other.cmd.stdin, other.cmd.stdout, other.cmd.stderr)
end)

T.test("no child keeps the streams of another one open [40 X25]", function ()
  local first = { execfile = "cat", stdin = "w", stdout = "r" }
  local before = P.sleeper()
  local w = T.waiter(execute, first)
  local after = P.sleeper { stdin = "w", stdout = "r" }
  close(first.stdin) -- its only end
  local got
  T.start(function ()
    got = pack(L.take(first.stdout))
    T.eq(emitsig(before.pid, 9), true)
    T.eq(emitsig(after.pid, 9), true)
  end)
  P.steps(function () return got and w.got end)
  T.same(got, eof)
  T.same(w.got, { "exit", 0 })
  L.run()
  T.same(before.got, { "TERMINATE", 9 })
  T.same(after.got, { "TERMINATE", 9 })
  close(first.stdout, after.cmd.stdin, after.cmd.stdout)
end)

T.done()
