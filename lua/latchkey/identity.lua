-- identity.lua -- users and their key rings, as records of the store.
--
--   user/APP/HASH   {id, app, openid, unionid, phone, attrs, created, used,
--                    sessions = {{key, created}, ...},
--                    codes = {{key, expires}, ...}: outcomes that are kept,
--                    phones = {{phone, till}, ...}: those before,
--                    logins = {{at, key id}, ...}: which brought which key,
--                    indexed: where person.lua lists it} as JSON
--   ring/APP/HASH   the key ring, seen by scripts as a handle
--
-- HASH is of the openid, so that a key says nothing about a person.

local apps = require "latchkey.app"
local cache = require "latchkey.cache"
local cjson = require "cjson.safe"
local crypto = require "latchkey.crypto"
local keyring = require "latchkey.keyring"
local person = require "latchkey.person"
local store = require "latchkey.store"

local ngx = ngx

local TRIES, STEP = 30, 0.002 -- seconds: a wait between tries grows by it
local CODES, PHONES, LOGINS = 8, 10, 8 -- of a user, the latest

local identity = {}

local rings = cache.new(function(ring) return ring end)

-- Where the ring of an identity key is, for identity.ring.
function identity.ring_at(key)
  return rings:at("ring/" .. key)
end

-- The key ring at such a place, for reading only; nil, reason.  May wait.
function identity.ring(place)
  local ring, why = cache.read(place)
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

-- The user record of an identity key; nil, "not found" or
-- "store_unavailable".  May wait.
function identity.user(key)
  return person.read("user/" .. key)
end

local function push(list, entry, most)
  list = list or {}
  list[#list + 1] = entry
  if #list > most then table.remove(list, 1) end
  return list
end

-- Notes the write of a code's outcome, so that erasure reaches it.
function identity.note_code(user, write, now)
  local kept = {}
  for _, code in ipairs(user.codes or {}) do
    if code.expires > now and code.key ~= write.key then
      kept[#kept + 1] = code
    end
  end
  user.codes = push(kept, { key = write.key, expires = write.expires }, CODES)
end

-- Notes when it was in use, a phone that was replaced, a key that came.
local function note(found, before, now)
  local user, key = found.user, found.ring:id(0)
  local last = user.logins and user.logins[#user.logins]
  user.used = now
  if before and user.phone ~= before then
    user.phones = push(user.phones, { phone = before, till = now }, PHONES)
  end
  if key and key ~= (last and last.key) then
    user.logins = push(user.logins, { at = ngx.now(), key = key },
      LOGINS)
  end
end

-- change(found), and what links its user to others.  -> writes; nil, reason.
local function make_writes(app, found, now, change)
  local before = found.user.phone
  local writes, why = change(found)
  if not writes then return nil, why end
  local policy, ok = apps.get(app), true
  if not found.links and policy then
    ok, why = person.link(policy, found)
    if not ok then return nil, why end
  end
  note(found, before, now)
  for _, write in ipairs(found.links or {}) do writes[#writes + 1] = write end
  local user, ring = identity.writes(found)
  writes[#writes + 1], writes[#writes + 2] = user, ring
  return writes
end

-- Changes a user by change(found), again from what is stored where someone
-- else was faster, or where the user was merged with another first.  change
-- returns a list of further writes, or nil and why not.  -> true; nil, reason.
-- Waits.
function identity.update(app, openid, now, change)
  for try = 0, TRIES do
    if try > 1 then ngx.sleep(math.random() * try * STEP) end
    local found, err = identity.load(app, openid, now)
    if not found then return nil, err end
    local writes, why = make_writes(app, found, now, change)
    local ok, failed
    if why == "merge" then -- which stands on this module
      ok, failed = require("latchkey.merge").persons(unpack(found.merge))
      if not ok then return nil, failed end
    elseif not writes then
      return nil, why
    else
      ok, failed = store.commit(writes)
      if ok or failed ~= "conflict" then return ok, failed end
    end
  end
  return nil, "store_unavailable"
end

return identity
