-- Fails if the module of this name cannot be loaded: `cargo xtask bench` asks with this which peers there are. Prints its version.
local module = require(arg[1])
print(module.version_string and module.version_string() or module._VERSION or module.VERSION)
