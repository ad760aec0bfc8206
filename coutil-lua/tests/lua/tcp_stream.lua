-- TCP streams: reading, writing, shutting down, and hand-overs.

local T = require "testing"
local L = require "loop_testing"

require "stream_testing"(L.domains, 1)

T.done()
