-- people.lua -- who a user is to each platform: made from the name alone, so
-- that alice is the same alice in every run.

local apps = require "sandbox.apps"
local crypto = require "latchkey.crypto"
local settings = require "sandbox.settings"
local state = require "sandbox.state"

local people = {}

local function digest(...)
  return crypto.sha256(table.concat({ ... }, "|"))
end

local function base64url(length, ...)
  return crypto.base64url(digest(...)):sub(1, length)
end

local openid = {
  wechat = function(...) return "o" .. base64url(27, ...) end,
  douyin = function(...) return "_000" .. base64url(32, ...) end,
  qq = function(...) return crypto.hex(digest(...)):sub(1, 32):upper() end,
  kuaishou = function(...) return "f" .. crypto.hex(digest(...)):sub(1, 31) end,
}

local unionid = {
  wechat = function(...) return "o" .. base64url(27, ...) end,
  douyin = function(...)
    local hex = crypto.hex(digest(...))
    return ("%s-%s-%s-%s-%s"):format(hex:sub(1, 8), hex:sub(9, 12),
      hex:sub(13, 16), hex:sub(17, 20), hex:sub(21, 32))
  end,
}
unionid.qq = function(...) return "UID_" .. openid.qq(...) end
unionid.kuaishou = function() end -- mini-games only

--- The openid of who = {platform, appid, user}.
function people.openid(who)
  return openid[who.platform](who.platform, who.appid, who.user)
end

--- The unionid, or nil in an app that is not bound.
function people.unionid(who)
  return apps.bound(who.appid) and unionid[who.platform](who.platform, who.user)
    or nil
end

--- Douyin's identity of the phone that the user holds.
function people.anonymous_openid(who)
  return openid.douyin("device", who.appid, who.user)
end

--- Remembers whose openid it is, for calls that name nobody else.
function people.remember(who)
  local id = people.openid(who)
  state.put("openid:" .. who.platform .. ":" .. who.appid .. ":" .. id, who)
end

--- The who behind an openid that has logged in, or nil.
function people.find(platform, appid, id)
  return state.get("openid:" .. platform .. ":" .. appid .. ":" .. id)
end

--- {number, pure, country}: foreign numbers carry their country.
function people.phone(user)
  local known = settings.get().users[user] or {}
  local seed = tonumber(crypto.hex(digest("phone", user)):sub(1, 12), 16)
  local pure = known.phone or ("138%08d"):format(seed % 1e8)
  local country = known.country or "86"
  return {
    number = country == "86" and pure or "+" .. country .. pure,
    pure = pure,
    country = country,
  }
end

--- What getUserInfo shows, as an ordered list of fields.
function people.profile(user)
  return {
    { "nickName", user },
    { "gender", 0 },
    { "language", "zh_CN" },
    { "city", "Guangzhou" },
    { "province", "Guangdong" },
    { "country", "CN" },
    { "avatarUrl", "https://thirdwx.qlogo.cn/mmopen/vi_32/sandbox/132" },
  }
end

return people
