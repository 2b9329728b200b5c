-- test_coroutine.lua -- waiting inside coroutines, pcall and iterators; and
-- coroutine.* as lua-nginx-module's t/091-coroutine.t has it.

package.path = "tests/lua/?.lua;" .. package.path
local t = require "tap"
local create, resume = coroutine.create, coroutine.resume
local yield, wrap, status = coroutine.yield, coroutine.wrap, coroutine.status

local function nap(...)
  ngx.sleep(0.001)
  return ...
end

-- Values go both ways, with waits in between.
local co = create(function(a, b)
  nap()
  local c = yield(a + b)
  nap()
  local d, e = yield(c * 2)
  nap()
  return d, nil, e
end)
t.list({ resume(co, 1, 2) }, { true, 3 }, "the first values")
t.is(status(co), "suspended", "in between")
t.list({ resume(co, 10) }, { true, 20 }, "the next")
t.list({ resume(co, "d", "e") }, { true, "d", nil, "e", n = 4 }, "the last")
t.is(status(co), "dead", "at the end")
t.list({ resume(co, 1) }, { false, "cannot resume dead coroutine" },
  "resume the dead")

-- Nested, and through pcall, xpcall, wrap, iterators and metamethods.
local function deep(n)
  if n == 0 then return nap("bottom") end
  return wrap(function() nap(); return deep(n - 1) end)()
end
t.is(deep(10), "bottom", "ten deep")
t.list({ pcall(nap, 1, 2) }, { true, 1, 2 }, "pcall")
t.list({ pcall(function() nap(); error("x", 0) end) }, { false, "x" },
  "pcall of what fails after a wait")
t.list({ xpcall(function() return nap(7) end, debug.traceback) }, { true, 7 },
  "xpcall")
local got = {}
for i in wrap(function() for i = 1, 3 do nap(); yield(i) end end) do
  got[#got + 1] = nap(i)
end
t.list(got, { 1, 2, 3 }, "an iterator")
local slow = setmetatable({}, { __index = function(_, k) return nap(k) end,
  __add = function(_, x) return nap(x) end })
t.is(slow.key .. (slow + 1), "key1", "metamethods")

-- Two waits at once, in two coroutines of two threads.
local a = ngx.thread.spawn(function() return wrap(function()
  return nap "a" end)() end)
local b = ngx.thread.spawn(function() return wrap(function()
  return nap "b" end)() end)
t.list({ select(2, ngx.thread.wait(a)), select(2, ngx.thread.wait(b)) },
  { "a", "b" }, "in two threads")

-- Errors.
local ok, err = resume(create(function() nap(); error("oops") end))
t.ok(not ok and err:find "test_coroutine.lua:%d+: oops$", "resume's error",
  err)
ok, err = pcall(wrap(function() nap(); error("oops") end))
t.ok(not ok and err:find "^tests/lua/test_coroutine.lua:%d+: oops$",
  "wrap's error has one position", err)
local object = {}
ok, err = pcall(wrap(function() error(object) end))
t.ok(not ok and err == object, "wrap's error may be a table")
t.raises("cannot resume dead coroutine", "call wrap's function once more",
  function()
    local f = wrap(function() end)
    f()
    f()
  end)

-- Who must not be resumed.
local main = coroutine.running()
t.is(status(main), "running", "the entry thread's status")
t.list({ resume(main) }, { false, "cannot resume running coroutine" },
  "resume oneself")
co = create(function()
  return status(main), resume(main)
end)
t.list({ resume(co) },
  { true, "normal", false, "cannot resume normal coroutine" },
  "resume the parent")
co = create(function() ngx.sleep(0.01); return "undisturbed" end)
a = ngx.thread.spawn(function() return resume(co) end)
t.is(status(co), "running", "what waits is running")
t.list({ resume(co, "wrong") }, { false, "cannot resume running coroutine" },
  "resume what waits")
t.list({ ngx.thread.wait(a) }, { true, true, "undisturbed" },
  "and it got its own values")
t.raises("coroutine expected", "resume a text", resume, "x")

-- yield in the entry thread lets others run.
yield(main)
t.is(status(main), "running", "yield in the entry thread")

-- Where C code cannot be left, a wait raises and leaves nothing behind.
local list = { 3, 2, 1 }
ok, err = pcall(table.sort, list, function(x, y) nap(); return x < y end)
t.ok(not ok and err:find "attempt to yield across C%-call boundary",
  "no wait inside table.sort", err)
ok, err = pcall(string.gsub, "abc", ".", function(c)
  return wrap(function() return nap(c) end)()
end)
t.ok(not ok and err:find "attempt to yield across C%-call boundary",
  "nor in a coroutine inside gsub", err)
local start = ngx.now()
ngx.sleep(0.02)
t.ok(ngx.now() - start > 0.015, "the next wait is a whole one")
pcall(string.gsub, "abc", ".", function(c)
  return wrap(function() return nap(c) end)()
end)

-- Many, and dropped ones.
local sum = 0
for i = 1, 1000 do
  sum = sum + wrap(function() if i % 10 == 0 then nap() end return i end)()
end
t.is(sum, 500500, "a thousand coroutines")
for _ = 1, 100 do
  local f = wrap(function() yield(1) end)
  f()
end
collectgarbage()
t.is(status(create(nap)), "suspended", "dropped ones are no matter")
t.is(package.loaded.coroutine, coroutine, "require 'coroutine'")

t.done()
