#!/bin/sh
# Builds the module for a Lua version, and runs a script that uses it in the interpreter of that version:
#
#     examples/stock-lua/run.sh 5.4 [INTERPRETER]
#
# VERSION is one of 5.1 5.2 5.3 5.4 5.5 jit. The interpreter is `lua5.4` and the like unless another one is named.
set -eu
version=${1:-5.4}
case $version in
  jit) interpreter=${2:-luajit} ;;
  *) interpreter=${2:-lua$version} ;;
esac
here=$(cd "$(dirname "$0")" && pwd)

# Prints the folder that it has built: coutil.so, and the Lua files that go with it.
folder=$(cd "$here/../.." && cargo xtask build --lua "$version")

# That is all that has to be set. `;;` stands for the default path. (Variables with a version would come first.)
unset LUA_PATH_5_2 LUA_PATH_5_3 LUA_PATH_5_4 LUA_PATH_5_5 LUA_CPATH_5_2 LUA_CPATH_5_3 LUA_CPATH_5_4 LUA_CPATH_5_5
LUA_PATH="$folder/?.lua;;" LUA_CPATH="$folder/?.so;;" exec "$interpreter" "$here/main.lua"
