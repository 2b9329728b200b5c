-- identity.lua -- users and their key rings, as records of the store.
--
--   user/APP/HASH   {id, app, openid, unionid, phone, attrs, created,
--                    sessions = {{hash, created}, ...}} as JSON
--   ring/APP/HASH   the key ring, seen by scripts as a handle
--
-- HASH is of the openid, so that a key says nothing about a person.

local cache = require "latchkey.cache"
local cjson = require "cjson.safe"
local crypto = require "latchkey.crypto"
local keyring = require "latchkey.keyring"
local store = require "latchkey.store"

local ngx = ngx

local TRIES, STEP = 30, 0.002 -- seconds: a wait between tries grows by it

local identity = {}

local rings = cache.new(function(ring) return ring end)

-- Where the store has the ring of an identity key.
function identity.ring_key(key)
  return "ring/" .. key
end

-- The key ring under a ring key, for reading only; nil, reason.  May wait.
function identity.ring(key)
  local ring, why = rings:get(key)
  if ring then return ring end
  if why == "not found" then return keyring.new() end
  return nil, why
end

-- The part of both keys that names one (app, openid).
function identity.key(app, openid)
  return app .. "/" .. crypto.hex(crypto.sha256(openid))
end

-- What a session record's user is loaded by.
function identity.openid(record)
  return record.openid or "anonymous:" .. tostring(record.anonymous)
end

-- A new user, not yet stored.
local function new_user(app, openid, now)
  return {
    id = "u_" .. crypto.base64url(crypto.random(16)),
    app = app,
    openid = openid,
    attrs = {},
    created = now,
    sessions = {},
  }
end

-- {user, ring, user_version, ring_version, is_new}; nil, "store_unavailable".
-- Versions are false for what is not stored yet.  May wait.
function identity.load(app, openid, now)
  local key = identity.key(app, openid)
  local text, user_version = store.get("user/" .. key)
  if not text and user_version ~= "not found" then return nil, user_version end
  local ring, ring_version = store.get("ring/" .. key)
  if not ring and ring_version ~= "not found" then return nil, ring_version end
  return {
    key = key,
    user = text and cjson.decode(text) or new_user(app, openid, now),
    ring = ring or keyring.new(),
    user_version = text and user_version or false,
    ring_version = ring and ring_version or false,
    is_new = not text,
  }
end

-- The writes that store it, for store.commit; they fail where someone else
-- wrote meanwhile.
function identity.writes(found)
  return {
    key = "user/" .. found.key,
    value = cjson.encode(found.user),
    expect = found.user_version,
  }, {
    key = "ring/" .. found.key,
    value = found.ring,
    expect = found.ring_version,
  }
end

-- Changes a user by change(found), again from what is stored where someone
-- else was faster.  change returns a list of further writes, or nil and why
-- not.  -> true; nil, reason.  Waits.
function identity.update(app, openid, now, change)
  for try = 0, TRIES do
    if try > 1 then ngx.sleep(math.random() * try * STEP) end
    local found, err = identity.load(app, openid, now)
    if not found then return nil, err end
    local writes, why = change(found)
    if not writes then return nil, why end
    local user, ring = identity.writes(found)
    writes[#writes + 1], writes[#writes + 2] = user, ring
    local ok, failed = store.commit(writes)
    if ok or failed ~= "conflict" then return ok, failed end
  end
  return nil, "store_unavailable"
end

return identity
