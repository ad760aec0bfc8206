-- What a program has to wait for before its first line.
require "coutil.system"
