-- test_cache.lua -- what is kept of records that were read, against a store of
-- the test's own.

package.path = "lua/?.lua;tests/lua/?.lua;" .. package.path
local t = require "tap"

local versions, shared, reads = {}, false, 0

package.loaded["latchkey.store"] = {
  get = function(key, known)
    local version = versions[key] or "first"
    if known == version then return true end
    reads = reads + 1
    return "value of " .. key, version
  end,
  shared = function() return shared end,
}
local cache = require "latchkey.cache"

local function key(n)
  return "session/" .. ngx.md5(tostring(n))
end

local function new()
  reads = 0
  return cache.new(string.upper)
end

-- How many of the keys 1..n are read from the store, asked for in turn.
local function missed(c, n)
  local before = reads
  for i = 1, n do c:get(key(i)) end
  return reads - before
end

local c = new()
t.is(c:get(key(1)), "VALUE OF " .. key(1):upper(), "a record is decoded")
c:get(key(1))
t.is(missed(c, 1), 0, "a key that was asked for twice is kept")
versions[key(1)] = "second"
t.is(missed(c, 1), 1, "a record that has changed is read")
t.is(missed(c, 1), 0, "and kept again")
t.list({ c:get(key(1)) }, { "VALUE OF " .. key(1):upper(), "second" },
  "its version is the new one")

c = new()
for i = 1, 3 do missed(c, i * 100000) end
local kept = 0
for _ in pairs(c.young) do kept = kept + 1 end
for _ in pairs(c.old) do kept = kept + 1 end
t.ok(kept < 100, "of very many keys next to none is kept", kept)

c = new()
missed(c, 3000)
missed(c, 3000)
t.ok(missed(c, 3000) < 1500, "of some thousands most are", reads)
missed(c, 200000)
t.ok(missed(c, 3000) < 1500, "and many others do not drive them out", reads)

shared = true
c = new()
missed(c, 1)
t.is(missed(c, 1), 0, "where the store may be away, asked for once is enough")

local called = 0
local f = cache.memo(function(text)
  called = called + 1
  return text ~= "none" and text .. "!" or nil
end)
t.list({ f "long enough", f "long enough", f "long enough" },
  { "long enough!", "long enough!", "long enough!" }, "a memo gives what f does")
t.is(called, 2, "a memo keeps what was asked for twice")
t.list({ f "short", f "short", f "none", n = 3 },
  { "short!", "short!", nil, n = 3 }, "short ones, and nil")
t.is(called, 4, "a short one is kept at once")

t.done()
