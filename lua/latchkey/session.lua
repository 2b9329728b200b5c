-- session.lua -- our own sessions: made at login, found by token.
--
--   session/HASH   {app, identity, openid, anonymous, unionid, user, phone,
--                   device, created, expires, touched, claims, ended,
--                   tap {mac, reply}: what on_phone saw last} as JSON; HASH
--                   is the token's SHA-256 in hex, identity the user's key
--
-- A record stays a while after its end, so that a client hears why; of one
-- that was ended little more than that is kept.

local cache = require "latchkey.cache"
local cjson = require "cjson.safe"
local identity = require "latchkey.identity"
local store = require "latchkey.store"
local token = require "latchkey.token"

local decode, encode = cjson.decode, cjson.encode

local TOUCH = 10       -- an idle life is written anew by tenths
local TRIES = 20       -- where others change the same session

local ngx = ngx

local session = { KEPT = 7 * 86400 } -- seconds that one is remembered

-- The decoded record, with what every look at it needs made once.
local records = cache.new(function(text)
  local record = decode(text)
  record.ring = identity.ring_at(record.identity)
  record.openid_member = record.openid
    and '"openid":' .. cjson.encode(record.openid) .. ","
  return record
end)

-- Where a token's record is; nil where its form is wrong.
local place_of = cache.memo(function(text)
  local hash = token.hash(text)
  return hash and records:at("session/" .. hash)
end)

local remembered = { "app", "identity", "created", "expires", "touched",
                     "ended" }

local function remains(record)
  local kept = {}
  for _, name in ipairs(remembered) do kept[name] = record[name] end
  return kept
end

-- The write that stores a record, with these fields changed; false takes one
-- out.
function session.write(key, record, changes)
  local changed, till = {}, record.expires
  for name, value in pairs(record) do changed[name] = value end
  for name, value in pairs(changes or {}) do changed[name] = value or nil end
  changed.ring, changed.openid_member = nil, nil
  if changed.ended then
    changed, till = remains(changed), math.min(till, ngx.time())
  end
  return { key = key, value = encode(changed), expires = till + session.KEPT }
end

-- A new session of a found user (identity.lua) on a device, or nil: token,
-- record, its key.
function session.new(policy, found, device, now)
  local user = found.user
  local text, hash = token.new()
  if not text then return nil, hash end
  local key = "session/" .. hash
  local record = {
    app = policy.name,
    identity = found.key,
    openid = user.openid,
    anonymous = user.anonymous,
    unionid = user.unionid,
    user = user.id,
    device = device,
    created = now,
    expires = now + policy.session.ttl,
    touched = ngx.now(), -- not whole seconds: idle lives may be short
    claims = {},
  }
  return text, record, key
end

-- The reason why a record is no good any more, or nil.
local function ended(record, policy, now)
  if record.ended then return "token_" .. record.ended end
  local idle = policy.session.idle
  if now >= record.expires or (idle > 0 and now >= record.touched + idle) then
    return "token_expired"
  end
end

-- Slides the idle life, seldom enough to cost nothing.
local function touch(policy, key, record, version, now)
  local idle = policy.session.idle
  if idle > 0 and now - record.touched >= idle / TOUCH then
    local w = session.write(key, record, { touched = now })
    w.expect = version
    store.commit { w } -- whoever was faster did the same
  end
end

-- The good session of a token: record, its key; nil, reason.  May wait.
function session.find(policy, text, now)
  if not text then return nil, "token_missing" end
  local place = place_of(text)
  if not place then return nil, "token_invalid" end
  local record, version = cache.read(place)
  if not record then
    return nil, version == "not found" and "token_invalid" or version
  end
  if record.app ~= policy.name then return nil, "token_invalid" end
  local why = ended(record, policy, now)
  if why then return nil, why end
  touch(policy, place.key, record, version, now)
  return record, place.key
end

-- Whose token this is or was: the identity key of its user, or nil.  May wait.
function session.owner(policy, text)
  local place = text and place_of(text)
  local record = place and cache.read(place)
  return record and record.app == policy.name and record.identity or nil
end

-- The newest good session of a found user (identity.lua): record, its key; nil,
-- reason.  May wait.
function session.newest(policy, user, now)
  local reason = "token_expired"
  for i = #user.sessions, 1, -1 do
    local key = user.sessions[i].key
    local record, why = records:get(key)
    if record and not ended(record, policy, now) then return record, key end
    if not record and why ~= "not found" then reason = why end
  end
  return nil, reason
end

-- A session of any app (introspect, verify): record, policy; nil, reason.
-- Whoever asks has it from the client, so it is in use.  May wait.
function session.find_any(apps, text, now)
  local place = text and place_of(text)
  local record, version = nil, "not found"
  if place then record, version = cache.read(place) end
  local policy = record and apps.get(record.app)
  if not policy then
    return nil, version == "store_unavailable" and version or "token_invalid"
  end
  local why = ended(record, policy, now)
  if why then return nil, why end
  touch(policy, place.key, record, version, now)
  return record, policy
end

-- The write that changes fields of the session under a key, if nobody else
-- does meanwhile.  -> write; nil, reason: it is over.  May wait.
function session.change(key, changes)
  local record, version = records:get(key)
  if not record then
    return nil, version == "not found" and "token_invalid" or version
  end
  if record.ended then return nil, "token_" .. record.ended end
  local write = session.write(key, record, changes)
  write.expect = version
  return write
end

-- The record under a key, if it is of a good session; nil.  May wait.
function session.good(policy, key, now)
  local record = policy and records:get(key)
  return record and not ended(record, policy, now) and record or nil
end

-- When the session under a key was last used, or nil.  May wait.
function session.touched(key)
  local record = records:get(key)
  return record and record.touched
end

local function differs(record, changes)
  for name, value in pairs(changes) do
    if (record[name] or false) ~= value then return true end
  end
  return false
end

-- The writes that give all sessions of a user that were not ended these
-- fields, at most so many; whether there are more.  nil, reason.  May wait.
function session.spread(user, changes, most)
  local writes = {}
  for _, s in ipairs(user.sessions) do
    local record, version = records:get(s.key)
    if not record and version ~= "not found" then return nil, version end
    if record and not record.ended and differs(record, changes) then
      if #writes == most then return writes, true end
      local write = session.write(s.key, record, changes)
      write.expect = version
      writes[#writes + 1] = write
    end
  end
  return writes, false
end

-- When the session under a key is over by itself; nil, reason.  May wait.
function session.ends(key)
  local record, why = records:get(key)
  if record then return record.expires end
  return nil, why
end

-- Whether the session under a key has not been ended.  May wait.
function session.lives(key)
  local record = records:get(key)
  return record ~= nil and not record.ended
end

-- Ends the session under a key for good.  -> true, or false where it was over
-- already; nil, "store_unavailable".  Waits.
function session.revoke(key)
  for _ = 1, TRIES do
    local write, why = session.change(key, { ended = "revoked" })
    if not write then
      if why == "store_unavailable" then return nil, why end
      return false
    end
    local ok, failed = store.commit { write }
    if ok then return true end
    if failed ~= "conflict" then return nil, failed end
  end
  return nil, "store_unavailable"
end

return session
