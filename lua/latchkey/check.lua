-- check.lua -- whether the newest key is still the platform's: what the
-- client's checkSession said, and what follows.

local cjson = require "cjson.safe"
local identity = require "latchkey.identity"
local login = require "latchkey.login"

local ngx = ngx
local format = string.format

local check = {}

local function key_part(verdict, age, verified)
  if not verdict then return '{"known":false,"verdict":"unknown"}' end
  return format('{"known":true,"age":%d,"verified_ago":%s,"verdict":"%s"}',
    age, verified or "null", verdict)
end

-- What GET and POST session answer, as JSON (written out: of all calls this
-- one is made most).  nil, reason.  May wait.
function check.describe(policy, record, now)
  local ring, why = identity.ring(record.identity)
  if not ring then return nil, why end
  local verdict, age, verified = ring:info(now)
  local every = policy.refresh.every
  local due = every > 0 and now >= record.created + every
  local shown = login.exposes(policy, "openid") and record.openid
  return format('{"user_id":"%s",%s"expires_in":%d,"refresh_after":%s,'
    .. '"key":%s,"action":"%s"}',
    record.user, shown and '"openid":' .. cjson.encode(shown) .. "," or "",
    record.expires - now, login.refresh_after(policy),
    key_part(verdict, age, verified),
    (verdict == "stale" or due) and "login" or "none")
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
