-- test_lease.lua -- one run for many nodes: light threads stand for nodes, over
-- a store and a clock of the test's own.

package.path = "lua/?.lua;tests/lua/?.lua;" .. package.path
local t = require "tap"
local fake = require "fake_store"

local now, sleeps = 1e9, 0

ngx.time = function() return now end
local sleep = ngx.sleep
ngx.sleep = function(seconds)
  sleeps = sleeps + seconds
  sleep(0.001)
end

local store = require "latchkey.store"
local lease = require "latchkey.lease"

local runs

-- A run that takes a moment and leaves `value`.
local function leaving(value)
  return function(fence)
    runs = runs + 1
    sleep(0.02)
    t.ok(store.commit { { key = "code/x", value = value, expires = now + 9 },
                        fence }, "a commit with its fence")
    return value
  end
end

local function failing(fence)
  runs = runs + 1
  sleep(0.02)
  lease.fail(fence, "busy")
  return "busy"
end

local function start()
  runs, sleeps, fake.records = 0, 0, {}
end

-- What so many nodes hear that come at once.
local function all(count, run, known)
  local threads, heard = {}, {}
  for i = 1, count do
    threads[i] = ngx.thread.spawn(lease.once, "code/x", known, 5, run)
  end
  for i = 1, count do
    local _, text, why = ngx.thread.wait(threads[i])
    heard[i] = text or why
  end
  return table.concat(heard, " ")
end

start()
t.is(all(3, leaving "a"), "a a a", "all hear what one has done")
t.is(runs, 1, "which has run once")
t.is(fake.records["lock/x"], nil, "and left no lock")
t.is(all(2, leaving "b"), "a a", "who comes later hears it, too")

local _, version = store.get "code/x"
t.is(all(3, leaving "b", version), "b b b", "but not what was known before")
t.is(runs, 2, "one more run")

start()
t.is(all(3, failing), "busy busy busy", "all who wait hear of a failure")
t.is(runs, 1, "and do not try it themselves")
t.is(all(1, leaving "a"), "a", "who comes later does")

start()
lease.take("x", 5) -- and dies
local waiting = ngx.thread.spawn(lease.once, "code/x", nil, 5, leaving "a")
sleep(0.02)
t.is(runs, 0, "a lock that is held is waited for")
now = now + 5
local _, text = ngx.thread.wait(waiting)
t.is(text, "a", "until its holder's time is over")

start()
local late = lease.take("x", 5)
now = now + 5
t.is(all(1, leaving "a"), "a", "another one has run")
t.list({ store.commit { { key = "code/x", value = "late", expires = now + 9 },
                        late } }, { nil, "conflict" }, "who was too slow")
t.is(store.get "code/x", "a", "writes nothing")

start()
late = lease.take("x", 5)
now = now + 5
local other = lease.take("x", 5)
t.list({ lease.free(late) }, { nil, "conflict" }, "nor gives back")
t.ok(lease.free(other), "what is another's")

start()
lease.take("x", 5)
t.list({ lease.once("code/x", nil, 5, failing) }, { nil, "taken" },
  "a clock that stands: a lock that never ends")
t.ok(sleeps < 3 * 6 + 1, "is waited for three times at most")

start()
lease.take("x", 5)
waiting = ngx.thread.spawn(lease.once, "code/x", nil, 5, failing)
sleep(0.01)
fake.out = true
local _, found, why = ngx.thread.wait(waiting)
t.list({ found, why }, { nil, "store_unavailable" },
  "a store that goes away ends all waiting")
t.list({ lease.once("code/x", nil, 5, failing) }, { nil, "store_unavailable" },
  "and lets nobody begin")
t.is(runs, 0, "nor run")
fake.out = false

start()
local ok, err = pcall(lease.once, "code/x", nil, 5,
  function() error("broken", 0) end)
t.is(ok, false, "an error is passed on")
t.ok(err:find("broken", 1, true), "as it was")
t.is(fake.records["lock/x"], nil, "and leaves no lock")

t.done()
