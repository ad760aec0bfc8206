-- bench/fileblock.lua, as a program for luv.
local uv = require "luv"

local rounds = tonumber(arg and arg[1]) or 500000
local file, path = assert(uv.fs_mkstemp((os.getenv "TMPDIR" or "/tmp") .. "/coutil-bench-XXXXXX"))
assert(uv.fs_ftruncate(file, 1048576))
local data = ("\0"):rep(512)

local start, busy = uv.hrtime(), os.clock()
for i = 0, rounds - 1 do
  local offset = i % 2048 * 512
  uv.fs_write(file, data, offset)
  data = uv.fs_read(file, 512, offset)
end

print(("%.6f %.6f %d"):format((uv.hrtime() - start) / 1e9, os.clock() - busy, 2 * rounds))
uv.fs_unlink(path)
