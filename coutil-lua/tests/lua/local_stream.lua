-- Local and share streams: reading, writing, shutting down, and hand-overs.

local T = require "testing"

require "stream_testing" { "local", "share" }

T.done()
