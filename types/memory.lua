---@meta memory

return require "coutil.memory"
