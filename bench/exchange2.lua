-- bench/exchange1.lua, on two threads.
arg = { arg and arg[1] or 50000, 2 }
dofile "bench/exchange1.lua"
