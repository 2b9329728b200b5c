-- phone.lua -- what a phone in a user's hand would do: log in, tap the phone
-- button, read the profile, check its session.
--
-- Actions take who = {platform, appid, user} and the body's fields; they give
-- an answer, or nil, an HTTP status and a text.

local codes = require "sandbox.codes"
local json = require "sandbox.json"
local keys = require "sandbox.keys"
local people = require "sandbox.people"
local settings = require "sandbox.settings"
local truth = require "sandbox.truth"

local phone = {}

local function not_logged_in(who)
  return nil, 409, ("%s has not logged in to %s on this platform")
    :format(who.user, who.appid)
end

local function watermark(who)
  return {
    { "timestamp", settings.stamp(settings.now()) },
    { "appid", settings.marked_appid(who.appid) },
  }
end

local function with_watermark(who, fields)
  fields[#fields + 1] = { "watermark", watermark(who) }
  return json.ordered(fields)
end

local function log_in(who)
  local key = keys.login(who)
  people.remember(who)
  return codes.issue("login", who, key)
end

--- wx.login, tt.login.  anonymous: Douyin's user is not logged in to the
--- host app, so there is only the device's code.
function phone.login(who, args)
  if args.anonymous == json.null then
    args.anonymous = nil
  elseif args.anonymous ~= nil and type(args.anonymous) ~= "boolean" then
    return nil, 400, "anonymous: true or false is wanted"
  end
  if who.platform ~= "douyin" then
    if args.anonymous then
      return nil, 400, "anonymous: only Douyin has anonymous logins"
    end
    return { code = log_in(who) }
  end
  return {
    code = not args.anonymous and log_in(who) or nil,
    anonymousCode = codes.issue("anonymous", who),
  }
end

--- The phone button: data sealed with the key of this moment, and a code.
function phone.phone(who)
  local key = keys.seal_key(who)
  if not key then
    return not_logged_in(who)
  end
  local number = people.phone(who.user)
  local data, iv = keys.seal(key, with_watermark(who, {
    { "phoneNumber", number.number },
    { "purePhoneNumber", number.pure },
    { "countryCode", number.country },
  }))
  return { encryptedData = data, iv = iv, code = codes.issue("phone", who) }
end

--- getUserInfo, with rawData and its signature.
function phone.userinfo(who)
  local key = keys.seal_key(who)
  if not key then
    return not_logged_in(who)
  end
  local profile = people.profile(who.user)
  local raw = json.ordered(profile)
  table.insert(profile, 1, { "openId", people.openid(who) })
  table.insert(profile, { "unionId", people.unionid(who) })
  local data, iv = keys.seal(key, with_watermark(who, profile))
  return {
    rawData = raw,
    signature = keys.sign_raw(key, raw),
    encryptedData = data,
    iv = iv,
  }
end

--- Any other open data, for tests: data is a text, sealed as it is, or an
--- object, sealed as JSON with no watermark but its own.
function phone.seal(who, args)
  local plain = args.data
  if type(plain) ~= "string" and type(plain) ~= "table" then
    return nil, 400, "data: a text or an object is wanted"
  end
  local key = keys.seal_key(who)
  if not key then
    return not_logged_in(who)
  end
  local text = type(plain) == "table" and json.encode(plain) or plain
  local data, iv = keys.seal(key, text)
  return { encryptedData = data, iv = iv }
end

--- wx.checkSession, tt.checkSession: only about the latest login's key.
function phone.check(who)
  local ok = keys.check(who)
  if ok == nil then
    return not_logged_in(who)
  end
  return { ok = ok }
end

--- For tests, what no phone could tell: the true number, how many logins were
--- asked for and phone codes spent, and when a back-end was given the key of the
--- data of iv.
function phone.truth(who, args)
  if args.iv ~= nil and type(args.iv) ~= "string" then
    return nil, 400, "iv: a text is wanted"
  end
  local number = people.phone(who.user)
  local given, asked = truth.key_of(args.iv or "")
  return {
    phoneNumber = number.number,
    purePhoneNumber = number.pure,
    exchanges = truth.exchanges(who),
    billed = truth.billed(who),
    given = given,
    asked = asked,
  }
end

return phone
