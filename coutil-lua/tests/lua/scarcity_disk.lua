-- For lack of room: full disks, files that must not be larger, directories that take no more.

local T = require "testing"
local S = require "scarcity_testing"

local has_limits = T.interpreter() and S.prefix()

-- Programs find a file system of 64 KiB and 12 files in the directory `dir`, which is theirs alone.
local dir = os.tmpname()
os.remove(dir)
local flags = S.line "id -u" == "0" and "-m" or "-rm"
local mounted = "unshare " .. flags .. [[ sh -c 'mount -t tmpfs -o size=64k,nr_inodes=12,mode=777 coutil "$0" && exec "$@"' ]] .. dir
local has_mounts = T.interpreter() and S.succeeds("mkdir " .. dir) and S.succeeds(mounted .. " true")

local function test(condition, reason, prefix, title, text)
  T.test_if(condition, reason, title, function ()
    local out, status = S.child(prefix, ("local dir = %q\n"):format(dir) .. text .. "\nprint 'END'")
    T.eq(out, "END\n")
    T.eq(status, 0)
  end)
end

local function test_disk(...) test(has_mounts, "no file system can be mounted, or no interpreter started", mounted, ...) end
local function test_limit(...) test(has_limits, "no interpreter to start, or no limits", "", ...) end

local content = [==[
local function content(path)
  local file = assert(io.open(path, "rb"))
  local text = file:read "*a"
  file:close()
  return text
end
local function there(path)
  local file = io.open(path)
  return file and file:close()
end
]==]

test_disk("a full disk takes what it has room for, and then fails [60 4.3]", content .. [==[
  for round, mode in ipairs { "", "~" } do
    local path = dir .. "/file" .. round
    local file = assert(await(system.openfile, path, "rwN", "rw"))
    local function write(...)
      if mode == "~" then return file:write((...), 1, -1, nil, "~") end
      return await(file.write, file, ...)
    end
    local text = ("0123456789abcdef"):rep(1000)
    local written = ""
    while true do
      local count, message, code = write(text)
      if not count then
        assert(message == "no space left on device" and code == 28, message)
        break
      end
      assert(count > 0 and count <= #text)
      written = written .. text:sub(1, count)
    end
    assert(#written > 30000 and #written <= 65536)
    assert(content(path) == written)
    -- Long strings are written from where they are.
    for _ = 1, 3 do lacks(28, write(("x"):rep(100000))) end
    assert(content(path) == written)
    -- There is room again.
    assert(await(file.resize, file, 100) == true)
    assert(await(file.write, file, "text", 1, -1, 100) == 4)
    assert(content(path) == written:sub(1, 100) .. "text")
    assert(await(file.close, file) == true)
    assert(await(system.removefile, path) == true)
  end ]==])

test_disk("copies that do not fit fail [60 3.2] [60 4.3]", content .. [==[
  local source = temporary()
  local big = assert(io.open(source, "wb"))
  big:write(("0123456789abcdef"):rep(10000))
  big:close()
  for _, mode in ipairs { "", "~" } do
    local function call(f, ...)
      if mode == "~" then return f(...) end
      return await(f, ...)
    end
    lacks(28, call(system.copyfile, source, dir .. "/copy", mode))
    assert(not there(dir .. "/copy"))
    local from = assert(system.openfile(source, "r~"))
    local to = assert(system.openfile(dir .. "/copy", "wN~", "rw"))
    local sum = 0
    while true do
      local count, message, code = call(to.write, to, from, sum + 1, sum + 50000, nil, mode)
      if not count then
        assert(code == 28, message)
        break
      end
      sum = sum + count
    end
    assert(sum > 30000 and sum <= 65536)
    assert(content(dir .. "/copy") == content(source):sub(1, sum))
    to:close "~"
    from:close "~"
    os.remove(dir .. "/copy")
  end
  os.remove(source) ]==])

test_disk("no room for another file [60 3.12] [60 3.4] [60 3.5]", content .. [==[
  local count = 0
  while true do
    local file, message, code = await(system.openfile, dir .. "/" .. count, "wN", "rw")
    if not file then
      assert(code == 28, message)
      break
    end
    file:close "~"
    count = count + 1
    assert(count <= 12)
  end
  for _, mode in ipairs { "", "~" } do
    local function call(f, ...)
      if mode == "~" then return f(...) end
      return await(f, ...)
    end
    for _ = 1, 3 do
      lacks(28, call(system.makedir, dir .. "/directory", "rwx", mode))
      lacks(28, call(system.maketemp, dir .. "/temporary", mode .. "f"))
      lacks(28, call(system.maketemp, dir .. "/temporary", mode))
      lacks(28, call(system.linkfile, "nowhere", dir .. "/link", mode .. "s"))
      lacks(28, call(system.copyfile, "/proc/version", dir .. "/copy", mode))
      assert(not there(dir .. "/copy"))
    end
  end
  assert(await(system.removefile, dir .. "/0") == true)
  assert(await(system.makedir, dir .. "/directory", "rwx") == true) ]==])

local null = ("if not io.open('/dev/full', 'w') then print 'END' os.exit() end\n")

test_limit("a standard stream that is full [30 D1]", null .. content .. [==[
  local path = temporary()
  local program = T.interpreter() .. " " .. path
  local file = assert(io.open(path, "w"))
  file:write(("package.path, package.cpath = %q, %q\n"):format(package.path, package.cpath), [[
    local system = require "coutil.system"
    for _ = 1, 3 do
      coroutine.wrap(function () io.stderr:write(table.concat({ tostring((system.stdout:write "text")), select(2, system.stdout:write "text") }, " "), "\n") end)()
      system.run()
    end]])
  file:close()
  local pipe = io.popen(program .. " 2>&1 >/dev/full")
  assert(pipe:read "*a" == ("false no space left on device 28\n"):rep(3))
  pipe:close()
  os.remove(path) ]==])

test_limit("a file beyond the limit of the process: no signal ends it [60 4.3] [60 4.4]", content .. [==[
  local path, other = temporary(), temporary()
  local source = assert(system.openfile(other, "rw~"))
  assert(source:resize(100000, "~"))
  limit("fsize", 50000)
  system.suspend(.02, "~") -- it is known after a tick of the clock
  for _, mode in ipairs { "", "~" } do
    local file = assert(system.openfile(path, "rw~"))
    local function call(f, ...)
      if mode == "~" then return f(...) end
      return await(f, ...)
    end
    assert(call(file.write, file, ("x"):rep(40000), 1, -1, nil, mode) == 40000)
    assert(call(file.write, file, ("x"):rep(40000), 1, -1, nil, mode) == 10000)
    for _ = 1, 3 do
      lacks(27, call(file.write, file, ("x"):rep(40000), 1, -1, nil, mode))
      lacks(27, call(file.write, file, "x", 1, -1, nil, mode))
      lacks(27, call(file.write, file, "x", 1, -1, 70000, mode))
      lacks(27, call(file.write, file, memory.create "text", 1, -1, nil, mode))
      lacks(27, call(file.write, file, source, 1, 50, nil, mode))
      lacks(27, call(file.resize, file, 50001, mode))
    end
    assert(#content(path) == 50000)
    lacks(27, call(system.copyfile, other, path .. ".copy", mode))
    assert(not there(path .. ".copy"))
    assert(call(file.resize, file, 0, mode) == true)
    file:close "~"
  end
  limit "fsize"
  local file = assert(system.openfile(path, "rw~"))
  assert(await(file.write, file, ("x"):rep(80000)) == 80000)
  file:close "~"
  os.remove(path)
  os.remove(other) ]==])

test_limit("who awaits the signal of that limit is told [40 G1]", [==[
  local path = temporary()
  local file = assert(system.openfile(path, "rw~"))
  limit("fsize", 100)
  system.suspend(.02, "~")
  for _, mode in ipairs { "", "~" } do
    local told = T.waiter(system.awaitsig, "filelimit")
    if mode == "~" then
      assert(file:resize(100, "~"))
      lacks(27, file:write("x", 1, -1, 100, "~"))
    else
      lacks(27, await(file.write, file, "x", 1, -1, 100))
    end
    while not told.got do system.run "step" end
    T.same(told.got, { "filelimit" })
  end
  -- Now it would end the process again.
  lacks(27, file:write("x", 1, -1, 100, "~"))
  os.remove(path) ]==])

if has_mounts then S.succeeds("rmdir " .. dir) end
T.done()
