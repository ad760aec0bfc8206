-- The prompt, in the thread of Lua: a coroutine that does what the editor asks for.
local host = ...
local describe, complete = host.describe, host.complete

local system, spawn = require "coutil.system", require "coutil.spawn"
local run, catch = system.run, spawn.catch

local _G, error, io, pcall, select, tostring, type = _G, error, io, pcall, select, tostring, type
local rawget, rawset = rawget, rawset
local concat = table.concat
local create, resume, running, status, close =
  coroutine.create, coroutine.resume, coroutine.running, coroutine.status, coroutine.close
local debug_getmetatable, traceback = debug.getmetatable, debug.traceback
local load = loadstring or load
local jit = type(jit) == "table" and jit or nil
local stdout, stderr = io.stdout, io.stderr
local print = print
local write = stdout.write

-- How wide what is shown may be.
local WIDTH = 100

-- The names by which the modules are at hand.
local MODULES = { "event", "queued", "mutex", "promise", "spawn", "channel", "threads", "system", "memory", "coutil" }

-- The line that runs: its coroutine.
local line
local ended = false

-- Output ----------------------------------------------------------------------------------------------------------------

-- What is written while a line is being typed is shown above it.
local function put (file, text)
  if not host.show(text) then
    -- It may be closed.
    pcall(write, file, text)
    pcall(file.flush, file)
  end
end

local function wrap_output ()
  -- Shows the values, if they are what can be written.
  local function shown (...)
    local texts = { ... }
    for index = 1, select("#", ...) do
      local value = texts[index]
      if type(value) ~= "string" and type(value) ~= "number" then return false end
      texts[index] = tostring(value)
    end
    return host.show(concat(texts))
  end

  local methods = debug_getmetatable(stdout).__index
  local result = write(stdout, "")

  function methods.write (file, ...)
    if (file == stdout or file == stderr) and host.typing() and shown(...) then
      return result == true or file
    end
    return write(file, ...)
  end

  function io.write (...)
    return methods.write(io.output(), ...)
  end

  function _G.print (...)
    if not host.typing() then return print(...) end
    local texts = { ... }
    for index = 1, select("#", ...) do texts[index] = tostring(texts[index]) end
    if not host.show(concat(texts, "\t") .. "\n") then return print(...) end
  end
end

-- Errors ----------------------------------------------------------------------------------------------------------------

-- The text of an error, and whether a traceback belongs to it: as for `lua`.
local function text_of (err)
  if type(err) == "string" or type(err) == "number" then return tostring(err), true end
  local meta = debug_getmetatable(err)
  if type(meta) == "table" and rawget(meta, "__tostring") then
    local ok, text = pcall(tostring, err)
    if ok and type(text) == "string" then return text, false end
  end
  return "(error object is a " .. type(err) .. " value)", true
end

-- A traceback, without what is below the chunk of the line; and without the handler on top of it, if that made it.
local function shorten (trace, by_handler)
  local lines, first, last = {}, 1, nil
  for text in trace:gmatch "[^\n]+" do
    lines[#lines + 1] = text
    if by_handler and #lines == 1 then
      first = 2
    elseif text:find("(prompt.lua):", 1, true) then
      last = #lines - 1
      break
    elseif by_handler and (text:find("coutil.spawn:", 1, true) or #lines == 2 and text:find "%[C%]: %?$") then
      -- What has called the handler. (The latter is how 5.1 shows that.)
      first = #lines + 1
    end
  end
  last = last or #lines
  if last >= first then lines[last] = lines[last]:gsub("^(%s*stdin:%d+:) in .*$", "%1 in main chunk") end
  return "stack traceback:\n" .. concat(lines, "\n", first, last)
end

local function tell (err, trace, by_handler)
  local text, traced = text_of(err)
  if traced and trace then text = text .. "\n" .. shorten(trace:gsub("^%s*stack traceback:\n", ""), by_handler) end
  put(stderr, text .. "\n")
end

-- Lines -----------------------------------------------------------------------------------------------------------------

-- The line is over; the next one can be typed.
local function over (this)
  if line ~= this then return end
  line = nil
  local text = rawget(_G, "_PROMPT")
  host.done(text ~= nil and tostring(text) or "> ")
end

local function finish (this, ...)
  -- One that was interrupted and went on has nobody to show it to.
  local count = select("#", ...)
  if line == this and count > 0 then
    local texts, separator = { ... }, "\t"
    for index = 1, count do
      texts[index] = describe(texts[index], WIDTH)
      if texts[index]:find("\n", 1, true) then separator = "\n" end
    end
    put(stdout, concat(texts, separator) .. "\n")
  end
  over(this)
end

local function failed (this, err)
  -- Its stack is still there.
  local by_handler = running() == this.co
  tell(err, by_handler and traceback("", 2) or traceback(this.co), by_handler)
  over(this)
end

local function body (this, f)
  this.co = running()
  host.begin()
  finish(this, f())
end

-- An expression, which gives results, or statements.
local function compile (text)
  local f = load("return " .. text, "=stdin")
  if f then return f end
  -- As in versions up to 5.4.
  return load((text:gsub("^=", "return ")), "=stdin")
end

local function start (text)
  local this = {}
  line = this
  local f, message = compile(text)
  if not f then
    tell(message)
    return over(this)
  end
  -- Compiled code cannot be interrupted.
  if jit then jit.off(f, true) end
  local co = catch(function (err) failed(this, err) end, body, this, f)
  -- It may have closed itself.
  if status(co) == "dead" then over(this) end
end

-- The line waits: an error is raised where it does.
local function interrupt ()
  local this = line
  if not this then return end
  local co = this.co
  if status(co) == "suspended" then
    host.break_line(co)
    local ok, err = resume(co)
    host.calm()
    if not ok and line == this then tell(err, traceback(co)) end
    if status(co) == "suspended" and line == this then
      -- It waits again, or did not notice.
      local closed = close and pcall(close, co)
      put(stderr, closed and "interrupted!\n" or "interrupted! (the line still waits, in the background)\n")
    end
  end
  over(this)
end

-- The editor ------------------------------------------------------------------------------------------------------------

local function serve ()
  host.serve()
  while true do
    local what, text, ticket = host.next()
    if what == "line" then
      start(text)
    elseif what == "complete" then
      local ok, first, names = pcall(complete, text, _G)
      host.answer(ticket, ok and first or #text, ok and names or {})
    elseif what == "interrupt" then
      host.calm()
      interrupt()
    else
      ended = true
      system.halt()
      return
    end
  end
end

-- Errors of other coroutines, unless somebody else has asked for them.
if system.onerror() == nil then
  system.onerror(function (err, _, trace)
    local text = text_of(err)
    put(stderr, "coutil: " .. text .. "\n" .. (trace and trace .. "\n" or ""))
  end)
end

if host.bare then
  for _, place in ipairs { package.loaded, package.preload } do
    for name in pairs(place) do
      if type(name) == "string" and (name == "memory" or name:find "^coutil") then place[name] = nil end
    end
  end
else
  for _, name in ipairs(MODULES) do
    if rawget(_G, name) == nil then rawset(_G, name, require(name == "coutil" and name or "coutil." .. name)) end
  end
end
wrap_output()

-- Runs the loop until the editor has no more lines.
return function ()
  local server = create(serve)
  local ok, err = resume(server)
  if not ok then return error(err, 0) end
  repeat
    ok, err = pcall(run)
    -- As `onerror "raise"` has it.
    if not ok then tell(err) end
  until ended or status(server) == "dead"
end
