-- test_shared.lua -- ngx.shared, by lua-nginx-module's t/043-shdict.t and
-- t/144-shdict-incr-init.t.

if not ngx.shared.test then -- once more, with a configuration that has some
  local exe = "/proc/" .. ngx.worker.pid() .. "/exe"
  local status = os.execute(exe .. " -c $PWD/tests/lua/shared.conf"
    .. " run tests/lua/test_shared.lua")
  return assert(status == 0, "the second run failed")
end

package.path = "tests/lua/?.lua;" .. package.path
local t = require "tap"
local d, cats = ngx.shared.test, ngx.shared.cats
d:flush_all()
d:flush_expired()

t.is(type(d), "table", "a dictionary is a table")
t.is(ngx.shared.nowhere, nil, "no such dictionary")
t.list({ d:set("foo", 32) }, { true, nil, false, n = 3 }, "set")
t.list({ d:get "foo" }, { 32 }, "get a number")
d:set("foo", 10.5)
t.is(d:get "foo", 10.5, "get a fraction")
d:set("foo", true)
t.is(d:get "foo", true, "get true")
d:set("foo", false)
t.is(d:get "foo", false, "get false")
d:set("foo", "")
t.is(d:get "foo", "", "get an empty text")
d:set("foo", "a\0b")
t.is(d:get "foo", "a\0b", "get bytes")
d:set(1234, "num")
t.is(d:get "1234", "num", "a number is a key")
t.is(d:get(1234), "num", "of that text")
d:set(true, 1)
t.is(d:get "true", 1, "true is a key")
t.list({ d:get "nothing" }, { nil, n = 1 }, "get what is not there")
d:set("flags", "x", 0, 199)
t.list({ d:get "flags" }, { "x", 199 }, "flags")
local big = string.rep("helloworld", 20000)
t.is(d:set("big", big), true, "set a large value")
t.is(d:get "big", big, "get it")
t.list({ cats:set("big", big) }, { false, "no memory", false }, "too large")
t.is(cats:get "foo", nil, "dictionaries do not share keys")

t.list({ d:set("foo", nil) }, { true, nil, false, n = 3 }, "set nil")
t.is(d:get "foo", nil, "deletes")
d:set("foo", 1)
t.list({ d:delete "foo" }, { true, nil, false, n = 3 }, "delete")
t.is(d:get "foo", nil, "it is gone")
t.is(d:delete "foo", true, "delete nothing")

t.list({ d:set(nil, 32) }, { nil, "nil key", n = 2 }, "set nil key")
t.list({ d:set("", 32) }, { nil, "empty key", n = 2 }, "set empty key")
local long = string.rep("a", 65536)
t.list({ d:set(long, 1) }, { nil, "key too long", n = 2 }, "set long key")
t.is(d:set(long:sub(2), 1), true, "the longest key")
t.list({ d:get(nil) }, { nil, "nil key", n = 2 }, "get nil key")
t.list({ d:get "" }, { nil, "empty key", n = 2 }, "get empty key")
t.list({ d:get(long) }, { nil, "key too long", n = 2 }, "get long key")
t.list({ d:get_stale(nil) }, { nil, "nil key", n = 2 }, "get_stale nil key")
t.list({ d:incr(nil, 1) }, { nil, "nil key", n = 2 }, "incr nil key")
t.list({ d:set("foo", d) }, { nil, "bad value type", n = 2 }, "set a table")
t.list({ d:set("foo", print) }, { nil, "bad value type", n = 2 },
  "set a function")
t.raises('bad "exptime" argument', "a negative time", d.set, d, "foo", 1, -1)
t.raises('bad "zone" argument', "no dictionary", d.set, nil, "foo", 32)
t.raises('bad "zone" argument', "a text", d.get, "foo")
t.raises('bad "zone" argument', "another table", d.set, { 1 }, "foo", 1)
t.raises('bad "zone" argument', "another pointer", d.get, { ngx.null }, "foo")
t.raises('bad "zone" argument', "incr of nothing", d.incr, nil, "foo", 1)

t.list({ d:add("new", 1) }, { true, nil, false, n = 3 }, "add")
t.list({ d:add("new", 2) }, { false, "exists", false }, "add again")
t.list({ d:replace("new", 3) }, { true, nil, false, n = 3 }, "replace")
t.list({ d:replace("none", 3) }, { false, "not found", false },
  "replace nothing")
t.list({ d:add("none", nil) },
  { false, "attempt to add or replace nil values", false }, "add nil")
t.list({ d:safe_set("safe", 1) }, { true, nil, false, n = 3 }, "safe_set")
t.list({ d:safe_add("safe", 1) }, { false, "exists", false }, "safe_add")

d:set("short", "v", 0.02, 7)
d:set("later", "v", 100)
t.is(d:get "short", "v", "not yet expired")
t.ok(d:ttl "short" <= 0.02, "ttl")
t.is(d:ttl "new", 0, "ttl of what stays")
t.list({ d:ttl "nothing" }, { nil, "not found", n = 2 }, "ttl of nothing")
ngx.sleep(0.03)
t.is(d:get "short", nil, "expired")
t.list({ d:get_stale "short" }, { "v", 7, true }, "get_stale of it")
t.list({ d:get_stale "later" }, { "v", nil, false, n = 3 },
  "get_stale of what is good")
t.list({ d:get_stale "nothing" }, { nil, n = 1 }, "get_stale of nothing")
t.list({ d:add("short", "w", 100) }, { true, nil, false, n = 3 },
  "add over what has expired")
t.is(d:expire("short", 0.01), true, "expire")
ngx.sleep(0.02)
t.is(d:get "short", nil, "then it is gone")
t.ok(d:ttl "short" < 0, "ttl of what has expired")
t.is(d:expire("short", 1), true, "it can be called back")
t.is(d:get "short", "w", "as it was")
t.list({ d:expire("nothing", 1) }, { nil, "not found", n = 2 },
  "expire what is not there")
t.raises('bad "exptime" argument', "expire without a time", d.expire, d, "new")

d:delete "n"
t.list({ d:incr("n", 1) }, { nil, "not found", n = 2 }, "incr nothing")
t.list({ d:incr("n", 10502, 1) }, { 10503, nil, false, n = 3 }, "incr, init")
t.list({ d:incr("n", 1) }, { 10504 }, "incr")
t.is(d:incr("n", -0.5), 10503.5, "incr by a fraction")
t.is(d:incr("n", "2"), 10505.5, "incr by a text")
t.is(d:incr("n", 1, "5"), 10506.5, "init is for a new key")
t.list({ d:incr("safe", 1) }, { 2 }, "incr what safe_set set")
d:set("text", "1")
t.list({ d:incr("text", 1) }, { nil, "not a number", n = 2 }, "incr a text")
t.is(d:incr("temp", 1, 0, 0.01), 1, "incr with init_ttl")
ngx.sleep(0.02)
t.is(d:get "temp", nil, "which ends it")
t.raises("bad init arg: number expected, got string", "a wrong init", d.incr,
  d, "temp", 1, "x")
t.raises('bad "init_ttl" argument', "a wrong init_ttl", d.incr, d, "temp", 1,
  1, -1)
t.raises('must provide "init" when providing "init_ttl"', "init_ttl alone",
  d.incr, d, "temp", 1, nil, 1)
t.raises("cannot convert 'nil' to 'double'", "incr by nothing", d.incr, d, "n")

cats:flush_all()
t.is(#cats:get_keys(), 0, "flush_all leaves no keys")
cats:flush_expired()
t.is(cats:flush_expired(), 0, "nothing to flush in an empty dictionary")
for i = 1, 20 do cats:set("k" .. i, i) end
t.is(#cats:get_keys(), 20, "get_keys")
t.is(#cats:get_keys(5), 5, "get_keys, at most five")
t.is(#cats:get_keys(0), 20, "get_keys, all")
for i = 1, 10 do cats:set("k" .. i, i, 0.005) end
ngx.sleep(0.01)
t.is(#cats:get_keys(), 10, "expired keys are not told")
t.is(cats:flush_expired(4), 4, "flush_expired, at most four")
t.is(cats:flush_expired(), 6, "flush_expired")
t.raises("expecting 1 or 2 argument(s), but saw 3", "get_keys(1, 2)",
  cats.get_keys, cats, 1, 2)
t.is(cats:capacity(), 100 * 1024, "capacity")

t.list({ d:rpush("list", "b"), d:lpush("list", 1), d:rpush("list", "c") },
  { 1, 2, 3 }, "a push tells the list's length")
t.list({ d:get "list" }, { nil, "value is a list" }, "get of a list")
t.list({ d:incr("list", 1) }, { nil, "not a number" }, "incr of a list")
t.list({ d:add("list", 1) }, { false, "exists", false }, "add on a list")
t.is(d:llen "list", 3, "llen")
t.list({ d:lpop "list", d:rpop "list", (d:rpop "list") }, { 1, "c", "b" },
  "values come from both ends, as what they are")
t.list({ d:lpop "list" }, { nil }, "an empty list is no list")
t.is(d:llen "list", 0, "and has no length")
t.list({ d:lpush("n", 1) }, { nil, "value not a list" }, "push on a number")
t.list({ d:lpop "n" }, { nil, "value not a list" }, "pop of a number")
t.list({ d:llen "n" }, { nil, "value not a list" }, "llen of a number")
t.list({ d:lpush("list", true) }, { nil, "bad value type" }, "push of a boolean")
d:rpush("list", "x")
t.list({ d:set("list", "") }, { true, nil, false, n = 3 }, "set takes a list's place")
t.is(d:get "list", "", "with the value")
cats:flush_all()
local length, why = 0, nil
while not why do
  local n
  n, why = cats:rpush("long", "value")
  length = n or length
end
t.is(why, "no memory", "a list that fills the dictionary stops there")
t.is(cats:llen "long", length, "and loses nothing")
cats:delete "long"

local free = cats:free_space()
t.ok(free > 0 and free < cats:capacity(), "free_space", free)
local forced = false
for i = 1, 2000 do
  local ok, err, forcible = cats:set("fill" .. i, string.rep("x", 100))
  forced = forced or forcible
  if not ok then t.ok(false, "set in a full dictionary", err) end
end
t.ok(forced, "a full dictionary drops its oldest items and says so")
t.is(cats:get "fill2000" ~= nil, true, "and keeps its newest")
local ok, err
for i = 1, 2000 do
  ok, err = cats:safe_set("safe" .. i, string.rep("x", 100))
  if not ok then break end
end
t.list({ ok, err }, { false, "no memory" }, "safe_set never drops any")


-- require "resty.lock": between all workers, on a dictionary.
local lock = require "resty.lock"
t.list({ lock:new "none" }, { nil, "dictionary not found" }, "no dictionary")
local one = lock:new("cats", { timeout = 0.02, exptime = 0.05 })
local two = lock:new("cats", { timeout = 0.02, exptime = 0.05 })
cats:flush_all()
t.list({ one:lock() }, { nil, "nil key" }, "no key")
t.list({ one:unlock() }, { nil, "unlocked" }, "nothing to unlock")
t.is(one:lock "k", 0, "a free lock is taken at once")
t.list({ one:lock "k" }, { nil, "locked" }, "by one at a time")
t.list({ two:lock "k" }, { nil, "timeout" }, "others wait only so long")
t.is(one:unlock(), 1, "unlock")
t.is(two:lock "k", 0, "gives it to the next")
t.is(two:expire(0.01), true, "expire")
t.ok(one:lock "k" > 0, "a lock that expired is free")
one:unlock()
lock:new("cats"):lock "lost"
collectgarbage()
collectgarbage()
t.is(cats:get "lost", nil, "a forgotten lock is given back")

t.done()
