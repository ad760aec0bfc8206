-- Child processes: the streams that `execute` makes.

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
local names = { "stdin", "stdout", "stderr" }

local function close(...)
  for i = 1, select("#", ...) do T.same(pack((select(i, ...)):close()), { true }) end
end

-- Makes ------------------------------------------------------------------------------------------

T.test("letters in any order and number make objects that replace the strings [40 X18] [40 X19] [30 K8]", function ()
  local strings = { "r", "w", "rw", "wr", "", "rrr", "wrw", "s", "rs", "sr", "wsr", "ssww", "r\0x", "\0", "w\0r" }
  for _, name in ipairs(names) do
    for _, text in ipairs(strings) do
      local cmd = { execfile = "true", [name] = text }
      local w = T.waiter(execute, cmd)
      local object = cmd[name]
      local shared = text:find("s", 1, true)
      T.eq(type(object), "userdata", text)
      T.eq(object:getdomain(), shared and "share" or "local", text)
      T.eq(getmetatable(object).__name, shared and "coutil:pipeshare" or "coutil:pipeactive", text)
      L.run()
      T.same(w.got, { "exit", 0 })
      T.eq(rawequal(cmd[name], object), true)
      close(object)
      T.raises("closed object", object.getaddress, object)
    end
  end
end)

T.test("what the letters do not permit [40 X18]", function ()
  local permitted = { r = { read = true }, w = { write = true }, rw = { read = true, write = true }, [""] = {} }
  for letters, can in pairs(permitted) do
    for _, share in ipairs { "", "s" } do
      local w = P.sleeper { stdin = letters .. share, stdout = share .. letters, stderr = letters }
      local log, n = {}, 0
      T.start(function ()
        for _, name in ipairs(names) do
          local object = w.cmd[name]
          local got = { name = name }
          if not can.read then got.read = pack(object:read(memory.create(8))) end
          got.write = pack(object:write("text"))
          got.shutdown = pack(object:shutdown())
          n = n + 1
          log[n] = got
        end
        T.eq(emitsig(w.pid, 9), true)
      end)
      L.run()
      T.same(w.got, { "TERMINATE", 9 })
      T.eq(n, 3)
      for _, got in ipairs(log) do
        if not can.read then T.same(got.read, unconnected, letters .. " read") end
        T.same(got.write, can.write and { true } or broken, letters .. " write")
        T.same(got.shutdown, can.write and { true } or unconnected, letters .. " shutdown")
      end
      for _, name in ipairs(names) do close(w.cmd[name]) end
    end
  end
end)

T.test("each stream in each direction [40 X18] [40 X21] [40 X29]", function ()
  -- The parent reads what the child writes to 0, 1 or 2, and writes what the child reads there.
  for i, name in ipairs(names) do
    local fd = i - 1
    local cmd = P.shell(("echo out >&%d; exit 1"):format(fd), { stdin = false, stdout = false, stderr = false })
    cmd[name] = "r"
    local w = T.waiter(execute, cmd)
    T.eq(L.await(L.collect, cmd[name]), "out\n")
    T.same(w.got, { "exit", 1 })
    close(cmd[name])
    cmd = P.shell(("read x <&%d; test \"$x\" = in || exit 9; cat <&%d >/dev/null; exit 2"):format(fd, fd),
      { stdin = false, stdout = false, stderr = false })
    cmd[name] = "w"
    w = T.waiter(execute, cmd)
    L.send(cmd[name], "in\n")
    T.start(function () T.same(pack(cmd[name]:shutdown()), { true }) end)
    L.run()
    T.same(w.got, { "exit", 2 })
    close(cmd[name])
    cmd = P.shell(("read x <&%d; echo \"<$x>\" >&%d; cat <&%d >&%d; exit 3"):format(fd, fd, fd, fd),
      { stdin = false, stdout = false, stderr = false })
    cmd[name] = "rw"
    w = T.waiter(execute, cmd)
    L.send(cmd[name], "in\n")
    L.send(cmd[name], "more")
    T.start(function () T.same(pack(cmd[name]:shutdown()), { true }) end)
    T.eq(L.await(L.collect, cmd[name]), "<in>\nmore")
    T.same(w.got, { "exit", 3 })
    close(cmd[name])
  end
end)

T.test("the example of a filter [40 X18] [40 X21] [40 X28]", function ()
  local p = { execfile = "sort", stdin = "w", stdout = "r", environment = { LC_ALL = "C", PATH = os.getenv("PATH") } }
  local w = T.waiter(execute, p)
  local text
  T.start(function ()
    T.same(pack(p.stdin:write("b\na\n")), { true })
    T.same(pack(p.stdin:shutdown()), { true })
    local buffer = memory.create(64)
    local n = p.stdout:read(buffer)
    text = buffer:tostring(1, n)
  end)
  L.run()
  T.eq(text, "a\nb\n")
  T.same(w.got, { "exit", 0 })
  close(p.stdin, p.stdout)
end)

T.test("closing is the end of the child's input as well [40 X21]", function ()
  local cmd = { execfile = "cat", stdin = "w", stdout = "r" }
  local w = T.waiter(execute, cmd)
  local got
  T.start(function ()
    T.same(pack(cmd.stdin:write("last words")), { true })
    close(cmd.stdin)
    got = pack(L.collect(cmd.stdout))
  end)
  L.run()
  T.same(got, { "last words" })
  T.same(w.got, { "exit", 0 })
  close(cmd.stdout)
end)

T.test("what was written stays readable after the end, then comes the end of file [40 X21]", function ()
  local cmd = P.shell("printf 'first '; printf second; printf problem >&2; exit 8", { stdout = "r", stderr = "r", stdin = "w" })
  T.same(pack(L.await(execute, cmd)), { "exit", 8 })
  T.eq(L.await(L.collect, cmd.stdout), "first second")
  T.eq(L.await(L.take, cmd.stderr), "problem")
  for _ = 1, 2 do
    T.same(pack(L.await(L.take, cmd.stdout)), eof)
    T.same(pack(L.await(L.take, cmd.stderr)), eof)
  end
  T.same(pack(L.await(cmd.stdin.write, cmd.stdin, "unheard")), broken)
  close(cmd.stdin, cmd.stdout, cmd.stderr)
  T.eq(run(), false)
end)

T.test("a child that writes to a stream that the parent closed [40 X21] [40 X12]", function ()
  local cmd = { execfile = "cat", arguments = { "/dev/zero" }, stdout = "r" }
  local w = T.waiter(execute, cmd)
  close(cmd.stdout)
  L.run()
  T.same(w.got, { "brokenpipe", 13 })
  cmd = { execfile = "cat", arguments = { "/dev/zero" }, stdout = "r" }
  w = T.waiter(execute, cmd)
  T.start(function ()
    T.eq(L.take(cmd.stdout, 10), ("\0"):rep(10))
    close(cmd.stdout)
  end)
  L.run()
  T.same(w.got, { "brokenpipe", 13 })
end)

T.test("a read that waits is told when the stream is closed by the parent [00 1.3.7] [40 X21]", function ()
  local w = P.sleeper { stdout = "r" }
  local reading = T.waiter(w.cmd.stdout.read, w.cmd.stdout, memory.create(1))
  T.eq(run "ready", true)
  T.eq(reading.got, nil)
  close(w.cmd.stdout)
  T.same(reading.got, { false, "closed" })
  P.finish(w)
end)

T.test("the process's own end counts, not that of its streams [40 X33] [40 X21]", function ()
  local cmd = P.shell("sleep 60 & echo $!", { stdout = "r", stdin = false })
  local ended, pid, text
  T.start(function ()
    ended = pack(execute(cmd))
    pid = tonumber(L.take(cmd.stdout)) -- of the heir, which has the stream open
    T.eq(emitsig(pid, 0), true)
    suspend()
    T.eq(emitsig(pid, "terminate"), true)
    text = L.collect(cmd.stdout)
  end)
  L.run()
  T.same(ended, { "exit", 0 })
  T.eq(type(pid), "number")
  T.eq(text, "")
  close(cmd.stdout)
end)

T.test("a child that closes its streams and goes on [40 X33] [40 X21]", function ()
  local cmd = P.shell("echo bye; exec sleep 60 >&- 2>&- <&-", { stdin = "w", stdout = "r", stderr = "r" })
  local w = T.waiter(execute, cmd)
  local got, waiting
  T.start(function ()
    got = pack(L.collect(cmd.stdout), L.collect(cmd.stderr))
    waiting = w.got == nil
    T.eq(emitsig(cmd.pid, "hangup"), true)
  end)
  L.run()
  T.same(got, { "bye\n", "" })
  T.eq(waiting, true)
  T.same(w.got, { "hangup", 1 })
  close(cmd.stdin, cmd.stdout, cmd.stderr)
end)

-- Much data -------------------------------------------------------------------------------------

T.test("a flood through a filter [40 X21] [40 X26] [40 X27]", function ()
  local size = T.scale(4 * 2 ^ 20, 2 ^ 18)
  local text = L.pattern(size)
  local cmd = { execfile = "cat", stdin = "w", stdout = "r" }
  local w = T.waiter(execute, cmd)
  local written
  T.start(function ()
    written = pack(cmd.stdin:write(text))
    T.same(pack(cmd.stdin:shutdown()), { true })
  end)
  L.eqtext(L.await(L.collect, cmd.stdout), text)
  T.same(written, { true })
  T.same(w.got, { "exit", 0 })
  close(cmd.stdin, cmd.stdout)
end)

T.test("a flood on both outputs [40 X21] [40 X26]", function ()
  local size = T.scale(2 ^ 20, 2 ^ 17)
  local cmd = P.shell(("head -c %d /dev/zero & head -c %d /dev/zero | tr '\\0' x >&2; wait"):format(size, size),
    { stdin = false, stdout = "r", stderr = "r" })
  local w = T.waiter(execute, cmd)
  local out, err = T.waiter(L.collect, cmd.stdout), T.waiter(L.collect, cmd.stderr)
  L.run()
  L.eqtext(out.got[1], ("\0"):rep(size))
  L.eqtext(err.got[1], ("x"):rep(size))
  T.same(w.got, { "exit", 0 })
  close(cmd.stdout, cmd.stderr)
end)

T.test("neither reads nor writes stop the loop [40 X26] [40 X27]", function ()
  local w = P.sleeper { stdin = "w", stdout = "r" }
  local reading = T.waiter(w.cmd.stdout.read, w.cmd.stdout, memory.create(1))
  local writing = T.waiter(w.cmd.stdin.write, w.cmd.stdin, L.pattern(8 * 2 ^ 20))
  for _ = 1, 10 do T.eq(run "ready", true) end
  T.eq(reading.got, nil)
  T.eq(writing.got, nil) -- nobody reads
  T.eq(w.got, nil)
  T.eq(emitsig(w.pid, 9), true)
  L.run()
  T.same(reading.got, eof)
  T.eq(writing.got[1], false)
  T.eq(writing.got[3] == 32 or writing.got[3] == 104, true)
  T.same(w.got, { "TERMINATE", 9 })
  close(w.cmd.stdin, w.cmd.stdout)
end)

T.test_if(P.proc, "no /proc", "the child's ends are blocking [40 X27] [40 X26]", function ()
  for fd = 0, 2 do
    local name = names[fd + 1]
    local path = os.tmpname()
    local cmd = P.shell(("cat /proc/$$/fdinfo/%d >%s; exit 0"):format(fd, path), { stdout = false })
    cmd[name] = "rw"
    local w = T.waiter(execute, cmd)
    local reading = T.waiter(cmd[name].read, cmd[name], memory.create(1)) -- of the other end
    L.run()
    T.same(w.got, { "exit", 0 })
    T.same(reading.got, eof)
    local flags = tonumber(P.read(path):match("flags:%s*(%d+)"), 8)
    T.eq(math.floor(flags / 2048) % 2, 0, name)
    os.remove(path)
    close(cmd[name])
  end
end)

-- Other interpreters ----------------------------------------------------------------------------

local has_stdio = system.stdin or system.stdout or system.stderr
local echo = [[
  local memory, system = require "coutil.memory", require "coutil.system"
  coroutine.wrap(function ()
    local buffer = memory.create(100)
    local n = assert(system.stdin:read(buffer))
    assert(system.stdout:write(buffer, 1, n))
    assert(system.stdout:write("!"))
  end)()
  system.run()
]]

T.test_if(T.interpreter() and has_stdio, "no interpreter to start, or no standard streams",
"a child with the library reads and writes files [40 X16] [30 D5]", function ()
  local script, source, path = P.source(echo), os.tmpname(), os.tmpname()
  P.write(source, "Hello, World!")
  local input, output = io.open(source, "rb"), io.open(path, "wb")
  local w = T.waiter(execute, { execfile = T.interpreter(), arguments = { script }, stdin = input, stdout = output })
  input:close()
  output:close()
  L.run()
  T.same(w.got, { "exit", 0 })
  T.eq(P.read(path), "Hello, World!!")
  os.remove(script) os.remove(source) os.remove(path)
end)

T.test_if(T.interpreter() and has_stdio, "no interpreter to start, or no standard streams",
"a child with the library reads and writes streams [40 X18] [40 X24] [30 D6]", function ()
  local script = P.source(echo)
  local cmd = { execfile = T.interpreter(), arguments = { script }, stdin = "w", stdout = "r" }
  local w = T.waiter(execute, cmd)
  L.send(cmd.stdin, "Hello, World!")
  T.eq(L.await(L.collect, cmd.stdout), "Hello, World!!")
  T.same(w.got, { "exit", 0 })
  os.remove(script)
  close(cmd.stdin, cmd.stdout)
end)

T.test_if(T.interpreter() and has_stdio, "no interpreter to start, or no standard streams",
"sockets are passed to a child and come back [40 X19] [30 D6] [50 6.2.5]", function ()
  local script = P.source [[
    local memory, system = require "coutil.memory", require "coutil.system"
    coroutine.wrap(function ()
      local buffer = memory.create(100)
      for i = 1, 2 do
        local n, socket = assert(system.stdin:read(buffer))
        assert(buffer:tostring(1, n) == "take")
        assert(socket:write("from the child, " .. socket:getdomain()))
        assert(system.stdin:write("back", 1, -1, socket))
        socket:close()
      end
    end)()
    system.run()
  ]]
  local ends = {}
  for i, domain in ipairs { "local", "ipv4" } do ends[i] = { domain, L.pair(domain) } end
  local cmd = { execfile = T.interpreter(), arguments = { script }, stdin = "rws" }
  local w = T.waiter(execute, cmd)
  T.eq(cmd.stdin:getdomain(), "share")
  local n = 0
  T.start(function ()
    for _, case in ipairs(ends) do
      local domain, a, b = case[1], case[2], case[3]
      T.same(pack(cmd.stdin:write("take", 1, -1, b)), { true })
      close(b)
      local text = "from the child, " .. domain
      T.eq(L.collect(a, #text), text)
      local got = pack(cmd.stdin:read(memory.create(100)))
      T.eq(got.n, 2)
      T.eq(got[1], 4)
      T.same(pack(got[2]:write("from the parent")), { true })
      T.eq(L.collect(a, 15), "from the parent")
      close(a, got[2])
      n = n + 1
    end
  end)
  L.run()
  T.same(w.got, { "exit", 0 })
  T.eq(n, 2)
  os.remove(script)
  close(cmd.stdin)
end)

T.done()
