-- check.lua -- whether the newest key is still the platform's: what the
-- client's checkSession said, and what follows.

local identity = require "latchkey.identity"
local login = require "latchkey.login"

local ngx = ngx
local format = string.format

local check = {}

local UNKNOWN = '{"user_id":"%s",%s"expires_in":%d,"refresh_after":%s,'
  .. '"key":{"known":false,"verdict":"unknown"},"action":"%s"}'
local KNOWN = '{"user_id":"%s",%s"expires_in":%d,"refresh_after":%s,'
  .. '"key":{"known":true,"verdict":"%s","age":%d,"verified_ago":%s},'
  .. '"action":"%s"}'

-- The openid as a JSON member, where the policy lets it out.
local function shown_openid(policy, record)
  local shown = login.exposes(policy, "openid") and record.openid_json
  return shown and '"openid":' .. shown .. "," or ""
end

-- What GET and POST session answer, as JSON (written out: of all calls this
-- one is made most).  nil, reason.  May wait.
function check.describe(policy, record, now)
  local ring, why = identity.ring(record.ring)
  if not ring then return nil, why end
  local verdict, age, verified = ring:info(now)
  local every = policy.refresh.every
  local due = every > 0 and now >= record.created + every
  local action = (verdict == "stale" or due) and "login" or "none"
  local openid = shown_openid(policy, record)
  local left, refresh = record.expires - now, login.refresh_after(policy)
  if not verdict then
    return format(UNKNOWN, record.user, openid, left, refresh, action)
  end
  return format(KNOWN, record.user, openid, left, refresh, verdict, age,
    verified or "null", action)
end

-- Takes what the client's check said ("ok" or "fail"); only where the policy
-- asks clients.  -> true; nil, reason.  Waits.
function check.client_said(policy, record, said)
  local by = policy.check.by
  if by ~= "client" and by ~= "both" then return true end
  local verdict = said == "ok" and "good" or "stale"
  local now = ngx.time()
  return identity.update(policy.name, identity.openid(record), now,
    function(found)
      found.ring:judge(verdict, now)
      return {}
    end)
end

return check
