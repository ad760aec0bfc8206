-- bench/files.lua, as a program for luv.
local uv = require "luv"

local rounds = tonumber(arg and arg[1]) or 2000
local folder = assert(uv.fs_mkdtemp((os.getenv "TMPDIR" or "/tmp") .. "/coutil-bench-XXXXXX"))
local data = ("x"):rep(1000)

local calls = 0
local function work (i)
  local path, round, file = folder .. "/" .. i, 0, nil
  local open, write, read, close, remove
  function open ()
    if round == rounds then return end
    round = round + 1
    uv.fs_open(path, "w+", 384, write)
  end
  function write (err, opened)
    assert(not err, err)
    file = opened
    uv.fs_write(file, data, 0, read)
  end
  function read (err, count)
    assert(count == 1000, err)
    uv.fs_read(file, 1000, 0, close)
  end
  function close (err, got)
    assert(#got == 1000, err)
    uv.fs_close(file, remove)
  end
  function remove (err)
    assert(not err, err)
    calls = calls + 5
    uv.fs_unlink(path, open)
  end
  open()
end

local start, busy = uv.hrtime(), os.clock()
for i = 1, 8 do work(i) end
uv.run()

print(("%.6f %.6f %d"):format((uv.hrtime() - start) / 1e9, os.clock() - busy, calls))
uv.fs_rmdir(folder)
