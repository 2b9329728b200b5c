-- lease.lua -- one run for many nodes over one store: a lock with an owner
-- and an end.
--
--   lock/NAME    who holds it, until it expires
--   lapse/NAME   what the last holder has told of a run that left nothing
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
local LAPSE = 3                  -- seconds: who waits looks within LONGEST

local lease = {}

-- Takes the lock for life seconds.  -> the fence: the write that gives it
-- back, for the commit that ends the work; nil, "taken" or
-- "store_unavailable".  Waits.
function lease.take(name, life)
  local key = "lock/" .. name
  local owner = server.status().node .. " " ..
    crypto.base64url(crypto.random(12))
  local ok, why = store.commit { {
    key = key, value = owner, expect = false,
    expires = ngx.time() + math.ceil(life) } }
  if not ok then return nil, why == "conflict" and "taken" or why end
  local holder, version = store.get(key)
  if holder ~= owner then
    return nil, version == "store_unavailable" and version or "taken"
  end
  return { key = key, remove = true, expect = version }
end

-- Gives it back where the work left nothing to commit, and nothing to tell.
-- Waits.
function lease.free(fence)
  return store.commit { fence }
end

-- Gives it back where the work failed: those who wait now hear `text`, and do
-- not try it themselves.  Waits.
function lease.fail(fence, text)
  return store.commit { fence, {
    key = fence.key:gsub("^lock", "lapse"), value = text,
    expires = ngx.time() + LAPSE } }
end

-- What the holder leaves or tells; nil where its time is over.
local function await(name, life, look)
  local pause, left = FIRST, life + 1
  while left > 0 do
    local found = look()
    if found then return found end
    local _, why = store.get("lock/" .. name)
    if why == "not found" then
      return look() or (store.get("lapse/" .. name))
    elseif why == "store_unavailable" then
      return nil, why
    end
    ngx.sleep(pause)
    left, pause = left - pause, math.min(2 * pause, LONGEST)
  end
end

-- An error leaves no lock behind.
local function hold(fence, run)
  local ok, result = xpcall(run, debug.traceback, fence)
  if ok then return result end
  lease.free(fence)
  error(result, 0)
end

-- The string under key (KIND/NAME) once it is not of the `known` version any
-- more (nil: none is known); or else what run(fence) returns.  It runs on one
-- node at a time, for life seconds at most, and ends by a commit of what it
-- leaves under key and of the fence, or by lease.fail.  nil, "taken" or
-- "store_unavailable".  Waits.
function lease.once(key, known, life, run)
  local name = key:match "/(.*)" -- so that the lock shares the key's slot
  local function look()
    local value = store.get(key, known)
    return value ~= true and value or nil
  end
  for _ = 1, TURNS do
    local fence, why = lease.take(name, life)
    local found
    if fence then
      found = look()
      if not found then return hold(fence, run) end
      lease.free(fence) -- who was faster is done
    elseif why == "taken" then
      found, why = await(name, life, look)
    end
    if found then return found end
    if why == "store_unavailable" then return nil, why end
  end
  return nil, "taken"
end

return lease
