-- Terminals as standard streams: reading, writing, modes, size.

local T = require "testing"
local S = require "standard_testing"

local function has(out, text)
  if not out:find(text, 1, true) then error(("%q is not in %q"):format(text, out), 2) end
end

-- Class and methods -----------------------------------------------------------------------------

S.test_terminal("the class of a terminal [30 D3] [30 Y1] [30 D1]", [[
  start()
  for _, name in ipairs { "stdin", "stdout", "stderr" } do
    local object = system[name]
    eq(class(object), "coutil:terminal")
    local meta, names = getmetatable(object), {}
    for _, field in ipairs { "__gc", "__close", "__name", "__index" } do
      eq(meta[field] ~= nil, true, field)
    end
    for method in pairs(meta.__index) do names[#names + 1] = method end
    table.sort(names)
    eq(table.concat(names, " "), "close read setmode shutdown winsize write")
    eq(object.getdomain, nil)
  end
  local object = system.stdin
  for name, method in pairs(getmetatable(object).__index) do
    -- `unable to yield` may come first only after self was looked at.
    local text = T.raises("coutil:terminal expected, got table", method, {})
    T.raises("bad argument #1", method, {})
    T.raises("coutil:terminal expected, got no value", method)
    T.raises("coutil:terminal expected, got coutil:tcpactive", method, system.socket("stream", "ipv4"))
  end
  eq(object:close(), true)
  for name, method in pairs(getmetatable(object).__index) do
    T.raises("bad argument #1", method, object)
    T.raises("closed object", method, object)
  end
]])

S.test_terminal("only descriptors that are terminals [30 D3]", [[
  start()
  eq(class(system.stdin), "coutil:file")
  eq(class(system.stdout), "coutil:pipeshare")
  eq(class(system.stderr), "coutil:terminal")
]], nil, "@ </dev/null | cat")

-- Closing ---------------------------------------------------------------------------------------

S.test_terminal("closing [30 Y2] [30 D2]", [[
  start()
  local object = system.stdin
  local order = {}
  local w = T.waiter(function () local got = pack(object:read(memory.create(10))); order[1] = "read"; return T.unpack(got, 1, got.n) end)
  system.run "ready"
  eq(object:close(), true)
  order[2] = "close"
  same(w.got, { false, "closed" })
  same(order, { "read", "close" })
  T.raises("closed object", object.close, object)
  getmetatable(object).__gc(object)
  if getmetatable(object).__close then getmetatable(object).__close(object) end
  eq(system.run(), false)
  -- The terminal itself is as before.
  keys("typed\n")
  eq(io.read("*l"), "typed")
  local other = system.stdout
  getmetatable(other).__gc(other)
  T.raises("closed object", other.close, other)
  io.write("written\n")
]], function (out) has(out, "written") end)

T.test_if(S.script and T.has_tbc, "no to-be-closed variables", "closed at the end of a block [30 Y2] [30 Y7]", function ()
  S.terminal(nil, [[
    start()
    local before, object = stty(), system.stdin
    assert(load("local object = ...; local closes <close> = object; assert(object:setmode('raw'))"))(object)
    T.raises("closed object", object.winsize, object)
    eq(stty(), before)
  ]])
end)

-- Reading ---------------------------------------------------------------------------------------

S.test_terminal("by lines, and what does not fit stays [30 Y3]", [[
  start()
  local object, buffer = system.stdin, memory.create(("."):rep(20))
  local got = {}
  T.start(function ()
    got[1] = object:read(buffer)
    got[2] = buffer:tostring()
    got[3] = object:read(buffer, 3, 4)
    got[4] = buffer:tostring()
    got[5] = take(object)
    got[6] = take(object)
    got[7] = pack(take(object))
    got[8] = take(object)
  end)
  local function until_(n) while not got[n] do system.run "step" end end
  system.run "ready"
  eq(got[1], nil)
  keys("line one\n")
  until_(2)
  eq(got[1], 9)
  eq(got[2], "line one\n" .. ("."):rep(11))
  keys("wxyz\n")
  until_(5)
  eq(got[3], 2)
  eq(got[4], "liwx one\n" .. ("."):rep(11))
  eq(got[5], "yz\n")
  keys("part")                           -- no end of a line yet
  for _ = 1, 50 do system.run "ready" end
  eq(got[6], nil)
  keys(" rest\n")
  until_(6)
  eq(got[6], "part rest\n")
  keys("\4")
  until_(7)
  same(got[7], eof)
  keys("again\n")                        -- the end of a terminal is not final
  until_(8)
  eq(got[8], "again\n")
  eq(system.run(), false)
]])

S.test_terminal("a read that was cancelled has taken nothing [30 Y3] [30 D11]", [[
  start()
  local object = system.stdin
  local w = T.waiter(object.read, object, memory.create(10))
  keys("text\n")
  T.resume(w.co, "mine")
  same(w.got, { "mine" })
  eq(await(take, object), "text\n")
]])

S.test_terminal("the checks of read, in their order [30 Y3]", [[
  start()
  local object, buffer = system.stdin, memory.create(10)
  local read = object.read
  T.raises("coutil:terminal expected, got nil", read, nil, {})
  T.raises("bad argument #2", read, object, "text", {})
  T.raises("memory expected, got string", read, object, "text", {})
  T.raises("memory expected, got no value", read, object)
  T.raises("bad argument #3", read, object, buffer, {}, {})
  T.raises("number expected, got table", read, object, buffer, {}, {})
  T.raises("bad argument #4", read, object, buffer, 1, {})
  T.raises("unable to yield", read, object, buffer, 1, 2)
  local w = T.waiter(read, object, buffer)
  T.raises("memory expected", read, object, "text")
  T.raises("bad argument #1", read, object, buffer)
  T.raises("already in use", read, object, buffer)
  T.inside(function () T.raises("already in use", T.resume, T.create(read), object, buffer) end)
  T.resume(w.co)
  same(w.got, {})
]])

-- Writing ---------------------------------------------------------------------------------------

S.test_terminal("writes are whole and in order [30 Y4]", [[
  start()
  local object, log = system.stdout, {}
  for i = 1, 5 do
    T.start(function ()
      same(pack(object:write(("<%d%s%d>"):format(i, ("x"):rep(2000), i))), { true })
      log[#log + 1] = i
    end)
  end
  T.start(function () same(pack(object:write("[" .. 12 .. "]", 2, 3)), { true }) end)
  T.start(function () same(pack(object:write(memory.create("{memory}"), 2, -2)), { true }) end)
  T.start(function () same(pack(object:write(3.5)), { true }) end)
  T.start(function () same(pack(object:write("")), { true }) end)
  eq(system.run(), false)
  same(log, { 1, 2, 3, 4, 5 })
]], function (out)
  local want = ""
  for i = 1, 5 do want = want .. ("<%d%s%d>"):format(i, ("x"):rep(2000), i) end
  has(out, want .. "12memory3.5")
end)

S.test_terminal("the checks of write, in their order [30 Y4]", [[
  start()
  local object = system.stdout
  local write = object.write
  T.raises("coutil:terminal expected, got nil", write, nil)
  T.raises("unable to yield", write, object, {}, {})
  local function fails(text, ...)
    local ok, message = coroutine.resume(T.create(write), ...)
    eq(ok, false)
    if not message:find(text, 1, true) then error(message .. ", expected " .. text, 2) end
  end
  fails("string or memory expected, got table", object, {}, {})
  fails("bad argument #2", object, {}, {})
  fails("bad argument #3", object, "x", {}, {})
  fails("bad argument #4", object, "x", 1, {})
]])

-- A terminal whose output was stopped, as by Ctrl+S.
S.test_terminal("a write that is pending when the object is closed [30 Y4]", [[
  start()
  local object = system.stdout
  eq(object:setmode("normal"), true)
  os.execute("stty -echo </dev/tty")
  keys("\19")                            -- the terminal stops when it sees that
  local w, n = nil, 0
  repeat                                 -- until the terminal takes nothing more
    w = T.waiter(object.write, object, ("x"):rep(4096))
    for _ = 1, 200 do T.start(system.suspend); system.run "ready" end
    n = n + 1
    assert(n < 10000)
  until not w.got
  local second = T.waiter(object.write, object, "lost")
  eq(object:close(), true)
  eq(system.run(), false)
  same(w.got, { false, "operation canceled", 125 })
  same(second.got, { false, "operation canceled", 125 })
  eq(flags(1) and nonblocking(1), false)
  keys("\17")
]], function (out) T.eq(out:find("lost", 1, true), nil) end)

S.test_terminal("shutdown [30 Y5]", [[
  start()
  local object = system.stdin
  T.raises("unable to yield", object.shutdown, object)
  same(pack(await(object.shutdown, object)), { false, "socket operation on non-socket", 88 })
  local got = pack(await(object.write, object, "x"))
  if got[1] ~= true then same(got, broken) end
  keys("still\n")
  eq(await(take, object), "still\n")
  eq(await(system.stdout.write, system.stdout, "others write\n"), true)
]], function (out) has(out, "others write") end)

-- Modes -----------------------------------------------------------------------------------------

S.test_terminal("the arguments of setmode [30 Y6]", [[
  start()
  local object = system.stdin
  local setmode, before = object.setmode, stty()
  T.raises("bad argument #2", setmode, object, "cooked")
  T.raises("invalid option 'cooked'", setmode, object, "cooked")
  T.raises("invalid option 'Raw'", setmode, object, "Raw")
  T.raises("invalid option ''", setmode, object, "")
  for _, value in ipairs { {}, true, print } do
    T.raises("bad argument #2", setmode, object, value)
    T.raises("string expected, got " .. type(value), setmode, object, value)
  end
  T.raises("bad argument #2", setmode, object)
  T.raises("bad argument #2", setmode, object, nil)
  eq(stty(), before)
  same(pack(object:setmode("normal\0more")), { true }) -- ends at the first NUL
  same(pack(object:setmode("normal")), { true })
  eq(stty(), before)
]])

S.test_terminal("raw, and back [30 Y6]", [[
  start()
  os.execute("stty echo icanon isig iexten ixon icrnl brkint -inpck istrip parmrk -onlcr opost min 5 time 3 </dev/tty")
  local object, before = system.stdin, stty()
  same(pack(object:setmode("raw")), { true })
  for _, name in ipairs { "brkint", "icrnl", "inpck", "istrip", "ixon", "echo", "icanon", "iexten", "isig" } do
    eq(set(name), false, name)
  end
  for _, name in ipairs { "onlcr", "opost", "cs8", "parmrk" } do eq(set(name), true, name) end
  local all = stty("-a")
  eq(all:match("min = (%d+)"), "1")
  eq(all:match("time = (%d+)"), "0")
  same(pack(object:setmode("raw")), { true })
  same(pack(object:setmode("normal")), { true })
  eq(stty(), before)
  -- Each key comes at once, also those that are signals.
  eq(object:setmode("raw"), true)
  keys("a")
  eq(await(take, object), "a")
  keys("\3")
  eq(await(take, object), "\3")
  keys("\r")
  eq(await(take, object), "\r")
  eq(object:setmode("normal"), true)
]])

S.test_terminal("binary is cfmakeraw [30 Y6]", [[
  start()
  local object, before = system.stdin, stty()
  same(pack(object:setmode("binary")), { true })
  local got = stty()
  same(pack(object:setmode("normal")), { true })
  eq(stty(), before)
  os.execute("stty raw -echo -echonl min 1 time 0 -parmrk </dev/tty")
  for _, name in ipairs { "opost", "icanon", "isig" } do eq(set(name), false, name) end
  os.execute("stty " .. before .. " </dev/tty")
  local function fields(text)
    local list = {}
    for field in text:gmatch("[^:]+") do list[#list + 1] = tonumber(field, 16) end
    return list
  end
  local input, output, control, lines = T.unpack(fields(got))
  local i, o, c, l = T.unpack(fields(before))
  local function without(value, bits)
    for _, bit in ipairs(bits) do if math.floor(value / bit) % 2 == 1 then value = value - bit end end
    return value
  end
  -- IGNBRK BRKINT PARMRK ISTRIP INLCR IGNCR ICRNL IXON; OPOST; ECHO ECHONL ICANON ISIG IEXTEN; as termios(3) has them.
  eq(input, without(i, { 1, 2, 8, 32, 64, 128, 256, 1024 }))
  eq(output, without(o, { 1 }))
  eq(lines, without(l, { 8, 64, 2, 1, 32768 }))
  eq(math.floor(control / 16) % 4, 3)    -- CS8
]])

S.test_terminal("raw and binary are both from the saved settings [30 Y6]", [[
  start()
  local object, before = system.stdin, stty()
  eq(object:setmode("raw"), true)
  local raw = stty()
  eq(object:setmode("binary"), true)
  local binary = stty()
  eq(binary ~= raw and raw ~= before, true)
  eq(object:setmode("raw"), true)
  eq(stty(), raw)
  eq(object:setmode("binary"), true)
  eq(stty(), binary)
  eq(object:setmode("normal"), true)
  eq(stty(), before)
  -- What is saved is what there was when normal was left.
  os.execute("stty erase ^H -ixon </dev/tty")
  local changed = stty()
  eq(changed ~= before, true)
  eq(object:setmode("raw"), true)
  eq(object:setmode("normal"), true)
  eq(stty(), changed)
]])

-- Settings are restored -------------------------------------------------------------------------

S.test_terminal("restored when closed [30 Y7]", [[
  start()
  local before = stty()
  eq(system.stdin:setmode("raw"), true)
  eq(stty() ~= before, true)
  eq(system.stdin:close(), true)
  eq(stty(), before)
]])

S.test_terminal("restored when collected [30 Y7]", [[
  start()
  local before = stty()
  T.scope(function () eq(system.stdin:setmode("binary"), true) end)
  eq(stty() ~= before, true)
  system.stdin = nil
  T.scrub()
  T.gc()
  eq(stty(), before)
]])

-- Ends in one of several ways; the shell around it then looks at the terminal.
local function ending(title, text, status)
  S.test_terminal(title, "start(); eq(system.stdin:setmode('raw'), true); " .. text, function (out)
    local before, after = out:match("before ([%w:]+)%s.*after ([%w:]+)%s")
    T.eq(type(before), "string", out)
    T.eq(after, before)
  end, "echo before $(stty -g); @; echo after $(stty -g)", status)
end

ending("restored at the end of the program [30 Y7]", "")
ending("restored at the end, with a read pending [30 Y7]", "T.start(take, system.stdin); system.run 'ready'")
ending("restored after an error [30 Y7]", "T.start(take, system.stdin); uncaught = true; error 'Oops'", 1)
ending("restored at os.exit [30 Y7]", "os.exit(7)", 7)
T.test_if(T.number >= 5.2 and S.script, "os.exit closes no state", "restored when the state is closed [30 Y7]", function ()
  S.terminal(nil, "start(); system.stdin:setmode('raw'); os.exit(true, true)")
end)
ending("restored by another object [30 Y7] [30 Y9]", "system.stdout:setmode('normal')")

-- Several objects -------------------------------------------------------------------------------

S.test_terminal("the objects of a terminal share its mode [30 Y9] [30 Y7]", [[
  start()
  local before = stty()
  eq(system.stdin:setmode("raw"), true)
  local raw = stty()
  eq(system.stdout:setmode("raw"), true)
  eq(stty(), raw)
  eq(system.stdin:close(), true)
  eq(stty(), raw)                        -- the other one has asked for it too
  eq(system.stdout:close(), true)
  eq(stty(), before)
  eq(system.stderr:setmode("raw"), true)
  eq(system.stderr:setmode("normal"), true)
  eq(stty(), before)
]])

S.test_terminal("they are read and closed each for itself [30 Y9]", [[
  start()
  local got = {}
  T.start(function () got[1] = take(system.stdin) end)
  T.start(function () got[2] = pack(take(system.stdout)) end) -- is open for reading too
  system.run "ready"
  eq(system.stdout:close(), true)
  same(got[2], { false, "closed" })
  eq(got[1], nil)
  local w = T.waiter(system.stderr.write, system.stderr, "from stderr ")
  while not w.got do system.run "step" end
  same(w.got, { true })
  keys("typed\n")
  while not got[1] do system.run "step" end
  eq(got[1], "typed\n")
  eq(await(system.stdin.write, system.stdin, "from stdin"), true)
]], function (out) has(out, "from stderr ") has(out, "from stdin") end)

S.test_terminal("a write to what was opened to read only [30 Y9]", [[
  start()
  local got = pack(await(system.stdin.write, system.stdin, "x"))
  eq(got[1], false)
  got = pack(await(take, system.stdout))
  eq(got[1], false)
  keys("typed\n")
  eq(await(take, system.stdin), "typed\n")
]], nil, "@ <$(tty) >$(tty)")

S.test_terminal("the size of the window [30 Y8]", [[
  start()
  os.execute("stty cols 91 rows 33 </dev/tty")
  same(pack(system.stdin:winsize()), { 91, 33 })
  same(pack(system.stderr:winsize()), { 91, 33 })
  os.execute("stty cols 300 rows 1 </dev/tty")
  same(pack(system.stdout:winsize()), { 300, 1 })
  if math.type then eq(math.type((system.stdout:winsize())), "integer") end
]])

-- Flags -----------------------------------------------------------------------------------------

local flags = [[
  local before = { [0] = flags(0), flags(1), flags(2) }
  local function unchanged() for fd = 0, 2 do eq(flags(fd), before[fd], "flags of " .. fd) end end
  if MUST_NOT_OPEN then eq(io.open("/dev/tty"), nil); eq(io.open("/proc/self/fd/0"), nil) end
  start()
  unchanged()
  if MUST_NOT_OPEN then
    for fd in pairs(descriptors()) do eq(nonblocking(fd), false, "O_NONBLOCK of " .. fd) end
  end
  local w = T.waiter(take, system.stdin)
  system.run "ready"
  unchanged()
  keys("one\n")
  while not w.got do system.run "step" end
  same(w.got, { "one\n" })
  eq(await(system.stdout.write, system.stdout, ("y"):rep(5000) .. " end\n"), true)
  unchanged()
  keys("two\n")
  eq(io.read("*l"), "two")
  io.write("from io\n")
  eq(system.stdin:setmode("raw"), true)
  keys("k")
  eq(await(take, system.stdin), "k")
  eq(system.stdin:close(), true)
  unchanged()
  eq(nonblocking(0), false)
]]
local function both(out) has(out, ("y"):rep(5000) .. " end") has(out, "from io") end

S.test_terminal("the flags stay as they are [30 D9] [30 D2]", flags, both)
T.test_if(S.script and S.setpriv, "no setpriv(1), or not allowed", "a terminal that cannot be opened once more [30 D9]", function ()
  both((S.terminal(S.unprivileged .. "setsid @", "MUST_NOT_OPEN = true\n" .. flags)))
end)

S.test_terminal("a process without a terminal of its own gets none [30 D9]", [[
  eq(io.open("/dev/tty"), nil)
  start()
  eq(class(system.stdin), "coutil:terminal")
  eq(await(system.stdout.write, system.stdout, "x"), true)
  eq(io.open("/dev/tty"), nil)           -- O_NOCTTY
]], nil, "setsid -w sh -c '@'")

T.done()
