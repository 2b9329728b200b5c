-- wechat_token.lua -- WeChat's calls that carry an access_token: key check
-- and reset (signed with the session_key), phone numbers.

local codes = require "sandbox.codes"
local keys = require "sandbox.keys"
local people = require "sandbox.people"
local settings = require "sandbox.settings"
local tokens = require "sandbox.tokens"

local with_token = {}

local token_errnos = { malformed = 40014, expired = 42001, replaced = 40001 }

-- The appid of the call's access_token, or nil and what is wrong with it.
local function caller(call)
  local text = call.query.access_token
  if not text or text == "" then
    return nil, 41001
  end
  local appid, why = tokens.check(text, { "plain", "stable" })
  return appid, token_errnos[why]
end

-- Who and key of a signed call, or nil and what is wrong.
local function signed(call)
  local appid, errno = caller(call)
  if not appid then
    return nil, errno
  end
  local args = call.query
  local who = people.find("wechat", appid, args.openid or "")
  if not who then
    return nil, 40003
  elseif args.sig_method ~= "hmac_sha256" then
    return nil, 87008
  end
  local key = keys.current(who)
  if not key or not keys.signed(key, args.signature or "") then
    return nil, 87009
  end
  return who
end

--- checkSessionKey: one answer, 87009, for every way a key can be wrong.
function with_token.checksession(call)
  local who, errno = signed(call)
  return who and {}, errno
end

--- The old key stops at once; the new one keeps its end.
function with_token.resetusersessionkey(call)
  local who, errno = signed(call)
  if not who then
    return nil, errno
  end
  return { openid = people.openid(who), session_key = keys.reset(who) }
end

local function phone_info(record)
  local phone = people.phone(record.who.user)
  return {
    phoneNumber = phone.number,
    purePhoneNumber = phone.pure,
    countryCode = settings.country(phone.country),
    watermark = settings.get().phone_watermark and {
      timestamp = settings.stamp(record.made),
      appid = settings.marked_appid(record.who.appid),
    } or nil,
  }
end

--- A phone code for the number; login codes are not taken (nor spent).
function with_token.getuserphonenumber(call)
  local appid, errno = caller(call)
  local args = call.args
  if not appid then
    return nil, errno
  elseif not args or call.form then
    return nil, 47001
  elseif type(args.code) ~= "string" or args.code == "" then
    return nil, 41008
  end
  local record = codes.find("wechat", "phone", args.code)
  if not record then
    return nil, 40029
  elseif record.who.appid ~= appid then
    return nil, 40013
  elseif args.openid and args.openid ~= people.openid(record.who) then
    return nil, 40003
  elseif not codes.take(record) then
    return nil, 40029
  end
  return { phone_info = phone_info(record) }
end

return with_token
