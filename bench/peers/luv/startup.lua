-- bench/startup.lua, as a program for luv.
require "luv"
print(os.clock() * 1e3)
