-- douyin_phone.lua -- Douyin's phone numbers by code, sealed with the RSA
-- public key that the app has set (settings: public_keys).

local codes = require "sandbox.codes"
local crypto = require "latchkey.crypto"
local json = require "sandbox.json"
local people = require "sandbox.people"
local settings = require "sandbox.settings"
local tokens = require "sandbox.tokens"

local EXPIRED = 28005187 -- used ones and made up ones too

local function payload(record)
  local phone = people.phone(record.who.user)
  return json.ordered {
    { "phoneNumber", phone.number },
    { "purePhoneNumber", phone.pure },
    { "countryCode", settings.country(phone.country) },
    { "watermark", settings.get().phone_watermark and {
      { "timestamp", settings.stamp(record.made) },
      { "appid", settings.marked_appid(record.who.appid) },
    } or nil },
  }
end

--- POST {code} with a client_token in the header access-token.  The code is
--- gone at its first use.
return function(call)
  local appid, why =
    tokens.check(call.headers["access-token"] or "", { "client" })
  if not appid then
    return nil, why == "expired" and 28001008 or 28001003
  end
  local code = (call.args or {}).code
  if type(code) ~= "string" or code == "" then
    return nil, 28001007
  end
  local pem = settings.get().public_keys[appid]
  if not pem then
    return nil, 28001014
  end
  local record = codes.find("douyin", "phone", code)
  if not record or record.who.appid ~= appid or not codes.take(record) then
    return nil, EXPIRED
  end
  return { data = ngx.encode_base64(crypto.rsa_seal(pem, payload(record))) }
end
