-- bench/filelist.lua, as a program for luv.
local uv = require "luv"

local rounds = tonumber(arg and arg[1]) or 50
local folder = assert(uv.fs_mkdtemp((os.getenv "TMPDIR" or "/tmp") .. "/coutil-bench-XXXXXX"))
for i = 1, 20000 do uv.fs_close(assert(uv.fs_open(folder .. "/a file of some name " .. i, "w", 384))) end

local names = 0
local start, busy = uv.hrtime(), os.clock()
local round = 0
local function list ()
  if round == rounds then return end
  round = round + 1
  uv.fs_scandir(folder, function (err, found)
    assert(not err, err)
    while true do
      local name, kind = uv.fs_scandir_next(found)
      if not name then break end
      if kind == "file" and #name > 20 then names = names + 1 end
    end
    list()
  end)
end
list()
uv.run()

print(("%.6f %.6f %d"):format((uv.hrtime() - start) / 1e9, os.clock() - busy, names))
local found = uv.fs_scandir(folder)
while true do
  local name = uv.fs_scandir_next(found)
  if not name then break end
  uv.fs_unlink(folder .. "/" .. name)
end
uv.fs_rmdir(folder)
