-- test_semaphore.lua -- require "ngx.semaphore".

package.path = "tests/lua/?.lua;" .. package.path
local t = require "tap"
local semaphore = require "ngx.semaphore"
local spawn, wait, kill = ngx.thread.spawn, ngx.thread.wait, ngx.thread.kill

local sem = semaphore.new(2)
t.is(sem:count(), 2, "count")
t.list({ sem:wait(0) }, { true }, "wait for what is there")
t.is(sem:wait(10), true, "once more")
t.list({ sem:wait(0) }, { nil, "timeout", n = 2 }, "wait(0) for nothing")
local start = ngx.now()
local ok, err = sem:wait(0.02)
t.list({ not ok, err }, { true, "timeout" }, "timeout")
t.ok(ngx.now() - start > 0.01, "after a while")
t.is(sem:count(), 0, "and nobody waits any more")
t.is(sem:post(3), true, "post")
t.is(sem:count(), 3, "three more")
t.is(semaphore.new():count(), 0, "new without a number")

-- First come, first served; post itself resumes nobody.
local s, order = semaphore.new(0), {}
local threads = {}
for i = 1, 3 do
  threads[i] = spawn(function()
    assert(s:wait(5))
    order[#order + 1] = i
    return i
  end)
end
t.is(s:count(), -3, "three wait")
s:post(2)
t.is(#order, 0, "post does not run the waiters itself")
t.is(s:count(), -1, "but they have their share")
t.list({ s:wait(0) }, { nil, "timeout", n = 2 }, "nobody overtakes who waits")
wait(threads[1])
wait(threads[2])
t.list(order, { 1, 2 }, "the first two in their order")
s:post()
t.list({ wait(threads[3]) }, { true, 3 }, "then the third")

-- A waiter that was killed lets the next one through.
s = semaphore.new(0)
local a = spawn(function() s:wait(5) end)
local b = spawn(function() return s:wait(5) end)
t.is(kill(a), 1, "kill who waits")
t.is(s:count(), -1, "one waits")
s:post()
t.list({ wait(b) }, { true, true, nil, n = 3 }, "the other is served")

-- What a killed waiter was granted and could not use goes to the next.
s = semaphore.new(0)
a = spawn(function() s:wait(5) end)
b = spawn(function() return s:wait(5) end)
s:post()
kill(a)
t.list({ wait(b) }, { true, true, nil, n = 3 }, "a granted share is passed on")
a = spawn(function() s:wait(5) end)
s:post()
kill(a)
t.is(s:count(), 1, "or kept")

-- One semaphore, two timers (two requests would do the same).
s = semaphore.new(0)
local done = 0
for _ = 1, 2 do
  ngx.timer.at(0, function() if s:wait(5) then done = done + 1 end end)
end
ngx.sleep(0.02)
t.is(s:count(), -2, "two timers wait")
s:post(2)
ngx.sleep(0.02)
t.is(done, 2, "and both went on")

-- It works in a user's coroutine, and stays while someone waits.
local woken
a = spawn(function()
  local co = coroutine.wrap(function()
    local mine = semaphore.new(0)
    ngx.timer.at(0.01, function() mine:post() end)
    woken = mine:wait(5)
    mine = nil
    collectgarbage()
    return "end"
  end)
  return co()
end)
collectgarbage()
t.list({ wait(a) }, { true, "end" }, "in a coroutine")
t.is(woken, true, "was woken")
spawn(function() semaphore.new(0):wait(0.03) end)
collectgarbage()
collectgarbage()
ngx.sleep(0.05)
t.ok(true, "a semaphore that only its waiter holds")

t.raises("no negative number", "new(-1)", semaphore.new, -1)
t.raises("no negative number", "wait(-1)", sem.wait, sem, -1)
t.raises("positive number required", "post(0)", sem.post, sem, 0)
t.raises("not a semaphore instance", "wait of a table", sem.wait, {}, 1)
t.raises("not a semaphore instance", "post of nil", sem.post)
t.raises("not a semaphore instance", "count of a file", sem.count, io.stdout)

t.done()
