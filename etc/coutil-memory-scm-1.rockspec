-- For a checkout: luarocks make etc/coutil-memory-scm-1.rockspec
-- It is a rock of its own, so that `coutil` displaces no file of the rock `memory`.
rockspec_format = "3.0"
package = "coutil-memory"
version = "scm-1"
source = {
   url = "git+https://github.com/coutil/coutil",
}
description = {
   summary = "The buffers of coutil, as the module memory",
   detailed = [[
Gives coutil.memory the name `memory` as well, for programs that are written for the rock `memory`.
If there is a C module of that name, it is what `require "memory"` returns.
]],
   homepage = "https://github.com/coutil/coutil",
   license = "MIT",
}
dependencies = {
   "lua >= 5.1, < 5.6",
   "coutil >= 3.0.0",
}
build = {
   type = "builtin",
   modules = {
      memory = "coutil-lua/lua/memory.lua",
   },
}
