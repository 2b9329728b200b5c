-- test_lrucache.lua -- require "resty.lrucache".

package.path = "lua/?.lua;tests/lua/?.lua;" .. package.path
local t = require "tap"
local lrucache = require "resty.lrucache"

t.list({ lrucache.new(0) }, { nil, "size too small" }, "no cache of nothing")
local c = lrucache.new(2)
c:set("a", 1)
c:set("b", false, nil, 7)
t.list({ c:get "a" }, { 1, nil, 0, n = 3 }, "a value without flags")
t.list({ c:get "b" }, { false, nil, 7, n = 3 }, "false is a value, with its flags")
c:get "a"
c:set("c", 3)
t.list({ c:get "b" }, { nil }, "the least recently used one goes")
t.is(table.concat(c:get_keys(), " "), "c a", "keys, newest first")
t.is(#c:get_keys(1, { 1, 2, 3 }), 1, "some keys, in a given table")
t.list({ c:count(), c:capacity() }, { 2, 2 }, "count and capacity")
c:set("a", "new")
t.is(c:count(), 2, "setting again takes no more room")
t.is(c:get "a", "new", "and gives the new value")
c:set("soon", 1, 0.005)
ngx.sleep(0.01)
t.list({ c:get "soon" }, { nil, 1, 0 }, "an expired value is stale")
t.list({ c:delete "soon", c:delete "soon" }, { true, false }, "delete")
c:flush_all()
t.list({ c:count(), c:get "a" }, { 0, nil, n = 2 }, "flush_all")
for i = 1, 1000 do
  c:set(i, i)
end
t.list({ c:get(999), c:get(998) }, { 999, nil, n = 2 }, "many, of which two stay")
t.ok(require("resty.lrucache.pureffi").new(5, 0.5), "pureffi has a load factor")

t.done()
