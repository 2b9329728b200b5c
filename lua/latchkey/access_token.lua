-- access_token.lua -- the tokens that a platform's server calls take: one
-- fetch for each app, however many wait, on whichever worker of whichever node.
--
--   token/HASH   {token, fetched, expires, renew, insists, and the budgets} as
--                JSON, for the other workers and nodes; HASH is of platform,
--                host, appid and kind
--
-- A token is renewed in the background before its end, so that nobody waits.
-- Where the store or the platform is out, the one in hand serves to its end.

local cache = require "latchkey.cache"
local cjson = require "cjson.safe"
local crypto = require "latchkey.crypto"
local flight = require "latchkey.flight"
local lease = require "latchkey.lease"
local metrics = require "latchkey.metrics"
local platform = require "latchkey.platform"
local store = require "latchkey.store"

local ngx = ngx

local MARGIN = 300            -- seconds before the end: both tokens work then
local LONGEST = 30 * 86400    -- believed of expires_in
local PAUSE = 10              -- between renewals that fail
local FORCE_GAP, FORCE_MAX = 30, 20 -- WeChat's rules for force_refresh, a day
local DAY, BEIJING = 86400, 8 * 3600
local DROPS = 10              -- tokens that a minute may drop

local access_token = {}

local age = metrics.gauge("latchkey_access_token_age_seconds",
  "How long ago an app's access token was fetched.", { "app" })

local left = metrics.gauge("latchkey_access_token_refreshes_left",
  "Forced refreshes that an app may still make today.", { "app" })

local records = cache.new(cjson.decode)
local held, tried = {}, {} -- by key; as many as there are apps

-- The api that brings the token which another api takes.
local function kind_of(policy, api)
  local kind = platform[policy.platform].apis[api].token
  if kind == "stable_token" and policy.access_token == "legacy" then
    return "token"
  end
  return kind
end

local function key_of(policy, kind)
  local about = platform[policy.platform]
  local host, base = about.apis[kind].host, policy.api
  if type(base) == "table" then base = base[host] end
  return "token/" .. crypto.hex(crypto.sha256(table.concat({
    policy.platform, base or about.hosts[host], policy.appid, kind }, "\0")))
end

-- The record of now: the store's, which others may have changed; this worker's
-- where the store has none, is out, or did not take it.  Then the version of
-- the store's, if it has one.  May wait.
local function current(key)
  local kept, version = records:get(key)
  local own = held[key]
  if kept and not (own and own.unsaved) then
    own, held[key] = kept, kept
  end
  return own, kept and version
end

-- ---- fetching, by one for all ------------------------------------------------

local function day_of(now)
  return math.floor((now + BEIJING) / DAY)
end

-- Takes one of the day's forced refreshes, where there is one.
local function take_force(record, now)
  local day = day_of(now)
  if record.day ~= day then record.day, record.forced = day, 0 end
  if record.forced >= FORCE_MAX
      or now - (record.forced_at or 0) < FORCE_GAP then
    return false
  end
  record.forced, record.forced_at = record.forced + 1, now
  return true
end

-- May one more token be dropped in this minute?
local function take_drop(record, now)
  local minute = math.floor(now / 60)
  if record.minute ~= minute then record.minute, record.drops = minute, 0 end
  record.drops = record.drops + 1
  return record.drops <= DROPS
end

-- The record of an answer: budgets go on from the one before.
local function new_record(before, answer, now, failed)
  local life = math.min(answer.expires_in, LONGEST)
  local same = before.token == answer.access_token
  return {
    token = answer.access_token,
    fetched = same and before.fetched or now,
    expires = now + life,
    renew = now + life - math.min(MARGIN, life / 2),
    insists = failed == answer.access_token, -- the platform, on this one
    day = before.day, forced = before.forced, forced_at = before.forced_at,
    minute = before.minute, drops = before.drops,
  }
end

-- fence: of the lease under which it was fetched, if any.  -> what serves.
local function keep(policy, key, record, fence)
  local ok, why = store.commit { {
    key = key, value = cjson.encode(record),
    expires = math.ceil(record.expires) + 1,
  }, fence }
  if ok then return record end
  if why == "conflict" then -- we were too slow for the lease
    local newer = records:get(key)
    if newer and newer.fetched >= record.fetched then return newer end
  end
  record.unsaved = why ~= "conflict"
  ngx.log(ngx.WARN, "access token not kept: app=", policy.name, " ", why)
  return record
end

-- A platform that gives the failed one again is believed once; then it is
-- forced to another.
local function fetch(policy, kind, key, failed, fence)
  local now = ngx.time()
  local record = {}
  for name, value in pairs(current(key) or {}) do record[name] = value end
  local dropped = failed and record.token == failed
  if dropped and not take_drop(record, now) then
    return nil, "platform_error", { errmsg = "too many tokens were refused" }
  end
  local force = dropped and record.insists and kind == "stable_token"
    and take_force(record, now)
  local answer, reason, facts = platform.call(policy, kind, {
    force = force and "true" or nil, within = policy.timeout * 1000 })
  if answer and answer.expires_in < 1 then
    answer, reason, facts = nil, "platform_error", answer
  end
  if not answer then return nil, reason, facts end
  return keep(policy, key, new_record(record, answer, now, failed), fence)
end

-- The record, or {reason, errcode, errmsg}, as JSON.
local function fetched(policy, kind, key, failed, fence)
  local record, reason, facts = fetch(policy, kind, key, failed, fence)
  if record then return cjson.encode(record) end
  facts = facts or {}
  ngx.log(reason == "misconfigured" and ngx.ERR or ngx.WARN,
    "no access token: app=", policy.name, " kind=", kind, " reason=", reason,
    " errcode=", facts.errcode, " platform says: ", facts.errmsg or "nothing")
  local text = cjson.encode { reason = reason, errcode = facts.errcode,
                              errmsg = facts.errmsg }
  if fence then lease.fail(fence, text) end
  return text
end

-- As fetched, unless someone else has since failed was current; over a store
-- of many nodes, on one of them.  A store that is out stops nobody.
local function obtain(policy, kind, key, failed)
  local own, version = current(key)
  if own and own.token ~= failed and ngx.time() < own.renew then
    return cjson.encode(own)
  end
  if not store.shared() then return fetched(policy, kind, key, failed) end
  local text, why = lease.once(key, version, policy.timeout + 2,
    function(fence) return fetched(policy, kind, key, failed, fence) end)
  if text then return text end
  if why == "taken" then return cjson.encode { reason = "platform_timeout" } end
  return fetched(policy, kind, key, failed)
end

-- Until the deadline, or as long as a call may take.  -> record; nil, reason,
-- facts of the platform's refusal.  Waits.
local function await(policy, kind, key, failed, deadline)
  local left = deadline and deadline - ngx.now() or policy.timeout
  local text, why = flight.within(math.max(left, 0), "access_token\0" .. key,
    obtain, policy, kind, key, failed)
  if why == "timeout" then return nil, "platform_timeout" end
  local record = text and cjson.decode(text)
  if not record then
    ngx.log(ngx.ERR, "access token aborted: app=", policy.name, " ", why)
    return nil, "platform_error"
  end
  if record.reason then return nil, record.reason, record end
  held[key] = record
  return record
end

local function renew(premature, ...)
  if not premature then await(...) end
end

-- ---- whoever needs one -------------------------------------------------------

-- The token of a kind: an api of latchkey.platform that brings one, such as
-- "stable_token", "token" or "client_token".  -> token, seconds that it has
-- left; nil, reason, facts.  May wait: until the deadline, or the policy's
-- timeout.
function access_token.get(policy, kind, deadline)
  local now, key = ngx.time(), key_of(policy, kind)
  local own = current(key)
  if not own or now >= own.expires then
    local why, facts
    own, why, facts = await(policy, kind, key, nil, deadline)
    if not own then return nil, why, facts end
  elseif now >= own.renew and now >= (tried[key] or 0) + PAUSE then
    tried[key] = now
    ngx.timer.at(0, renew, policy, kind, key)
  end
  return own.token, own.expires - now
end

-- The token after one that the platform has refused.  -> token; nil where
-- there is none to try.  Waits.
local function follow(policy, kind, failed, deadline)
  local key = key_of(policy, kind)
  local own = current(key)
  if own and own.token ~= failed then return own.token end
  local record = await(policy, kind, key, failed, deadline)
  return record and record.token
end

local function attempt(policy, api, args, token, deadline)
  args.access_token = token
  if deadline then
    local left = math.min(policy.timeout, deadline - ngx.now())
    if left <= 0 then return nil, "platform_timeout" end
    args.within = left * 1000
  end
  return platform.call(policy, api, args)
end

-- platform.call for an api that takes an access token.  One that is refused is
-- dropped, if it is still the current one; then one more call.  All of it ends
-- by the deadline, if there is one; the token must be there before, so that
-- who pays for the call can hear its answer.  Waits.
function access_token.call(policy, api, args, deadline)
  local kind, till = kind_of(policy, api), deadline
  if deadline then till = deadline - policy.timeout / 2 end
  local token, why, told = access_token.get(policy, kind, till)
  if not token then return nil, why, told or {} end
  local answer, reason, facts = attempt(policy, api, args, token, deadline)
  if not answer and facts and facts.refresh then
    token = follow(policy, kind, token, till)
    if token then return attempt(policy, api, args, token, deadline) end
  end
  return answer, reason, facts
end

-- The kind that a policy's own calls take: WeChat's stable_token (or token,
-- where access_token = "legacy"), Douyin's client_token; nil on a platform
-- without such calls.
function access_token.kind(policy)
  local has = platform[policy.platform].apis.phone_number
  return has and kind_of(policy, "phone_number")
end

-- Fetches in the background where there is none, so that who needs one soon
-- waits less.
function access_token.warm(policy)
  local kind = access_token.kind(policy)
  local key = key_of(policy, kind)
  local own = current(key)
  if not own or ngx.time() >= own.expires then
    ngx.timer.at(0, renew, policy, kind, key)
  end
end

-- Sets the metrics of these policies.  May wait.
function access_token.measure(policies)
  local now = ngx.time()
  for _, policy in ipairs(policies) do
    local kind = access_token.kind(policy)
    local record = kind and current(key_of(policy, kind))
    if record then
      local used = record.day == day_of(now) and record.forced or 0
      age:set(now - record.fetched, policy.name)
      left:set(FORCE_MAX - used, policy.name)
    end
  end
end

return access_token
