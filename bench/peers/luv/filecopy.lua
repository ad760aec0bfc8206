-- bench/filecopy.lua, as a program for luv.
local uv = require "luv"

local copies = tonumber(arg and arg[1]) or 30
local folder = assert(uv.fs_mkdtemp((os.getenv "TMPDIR" or "/tmp") .. "/coutil-bench-XXXXXX"))
local file = assert(uv.fs_open(folder .. "/from", "w", 384))
for _ = 1, 32 do uv.fs_write(file, uv.random(1048576), -1) end

local start, busy = uv.hrtime(), os.clock()
local i = 0
local function copy (err)
  assert(not err, err)
  if i == copies then return end
  i = i + 1
  uv.fs_copyfile(folder .. "/from", folder .. "/to", copy)
end
copy()
uv.run()

print(("%.6f %.6f %d"):format((uv.hrtime() - start) / 1e9, os.clock() - busy, 32 * copies))
uv.fs_unlink(folder .. "/from")
uv.fs_unlink(folder .. "/to")
uv.fs_rmdir(folder)
