-- `system.run` in a task, on versions without continuations: see `threads/run.rs`.
local start, continue, park = ...
return function (mode)
  local result = start(mode)
  while result == nil do
    park()
    result = continue()
  end
  return result
end
