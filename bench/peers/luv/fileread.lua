-- bench/fileread.lua, as a program for luv.
local uv = require "luv"

local reads = tonumber(arg and arg[1]) or 50000
local file, path = assert(uv.fs_mkstemp((os.getenv "TMPDIR" or "/tmp") .. "/coutil-bench-XXXXXX"))
assert(uv.fs_ftruncate(file, 1048576))

local start, busy = uv.hrtime(), os.clock()
local i = 0
local function read (err, data)
  assert(not err and (not data or #data == 512), err)
  if i == reads then return end
  i = i + 1
  uv.fs_read(file, 512, (i - 1) % 2048 * 512, read)
end
read()
uv.run()

print(("%.6f %.6f %d"):format((uv.hrtime() - start) / 1e9, os.clock() - busy, reads))
uv.fs_unlink(path)
