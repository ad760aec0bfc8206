-- What a program takes that loads nothing, for bench/startup.lua.
print(os.clock() * 1e3)
