-- For lack of threads and processes: RLIMIT_NPROC. What needs one fails, everything else goes on, and so does that afterwards.

local T = require "testing"
local S = require "scarcity_testing"

local prefix = T.interpreter() and S.prefix()
local reason = "no interpreter to start, or no limit of its processes"

-- Where the system counts no processes, as in some containers, the program says so.
local function test(title, text)
  T.test_if(prefix, reason, title, function ()
    local out, status = S.child(prefix, [==[
      local threads_of_test = ...
      limit("nproc", 0)
      local counts = not S.succeeds "true"
      limit "nproc"
      if not counts then print "NO LIMIT" os.exit(0) end
      ]==] .. text .. "\nprint 'END'")
    if out == "NO LIMIT\n" then return T.skip(title, "processes are not limited here") end
    T.eq(out, "END\n")
    T.eq(status, 0)
  end)
end

local function test_memory(title, text)
  T.test_if(prefix, reason, title, function ()
    local out, status = S.child("", text .. "\nprint 'END'")
    T.eq(out, "END\n")
    T.eq(status, 0)
  end)
end

test("calls that block fail without a thread, and work with one again [60 0.1] [50 7.1]", [==[
  local path = temporary()
  local file = assert(system.openfile(path, "rw~"))
  limit("nproc", 0)
  for _ = 1, 3 do
    lacks(11, await(system.openfile, path, "r"))
    lacks(11, await(file.write, file, "text"))
    lacks(11, await(system.makedir, path .. ".d", "rwx"))
    lacks(11, await(system.findaddr, "127.0.0.1", 80))
    lacks(11, await(system.nameaddr, system.address("ipv4", "127.0.0.1", 80)))
    lacks(11, await(system.random, memory.create(4)))
    for _, raises in ipairs { "fileinfo", "listdir" } do
      local text = failure(system[raises], path, raises == "fileinfo" and "?@" or nil)
      assert(tostring(text):find("resource temporarily unavailable", 1, true), raises .. ": " .. tostring(text))
    end
    -- What needs none.
    assert(file:write("text", 1, -1, 0, "~") == 4)
    assert(system.fileinfo(path, "~B") == 4)
    assert(await(system.suspend, .001) == true)
    -- Nothing of it is left.
    assert(system.run() == false)
  end
  limit "nproc"
  assert(await(system.fileinfo, path, "?@") == "file")
  assert(await(file.write, file, "more", 1, -1, 4) == 4)
  assert(await(system.findaddr, "127.0.0.1", 80))
  assert(await(system.random, memory.create(4)))
  -- One thread is enough for many.
  limit("nproc", 0)
  local count = 0
  for _ = 1, 20 do T.start(function () assert(system.fileinfo(path, "B") == 8) count = count + 1 end) end
  assert(system.run() == false and count == 20)
  os.remove(path) ]==])

test("programs are not started [40 X1]", [==[
  limit("nproc", 0)
  for _ = 1, 3 do
    local program = { execfile = "true", stdin = "w", stdout = "r" }
    lacks(11, await(system.execute, program))
    assert(program.pid == nil and system.run() == false)
  end
  limit "nproc"
  local how, status = await(system.execute, { execfile = "true" })
  assert(how == "exit" and status == 0) ]==])

test("pools do with the threads that they have [20 7.2] [20 7.3]", [==[
  local pool, none = assert(threads.create(1)), assert(threads.create(0))
  local out = channel.create "out"
  local text = "require 'coroutine'.yield('out', 'out', ...)"
  limit("nproc", 0)
  for _ = 1, 3 do lacks(11, threads.create(2)) end
  lacks(11, pool:resize(3, true))
  assert(pool:count "e" == 3 and pool:count "a" == 1)
  -- More tasks than threads.
  for number = 1, 5 do assert(pool:dostring(text, nil, nil, number)) end
  local sum = 0
  for _ = 1, 5 do
    local ok, number = await(system.awaitch, out, "in")
    assert(ok == true)
    sum = sum + number
  end
  assert(sum == 15)
  -- Nobody runs this task yet.
  none:resize(1)
  assert(none:dostring(text, nil, nil, 6))
  assert(none:count "a" == 0 and none:count "p" == 1)
  limit "nproc"
  assert(none:resize(1, true) == true)
  local ok, number = await(system.awaitch, out, "in")
  assert(ok == true and number == 6)
  assert(pool:resize(3, true) == true and pool:count "a" == 3)
  assert(pool:close() and none:close()) ]==])

test("a pool that got no thread gets one with the next task [20 7.3]", [==[
  local pool, out = assert(threads.create(0)), channel.create "out"
  limit("nproc", 0)
  pool:resize(2)
  local text = "require 'coroutine'.yield('out', 'out', ...)"
  for number = 1, 3 do assert(pool:dostring(text, nil, nil, number)) end
  assert(pool:count "a" == 0)
  limit "nproc"
  assert(pool:dostring(text, nil, nil, 4))
  local sum = 0
  for _ = 1, 4 do sum = sum + select(2, await(system.awaitch, out, "in")) end
  assert(sum == 10)
  assert(pool:close()) ]==])

test("state coroutines fail to run, and run later [20 4.1]", [==[
  local co = assert(states.load "return ...")
  limit("nproc", 0)
  for _ = 1, 3 do
    lacks(11, await(system.resume, co, 1))
    assert(co:status() == "suspended")
  end
  limit "nproc"
  local ok, one = await(system.resume, co, 1)
  assert(ok == true and one == 1 and co:status() == "dead")
  -- Now there is a thread, which is enough.
  limit("nproc", 0)
  local sum = 0
  for _ = 1, 10 do
    local another = assert(states.load "return ...")
    T.start(function ()
      local _, one = system.resume(another, 1)
      sum = sum + one
    end)
  end
  assert(system.run() == false and sum == 10) ]==])

test("tasks and state coroutines are told too [20 7.6] [20 4.1]", [==[
  local pool = assert(threads.create(1))
  local text = [[
    require "_G"
    local system, coroutine = require "coutil.system", require "coroutine"
    local got
    coroutine.wrap(function () got = select(3, system.fileinfo("/", "?")) end)
    local co = coroutine.create(function (...) got = { system.findaddr("127.0.0.1", 80) } end)
    coroutine.resume(co)
    system.run()
    coroutine.yield("got", "out", got[1], got[2], got[3])
  ]]
  local co = assert(states.load "return ...")
  assert(await(system.resume, co) == true)
  limit("nproc", 0)
  assert(pool:dostring(text))
  local got = T.pack(await(system.awaitch, channel.create "got", "in"))
  assert(got[1] == true)
  lacks(11, got[2], got[3], got[4])
  limit "nproc"
  assert(pool:close()) ]==])

test("states end without the threads that would end them [20 1.14]", [==[
  local text = [[
    local text, count = ...
    if count == 0 then
      last = require "coutil.channel".create "the last one"
      return
    end
    local co = require "coutil.coroutine".load(text)
    local system, coroutine = require "coutil.system", require "coroutine"
    coroutine.wrap(function () system.resume(co, text, count - 1) end)()
    coroutine.yield() ]]
  local co = assert(states.load(text))
  T.start(function () system.resume(co, text, 60) end)
  system.run()
  repeat until channel.getnames()["the last one"]
  -- Tasks that wait, of a pool that is closed.
  local pool = assert(threads.create(1))
  for _ = 1, 3 do assert(pool:dostring "require 'coroutine'.yield('waits', 'in')") end
  repeat until pool:count "s" == 3
  pool:resize(0)
  repeat until pool:count "a" == 0
  assert(pool:close())
  limit("nproc", 0)
  co:close()
  co = nil
  collectgarbage() ]==])

test_memory("no room for the stack of a thread [60 0.1] [20 7.2] [20 4.1]", [==[
  local path = temporary()
  local co = assert(states.load "return ...")
  -- What a state and a coroutine need is there already.
  assert(await(system.suspend, .001) == true)
  collectgarbage()
  collectgarbage "stop"
  local size = io.open "/proc/self/status"
  local kilobytes = size:read "*a":match "VmSize:%s*(%d+)"
  size:close()
  limit("as", tonumber(kilobytes) * 1024 + 1536 * 1024)
  for _ = 1, 3 do
    lacks(11, threads.create(2))
    lacks(11, await(system.openfile, path, "r"))
    lacks(11, await(system.resume, co, 1))
    assert(tostring(failure(system.fileinfo, path, "?@")):find("resource temporarily unavailable", 1, true))
  end
  limit "as"
  collectgarbage "restart"
  local pool = assert(threads.create(2))
  assert(await(system.resume, co, 1) == true)
  assert(await(system.fileinfo, path, "?@") == "file")
  assert(pool:close())
  os.remove(path) ]==])

T.done()
