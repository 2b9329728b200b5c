-- lease.lua -- one run for many nodes over one store: a lock with an owner
-- and an end.
--
--   lock/NAME   who holds it, until it expires
--
-- The holder's last commit takes the lock's record out again if it still is
-- the holder's (a fence): who was too slow writes nothing.  A node that dies
-- delays the others until the record expires, not longer.

local crypto = require "latchkey.crypto"
local server = require "latchkey.server"
local store = require "latchkey.store"

local ngx = ngx

local FIRST, LONGEST = 0.01, 0.2 -- seconds between looks
local TURNS = 3                  -- holders that may die before us

local lease = {}

-- Takes the lock for life seconds.  -> the fence: the write that gives it
-- back, for the commit that ends the work; nil, "taken" or
-- "store_unavailable".  Waits.
function lease.take(name, life)
  local key = "lock/" .. name
  local owner = server.status().node .. " " ..
    crypto.base64url(crypto.random(12))
  local ok, why = store.commit { {
    key = key, value = owner, expires = ngx.time() + life, expect = false } }
  if not ok then return nil, why == "conflict" and "taken" or why end
  local holder, version = store.get(key)
  if holder ~= owner then
    return nil, version == "store_unavailable" and version or "taken"
  end
  return { key = key, remove = true, expect = version }
end

-- Gives it back where the work left nothing to commit.  Waits.
function lease.free(fence)
  return store.commit { fence }
end

-- Looks for what the holder leaves, until its time is over.
local function await(name, life, look)
  local pause, left = FIRST, life + 1
  while left > 0 do
    local found = look()
    if found then return found end
    local _, why = store.get("lock/" .. name)
    if why == "not found" then return look() end
    ngx.sleep(pause)
    left, pause = left - pause, math.min(2 * pause, LONGEST)
  end
end

-- What look() finds, or else what run(fence) returns: it runs on one node at
-- a time, for life seconds at most, and leaves what look() finds.  nil,
-- "store_unavailable".  Waits.
function lease.once(name, life, look, run)
  for _ = 1, TURNS do
    local fence, why = lease.take(name, life)
    if not fence and why ~= "taken" then return nil, why end
    local found
    if fence then found = look() else found = await(name, life, look) end
    if found and fence then lease.free(fence) end -- who was faster is done
    if found then return found end
    if fence then return run(fence) end
  end
  return nil, "store_unavailable"
end

return lease
