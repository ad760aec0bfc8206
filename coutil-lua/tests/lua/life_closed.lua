-- States that are closed, all that have the module, while threads are blocked in it, which go on later; then others load it again. Only
-- the FFI of LuaJIT can make a state here.

local T = require "testing"

local jit = rawget(_G, "jit")
local is_module = jit and package.searchpath("coutil", package.cpath)
T.test_if(is_module and T.interpreter(), "no FFI, or no module", "nobody waits for a thread that is blocked, and the module stays as long as it [90 1.1] [20 1.14]", function ()
  local out, status = T.child([=[
    local ffi = require "ffi"
    ffi.cdef [[
      typedef struct lua_State lua_State;
      lua_State *luaL_newstate(void);
      void luaL_openlibs(lua_State *);
      int luaL_loadstring(lua_State *, const char *);
      int lua_pcall(lua_State *, int, int, int);
      const char *lua_tolstring(lua_State *, int, size_t *);
      void lua_close(lua_State *);
      int usleep(unsigned);
    ]]
    local prelude = ("package.path, package.cpath = %q, %q "):format(package.path, package.cpath)
    local function state(text)
      local L = ffi.C.luaL_newstate()
      ffi.C.luaL_openlibs(L)
      if ffi.C.luaL_loadstring(L, prelude .. text) ~= 0 or ffi.C.lua_pcall(L, 0, 0, 0) ~= 0 then
        error(ffi.string(ffi.C.lua_tolstring(L, -1, nil)))
      end
      return L
    end
    for round = 1, 3 do
      local paths, list = {}, {}
      for i = 1, 4 do paths[i] = os.tmpname() os.remove(paths[i]) os.execute("mkfifo " .. paths[i]) end
      for i = 1, 4 do
        -- A thread opens the pipe, which lasts until it is opened for writing; others have nothing to do.
        list[i] = state(("local path = %q "):format(paths[i]) .. [[
          local system, threads = require "coutil.system", require "coutil.threads"
          local states = require "coutil.coroutine"
          local function start(f) coroutine.wrap(f)() end
          start(function () system.openfile(path, "r") end)
          start(function () system.suspend(1000) end)
          start(function () system.awaitsig "userdef1" end)
          local co = assert(states.load "return ...")
          start(function () system.resume(co) end)
          system.run "ready"
          pool = assert(threads.create(1))
        ]])
      end
      ffi.C.usleep(20000)
      for i = 1, 4 do ffi.C.lua_close(list[i]) end
      -- Nobody has the module any more; now the threads go on.
      for i = 1, 4 do
        io.open(paths[i], "w"):close()
        os.remove(paths[i])
      end
      ffi.C.usleep(20000)
    end
    io.stdout:write "END\n" ]=])
  T.eq(out, "END\n")
  T.eq(status, 0)
end)

T.done()
