-- bench/peers/plain/exchange1.lua, with two threads.
arg = { arg and arg[1] or 50000, 2 }
dofile "bench/peers/plain/exchange1.lua"
