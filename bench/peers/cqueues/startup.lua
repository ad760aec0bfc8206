-- bench/startup.lua, as a program for cqueues.
require "cqueues"
print(os.clock() * 1e3)
