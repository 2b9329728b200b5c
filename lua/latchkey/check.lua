-- check.lua -- whether the newest key is still the platform's: what the
-- client's checkSession said, and what follows.

local identity = require "latchkey.identity"
local keyring = require "latchkey.keyring"
local login = require "latchkey.login"
local store = require "latchkey.store"

local ngx = ngx

local check = {}

local function openid_of(record)
  return record.openid or "anonymous:" .. tostring(record.anonymous)
end

-- What GET and POST session answer.  -> data; nil, reason.  Waits.
function check.describe(policy, record, now)
  local ring, why = store.get("ring/" ..
    identity.key(policy.name, openid_of(record)))
  if not ring and why ~= "not found" then return nil, why end
  local key = (ring or keyring.new()):info(now)
  local every = policy.refresh.every
  local due = every > 0 and now >= record.created + every
  return {
    user_id = record.user,
    openid = record.openid,
    expires_in = record.expires - now,
    refresh_after = login.refresh_after(policy),
    key = key,
    action = (key.verdict == "stale" or due) and "login" or "none",
  }
end

-- Takes what the client's check said ("ok" or "fail"); only where the policy
-- asks clients.  -> true; nil, reason.  Waits.
function check.client_said(policy, record, said)
  local by = policy.check.by
  if by ~= "client" and by ~= "both" then return true end
  local verdict = said == "ok" and "good" or "stale"
  local now = ngx.time()
  return identity.update(policy.name, openid_of(record), now,
    function(found)
      found.ring:judge(verdict, now)
      return {}
    end)
end

return check
