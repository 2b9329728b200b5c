-- codes.lua -- one-time codes: short-lived, single use, each of one kind.

local crypto = require "latchkey.crypto"
local settings = require "sandbox.settings"
local state = require "sandbox.state"
local truth = require "sandbox.truth"

-- Real seconds that a record outlives its code, so that a test may turn the
-- sandbox's clock back and forth.
local LINGER = 600

local LIFE = 300 -- seconds, where there is no setting for the platform

local codes = {}

local shapes = {
  wechat = {
    login = function()
      local text = crypto.base64url(crypto.random(24)):gsub("[-_]", "0")
      return "0" .. text:sub(2)
    end,
    phone = function() return crypto.hex(crypto.random(32)) end,
  },
  douyin = {
    login = function() return crypto.base64url(crypto.random(60)) end,
    anonymous = function() return crypto.base64url(crypto.random(60)) end,
    phone = function() return crypto.base64url(crypto.random(60)) end,
  },
}

shapes.qq = shapes.wechat
shapes.kuaishou = {
  login = function() return crypto.hex(crypto.random(32)):upper() end,
  phone = shapes.wechat.phone,
}

local function key_of(platform, code)
  return "code:" .. platform .. ":" .. code
end

local function life(platform)
  return settings.get().code_life[platform] or LIFE
end

--- A new code of a kind (login, anonymous, phone) for who; key is the
--- session_key that it brings, where it brings one.
function codes.issue(kind, who, key)
  local platform = who.platform
  local code = shapes[platform][kind]()
  state.put(key_of(platform, code), {
    code = code,
    kind = kind,
    who = who,
    key = key,
    made = settings.now(),
  }, life(platform) + LINGER)
  return code
end

--- The record of a live code that nobody has used; nil and "invalid"
--- (unknown, expired, of another kind) or "used".
function codes.find(platform, kind, code)
  local record = state.get(key_of(platform, code))
  if record and kind == "login" then
    truth.asked(record.who)
  end
  if not record or record.kind ~= kind
      or settings.now() - record.made >= life(platform) then
    return nil, "invalid"
  elseif ngx.shared.sandbox:get("used:" .. key_of(platform, code)) then
    return nil, "used"
  end
  return record
end

--- Uses a code up.  True for one caller only, however many race.
function codes.take(record)
  local platform = record.who.platform
  local first = state.once("used:" .. key_of(platform, record.code),
    life(platform) + LINGER)
  if first and record.kind == "phone" then
    truth.paid(record.who)
  end
  return first
end

return codes
