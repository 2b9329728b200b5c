-- check.lua -- whether the newest key is still the platform's: what the
-- client's checkSession said, what the platform says to us, what follows.

local access_token = require "latchkey.access_token"
local flight = require "latchkey.flight"
local hook = require "latchkey.hook"
local identity = require "latchkey.identity"
local login = require "latchkey.login"

local ngx, format = ngx, string.format

local RETRY = 60 -- seconds before a check that had no verdict is made anew

local check = {}

local by_server = { server = true, both = true }
local by_client = { client = true, both = true }

local UNKNOWN = '{"user_id":"%s",%s"expires_in":%d,"refresh_after":%s,'
  .. '"key":{"known":false,"verdict":"unknown","age":null,'
  .. '"verified_ago":null},"action":"%s"}'
local KNOWN = '{"user_id":"%s",%s"expires_in":%d,"refresh_after":%s,'
  .. '"key":{"known":true,"verdict":"%s","age":%d,"verified_ago":%s},'
  .. '"action":"%s"}'

-- The openid as a JSON member, where the policy lets it out.
local function shown_openid(policy, record)
  return login.exposes(policy, "openid") and record.openid_member or ""
end

-- Notes a verdict (nil: none came) on the ring that was asked about.
local function note(policy, record, ring, verdict, now)
  local every = policy.check.every
  local at = verdict and now or now - every + math.min(every, RETRY)
  return identity.update(policy.name, identity.openid(record), now,
    function(found)
      if found.ring:same(ring) then
        found.ring:checked(at)
        if verdict then found.ring:judge(verdict, now) end
      end -- else a login has brought another key meanwhile
      return {}
    end)
end

-- A call signed with the newest key of a ring; what it says of the key is
-- noted.  -> answer; nil, "key_stale"; nil, reason: no verdict.  Waits.
local function signed_call(policy, api, record, ring)
  local answer, reason, facts = access_token.call(policy, api, {
    openid = record.openid, key = ring, within = policy.timeout * 1000 })
  local verdict = answer and "good" or reason == "key_stale" and "stale" or nil
  if not verdict then
    facts = facts or {}
    ngx.log(ngx.WARN, api, " failed: app=", policy.name, " user=",
      record.user, " reason=", reason, " errcode=", facts.errcode,
      " platform says: ", facts.errmsg or "nothing")
  end
  note(policy, record, ring, verdict, ngx.time())
  return answer, reason
end

-- Asks the platform about the newest key of {openid, identity, ring}, a
-- session record for example.  -> "good" or "stale"; nil, reason.  Waits.
function check.ask(policy, record)
  local ring, why = identity.ring(record.ring)
  if not ring then return nil, why end
  if #ring == 0 then return nil, "no_key" end
  local answer, reason = signed_call(policy, "check_session", record, ring)
  if not answer and reason ~= "key_stale" then return nil, reason end
  return answer and "good" or "stale"
end

-- Has the platform replace that key; the new one comes to the front of the
-- ring.  -> true; nil, reason: "key_stale" where it was over already.  Waits.
function check.reset(policy, record)
  local ring, why = identity.ring(record.ring)
  if not ring then return nil, why end
  if #ring == 0 then return nil, "no_key" end
  local answer, reason =
    signed_call(policy, "reset_session_key", record, ring)
  if not answer then return nil, reason end
  local now = ngx.time()
  return identity.update(policy.name, record.openid, now, function(found)
    found.ring:push(answer.key, now)
    found.ring:trim(policy.key.keep, policy.key.window, now)
    return {}
  end)
end

-- Tells on_check; what it adds goes into the request's answer.
local function tell(policy, record, request, by, verdict)
  request.check = { by = by, verdict = verdict }
  local added, reason, msg = hook.on(policy, "on_check", record, request)
  if not added then return nil, reason, msg end
  if next(added) then request.added = added end
  return true
end

-- Asks the platform where the last time, or the login, is check.every ago.
-- -> true; nil, reason, msg: on_check's.  May wait.
local function server_check(policy, record, now, request)
  local ring, why = identity.ring(record.ring)
  if not ring then return nil, why end
  local unasked = record.openid and ring:unchecked(now)
  if not unasked or unasked < policy.check.every
      or ring:info(now) == "stale" then
    return true
  end
  hook.look(policy, request)
  local leads = false
  local verdict = flight.once("check\0" .. record.identity, function()
    leads = true
    return check.ask(policy, record) or ""
  end)
  if not leads or not verdict or verdict == "" then return true end
  return tell(policy, record, request, "server", verdict)
end

-- How long until the client should log in again, as JSON; whether it should
-- now.
local function refresh_of(policy, record, now)
  local every = policy.refresh.every
  if every == 0 then return "null", false end
  local left = record.created + every - now
  return math.max(left, policy.refresh.min), left <= 0
end

-- What GET and POST session answer, as JSON (written out: of all calls this
-- one is made most): what write(format, ...), string.format by default, gives.
-- Where the policy has the server check, the platform may be asked.  nil,
-- reason, msg.  May wait.
function check.describe(policy, record, now, request, write)
  if by_server[policy.check.by] then
    local ok, reason, msg = server_check(policy, record, now, request or {})
    if not ok then return nil, reason, msg end
  end
  local ring, why = identity.ring(record.ring)
  if not ring then return nil, why end
  local verdict, age, verified = ring:info(now)
  local refresh, due = refresh_of(policy, record, now)
  local window = policy.key.window
  if verdict and age > window and window > 0 then -- it opens nothing any more
    verdict, due = nil, true
  end
  local action = (verdict == "stale" or due) and "login" or "none"
  local added = request and request.added
  if added or not write then write = format end
  local openid, left = shown_openid(policy, record), record.expires - now
  local answer
  if not verdict then
    answer = write(UNKNOWN, record.user, openid, left, refresh, action)
  else
    answer = write(KNOWN, record.user, openid, left, refresh, verdict, age,
      verified or "null", action)
  end
  return added and hook.add(answer, added) or answer
end

-- Takes what the client's check said ("ok" or "fail"); only where the policy
-- asks clients.  An "ok" does not undo what the server heard: it is about the
-- newest login's key, which may not be ours.  -> true; nil, reason, msg.
-- Waits.
function check.client_said(policy, record, said, request)
  local by = policy.check.by
  if not by_client[by] then return true end
  local verdict = said == "ok" and "good" or "stale"
  local now = ngx.time()
  local ok, reason = identity.update(policy.name, identity.openid(record), now,
    function(found)
      if by ~= "both" or verdict == "stale"
          or found.ring:info(now) ~= "stale" then
        found.ring:judge(verdict, now)
      end
      return {}
    end)
  if not ok then return nil, reason end
  return tell(policy, record, request, "client", verdict)
end

return check
