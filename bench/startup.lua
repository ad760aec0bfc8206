-- What a program has to wait for before its first line. Prints the milliseconds of processor time that the process has taken by then.
require "coutil.system"
print(os.clock() * 1e3)
