-- The iterator objects of `cpuinfo` and `netinfo`.

-- require "iterator_testing" (class, create, letters, others)
-- `create(which)` makes the four values; `letters` are those of the class; `others` are pairs of a class and an object of it.

local T = require "testing"
local L = require "loop_testing"
local P = require "process_testing"
local memory = require "memory"
local pack = T.pack

return function (class, create, letters, others)

local closed = "closed " .. class
local call = getmetatable((create())).__call -- as `it(...)`

-- A meta method, called so that the object is closed.
local function close(it) getmetatable(it).__close(it) end

T.test(class .. ": four values [30 C1] [30 N3]", function ()
  for _, which in ipairs { "", letters, 1, print, {}, true, false, "unknown letters ?" } do
    local got = pack(create(which))
    T.eq(got.n, 4)
    T.eq(type(got[1]), "userdata")
    T.eq(rawequal(got[2], which), true)
    T.eq(got[3], 0)
    P.integer(got[3])
    T.eq(rawequal(got[4], got[1]), true)
  end
  local got = pack(create())
  T.eq(got.n, 4)
  T.same({ n = 2, got[2], got[3] }, pack(nil, 0))
end)

T.test(class .. ": the class [30 C4] [00 6.1]", function ()
  local it = create()
  local meta = getmetatable(it)
  T.eq(meta.__name, class)
  for _, name in ipairs { "__gc", "__close", "__len", "__call" } do T.eq(type(meta[name]), "function", name) end
  for name in pairs(meta) do
    T.eq(({ __name = 1, __gc = 1, __close = 1, __len = 1, __call = 1 })[name], 1, name)
  end
  T.eq(getmetatable((create())), meta)
  if T.number >= 5.3 then
    T.eq(tostring(it):find(class .. ": ", 1, true), 1)
    local got = L.message(function () return it.close end)
    T.eq(got:find("attempt to index a " .. class .. " value", 1, true), 1, got)
  end
  T.raises("attempt to index", function () return it.close end)
  T.raises("attempt to index", function () it.x = 1 end)
  T.eq(T.collected(function (watch) watch((create(letters))) end), true)
end)

T.test(class .. ": calls [30 C6] [30 C5]", function ()
  local it = create(letters)
  local n = getmetatable(it).__len(it)
  P.integer(n)
  T.eq(#it, n)
  if n == 0 then return end
  T.returns({ 1 }, it, "", 0)
  T.returns({ 1 }, it, "")
  T.returns({ 1 }, it, "", nil)
  T.returns({ n }, it, "", n - 1)
  P.integer(it("", 0))
  for i = 1, n do
    local got = pack(it(letters, i - 1, "surplus", {}))
    T.eq(got.n, #letters + 1)
    T.eq(got[1], i)
    for k = 1, #letters do
      local c = letters:sub(k, k)
      T.returns({ i, got[k + 1] }, it, c, i - 1)
      T.returns({ i, got[k + 1], got[k + 1] }, it, c .. c, tostring(i - 1))
      if i == 1 then T.returns({ 1, got[k + 1] }, it, c) end
    end
    T.same(pack(it(letters:reverse(), i - 1)), (function ()
      local back = { n = got.n, i }
      for k = 1, #letters do back[k + 1] = got[got.n + 1 - k] end
      return back
    end)())
    T.same(pack(it(letters .. "\0?", i - 1)), got) -- the letters end at a NUL [30 K8]
  end
end)

T.test(class .. ": where there is no entry [30 C7]", function ()
  local it = create(letters)
  local n = #it
  for _, prev in ipairs { -2, -1, n, n + 1, n + 1000, 2 ^ 31 - 1, 2 ^ 31, 2 ^ 32, 2 ^ 32 + 1, 2 ^ 33, -2 ^ 31, -2 ^ 32, -2 ^ 32 - 1,
                          2 ^ 52, -2 ^ 52, T.integers and math.maxinteger or n, T.integers and math.mininteger or n } do
    T.eq(pack(it(letters, prev)).n, 0, prev)
    T.eq(pack(it("", prev)).n, 0, prev)
    T.eq(pack(it("?~", prev)).n, 0, prev) -- the letters are not looked at
    P.argument(2, "string expected, got table", call, it, {}, prev)
  end
  P.argument(2, "string expected, got nil", call, it, nil, n)
end)

T.test(class .. ": other letters and arguments [30 C8] [30 C6] [30 K9]", function ()
  local it = create(letters)
  P.argument(2, "string expected, got no value", call, it)
  P.argument(2, "string expected, got nil", call, it, nil, 0)
  P.argument(2, "string expected, got boolean", call, it, true, {})
  P.argument(2, "string expected, got table", call, it, {}, {})
  P.argument(3, "number expected, got table", call, it, "", {})
  P.argument(3, "number expected, got string", call, it, letters, "x")
  P.argument(3, "number expected, got string", call, it, "?", "x")
  P.argument(3, "number expected, got boolean", call, it, "?", false)
  P.argument(3, "number has no integer representation", call, it, letters, .5)
  P.argument(3, "number has no integer representation", call, it, "?", 2 ^ 80)
  if #it == 0 then return end
  for byte = 1, 255 do
    local c = string.char(byte)
    if not letters:find(c, 1, true) then
      P.raises("unknown mode char (got '" .. c .. "')", call, it, c)
      P.raises("unknown mode char (got '" .. c .. "')", call, it, letters .. c .. "?", 0)
    end
  end
  P.raises("unknown mode char (got '1')", call, it, 1)
end)

T.test(class .. ": closing, more than once [30 C9] [30 C10] [00 6.4.2]", function ()
  for _, name in ipairs { "__close", "__gc" } do
    local it = create(letters)
    local meta = getmetatable(it)
    meta[name](it, "an error", nil, {})
    for _ = 1, 2 do
      meta.__close(it)
      meta.__gc(it)
      meta.__close(it, nil)
      meta.__gc(it, print, 1)
    end
    P.argument(1, closed, call, it, letters)
    P.argument(1, closed, call, it, letters, 0)
    P.argument(1, closed, call, it)
    P.argument(1, closed, call, it, {}, {})
    P.argument(1, closed, meta.__len, it)
    T.raises(closed, function () return #it end)
    T.raises(closed, function () return it(letters, 0) end)
  end
  local it = create()
  local meta = getmetatable(it)
  local foreign = { { "nil", nil }, { "table", {} }, { "string", "x" }, { "number", 1 }, { "char[]", memory.create(1) } }
  for _, other in ipairs(others or {}) do foreign[#foreign + 1] = other end
  for _, value in ipairs(foreign) do
    for _, name in ipairs { "__close", "__gc", "__len", "__call" } do
      P.argument(1, class .. " expected, got " .. value[1], meta[name], value[2], "", 0)
    end
  end
  P.argument(1, class .. " expected, got no value", meta.__gc)
  T.eq(#it >= 0, true)
end)

T.test(class .. ": a loop [30 C1] [30 C6]", function ()
  local n, count = #create(), 0
  for i, first in create(letters:sub(1, 1)) do
    count = count + 1
    T.eq(i, count)
    T.eq(first ~= nil, true)
  end
  T.eq(count, n)
  for _ in create(letters) do break end
end)

T.test_if(T.has_tbc, "no variables to be closed", class .. ": closed at the end of a loop and of a block [30 C1] [30 C9] [00 6.4.1]",
function ()
  local loop = T.load [[
    local fail, it, which, first, closing = ...
    for _ in it, which, first, closing do if fail == "break" then break elseif fail then error("own error", 0) end end]]
  for _, fail in ipairs { false, "break", "error" } do
    local it, which, first, closing = create(letters)
    if #it == 0 and fail == "error" then break end
    local ok, text = pcall(loop, fail, it, which, first, closing)
    if fail == "error" then T.eq(text, "own error") else T.eq(ok, true) end
    P.argument(1, closed, call, it, letters)
  end
  local block = T.load [[
    local create, f = ...
    local c <close> = create()
    f(c)]]
  local kept
  block(create, function (it)
    kept = it
    T.eq(#it >= 0, true)
  end)
  P.argument(1, closed, call, kept, "")
end)

T.test(class .. ": nothing is left of objects that are closed or forgotten [00 6.4.4] [30 C9]", function ()
  T.eq(T.collected(function (watch)
    for i = 1, 50 do
      local it = watch((create(letters)))
      if i % 2 == 0 then close(it) end
    end
  end), true)
end)

end
