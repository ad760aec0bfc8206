rockspec_format = "3.0"
package = "coutil"
version = "scm-1"
source = {
   url = "git+https://github.com/coutil/coutil",
}
description = {
   summary = "Multithreading for Lua without callbacks",
   detailed = [[
Coroutines that wait for sockets, files, timers, processes, signals, events,
promises, mutexes, channels and code on other system threads.
]],
   homepage = "https://github.com/coutil/coutil",
   license = "MIT",
}
supported_platforms = { "unix" }
dependencies = {
   "lua >= 5.1, < 5.6",
}
-- It takes cargo, which fetches the crates that are needed. xtask asks the interpreter which Lua it is.
build = {
   type = "command",
   build_command = [[cargo run --quiet --locked --package xtask -- build --for "$(LUA)" --into target/rock]],
   install = {
      lib = { "target/rock/coutil.so" },
      lua = {
         ["coutil.event"] = "coutil-lua/lua/coutil/event.lua",
         ["coutil.mutex"] = "coutil-lua/lua/coutil/mutex.lua",
         ["coutil.promise"] = "coutil-lua/lua/coutil/promise.lua",
         ["coutil.queued"] = "coutil-lua/lua/coutil/queued.lua",
         ["coutil.spawn"] = "coutil-lua/lua/coutil/spawn.lua",
      },
   },
   copy_directories = { "docs", "examples", "types" },
}
