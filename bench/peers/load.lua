-- Fails if the module of this name cannot be loaded: `cargo xtask bench` asks with this which peers there are.
require(arg[1])
