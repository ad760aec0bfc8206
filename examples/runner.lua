-- Runs shell commands, several at a time, and keeps the output of each together.
--
--   cargo xtask run examples/runner.lua [-j N] [-k] [-q] [-f FILE | COMMAND...]
--
--   -j N     at most N at a time (as many as there are processors)
--   -k       keep going: by default no command is started any more after one has failed
--   -q       print only the output of commands that fail
--   -f FILE  a command on each line of the file; empty lines and those that begin with # do not count
--
-- Without commands they are read from standard input. The status is 0 if all commands ended with 0, 1 if not, and 2 if the
-- arguments are wrong. Ctrl+C stops the commands that run, and the runner when they have ended (status 130); a second one
-- kills them. Whatever a command leaves running in the background is waited for as long as it can write output.
local memory = require "coutil.memory"
local promise = require "coutil.promise"
local spawn = require "coutil.spawn"
local system = require "coutil.system"

local function usage ()
  io.stderr:write("usage: runner.lua [-j N] [-k] [-q] [-f FILE | COMMAND...]\n")
  os.exit(2)
end

-- An error in any coroutine is one of this program.
local function fail (message)
  io.stderr:write(debug.traceback(message, 2), "\n")
  os.exit(70)
end

local commands, options = {}, { jobs = #(system.cpuinfo()) }
do
  local i, path = 1, nil
  while arg[i] and arg[i]:match "^%-." do
    local option = arg[i]
    if option == "-k" or option == "-q" then
      options[option] = true
    elseif option == "-j" and tonumber(arg[i + 1]) and tonumber(arg[i + 1]) >= 1 then
      i = i + 1
      options.jobs = math.floor(tonumber(arg[i]))
    elseif option == "-f" and arg[i + 1] then
      i = i + 1
      path = arg[i]
    elseif option == "--" then
      i = i + 1
      break
    else
      usage()
    end
    i = i + 1
  end
  for j = i, #arg do commands[#commands + 1] = arg[j] end
  if path and #commands > 0 then usage() end
  if path or #commands == 0 then
    local file, message = io.stdin, nil
    if path and path ~= "-" then file, message = io.open(path) end
    if not file then
      io.stderr:write(message, "\n")
      os.exit(2)
    end
    for line in file:lines() do
      if line:match "%S" and not line:match "^%s*#" then commands[#commands + 1] = line end
    end
  end
end

local running = {}                      -- description of a process → true
local failed, stopped = 0, nil          -- how many commands failed; the signal that stopped the runner

-- Runs one command, and prints what it wrote. It has no input.
local function run (command)
  -- One stream for both, so that the lines keep their order.
  local process = { execfile = "sh", arguments = { "-c", "exec 2>&1\n" .. command }, stdin = false, stdout = "r" }
  local ended, fulfill = promise.create()
  running[process] = true
  spawn.catch(fail, function () fulfill(system.execute(process)) end)

  local buffer, output = memory.create(65536), {}
  while true do
    local count = process.stdout:read(buffer)
    if not count then break end
    output[#output + 1] = buffer:tostring(1, count)
  end
  process.stdout:close()
  local how, number, code = ended()     -- waits, if it did not end yet
  running[process] = nil

  local good = how == "exit" and number == 0
  if not good then failed = failed + 1 end
  local text = table.concat(output)
  if not (good and options["-q"]) then
    if text ~= "" and text:sub(-1) ~= "\n" then text = text .. "\n" end
    local status = how == "exit" and "status " .. number
                or how and ("%s, signal %d"):format(how, number)
                or ("not started: %s"):format(number)
    io.stdout:write("$ ", command, "\n", text, good and "" or "* " .. status .. "\n")
    io.stdout:flush()
  end
end

-- Stops what runs when the signal arrives; a second one kills it.
local function watch (signal, status)
  return coroutine.create(function ()
    while system.awaitsig(signal) do
      local what = stopped and "TERMINATE" or signal
      stopped = stopped or status
      for process in pairs(running) do system.emitsig(process.pid, what) end
    end
  end)
end

local watches = { watch("interrupt", 130), watch("terminate", 143) }
for _, watching in ipairs(watches) do assert(coroutine.resume(watching)) end

-- So many coroutines take one command after the other.
local index, workers = 0, math.min(options.jobs, #commands)
local function work ()
  while index < #commands and not stopped and (failed == 0 or options["-k"]) do
    index = index + 1
    run(commands[index])
  end
  workers = workers - 1
  -- Who waits for a signal would keep the loop going: to resume it with nothing ends that.
  if workers == 0 then
    for _, watching in ipairs(watches) do coroutine.resume(watching) end
  end
end
if workers == 0 then os.exit(0) end
for _ = 1, workers do spawn.catch(fail, work) end
system.run()

if index < #commands then
  io.stderr:write(("%d of %d commands were not started\n"):format(#commands - index, #commands))
end
os.exit(stopped or (failed > 0 and 1 or 0))
