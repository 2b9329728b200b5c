-- test_thread.lua -- ngx.thread, by lua-nginx-module's t/098-uthread-wait.t
-- and t/127-uthread-kill.t.

package.path = "tests/lua/?.lua;" .. package.path
local t = require "tap"
local spawn, wait, kill = ngx.thread.spawn, ngx.thread.wait, ngx.thread.kill
local status = coroutine.status

local function after(sec, ...)
  ngx.sleep(sec)
  return ...
end

local seen = {}
local a = spawn(function(x, y)
  seen[1] = x + y
  return "done", 3.14
end, 1, 2)
t.is(type(a), "thread", "spawn returns a coroutine")
t.is(seen[1], 3, "it runs at once, with its arguments")
t.is(status(a), "zombie", "ended, and not waited for")
collectgarbage()
t.list({ wait(a) }, { true, "done", 3.14 }, "wait gives the results")
t.is(status(a), "dead", "waited for")
t.list({ wait(a) }, { nil, "already waited or killed", n = 2 }, "wait again")

a = spawn(after, 0.01, "late", nil, "z")
t.is(status(a), "running", "it waits")
t.list({ wait(a) }, { true, "late", nil, "z", n = 4 }, "wait for the results")

a, seen = spawn(after, 0.02, "a"), {}
local b = spawn(after, 0.01, "b")
t.list({ wait(a, b) }, { true, "b" }, "the first that ends")
t.is(status(a), "running", "the other goes on")
t.list({ wait(b, a) }, { true, "a" }, "who has ended is passed over")
t.list({ wait(a, b) }, { nil, "already waited or killed", n = 2 }, "all done")

a = spawn(after, 0.001, 1)
b = spawn(after, 0.02, 2)
t.list({ wait(b) }, { true, 2 }, "in the reverse order")
t.is(status(a), "zombie", "the early one is kept")
t.list({ wait(a) }, { true, 1 }, "until it is waited for")

-- Errors.
a = spawn(function() error("bad bad!") end)
t.is(status(a), "zombie", "ended with an error")
local ok, err, full = wait(a)
t.list({ ok, err }, { false, "bad bad!" }, "wait tells the error")
t.ok(full:find "test_thread.lua:%d+: bad bad!$", "and where", full)
a = spawn(function() ngx.sleep(0.001); error { code = 5 } end)
ok, err = wait(a)
t.is(not ok and err.code, 5, "an error that is a table")
a = spawn(function() local secret = 1; return secret.x.y end)
ok, err = wait(a)
t.ok(not ok and err:find "attempt to index", "a runtime error", err)
a = spawn(function() ngx.sleep(0.001); error() end)
t.list({ wait(a) }, { false, nil, n = 2 }, "an error that is nil")

t.raises("bad argument #1 to 'spawn' (Lua function expected)", "spawn a text",
  function() spawn("x") end)
t.raises("Lua function expected", "spawn a C function", spawn, print)
t.raises("at least one coroutine should be specified", "wait()", wait)
t.raises("lua thread expected", "wait for a text", wait, "x")
t.raises("lua thread expected", "kill a text", kill, "x")
local co = coroutine.create(function() end)
t.raises("attempt to wait on a coroutine that is not a user thread",
  "wait for a coroutine", wait, co)
t.list({ kill(co) }, { nil, "not user thread", n = 2 }, "kill a coroutine")

-- Kill.
local killed = true
a = spawn(function() ngx.sleep(0.01); killed = false end)
t.list({ kill(a) }, { 1 }, "kill")
t.is(status(a), "dead", "it is dead")
t.list({ kill(a) }, { nil, "already waited or killed", n = 2 }, "kill again")
ngx.sleep(0.02)
t.ok(killed, "and never goes on")
a = spawn(function() end)
t.list({ kill(a) }, { nil, "already terminated", n = 2 }, "kill a zombie")
t.list({ wait(a) }, { nil, "already waited or killed", n = 2 },
  "which frees it")
a = spawn(after, 0.02)
b = spawn(function() return kill(a) end)
t.list({ wait(b) }, { true, nil, "killer not parent", n = 3 },
  "only the parent may kill")
b = spawn(function() return pcall(wait, a) end)
ok, err = select(2, wait(b))
t.list({ ok, err },
  { false, "only the parent coroutine can wait on the thread" },
  "only the parent may wait")
co = coroutine.create(function() return pcall(wait, a) end)
ok, err = select(2, coroutine.resume(co))
t.list({ ok, err },
  { false, "only the parent coroutine can wait on the thread" },
  "a coroutine is another parent")
co = coroutine.wrap(function()
  local mine = spawn(after, 0.001, "mine")
  return wait(mine)
end)
t.list({ co() }, { true, "mine" }, "a coroutine may have threads")
kill(a)

-- Threads of threads.
a = spawn(function()
  local inner = { spawn(after, 0.002, 2), spawn(after, 0.001, 1) }
  local _, x = wait(inner[1])
  local _, y = wait(inner[2])
  return x + y
end)
t.list({ wait(a) }, { true, 3 }, "threads of a thread")
local orphan
a = spawn(function()
  spawn(function() ngx.sleep(0.01); orphan = "ran" end)
  return "gone"
end)
t.list({ wait(a) }, { true, "gone" }, "a thread ends before its own")
ngx.sleep(0.02)
t.is(orphan, "ran", "which runs on")

-- Many.
local many, sum = {}, 0
for i = 1, 500 do many[i] = spawn(after, i % 7 / 1000, i) end
for i = 1, 500 do sum = sum + select(2, wait(many[i])) end
t.is(sum, 125250, "500 threads")
many, sum = {}, 0
for i = 1, 50 do many[i] = spawn(after, i / 2000, i) end
for _ = 1, 50 do sum = sum + select(2, wait(unpack(many))) end
t.is(sum, 1275, "any of 50, again and again")

-- The others run while one thread yields.
local order = {}
local function count(name)
  for i = 1, 2 do
    order[#order + 1] = name .. i
    coroutine.yield()
  end
end
a, b = spawn(count, "a"), spawn(count, "b")
wait(a)
wait(b)
t.is(table.concat(order, " "), "a1 b1 a2 b2", "yield lets others run")

-- A thread's coroutine is not for resume.
a = spawn(after, 0.01, "x")
t.list({ coroutine.resume(a) },
  { false, "cannot resume running coroutine" }, "resume a thread")
t.list({ wait(a) }, { true, "x" }, "does it no harm")
a = spawn(function() end)
t.list({ coroutine.resume(a) }, { false, "cannot resume zombie coroutine" },
  "resume a zombie")

-- ngx.exit in a thread ends all of it.
local trace = {}
ngx.timer.at(0, function()
  spawn(function()
    spawn(function()
      trace[#trace + 1] = "exit"
      ngx.exit(0)
    end)
    trace[#trace + 1] = "thread went on"
  end)
  trace[#trace + 1] = "parent went on"
end)
ngx.timer.at(0, function()
  spawn(function() ngx.sleep(0.001); ngx.exit(0) end)
  ngx.sleep(0.02)
  trace[#trace + 1] = "the sleeper went on"
end)
ngx.timer.at(0, function()
  spawn(function()
    ngx.sleep(0.001)
    spawn(function() ngx.exit(0) end)
    trace[#trace + 1] = "a resumed thread went on"
  end)
  ngx.sleep(0.02)
  trace[#trace + 1] = "its sleeper went on"
end)
ngx.timer.at(0, function()
  spawn(function() ngx.sleep(0.01); trace[#trace + 1] = "last" end)
end)
ngx.timer.at(0, function()
  spawn(function() ngx.sleep(0.01); trace[#trace + 1] = "after an error" end)
  error("on purpose: ends its threads")
end)
ngx.sleep(0.05)
t.is(table.concat(trace, ", "), "exit, last", "exit, and ends")

-- Who was about to go on first does, as in lua-nginx-module's queue.
local said = {}
local function say(word) said[#said + 1] = word end
local function nested()
  say "before"
  spawn(function() say "inner" end)
  say "after"
end
local outer = spawn(nested)
say "main"
wait(outer)
t.is(table.concat(said, " "), "before inner main after",
  "a thread that starts another lets its own starter go on first")

said = {}
local function sliced(name)
  for i = 1, 3 do
    say(name .. i)
    if i < 3 then coroutine.yield() end
  end
end
local f = spawn(sliced, "f")
local g = spawn(sliced, "g")
say "main"
wait(f)
wait(g)
t.is(table.concat(said, " "), "f1 g1 f2 main g2 f3 g3",
  "threads that yield take turns")
t.is(spawn(function()
  spawn(function() error "not told" end)
end) ~= nil, true, "an error in a nested thread stops nobody else")

local me
spawn(function()
  me = coroutine.running()
  coroutine.resume(coroutine.create(function() ngx.sleep(0.001) end))
end)
t.is(coroutine.status(me), "normal",
  "a thread is normal while a coroutine of its own waits")
ngx.sleep(0.005)

t.list({ ngx.thread.kill(coroutine.running()) }, { nil, "not user thread" },
  "the main thread is not to be killed")
spawn(function()
  t.list({ ngx.thread.kill(coroutine.running()) }, { nil, "killer not parent" },
    "a thread does not kill itself")
end)

t.done()
