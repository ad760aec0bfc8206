-- The definitions for editors (types/) and the manual (docs/manual/) name what there is, and nothing else.

local T = require "testing"
local S = require "standard_testing"
local system = require "coutil.system"

-- Reading the definitions -----------------------------------------------------------------------

local function lines(path)
  local list = {}
  for line in assert(io.lines(path)) do list[#list + 1] = line end
  return list
end

-- What a file of definitions declares: `meta`, its name; `returned`, the class of what it returns; and `classes`, by name,
-- with `parent`, `fields` (by name), `functions` (by name: the names of the parameters, and `method`), and `variable`.
local function definitions(path)
  local file = { classes = {} }
  local class, variables, params, described = nil, {}, {}, false
  for number, line in ipairs(lines(path)) do
    local where = path .. ":" .. number
    local comment = line:match "^%-%-%-(.*)"
    if comment then
      described = true
      local name, parent = comment:match "^@class (%S+)%s*:?%s*(%S*)"
      if name then
        class = { name = name, parent = parent ~= "" and parent or nil, fields = {}, functions = {} }
        file.classes[name] = class
      end
      local field = comment:match "^@field (%w+)"
      if not field then field = comment:match "^@field (_VERSION)" end
      if field then class.fields[field] = true end
      local param, rest = comment:match "^@param (%S+) (.+)"
      if comment:find "^@param" and not rest then error(where .. ": a parameter without a type") end
      if param then params[#params + 1] = (param:gsub("?$", "")) end
      file.meta = comment:match "^@meta (%S+)" or file.meta
    elseif line:find "^local " then
      local variable = line:match "^local (%w+) = {}$"
      if not (variable and class) then error(where .. ": what is this?") end
      variables[variable], class.variable, class = class, variable, nil
      described = false
    elseif line:find "^function " then
      local variable, kind, name, list = line:match "^function (%w+)([.:])(%w+)%((.-)%) end$"
      if not (variable and variables[variable]) then error(where .. ": what is this?") end
      if not described then error(where .. ": it has no description") end
      local declared = { method = kind == ":" }
      for param in list:gmatch "[%w.]+" do declared[#declared + 1] = param end
      T.eq(table.concat(params, " "), table.concat(declared, " "), where .. ": the described parameters")
      local functions = variables[variable].functions
      if functions[name] then
        T.eq(table.concat(functions[name], " "), table.concat(declared, " "), where .. ": the other declaration")
      end
      functions[name], params, described = declared, {}, false
    elseif line:find "^return " then
      local variable = line:match "^return (%w+)$"
      file.returned = variables[variable] or line
    elseif line ~= "" and not line:find "^%-%- " then
      error(where .. ": what is this?")
    else
      class, described = nil, false
    end
  end
  return file
end

-- A class with what it has of its parent.
local function whole(classes, name)
  local class = assert(classes[name], name)
  local all = { fields = {}, functions = {} }
  local parent = class.parent and whole(classes, class.parent) or all
  for _, source in ipairs { parent, class } do
    for key in pairs(source.fields) do all.fields[key] = true end
    for key, declared in pairs(source.functions) do all.functions[key] = declared end
  end
  return all
end

local function keys(...)
  local set, list = {}, {}
  for _, t in ipairs { ... } do for key in pairs(t) do set[key] = true end end
  for key in pairs(set) do list[#list + 1] = tostring(key) end
  table.sort(list)
  return table.concat(list, " ")
end

local modules = { "event", "queued", "mutex", "promise", "spawn", "memory", "channel", "coroutine", "threads", "system" }

-- All classes, and the one that each module is.
local classes, returned = {}, {}
for _, name in ipairs(modules) do
  local file = definitions("types/coutil/" .. name .. ".lua")
  T.eq(file.meta, "coutil." .. name, name)
  returned[name] = assert(file.returned, name).name
  for key, class in pairs(file.classes) do classes[key] = class end
end
for key, class in pairs(definitions("types/coutil/objects.lua").classes) do classes[key] = class end

-- The tests -------------------------------------------------------------------------------------

-- The values of `object`, by name, must be those of the class: functions, and others.
local function check(name, object)
  local class, functions, fields = whole(classes, name), {}, {}
  for key, value in pairs(object) do
    if type(value) == "function" then functions[key] = value else fields[key] = value end
  end
  T.eq(keys(functions), keys(class.functions), name)
  -- A stream that is not open is nil.
  if object == system then fields.stdin, fields.stdout, fields.stderr = true, true, true end
  T.eq(keys(fields), keys(class.fields), name)
  for key, value in pairs(functions) do
    local info, declared = debug.getinfo(value, "Su"), class.functions[key]
    if info.what == "Lua" and info.nparams and not info.isvararg then
      T.eq(info.nparams, #declared + (declared.method and 1 or 0), name .. "." .. key)
    end
  end
end

for _, name in ipairs(modules) do
  T.test("what is declared is there, and the other way round: " .. name, function ()
    check(returned[name], require("coutil." .. name))
  end)
end

T.test("the table of all modules", function ()
  local file = definitions "types/coutil.lua"
  local coutil = require "coutil"
  for key in pairs(file.classes.coutil.fields) do T.eq(coutil[key] ~= nil, true, key) end
  T.eq(keys(file.classes.coutil.fields), keys(coutil))
  for _, name in ipairs(modules) do T.eq(coutil[name], require("coutil." .. name)) end
  T.eq(lines "types/memory.lua"[1], "---@meta memory")
end)

local function methods(object) return getmetatable(object).__index end

T.test("objects of coutil.system", function ()
  local kinds = {
    { "coutil.Stream", "stream", "ipv4" }, { "coutil.Stream", "stream", "ipv6" },
    { "coutil.Stream", "stream", "local" }, { "coutil.Stream", "stream", "share" },
    { "coutil.Passive", "passive", "ipv4" }, { "coutil.Passive", "passive", "ipv6" },
    { "coutil.LocalPassive", "passive", "local" }, { "coutil.LocalPassive", "passive", "share" },
    { "coutil.Datagram", "datagram", "ipv4" }, { "coutil.Datagram", "datagram", "ipv6" },
  }
  for _, kind in ipairs(kinds) do
    local socket, message, code = system.socket(kind[2], kind[3])
    -- A machine may have no IPv6 (EAFNOSUPPORT).
    if socket or code ~= 97 then check(kind[1], methods(assert(socket, message))) end
  end
  check("coutil.File", methods(assert(system.openfile("/dev/null", "~"))))
  local found = T.waiter(system.findaddr, "127.0.0.1", 80)
  system.run()
  check("coutil.Addresses", methods(found.got[1]))
  local address = system.address "ipv4"
  for key in pairs(classes["coutil.Address"].fields) do T.eq(address[key] ~= nil, true, key) end
  T.eq(keys(classes["coutil.Address"].fields), "binary literal port type")
  T.eq(select(2, pcall(function () return system.packenv({ A = "b" }).A end)), "b")
end)

T.test("objects whose methods are the functions of their module", function ()
  local channel, threads = require "coutil.channel", require "coutil.threads"
  local coroutine_, memory = require "coutil.coroutine", require "coutil.memory"
  T.eq(methods(channel.create "types"), channel)
  T.eq(methods(assert(threads.create(0))), threads)
  T.eq(methods(assert(coroutine_.load "")), coroutine_)
  T.eq(methods(memory.create(1)), memory)
  T.eq(methods(memory.create()), memory)
end)

T.test_if(S.script, "no terminal", "terminals", function ()
  local _, report = S.terminal(nil, [[
    start()
    local names = {}
    for name in pairs(getmetatable(system.stdin).__index) do names[#names + 1] = name end
    table.sort(names)
    say("methods", T.unpack(names))
  ]])
  T.eq(report:match "methods ([^\n]+)", keys(whole(classes, "coutil.Terminal").functions))
end)

-- A call whose last argument is the last parameter, and is wrong: so there is such a parameter, and the text tells its place.
T.test("the numbers of parameters", function ()
  local memory, channel = require "coutil.memory", require "coutil.channel"
  local m, wrong = memory.create(4), {}
  local file = assert(system.openfile("/dev/null", "~"))
  local udp, tcp = assert(system.socket("datagram", "ipv4")), assert(system.socket("stream", "ipv4"))
  local passive = assert(system.socket("passive", "ipv4"))
  local cases = {
    { "coutil.Memory", "create", "x", 1, wrong }, { "coutil.Memory", "len", wrong },
    { "coutil.Memory", "tostring", m, 1, wrong }, { "coutil.Memory", "get", m, 1, wrong },
    { "coutil.Memory", "resize", memory.create(), 2, wrong }, { "coutil.Memory", "fill", m, "x", 1, 1, wrong },
    { "coutil.Memory", "find", m, "x", 1, 1, wrong }, { "coutil.Memory", "diff", m, wrong },
    { "coutil.Memory", "unpack", m, "b", wrong },
    { "coutil.Channel", "create", wrong }, { "coutil.Channel", "getname", wrong }, { "coutil.Channel", "getnames", 1 },
    { "coutil.Channel", "close", wrong },
    { "coutil.Coroutine", "load", "", "name", wrong }, { "coutil.Coroutine", "loadfile", "/dev/null", wrong },
    { "coutil.Coroutine", "status", wrong }, { "coutil.Coroutine", "close", wrong },
    { "coutil.Threads", "create", wrong }, { "coutil.Threads", "close", wrong },
    { "coutil.Threads", "count", assert(require "coutil.threads".create(0)), wrong },
    { "coutil.system", "run", wrong }, { "coutil.system", "suspend", 1, wrong }, { "coutil.system", "time", wrong },
    { "coutil.system", "onerror", 1 }, { "coutil.system", "address", "ipv4", "1.2.3.4", 1, wrong },
    { "coutil.system", "socket", "stream", wrong }, { "coutil.system", "findaddr", "127.0.0.1", 80, wrong },
    { "coutil.system", "nameaddr", 80, wrong }, { "coutil.system", "openfile", "/dev/null", "n", wrong },
    { "coutil.system", "fileinfo", "/dev/null", wrong }, { "coutil.system", "listdir", "/", wrong },
    { "coutil.system", "makedir", "/", "r", wrong }, { "coutil.system", "maketemp", "x", wrong },
    { "coutil.system", "linkfile", "a", "b", wrong }, { "coutil.system", "movefile", "a", "b", wrong },
    { "coutil.system", "copyfile", "a", "b", wrong }, { "coutil.system", "removefile", "a", wrong },
    { "coutil.system", "ownfile", "a", -1, -1, wrong }, { "coutil.system", "grantfile", "a", "r", wrong },
    { "coutil.system", "awaitsig", wrong }, { "coutil.system", "emitsig", 1, wrong },
    { "coutil.system", "getpriority", wrong }, { "coutil.system", "setpriority", 0, wrong },
    { "coutil.system", "setdir", wrong }, { "coutil.system", "getenv", true }, { "coutil.system", "setenv", "a", wrong },
    { "coutil.system", "packenv", 1 }, { "coutil.system", "unpackenv", system.packenv {}, 1 },
    { "coutil.system", "procinfo", wrong }, { "coutil.system", "netinfo", "id", wrong },
    { "coutil.system", "random", m, 1, 1, wrong },
    { "coutil.File", "read", file, m, 1, 1, 0, wrong }, { "coutil.File", "write", file, "x", 1, 1, 0, wrong },
    { "coutil.File", "close", file, wrong }, { "coutil.File", "resize", file, 0, wrong },
    { "coutil.File", "flush", file, wrong }, { "coutil.File", "info", file, wrong },
    { "coutil.File", "own", file, -1, -1, wrong }, { "coutil.File", "grant", file, "r", wrong },
    { "coutil.Stream", "read", tcp, m, 1, wrong }, { "coutil.Stream", "connect", tcp, wrong },
    { "coutil.Stream", "bind", tcp, wrong },
    { "coutil.Datagram", "write", udp, "x", 1, 1, wrong }, { "coutil.Datagram", "connect", udp, wrong },
    { "coutil.Datagram", "read", udp, m, 1, 1, system.address "ipv6" },
    { "coutil.Datagram", "getaddress", udp, "self", system.address "ipv6" },
    { "coutil.Passive", "listen", passive, wrong },
  }
  for _, case in ipairs(cases) do
    local name, key = case[1], case[2]
    local declared = whole(classes, name).functions[key]
    local what, count = name .. "." .. key, #case - 2
    local f = declared.method and methods(case[3])[key] or require(({
      ["coutil.Memory"] = "coutil.memory", ["coutil.Channel"] = "coutil.channel",
      ["coutil.Coroutine"] = "coutil.coroutine", ["coutil.Threads"] = "coutil.threads",
    })[name] or name)[key]
    T.eq(count, #declared + (declared.method and 1 or 0), what)
    local co = T.create(f)
    local ok, err = coroutine.resume(co, T.unpack(case, 3))
    T.eq(ok, false, what)
    T.eq(err:match "#(%d+)", tostring(count), what .. ": " .. err)
  end
end)

-- The manual ------------------------------------------------------------------------------------

-- The page of a class.
local pages = {
  ["coutil.Memory"] = "memory", ["coutil.Channel"] = "channel", ["coutil.Coroutine"] = "coroutine", ["coutil.Threads"] = "threads",
  ["coutil.File"] = "files", ["coutil.Terminal"] = "streams",
}
local system_pages = { "loop", "network", "files", "processes", "signals", "information", "streams", "channel", "coroutine" }

-- The headings of a page, with the signatures that follow: lists of names of parameters.
local function headings(page)
  local found, current = {}, nil
  for number, line in ipairs(lines("docs/manual/" .. page .. ".md")) do
    local heading = line:match "^### (%w+[.:]%w+)$"
    local name, list = line:match "^`(%w+[.:]%w+) %((.-)%)`"
    if not name then name = line:match "^`(%w+%.%w+)`$" end
    if heading then
      current = { at = page .. ":" .. number }
      T.eq(found[heading], nil, heading)
      found[heading] = current
    elseif name and current and found[name] == current then
      local params = {}
      for param in (list or ""):gmatch "[%w.]+" do params[#params + 1] = param end
      current[#current + 1] = table.concat(params, " ")
    elseif line ~= "" then
      current = nil
    end
  end
  return found
end

T.test("the manual has each function and field, with its parameters, and no others", function ()
  local all = {}
  for _, list in ipairs { modules, system_pages } do
    for _, page in ipairs(list) do
      if not all["@" .. page] then
        all["@" .. page] = true
        for heading, signatures in pairs(headings(page)) do
          T.eq(all[heading], nil, heading)
          all[heading] = signatures
        end
      end
    end
  end
  for page in pairs(all) do if page:find "^@" then all[page] = nil end end
  local missing, used = {}, {}
  local function need(variable, mark, name, params)
    local heading = variable .. mark .. name
    local signatures = all[heading]
    if not signatures then heading = "socket" .. mark .. name; signatures = all[heading] end
    if not signatures then missing[#missing + 1] = variable .. mark .. name; return end
    used[heading] = true
    local want, fits = params and table.concat(params, " ") or "", false
    for _, signature in ipairs(signatures) do fits = fits or signature == want end
    if not fits then
      missing[#missing + 1] = heading .. " (" .. want .. ") instead of (" .. table.concat(signatures, ") (") .. ")"
    end
  end
  for _, class in pairs(classes) do
    if class.variable and class.name ~= "coutil.Address" then
      for name, declared in pairs(class.functions) do
        need(class.variable, declared.method and ":" or ".", name, declared)
      end
      for name in pairs(class.fields) do need(class.variable, ".", name) end
    end
  end
  for heading in pairs(all) do if not used[heading] then missing[#missing + 1] = heading .. " is not declared" end end
  table.sort(missing)
  T.eq(table.concat(missing, "\n"), "")
end)

T.done()
