-- calls.lua -- a platform's server calls, for a script's own endpoints and
-- policies: latchkey.wechat and latchkey.douyin are two of these.
--
-- options say for whom: {app = "shop"}, a policy's name; or {appid, secret,
-- base (URL), timeout (ms), private_key}.  No session key comes out: `key` is
-- a handle, a key ring or what code2session gave.  All wait; a failure is nil,
-- reason, {errcode, errmsg, ...}.

local cjson = require "cjson.safe"
local access_token = require "latchkey.access_token"
local apps = require "latchkey.app"
local check = require "latchkey.check"
local identity = require "latchkey.identity"
local platform = require "latchkey.platform"

local calls = {}

local TIMEOUT = 5000 -- milliseconds

local function policy_of(name, options)
  if not options.app then
    if not options.appid or not options.secret then
      error("app, or appid and secret, expected", 3)
    end
    return {
      name = options.appid, platform = name, appid = options.appid,
      secret = options.secret, api = options.base,
      timeout = (options.timeout or TIMEOUT) / 1000,
      private_key = options.private_key, access_token = options.access_token,
    }
  end
  local policy = apps.get(options.app)
  if not policy or policy.platform ~= name then
    error(("no %s app %q"):format(name, tostring(options.app)), 3)
  end
  return policy
end

-- The key for a call that is signed with one.
local function key_of(options)
  if not options.key then error("key, or app, expected", 3) end
  return options.key
end

-- What check.lua asks of a session record.
local function record_of(options)
  local key = identity.key(options.app, options.openid)
  return { openid = options.openid, identity = key,
           ring = identity.ring_at(key) }
end

-- The calls of the platform called name.
function calls.of(name)
  local module = {}

  -- Trades {code, anonymous_code}.  -> {openid, unionid, anonymous_openid, key}
  function module.code2session(options)
    return platform.call(policy_of(name, options), "code2session",
      { code = options.code, anonymous_code = options.anonymous_code })
  end

  -- Is a key the platform's?  {openid, key}; with app and without key, the
  -- stored one, and the verdict is noted on it.  -> true or false
  function module.check_session(options)
    local policy = policy_of(name, options)
    if options.app and not options.key then
      local verdict, reason = check.ask(policy, record_of(options))
      if not verdict then return nil, reason end
      return verdict == "good"
    end
    local answer, reason, facts = access_token.call(policy, "check_session",
      { openid = options.openid, key = key_of(options) })
    if answer then return true end
    if reason == "key_stale" then return false end
    return nil, reason, facts
  end

  -- Has the platform make a new key.  {openid, key} -> {openid, key}; with app
  -- and without key, the stored one, and the new one is stored too.  -> true
  function module.reset_session_key(options)
    local policy = policy_of(name, options)
    if options.app and not options.key then
      return check.reset(policy, record_of(options))
    end
    return access_token.call(policy, "reset_session_key",
      { openid = options.openid, key = key_of(options) })
  end

  -- The number behind a phone button's {code, openid}, which is billed.
  -- -> {phoneNumber, purePhoneNumber, countryCode}
  function module.phone_number(options)
    local policy = policy_of(name, options)
    local answer, reason, facts = access_token.call(policy, "phone_number", {
      code = options.code, openid = options.openid,
      private_key = policy.private_key })
    if not answer then return nil, reason, facts end
    return cjson.decode(answer.json)
  end

  -- The token for server calls that are not here; kind is another api that
  -- brings one.  -> token, seconds that it has left
  function module.access_token(options)
    local policy = policy_of(name, options)
    return access_token.get(policy, options.kind or access_token.kind(policy))
  end

  return module
end

return calls
